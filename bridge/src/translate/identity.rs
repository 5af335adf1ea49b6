//! Identifiers of what we issue: the same on every instance and every retry.

use crate::envelope::{Reference, World};
use crate::pipeline::deduplicate::{hex_digest, key};

use super::{Request, Settings, Target};
use cap_schema::Time;

/// Version of the rendering rules: part of identifiers, so that a change of rules never reuses one.
const VERSION: u8 = 1;

/// The identifier for (origin, target): letters, digits and hyphens only, as every profile allows. Another edition gives
/// another one: what was issued under a former key or COG can be issued again, and is no duplicate there.
pub fn identifier(settings: &Settings, origin_key: &str, target: Target) -> String {
    let mut basis = format!("{origin_key}\0{}\0{VERSION}", target.as_str());
    if settings.edition > 0 {
        basis = format!("{basis}\0{}", settings.edition);
    }
    let digest = hex_digest(basis.as_bytes());
    let name: String =
        settings.bridge_name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{name}-{}-{}", target.as_str(), digest.get(..32).unwrap_or(""))
}

/// The reference of the new message.
pub(super) fn reference(request: &Request<'_>, sent: &Time<'_>) -> Reference {
    Reference {
        sender: request.settings.sender.clone(),
        identifier: identifier(request.settings, request.origin_key, request.target),
        sent: sent.as_str().to_owned(),
    }
}

/// The reference that a message of ours for an earlier original would have, without a store. A sender part that names
/// somebody else is wrong (NAAD sample 9): a message follows its sender's own.
pub(super) fn derived(request: &Request<'_>, original: &cap_schema::Reference<'_>) -> Reference {
    let owned = Reference {
        sender: request.alert.sender.to_string(),
        identifier: original.identifier.to_string(),
        sent: original.sent.to_string(),
    };
    let sent = Time::new(original.sent.as_ref());
    let sent = sent
        .instant()
        .map_or_else(|| original.sent.to_string(), |i| Time::from_instant(i, 0).as_str().to_owned());
    Reference {
        sender: request.settings.sender.clone(),
        identifier: identifier(request.settings, &key(&owned, &World::live()).0, request.target),
        sent,
    }
}

/// CAP `incidents`: the original's identifier, quoted where it holds white space.
pub(super) fn incident(identifier: &str) -> String {
    if identifier.contains(char::is_whitespace) {
        format!("\"{}\"", identifier.replace('"', "'"))
    } else {
        identifier.to_owned()
    }
}

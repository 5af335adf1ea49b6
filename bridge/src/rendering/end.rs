//! The end of what an endpoint holds, where the message that ends it is not for the endpoint.
//!
//! Owns the one message that is made without reading the original: a Cancel of what the endpoint holds. It is given the
//! record of what is held, never the text of what ends it, so that nothing restricted or private can go along.

use std::borrow::Cow;

use cap_schema::{Alert, Code, Instant, MsgType, Scope, Status, Time};
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::Audience;
use jiff::Timestamp;

use crate::envelope::{AlertKey, Envelope};
use crate::pipeline::deduplicate::hex_digest;
use crate::store::Issued;
use crate::translate::NotSent;
use crate::translate::report::Report;

/// What a Cancel says of its readers, where what it ends was not for everybody.
const RESTRICTION: &str = "those who hold the message that this one ends";

/// Who issues.
pub(super) struct By<'b> {
    pub(super) bridge: &'b str,
    pub(super) sender: &'b str,
}

/// A Cancel in the name of what is held: its reference, class and audience, no references yet, and nothing else.
///
/// # Errors
/// Nothing of this class leaves.
pub(crate) fn bare(held: &Envelope) -> Result<Alert<'static>, NotSent> {
    let status = match held.class.class() {
        Class::Live => Status::Actual,
        Class::Exercise => Status::Exercise,
        Class::Test => Status::Test,
        Class::Internal => return Err(NotSent::Internal),
    };
    let (scope, restriction) = match held.provenance.audience {
        Audience::Public => (Scope::Public, None),
        Audience::Restricted | Audience::Private => (Scope::Restricted, Some(Cow::Borrowed(RESTRICTION))),
    };
    Ok(Alert {
        identifier: Cow::Owned(held.reference.identifier.clone()),
        sender: Cow::Owned(held.reference.sender.clone()),
        sent: Time::new(held.reference.sent.clone()),
        status: Code::Known(status),
        msg_type: Code::Known(MsgType::Cancel),
        scope: Some(Code::Known(scope)),
        restriction,
        ..Alert::default()
    })
}

/// The Cancel for an endpoint that gets originals: of everything of the chain that is in force there.
pub(super) fn as_received(
    bare: &Alert<'_>,
    ended_by: &AlertKey,
    issued: &[Issued],
    by: &By<'_>,
    now: Timestamp,
) -> (Alert<'static>, Report) {
    let digest = hex_digest(format!("{}\0end", ended_by.0).as_bytes());
    let bridge: String = by.bridge.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let mut references: Vec<String> = Vec::with_capacity(issued.len());
    for one in issued.iter().map(|i| i.reference.to_string()) {
        if !references.contains(&one) {
            references.push(one);
        }
    }
    let alert = Alert {
        identifier: Cow::Owned(format!("{bridge}-end-{}", digest.get(..32).unwrap_or(""))),
        sender: Cow::Owned(by.sender.to_owned()),
        sent: Time::from_instant(Instant::from_seconds(now.as_second()), 0),
        references: Some(Cow::Owned(references.join(" "))),
        ..bare.clone().into_owned()
    };
    (alert, Report::of_an_end())
}

//! The COG behind an IPAWS signature (ipaws page 1.11 and 6.3).
//!
//! Owns what the common name of a COG's certificate looks like and with what of the message it must agree. Must not say
//! who is trusted.

use super::{State, Verification};
use crate::alert::Alert;
use crate::finding::Finding;
use crate::profile::ipaws;
use crate::rules::finding;

/// The number of a COG in the common name of its certificate: `IPAWSOPEN200032`, or `IPAWSOPEN_200032` in older ones.
pub fn cog_of(common_name: &str) -> Option<&str> {
    let rest = common_name.strip_prefix("IPAWSOPEN")?;
    let number = rest.strip_prefix('_').unwrap_or(rest);
    is_number(number).then_some(number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The number of the COG that a senderName begins with: `201125,SC York County,York County Sheriffs Office`.
fn claimed(sender_name: &str) -> Option<&str> {
    sender_name.split_once(',').map(|(first, _)| first.trim()).filter(|first| is_number(first))
}

/// What does not agree between an IPAWS alert and those who signed it. Only what verifies is looked at.
pub(super) fn check(alert: &Alert<'_>, verification: &Verification) -> Vec<Finding> {
    let mut found = Vec::new();
    if !ipaws::claims(alert) {
        return found;
    }
    let verifies = |state| matches!(state, State::Trusted | State::Untrusted);
    let names: Vec<&str> = verification
        .signatures
        .iter()
        .filter(|s| verifies(s.state))
        .filter_map(|s| s.common_name.as_deref())
        .collect();
    if names.is_empty() {
        return found;
    }
    let cogs: Vec<&str> = names.iter().filter_map(|name| cog_of(name)).collect();
    if cogs.is_empty() {
        let message = "no signer has the certificate of a COG (CN IPAWSOPEN and its number)";
        found.push(finding("ipaws.signer", "/alert/Signature", message));
        return found;
    }
    for (index, info) in alert.info.iter().enumerate() {
        let claimed = info.sender_name.as_deref().and_then(claimed);
        if let Some(claimed) = claimed.filter(|claimed| !cogs.contains(claimed)) {
            let path = format!("/alert/info[{}]/senderName", index + 1);
            let message =
                format!("senderName says COG {claimed:.20}, and COG {:.20} signed", cogs.join(", "));
            found.push(finding("ipaws.signer", path, message));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cog_is_told_by_the_common_name() {
        for (name, cog) in [
            ("IPAWSOPEN200032", Some("200032")),
            ("IPAWSOPEN_200076", Some("200076")),
            ("IPAWSOPEN", None),
            ("IPAWSOPEN__1", None),
            ("IPAWSOPEN200032.example", None),
            ("xIPAWSOPEN200032", None),
            ("ipawsopen200032", None),
        ] {
            assert_eq!(cog_of(name), cog, "{name}");
        }
        assert_eq!(claimed("201125,SC York County,York County Sheriffs Office"), Some("201125"));
        assert_eq!(claimed("NWS Wakefield VA, 3"), None);
    }
}

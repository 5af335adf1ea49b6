//! Stage 4: was it here before, and is it our own?
//!
//! Owns keys, digests, twins and the loop guard. Must not look at content to decide that two messages are "similar":
//! an Update or Cancel is never taken for a repeat.

use aws_lc_rs::digest::{SHA256, digest};
use cap_schema::Alert;

use crate::envelope::{AlertKey, Reference};

/// The `valueName` of the parameter that every message of a bridge carries: names of the bridges that it crossed.
pub const TRACE: &str = "capbridge:trace";

/// The key of a reference. `sent` goes in as written.
pub fn key(reference: &Reference) -> AlertKey {
    AlertKey(hex_digest(
        format!("{}\0{}\0{}", reference.sender, reference.identifier, reference.sent).as_bytes(),
    ))
}

/// The key of the same alert as another system publishes it: NWS alerts carry `.IPAWS` behind the identifier when they
/// come through IPAWS (ipaws page 2.4). Two twins have the same twin key.
pub fn twin(reference: &Reference) -> Option<AlertKey> {
    let plain = reference.identifier.strip_suffix(".IPAWS").unwrap_or(&reference.identifier);
    let nws = plain.starts_with("urn:oid:2.49.0.1.840.0.");
    nws.then(|| {
        key(&Reference {
            sender: reference.sender.clone(),
            identifier: plain.to_owned(),
            sent: reference.sent.clone(),
        })
    })
}

/// Digest of what the alert says: the written model without signatures, so that the same alert with and without the
/// aggregator's signature is the same.
pub fn content_digest(alert: &Alert<'_>) -> String {
    let mut bare = alert.clone();
    bare.signatures.clear();
    hex_digest(cap_schema::write(&bare).as_bytes())
}

/// Lower-case hex of SHA-256.
pub fn hex_digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether the message names this bridge in its trace (loop guard 2; guard 1 is the source's own filter, guard 3 the
/// store's index of what we issued).
pub fn carries_trace(alert: &Alert<'_>, bridge: &str) -> bool {
    alert
        .info
        .iter()
        .flat_map(|info| &info.parameter)
        .any(|p| p.value_name == TRACE && p.value.split_whitespace().any(|name| name == bridge))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(sender: &str, identifier: &str, sent: &str) -> Reference {
        Reference { sender: sender.into(), identifier: identifier.into(), sent: sent.into() }
    }

    #[test]
    fn keys_do_not_run_parts_together() {
        let a = reference("ab", "c", "d");
        let b = reference("a", "bc", "d");
        assert_ne!(key(&a), key(&b));
    }

    #[test]
    fn an_nws_alert_has_the_same_twin_key_with_and_without_the_suffix() {
        let plain = reference("w-nws.webmaster@noaa.gov", "urn:oid:2.49.0.1.840.0.ab.001.1", "t");
        let ipaws = reference("w-nws.webmaster@noaa.gov", "urn:oid:2.49.0.1.840.0.ab.001.1.IPAWS", "t");
        assert_eq!(twin(&plain), twin(&ipaws));
        assert!(twin(&plain).is_some());
        assert_eq!(twin(&reference("x", "y.IPAWS", "t")), None);
    }
}

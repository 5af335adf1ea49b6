//! The hash-chained record: what both engines write and verify.
//!
//! Owns the hash of an entry: SHA-256 over the previous hash and the entry's canonical JSON (keys sorted). Entries hold
//! facts and digests, never bodies.

use aws_lc_rs::digest::{Context, SHA256};

use crate::store::Event;

/// The hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An entry as text and its hash, lower-case hex.
pub struct Entry {
    /// Canonical JSON.
    pub text: String,
    /// Hash over the previous hash and the text.
    pub hash: String,
}

/// The canonical JSON of an event: serde_json writes maps with sorted keys, so the same event has the same text.
pub fn text(event: &Event) -> String {
    serde_json::to_value(event).map(|v| v.to_string()).unwrap_or_default()
}

/// Chains an event to what went before.
pub fn chain(previous: &str, event: &Event) -> Entry {
    let text = text(event);
    let hash = link(previous, &text);
    Entry { text, hash }
}

/// The hash of a text behind a previous hash.
pub fn link(previous: &str, text: &str) -> String {
    use std::fmt::Write;
    let mut context = Context::new(&SHA256);
    context.update(previous.as_bytes());
    context.update(b"\0");
    context.update(text.as_bytes());
    context.finish().as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Verifies a chain: the number of entries, or the number of the first that does not fit, from 1.
pub fn verify<'e>(entries: impl Iterator<Item = (&'e str, &'e str)>) -> Result<u64, u64> {
    let mut previous = GENESIS.to_owned();
    let mut count = 0;
    for (text, hash) in entries {
        count += 1;
        if link(&previous, text) != hash {
            return Err(count);
        }
        hash.clone_into(&mut previous);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: u8) -> Vec<(String, String)> {
        let mut previous = GENESIS.to_owned();
        (0..n)
            .map(|i| {
                let event = Event {
                    at: jiff::Timestamp::UNIX_EPOCH,
                    what: format!("step {i}"),
                    alert: None,
                    delivery: None,
                    facts: serde_json::Map::new(),
                };
                let entry = chain(&previous, &event);
                previous.clone_from(&entry.hash);
                (entry.text, entry.hash)
            })
            .collect()
    }

    fn check(entries: &[(String, String)]) -> Result<u64, u64> {
        verify(entries.iter().map(|(t, h)| (t.as_str(), h.as_str())))
    }

    #[test]
    fn a_changed_removed_or_moved_entry_is_named() {
        assert_eq!(check(&log(5)), Ok(5));
        let mut edited = log(5);
        edited[2].0 = edited[2].0.replace("step 2", "step 9");
        assert_eq!(check(&edited), Err(3));
        let mut removed = log(5);
        removed.remove(1);
        assert_eq!(check(&removed), Err(2));
        let mut moved = log(5);
        moved.swap(3, 4);
        assert_eq!(check(&moved), Err(4));
    }
}

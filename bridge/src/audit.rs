//! The hash-chained record: what both engines write and verify.
//!
//! Owns the hash of an entry: SHA-256 over the previous hash and the entry's canonical JSON (keys sorted), and the anchor
//! behind which a log begins whose first entries were deleted. Entries hold facts and digests, never bodies.

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

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

/// Where a log begins whose first entries were deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// How many entries were before.
    pub entries: u64,
    /// The hash of the last of them.
    pub hash: String,
}

impl Default for Anchor {
    fn default() -> Self {
        Anchor { entries: 0, hash: GENESIS.to_owned() }
    }
}

const TRIMMED: &str = "trimmed";

/// The entry that names where the log begins from now on.
pub fn trimmed(at: Timestamp, anchor: &Anchor) -> Event {
    let facts = [("entries", json!(anchor.entries)), ("hash", json!(anchor.hash))];
    let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event { at, what: TRIMMED.to_owned(), alert: None, delivery: None, facts }
}

/// A log that is verified entry by entry.
pub struct Chain {
    anchor: Anchor,
    previous: String,
    number: u64,
    /// Where the log begins, as its entries say.
    told: Option<Anchor>,
}

impl Chain {
    /// A log that begins behind an anchor.
    pub fn behind(anchor: Anchor) -> Self {
        Chain { previous: anchor.hash.clone(), number: anchor.entries, told: None, anchor }
    }

    /// The next entry with its hash.
    ///
    /// # Errors
    /// The number of the entry, from 1, if it does not fit.
    pub fn next(&mut self, text: &str, hash: &str) -> Result<(), u64> {
        self.number += 1;
        if link(&self.previous, text) != hash {
            return Err(self.number);
        }
        hash.clone_into(&mut self.previous);
        if text.contains(TRIMMED)
            && let Ok(event) = serde_json::from_str::<Event>(text)
            && event.what == TRIMMED
        {
            self.told = serde_json::from_value(event.facts.into()).ok();
        }
        Ok(())
    }

    /// The hash of the last entry.
    pub fn hash(&self) -> &str {
        &self.previous
    }

    /// How many entries fitted, those before the anchor too.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// The number of the first entry, if none of them says that the log begins there.
    pub fn end(self) -> Result<u64, u64> {
        if self.anchor == self.told.unwrap_or_default() {
            Ok(self.number - self.anchor.entries)
        } else {
            Err(self.anchor.entries + 1)
        }
    }
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
        check_behind(Anchor::default(), entries)
    }

    fn check_behind(anchor: Anchor, entries: &[(String, String)]) -> Result<u64, u64> {
        let mut chain = Chain::behind(anchor);
        entries.iter().try_for_each(|(text, hash)| chain.next(text, hash))?;
        chain.end()
    }

    #[test]
    fn a_log_begins_where_it_says_that_it_begins_and_nowhere_else() {
        let mut entries = log(5);
        let cut = |at: u64| Anchor { entries: at, hash: entries[at as usize - 1].1.clone() };
        let (second, third) = (cut(2), cut(3));
        let entry = chain(&entries[4].1, &trimmed(Timestamp::UNIX_EPOCH, &second));
        entries.push((entry.text, entry.hash));
        assert_eq!(check_behind(second.clone(), &entries[2..]), Ok(4));
        assert_eq!(check_behind(third.clone(), &entries[3..]), Err(4), "one more was taken away");
        assert_eq!(check_behind(third.clone(), &entries[2..]), Err(4));
        assert_eq!(check_behind(second, &entries[2..5]), Err(3), "the log does not say so");
        assert_eq!(check_behind(Anchor::default(), &entries), Err(1), "the anchor is gone");
        // The newest word counts.
        let entry = chain(&entries[5].1, &trimmed(Timestamp::UNIX_EPOCH, &third));
        entries.push((entry.text, entry.hash));
        assert_eq!(check_behind(third, &entries[3..]), Ok(4));
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

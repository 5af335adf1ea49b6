//! Atom feeds and entries as agencies publish them (RFC 4287), with GeoRSS and AtomPub controls.
//!
//! Owns the cutting of a feed into entries (`cut`), so that a broken entry never takes its neighbours with it, and the
//! reading of one entry (`entry`, `shape`), and the ending of one (`ending`). Must not know what an agency means by its categories.

mod cut;
mod ending;
mod entry;
mod shape;

pub use crate::tree::Malformed;
pub use cut::{Cut, cut};
pub(crate) use cut::{Wrapper, parts};
pub use ending::expiring;
pub use entry::{Author, Category, Entry, Link, Text};
pub use shape::{Place, Shape};

/// Namespace of Atom.
pub(crate) const ATOM: &str = "http://www.w3.org/2005/Atom";

/// Why a document is not a feed or an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The root is not that of a feed.
    #[error("the root element is not that of a feed")]
    NotAtom,
    /// A document type declaration: refused before anything is read.
    #[error("it has a document type declaration")]
    Doctype,
    /// Not XML that can be read.
    #[error("it is not a document that can be read")]
    Malformed {
        /// What is wrong.
        #[source]
        cause: Malformed,
    },
    /// The feed broke off: there may be more entries than arrived.
    #[error("it breaks off before its end")]
    BreaksOff,
    /// A feed that should hold one entry holds none or several.
    #[error("it holds {entries} entries where one is expected")]
    NotOne {
        /// How many.
        entries: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipaws::reply;
    use crate::masas::entry::{EntrySettings, to_cap};

    const FEED: &str = r#"<?xml version="1.0"?><f:feed xmlns:f="http://www.w3.org/2005/Atom" xmlns="http://www.georss.org/georss">
        <f:entry><f:id>masas:entry:1</f:id><f:updated>2026-03-01T17:00:00Z</f:updated><!-- c --><f:title type="xhtml">
        <d><d xml:lang="fr">é &amp; &#233;<![CDATA[<x>]]></d></d></f:title><polygon>1 2 3 4 5 6 1 2</polygon>
        <circle>42.99 -82.48 1500.5</circle><f:category scheme="masas:category:status" term="Test"/></f:entry>
        <f:entry><f:id>2</f:id></f:entry></f:feed>"#;

    /// Whatever arrives, the readers answer: no input makes them panic or lose bytes of an entry.
    #[test]
    fn no_bytes_make_the_readers_panic() {
        let mut dice = fastrand::Rng::with_seed(7);
        let pool = b"<>/&;:\"'=![]-? abfeny09\xc3\xa9\xff\0";
        for _ in 0..4_000 {
            let mut bytes = FEED.as_bytes().to_vec();
            for _ in 0..dice.usize(1..6) {
                let at = dice.usize(..bytes.len());
                match dice.u8(0..4) {
                    0 => bytes[at] = pool[dice.usize(..pool.len())],
                    1 => bytes.truncate(at.max(1)),
                    2 => {
                        bytes.remove(at);
                        bytes.push(b' ');
                    }
                    _ => bytes.insert(at, pool[dice.usize(..pool.len())]),
                }
            }
            let _ = reply::read(&bytes);
            let Ok(feed) = cut(&bytes) else { continue };
            for entry in feed.entries {
                let _ = Entry::read(&entry);
                if let Ok(made) = to_cap(&entry, &EntrySettings::default()) {
                    let parsed = cap_schema::parse_owned(&made.cap, &cap_schema::Limits::default());
                    assert!(parsed.is_ok_and(|p| p.accepted()), "{}", String::from_utf8_lossy(&made.cap));
                }
            }
        }
    }
}

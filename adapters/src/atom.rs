//! Atom feeds and entries as agencies publish them (RFC 4287), with GeoRSS and AtomPub controls.
//!
//! Owns the cutting of a feed into entries (`cut`), so that a broken entry never takes its neighbours with it, and the
//! reading of one entry (`entry`, `shape`). Must not know what an agency means by its categories.

mod cut;
mod entry;
mod shape;

pub use crate::tree::Malformed;
pub(crate) use cut::parts;
pub use cut::{Cut, cut};
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

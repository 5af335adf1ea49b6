//! Atom feeds and entries as agencies publish them (RFC 4287), with GeoRSS and AtomPub controls.

/// Why a document is not a feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The root is neither a feed nor an entry.
    #[error("the root element is not an Atom feed or entry")]
    NotAtom,
}

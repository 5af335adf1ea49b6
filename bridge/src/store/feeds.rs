//! Entries of feeds: what clients read, in the order in which it came.
//!
//! Owns what both engines promise. A feed has its own order: places 1, 2, 3 without a gap, given in the step that keeps an
//! entry, so that whoever has seen a place has seen all before it. Bodies are kept with their entries and live no longer.

use async_trait::async_trait;
use bytes::Bytes;
use capbridge_adapters::feed::{Entry, Keeping};
use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;

use super::StoreError;

/// An entry and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The place, from 1.
    pub place: u64,
    /// The entry.
    pub entry: Entry,
}

/// Which entries of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Those behind a place, oldest first.
    After(u64),
    /// Those before a place, newest first.
    Before(u64),
}

/// How far a feed is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The last place that was given; 0: none.
    pub last: u64,
    /// The last place whose entry was deleted; 0: none. Entries are deleted in the order in which they are over, so
    /// there may be entries before it.
    pub swept: u64,
}

/// Feeds in the store.
#[async_trait]
pub trait FeedStore: Send + Sync + 'static {
    /// Keeps an entry at the next place of its feed; what it takes the place of is in force no more. One with an id that is
    /// there changes nothing. Its place.
    async fn keep(&self, keeping: Keeping) -> Result<u64, StoreError>;

    /// Entries of a feed.
    async fn entries(&self, feed: &EndpointName, span: Span, limit: u32) -> Result<Vec<Placed>, StoreError>;

    /// Entries that are in force: not replaced, ended or expired. Before a place, newest first.
    async fn in_force(
        &self,
        feed: &EndpointName,
        now: Timestamp,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Placed>, StoreError>;

    /// One entry with the bytes of its message.
    async fn entry(&self, feed: &EndpointName, id: &str) -> Result<Option<(Placed, Bytes)>, StoreError>;

    /// How far a feed is.
    async fn extent(&self, feed: &EndpointName) -> Result<Extent, StoreError>;

    /// The feeds that entries were ever kept for.
    async fn feeds(&self) -> Result<Vec<EndpointName>, StoreError>;

    /// Deletes entries that were over before a time; the number deleted.
    async fn sweep_feed(&self, feed: &EndpointName, before: Timestamp, limit: u32)
    -> Result<u64, StoreError>;
}

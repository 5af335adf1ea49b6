//! What is deleted when its time is over, and how much there is.
//!
//! Owns what both engines promise. An always-on bridge runs for years: nothing may grow for ever. What tells a repeat or our
//! own message from a new one outlives its alert, but not for ever either; the audit log begins anew behind an anchor, which
//! the log itself names.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;

/// How much there is. Each is read in a time that does not grow with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// What the store takes: of its file (embedded), of the server's memory (Redis).
    pub bytes: u64,
    /// Entries of the audit log.
    pub record_entries: u64,
    /// Documents in quarantine, released ones too.
    pub quarantined: u64,
}

/// Deleting what is over.
#[async_trait]
pub trait Retention: Send + Sync + 'static {
    /// Deletes what is older than its retention: alerts (with deliveries and renderings) that expired or were accepted
    /// before `before` and have no unfinished delivery. Dedup keys and our own references stay. The number deleted.
    async fn sweep(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Forgets dedup keys, names and references of our own: those of swept alerts that were over before `before`, and names
    /// that no message came to carry. What came again since is kept. The number deleted.
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Deletes documents from quarantine that came before `before`, oldest first, whether released or not. The number
    /// deleted.
    async fn sweep_quarantine(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Deletes the entries at the beginning of the audit log that are from before `before`. The log begins behind an
    /// anchor then (how many entries were before it, and the hash of the last), and an entry of the log, made at `now`,
    /// names it. The newest entry is never deleted. The number deleted.
    async fn trim_record(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// How much there is.
    async fn size(&self) -> Result<Size, StoreError>;
}

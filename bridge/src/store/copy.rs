//! Moving a store: every record of the embedded store into an empty Redis, resumable, then verified.
//!
//! Owns the list of what a store is made of (`Kind`) and the order of the copy. A kind that is added does not compile
//! until both engines say how it is read and written; a table or a column that no kind copies fails a test
//! (`embedded/export.rs`). Must not know how an engine keeps a record.

mod record;

use std::path::Path;

use crate::store::embedded::EmbeddedStore;
use crate::store::redis::{RedisSettings, RedisStore};
use crate::store::{Depth, Store, StoreError};

pub use record::{Digest, Entry, Kind, Name, Ours, Record, Seen};

/// How many records are read and written in one step.
const BATCH: u32 = 200;
/// How often a batch whose answer was lost is looked at again.
const TRIES: u32 = 5;

/// Where a copy is: what was written last, in one step with its marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Which source, in which state: the hash of the last entry of its audit log, and how many there are.
    pub source: String,
    /// The kind that is being copied; `None`: all are, and the copy is to be verified.
    pub kind: Option<Kind>,
    /// The place of the last copied record of that kind; empty before the first.
    pub place: String,
}

/// Why a copy did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is something at the destination.
    #[error(
        "the destination is not empty: a bridge of this name runs or ran there; name an empty server or another bridge name"
    )]
    NotEmpty,
    /// There is an unfinished copy of something else.
    #[error(
        "the destination holds an unfinished copy of another store, or of this one before it went on; empty it first"
    )]
    OtherCopy,
}

/// What came of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each kind.
    pub kinds: Vec<Compared>,
    /// Counts of both stores: queues, dead letters, quarantine.
    pub depths: (Depth, Depth),
    /// Whether the hash chain of the copied audit log is intact.
    pub record_intact: bool,
}

/// One kind on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Which.
    pub kind: Kind,
    /// At the source: how many, and the digest over all.
    pub source: (u64, Digest),
    /// At the destination.
    pub destination: (u64, Digest),
}

impl Report {
    /// Whether both sides hold the same.
    pub fn is_equal(&self) -> bool {
        let same = |c: &Compared| c.source == c.destination;
        self.record_intact && self.depths.0 == self.depths.1 && self.kinds.iter().all(same)
    }
}

/// What is told while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `false`: records are copied; `true`: they are read back.
    pub verifying: bool,
    /// The kind at hand.
    pub kind: Kind,
    /// How many of it were done in this run.
    pub done: u64,
    /// How many of it there are.
    pub total: u64,
}

/// Copies the store in a folder to a Redis, or goes on with a copy that was broken off, and verifies it. The copy is
/// a store that a bridge can start on only when it was found to be equal.
///
/// # Errors
/// A store cannot be used or is in use; the destination is neither empty nor an unfinished copy of this source.
pub async fn copy(
    from: &Path,
    to: RedisSettings,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, CopyError> {
    let source = EmbeddedStore::open_existing(from)?;
    let fingerprint = source.fingerprint().await?;
    let destination = RedisStore::connect_for_copy(to).await?;
    let marker = match destination.marker().await? {
        Some(marker) if marker.source == fingerprint => marker,
        Some(_) => return Err(CopyError::OtherCopy),
        None => begin(&destination, fingerprint).await?,
    };
    transfer(&source, &destination, marker, tell).await?;
    let report = verify(&source, &destination, tell).await?;
    if report.is_equal() {
        destination.complete().await?;
    }
    Ok(report)
}

async fn begin(destination: &RedisStore, source: String) -> Result<Marker, CopyError> {
    if !destination.is_empty().await? {
        return Err(CopyError::NotEmpty);
    }
    let marker = Marker { source, kind: Some(Kind::FIRST), place: String::new() };
    destination.import(&[], &marker).await?;
    Ok(marker)
}

async fn transfer(
    source: &EmbeddedStore,
    destination: &RedisStore,
    mut marker: Marker,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), CopyError> {
    while let Some(kind) = marker.kind {
        let (total, mut done, mut failures) = (source.count(kind).await?, 0_u64, 0);
        loop {
            let (batch, place) = source.export(kind, &marker.place, BATCH).await?;
            let next = if batch.is_empty() {
                Marker { source: marker.source.clone(), kind: kind.next(), place: String::new() }
            } else {
                Marker { place, ..marker.clone() }
            };
            if let Err(error) = destination.import(&batch, &next).await {
                failures += 1;
                if failures >= TRIES {
                    return Err(error.into());
                }
                // It may have been written, or not: the marker says.
                if destination.marker().await?.as_ref() != Some(&next) {
                    continue;
                }
            }
            failures = 0;
            done += u64::try_from(batch.len()).unwrap_or(0);
            tell(Progress { verifying: false, kind, done, total: total.max(done) });
            marker = next;
            if marker.kind != Some(kind) {
                break;
            }
        }
    }
    Ok(())
}

async fn verify(
    source: &EmbeddedStore,
    destination: &RedisStore,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, CopyError> {
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        let total = source.count(kind).await?;
        let (mut here, mut there) = ((0, Digest::default()), Digest::default());
        let mut at = String::new();
        loop {
            let (batch, place) = source.export(kind, &at, BATCH).await?;
            if batch.is_empty() {
                break;
            }
            for copied in destination.read_back(&batch).await?.into_iter().flatten() {
                there.add(&copied);
            }
            for record in &batch {
                here.0 += 1;
                here.1.add(record);
            }
            at = place;
            tell(Progress { verifying: true, kind, done: here.0, total: total.max(here.0) });
        }
        let count = destination.count(kind).await?;
        kinds.push(Compared { kind, source: here, destination: (count, there) });
    }
    let depths = (source.depth().await?, destination.depth().await?);
    let record_intact = destination.verify_record().await?.is_ok();
    Ok(Report { kinds, depths, record_intact })
}

//! What a call to Redis fails with, and what the caller of the store is told.

use super::keys::BadName;
use crate::store::StoreError;

const ENGINE: &str = "redis";

/// What an engine step fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the URL lacks {0}")]
    Url(&'static str),
    #[error("nobody knows where the primary is")]
    NoPrimary,
    #[error(transparent)]
    Redis(#[from] redis::RedisError),
    #[error("no answer in time")]
    TimedOut,
    #[error("{got} replicas confirmed the change, {wanted} must")]
    Replicas { wanted: u32, got: u32 },
    #[error("the answer lacks {0}")]
    Shape(&'static str),
    #[error("a stored value cannot be read")]
    Json(#[from] serde_json::Error),
    #[error("a stored time cannot be read")]
    Time(#[from] jiff::Error),
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("the stored values have version {found}; this program knows up to {known}")]
    Newer { found: u32, known: u32 },
    #[error(
        "the stored values have version {found}, from before the first release; this program reads {known}: use another bridge name or an empty server"
    )]
    Older { found: u32, known: u32 },
    #[error("it holds an unfinished copy of another store: run `capbridge store copy` again")]
    Unfinished,
    #[error("{0}")]
    Unsafe(String),
}

pub(super) fn engine(step: &'static str, fault: Fault) -> StoreError {
    match fault {
        Fault::Unsafe(fault) => StoreError::Unsafe { engine: ENGINE, fault },
        fault => StoreError::Engine { engine: ENGINE, step, cause: Box::new(fault) },
    }
}

//! The port that alerts come in by.
//!
//! Owns what an author of a source writes and what the bridge hands to it. Values here are serialisable and share
//! no state, so that a source can also be a child process. Must not know the store.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::http::{HttpClient, HttpError};
use crate::passage::Origin;
use crate::settings::{Faults, Files};

/// What an author of a source implements.
pub trait Source: Sized + Send + 'static {
    /// The table of the configuration, `deny_unknown_fields`.
    type Settings: DeserializeOwned;

    /// Checks the settings and reads the secret files that they name. Opens nothing.
    ///
    /// # Errors
    /// Every fault at once.
    fn validate(settings: Self::Settings, files: &dyn Files) -> Result<Self, Faults>;

    /// Reads the source until `cx.shutdown`. `Ok` only after shutdown; any other end is logged by the bridge and
    /// the source is started again after a backoff.
    ///
    /// # Errors
    /// What stopped it.
    fn run(self, cx: SourceContext) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// All that a source is given.
#[derive(Clone)]
pub struct SourceContext {
    /// The configured name.
    pub origin: Origin,
    /// Hands a document to the bridge.
    pub accept: Arc<dyn Accept>,
    /// Where the source was when it stopped.
    pub checkpoint: Arc<dyn Checkpoint>,
    /// Tells the bridge whether the source can be reached, for readiness and metrics.
    pub contact: Arc<dyn Contact>,
    /// Cancelled when the bridge drains.
    pub shutdown: CancellationToken,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The one HTTP client, with the address rules of the configuration.
    pub http: HttpClient,
}

impl SourceContext {
    /// Waits for the outside world, but no longer than until shutdown. Never put `accept` or `checkpoint` into it: what
    /// the bridge has begun to store must be seen to its end.
    ///
    /// # Errors
    /// `NotAccepted` with `ShuttingDown`.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, SourceError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.shutdown.cancelled() => Err(SourceError::NotAccepted { cause: AcceptError::ShuttingDown }),
        }
    }
}

/// Reads the time; real, scaled or following a replay.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// What a document is, before anybody has read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A CAP document.
    Cap,
    /// A MASAS Atom entry that its author ended, and the CAP alert in it that goes on; `masas::entry` makes a Cancel of
    /// it. In front of both stands a line with the length of the entry.
    MasasEnding,
    /// A MASAS Atom entry without a usable CAP enclosure; normalised to CAP by `masas::entry`.
    MasasEntry,
}

/// A document as it came, with where and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The bytes, unchanged.
    pub raw: Bytes,
    /// What they claim to be.
    pub form: Form,
    /// When they came.
    pub received_at: Timestamp,
    /// The name that the source gives it: an Atom id, a feed URL.
    pub remote_id: Option<String>,
    /// It stands where the source showed an earlier version of it before, and is all that the source shows now: what it
    /// follows was handed over or never will be.
    #[serde(default)]
    pub is_revision: bool,
    /// Something that already went wrong on the way; goes to quarantine with it.
    pub problem: Option<Problem>,
}

/// Why a source hands over a document that it could not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// The entry names a CAP enclosure that the hub does not give.
    #[error("the CAP enclosure of the entry could not be fetched")]
    EnclosureUnavailable,
    /// Larger than the limit; `raw` holds its beginning.
    #[error("the document is larger than the limit of the source")]
    TooLarge,
    /// Stands in a feed, and is neither one of its alerts or entries nor one of the feed's own elements.
    #[error(
        "it stands in the feed and is neither an alert, nor an entry, nor one of the feed's own elements"
    )]
    Stray,
    /// The entry that holds the alert says that it is no real event any more, and the alert says Actual.
    #[error("the entry around the alert says that it is no real event, and the alert says Actual")]
    TakenBack,
}

/// Takes documents. Returns when what became of the document is stored durably.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Hands over one document.
    ///
    /// # Errors
    /// Nothing was stored: the source must not move its checkpoint, and offers the document again.
    async fn accept(&self, origin: &Origin, received: Received) -> Result<Acceptance, AcceptError>;
}

/// What became of a document; each is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acceptance {
    /// A new alert.
    Accepted,
    /// The same reference and bytes again.
    Repeat,
    /// The same alert through another source: shown in its journey, not relayed again.
    Linked,
    /// Our own output coming back.
    Loop,
    /// Kept aside with a reason.
    Quarantined,
}

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The store did not take it.
    #[error("the store did not take the document")]
    NotStored {
        /// What the store said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bridge is draining.
    #[error("the bridge is shutting down")]
    ShuttingDown,
}

/// The place where a source goes on after a restart: small opaque text, moved only after `accept` returned.
#[async_trait]
pub trait Checkpoint: Send + Sync + 'static {
    /// The last stored checkpoint.
    ///
    /// # Errors
    /// The store could not be read.
    async fn load(&self, origin: &Origin) -> Result<Option<String>, AcceptError>;
    /// Stores a checkpoint.
    ///
    /// # Errors
    /// The store could not be written.
    async fn store(&self, origin: &Origin, value: &str) -> Result<(), AcceptError>;
}

/// Whether a source can be reached. "No alerts" and "source down" are different states.
pub trait Contact: Send + Sync + 'static {
    /// The source answered as it should.
    fn reached(&self, origin: &Origin);
    /// The source could not be reached or refused us.
    fn failed(&self, origin: &Origin, error: &SourceError);
    /// What time it is for the source, as its answer said. A bridge whose clock is off judges alerts wrongly, and the
    /// outside is what it can compare with.
    fn told_time(&self, _origin: &Origin, _at: Timestamp) {}
    /// The source was silent for longer than its window: alerts may have been lost.
    fn gap(&self, origin: &Origin, since: Timestamp);
}

/// What an operator can do about a refusal. Hubs are known that redirect instead of saying 401.
fn refused_for(status_code: u16) -> &'static str {
    match status_code {
        301..=308 | 401 | 403 => ": are address and credential the right ones?",
        _ => "",
    }
}

/// Why a source stopped or failed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The request failed.
    #[error("fetching {url} failed")]
    Unreachable {
        /// The address, without secrets.
        url: String,
        /// What went wrong.
        #[source]
        cause: HttpError,
    },
    /// The peer refused us: bad credentials, or a redirect that stands for them.
    #[error("{url} refused us with status {status_code}{}", refused_for(*status_code))]
    Refused {
        /// The address, without secrets.
        url: String,
        /// The HTTP status code.
        status_code: u16,
    },
    /// The feed could not be read as a feed.
    #[error("the feed at {url} is not one")]
    NotAFeed {
        /// The address, without secrets.
        url: String,
        /// What is wrong with it.
        #[source]
        cause: crate::atom::FeedError,
    },
    /// The bridge did not take a document.
    #[error("the bridge did not take a document")]
    NotAccepted {
        /// Why.
        #[source]
        cause: AcceptError,
    },
}

//! Keeps one source running while this instance holds its lease.
//!
//! Owns who reads a source when several instances share a store: one at a time, the next within seconds when it dies,
//! and another one when it lives but cannot reach the source. Must not know what a source does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use capbridge_adapters::registry::ReadySource;
use capbridge_adapters::source::{Clock, SourceContext, SourceError};
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::pause;
use crate::clock::{SystemClock, instant};
use crate::contact::Contacts;
use crate::store::{Store, StoreError};
use crate::telemetry::ErrorChain;

/// How long a poller's lease lasts, seconds; another instance takes over after it.
const LEASE_SECS: i64 = 6;
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(2);
/// The wait before a failed source is started again grows from the one to the other.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// The longest wait before a source is started again that ended because the store did not take a document.
const STORE_BACKOFF: Duration = Duration::from_secs(5);
/// A source that does not answer this instance for so long is left to another one that may reach it. Longer than two
/// polls of a public service, so that handing it to and fro does not ask more often than it wishes.
pub(super) const YIELD_AFTER: Duration = Duration::from_secs(300);
/// How long this instance then leaves it: longer than the others wait for a lease.
const YIELD_FOR: Duration = Duration::from_secs(6);
/// How often a store that stays away is mentioned.
const REMIND: Duration = Duration::from_secs(60);

/// One source and what its supervision needs.
pub(super) struct Supervised {
    pub(super) source: ReadySource,
    pub(super) context: SourceContext,
    pub(super) store: Arc<dyn Store>,
    pub(super) contacts: Arc<Contacts>,
    /// The name of this instance.
    pub(super) holder: String,
    /// After how long without an answer the source is left to another instance; `None` where there is no other.
    pub(super) yield_after: Option<Duration>,
}

/// How a turn of a source ended.
enum Turn {
    Ended(Result<(), SourceError>),
    /// It does not answer here: somebody else may try.
    Yielded,
}

impl Supervised {
    /// Runs the source until shutdown.
    pub(super) async fn run(self) {
        let stop = self.context.shutdown.clone();
        let mut backoff = FIRST_BACKOFF;
        let mut warned: Option<Instant> = None;
        while !stop.is_cancelled() {
            match self.take_lease().await {
                Ok(true) => {
                    warned = None;
                    self.contacts.read_elsewhere(&self.context.origin, false);
                }
                Ok(false) => {
                    self.contacts.read_elsewhere(&self.context.origin, true);
                    pause(RENEW, &stop).await;
                    continue;
                }
                Err(error) => {
                    if warned.is_none_or(|at| at.elapsed() > REMIND) {
                        warn!(origin = %self.context.origin, error = %ErrorChain(&error), "the source waits for the store");
                        warned = Some(instant());
                    }
                    pause(RENEW, &stop).await;
                    continue;
                }
            }
            let started = instant();
            match self.turn().await {
                Turn::Ended(Ok(())) => backoff = FIRST_BACKOFF,
                Turn::Ended(Err(error)) => {
                    if started.elapsed() > MAX_BACKOFF {
                        backoff = FIRST_BACKOFF;
                    }
                    if let SourceError::NotAccepted { .. } = &error {
                        // The store, not the source: a source must be read again as soon as the store is back.
                        backoff = backoff.min(STORE_BACKOFF);
                    }
                    warn!(origin = %self.context.origin, error = %ErrorChain(&error), wait_ms = backoff.as_millis(), "source ended and is started again");
                    pause(backoff, &stop).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
                Turn::Yielded => {
                    info!(origin = %self.context.origin, "the source does not answer here and is left to another instance");
                    self.give_back().await;
                    pause(YIELD_FOR, &stop).await;
                }
            }
        }
        self.give_back().await;
    }

    /// Runs the source once, as long as the lease holds.
    async fn turn(&self) -> Turn {
        let turn = self.context.shutdown.child_token();
        let mut context = self.context.clone();
        context.shutdown = turn.clone();
        let running = self.source.runner.run(context);
        tokio::pin!(running);
        let (mut answered, mut yielded) = (instant(), false);
        loop {
            tokio::select! {
                ended = &mut running => {
                    return if yielded { Turn::Yielded } else { Turn::Ended(ended) };
                }
                () = tokio::time::sleep(RENEW) => {
                    if !matches!(self.take_lease().await, Ok(true)) {
                        turn.cancel();
                    }
                    if !self.contacts.is_failing(&self.context.origin) {
                        answered = instant();
                    }
                    if self.yield_after.is_some_and(|limit| answered.elapsed() > limit) {
                        yielded = true;
                        turn.cancel();
                    }
                }
            }
        }
    }

    fn lease(&self) -> String {
        format!("source:{}", self.context.origin)
    }

    async fn take_lease(&self) -> Result<bool, StoreError> {
        // Leases go by the machine's clock, not by that of a replay.
        let now = SystemClock.now();
        let until = now.checked_add(SignedDuration::from_secs(LEASE_SECS)).unwrap_or(Timestamp::MAX);
        self.store.lease(&self.lease(), &self.holder, now, until).await
    }

    async fn give_back(&self) {
        if let Err(error) = self.store.unlease(&self.lease(), &self.holder).await {
            warn!(error = %ErrorChain(&error), "a lease was not given back and runs out by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use capbridge_adapters::http::{HttpClient, HttpSettings};
    use capbridge_adapters::passage::Origin;
    use capbridge_adapters::registry::SourceTable;
    use capbridge_adapters::source::{Accept, AcceptError, Acceptance, Received};
    use capbridge_harness::eventually;
    use tokio_util::sync::CancellationToken;

    use crate::config::ConfigFiles;
    use crate::store::Checkpoints;
    use crate::store::embedded::EmbeddedStore;
    use crate::telemetry::Metrics;

    struct Takes;

    #[async_trait]
    impl Accept for Takes {
        async fn accept(&self, _: &Origin, _: Received) -> Result<Acceptance, AcceptError> {
            Ok(Acceptance::Accepted)
        }
    }

    /// An instance whose source never answers: its address is one that may not be reached.
    fn instance(name: &str, store: &Arc<dyn Store>, stop: &CancellationToken) -> (Supervised, Arc<Contacts>) {
        let table =
            "system = \"s\"\nmode = \"live\"\n[ipaws]\nbase_url = \"http://127.0.0.1:9\"\npoll_secs = 0.2";
        let table: SourceTable = toml::from_str(table).unwrap();
        let source = table.validate("feed", &ConfigFiles { folder: ".".into() }).unwrap();
        let contacts = Contacts::new(std::iter::once(source.origin.clone()), Metrics::new());
        let context = SourceContext {
            origin: source.origin.clone(),
            accept: Arc::new(Takes),
            checkpoint: Arc::new(Checkpoints(Arc::clone(store))),
            contact: Arc::clone(&contacts) as _,
            shutdown: stop.clone(),
            clock: Arc::new(SystemClock),
            http: HttpClient::new(HttpSettings::default()).unwrap(),
        };
        let store = Arc::clone(store);
        let yield_after = Some(Duration::from_secs(1));
        let holder = name.to_owned();
        (
            Supervised { source, context, store, contacts: Arc::clone(&contacts), holder, yield_after },
            contacts,
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_source_is_read_by_one_instance_and_left_to_the_other_when_it_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let limit = Duration::from_secs(60);
        let failing = async |contacts: &Contacts| {
            let fails = async || contacts.is_failing(&Origin("feed".into())).then_some(());
            eventually("the instance reads it, and says that it does not answer", limit, fails)
                .await
                .unwrap();
        };
        // One that does not give up: two that do could take turns so evenly that neither sees the other.
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        let (first, of_first) = instance("first", &store, &stop);
        let (second, of_second) = instance("second", &store, &stop);
        tasks.spawn(Supervised { yield_after: None, ..first }.run());
        failing(&of_first).await;
        tasks.spawn(second.run());
        let waits = async || of_second.states().values().all(|s| s.elsewhere).then_some(());
        eventually("the second knows that another one reads it", limit, waits).await.unwrap();
        assert!(of_second.faults(limit).is_empty(), "a standby is ready");
        stop.cancel();
        while tasks.join_next().await.is_some() {}

        let stop = CancellationToken::new();
        let (first, of_first) = instance("first", &store, &stop);
        let (second, of_second) = instance("second", &store, &stop);
        tasks.spawn(first.run());
        failing(&of_first).await;
        tasks.spawn(second.run());
        // Nobody ended the first: it left the source to the second.
        failing(&of_second).await;
        stop.cancel();
        while tasks.join_next().await.is_some() {}
    }
}

//! Housekeeping: gauges, what health asks of the store, retention, the watchdog.
//!
//! Owns how often each is done. Must not decide what is over: that is the store's.

use std::sync::Arc;
use std::time::Duration;

use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::pause;
use crate::admin;
use crate::clock::{BridgeClock, SystemClock};
use crate::contact::Contacts;
use crate::credentials::Credentials;
use crate::feeds::Shelves;
use crate::health::Health;
use crate::settings::RetentionTable;
use crate::store::{Store, StoreError};
use crate::telemetry::{ErrorChain, Metrics};

/// How often gauges are read from the store and retention is swept.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How often what grows slowly is looked through for what is over its retention, and how much is deleted then.
const RETENTION: Duration = Duration::from_secs(3_600);
const DELETE_BATCH: u32 = 500;
const DELETE_ROUNDS: usize = 200;

/// How often a store that takes no writes is asked whether it does.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What housekeeping works with.
pub(super) struct Keeping {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: BridgeClock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) contacts: Arc<Contacts>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) retention: RetentionTable,
    pub(super) shelves: Arc<Shelves>,
    pub(super) health: Arc<Health>,
    /// How often the store is looked at.
    pub(super) check_every: Duration,
    /// Wakes the router.
    pub(super) accepted: Arc<Notify>,
    /// Wakes the relay.
    pub(super) routed: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl Keeping {
    /// Asks the store for a write, and wakes those that wait for it when it is back.
    async fn ask_store(&self) {
        let bytes = self.health.probe_bytes();
        let asked = tokio::time::timeout(admin::PROBE, self.store.probe(bytes)).await;
        let fault = match asked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(ErrorChain(&error).to_string()),
            Err(_) => Some(format!("no answer in {} s", admin::PROBE.as_secs())),
        };
        if self.health.store(fault) {
            self.accepted.notify_one();
            self.routed.notify_waiters();
        }
    }

    /// Looks whether the store still keeps what it is given, as at the start.
    async fn check_store(&self) {
        let fault = match self.store.check().await {
            Ok(()) => None,
            Err(error @ StoreError::Unsafe { .. }) => Some(ErrorChain(&error).to_string()),
            // What does not answer says nothing of its settings; that it does not answer is seen by the probe.
            Err(_) => return,
        };
        let is_safe = fault.is_none();
        self.metrics.store_safe(is_safe, self.health.store_safety(fault));
    }

    /// Deletes what is over its retention and grows slowly, and measures what is left.
    async fn delete_old(&self, now: Timestamp) {
        let Keeping { store, retention, .. } = self;
        let quarantine = days_before(now, retention.quarantine_days);
        let (known, record) =
            (days_before(now, retention.known_days), days_before(now, retention.audit_days));
        for _ in 0..DELETE_ROUNDS {
            let deleted = [
                told("quarantined documents deleted", store.sweep_quarantine(quarantine, DELETE_BATCH).await),
                told("old keys forgotten", store.forget(known, DELETE_BATCH).await),
                told("entries of the audit log deleted", store.trim_record(record, now, DELETE_BATCH).await),
            ];
            if deleted == [0, 0, 0] || self.stop.is_cancelled() {
                break;
            }
        }
    }

    /// Waits for the next round.
    async fn rest(&self) {
        let until = Instant::now() + HOUSEKEEPING;
        while Instant::now() < until && !self.stop.is_cancelled() {
            pause(ASK_AGAIN, &self.stop).await;
            if self.health.store_fault().is_some() {
                self.ask_store().await;
            }
        }
    }
}

fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
}

/// Says what was deleted. How much it was.
fn told(what: &str, deleted: Result<u64, StoreError>) -> u64 {
    match deleted {
        Ok(0) => 0,
        Ok(deleted) => {
            info!(deleted, what, "retention");
            deleted
        }
        Err(error) => {
            warn!(error = %ErrorChain(&error), what, "retention waits for the store");
            0
        }
    }
}

/// Gauges, retention and the watchdog.
pub(super) async fn keep_house(keeping: Keeping) {
    let Keeping { store, clock, metrics, contacts, credentials, retention, shelves, stop, .. } = &keeping;
    metrics.store_safe(true, false);
    let (mut checked, mut swept) = (Instant::now(), None::<Instant>);
    while !stop.is_cancelled() {
        let now = clock.now();
        keeping.ask_store().await;
        if checked.elapsed() >= keeping.check_every {
            keeping.check_store().await;
            checked = Instant::now();
        }
        match store.depth().await {
            Ok(depth) => metrics.depth(&depth, now),
            Err(error) => error!(error = %ErrorChain(&error), "the store does not answer"),
        }
        if let Ok(size) = store.size().await {
            metrics.size(&size);
        }
        contacts.publish();
        contacts.watch_clock();
        credentials.watch(SystemClock.now());
        told("alerts deleted", store.sweep(days_before(now, retention.alerts_days), 500).await);
        if swept.is_none_or(|at| at.elapsed() >= RETENTION) {
            swept = Some(Instant::now());
            keeping.delete_old(now).await;
        }
        shelves.sweep(now).await;
        if let Err(error) = store.seal().await {
            warn!(error = %ErrorChain(&error), "the audit log waits to be chained");
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        keeping.rest().await;
    }
}

//! Whether the bridge lives and whether its store takes writes.
//!
//! Owns what `/healthz` says and what ends the process: a long-lived task that ended although nobody stopped it. What a
//! restart would mend is a matter of life (`alive`); what it would not, such as a full disk, is a matter of readiness.
//! A store that refused a document takes writes again when one of that size went in: on a disk that is nearly full a
//! small one may fit where an alert does not.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// What a document needs in the store beside its own bytes: records, indexes, whole pages.
const BESIDE_BYTES: usize = 256 << 10;
/// The largest write that is tried.
const LARGEST_BYTES: usize = 16 << 20;

/// The health of one process.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// Tasks that ended although nobody stopped them.
    ended: Vec<String>,
    /// Why the store took no write when it was last asked.
    store: Option<String>,
    /// How it would lose what it is given, when it was last looked at.
    unsafe_store: Option<String>,
    /// How large a write must go in before a store that refused a document counts as one that takes writes.
    needed_bytes: usize,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store was asked to write. `true` where it takes writes again after a failure.
    pub fn store(&self, fault: Option<String>) -> bool {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.store, fault.clone());
        match (before, fault) {
            (None, Some(why)) => {
                error!(
                    error = why,
                    "the store takes no writes: nothing is accepted and nothing is delivered"
                );
                false
            }
            (Some(_), None) => {
                info!("the store takes writes again");
                true
            }
            (None, None) | (Some(_), Some(_)) => false,
        }
    }

    /// The store was looked at: how it would lose what it is given, if so. `true` where that was not known before.
    pub fn store_safety(&self, fault: Option<String>) -> bool {
        let before = std::mem::replace(&mut self.state().unsafe_store, fault.clone());
        if before == fault {
            return false;
        }
        match &fault {
            Some(why) => error!(error = why, "the store is not safe: a person must act"),
            None => info!("the store keeps again what it is given"),
        }
        fault.is_some()
    }

    /// How the store would lose what it is given, when it was last looked at.
    pub fn unsafe_store(&self) -> Option<String> {
        self.state().unsafe_store.clone()
    }

    /// The store refused a document of this size.
    pub fn refused(&self, bytes: usize, why: String) {
        let mut state = self.state();
        let mut needed = bytes.saturating_add(BESIDE_BYTES).max(state.needed_bytes);
        if state.store.is_none() {
            // It took as much a moment ago and still refuses: several documents share a write.
            needed = needed.max(state.needed_bytes.saturating_mul(2));
        }
        state.needed_bytes = needed.min(LARGEST_BYTES);
        drop(state);
        self.store(Some(why));
    }

    /// The store took a document.
    pub fn took(&self) {
        let mut state = self.state();
        if state.store.is_none() {
            state.needed_bytes = 0;
        }
    }

    /// How large a write is to be tried; 0: as small as can be.
    pub fn probe_bytes(&self) -> usize {
        let state = self.state();
        if state.store.is_some() { state.needed_bytes } else { 0 }
    }

    /// Why the store took no write when it was last asked.
    pub fn store_fault(&self) -> Option<String> {
        self.state().store.clone()
    }

    /// The tasks that ended although nobody stopped them. With any, only a restart helps.
    pub fn ended(&self) -> Vec<String> {
        self.state().ended.clone()
    }

    /// Returns when a task ended that should not have.
    pub async fn failed(&self) {
        self.ended.cancelled().await;
    }

    /// Runs a task that must not end before `stop`; notices if it does, by a panic too.
    pub async fn watch(&self, name: String, stop: CancellationToken, task: impl Future<Output = ()>) {
        struct Ending<'h>(&'h Health, String, CancellationToken);
        impl Drop for Ending<'_> {
            fn drop(&mut self) {
                if !self.2.is_cancelled() {
                    error!(
                        task = self.1,
                        "a task ended that must not: the bridge stops and is to be started again"
                    );
                    self.0.state().ended.push(std::mem::take(&mut self.1));
                    self.0.ended.cancel();
                }
            }
        }
        let _ending = Ending(self, name, stop);
        task.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_before_it_is_stopped_is_noticed() {
        let panics = async { panic!("a bug") };
        let health = Arc::new(Health::default());
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        let (one, token) = (Arc::clone(&health), stop.clone());
        tasks.spawn(async move { one.watch("router".into(), token, panics).await });
        health.failed().await;
        assert_eq!(health.ended(), ["router"]);
        health.watch("relay".into(), stop.clone(), async {}).await;
        stop.cancel();
        health.watch("stopped".into(), stop, async {}).await;
        assert_eq!(health.ended(), ["router", "relay"]);
    }

    #[test]
    fn the_store_is_told_of_once_when_it_fails_and_once_when_it_is_back() {
        let health = Health::default();
        assert!(!health.store(None));
        assert!(!health.store(Some("full".into())) && !health.store(Some("still full".into())));
        assert_eq!(health.store_fault().as_deref(), Some("still full"));
        assert!(health.store(None) && !health.store(None));
    }

    #[test]
    fn a_store_that_is_not_safe_is_told_of_once_for_each_reason() {
        let health = Health::default();
        let told = |fault: Option<&str>| health.store_safety(fault.map(str::to_owned));
        assert!(!told(None) && told(Some("emptied")) && !told(Some("emptied")) && told(Some("appendonly")));
        assert_eq!(health.unsafe_store().as_deref(), Some("appendonly"));
        assert!(!told(None));
        assert_eq!(health.unsafe_store(), None);
    }

    #[test]
    fn a_store_that_refused_a_document_is_asked_for_a_write_of_that_size_and_more_if_it_refuses_again() {
        let health = Health::default();
        assert_eq!(health.probe_bytes(), 0);
        health.refused(4_000, "full".into());
        health.refused(1_000, "full".into());
        assert_eq!(health.store_fault().as_deref(), Some("full"));
        let first = health.probe_bytes();
        assert!(first >= 4_000, "{first}");
        // A small document that goes in says nothing.
        health.took();
        assert_eq!(health.probe_bytes(), first);
        assert!(health.store(None));
        assert_eq!(health.probe_bytes(), 0);
        health.refused(4_000, "full".into());
        assert_eq!(health.probe_bytes(), 2 * first, "what fitted was not enough");
        for _ in 0..20 {
            health.store(None);
            health.refused(usize::MAX, "full".into());
        }
        assert_eq!(health.probe_bytes(), LARGEST_BYTES);
        health.store(None);
        health.took();
        health.refused(4_000, "full".into());
        assert_eq!(health.probe_bytes(), first);
    }
}

//! Whether the bridge lives and whether its store takes writes.
//!
//! Owns what `/healthz` says and what ends the process: a long-lived task that ended although nobody stopped it. What a
//! restart would mend is a matter of life (`alive`); what it would not, such as a full disk, is a matter of readiness.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

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
}

//! Reads and writes registrations: a view that is refreshed, and changes by compare-and-set.
//!
//! Owns the one way to change anything: look at the newest view, decide, write over exactly that view, or look again. So
//! what was checked still holds when it is written, whichever instance writes. Must not know what the documents mean.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Caller, Ledger};
use crate::store::registrations::{Draft, Kind};
use crate::store::{Event, Store, StoreError};

/// Documents read at once.
const PAGE: u32 = 500;
/// How often a change looks again when others were faster.
const TRIES: u32 = 16;

/// Why nothing was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError<R> {
    /// What was asked for is not possible.
    #[error("the change is refused")]
    Refused(R),
    /// Others changed something again and again in between.
    #[error("others changed registrations at the same time, {TRIES} times in a row")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a change writes, with what the record says of it.
#[derive(Debug, Default)]
pub struct Step {
    drafts: Vec<Draft>,
    events: Vec<Event>,
}

impl Step {
    /// A step that writes nothing.
    pub fn none() -> Self {
        Step::default()
    }

    /// Adds a document.
    #[must_use]
    pub fn write(mut self, kind: Kind, name: &str, document: &impl serde::Serialize) -> Self {
        // Documents are plain data of ours: there is nothing in them that JSON could not say.
        let body = serde_json::to_value(document).unwrap_or(Value::Null);
        self.drafts.push(Draft { kind, name: name.to_owned(), body });
        self
    }

    /// What it says, where there is nothing to write.
    pub fn events(self) -> Vec<Event> {
        self.events
    }

    /// Adds a line of the record. `facts` is an object.
    #[must_use]
    pub fn note(mut self, at: Timestamp, what: &str, by: &Caller, facts: Value) -> Self {
        let mut facts = match facts {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        facts.insert("by".into(), Value::String(by.by.clone()));
        self.events.push(Event { at, what: what.to_owned(), alert: None, delivery: None, facts });
        self
    }
}

/// Reads and writes registrations.
pub struct Registrar {
    store: Arc<dyn Store>,
    ledger: RwLock<Arc<Ledger>>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
}

impl Registrar {
    /// A registrar with an empty view: `refresh` it before it is used.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Registrar { store, ledger: RwLock::default(), refreshing: tokio::sync::Mutex::new(()) }
    }

    /// The view as of the last refresh.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what changed. Whether anything did.
    ///
    /// # Errors
    /// The store failed; the view stays as it was.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        let _one = self.refreshing.lock().await;
        let before = self.ledger();
        let mut after = before.revision();
        let mut changed: Option<Ledger> = None;
        loop {
            let found = self.store.registrations(after, PAGE).await?;
            let whole = found.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            if !found.is_empty() {
                let ledger = changed.get_or_insert_with(|| Ledger::clone(&before));
                found.into_iter().for_each(|registration| ledger.take(registration));
                after = ledger.revision();
            }
            if whole {
                break;
            }
        }
        let Some(ledger) = changed else { return Ok(false) };
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ledger);
        Ok(true)
    }

    /// Changes something. `decide` sees the newest view and says what is written and what the caller is told; it is asked
    /// again where another change came between.
    ///
    /// # Errors
    /// It refused, or the store failed; then nothing was changed.
    pub async fn change<T, R>(
        &self,
        mut decide: impl FnMut(&Ledger) -> Result<(Step, T), R>,
    ) -> Result<T, RegisterError<R>> {
        for _ in 0..TRIES {
            self.refresh().await?;
            let ledger = self.ledger();
            let (Step { drafts, events }, told) = decide(&ledger).map_err(RegisterError::Refused)?;
            if drafts.is_empty() {
                return Ok(told);
            }
            if self.store.register(ledger.revision(), drafts, events).await?.is_some() {
                self.refresh().await?;
                return Ok(told);
            }
        }
        Err(RegisterError::Busy)
    }
}

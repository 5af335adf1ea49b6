//! Deliveries that were given up: never silent (docs/delivery.md, D-8).
//!
//! Owns what an operator is told and how a dead letter is put back. Kept in the store until an operator replays it or
//! its retention is over.

use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tracing::error;

use crate::store::{Delivery, DeliveryId, Event, Store, StoreError};

/// Tells the operator. The counter and the audit entry are made by the worker with the state.
pub fn report(delivery: &Delivery, reason: &str) {
    error!(
        endpoint = %delivery.endpoint,
        delivery = %delivery.id.0,
        attempt = delivery.attempts,
        error = reason,
        "dead letter: a person must act"
    );
}

/// Who puts a dead letter back, and why. Both are kept in the record.
pub struct By<'d> {
    /// Who.
    pub operator: &'d str,
    /// Why.
    pub reason: &'d str,
}

/// Puts a dead or expired delivery back in its queue for `secs` seconds.
///
/// # Errors
/// No such delivery, one that is not dead, or the store failed.
pub async fn replay(
    store: &dyn Store,
    clock: &dyn Clock,
    id: &DeliveryId,
    by: &By<'_>,
    secs: u64,
) -> Result<(), StoreError> {
    let now = clock.now();
    let secs = i64::try_from(secs).unwrap_or(86_400);
    let give_up_at = now.checked_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX);
    store.replay(id, now, give_up_at).await?;
    let alert = store.delivery(id).await?.map(|d| d.alert);
    let mut facts = serde_json::Map::new();
    facts.insert("operator".into(), json!(by.operator));
    facts.insert("reason".into(), json!(by.reason));
    let event = Event { at: now, what: "replayed".into(), alert, delivery: Some(id.clone()), facts };
    store.record(vec![event]).await
}

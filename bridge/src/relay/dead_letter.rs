//! Deliveries that were given up: never silent (docs/delivery.md, D-8).
//!
//! Owns what an operator is told and how a dead letter is put back. Kept in the store until an operator replays it or
//! its retention is over.

use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tracing::error;

use crate::chain::Lineage;
use crate::envelope::Reference;
use crate::store::{Again, Delivery, DeliveryId, Event, Store, StoreError};

/// Tells the operator. The counter and the audit entry are made by the worker with the state.
pub fn report(delivery: &Delivery, attempt: u32, reason: &str) {
    error!(
        endpoint = %delivery.endpoint,
        delivery = %delivery.id.0,
        attempt,
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

/// Why a delivery is not put back.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A routed message took its place: it would come back to life.
    #[error("{0} took its place")]
    Superseded(Reference),
    /// No such delivery, one that did not end, or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The message that took the place of a delivery's, if one did.
async fn successor(store: &dyn Store, delivery: &Delivery) -> Result<Option<Reference>, StoreError> {
    let Some(stored) = store.alert(&delivery.alert).await? else { return Ok(None) };
    // Also one that found nothing to end at the endpoint: what it would have ended must not come after it.
    let members = store.later(&delivery.chain, Timestamp::MIN).await?;
    let lineage = Lineage::new(&members);
    let newer = members.iter().find(|l| lineage.replaces(l, &stored.envelope));
    Ok(newer.map(|l| l.reference.clone()))
}

/// Puts a dead or expired delivery back in its queue for `secs` seconds.
///
/// # Errors
/// See `ReplayError`.
pub async fn replay(
    store: &dyn Store,
    clock: &dyn Clock,
    id: &DeliveryId,
    by: &By<'_>,
    secs: u64,
) -> Result<(), ReplayError> {
    let now = clock.now();
    let delivery = store.delivery(id).await?;
    if let Some(delivery) = &delivery
        && let Some(newer) = successor(store, delivery).await?
    {
        return Err(ReplayError::Superseded(newer));
    }
    let secs = i64::try_from(secs).unwrap_or(86_400);
    let give_up_at = now.checked_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX);
    let mut facts = serde_json::Map::new();
    facts.insert("operator".into(), json!(by.operator));
    facts.insert("reason".into(), json!(by.reason));
    let alert = delivery.map(|d| d.alert);
    let event = Event { at: now, what: "replayed".into(), alert, delivery: Some(id.clone()), facts };
    Ok(store.replay(id, Again::GivenUp, now, give_up_at, vec![event]).await?)
}

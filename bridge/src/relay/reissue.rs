//! What is in force at an endpoint is issued again under a new identity: after another COG, another key, another name of
//! the bridge (docs/operations.md).
//!
//! Owns what is issued again. That it takes the place of the former message is the translation's matter, and that a
//! destination that does not know the former one gets a first message is `stampings`'.

use std::collections::HashSet;

use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::dead_letter::By;
use super::worker::Relay;
use crate::chain::Lineage;
use crate::envelope::ChainKey;
use crate::pipeline::route::delivery_id;
use crate::store::{Again, DeliveryId, Event, Issued, Page, State, StoreError};

/// Deliveries that are looked through at once.
const PAGE: u32 = 500;

/// Why nothing is issued again.
#[derive(Debug, thiserror::Error)]
pub enum ReissueError {
    /// No such endpoint.
    #[error("no endpoint of this name")]
    NoEndpoint,
    /// It gets the originals: there is no identity of ours.
    #[error("the endpoint gets alerts as received: nothing of ours is in force there")]
    AsReceived,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Relay {
    /// Queues again what an endpoint took under a former identity and what is in force there, for `secs` seconds at most.
    ///
    /// # Errors
    /// See `ReissueError`.
    pub async fn reissue(
        &self,
        endpoint: &EndpointName,
        by: &By<'_>,
        secs: u64,
    ) -> Result<Vec<DeliveryId>, ReissueError> {
        let table = self.routes.now();
        let wants = table.endpoints.get(endpoint).ok_or(ReissueError::NoEndpoint)?.wants();
        if !self.renderer.has_identity(&wants) {
            return Err(ReissueError::AsReceived);
        }
        let is_former = |i: &Issued| self.renderer.is_former(&wants, &i.original.key, &i.reference);
        let secs = i64::try_from(secs).unwrap_or(86_400);
        let mut queued = Vec::new();
        for chain in self.chains_at(endpoint).await? {
            let issued = self.store.issued(endpoint, &chain).await?;
            if !issued.iter().any(is_former) {
                continue;
            }
            let now = self.clock.now();
            let give_up_at = now.checked_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX);
            let members = self.store.later(&chain, Timestamp::MIN).await?;
            let lineage = Lineage::new(&members);
            for one in lineage.in_force(&issued).into_iter().filter(|one| is_former(one)) {
                let original = &one.original;
                let is_over = original.expires_at.is_some_and(|at| at <= now)
                    || members.iter().any(|later| lineage.replaces(later, original));
                if is_over {
                    continue;
                }
                let id = delivery_id(endpoint, &original.key);
                let event = reissued(&id, endpoint, one, by, now);
                match self.store.replay(&id, Again::Delivered, now, give_up_at, vec![event]).await {
                    Ok(()) => queued.push(id),
                    // Under way already, or swept in between.
                    Err(StoreError::Missing { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(queued)
    }

    /// The chains of which an endpoint took something, each once.
    async fn chains_at(&self, endpoint: &EndpointName) -> Result<Vec<ChainKey>, StoreError> {
        let (mut chains, mut seen) = (Vec::new(), HashSet::new());
        let mut skip = 0;
        loop {
            let page = self.store.deliveries(Some(State::Delivered), Page { limit: PAGE, skip }).await?;
            let count = u32::try_from(page.len()).unwrap_or(PAGE);
            for delivery in page.into_iter().filter(|d| d.endpoint == *endpoint) {
                if seen.insert(delivery.chain.clone()) {
                    chains.push(delivery.chain);
                }
            }
            if count < PAGE {
                // The oldest first, as they were issued.
                chains.reverse();
                return Ok(chains);
            }
            skip = skip.saturating_add(count);
        }
    }
}

fn reissued(id: &DeliveryId, endpoint: &EndpointName, one: &Issued, by: &By<'_>, now: Timestamp) -> Event {
    let mut facts = serde_json::Map::new();
    facts.insert("operator".into(), json!(by.operator));
    facts.insert("reason".into(), json!(by.reason));
    facts.insert("endpoint".into(), json!(endpoint));
    facts.insert("former".into(), json!(one.reference.to_string()));
    let alert = Some(one.original.key.clone());
    Event { at: now, what: "reissued".into(), alert, delivery: Some(id.clone()), facts }
}

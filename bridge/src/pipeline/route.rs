//! Stage 5: who gets it?
//!
//! Owns the matching of rules and the making of deliveries. Denies by default: an alert goes where a rule sends it, and
//! what follows in a chain goes to everybody that the chain went to. Must not talk to endpoints. Runs from the store,
//! so that it can be repeated after a crash without a second effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_schema::{Alert, MsgType};
use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use super::coverage::Whereabouts;
use super::deduplicate::{hex_digest, name};
use super::rules::Rule;
use crate::chain::Lineage;
use crate::clock::BridgeClock;
use crate::envelope::{AlertKey, ChainKey, Envelope, Reference, StoredAlert};
use crate::patience::Patience;
use crate::relay::attempt::{admit, admit_end};
use crate::relay::expiry::give_up_at;
use crate::rendering::{Around, Making, NotRendered, Renderer};
use crate::routes::{Routes, Table};
use crate::settings::RelayTable;
use crate::store::{DeliveryId, Event, NewDelivery, Store, StoreError};
use crate::telemetry::ErrorChain;
use crate::translate::NotSent;

/// How many alerts are routed in one go: an urgent one that comes meanwhile waits for no more than these.
const BATCH: u32 = 16;
/// How long an instance may take over a batch before another instance takes it, seconds.
const LEASE_SECS: i64 = 6;

/// The router.
pub struct Router {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: BridgeClock,
    /// Rules and endpoints.
    pub routes: Arc<Routes>,
    /// Says whether a message can be made at all.
    pub renderer: Arc<Renderer>,
    /// When deliveries are given up.
    pub relay: RelayTable,
    /// Wakes the relay.
    pub routed: Arc<Notify>,
}

/// What routing comes to.
#[derive(Default)]
struct Plan {
    deliveries: Vec<NewDelivery>,
    withheld: Vec<Withheld>,
    /// Nothing that the message follows is here.
    orphan: bool,
}

/// An endpoint that a message does not go to although something asked for it, and why.
struct Withheld {
    endpoint: Option<EndpointName>,
    rule: Option<String>,
    reason: String,
}

/// How a message may come to an endpoint.
#[derive(Default)]
struct Way<'r> {
    /// The rules that lead there, the first choice first.
    rules: Vec<&'r Rule>,
    /// The rule by which its chain went there, if it did.
    before: Option<String>,
}

impl Router {
    /// Routes what waits. The number of alerts routed.
    ///
    /// # Errors
    /// The store failed; what was routed stays routed.
    pub async fn route_waiting(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let lease = now.checked_add(SignedDuration::from_secs(LEASE_SECS)).unwrap_or(Timestamp::MAX);
        let alerts = self.store.unrouted(now, lease, BATCH).await?;
        let count = alerts.len();
        // An alert that cannot be routed keeps its chain waiting, not the others; a store that does not answer, all.
        let mut stuck: BTreeMap<ChainKey, StoreError> = BTreeMap::new();
        for alert in alerts {
            let chain = &alert.envelope.chain;
            if stuck.contains_key(chain) {
                continue;
            }
            match self.route_one(&alert).await {
                Ok(()) => {}
                Err(error @ (StoreError::Engine { .. } | StoreError::Unsafe { .. })) => return Err(error),
                Err(
                    error @ (StoreError::Unreadable { .. }
                    | StoreError::Missing { .. }
                    | StoreError::TakenOver { .. }),
                ) => {
                    stuck.insert(chain.clone(), error);
                }
            }
        }
        stuck.into_values().next().map_or(Ok(count), Err)
    }

    async fn route_one(&self, stored: &StoredAlert) -> Result<(), StoreError> {
        let now = self.clock.now();
        let envelope = &stored.envelope;
        let Plan { deliveries, withheld, orphan } = self.plan(stored, now).await?;
        let named: Vec<_> = deliveries.iter().map(|d| d.endpoint.0.clone()).collect();
        let mut events = vec![event(now, "routed", envelope, json!({"endpoints": named, "orphan": orphan}))];
        for Withheld { endpoint, rule, reason } in &withheld {
            if envelope.msg_type != MsgType::Alert {
                // The endpoint may go on showing what this message ends or corrects.
                let endpoint = endpoint.as_ref().map_or("", |e| e.0.as_str());
                warn!(reference = %envelope.reference, endpoint, reason, "message withheld");
            }
            let facts = json!({"endpoint": endpoint, "rule": rule, "reason": reason});
            events.push(event(now, "withheld", envelope, facts));
        }
        info!(reference = %envelope.reference, deliveries = deliveries.len(), withheld = withheld.len(), "alert routed");
        let any = !deliveries.is_empty();
        self.store.route(envelope, now, deliveries, events).await?;
        if any {
            self.routed.notify_waiters();
        }
        Ok(())
    }

    async fn plan(&self, stored: &StoredAlert, now: Timestamp) -> Result<Plan, StoreError> {
        let envelope = &stored.envelope;
        let mut plan = Plan::default();
        let table = self.routes.now();
        let alert = match cap_schema::parse_owned(stored.cap(), &self.renderer.limits) {
            Ok(parsed) => parsed.alert,
            Err(rejection) => {
                // The same bytes were read before they were accepted: only a change of limits can bring us here.
                error!(reference = %envelope.reference, findings = rejection.findings.len(), "accepted alert no longer reads");
                let reason = "the stored document no longer reads".to_owned();
                plan.withheld.push(Withheld { endpoint: None, rule: None, reason });
                return Ok(plan);
            }
        };
        let members = self.store.later(&envelope.chain, Timestamp::MIN).await?;
        let lineage = Lineage::new(&members);
        let later: Vec<&Envelope> = members.iter().filter(|l| lineage.replaces(l, envelope)).collect();
        let mut wanted: BTreeMap<EndpointName, Way<'_>> = BTreeMap::new();
        if !envelope.follows.is_empty() {
            plan.orphan = !self.store.known(&envelope.follows).await?.contains(&true);
            if let Some(stranger) = self.stranger(envelope).await? {
                // It came while it was held: the pipeline could not know.
                let reason = format!("it refers to {stranger} of another sender, for which it may not speak");
                plan.withheld.push(Withheld { endpoint: None, rule: None, reason });
                return Ok(plan);
            }
            for (endpoint, before) in self.store.followers(&envelope.chain).await? {
                let rules = table.rules.onward(envelope, &endpoint, &before);
                wanted.insert(endpoint, Way { rules, before: Some(before) });
            }
        }
        let whereabouts = Whereabouts::new(&self.renderer.tables.boundaries, &alert);
        for rule in table.rules.matching(envelope, &alert, &whereabouts) {
            for endpoint in &rule.to {
                let way = wanted.entry(endpoint.clone()).or_default();
                if !way.rules.iter().any(|known| known.name == rule.name) {
                    way.rules.push(rule);
                }
            }
        }
        for (name, way) in wanted {
            match self.choose(stored, &alert, (&table, &name, &way, &later), now) {
                Ok(rule) => plan.deliveries.push(NewDelivery {
                    id: delivery_id(&name, &envelope.key),
                    endpoint: name,
                    rule: rule.name.clone(),
                    due_at: now,
                    give_up_at: give_up_at(now, envelope.expires_at, &self.relay),
                }),
                Err((rule, reason)) => plan.withheld.push(Withheld { endpoint: Some(name), rule, reason }),
            }
        }
        Ok(plan)
    }

    /// A message of another sender that this one refers to without the right to, where that is here by now.
    async fn stranger(&self, envelope: &Envelope) -> Result<Option<Reference>, StoreError> {
        for reference in &envelope.refers_to {
            let theirs = name(&envelope.world, &reference.sender, &reference.identifier);
            if !envelope.follows.contains(&theirs) && self.store.known(&[theirs]).await?.contains(&true) {
                return Ok(Some(reference.clone()));
            }
        }
        Ok(None)
    }

    /// The first rule by which the message may go, or why it may not go by the last.
    fn choose<'r>(
        &self,
        stored: &StoredAlert,
        alert: &Alert<'_>,
        (table, name, way, later): (&Table, &EndpointName, &Way<'r>, &[&Envelope]),
        now: Timestamp,
    ) -> Result<&'r Rule, (Option<String>, String)> {
        // What has ended, by whichever source, is no news for who never had it: a route may take from a slower source only.
        let ended = later.iter().find(|l| way.before.is_none() && is_end(l));
        if let Some(cancel) = ended {
            let rule = way.rules.first().map(|rule| rule.name.clone());
            return Err((rule, format!("already cancelled by {}", cancel.reference)));
        }
        let mut refusal = None;
        for rule in &way.rules {
            // Who may not speak through the rule cannot end what goes by it either.
            let newer = later.iter().find(|l| rule.takes(l));
            let verdict = match newer {
                Some(newer) => Err(format!("{} took its place before it came", newer.reference)),
                None => self.can_go(stored, alert, (table, name, rule, way.before.is_some()), now),
            };
            match verdict {
                Ok(()) => return Ok(rule),
                Err(reason) => refusal = Some((Some(rule.name.clone()), reason)),
            }
        }
        Err(refusal.unwrap_or_else(|| {
            let origins: Vec<_> = stored.envelope.provenance.origins().map(ToString::to_string).collect();
            let reason = format!("no route from {} leads there any more or yet", origins.join(", "));
            (way.before.clone(), reason)
        }))
    }

    fn can_go(
        &self,
        stored: &StoredAlert,
        alert: &Alert<'_>,
        (table, name, rule, follows): (&Table, &EndpointName, &Rule, bool),
        now: Timestamp,
    ) -> Result<(), String> {
        let envelope = &stored.envelope;
        let Some(endpoint) = table.endpoints.get(name) else {
            return Err("the endpoint is no longer configured".into());
        };
        if let Err(barred) = admit(endpoint, envelope) {
            // Of what the endpoint may hold it is told the end, and nothing of what this message says.
            let ends = follows && admit_end(endpoint, envelope).is_ok();
            return if ends { Ok(()) } else { Err(barred.to_string()) };
        }
        if !follows && envelope.expires_at.is_some_and(|e| e <= now) {
            return Err("expired before it could be routed".into());
        }
        // Of what follows, only its turn shows what there is to end or correct.
        let around = Around { issued: if follows { None } else { Some(&[]) }, left_out: 0, previous: None };
        let making = Making { stored, wants: &endpoint.wants(), rule, now, around };
        match self.renderer.try_render(&making, alert) {
            Err(NotRendered::NotSent(NotSent::Untouched | NotSent::Expired | NotSent::NoInfo)) if follows => {
                Ok(())
            }
            verdict => verdict.map_err(|not_sent| not_sent.to_string()),
        }
    }

    /// Routes until told to stop.
    pub async fn run(&self, accepted: &Notify, shutdown: tokio_util::sync::CancellationToken) {
        /// Also looks without being woken: for what another instance accepted or left behind.
        const IDLE: std::time::Duration = std::time::Duration::from_millis(500);
        let mut patience = Patience::default();
        while !shutdown.is_cancelled() {
            let woken = accepted.notified();
            let nap = match self.route_waiting().await {
                Ok(routed) => {
                    patience.answered();
                    if routed > 0 {
                        continue;
                    }
                    IDLE
                }
                Err(error) => {
                    error!(error = %ErrorChain(&error), "routing waits for the store");
                    patience.failed()
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(nap) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

/// Whether a message that takes the place of another leaves nothing of it in force.
fn is_end(message: &Envelope) -> bool {
    match message.msg_type {
        MsgType::Cancel | MsgType::Error => true,
        MsgType::Alert | MsgType::Update | MsgType::Ack => false,
    }
}

/// Constant for (endpoint, alert): the same over retries, restarts and instances.
pub fn delivery_id(endpoint: &EndpointName, alert: &AlertKey) -> DeliveryId {
    let hex = hex_digest(format!("{endpoint}\0{}", alert.0).as_bytes());
    DeliveryId(format!("msg_{}", hex.get(..26).unwrap_or("")))
}

fn event(at: Timestamp, what: &str, envelope: &Envelope, facts: serde_json::Value) -> Event {
    let facts = match facts {
        serde_json::Value::Object(map) => map,
        _ => serde_json::Map::new(),
    };
    Event { at, what: what.to_owned(), alert: Some(envelope.key.clone()), delivery: None, facts }
}

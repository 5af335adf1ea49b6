//! Stage 5: who gets it?
//!
//! Owns the matching of rules and the making of deliveries. Denies by default: an alert goes where a rule sends it, and
//! what follows in a chain goes to everybody that the chain went to. Must not talk to endpoints. Runs from the store,
//! so that it can be repeated after a crash without a second effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_schema::{Alert, Category, Code, MsgType};
use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::registry::AnyEndpoint;
use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::Notify;
use tracing::{error, info};

use super::deduplicate::hex_digest;
use crate::clock::BridgeClock;
use crate::config::{RelayTable, Rule};
use crate::envelope::{AlertKey, Envelope, StoredAlert};
use crate::patience::Patience;
use crate::relay::attempt::admit;
use crate::relay::expiry::give_up_at;
use crate::rendering::{Around, Making, Renderer};
use crate::store::{DeliveryId, Event, NewDelivery, Store, StoreError};
use crate::telemetry::ErrorChain;

/// How many alerts are routed in one go.
const BATCH: u32 = 64;
/// How long an instance may take over a batch before another instance takes it, seconds.
const LEASE_SECS: i64 = 15;

/// The router.
pub struct Router {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: BridgeClock,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// The endpoints.
    pub endpoints: Arc<BTreeMap<EndpointName, AnyEndpoint>>,
    /// Says whether a message can be made at all.
    pub renderer: Arc<Renderer>,
    /// When deliveries are given up.
    pub relay: RelayTable,
    /// Wakes the relay.
    pub routed: Arc<Notify>,
}

/// An endpoint that a message does not go to although something asked for it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The rule that asked.
    pub rule: String,
    /// Why not.
    pub reason: String,
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
        for alert in alerts {
            self.route_one(&alert).await?;
        }
        Ok(count)
    }

    async fn route_one(&self, stored: &StoredAlert) -> Result<(), StoreError> {
        let now = self.clock.now();
        let envelope = &stored.envelope;
        let (deliveries, withheld) = self.plan(stored, now).await?;
        let named: Vec<_> = deliveries.iter().map(|d| d.endpoint.0.clone()).collect();
        let mut events = vec![event(now, "routed", envelope, json!({"endpoints": named}))];
        for w in &withheld {
            let facts = json!({"endpoint": w.endpoint, "rule": w.rule, "reason": w.reason});
            events.push(event(now, "withheld", envelope, facts));
        }
        info!(reference = %envelope.reference, deliveries = deliveries.len(), withheld = withheld.len(), "alert routed");
        let any = !deliveries.is_empty();
        self.store.route(&envelope.key, now, deliveries).await?;
        self.store.record(events).await?;
        if any {
            self.routed.notify_waiters();
        }
        Ok(())
    }

    async fn plan(
        &self,
        stored: &StoredAlert,
        now: Timestamp,
    ) -> Result<(Vec<NewDelivery>, Vec<Withheld>), StoreError> {
        let envelope = &stored.envelope;
        let alert = match cap_schema::parse_owned(stored.cap(), &self.renderer.limits) {
            Ok(parsed) => parsed.alert,
            Err(rejection) => {
                // The same bytes were read before they were accepted: only a change of limits can bring us here.
                error!(reference = %envelope.reference, findings = rejection.findings.len(), "accepted alert no longer reads");
                return Ok((Vec::new(), Vec::new()));
            }
        };
        let mut wanted: BTreeMap<EndpointName, &Rule> = BTreeMap::new();
        if alert.msg_type != Code::Known(MsgType::Alert) {
            for (endpoint, rule) in self.store.followers(&envelope.chain).await? {
                if let Some(rule) = self.rules.iter().find(|r| r.name == rule) {
                    wanted.insert(endpoint, rule);
                }
            }
        }
        for rule in self.rules.iter().filter(|r| r.matches(envelope, &alert)) {
            for endpoint in &rule.to {
                wanted.entry(endpoint.clone()).or_insert(rule);
            }
        }
        let (mut deliveries, mut withheld) = (Vec::new(), Vec::new());
        for (name, rule) in wanted {
            match self.can_go(stored, &alert, &name, rule, now) {
                Ok(()) => deliveries.push(NewDelivery {
                    id: delivery_id(&name, &envelope.key),
                    endpoint: name,
                    rule: rule.name.clone(),
                    due_at: now,
                    give_up_at: give_up_at(now, envelope.expires_at, &self.relay),
                }),
                Err(reason) => withheld.push(Withheld { endpoint: name, rule: rule.name.clone(), reason }),
            }
        }
        Ok((deliveries, withheld))
    }

    fn can_go(
        &self,
        stored: &StoredAlert,
        alert: &Alert<'_>,
        name: &EndpointName,
        rule: &Rule,
        now: Timestamp,
    ) -> Result<(), String> {
        let envelope = &stored.envelope;
        let Some(endpoint) = self.endpoints.get(name) else {
            return Err("the endpoint is no longer configured".into());
        };
        if let Err(barred) = admit(endpoint, envelope) {
            return Err(barred.to_string());
        }
        let over = envelope.expires_at.is_some_and(|e| e <= now);
        if over {
            return Err("expired before it could be routed".into());
        }
        let around = Around { issued: None, previous: None };
        let making = Making { stored, wants: &endpoint.wants(), rule, now, around };
        self.renderer.try_render(&making, alert).map_err(|not_sent| not_sent.to_string())
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

impl Rule {
    /// Whether the rule is about this alert. Lists that are empty narrow nothing.
    pub fn matches(&self, envelope: &Envelope, alert: &Alert<'_>) -> bool {
        fn any_of<'v>(wanted: &[String], mut values: impl Iterator<Item = &'v str>) -> bool {
            wanted.is_empty() || values.any(|v| wanted.iter().any(|w| w.eq_ignore_ascii_case(v)))
        }
        let infos = || alert.info.iter();
        let starts = |language: &str, wanted: &String| {
            language.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted))
        };
        self.from.contains(&envelope.provenance.origin)
            && self.class == envelope.class.class()
            && any_of(&self.scopes, alert.scope.iter().map(|s| s.as_str()))
            && any_of(&self.categories, infos().flat_map(|i| &i.category).map(|c| c.as_str()))
            && any_of(&self.events, infos().flat_map(|i| &i.event_code).map(|c| &*c.value))
            && any_of(&self.severities, infos().map(|i| i.severity.as_str()))
            && any_of(&self.urgencies, infos().map(|i| i.urgency.as_str()))
            && any_of(&self.certainties, infos().map(|i| i.certainty.as_str()))
            && (self.languages.is_empty()
                || infos().any(|i| {
                    let language = i.language.as_deref().unwrap_or("en-US");
                    self.languages.iter().any(|wanted| starts(language, wanted))
                }))
            && (!self.cbrne || infos().any(|i| i.category.contains(&Code::Known(Category::Cbrne))))
            && self.area.as_ref().is_none_or(|area| area.touches(alert))
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

//! Joins what is registered with what the configuration declares, and keeps the running bridge to it.
//!
//! Owns the table that the relay works by: rebuilt when a registration changed, here or at another instance, and when a key
//! stops signing. Owns also what outlives a 410. The file wins where both have a name. Must not talk to endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::registry::AnyEndpoint;
use capbridge_adapters::source::Clock;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::declared::Declared;
use super::registrar::{RegisterError, Registrar, Step};
use super::subscription::Wanting;
use super::{Caller, Endpoint, Ledger, Name, Role, Standing, Subscription};
use crate::clock::SystemClock;
use crate::pipeline::rules::Rule;
use crate::relay::gates::Gates;
use crate::rendering::Renderer;
use crate::routes::{Routes, Table};
use crate::store::StoreError;
use crate::store::registrations::Kind;
use crate::telemetry::ErrorChain;

/// What is registered, at work.
pub struct Live {
    registrar: Registrar,
    /// What the configuration declares.
    pub declared: Declared,
    routes: Arc<Routes>,
    gates: Arc<Gates>,
    renderer: Arc<Renderer>,
    built: Mutex<Built>,
    /// Endpoints whose 410 is not in the store yet.
    gone: Mutex<BTreeSet<EndpointName>>,
    /// Wakes who writes that.
    woken: Notify,
}

/// What was built of documents, as long as they do not change.
#[derive(Default)]
struct Built {
    endpoints: BTreeMap<Name, BuiltEndpoint>,
    rules: BTreeMap<Name, (Arc<Subscription>, Result<Rule, String>)>,
    /// When the next key stops signing.
    due_at: Option<Timestamp>,
    /// Whether the table was ever filled: what the configuration declares is in it from the start.
    filled: bool,
}

struct BuiltEndpoint {
    document: Arc<Endpoint>,
    until: Option<Timestamp>,
    result: Result<AnyEndpoint, String>,
}

impl Live {
    /// Joins the two; `refresh` it before it is used.
    pub fn new(
        registrar: Registrar,
        declared: Declared,
        (routes, gates): (Arc<Routes>, Arc<Gates>),
        renderer: Arc<Renderer>,
    ) -> Self {
        let (built, gone, woken) = (Mutex::default(), Mutex::default(), Notify::new());
        Live { registrar, declared, routes, gates, renderer, built, gone, woken }
    }

    /// The documents.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.registrar.ledger()
    }

    /// The boundaries that areas are checked with.
    pub fn boundaries(&self) -> &crate::translate::geography::Boundaries {
        &self.renderer.tables.boundaries
    }

    /// Why a registered endpoint or subscription is not at work although it should be.
    pub fn fault(&self, kind: Kind, name: &Name) -> Option<String> {
        let built = self.built();
        match kind {
            Kind::Endpoint => built.endpoints.get(name)?.result.as_ref().err().cloned(),
            Kind::Subscription => built.rules.get(name)?.1.as_ref().err().cloned(),
            Kind::Responder | Kind::Standing | Kind::Token => None,
        }
    }

    fn built(&self) -> MutexGuard<'_, Built> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what changed and puts it to work.
    ///
    /// # Errors
    /// The store failed; everything stays as it was.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let changed = self.registrar.refresh().await?;
        self.put_to_work(changed);
        Ok(())
    }

    /// The newest table: for what one that is a moment old does not know.
    ///
    /// # Errors
    /// The store failed.
    pub async fn newest(&self) -> Result<Arc<Table>, StoreError> {
        self.refresh().await?;
        Ok(self.routes.now())
    }

    /// Changes something, and puts it to work before it returns. See `Registrar::change`.
    ///
    /// # Errors
    /// It was refused, or the store failed; then nothing was changed.
    pub async fn change<T, R>(
        &self,
        decide: impl FnMut(&Ledger) -> Result<(Step, T), R>,
    ) -> Result<T, RegisterError<R>> {
        let told = self.registrar.change(decide).await?;
        self.put_to_work(true);
        Ok(told)
    }

    fn put_to_work(&self, changed: bool) {
        let now = SystemClock.now();
        let mut built = self.built();
        if built.filled && !changed && built.due_at.is_none_or(|due| now < due) {
            return;
        }
        built.filled = true;
        // Under the lock, so that an older view never takes the place of a newer one.
        let ledger = self.ledger();
        let endpoints = self.endpoints(&mut built, &ledger, now);
        let mut rules = self.declared.rules.clone();
        rules.extend(self.rules(&mut built, &ledger, &endpoints));
        let standing = |name: &EndpointName| ledger.standing(&name.0).at_the_gate();
        self.gates.keep(endpoints.iter().map(|(name, e)| (name.clone(), e.max_in_flight(), standing(name))));
        self.routes.replace(Table::new(rules, endpoints, &self.declared.sender));
    }

    fn endpoints(
        &self,
        built: &mut Built,
        ledger: &Ledger,
        now: Timestamp,
    ) -> BTreeMap<EndpointName, AnyEndpoint> {
        let mut endpoints = self.declared.endpoints.clone();
        let mut before = std::mem::take(&mut built.endpoints);
        built.due_at = None;
        let wanted = ledger.endpoints().filter(|e| e.proven_at.is_some() && e.ended_at.is_none());
        for document in wanted {
            let name = EndpointName(document.name.to_string());
            let kept = before.remove(&document.name).filter(|kept| {
                Arc::ptr_eq(&kept.document, document) && kept.until.is_none_or(|until| now < until)
            });
            let one = kept.unwrap_or_else(|| {
                let result = match endpoints.contains_key(&name) {
                    true => Err("the configuration has an endpoint of this name, which wins".to_owned()),
                    false => document.build(now).map_err(|fault| fault.to_string()),
                };
                if let Err(why) = &result {
                    error!(endpoint = %name, error = why, "a registered endpoint cannot be used");
                }
                let until = document.next_retirement(now);
                BuiltEndpoint { document: Arc::clone(document), until, result }
            });
            built.due_at = [built.due_at, one.until].into_iter().flatten().min();
            if let Ok(endpoint) = &one.result {
                endpoints.insert(name, endpoint.clone());
            }
            built.endpoints.insert(document.name.clone(), one);
        }
        endpoints
    }

    fn rules(
        &self,
        built: &mut Built,
        ledger: &Ledger,
        endpoints: &BTreeMap<EndpointName, AnyEndpoint>,
    ) -> Vec<Rule> {
        let mut before = std::mem::take(&mut built.rules);
        let mut rules = Vec::new();
        for document in ledger.subscriptions() {
            let name = EndpointName(document.endpoint.clone());
            // One that is not proven yet, or was removed: it gets nothing.
            let Some(endpoint) = endpoints.get(&name) else { continue };
            let kept = before.remove(&document.name).filter(|(kept, _)| Arc::ptr_eq(kept, document));
            let (_, result) = kept.unwrap_or_else(|| {
                let wanting = Wanting { name: &name, class: endpoint.class(), reach: endpoint.reach() };
                let result = match self.declared.rules.iter().any(|rule| rule.name == document.name.as_str()) {
                    true => Err("the configuration has a route of this name, which wins".to_owned()),
                    false => {
                        let rule = document.rule(wanting, &self.declared, self.boundaries());
                        rule.map_err(|faults| super::shown(&faults))
                    }
                };
                if let Err(why) = &result {
                    error!(subscription = %document.name, endpoint = %name, error = why, "a subscription cannot be used");
                }
                (Arc::clone(document), result)
            });
            rules.extend(result.clone());
            built.rules.insert(document.name.clone(), (Arc::clone(document), result));
        }
        rules
    }

    /// Notes that an endpoint asked never to be called again; `write_gone` puts it into the store.
    pub fn note_gone(&self, endpoint: &EndpointName) {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.clone());
        self.woken.notify_one();
    }

    /// Returns when there is something for `write_gone`.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Puts into the store which endpoints asked never to be called again, so that a restart does not call them.
    pub async fn write_gone(&self) {
        let waiting = self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bridge = Caller { by: "bridge".into(), role: Role::Operator, responder: None };
        for endpoint in waiting {
            let now = SystemClock.now();
            let written = self
                .change(|ledger| {
                    let standing = ledger.standing(&endpoint.0);
                    if standing.gone_at.is_some() {
                        return Ok::<_, std::convert::Infallible>((Step::none(), ()));
                    }
                    let standing = Standing { v: 1, gone_at: Some(now), ..standing };
                    let step = Step::none().write(Kind::Standing, &endpoint.0, &standing);
                    Ok((step.note(now, "endpoint-gone", &bridge, json!({"endpoint": endpoint})), ()))
                })
                .await;
            match written {
                Ok(()) => {
                    self.gone.lock().unwrap_or_else(PoisonError::into_inner).remove(&endpoint);
                }
                Err(error) => {
                    warn!(%endpoint, error = %ErrorChain(&error), "the 410 of an endpoint waits to be stored");
                }
            }
        }
    }
}

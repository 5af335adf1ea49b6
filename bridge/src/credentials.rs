//! Credentials that run out: an expired certificate means that IPAWS takes nothing any more.
//!
//! Owns the warnings at 60, 30 and 7 days and the fault of readiness once one has run out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;
use tracing::{error, warn};

use crate::routes::Routes;
use crate::telemetry::Metrics;

/// Days left at which somebody is told, each once.
const WARN_AT_DAYS: [i64; 4] = [60, 30, 7, 0];

/// The credentials of all endpoints.
pub struct Credentials {
    /// The endpoints that there are now, those of the file and registered ones.
    routes: Arc<Routes>,
    /// The smallest threshold that was told.
    told: Mutex<BTreeMap<EndpointName, i64>>,
    metrics: Arc<Metrics>,
}

impl Credentials {
    /// Those of endpoints that have one that runs out.
    pub fn new(routes: Arc<Routes>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Credentials { routes, told: Mutex::default(), metrics })
    }

    fn ends(&self) -> BTreeMap<EndpointName, Timestamp> {
        let table = self.routes.now();
        let ends = table.endpoints.iter();
        ends.filter_map(|(name, endpoint)| Some((name.clone(), endpoint.credential_expires_at()?))).collect()
    }

    /// Publishes what is left and warns at each threshold once.
    pub fn watch(&self, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = self.ends();
        // One that was removed, or got another credential, begins anew.
        for gone in told.keys().filter(|name| !ends.contains_key(*name)).cloned().collect::<Vec<_>>() {
            told.remove(&gone);
            self.metrics.no_credential(&gone);
        }
        for (endpoint, ends_at) in &ends {
            let left = ends_at.duration_since(now);
            self.metrics.credential(endpoint, left.as_secs_f64());
            let days = left.as_hours().div_euclid(24);
            let Some(reached) = WARN_AT_DAYS.into_iter().filter(|at| days <= *at).min() else {
                told.remove(endpoint);
                continue;
            };
            if told.get(endpoint).is_some_and(|before| *before <= reached) {
                continue;
            }
            told.insert(endpoint.clone(), reached);
            if left.is_negative() {
                error!(%endpoint, ends_at = %ends_at, "the credential of an endpoint has run out");
            } else {
                warn!(%endpoint, ends_at = %ends_at, days, "the credential of an endpoint runs out soon");
            }
        }
    }

    /// Endpoints that cannot deliver any more.
    pub fn faults(&self, now: Timestamp) -> Vec<String> {
        self.ends()
            .iter()
            .filter(|(_, ends_at)| **ends_at <= now)
            .map(|(endpoint, ends_at)| format!("endpoint {endpoint}: its credential ran out at {ends_at}"))
            .collect()
    }
}

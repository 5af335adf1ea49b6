//! What may go where, as it is now: what the configuration declares, joined with what is registered.
//!
//! Owns the one table that the pipeline, the router and the relay look at. A step takes one table and keeps to it, so that
//! it never sees half of a change. Must not decide anything about a message.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::registry::AnyEndpoint;

use crate::pipeline::rules::{Rule, Rules};

/// Rules and endpoints that belong together.
#[derive(Clone, Default)]
pub struct Table {
    /// The rules: those of the configuration in its order, then those of subscriptions.
    pub rules: Rules,
    /// The endpoints.
    pub endpoints: BTreeMap<EndpointName, AnyEndpoint>,
    /// The senders of everything that we issue.
    pub senders: Vec<String>,
}

impl Table {
    /// Joins rules and endpoints. `sender` is the bridge's own.
    pub fn new(rules: Vec<Rule>, endpoints: BTreeMap<EndpointName, AnyEndpoint>, sender: &str) -> Self {
        let mut senders: Vec<String> = endpoints.values().filter_map(|e| e.wants().sender).collect();
        senders.push(sender.to_owned());
        senders.sort_unstable();
        senders.dedup();
        Table { rules: Rules::new(rules), endpoints, senders }
    }
}

/// The table, which changes while the bridge runs.
#[derive(Default)]
pub struct Routes(RwLock<Arc<Table>>);

impl Routes {
    /// Begins with a table.
    pub fn new(table: Table) -> Self {
        Routes(RwLock::new(Arc::new(table)))
    }

    /// The table as it is now.
    pub fn now(&self) -> Arc<Table> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another table in its place.
    pub fn replace(&self, table: Table) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

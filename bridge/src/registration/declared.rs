//! What the configuration declares, for what is registered beside it.

use std::collections::BTreeMap;

use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Origin};
use capbridge_adapters::registry::{AnyEndpoint, SourceKind};

use crate::pipeline::rules::Rule;
use crate::settings::RegistrationTable;
use crate::translate::minimise::Purpose;

/// What a subscription must know of a source.
#[derive(Clone, Copy, Debug)]
pub struct SourceFacts {
    /// Its kind.
    pub kind: SourceKind,
    /// The highest class that its messages can have.
    pub mode: Class,
}

/// What the configuration declares.
#[derive(Default)]
pub struct Declared {
    /// Sources.
    pub sources: BTreeMap<Origin, SourceFacts>,
    /// Endpoints.
    pub endpoints: BTreeMap<EndpointName, AnyEndpoint>,
    /// Rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// Purposes.
    pub purposes: BTreeMap<String, Purpose>,
    /// Where each table is: `endpoint.NAME` to `file capbridge.toml:12`.
    pub places: BTreeMap<String, String>,
    /// What may be registered over the API.
    pub permits: RegistrationTable,
    /// The bridge's own sender.
    pub sender: String,
}

impl Declared {
    /// Where a table is.
    pub fn place(&self, table: &str, name: &str) -> String {
        self.places.get(&format!("{table}.{name}")).cloned().unwrap_or_else(|| "file".to_owned())
    }
}

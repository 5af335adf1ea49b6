//! THE list of what exists: one variant and one arm an adapter, and what every source and endpoint has in common.
//!
//! Owns the tables `[source.NAME]` and `[endpoint.NAME]`, the object-safe twins of the ports, and the binding of an
//! endpoint to its class: a `Bound<Live>` takes an `Outbound<Live>` and nothing else, and there is no other way to
//! reach the endpoint inside. Must not know how an adapter works.

mod bound;
mod endpoints;
mod sources;

pub use bound::{AnyEndpoint, Bound, DynEndpoint};
pub use endpoints::EndpointTable;
pub use sources::{ReadySource, RunSource, SignatureRule, SourceTable, Strictness};

use serde::Serialize;

use crate::class::{Class, ExerciseId};
use crate::passage::SystemName;
use crate::settings::Faults;

/// Every kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The public IPAWS feed.
    Ipaws,
    /// A MASAS hub.
    Masas,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [SourceKind; 2] = [SourceKind::Ipaws, SourceKind::Masas];

    /// The name of its table.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Ipaws => "ipaws",
            SourceKind::Masas => "masas",
        }
    }
}

/// Every kind of endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// An e-mail address.
    Email,
    /// A feed that clients read.
    Feed,
    /// IPAWS-OPEN.
    Ipaws,
    /// A MASAS hub.
    Masas,
    /// A stream that clients are connected to.
    Stream,
    /// A receiver of signed POSTs.
    Webhook,
}

impl EndpointKind {
    /// Every kind.
    pub const ALL: [EndpointKind; 6] = [
        EndpointKind::Email,
        EndpointKind::Feed,
        EndpointKind::Ipaws,
        EndpointKind::Masas,
        EndpointKind::Stream,
        EndpointKind::Webhook,
    ];

    /// The name of its table.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Email => "email",
            EndpointKind::Feed => "feed",
            EndpointKind::Ipaws => "ipaws",
            EndpointKind::Masas => "masas",
            EndpointKind::Stream => "stream",
            EndpointKind::Webhook => "webhook",
        }
    }
}

/// `system`, `mode` and `exercise`, which sources and endpoints share.
struct Common {
    system: SystemName,
    mode: Class,
    exercise: Option<ExerciseId>,
}

fn common(
    faults: &mut Faults,
    system: Option<String>,
    mode: Option<Class>,
    exercise: Option<String>,
) -> Option<Common> {
    let system = system.filter(|name| !name.trim().is_empty());
    if system.is_none() {
        faults.push(
            "system",
            "is not set",
            "name the outside system; what reads it and what writes it share the name",
        );
    }
    match mode {
        None => {
            faults.push("mode", "is not set", "say \"live\", \"exercise\" or \"test\": there is no default")
        }
        Some(Class::Internal) => {
            faults.push(
                "mode",
                "internal messages are never relayed",
                "say \"live\", \"exercise\" or \"test\"",
            );
        }
        Some(Class::Live | Class::Exercise | Class::Test) => {}
    }
    let exercise = exercise.filter(|name| !name.trim().is_empty());
    match (mode, &exercise) {
        (Some(Class::Exercise), None) => {
            faults.push("exercise", "is not set, and mode is \"exercise\"", "name the exercise");
        }
        (Some(Class::Live | Class::Test), Some(_)) => {
            faults.push(
                "exercise",
                "is set, and mode is not \"exercise\"",
                "leave it out, or set mode = \"exercise\"",
            );
        }
        (Some(Class::Exercise | Class::Internal) | None, Some(_))
        | (Some(Class::Live | Class::Test | Class::Internal) | None, None) => {}
    }
    match (system, mode) {
        (Some(system), Some(mode)) if faults.is_empty() => {
            Some(Common { system: SystemName(system), mode, exercise: exercise.map(ExerciseId) })
        }
        (Some(_) | None, _) => None,
    }
}

/// A hub for exercises never carries live traffic.
fn check_mode(faults: &mut Faults, mode: Option<Class>, highest: Option<Class>) {
    if let (Some(mode), Some(highest)) = (mode, highest)
        && mode > highest
    {
        let problem = format!("is {mode}, and the system behind it is one for {highest} at most");
        faults.push("mode", problem, "use the mode of the system");
    }
}

/// Puts the faults of a sub-table under its name.
fn under(table: &str, inner: Faults, faults: &mut Faults) {
    for fault in inner.0 {
        let key = if fault.key.is_empty() { table.to_owned() } else { format!("{table}.{}", fault.key) };
        faults.push(key, fault.problem, fault.remedy);
    }
}

#[cfg(test)]
mod tests;

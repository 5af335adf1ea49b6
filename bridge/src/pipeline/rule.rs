//! A routing rule as the pipeline goes by it: from a `[route.NAME]` of the file, or from a registered subscription.

use std::collections::BTreeSet;

use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Origin};

use super::coverage::Coverage;
use crate::translate::minimise::Purpose;

/// A validated routing rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Sources.
    pub from: BTreeSet<Origin>,
    /// Endpoints.
    pub to: Vec<EndpointName>,
    /// The class that it is for.
    pub class: Class,
    /// See `RouteTable`.
    pub categories: Vec<String>,
    /// See `RouteTable`.
    pub events: Vec<String>,
    /// See `RouteTable`.
    pub severities: Vec<String>,
    /// See `RouteTable`.
    pub urgencies: Vec<String>,
    /// See `RouteTable`.
    pub certainties: Vec<String>,
    /// See `RouteTable`.
    pub languages: Vec<String>,
    /// See `RouteTable`.
    pub scopes: Vec<String>,
    /// See `RouteTable`.
    pub cbrne: bool,
    /// See `RouteTable`.
    pub area: Option<Coverage>,
    /// See `RouteTable`.
    pub open_channels: Vec<String>,
    /// See `RouteTable`.
    pub untouched: bool,
    /// See `RouteTable`.
    pub notify_neighbours: bool,
    /// See `RouteTable`.
    pub purpose: Option<Purpose>,
    /// Only messages that name one of these incidents; empty narrows nothing.
    pub incidents: Vec<String>,
    /// Whether it is about no first message for now: chains that went by it go on.
    pub paused: bool,
}

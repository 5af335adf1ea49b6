//! What an endpoint wants: a subscription, and the rule that it becomes.
//!
//! Owns the checks of a filter: an unknown value or an area that cannot be is refused, since it would be found out in an
//! emergency. A subscription that was removed or paused is about no new alert, but leads on: who has an alert gets what
//! ends it (docs/delivery.md, D-12).

use std::collections::BTreeSet;

use cap_schema::{Category, Certainty, CodeList, Polygon, Scope, Severity, Urgency};
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Origin, Reach};
use capbridge_adapters::registry::SourceKind;
use capbridge_adapters::settings::Faults;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::declared::Declared;
use super::shape;
use super::{Name, Pause};
use crate::pipeline::coverage::{Codes, Coverage};
use crate::pipeline::rules::Rule;
use crate::translate::geography::{Boundaries, CodeSystem};

/// The most entries of one list of a filter.
const LONGEST_LIST: usize = 100;
/// The longest entry, in characters.
const LONGEST_ENTRY: usize = 64;

/// Which way alerts cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From systems of Canada.
    FromCanada,
    /// From systems of the United States.
    FromUnitedStates,
}

impl Direction {
    fn of(kind: SourceKind) -> Self {
        match kind {
            SourceKind::Masas => Direction::FromCanada,
            SourceKind::Ipaws => Direction::FromUnitedStates,
        }
    }
}

/// Where the alerts are: a polygon, or places by their codes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaFilter {
    /// A ring as in CAP: `lat,lon lat,lon ...`, closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polygon: Option<String>,
    /// US counties: SAME, six digits; 000 at the end for a whole state.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub same: BTreeSet<String>,
    /// Canadian divisions: SGC, four or seven digits; two for a whole province.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sgc: BTreeSet<String>,
    /// Canadian zones: CLC, six digits.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub clc: BTreeSet<String>,
}

/// What narrows a subscription. A list that is empty narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Sources; all that lead to the endpoint's class unless named.
    pub from: BTreeSet<String>,
    /// Only alerts that come from this country.
    pub direction: Option<Direction>,
    /// CAP categories.
    pub categories: Vec<String>,
    /// Event codes (any valueName).
    pub events: Vec<String>,
    /// CAP severities.
    pub severities: Vec<String>,
    /// CAP urgencies.
    pub urgencies: Vec<String>,
    /// CAP certainties.
    pub certainties: Vec<String>,
    /// Languages, matched by prefix.
    pub languages: Vec<String>,
    /// CAP scopes.
    pub scopes: Vec<String>,
    /// Names of incidents: only messages that name one of them (CAP `incidents`), updates of it among them.
    pub incidents: Vec<String>,
    /// CBRNE only.
    pub cbrne: bool,
    /// Where the alerts are.
    pub area: Option<AreaFilter>,
    /// Also alerts that touch nothing on the far side of the border.
    pub untouched: bool,
    /// Alerts that name places by code only are told to the neighbours across the border.
    pub notify_neighbours: bool,
    /// A `[purpose.NAME]` of the configuration.
    pub purpose: Option<String>,
    /// Public channels that its messages may open; where the configuration permits it.
    pub open_channels: Vec<String>,
}

/// What is kept of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Version of this document.
    pub v: u8,
    /// Its name.
    pub name: Name,
    /// The endpoint that wants it.
    pub endpoint: String,
    /// The class of the alerts: that of the endpoint.
    pub class: Class,
    /// What narrows it.
    pub filter: Filter,
    /// Who paused it, and why.
    pub paused: Option<Pause>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was removed.
    pub ended_at: Option<Timestamp>,
}

/// What a subscription is to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionOrder {
    /// Its name.
    pub name: Name,
    /// The endpoint that wants it.
    pub endpoint: String,
    /// The class of the alerts; it must be that of the endpoint.
    #[serde(default)]
    pub class: Option<Class>,
    /// What narrows it.
    #[serde(default)]
    pub filter: Filter,
}

/// The endpoint of a subscription, as far as its rule depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Wanting<'e> {
    /// Its name.
    pub name: &'e EndpointName,
    /// Its class.
    pub class: Class,
    /// Whom it reaches.
    pub reach: Reach,
}

impl Filter {
    /// Checks everything that can be checked without the rest: values, lists, the area.
    pub fn check(&self, boundaries: &Boundaries) -> Faults {
        let mut faults = Faults::default();
        listed::<Category>(&mut faults, "categories", &self.categories);
        listed::<Severity>(&mut faults, "severities", &self.severities);
        listed::<Urgency>(&mut faults, "urgencies", &self.urgencies);
        listed::<Certainty>(&mut faults, "certainties", &self.certainties);
        listed::<Scope>(&mut faults, "scopes", &self.scopes);
        for (key, list) in [("events", &self.events), ("incidents", &self.incidents)] {
            let odd = list.iter().find(|entry| {
                entry.trim().is_empty()
                    || entry.chars().count() > LONGEST_ENTRY
                    || entry.chars().any(char::is_control)
            });
            if let Some(odd) = odd {
                faults.push(
                    key,
                    format!("{odd:?} is blank, too long or not one line"),
                    "use the code as CAP has it",
                );
            }
        }
        if let Some(odd) = self.languages.iter().find(|language| !is_language(language)) {
            faults.push("languages", format!("{odd:?} is no language"), "use en, fr, fr-CA, ... (RFC 5646)");
        }
        for (key, count) in [
            ("categories", self.categories.len()),
            ("events", self.events.len()),
            ("incidents", self.incidents.len()),
            ("languages", self.languages.len()),
            ("from", self.from.len()),
        ] {
            if count > LONGEST_LIST {
                faults.push(
                    key,
                    format!("has {count} entries"),
                    "use 100 or fewer, or several subscriptions",
                );
            }
        }
        if let Some(area) = &self.area {
            area.check(boundaries, &mut faults);
        }
        faults
    }

    /// The sources that it takes from, for a class.
    fn sources(&self, declared: &Declared, class: Class) -> BTreeSet<Origin> {
        let fits = |name: &str| self.from.is_empty() || self.from.contains(name);
        let sources = declared.sources.iter().filter(|(origin, facts)| {
            fits(&origin.0)
                && facts.mode >= class
                && self.direction.is_none_or(|direction| direction == Direction::of(facts.kind))
        });
        sources.map(|(origin, _)| origin.clone()).collect()
    }
}

impl AreaFilter {
    fn check(&self, boundaries: &Boundaries, faults: &mut Faults) {
        let coded = !(self.same.is_empty() && self.sgc.is_empty() && self.clc.is_empty());
        match (&self.polygon, coded) {
            (Some(_), true) => faults.push("area", "has a polygon and codes", "use two subscriptions"),
            (None, false) => {
                faults.push("area", "is empty", "give a polygon, or same, sgc or clc codes; or leave it out")
            }
            (Some(text), false) => {
                if let Err(problem) = shape::ring(text) {
                    faults.push("area.polygon", problem, "write it as in CAP: lat,lon lat,lon ... closed");
                }
            }
            (None, true) => {}
        }
        let total = self.same.len() + self.sgc.len() + self.clc.len();
        if total > LONGEST_LIST {
            faults.push(
                "area",
                format!("has {total} codes"),
                "use 100 or fewer, a state, a province or a polygon",
            );
            return;
        }
        for (key, system, codes) in
            [("area.same", CodeSystem::Same, &self.same), ("area.sgc", CodeSystem::Sgc, &self.sgc)]
        {
            for code in codes.iter().filter(|code| boundaries.locate_code(system, code).is_none()) {
                faults.push(key, format!("{code:?} is no place that is known"), "see `capbridge locate`");
            }
        }
        // Not every boundary file has the zones: six digits must do.
        for code in
            self.clc.iter().filter(|code| code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()))
        {
            faults.push("area.clc", format!("{code:?} is not six digits"), "see `capbridge locate`");
        }
    }

    fn coverage(&self, boundaries: &Boundaries) -> Option<Coverage> {
        let Some(text) = &self.polygon else {
            let AreaFilter { same, sgc, clc, .. } = self.clone();
            return Some(Coverage::codes(Codes { same, sgc, clc }));
        };
        let points = Polygon::new(text.as_str()).points().ok()?;
        let touched = boundaries.locate_shapes(std::slice::from_ref(&points), &[]);
        Some(Coverage::polygon(points, Some(touched)))
    }
}

impl Subscription {
    /// The rule that it is, or what keeps it from being one.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn rule(
        &self,
        wanting: Wanting<'_>,
        declared: &Declared,
        boundaries: &Boundaries,
    ) -> Result<Rule, Faults> {
        let filter = &self.filter;
        let mut faults = filter.check(boundaries);
        let known: Vec<&str> = declared.sources.keys().map(|origin| origin.0.as_str()).collect();
        for name in filter.from.iter().filter(|name| !known.contains(&name.as_str())) {
            faults.push(
                "from",
                format!("names no source: {name}"),
                format!("there are: {}", known.join(", ")),
            );
        }
        let from = filter.sources(declared, wanting.class);
        if from.is_empty() && faults.is_empty() {
            let problem = format!("leaves no source whose messages can be {}", wanting.class);
            faults.push("from", problem, "a message is never raised above the mode of its source");
        }
        if self.class != wanting.class {
            let problem = format!("is {}, and the endpoint takes {} only", self.class, wanting.class);
            faults.push("class", problem, "an endpoint has one class, and it is never changed");
        }
        let purpose = filter.purpose.as_ref().and_then(|name| {
            let found = declared.purposes.get(name).cloned();
            if found.is_none() {
                faults.push(
                    "purpose",
                    format!("names no purpose: {name}"),
                    "purposes are in the configuration",
                );
            }
            found
        });
        for channel in filter.open_channels.iter().filter(|c| !declared.permits.public_channels.contains(c)) {
            let problem = format!("{channel} may not be opened by the API");
            faults.push(
                "open_channels",
                problem,
                "registration.public_channels of the configuration permits it, if it is meant",
            );
        }
        if !filter.open_channels.is_empty() && wanting.reach != Reach::Public {
            faults.push(
                "open_channels",
                "opens public channels of an endpoint that reaches responders only",
                "leave it out",
            );
        }
        let area = filter.area.as_ref().and_then(|area| area.coverage(boundaries));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Rule {
            name: self.name.to_string(),
            from,
            to: vec![wanting.name.clone()],
            class: self.class,
            categories: filter.categories.clone(),
            events: filter.events.clone(),
            severities: filter.severities.clone(),
            urgencies: filter.urgencies.clone(),
            certainties: filter.certainties.clone(),
            languages: filter.languages.clone(),
            scopes: filter.scopes.clone(),
            cbrne: filter.cbrne,
            area,
            open_channels: filter.open_channels.clone(),
            untouched: filter.untouched,
            notify_neighbours: filter.notify_neighbours,
            purpose,
            incidents: filter.incidents.clone(),
            paused: self.paused.is_some() || self.ended_at.is_some(),
        })
    }
}

fn listed<T: CodeList>(faults: &mut Faults, key: &str, values: &[String]) {
    let known = || T::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>();
    for value in values.iter().filter(|value| T::from_text(value).is_none()) {
        faults.push(key, format!("{value:?} is none of CAP's"), format!("use {}", known().join(", ")));
    }
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts
        .next()
        .is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    first && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

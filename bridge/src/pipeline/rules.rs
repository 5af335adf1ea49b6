//! The routing rules as a whole: who is taken from, who leads where.
//!
//! Owns the matching of one alert. Denies by default: what no rule names goes nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use cap_schema::{Alert, Category, Code};
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Origin};

use super::coverage::Whereabouts;
use super::facts;
pub use super::rule::Rule;
use crate::envelope::Envelope;

/// The rules, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    all: Vec<Arc<Rule>>,
    /// The rules that lead to an endpoint: what follows a chain to thousands of endpoints asks for each of them.
    leading_to: BTreeMap<EndpointName, Vec<Arc<Rule>>>,
}

impl Rules {
    /// A set of rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        let all: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
        let mut leading_to: BTreeMap<EndpointName, Vec<Arc<Rule>>> = BTreeMap::new();
        for rule in &all {
            for endpoint in &rule.to {
                leading_to.entry(endpoint.clone()).or_default().push(Arc::clone(rule));
            }
        }
        Rules { all, leading_to }
    }

    /// Whether a rule of this class takes from the source.
    pub fn take_from(&self, origin: &Origin, class: Class) -> bool {
        self.all.iter().any(|r| r.class == class && r.from.contains(origin))
    }

    /// The rules that are about this alert.
    pub fn matching(
        &self,
        envelope: &Envelope,
        alert: &Alert<'_>,
        whereabouts: &Whereabouts<'_>,
    ) -> impl Iterator<Item = &Rule> {
        self.all.iter().map(Arc::as_ref).filter(|r| r.matches(envelope, alert, whereabouts))
    }

    /// The rules by which a chain goes on to an endpoint, whatever else they ask for: they lead there and take from a
    /// source of the message. The one that led there before comes first.
    pub fn onward(&self, envelope: &Envelope, endpoint: &EndpointName, before: &str) -> Vec<&Rule> {
        let leading = self.leading_to.get(endpoint).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<&Rule> = leading.iter().map(Arc::as_ref).filter(|r| r.takes(envelope)).collect();
        found.sort_by_key(|r| r.name != before);
        found
    }
}

impl Rule {
    /// Whether it is for the class of the message and takes from a source of it.
    pub fn takes(&self, envelope: &Envelope) -> bool {
        self.class == envelope.class.class()
            && envelope.provenance.origins().any(|origin| self.from.contains(origin))
    }

    /// Whether the rule is about this alert. Lists that are empty narrow nothing.
    pub fn matches(&self, envelope: &Envelope, alert: &Alert<'_>, whereabouts: &Whereabouts<'_>) -> bool {
        fn any_of<'v>(wanted: &[String], mut values: impl Iterator<Item = &'v str>) -> bool {
            wanted.is_empty() || values.any(|v| wanted.iter().any(|w| w.eq_ignore_ascii_case(v)))
        }
        let infos = || alert.info.iter();
        let starts = |language: &str, wanted: &String| {
            language.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted))
        };
        !self.paused
            && self.takes(envelope)
            && (self.incidents.is_empty() || {
                let named = alert.incidents.as_deref().map(facts::addresses).unwrap_or_default();
                any_of(&self.incidents, named.iter().map(String::as_str))
            })
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
            && self.area.as_ref().is_none_or(|area| area.touches(alert, whereabouts))
    }
}

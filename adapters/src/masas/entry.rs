//! From an entry without CAP to a CAP document.
//!
//! Owns the normalisation: pure, the same bytes for the same entry. Nothing is guessed: what an entry does not say is
//! `Unknown`, `Other` or absent, and every step away from the entry's words is a finding. Scope is `Restricted` unless
//! the settings say otherwise, because members of MASAS write for members. INFERRED as a whole (`masas.md` 5.3): there
//! was never a public gateway to copy.

use cap_schema::{Finding, Level};
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use crate::atom::{Entry, FeedError};
use crate::settings::Faults;

mod document;
mod ending;
mod icons;
mod places;

pub use ending::to_cancel;
pub(super) use ending::{Ending, both, ending, is_revised};

/// How entries become CAP. `[source.NAME.masas.entries]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntrySettings {
    /// CAP `sender`. Never a sender of messages that the bridge issues: the loop guard would stop them. Unset:
    /// `entries@` and the hub's host.
    pub sender: Option<String>,
    /// CAP `scope`.
    pub scope: EntryScope,
    /// CAP `restriction`, where the scope is `Restricted`.
    pub restriction: String,
    /// The language of text that has none.
    pub default_language: String,
    /// An entry whose `expires` lies at most this long after its last change was ended by it, seconds.
    pub cancel_slack_secs: u32,
    /// The hub, for provenance.
    #[serde(skip)]
    hub: Option<Url>,
}

/// The scope of normalised entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum EntryScope {
    /// For members; the default.
    Restricted,
    /// For everybody; only where the agency behind the hub agreed to it.
    Public,
}

impl Default for EntrySettings {
    fn default() -> Self {
        EntrySettings {
            sender: None,
            scope: EntryScope::Restricted,
            restriction: "Emergency management community (MASAS members)".to_owned(),
            default_language: "en-CA".to_owned(),
            cancel_slack_secs: 5,
            hub: None,
        }
    }
}

impl EntrySettings {
    pub(super) fn check(&self, faults: &mut Faults) {
        let bad =
            |text: &str| text.is_empty() || text.chars().any(|c| c.is_whitespace() || ",<&".contains(c));
        if self.sender.as_deref().is_some_and(bad) {
            faults.push("entries.sender", "holds a character that CAP does not allow", "use name@domain");
        }
        if self.scope == EntryScope::Restricted && self.restriction.trim().is_empty() {
            faults.push(
                "entries.restriction",
                "is empty, and the scope is Restricted",
                "say who may read it",
            );
        }
        if bad(&self.default_language) {
            faults.push("entries.default_language", "is not a language", "use en-CA or fr-CA");
        }
    }

    pub(super) fn at_hub(mut self, hub: &Url) -> Self {
        self.hub = Some(hub.clone());
        self
    }

    fn hub_host(&self) -> &str {
        self.hub.as_ref().and_then(Url::host_str).unwrap_or("masas.invalid")
    }

    fn sender(&self) -> String {
        self.sender.clone().unwrap_or_else(|| format!("entries@{}", self.hub_host()))
    }
}

/// What was made of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// A CAP 1.2 document, UTF-8.
    pub cap: Vec<u8>,
    /// Every step away from the entry's words.
    pub findings: Vec<Finding>,
}

/// Why an entry cannot become CAP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It cannot be read.
    #[error("the entry cannot be read")]
    Unreadable {
        /// Why.
        #[source]
        cause: FeedError,
    },
    /// It lacks something that an alert cannot do without.
    #[error("the entry has no {element}")]
    Missing {
        /// What.
        element: &'static str,
    },
    /// It is not an entry and its alert, one after the other.
    #[error("it is not an entry with the alert that it holds")]
    NotBoth,
    /// Its status is none that CAP knows: what it may be used for is not known.
    #[error("the entry has the status {status}, which CAP does not know")]
    UnknownStatus {
        /// The term.
        status: String,
    },
}

/// Normalises an entry: the document that a source handed over, an entry or a feed with one.
///
/// # Errors
/// See `EntryError`; such an entry goes to quarantine.
pub fn to_cap(raw: &[u8], settings: &EntrySettings) -> Result<Made, EntryError> {
    let entry = Entry::read(raw).map_err(|cause| EntryError::Unreadable { cause })?;
    document::write(&entry, settings)
}

/// A time as CAP writes it. UTC is `-00:00`: CAP forbids `Z`.
fn cap_time(at: Timestamp) -> String {
    let text = jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S", at).unwrap_or_default();
    format!("{text}-00:00")
}

fn finding(rule: &'static str, message: String) -> Finding {
    let level = if rule == "masas.entry" { Level::Note } else { Level::Warning };
    Finding::new(rule, level, "/alert", message)
}

//! A reader of CAP 1.1 and 1.2, as far as the hub and IPAWS look into an alert. Strict about what
//! makes an alert unusable, by rules of its own; the bridge's reader is another one.

use roxmltree::Node;

use crate::xml::{child, child_text, children, text};

/// CAP 1.1.
pub const CAP_1_1: &str = "urn:oasis:names:tc:emergency:cap:1.1";
/// CAP 1.2.
pub const CAP_1_2: &str = "urn:oasis:names:tc:emergency:cap:1.2";

const STATUSES: [&str; 5] = ["Actual", "Exercise", "System", "Test", "Draft"];
const MESSAGE_TYPES: [&str; 5] = ["Alert", "Update", "Cancel", "Ack", "Error"];
const SCOPES: [&str; 3] = ["Public", "Restricted", "Private"];
const CATEGORIES: [&str; 12] = [
    "Geo",
    "Met",
    "Safety",
    "Security",
    "Rescue",
    "Fire",
    "Health",
    "Env",
    "Transport",
    "Infra",
    "CBRNE",
    "Other",
];
const URGENCIES: [&str; 5] = ["Immediate", "Expected", "Future", "Past", "Unknown"];
const SEVERITIES: [&str; 5] = ["Extreme", "Severe", "Moderate", "Minor", "Unknown"];
const CERTAINTIES: [&str; 5] = ["Observed", "Likely", "Possible", "Unlikely", "Unknown"];

/// Why an alert is refused, in words for the person who posted it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapError {
    /// The root is no alert of a known version.
    #[error("the document is no CAP 1.1 or 1.2 alert")]
    NoAlert,
    /// A required element is missing or empty.
    #[error("the element {0} is missing")]
    Missing(&'static str),
    /// A code is not in its list.
    #[error("the value \"{value}\" is not allowed in {element}")]
    Value {
        /// Element.
        element: &'static str,
        /// What it says.
        value: String,
    },
    /// A time cannot be read.
    #[error("the time in {0} cannot be read")]
    Time(&'static str),
}

/// An alert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alert {
    /// `identifier`.
    pub identifier: String,
    /// `sender`.
    pub sender: String,
    /// `sent`, as written.
    pub sent: String,
    /// `status`.
    pub status: String,
    /// `msgType`.
    pub msg_type: String,
    /// `source`.
    pub source: Option<String>,
    /// `scope`.
    pub scope: String,
    /// `addresses`, split at white space.
    pub addresses: Vec<String>,
    /// `code`, repeated.
    pub codes: Vec<String>,
    /// `references`, split at white space.
    pub references: Vec<String>,
    /// `info`, repeated.
    pub infos: Vec<Info>,
}

/// An `info` block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// `language`, `en-US` if absent.
    pub language: String,
    /// `category`, repeated.
    pub categories: Vec<String>,
    /// `event`.
    pub event: String,
    /// `responseType`, repeated.
    pub response_types: Vec<String>,
    /// `urgency`.
    pub urgency: String,
    /// `severity`.
    pub severity: String,
    /// `certainty`.
    pub certainty: String,
    /// `eventCode` pairs.
    pub event_codes: Vec<(String, String)>,
    /// `expires`, as written.
    pub expires: Option<String>,
    /// `headline`.
    pub headline: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `instruction`.
    pub instruction: Option<String>,
    /// `parameter` pairs, in order.
    pub parameters: Vec<(String, String)>,
    /// `web` and the resources' `uri`.
    pub links: Vec<String>,
    /// `area`, repeated.
    pub areas: Vec<Area>,
}

/// An `area`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Area {
    /// `polygon`, repeated, as written.
    pub polygons: Vec<String>,
    /// `circle`, repeated, as written.
    pub circles: Vec<String>,
    /// `geocode` pairs.
    pub geocodes: Vec<(String, String)>,
}

impl Info {
    /// The values of a parameter, in order.
    pub fn parameter<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of an event code system.
    pub fn event_code<'a>(&'a self, system: &'a str) -> impl Iterator<Item = &'a str> {
        self.event_codes.iter().filter(move |(key, _)| key == system).map(|(_, value)| value.as_str())
    }

    /// All `SAME` geocodes.
    pub fn same(&self) -> impl Iterator<Item = &str> {
        let codes = self.areas.iter().flat_map(|area| &area.geocodes);
        codes.filter(|(key, _)| key == "SAME").map(|(_, value)| value.as_str())
    }
}

impl Alert {
    /// `sender,identifier,sent`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{},{},{}", self.sender, self.identifier, self.sent)
    }

    /// The latest `expires` of the infos.
    #[must_use]
    pub fn expires_at(&self) -> Option<jiff::Timestamp> {
        self.infos.iter().filter_map(|info| crate::clock::instant(info.expires.as_deref()?)).max()
    }

    /// Reads an alert.
    ///
    /// # Errors
    /// If it is no alert, or one that nobody could act on.
    pub fn read(root: Node<'_, '_>) -> Result<Self, CapError> {
        let ns = root.tag_name().namespace().unwrap_or_default();
        if root.tag_name().name() != "alert" || (ns != CAP_1_1 && ns != CAP_1_2) {
            return Err(CapError::NoAlert);
        }
        let required = |name| required(root, ns, name);
        let alert = Self {
            identifier: required("identifier")?,
            sender: required("sender")?,
            sent: required("sent")?,
            status: listed("status", required("status")?, &STATUSES)?,
            msg_type: listed("msgType", required("msgType")?, &MESSAGE_TYPES)?,
            source: child_text(root, ns, "source"),
            scope: listed("scope", required("scope")?, &SCOPES)?,
            addresses: words(root, ns, "addresses"),
            codes: texts(root, ns, "code"),
            references: words(root, ns, "references"),
            infos: children(root, ns, "info")
                .into_iter()
                .map(|info| Info::read(info, ns))
                .collect::<Result<_, _>>()?,
        };
        crate::clock::instant(&alert.sent).ok_or(CapError::Time("sent"))?;
        Ok(alert)
    }
}

impl Info {
    fn read(info: Node<'_, '_>, ns: &str) -> Result<Self, CapError> {
        let categories = texts(info, ns, "category");
        if categories.is_empty() {
            return Err(CapError::Missing("category"));
        }
        for category in &categories {
            listed("category", category.clone(), &CATEGORIES)?;
        }
        let expires = child_text(info, ns, "expires");
        if expires.as_deref().is_some_and(|at| crate::clock::instant(at).is_none()) {
            return Err(CapError::Time("expires"));
        }
        let resources = children(info, ns, "resource");
        let uris = resources.iter().filter_map(|resource| child_text(*resource, ns, "uri"));
        Ok(Self {
            language: child_text(info, ns, "language").unwrap_or_else(|| "en-US".to_owned()),
            categories,
            event: required(info, ns, "event")?,
            response_types: texts(info, ns, "responseType"),
            urgency: listed("urgency", required(info, ns, "urgency")?, &URGENCIES)?,
            severity: listed("severity", required(info, ns, "severity")?, &SEVERITIES)?,
            certainty: listed("certainty", required(info, ns, "certainty")?, &CERTAINTIES)?,
            event_codes: pairs(info, ns, "eventCode"),
            expires,
            headline: child_text(info, ns, "headline"),
            description: child_text(info, ns, "description"),
            instruction: child_text(info, ns, "instruction"),
            parameters: pairs(info, ns, "parameter"),
            links: child_text(info, ns, "web").into_iter().chain(uris).collect(),
            areas: children(info, ns, "area")
                .into_iter()
                .map(|area| Area::read(area, ns))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Area {
    fn read(area: Node<'_, '_>, ns: &str) -> Result<Self, CapError> {
        required(area, ns, "areaDesc")?;
        Ok(Self {
            polygons: texts(area, ns, "polygon"),
            circles: texts(area, ns, "circle"),
            geocodes: pairs(area, ns, "geocode"),
        })
    }
}

fn required(parent: Node<'_, '_>, ns: &str, name: &'static str) -> Result<String, CapError> {
    child_text(parent, ns, name).filter(|text| !text.is_empty()).ok_or(CapError::Missing(name))
}

fn listed(element: &'static str, value: String, list: &[&str]) -> Result<String, CapError> {
    if list.contains(&value.as_str()) { Ok(value) } else { Err(CapError::Value { element, value }) }
}

fn texts(parent: Node<'_, '_>, ns: &str, name: &str) -> Vec<String> {
    children(parent, ns, name).into_iter().map(text).collect()
}

fn words(parent: Node<'_, '_>, ns: &str, name: &str) -> Vec<String> {
    texts(parent, ns, name).iter().flat_map(|list| list.split_ascii_whitespace().map(str::to_owned)).collect()
}

fn pairs(parent: Node<'_, '_>, ns: &str, name: &str) -> Vec<(String, String)> {
    let value_of = |pair, name| child(pair, ns, name).map(text).unwrap_or_default();
    children(parent, ns, name)
        .into_iter()
        .map(|pair| (value_of(pair, "valueName"), value_of(pair, "value")))
        .collect()
}

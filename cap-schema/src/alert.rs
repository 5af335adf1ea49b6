//! `alert` (CAP 1.2 section 3.2.1): the message itself.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::code::{Code, MsgType, Scope, Status};
use crate::info::Info;
use crate::reference::{Reference, read_list};
use crate::time::Time;

/// The version of CAP that a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Version {
    /// CAP 1.0 (2004).
    #[serde(rename = "1.0")]
    V1_0,
    /// CAP 1.1 (2005).
    #[serde(rename = "1.1")]
    V1_1,
    /// CAP 1.2 (2010).
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
}

impl Version {
    /// `1.0`, `1.1` or `1.2`.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V1_0 => "1.0",
            Version::V1_1 => "1.1",
            Version::V1_2 => "1.2",
        }
    }

    /// The version of a namespace. The second form of 1.0 is seen in the wild (INFERRED to mean 1.0).
    pub fn of_namespace(uri: &str) -> Option<Self> {
        match uri {
            "http://www.incident.com/cap/1.0" | "urn:oasis:names:tc:emergency:cap:1.0" => Some(Version::V1_0),
            "urn:oasis:names:tc:emergency:cap:1.1" => Some(Version::V1_1),
            "urn:oasis:names:tc:emergency:cap:1.2" => Some(Version::V1_2),
            _ => None,
        }
    }
}

/// An alert message. Every text is as it was written, entities resolved; optional elements that were empty are absent.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alert<'a> {
    /// The version that was read. What is written is always 1.2.
    pub version: Version,
    /// Unique among the messages of the sender.
    pub identifier: Cow<'a, str>,
    /// Globally unique name of the sender.
    pub sender: Cow<'a, str>,
    /// When the message was made.
    pub sent: Time<'a>,
    /// Appropriate handling.
    pub status: Code<'a, Status>,
    /// Nature of the message.
    pub msg_type: Code<'a, MsgType>,
    /// Particular source: an operator or device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Cow<'a, str>>,
    /// Intended distribution. Absent only in CAP 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Code<'a, Scope>>,
    /// Rule for limiting distribution of a `Restricted` message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restriction: Option<Cow<'a, str>>,
    /// Recipients of a `Private` message, separated by white space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Cow<'a, str>>,
    /// Special handling; profiles and layers are declared here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Cow<'a, str>>,
    /// Purpose or significance; exercise name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Cow<'a, str>>,
    /// `sender,identifier,sent` triples, separated by white space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<Cow<'a, str>>,
    /// Names of incidents, separated by white space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incidents: Option<Cow<'a, str>>,
    /// The infos, one for each language and set of values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info<'a>>,
    /// Enveloped XML signatures and what else of their namespace stands beside them, as written and in order, each a whole
    /// element.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Cow<'a, str>>,
    /// Elements that are not CAP's, as written, each a whole element.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Cow<'a, str>>,
}

impl<'a> Alert<'a> {
    /// The message's own key.
    pub fn reference(&self) -> Reference<'_> {
        Reference {
            sender: Cow::Borrowed(&self.sender),
            identifier: Cow::Borrowed(&self.identifier),
            sent: Cow::Borrowed(self.sent.as_str()),
        }
    }

    /// The messages that it refers to. Pieces that are no triple are findings of `validate`.
    pub fn references(&self) -> Vec<Reference<'_>> {
        self.references.as_deref().map(|text| read_list(text).0).unwrap_or_default()
    }

    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Alert<'static> {
        Alert {
            version: self.version,
            identifier: own(self.identifier),
            sender: own(self.sender),
            sent: self.sent.into_owned(),
            status: self.status.into_owned(),
            msg_type: self.msg_type.into_owned(),
            source: self.source.map(own),
            scope: self.scope.map(Code::into_owned),
            restriction: self.restriction.map(own),
            addresses: self.addresses.map(own),
            code: self.code.into_iter().map(own).collect(),
            note: self.note.map(own),
            references: self.references.map(own),
            incidents: self.incidents.map(own),
            info: self.info.into_iter().map(Info::into_owned).collect(),
            signatures: self.signatures.into_iter().map(own).collect(),
            extensions: self.extensions.into_iter().map(own).collect(),
        }
    }
}

pub(crate) fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

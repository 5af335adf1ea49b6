//! `info` (CAP 1.2 section 3.2.2): what happens, how bad, when, what to do.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::alert::own;
use crate::area::Area;
use crate::code::{Category, Certainty, Code, ResponseType, Severity, Urgency};
use crate::resource::Resource;
use crate::time::Time;

/// A `valueName` and its `value`: event codes, parameters, geocodes. Order and repeats are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedValue<'a> {
    /// The domain of the value.
    pub value_name: Cow<'a, str>,
    /// The value.
    pub value: Cow<'a, str>,
    /// Elements that are not CAP's, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Cow<'a, str>>,
}

impl<'a> NamedValue<'a> {
    /// A pair.
    pub fn new(value_name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        NamedValue { value_name: value_name.into(), value: value.into(), extensions: Vec::new() }
    }

    /// The same without the input's lifetime.
    pub fn into_owned(self) -> NamedValue<'static> {
        NamedValue {
            value_name: own(self.value_name),
            value: own(self.value),
            extensions: self.extensions.into_iter().map(own).collect(),
        }
    }
}

/// One set of values in one language.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Info<'a> {
    /// RFC 3066 language; absent means `en-US`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Cow<'a, str>>,
    /// Kinds of event; at least one, except in CAP 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<Code<'a, Category>>,
    /// Name of the event in the language of the info.
    pub event: Cow<'a, str>,
    /// Recommended actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_type: Vec<Code<'a, ResponseType>>,
    /// Time available to prepare.
    pub urgency: Code<'a, Urgency>,
    /// Intensity of impact.
    pub severity: Code<'a, Severity>,
    /// Confidence.
    pub certainty: Code<'a, Certainty>,
    /// Intended audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Cow<'a, str>>,
    /// Codes of the event in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_code: Vec<NamedValue<'a>>,
    /// When the information takes effect; absent means `sent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Time<'a>>,
    /// When the event is expected to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<Time<'a>>,
    /// When the information ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time<'a>>,
    /// Name of the sender for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<Cow<'a, str>>,
    /// A short headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<Cow<'a, str>>,
    /// What happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<Cow<'a, str>>,
    /// Address of more information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<Cow<'a, str>>,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Cow<'a, str>>,
    /// Values of other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameter: Vec<NamedValue<'a>>,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<Resource<'a>>,
    /// Where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub area: Vec<Area<'a>>,
    /// Elements that are not CAP's, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Cow<'a, str>>,
}

impl Info<'_> {
    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Info<'static> {
        Info {
            language: self.language.map(own),
            category: self.category.into_iter().map(Code::into_owned).collect(),
            event: own(self.event),
            response_type: self.response_type.into_iter().map(Code::into_owned).collect(),
            urgency: self.urgency.into_owned(),
            severity: self.severity.into_owned(),
            certainty: self.certainty.into_owned(),
            audience: self.audience.map(own),
            event_code: self.event_code.into_iter().map(NamedValue::into_owned).collect(),
            effective: self.effective.map(Time::into_owned),
            onset: self.onset.map(Time::into_owned),
            expires: self.expires.map(Time::into_owned),
            sender_name: self.sender_name.map(own),
            headline: self.headline.map(own),
            description: self.description.map(own),
            instruction: self.instruction.map(own),
            web: self.web.map(own),
            contact: self.contact.map(own),
            parameter: self.parameter.into_iter().map(NamedValue::into_owned).collect(),
            resource: self.resource.into_iter().map(Resource::into_owned).collect(),
            area: self.area.into_iter().map(Area::into_owned).collect(),
            extensions: self.extensions.into_iter().map(own).collect(),
        }
    }
}

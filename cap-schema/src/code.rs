//! Code lists of CAP 1.2 section 3.2, one enum each, in the order of the specification.
//!
//! Owns the known values and `Code`, which keeps an unknown one as it was written.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A code list: what all the enums of this module can do.
pub trait CodeList: Copy + Eq + Sized + 'static {
    /// Name of the element.
    const ELEMENT: &'static str;
    /// Every value, in the order of the specification.
    const ALL: &'static [Self];
    /// The text in CAP. Case matters (CAP 1.2 3.2).
    fn as_str(self) -> &'static str;
    /// The value with exactly this text.
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|v| v.as_str() == text)
    }
}

/// A value of a code list, or the text that is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Code<'a, T> {
    /// A value of the list.
    Known(T),
    /// Anything else, as it was written. Empty where a required element is absent.
    Unknown(Cow<'a, str>),
}

impl<'a, T: CodeList> Code<'a, T> {
    /// Reads a text.
    pub fn new(text: Cow<'a, str>) -> Self {
        match T::from_text(&text) {
            Some(known) => Code::Known(known),
            None => Code::Unknown(text),
        }
    }

    /// The text in CAP.
    pub fn as_str(&self) -> &str {
        match self {
            Code::Known(known) => known.as_str(),
            Code::Unknown(text) => text,
        }
    }

    /// The value, if it is one of the list.
    pub fn known(&self) -> Option<T> {
        match self {
            Code::Known(known) => Some(*known),
            Code::Unknown(_) => None,
        }
    }

    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Code<'static, T> {
        match self {
            Code::Known(known) => Code::Known(known),
            Code::Unknown(text) => Code::Unknown(Cow::Owned(text.into_owned())),
        }
    }
}

impl<T: CodeList> Serialize for Code<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: CodeList> Deserialize<'de> for Code<'_, T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Code::new(Cow::Owned(text)))
    }
}

impl<T> Default for Code<'_, T> {
    fn default() -> Self {
        Code::Unknown(Cow::Borrowed(""))
    }
}

impl<T: CodeList> fmt::Display for Code<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T> From<T> for Code<'_, T> {
    fn from(value: T) -> Self {
        Code::Known(value)
    }
}

macro_rules! code_list {
    ($(#[$doc:meta])* $name:ident, $element:literal, { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }
        impl CodeList for $name {
            const ELEMENT: &'static str = $element;
            const ALL: &'static [Self] = &[$($name::$variant),+];
            fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code_list!(
    /// `alert/status`: the appropriate handling of the message.
    Status, "status", {
        /// Actionable by all targeted recipients.
        Actual = "Actual",
        /// Actionable only by designated exercise participants.
        Exercise = "Exercise",
        /// Supports functions inside alert networks.
        System = "System",
        /// Technical testing; recipients disregard it.
        Test = "Test",
        /// A template, not actionable.
        Draft = "Draft",
    }
);
code_list!(
    /// `alert/msgType`: the nature of the message.
    MsgType, "msgType", {
        /// Initial information that requires attention.
        Alert = "Alert",
        /// Updates and supersedes the referenced messages.
        Update = "Update",
        /// Cancels the referenced messages.
        Cancel = "Cancel",
        /// Acknowledges receipt and acceptance of the referenced messages.
        Ack = "Ack",
        /// Rejects the referenced messages.
        Error = "Error",
    }
);
code_list!(
    /// `alert/scope`: the intended distribution.
    Scope, "scope", {
        /// General dissemination.
        Public = "Public",
        /// Users with a known operational requirement.
        Restricted = "Restricted",
        /// The specified addresses.
        Private = "Private",
    }
);
code_list!(
    /// `info/category`: the kind of event.
    Category, "category", {
        /// Geophysical, landslide included.
        Geo = "Geo",
        /// Meteorological, flood included.
        Met = "Met",
        /// General emergency and public safety.
        Safety = "Safety",
        /// Law enforcement, military, homeland and private security.
        Security = "Security",
        /// Rescue and recovery.
        Rescue = "Rescue",
        /// Fire suppression and rescue.
        Fire = "Fire",
        /// Medical and public health.
        Health = "Health",
        /// Pollution and other environmental.
        Env = "Env",
        /// Public and private transportation.
        Transport = "Transport",
        /// Utility, telecommunication, other non-transport infrastructure.
        Infra = "Infra",
        /// Chemical, biological, radiological, nuclear or high-yield explosive threat or attack.
        Cbrne = "CBRNE",
        /// Other events.
        Other = "Other",
    }
);
code_list!(
    /// `info/responseType`: the recommended action.
    ResponseType, "responseType", {
        /// Take shelter in place or per instruction.
        Shelter = "Shelter",
        /// Relocate as instructed.
        Evacuate = "Evacuate",
        /// Make preparations.
        Prepare = "Prepare",
        /// Execute a pre-planned activity.
        Execute = "Execute",
        /// Avoid the subject event.
        Avoid = "Avoid",
        /// Attend to information sources.
        Monitor = "Monitor",
        /// Evaluate the information; not for public warnings.
        Assess = "Assess",
        /// The event no longer poses a threat.
        AllClear = "AllClear",
        /// No action recommended.
        None = "None",
    }
);
code_list!(
    /// `info/urgency`: the time available to prepare. The first is the most urgent.
    Urgency, "urgency", {
        /// Act immediately.
        Immediate = "Immediate",
        /// Act soon, within the next hour.
        Expected = "Expected",
        /// Act in the near future.
        Future = "Future",
        /// Action is no longer required.
        Past = "Past",
        /// Not known.
        Unknown = "Unknown",
    }
);
code_list!(
    /// `info/severity`: the intensity of impact. The first is the most severe.
    Severity, "severity", {
        /// Extraordinary threat to life or property.
        Extreme = "Extreme",
        /// Significant threat.
        Severe = "Severe",
        /// Possible threat.
        Moderate = "Moderate",
        /// Minimal to no known threat.
        Minor = "Minor",
        /// Not known.
        Unknown = "Unknown",
    }
);
code_list!(
    /// `info/certainty`: confidence in the observation or prediction.
    Certainty, "certainty", {
        /// Occurred or ongoing.
        Observed = "Observed",
        /// More likely than not.
        Likely = "Likely",
        /// Possible but not likely.
        Possible = "Possible",
        /// Not expected to occur.
        Unlikely = "Unlikely",
        /// Not known.
        Unknown = "Unknown",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_and_other_case_are_kept_as_text() {
        for (text, known) in [("Actual", true), ("actual", false), (" Actual ", false), ("", false)] {
            let code: Code<'_, Status> = Code::new(Cow::Borrowed(text));
            assert_eq!(code.known().is_some(), known, "{text:?}");
            assert_eq!(code.as_str(), text);
        }
    }
}

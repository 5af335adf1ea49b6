//! `info`: what happens, how bad, when, what to do.

use super::text::{AbsoluteUri, Language, Pair, Text};
use super::{AreaBuilder, Moment, ResourceBuilder};
use crate::code::{Category, Certainty, Code, ResponseType, Severity, Urgency};
use crate::info::Info;

/// How soon, how bad, how sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Triple {
    /// Time available to prepare.
    pub urgency: Urgency,
    /// Intensity of impact.
    pub severity: Severity,
    /// Confidence.
    pub certainty: Certainty,
}

/// An info in the making.
///
/// ```
/// use cap_schema::build::{InfoBuilder, Language, Text, Triple};
/// use cap_schema::{Category, Certainty, ResponseType, Severity, Urgency};
/// let triple =
///     Triple { urgency: Urgency::Expected, severity: Severity::Severe, certainty: Certainty::Likely };
/// let info = InfoBuilder::new(Language::new("en-CA")?, Category::Met, Text::new("High wind")?, triple)
///     .expires("2026-03-01T16:00:00-05:00".parse()?)
///     .response_type(ResponseType::Shelter)
///     .instruction(Text::new("Stay inside.")?)
///     .build();
/// assert_eq!(info.event, "High wind");
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InfoBuilder(Info<'static>);

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty => $field:ident, $into:ident;)+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, value: $kind) -> Self {
                self.0.$field = Some(value.$into());
                self
            }
        )+
    };
}

impl InfoBuilder {
    /// With what every info says, in a language.
    pub fn new(language: Language, category: Category, event: Text, triple: Triple) -> Self {
        InfoBuilder(Info {
            language: Some(language.into_cow()),
            category: vec![Code::Known(category)],
            event: event.into_cow(),
            urgency: Code::Known(triple.urgency),
            severity: Code::Known(triple.severity),
            certainty: Code::Known(triple.certainty),
            ..Info::default()
        })
    }

    /// Adds a kind of event.
    #[must_use]
    pub fn category(mut self, category: Category) -> Self {
        self.0.category.push(Code::Known(category));
        self
    }

    /// Adds a recommended action.
    #[must_use]
    pub fn response_type(mut self, response_type: ResponseType) -> Self {
        self.0.response_type.push(Code::Known(response_type));
        self
    }

    /// Adds the code of the event in another system.
    #[must_use]
    pub fn event_code(mut self, code: Pair) -> Self {
        self.0.event_code.push(code.into_named());
        self
    }

    /// Adds a value of another system.
    #[must_use]
    pub fn parameter(mut self, parameter: Pair) -> Self {
        self.0.parameter.push(parameter.into_named());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn resource(mut self, resource: ResourceBuilder) -> Self {
        self.0.resource.push(resource.build());
        self
    }

    /// Adds a place.
    #[must_use]
    pub fn area(mut self, area: AreaBuilder) -> Self {
        self.0.area.push(area.build());
        self
    }

    setters! {
        /// Intended audience.
        audience: Text => audience, into_cow;
        /// When the information takes effect.
        effective: Moment => effective, into_time;
        /// When the event is expected to begin.
        onset: Moment => onset, into_time;
        /// When the information ends.
        expires: Moment => expires, into_time;
        /// Name of the sender for people.
        sender_name: Text => sender_name, into_cow;
        /// A short headline; 160 characters are a useful target.
        headline: Text => headline, into_cow;
        /// What happens.
        description: Text => description, into_cow;
        /// What to do.
        instruction: Text => instruction, into_cow;
        /// Address of more information.
        web: AbsoluteUri => web, into_cow;
        /// Whom to ask.
        contact: Text => contact, into_cow;
    }

    /// The info.
    pub fn build(self) -> Info<'static> {
        self.0
    }
}

//! `alert`: the message itself.

use super::text::{CodeText, Text};
use super::{Addresses, BuildError, Distribution, Identity, InfoBuilder, Message};
use crate::alert::Alert;
use crate::code::{Code, Status};
use crate::limits::Limits;
use crate::write::write;

/// An alert in the making.
///
/// ```
/// use cap_schema::build::{
///     AlertBuilder, AreaBuilder, Distribution, Identity, InfoBuilder, Language, Message, References, Ring, Text,
///     Triple,
/// };
/// use cap_schema::{Category, Certainty, Level, Profile, Severity, Status, Urgency, validate, write};
///
/// let first = Identity::new("desk@alerts.example", "on-1", "2026-03-01T10:00:00-05:00")?;
/// let second = Identity::new("desk@alerts.example", "on-2", "2026-03-01T11:00:00-05:00")?;
/// let triple =
///     Triple { urgency: Urgency::Immediate, severity: Severity::Severe, certainty: Certainty::Observed };
/// let shore = AreaBuilder::new(Text::new("The shore")?)
///     .ring(Ring::of_text("42.9,-82.5 43.0,-82.5 43.0,-82.4 42.9,-82.5")?);
/// let wind = InfoBuilder::new(Language::new("en-CA")?, Category::Met, Text::new("High wind")?, triple)
///     .expires("2026-03-01T16:00:00-05:00".parse()?)
///     .area(shore);
/// let update = Message::Update(References::new(vec![first])?);
/// let alert = AlertBuilder::new(second, Status::Actual, update, Distribution::Public)
///     .info(wind)
///     .build()?;
/// assert!(validate(&alert, Profile::Cap).iter().all(|f| f.level != Level::Error));
/// assert!(write(&alert).contains("<references>desk@alerts.example,on-1,2026-03-01T10:00:00-05:00</references>"));
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
///
/// What is required is asked for by the constructors, so that this does not compile:
///
/// ```compile_fail
/// use cap_schema::Status;
/// use cap_schema::build::{AlertBuilder, Distribution, Identity};
/// let identity = Identity::new("desk@alerts.example", "on-1", "2026-03-01T10:00:00-05:00").unwrap();
/// AlertBuilder::new(identity, Status::Actual, Distribution::Public);
/// ```
#[derive(Clone, Debug)]
pub struct AlertBuilder {
    identity: Identity,
    message: Message,
    alert: Alert<'static>,
}

impl AlertBuilder {
    /// With what every message says.
    pub fn new(identity: Identity, status: Status, message: Message, distribution: Distribution) -> Self {
        let mut alert = Alert {
            identifier: identity.identifier.clone().into_cow(),
            sender: identity.sender.clone().into_cow(),
            sent: identity.sent.clone().into_time(),
            status: Code::Known(status),
            msg_type: Code::Known(message.kind()),
            scope: Some(Code::Known(distribution.scope())),
            references: message.references().map(|list| list.text().into()),
            ..Alert::default()
        };
        match distribution {
            Distribution::Public => {}
            Distribution::Restricted(rule) => alert.restriction = Some(rule.into_cow()),
            Distribution::Private(addresses) => alert.addresses = Some(addresses.to_string().into()),
        }
        match &message {
            Message::Error { reason, .. } => alert.note = Some(reason.clone().into_cow()),
            Message::Alert | Message::Update(_) | Message::Cancel(_) | Message::Ack(_) => {}
        }
        AlertBuilder { identity, message, alert }
    }

    /// The operator or device that it comes from.
    #[must_use]
    pub fn source(mut self, source: Text) -> Self {
        self.alert.source = Some(source.into_cow());
        self
    }

    /// Adds a code for special handling; profiles and layers are declared so.
    #[must_use]
    pub fn code(mut self, code: CodeText) -> Self {
        self.alert.code.push(code.into_cow());
        self
    }

    /// Purpose or significance; an Exercise says here which one it is.
    #[must_use]
    pub fn note(mut self, note: Text) -> Self {
        self.alert.note = Some(note.into_cow());
        self
    }

    /// Names of the incidents that it belongs to.
    #[must_use]
    pub fn incidents(mut self, names: Addresses) -> Self {
        self.alert.incidents = Some(names.to_string().into());
        self
    }

    /// Adds an info.
    #[must_use]
    pub fn info(mut self, info: InfoBuilder) -> Self {
        self.alert.info.push(info.build());
        self
    }

    /// The alert.
    ///
    /// # Errors
    /// What no part can see: the message refers to itself, or has more infos, areas, elements or bytes than a reader takes
    /// (`Limits::default`).
    pub fn build(self) -> Result<Alert<'static>, BuildError> {
        if self.message.references().is_some_and(|list| list.contains(&self.identity)) {
            return Err(BuildError::SelfReference);
        }
        let limits = Limits::default();
        let at_most = |what: &'static str, have: usize, limit: usize| {
            if have > limit { Err(BuildError::TooMany { what, have, limit }) } else { Ok(()) }
        };
        at_most("infos", self.alert.info.len(), limits.infos)?;
        for info in &self.alert.info {
            at_most("areas", info.area.len(), limits.areas)?;
        }
        let written = write(&self.alert);
        at_most("bytes", written.len(), limits.document_bytes)?;
        at_most("elements", written.matches("</").count(), limits.elements)?;
        Ok(self.alert)
    }
}

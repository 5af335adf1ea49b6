//! The right to hand one message to one endpoint.
//!
//! Owns the three things that must never happen, as a type: an exercise message at a live endpoint, a message
//! back at the system that it came from, and non-public content on a public channel. A `Passage` exists only
//! where none of the three holds, and an `Outbound` cannot be built without one.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::class::{Cleared, ExerciseId, Relayable};

/// The configured name of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(pub String);

/// The configured name of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointName(pub String);

/// The outside system that a source reads or an endpoint writes, such as one MASAS hub or one IPAWS environment.
/// Two configured things with the same system name are two sides of the same system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemName(pub String);

macro_rules! shown_by_name {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
shown_by_name!(Origin, EndpointName, SystemName);

/// Who a message is meant for (CAP 1.2 scope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// For general dissemination.
    Public,
    /// For users with a known operational requirement.
    Restricted,
    /// For the addresses that the message names.
    Private,
}

/// Whom an endpoint reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Registered responders only.
    Responders,
    /// The general public, directly or through others.
    Public,
}

/// An endpoint as the routing sees it: of one class, writing to one system, reaching one kind of people.
#[derive(Clone, Debug)]
pub struct Destination<C: Relayable> {
    /// The configured name.
    pub endpoint: EndpointName,
    /// The system that it writes to.
    pub system: SystemName,
    /// Whom it reaches.
    pub reach: Reach,
    /// Whether it may get `Restricted` content. `Private` content is for `addresses` only.
    pub restricted: bool,
    /// Addresses (CAP `addresses`) that this endpoint stands for.
    pub addresses: Vec<String>,
    exercise: Option<ExerciseId>,
    class: PhantomData<C>,
}

impl<C: Relayable> Destination<C> {
    /// A destination that reaches responders and takes public content only, until told otherwise.
    pub fn new(endpoint: EndpointName, system: SystemName, exercise: Option<ExerciseId>) -> Self {
        Destination {
            endpoint,
            system,
            reach: Reach::Responders,
            restricted: false,
            addresses: Vec::new(),
            exercise,
            class: PhantomData,
        }
    }

    /// The exercise that the endpoint belongs to.
    pub fn exercise(&self) -> Option<&ExerciseId> {
        self.exercise.as_ref()
    }
}

/// Why a message may not go to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Barred {
    /// The endpoint writes to the system that the message came from.
    #[error("the message came from the system that this endpoint writes to")]
    SameSystem,
    /// The endpoint belongs to another exercise.
    #[error("the endpoint belongs to another exercise")]
    OtherExercise,
    /// Restricted content and an endpoint that is not entitled to it, or that reaches the public.
    #[error("restricted content, and the endpoint is not entitled to it")]
    Restricted,
    /// Private content that does not name this endpoint, or an endpoint that reaches the public.
    #[error("private content that does not name this endpoint")]
    Private,
}

/// Where a message comes from and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The source.
    pub origin: Origin,
    /// The system behind the source.
    pub system: SystemName,
    /// The CAP scope.
    pub audience: Audience,
    /// The CAP addresses.
    pub addresses: Vec<String>,
    /// The other ways by which the same message came, in order of arrival. It returns by none of them.
    #[serde(default)]
    pub also: Vec<Sighting>,
}

impl Provenance {
    /// Every source that brought the message, the first one first.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.origin).chain(self.also.iter().map(|s| &s.origin))
    }

    /// Whether the message came from this system, by any way.
    pub fn is_from(&self, system: &SystemName) -> bool {
        self.system == *system || self.also.iter().any(|s| s.system == *system)
    }
}

/// A second way by which a message came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The source.
    pub origin: Origin,
    /// The system behind the source.
    pub system: SystemName,
}

/// Proof that a message of class `C` may go to one endpoint.
#[derive(Clone, Debug)]
pub struct Passage<C: Relayable> {
    endpoint: EndpointName,
    class: PhantomData<C>,
}

impl<C: Relayable> Passage<C> {
    /// Opens the passage, or says why it stays shut.
    ///
    /// # Errors
    /// The first reason that bars the message from the destination.
    pub fn open(cleared: &Cleared<C>, from: &Provenance, to: &Destination<C>) -> Result<Self, Barred> {
        may_meet(cleared, from, to)?;
        match (from.audience, to.reach) {
            (Audience::Public, Reach::Responders | Reach::Public) => {}
            (Audience::Restricted, Reach::Responders) if to.restricted => {}
            (Audience::Restricted, Reach::Responders | Reach::Public) => return Err(Barred::Restricted),
            (Audience::Private, Reach::Responders) if names(&from.addresses, &to.addresses) => {}
            (Audience::Private, Reach::Responders | Reach::Public) => return Err(Barred::Private),
        }
        Ok(Passage { endpoint: to.endpoint.clone(), class: PhantomData })
    }

    /// The endpoint that this passage leads to.
    pub fn endpoint(&self) -> &EndpointName {
        &self.endpoint
    }
}

/// Whatever the message says: an exercise stays by itself, and nothing goes back to where it came from.
fn may_meet<C: Relayable>(
    cleared: &Cleared<C>,
    from: &Provenance,
    to: &Destination<C>,
) -> Result<(), Barred> {
    if from.is_from(&to.system) {
        return Err(Barred::SameSystem);
    }
    if cleared.exercise() == to.exercise() { Ok(()) } else { Err(Barred::OtherExercise) }
}

/// Proof that one endpoint may be told that what it holds has ended, by a message whose content is not for it. Nothing
/// of that message goes along: see `Outbound::end`.
#[derive(Clone, Debug)]
pub struct EndPassage<C: Relayable>(Passage<C>);

impl<C: Relayable> EndPassage<C> {
    /// Opens the passage whatever the audience of the message is, or says why it stays shut.
    ///
    /// # Errors
    /// The message came from the system of the destination, or belongs to another exercise.
    pub fn open(cleared: &Cleared<C>, from: &Provenance, to: &Destination<C>) -> Result<Self, Barred> {
        may_meet(cleared, from, to)?;
        Ok(EndPassage(Passage { endpoint: to.endpoint.clone(), class: PhantomData }))
    }

    pub(crate) fn into_passage(self) -> Passage<C> {
        self.0
    }
}

fn names(message: &[String], endpoint: &[String]) -> bool {
    endpoint.iter().any(|own| message.contains(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::{Class, Classified, Clearance, Live};

    fn live() -> Cleared<Live> {
        match Classified::new(Class::Live, None).clear() {
            Clearance::Live(cleared) => cleared,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn passages_open_only_where_nothing_bars_them() {
        let from = |audience, addresses: &[&str]| Provenance {
            origin: Origin("hub".into()),
            system: SystemName("masas".into()),
            audience,
            addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
            also: vec![Sighting { origin: Origin("mirror".into()), system: SystemName("naad".into()) }],
        };
        let to = |system: &str, reach, restricted| {
            let mut d = Destination::<Live>::new(EndpointName("e".into()), SystemName(system.into()), None);
            d.reach = reach;
            d.restricted = restricted;
            d.addresses = vec!["200032".into()];
            d
        };
        use Audience::{Private, Public, Restricted};
        let cases = [
            (from(Public, &[]), to("ipaws", Reach::Public, false), None),
            (from(Public, &[]), to("masas", Reach::Public, false), Some(Barred::SameSystem)),
            (from(Public, &[]), to("naad", Reach::Public, false), Some(Barred::SameSystem)),
            (from(Restricted, &[]), to("ipaws", Reach::Responders, true), None),
            (from(Restricted, &[]), to("ipaws", Reach::Responders, false), Some(Barred::Restricted)),
            (from(Restricted, &[]), to("ipaws", Reach::Public, true), Some(Barred::Restricted)),
            (from(Private, &["200032"]), to("ipaws", Reach::Responders, true), None),
            (from(Private, &["x"]), to("ipaws", Reach::Responders, true), Some(Barred::Private)),
            (from(Private, &["200032"]), to("ipaws", Reach::Public, true), Some(Barred::Private)),
        ];
        for (from, to, expected) in cases {
            assert_eq!(Passage::open(&live(), &from, &to).err(), expected, "{from:?} -> {to:?}");
            let of_an_end = expected.filter(|barred| *barred == Barred::SameSystem);
            assert_eq!(EndPassage::open(&live(), &from, &to).err(), of_an_end, "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn one_exercise_does_not_reach_another() {
        let cleared = match Classified::new(Class::Exercise, Some(ExerciseId("cause-6".into()))).clear() {
            Clearance::Exercise(cleared) => cleared,
            other => panic!("{other:?}"),
        };
        let from = Provenance {
            origin: Origin("hub".into()),
            system: SystemName("masas-exercise".into()),
            audience: Audience::Public,
            addresses: vec![],
            also: vec![],
        };
        for (exercise, open) in [(Some("cause-6"), true), (Some("other"), false), (None, false)] {
            let to = Destination::new(
                EndpointName("e".into()),
                SystemName("w".into()),
                exercise.map(|e| ExerciseId(e.into())),
            );
            assert_eq!(Passage::open(&cleared, &from, &to).is_ok(), open, "{exercise:?}");
        }
    }
}

//! The class lattice: Live > Exercise > Test > Internal.
//!
//! Owns what a message may be used for and the only way to lower it. There is no way to raise it, and nothing
//! here can be turned into a `Cleared<Live>` except a message that was Live in everything that bears on it.
//! Sources: CAP 1.2 section 3.2.1 (status), reliability rules drawn from false-alert incidents.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// What a message may be used for, from least to most. `Ord` follows the lattice, so `min` lowers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// System and Draft messages: kept, shown, never relayed.
    Internal,
    /// Technical tests: only to endpoints that ask for tests.
    Test,
    /// Exercise traffic: only to endpoints of the same exercise.
    Exercise,
    /// Real alerts.
    Live,
}

impl Class {
    /// The lower-case name, as in configuration, logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Internal => "internal",
            Class::Test => "test",
            Class::Exercise => "exercise",
            Class::Live => "live",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of an exercise. Messages of one exercise never reach the endpoints of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExerciseId(pub String);

impl fmt::Display for ExerciseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A class together with the exercise that it belongs to. Starts as high as the caller says and only goes down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classified {
    class: Class,
    exercise: Option<ExerciseId>,
}

impl Classified {
    /// Starts at `class`. The exercise is that of the source, if the source is one of an exercise.
    pub fn new(class: Class, exercise: Option<ExerciseId>) -> Self {
        Classified { class, exercise }
    }

    /// The same message, at most `ceiling`.
    #[must_use]
    pub fn lower(self, ceiling: Class) -> Self {
        Classified { class: self.class.min(ceiling), exercise: self.exercise }
    }

    /// The class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The exercise of the source that the message came from.
    pub fn exercise(&self) -> Option<&ExerciseId> {
        self.exercise.as_ref()
    }

    /// The typed clearance that a `Passage` is made of.
    pub fn clear(&self) -> Clearance {
        match self.class {
            Class::Live => Clearance::Live(Cleared::new(None)),
            Class::Exercise => Clearance::Exercise(Cleared::new(self.exercise.clone())),
            Class::Test => Clearance::Test(Cleared::new(None)),
            Class::Internal => Clearance::Internal,
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A class as a type. Sealed: there are three.
pub trait Relayable: sealed::Sealed + Send + Sync + 'static {
    /// The class that the type stands for.
    const CLASS: Class;
}

macro_rules! relayable {
    ($($(#[$doc:meta])* $name:ident),+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Relayable for $name {
            const CLASS: Class = Class::$name;
        }
    )+};
}
relayable!(
    /// Real alerts, for production endpoints.
    Live,
    /// Exercise traffic, for endpoints of one exercise.
    Exercise,
    /// Technical tests.
    Test
);

/// Proof that a message has class `C`. Only `Classified::clear` makes one.
#[derive(Clone, Debug)]
pub struct Cleared<C: Relayable> {
    exercise: Option<ExerciseId>,
    class: PhantomData<C>,
}

impl<C: Relayable> Cleared<C> {
    fn new(exercise: Option<ExerciseId>) -> Self {
        Cleared { exercise, class: PhantomData }
    }

    /// The exercise, for exercise traffic.
    pub fn exercise(&self) -> Option<&ExerciseId> {
        self.exercise.as_ref()
    }
}

/// What a message was cleared for.
#[derive(Clone, Debug)]
pub enum Clearance {
    /// A real alert.
    Live(Cleared<Live>),
    /// Exercise traffic.
    Exercise(Cleared<Exercise>),
    /// A technical test.
    Test(Cleared<Test>),
    /// Never relayed.
    Internal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_only_goes_down() {
        let all = [Class::Internal, Class::Test, Class::Exercise, Class::Live];
        for from in all {
            for ceiling in all {
                let after = Classified::new(from, None).lower(ceiling).class();
                assert!(after <= from && after <= ceiling, "{from} lowered by {ceiling} became {after}");
            }
        }
    }

    #[test]
    fn only_a_live_message_is_cleared_as_live() {
        for class in [Class::Internal, Class::Test, Class::Exercise] {
            assert!(!matches!(Classified::new(class, None).clear(), Clearance::Live(_)));
        }
        assert!(matches!(Classified::new(Class::Live, None).clear(), Clearance::Live(_)));
    }
}

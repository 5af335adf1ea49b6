//! The audit log as it is read: in pages, from either end.

use super::Event;

/// An entry and its place. Places are texts of the engine; those of an earlier entry stay what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its place.
    pub place: String,
    /// The entry.
    pub event: Event,
}

/// Which entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSpan {
    /// Those behind a place, oldest first.
    After(String),
    /// Those before a place, or all; newest first.
    Before(Option<String>),
}

impl LogSpan {
    /// The entries that follow one of these, in the same direction.
    #[must_use]
    pub fn behind(&self, place: &str) -> Self {
        match self {
            LogSpan::After(_) => LogSpan::After(place.to_owned()),
            LogSpan::Before(_) => LogSpan::Before(Some(place.to_owned())),
        }
    }
}

//! A responder: who is told.

use capbridge_adapters::class::Class;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Name;

/// What is kept of a responder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Responder {
    /// Version of this document.
    pub v: u8,
    /// Its name.
    pub name: Name,
    /// Who it is, in words.
    pub title: String,
    /// Whom to call when its endpoints fail.
    pub contact: Option<String>,
    /// The classes that its own tokens may register endpoints for.
    pub classes: Vec<Class>,
    /// The sources that its own tokens may subscribe to.
    pub sources: Vec<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was removed.
    pub ended_at: Option<Timestamp>,
}

/// What a responder is to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponderOrder {
    /// Its name.
    pub name: Name,
    /// Who it is, in words.
    pub title: String,
    /// Whom to call when its endpoints fail.
    #[serde(default)]
    pub contact: Option<String>,
    /// The classes that its own tokens may register endpoints for; none unless named.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// The sources that its own tokens may subscribe to; none unless named.
    #[serde(default)]
    pub sources: Vec<String>,
}

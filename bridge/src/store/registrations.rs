//! Registration documents as both engines keep them: versioned texts that are written by compare-and-set.
//!
//! Owns their shape. The store knows nothing of what is in them (`registration` does): so a new kind of document needs no
//! new step. Nothing is ever deleted: what ends says so in its document, and its name stays known.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One address of a responder.
    Endpoint,
    /// Who is told.
    Responder,
    /// Whether an endpoint is paused or asked never to be called again; of endpoints of the file, too.
    Standing,
    /// What an endpoint wants.
    Subscription,
    /// Who may ask the admin socket.
    Token,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] =
        [Kind::Endpoint, Kind::Responder, Kind::Standing, Kind::Subscription, Kind::Token];

    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Endpoint => "endpoint",
            Kind::Responder => "responder",
            Kind::Standing => "standing",
            Kind::Subscription => "subscription",
            Kind::Token => "token",
        }
    }

    /// The kind by its name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A document that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is about.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub name: String,
    /// The document: JSON with a version of its own.
    pub body: Value,
}

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// What it is about: the name of a `Kind`, or one of a newer program.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// When it was written last, in an order over all documents from 1: no two have the same.
    pub revision: u64,
    /// The document.
    pub body: Value,
}

//! Whether an endpoint is called: paused by somebody, or ended by its own 410 (docs/delivery.md, D-19).
//!
//! Owns what outlives a restart of this, for endpoints of the file and registered ones alike.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::relay::gates;

/// What is kept of how an endpoint stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Version of this document.
    pub v: u8,
    /// Who paused it, and why.
    pub paused: Option<Pause>,
    /// When it asked never to be called again.
    pub gone_at: Option<Timestamp>,
    /// How often somebody resumed it.
    pub resumed: u64,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Standing {
    /// As the gates of the relay take it.
    pub fn at_the_gate(&self) -> gates::Standing {
        gates::Standing { paused: self.paused.is_some(), gone: self.gone_at.is_some(), resumed: self.resumed }
    }
}

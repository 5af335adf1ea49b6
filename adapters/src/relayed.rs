//! The JSON document that the bridge makes for endpoints that ask for `BodyForm::Json`, as an adapter reads it.
//!
//! Owns the names of its fields on the reading side. Must not know how it is made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_schema::MsgType;
use serde::Deserialize;

use crate::class::{Class, ExerciseId};

/// The document: Standard Webhooks' `timestamp` and `data`.
#[derive(Clone, Debug, Deserialize)]
pub struct Relayed {
    /// When the message was made, RFC 3339.
    pub timestamp: jiff::Timestamp,
    /// The alert and what is known of it.
    pub data: RelayedData,
}

/// The alert and what is known of it.
#[derive(Clone, Debug, Deserialize)]
pub struct RelayedData {
    /// What the message may be used for.
    pub usage: Usage,
    /// CAP `msgType`.
    pub msg_type: MsgType,
    /// The message's own reference.
    pub reference: String,
    cap: String,
    cap_encoding: String,
    /// Where it comes from.
    pub trail: Trail,
}

/// What a message may be used for.
#[derive(Clone, Debug, Deserialize)]
pub struct Usage {
    /// The class, which can be lower than the `status` in the CAP document says.
    pub class: Class,
    /// The exercise that it belongs to.
    pub exercise: Option<ExerciseId>,
}

/// Where a message comes from.
#[derive(Clone, Debug, Deserialize)]
pub struct Trail {
    /// The configured name of the source.
    pub origin: String,
    /// The outside system behind it.
    pub system: String,
    /// The reference of the original.
    pub reference: String,
    /// Whether the CAP document is a translation.
    pub translated: bool,
}

/// A document that is not what the bridge makes.
#[derive(Debug, thiserror::Error)]
pub enum RelayedError {
    /// Not the fields.
    #[error("the body is not a relayed alert")]
    Shape {
        /// What JSON said.
        #[source]
        cause: serde_json::Error,
    },
    /// The CAP document inside cannot be had.
    #[error("the CAP document inside the body cannot be decoded")]
    Encoding,
}

impl Relayed {
    /// Reads a body.
    ///
    /// # Errors
    /// It is not one of the bridge.
    pub fn read(body: &[u8]) -> Result<Self, RelayedError> {
        serde_json::from_slice(body).map_err(|cause| RelayedError::Shape { cause })
    }

    /// The bytes of the CAP document.
    ///
    /// # Errors
    /// Not encoded as it says.
    pub fn cap(&self) -> Result<Vec<u8>, RelayedError> {
        match self.data.cap_encoding.as_str() {
            "utf-8" => Ok(self.data.cap.clone().into_bytes()),
            "base64" => STANDARD.decode(&self.data.cap).map_err(|_| RelayedError::Encoding),
            _ => Err(RelayedError::Encoding),
        }
    }
}

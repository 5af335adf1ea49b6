//! What must hold for any input: one function for each target of `make fuzz`.
//!
//! Owns the properties, so that libFuzzer and the run over the seeds check the same. A target panics where one does not
//! hold; that is its only way to speak.
#![expect(clippy::unwrap_used, reason = "a target panics where a property does not hold")]

mod signature;
mod text;
mod xml;

pub use signature::signature;
pub use text::{geometry, references, time};
pub use xml::{parser, split};

/// What checks one input.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("geometry", geometry),
    ("parser", parser),
    ("references", references),
    ("signature", signature),
    ("split", split),
    ("time", time),
];

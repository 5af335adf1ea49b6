//! Simulators of the systems that capbridge talks to, for rehearsals and for tests.
//!
//! They are written from what is known of each system (see `docs/exercises.md`) and share no code
//! with the adapters: a mistake believed by both would hide. They read XML with another parser than
//! the bridge and canonicalise and verify signatures with code of their own; IPAWS-OPEN also asks the
//! schema crate, after its own checks.

pub mod c14n;
pub mod cap;
pub mod clock;
pub mod demo;
pub mod geometry;
pub mod ipaws_open;
pub mod keys;
pub mod masas_hub;
pub mod mischief;
pub mod program;
pub mod responder;
pub mod server;
pub mod signature;
pub mod xml;

pub use clock::Clock;
pub use ipaws_open::IpawsOpen;
pub use masas_hub::MasasHub;
pub use mischief::{Fault, Mischief};
pub use responder::Responder;
pub use server::{Answer, Request, Running, Site};

//! Stage 7: the relay. In order per (endpoint, chain), at least once, with the same id.
//!
//! Owns the delivery state machine: queued → attempting → delivered | waiting | dead | expired (docs/delivery.md).

pub mod attempt;
pub mod breaker;
mod conclusion;
pub mod dead_letter;
pub mod expiry;
pub mod gates;
pub mod reissue;
pub mod retry;
pub mod stampings;
pub mod under_way;
pub mod worker;

pub use under_way::UnderWay;
pub use worker::Relay;

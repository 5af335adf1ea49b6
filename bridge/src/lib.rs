//! The bridge: pipeline, translation, store, relay.
//!
//! The daemon is the only user of this library besides the tests. See ARCHITECTURE.md for the map.

pub mod audit;
pub mod envelope;
pub mod store;
pub mod translate;

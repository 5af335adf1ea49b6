//! The bridge: pipeline, translation, store, relay.
//!
//! The daemon is the only user of this library besides the tests. See ARCHITECTURE.md for the map.

pub mod admin;
pub mod audit;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contact;
pub mod credentials;
pub mod daemon;
pub mod envelope;
pub mod feeds;
pub mod health;
pub mod patience;
pub mod pipeline;
pub mod proving;
pub mod registration;
pub mod relay;
pub mod rendering;
pub mod routes;
pub mod settings;
pub mod store;
pub mod streams;
pub mod telemetry;
pub mod translate;
pub mod wire;

//! The outside world, one module per agency or protocol.
//!
//! Owns the two ports (`source`, `endpoint`), the types that make forbidden deliveries impossible (`class`,
//! `passage`) and the adapters. Must not know the store, and no agency knows another.

pub mod atom;
pub mod class;
pub mod email;
pub mod endpoint;
pub mod feed;
pub mod http;
pub mod ipaws;
pub mod masas;
pub mod passage;
pub mod registry;
pub mod relayed;
pub mod settings;
pub mod source;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod token;
pub(crate) mod tree;
pub mod webhook;

//! Tests of the running program and of the repository.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod admin;
mod chains;
mod config;
mod conformance;
mod copy;
mod crash;
mod demo;
mod drivers;
mod email;
mod full_store;
mod registration;
mod relay;
mod stage;
mod takeover;
mod tidy;

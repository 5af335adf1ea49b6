//! Tests of the running program and of the repository.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod conformance;
mod drivers;
mod tidy;

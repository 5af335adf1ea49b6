//! Every adapter against the simulator of its system: the contract of `docs/adapters.md`, over sockets.
//!
//! Adapters are made from tables, as the configuration does, and know nothing of who answers. A request that no client
//! of the real system would send fails the test.

mod bridge;
mod corpus;
mod email;
mod ipaws;
mod masas;
mod webhook;

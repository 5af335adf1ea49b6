//! Streams: an endpoint whose messages go to whoever is connected, as the NAAD System sends them to last-mile distributors.
//!
//! Owns its settings and who may connect. A message counts as delivered when it is kept durably; the bridge then writes it
//! to every client, and tells those that were away of it in its heartbeats. Must not know who is connected.

mod endpoint;
mod settings;

pub use endpoint::Stream;
pub use settings::{Clients, StreamSettings};

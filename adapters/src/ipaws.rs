//! IPAWS: the public feed of the US alerting system, and IPAWS-OPEN, which takes alerts from authorities.
//!
//! Owns everything that is peculiar to IPAWS. Facts were found in public clients, generated stubs and real alerts; what
//! was only deduced is a setting or is marked INFERRED. See `docs/adapters/ipaws.md`.

pub mod client;
pub mod endpoint;
pub mod reply;
pub mod settings;
pub mod soap;
pub mod source;
pub mod wss;

pub use endpoint::IpawsEndpoint;
pub use settings::{IpawsEndpointSettings, IpawsSourceSettings};
pub use source::IpawsSource;

//! MASAS hubs: the Canadian situational-awareness exchange (Atom entries, CAP enclosures).
//!
//! Owns everything that is peculiar to a hub. What is known of hubs was found in their public clients; what was only
//! deduced is a setting or is marked INFERRED. See `docs/adapters/masas.md`.

pub mod client;
pub mod endpoint;
pub mod entry;
pub mod settings;
pub mod source;

pub use endpoint::MasasEndpoint;
pub use settings::{HubKind, MasasEndpointSettings, MasasSourceSettings};
pub use source::MasasSource;

/// The media type of CAP that hubs use.
pub(crate) const CAP_TYPE: &str = "application/common-alerting-protocol+xml";
/// The registered one, accepted when reading.
pub(crate) const CAP_TYPE_IANA: &str = "application/cap+xml";

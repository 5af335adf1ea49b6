//! Webhook endpoints: one POST a message, signed after Standard Webhooks 1.0.
//!
//! Owns nothing of an agency. Must not retry, and must not follow redirects.

pub mod endpoint;
mod greeting;
pub mod settings;
pub mod signature;

pub use endpoint::Webhook;
pub use settings::WebhookSettings;

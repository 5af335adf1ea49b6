//! E-mail endpoints: one mail for each message to one address, handed to a mail server over TLS.
//!
//! Owns the mail and its way to the server. Must not send anything outside TLS, must not retry, and must not put text
//! of an alert anywhere but into bodies and encoded header values.

mod dkim;
mod endpoint;
mod greeting;
mod mail;
mod parts;
mod session;
mod settings;

pub use endpoint::Email;
pub use settings::EmailSettings;

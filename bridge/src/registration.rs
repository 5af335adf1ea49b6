//! Who is told, where and what of: responders, their endpoints and subscriptions, and who may change them.
//!
//! Owns the documents that the admin API writes and the store keeps (docs/registration.md), and the view of them that every
//! instance holds. What the configuration declares is not here; `routes` joins the two. Must not talk to endpoints.

mod ledger;
mod names;
mod registrar;
mod token;

pub use ledger::Ledger;
pub use names::{BadName, Name};
pub use registrar::{RegisterError, Registrar, Step};
pub use token::{Bearer, Caller, Role, Token, TokenOrder};

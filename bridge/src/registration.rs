//! Who is told, where and what of: responders, their endpoints and subscriptions, and who may change them.
//!
//! Owns the documents that the admin API writes and the store keeps (docs/registration.md), and the view of them that every
//! instance holds. What the configuration declares is not here; `routes` joins the two. Must not talk to endpoints.

mod census;
pub mod declared;
mod endpoint;
pub mod keys;
mod ledger;
mod live;
mod names;
pub mod proof;
mod registrar;
mod responder;
mod shape;
mod standing;
mod subscription;
mod token;

use capbridge_adapters::settings::Faults;

pub use endpoint::{Endpoint, EndpointFault, EndpointOrder};
pub use ledger::Ledger;
pub use live::Live;
pub use names::{BadName, Name};
pub use registrar::{RegisterError, Registrar, Step};
pub use responder::{Responder, ResponderOrder};
pub use standing::{Pause, Standing};
pub use subscription::{AreaFilter, Direction, Filter, Subscription, SubscriptionOrder, Wanting};
pub use token::{Bearer, Caller, Role, Token, TokenOrder};

/// All faults in one line.
pub fn shown(faults: &Faults) -> String {
    let each = faults.0.iter().map(|f| format!("{} {} ({})", f.key, f.problem, f.remedy));
    each.collect::<Vec<_>>().join("; ")
}

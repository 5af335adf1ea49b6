//! `[endpoint.NAME]`.

use std::sync::Arc;

use serde::Deserialize;

use super::bound::About;
use super::{AnyEndpoint, Bound, Common, DynEndpoint, EndpointKind, check_mode, common, under};
use crate::class::{Class, Relayable};
use crate::email::{Email, EmailSettings};
use crate::endpoint::Endpoint;
use crate::feed::{Feed, FeedSettings};
use crate::ipaws::{IpawsEndpoint, IpawsEndpointSettings};
use crate::masas::{MasasEndpoint, MasasEndpointSettings};
use crate::passage::{Destination, EndpointName, Reach};
use crate::settings::{Faults, Files};
use crate::webhook::{Webhook, WebhookSettings};

/// The table of an endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTable {
    /// The outside system that it writes to.
    pub system: Option<String>,
    /// The class that it takes: `live`, `exercise` or `test`.
    pub mode: Option<Class>,
    /// The exercise that it belongs to; with `mode = "exercise"` only.
    pub exercise: Option<String>,
    /// Whom it reaches: `responders`, or `public`.
    #[serde(default = "responders")]
    pub reach: Reach,
    /// Whether it may get content of scope `Restricted`.
    #[serde(default)]
    pub restricted: bool,
    /// CAP addresses that it stands for: content of scope `Private` for one of them may go to it.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Attempts under way at once, 1 to 64.
    #[serde(default = "four")]
    pub max_in_flight: u32,
    email: Option<EmailSettings>,
    feed: Option<FeedSettings>,
    ipaws: Option<IpawsEndpointSettings>,
    masas: Option<MasasEndpointSettings>,
    webhook: Option<WebhookSettings>,
}

fn responders() -> Reach {
    Reach::Responders
}

fn four() -> u32 {
    4
}

impl EndpointTable {
    /// Checks the table and everything in it, and reads the secret files that it names. Opens nothing.
    ///
    /// # Errors
    /// Every fault at once; keys are relative to `[endpoint.NAME]`.
    pub fn validate(self, name: &str, files: &dyn Files) -> Result<AnyEndpoint, Faults> {
        let mut faults = Faults::default();
        let mode = self.mode;
        let common = common(&mut faults, self.system, mode, self.exercise);
        if !(1..=64).contains(&self.max_in_flight) {
            faults.push("max_in_flight", "is not 1 to 64", "use 4");
        }
        if self.reach == Reach::Public && (self.restricted || !self.addresses.is_empty()) {
            let problem = "is \"public\", and restricted or addresses would let non-public content through";
            faults.push("reach", problem, "leave restricted and addresses out");
        }
        let mut inner: Option<(EndpointKind, Arc<dyn DynEndpoint>)> = None;
        let mut tables = 0;
        if let Some(settings) = self.email {
            tables += 1;
            match Email::validate(settings, files) {
                Ok(endpoint) => inner = Some((EndpointKind::Email, Arc::new(endpoint))),
                Err(faulty) => under("email", faulty, &mut faults),
            }
        }
        if let Some(settings) = self.feed {
            tables += 1;
            match Feed::validate(settings, files) {
                Ok(feed) => {
                    if feed.open && self.reach != Reach::Public {
                        let problem = "is \"responders\", and anybody may read the feed";
                        faults.push("reach", problem, "say reach = \"public\", or give it token_files");
                    }
                    inner = Some((EndpointKind::Feed, Arc::new(feed.named(name))));
                }
                Err(faulty) => under("feed", faulty, &mut faults),
            }
        }
        if let Some(settings) = self.ipaws {
            tables += 1;
            match IpawsEndpoint::validate(settings, files) {
                Ok(endpoint) => inner = Some((EndpointKind::Ipaws, Arc::new(endpoint))),
                Err(faulty) => under("ipaws", faulty, &mut faults),
            }
        }
        if let Some(settings) = self.masas {
            tables += 1;
            match MasasEndpoint::validate(settings, files) {
                Ok(endpoint) => {
                    check_mode(&mut faults, mode, endpoint.highest());
                    inner = Some((EndpointKind::Masas, Arc::new(endpoint)));
                }
                Err(faulty) => under("masas", faulty, &mut faults),
            }
        }
        if let Some(settings) = self.webhook {
            tables += 1;
            match Webhook::validate(settings, files) {
                Ok(endpoint) => inner = Some((EndpointKind::Webhook, Arc::new(endpoint))),
                Err(faulty) => under("webhook", faulty, &mut faults),
            }
        }
        if tables != 1 {
            let kinds: Vec<String> =
                EndpointKind::ALL.iter().map(|k| format!("[endpoint.{name}.{}]", k.as_str())).collect();
            let problem = if tables == 0 {
                "names no kind of endpoint"
            } else {
                "names more than one kind of endpoint"
            };
            faults.push("", problem, format!("add one of {}", kinds.join(", ")));
        }
        let (Some(common), Some((kind, inner)), true) = (common, inner, faults.is_empty()) else {
            return Err(faults);
        };
        let about = About { kind, max_in_flight: self.max_in_flight };
        let to = (self.reach, self.restricted, self.addresses);
        match common.mode {
            Class::Live => Ok(AnyEndpoint::Live(Bound::new(destination(name, common, to), about, inner))),
            Class::Exercise => {
                Ok(AnyEndpoint::Exercise(Bound::new(destination(name, common, to), about, inner)))
            }
            Class::Test => Ok(AnyEndpoint::Test(Bound::new(destination(name, common, to), about, inner))),
            // `common` refused it.
            Class::Internal => Err(faults),
        }
    }
}

fn destination<C: Relayable>(
    name: &str,
    common: Common,
    (reach, restricted, addresses): (Reach, bool, Vec<String>),
) -> Destination<C> {
    let mut destination = Destination::new(EndpointName(name.to_owned()), common.system, common.exercise);
    destination.reach = reach;
    destination.restricted = restricted;
    destination.addresses = addresses;
    destination
}

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
use crate::stream::{Stream, StreamSettings};
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
    stream: Option<StreamSettings>,
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
        let mut kinds = Kinds { named: Vec::new(), files, faults: &mut faults };
        let email = kinds.take::<Email>(EndpointKind::Email, self.email);
        let feed = kinds.take::<Feed>(EndpointKind::Feed, self.feed).map(|feed| feed.named(name));
        let ipaws = kinds.take::<IpawsEndpoint>(EndpointKind::Ipaws, self.ipaws);
        let masas = kinds.take::<MasasEndpoint>(EndpointKind::Masas, self.masas);
        let stream = kinds.take::<Stream>(EndpointKind::Stream, self.stream).map(|s| s.named(name));
        let webhook = kinds.take::<Webhook>(EndpointKind::Webhook, self.webhook);
        let named = kinds.named;
        if let Some(masas) = &masas {
            check_mode(&mut faults, mode, masas.highest());
        }
        let is_closed = self.reach != Reach::Public;
        if is_closed && feed.as_ref().is_some_and(|feed| feed.open) {
            let problem = "is \"responders\", and anybody may read the feed";
            faults.push("reach", problem, "say reach = \"public\", or give it token_files");
        }
        if is_closed && stream.as_ref().is_some_and(|stream| stream.clients.are_all()) {
            let problem = "is \"responders\", and anybody may connect to the stream";
            faults.push("reach", problem, "say reach = \"public\", or list its clients");
        }
        let inner = email.map(shared).or(feed.map(shared)).or(ipaws.map(shared));
        let inner = inner.or(masas.map(shared)).or(stream.map(shared)).or(webhook.map(shared));
        if named.len() != 1 {
            let kinds: Vec<String> =
                EndpointKind::ALL.iter().map(|k| format!("[endpoint.{name}.{}]", k.as_str())).collect();
            let problem = if named.is_empty() {
                "names no kind of endpoint"
            } else {
                "names more than one kind of endpoint"
            };
            faults.push("", problem, format!("add one of {}", kinds.join(", ")));
        }
        let (Some(common), Some(kind), Some(inner), true) =
            (common, named.first().copied(), inner, faults.is_empty())
        else {
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

/// The tables of kinds, as they are read one after the other.
struct Kinds<'a> {
    named: Vec<EndpointKind>,
    files: &'a dyn Files,
    faults: &'a mut Faults,
}

impl Kinds<'_> {
    /// The endpoint of a kind, if its table is there and sound.
    fn take<E: Endpoint>(&mut self, kind: EndpointKind, settings: Option<E::Settings>) -> Option<E> {
        let settings = settings?;
        self.named.push(kind);
        E::validate(settings, self.files).map_err(|faulty| under(kind.as_str(), faulty, self.faults)).ok()
    }
}

fn shared<E: Endpoint>(endpoint: E) -> Arc<dyn DynEndpoint> {
    Arc::new(endpoint)
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

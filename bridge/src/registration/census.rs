//! How what is registered stands, in words that lists and metrics share.

use std::collections::BTreeMap;

use capbridge_adapters::source::Clock;

use super::{Ledger, Live, Name, Subscription};
use crate::clock::SystemClock;
use crate::store::registrations::Kind;

/// States of endpoints.
const ENDPOINT_STATES: [&str; 5] = ["faulty", "gone", "paused", "ready", "unproven"];
/// States of subscriptions.
const SUBSCRIPTION_STATES: [&str; 4] = ["faulty", "paused", "ready", "waiting"];

impl Live {
    /// How an endpoint stands, of the file or registered.
    pub fn endpoint_state(&self, ledger: &Ledger, name: &str, proven: bool) -> &'static str {
        let standing = ledger.standing(name);
        let fault = Name::new(name).ok().and_then(|name| self.fault(Kind::Endpoint, &name));
        if standing.gone_at.is_some() {
            "gone"
        } else if !proven {
            "unproven"
        } else if fault.is_some() {
            "faulty"
        } else if standing.paused.is_some() {
            "paused"
        } else {
            "ready"
        }
    }

    /// How a subscription stands.
    pub fn subscription_state(&self, ledger: &Ledger, subscription: &Subscription) -> &'static str {
        if self.fault(Kind::Subscription, &subscription.name).is_some() {
            "faulty"
        } else if subscription.paused.is_some() {
            "paused"
        } else if ledger.endpoint(&subscription.endpoint).is_some_and(|e| e.proven_at.is_none()) {
            "waiting"
        } else {
            "ready"
        }
    }

    /// How many there are of what is registered, by kind and state.
    pub fn census(&self) -> BTreeMap<(&'static str, &'static str), i64> {
        let (ledger, now) = (self.ledger(), SystemClock.now());
        let states = ENDPOINT_STATES.map(|state| ("endpoint", state)).into_iter();
        let states = states.chain(SUBSCRIPTION_STATES.map(|state| ("subscription", state)));
        let states = states.chain([("responder", "ready"), ("token", "good")]);
        let mut counts: BTreeMap<_, _> = states.map(|both| (both, 0)).collect();
        let mut count = |kind, state| *counts.entry((kind, state)).or_default() += 1;
        for endpoint in ledger.endpoints().filter(|e| e.ended_at.is_none()) {
            let name = endpoint.name.as_str();
            count("endpoint", self.endpoint_state(&ledger, name, endpoint.proven_at.is_some()));
        }
        for subscription in ledger.subscriptions().filter(|s| s.ended_at.is_none()) {
            count("subscription", self.subscription_state(&ledger, subscription));
        }
        ledger.responders().filter(|r| r.ended_at.is_none()).for_each(|_| count("responder", "ready"));
        ledger.tokens().filter(|t| t.is_good(now)).for_each(|_| count("token", "good"));
        counts
    }
}

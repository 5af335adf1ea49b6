//! What is shown of an endpoint.

use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::registry::AnyEndpoint;
use capbridge_adapters::source::Clock;
use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::registration::keys::{Form, SigningKey};
use crate::registration::{Endpoint, Ledger, Live};
use crate::store::registrations::Kind;

/// A registered one.
pub(super) fn shown(live: &Live, ledger: &Ledger, endpoint: &Endpoint) -> Value {
    let now = SystemClock.now();
    let standing = ledger.standing(endpoint.name.as_str());
    let keys = endpoint.keys.iter().filter(|key| key.signs(now));
    let state = live.endpoint_state(ledger, endpoint.name.as_str(), endpoint.proven_at.is_some());
    json!({
        "name": endpoint.name, "responder": endpoint.responder, "kind": endpoint.kind, "class": endpoint.class,
        "exercise": endpoint.exercise, "system": endpoint.system, "reach": endpoint.reach,
        "restricted": endpoint.restricted, "addresses": endpoint.addresses,
        "max_in_flight": endpoint.max_in_flight, "settings": endpoint.settings,
        "public_keys": endpoint.public_keys(now), "keys": keys.collect::<Vec<_>>(),
        "proven_at": endpoint.proven_at, "code_sent_at": endpoint.code.as_ref().map(|code| code.sent_at),
        "created_at": endpoint.created_at, "created_by": endpoint.created_by, "state": state,
        "paused": standing.paused, "gone_at": standing.gone_at,
        "fault": live.fault(Kind::Endpoint, &endpoint.name), "from": "api",
    })
}

/// One of the configuration.
pub(super) fn declared(live: &Live, ledger: &Ledger, name: &EndpointName, endpoint: &AnyEndpoint) -> Value {
    let standing = ledger.standing(&name.0);
    json!({
        "name": name, "kind": endpoint.kind(), "class": endpoint.class(), "system": endpoint.system(),
        "reach": endpoint.reach(), "state": live.endpoint_state(ledger, &name.0, true), "paused": standing.paused,
        "gone_at": standing.gone_at, "from": live.declared.place("endpoint", &name.0),
    })
}

/// A shared secret or a token is shown once, in the answer that makes it.
pub(super) fn with_secret(mut answer: Value, keys: &[SigningKey], text: Option<String>) -> Value {
    let member = match keys.last().map(|key| key.form) {
        Some(Form::Hmac) => "secret",
        Some(Form::Token) => "token",
        Some(Form::Ed25519) | None => return answer,
    };
    if let (Some(text), Some(members)) = (text, answer.as_object_mut()) {
        members.insert(member.into(), json!(text));
    }
    answer
}

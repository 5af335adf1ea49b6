//! Endpoints over the admin socket: registered, proven by a challenge, paused, tried out, removed.
//!
//! Must not change the class of an endpoint, and must not show a secret but in the answer that makes it.

mod standing;

pub(super) use standing::Why;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State as Ctx};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use capbridge_adapters::class::Class;
use capbridge_adapters::endpoint::{DeliveryError, Greeting, GreetingForm};
use capbridge_adapters::passage::{EndpointName, Reach};
use capbridge_adapters::registry::{AnyEndpoint, EndpointKind};
use capbridge_adapters::source::Clock;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;
use url::Url;

use super::access::{Need, Route};
use super::problem::problem;
use super::responders::{owns, present};
use super::tokens::{Refusal, refused};
use super::{AdminState, Shared};
use crate::clock::SystemClock;
use crate::registration::keys::{self, Form, MOST_KEYS, OVERLAP, SigningKey};
use crate::registration::{
    Bearer, Caller, Endpoint, EndpointOrder, Ledger, Live, Name, Responder, Role, Step,
};
use crate::store::registrations::Kind;
use crate::telemetry::chain;

pub(super) fn routes() -> Vec<Route> {
    let mut all = vec![
        Route::get("/v1/endpoints", Need::SeeOwn, list),
        Route::post("/v1/endpoints", Need::ChangeOwn, create),
        Route::get("/v1/endpoints/{name}", Need::SeeOwn, show),
        Route::delete("/v1/endpoints/{name}", Need::ChangeOwn, remove),
        Route::post("/v1/endpoints/{name}/challenge", Need::ChangeOwn, challenge),
        Route::post("/v1/endpoints/{name}/rotate", Need::ChangeOwn, rotate),
        Route::post("/v1/endpoints/{name}/test", Need::ChangeOwn, test),
    ];
    all.extend(standing::routes());
    all
}

/// A registered endpoint that is there and that the caller may see. To others it is not there.
fn own<'l>(ledger: &'l Ledger, caller: &Caller, name: &str) -> Option<&'l Arc<Endpoint>> {
    ledger.endpoint(name).filter(|e| e.ended_at.is_none() && owns(caller, &e.responder))
}

fn not_there() -> Refusal {
    (StatusCode::NOT_FOUND, "no such endpoint".to_owned())
}

/// What the state of an endpoint is called.
fn state_of(live: &Live, ledger: &Ledger, name: &str, proven: bool) -> &'static str {
    let standing = ledger.standing(name);
    let fault = Name::new(name).ok().and_then(|name| live.fault(Kind::Endpoint, &name));
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

fn shown(live: &Live, ledger: &Ledger, endpoint: &Endpoint) -> Value {
    let now = SystemClock.now();
    let standing = ledger.standing(endpoint.name.as_str());
    let keys = endpoint.keys.iter().filter(|key| key.signs(now));
    json!({
        "name": endpoint.name, "responder": endpoint.responder, "kind": endpoint.kind, "class": endpoint.class,
        "exercise": endpoint.exercise, "system": endpoint.system, "reach": endpoint.reach,
        "restricted": endpoint.restricted, "addresses": endpoint.addresses, "settings": endpoint.settings,
        "public_keys": endpoint.public_keys(now), "keys": keys.collect::<Vec<_>>(), "proven_at": endpoint.proven_at,
        "created_at": endpoint.created_at, "created_by": endpoint.created_by,
        "state": state_of(live, ledger, endpoint.name.as_str(), endpoint.proven_at.is_some()),
        "paused": standing.paused, "gone_at": standing.gone_at,
        "fault": live.fault(Kind::Endpoint, &endpoint.name), "from": "api",
    })
}

fn declared(live: &Live, ledger: &Ledger, name: &EndpointName, endpoint: &AnyEndpoint) -> Value {
    let standing = ledger.standing(&name.0);
    json!({
        "name": name, "kind": endpoint.kind(), "class": endpoint.class(), "system": endpoint.system(),
        "reach": endpoint.reach(), "state": state_of(live, ledger, &name.0, true), "paused": standing.paused,
        "gone_at": standing.gone_at, "from": live.declared.place("endpoint", &name.0),
    })
}

async fn list(Ctx(state): Shared, Extension(caller): Extension<Caller>) -> Response {
    let (live, ledger) = (&state.live, state.live.ledger());
    let mut all = Vec::new();
    if caller.role != Role::Responder {
        all.extend(live.declared.endpoints.iter().map(|(name, e)| declared(live, &ledger, name, e)));
    }
    let mine = ledger.endpoints().filter(|e| e.ended_at.is_none() && owns(&caller, &e.responder));
    all.extend(mine.map(|e| shown(live, &ledger, e)));
    Json(all).into_response()
}

async fn show(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let (live, ledger) = (&state.live, state.live.ledger());
    let file = live.declared.endpoints.get_key_value(&EndpointName(name.clone()));
    if let Some((name, endpoint)) = file.filter(|_| caller.role != Role::Responder) {
        return Json(declared(live, &ledger, name, endpoint)).into_response();
    }
    match own(&ledger, &caller, &name) {
        Some(endpoint) => Json(shown(live, &ledger, endpoint)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such endpoint"),
    }
}

/// What the configuration and the responder permit; the rest is the table's own check.
fn permitted(
    live: &Live,
    caller: &Caller,
    responder: &Responder,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    let permits = &live.declared.permits;
    let forbid = |why: String| Err((StatusCode::FORBIDDEN, why));
    if !permits.kinds.contains(&endpoint.kind) {
        let why =
            "endpoints of this kind are declared in the configuration, unless registration.kinds names it";
        return forbid(format!("{}: {why}", endpoint.kind));
    }
    if endpoint.reach == Reach::Public && permits.public_channels.is_empty() {
        return forbid("reach: an endpoint that reaches the public is declared in the configuration".into());
    }
    if caller.role != Role::Responder {
        return Ok(());
    }
    if endpoint.kind != EndpointKind::Webhook.as_str() {
        return forbid("a responder registers webhooks itself; an operator registers the rest".into());
    }
    if !responder.classes.contains(&endpoint.class) {
        return forbid(format!(
            "class: {} may not register endpoints for {}",
            responder.name, endpoint.class
        ));
    }
    let own_system = endpoint.system == responder.name.as_str();
    if endpoint.restricted || !endpoint.addresses.is_empty() || endpoint.reach == Reach::Public || !own_system
    {
        return forbid("restricted, addresses, reach and system are for an operator to say".into());
    }
    Ok(())
}

/// The address of a webhook is looked at before anything is stored.
async fn reachable(state: &AdminState, endpoint: &Endpoint) -> Result<(), String> {
    let url = endpoint.settings.get("url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
    match url {
        Some(url) => state.context.http.check(&url).await.map_err(|error| chain(&error)),
        None => Ok(()),
    }
}

async fn create(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Json(order): Json<EndpointOrder>,
) -> Response {
    let now = SystemClock.now();
    let unfit = |detail: &str| problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
    if order.class == Class::Internal {
        return unfit("class: internal messages are never relayed");
    }
    let hub = order.masas.is_some() || order.ipaws.is_some();
    if hub && order.system.is_none() {
        return unfit(
            "system: name it as the source that reads the same system, or alerts would go back there",
        );
    }
    let (endpoint, text) = match order.fill(now, &caller.by) {
        Ok(filled) => filled,
        Err(fault) => return unfit(&fault.to_string()),
    };
    if let Err(why) = reachable(&state, &endpoint).await {
        return unfit(&format!("url: {why}"));
    }
    let made = state
        .live
        .change(|ledger| {
            let unknown = || (StatusCode::UNPROCESSABLE_ENTITY, format!("no responder {}", endpoint.responder));
            let responder = present(ledger, &endpoint.responder).filter(|r| owns(&caller, &r.name));
            let responder = responder.ok_or_else(unknown)?;
            permitted(&state.live, &caller, responder, &endpoint)?;
            free_name(&state.live, ledger, &caller, &endpoint)?;
            let facts = json!({"endpoint": endpoint.name, "responder": endpoint.responder, "kind": endpoint.kind,
                "class": endpoint.class, "url": endpoint.settings.get("url")});
            let step = Step::none().write(Kind::Endpoint, endpoint.name.as_str(), &endpoint);
            Ok((step.note(now, "endpoint-registered", &caller, facts), ()))
        })
        .await;
    if let Err(error) = made {
        return refused(error);
    }
    info!(endpoint = %endpoint.name, "endpoint registered");
    let mut answer = shown(&state.live, &state.live.ledger(), &endpoint);
    tell_secret(&mut answer, &endpoint.keys, text);
    (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// A name is nobody else's, now or before, and stands for one class for ever: deliveries are known by it.
fn free_name(live: &Live, ledger: &Ledger, caller: &Caller, endpoint: &Endpoint) -> Result<(), Refusal> {
    let taken = || Err((StatusCode::CONFLICT, format!("the name {} is taken", endpoint.name)));
    if live.declared.endpoints.contains_key(&EndpointName(endpoint.name.to_string())) {
        return taken();
    }
    let Some(before) = ledger.endpoint(endpoint.name.as_str()) else { return Ok(()) };
    if before.ended_at.is_none() || !owns(caller, &before.responder) || before.responder != endpoint.responder
    {
        return taken();
    }
    if before.class != endpoint.class || before.exercise != endpoint.exercise {
        let detail = format!("{} was an endpoint for {}: use another name", endpoint.name, before.class);
        return Err((StatusCode::CONFLICT, detail));
    }
    Ok(())
}

/// A shared secret is shown once, in the answer that makes it; of a key pair only the public half ever leaves.
fn tell_secret(answer: &mut Value, keys: &[SigningKey], text: Option<String>) {
    let shared = keys.last().is_some_and(|key| key.form == Form::Hmac);
    if let (Some(text), true, Some(members)) = (text, shared, answer.as_object_mut()) {
        members.insert("secret".into(), json!(text));
    }
}

async fn remove(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let now = SystemClock.now();
    let ended = state
        .live
        .change(|ledger| {
            let before = own(ledger, &caller, &name).ok_or_else(not_there)?;
            // Its secrets go; its name stays known, with its class.
            let (secrets, keys) = Default::default();
            let endpoint = Endpoint { ended_at: Some(now), secrets, keys, ..Endpoint::clone(before) };
            let step = Step::none().write(Kind::Endpoint, endpoint.name.as_str(), &endpoint);
            Ok((step.note(now, "endpoint-removed", &caller, json!({"endpoint": endpoint.name})), ()))
        })
        .await;
    match ended {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(error),
    }
}

fn nonce() -> Option<String> {
    Some(Bearer::random()?.expose().trim_start_matches("cbt_").to_owned())
}

/// The failure of a greeting as a problem: what the far side said, and that nothing changed.
fn failed_greeting(error: &DeliveryError) -> Response {
    problem(StatusCode::BAD_GATEWAY, &chain(error))
}

/// Sends the signed challenge; an endpoint that answers with it is proven and gets alerts from now on.
async fn challenge(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    let ledger = state.live.ledger();
    let Some(asked) = own(&ledger, &caller, &name).cloned() else { return refused_now(not_there()) };
    let built = match asked.build(SystemClock.now()) {
        Ok(built) => built,
        Err(fault) => return problem(StatusCode::CONFLICT, &fault.to_string()),
    };
    let Some(nonce) = nonce() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the system gives no random numbers");
    };
    let id = format!("chl_{}", nonce.get(..26).unwrap_or(""));
    let greeting = Greeting { id, form: GreetingForm::Challenge { nonce } };
    if let Err(error) = built.greet(&state.context, &greeting).await {
        return failed_greeting(&error);
    }
    let now = SystemClock.now();
    let proven = state
        .live
        .change(|ledger| {
            let before = own(ledger, &caller, &name).ok_or_else(not_there)?;
            // What was proven is what was asked: the same registration with the same address.
            if before.created_at != asked.created_at || before.settings != asked.settings {
                return Err((StatusCode::CONFLICT, "it was changed meanwhile".to_owned()));
            }
            let endpoint = Endpoint { proven_at: Some(now), ..Endpoint::clone(before) };
            let step = Step::none().write(Kind::Endpoint, endpoint.name.as_str(), &endpoint);
            Ok((step.note(now, "endpoint-proven", &caller, json!({"endpoint": endpoint.name})), ()))
        })
        .await;
    match proven {
        Ok(()) => answer(&state.live, &name),
        Err(error) => refused(error),
    }
}

fn refused_now((status, detail): Refusal) -> Response {
    problem(status, &detail)
}

fn answer(live: &Live, name: &str) -> Response {
    let ledger = live.ledger();
    let found = ledger.endpoint(name).map_or(Value::Null, |endpoint| shown(live, &ledger, endpoint));
    Json(found).into_response()
}

/// Nothing more needs to be said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Makes the next key. The one before signs beside it for a day.
async fn rotate(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    let now = SystemClock.now();
    let rotated = state
        .live
        .change(|ledger| {
            let before = own(ledger, &caller, &name).ok_or_else(not_there)?;
            next_key(before, now).map(|(endpoint, text)| {
                let key = endpoint.keys.last().map(|key| key.name.clone());
                let facts = json!({"endpoint": endpoint.name, "key": key});
                let step = Step::none().write(Kind::Endpoint, endpoint.name.as_str(), &endpoint);
                (step.note(now, "key-rotated", &caller, facts), (endpoint, text))
            })
        })
        .await;
    match rotated {
        Ok((endpoint, text)) => {
            let mut answer = shown(&state.live, &state.live.ledger(), &endpoint);
            tell_secret(&mut answer, &endpoint.keys, Some(text));
            ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
        }
        Err(error) => refused(error),
    }
}

fn next_key(before: &Endpoint, now: Timestamp) -> Result<(Endpoint, String), Refusal> {
    let Some(last) = before.keys.last() else {
        return Err((StatusCode::CONFLICT, format!("the bridge has no key of its own for {}", before.kind)));
    };
    let mut endpoint = before.clone();
    // What signs no more is forgotten.
    endpoint.keys.retain(|key| key.signs(now));
    if endpoint.keys.len() >= MOST_KEYS {
        let detail = format!("{MOST_KEYS} keys sign already: wait until the oldest of them has retired");
        return Err((StatusCode::CONFLICT, detail));
    }
    let number = last.name.rsplit('-').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    let made = keys::make(format!("key-{}", number.saturating_add(1)), last.form, now);
    let Some((key, text)) = made else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the system gives no random numbers".to_owned()));
    };
    for old in endpoint.keys.iter_mut().filter(|old| old.retires_at.is_none()) {
        old.retires_at = now.checked_add(OVERLAP).ok();
    }
    endpoint.secrets.0.insert(key.name.clone(), text.clone());
    endpoint.keys.push(key);
    let kept: Vec<String> = endpoint.keys.iter().map(|key| key.name.clone()).collect();
    endpoint.secrets.0.retain(|name, _| !name.starts_with("key-") || kept.contains(name));
    Ok((endpoint, text))
}

/// Tries the connection out with something that is no alert.
async fn test(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    let now = SystemClock.now();
    let ledger = state.live.ledger();
    let file = state.live.declared.endpoints.get(&EndpointName(name.clone()));
    let built = match (file.filter(|_| caller.role != Role::Responder), own(&ledger, &caller, &name)) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(endpoint)) if endpoint.proven_at.is_none() => {
            return problem(StatusCode::CONFLICT, "it has not proven itself: send it a challenge first");
        }
        (None, Some(endpoint)) => match endpoint.build(now) {
            Ok(built) => built,
            Err(fault) => return problem(StatusCode::CONFLICT, &fault.to_string()),
        },
        (None, None) => return refused_now(not_there()),
    };
    let Some(nonce) = nonce() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the system gives no random numbers");
    };
    let id = format!("tst_{}", nonce.get(..26).unwrap_or(""));
    let greeting = Greeting { id: id.clone(), form: GreetingForm::Test };
    let taken = built.greet(&state.context, &greeting).await;
    let step =
        Step::none().note(now, "endpoint-tested", &caller, json!({"endpoint": name, "taken": taken.is_ok()}));
    if let Err(error) = state.store.record(step.events()).await {
        return super::failed(&error);
    }
    match taken {
        Ok(receipt) => {
            Json(json!({"tested": name, "id": id, "status_code": receipt.status_code})).into_response()
        }
        Err(error) => failed_greeting(&error),
    }
}

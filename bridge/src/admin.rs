//! The admin socket: health, metrics, and the questions that an operator asks.
//!
//! Owns the HTTP surface for operators. On loopback unless told otherwise. Errors are problem documents (RFC 9457).
//! Must not change anything without leaving an audit entry.

mod access;
mod audit;
mod call;
mod endpoints;
mod guard;
pub(crate) mod problem;
mod rates;
mod responders;
mod subscriptions;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Ctx};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use capbridge_adapters::endpoint::EndpointContext;
use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::settings::Secret;
use capbridge_adapters::source::{Acceptance, Clock, Received};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::{BridgeClock, SystemClock};
use crate::contact::Contacts;
use crate::credentials::Credentials;
use crate::envelope::{AlertKey, Release};
use crate::health::Health;
use crate::pipeline::{Pardon, Pipeline};
use crate::proving::Prover;
use crate::registration::Live;
use crate::relay::Relay;
use crate::relay::dead_letter::{self, ReplayError};
use crate::relay::reissue::ReissueError;
use crate::settings::Bounds;
use crate::store::{DeliveryId, Event, Page, State, Store, StoreError};
use crate::telemetry::{ErrorChain, Metrics, chain};
use crate::wire;

pub use guard::Hosts;
pub use rates::Rates;

use access::{Need, Route};
use problem::{as_problems, problem, problem_with};

/// How long the store may take to answer a readiness probe.
pub const PROBE: Duration = Duration::from_secs(3);

/// The largest body that is read: an order is a few names and lists.
const BODY_BYTES: usize = 16 * 1024;
/// What can be asked here, for programs (OpenAPI 3.1).
const OPENAPI: &str = include_str!("../data/openapi.json");
/// The longest name of an operator and the longest reason, in characters.
const OPERATOR_CHARS: usize = 200;
const REASON_CHARS: usize = 2_000;

/// What the handlers see.
pub struct AdminState {
    /// The store.
    pub store: Arc<dyn Store>,
    /// For released documents.
    pub pipeline: Arc<Pipeline>,
    /// For readiness.
    pub contacts: Arc<Contacts>,
    /// For readiness.
    pub credentials: Arc<Credentials>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: BridgeClock,
    /// The bearer token of the configuration, if one is set.
    pub token: Option<Secret>,
    /// Registered tokens, responders, endpoints and subscriptions.
    pub live: Arc<Live>,
    /// The names that the socket answers to.
    pub hosts: Hosts,
    /// For health.
    pub health: Arc<Health>,
    /// How long a source may be silent.
    pub contact_limit: Duration,
    /// For what is issued again.
    pub relay: Arc<Relay>,
    /// How long a replayed delivery is tried, seconds.
    pub replay_secs: u64,
    /// What endpoints are given, for tests.
    pub context: EndpointContext,
    /// Asks endpoints to prove themselves.
    pub prover: Arc<Prover>,
    /// How long a body may take.
    pub patience: Duration,
    /// How often holders of tokens called.
    pub rates: Rates,
}

type Shared = Ctx<Arc<AdminState>>;

/// Serves until told to stop.
pub async fn serve(listener: TcpListener, state: AdminState, bounds: Bounds, stop: CancellationToken) {
    let clients = state.metrics.sockets.operators.clone();
    wire::serve(listener, router(Arc::new(state)), bounds, clients, stop).await;
}

fn router(state: Arc<AdminState>) -> Router {
    let guarded = routes()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.guarded(&state)));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/openapi.json", get(openapi))
        .merge(guarded)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), guard::by_name))
        .layer(middleware::from_fn(as_problems))
        .with_state(state)
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Every route but those that anybody may ask, each with what it needs.
fn routes() -> Vec<Route> {
    let mut all = vec![
        Route::get("/metrics", Need::See, metrics),
        Route::get("/v1/alerts", Need::See, alerts),
        Route::get("/v1/alerts/{id}/journey", Need::See, journey),
        Route::get("/v1/deliveries", Need::See, deliveries),
        Route::post("/v1/deliveries/{id}/replay", Need::Operate, replay),
        Route::post("/v1/endpoints/{name}/reissue", Need::Operate, reissue),
        Route::get("/v1/quarantine", Need::See, quarantine),
        Route::get("/v1/quarantine/{id}", Need::See, quarantined),
        Route::get("/v1/quarantine/{id}/document", Need::See, quarantined_document),
        Route::post("/v1/quarantine/{id}/release", Need::Operate, release),
    ];
    all.extend(audit::routes());
    all.extend(tokens::routes());
    all.extend(responders::routes());
    all.extend(endpoints::routes());
    all.extend(subscriptions::routes());
    all
}

fn failed(error: &StoreError) -> Response {
    match error {
        StoreError::Missing { .. } => problem(StatusCode::NOT_FOUND, &error.to_string()),
        StoreError::Engine { .. }
        | StoreError::Unreadable { .. }
        | StoreError::TakenOver { .. }
        | StoreError::Unsafe { .. } => {
            error!(error = %ErrorChain(error), "an admin call failed");
            problem(StatusCode::SERVICE_UNAVAILABLE, &chain(error))
        }
    }
}

/// Alive as long as a restart would not help. A store that takes no writes is told of, and is a matter of readiness:
/// starting the process again frees no disk and mends no Redis, and it would break off what is under way.
async fn healthz(Ctx(state): Shared) -> Response {
    let (ended, store) = (state.health.ended(), state.health.store_fault());
    let store = store.unwrap_or_else(|| "takes writes".into());
    if ended.is_empty() {
        return Json(json!({"alive": true, "store": store})).into_response();
    }
    let detail =
        format!("a task ended that must not, the bridge is to be started again: {}", ended.join(", "));
    let members = Map::from_iter([("alive".into(), json!(false)), ("store".into(), json!(store))]);
    problem_with(StatusCode::SERVICE_UNAVAILABLE, &detail, members)
}

async fn readyz(Ctx(state): Shared) -> Response {
    let mut faults = state.contacts.faults(state.contact_limit);
    faults.extend(state.health.ended().into_iter().map(|task| format!("the task {task} has ended")));
    faults.extend(state.credentials.faults(SystemClock.now()));
    faults.extend(state.health.unsafe_store().map(|why| format!("store: {why}")));
    match state.health.store_fault() {
        // A small write may fit where a document did not: what refused one is asked for as much (`Health`).
        Some(why) => faults.push(format!("store: {why}")),
        None => match tokio::time::timeout(PROBE, state.store.probe(0)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => faults.push(format!("store: {}", chain(&error))),
            Err(_) => faults.push(format!("store: no answer in {} s", PROBE.as_secs())),
        },
    }
    let sources: BTreeMap<String, Value> =
        state.contacts.states().into_iter().map(|(o, s)| (o.0, json!(s))).collect();
    if faults.is_empty() {
        return Json(json!({"ready": true, "faults": faults, "sources": sources})).into_response();
    }
    let detail = format!("not ready: {}", faults.join("; "));
    let members = [("ready", json!(false)), ("faults", json!(faults)), ("sources", json!(sources))];
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    problem_with(StatusCode::SERVICE_UNAVAILABLE, &detail, members)
}

async fn metrics(Ctx(state): Shared) -> Response {
    match state.store.depth().await {
        Ok(depth) => state.metrics.depth(&depth, state.clock.now()),
        Err(error) => return failed(&error),
    }
    state.contacts.publish();
    state.metrics.store_writable(state.health.store_fault().is_none());
    state.metrics.registrations(&state.live.census());
    let mut response = state.metrics.encode().into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<u32>,
    skip: Option<u32>,
    state: Option<State>,
}

impl Listing {
    fn page(&self) -> Page {
        Page { limit: self.limit.unwrap_or(50).clamp(1, 1_000), skip: self.skip.unwrap_or(0) }
    }
}

async fn alerts(Ctx(state): Shared, Query(listing): Query<Listing>) -> Response {
    match state.store.alerts(listing.page()).await {
        Ok(alerts) => Json(alerts).into_response(),
        Err(error) => failed(&error),
    }
}

async fn deliveries(Ctx(state): Shared, Query(listing): Query<Listing>) -> Response {
    match state.store.deliveries(listing.state, listing.page()).await {
        Ok(deliveries) => Json(deliveries).into_response(),
        Err(error) => failed(&error),
    }
}

async fn quarantine(Ctx(state): Shared, Query(listing): Query<Listing>) -> Response {
    match state.store.quarantined(listing.page()).await {
        Ok(entries) => Json(entries).into_response(),
        Err(error) => failed(&error),
    }
}

/// Accepts a CAP identifier, the beginning of a key, a full reference, or the id of a delivery.
async fn find(state: &AdminState, id: &str) -> Result<Vec<AlertKey>, StoreError> {
    if let Some(delivery) = state.store.delivery(&DeliveryId(id.to_owned())).await? {
        return Ok(vec![delivery.alert]);
    }
    let identifier = id.split(',').nth(1).unwrap_or(id);
    state.store.find(identifier).await
}

async fn journey(Ctx(state): Shared, Path(id): Path<String>) -> Response {
    let keys = match find(&state, &id).await {
        Ok(keys) => keys,
        Err(error) => return failed(&error),
    };
    let mut journeys = Vec::new();
    for key in keys {
        match state.store.journey(&key).await {
            Ok(Some(journey)) => journeys.push(journey),
            Ok(None) => {}
            Err(error) => return failed(&error),
        }
    }
    if journeys.is_empty() {
        return problem(StatusCode::NOT_FOUND, "no alert with this identifier, key or delivery id");
    }
    Json(journeys).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    operator: String,
    reason: String,
}

impl Decision {
    /// Who decides, and why: both go into the record, so neither may be blank.
    fn check(&self) -> Result<(), &'static str> {
        let blank = |text: &str| !text.chars().any(char::is_alphanumeric);
        if blank(&self.operator) || blank(&self.reason) {
            return Err("name the operator who decides and the reason: both go into the record");
        }
        if self.operator.chars().count() > OPERATOR_CHARS || self.reason.chars().count() > REASON_CHARS {
            return Err("the operator is longer than 200 characters, or the reason than 2,000");
        }
        Ok(())
    }
}

async fn replay(Ctx(state): Shared, Path(id): Path<String>, Json(decision): Json<Decision>) -> Response {
    if let Err(why) = decision.check() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, why);
    }
    let id = DeliveryId(id);
    let by = dead_letter::By { operator: &decision.operator, reason: &decision.reason };
    match dead_letter::replay(&*state.store, &state.clock, &id, &by, state.replay_secs).await {
        Ok(()) => Json(json!({"replayed": id})).into_response(),
        Err(error @ ReplayError::Superseded(_)) => problem(StatusCode::CONFLICT, &error.to_string()),
        Err(ReplayError::Store(error)) => failed(&error),
    }
}

/// What is in force at an endpoint under a former identity is issued again.
async fn reissue(Ctx(state): Shared, Path(name): Path<String>, Json(decision): Json<Decision>) -> Response {
    if let Err(why) = decision.check() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, why);
    }
    let by = dead_letter::By { operator: &decision.operator, reason: &decision.reason };
    match state.relay.reissue(&EndpointName(name.clone()), &by, state.replay_secs).await {
        Ok(queued) => Json(json!({"endpoint": name, "reissued": queued})).into_response(),
        Err(error @ ReissueError::NoEndpoint) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error @ ReissueError::AsReceived) => problem(StatusCode::CONFLICT, &error.to_string()),
        Err(ReissueError::Store(error)) => failed(&error),
    }
}

async fn quarantined(Ctx(state): Shared, Path(id): Path<String>) -> Response {
    match state.store.quarantined_document(&id).await {
        Ok(Some((entry, _))) => Json(entry).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "no such quarantined document"),
        Err(error) => failed(&error),
    }
}

async fn quarantined_document(Ctx(state): Shared, Path(id): Path<String>) -> Response {
    match state.store.quarantined_document(&id).await {
        // Never as XML: a browser would render what somebody else wrote.
        Ok(Some((_, raw))) => (
            [(header::CONTENT_TYPE, "application/octet-stream"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")],
            raw,
        )
            .into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "no such quarantined document"),
        Err(error) => failed(&error),
    }
}

async fn release(Ctx(state): Shared, Path(id): Path<String>, Json(decision): Json<Decision>) -> Response {
    if let Err(why) = decision.check() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, why);
    }
    let (entry, raw) = match state.store.quarantined_document(&id).await {
        Ok(Some(found)) => found,
        Ok(None) => return problem(StatusCode::NOT_FOUND, &format!("no quarantined document {id}")),
        Err(error) => return failed(&error),
    };
    let received = Received {
        raw,
        form: entry.form,
        received_at: entry.received_at,
        remote_id: entry.remote_id.clone(),
        is_revision: false,
        problem: None,
    };
    // Taken first and marked then: a crash between the two leaves a document that is accepted and still shown, not one
    // that is shown as released and lost.
    let pardon = Pardon { operator: decision.operator.clone() };
    let outcome = match state.pipeline.take(&entry.origin, received, Some(&pardon)).await {
        Ok(Acceptance::Quarantined) => {
            let detail =
                format!("{id} stays in quarantine: nobody can release what cannot be read or trusted so");
            return problem(StatusCode::CONFLICT, &detail);
        }
        Ok(outcome) => outcome,
        Err(error) => return failed(&error),
    };
    let now = state.clock.now();
    let facts = json!({"quarantine": id, "operator": decision.operator, "reason": decision.reason, "outcome": outcome});
    let facts = facts.as_object().cloned().unwrap_or_default();
    let made = Release { operator: decision.operator, reason: decision.reason, released_at: now };
    let event = Event { at: now, what: "released".into(), alert: None, delivery: None, facts };
    if let Err(error) = state.store.release(&id, made, vec![event]).await {
        return failed(&error);
    }
    info!(quarantine = id, operator = pardon.operator, ?outcome, "document released from quarantine");
    Json(json!({"released": id, "outcome": outcome})).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What everybody may ask, without a token.
    const OPEN: [&str; 3] = ["/healthz", "/openapi.json", "/readyz"];

    #[test]
    fn the_published_document_has_each_route_with_its_right_and_no_other() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut published = BTreeMap::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap().iter().filter(|(m, _)| *m != "parameters")
            {
                let need = operation["x-need"].as_str().unwrap_or("Nothing").to_owned();
                published.insert((path.clone(), method.clone()), need);
            }
        }
        let mut served: BTreeMap<_, _> = routes()
            .into_iter()
            .map(|route| ((route.path.to_owned(), route.method.to_owned()), format!("{:?}", route.need)))
            .collect();
        served.extend(OPEN.map(|path| ((path.to_owned(), "get".to_owned()), "Nothing".to_owned())));
        assert_eq!(published, served);
    }
}

//! Subscriptions over the admin socket.

use axum::Json;
use axum::extract::{Extension, Path, State as Ctx};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Reach};
use capbridge_adapters::source::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Shared;
use super::access::{Need, Route};
use super::endpoints::Why;
use super::problem::{problem, problem_with};
use super::responders::{owns, present};
use super::tokens::{Refusal, refused};
use crate::clock::SystemClock;
use crate::pipeline::rules::Rule;
use crate::registration::{
    Caller, Ledger, Live, Pause, RegisterError, Role, Step, Subscription, SubscriptionOrder, Wanting,
};
use crate::store::registrations::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/subscriptions", Need::SeeOwn, list),
        Route::post("/v1/subscriptions", Need::ChangeOwn, create),
        Route::get("/v1/subscriptions/{name}", Need::SeeOwn, show),
        Route::put("/v1/subscriptions/{name}", Need::ChangeOwn, replace),
        Route::delete("/v1/subscriptions/{name}", Need::ChangeOwn, remove),
        Route::post("/v1/subscriptions/{name}/pause", Need::ChangeOwn, pause),
        Route::post("/v1/subscriptions/{name}/resume", Need::ChangeOwn, resume),
    ]
}

/// Why an order is refused.
enum No {
    Refused(Refusal),
    /// The faults of its filter.
    Faulty(Vec<Value>, String),
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        No::Refused(refusal)
    }
}

fn declined(error: RegisterError<No>) -> Response {
    match error {
        RegisterError::Refused(No::Refused(refusal)) => refused(RegisterError::Refused(refusal)),
        RegisterError::Refused(No::Faulty(faults, detail)) => {
            let members = Map::from_iter([("faults".to_owned(), Value::Array(faults))]);
            problem_with(StatusCode::UNPROCESSABLE_ENTITY, &detail, members)
        }
        RegisterError::Busy => refused(RegisterError::Busy),
        RegisterError::Store(error) => refused(RegisterError::Store(error)),
    }
}

/// What a subscription needs of its endpoint.
struct Target {
    name: EndpointName,
    class: Class,
    reach: Reach,
}

/// The endpoint of a subscription, if it is there and the caller's own. One that is not proven yet counts.
fn target(live: &Live, ledger: &Ledger, caller: &Caller, name: &str) -> Option<Target> {
    let key = EndpointName(name.to_owned());
    if let Some(endpoint) = live.declared.endpoints.get(&key) {
        let (class, reach) = (endpoint.class(), endpoint.reach());
        return (caller.role != Role::Responder).then_some(Target { name: key, class, reach });
    }
    let endpoint = ledger.endpoint(name).filter(|e| e.ended_at.is_none() && owns(caller, &e.responder))?;
    Some(Target { name: key, class: endpoint.class, reach: endpoint.reach })
}

fn own<'l>(live: &Live, ledger: &'l Ledger, caller: &Caller, name: &str) -> Option<&'l Subscription> {
    let found = ledger.subscription(name).filter(|s| s.ended_at.is_none())?;
    let visible = caller.role != Role::Responder || target(live, ledger, caller, &found.endpoint).is_some();
    visible.then_some(found.as_ref())
}

fn not_there() -> No {
    No::Refused((StatusCode::NOT_FOUND, "no such subscription".to_owned()))
}

fn shown(live: &Live, ledger: &Ledger, subscription: &Subscription) -> Value {
    let fault = live.fault(Kind::Subscription, &subscription.name);
    let waits = ledger.endpoint(&subscription.endpoint).is_some_and(|e| e.proven_at.is_none());
    let state = match (&subscription.paused, &fault) {
        (_, Some(_)) => "faulty",
        (Some(_), None) => "paused",
        (None, None) if waits => "waiting",
        (None, None) => "ready",
    };
    json!({
        "name": subscription.name, "endpoint": subscription.endpoint, "class": subscription.class,
        "filter": subscription.filter, "paused": subscription.paused, "created_at": subscription.created_at,
        "created_by": subscription.created_by, "state": state, "fault": fault, "from": "api",
    })
}

/// A route of the file says what subscriptions say.
fn declared(live: &Live, rule: &Rule) -> Value {
    let filter = json!({
        "from": rule.from, "categories": rule.categories, "events": rule.events, "severities": rule.severities,
        "urgencies": rule.urgencies, "certainties": rule.certainties, "languages": rule.languages,
        "scopes": rule.scopes, "cbrne": rule.cbrne, "untouched": rule.untouched,
        "notify_neighbours": rule.notify_neighbours, "open_channels": rule.open_channels,
    });
    json!({
        "name": rule.name, "endpoints": rule.to, "class": rule.class, "filter": filter, "state": "ready",
        "from": live.declared.place("route", &rule.name),
    })
}

async fn list(Ctx(state): Shared, Extension(caller): Extension<Caller>) -> Response {
    let (live, ledger) = (&state.live, state.live.ledger());
    let mut all = Vec::new();
    if caller.role != Role::Responder {
        all.extend(live.declared.rules.iter().map(|rule| declared(live, rule)));
    }
    let names: Vec<_> = ledger.subscriptions().map(|s| s.name.clone()).collect();
    let mine = names.iter().filter_map(|name| own(live, &ledger, &caller, name.as_str()));
    all.extend(mine.map(|s| shown(live, &ledger, s)));
    Json(all).into_response()
}

async fn show(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let (live, ledger) = (&state.live, state.live.ledger());
    let file = live.declared.rules.iter().find(|rule| rule.name == name);
    if let Some(rule) = file.filter(|_| caller.role != Role::Responder) {
        return Json(declared(live, rule)).into_response();
    }
    match own(live, &ledger, &caller, &name) {
        Some(subscription) => Json(shown(live, &ledger, subscription)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such subscription"),
    }
}

/// The subscription as it is kept, if the order is one that can be.
fn fill(
    live: &Live,
    ledger: &Ledger,
    (caller, now): (&Caller, Timestamp),
    order: &SubscriptionOrder,
) -> Result<Subscription, No> {
    let Some(target) = target(live, ledger, caller, &order.endpoint) else {
        let detail = format!("endpoint: there is none called {}", order.endpoint);
        return Err(No::Refused((StatusCode::UNPROCESSABLE_ENTITY, detail)));
    };
    let mut filter = order.filter.clone();
    if let Some(own) = &caller.responder {
        let may: &[String] = present(ledger, own).map_or(&[], |responder| &responder.sources);
        if let Some(other) = filter.from.iter().find(|name| !may.contains(name)) {
            return Err(No::Refused((
                StatusCode::FORBIDDEN,
                format!("from: {own} may not subscribe to {other}"),
            )));
        }
        if filter.from.is_empty() {
            filter.from = may.iter().cloned().collect();
        }
        if filter.from.is_empty() {
            return Err(No::Refused((
                StatusCode::FORBIDDEN,
                format!("from: {own} may subscribe to no source"),
            )));
        }
        if filter.purpose.is_some() || !filter.open_channels.is_empty() {
            let detail = "purpose and open_channels are for an operator to say".to_owned();
            return Err(No::Refused((StatusCode::FORBIDDEN, detail)));
        }
    }
    let subscription = Subscription {
        v: 1,
        name: order.name.clone(),
        endpoint: order.endpoint.clone(),
        class: order.class.unwrap_or(target.class),
        filter,
        paused: None,
        created_at: now,
        created_by: caller.by.clone(),
        ended_at: None,
    };
    let wanting = Wanting { name: &target.name, class: target.class, reach: target.reach };
    match subscription.rule(wanting, &live.declared, live.boundaries()) {
        Ok(_) => Ok(subscription),
        Err(faults) => {
            let detail = crate::registration::shown(&faults);
            let each = faults.0.into_iter();
            let each = each.map(|f| json!({"key": f.key, "problem": f.problem, "remedy": f.remedy}));
            Err(No::Faulty(each.collect(), detail))
        }
    }
}

fn written(subscription: &Subscription, now: Timestamp, what: &str, caller: &Caller) -> Step {
    let facts = json!({"subscription": subscription.name, "endpoint": subscription.endpoint,
        "class": subscription.class, "filter": subscription.filter});
    let step = Step::none().write(Kind::Subscription, subscription.name.as_str(), subscription);
    step.note(now, what, caller, facts)
}

fn answer(live: &Live, name: &str) -> Json<Value> {
    let ledger = live.ledger();
    Json(ledger.subscription(name).map_or(Value::Null, |subscription| shown(live, &ledger, subscription)))
}

async fn create(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Json(order): Json<SubscriptionOrder>,
) -> Response {
    let (live, now) = (&state.live, SystemClock.now());
    let made = live
        .change(|ledger| {
            let file = live.declared.rules.iter().any(|rule| rule.name == order.name.as_str());
            let before = ledger.subscription(order.name.as_str());
            // An ended one of the same endpoint may be begun anew; its name leads the chains that went by it.
            let taken = before.is_some_and(|b| b.ended_at.is_none() || b.endpoint != order.endpoint);
            if file || taken {
                return Err(No::Refused((StatusCode::CONFLICT, format!("the name {} is taken", order.name))));
            }
            let subscription = fill(live, ledger, (&caller, now), &order)?;
            Ok((written(&subscription, now, "subscription-made", &caller), ()))
        })
        .await;
    match made {
        Ok(()) => (StatusCode::CREATED, answer(live, order.name.as_str())).into_response(),
        Err(error) => declined(error),
    }
}

async fn replace(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(order): Json<SubscriptionOrder>,
) -> Response {
    let (live, now) = (&state.live, SystemClock.now());
    let made = live
        .change(|ledger| {
            let before = own(live, ledger, &caller, &name).ok_or_else(not_there)?;
            if order.name != before.name || order.endpoint != before.endpoint {
                let detail = "a subscription keeps its name and its endpoint: make another one".to_owned();
                return Err(No::Refused((StatusCode::UNPROCESSABLE_ENTITY, detail)));
            }
            let filled = fill(live, ledger, (&caller, now), &order)?;
            let (created_at, created_by) = (before.created_at, before.created_by.clone());
            let subscription =
                Subscription { paused: before.paused.clone(), created_at, created_by, ..filled };
            Ok((written(&subscription, now, "subscription-changed", &caller), ()))
        })
        .await;
    match made {
        Ok(()) => answer(live, &name).into_response(),
        Err(error) => declined(error),
    }
}

async fn remove(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let now = SystemClock.now();
    let ended = alter(&state.live, (&caller, &name, now), "subscription-ended", |subscription| {
        subscription.ended_at = Some(now);
    });
    match ended.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => declined(error),
    }
}

async fn alter(
    live: &Live,
    (caller, name, now): (&Caller, &str, Timestamp),
    what: &str,
    change: impl Fn(&mut Subscription),
) -> Result<(), RegisterError<No>> {
    live.change(|ledger| {
        let mut subscription = own(live, ledger, caller, name).ok_or_else(not_there)?.clone();
        change(&mut subscription);
        Ok((written(&subscription, now, what, caller), ()))
    })
    .await
}

async fn pause(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Response {
    let now = SystemClock.now();
    let reason = match why.check() {
        Ok(reason) => reason,
        Err((status, detail)) => return problem(status, &detail),
    };
    let pause = Pause { at: now, by: caller.by.clone(), reason };
    let paused = alter(&state.live, (&caller, &name, now), "subscription-paused", |subscription| {
        subscription.paused = Some(pause.clone());
    });
    match paused.await {
        Ok(()) => answer(&state.live, &name).into_response(),
        Err(error) => declined(error),
    }
}

async fn resume(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Response {
    let now = SystemClock.now();
    if let Err((status, detail)) = why.check() {
        return problem(status, &detail);
    }
    let resumed = alter(&state.live, (&caller, &name, now), "subscription-resumed", |subscription| {
        subscription.paused = None;
    });
    match resumed.await {
        Ok(()) => answer(&state.live, &name).into_response(),
        Err(error) => declined(error),
    }
}

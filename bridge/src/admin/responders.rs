//! Responders over the admin socket.

use axum::Json;
use axum::extract::{Extension, Path, State as Ctx};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::Origin;
use capbridge_adapters::source::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shared;
use super::access::{Need, Route};
use super::problem::problem;
use super::tokens::{Refusal, refused};
use crate::clock::SystemClock;
use crate::registration::{Caller, Ledger, Live, Name, Responder, ResponderOrder, Step};
use crate::store::registrations::Kind;

/// The longest title and contact, in characters.
const TEXT_CHARS: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/responders", Need::SeeOwn, list),
        Route::post("/v1/responders", Need::Operate, create),
        Route::get("/v1/responders/{name}", Need::SeeOwn, show),
        Route::put("/v1/responders/{name}", Need::Operate, replace),
        Route::delete("/v1/responders/{name}", Need::Operate, remove),
    ]
}

/// Whether a caller may touch what belongs to a responder.
pub(super) fn owns(caller: &Caller, responder: &Name) -> bool {
    caller.responder.as_ref().is_none_or(|own| own == responder)
}

/// A responder that was not removed.
pub(super) fn present<'l>(ledger: &'l Ledger, name: &Name) -> Option<&'l Responder> {
    ledger.responder(name).map(AsRef::as_ref).filter(|responder| responder.ended_at.is_none())
}

fn shown(ledger: &Ledger, responder: &Responder) -> Value {
    let endpoints = ledger.endpoints().filter(|e| e.responder == responder.name && e.ended_at.is_none());
    json!({
        "name": responder.name, "title": responder.title, "contact": responder.contact, "classes": responder.classes,
        "sources": responder.sources, "created_at": responder.created_at, "created_by": responder.created_by,
        "endpoints": endpoints.map(|e| &e.name).collect::<Vec<_>>(), "from": "api",
    })
}

async fn list(Ctx(state): Shared, Extension(caller): Extension<Caller>) -> Response {
    let ledger = state.live.ledger();
    let all = ledger.responders().filter(|r| r.ended_at.is_none() && owns(&caller, &r.name));
    Json(all.map(|responder| shown(&ledger, responder)).collect::<Vec<_>>()).into_response()
}

async fn show(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let ledger = state.live.ledger();
    let name = Name::new(&name).ok().filter(|name| owns(&caller, name));
    match name.as_ref().and_then(|name| present(&ledger, name)) {
        Some(responder) => Json(shown(&ledger, responder)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such responder"),
    }
}

/// What is wrong with an order.
fn check(live: &Live, order: &ResponderOrder) -> Result<(), Refusal> {
    let bad = |why: String| Err((StatusCode::UNPROCESSABLE_ENTITY, why));
    let odd = |text: &str| text.chars().count() > TEXT_CHARS || text.chars().any(char::is_control);
    if order.title.trim().is_empty() || odd(&order.title) || order.contact.as_deref().is_some_and(odd) {
        return bad(format!(
            "title and contact are one line of at most {TEXT_CHARS} characters, the title not blank"
        ));
    }
    if order.classes.contains(&Class::Internal) {
        return bad("classes: internal messages are never relayed".into());
    }
    let unknown =
        order.sources.iter().find(|name| !live.declared.sources.contains_key(&Origin((*name).clone())));
    match unknown {
        Some(name) => bad(format!("sources: names no source: {name}")),
        None => Ok(()),
    }
}

fn fill(order: &ResponderOrder, now: Timestamp, caller: &Caller) -> Responder {
    let ResponderOrder { name, title, contact, classes, sources } = order.clone();
    let (created_at, created_by) = (now, caller.by.clone());
    Responder { v: 1, name, title, contact, classes, sources, created_at, created_by, ended_at: None }
}

async fn create(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Json(order): Json<ResponderOrder>,
) -> Response {
    let now = SystemClock.now();
    let made = state
        .live
        .change(|ledger| {
            check(&state.live, &order)?;
            if present(ledger, &order.name).is_some() {
                return Err((StatusCode::CONFLICT, format!("there is a responder {}", order.name)));
            }
            Ok((written(fill(&order, now, &caller), now, "responder-registered", &caller), ()))
        })
        .await;
    match made {
        Ok(()) => (StatusCode::CREATED, answer(&state.live, &order.name)).into_response(),
        Err(error) => refused(error),
    }
}

fn written(responder: Responder, now: Timestamp, what: &str, caller: &Caller) -> Step {
    let facts =
        json!({"responder": responder.name, "classes": responder.classes, "sources": responder.sources});
    Step::none().write(Kind::Responder, responder.name.as_str(), &responder).note(now, what, caller, facts)
}

fn answer(live: &Live, name: &Name) -> Json<Value> {
    let ledger = live.ledger();
    Json(present(&ledger, name).map_or(Value::Null, |responder| shown(&ledger, responder)))
}

async fn replace(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(order): Json<ResponderOrder>,
) -> Response {
    let now = SystemClock.now();
    if order.name.as_str() != name {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "name: a responder keeps its name");
    }
    let made = state
        .live
        .change(|ledger| {
            check(&state.live, &order)?;
            let Some(before) = present(ledger, &order.name) else {
                return Err((StatusCode::NOT_FOUND, "no such responder".to_owned()));
            };
            let (created_at, created_by) = (before.created_at, before.created_by.clone());
            let responder = Responder { created_at, created_by, ..fill(&order, now, &caller) };
            Ok((written(responder, now, "responder-changed", &caller), ()))
        })
        .await;
    match made {
        Ok(()) => answer(&state.live, &order.name).into_response(),
        Err(error) => refused(error),
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
            let name = Name::new(&name).ok();
            let Some(before) = name.as_ref().and_then(|name| present(ledger, name)) else {
                return Err((StatusCode::NOT_FOUND, "no such responder".to_owned()));
            };
            let left = ledger.endpoints().find(|e| e.responder == before.name && e.ended_at.is_none());
            if let Some(left) = left {
                let detail = format!("the endpoint {} is its own: remove that first", left.name);
                return Err((StatusCode::CONFLICT, detail));
            }
            let responder = Responder { ended_at: Some(now), ..before.clone() };
            Ok((written(responder, now, "responder-removed", &caller), ()))
        })
        .await;
    match ended {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(error),
    }
}

//! Responders over the admin socket.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::Origin;
use serde_json::{Value, json};

use super::access::{Need, Route};
use super::call::{Answer, Call, Refusal};
use crate::registration::{Caller, Ledger, Live, Name, Responder, ResponderOrder, Step, Token};
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

/// The one that a call names, if it is there and the caller's own. To others it is not there.
fn own<'l>(ledger: &'l Ledger, call: &Call, name: &str) -> Result<&'l Responder, Refusal> {
    let name = Name::new(name).ok().filter(|name| owns(&call.caller, name));
    name.and_then(|name| present(ledger, &name)).ok_or_else(|| Refusal::missing("responder"))
}

fn shown(ledger: &Ledger, responder: &Responder) -> Value {
    let endpoints = ledger.endpoints().filter(|e| e.responder == responder.name && e.ended_at.is_none());
    json!({
        "name": responder.name, "title": responder.title, "contact": responder.contact, "classes": responder.classes,
        "sources": responder.sources, "created_at": responder.created_at, "created_by": responder.created_by,
        "endpoints": endpoints.map(|e| &e.name).collect::<Vec<_>>(), "from": "api",
    })
}

async fn list(call: Call) -> Answer {
    let ledger = call.ledger();
    let all = ledger.responders().filter(|r| r.ended_at.is_none() && owns(&call.caller, &r.name));
    Ok(Json(all.map(|responder| shown(&ledger, responder)).collect::<Vec<_>>()).into_response())
}

async fn show(call: Call, Path(name): Path<String>) -> Answer {
    let ledger = call.ledger();
    Ok(Json(shown(&ledger, own(&ledger, &call, &name)?)).into_response())
}

/// What is wrong with an order.
fn check(live: &Live, order: &ResponderOrder) -> Result<(), Refusal> {
    let odd = |text: &str| text.chars().count() > TEXT_CHARS || text.chars().any(char::is_control);
    if order.title.trim().is_empty() || odd(&order.title) || order.contact.as_deref().is_some_and(odd) {
        return Err(Refusal::unfit(format!(
            "title and contact are one line of at most {TEXT_CHARS} characters, the title not blank"
        )));
    }
    if order.classes.contains(&Class::Internal) {
        return Err(Refusal::unfit("classes: internal messages are never relayed"));
    }
    let unknown =
        order.sources.iter().find(|name| !live.declared.sources.contains_key(&Origin((*name).clone())));
    match unknown {
        Some(name) => Err(Refusal::unfit(format!("sources: names no source: {name}"))),
        None => Ok(()),
    }
}

fn fill(call: &Call, order: &ResponderOrder) -> Responder {
    let ResponderOrder { name, title, contact, classes, sources } = order.clone();
    let (created_at, created_by) = (call.now, call.caller.by.clone());
    Responder { v: 1, name, title, contact, classes, sources, created_at, created_by, ended_at: None }
}

fn written(call: &Call, responder: &Responder, what: &str) -> Step {
    let facts =
        json!({"responder": responder.name, "classes": responder.classes, "sources": responder.sources});
    call.note(Step::none().write(Kind::Responder, responder.name.as_str(), responder), what, facts)
}

async fn create(call: Call, Json(order): Json<ResponderOrder>) -> Answer {
    let made = call
        .change(|ledger| {
            check(call.live(), &order)?;
            if present(ledger, &order.name).is_some() {
                return Err(Refusal::conflict(format!("there is a responder {}", order.name)));
            }
            let responder = fill(&call, &order);
            Ok((written(&call, &responder, "responder-registered"), responder))
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown(&call.ledger(), &made))).into_response())
}

async fn replace(call: Call, Path(name): Path<String>, Json(order): Json<ResponderOrder>) -> Answer {
    if order.name.as_str() != name {
        return Err(Refusal::unfit("name: a responder keeps its name"));
    }
    let made = call
        .change(|ledger| {
            check(call.live(), &order)?;
            let before = own(ledger, &call, &name)?;
            let (created_at, created_by) = (before.created_at, before.created_by.clone());
            let responder = Responder { created_at, created_by, ..fill(&call, &order) };
            Ok((written(&call, &responder, "responder-changed"), responder))
        })
        .await?;
    Ok(Json(shown(&call.ledger(), &made)).into_response())
}

async fn remove(call: Call, Path(name): Path<String>) -> Answer {
    call.change(|ledger| {
        let before = own(ledger, &call, &name)?;
        let left = ledger.endpoints().find(|e| e.responder == before.name && e.ended_at.is_none());
        if let Some(left) = left {
            return Err(Refusal::conflict(format!(
                "the endpoint {} is its own: remove that first",
                left.name
            )));
        }
        let responder = Responder { ended_at: Some(call.now), ..before.clone() };
        let mut step = written(&call, &responder, "responder-removed");
        // Its tokens end with it: whoever gets the name next is somebody else.
        for token in
            ledger.tokens().filter(|t| t.responder.as_ref() == Some(&responder.name) && t.is_good(call.now))
        {
            let token = Token { revoked_at: Some(call.now), ..Token::clone(token) };
            step = step.write(Kind::Token, token.name.as_str(), &token);
            step = call.note(step, "token-revoked", json!({"token": token.name}));
        }
        Ok((step, ()))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

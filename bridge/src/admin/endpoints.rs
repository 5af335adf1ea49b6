//! Endpoints over the admin socket: registered, listed, removed.
//!
//! Must not change the class of an endpoint, and must not show a secret but in the answer that makes it.

mod proving;
mod shown;
mod standing;

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Reach};
use capbridge_adapters::registry::EndpointKind;
use serde_json::{Value, json};
use tracing::info;
use url::Url;

use super::access::{Need, Route};
use super::call::{Answer, Call, Refusal};
use super::responders::{owns, present};
use crate::registration::{Endpoint, EndpointOrder, Ledger, Responder, Step};
use crate::store::registrations::Kind;
use crate::telemetry::chain;

use shown::{declared, shown, with_secret};

pub(super) fn routes() -> Vec<Route> {
    let mut all = vec![
        Route::get("/v1/endpoints", Need::SeeOwn, list),
        Route::post("/v1/endpoints", Need::ChangeOwn, create),
        Route::get("/v1/endpoints/{name}", Need::SeeOwn, show),
        Route::delete("/v1/endpoints/{name}", Need::ChangeOwn, remove),
    ];
    all.extend(proving::routes());
    all.extend(standing::routes());
    all
}

/// A registered endpoint that is there and that the caller may see. To others it is not there.
fn own<'l>(call: &Call, ledger: &'l Ledger, name: &str) -> Result<&'l Arc<Endpoint>, Refusal> {
    let found = ledger.endpoint(name).filter(|e| e.ended_at.is_none() && owns(&call.caller, &e.responder));
    found.ok_or_else(|| Refusal::missing("endpoint"))
}

/// A document written, with what the record says of it.
fn written(call: &Call, endpoint: &Endpoint, what: &str, facts: Value) -> Step {
    call.note(Step::none().write(Kind::Endpoint, endpoint.name.as_str(), endpoint), what, facts)
}

async fn list(call: Call) -> Answer {
    let (live, ledger) = (call.live(), call.ledger());
    let mut all = Vec::new();
    if call.sees_the_file() {
        all.extend(live.declared.endpoints.iter().map(|(name, e)| declared(live, &ledger, name, e)));
    }
    let mine = ledger.endpoints().filter(|e| e.ended_at.is_none() && owns(&call.caller, &e.responder));
    all.extend(mine.map(|e| shown(live, &ledger, e)));
    Ok(Json(all).into_response())
}

async fn show(call: Call, Path(name): Path<String>) -> Answer {
    let (live, ledger) = (call.live(), call.ledger());
    let file = live.declared.endpoints.get_key_value(&EndpointName(name.clone()));
    let found = match file.filter(|_| call.sees_the_file()) {
        Some((name, endpoint)) => declared(live, &ledger, name, endpoint),
        None => shown(live, &ledger, own(&call, &ledger, &name)?),
    };
    Ok(Json(found).into_response())
}

/// What the configuration and the responder permit; the rest is the table's own check.
fn permitted(call: &Call, responder: &Responder, endpoint: &Endpoint) -> Result<(), Refusal> {
    let permits = &call.live().declared.permits;
    if !permits.kinds.contains(&endpoint.kind) {
        return Err(Refusal::forbidden(format!(
            "{}: endpoints of this kind are declared in the configuration, unless registration.kinds names it",
            endpoint.kind
        )));
    }
    if endpoint.reach == Reach::Public && permits.public_channels.is_empty() {
        let why = "reach: an endpoint that reaches the public is declared in the configuration";
        return Err(Refusal::forbidden(why));
    }
    if call.sees_the_file() {
        return Ok(());
    }
    // What an operator vouches for, or pays for, is not for a responder to make.
    if ![EndpointKind::Webhook, EndpointKind::Feed].iter().any(|kind| kind.as_str() == endpoint.kind) {
        let why = "a responder registers webhooks and feeds itself; an operator registers the rest";
        return Err(Refusal::forbidden(why));
    }
    if !responder.classes.contains(&endpoint.class) {
        let why = format!("class: {} may not register endpoints for {}", responder.name, endpoint.class);
        return Err(Refusal::forbidden(why));
    }
    let own_system = endpoint.system == responder.name.as_str();
    if endpoint.restricted || !endpoint.addresses.is_empty() || endpoint.reach == Reach::Public || !own_system
    {
        return Err(Refusal::forbidden("restricted, addresses, reach and system are for an operator to say"));
    }
    Ok(())
}

/// The address that an endpoint is called at is looked at before anything is stored.
async fn reachable(call: &Call, endpoint: &Endpoint) -> Result<(), Refusal> {
    let named = |key: &str| endpoint.settings.get(key).and_then(Value::as_str);
    let mail = named("server").map(|server| ("server", format!("https://{server}/")));
    let hub = ["url", "hub_url", "base_url"].iter().find_map(|key| Some((*key, named(key)?.to_owned())));
    let Some((key, text)) = hub.or(mail) else { return Ok(()) };
    // What is no URL the table's own check has told of.
    let Ok(url) = Url::parse(&text) else { return Ok(()) };
    let looked = call.state.context.http.check(&url).await;
    looked.map_err(|error| Refusal::unfit(format!("{key}: {}", chain(&error))))
}

/// Where entries are kept under a name, whoever reads there would read those too.
async fn holds_nothing(call: &Call, endpoint: &Endpoint) -> Result<(), Refusal> {
    let name = EndpointName(endpoint.name.to_string());
    if call.state.store.extent(&name).await?.last > 0 {
        let detail = format!("{name} was a feed, and what is in it is not for others: use another name");
        return Err(Refusal::conflict(detail));
    }
    Ok(())
}

/// Where a webhook is, for the record, which is kept for ever: a query may hold a secret.
fn address(endpoint: &Endpoint) -> Option<String> {
    let mut url = Url::parse(endpoint.settings.get("url")?.as_str()?).ok()?;
    url.set_query(None);
    Some(url.into())
}

async fn create(call: Call, Json(order): Json<EndpointOrder>) -> Answer {
    if order.class == Class::Internal {
        return Err(Refusal::unfit("class: internal messages are never relayed"));
    }
    let hub = order.masas.is_some() || order.ipaws.is_some();
    if hub && order.system.is_none() {
        let detail =
            "system: name it as the source that reads the same system, or alerts would go back there";
        return Err(Refusal::unfit(detail));
    }
    let filled = order.fill(call.now, &call.caller.by);
    let (endpoint, text) = filled.map_err(|fault| Refusal::unfit(fault.to_string()))?;
    reachable(&call, &endpoint).await?;
    holds_nothing(&call, &endpoint).await?;
    call.change(|ledger| {
        let unknown = || Refusal::unfit(format!("no responder {}", endpoint.responder));
        let responder = present(ledger, &endpoint.responder).filter(|r| owns(&call.caller, &r.name));
        permitted(&call, responder.ok_or_else(unknown)?, &endpoint)?;
        free_name(&call, ledger, &endpoint)?;
        let facts = json!({"endpoint": endpoint.name, "responder": endpoint.responder, "kind": endpoint.kind,
            "class": endpoint.class, "url": address(&endpoint)});
        Ok((written(&call, &endpoint, "endpoint-registered", facts), ()))
    })
    .await?;
    info!(endpoint = %endpoint.name, "endpoint registered");
    Ok((StatusCode::CREATED, told(&call, &endpoint, text)).into_response())
}

/// The endpoint with what is told once.
fn told(call: &Call, endpoint: &Endpoint, text: Option<String>) -> Response {
    let answer = shown(call.live(), &call.ledger(), endpoint);
    ([(header::CACHE_CONTROL, "no-store")], Json(with_secret(answer, &endpoint.keys, text))).into_response()
}

/// A name is nobody else's, now or before, and stands for one class for ever: deliveries are known by it.
fn free_name(call: &Call, ledger: &Ledger, endpoint: &Endpoint) -> Result<(), Refusal> {
    let taken = || Err(Refusal::conflict(format!("the name {} is taken", endpoint.name)));
    if call.live().declared.endpoints.contains_key(&EndpointName(endpoint.name.to_string())) {
        return taken();
    }
    let Some(before) = ledger.endpoint(endpoint.name.as_str()) else { return Ok(()) };
    let other = before.responder != endpoint.responder || !owns(&call.caller, &before.responder);
    if before.ended_at.is_none() || other {
        return taken();
    }
    if before.class != endpoint.class || before.exercise != endpoint.exercise {
        let detail = format!("{} was an endpoint for {}: use another name", endpoint.name, before.class);
        return Err(Refusal::conflict(detail));
    }
    Ok(())
}

async fn remove(call: Call, Path(name): Path<String>) -> Answer {
    call.change(|ledger| {
        let before = own(&call, ledger, &name)?;
        // Its secrets go; its name stays known, with its class.
        let (secrets, keys, code) = Default::default();
        let ended_at = Some(call.now);
        let endpoint = Endpoint { ended_at, secrets, keys, code, ..Endpoint::clone(before) };
        let facts = json!({"endpoint": endpoint.name});
        Ok((written(&call, &endpoint, "endpoint-removed", facts), ()))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

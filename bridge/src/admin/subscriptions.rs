//! Subscriptions over the admin socket.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use capbridge_adapters::class::Class;
use capbridge_adapters::passage::{EndpointName, Reach};
use serde_json::{Value, json};

use super::access::{Need, Route};
use super::call::{Answer, Call, Refusal, Why};
use super::responders::{owns, present};
use crate::pipeline::rules::Rule;
use crate::registration::{Filter, Ledger, Live, Step, Subscription, SubscriptionOrder, Wanting};
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

/// What a subscription needs of its endpoint.
struct Target {
    name: EndpointName,
    class: Class,
    reach: Reach,
}

/// The endpoint of a subscription, if it is there and the caller's own. One that is not proven yet counts.
fn target(call: &Call, ledger: &Ledger, name: &str) -> Option<Target> {
    let key = EndpointName(name.to_owned());
    if let Some(endpoint) = call.live().declared.endpoints.get(&key) {
        let (class, reach) = (endpoint.class(), endpoint.reach());
        return call.sees_the_file().then_some(Target { name: key, class, reach });
    }
    let endpoint =
        ledger.endpoint(name).filter(|e| e.ended_at.is_none() && owns(&call.caller, &e.responder))?;
    Some(Target { name: key, class: endpoint.class, reach: endpoint.reach })
}

/// A subscription that is there and that the caller may see. To others it is not there.
fn own<'l>(call: &Call, ledger: &'l Ledger, name: &str) -> Result<&'l Subscription, Refusal> {
    let found = ledger.subscription(name).filter(|s| s.ended_at.is_none());
    let visible = found.filter(|s| call.sees_the_file() || target(call, ledger, &s.endpoint).is_some());
    visible.map(AsRef::as_ref).ok_or_else(|| Refusal::missing("subscription"))
}

fn shown(live: &Live, ledger: &Ledger, subscription: &Subscription) -> Value {
    let fault = live.fault(Kind::Subscription, &subscription.name);
    json!({
        "name": subscription.name, "endpoint": subscription.endpoint, "class": subscription.class,
        "filter": subscription.filter, "paused": subscription.paused, "created_at": subscription.created_at,
        "created_by": subscription.created_by,
        "state": live.subscription_state(ledger, subscription), "fault": fault, "from": "api",
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

async fn list(call: Call) -> Answer {
    let (live, ledger) = (call.live(), call.ledger());
    let mut all = Vec::new();
    if call.sees_the_file() {
        all.extend(live.declared.rules.iter().map(|rule| declared(live, rule)));
    }
    let mine = ledger.subscriptions().filter_map(|s| own(&call, &ledger, s.name.as_str()).ok());
    all.extend(mine.map(|s| shown(live, &ledger, s)));
    Ok(Json(all).into_response())
}

async fn show(call: Call, Path(name): Path<String>) -> Answer {
    let (live, ledger) = (call.live(), call.ledger());
    let file = live.declared.rules.iter().find(|rule| rule.name == name);
    let found = match file.filter(|_| call.sees_the_file()) {
        Some(rule) => declared(live, rule),
        None => shown(live, &ledger, own(&call, &ledger, &name)?),
    };
    Ok(Json(found).into_response())
}

/// What a responder leaves out is filled in from what it may; what it may not is refused.
fn within_permits(call: &Call, ledger: &Ledger, filter: &mut Filter) -> Result<(), Refusal> {
    let Some(own) = &call.caller.responder else { return Ok(()) };
    let may: &[String] = present(ledger, own).map_or(&[], |responder| &responder.sources);
    if let Some(other) = filter.from.iter().find(|name| !may.contains(name)) {
        return Err(Refusal::forbidden(format!("from: {own} may not subscribe to {other}")));
    }
    if filter.from.is_empty() {
        filter.from = may.iter().cloned().collect();
    }
    if filter.from.is_empty() {
        return Err(Refusal::forbidden(format!("from: {own} may subscribe to no source")));
    }
    if filter.purpose.is_some() || !filter.open_channels.is_empty() {
        return Err(Refusal::forbidden("purpose and open_channels are for an operator to say"));
    }
    Ok(())
}

/// The subscription as it is kept, if the order is one that can be.
fn fill(call: &Call, ledger: &Ledger, order: &SubscriptionOrder) -> Result<Subscription, Refusal> {
    let unknown = || Refusal::unfit(format!("endpoint: there is none called {}", order.endpoint));
    let target = target(call, ledger, &order.endpoint).ok_or_else(unknown)?;
    let mut filter = order.filter.clone();
    within_permits(call, ledger, &mut filter)?;
    let subscription = Subscription {
        v: 1,
        name: order.name.clone(),
        endpoint: order.endpoint.clone(),
        class: order.class.unwrap_or(target.class),
        filter,
        paused: None,
        created_at: call.now,
        created_by: call.caller.by.clone(),
        ended_at: None,
    };
    let wanting = Wanting { name: &target.name, class: target.class, reach: target.reach };
    let live = call.live();
    subscription.rule(wanting, &live.declared, live.boundaries()).map_err(Refusal::Faulty)?;
    Ok(subscription)
}

fn written(call: &Call, subscription: &Subscription, what: &str, why: Option<&Why>) -> Step {
    let facts = json!({"subscription": subscription.name, "endpoint": subscription.endpoint,
        "class": subscription.class, "filter": subscription.filter, "reason": why.map(|why| &why.reason.0)});
    call.note(Step::none().write(Kind::Subscription, subscription.name.as_str(), subscription), what, facts)
}

/// What is shown of one after it was changed.
fn answer(call: &Call, subscription: &Subscription) -> Json<Value> {
    Json(shown(call.live(), &call.ledger(), subscription))
}

async fn create(call: Call, Json(order): Json<SubscriptionOrder>) -> Answer {
    let made = call
        .change(|ledger| {
            let file = call.live().declared.rules.iter().any(|rule| rule.name == order.name.as_str());
            let before = ledger.subscription(order.name.as_str());
            // An ended one of the same endpoint may be begun anew; its name leads the chains that went by it.
            let taken = before.is_some_and(|b| b.ended_at.is_none() || b.endpoint != order.endpoint);
            if file || taken {
                return Err(Refusal::conflict(format!("the name {} is taken", order.name)));
            }
            let subscription = fill(&call, ledger, &order)?;
            Ok((written(&call, &subscription, "subscription-made", None), subscription))
        })
        .await?;
    Ok((StatusCode::CREATED, answer(&call, &made)).into_response())
}

async fn replace(call: Call, Path(name): Path<String>, Json(order): Json<SubscriptionOrder>) -> Answer {
    let made = call
        .change(|ledger| {
            let before = own(&call, ledger, &name)?;
            if order.name != before.name || order.endpoint != before.endpoint {
                return Err(Refusal::unfit(
                    "a subscription keeps its name and its endpoint: make another one",
                ));
            }
            let filled = fill(&call, ledger, &order)?;
            let (created_at, created_by) = (before.created_at, before.created_by.clone());
            let subscription =
                Subscription { paused: before.paused.clone(), created_at, created_by, ..filled };
            Ok((written(&call, &subscription, "subscription-changed", None), subscription))
        })
        .await?;
    Ok(answer(&call, &made).into_response())
}

/// Changes one that is the caller's own.
async fn alter(
    call: &Call,
    name: &str,
    (what, why): (&str, Option<&Why>),
    change: impl Fn(&mut Subscription),
) -> Result<Subscription, Refusal> {
    call.change(|ledger| {
        let mut subscription = own(call, ledger, name)?.clone();
        change(&mut subscription);
        Ok((written(call, &subscription, what, why), subscription))
    })
    .await
}

async fn remove(call: Call, Path(name): Path<String>) -> Answer {
    alter(&call, &name, ("subscription-ended", None), |s| s.ended_at = Some(call.now)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn pause(call: Call, Path(name): Path<String>, Json(why): Json<Why>) -> Answer {
    let what = ("subscription-paused", Some(&why));
    let paused = alter(&call, &name, what, |s| s.paused = Some(call.pause(&why))).await?;
    Ok(answer(&call, &paused).into_response())
}

async fn resume(call: Call, Path(name): Path<String>, Json(why): Json<Why>) -> Answer {
    let resumed = alter(&call, &name, ("subscription-resumed", Some(&why)), |s| s.paused = None).await?;
    Ok(answer(&call, &resumed).into_response())
}

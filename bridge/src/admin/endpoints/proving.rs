//! Endpoints prove themselves, are tried out, and get their next key.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use capbridge_adapters::endpoint::{DeliveryError, GreetingForm, Refusal as Said};
use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::registry::AnyEndpoint;
use serde::Deserialize;
use serde_json::json;

use super::super::access::{Need, Route};
use super::super::call::{Answer, Call, Nothing, Refusal};
use super::{own, shown, told, written};
use crate::proving::{Asking, NotProven, greeting};
use crate::registration::keys::{self, MOST_KEYS, Made, OVERLAP};
use crate::registration::{Endpoint, Ledger, Step};
use crate::telemetry::chain;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/endpoints/{name}/challenge", Need::ChangeOwn, challenge),
        Route::post("/v1/endpoints/{name}/proof", Need::ChangeOwn, proof),
        Route::post("/v1/endpoints/{name}/rotate", Need::ChangeOwn, rotate),
        Route::post("/v1/endpoints/{name}/test", Need::ChangeOwn, test),
    ]
}

/// What the far side said, and that nothing changed.
fn not_taken(error: &DeliveryError) -> Refusal {
    let status = match error {
        // Of its kind there is nothing to try.
        DeliveryError::Permanent { cause: Said::Unfit { .. }, .. } => StatusCode::CONFLICT,
        DeliveryError::Permanent { .. } | DeliveryError::Temporary { .. } => StatusCode::BAD_GATEWAY,
    };
    Refusal::Told(status, chain(error))
}

impl From<NotProven> for Refusal {
    fn from(error: NotProven) -> Self {
        match error {
            NotProven::Missing => Refusal::missing("endpoint"),
            NotProven::Vouched { .. }
            | NotProven::Sent
            | NotProven::Already
            | NotProven::Unfit(_)
            | NotProven::Changed => Refusal::conflict(error.to_string()),
            NotProven::Code(fault) => Refusal::unfit(format!("code: {fault}")),
            NotProven::NoRandomness => Refusal::no_randomness(),
            NotProven::NotAnswered(error) => not_taken(&error),
            NotProven::Busy => Refusal::Told(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            NotProven::Store(error) => Refusal::Store(error),
        }
    }
}

/// Sends the signed challenge, or the code to a mailbox. A webhook that answers is proven and gets alerts from now on.
async fn challenge(call: Call, Path(name): Path<String>, Json(Nothing {}): Json<Nothing>) -> Answer {
    let asking = Asking { caller: &call.caller, name: &name };
    let endpoint = call.state.prover.ask(asking).await?;
    Ok(Json(shown(call.live(), &call.ledger(), &endpoint)).into_response())
}

/// What came by mail.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    code: String,
}

/// Takes the code that was sent to a mailbox: its reader gave it back.
async fn proof(call: Call, Path(name): Path<String>, Json(given): Json<Given>) -> Answer {
    let asking = Asking { caller: &call.caller, name: &name };
    let endpoint = call.state.prover.take_code(asking, &given.code).await?;
    Ok(Json(shown(call.live(), &call.ledger(), &endpoint)).into_response())
}

/// Makes the next key or token. The one before is good beside it for a day.
async fn rotate(call: Call, Path(name): Path<String>, Json(Nothing {}): Json<Nothing>) -> Answer {
    let (endpoint, text) = call
        .change(|ledger| {
            let (endpoint, text) = next_key(&call, own(&call, ledger, &name)?)?;
            let key = endpoint.keys.last().map(|key| key.name.clone());
            let facts = json!({"endpoint": endpoint.name, "key": key});
            Ok((written(&call, &endpoint, "key-rotated", facts), (endpoint, text)))
        })
        .await?;
    Ok(told(&call, &endpoint, text))
}

fn next_key(call: &Call, before: &Endpoint) -> Result<(Endpoint, Option<String>), Refusal> {
    let now = call.now;
    let Some(last) = before.keys.last() else {
        return Err(Refusal::conflict(format!("the bridge has no key of its own for {}", before.kind)));
    };
    let mut endpoint = before.clone();
    // What is good no more is forgotten.
    endpoint.keys.retain(|key| key.signs(now));
    if endpoint.keys.len() >= MOST_KEYS {
        let detail = format!("{MOST_KEYS} keys are good already: wait until the oldest of them has retired");
        return Err(Refusal::conflict(detail));
    }
    let number = last.name.rsplit('-').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    let made = keys::make(format!("key-{}", number.saturating_add(1)), last.form, now);
    let Made { key, kept, told } = made.ok_or_else(Refusal::no_randomness)?;
    for old in endpoint.keys.iter_mut().filter(|old| old.retires_at.is_none()) {
        old.retires_at = now.checked_add(OVERLAP).ok();
    }
    endpoint.secrets.0.insert(key.name.clone(), kept);
    endpoint.keys.push(key);
    let kept: Vec<String> = endpoint.keys.iter().map(|key| key.name.clone()).collect();
    endpoint.secrets.0.retain(|name, _| !name.starts_with("key-") || kept.contains(name));
    Ok((endpoint, told))
}

/// The endpoint that is to be tried out: one of the file, or one that has proven itself.
fn to_be_tried(call: &Call, ledger: &Ledger, name: &str) -> Result<AnyEndpoint, Refusal> {
    let file = call.live().declared.endpoints.get(&EndpointName(name.to_owned()));
    if let Some(endpoint) = file.filter(|_| call.sees_the_file()) {
        return Ok(endpoint.clone());
    }
    let endpoint = own(call, ledger, name)?;
    if endpoint.proven_at.is_none() {
        return Err(Refusal::conflict("it has not proven itself: send it a challenge first"));
    }
    endpoint.build(call.now).map_err(|fault| Refusal::conflict(fault.to_string()))
}

/// Tries the connection out with something that is no alert.
async fn test(call: Call, Path(name): Path<String>, Json(Nothing {}): Json<Nothing>) -> Answer {
    let built = to_be_tried(&call, &call.ledger(), &name)?;
    let greeting = greeting("tst", |_| GreetingForm::Test).ok_or_else(Refusal::no_randomness)?;
    let taken = built.greet(&call.state.context, &greeting).await;
    let facts = json!({"endpoint": name, "taken": taken.is_ok()});
    call.state.store.record(call.note(Step::none(), "endpoint-tested", facts).events()).await?;
    let receipt = taken.map_err(|error| not_taken(&error))?;
    let said = json!({"tested": name, "id": greeting.id, "status_code": receipt.status_code});
    Ok(Json(said).into_response())
}

//! Pause and resumption of endpoints, of the file and registered ones.

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use capbridge_adapters::passage::EndpointName;
use serde_json::json;

use super::super::access::{Need, Route};
use super::super::call::{Answer, Call, Refusal, Why};
use super::own;
use crate::registration::{Standing, Step};
use crate::store::registrations::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/endpoints/{name}/pause", Need::ChangeOwn, pause),
        Route::post("/v1/endpoints/{name}/resume", Need::ChangeOwn, resume),
    ]
}

/// Makes another standing of the one that is there.
async fn stand(
    call: &Call,
    name: &str,
    (what, why): (&str, &Why),
    change: impl Fn(Standing) -> Standing,
) -> Result<(), Refusal> {
    call.change(|ledger| {
        let file = call.live().declared.endpoints.contains_key(&EndpointName(name.to_owned()));
        if !(file && call.sees_the_file()) {
            own(call, ledger, name)?;
        }
        let before = ledger.standing(name);
        let facts = json!({"endpoint": name, "reason": why.reason.0, "was_gone": before.gone_at.is_some()});
        let step = Step::none().write(Kind::Standing, name, &change(before));
        Ok((call.note(step, what, facts), ()))
    })
    .await
}

/// Nothing is sent to it until somebody resumes it; what is meant for it waits, as long as it waits for one that fails.
async fn pause(call: Call, Path(name): Path<String>, Json(why): Json<Why>) -> Answer {
    let paused = |standing: Standing| Standing { v: 1, paused: Some(call.pause(&why)), ..standing };
    stand(&call, &name, ("endpoint-paused", &why), paused).await?;
    Ok(Json(json!({"paused": name})).into_response())
}

/// It is called again, whether somebody paused it or it asked never to be called.
async fn resume(call: Call, Path(name): Path<String>, Json(why): Json<Why>) -> Answer {
    let resumed = |standing: Standing| {
        let resumed = standing.resumed.saturating_add(1);
        Standing { v: 1, paused: None, gone_at: None, resumed }
    };
    stand(&call, &name, ("endpoint-resumed", &why), resumed).await?;
    Ok(Json(json!({"resumed": name})).into_response())
}

//! Pause and resumption of endpoints, of the file and registered ones.

use axum::Json;
use axum::extract::{Extension, Path, State as Ctx};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::source::Clock;
use serde::Deserialize;
use serde_json::json;

use super::super::access::{Need, Route};
use super::super::tokens::{Refusal, refused};
use super::super::{REASON_CHARS, Shared};
use super::{not_there, own};
use crate::clock::SystemClock;
use crate::registration::{Caller, Ledger, Live, Pause, Role, Standing, Step};
use crate::store::registrations::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/endpoints/{name}/pause", Need::ChangeOwn, pause),
        Route::post("/v1/endpoints/{name}/resume", Need::ChangeOwn, resume),
    ]
}

/// Why something is paused or resumed: it goes into the record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Why {
    reason: String,
}

impl Why {
    /// The reason, if it is one.
    pub(in crate::admin) fn check(self) -> Result<String, Refusal> {
        let blank = !self.reason.chars().any(char::is_alphanumeric);
        if blank || self.reason.chars().count() > REASON_CHARS {
            let detail = "reason: say why, in at most 2,000 characters: it goes into the record".to_owned();
            return Err((StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
        Ok(self.reason)
    }
}

fn there(live: &Live, ledger: &Ledger, caller: &Caller, name: &str) -> Result<(), Refusal> {
    let file = live.declared.endpoints.contains_key(&EndpointName(name.to_owned()));
    let found = (file && caller.role != Role::Responder) || own(ledger, caller, name).is_some();
    found.then_some(()).ok_or_else(not_there)
}

/// Nothing is sent to it until somebody resumes it; what is meant for it waits, as long as it waits for one that fails.
async fn pause(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Response {
    let now = SystemClock.now();
    let reason = match why.check() {
        Ok(reason) => reason,
        Err(refusal) => return super::refused_now(refusal),
    };
    let paused = state
        .live
        .change(|ledger| {
            there(&state.live, ledger, &caller, &name)?;
            let pause = Pause { at: now, by: caller.by.clone(), reason: reason.clone() };
            let standing = Standing { v: 1, paused: Some(pause), ..ledger.standing(&name) };
            let step = Step::none().write(Kind::Standing, &name, &standing);
            let facts = json!({"endpoint": name, "reason": reason});
            Ok((step.note(now, "endpoint-paused", &caller, facts), ()))
        })
        .await;
    match paused {
        Ok(()) => Json(json!({"paused": name})).into_response(),
        Err(error) => refused(error),
    }
}

/// It is called again, whether somebody paused it or it asked never to be called.
async fn resume(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Response {
    let now = SystemClock.now();
    let reason = match why.check() {
        Ok(reason) => reason,
        Err(refusal) => return super::refused_now(refusal),
    };
    let resumed = state
        .live
        .change(|ledger| {
            there(&state.live, ledger, &caller, &name)?;
            let before = ledger.standing(&name);
            let was_gone = before.gone_at.is_some();
            let resumed = before.resumed.saturating_add(1);
            let standing = Standing { v: 1, paused: None, gone_at: None, resumed };
            let step = Step::none().write(Kind::Standing, &name, &standing);
            let facts = json!({"endpoint": name, "reason": reason, "was_gone": was_gone});
            Ok((step.note(now, "endpoint-resumed", &caller, facts), ()))
        })
        .await;
    match resumed {
        Ok(()) => Json(json!({"resumed": name})).into_response(),
        Err(error) => refused(error),
    }
}

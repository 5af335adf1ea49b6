//! Tokens over the admin socket: made, listed, taken back. The text of one leaves once.

use axum::Json;
use axum::extract::{Extension, Path, State as Ctx};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use capbridge_adapters::source::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{Need, Route};
use super::problem::problem;
use super::{Shared, failed};
use crate::clock::SystemClock;
use crate::registration::{Bearer, Caller, Name, RegisterError, Role, Step, Token, TokenOrder};
use crate::store::registrations::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/whoami", Need::SeeOwn, whoami),
        Route::get("/v1/tokens", Need::Govern, list),
        Route::post("/v1/tokens", Need::Govern, create),
        Route::post("/v1/tokens/{name}/revoke", Need::Govern, revoke),
    ]
}

/// A refusal that the caller can do something about.
pub(super) type Refusal = (StatusCode, String);

/// What becomes of a change that was not made.
pub(super) fn refused(error: RegisterError<Refusal>) -> Response {
    match error {
        RegisterError::Refused((status, detail)) => problem(status, &detail),
        busy @ RegisterError::Busy => problem(StatusCode::SERVICE_UNAVAILABLE, &busy.to_string()),
        RegisterError::Store(error) => failed(&error),
    }
}

/// What is shown of a token: never its digest.
fn shown(token: &Token, now: Timestamp) -> Value {
    json!({
        "name": token.name, "role": token.role, "responder": token.responder, "created_at": token.created_at,
        "created_by": token.created_by, "expires_at": token.expires_at, "revoked_at": token.revoked_at,
        "good": token.is_good(now), "from": "api",
    })
}

async fn whoami(Extension(caller): Extension<Caller>) -> Response {
    Json(json!({"by": caller.by, "role": caller.role, "responder": caller.responder})).into_response()
}

async fn list(Ctx(state): Shared) -> Response {
    let now = SystemClock.now();
    let ledger = state.live.ledger();
    Json(ledger.tokens().map(|token| shown(token, now)).collect::<Vec<_>>()).into_response()
}

async fn create(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Json(order): Json<TokenOrder>,
) -> Response {
    let now = SystemClock.now();
    if order.expires_at.is_some_and(|end| end <= now) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "expires_at is over already");
    }
    if order.responder.is_some() != (order.role == Role::Responder) {
        let detail = "a token of role responder names its responder, and no other token does";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
    }
    let Some(bearer) = Bearer::random() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the system gives no random numbers");
    };
    let token = Token {
        v: 1,
        name: order.name,
        role: order.role,
        responder: order.responder,
        digest: bearer.digest(),
        created_at: now,
        created_by: caller.by.clone(),
        expires_at: order.expires_at,
        revoked_at: None,
    };
    let made = state
        .live
        .change(|ledger| {
            // A name is used once: the record speaks of tokens by their names.
            if ledger.token(&token.name).is_some() {
                return Err((StatusCode::CONFLICT, format!("there is, or was, a token {}", token.name)));
            }
            let facts = json!({"token": token.name, "role": token.role, "responder": token.responder});
            let step = Step::none().write(Kind::Token, token.name.as_str(), &token);
            Ok((step.note(now, "token-created", &caller, facts), ()))
        })
        .await;
    if let Err(error) = made {
        return refused(error);
    }
    let mut answer = shown(&token, now);
    if let Some(members) = answer.as_object_mut() {
        members.insert("token".into(), json!(bearer.expose()));
    }
    (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

async fn revoke(
    Ctx(state): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let now = SystemClock.now();
    let ended = state
        .live
        .change(|ledger| {
            let known = Name::new(&name).ok().and_then(|name| ledger.token(&name).cloned());
            let Some(known) = known else {
                return Err((StatusCode::NOT_FOUND, format!("no token {name}")));
            };
            if known.revoked_at.is_some() {
                return Ok((Step::none(), Token::clone(&known)));
            }
            let token = Token { revoked_at: Some(now), ..Token::clone(&known) };
            let step = Step::none().write(Kind::Token, token.name.as_str(), &token);
            Ok((step.note(now, "token-revoked", &caller, json!({"token": token.name})), token))
        })
        .await;
    match ended {
        Ok(token) => Json(shown(&token, now)).into_response(),
        Err(error) => refused(error),
    }
}

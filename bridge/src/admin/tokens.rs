//! Tokens over the admin socket: made, listed, taken back. The text of one leaves once.

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{Need, Route};
use super::call::{Answer, Call, Nothing, Refusal};
use crate::registration::{Bearer, Name, Role, Step, Token, TokenOrder};
use crate::store::registrations::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/whoami", Need::SeeOwn, whoami),
        Route::get("/v1/tokens", Need::Govern, list),
        Route::post("/v1/tokens", Need::Govern, create),
        Route::post("/v1/tokens/{name}/revoke", Need::Govern, revoke),
    ]
}

/// What is shown of a token: never its digest.
fn shown(token: &Token, now: Timestamp) -> Value {
    json!({
        "name": token.name, "role": token.role, "responder": token.responder, "created_at": token.created_at,
        "created_by": token.created_by, "expires_at": token.expires_at, "revoked_at": token.revoked_at,
        "good": token.is_good(now), "from": "api",
    })
}

async fn whoami(call: Call) -> Answer {
    let caller = &call.caller;
    let who = json!({"by": caller.by, "role": caller.role, "responder": caller.responder});
    Ok(Json(who).into_response())
}

async fn list(call: Call) -> Answer {
    let ledger = call.ledger();
    Ok(Json(ledger.tokens().map(|token| shown(token, call.now)).collect::<Vec<_>>()).into_response())
}

async fn create(call: Call, Json(order): Json<TokenOrder>) -> Answer {
    if order.expires_at.is_some_and(|end| end <= call.now) {
        return Err(Refusal::unfit("expires_at is over already"));
    }
    if order.responder.is_some() != (order.role == Role::Responder) {
        return Err(Refusal::unfit("a token of role responder names its responder, and no other token does"));
    }
    let bearer = Bearer::random().ok_or_else(Refusal::no_randomness)?;
    let token = Token {
        v: 1,
        name: order.name,
        role: order.role,
        responder: order.responder,
        digest: bearer.digest(),
        created_at: call.now,
        created_by: call.caller.by.clone(),
        expires_at: order.expires_at,
        revoked_at: None,
    };
    call.change(|ledger| {
        // A name is used once: the record speaks of tokens by their names.
        if ledger.token(&token.name).is_some() {
            return Err(Refusal::conflict(format!("there is, or was, a token {}", token.name)));
        }
        let facts = json!({"token": token.name, "role": token.role, "responder": token.responder});
        let step = Step::none().write(Kind::Token, token.name.as_str(), &token);
        Ok((call.note(step, "token-created", facts), ()))
    })
    .await?;
    let mut answer = shown(&token, call.now);
    if let Some(members) = answer.as_object_mut() {
        members.insert("token".into(), json!(bearer.expose()));
    }
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

async fn revoke(call: Call, Path(name): Path<String>, Json(Nothing {}): Json<Nothing>) -> Answer {
    let token = call
        .change(|ledger| {
            let known = Name::new(&name).ok().and_then(|name| ledger.token(&name).cloned());
            let known = known.ok_or_else(|| Refusal::missing("token"))?;
            if known.revoked_at.is_some() {
                return Ok((Step::none(), Token::clone(&known)));
            }
            let token = Token { revoked_at: Some(call.now), ..Token::clone(&known) };
            let step = Step::none().write(Kind::Token, token.name.as_str(), &token);
            Ok((call.note(step, "token-revoked", json!({"token": token.name})), token))
        })
        .await?;
    Ok(Json(shown(&token, call.now)).into_response())
}

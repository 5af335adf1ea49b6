//! Who may make which call: each route of the admin socket names what it needs, and there is no route without.
//!
//! Owns the roles' rights and the guard in front of every route. Must not know what a route does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State as Ctx};
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use capbridge_adapters::source::Clock;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::problem::problem;
use super::{AdminState, BODY_BYTES, guard};
use crate::clock::instant;
use crate::registration::{Bearer, Caller, Role};

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To see what is everybody's.
    See,
    /// To see at least what is one's own.
    SeeOwn,
    /// To change what is one's own.
    ChangeOwn,
    /// To do the daily work.
    Operate,
    /// To say who may do what.
    Govern,
}

impl Need {
    /// Whether a role has it.
    pub(super) fn is_met_by(self, role: Role) -> bool {
        match (self, role) {
            (_, Role::Admin) => true,
            (Need::See | Need::SeeOwn | Need::ChangeOwn | Need::Operate, Role::Operator) => true,
            (Need::See | Need::SeeOwn, Role::Auditor) => true,
            (Need::SeeOwn | Need::ChangeOwn, Role::Responder) => true,
            (Need::Govern, Role::Operator)
            | (Need::ChangeOwn | Need::Operate | Need::Govern, Role::Auditor)
            | (Need::See | Need::Operate | Need::Govern, Role::Responder) => false,
        }
    }
}

/// A route and what it needs.
pub(super) struct Route {
    /// The path, parameters in braces.
    pub(super) path: &'static str,
    /// The method, lower case.
    #[cfg(test)]
    pub(super) method: &'static str,
    /// What it needs.
    pub(super) need: Need,
    answers: MethodRouter<Arc<AdminState>>,
}

impl Route {
    fn new<H, T>(
        (filter, _method): (MethodFilter, &'static str),
        path: &'static str,
        need: Need,
        answers: H,
    ) -> Self
    where
        H: Handler<T, Arc<AdminState>>,
        T: 'static,
    {
        Route {
            path,
            #[cfg(test)]
            method: _method,
            need,
            answers: on(filter, answers),
        }
    }

    /// A question.
    pub(super) fn get<H: Handler<T, Arc<AdminState>>, T: 'static>(
        path: &'static str,
        need: Need,
        answers: H,
    ) -> Self {
        Route::new((MethodFilter::GET, "get"), path, need, answers)
    }

    /// Something new, or something to do.
    pub(super) fn post<H: Handler<T, Arc<AdminState>>, T: 'static>(
        path: &'static str,
        need: Need,
        answers: H,
    ) -> Self {
        Route::new((MethodFilter::POST, "post"), path, need, answers)
    }

    /// Something to be removed.
    pub(super) fn delete<H: Handler<T, Arc<AdminState>>, T: 'static>(
        path: &'static str,
        need: Need,
        answers: H,
    ) -> Self {
        Route::new((MethodFilter::DELETE, "delete"), path, need, answers)
    }

    /// Something to be put in the place of what is there.
    pub(super) fn put<H: Handler<T, Arc<AdminState>>, T: 'static>(
        path: &'static str,
        need: Need,
        answers: H,
    ) -> Self {
        Route::new((MethodFilter::PUT, "put"), path, need, answers)
    }

    /// The route with its guard.
    pub(super) fn guarded(self, state: &Arc<AdminState>) -> MethodRouter<Arc<AdminState>> {
        let guard = Guard { state: Arc::clone(state), need: self.need };
        self.answers.route_layer(middleware::from_fn_with_state(guard, authorise))
    }
}

#[derive(Clone)]
struct Guard {
    state: Arc<AdminState>,
    need: Need,
}

/// Lets a call in that has what the route needs, and says who makes it. What changes something is JSON: a web page in an
/// operator's browser cannot send that without being asked first.
async fn authorise(
    Ctx(Guard { state, need }): Ctx<Guard>,
    headers: HeaderMap,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match caller(&state, &headers, request.uri().authority().map(|a| a.as_str())) {
        Ok(caller) => caller,
        Err(detail) => {
            let mut refused = problem(StatusCode::UNAUTHORIZED, detail);
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refused;
        }
    };
    if headers.contains_key(header::AUTHORIZATION)
        && let Err(wait) = state.rates.take(&caller.by, instant())
    {
        let mut refused =
            problem(StatusCode::TOO_MANY_REQUESTS, "this token calls too often: 20 times a second at most");
        let secs = HeaderValue::from(wait.as_secs() + 1);
        refused.headers_mut().insert(header::RETRY_AFTER, secs);
        return refused;
    }
    if !need.is_met_by(caller.role) {
        let detail = format!("the role {} may not do this", caller.role.as_str());
        return problem(StatusCode::FORBIDDEN, &detail);
    }
    let bears_json = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if bears_json && !headers.get(header::CONTENT_TYPE).is_some_and(guard::is_json) {
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json");
    }
    request.extensions_mut().insert(caller);
    match whole(request, state.patience).await {
        Ok(request) => next.run(request).await,
        Err(refused) => *refused,
    }
}

/// A request with its whole body, which comes in time and is not large: nobody holds a call up by saying half of it.
async fn whole(request: Request, patience: Duration) -> Result<Request, Box<Response>> {
    let (head, body) = request.into_parts();
    let too_large = || {
        let detail = format!("a body is at most {BODY_BYTES} bytes");
        Err(Box::new(problem(StatusCode::PAYLOAD_TOO_LARGE, &detail)))
    };
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return too_large();
    }
    match tokio::time::timeout(patience, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(all)) => Ok(Request::from_parts(head, Body::from(all.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_large(),
        Ok(Err(_)) => Err(Box::new(problem(StatusCode::BAD_REQUEST, "the body broke off"))),
        Err(_) => {
            let detail = format!("the body did not come in {} s", patience.as_secs_f32());
            Err(Box::new(problem(StatusCode::REQUEST_TIMEOUT, &detail)))
        }
    }
}

/// Who asks: the holder of the token of the configuration or of one that was registered, or, without a token, somebody at
/// the machine.
fn caller(state: &AdminState, headers: &HeaderMap, authority: Option<&str>) -> Result<Caller, &'static str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(credentials) = given.next() {
        let bearer = credentials.to_str().ok().and_then(guard::bearer).filter(|_| given.next().is_none());
        return bearer
            .and_then(|token| holder(state, token))
            .ok_or("the bearer token is not one that is good here");
    }
    if state.token.is_some() {
        return Err("this socket needs a bearer token: that of admin.token_file, or one made with it");
    }
    let host = authority.or_else(|| headers.get(header::HOST).and_then(|h| h.to_str().ok())).unwrap_or("");
    let forwarded = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    if !state.hosts.is_local(host) || forwarded.iter().any(|name| headers.contains_key(*name)) {
        return Err(
            "without a token only somebody at the machine itself is let in: `capbridge token create`",
        );
    }
    Ok(Caller { by: "local".into(), role: Role::Admin, responder: None })
}

fn holder(state: &AdminState, token: &str) -> Option<Caller> {
    if let Some(own) = &state.token
        && aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), own.expose().as_bytes())
            .is_ok()
    {
        return Some(Caller { by: "admin.token_file".into(), role: Role::Admin, responder: None });
    }
    let ledger = state.live.ledger();
    let found = ledger.token_with(&Bearer::digest_of(token))?;
    found.is_good(crate::clock::SystemClock.now()).then(|| found.caller())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_rights_and_no_more() {
        let needs = [Need::See, Need::SeeOwn, Need::ChangeOwn, Need::Operate, Need::Govern];
        for (role, expected) in [
            (Role::Admin, [true, true, true, true, true]),
            (Role::Operator, [true, true, true, true, false]),
            (Role::Auditor, [true, true, false, false, false]),
            (Role::Responder, [false, true, true, false, false]),
        ] {
            assert_eq!(needs.map(|need| need.is_met_by(role)), expected, "{role:?}");
        }
    }
}

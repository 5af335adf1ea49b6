//! One call of the admin socket that is about registrations: who makes it, what it changes, how it is refused.
//!
//! Owns what all such calls have in common. Must not know what is registered.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use capbridge_adapters::settings::Faults;
use capbridge_adapters::source::Clock;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::{problem, problem_with};
use super::{AdminState, REASON_CHARS, failed};
use crate::clock::SystemClock;
use crate::registration::{Caller, Ledger, Live, Pause, RegisterError, Role, Step};
use crate::store::StoreError;

/// A refusal that the caller can do something about, or the failure of the store.
#[derive(Debug)]
pub(super) enum Refusal {
    /// With what is wrong.
    Told(StatusCode, String),
    /// Each fault of what was ordered.
    Faulty(Faults),
    /// The store.
    Store(StoreError),
}

impl Refusal {
    /// It is not there, or not the caller's.
    pub(super) fn missing(what: &str) -> Self {
        Refusal::Told(StatusCode::NOT_FOUND, format!("no such {what}"))
    }

    /// What is there does not go with it.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Refusal::Told(StatusCode::CONFLICT, detail.into())
    }

    /// The caller may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Refusal::Told(StatusCode::FORBIDDEN, detail.into())
    }

    /// It is no order that could be carried out.
    pub(super) fn unfit(detail: impl Into<String>) -> Self {
        Refusal::Told(StatusCode::UNPROCESSABLE_ENTITY, detail.into())
    }

    /// The system gives no random numbers.
    pub(super) fn no_randomness() -> Self {
        Refusal::Told(StatusCode::SERVICE_UNAVAILABLE, "the system gives no random numbers".into())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Store(error)
    }
}

impl From<RegisterError<Refusal>> for Refusal {
    fn from(error: RegisterError<Refusal>) -> Self {
        match error {
            RegisterError::Refused(refusal) => refusal,
            RegisterError::Busy => {
                let busy: RegisterError<Infallible> = RegisterError::Busy;
                Refusal::Told(StatusCode::SERVICE_UNAVAILABLE, busy.to_string())
            }
            RegisterError::Store(error) => Refusal::Store(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Told(status, detail) => problem(status, &detail),
            Refusal::Faulty(faults) => {
                let detail = crate::registration::shown(&faults);
                let each = faults.0.into_iter();
                let each = each.map(|f| json!({"key": f.key, "problem": f.problem, "remedy": f.remedy}));
                let members = Map::from_iter([("faults".to_owned(), each.collect::<Value>())]);
                problem_with(StatusCode::UNPROCESSABLE_ENTITY, &detail, members)
            }
            Refusal::Store(error) => failed(&error),
        }
    }
}

/// The answer to a call.
pub(super) type Answer = Result<Response, Refusal>;

/// A call: who makes it, and when.
pub(super) struct Call {
    pub(super) state: Arc<AdminState>,
    pub(super) caller: Caller,
    pub(super) now: Timestamp,
}

impl FromRequestParts<Arc<AdminState>> for Call {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AdminState>) -> Result<Self, Response> {
        // `access` lets nobody through without.
        let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
            return Err(problem(StatusCode::UNAUTHORIZED, "nobody said who makes this call"));
        };
        Ok(Call { state: Arc::clone(state), caller, now: SystemClock.now() })
    }
}

impl Call {
    /// What is registered, at work.
    pub(super) fn live(&self) -> &Live {
        &self.state.live
    }

    /// The documents.
    pub(super) fn ledger(&self) -> Arc<Ledger> {
        self.live().ledger()
    }

    /// Whether the caller sees what the configuration declares: everybody but responders.
    pub(super) fn sees_the_file(&self) -> bool {
        self.caller.role != Role::Responder
    }

    /// Adds to a step what the record says of it.
    pub(super) fn note(&self, step: Step, what: &str, facts: Value) -> Step {
        step.note(self.now, what, &self.caller, facts)
    }

    /// Changes something by what `decide` makes of the newest documents.
    pub(super) async fn change<T>(
        &self,
        decide: impl FnMut(&Ledger) -> Result<(Step, T), Refusal>,
    ) -> Result<T, Refusal> {
        Ok(self.live().change(decide).await?)
    }

    /// A pause that the caller orders.
    pub(super) fn pause(&self, why: &Why) -> Pause {
        Pause { at: self.now, by: self.caller.by.clone(), reason: why.reason.0.clone() }
    }
}

/// Nothing more needs to be said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Why something is done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    pub(super) reason: Reason,
}

/// A reason that goes into the record: not blank, and not a book.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Reason(pub(super) String);

/// What is no reason.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("reason: say why, in at most {REASON_CHARS} characters: it goes into the record")]
pub(super) struct NoReason;

impl TryFrom<String> for Reason {
    type Error = NoReason;

    fn try_from(text: String) -> Result<Self, NoReason> {
        let blank = !text.chars().any(char::is_alphanumeric);
        if blank || text.chars().count() > REASON_CHARS { Err(NoReason) } else { Ok(Reason(text)) }
    }
}

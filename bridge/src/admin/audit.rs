//! The audit log over the admin socket: read in pages, filtered, verified.
//!
//! Must not change it.

use axum::Json;
use axum::extract::{Query, State as Ctx};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Need, Route};
use super::call::Refusal;
use super::problem::problem_with;
use super::{Shared, failed, find};
use crate::envelope::AlertKey;
use crate::store::{Event, LogSpan};

/// Entries that are looked at for one answer; where more are there, the answer says where to go on.
const LOOKED_AT: usize = 10_000;
/// Entries that are read at once.
const BATCH: u32 = 500;
/// Entries of an answer at most.
const MOST: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/v1/audit", Need::See, list), Route::get("/v1/audit/verify", Need::See, verify)]
}

/// Which entries. Everything that is named must fit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    limit: Option<usize>,
    /// The place of an entry: those before it, newest first.
    before: Option<String>,
    /// The place of an entry: those behind it, oldest first.
    after: Option<String>,
    /// What happened: one word or several with commas.
    what: Option<String>,
    /// An alert as in `journey`.
    alert: Option<String>,
    delivery: Option<String>,
    endpoint: Option<String>,
    /// Who did it: `token NAME`, `local`, the name of an operator.
    by: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What an entry must be.
struct Filter {
    asked: Asked,
    what: Vec<String>,
    alerts: Option<Vec<AlertKey>>,
}

impl Filter {
    fn fits(&self, event: &Event) -> bool {
        let fact = |wanted: &Option<String>, keys: &[&str]| {
            wanted.as_deref().is_none_or(|wanted| {
                keys.iter().any(|key| event.facts.get(*key).and_then(Value::as_str) == Some(wanted))
            })
        };
        let asked = &self.asked;
        (self.what.is_empty() || self.what.contains(&event.what))
            && self.alerts.as_ref().is_none_or(|keys| event.alert.as_ref().is_some_and(|k| keys.contains(k)))
            && asked.delivery.as_ref().is_none_or(|id| event.delivery.as_ref().is_some_and(|d| d.0 == *id))
            && fact(&asked.endpoint, &["endpoint"])
            && fact(&asked.by, &["by", "operator"])
            && asked.since.is_none_or(|since| event.at >= since)
            && asked.until.is_none_or(|until| event.at < until)
    }
}

async fn list(Ctx(state): Shared, Query(asked): Query<Asked>) -> Result<Response, Refusal> {
    let bad = |detail: &str| Err(Refusal::Told(StatusCode::BAD_REQUEST, detail.to_owned()));
    let limit = asked.limit.unwrap_or(50);
    if !(1..=MOST).contains(&limit) {
        return bad("limit is not 1 to 1000");
    }
    let mut span = match (asked.before.clone(), asked.after.clone()) {
        (Some(_), Some(_)) => return bad("name before or after, not both"),
        (None, Some(after)) => LogSpan::After(after),
        (before, None) => LogSpan::Before(before),
    };
    let alerts = match &asked.alert {
        None => None,
        Some(id) => Some(find(&state, id).await?),
    };
    let what = asked.what.as_deref().unwrap_or("").split(',').filter(|w| !w.is_empty()).map(str::to_owned);
    let filter = Filter { what: what.collect(), alerts, asked };
    let (mut entries, mut looked_at, mut more) = (Vec::new(), 0, true);
    while more && entries.len() < limit && looked_at < LOOKED_AT {
        let found = state.store.log(span.clone(), BATCH).await?;
        more = found.len() == BATCH as usize;
        for (at, logged) in found.iter().enumerate() {
            looked_at += 1;
            span = span.behind(&logged.place);
            if filter.fits(&logged.event) {
                entries.push(json!({"place": logged.place, "event": logged.event}));
            }
            if entries.len() == limit {
                more |= at + 1 < found.len();
                break;
            }
        }
    }
    // A reader that follows comes back to where it was, whether or not there is more by now.
    let next = match &span {
        LogSpan::After(place) => Some(place.clone()),
        LogSpan::Before(place) => place.clone().filter(|_| more),
    };
    Ok(Json(json!({"entries": entries, "next": next, "more": more})).into_response())
}

async fn verify(Ctx(state): Shared) -> Response {
    match state.store.verify_record().await {
        Ok(Ok(entries)) => Json(json!({"intact": true, "entries": entries})).into_response(),
        Ok(Err(first)) => {
            let members = [("intact".to_owned(), json!(false)), ("first_bad_entry".to_owned(), json!(first))];
            let detail =
                format!("the record was changed: entry {first} does not follow from the one before it");
            problem_with(StatusCode::CONFLICT, &detail, members.into_iter().collect())
        }
        Err(error) => failed(&error),
    }
}

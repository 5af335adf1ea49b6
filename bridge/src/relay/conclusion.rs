//! What is said of the end of an attempt: to the log, and in the record.

use serde_json::{Value, json};
use tracing::{debug, error, info};

use super::dead_letter;
use crate::rendering::NotRendered;
use crate::store::{AttemptEnd, Delivery};
use crate::translate::NotSent;

/// Tells the log how an attempt ended. The name of the event for the record, and its facts.
pub(super) fn tell(delivery: &Delivery, attempt: u32, end: &AttemptEnd) -> (&'static str, Value) {
    let endpoint = &delivery.endpoint;
    match end {
        AttemptEnd::Delivered(receipt) => {
            info!(%endpoint, delivery = %delivery.id.0, attempt, partial = receipt.partial, "delivered");
            if receipt.partial {
                error!(%endpoint, delivery = %delivery.id.0, notes = ?receipt.notes, "taken in part only: a person must look");
            }
            let status = receipt.status_code;
            (
                "delivered",
                json!({"endpoint": endpoint, "attempt": attempt, "status_code": status,
                "partial": receipt.partial, "notes": receipt.notes}),
            )
        }
        AttemptEnd::Waiting { due_at, error, .. } => {
            debug!(%endpoint, delivery = %delivery.id.0, attempt, error, "to be tried again");
            let facts = json!({"endpoint": endpoint, "attempt": attempt, "error": error,
                "due_at": due_at.to_string()});
            ("waiting", facts)
        }
        AttemptEnd::Dead { error } => {
            dead_letter::report(delivery, attempt, error);
            ("dead", json!({"endpoint": endpoint, "attempt": attempt, "error": error}))
        }
        AttemptEnd::Expired { error } => {
            error!(%endpoint, delivery = %delivery.id.0, attempt, error, "expired undelivered");
            ("expired", json!({"endpoint": endpoint, "attempt": attempt, "error": error}))
        }
        AttemptEnd::Moot { error } => {
            info!(%endpoint, delivery = %delivery.id.0, attempt, error, "nothing left to send");
            ("expired", json!({"endpoint": endpoint, "attempt": attempt, "error": error}))
        }
    }
}

/// How a delivery ends that has no message to send.
pub(super) fn without_message(not_sent: &NotRendered) -> AttemptEnd {
    let error = not_sent.to_string();
    match not_sent {
        NotRendered::NotSent(
            NotSent::Expired | NotSent::NothingToEnd | NotSent::Untouched | NotSent::Crossed,
        ) => AttemptEnd::Moot { error },
        NotRendered::NotSent(
            NotSent::Internal
            | NotSent::Answer
            | NotSent::SeveralEvents
            | NotSent::NoInfo
            | NotSent::Private
            | NotSent::Swapped
            | NotSent::TooManyPoints
            | NotSent::Unreadable,
        )
        | NotRendered::Unreadable => AttemptEnd::Dead { error },
    }
}

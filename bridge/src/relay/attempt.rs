//! One attempt: admit, render, hand over, and say how it ended.
//!
//! Owns the only place where a message meets an endpoint. The types decide: an endpoint of a class takes only messages
//! cleared for that class, through a `Passage`. Must not decide when to try again.

use std::time::Duration;

use capbridge_adapters::class::{Clearance, Exercise, Live, Test};
use capbridge_adapters::endpoint::{DeliveryError, EndpointContext, Message, Outbound, Prior, Receipt};
use capbridge_adapters::passage::{Barred, Passage};
use capbridge_adapters::registry::{AnyEndpoint, Bound};

use crate::envelope::Envelope;

/// An endpoint and the right to hand it one message.
pub enum Admission<'e> {
    /// A real alert to a production endpoint.
    Live(&'e Bound<Live>, Passage<Live>),
    /// Exercise traffic to an endpoint of the exercise.
    Exercise(&'e Bound<Exercise>, Passage<Exercise>),
    /// A test to an endpoint that takes tests.
    Test(&'e Bound<Test>, Passage<Test>),
}

/// Why a message is not admitted to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The classes differ.
    #[error("the message is {message} and the endpoint takes {endpoint} only")]
    Class {
        /// Class of the message.
        message: capbridge_adapters::class::Class,
        /// Class of the endpoint.
        endpoint: capbridge_adapters::class::Class,
    },
    /// The passage is shut.
    #[error(transparent)]
    Barred(#[from] Barred),
}

/// Admits a message to an endpoint, or says why not.
///
/// # Errors
/// The classes differ or the passage is shut.
pub fn admit<'e>(endpoint: &'e AnyEndpoint, envelope: &Envelope) -> Result<Admission<'e>, NotAdmitted> {
    let from = &envelope.provenance;
    match (endpoint, envelope.class.clear()) {
        (AnyEndpoint::Live(bound), Clearance::Live(cleared)) => {
            Ok(Admission::Live(bound, Passage::open(&cleared, from, bound.destination())?))
        }
        (AnyEndpoint::Exercise(bound), Clearance::Exercise(cleared)) => {
            Ok(Admission::Exercise(bound, Passage::open(&cleared, from, bound.destination())?))
        }
        (AnyEndpoint::Test(bound), Clearance::Test(cleared)) => {
            Ok(Admission::Test(bound, Passage::open(&cleared, from, bound.destination())?))
        }
        (
            AnyEndpoint::Live(_) | AnyEndpoint::Exercise(_) | AnyEndpoint::Test(_),
            Clearance::Live(_) | Clearance::Exercise(_) | Clearance::Test(_) | Clearance::Internal,
        ) => Err(NotAdmitted::Class { message: envelope.class.class(), endpoint: endpoint.class() }),
    }
}

impl Admission<'_> {
    /// Hands the message over, once.
    ///
    /// # Errors
    /// As the endpoint answered.
    pub async fn deliver(self, cx: &EndpointContext, message: Message) -> Result<Receipt, DeliveryError> {
        match self {
            Admission::Live(bound, passage) => bound.deliver(cx, &Outbound::new(passage, message)).await,
            Admission::Exercise(bound, passage) => bound.deliver(cx, &Outbound::new(passage, message)).await,
            Admission::Test(bound, passage) => bound.deliver(cx, &Outbound::new(passage, message)).await,
        }
    }
}

/// Whether a rendering is too old for its endpoint and must be stamped again.
pub fn is_stale(rendered_at: jiff::Timestamp, now: jiff::Timestamp, fresh_for: Option<Duration>) -> bool {
    fresh_for.is_some_and(|limit| {
        let age = now.duration_since(rendered_at);
        age.unsigned_abs() > limit && age.is_positive()
    })
}

/// The earlier messages of the chain at this endpoint.
pub fn prior(issued: &[crate::store::Issued]) -> Vec<Prior> {
    issued
        .iter()
        .map(|i| Prior { reference: i.reference.to_string(), location: i.location.clone() })
        .collect()
}

//! One attempt: admit, render, hand over, and say how it ended.
//!
//! Owns the only place where a message meets an endpoint. The types decide: an endpoint of a class takes only messages
//! cleared for that class, through a `Passage`. Must not decide when to try again.

use std::time::Duration;

use cap_schema::MsgType;
use capbridge_adapters::class::{Clearance, Cleared, Exercise, Live, Relayable, Test};
use capbridge_adapters::endpoint::{
    DeliveryError, EndpointContext, Message, Outbound, Prior, Receipt, Refusal,
};
use capbridge_adapters::passage::{Barred, Destination, EndPassage, Passage, Provenance};
use capbridge_adapters::registry::{AnyEndpoint, Bound};

use crate::chain::is_replacing;
use crate::envelope::{Envelope, Lane};
use crate::store::{Delivery, Part, Store, StoreError};

/// An endpoint and the right to hand it one message.
pub enum Admission<'e> {
    /// A real alert to a production endpoint.
    Live(&'e Bound<Live>, Right<Live>),
    /// Exercise traffic to an endpoint of the exercise.
    Exercise(&'e Bound<Exercise>, Right<Exercise>),
    /// A test to an endpoint that takes tests.
    Test(&'e Bound<Test>, Right<Test>),
}

/// What of a message may go.
pub enum Right<C: Relayable> {
    /// The message.
    Whole(Passage<C>),
    /// That it ends what the endpoint holds, and nothing of what it says.
    End(EndPassage<C>),
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
    admit_as(endpoint, envelope, Part::Whole)
}

/// Admits a message that is barred for its audience to an endpoint that may hold what it ends or corrects: as its end,
/// without anything that it says.
///
/// # Errors
/// Another reason than its audience bars it, or it takes the place of nothing.
pub fn admit_end<'e>(endpoint: &'e AnyEndpoint, envelope: &Envelope) -> Result<Admission<'e>, NotAdmitted> {
    match admit(endpoint, envelope) {
        Err(NotAdmitted::Barred(Barred::Restricted | Barred::Private)) if is_replacing(envelope) => {
            admit_as(endpoint, envelope, Part::End)
        }
        other => other,
    }
}

fn admit_as<'e>(
    endpoint: &'e AnyEndpoint,
    envelope: &Envelope,
    part: Part,
) -> Result<Admission<'e>, NotAdmitted> {
    let from = &envelope.provenance;
    match (endpoint, envelope.class.clear()) {
        (AnyEndpoint::Live(bound), Clearance::Live(cleared)) => {
            Ok(Admission::Live(bound, right(&cleared, from, bound.destination(), part)?))
        }
        (AnyEndpoint::Exercise(bound), Clearance::Exercise(cleared)) => {
            Ok(Admission::Exercise(bound, right(&cleared, from, bound.destination(), part)?))
        }
        (AnyEndpoint::Test(bound), Clearance::Test(cleared)) => {
            Ok(Admission::Test(bound, right(&cleared, from, bound.destination(), part)?))
        }
        (
            AnyEndpoint::Live(_) | AnyEndpoint::Exercise(_) | AnyEndpoint::Test(_),
            Clearance::Live(_) | Clearance::Exercise(_) | Clearance::Test(_) | Clearance::Internal,
        ) => Err(NotAdmitted::Class { message: envelope.class.class(), endpoint: endpoint.class() }),
    }
}

fn right<C: Relayable>(
    cleared: &Cleared<C>,
    from: &Provenance,
    to: &Destination<C>,
    part: Part,
) -> Result<Right<C>, Barred> {
    match part {
        Part::Whole => Passage::open(cleared, from, to).map(Right::Whole),
        Part::End => EndPassage::open(cleared, from, to).map(Right::End),
    }
}

impl<C: Relayable> Right<C> {
    fn outbound(self, message: Message) -> Result<Outbound<C>, DeliveryError> {
        match self {
            Right::Whole(passage) => Ok(Outbound::new(passage, message)),
            Right::End(passage) => Outbound::end(passage, message).ok_or_else(|| DeliveryError::Permanent {
                disable: false,
                cause: Refusal::Unfit {
                    said: "what is not for the endpoint can only end what it holds".into(),
                },
            }),
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Right::Whole(_) => false,
            Right::End(_) => true,
        }
    }
}

impl Admission<'_> {
    /// Nothing of what the message says may go: only that it ends what the endpoint holds.
    pub fn is_end(&self) -> bool {
        match self {
            Admission::Live(_, right) => right.is_end(),
            Admission::Exercise(_, right) => right.is_end(),
            Admission::Test(_, right) => right.is_end(),
        }
    }

    /// Hands the message over, once.
    ///
    /// # Errors
    /// As the endpoint answered.
    pub async fn deliver(self, cx: &EndpointContext, message: Message) -> Result<Receipt, DeliveryError> {
        match self {
            Admission::Live(bound, right) => bound.deliver(cx, &right.outbound(message)?).await,
            Admission::Exercise(bound, right) => bound.deliver(cx, &right.outbound(message)?).await,
            Admission::Test(bound, right) => bound.deliver(cx, &right.outbound(message)?).await,
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

/// Whether a message can be the first of its chain at an endpoint.
pub(super) fn may_begin_a_chain(kind: MsgType) -> bool {
    match kind {
        MsgType::Alert | MsgType::Update => true,
        MsgType::Cancel | MsgType::Ack | MsgType::Error => false,
    }
}

/// How urgent a delivery is after a failure: what is urgent may have come to wait behind it.
pub(super) async fn lane_by_now(
    store: &dyn Store,
    delivery: &Delivery,
    answer: &Result<Receipt, DeliveryError>,
) -> Result<Lane, StoreError> {
    match answer {
        Err(DeliveryError::Temporary { .. }) => {
            let now = store.delivery(&delivery.id).await?;
            Ok(now.map_or(delivery.lane, |now| now.lane))
        }
        Ok(_) | Err(DeliveryError::Permanent { .. }) => Ok(delivery.lane),
    }
}

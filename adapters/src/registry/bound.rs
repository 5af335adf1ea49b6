//! An endpoint, bound to the class that it was configured for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::EndpointKind;
use crate::class::{Class, Exercise, Live, Relayable, Test};
use crate::endpoint::{
    DeliveryError, Endpoint, EndpointContext, Greeting, Message, Outbound, Receipt, Refusal, Wants,
};
use crate::feed::Feed;
use crate::passage::{Destination, EndpointName, Reach, SystemName};
use crate::stream::Stream;

/// The object-safe twin of `Endpoint`.
#[async_trait]
pub trait DynEndpoint: Send + Sync + 'static {
    /// See `Endpoint::wants`.
    fn wants(&self) -> Wants;
    /// See `Endpoint::credential_expires_at`.
    fn credential_expires_at(&self) -> Option<Timestamp>;
    /// See `Endpoint::feed`.
    fn feed(&self) -> Option<&Feed>;
    /// See `Endpoint::stream`.
    fn stream(&self) -> Option<&Stream>;
    /// See `Endpoint::deliver`.
    ///
    /// # Errors
    /// As `Endpoint::deliver`.
    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError>;
    /// See `Endpoint::greet`.
    ///
    /// # Errors
    /// As `Endpoint::greet`.
    async fn greet(&self, cx: &EndpointContext, greeting: &Greeting) -> Result<Receipt, DeliveryError>;
}

#[async_trait]
impl<E: Endpoint> DynEndpoint for E {
    fn wants(&self) -> Wants {
        Endpoint::wants(self)
    }

    fn credential_expires_at(&self) -> Option<Timestamp> {
        Endpoint::credential_expires_at(self)
    }

    fn feed(&self) -> Option<&Feed> {
        Endpoint::feed(self)
    }

    fn stream(&self) -> Option<&Stream> {
        Endpoint::stream(self)
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        Endpoint::deliver(self, cx, message).await
    }

    async fn greet(&self, cx: &EndpointContext, greeting: &Greeting) -> Result<Receipt, DeliveryError> {
        Endpoint::greet(self, cx, greeting).await
    }
}

/// An endpoint for messages of class `C`.
#[derive(Clone)]
pub struct Bound<C: Relayable> {
    destination: Destination<C>,
    about: About,
    inner: Arc<dyn DynEndpoint>,
    /// One permit for each attempt that may be under way.
    slots: Arc<Semaphore>,
}

/// How long an attempt waits for its slot. Far less than a worker's lease, so that nobody else takes the delivery up
/// while it waits.
const SLOT_WAIT: Duration = Duration::from_secs(5);

/// What is the same for every class.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) kind: EndpointKind,
    pub(super) max_in_flight: u32,
}

impl<C: Relayable> Bound<C> {
    pub(super) fn new(destination: Destination<C>, about: About, inner: Arc<dyn DynEndpoint>) -> Self {
        let slots = usize::try_from(about.max_in_flight).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Bound { destination, about, inner, slots: Arc::new(Semaphore::new(slots)) }
    }

    /// The endpoint as the routing sees it.
    pub fn destination(&self) -> &Destination<C> {
        &self.destination
    }

    /// Hands over one message, once, when one of the endpoint's slots is free.
    ///
    /// # Errors
    /// As the endpoint answered; permanent if the passage leads to another endpoint; temporary if no slot became free.
    pub async fn deliver(
        &self,
        cx: &EndpointContext,
        outbound: &Outbound<C>,
    ) -> Result<Receipt, DeliveryError> {
        let meant = outbound.passage().endpoint();
        if *meant != self.destination.endpoint {
            let said = format!("its passage leads to {meant}");
            return Err(DeliveryError::Permanent { disable: false, cause: Refusal::Unfit { said } });
        }
        let Ok(Ok(_slot)) = tokio::time::timeout(SLOT_WAIT, self.slots.acquire()).await else {
            let cause = Refusal::Busy { max_in_flight: self.about.max_in_flight };
            return Err(DeliveryError::Temporary { retry_after: None, outcome_unknown: false, cause });
        };
        self.inner.deliver(cx, outbound.message()).await
    }
}

/// An endpoint of any class.
#[derive(Clone)]
pub enum AnyEndpoint {
    /// For real alerts.
    Live(Bound<Live>),
    /// For one exercise.
    Exercise(Bound<Exercise>),
    /// For tests.
    Test(Bound<Test>),
}

macro_rules! each {
    ($endpoint:expr, $bound:ident => $value:expr) => {
        match $endpoint {
            AnyEndpoint::Live($bound) => $value,
            AnyEndpoint::Exercise($bound) => $value,
            AnyEndpoint::Test($bound) => $value,
        }
    };
}

impl AnyEndpoint {
    /// The class that it takes.
    pub fn class(&self) -> Class {
        match self {
            AnyEndpoint::Live(_) => Class::Live,
            AnyEndpoint::Exercise(_) => Class::Exercise,
            AnyEndpoint::Test(_) => Class::Test,
        }
    }

    /// Its configured name.
    pub fn name(&self) -> &EndpointName {
        each!(self, bound => &bound.destination.endpoint)
    }

    /// The system that it writes to.
    pub fn system(&self) -> &SystemName {
        each!(self, bound => &bound.destination.system)
    }

    /// Whom it reaches.
    pub fn reach(&self) -> Reach {
        each!(self, bound => bound.destination.reach)
    }

    /// Its kind.
    pub fn kind(&self) -> EndpointKind {
        each!(self, bound => bound.about.kind)
    }

    /// How many attempts may be under way at once.
    pub fn max_in_flight(&self) -> u32 {
        each!(self, bound => bound.about.max_in_flight)
    }

    /// Says something that is no alert: no class bears on it.
    ///
    /// # Errors
    /// As the endpoint answered.
    pub async fn greet(&self, cx: &EndpointContext, greeting: &Greeting) -> Result<Receipt, DeliveryError> {
        each!(self, bound => bound.inner.greet(cx, greeting).await)
    }

    /// What the bridge has to prepare for it.
    pub fn wants(&self) -> Wants {
        each!(self, bound => bound.inner.wants())
    }

    /// The feed that it is, if it is one.
    pub fn feed(&self) -> Option<&Feed> {
        each!(self, bound => bound.inner.feed())
    }

    /// The stream that it is, if it is one.
    pub fn stream(&self) -> Option<&Stream> {
        each!(self, bound => bound.inner.stream())
    }

    /// How long what it took is kept for its readers, days; if it has any.
    pub fn keep_days(&self) -> Option<u32> {
        self.feed().or_else(|| Some(&self.stream()?.kept)).map(|kept| kept.keep_days)
    }

    /// When its credential runs out, if it has one that does.
    pub fn credential_expires_at(&self) -> Option<Timestamp> {
        each!(self, bound => bound.inner.credential_expires_at())
    }
}

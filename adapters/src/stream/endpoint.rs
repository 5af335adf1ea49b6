//! One document of the stream a message.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Clients, StreamSettings};
use crate::endpoint::{DeliveryError, Endpoint, EndpointContext, Message, Receipt, Wants};
use crate::feed::Feed;
use crate::passage::EndpointName;
use crate::settings::{Faults, Files};

/// A stream that clients read.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What is kept: entries, as those of a feed.
    pub kept: Feed,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where they fetch what they missed.
    pub archive: Option<SocketAddr>,
    /// Who may.
    pub clients: Clients,
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// Connections at once.
    pub max_clients: usize,
}

impl Stream {
    /// The stream under the name of its endpoint.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Stream { kept: self.kept.named(name), ..self }
    }

    /// The name of its endpoint.
    pub fn name(&self) -> &EndpointName {
        &self.kept.name
    }
}

impl Endpoint for Stream {
    type Settings = StreamSettings;

    fn validate(settings: StreamSettings, _: &dyn Files) -> Result<Self, Faults> {
        settings.validate()
    }

    fn wants(&self) -> Wants {
        Endpoint::wants(&self.kept)
    }

    fn stream(&self) -> Option<&Stream> {
        Some(self)
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        self.kept.deliver(cx, message).await
    }
}

//! The readers' side of feeds: opened at the start where a feed is declared or registered, or may be.

use capbridge_adapters::registry::EndpointKind;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Common, StartError};
use crate::config::{Config, Feeds};
use crate::feeds::FeedServer;

/// The readers' side of feeds, where there are any or may be.
pub(super) struct Readers {
    pub(super) server: FeedServer,
    pub(super) listener: TcpListener,
}

/// What it is made of.
pub(super) struct ReadingSide {
    feeds: Feeds,
    bridge: String,
    author: String,
    /// Feeds may be registered at any time.
    may_come: bool,
}

impl ReadingSide {
    /// What of the configuration it goes by.
    pub(super) fn new(config: &Config) -> Self {
        ReadingSide {
            feeds: config.feeds.clone(),
            bridge: config.bridge.name.clone(),
            author: config.bridge.sender_name.clone(),
            may_come: config.registration.kinds.iter().any(|kind| kind == EndpointKind::Feed.as_str()),
        }
    }

    /// Opens the socket, where there are feeds or may be.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(super) async fn open(
        self,
        common: &Common,
        stop: &CancellationToken,
    ) -> Result<Option<Readers>, StartError> {
        let ReadingSide { feeds, bridge, author, may_come } = self;
        let served = common.routes.now().endpoints.values().filter(|e| e.feed().is_some()).count();
        if served == 0 && !may_come {
            return Ok(None);
        }
        let listen = feeds.listen;
        let not_opened = |cause| StartError::Feeds { listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(not_opened)?;
        let address = listener.local_addr().map_err(not_opened)?;
        let base_url = feeds.base_url.unwrap_or_else(|| format!("http://{address}"));
        info!(%address, base_url, feeds = served, "feeds are served");
        if feeds.is_clear_text {
            warn!(%address, "feeds are served to other machines without TLS");
        }
        let Common { store, clock, metrics, shelves, routes, .. } = common.clone();
        let server = FeedServer {
            routes,
            store,
            clock,
            metrics,
            shelves,
            base_url,
            bridge,
            author,
            page_entries: feeds.page_entries,
            bounds: feeds.bounds,
            stop: stop.clone(),
        };
        Ok(Some(Readers { server, listener }))
    }
}

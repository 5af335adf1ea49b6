//! What is said at the start: what is dangerous in the configuration, and, once everything is open, that it began.

use std::net::SocketAddr;

use tracing::{info, warn};

use crate::config::Config;

/// What is said of a configuration once everything is open.
pub(super) struct Summary {
    store: &'static str,
    /// Sources, endpoints and rules.
    counts: (usize, usize, usize),
}

impl Summary {
    /// Says it: whoever waits for the start waits for this line.
    pub(super) fn tell(&self, admin: SocketAddr) {
        let (store, (sources, endpoints, rules)) = (self.store, self.counts);
        info!(%admin, store, sources, endpoints, rules, version = env!("CARGO_PKG_VERSION"), "started");
    }
}

/// Says what is dangerous in a configuration, or does nothing.
pub(super) fn announce(config: &Config) -> Summary {
    if config.rules.is_empty() {
        warn!("no routes: nothing is relayed");
    }
    for allowed in config.http.allow_private() {
        warn!(%allowed, "private addresses are reachable");
    }
    if config.clock.dangerous_follow_messages {
        warn!("the clock follows the messages: for replays only");
    }
    if config.store.dangerous_allow_everysec {
        warn!("the store may lose its last second");
    }
    for rule in config.rules.iter().filter(|r| !r.open_channels.is_empty()) {
        warn!(rule = rule.name, channels = rule.open_channels.join(","), "public channels are open");
    }
    let store = if config.store.redis_url.is_some() { "redis" } else { "embedded" };
    Summary { store, counts: (config.sources.len(), config.endpoints.len(), config.rules.len()) }
}

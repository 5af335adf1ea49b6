//! Streams: what their endpoints took, written to every client that is connected, with heartbeats that tell what came last.
//!
//! Owns the listeners of stream endpoints, which come and go with the endpoints, and the archive where clients fetch what
//! they missed. What is known of the NAAD System's stream is in its page (docs/adapters/stream.md). Reads the store and
//! changes nothing. Must not send anything but what the endpoint was handed, and heartbeats.

mod archive;
mod client;
mod heartbeat;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::registry::AnyEndpoint;
use capbridge_adapters::stream::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::BridgeClock;
use crate::feeds::Shelves;
use crate::routes::Routes;
use crate::settings::Bounds;
use crate::store::Store;
use crate::telemetry::{Metrics, SocketMetrics};

/// How often it is looked at which streams there are.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after the system gave no connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// A client that takes nothing for this long is cut.
const STALLED: Duration = Duration::from_secs(10);

/// What streams are made of.
pub struct Streams {
    /// What there is now.
    pub routes: Arc<Routes>,
    /// Where messages are kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: BridgeClock,
    /// Tells of new messages.
    pub shelves: Arc<Shelves>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Ends everything.
    pub stop: CancellationToken,
}

/// A stream at work.
struct Open {
    stream: Stream,
    /// Ends it: its endpoint is gone or another one.
    end: CancellationToken,
    tasks: JoinSet<()>,
}

/// Whether two are the same to their clients.
fn same(one: &Stream, other: &Stream) -> bool {
    let what = |s: &Stream| (s.listen, s.archive, s.clients.clone(), s.heartbeat, s.max_clients);
    what(one) == what(other)
}

impl Streams {
    /// Serves the streams that there are, until told to stop.
    pub async fn run(self: Arc<Self>) {
        let mut open: BTreeMap<EndpointName, Open> = BTreeMap::new();
        while !self.stop.is_cancelled() {
            let table = self.routes.now();
            let wanted: BTreeMap<&EndpointName, &Stream> = table
                .endpoints
                .iter()
                .filter_map(|(name, e)| Some((name, AnyEndpoint::stream(e)?)))
                .collect();
            let over: Vec<EndpointName> = open
                .iter()
                .filter(|(name, at_work)| !wanted.get(name).is_some_and(|now| same(now, &at_work.stream)))
                .map(|(name, _)| name.clone())
                .collect();
            for name in over {
                if let Some(mut ended) = open.remove(&name) {
                    ended.end.cancel();
                    while ended.tasks.join_next().await.is_some() {}
                    info!(endpoint = %name, "the stream ended");
                }
            }
            for (name, stream) in wanted {
                if !open.contains_key(name)
                    && let Some(opened) = self.open(stream).await
                {
                    open.insert(name.clone(), opened);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.stop.cancelled() => {}
            }
        }
        for at_work in open.values_mut() {
            at_work.end.cancel();
            while at_work.tasks.join_next().await.is_some() {}
        }
    }

    /// Opens the listeners of a stream; `None` while an address is not to be had, which is tried again.
    async fn open(self: &Arc<Self>, stream: &Stream) -> Option<Open> {
        let endpoint = stream.name();
        let bind = async |address: SocketAddr| match TcpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                warn!(%endpoint, %address, %error, "the address of a stream cannot be opened");
                None
            }
        };
        let listener = bind(stream.listen).await?;
        let archive = match stream.archive {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let at = |listener: &TcpListener| listener.local_addr().map(|at| at.to_string()).unwrap_or_default();
        info!(%endpoint, address = at(&listener), archive = archive.as_ref().map(at), "the stream is open");
        let (end, mut tasks) = (self.stop.child_token(), JoinSet::new());
        if let Some(listener) = archive {
            tasks.spawn(archive::serve(Arc::clone(self), stream.clone(), listener, end.clone()));
        }
        tasks.spawn(Arc::clone(self).accept(stream.clone(), listener, end.clone()));
        Some(Open { stream: stream.clone(), end, tasks })
    }

    async fn accept(self: Arc<Self>, stream: Stream, listener: TcpListener, end: CancellationToken) {
        let mut clients: JoinSet<()> = JoinSet::new();
        let listeners = &self.metrics.sockets.listeners;
        loop {
            while clients.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = clients.join_next(), if !clients.is_empty() => continue,
                () = end.cancelled() => break,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a client of a stream was not accepted");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
            };
            if clients.len() >= stream.max_clients || !stream.clients.admit(peer.ip()) {
                listeners.turned_away();
                warn!(endpoint = %stream.name(), "a client of a stream was turned away");
                continue;
            }
            clients.spawn(Arc::clone(&self).serve(stream.clone(), socket, end.clone()));
        }
        while clients.join_next().await.is_some() {}
    }

    async fn serve(self: Arc<Self>, stream: Stream, socket: TcpStream, end: CancellationToken) {
        let _counted = Counted::new(&self.metrics.sockets.listeners);
        client::serve(&self, &stream, socket, &end).await;
    }

    fn bounds(stream: &Stream) -> Bounds {
        Bounds { max_clients: stream.max_clients, head: STALLED, stalled: STALLED }
    }
}

/// Clients of all streams, counted while they are connected.
struct Counted<'m>(&'m SocketMetrics);

/// How many there are in this process.
static CONNECTED: AtomicUsize = AtomicUsize::new(0);

impl<'m> Counted<'m> {
    fn new(metrics: &'m SocketMetrics) -> Self {
        metrics.clients(CONNECTED.fetch_add(1, Ordering::Relaxed) + 1);
        Counted(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.clients(CONNECTED.fetch_sub(1, Ordering::Relaxed).saturating_sub(1));
    }
}

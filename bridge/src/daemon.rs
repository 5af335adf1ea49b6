//! The running bridge: builds everything, starts the long-lived tasks, drains them.
//!
//! Owns start and stop. The only place that spawns long-lived tasks. Must not hold logic of a stage.

mod announce;
mod housekeeping;
mod readers;
mod supervise;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use capbridge_adapters::endpoint::EndpointContext;
use capbridge_adapters::http::HttpClient;
use capbridge_adapters::passage::Origin;
use capbridge_adapters::registry::ReadySource;
use capbridge_adapters::source::{Accept, Clock, SourceContext};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::admin::{self, AdminState};
use crate::clock::{BridgeClock, FollowingClock, SystemClock};
use crate::config::Config;
use crate::contact::Contacts;
use crate::credentials::Credentials;
use crate::envelope::Lane;
use crate::feeds::Shelves;
use crate::health::Health;
use crate::patience::Patience;
use crate::pipeline::Pipeline;
use crate::pipeline::classify::TestMarks;
use crate::pipeline::route::Router;
use crate::proving::Prover;
use crate::registration::declared::{Declared, SourceFacts};
use crate::registration::proof::Holding;
use crate::registration::{Live, Registrar};
use crate::relay::gates::Gates;
use crate::relay::{Relay, UnderWay};
use crate::rendering::Renderer;
use crate::routes::Routes;
use crate::store::instance::Instance;
use crate::store::{Event, Store, StoreError};
use crate::streams::Streams;
use crate::telemetry::{ErrorChain, Metrics};
use crate::translate::Tables;
use announce::announce;
use housekeeping::{Keeping, keep_house};
use readers::ReadingSide;
use supervise::Supervised;

/// How often registrations are looked at for what other instances changed.
const REGISTRATIONS: Duration = Duration::from_secs(1);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store is not there or is not safe.
    #[error("the store cannot be used")]
    Store(#[source] StoreError),
    /// The admin socket cannot be opened.
    #[error("the admin socket {listen} cannot be opened")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The address of the feeds cannot be opened.
    #[error("the address {listen} of the feeds cannot be opened")]
    Feeds {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The shipped tables do not read: a bug.
    #[error("a shipped table cannot be read")]
    Tables(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used", folder.display())]
    Instance {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("the HTTP client cannot be built")]
    Http(#[source] capbridge_adapters::http::HttpError),
    /// Signals cannot be caught.
    #[error("signals cannot be caught")]
    Signals(#[source] std::io::Error),
    /// It ran, and a long-lived task ended that must not: a bug. What was under way is taken up at the next start.
    #[error("a task ended that must not: {}", tasks.join(", "))]
    TaskEnded {
        /// Which.
        tasks: Vec<String>,
    },
}

/// Runs until SIGTERM, SIGINT or SIGHUP, then drains.
///
/// # Errors
/// What kept it from starting or from going on.
pub async fn run(config: Config) -> Result<(), StartError> {
    // Before anything is started, so that a stop during the start is a clean one too.
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let stop = CancellationToken::new();
    let running = start(config, stop.clone()).await?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        () = signals.wait() => {}
        () = running.health.failed() => {}
    }
    let tasks = running.health.ended();
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    running.drain().await;
    if tasks.is_empty() { Ok(()) } else { Err(StartError::TaskEnded { tasks }) }
}

/// SIGTERM, SIGINT, and SIGHUP: a terminal that is closed, or somebody who hopes for a reload. There is none, and what
/// the signal does by itself is to end the process without a drain.
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}

/// A started bridge.
pub struct Running {
    /// Where the admin socket listens.
    pub admin: SocketAddr,
    health: Arc<Health>,
    tracker: TaskTracker,
    store: Arc<dyn Store>,
    limit: Duration,
    _instance: Instance,
}

impl Running {
    /// Waits for everything that was under way, at most as long as the configuration allows.
    pub async fn drain(self) {
        self.tracker.close();
        if tokio::time::timeout(self.limit, self.tracker.wait()).await.is_err() {
            warn!("not everything ended in time; what was under way is taken up again at the next start");
        }
        let event = life_cycle("stopped");
        if let Err(error) = self.store.record(vec![event]).await {
            warn!(error = %ErrorChain(&error), "the stop was not recorded");
        }
        info!("stopped");
    }
}

fn life_cycle(what: &str) -> Event {
    Event {
        at: SystemClock.now(),
        what: what.to_owned(),
        alert: None,
        delivery: None,
        facts: serde_json::Map::new(),
    }
}

/// The stages, built.
struct Stages {
    pipeline: Arc<Pipeline>,
    router: Arc<Router>,
    relay: Arc<Relay>,
    live: Arc<Live>,
    /// Wakes the router.
    accepted: Arc<Notify>,
    /// Wakes the relay.
    routed: Arc<Notify>,
}

/// What every stage is given.
#[derive(Clone)]
struct Common {
    store: Arc<dyn Store>,
    clock: BridgeClock,
    http: HttpClient,
    metrics: Arc<Metrics>,
    shelves: Arc<Shelves>,
    health: Arc<Health>,
    /// What may go where; filled by `Live` before anything looks at it.
    routes: Arc<Routes>,
}

impl Common {
    /// What endpoints are given.
    fn endpoint_context(&self) -> EndpointContext {
        EndpointContext {
            clock: Arc::new(self.clock.clone()),
            http: self.http.clone(),
            shelf: Arc::clone(&self.shelves) as _,
        }
    }

    /// Asks endpoints to prove themselves.
    fn prover(&self, live: &Arc<Live>, holder: &str, holding: Holding) -> Arc<Prover> {
        Arc::new(Prover {
            live: Arc::clone(live),
            context: self.endpoint_context(),
            store: Arc::clone(&self.store),
            holder: holder.to_owned(),
            holding,
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// Streams, which come and go with their endpoints.
    fn streams(&self, stop: &CancellationToken) -> Arc<Streams> {
        let Common { store, clock, metrics, shelves, routes, .. } = self.clone();
        Arc::new(Streams { routes, store, clock, shelves, metrics, stop: stop.clone() })
    }
}

fn build(
    config: Config,
    sources: BTreeMap<Origin, SourceFacts>,
    common: &Common,
) -> Result<Stages, StartError> {
    let Common { store, clock, metrics, routes, .. } = common;
    let marks = TestMarks::builtin().map_err(|e| StartError::Tables(Box::new(e)))?;
    let mut tables = Tables::builtin().map_err(|e| StartError::Tables(Box::new(e)))?;
    if let Some(bytes) = &config.geodata {
        tables = tables.with_geodata(bytes).map_err(|e| StartError::Tables(Box::new(e)))?;
    }
    let (accepted, routed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let declared = Declared {
        sources,
        endpoints: config.endpoints,
        rules: config.rules,
        purposes: config.purposes,
        places: config.places,
        permits: config.registration,
        sender: config.bridge.sender.clone(),
    };
    // Filled by `Live` before anything looks at it.
    let gates = Arc::new(Gates::new([], config.relay.in_flight));
    let pipeline = Arc::new(Pipeline {
        store: Arc::clone(store),
        clock: clock.clone(),
        sources: config.profiles,
        routes: Arc::clone(routes),
        intake: config.intake,
        marks,
        bridge: config.bridge.name.clone(),
        metrics: Arc::clone(metrics),
        health: Arc::clone(&common.health),
        accepted: Arc::clone(&accepted),
    });
    let renderer = Arc::new(Renderer {
        tables,
        bridge: config.bridge,
        translation: config.translation.settings(),
        limits: cap_schema::Limits::default(),
    });
    let router = Arc::new(Router {
        store: Arc::clone(store),
        clock: clock.clone(),
        routes: Arc::clone(routes),
        renderer: Arc::clone(&renderer),
        relay: config.relay.clone(),
        routed: Arc::clone(&routed),
    });
    let registrar = Registrar::new(Arc::clone(store));
    let joined = (Arc::clone(routes), Arc::clone(&gates));
    let live = Arc::new(Live::new(registrar, declared, joined, Arc::clone(&renderer)));
    let relay = Arc::new(Relay {
        store: Arc::clone(store),
        clock: clock.clone(),
        gates,
        routes: Arc::clone(routes),
        live: Arc::clone(&live),
        renderer,
        context: common.endpoint_context(),
        settings: config.relay,
        metrics: Arc::clone(metrics),
        under_way: UnderWay::default(),
    });
    Ok(Stages { pipeline, router, relay, live, accepted, routed })
}

async fn open_admin(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let not_opened = |cause| StartError::Listen { listen, cause };
    let listener = TcpListener::bind(listen).await.map_err(not_opened)?;
    let address = listener.local_addr().map_err(not_opened)?;
    Ok((listener, address))
}

fn facts_of(sources: &[ReadySource]) -> BTreeMap<Origin, SourceFacts> {
    sources.iter().map(|s| (s.origin.clone(), SourceFacts { kind: s.kind, mode: s.mode })).collect()
}

/// What stands under every stage.
async fn foundation(config: &Config) -> Result<Common, StartError> {
    let store = crate::store::open(&config.store, config.redis.clone(), &config.bridge)
        .await
        .map_err(StartError::Store)?;
    store.record(vec![life_cycle("started")]).await.map_err(StartError::Store)?;
    let http = HttpClient::new(config.http.clone()).map_err(StartError::Http)?;
    let routes = Arc::new(Routes::default());
    let shelves = Shelves::new(Arc::clone(&store), Arc::clone(&routes), config.retention.alerts_days);
    Ok(Common {
        store,
        clock: clock(config),
        http,
        metrics: Metrics::new(),
        shelves,
        routes,
        health: Arc::default(),
    })
}

/// Starts everything; `stop` ends it.
///
/// # Errors
/// What kept it from starting.
pub async fn start(mut config: Config, stop: CancellationToken) -> Result<Running, StartError> {
    let (listener, admin) = open_admin(config.admin_listen).await?;
    let folder = config.bridge.data_dir.clone();
    let instance = Instance::open(&folder).map_err(|cause| StartError::Instance { folder, cause })?;
    let common = foundation(&config).await?;
    let summary = announce(&config);
    let limit = Duration::from_secs(config.bridge.shutdown_secs);
    let yield_after = config.store.redis_url.is_some().then_some(supervise::YIELD_AFTER);
    let sources = std::mem::take(&mut config.sources);
    let facts = facts_of(&sources);
    let contacts = Contacts::new(sources.iter().map(|s| s.origin.clone()), Arc::clone(&common.metrics));
    let check_every = Duration::from_secs(config.store.check_secs);
    let (retention, contact_secs) = (config.retention.clone(), config.intake.contact_secs);
    let (token, replay_secs) = (config.admin_token.take(), config.relay.give_up_cap_secs);
    let (hosts, bounds) = (admin::Hosts::new(admin, &config.admin_hosts), config.admin_bounds);
    let credentials = Credentials::new(Arc::clone(&common.routes), Arc::clone(&common.metrics));
    let (reading_side, holding) = (ReadingSide::new(&config), Holding::new(&config.registration));
    let Stages { pipeline, router, relay, live, accepted, routed } = build(config, facts, &common)?;
    live.refresh().await.map_err(StartError::Store)?;
    let readers = reading_side.open(&common, &stop).await?;
    summary.tell(admin);

    let health = Arc::clone(&common.health);
    let tasks = Tasks { tracker: TaskTracker::new(), health, stop: stop.clone() };
    let reading = Reading {
        accept: Arc::clone(&pipeline) as Arc<dyn Accept>,
        common: common.clone(),
        contacts: Arc::clone(&contacts),
        holder: instance.name.clone(),
        yield_after,
    };
    reading.start(sources, &tasks);
    readers.into_iter().for_each(|r| tasks.start("feeds".into(), r.server.serve(r.listener)));
    tasks.start("streams".into(), common.streams(&stop).run());
    let context = common.endpoint_context();
    let prover = common.prover(&live, &instance.name, holding);
    tasks.start("proofs".into(), Arc::clone(&prover).run(stop.clone()));
    let Common { store, clock, metrics, shelves, .. } = common;
    let (route_stop, woken) = (stop.clone(), Arc::clone(&accepted));
    tasks.start("router".into(), async move { router.run(&woken, route_stop).await });
    start_lanes(&tasks, &relay, &routed);
    let keeping = Keeping {
        store: Arc::clone(&store),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        contacts: Arc::clone(&contacts),
        credentials: Arc::clone(&credentials),
        retention,
        shelves,
        health: Arc::clone(&tasks.health),
        check_every,
        accepted,
        routed,
        stop: stop.clone(),
    };
    tasks.start("housekeeping".into(), keep_house(keeping));
    let (registered, follow_stop) = (Arc::clone(&live), stop.clone());
    tasks.start("registrations".into(), async move { follow_registrations(&registered, &follow_stop).await });
    let state = AdminState {
        store: Arc::clone(&store),
        pipeline,
        contacts,
        credentials,
        metrics,
        clock,
        token,
        live,
        contact_limit: Duration::from_secs(contact_secs),
        relay,
        replay_secs,
        context,
        prover,
        patience: bounds.head,
        rates: admin::Rates::default(),
        hosts,
        health: Arc::clone(&tasks.health),
    };
    tasks.start("admin socket".into(), admin::serve(listener, state, bounds, stop.clone()));
    let Tasks { tracker, health, .. } = tasks;
    Ok(Running { admin, health, tracker, store, limit, _instance: instance })
}

/// One relay for each lane, so that what is urgent never waits for what is not.
fn start_lanes(tasks: &Tasks, relay: &Arc<Relay>, routed: &Arc<Notify>) {
    for lane in [Lane::Urgent, Lane::Routine] {
        let name = format!("relay {lane:?}").to_lowercase();
        tasks.start(name, Arc::clone(relay).run(lane, Arc::clone(routed), tasks.stop.clone()));
    }
}

fn clock(config: &Config) -> BridgeClock {
    if config.clock.dangerous_follow_messages {
        BridgeClock::Following(FollowingClock::new())
    } else {
        BridgeClock::System(SystemClock)
    }
}

/// What the sources are given.
struct Reading {
    accept: Arc<dyn Accept>,
    common: Common,
    contacts: Arc<Contacts>,
    holder: String,
    yield_after: Option<Duration>,
}

impl Reading {
    fn start(&self, sources: Vec<ReadySource>, tasks: &Tasks) {
        let Common { store, clock, http, .. } = &self.common;
        for source in sources {
            let context = SourceContext {
                origin: source.origin.clone(),
                accept: Arc::clone(&self.accept),
                checkpoint: Arc::new(crate::store::Checkpoints(Arc::clone(store))),
                contact: Arc::clone(&self.contacts) as _,
                shutdown: tasks.stop.clone(),
                clock: Arc::new(clock.clone()),
                http: http.clone(),
            };
            let name = format!("source {}", context.origin);
            let supervised = Supervised {
                source,
                context,
                store: Arc::clone(store),
                contacts: Arc::clone(&self.contacts),
                holder: self.holder.clone(),
                yield_after: self.yield_after,
            };
            tasks.start(name, supervised.run());
        }
    }
}

/// The long-lived tasks. One that ends before it is stopped ends the process: a lane without its worker would look well
/// and deliver nothing.
struct Tasks {
    tracker: TaskTracker,
    health: Arc<Health>,
    stop: CancellationToken,
}

impl Tasks {
    fn start(&self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        let (health, stop) = (Arc::clone(&self.health), self.stop.clone());
        self.tracker.spawn(async move { health.watch(name, stop, task).await });
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}

/// Sees what other instances registered.
async fn follow_registrations(live: &Live, stop: &CancellationToken) {
    let mut patience = Patience::default();
    while !stop.is_cancelled() {
        live.write_gone().await;
        let nap = match live.refresh().await {
            Ok(()) => {
                patience.answered();
                REGISTRATIONS
            }
            Err(error) => {
                warn!(error = %ErrorChain(&error), "registrations wait for the store");
                patience.failed().max(REGISTRATIONS)
            }
        };
        tokio::select! {
            () = pause(nap, stop) => {}
            () = live.woken() => {}
        }
    }
}

//! Logs and metrics.
//!
//! Owns the set-up of tracing, the metric names (one struct, no other place makes one) and the printing of error
//! chains. Labels come from closed sets or from the configuration; no identifier of an alert is a label.

mod lines;

use std::error::Error;
use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use capbridge_adapters::passage::{EndpointName, Origin};
use capbridge_adapters::source::Acceptance;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

use crate::relay::gates::{Change, Why};
use crate::settings::{LogFormat, LogTable};
use crate::store::retention::Size;
use crate::store::{AttemptEnd, Delivery, Depth};

pub use lines::{flush, last_word};

/// Prints an error with all its causes.
pub struct ErrorChain<'e>(pub &'e dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// An error with all its causes as text.
pub fn chain(error: &dyn Error) -> String {
    ErrorChain(error).to_string()
}

/// Starts logging to standard error. A panic is a line of the log too.
pub fn start_logging(settings: &LogTable) {
    lines::start();
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a bug")));
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .log_internal_errors(false)
        .with_writer(|| lines::Line);
    // A second start (tests) keeps the first.
    let _ = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceivedLabels {
    origin: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OriginLabel {
    origin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: String,
}

/// What a reader of a feed asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForm {
    /// It was refused before it came to that.
    Any,
    /// A page.
    Atom,
    /// The stream of events.
    Events,
    /// What is in force.
    Geojson,
    /// A message.
    Message,
}

/// How a reader of a feed was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedOutcome {
    /// With what it asked for.
    Answered,
    /// The store failed.
    Failed,
    /// It may not, or asked for what is not there.
    Refused,
    /// It has it already.
    Unchanged,
}

/// A stream of events, counted as long as it lives.
pub struct FeedStream(Gauge);

impl Drop for FeedStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FeedLabels {
    endpoint: String,
    form: String,
    outcome: String,
}

/// The connections of a socket's clients.
#[derive(Clone, Debug, Default)]
pub struct SocketMetrics {
    clients: Gauge,
    cut: Counter,
    turned_away: Counter,
}

impl SocketMetrics {
    fn register(&self, registry: &mut Registry, socket: &str, whose: &str) {
        let name = |what: &str| format!("{socket}_{what}");
        registry.register(name("clients"), format!("Connections of {whose}"), self.clients.clone());
        registry.register(name("cut"), format!("{whose} that took nothing and were cut"), self.cut.clone());
        let help = format!("{whose} that found no room");
        registry.register(name("turned_away"), help, self.turned_away.clone());
    }

    /// How many are connected.
    pub fn clients(&self, clients: usize) {
        self.clients.set(i64::try_from(clients).unwrap_or(i64::MAX));
    }

    /// One took nothing.
    pub fn cut(&self) {
        self.cut.inc();
    }

    /// One found no room.
    pub fn turned_away(&self) {
        self.turned_away.inc();
    }
}

/// The sockets of the bridge.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// Readers of feeds.
    pub readers: SocketMetrics,
    /// Clients of the admin socket.
    pub operators: SocketMetrics,
    /// Clients of streams.
    pub listeners: SocketMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RegistrationLabels {
    kind: String,
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: String,
}

/// All metrics of the bridge.
pub struct Metrics {
    registry: Registry,
    received: Family<ReceivedLabels, Counter>,
    quarantined: Family<ReasonLabel, Counter>,
    attempts: Family<EndpointLabels, Counter>,
    attempt_seconds: Family<LaneLabel, Histogram>,
    delivery_seconds: Family<LaneLabel, Histogram>,
    unrouted: Gauge,
    unfinished: Family<LaneLabel, Gauge>,
    oldest_seconds: Gauge<f64, AtomicU64>,
    dead_letters: Gauge,
    quarantine: Gauge,
    contact_age: Family<OriginLabel, Gauge<f64, AtomicU64>>,
    gaps: Family<OriginLabel, Counter>,
    credentials: Family<EndpointLabel, Gauge<f64, AtomicU64>>,
    store_writable: Gauge,
    feed_requests: Family<FeedLabels, Counter>,
    feed_streams: Family<EndpointLabel, Gauge>,
    /// Connections.
    pub sockets: Sockets,
    registrations: Family<RegistrationLabels, Gauge>,
    proofs: Family<OutcomeLabel, Counter>,
    shut: Family<EndpointLabel, Gauge>,
    opened: Family<EndpointLabel, Counter>,
    put_off: Family<ReasonLabel, Counter>,
    taken_over: Counter,
    store_safe: Gauge,
    store_unsafe: Counter,
    store_size: Gauge,
    audit_entries: Gauge,
    quarantine_kept: Gauge,
}

impl Metrics {
    /// Registers everything once.
    pub fn new() -> Arc<Self> {
        let seconds = || Histogram::new([0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 120.0, 600.0, 3_600.0]);
        let mut metrics = Metrics {
            registry: Registry::with_prefix("capbridge"),
            received: Family::default(),
            quarantined: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(seconds),
            delivery_seconds: Family::new_with_constructor(seconds),
            unrouted: Gauge::default(),
            unfinished: Family::default(),
            oldest_seconds: Gauge::default(),
            dead_letters: Gauge::default(),
            quarantine: Gauge::default(),
            contact_age: Family::default(),
            gaps: Family::default(),
            credentials: Family::default(),
            shut: Family::default(),
            opened: Family::default(),
            put_off: Family::default(),
            taken_over: Counter::default(),
            store_safe: Gauge::default(),
            store_unsafe: Counter::default(),
            store_size: Gauge::default(),
            audit_entries: Gauge::default(),
            quarantine_kept: Gauge::default(),
            store_writable: Gauge::default(),
            feed_requests: Family::default(),
            feed_streams: Family::default(),
            sockets: Sockets::default(),
            registrations: Family::default(),
            proofs: Family::default(),
        };
        let r = &mut metrics.registry;
        r.register("received", "Documents by source and what became of them", metrics.received.clone());
        r.register("quarantined", "Documents put in quarantine by reason", metrics.quarantined.clone());
        r.register("attempts", "Delivery attempts by endpoint and how they ended", metrics.attempts.clone());
        r.register_with_unit(
            "attempt",
            "Time of one attempt",
            Unit::Seconds,
            metrics.attempt_seconds.clone(),
        );
        r.register_with_unit(
            "delivery",
            "Time from queued to delivered",
            Unit::Seconds,
            metrics.delivery_seconds.clone(),
        );
        r.register("unrouted_alerts", "Accepted alerts that are not routed", metrics.unrouted.clone());
        r.register("unfinished_deliveries", "Deliveries without a final state", metrics.unfinished.clone());
        r.register_with_unit(
            "oldest_delivery",
            "Age of the oldest unfinished delivery",
            Unit::Seconds,
            metrics.oldest_seconds.clone(),
        );
        r.register("dead_letters", "Deliveries given up and kept", metrics.dead_letters.clone());
        r.register(
            "quarantine_documents",
            "Documents in quarantine that nobody released",
            metrics.quarantine.clone(),
        );
        r.register_with_unit(
            "source_contact_age",
            "Time since a source last answered",
            Unit::Seconds,
            metrics.contact_age.clone(),
        );
        r.register("source_gaps", "Times a source was silent longer than its window", metrics.gaps.clone());
        r.register_with_unit(
            "credential_left",
            "Time until the credential of an endpoint runs out",
            Unit::Seconds,
            metrics.credentials.clone(),
        );
        metrics.register_relay();
        metrics.register_store();
        metrics.register_feeds();
        metrics.register_registrations();
        Arc::new(metrics)
    }

    fn register_relay(&mut self) {
        let r = &mut self.registry;
        r.register(
            "endpoint_shut",
            "0 an endpoint takes attempts, 1 it fails and is left alone, 2 it asked never to be called again",
            self.shut.clone(),
        );
        r.register("endpoint_opened", "Times that an endpoint was left alone", self.opened.clone());
        r.register("put_off", "Deliveries that waited for their turn", self.put_off.clone());
        r.register(
            "taken_over",
            "Steps of deliveries that were refused because another worker had taken over",
            self.taken_over.clone(),
        );
    }

    fn register_store(&mut self) {
        let r = &mut self.registry;
        r.register("store_writable", "1 while the store takes writes", self.store_writable.clone());
        r.register(
            "store_safe",
            "0 while the store is set up so that it would lose data",
            self.store_safe.clone(),
        );
        r.register(
            "store_unsafe",
            "Times that the store was found emptied or set up so that it would lose data",
            self.store_unsafe.clone(),
        );
        r.register_with_unit(
            "store_size",
            "What the store takes of its file, or of the memory of Redis",
            Unit::Bytes,
            self.store_size.clone(),
        );
        r.register("audit_entries", "Entries of the audit log", self.audit_entries.clone());
        r.register(
            "quarantine_kept",
            "Documents in quarantine, released ones too",
            self.quarantine_kept.clone(),
        );
        r.register("log_lines_lost", "Log lines that nobody read in time", lines::stderr().lost());
    }

    fn register_feeds(&mut self) {
        let r = &mut self.registry;
        r.register("feed_requests", "Requests of readers by feed and answer", self.feed_requests.clone());
        r.register("feed_streams", "Readers that are told of each entry", self.feed_streams.clone());
        self.sockets.readers.register(r, "feed", "readers");
        self.sockets.operators.register(r, "admin", "clients of the admin socket");
        self.sockets.listeners.register(r, "stream", "clients of streams");
    }

    fn register_registrations(&mut self) {
        let r = &mut self.registry;
        r.register("registrations", "What is registered, by kind and state", self.registrations.clone());
        r.register("proofs", "Endpoints that were asked to prove themselves again", self.proofs.clone());
    }

    /// What is registered, by kind and state; a state that there is no more is 0.
    pub fn registrations(&self, counts: &std::collections::BTreeMap<(&'static str, &'static str), i64>) {
        for ((kind, state), count) in counts {
            let labels = RegistrationLabels { kind: (*kind).to_owned(), state: (*state).to_owned() };
            self.registrations.get_or_create(&labels).set(*count);
        }
    }

    /// An endpoint was asked to prove itself again.
    pub fn proof(&self, outcome: &str) {
        self.proofs.get_or_create(&OutcomeLabel { outcome: outcome.to_owned() }).inc();
    }

    /// A reader of a feed was answered.
    pub fn feed_request(&self, feed: &EndpointName, form: FeedForm, outcome: FeedOutcome) {
        let form = match form {
            FeedForm::Any => "any",
            FeedForm::Atom => "atom",
            FeedForm::Events => "events",
            FeedForm::Geojson => "geojson",
            FeedForm::Message => "message",
        };
        let outcome = match outcome {
            FeedOutcome::Answered => "answered",
            FeedOutcome::Failed => "failed",
            FeedOutcome::Refused => "refused",
            FeedOutcome::Unchanged => "unchanged",
        };
        let labels =
            FeedLabels { endpoint: feed.0.clone(), form: form.to_owned(), outcome: outcome.to_owned() };
        self.feed_requests.get_or_create(&labels).inc();
    }

    /// A stream of events begins.
    pub fn feed_stream(&self, feed: &EndpointName) -> FeedStream {
        let gauge = self.feed_streams.get_or_create(&EndpointLabel { endpoint: feed.0.clone() }).clone();
        gauge.inc();
        FeedStream(gauge)
    }

    /// Whether the store took the last probe.
    pub fn store_writable(&self, writable: bool) {
        self.store_writable.set(i64::from(writable));
    }

    /// Whether the store keeps what it is given; `is_new`: a fault was not known before.
    pub fn store_safe(&self, is_safe: bool, is_new: bool) {
        self.store_safe.set(i64::from(is_safe));
        if is_new {
            self.store_unsafe.inc();
        }
    }

    /// A document was taken.
    pub fn received(&self, origin: &Origin, outcome: Acceptance) {
        let outcome = match outcome {
            Acceptance::Accepted => "accepted",
            Acceptance::Repeat => "repeat",
            Acceptance::Linked => "linked",
            Acceptance::Loop => "loop",
            Acceptance::Quarantined => "quarantined",
        };
        let labels = ReceivedLabels { origin: origin.0.clone(), outcome: outcome.into() };
        self.received.get_or_create(&labels).inc();
    }

    /// A document was set aside.
    pub fn quarantined(&self, reason: &str) {
        self.quarantined.get_or_create(&ReasonLabel { reason: reason.into() }).inc();
    }

    /// An attempt ended.
    pub fn attempted(&self, delivery: &Delivery, end: &AttemptEnd, took: Duration) {
        let outcome = match end {
            AttemptEnd::Delivered(_) => "delivered",
            AttemptEnd::Waiting { .. } => "waiting",
            AttemptEnd::Dead { .. } => "dead",
            AttemptEnd::Expired { .. } => "expired",
            AttemptEnd::Moot { .. } => "moot",
        };
        let labels = EndpointLabels { endpoint: delivery.endpoint.0.clone(), outcome: outcome.into() };
        self.attempts.get_or_create(&labels).inc();
        let lane = LaneLabel { lane: format!("{:?}", delivery.lane).to_lowercase() };
        self.attempt_seconds.get_or_create(&lane).observe(took.as_secs_f64());
        if let AttemptEnd::Delivered(receipt) = end
            && let Some(at) = receipt.delivered_at
        {
            let waited = at.duration_since(delivery.queued_at).as_secs_f64();
            self.delivery_seconds.get_or_create(&lane).observe(waited.max(0.0));
        }
    }

    /// A delivery was put off.
    pub fn put_off(&self, why: Why) {
        self.put_off.get_or_create(&ReasonLabel { reason: why.as_str().into() }).inc();
    }

    /// A step of a delivery was refused: another worker has it.
    pub fn taken_over(&self) {
        self.taken_over.inc();
    }

    /// An endpoint was found to fail, to answer again, or to be gone.
    pub fn endpoint(&self, endpoint: &EndpointName, change: Change) {
        let label = EndpointLabel { endpoint: endpoint.0.clone() };
        let shut = match change {
            Change::None => return,
            Change::Closed => 0,
            Change::Opened => {
                self.opened.get_or_create(&label).inc();
                1
            }
            Change::Gone => 2,
        };
        self.shut.get_or_create(&label).set(shut);
    }

    /// A source was silent for longer than its window.
    pub fn gap(&self, origin: &Origin) {
        self.gaps.get_or_create(&OriginLabel { origin: origin.0.clone() }).inc();
    }

    /// Sets the gauges from the store.
    pub fn depth(&self, depth: &Depth, now: jiff::Timestamp) {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.unrouted.set(signed(depth.unrouted));
        for (lane, n) in [("urgent", depth.urgent), ("routine", depth.routine)] {
            self.unfinished.get_or_create(&LaneLabel { lane: lane.into() }).set(signed(n));
        }
        let age = depth.oldest_queued_at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.oldest_seconds.set(age);
        self.dead_letters.set(signed(depth.dead));
        self.quarantine.set(signed(depth.quarantined));
    }

    /// Sets how much there is.
    pub fn size(&self, size: &Size) {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.store_size.set(signed(size.bytes));
        self.audit_entries.set(signed(size.record_entries));
        self.quarantine_kept.set(signed(size.quarantined));
    }

    /// Sets the age of a source's last contact.
    pub fn contact(&self, origin: &Origin, age: Duration) {
        self.contact_age.get_or_create(&OriginLabel { origin: origin.0.clone() }).set(age.as_secs_f64());
    }

    /// Takes the age of a source's last contact away: another instance reads it.
    pub fn no_contact(&self, origin: &Origin) {
        self.contact_age.remove(&OriginLabel { origin: origin.0.clone() });
    }

    /// Sets the time until an endpoint's credential runs out; negative when it has.
    pub fn credential(&self, endpoint: &EndpointName, left_secs: f64) {
        self.credentials.get_or_create(&EndpointLabel { endpoint: endpoint.0.clone() }).set(left_secs);
    }

    /// Takes the time away of a credential that there is no more.
    pub fn no_credential(&self, endpoint: &EndpointName) {
        self.credentials.remove(&EndpointLabel { endpoint: endpoint.0.clone() });
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

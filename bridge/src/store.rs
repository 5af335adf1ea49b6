//! The store: one trait in domain words, two engines.
//!
//! Owns what is promised: every method that changes something returns when the change is durable, and each change is
//! one atomic step. Nothing outside `store/` knows which engine runs. All times come in as arguments; the store reads
//! no clock. See `docs/adr/0001-store.md`.

pub mod copy;
pub mod embedded;
pub mod feeds;
pub mod instance;
mod log;
mod open;
pub mod redis;
pub mod registrations;
pub mod retention;

pub use log::{LogSpan, Logged};
pub use open::{Checkpoints, open};

use async_trait::async_trait;
use bytes::Bytes;
use cap_schema::MsgType;
use capbridge_adapters::endpoint::Receipt;
use capbridge_adapters::passage::{EndpointName, Origin};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::envelope::{
    AlertKey, ChainKey, ChainName, Envelope, Lane, Quarantined, Reference, Release, StoredAlert,
};

use registrations::{Draft, Registration};

/// What `Store::accept` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// New; it joined this chain.
    New(ChainKey),
    /// New, but nothing that it follows is here: it is routed when that comes, or when its hold ends.
    Held(ChainKey),
    /// The same alert (same key and content, or its twin) from a source that brought it before: counted on the first.
    Repeat,
    /// The same alert from a source that had not brought it: noted on the alert with this key, which is routed again for
    /// the rules that take that source.
    Linked(AlertKey),
    /// The same key, and it says something else. Nothing was stored.
    Conflict,
}

/// An alert on its way into the store, with what the record says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The alert.
    pub alert: StoredAlert,
    /// Events to be recorded if it is new.
    pub if_new: Vec<Event>,
    /// Events to be recorded, with the alert that it is linked to, if it is linked.
    pub if_linked: Vec<Event>,
}

/// A delivery that routing asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDelivery {
    /// Constant: derived from endpoint and alert (`msg_` and 26 characters).
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointName,
    /// The rule that asked for it.
    pub rule: String,
    /// When it may be tried first.
    pub due_at: Timestamp,
    /// When it is given up.
    pub give_up_at: Timestamp,
}

/// The id of a delivery: the `webhook-id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub String);

/// The states of a delivery (docs/delivery.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Stored; behind others of its chain or not tried yet.
    Queued,
    /// A worker has it.
    Attempting,
    /// The next attempt has a time.
    Waiting,
    /// The endpoint took it.
    Delivered,
    /// Given up, kept, and an operator was told: dead letter.
    Dead,
    /// Its time was over before the endpoint took it.
    Expired,
}

impl State {
    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        match self {
            State::Queued | State::Attempting | State::Waiting => false,
            State::Delivered | State::Dead | State::Expired => true,
        }
    }
}

/// Which deliveries an operator puts back in their queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Those that were given up: dead and expired ones.
    GivenUp,
    /// Delivered ones, to be issued again under a new identity.
    Delivered,
}

impl Again {
    fn takes(self, state: State) -> bool {
        match state {
            State::Queued | State::Attempting | State::Waiting => false,
            State::Delivered => self == Again::Delivered,
            State::Dead | State::Expired => self == Again::GivenUp,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Again::GivenUp => "dead or expired delivery",
            Again::Delivered => "delivered delivery",
        }
    }
}

/// A delivery as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Version of this record.
    pub v: u8,
    /// Id.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointName,
    /// Which alert.
    pub alert: AlertKey,
    /// Its chain; order is kept per (endpoint, chain).
    pub chain: ChainKey,
    /// Its lane.
    pub lane: Lane,
    /// The rule that asked for it.
    pub rule: String,
    /// State.
    pub state: State,
    /// How many attempts began.
    pub attempts: u32,
    /// How often it was claimed: the number of the claim that holds it, or held it last.
    #[serde(default)]
    pub epoch: u64,
    /// When it was made.
    pub queued_at: Timestamp,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// When it is given up.
    pub give_up_at: Timestamp,
    /// When the last attempt began.
    pub attempted_at: Option<Timestamp>,
    /// When it reached a final state.
    pub ended_at: Option<Timestamp>,
    /// Why the last attempt failed, or why it ended, in words.
    pub error: Option<String>,
    /// An attempt's answer was lost: it may have arrived.
    pub maybe_delivered: bool,
    /// What the endpoint answered.
    pub receipt: Option<Receipt>,
}

impl Delivery {
    /// What the worker that claimed it holds.
    pub fn held(&self) -> Held {
        Held { id: self.id.clone(), epoch: self.epoch }
    }
}

/// A delivery in the hands of one worker. When its lease ran out and another claimed it, this one is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// Which.
    pub id: DeliveryId,
    /// By which of its claims.
    pub epoch: u64,
}

/// What was (or is about to be) sent: stored before the first attempt, so that every retry sends the same bytes and
/// our own output is known when it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendering {
    /// Version of this record.
    pub v: u8,
    /// The CAP reference that the message carries at the endpoint.
    pub reference: Reference,
    /// The references of earlier stampings of the same message, oldest first.
    pub earlier: Vec<Reference>,
    /// What it is to the endpoint: an Update of something that the endpoint never got goes out as an Alert.
    pub msg_type: MsgType,
    /// What of the alert it tells.
    #[serde(default)]
    pub part: Part,
    /// Our own: made by translation. `false` where the original goes out as received.
    pub translated: bool,
    /// The bytes.
    pub body: Bytes,
    /// Their media type.
    pub content_type: String,
    /// When it was stamped.
    pub rendered_at: Timestamp,
    /// The translation report, JSON; null where nothing was translated.
    pub report: serde_json::Value,
}

/// What of an alert is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What it says.
    #[default]
    Whole,
    /// Only that it ends what the endpoint holds: what it says is not for the endpoint.
    End,
}

/// A delivery handed to a worker, with what an attempt needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The delivery, state `Attempting`, `attempts` counted up.
    pub delivery: Delivery,
    /// What was rendered before, if it was.
    pub rendering: Option<Rendering>,
    /// The endpoint took, or may have taken, something of the chain (`issued`).
    pub has_issued: bool,
}

/// What a worker says of a delivery that it claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Which, and by which claim.
    pub held: Held,
    /// When.
    pub ended_at: Timestamp,
    /// How.
    pub end: AttemptEnd,
    /// Whether it was handed to the endpoint: else no attempt is counted.
    pub was_tried: bool,
    /// For the record.
    pub events: Vec<Event>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Taken.
    Delivered(Receipt),
    /// To be tried again.
    Waiting {
        /// When.
        due_at: Timestamp,
        /// Why it failed.
        error: String,
        /// The answer was lost.
        maybe_delivered: bool,
    },
    /// Dead letter.
    Dead {
        /// Why.
        error: String,
    },
    /// Too late.
    Expired {
        /// Why.
        error: String,
    },
    /// Nothing left to send: a later message took its place, or there is nothing that it could end. Stored as
    /// `Expired`.
    Moot {
        /// Why.
        error: String,
    },
}

/// A message that an endpoint took, or may have taken: an attempt had no answer. For what follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The original.
    pub original: Envelope,
    /// The reference that it carries at the endpoint.
    pub reference: Reference,
    /// What it is to the endpoint.
    pub msg_type: MsgType,
    /// Where the endpoint keeps it.
    pub location: Option<String>,
    /// The references of other stampings of it, one of which the endpoint may hold instead; oldest first.
    pub earlier: Vec<Reference>,
}

/// One line of an alert's journey or of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What happened: `accepted`, `held`, `linked`, `loop`, `routed`, `withheld`, `delivered`, `waiting`, `dead`,
    /// `expired`, `replayed`, `reissued`, `quarantined`, `released`, `started`, `stopped`, `gap`, `trimmed`.
    pub what: String,
    /// The alert, if it is about one.
    pub alert: Option<AlertKey>,
    /// The delivery, if it is about one.
    pub delivery: Option<DeliveryId>,
    /// Facts (never bodies): origin, endpoint, attempt, status_code, error, rule, operator, digest.
    pub facts: serde_json::Map<String, serde_json::Value>,
}

/// Everything that is known of one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// The record.
    pub envelope: Envelope,
    /// Its deliveries, each with its rendering's report, oldest first.
    pub deliveries: Vec<JourneyDelivery>,
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// How often the same bytes came again.
    pub repeats: u64,
    /// The references of the other members of its chain, in the order of `sent`.
    pub chain: Vec<Reference>,
}

/// A delivery in a journey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JourneyDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// The reference that the message carries at the endpoint, once rendered.
    pub reference: Option<Reference>,
    /// The translation report, JSON.
    pub report: serde_json::Value,
}

/// Counts and ages, for metrics and health. Each is read in constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Accepted alerts that are not routed.
    pub unrouted: u64,
    /// Deliveries not in a final state, by lane.
    pub urgent: u64,
    /// Deliveries not in a final state, by lane.
    pub routine: u64,
    /// When the oldest unfinished delivery was queued.
    pub oldest_queued_at: Option<Timestamp>,
    /// Dead letters kept.
    pub dead: u64,
    /// Documents in quarantine that nobody released.
    pub quarantined: u64,
}

/// A page of something, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many at most; 1 to 1,000.
    pub limit: u32,
    /// How many to skip.
    pub skip: u32,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine could not be reached or answered with an error. Nothing changed, or the change may be repeated.
    #[error("the {engine} store failed to {step}")]
    Engine {
        /// `embedded` or `redis`.
        engine: &'static str,
        /// The step, as a verb phrase.
        step: &'static str,
        /// What it said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored value is of a version that this program does not know, or is damaged.
    #[error("the stored {what} {id} cannot be read")]
    Unreadable {
        /// Kind of the value.
        what: &'static str,
        /// Its id.
        id: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing by that id.
    #[error("no {what} {id}")]
    Missing {
        /// Kind of the value.
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The worker's lease ran out and another claimed the delivery. Nothing changed.
    #[error("delivery {id} was taken over by another worker")]
    TakenOver {
        /// Which.
        id: String,
    },
    /// The engine is set up so that it would lose data.
    #[error("the {engine} store would lose data: {fault}")]
    Unsafe {
        /// `embedded` or `redis`.
        engine: &'static str,
        /// What is wrong and what to do.
        fault: String,
    },
}

/// Where alerts, deliveries and the record of both are kept.
#[async_trait]
pub trait Store: feeds::FeedStore + retention::Retention + Send + Sync + 'static {
    /// Stores bytes, record, dedup key and position in the chain in one step. A message is in one chain with all that it
    /// follows and with all that follows it, whichever came first: chains that a message connects become one, which
    /// keeps the key of the first named. What waited for this message waits no longer.
    async fn accept(&self, arrival: Arrival) -> Result<Stored, StoreError>;

    /// Keeps a document aside. The same digest, origin and reason again counts up.
    async fn quarantine(&self, entry: Quarantined, raw: Bytes, events: Vec<Event>) -> Result<(), StoreError>;

    /// Marks a quarantined document as released; the caller then runs it through the pipeline again.
    async fn release(
        &self,
        id: &str,
        release: Release,
        events: Vec<Event>,
    ) -> Result<(Quarantined, Bytes), StoreError>;

    /// Accepted alerts that nobody routed: the urgent ones and what their chains have before them, then the others, each
    /// oldest first; those of a chain in the order of `sent`. An alert handed out is
    /// not handed out again before `lease_until`, so that several instances can share the work; nor is one behind an
    /// earlier one of its chain that is held or leased to somebody: routing keeps the order of a chain.
    async fn unrouted(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredAlert>, StoreError>;

    /// Stores the deliveries of an alert and marks it as routed, in one step. A second call for the same alert changes
    /// nothing, unless it was linked in between: then deliveries that are not there yet are added. If a source brought it
    /// that `alert` does not name yet, it stays to be routed. Behind an unfinished delivery of the same (endpoint, chain)
    /// a new one waits.
    async fn route(
        &self,
        alert: &Envelope,
        routed_at: Timestamp,
        deliveries: Vec<NewDelivery>,
        events: Vec<Event>,
    ) -> Result<(), StoreError>;

    /// Takes due deliveries of a lane, oldest due first, at most one of each (endpoint, chain), counts the attempt and
    /// leases them. Those whose lease ran out are due again with `maybe_delivered` set.
    async fn claim(
        &self,
        lane: Lane,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claim>, StoreError>;

    /// Prolongs the leases of deliveries that are still under way by the same claim; the others stay as they are.
    async fn extend(&self, deliveries: &[Held], lease_until: Timestamp) -> Result<(), StoreError>;

    /// When the next delivery of a lane is due, if any is waiting.
    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError>;

    /// Stores what is about to be sent, before it is sent; its reference (and those of `earlier`) is ours from now on.
    /// Like `finish` and `give_back` it is refused with `TakenOver` when another claimed the delivery meanwhile.
    async fn render(&self, delivery: &Held, rendering: Rendering) -> Result<(), StoreError>;

    /// Ends an attempt. A final state lets the next of the same (endpoint, chain) become due at once.
    async fn finish(&self, finish: Finish) -> Result<(), StoreError>;

    /// Gives a claimed delivery back untried: due at `due_at`, attempt not counted.
    async fn give_back(&self, delivery: &Held, due_at: Timestamp) -> Result<(), StoreError>;

    /// Puts a delivery that ended back in its queue, by an operator, with a new `give_up_at`. What the endpoint took of it
    /// stays among what was issued.
    async fn replay(
        &self,
        delivery: &DeliveryId,
        again: Again,
        now: Timestamp,
        give_up_at: Timestamp,
        events: Vec<Event>,
    ) -> Result<(), StoreError>;

    /// What an endpoint took, or may have taken, of a chain, in the order of `sent`.
    async fn issued(&self, endpoint: &EndpointName, chain: &ChainKey) -> Result<Vec<Issued>, StoreError>;

    /// The endpoints that any message of a chain was queued for, each with the rule of its newest delivery: corrections
    /// go to everybody that got what they correct.
    async fn followers(&self, chain: &ChainKey) -> Result<Vec<(EndpointName, String)>, StoreError>;

    /// The routed messages of a chain that were sent at this time or later, in the order of `sent`.
    async fn later(&self, chain: &ChainKey, sent_at: Timestamp) -> Result<Vec<Envelope>, StoreError>;

    /// For each name whether an accepted message carries it; known longer than the message is kept (`retention`).
    async fn known(&self, names: &[ChainName]) -> Result<Vec<bool>, StoreError>;

    /// The alert that a message of ours was made from, by the sender and identifier that it carries.
    async fn ours(&self, sender: &str, identifier: &str) -> Result<Option<AlertKey>, StoreError>;

    /// An alert with its bytes.
    async fn alert(&self, key: &AlertKey) -> Result<Option<StoredAlert>, StoreError>;

    /// A delivery.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// The keys of alerts by CAP identifier or key prefix of at least 8 characters.
    async fn find(&self, identifier_or_key: &str) -> Result<Vec<AlertKey>, StoreError>;

    /// Everything that is known of an alert.
    async fn journey(&self, key: &AlertKey) -> Result<Option<Journey>, StoreError>;

    /// Accepted alerts, newest first.
    async fn alerts(&self, page: Page) -> Result<Vec<Envelope>, StoreError>;

    /// Deliveries in a state, newest first.
    async fn deliveries(&self, state: Option<State>, page: Page) -> Result<Vec<Delivery>, StoreError>;

    /// Quarantined documents, newest first.
    async fn quarantined(&self, page: Page) -> Result<Vec<Quarantined>, StoreError>;

    /// One quarantined document with its bytes.
    async fn quarantined_document(&self, id: &str) -> Result<Option<(Quarantined, Bytes)>, StoreError>;

    /// Appends to the audit log; events about an alert are part of its journey. The events of a step go with the step,
    /// in one commit with it, and not at all where the step changes nothing.
    async fn record(&self, events: Vec<Event>) -> Result<(), StoreError>;

    /// Chains the hashes of what was recorded since the last call, where the steps do not do it themselves. To be called
    /// every few seconds; the number of entries chained.
    async fn seal(&self) -> Result<u64, StoreError>;

    /// Entries of the audit log, at most `limit`. `Missing` where the place is none.
    async fn log(&self, span: LogSpan, limit: u32) -> Result<Vec<Logged>, StoreError>;

    /// Recomputes the hash chain of the audit log; the number of entries, or the first one that does not fit.
    async fn verify_record(&self) -> Result<Result<u64, u64>, StoreError>;

    /// A source's checkpoint.
    async fn checkpoint(&self, origin: &Origin) -> Result<Option<String>, StoreError>;

    /// Moves a source's checkpoint.
    async fn set_checkpoint(&self, origin: &Origin, value: &str) -> Result<(), StoreError>;

    /// Takes or renews a named lease for `holder` (pollers share the sources of one Redis). `false`: another holds it.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives a lease back.
    async fn unlease(&self, name: &str, holder: &str) -> Result<(), StoreError>;

    /// Writes registration documents in one step, if none was written since the revision `seen`; each gets the next
    /// revision. The newest revision, or `None` where another was faster.
    async fn register(
        &self,
        seen: u64,
        drafts: Vec<Draft>,
        events: Vec<Event>,
    ) -> Result<Option<u64>, StoreError>;

    /// The registration documents that were written after a revision, in the order of their last change. Fewer than
    /// `limit`: that is all.
    async fn registrations(&self, after: u64, limit: u32) -> Result<Vec<Registration>, StoreError>;

    /// Counts and ages.
    async fn depth(&self) -> Result<Depth, StoreError>;

    /// Looks again whether the engine keeps what it is given, as at the start. `Unsafe` says what is wrong now; that it was
    /// emptied, or holds less than before, is said once.
    async fn check(&self) -> Result<(), StoreError>;

    /// Writes so many bytes durably, and does not keep them; with 0 as little as can be.
    async fn probe(&self, bytes: usize) -> Result<(), StoreError>;
}

//! Our record around an alert: what it is, where it came from, what we made of it.
//!
//! Owns the stored shapes of the pipeline's early stages. Stored values carry a version (`v`). Must not hold
//! anything that a store cannot write down.

use bytes::Bytes;
use cap_schema::MsgType;
use capbridge_adapters::class::{Class, Classified};
use capbridge_adapters::passage::{Origin, Provenance};
use capbridge_adapters::source::Form;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The key of an alert: lower-case hex of SHA-256 over sender, identifier and the instant of sent, joined by NUL, and
/// over the name of its world where that is not `live`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertKey(pub String);

/// The key of a chain: the `AlertKey` of its first known message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainKey(pub String);

/// The name of a message in the references of others: lower-case hex of SHA-256 over world, sender and identifier.
/// `sent` is not in it, because real references get it wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainName(pub String);

/// Messages that can meet. Nothing that one world holds is a repeat, an Update or a Cancel of what another holds: an
/// exercise cannot swallow or end a real alert, nor can a source that no route takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct World(String);

impl World {
    /// Real alerts from the sources that routes take.
    pub fn live() -> Self {
        World("live".to_owned())
    }

    /// The world of a class and its exercise; `alone` is a source that no route of the class takes.
    pub fn of(class: &Classified, alone: Option<&Origin>) -> Self {
        let mut name = match class.class() {
            Class::Live => "live".to_owned(),
            Class::Exercise => "exercise".to_owned(),
            Class::Test => "test".to_owned(),
            Class::Internal => "internal".to_owned(),
        };
        if let Some(exercise) = class.exercise() {
            name = format!("{name}/{}", exercise.0);
        }
        if let Some(origin) = alone {
            name = format!("{name}@{origin}");
        }
        World(name)
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A CAP reference (`sender,identifier,sent`) as owned text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// CAP `sender`.
    pub sender: String,
    /// CAP `identifier`.
    pub identifier: String,
    /// CAP `sent`, as written.
    pub sent: String,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.sender, self.identifier, self.sent)
    }
}

/// Which lane a delivery waits in. `Urgent` is CBRNE and Extreme or Immediate; it never waits behind `Routine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// CBRNE, Extreme severity or Immediate urgency, and every Update and Cancel of such a chain.
    Urgent,
    /// Everything else.
    Routine,
}

/// An accepted alert as the store keeps it. The original bytes are beside it, not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this record.
    pub v: u8,
    /// The key.
    pub key: AlertKey,
    /// The chain that it belongs to. Before `Store::accept`, its own key; the store answers with the real one.
    pub chain: ChainKey,
    /// Its CAP reference.
    pub reference: Reference,
    /// CAP `msgType`.
    pub msg_type: MsgType,
    /// The messages that it refers to, as written.
    pub refers_to: Vec<Reference>,
    /// The world that it is in.
    pub world: World,
    /// Its own name in references.
    pub name: ChainName,
    /// The names of what it may speak for among `refers_to`: what its sender sent, or may act for.
    pub follows: Vec<ChainName>,
    /// Until when it waits for one of `follows`, where none of them is here.
    pub hold_until: Option<Timestamp>,
    /// Where it came from and whom it is for.
    pub provenance: Provenance,
    /// What the document was.
    pub form: Form,
    /// The name that the source gave it.
    pub remote_id: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// When the store took it.
    pub accepted_at: Timestamp,
    /// CAP `sent` as an instant.
    pub sent_at: Timestamp,
    /// The latest `expires` of its infos.
    pub expires_at: Option<Timestamp>,
    /// Its class and exercise.
    pub class: Classified,
    /// The lane of its deliveries.
    pub lane: Lane,
    /// SHA-256 of the original bytes, lower-case hex.
    pub digest: String,
    /// SHA-256 of what it says (the written model without signatures), lower-case hex: equal for the same alert
    /// through two sources.
    pub content_digest: String,
    /// The key under which the same alert is found when another system gives it another identifier (NWS alerts with
    /// and without `.IPAWS`).
    pub twin: Option<AlertKey>,
    /// State of the signature on the original bytes.
    pub signature: String,
    /// Findings of reading and validating, as JSON objects of design 7.
    pub findings: Vec<serde_json::Value>,
    /// What the classifier and the router go by: event codes, categories and so on are read again from the bytes;
    /// this is the headline for people.
    pub headline: Option<String>,
}

/// How long an Alert or Update without `expires` counts as in force, days from its acceptance. CAP 1.2 3.2.2 leaves its
/// end to the recipient; a Cancel within this time finds everybody who has it.
const OPEN_ENDED_DAYS: i64 = 365;

impl Envelope {
    /// From when on retention counts: nothing that may be in force is forgotten before.
    pub fn over_at(&self) -> Timestamp {
        let open_ended = matches!(self.msg_type, MsgType::Alert | MsgType::Update);
        let expires_at = match self.expires_at {
            Some(expires_at) => expires_at,
            None if open_ended => {
                let days = SignedDuration::from_hours(24 * OPEN_ENDED_DAYS);
                self.accepted_at.checked_add(days).unwrap_or(Timestamp::MAX)
            }
            None => self.accepted_at,
        };
        expires_at.max(self.accepted_at)
    }
}

/// An alert with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlert {
    /// The record.
    pub envelope: Envelope,
    /// The original bytes.
    pub raw: Bytes,
    /// The CAP document that was made of them, where the original is not CAP.
    pub derived: Option<Bytes>,
}

impl StoredAlert {
    /// The CAP document: the derived one, else the original.
    pub fn cap(&self) -> &Bytes {
        self.derived.as_ref().unwrap_or(&self.raw)
    }
}

/// Something kept aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Version of this record.
    pub v: u8,
    /// `q_` and 26 characters.
    pub id: String,
    /// The source.
    pub origin: Origin,
    /// What the document was.
    pub form: Form,
    /// The name that the source gave it.
    pub remote_id: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// Its CAP reference, as far as it could be read.
    pub reference: Option<Reference>,
    /// SHA-256 of the bytes, lower-case hex. The same bytes from the same source with the same reason are one entry.
    pub digest: String,
    /// Why, as one of a closed set (`document`, `signature`, `conflict`, `stale`, `future`, `enclosure`, ...).
    pub reason: String,
    /// Why, in words.
    pub detail: String,
    /// Findings, as JSON objects of design 7.
    pub findings: Vec<serde_json::Value>,
    /// How often the same bytes came.
    pub times: u64,
    /// Who released it and when, if somebody did.
    pub released: Option<Release>,
}

/// An operator's decision to let a quarantined document through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// When.
    pub released_at: Timestamp,
}

//! What a store is made of, in a form that no engine has.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use capbridge_adapters::feed::Keeping;
use capbridge_adapters::passage::EndpointName;
use serde::Serialize;

use crate::audit::Anchor;
use crate::envelope::{AlertKey, Quarantined, StoredAlert};
use crate::store::feeds::Extent;
use crate::store::registrations::Registration;
use crate::store::{Delivery, DeliveryId, Rendering};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// The kinds of records, in the order in which they are copied.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name),+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: [Kind; [$($text),+].len()] = [$(Kind::$name),+];

            /// Its name, in the plural.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$name => $text),+
                }
            }
        }
    };
}

kinds! {
    /// Accepted alerts with their bytes.
    Alerts = "alerts",
    /// That an alert was here.
    Seen = "seen alerts",
    /// What references call messages.
    Names = "names",
    /// Deliveries.
    Deliveries = "deliveries",
    /// What is sent for deliveries.
    Renderings = "renderings",
    /// Messages of our own.
    Ours = "own messages",
    /// Documents in quarantine.
    Quarantine = "quarantined documents",
    /// Where the audit log begins.
    Anchors = "beginnings of the audit log",
    /// The audit log.
    Events = "audit events",
    /// Where sources go on.
    Checkpoints = "checkpoints",
    /// Registration documents.
    Registrations = "registrations",
    /// How far feeds are.
    Feeds = "feeds",
    /// Entries of feeds.
    FeedEntries = "feed entries",
}

impl Kind {
    /// The one that is copied first.
    pub const FIRST: Kind = Kind::Alerts;

    /// The one that is copied after it.
    pub fn next(self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind > self)
    }

    /// The kind by its name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An alert.
    Alert {
        /// Its place in the order of acceptance.
        seq: i64,
        /// Record and bytes; the envelope's chain is the one that it is in now.
        alert: Box<StoredAlert>,
        /// It is to be routed.
        waits: bool,
        /// It was routed.
        routed: bool,
        /// Until when it is held, ms; 0: it is not.
        hold_ms: i64,
        /// How many of its deliveries are unfinished.
        open: i64,
    },
    /// That an alert was here.
    Seen(Seen),
    /// A name.
    Name(Name),
    /// A delivery.
    Delivery {
        /// Its place in the order of routing.
        seq: i64,
        /// The record.
        delivery: Box<Delivery>,
        /// It is the first unfinished one of its line.
        head: bool,
        /// `sent` of its alert, ms.
        sent_ms: i64,
    },
    /// What is sent for a delivery.
    Rendering(DeliveryId, Box<Rendering>),
    /// A message of ours.
    Ours(Ours),
    /// A document in quarantine.
    Quarantined {
        /// Its place in the order of arrival.
        seq: i64,
        /// The record.
        entry: Box<Quarantined>,
        /// The bytes.
        raw: Bytes,
    },
    /// Where the audit log begins whose first entries were deleted.
    Anchor(Anchor),
    /// An entry of the audit log.
    Event(Entry),
    /// A checkpoint.
    Checkpoint {
        /// The source.
        origin: String,
        /// Where it goes on.
        value: String,
    },
    /// A registration document.
    Registration(Box<Registration>),
    /// How far a feed is.
    Feed(EndpointName, Extent),
    /// An entry of a feed.
    FeedEntry {
        /// The feed, the entry and the bytes of its message.
        keeping: Box<Keeping>,
        /// Its place in the feed.
        place: u64,
        /// Nothing took its place, and it is no end of something.
        stands: bool,
    },
}

/// That an alert was here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Key of the alert.
    pub key: AlertKey,
    /// SHA-256 of its bytes.
    pub digest: String,
    /// SHA-256 of what it says.
    pub content: String,
    /// Key under which the same alert is found that another system named.
    pub twin: Option<String>,
    /// How often it came again.
    pub repeats: i64,
    /// From when it may be forgotten, ms; none while the alert is in the archive.
    pub over_ms: Option<i64>,
}

/// What references call a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Name {
    /// The name.
    pub name: String,
    /// The chain that it is in.
    pub chain: String,
    /// A message carries it.
    pub accepted: bool,
    /// From when it may be forgotten, ms.
    pub over_ms: Option<i64>,
}

/// A message of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ours {
    /// CAP `identifier`.
    pub identifier: String,
    /// CAP `sender`.
    pub sender: String,
    /// The alert that it was made from.
    pub alert: String,
    /// From when it may be forgotten, ms.
    pub over_ms: Option<i64>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place, from 1.
    pub seq: i64,
    /// The alert in whose journey it is, where that is in the archive.
    pub alert: Option<String>,
    /// Canonical JSON.
    pub text: String,
    /// Hash over the one before and the text.
    pub hash: String,
}

/// A digest over records that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u64; 4]);

impl Digest {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        let hash = record.hash();
        for (sum, part) in self.0.iter_mut().zip(hash.as_ref().chunks_exact(8)) {
            let part = part.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            *sum = sum.wrapping_add(part);
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "{part:016x}"))
    }
}

impl Record {
    /// The bytes that it carries, for the bound of a batch.
    pub fn body_bytes(&self) -> usize {
        match self {
            Record::Alert { alert, .. } => alert.raw.len() + alert.derived.as_ref().map_or(0, Bytes::len),
            Record::Rendering(_, rendering) => rendering.body.len(),
            Record::Quarantined { raw, .. } => raw.len(),
            Record::Seen(_)
            | Record::Name(_)
            | Record::Delivery { .. }
            | Record::Ours(_)
            | Record::Anchor(_)
            | Record::Event(_)
            | Record::Checkpoint { .. }
            | Record::Registration(_)
            | Record::Feed(..) => 0,
            Record::FeedEntry { keeping, .. } => keeping.body.len(),
        }
    }

    /// SHA-256 over all that it says.
    fn hash(&self) -> aws_lc_rs::digest::Digest {
        let mut context = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(bytes);
        };
        match self {
            Record::Alert { seq, alert, waits, routed, hold_ms, open } => {
                part(&text(&(seq, &alert.envelope, waits, routed, hold_ms, open)));
                part(&alert.raw);
                part(alert.derived.as_deref().unwrap_or_default());
                part(&[u8::from(alert.derived.is_some())]);
            }
            Record::Seen(seen) => part(&text(seen)),
            Record::Name(name) => part(&text(name)),
            Record::Delivery { seq, delivery, head, sent_ms } => {
                part(&text(&(seq, delivery, head, sent_ms)));
            }
            Record::Rendering(id, rendering) => {
                let record = Rendering { body: Bytes::new(), ..(**rendering).clone() };
                part(&text(&(id, record)));
                part(&rendering.body);
            }
            Record::Ours(ours) => part(&text(ours)),
            Record::Quarantined { seq, entry, raw } => {
                part(&text(&(seq, entry)));
                part(raw);
            }
            Record::Anchor(anchor) => part(&text(anchor)),
            Record::Event(entry) => part(&text(entry)),
            Record::Checkpoint { origin, value } => part(&text(&(origin, value))),
            Record::Registration(r) => part(&text(&(&r.kind, &r.name, r.revision, &r.body))),
            Record::Feed(feed, extent) => part(&text(&(feed, extent.last, extent.swept))),
            Record::FeedEntry { keeping, place, stands } => {
                part(&text(&(&keeping.feed, place, stands, &keeping.entry)));
                part(&keeping.body);
            }
        }
        context.finish()
    }
}

/// Canonical JSON: through a value, so that maps have sorted keys.
fn text(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_value(value).map(|v| v.to_string().into_bytes()).unwrap_or_default()
}

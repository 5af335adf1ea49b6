//! Taking what another store holds, in the form of no engine (`store copy`).
//!
//! Owns what the scripts otherwise do: all keys of a record, indexes too. A batch and the marker that says how far the copy
//! is go in one transaction, so that a copy that was broken off goes on without a gap and without a second time. Must not
//! be used beside a running bridge: a server with a marker is refused at the start of one.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use capbridge_adapters::feed::Keeping;
use jiff::Timestamp;
use redis::Pipeline;

use super::fault::{Fault, engine};
use super::feeds::NO_END_MS;
use super::keys::{Keys, suffix};
use super::link::Effect;
use super::records::{lane_name, state_name};
use super::{RedisSettings, RedisStore};
use crate::envelope::Lane;
use crate::store::copy::{Entry, Kind, Marker, Record};
use crate::store::registrations::Registration;
use crate::store::{Delivery, Rendering, State, StoreError};

mod read_back;

const STEP: &str = "take what is copied";
/// Keys that one look takes.
const SCANNED: u32 = 1_000;

impl RedisStore {
    /// Connects as `connect` does, to a server that may hold an unfinished copy.
    ///
    /// # Errors
    /// As `connect`.
    pub async fn connect_for_copy(settings: RedisSettings) -> Result<Self, StoreError> {
        Self::open(settings).await.map_err(|fault| engine("connect", fault))
    }

    /// How far an unfinished copy is, if there is one.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn marker(&self) -> Result<Option<Marker>, StoreError> {
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.one(suffix::COPY)).arg(&["source", "kind", "place"]);
        let (source, kind, place): (Option<String>, Option<String>, Option<String>) =
            self.send(STEP, &ask, Effect::Read).await?;
        let Some(source) = source else { return Ok(None) };
        let kind = match kind.as_deref() {
            None | Some("") => None,
            Some(name) => Some(Kind::named(name).ok_or_else(|| engine(STEP, Fault::Shape("a kind")))?),
        };
        Ok(Some(Marker { source, kind, place: place.unwrap_or_default() }))
    }

    /// Whether nobody has kept anything here.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        // A start makes these two before it is told that it may not go on.
        let made = [self.keys.one(suffix::META), self.keys.one(suffix::INBOX)];
        let mut cursor = 0;
        loop {
            let (next, found) = self.scan(cursor, "").await?;
            if found.iter().any(|key| !made.contains(key)) {
                return Ok(false);
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let mut length = redis::cmd("XLEN");
        length.arg(self.keys.one(suffix::INBOX));
        Ok(self.send::<u64>(STEP, &length, Effect::Read).await? == 0)
    }

    /// Writes records and how far the copy is with them, in one step.
    ///
    /// # Errors
    /// The server does not answer. Then they may be there or not: the marker says.
    pub async fn import(&self, records: &[Record], marker: &Marker) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for record in records {
            self.add(&mut pipe, record).map_err(|fault| engine(STEP, fault))?;
        }
        let kind = marker.kind.map_or("", Kind::as_str);
        let fields = [("source", marker.source.as_str()), ("kind", kind), ("place", &marker.place)];
        pipe.hset_multiple(self.keys.one(suffix::COPY), &fields).ignore();
        self.link.together(&pipe).await.map_err(|fault| engine(STEP, fault))
    }

    /// Makes the copy a store that a bridge can start on.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn complete(&self) -> Result<(), StoreError> {
        let mut last = 0;
        for order in [suffix::ALERTS, suffix::DELIVERIES, suffix::QUARANTINED] {
            let mut newest = redis::cmd("ZREVRANGE");
            newest.arg(self.keys.one(order)).arg(0).arg(0).arg("WITHSCORES");
            let found: Vec<(String, i64)> = self.send(STEP, &newest, Effect::Read).await?;
            last = found.into_iter().map(|(_, seq)| seq).chain([last]).max().unwrap_or(last);
        }
        let mut pipe = redis::pipe();
        pipe.atomic().set(self.keys.one(suffix::SEQ), last).ignore();
        pipe.del(self.keys.one(suffix::COPY)).ignore();
        self.link.together(&pipe).await.map_err(|fault| engine(STEP, fault))
    }

    /// How many records of a kind are here.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn count(&self, kind: Kind) -> Result<u64, StoreError> {
        let ask = |command: &str, key: &str| {
            let mut ask = redis::cmd(command);
            ask.arg(self.keys.one(key));
            ask
        };
        let simple = match kind {
            Kind::Alerts => ask("ZCARD", suffix::ALERTS),
            Kind::Deliveries => ask("ZCARD", suffix::DELIVERIES),
            Kind::Quarantine => ask("ZCARD", suffix::QUARANTINED),
            Kind::Anchors => ask("EXISTS", suffix::AUDIT_ANCHOR),
            Kind::Events => ask("XLEN", suffix::AUDIT),
            Kind::Checkpoints => ask("HLEN", suffix::CHECKPOINTS),
            Kind::Registrations => ask("HLEN", suffix::REGISTERED),
            Kind::Feeds => ask("SCARD", suffix::FEEDS),
            Kind::FeedEntries => return Ok(self.family(suffix::FEED_ENTRY).await?.0),
            Kind::Seen => return Ok(self.family(suffix::SEEN).await?.0),
            Kind::Names => return Ok(self.family(suffix::NAME).await?.0),
            Kind::Renderings => return Ok(self.family(suffix::RENDERING).await?.0),
            Kind::Ours => return Ok(self.family(suffix::OURS).await?.1),
        };
        self.send(STEP, &simple, Effect::Read).await
    }

    /// How many keys a family has, and of one of hashes how many fields they have in all.
    async fn family(&self, suffix: &str) -> Result<(u64, u64), StoreError> {
        // A scan may show a key twice.
        let mut seen: HashSet<u64> = HashSet::new();
        let (mut keys, mut fields, mut cursor) = (0, 0, 0);
        loop {
            let (next, mut found) = self.scan(cursor, suffix).await?;
            found.retain(|key| {
                let mut hasher = DefaultHasher::new();
                key.hash(&mut hasher);
                seen.insert(hasher.finish())
            });
            keys += u64::try_from(found.len()).unwrap_or(0);
            if suffix == suffix::OURS && !found.is_empty() {
                let mut pipe = redis::pipe();
                for key in &found {
                    pipe.hlen(key);
                }
                let counts: Vec<u64> = self.link.ask(&pipe).await.map_err(|fault| engine(STEP, fault))?;
                fields += counts.iter().sum::<u64>();
            }
            if next == 0 {
                return Ok((keys, fields));
            }
            cursor = next;
        }
    }

    async fn scan(&self, cursor: u64, suffix: &str) -> Result<(u64, Vec<String>), StoreError> {
        let mut scan = redis::cmd("SCAN");
        let pattern = format!("{}*", self.keys.one(suffix));
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCANNED);
        self.send(STEP, &scan, Effect::Read).await
    }

    /// All keys of a record.
    fn add(&self, pipe: &mut Pipeline, record: &Record) -> Result<(), Fault> {
        let keys = &self.keys;
        for (what, over_ms) in outliving(record) {
            pipe.zadd(keys.one(suffix::FORGET), what, over_ms).ignore();
        }
        match record {
            Record::Alert { .. } => self.add_alert(pipe, record)?,
            Record::Seen(seen) => {
                let key = keys.of(suffix::SEEN, &seen.key.0);
                pipe.hset_multiple(&key, &[("digest", &seen.digest), ("content", &seen.content)]).ignore();
                if seen.repeats > 0 {
                    pipe.hset(&key, "repeats", seen.repeats).ignore();
                }
                if let Some(twin) = &seen.twin {
                    pipe.set_nx(keys.of(suffix::TWIN, twin), &seen.key.0).ignore();
                }
            }
            Record::Name(name) => {
                let key = keys.of(suffix::NAME, &name.name);
                pipe.hset(&key, "chain", &name.chain).ignore();
                if name.accepted {
                    pipe.hset(&key, "accepted", 1).ignore();
                }
            }
            Record::Delivery { seq, delivery, head, sent_ms } => {
                self.add_delivery(pipe, delivery, *seq)?;
                self.add_to_orders(pipe, delivery, (*seq, *head, *sent_ms));
            }
            Record::Rendering(id, rendering) => {
                let record = Rendering { body: bytes::Bytes::new(), ..(**rendering).clone() };
                let key = keys.of(suffix::RENDERING, &id.0);
                pipe.hset(&key, "rendering", serde_json::to_string(&record)?).ignore();
                pipe.hset(&key, "body", rendering.body.as_ref()).ignore();
            }
            Record::Ours(ours) => {
                pipe.hset(keys.of(suffix::OURS, &ours.identifier), &ours.sender, &ours.alert).ignore();
            }
            Record::Quarantined { seq, entry, raw } => {
                let key = keys.of(suffix::QUARANTINE, &entry.id);
                pipe.hset(&key, "entry", serde_json::to_string(entry)?).ignore();
                pipe.hset(&key, "raw", raw.as_ref()).hset(&key, "times", entry.times).ignore();
                pipe.zadd(keys.one(suffix::QUARANTINED), &entry.id, *seq).ignore();
                match &entry.released {
                    Some(release) => {
                        pipe.hset(&key, "released", serde_json::to_string(release)?).ignore();
                    }
                    None => {
                        pipe.sadd(keys.one(suffix::HELD), &entry.id);
                    }
                }
            }
            Record::Anchor(anchor) => {
                let key = keys.one(suffix::AUDIT_ANCHOR);
                pipe.hset(&key, "n", anchor.entries).hset(&key, "hash", &anchor.hash).ignore();
            }
            Record::Event(entry) => self.add_event(pipe, entry),
            Record::Registration(document) => {
                let name = registered(document);
                pipe.hset(keys.one(suffix::REGISTERED), &name, document.body.to_string()).ignore();
                pipe.zadd(keys.one(suffix::REGISTERED_ORDER), &name, document.revision).ignore();
            }
            Record::Feed(feed, extent) => {
                pipe.sadd(keys.one(suffix::FEEDS), &feed.0).ignore();
                let fields = [("last", extent.last), ("swept", extent.swept)];
                pipe.hset_multiple(keys.of(suffix::FEED, &feed.0), &fields).ignore();
            }
            Record::FeedEntry { keeping, place, stands } => {
                self.add_entry(pipe, keeping, (*place, *stands))?;
            }
            Record::Checkpoint { origin, value } => {
                pipe.hset(keys.one(suffix::CHECKPOINTS), origin, value).ignore();
            }
        }
        Ok(())
    }

    fn add_alert(&self, pipe: &mut Pipeline, record: &Record) -> Result<(), Fault> {
        let Record::Alert { seq, alert, waits, routed, hold_ms, open } = record else { return Ok(()) };
        let keys = &self.keys;
        let mut envelope = alert.envelope.clone();
        let also = std::mem::take(&mut envelope.provenance.also);
        let (id, chain) = (envelope.key.0.as_str(), envelope.chain.0.as_str());
        let (key, member) = (keys.of(suffix::ALERT, id), member(id, *seq));
        let (sent, over) = (envelope.sent_at.as_millisecond(), envelope.over_at().as_millisecond());
        let follows: Vec<&str> = envelope.follows.iter().map(|name| name.0.as_str()).collect();
        let identifier = envelope.reference.identifier.as_str();
        pipe.hset(&key, "envelope", serde_json::to_string(&envelope)?).hset(&key, "raw", alert.raw.as_ref());
        pipe.hset(&key, "chain", chain).hset(&key, "identifier", identifier);
        pipe.hset(&key, "lane", lane_name(envelope.lane)).hset(&key, "seq", *seq).hset(&key, "open", *open);
        pipe.hset(&key, "over_ms", over).hset(&key, "sent_ms", sent).hset(&key, "hold_ms", *hold_ms);
        pipe.hset(&key, "lease_ms", 0).hset(&key, "waits", u8::from(*waits));
        pipe.hset(&key, "follows", follows.join(" ")).hset(&key, "name", &envelope.name.0);
        if let Some(twin) = &envelope.twin {
            pipe.hset(&key, "twin", &twin.0);
        }
        let also_from = also.iter().map(|sighting| &sighting.origin);
        for origin in std::iter::once(&envelope.provenance.origin).chain(also_from) {
            pipe.hset(&key, format!("from {origin}"), 1);
        }
        if let Some(derived) = &alert.derived {
            pipe.hset(&key, "derived", derived.as_ref());
        }
        if !also.is_empty() {
            let mut lines = String::new();
            for sighting in &also {
                lines.push_str(&serde_json::to_string(sighting)?);
                lines.push('\n');
            }
            pipe.hset(&key, "also", lines);
        }
        if *routed {
            pipe.hset(&key, "routed", 1);
        }
        pipe.zadd(keys.one(suffix::ALERTS), id, *seq).zadd(keys.one(suffix::ALERT_KEYS), id, 0);
        pipe.zadd(keys.of(suffix::NAMED, identifier), id, *seq);
        pipe.zadd(keys.of(suffix::CHAIN, chain), &member, sent);
        // The entry in the inbox, as the routers of the destination will see it.
        let entry = format!("{seq}-0");
        if *waits {
            pipe.cmd("XADD").arg(keys.one(suffix::INBOX)).arg(&entry).arg("key").arg(id);
            pipe.zadd(keys.of(suffix::UNROUTED, chain), &member, sent);
            if envelope.lane == Lane::Urgent {
                pipe.zadd(keys.one(suffix::INBOX_URGENT), id, *seq);
            }
        } else if *open == 0 {
            pipe.zadd(keys.one(suffix::OVER), id, over);
        }
        pipe.hset(&key, "entry", entry);
        Ok(())
    }

    fn add_delivery(&self, pipe: &mut Pipeline, delivery: &Delivery, seq: i64) -> Result<(), Fault> {
        let key = self.keys.of(suffix::DELIVERY, &delivery.id.0);
        pipe.hset(&key, "endpoint", &delivery.endpoint.0).hset(&key, "alert", &delivery.alert.0);
        pipe.hset(&key, "chain", &delivery.chain.0).hset(&key, "lane", lane_name(delivery.lane));
        pipe.hset(&key, "rule", &delivery.rule).hset(&key, "seq", seq);
        pipe.hset(&key, "state", state_name(delivery.state)).hset(&key, "attempts", delivery.attempts);
        pipe.hset(&key, "epoch", delivery.epoch);
        pipe.hset(&key, "queued_at", delivery.queued_at.to_string());
        pipe.hset(&key, "due_at", delivery.due_at.to_string());
        pipe.hset(&key, "due_ms", delivery.due_at.as_millisecond());
        pipe.hset(&key, "give_up_at", delivery.give_up_at.to_string());
        pipe.hset(&key, "maybe", u8::from(delivery.maybe_delivered));
        if let Some(at) = delivery.attempted_at {
            pipe.hset(&key, "attempted_at", at.to_string());
        }
        if let Some(at) = delivery.ended_at {
            pipe.hset(&key, "ended_at", at.to_string());
        }
        if let Some(error) = &delivery.error {
            pipe.hset(&key, "error", error);
        }
        if let Some(receipt) = &delivery.receipt {
            pipe.hset(&key, "receipt", serde_json::to_string(receipt)?);
        }
        Ok(())
    }

    fn add_to_orders(
        &self,
        pipe: &mut Pipeline,
        delivery: &Delivery,
        (seq, head, sent_ms): (i64, bool, i64),
    ) {
        let keys = &self.keys;
        let (id, lane) = (delivery.id.0.as_str(), lane_name(delivery.lane));
        let line = Keys::line(&delivery.chain.0, &delivery.endpoint.0);
        let member = member(id, seq);
        pipe.hset(keys.of(suffix::DELIVERY, id), "head", u8::from(head));
        pipe.zadd(keys.one(suffix::DELIVERIES), id, seq);
        pipe.zadd(keys.of(suffix::DELIVERIES_OF, &delivery.alert.0), id, seq);
        match delivery.state {
            State::Waiting | State::Dead | State::Expired => {
                pipe.zadd(keys.of(suffix::STATE, state_name(delivery.state)), id, seq);
            }
            State::Queued | State::Attempting | State::Delivered => {}
        }
        // In the order of routing, so that the newest stays.
        let newest = format!("{seq:016}:{}", delivery.rule);
        pipe.hset(keys.of(suffix::FOLLOWERS, &delivery.chain.0), &delivery.endpoint.0, newest);
        if delivery.state.is_final() {
            if delivery.state == State::Delivered || delivery.maybe_delivered {
                pipe.zadd(keys.of(suffix::ISSUED, &line), member, sent_ms);
            }
            return;
        }
        pipe.zadd(keys.of(suffix::OPEN, lane), id, seq).zadd(keys.of(suffix::LINE, &line), id, seq);
        if delivery.state == State::Attempting {
            // Whoever had it is gone: the next claim takes it over.
            pipe.zadd(keys.of(suffix::LEASED, lane), member, 0);
        } else if head {
            pipe.zadd(keys.of(suffix::DUE, lane), member, delivery.due_at.as_millisecond());
        }
    }

    fn add_entry(
        &self,
        pipe: &mut Pipeline,
        keeping: &Keeping,
        (place, stands): (u64, bool),
    ) -> Result<(), Fault> {
        let Keeping { feed, entry, body } = keeping;
        let of = |suffix| self.keys.of(suffix, &feed.0);
        let key = self.keys.of(suffix::FEED_ENTRY, &Keys::line(&feed.0, &entry.id));
        pipe.hset(&key, "place", place).hset(&key, "reference", &entry.reference);
        pipe.hset(&key, "entry", serde_json::to_string(entry)?).hset(&key, "body", body.as_ref());
        pipe.zadd(of(suffix::FEED_ORDER), &entry.id, place);
        let over = member(&entry.id, i64::try_from(place).unwrap_or(i64::MAX));
        pipe.zadd(of(suffix::FEED_OVER), over, entry.over_at().as_millisecond());
        pipe.hset(of(suffix::FEED_NAMES), &entry.reference, &entry.id);
        if stands {
            let ends = entry.expires_at.map_or(NO_END_MS, Timestamp::as_millisecond);
            pipe.zadd(of(suffix::FEED_STANDS), &entry.id, ends);
        }
        Ok(())
    }

    fn add_event(&self, pipe: &mut Pipeline, entry: &Entry) {
        let (keys, id) = (&self.keys, format!("{}-0", entry.seq));
        pipe.cmd("XADD").arg(keys.one(suffix::AUDIT)).arg(&id).arg("event").arg(&entry.text);
        pipe.rpush(keys.one(suffix::AUDIT_HASHES), &entry.hash);
        let head = keys.one(suffix::AUDIT_HEAD);
        pipe.hset(&head, "n", entry.seq).hset(&head, "hash", &entry.hash).hset(&head, "id", id);
        if let Some(alert) = &entry.alert {
            pipe.rpush(keys.of(suffix::EVENTS, alert), &entry.text);
        }
    }
}

/// What is to be forgotten of a record, and from when.
fn outliving(record: &Record) -> Vec<(String, i64)> {
    let (what, over_ms) = match record {
        Record::Seen(seen) => {
            let twin = seen.twin.iter().map(|twin| format!("t:{twin}"));
            (std::iter::once(format!("s:{}", seen.key.0)).chain(twin).collect(), seen.over_ms)
        }
        Record::Name(name) => (vec![format!("n:{}", name.name)], name.over_ms),
        Record::Ours(ours) => (vec![format!("o:{}\n{}", ours.identifier, ours.sender)], ours.over_ms),
        Record::Alert { .. }
        | Record::Delivery { .. }
        | Record::Rendering(..)
        | Record::Quarantined { .. }
        | Record::Anchor(_)
        | Record::Event(_)
        | Record::Checkpoint { .. }
        | Record::Registration(_)
        | Record::Feed(..)
        | Record::FeedEntry { .. } => (Vec::new(), None),
    };
    over_ms.map(|over_ms| what.into_iter().map(|what| (what, over_ms)).collect()).unwrap_or_default()
}

/// The field of a registration document.
fn registered(document: &Registration) -> String {
    format!("{}/{}", document.kind, document.name)
}

/// A member of a time-ordered set, as the scripts write it.
fn member(id: &str, seq: i64) -> String {
    format!("{seq:016}:{id}")
}

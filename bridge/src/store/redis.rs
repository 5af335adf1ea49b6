//! The Redis store: what several bridge instances share.
//!
//! Owns the calls. Every change is one server-side script, so it happens whole or not at all; the server syncs it to
//! disk before it answers (`boot` sees to that), and replicas confirm it where the settings say so. Must not read a
//! clock. The keys are in `keys`, their life in `docs/redis.md`.

mod boot;
mod fault;
mod feeds;
mod import;
mod journal;
mod keys;
mod link;
mod locate;
mod records;
mod retention;
mod scripts;
mod settings;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use capbridge_adapters::endpoint::Receipt;
use capbridge_adapters::passage::{EndpointName, Origin, Provenance, Sighting};
use jiff::Timestamp;
use redis::{FromRedisValue, Value};

use self::fault::{Fault, engine};
use self::keys::{Keys, ROUTERS, suffix};
use self::link::{Effect, Link};
use self::records::{Parts, lane_name, state_name};
use self::scripts::{Program, Scripts};
pub use self::settings::{RedisSettings, RedisTls};
use super::registrations::{Draft, Registration};
use super::{
    Again, Arrival, AttemptEnd, Claim, Delivery, DeliveryId, Depth, Event, Finish, Held, Issued, Journey,
    LogSpan, Logged, NewDelivery, Page, Rendering, State, Store, StoreError, Stored,
};
use crate::audit;
use crate::envelope::{AlertKey, ChainKey, ChainName, Envelope, Lane, Quarantined, Release, StoredAlert};

/// The Redis store.
pub struct RedisStore {
    link: Link,
    keys: Keys,
    scripts: Scripts,
    /// Names this process among those that share the bridge: consumer of the inbox, writer of the log.
    process: String,
    calls: AtomicU64,
    /// How far the order of alerts was when the server was last looked at.
    seen: AtomicU64,
}

impl RedisStore {
    /// Connects, checks that the server keeps what it is given, and loads the scripts.
    ///
    /// # Errors
    /// The server cannot be reached, would lose data, or holds values of a newer program.
    pub async fn connect(settings: RedisSettings) -> Result<Self, StoreError> {
        let store = Self::connect_for_copy(settings).await?;
        match store.marker().await? {
            None => Ok(store),
            Some(_) => Err(engine("connect", Fault::Unfinished)),
        }
    }

    async fn open(settings: RedisSettings) -> Result<Self, Fault> {
        let keys = Keys::new(&settings.name)?;
        let scripts = Scripts::new(&keys);
        let link = Link::connect(&settings, keys.one(suffix::META)).await?;
        boot::prepare(&link, &keys, &scripts).await?;
        let process = uuid::Uuid::new_v4().simple().to_string();
        let seen = AtomicU64::new(boot::held(&link, &keys).await?.unwrap_or(0));
        Ok(RedisStore { link, keys, scripts, process, calls: AtomicU64::new(0), seen })
    }

    /// A name that no other call has: a repeated call is told from a repeated alert by it.
    fn call_name(&self) -> String {
        format!("{}:{}", self.process, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    async fn run<T: FromRedisValue>(
        &self,
        step: &'static str,
        program: &Program,
        call: &redis::Cmd,
        effect: Effect,
    ) -> Result<T, StoreError> {
        self.link.run(program, call, effect).await.map_err(|fault| engine(step, fault))
    }

    /// Runs a script about one delivery that answers with a word.
    async fn about(
        &self,
        step: &'static str,
        program: &Program,
        call: &redis::Cmd,
        effect: Effect,
        id: &DeliveryId,
    ) -> Result<(), StoreError> {
        let outcome: String = self.run(step, program, call, effect).await?;
        let what = match outcome.as_str() {
            "ok" => return Ok(()),
            "missing" => "delivery",
            "taken-over" => return Err(StoreError::TakenOver { id: id.0.clone() }),
            "not-ended" => Again::GivenUp.what(),
            "not-delivered" => Again::Delivered.what(),
            _ => return Err(engine(step, Fault::Shape("an outcome"))),
        };
        Err(StoreError::Missing { what, id: id.0.clone() })
    }

    async fn list(
        &self,
        step: &'static str,
        what: &str,
        state: &str,
        page: Page,
    ) -> Result<Value, StoreError> {
        let first = u64::from(page.skip);
        let last = first + u64::from(page.limit.max(1)) - 1;
        let mut call = self.scripts.list.call();
        call.arg(what).arg(state).arg(first).arg(last);
        self.run(step, &self.scripts.list, &call, Effect::Read).await
    }

    async fn send<T: FromRedisValue>(
        &self,
        step: &'static str,
        command: &redis::Cmd,
        effect: Effect,
    ) -> Result<T, StoreError> {
        self.link.send(command, effect).await.map_err(|fault| engine(step, fault))
    }
}

/// Why a text is not the address of a Redis, without asking it; `None` if it is one.
pub fn url_fault(url: &str) -> Option<String> {
    let settings = RedisSettings { url: url.to_owned(), ..RedisSettings::at("check") };
    locate::Locator::new(&settings, String::new()).err().map(|fault| crate::telemetry::chain(&fault))
}

/// The events of a step: how many, then text and alert of each.
fn add_events(call: &mut redis::Cmd, events: &[Event]) {
    call.arg(events.len());
    for event in events {
        call.arg(audit::text(event)).arg(event.alert.as_ref().map_or("", |key| key.0.as_str()));
    }
}

fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn json<T: serde::Serialize>(step: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|cause| engine(step, cause.into()))
}

#[async_trait]
impl Store for RedisStore {
    async fn accept(&self, arrival: Arrival) -> Result<Stored, StoreError> {
        const STEP: &str = "accept an alert";
        let Arrival { alert, if_new, if_linked } = arrival;
        let e = &alert.envelope;
        let mut call = self.scripts.accept.call();
        call.arg(&e.key.0).arg(&e.digest).arg(&e.content_digest);
        call.arg(e.twin.as_ref().map_or("", |t| t.0.as_str())).arg(self.call_name());
        call.arg(&e.reference.sender)
            .arg(&e.reference.identifier)
            .arg(lane_name(e.lane))
            .arg(ms(e.over_at()));
        call.arg(json(STEP, e)?).arg(alert.raw.as_ref());
        call.arg(u8::from(alert.derived.is_some())).arg(alert.derived.as_deref().unwrap_or_default());
        let Provenance { origin, system, .. } = &e.provenance;
        let sighting = Sighting { origin: origin.clone(), system: system.clone() };
        call.arg(&origin.0).arg(json(STEP, &sighting)?).arg(ms(e.sent_at)).arg(e.hold_until.map_or(0, ms));
        let follows: Vec<&str> = e.follows.iter().map(|name| name.0.as_str()).collect();
        // The events of a link begin behind the 20 arguments, the number of the others and those, text and alert each.
        call.arg(&e.name.0).arg(follows.join(" ")).arg(22 + 2 * if_new.len());
        add_events(&mut call, &if_new);
        add_events(&mut call, &if_linked);
        let (outcome, key): (String, String) =
            self.run(STEP, &self.scripts.accept, &call, Effect::Repeatable).await?;
        match outcome.as_str() {
            "new" => Ok(Stored::New(ChainKey(key))),
            "held" => Ok(Stored::Held(ChainKey(key))),
            "repeat" => Ok(Stored::Repeat),
            "linked" => Ok(Stored::Linked(AlertKey(key))),
            "conflict" => Ok(Stored::Conflict),
            _ => Err(engine(STEP, Fault::Shape("an outcome"))),
        }
    }

    async fn quarantine(&self, entry: Quarantined, raw: Bytes, events: Vec<Event>) -> Result<(), StoreError> {
        const STEP: &str = "quarantine a document";
        let mut call = self.scripts.quarantine.call();
        call.arg(&entry.id).arg(json(STEP, &entry)?).arg(raw.as_ref()).arg(entry.times);
        call.arg(self.call_name());
        add_events(&mut call, &events);
        self.run::<Value>(STEP, &self.scripts.quarantine, &call, Effect::Repeatable).await.map(|_| ())
    }

    async fn release(
        &self,
        id: &str,
        release: Release,
        events: Vec<Event>,
    ) -> Result<(Quarantined, Bytes), StoreError> {
        const STEP: &str = "release a document";
        let mut call = self.scripts.release.call();
        call.arg(id).arg(json(STEP, &release)?).arg(self.call_name());
        add_events(&mut call, &events);
        let answer: Value = self.run(STEP, &self.scripts.release, &call, Effect::Repeatable).await?;
        match records::document(answer).map_err(|fault| engine(STEP, fault))? {
            Some(found) => Ok(found),
            None => Err(StoreError::Missing { what: "quarantined document", id: id.to_owned() }),
        }
    }

    async fn unrouted(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredAlert>, StoreError> {
        const STEP: &str = "take alerts to route";
        let mut call = self.scripts.unrouted.call();
        call.arg(ms(now)).arg(ms(lease_until)).arg(limit).arg(&self.process).arg(ROUTERS);
        let answer = self.run(STEP, &self.scripts.unrouted, &call, Effect::Once).await?;
        Parts::each(answer, records::alert).map_err(|fault| engine(STEP, fault))
    }

    async fn route(
        &self,
        alert: &Envelope,
        routed_at: Timestamp,
        deliveries: Vec<NewDelivery>,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        const STEP: &str = "route an alert";
        let mut call = self.scripts.route.call();
        call.arg(&alert.key.0).arg(routed_at.to_string()).arg(ROUTERS).arg(alert.provenance.also.len());
        call.arg(deliveries.len());
        for new in &deliveries {
            call.arg(&new.id.0).arg(&new.endpoint.0).arg(&new.rule);
            call.arg(new.due_at.to_string()).arg(ms(new.due_at)).arg(new.give_up_at.to_string());
        }
        add_events(&mut call, &events);
        let outcome: String = self.run(STEP, &self.scripts.route, &call, Effect::Repeatable).await?;
        if outcome == "missing" {
            return Err(StoreError::Missing { what: "alert", id: alert.key.0.clone() });
        }
        Ok(())
    }

    async fn claim(
        &self,
        lane: Lane,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        const STEP: &str = "claim deliveries";
        let mut call = self.scripts.claim.call();
        call.arg(lane_name(lane)).arg(now.to_string()).arg(ms(now)).arg(ms(lease_until)).arg(limit);
        let answer = self.run(STEP, &self.scripts.claim, &call, Effect::Once).await?;
        let read = |mut parts: Parts| {
            let delivery = records::delivery(parts.next()?, &parts.next()?)?;
            let rendering = records::rendering(parts.next()?, parts.next()?)?;
            Ok(Claim { delivery, rendering, has_issued: parts.next::<u8>()? == 1 })
        };
        Parts::each(answer, read).map_err(|fault| engine(STEP, fault))
    }

    async fn extend(&self, deliveries: &[Held], lease_until: Timestamp) -> Result<(), StoreError> {
        let mut call = self.scripts.extend.call();
        call.arg(ms(lease_until));
        for held in deliveries {
            call.arg(&held.id.0).arg(held.epoch);
        }
        self.run("prolong leases", &self.scripts.extend, &call, Effect::Repeatable).await
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        const STEP: &str = "look for the next due delivery";
        let mut call = self.scripts.next_due.call();
        call.arg(lane_name(lane));
        // Scores are doubles; milliseconds fit exactly until the year 287396.
        let due: Option<f64> = self.run(STEP, &self.scripts.next_due, &call, Effect::Read).await?;
        due.map(|score| records::time_of(score).map_err(|fault| engine(STEP, fault))).transpose()
    }

    async fn render(&self, held: &Held, rendering: Rendering) -> Result<(), StoreError> {
        const STEP: &str = "keep a rendering";
        let body = rendering.body.clone();
        let record = Rendering { body: Bytes::new(), ..rendering };
        let mut call = self.scripts.render.call();
        call.arg(&held.id.0).arg(held.epoch).arg(json(STEP, &record)?).arg(body.as_ref());
        if record.translated {
            for reference in record.earlier.iter().chain([&record.reference]) {
                call.arg(&reference.sender).arg(&reference.identifier);
            }
        }
        self.about(STEP, &self.scripts.render, &call, Effect::Repeatable, &held.id).await
    }

    async fn finish(&self, finish: Finish) -> Result<(), StoreError> {
        const STEP: &str = "end an attempt";
        let Finish { held, ended_at, end, was_tried, events } = finish;
        let (mut due_at, mut maybe, mut receipt) = (ended_at, false, String::new());
        let (state, error) = match end {
            AttemptEnd::Delivered(taken) => {
                receipt = json(STEP, &taken)?;
                (State::Delivered, String::new())
            }
            AttemptEnd::Waiting { due_at: due, error, maybe_delivered } => {
                (due_at, maybe) = (due, maybe_delivered);
                (State::Waiting, error)
            }
            AttemptEnd::Dead { error } => (State::Dead, error),
            AttemptEnd::Expired { error } | AttemptEnd::Moot { error } => (State::Expired, error),
        };
        let mut call = self.scripts.finish.call();
        call.arg(&held.id.0).arg(ended_at.to_string()).arg(ms(ended_at)).arg(state_name(state));
        call.arg(due_at.to_string()).arg(ms(due_at)).arg(error).arg(u8::from(maybe)).arg(receipt);
        call.arg(self.call_name()).arg(held.epoch).arg(u8::from(was_tried));
        add_events(&mut call, &events);
        self.about(STEP, &self.scripts.finish, &call, Effect::Repeatable, &held.id).await
    }

    async fn give_back(&self, held: &Held, due_at: Timestamp) -> Result<(), StoreError> {
        let mut call = self.scripts.give_back.call();
        call.arg(&held.id.0).arg(held.epoch).arg(due_at.to_string()).arg(ms(due_at));
        self.about("give a delivery back", &self.scripts.give_back, &call, Effect::Repeatable, &held.id).await
    }

    async fn replay(
        &self,
        delivery: &DeliveryId,
        again: Again,
        now: Timestamp,
        give_up_at: Timestamp,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let mut call = self.scripts.replay.call();
        call.arg(&delivery.0).arg(now.to_string()).arg(ms(now)).arg(give_up_at.to_string());
        call.arg(self.call_name()).arg(u8::from(again == Again::Delivered));
        add_events(&mut call, &events);
        self.about("replay a delivery", &self.scripts.replay, &call, Effect::Repeatable, delivery).await
    }

    async fn issued(&self, endpoint: &EndpointName, chain: &ChainKey) -> Result<Vec<Issued>, StoreError> {
        const STEP: &str = "list what was issued";
        let mut call = self.scripts.issued.call();
        call.arg(Keys::line(&chain.0, &endpoint.0));
        let answer = self.run(STEP, &self.scripts.issued, &call, Effect::Read).await?;
        let read = |mut parts: Parts| {
            let receipt: String = parts.next()?;
            let receipt: Option<Receipt> =
                if receipt.is_empty() { None } else { Some(serde_json::from_str(&receipt)?) };
            let rendering: Rendering = parts.json()?;
            Ok(Issued {
                original: records::envelope(&mut parts)?,
                reference: rendering.reference,
                msg_type: rendering.msg_type,
                location: receipt.and_then(|r| r.location),
                earlier: rendering.earlier,
            })
        };
        Parts::each(answer, read).map_err(|fault| engine(STEP, fault))
    }

    async fn followers(&self, chain: &ChainKey) -> Result<Vec<(EndpointName, String)>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.of(suffix::FOLLOWERS, &chain.0));
        let found: HashMap<String, String> =
            self.send("list the followers of a chain", &command, Effect::Read).await?;
        // A value is the place in the order of routing, 16 digits, and the rule.
        let rule = |newest: String| newest.split_once(':').map_or(String::new(), |(_, rule)| rule.to_owned());
        let mut found: Vec<_> =
            found.into_iter().map(|(name, newest)| (EndpointName(name), rule(newest))).collect();
        found.sort();
        Ok(found)
    }

    async fn later(&self, chain: &ChainKey, sent_at: Timestamp) -> Result<Vec<Envelope>, StoreError> {
        const STEP: &str = "list what came later";
        let mut call = self.scripts.later.call();
        call.arg(&chain.0).arg(ms(sent_at));
        let answer = self.run(STEP, &self.scripts.later, &call, Effect::Read).await?;
        Parts::each(answer, |mut parts| records::envelope(&mut parts)).map_err(|fault| engine(STEP, fault))
    }

    async fn known(&self, names: &[ChainName]) -> Result<Vec<bool>, StoreError> {
        let mut call = self.scripts.known.call();
        for name in names {
            call.arg(&name.0);
        }
        let found: Vec<u8> = self.run("look for names", &self.scripts.known, &call, Effect::Read).await?;
        Ok(found.into_iter().map(|n| n == 1).collect())
    }

    async fn ours(&self, sender: &str, identifier: &str) -> Result<Option<AlertKey>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.of(suffix::OURS, identifier)).arg(sender);
        let found: Option<String> = self.send("look for our own message", &command, Effect::Read).await?;
        Ok(found.map(AlertKey))
    }

    async fn alert(&self, key: &AlertKey) -> Result<Option<StoredAlert>, StoreError> {
        const STEP: &str = "read an alert";
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys.of(suffix::ALERT, &key.0))
            .arg(&["envelope", "chain", "also", "raw", "derived"]);
        let answer: Value = self.send(STEP, &command, Effect::Read).await?;
        match &answer {
            Value::Array(parts) if parts.first() == Some(&Value::Nil) => return Ok(None),
            _ => {}
        }
        Parts::of(answer).and_then(records::alert).map(Some).map_err(|fault| engine(STEP, fault))
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        const STEP: &str = "read a delivery";
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.of(suffix::DELIVERY, &id.0));
        let fields: HashMap<String, String> = self.send(STEP, &command, Effect::Read).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        records::delivery(id.0.clone(), &fields).map(Some).map_err(|fault| engine(STEP, fault))
    }

    async fn find(&self, identifier_or_key: &str) -> Result<Vec<AlertKey>, StoreError> {
        let hex = identifier_or_key.len() >= 8 && identifier_or_key.bytes().all(|b| b.is_ascii_hexdigit());
        let mut call = self.scripts.find.call();
        call.arg(identifier_or_key).arg(u8::from(hex));
        let found: Vec<String> = self.run("find an alert", &self.scripts.find, &call, Effect::Read).await?;
        Ok(found.into_iter().map(AlertKey).collect())
    }

    async fn journey(&self, key: &AlertKey) -> Result<Option<Journey>, StoreError> {
        const STEP: &str = "read a journey";
        let mut call = self.scripts.journey.call();
        call.arg(&key.0);
        let answer: Value = self.run(STEP, &self.scripts.journey, &call, Effect::Read).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        records::journey(answer).map(Some).map_err(|fault| engine(STEP, fault))
    }

    async fn alerts(&self, page: Page) -> Result<Vec<Envelope>, StoreError> {
        const STEP: &str = "list alerts";
        let answer = self.list(STEP, "alerts", "", page).await?;
        Parts::each(answer, |mut parts| records::envelope(&mut parts)).map_err(|fault| engine(STEP, fault))
    }

    async fn deliveries(&self, state: Option<State>, page: Page) -> Result<Vec<Delivery>, StoreError> {
        const STEP: &str = "list deliveries";
        let answer = self.list(STEP, "deliveries", state.map_or("", state_name), page).await?;
        let read = |mut parts: Parts| records::delivery(parts.next()?, &parts.next()?);
        Parts::each(answer, read).map_err(|fault| engine(STEP, fault))
    }

    async fn quarantined(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        const STEP: &str = "list the quarantine";
        let answer = self.list(STEP, "quarantined", "", page).await?;
        Parts::each(answer, |mut parts| records::quarantined(&mut parts)).map_err(|fault| engine(STEP, fault))
    }

    async fn quarantined_document(&self, id: &str) -> Result<Option<(Quarantined, Bytes)>, StoreError> {
        const STEP: &str = "read a quarantined document";
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys.of(suffix::QUARANTINE, id)).arg(&["entry", "times", "released", "raw"]);
        let answer: Value = self.send(STEP, &command, Effect::Read).await?;
        records::document(answer).map_err(|fault| engine(STEP, fault))
    }

    async fn record(&self, events: Vec<Event>) -> Result<(), StoreError> {
        const STEP: &str = "write the record";
        let mut call = self.scripts.record.call();
        call.arg(self.call_name());
        add_events(&mut call, &events);
        self.run::<Value>(STEP, &self.scripts.record, &call, Effect::Repeatable).await.map(|_| ())
    }

    async fn seal(&self) -> Result<u64, StoreError> {
        let sealed = journal::seal(&self.link, &self.keys, &self.scripts).await;
        sealed.map_err(|fault| engine("chain the record", fault))
    }

    async fn log(&self, span: LogSpan, limit: u32) -> Result<Vec<Logged>, StoreError> {
        const STEP: &str = "read the record";
        if let LogSpan::After(place) | LogSpan::Before(Some(place)) = &span
            && !journal::is_place(place)
        {
            return Err(StoreError::Missing { what: "entry of the record at", id: place.clone() });
        }
        journal::log(&self.link, &self.keys, &span, limit).await.map_err(|fault| engine(STEP, fault))
    }

    async fn verify_record(&self) -> Result<Result<u64, u64>, StoreError> {
        const STEP: &str = "verify the record";
        self.seal().await?;
        journal::verify(&self.link, &self.keys).await.map_err(|fault| engine(STEP, fault))
    }

    async fn checkpoint(&self, origin: &Origin) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.one(suffix::CHECKPOINTS)).arg(&origin.0);
        self.send("read a checkpoint", &command, Effect::Read).await
    }

    async fn set_checkpoint(&self, origin: &Origin, value: &str) -> Result<(), StoreError> {
        let mut command = redis::cmd("HSET");
        command.arg(self.keys.one(suffix::CHECKPOINTS)).arg(&origin.0).arg(value);
        self.send::<Value>("move a checkpoint", &command, Effect::Repeatable).await.map(|_| ())
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut call = self.scripts.lease.call();
        call.arg(name).arg(holder).arg(ms(now)).arg(ms(until));
        let taken: u8 = self.run("take a lease", &self.scripts.lease, &call, Effect::Repeatable).await?;
        Ok(taken == 1)
    }

    async fn unlease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let mut call = self.scripts.unlease.call();
        call.arg(name).arg(holder);
        self.run::<Value>("give a lease back", &self.scripts.unlease, &call, Effect::Repeatable)
            .await
            .map(|_| ())
    }

    async fn register(
        &self,
        seen: u64,
        drafts: Vec<Draft>,
        events: Vec<Event>,
    ) -> Result<Option<u64>, StoreError> {
        const STEP: &str = "write registrations";
        let mut call = self.scripts.register.call();
        call.arg(seen).arg(self.call_name()).arg(drafts.len());
        for draft in &drafts {
            call.arg(format!("{}/{}", draft.kind.as_str(), draft.name)).arg(json(STEP, &draft.body)?);
        }
        add_events(&mut call, &events);
        let revision: i64 = self.run(STEP, &self.scripts.register, &call, Effect::Repeatable).await?;
        Ok(u64::try_from(revision).ok())
    }

    async fn registrations(&self, after: u64, limit: u32) -> Result<Vec<Registration>, StoreError> {
        const STEP: &str = "read registrations";
        let mut call = self.scripts.registrations.call();
        call.arg(after).arg(limit);
        let answer: Value = self.run(STEP, &self.scripts.registrations, &call, Effect::Read).await?;
        Parts::each(answer, records::registration).map_err(|fault| engine(STEP, fault))
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        const STEP: &str = "count";
        let call = self.scripts.depth.call();
        let answer: Value = self.run(STEP, &self.scripts.depth, &call, Effect::Read).await?;
        records::depth(answer).map_err(|fault| engine(STEP, fault))
    }

    async fn check(&self) -> Result<(), StoreError> {
        const STEP: &str = "look at the server's settings";
        self.link.examine().await.map_err(|fault| engine(STEP, fault))?;
        let seen = self.seen.load(Ordering::Relaxed);
        let held = boot::held(&self.link, &self.keys).await.map_err(|fault| engine(STEP, fault))?;
        self.seen.store(held.unwrap_or(0), Ordering::Relaxed);
        match held {
            Some(seq) if seq >= seen => Ok(()),
            None | Some(_) => Err(engine(STEP, Fault::Unsafe(boot::LESS.to_owned()))),
        }
    }

    async fn probe(&self, bytes: usize) -> Result<(), StoreError> {
        let mut call = self.scripts.probe.call();
        call.arg(vec![b'.'; bytes]);
        self.run::<Value>("write a probe", &self.scripts.probe, &call, Effect::Repeatable).await.map(|_| ())
    }
}

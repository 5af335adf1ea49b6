//! Reading back what was copied, as the bridge will find it.

use std::collections::HashMap;

use bytes::Bytes;
use capbridge_adapters::feed::Keeping;
use redis::Value;

use super::super::fault::{Fault, engine};
use super::super::keys::{Keys, suffix};
use super::super::records::{self, Parts};
use super::{RedisStore, STEP, outliving, registered};
use crate::audit::Anchor;
use crate::store::StoreError;
use crate::store::copy::{Entry, Name, Ours, Record, Seen};
use crate::store::feeds::Extent;
use crate::store::registrations::Registration;

impl RedisStore {
    /// For each record what is here under the same name, if anything is.
    ///
    /// # Errors
    /// The server does not answer, or holds what cannot be read.
    pub async fn read_back(&self, wanted: &[Record]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut pipe = redis::pipe();
        for record in wanted {
            self.ask_for(&mut pipe, record);
            self.ask_when_over(&mut pipe, record);
        }
        let fault = |fault| engine(STEP, fault);
        let answers: Vec<Value> = self.link.ask(&pipe).await.map_err(fault)?;
        let mut answers = answers.into_iter();
        let mut found = Vec::with_capacity(wanted.len());
        for record in wanted {
            let mut answer = || answers.next().ok_or(Fault::Shape("an answer"));
            let (first, second) = (answer().map_err(fault)?, answer().map_err(fault)?);
            let over_ms = score(answer().map_err(fault)?).map_err(fault)?;
            found.push(build(record, first, second).map_err(fault)?.map(|record| with_over(record, over_ms)));
        }
        Ok(found)
    }

    /// Two questions for each record.
    fn ask_for(&self, pipe: &mut redis::Pipeline, record: &Record) {
        let keys = &self.keys;
        let many = |pipe: &mut redis::Pipeline, key: String, fields: &[&str]| {
            pipe.cmd("HMGET").arg(key).arg(fields);
        };
        let nothing = |pipe: &mut redis::Pipeline| {
            pipe.cmd("HGET").arg(keys.one(suffix::META)).arg("-");
        };
        match record {
            Record::Alert { alert, .. } => {
                let key = keys.of(suffix::ALERT, &alert.envelope.key.0);
                many(pipe, key.clone(), &["envelope", "chain", "also", "raw", "derived"]);
                many(pipe, key, &["seq", "waits", "routed", "hold_ms", "open"]);
            }
            Record::Seen(seen) => {
                many(pipe, keys.of(suffix::SEEN, &seen.key.0), &["digest", "content", "repeats"]);
                match &seen.twin {
                    Some(twin) => {
                        pipe.get(keys.of(suffix::TWIN, twin));
                    }
                    None => nothing(pipe),
                }
            }
            Record::Name(name) => {
                many(pipe, keys.of(suffix::NAME, &name.name), &["chain", "accepted"]);
                nothing(pipe);
            }
            Record::Delivery { delivery, .. } => {
                pipe.hgetall(keys.of(suffix::DELIVERY, &delivery.id.0));
                pipe.hget(keys.of(suffix::ALERT, &delivery.alert.0), "sent_ms");
            }
            Record::Rendering(id, _) => {
                many(pipe, keys.of(suffix::RENDERING, &id.0), &["rendering", "body"]);
                nothing(pipe);
            }
            Record::Ours(ours) => {
                pipe.hget(keys.of(suffix::OURS, &ours.identifier), &ours.sender);
                nothing(pipe);
            }
            Record::Quarantined { entry, .. } => {
                let key = keys.of(suffix::QUARANTINE, &entry.id);
                many(pipe, key, &["entry", "times", "released", "raw"]);
                pipe.zscore(keys.one(suffix::QUARANTINED), &entry.id);
            }
            Record::Anchor(_) => {
                many(pipe, keys.one(suffix::AUDIT_ANCHOR), &["n", "hash"]);
                nothing(pipe);
            }
            Record::Event(entry) => {
                let id = format!("{}-0", entry.seq);
                pipe.cmd("XRANGE").arg(keys.one(suffix::AUDIT)).arg(&id).arg(&id);
                match &entry.alert {
                    Some(alert) => {
                        pipe.cmd("LPOS").arg(keys.of(suffix::EVENTS, alert)).arg(&entry.text);
                    }
                    None => nothing(pipe),
                }
            }
            Record::Registration(document) => {
                let name = registered(document);
                pipe.hget(keys.one(suffix::REGISTERED), &name);
                pipe.zscore(keys.one(suffix::REGISTERED_ORDER), name);
            }
            Record::Feed(feed, _) => {
                many(pipe, keys.of(suffix::FEED, &feed.0), &["last", "swept"]);
                nothing(pipe);
            }
            Record::FeedEntry { keeping, .. } => {
                let (feed, id) = (&keeping.feed.0, &keeping.entry.id);
                let key = keys.of(suffix::FEED_ENTRY, &Keys::line(feed, id));
                many(pipe, key, &["place", "entry", "body"]);
                pipe.zscore(keys.of(suffix::FEED_STANDS, feed), id);
            }
            Record::Checkpoint { origin, .. } => {
                pipe.hget(keys.one(suffix::CHECKPOINTS), origin);
                nothing(pipe);
            }
        }
    }

    /// From when a record may be forgotten.
    fn ask_when_over(&self, pipe: &mut redis::Pipeline, record: &Record) {
        let what = outliving(record).into_iter().next().map(|(what, _)| what);
        pipe.zscore(self.keys.one(suffix::FORGET), what.unwrap_or_default());
    }
}

fn score(answer: Value) -> Result<Option<i64>, Fault> {
    let score: Option<f64> = redis::from_redis_value(answer).map_err(redis::RedisError::from)?;
    score.map(|score| Ok(records::time_of(score)?.as_millisecond())).transpose()
}

/// From when a record may be forgotten is kept beside it.
fn with_over(record: Record, over_ms: Option<i64>) -> Record {
    match record {
        Record::Seen(seen) => Record::Seen(Seen { over_ms, ..seen }),
        Record::Name(name) => Record::Name(Name { over_ms, ..name }),
        Record::Ours(ours) => Record::Ours(Ours { over_ms, ..ours }),
        other => other,
    }
}

fn text(value: Value) -> Result<Option<String>, Fault> {
    Ok(redis::from_redis_value(value).map_err(redis::RedisError::from)?)
}

/// What two answers say about a record.
fn build(wanted: &Record, first: Value, second: Value) -> Result<Option<Record>, Fault> {
    let is_absent = match &first {
        Value::Nil => true,
        Value::Array(parts) => parts.first().is_none_or(|part| *part == Value::Nil),
        _ => false,
    };
    if is_absent {
        return Ok(None);
    }
    Ok(match wanted {
        Record::Alert { .. } => {
            let alert = Box::new(records::alert(Parts::of(first)?)?);
            let mut more = Parts::of(second)?;
            let (seq, waits): (i64, u8) = (more.next()?, more.next()?);
            let (routed, hold_ms, open): (Option<u8>, i64, i64) = (more.next()?, more.next()?, more.next()?);
            Some(Record::Alert { seq, alert, waits: waits == 1, routed: routed == Some(1), hold_ms, open })
        }
        Record::Seen(seen) => Some(Record::Seen(build_seen(seen, first, second)?)),
        Record::Name(name) => {
            let mut parts = Parts::of(first)?;
            let chain = parts.next()?;
            let accepted: Option<u8> = parts.next()?;
            let accepted = accepted == Some(1);
            Some(Record::Name(Name { name: name.name.clone(), chain, accepted, over_ms: None }))
        }
        Record::Delivery { delivery, .. } => {
            let fields: HashMap<String, String> =
                redis::from_redis_value(first).map_err(redis::RedisError::from)?;
            if fields.is_empty() {
                return Ok(None);
            }
            let number = |name| fields.get(name).and_then(|text| text.parse().ok()).ok_or(Fault::Shape(name));
            let (seq, head): (i64, i64) = (number("seq")?, number("head")?);
            let sent_ms = text(second)?.and_then(|text| text.parse().ok()).unwrap_or(0);
            let delivery = Box::new(records::delivery(delivery.id.0.clone(), &fields)?);
            Some(Record::Delivery { seq, delivery, head: head == 1, sent_ms })
        }
        Record::Rendering(id, _) => {
            let mut parts = Parts::of(first)?;
            let rendering = records::rendering(parts.next()?, parts.next()?)?;
            rendering.map(|rendering| Record::Rendering(id.clone(), Box::new(rendering)))
        }
        Record::Ours(ours) => text(first)?.map(|alert| Record::Ours(Ours { alert, ..ours.clone() })),
        Record::Quarantined { .. } => {
            let seq: f64 = redis::from_redis_value(second).map_err(redis::RedisError::from)?;
            let seq = records::time_of(seq)?.as_millisecond();
            records::document(first)?.map(|(entry, raw)| Record::Quarantined {
                seq,
                entry: Box::new(entry),
                raw,
            })
        }
        Record::Anchor(_) => {
            let mut parts = Parts::of(first)?;
            Some(Record::Anchor(Anchor { entries: parts.next()?, hash: parts.next()? }))
        }
        Record::Event(entry) => {
            let events = Parts::each(first, |mut parts| {
                let _id: String = parts.next()?;
                parts.next::<Vec<String>>()
            })?;
            let text = events.into_iter().flatten().nth(1);
            let is_told = entry.alert.is_none() || second != Value::Nil;
            let alert = entry.alert.clone().filter(|_| is_told);
            // The hashes are a list, and the chain over all of them is verified as one.
            text.map(|text| Record::Event(Entry { text, alert, ..entry.clone() }))
        }
        Record::Registration(document) => build_document(document, first, second)?,
        Record::Feed(..) | Record::FeedEntry { .. } => Some(build_of_feed(wanted, first, second)?),
        Record::Checkpoint { origin, .. } => {
            text(first)?.map(|value| Record::Checkpoint { origin: origin.clone(), value })
        }
    })
}

fn build_seen(seen: &Seen, first: Value, second: Value) -> Result<Seen, Fault> {
    let mut parts = Parts::of(first)?;
    let (digest, content): (String, String) = (parts.next()?, parts.next()?);
    let repeats: Option<i64> = parts.next()?;
    let holder = text(second)?;
    let twin = seen.twin.clone().filter(|_| holder.as_deref() == Some(seen.key.0.as_str()));
    Ok(Seen { key: seen.key.clone(), digest, content, twin, repeats: repeats.unwrap_or(0), over_ms: None })
}

fn build_document(wanted: &Registration, first: Value, second: Value) -> Result<Option<Record>, Fault> {
    let body = text(first)?.map(|body| serde_json::from_str(&body)).transpose()?;
    let revision = text(second)?.and_then(|score| score.parse().ok()).unwrap_or(0);
    let document = |body| Registration { revision, body, ..wanted.clone() };
    Ok(body.map(|body| Record::Registration(Box::new(document(body)))))
}

/// The same for what belongs to feeds.
fn build_of_feed(wanted: &Record, first: Value, second: Value) -> Result<Record, Fault> {
    if let Record::Feed(feed, _) = wanted {
        let mut parts = Parts::of(first)?;
        let (last, swept): (u64, Option<u64>) = (parts.next()?, parts.next()?);
        return Ok(Record::Feed(feed.clone(), Extent { last, swept: swept.unwrap_or(0) }));
    }
    if let Record::FeedEntry { keeping, .. } = wanted {
        let mut parts = Parts::of(first)?;
        let (place, entry) = (parts.next()?, parts.json()?);
        let body = Bytes::from(parts.next::<Vec<u8>>()?);
        let keeping = Box::new(Keeping { feed: keeping.feed.clone(), entry, body });
        return Ok(Record::FeedEntry { keeping, place, stands: second != Value::Nil });
    }
    Err(Fault::Shape("a record of a feed"))
}

//! From what Redis answers to the records of the store.
//!
//! Owns the shapes of the replies. A reply of another shape is an error, never a guess.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use redis::{FromRedisValue, RedisError, Value};
use serde::de::DeserializeOwned;

use super::Fault;
use crate::envelope::{AlertKey, ChainKey, Envelope, Lane, Quarantined, StoredAlert};
use crate::store::registrations::Registration;
use crate::store::{Delivery, DeliveryId, Depth, Journey, JourneyDelivery, Rendering, State};

/// The parts of an array reply, in order.
pub(super) struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    /// Of an array.
    pub(super) fn of(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Array(parts) => Ok(Parts(parts.into_iter())),
            _ => Err(Fault::Shape("an array")),
        }
    }

    /// The next part.
    pub(super) fn next<T: FromRedisValue>(&mut self) -> Result<T, Fault> {
        // Trailing nils of a script's table are cut off.
        let value = self.0.next().unwrap_or(Value::Nil);
        Ok(T::from_redis_value(value).map_err(RedisError::from)?)
    }

    /// The next part as a JSON record.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let text: String = self.next()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The rest, each part an array.
    pub(super) fn each<T>(value: Value, read: impl Fn(Parts) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        match value {
            Value::Nil => Ok(Vec::new()),
            Value::Array(parts) => parts.into_iter().map(|part| read(Parts::of(part)?)).collect(),
            _ => Err(Fault::Shape("an array of arrays")),
        }
    }
}

pub(super) fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Urgent => "urgent",
        Lane::Routine => "routine",
    }
}

pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Attempting => "attempting",
        State::Waiting => "waiting",
        State::Delivered => "delivered",
        State::Dead => "dead",
        State::Expired => "expired",
    }
}

fn enumeration<T: DeserializeOwned>(name: &str) -> Result<T, Fault> {
    Ok(serde_json::from_value(serde_json::Value::String(name.to_owned()))?)
}

/// An envelope, its chain, which the store found, and the sources that brought it later.
pub(super) fn envelope(parts: &mut Parts) -> Result<Envelope, Fault> {
    let mut envelope: Envelope = parts.json()?;
    envelope.chain = ChainKey(parts.next()?);
    let also: Option<String> = parts.next()?;
    for line in also.unwrap_or_default().lines() {
        envelope.provenance.also.push(serde_json::from_str(line)?);
    }
    Ok(envelope)
}

/// An alert with its bytes: envelope, chain, also, raw, derived.
pub(super) fn alert(mut parts: Parts) -> Result<StoredAlert, Fault> {
    let envelope = envelope(&mut parts)?;
    let raw: Vec<u8> = parts.next()?;
    let derived: Option<Vec<u8>> = parts.next()?;
    Ok(StoredAlert { envelope, raw: Bytes::from(raw), derived: derived.map(Bytes::from) })
}

/// A delivery from its hash.
pub(super) fn delivery(id: String, fields: &HashMap<String, String>) -> Result<Delivery, Fault> {
    let field = |name: &'static str| fields.get(name).map(String::as_str).ok_or(Fault::Shape(name));
    let time = |name: &'static str| -> Result<Timestamp, Fault> { Ok(field(name)?.parse()?) };
    let maybe_time = |name: &str| fields.get(name).map(|text| text.parse()).transpose();
    Ok(Delivery {
        v: 1,
        id: DeliveryId(id),
        endpoint: capbridge_adapters::passage::EndpointName(field("endpoint")?.to_owned()),
        alert: AlertKey(field("alert")?.to_owned()),
        chain: ChainKey(field("chain")?.to_owned()),
        lane: enumeration(field("lane")?)?,
        rule: field("rule")?.to_owned(),
        state: enumeration(field("state")?)?,
        attempts: field("attempts")?.parse().map_err(|_| Fault::Shape("attempts"))?,
        epoch: fields.get("epoch").map_or(Ok(0), |n| n.parse()).map_err(|_| Fault::Shape("epoch"))?,
        queued_at: time("queued_at")?,
        due_at: time("due_at")?,
        give_up_at: time("give_up_at")?,
        attempted_at: maybe_time("attempted_at")?,
        ended_at: maybe_time("ended_at")?,
        error: fields.get("error").cloned(),
        maybe_delivered: field("maybe")? == "1",
        receipt: fields.get("receipt").map(|text| serde_json::from_str(text)).transpose()?,
    })
}

/// What was rendered: JSON and body, or nothing yet.
pub(super) fn rendering(text: Option<String>, body: Option<Vec<u8>>) -> Result<Option<Rendering>, Fault> {
    let (Some(text), Some(body)) = (text, body) else { return Ok(None) };
    let mut rendering: Rendering = serde_json::from_str(&text)?;
    rendering.body = Bytes::from(body);
    Ok(Some(rendering))
}

/// A quarantined document: entry, times, released.
pub(super) fn quarantined(parts: &mut Parts) -> Result<Quarantined, Fault> {
    let mut entry: Quarantined = parts.json()?;
    entry.times = parts.next()?;
    let released: Option<String> = parts.next()?;
    entry.released = released.map(|text| serde_json::from_str(&text)).transpose()?;
    Ok(entry)
}

pub(super) fn time_of(score: f64) -> Result<Timestamp, Fault> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds are whole and far below 2^53")]
    let ms = score as i64;
    Ok(Timestamp::from_millisecond(ms)?)
}

pub(super) fn document(answer: Value) -> Result<Option<(Quarantined, Bytes)>, Fault> {
    match &answer {
        Value::Nil => return Ok(None),
        Value::Array(parts) if parts.first() == Some(&Value::Nil) => return Ok(None),
        _ => {}
    }
    let mut parts = Parts::of(answer)?;
    let entry = quarantined(&mut parts)?;
    let raw: Vec<u8> = parts.next()?;
    Ok(Some((entry, Bytes::from(raw))))
}

pub(super) fn journey(answer: Value) -> Result<Journey, Fault> {
    let mut parts = Parts::of(answer)?;
    let envelope = envelope(&mut parts)?;
    let repeats: u64 = parts.next()?;
    let deliveries = Parts::each(parts.next()?, |mut parts| {
        let delivery = delivery(parts.next()?, &parts.next()?)?;
        let rendering: Option<String> = parts.next()?;
        let rendering: Option<Rendering> = rendering.map(|text| serde_json::from_str(&text)).transpose()?;
        let report = rendering.as_ref().map_or(serde_json::Value::Null, |r| r.report.clone());
        Ok(JourneyDelivery { delivery, reference: rendering.map(|r| r.reference), report })
    })?;
    let events: Vec<String> = parts.next()?;
    let events = events.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
    let others: Vec<String> = parts.next()?;
    let mut chain = Vec::with_capacity(others.len());
    for text in &others {
        let other: Envelope = serde_json::from_str(text)?;
        chain.push(other.reference);
    }
    Ok(Journey { envelope, deliveries, events, repeats, chain })
}

pub(super) fn depth(answer: Value) -> Result<Depth, Fault> {
    let mut parts = Parts::of(answer)?;
    let (unrouted, urgent, routine) = (parts.next()?, parts.next()?, parts.next()?);
    let (dead, quarantined) = (parts.next()?, parts.next()?);
    let oldest: String = parts.next()?;
    let oldest_queued_at = if oldest.is_empty() { None } else { Some(oldest.parse()?) };
    Ok(Depth { unrouted, urgent, routine, oldest_queued_at, dead, quarantined })
}

/// A registration document: kind and name, revision, body.
pub(super) fn registration(mut parts: Parts) -> Result<Registration, Fault> {
    let key: String = parts.next()?;
    let revision: u64 = parts.next()?;
    let (kind, name) = key.split_once('/').ok_or(Fault::Shape("kind and name"))?;
    Ok(Registration { kind: kind.to_owned(), name: name.to_owned(), revision, body: parts.json()? })
}

//! Deliveries: lanes, heads of line, attempts.
//!
//! Owns the order per (endpoint, chain): only the first unfinished delivery is a head, and only heads are due. The next
//! becomes the head when the one before it ends, so the cost of a claim does not grow with what waits behind.

use bytes::Bytes;
use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, Tx, record};
use crate::envelope::{AlertKey, ChainKey, Envelope, Lane, Reference};
use crate::store::{
    Again, AttemptEnd, Claim, Delivery, DeliveryId, Event, Finish, Held, Issued, NewDelivery, Page,
    Rendering, State,
};

pub(super) fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Urgent => "urgent",
        Lane::Routine => "routine",
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Attempting => "attempting",
        State::Waiting => "waiting",
        State::Delivered => "delivered",
        State::Dead => "dead",
        State::Expired => "expired",
    }
}

/// A delivery and its number.
struct Row {
    seq: i64,
    delivery: Delivery,
}

fn row(c: &Connection, id: &DeliveryId) -> Result<Option<Row>, Fault> {
    let found: Option<(i64, String)> = c
        .prepare_cached("SELECT seq, delivery FROM deliveries WHERE id = ?")?
        .query_row([&id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(seq, text)| Ok(Row { seq, delivery: serde_json::from_str(&text)? })).transpose()
}

fn read(c: &Connection, id: &DeliveryId) -> Result<Row, Fault> {
    row(c, id)?.ok_or_else(|| Fault::Missing { what: "delivery", id: id.0.clone() })
}

/// A delivery that a worker claimed, unless another did since.
fn hold(c: &Connection, held: &Held) -> Result<Row, Fault> {
    let row = read(c, &held.id)?;
    if row.delivery.epoch == held.epoch { Ok(row) } else { Err(Fault::TakenOver { id: held.id.0.clone() }) }
}

/// The claim led to no attempt.
fn uncount(delivery: &mut Delivery) {
    delivery.attempts = delivery.attempts.saturating_sub(1);
    if delivery.attempts == 0 {
        delivery.attempted_at = None;
    }
}

pub(super) fn delivery(c: &Connection, id: &DeliveryId) -> Result<Option<Delivery>, Fault> {
    Ok(row(c, id)?.map(|row| row.delivery))
}

/// Writes a delivery back that is in a worker's hands until then.
fn write_claimed(tx: &Tx<'_>, row: &Row, lease_until: Timestamp) -> Result<(), Fault> {
    // Each statement names no column that it leaves as it is: every index with one of its columns is written.
    tx.prepare_cached(
        "UPDATE deliveries SET state = 'attempting', lease_until = ?2, delivery = ?3 WHERE seq = ?1",
    )?
    .execute(params![row.seq, lease_until.as_millisecond(), serde_json::to_string(&row.delivery)?])?;
    Ok(())
}

/// Writes a delivery back that is not finished and in nobody's hands.
fn write_open(tx: &Tx<'_>, row: &Row) -> Result<(), Fault> {
    let d = &row.delivery;
    tx.prepare_cached(
        "UPDATE deliveries SET state = ?2, due_at = ?3, lease_until = 0, delivery = ?4 WHERE seq = ?1",
    )?
    .execute(params![
        row.seq,
        state_name(d.state),
        d.due_at.as_millisecond(),
        serde_json::to_string(d)?
    ])?;
    Ok(())
}

/// Writes a delivery back that is finished.
fn write_final(tx: &Tx<'_>, row: &Row) -> Result<(), Fault> {
    let d = &row.delivery;
    tx.prepare_cached(
        "UPDATE deliveries SET state = ?2, final = 1, head = 0, lease_until = 0, delivery = ?3 WHERE seq = ?1",
    )?
    .execute(params![row.seq, state_name(d.state), serde_json::to_string(d)?])?;
    Ok(())
}

pub(super) fn route(
    tx: &Tx<'_>,
    planned: &Envelope,
    routed_at: Timestamp,
    deliveries: Vec<NewDelivery>,
    events: &[Event],
) -> Result<(), Fault> {
    let key = &planned.key;
    let found: Option<(String, bool)> = tx
        .prepare_cached("SELECT envelope, waits FROM alerts WHERE key = ?")?
        .query_row([&key.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((envelope, waits)) = found else {
        return Err(Fault::Missing { what: "alert", id: key.0.clone() });
    };
    if !waits {
        return Ok(());
    }
    let envelope: Envelope = serde_json::from_str(&envelope)?;
    for new in deliveries {
        insert(tx, &envelope, routed_at, new)?;
    }
    // A source brought it while it was being routed: that source's rules have not been asked.
    let again = envelope.provenance.also.len() > planned.provenance.also.len();
    tx.prepare_cached(
        "UPDATE alerts SET waits = ?, lease_until = 0, routed_at = coalesce(routed_at, ?) WHERE key = ?",
    )?
    .execute(params![again, routed_at.as_millisecond(), key.0])?;
    record::append(tx, events)?;
    if !again {
        tx.count("unrouted", -1);
    }
    Ok(())
}

fn insert(tx: &Tx<'_>, envelope: &Envelope, queued_at: Timestamp, new: NewDelivery) -> Result<(), Fault> {
    let delivery = Delivery {
        v: 1,
        id: new.id,
        endpoint: new.endpoint,
        alert: envelope.key.clone(),
        chain: envelope.chain.clone(),
        lane: envelope.lane,
        rule: new.rule,
        state: State::Queued,
        attempts: 0,
        epoch: 0,
        queued_at,
        due_at: new.due_at,
        give_up_at: new.give_up_at,
        attempted_at: None,
        ended_at: None,
        error: None,
        maybe_delivered: false,
        receipt: None,
    };
    let head = !unfinished(tx, &delivery.endpoint, &delivery.chain)?;
    let inserted = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO deliveries (id, alert, endpoint, chain, lane, state, final, head, due_at, delivery)
             VALUES (?,?,?,?,?,'queued',0,?,?,?)",
        )?
        .execute(params![
            delivery.id.0,
            delivery.alert.0,
            delivery.endpoint.0,
            delivery.chain.0,
            lane_name(delivery.lane),
            head,
            delivery.due_at.as_millisecond(),
            serde_json::to_string(&delivery)?,
        ])?;
    if inserted > 0 {
        tx.count(lane_name(delivery.lane), 1);
        if !head {
            hasten(tx, &delivery)?;
        }
    }
    Ok(())
}

/// What a delivery waits for is tried no later than the delivery itself would be, and is as urgent.
fn hasten(tx: &Tx<'_>, newest: &Delivery) -> Result<(), Fault> {
    let ahead: Vec<(i64, bool, String)> = tx
        .prepare_cached(
            "SELECT seq, head, delivery FROM deliveries WHERE endpoint = ? AND chain = ? AND final = 0 AND id <> ?",
        )?
        .query_map([&newest.endpoint.0, &newest.chain.0, &newest.id.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (seq, head, text) in ahead {
        let mut d: Delivery = serde_json::from_str(&text)?;
        let (is_later, is_less) =
            (d.due_at > newest.due_at, newest.lane == Lane::Urgent && d.lane != newest.lane);
        let is_put_off = head && d.state == State::Waiting && is_later;
        if is_less {
            tx.count(lane_name(d.lane), -1);
            tx.count(lane_name(newest.lane), 1);
            d.lane = newest.lane;
        }
        if is_put_off {
            d.due_at = newest.due_at;
        }
        if is_less || is_put_off {
            tx.prepare_cached("UPDATE deliveries SET lane = ?2, due_at = ?3, delivery = ?4 WHERE seq = ?1")?
                .execute(params![
                    seq,
                    lane_name(d.lane),
                    d.due_at.as_millisecond(),
                    serde_json::to_string(&d)?
                ])?;
        }
    }
    Ok(())
}

fn unfinished(tx: &Tx<'_>, endpoint: &EndpointName, chain: &ChainKey) -> Result<bool, Fault> {
    Ok(tx
        .prepare_cached("SELECT 1 FROM deliveries WHERE endpoint = ? AND chain = ? AND final = 0 LIMIT 1")?
        .exists([&endpoint.0, &chain.0])?)
}

pub(super) fn any_due(c: &Connection, lane: Lane, now: Timestamp) -> Result<bool, Fault> {
    let (lane, now) = (lane_name(lane), now.as_millisecond());
    let due = c
        .prepare_cached(
            "SELECT 1 FROM deliveries WHERE lane = ? AND head = 1 AND final = 0 AND state <> 'attempting' AND due_at <= ? LIMIT 1",
        )?
        .exists(params![lane, now])?;
    Ok(due
        || c.prepare_cached(
            "SELECT 1 FROM deliveries WHERE lane = ? AND state = 'attempting' AND lease_until <= ? LIMIT 1",
        )?
        .exists(params![lane, now])?)
}

/// A due delivery and what was rendered for it.
type Due = (i64, String, Option<String>, Option<Vec<u8>>);

pub(super) fn claim(
    tx: &Tx<'_>,
    lane: Lane,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<Claim>, Fault> {
    take_back(tx, lane, now, limit)?;
    let due: Vec<Due> = tx
        .prepare_cached(
            "SELECT d.seq, d.delivery, r.rendering, r.body FROM deliveries d LEFT JOIN renderings r ON r.seq = d.seq
             WHERE d.lane = ? AND d.head = 1 AND d.final = 0 AND d.state <> 'attempting' AND d.due_at <= ?
             ORDER BY d.due_at, d.seq LIMIT ?",
        )?
        .query_map(params![lane_name(lane), now.as_millisecond(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut claims = Vec::with_capacity(due.len());
    let mut issued = tx.prepare_cached(&format!("SELECT 1 FROM deliveries d WHERE {ISSUED} LIMIT 1"))?;
    for (seq, text, kept, body) in due {
        let mut row = Row { seq, delivery: serde_json::from_str(&text)? };
        let delivery = &mut row.delivery;
        delivery.state = State::Attempting;
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.epoch = delivery.epoch.saturating_add(1);
        delivery.attempted_at = Some(now);
        write_claimed(tx, &row, lease_until)?;
        let rendering = kept.zip(body).map(|(text, body)| rendering(text, body)).transpose()?;
        let has_issued = issued.exists([&row.delivery.chain.0, &row.delivery.endpoint.0])?;
        claims.push(Claim { delivery: row.delivery, rendering, has_issued });
    }
    Ok(claims)
}

pub(super) fn extend(tx: &Tx<'_>, all: &[Held], lease_until: Timestamp) -> Result<(), Fault> {
    let mut update = tx.prepare_cached(
        "UPDATE deliveries SET lease_until = ?2 WHERE id = ?1 AND state = 'attempting' AND delivery ->> '$.epoch' = ?3",
    )?;
    for held in all {
        update.execute(params![
            held.id.0,
            lease_until.as_millisecond(),
            i64::try_from(held.epoch).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

/// Leases that ran out: the worker died, and its attempt may have arrived.
fn take_back(tx: &Tx<'_>, lane: Lane, now: Timestamp, limit: u32) -> Result<(), Fault> {
    let lost: Vec<(i64, String)> = tx
        .prepare_cached(
            "SELECT seq, delivery FROM deliveries WHERE lane = ? AND state = 'attempting' AND lease_until <= ?
             ORDER BY lease_until, seq LIMIT ?",
        )?
        .query_map(params![lane_name(lane), now.as_millisecond(), limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (seq, text) in lost {
        let mut row = Row { seq, delivery: serde_json::from_str(&text)? };
        row.delivery.state = State::Waiting;
        row.delivery.due_at = now;
        row.delivery.maybe_delivered = true;
        write_open(tx, &row)?;
        step_back(tx, &row)?;
    }
    Ok(())
}

/// Of two heads of one line, which two chains that became one can have, the later one waits for the other.
fn step_back(tx: &Tx<'_>, row: &Row) -> Result<(), Fault> {
    tx.prepare_cached(
        "UPDATE deliveries SET head = 0 WHERE seq = ?1 AND EXISTS (SELECT 1 FROM deliveries d
         WHERE d.endpoint = ?2 AND d.chain = ?3 AND d.final = 0 AND d.head = 1 AND d.seq < deliveries.seq)",
    )?
    .execute(params![row.seq, row.delivery.endpoint.0, row.delivery.chain.0])?;
    Ok(())
}

pub(super) fn next_due(c: &Connection, lane: Lane) -> Result<Option<Timestamp>, Fault> {
    let lane = lane_name(lane);
    let due: Option<i64> = c
        .prepare_cached(
            "SELECT min(due_at) FROM deliveries WHERE lane = ? AND head = 1 AND final = 0 AND state <> 'attempting'",
        )?
        .query_row([lane], |row| row.get(0))?;
    let leased: Option<i64> = c
        .prepare_cached("SELECT min(lease_until) FROM deliveries WHERE lane = ? AND state = 'attempting'")?
        .query_row([lane], |row| row.get(0))?;
    let first = match (due, leased) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Ok(first.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// What is sent for a delivery, as it was kept.
pub(super) fn rendering(text: String, body: Vec<u8>) -> Result<Rendering, Fault> {
    let mut rendering: Rendering = serde_json::from_str(&text)?;
    rendering.body = Bytes::from(body);
    Ok(rendering)
}

pub(super) fn render(tx: &Tx<'_>, held: &Held, rendering: &Rendering) -> Result<(), Fault> {
    let Row { seq, delivery } = hold(tx, held)?;
    let record = Rendering { body: Bytes::new(), ..rendering.clone() };
    tx.prepare_cached("INSERT OR REPLACE INTO renderings (seq, rendering, body) VALUES (?,?,?)")?
        .execute(params![seq, serde_json::to_string(&record)?, rendering.body.as_ref()])?;
    if rendering.translated {
        let mut known =
            tx.prepare_cached("INSERT OR REPLACE INTO ours (identifier, sender, alert) VALUES (?,?,?)")?;
        for reference in rendering.earlier.iter().chain([&rendering.reference]) {
            known.execute([&reference.identifier, &reference.sender, &delivery.alert.0])?;
        }
    }
    Ok(())
}

pub(super) fn finish(tx: &Tx<'_>, finish: Finish) -> Result<(), Fault> {
    let Finish { held, ended_at, end, was_tried, events } = finish;
    let mut row = hold(tx, &held)?;
    let delivery = &mut row.delivery;
    if delivery.state.is_final() {
        return Ok(());
    }
    record::append(tx, &events)?;
    if !was_tried {
        uncount(delivery);
    }
    match end {
        AttemptEnd::Delivered(receipt) => {
            delivery.state = State::Delivered;
            delivery.error = None;
            delivery.receipt = Some(receipt);
        }
        AttemptEnd::Waiting { due_at, error, maybe_delivered } => {
            delivery.state = State::Waiting;
            delivery.due_at = due_at;
            delivery.error = Some(error);
            delivery.maybe_delivered |= maybe_delivered;
        }
        AttemptEnd::Dead { error } => {
            delivery.state = State::Dead;
            delivery.error = Some(error);
        }
        AttemptEnd::Expired { error } | AttemptEnd::Moot { error } => {
            delivery.state = State::Expired;
            delivery.error = Some(error);
        }
    }
    if delivery.state.is_final() {
        delivery.ended_at = Some(ended_at);
        write_final(tx, &row)?;
        let delivery = &row.delivery;
        tx.count(lane_name(delivery.lane), -1);
        if delivery.state == State::Dead {
            tx.count("dead", 1);
        }
        promote(tx, &delivery.endpoint, &delivery.chain, ended_at)?;
    } else {
        write_open(tx, &row)?;
        step_back(tx, &row)?;
    }
    Ok(())
}

/// Makes the next of the line its head, due at once.
fn promote(tx: &Tx<'_>, endpoint: &EndpointName, chain: &ChainKey, now: Timestamp) -> Result<(), Fault> {
    let next: Option<(i64, String, bool)> = tx
        .prepare_cached(
            "SELECT seq, delivery, head FROM deliveries WHERE endpoint = ? AND chain = ? AND final = 0
             ORDER BY seq LIMIT 1",
        )?
        .query_row([&endpoint.0, &chain.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((seq, text, is_head)) = next else { return Ok(()) };
    if is_head {
        return Ok(());
    }
    let mut row = Row { seq, delivery: serde_json::from_str(&text)? };
    row.delivery.due_at = row.delivery.due_at.min(now);
    write_open(tx, &row)?;
    tx.prepare_cached("UPDATE deliveries SET head = 1 WHERE seq = ?")?.execute([seq])?;
    Ok(())
}

pub(super) fn give_back(tx: &Tx<'_>, held: &Held, due_at: Timestamp) -> Result<(), Fault> {
    let mut row = hold(tx, held)?;
    let delivery = &mut row.delivery;
    if delivery.state != State::Attempting {
        return Ok(());
    }
    uncount(delivery);
    delivery.due_at = due_at;
    delivery.state = if delivery.attempts == 0 { State::Queued } else { State::Waiting };
    write_open(tx, &row)?;
    step_back(tx, &row)
}

pub(super) fn replay(
    tx: &Tx<'_>,
    id: &DeliveryId,
    again: Again,
    now: Timestamp,
    give_up_at: Timestamp,
) -> Result<(), Fault> {
    let mut row = read(tx, id)?;
    let delivery = &mut row.delivery;
    if !again.takes(delivery.state) {
        return Err(Fault::Missing { what: again.what(), id: id.0.clone() });
    }
    if delivery.state == State::Dead {
        tx.count("dead", -1);
    }
    let head = !unfinished(tx, &delivery.endpoint, &delivery.chain)?;
    delivery.state = State::Queued;
    delivery.due_at = now;
    delivery.give_up_at = give_up_at;
    delivery.ended_at = None;
    tx.count(lane_name(delivery.lane), 1);
    write_open(tx, &row)?;
    tx.prepare_cached("UPDATE deliveries SET final = 0, head = ? WHERE seq = ?")?
        .execute(params![head, row.seq])?;
    Ok(())
}

/// What an endpoint took, also where that is issued again, or may have taken, of a chain.
const ISSUED: &str = "d.chain = ? AND d.endpoint = ? AND (d.state = 'delivered' OR
  d.delivery ->> '$.receipt' IS NOT NULL OR (d.final = 1 AND d.delivery ->> '$.maybe_delivered'))";

pub(super) fn issued(
    c: &Connection,
    endpoint: &EndpointName,
    chain: &ChainKey,
) -> Result<Vec<Issued>, Fault> {
    let rows: Vec<(String, String, String)> = c
        .prepare_cached(&format!(
            "SELECT d.delivery, r.rendering, a.envelope FROM deliveries d JOIN renderings r ON r.seq = d.seq
             JOIN alerts a ON a.key = d.alert WHERE {ISSUED} ORDER BY a.sent_at, d.seq",
        ))?
        .query_map([&chain.0, &endpoint.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    rows.iter()
        .map(|(delivery, rendering, envelope)| {
            let delivery: Delivery = serde_json::from_str(delivery)?;
            let rendering: Rendering = serde_json::from_str(rendering)?;
            Ok(Issued {
                original: serde_json::from_str(envelope)?,
                reference: rendering.reference,
                msg_type: rendering.msg_type,
                location: delivery.receipt.and_then(|r| r.location),
                earlier: rendering.earlier,
            })
        })
        .collect()
}

pub(super) fn followers(c: &Connection, chain: &ChainKey) -> Result<Vec<(EndpointName, String)>, Fault> {
    let rows: Vec<String> = c
        .prepare_cached(
            "SELECT d.delivery FROM deliveries d WHERE d.chain = ?1 AND d.seq =
             (SELECT max(e.seq) FROM deliveries e WHERE e.chain = ?1 AND e.endpoint = d.endpoint) ORDER BY d.endpoint",
        )?
        .query_map([&chain.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    rows.iter()
        .map(|text| {
            let delivery: Delivery = serde_json::from_str(text)?;
            Ok((delivery.endpoint, delivery.rule))
        })
        .collect()
}

pub(super) fn ours(c: &Connection, sender: &str, identifier: &str) -> Result<Option<AlertKey>, Fault> {
    Ok(c.prepare_cached("SELECT alert FROM ours WHERE identifier = ? AND sender = ?")?
        .query_row([identifier, sender], |row| row.get(0).map(AlertKey))
        .optional()?)
}

pub(super) fn list(c: &Connection, state: Option<State>, page: Page) -> Result<Vec<Delivery>, Fault> {
    let texts = |sql: &str, p: &[&dyn rusqlite::ToSql]| -> Result<Vec<String>, Fault> {
        Ok(c.prepare_cached(sql)?.query_map(p, |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    // In the words of the index that finds them; what was delivered is most of all, and found in their order.
    let which = match state {
        None => "",
        Some(State::Queued) => "WHERE final = 0 AND state = 'queued'",
        Some(State::Attempting) => "WHERE final = 0 AND state = 'attempting'",
        Some(State::Waiting) => {
            "WHERE state = 'waiting' AND state NOT IN ('queued', 'attempting', 'delivered')"
        }
        Some(State::Delivered) => "WHERE +state = 'delivered'",
        Some(State::Dead) => "WHERE state = 'dead' AND state NOT IN ('queued', 'attempting', 'delivered')",
        Some(State::Expired) => {
            "WHERE state = 'expired' AND state NOT IN ('queued', 'attempting', 'delivered')"
        }
    };
    let sql = format!("SELECT delivery FROM deliveries {which} ORDER BY seq DESC LIMIT ? OFFSET ?");
    let rows = texts(&sql, &[&page.limit, &page.skip])?;
    rows.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

/// The deliveries of an alert with what was rendered for them, oldest first.
pub(super) fn of_alert(
    c: &Connection,
    key: &AlertKey,
) -> Result<Vec<(Delivery, Option<Reference>, serde_json::Value)>, Fault> {
    let rows: Vec<(String, Option<String>)> = c
        .prepare_cached(
            "SELECT d.delivery, r.rendering FROM deliveries d LEFT JOIN renderings r ON r.seq = d.seq
             WHERE d.alert = ? ORDER BY d.seq",
        )?
        .query_map([&key.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    rows.iter()
        .map(|(delivery, rendering)| {
            let rendering: Option<Rendering> = rendering.as_deref().map(serde_json::from_str).transpose()?;
            let report = rendering.as_ref().map_or(serde_json::Value::Null, |r| r.report.clone());
            Ok((serde_json::from_str(delivery)?, rendering.map(|r| r.reference), report))
        })
        .collect()
}

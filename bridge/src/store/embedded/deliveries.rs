//! Deliveries: lanes, heads of line, attempts.
//!
//! Owns the order per (endpoint, chain): only the first unfinished delivery is a head, and only heads are due. The next
//! becomes the head when the one before it ends, so the cost of a claim does not grow with what waits behind.

use bytes::Bytes;
use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Fault;
use super::record::{self, count};
use crate::envelope::{AlertKey, ChainKey, Envelope, Lane, Reference};
use crate::store::{
    AttemptEnd, Claim, Delivery, DeliveryId, Event, Finish, Held, Issued, NewDelivery, Page, Rendering, State,
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

fn read(c: &Connection, id: &DeliveryId) -> Result<Delivery, Fault> {
    delivery(c, id)?.ok_or_else(|| Fault::Missing { what: "delivery", id: id.0.clone() })
}

/// A delivery that a worker claimed, unless another did since.
fn hold(c: &Connection, held: &Held) -> Result<Delivery, Fault> {
    let delivery = read(c, &held.id)?;
    if delivery.epoch == held.epoch { Ok(delivery) } else { Err(Fault::TakenOver { id: held.id.0.clone() }) }
}

/// The claim led to no attempt.
fn uncount(delivery: &mut Delivery) {
    delivery.attempts = delivery.attempts.saturating_sub(1);
    if delivery.attempts == 0 {
        delivery.attempted_at = None;
    }
}

pub(super) fn delivery(c: &Connection, id: &DeliveryId) -> Result<Option<Delivery>, Fault> {
    let text: Option<String> = c
        .prepare_cached("SELECT delivery FROM deliveries WHERE id = ?")?
        .query_row([&id.0], |row| row.get(0))
        .optional()?;
    Ok(text.map(|t| serde_json::from_str(&t)).transpose()?)
}

/// Writes a delivery back, with what the indexes need.
fn write(tx: &Transaction<'_>, d: &Delivery, lease_until: Option<Timestamp>) -> Result<(), Fault> {
    tx.prepare_cached(
        "UPDATE deliveries SET state = ?2, final = ?3, head = CASE WHEN ?3 THEN 0 ELSE head END, due_at = ?4,
         lease_until = ?5, delivery = ?6 WHERE id = ?1",
    )?
    .execute(params![
        d.id.0,
        state_name(d.state),
        d.state.is_final(),
        d.due_at.as_millisecond(),
        lease_until.map_or(0, Timestamp::as_millisecond),
        serde_json::to_string(d)?,
    ])?;
    Ok(())
}

pub(super) fn route(
    tx: &Transaction<'_>,
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
    if again { Ok(()) } else { count(tx, "unrouted", -1) }
}

fn insert(
    tx: &Transaction<'_>,
    envelope: &Envelope,
    queued_at: Timestamp,
    new: NewDelivery,
) -> Result<(), Fault> {
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
        count(tx, lane_name(delivery.lane), 1)?;
    }
    Ok(())
}

fn unfinished(tx: &Transaction<'_>, endpoint: &EndpointName, chain: &ChainKey) -> Result<bool, Fault> {
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

pub(super) fn claim(
    tx: &Transaction<'_>,
    lane: Lane,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<Claim>, Fault> {
    take_back(tx, lane, now, limit)?;
    let due: Vec<String> = tx
        .prepare_cached(
            "SELECT delivery FROM deliveries WHERE lane = ? AND head = 1 AND final = 0 AND state <> 'attempting'
             AND due_at <= ? ORDER BY due_at, seq LIMIT ?",
        )?
        .query_map(params![lane_name(lane), now.as_millisecond(), limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut claims = Vec::with_capacity(due.len());
    for text in due {
        let mut delivery: Delivery = serde_json::from_str(&text)?;
        delivery.state = State::Attempting;
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.epoch = delivery.epoch.saturating_add(1);
        delivery.attempted_at = Some(now);
        write(tx, &delivery, Some(lease_until))?;
        let rendering = rendering(tx, &delivery.id)?;
        claims.push(Claim { delivery, rendering });
    }
    Ok(claims)
}

pub(super) fn extend(tx: &Transaction<'_>, all: &[Held], lease_until: Timestamp) -> Result<(), Fault> {
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
fn take_back(tx: &Transaction<'_>, lane: Lane, now: Timestamp, limit: u32) -> Result<(), Fault> {
    let lost: Vec<String> = tx
        .prepare_cached(
            "SELECT delivery FROM deliveries WHERE lane = ? AND state = 'attempting' AND lease_until <= ?
             ORDER BY lease_until, seq LIMIT ?",
        )?
        .query_map(params![lane_name(lane), now.as_millisecond(), limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for text in lost {
        let mut delivery: Delivery = serde_json::from_str(&text)?;
        delivery.state = State::Waiting;
        delivery.due_at = now;
        delivery.maybe_delivered = true;
        write(tx, &delivery, None)?;
        step_back(tx, &delivery)?;
    }
    Ok(())
}

/// Of two heads of one line, which two chains that became one can have, the later one waits for the other.
fn step_back(tx: &Transaction<'_>, delivery: &Delivery) -> Result<(), Fault> {
    tx.prepare_cached(
        "UPDATE deliveries SET head = 0 WHERE id = ?1 AND EXISTS (SELECT 1 FROM deliveries d
         WHERE d.endpoint = ?2 AND d.chain = ?3 AND d.final = 0 AND d.head = 1 AND d.seq < deliveries.seq)",
    )?
    .execute([&delivery.id.0, &delivery.endpoint.0, &delivery.chain.0])?;
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

pub(super) fn rendering(c: &Connection, id: &DeliveryId) -> Result<Option<Rendering>, Fault> {
    let row: Option<(String, Vec<u8>)> = c
        .prepare_cached("SELECT rendering, body FROM renderings WHERE delivery = ?")?
        .query_row([&id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((text, body)) = row else { return Ok(None) };
    let mut rendering: Rendering = serde_json::from_str(&text)?;
    rendering.body = Bytes::from(body);
    Ok(Some(rendering))
}

pub(super) fn render(tx: &Transaction<'_>, held: &Held, rendering: &Rendering) -> Result<(), Fault> {
    let delivery = hold(tx, held)?;
    let record = Rendering { body: Bytes::new(), ..rendering.clone() };
    tx.prepare_cached("INSERT OR REPLACE INTO renderings (delivery, rendering, body) VALUES (?,?,?)")?
        .execute(params![held.id.0, serde_json::to_string(&record)?, rendering.body.as_ref()])?;
    if rendering.translated {
        let mut known =
            tx.prepare_cached("INSERT OR REPLACE INTO ours (identifier, sender, alert) VALUES (?,?,?)")?;
        for reference in rendering.earlier.iter().chain([&rendering.reference]) {
            known.execute([&reference.identifier, &reference.sender, &delivery.alert.0])?;
        }
    }
    Ok(())
}

pub(super) fn finish(tx: &Transaction<'_>, finish: Finish) -> Result<(), Fault> {
    let Finish { held, ended_at, end, was_tried, events } = finish;
    let mut delivery = hold(tx, &held)?;
    if delivery.state.is_final() {
        return Ok(());
    }
    record::append(tx, &events)?;
    if !was_tried {
        uncount(&mut delivery);
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
    }
    write(tx, &delivery, None)?;
    if delivery.state.is_final() {
        count(tx, lane_name(delivery.lane), -1)?;
        if delivery.state == State::Dead {
            count(tx, "dead", 1)?;
        }
        promote(tx, &delivery.endpoint, &delivery.chain, ended_at)?;
    } else {
        step_back(tx, &delivery)?;
    }
    Ok(())
}

/// Makes the next of the line its head, due at once.
fn promote(
    tx: &Transaction<'_>,
    endpoint: &EndpointName,
    chain: &ChainKey,
    now: Timestamp,
) -> Result<(), Fault> {
    let next: Option<String> = tx
        .prepare_cached(
            "SELECT delivery FROM deliveries WHERE endpoint = ? AND chain = ? AND final = 0 ORDER BY seq LIMIT 1",
        )?
        .query_row([&endpoint.0, &chain.0], |row| row.get(0))
        .optional()?;
    let Some(text) = next else { return Ok(()) };
    let mut delivery: Delivery = serde_json::from_str(&text)?;
    let is_head: bool = tx
        .prepare_cached("SELECT head FROM deliveries WHERE id = ?")?
        .query_row([&delivery.id.0], |row| row.get(0))?;
    if is_head {
        return Ok(());
    }
    delivery.due_at = delivery.due_at.min(now);
    write(tx, &delivery, None)?;
    tx.prepare_cached("UPDATE deliveries SET head = 1 WHERE id = ?")?.execute([&delivery.id.0])?;
    Ok(())
}

pub(super) fn give_back(tx: &Transaction<'_>, held: &Held, due_at: Timestamp) -> Result<(), Fault> {
    let mut delivery = hold(tx, held)?;
    if delivery.state != State::Attempting {
        return Ok(());
    }
    uncount(&mut delivery);
    delivery.due_at = due_at;
    delivery.state = if delivery.attempts == 0 { State::Queued } else { State::Waiting };
    write(tx, &delivery, None)?;
    step_back(tx, &delivery)
}

pub(super) fn replay(
    tx: &Transaction<'_>,
    id: &DeliveryId,
    now: Timestamp,
    give_up_at: Timestamp,
) -> Result<(), Fault> {
    let mut delivery = read(tx, id)?;
    if !matches!(delivery.state, State::Dead | State::Expired) {
        return Err(Fault::Missing { what: "dead or expired delivery", id: id.0.clone() });
    }
    if delivery.state == State::Dead {
        count(tx, "dead", -1)?;
    }
    let head = !unfinished(tx, &delivery.endpoint, &delivery.chain)?;
    delivery.state = State::Queued;
    delivery.due_at = now;
    delivery.give_up_at = give_up_at;
    delivery.ended_at = None;
    write(tx, &delivery, None)?;
    tx.prepare_cached("UPDATE deliveries SET head = ? WHERE id = ?")?.execute(params![head, id.0])?;
    count(tx, lane_name(delivery.lane), 1)
}

pub(super) fn issued(
    c: &Connection,
    endpoint: &EndpointName,
    chain: &ChainKey,
) -> Result<Vec<Issued>, Fault> {
    let rows: Vec<(String, String, String)> = c
        .prepare_cached(
            "SELECT d.delivery, r.rendering, a.envelope FROM deliveries d JOIN renderings r ON r.delivery = d.id
             JOIN alerts a ON a.key = d.alert
             WHERE d.chain = ? AND d.endpoint = ? AND (d.state = 'delivered' OR
             (d.final = 1 AND d.delivery ->> '$.maybe_delivered'))
             ORDER BY a.sent_at, d.seq",
        )?
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
    let rows = match state {
        Some(state) => texts(
            "SELECT delivery FROM deliveries WHERE state = ? ORDER BY seq DESC LIMIT ? OFFSET ?",
            &[&state_name(state), &page.limit, &page.skip],
        )?,
        None => texts(
            "SELECT delivery FROM deliveries ORDER BY seq DESC LIMIT ? OFFSET ?",
            &[&page.limit, &page.skip],
        )?,
    };
    rows.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

/// The deliveries of an alert with what was rendered for them, oldest first.
pub(super) fn of_alert(
    c: &Connection,
    key: &AlertKey,
) -> Result<Vec<(Delivery, Option<Reference>, serde_json::Value)>, Fault> {
    let rows: Vec<(String, Option<String>)> = c
        .prepare_cached(
            "SELECT d.delivery, r.rendering FROM deliveries d LEFT JOIN renderings r ON r.delivery = d.id
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

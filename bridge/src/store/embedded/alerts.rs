//! Accepted alerts: dedup, routing queue, retention.

use std::collections::BTreeSet;

use bytes::Bytes;
use capbridge_adapters::passage::Sighting;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Fault, Tx, chains, record, retention};
use crate::envelope::{AlertKey, Envelope, Lane, StoredAlert};
use crate::store::{Arrival, Page, Stored};

pub(super) fn accept(tx: &Tx<'_>, arrival: Arrival) -> Result<Stored, Fault> {
    let Arrival { mut alert, if_new, if_linked } = arrival;
    let envelope = &mut alert.envelope;
    if let Some(known) = known(tx, envelope)? {
        if let Stored::Linked(first) = &known {
            record::append_about(tx, Some(first), &if_linked)?;
        }
        return Ok(known);
    }
    let held_until = chains::hold(tx, envelope)?;
    envelope.chain = chains::join(tx, envelope)?;
    let reference = &envelope.reference;
    tx.prepare_cached(
        "INSERT INTO seen (key, sender, identifier, digest, content_digest, twin) VALUES (?,?,?,?,?,?)",
    )?
    .execute(params![
        envelope.key.0,
        reference.sender,
        reference.identifier,
        envelope.digest,
        envelope.content_digest,
        envelope.twin.as_ref().map(|t| &t.0),
    ])?;
    tx.prepare_cached(
        "INSERT INTO alerts (key, chain, urgent, envelope, sent_at, accepted_at, expires_at, hold_until)
         VALUES (?,?,?,?,?,?,?,?)",
    )?
    .execute(params![
        envelope.key.0,
        envelope.chain.0,
        envelope.lane == Lane::Urgent,
        serde_json::to_string(envelope)?,
        envelope.sent_at.as_millisecond(),
        envelope.accepted_at.as_millisecond(),
        envelope.over_at().as_millisecond(),
        held_until.map_or(0, Timestamp::as_millisecond),
    ])?;
    tx.prepare_cached("INSERT INTO documents (seq, raw, derived) VALUES (?,?,?)")?.execute(params![
        tx.last_insert_rowid(),
        alert.raw.as_ref(),
        alert.derived.as_deref(),
    ])?;
    tx.count("unrouted", 1);
    record::append(tx, &if_new)?;
    let chain = envelope.chain.clone();
    Ok(if held_until.is_some() { Stored::Held(chain) } else { Stored::New(chain) })
}

/// Whether the alert was here before, and as what.
fn known(tx: &Tx<'_>, envelope: &Envelope) -> Result<Option<Stored>, Fault> {
    let same: Option<(String, String)> = tx
        .prepare_cached("SELECT digest, content_digest FROM seen WHERE key = ?")?
        .query_row([&envelope.key.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match same {
        Some((digest, content)) if digest == envelope.digest || content == envelope.content_digest => {
            again(tx, &envelope.key, envelope).map(Some)
        }
        Some(_) => Ok(Some(Stored::Conflict)),
        None => {
            let Some(twin) = &envelope.twin else { return Ok(None) };
            let first: Option<String> = tx
                .prepare_cached("SELECT key FROM seen WHERE twin = ? LIMIT 1")?
                .query_row([&twin.0], |row| row.get(0))
                .optional()?;
            first.map(|key| again(tx, &AlertKey(key), envelope)).transpose()
        }
    }
}

/// Counts a repeat on the first, and notes a source that had not brought it: the alert is routed again for it.
fn again(tx: &Tx<'_>, key: &AlertKey, envelope: &Envelope) -> Result<Stored, Fault> {
    tx.prepare_cached("UPDATE seen SET repeats = repeats + 1 WHERE key = ?")?.execute([&key.0])?;
    let Some(mut first) = alert(tx, key)? else {
        // It comes again after it was swept: known as long as that goes on.
        tx.prepare_cached("UPDATE seen SET over_at = max(over_at, ?2) WHERE key = ?1")?
            .execute(params![key.0, envelope.over_at().as_millisecond()])?;
        return Ok(Stored::Repeat);
    };
    let provenance = &mut first.envelope.provenance;
    let from = &envelope.provenance;
    if provenance.origins().any(|o| *o == from.origin) {
        return Ok(Stored::Repeat);
    }
    provenance.also.push(Sighting { origin: from.origin.clone(), system: from.system.clone() });
    let waited: bool =
        tx.prepare_cached("SELECT waits FROM alerts WHERE key = ?")?.query_row([&key.0], |row| row.get(0))?;
    tx.prepare_cached(
        "UPDATE alerts SET envelope = ?2, lease_until = CASE WHEN waits THEN lease_until ELSE 0 END, waits = 1 WHERE key = ?1",
    )?
    .execute(params![key.0, serde_json::to_string(&first.envelope)?])?;
    if !waited {
        tx.count("unrouted", 1);
    }
    Ok(Stored::Linked(key.clone()))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<(String, Vec<u8>, Option<Vec<u8>>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn build((envelope, raw, derived): (String, Vec<u8>, Option<Vec<u8>>)) -> Result<StoredAlert, Fault> {
    Ok(StoredAlert {
        envelope: serde_json::from_str(&envelope)?,
        raw: Bytes::from(raw),
        derived: derived.map(Bytes::from),
    })
}

/// To be routed, held no longer and leased to nobody.
const FREE: &str = "FROM alerts WHERE waits = 1 AND lease_until <= ?1 AND hold_until <= ?1";

pub(super) fn any_unrouted(c: &Connection, now: Timestamp) -> Result<bool, Fault> {
    Ok(c.prepare_cached(&format!("SELECT 1 {FREE} LIMIT 1"))?.exists([now.as_millisecond()])?)
}

pub(super) fn unrouted(
    tx: &Tx<'_>,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<StoredAlert>, Fault> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut alerts: Vec<StoredAlert> = Vec::new();
    let mut walked: BTreeSet<String> = BTreeSet::new();
    let order = "ORDER BY urgent DESC, seq";
    let mut free = tx.prepare_cached(&format!("SELECT chain {FREE} {order}"))?;
    let mut free = free.query([now.as_millisecond()])?;
    while alerts.len() < limit {
        let Some(row) = free.next()? else { break };
        let chain: String = row.get(0)?;
        if walked.insert(chain.clone()) {
            walk(tx, &chain, now, (limit, &mut alerts))?;
        }
    }
    let mut lease = tx.prepare_cached("UPDATE alerts SET lease_until = ? WHERE key = ?")?;
    for alert in &alerts {
        lease.execute(params![lease_until.as_millisecond(), alert.envelope.key.0])?;
    }
    Ok(alerts)
}

/// The messages of a chain in the order of `sent`, up to the first that is held or with somebody else.
fn walk(
    tx: &Tx<'_>,
    chain: &str,
    now: Timestamp,
    (limit, alerts): (usize, &mut Vec<StoredAlert>),
) -> Result<(), Fault> {
    let now = now.as_millisecond();
    let mut waiting = tx.prepare_cached(
        "SELECT a.envelope, d.raw, d.derived, max(a.lease_until, a.hold_until) FROM alerts a
         JOIN documents d ON d.seq = a.seq WHERE a.chain = ? AND a.waits = 1 ORDER BY a.sent_at, a.seq",
    )?;
    let mut waiting = waiting.query([chain])?;
    while let Some(row) = waiting.next()?
        && alerts.len() < limit
        && row.get::<_, i64>(3)? <= now
    {
        alerts.push(build(stored(row)?)?);
    }
    Ok(())
}

pub(super) fn alert(c: &Connection, key: &AlertKey) -> Result<Option<StoredAlert>, Fault> {
    let row = c
        .prepare_cached(
            "SELECT a.envelope, d.raw, d.derived FROM alerts a JOIN documents d ON d.seq = a.seq WHERE a.key = ?",
        )?
        .query_row([&key.0], stored)
        .optional()?;
    row.map(build).transpose()
}

pub(super) fn find(c: &Connection, wanted: &str) -> Result<Vec<AlertKey>, Fault> {
    let keys = |sql: &str, a: &str, b: &str| -> Result<Vec<AlertKey>, Fault> {
        let rows = c
            .prepare_cached(sql)?
            .query_map([a, b], |row| row.get(0).map(AlertKey))?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    };
    let by_identifier = keys(
        "SELECT a.key FROM seen s JOIN alerts a ON a.key = s.key WHERE s.identifier = ?1 AND ?2 = ''
         ORDER BY s.sender, s.key LIMIT 100",
        wanted,
        "",
    )?;
    if !by_identifier.is_empty() || wanted.len() < 8 || !wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(by_identifier);
    }
    keys(
        "SELECT key FROM alerts WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 100",
        wanted,
        &format!("{wanted}~"),
    )
}

pub(super) fn list(c: &Connection, page: Page) -> Result<Vec<Envelope>, Fault> {
    let rows: Vec<String> = c
        .prepare_cached("SELECT envelope FROM alerts ORDER BY seq DESC LIMIT ? OFFSET ?")?
        .query_map([page.limit, page.skip], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    rows.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

const OVER: &str = "FROM alerts a WHERE a.accepted_at < ?1 AND coalesce(a.expires_at, 0) < ?1
  AND a.waits = 0
  AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = a.key AND d.final = 0)";

pub(super) fn any_swept(c: &Connection, before: Timestamp) -> Result<bool, Fault> {
    Ok(c.prepare_cached(&format!("SELECT 1 {OVER} LIMIT 1"))?.exists([before.as_millisecond()])?)
}

pub(super) fn sweep(tx: &Tx<'_>, before: Timestamp, limit: u32) -> Result<u64, Fault> {
    let over = "max(a.accepted_at, coalesce(a.expires_at, a.accepted_at))";
    let found: Vec<(String, i64)> = tx
        .prepare_cached(&format!("SELECT a.envelope, {over} {OVER} ORDER BY {over}, a.key LIMIT ?2"))?
        .query_map(params![before.as_millisecond(), limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut swept = 0;
    for (envelope, over_at) in found {
        let envelope: Envelope = serde_json::from_str(&envelope)?;
        let key = &envelope.key.0;
        retention::outlive(tx, &envelope, over_at)?;
        let dead: i64 = tx
            .prepare_cached("SELECT count(*) FROM deliveries WHERE alert = ? AND state = 'dead'")?
            .query_row([key], |row| row.get(0))?;
        tx.count("dead", -dead);
        tx.prepare_cached(
            "DELETE FROM renderings WHERE seq IN (SELECT seq FROM deliveries WHERE alert = ?)",
        )?
        .execute([key])?;
        tx.prepare_cached("DELETE FROM deliveries WHERE alert = ?")?.execute([key])?;
        tx.prepare_cached("DELETE FROM documents WHERE seq = (SELECT seq FROM alerts WHERE key = ?)")?
            .execute([key])?;
        tx.prepare_cached("DELETE FROM alerts WHERE key = ?")?.execute([key])?;
        swept += 1;
    }
    Ok(swept)
}

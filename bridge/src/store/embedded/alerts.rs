//! Accepted alerts: dedup, chain, routing queue, retention.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::Fault;
use super::record::count;
use crate::envelope::{AlertKey, ChainKey, Envelope, Reference, StoredAlert};
use crate::store::{Page, Stored};

pub(super) fn accept(tx: &Transaction<'_>, mut alert: StoredAlert) -> Result<Stored, Fault> {
    let envelope = &mut alert.envelope;
    if let Some(known) = known(tx, envelope)? {
        return Ok(known);
    }
    envelope.chain = chain(tx, &envelope.refers_to)?.unwrap_or_else(|| ChainKey(envelope.key.0.clone()));
    let reference = &envelope.reference;
    tx.prepare_cached(
        "INSERT INTO seen (key, sender, identifier, chain, digest, content_digest, twin) VALUES (?,?,?,?,?,?,?)",
    )?
    .execute(params![
        envelope.key.0,
        reference.sender,
        reference.identifier,
        envelope.chain.0,
        envelope.digest,
        envelope.content_digest,
        envelope.twin.as_ref().map(|t| &t.0),
    ])?;
    tx.prepare_cached(
        "INSERT INTO alerts (key, chain, envelope, raw, derived, accepted_at, expires_at) VALUES (?,?,?,?,?,?,?)",
    )?
    .execute(params![
        envelope.key.0,
        envelope.chain.0,
        serde_json::to_string(envelope)?,
        alert.raw.as_ref(),
        alert.derived.as_deref(),
        envelope.accepted_at.as_millisecond(),
        envelope.expires_at.map(Timestamp::as_millisecond),
    ])?;
    count(tx, "unrouted", 1)?;
    Ok(Stored::New(envelope.chain.clone()))
}

/// Whether the alert was here before, and as what.
fn known(tx: &Transaction<'_>, envelope: &Envelope) -> Result<Option<Stored>, Fault> {
    let same: Option<(String, String)> = tx
        .prepare_cached("SELECT digest, content_digest FROM seen WHERE key = ?")?
        .query_row([&envelope.key.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let again = |key: &str| -> Result<(), Fault> {
        tx.prepare_cached("UPDATE seen SET repeats = repeats + 1 WHERE key = ?")?.execute([key])?;
        Ok(())
    };
    match same {
        Some((digest, _)) if digest == envelope.digest => {
            again(&envelope.key.0)?;
            Ok(Some(Stored::Repeat))
        }
        Some((_, content)) if content == envelope.content_digest => {
            again(&envelope.key.0)?;
            Ok(Some(Stored::Linked(envelope.key.clone())))
        }
        Some(_) => Ok(Some(Stored::Conflict)),
        None => {
            let Some(twin) = &envelope.twin else { return Ok(None) };
            let first: Option<String> = tx
                .prepare_cached("SELECT key FROM seen WHERE twin = ? LIMIT 1")?
                .query_row([&twin.0], |row| row.get(0))
                .optional()?;
            if let Some(key) = first {
                again(&key)?;
                return Ok(Some(Stored::Linked(AlertKey(key))));
            }
            Ok(None)
        }
    }
}

/// The chain of the first reference that is known: by sender and identifier, else by identifier alone (the sender part
/// of real references is sometimes wrong, NAAD sample 9).
fn chain(tx: &Transaction<'_>, references: &[Reference]) -> Result<Option<ChainKey>, Fault> {
    for exact in [true, false] {
        for reference in references {
            let sql = if exact {
                "SELECT chain FROM seen WHERE identifier = ?1 AND sender = ?2 ORDER BY key LIMIT 1"
            } else {
                "SELECT chain FROM seen WHERE identifier = ?1 AND sender <> ?2 ORDER BY sender, key LIMIT 1"
            };
            let found: Option<String> = tx
                .prepare_cached(sql)?
                .query_row([&reference.identifier, &reference.sender], |row| row.get(0))
                .optional()?;
            if let Some(chain) = found {
                return Ok(Some(ChainKey(chain)));
            }
        }
    }
    Ok(None)
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

/// Not routed, leased to nobody, and behind nothing of its chain that another instance is routing.
const FREE: &str = "FROM alerts a WHERE a.routed_at IS NULL AND a.lease_until <= ?1 AND NOT EXISTS
  (SELECT 1 FROM alerts b WHERE b.chain = a.chain AND b.seq < a.seq AND b.routed_at IS NULL AND b.lease_until > ?1)";

pub(super) fn any_unrouted(c: &Connection, now: Timestamp) -> Result<bool, Fault> {
    let found = c.prepare_cached(&format!("SELECT 1 {FREE} LIMIT 1"))?.exists([now.as_millisecond()])?;
    Ok(found)
}

pub(super) fn unrouted(
    tx: &Transaction<'_>,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<StoredAlert>, Fault> {
    let rows: Vec<_> = tx
        .prepare_cached(&format!("SELECT envelope, raw, derived {FREE} ORDER BY seq LIMIT ?2"))?
        .query_map(params![now.as_millisecond(), limit], stored)?
        .collect::<Result<_, _>>()?;
    let mut alerts = Vec::with_capacity(rows.len());
    let mut lease = tx.prepare_cached("UPDATE alerts SET lease_until = ? WHERE key = ?")?;
    for row in rows {
        let alert = build(row)?;
        lease.execute(params![lease_until.as_millisecond(), alert.envelope.key.0])?;
        alerts.push(alert);
    }
    Ok(alerts)
}

pub(super) fn alert(c: &Connection, key: &AlertKey) -> Result<Option<StoredAlert>, Fault> {
    let row = c
        .prepare_cached("SELECT envelope, raw, derived FROM alerts WHERE key = ?")?
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
  AND a.routed_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = a.key AND d.final = 0)";

pub(super) fn any_swept(c: &Connection, before: Timestamp) -> Result<bool, Fault> {
    Ok(c.prepare_cached(&format!("SELECT 1 {OVER} LIMIT 1"))?.exists([before.as_millisecond()])?)
}

pub(super) fn sweep(tx: &Transaction<'_>, before: Timestamp, limit: u32) -> Result<u64, Fault> {
    let keys: Vec<String> = tx
        .prepare_cached(&format!("SELECT a.key {OVER} ORDER BY max(a.accepted_at, coalesce(a.expires_at, a.accepted_at)), a.key LIMIT ?2"))?
        .query_map(params![before.as_millisecond(), limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut swept = 0;
    for key in keys {
        let dead: i64 = tx
            .prepare_cached("SELECT count(*) FROM deliveries WHERE alert = ? AND state = 'dead'")?
            .query_row([&key], |row| row.get(0))?;
        count(tx, "dead", -dead)?;
        tx.prepare_cached(
            "DELETE FROM renderings WHERE delivery IN (SELECT id FROM deliveries WHERE alert = ?)",
        )?
        .execute([&key])?;
        tx.prepare_cached("DELETE FROM deliveries WHERE alert = ?")?.execute([&key])?;
        tx.prepare_cached("DELETE FROM alerts WHERE key = ?")?.execute([&key])?;
        swept += 1;
    }
    Ok(swept)
}

//! The record: events, quarantine, checkpoints, leases, counters.

use bytes::Bytes;
use capbridge_adapters::passage::Origin;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, Tx, alerts, deliveries, retention};
use crate::audit;
use crate::envelope::{AlertKey, Envelope, Quarantined, Reference, Release};
use crate::store::{Depth, Event, Journey, JourneyDelivery, LogSpan, Logged, Page};

pub(super) fn depth(c: &Connection) -> Result<Depth, Fault> {
    let mut depth = Depth::default();
    let rows: Vec<(String, i64)> = c
        .prepare_cached("SELECT name, n FROM counters")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, n) in rows {
        let n = u64::try_from(n).unwrap_or(0);
        match name.as_str() {
            "unrouted" => depth.unrouted = n,
            "urgent" => depth.urgent = n,
            "routine" => depth.routine = n,
            "dead" => depth.dead = n,
            "quarantined" => depth.quarantined = n,
            _ => {}
        }
    }
    let oldest: Option<String> = c
        .prepare_cached("SELECT delivery FROM deliveries WHERE final = 0 ORDER BY seq LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if let Some(text) = oldest {
        let delivery: crate::store::Delivery = serde_json::from_str(&text)?;
        depth.oldest_queued_at = Some(delivery.queued_at);
    }
    Ok(depth)
}

pub(super) fn probe(tx: &Tx<'_>, bytes: usize) -> Result<(), Fault> {
    if bytes > 0 {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        tx.prepare_cached("INSERT INTO probe (body) VALUES (zeroblob(?))")?.execute([bytes])?;
    }
    tx.count("probe", 1);
    Ok(())
}

pub(super) fn clear_probe(tx: &Tx<'_>) -> Result<(), Fault> {
    tx.prepare_cached("DELETE FROM probe")?.execute([])?;
    Ok(())
}

pub(super) fn append(tx: &Tx<'_>, events: &[Event]) -> Result<(), Fault> {
    append_about(tx, None, events)
}

/// Appends events to the log, and to the journey of `about` where that is given, else of the alert that each names.
pub(super) fn append_about(tx: &Tx<'_>, about: Option<&AlertKey>, events: &[Event]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    // The newest entry is never deleted.
    let mut previous = tx.newest_hash(|| {
        let hash: Option<String> = tx
            .prepare_cached("SELECT hash FROM events ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(hash.unwrap_or_else(|| audit::GENESIS.to_owned()))
    })?;
    for event in events {
        let entry = audit::chain(&previous, event);
        tx.prepare_cached("INSERT INTO events (alert, event, hash) VALUES (?,?,?)")?.execute(params![
            about.or(event.alert.as_ref()).map(|k| &k.0),
            entry.text,
            entry.hash
        ])?;
        previous = entry.hash;
    }
    tx.appended(previous);
    Ok(())
}

pub(super) fn log(c: &Connection, span: &LogSpan, limit: u32) -> Result<Vec<Logged>, Fault> {
    let place = |text: &str| {
        let missing = |_| Fault::Missing { what: "entry of the record at", id: text.to_owned() };
        text.parse::<i64>().map_err(missing)
    };
    let (order, from) = match span {
        LogSpan::After(text) => ("seq > ? ORDER BY seq", place(text)?),
        LogSpan::Before(Some(text)) => ("seq < ? ORDER BY seq DESC", place(text)?),
        LogSpan::Before(None) => ("seq < ? ORDER BY seq DESC", i64::MAX),
    };
    let rows: Vec<(i64, String)> = c
        .prepare_cached(&format!("SELECT seq, event FROM events WHERE {order} LIMIT ?"))?
        .query_map(params![from, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let logged = |(seq, text): (i64, String)| {
        Ok(Logged { place: seq.to_string(), event: serde_json::from_str(&text)? })
    };
    rows.into_iter().map(logged).collect()
}

pub(super) fn verify(c: &Connection) -> Result<Result<u64, u64>, Fault> {
    let mut statement = c.prepare("SELECT event, hash FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut chain = audit::Chain::behind(retention::anchor(c)?);
    while let Some(row) = rows.next()? {
        let (text, hash): (String, String) = (row.get(0)?, row.get(1)?);
        if let Err(number) = chain.next(&text, &hash) {
            return Ok(Err(number));
        }
    }
    Ok(chain.end())
}

pub(super) fn journey(c: &Connection, key: &AlertKey) -> Result<Option<Journey>, Fault> {
    let Some(alert) = alerts::alert(c, key)? else { return Ok(None) };
    let events: Vec<String> = c
        .prepare_cached("SELECT event FROM events WHERE alert = ? ORDER BY seq")?
        .query_map([&key.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let repeats: i64 = c
        .prepare_cached("SELECT repeats FROM seen WHERE key = ?")?
        .query_row([&key.0], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let members: Vec<String> = c
        .prepare_cached("SELECT envelope FROM alerts WHERE chain = ? ORDER BY sent_at, seq")?
        .query_map([&alert.envelope.chain.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let members: Vec<Envelope> = members.iter().map(|t| serde_json::from_str(t)).collect::<Result<_, _>>()?;
    let chain: Vec<Reference> = members.into_iter().filter(|m| m.key != *key).map(|m| m.reference).collect();
    Ok(Some(Journey {
        deliveries: deliveries::of_alert(c, key)?
            .into_iter()
            .map(|(delivery, reference, report)| JourneyDelivery { delivery, reference, report })
            .collect(),
        events: events.iter().map(|t| serde_json::from_str(t)).collect::<Result<_, _>>()?,
        repeats: u64::try_from(repeats).unwrap_or(0),
        chain,
        envelope: alert.envelope,
    }))
}

pub(super) fn quarantine(tx: &Tx<'_>, entry: &Quarantined, raw: &Bytes) -> Result<(), Fault> {
    if let Some((mut known, _)) = quarantined_document(tx, &entry.id)? {
        known.times = known.times.saturating_add(1);
        return update(tx, &known);
    }
    tx.prepare_cached("INSERT INTO quarantine (id, entry, raw) VALUES (?,?,?)")?.execute(params![
        entry.id,
        serde_json::to_string(entry)?,
        raw.as_ref()
    ])?;
    tx.count("documents", 1);
    tx.count("quarantined", 1);
    Ok(())
}

fn update(tx: &Tx<'_>, entry: &Quarantined) -> Result<(), Fault> {
    tx.prepare_cached("UPDATE quarantine SET entry = ? WHERE id = ?")?
        .execute(params![serde_json::to_string(entry)?, entry.id])?;
    Ok(())
}

pub(super) fn release(tx: &Tx<'_>, id: &str, release: Release) -> Result<(Quarantined, Bytes), Fault> {
    let Some((mut entry, raw)) = quarantined_document(tx, id)? else {
        return Err(Fault::Missing { what: "quarantined document", id: id.to_owned() });
    };
    if entry.released.is_none() {
        tx.count("quarantined", -1);
    }
    entry.released = Some(release);
    update(tx, &entry)?;
    Ok((entry, raw))
}

pub(super) fn quarantined(c: &Connection, page: Page) -> Result<Vec<Quarantined>, Fault> {
    let rows: Vec<String> = c
        .prepare_cached("SELECT entry FROM quarantine ORDER BY seq DESC LIMIT ? OFFSET ?")?
        .query_map([page.limit, page.skip], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    rows.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

pub(super) fn quarantined_document(c: &Connection, id: &str) -> Result<Option<(Quarantined, Bytes)>, Fault> {
    let row: Option<(String, Vec<u8>)> = c
        .prepare_cached("SELECT entry, raw FROM quarantine WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((entry, raw)) = row else { return Ok(None) };
    Ok(Some((serde_json::from_str(&entry)?, Bytes::from(raw))))
}

pub(super) fn checkpoint(c: &Connection, origin: &Origin) -> Result<Option<String>, Fault> {
    Ok(c.prepare_cached("SELECT value FROM checkpoints WHERE origin = ?")?
        .query_row([&origin.0], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_checkpoint(tx: &Tx<'_>, origin: &Origin, value: &str) -> Result<(), Fault> {
    tx.prepare_cached("INSERT OR REPLACE INTO checkpoints (origin, value) VALUES (?,?)")?
        .execute([&origin.0, value])?;
    Ok(())
}

pub(super) fn lease(
    tx: &Tx<'_>,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, Fault> {
    let other: bool = tx
        .prepare_cached("SELECT 1 FROM leases WHERE name = ? AND holder <> ? AND until > ?")?
        .exists(params![name, holder, now.as_millisecond()])?;
    if other {
        return Ok(false);
    }
    tx.prepare_cached("INSERT OR REPLACE INTO leases (name, holder, until) VALUES (?,?,?)")?
        .execute(params![name, holder, until.as_millisecond()])?;
    Ok(true)
}

pub(super) fn unlease(tx: &Tx<'_>, name: &str, holder: &str) -> Result<(), Fault> {
    tx.prepare_cached("DELETE FROM leases WHERE name = ? AND holder = ?")?.execute([name, holder])?;
    Ok(())
}

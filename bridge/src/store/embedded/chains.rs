//! Chains: which messages belong together, whichever came first.
//!
//! Owns the names that references give to messages. A name is in a chain before anybody carries it, so that a message
//! that comes after what follows it finds its place.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Fault, Tx};
use crate::envelope::{ChainKey, ChainName, Envelope};

/// Puts a message into its chain; chains that it connects become one.
pub(super) fn join(tx: &Tx<'_>, envelope: &Envelope) -> Result<ChainKey, Fault> {
    let mut found: Vec<String> = Vec::new();
    for name in envelope.follows.iter().chain([&envelope.name]) {
        if let Some(chain) = chain_of(tx, name)?
            && !found.contains(&chain)
        {
            found.push(chain);
        }
    }
    let chain = found.first().cloned().unwrap_or_else(|| envelope.key.0.clone());
    for other in found.iter().skip(1) {
        merge(tx, other, &chain)?;
    }
    for name in &envelope.follows {
        tx.prepare_cached(
            "INSERT OR IGNORE INTO names (name, chain, accepted, over_at) VALUES (?, ?, 0, ?)",
        )?
        .execute(params![name.0, chain, envelope.over_at().as_millisecond()])?;
    }
    tx.prepare_cached(
        "INSERT INTO names (name, chain, accepted) VALUES (?, ?, 1) ON CONFLICT (name) DO UPDATE
         SET accepted = 1, over_at = NULL",
    )?
    .execute([&envelope.name.0, &chain])?;
    release(tx, envelope, &chain)?;
    Ok(ChainKey(chain))
}

/// Until when a message is held: nothing that it follows is here.
pub(super) fn hold(tx: &Tx<'_>, envelope: &Envelope) -> Result<Option<Timestamp>, Fault> {
    let Some(until) = envelope.hold_until else { return Ok(None) };
    Ok((!known(tx, &envelope.follows)?.contains(&true)).then_some(until))
}

/// What waited for this message waits no longer.
fn release(tx: &Tx<'_>, envelope: &Envelope, chain: &str) -> Result<(), Fault> {
    let held: Vec<String> = tx
        .prepare_cached("SELECT envelope FROM alerts WHERE chain = ? AND waits = 1 AND hold_until > 0")?
        .query_map([chain], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for text in held {
        let waiting: Envelope = serde_json::from_str(&text)?;
        if waiting.follows.contains(&envelope.name) {
            tx.prepare_cached("UPDATE alerts SET hold_until = 0 WHERE key = ?")?.execute([&waiting.key.0])?;
        }
    }
    Ok(())
}

fn chain_of(c: &Connection, name: &ChainName) -> Result<Option<String>, Fault> {
    Ok(c.prepare_cached("SELECT chain FROM names WHERE name = ?")?
        .query_row([&name.0], |row| row.get(0))
        .optional()?)
}

/// Moves everything of a chain to another. Of two heads of one line the later one steps back, unless it is under way.
fn merge(tx: &Tx<'_>, from: &str, into: &str) -> Result<(), Fault> {
    let both = params![from, into];
    tx.prepare_cached("UPDATE names SET chain = ?2 WHERE chain = ?1")?.execute(both)?;
    tx.prepare_cached(
        "UPDATE alerts SET chain = ?2, envelope = json_set(envelope, '$.chain', ?2) WHERE chain = ?1",
    )?
    .execute(both)?;
    tx.prepare_cached(
        "UPDATE deliveries SET chain = ?2, delivery = json_set(delivery, '$.chain', ?2) WHERE chain = ?1",
    )?
    .execute(both)?;
    tx.prepare_cached(
        "UPDATE deliveries SET head = 0 WHERE chain = ?1 AND final = 0 AND state <> 'attempting' AND seq >
         (SELECT min(d.seq) FROM deliveries d WHERE d.endpoint = deliveries.endpoint AND d.chain = ?1 AND d.final = 0)",
    )?
    .execute([into])?;
    Ok(())
}

pub(super) fn known(c: &Connection, names: &[ChainName]) -> Result<Vec<bool>, Fault> {
    let mut statement = c.prepare_cached("SELECT 1 FROM names WHERE name = ? AND accepted = 1")?;
    names.iter().map(|name| Ok(statement.exists([&name.0])?)).collect()
}

pub(super) fn later(c: &Connection, chain: &ChainKey, sent_at: Timestamp) -> Result<Vec<Envelope>, Fault> {
    let rows: Vec<String> = c
        .prepare_cached(
            "SELECT envelope FROM alerts WHERE chain = ? AND sent_at >= ? AND routed_at IS NOT NULL ORDER BY sent_at, seq",
        )?
        .query_map(params![chain.0, sent_at.as_millisecond()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    rows.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

//! What is deleted when its time is over.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{EmbeddedStore, Fault, Tx, alerts, record};
use crate::audit::{self, Anchor};
use crate::envelope::{AlertKey, Envelope, Quarantined, Reference};
use crate::store::retention::{Retention, Size};
use crate::store::{Event, Rendering, StoreError};

#[async_trait]
impl Retention for EmbeddedStore {
    async fn sweep(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        if !self.read("look for what is to be deleted", move |c| alerts::any_swept(c, before)).await? {
            return Ok(0);
        }
        self.write("delete what is over its retention", move |tx| alerts::sweep(tx, before, limit)).await
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write("forget old keys", move |tx| forget(tx, before, limit)).await
    }

    async fn sweep_quarantine(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write("delete old documents from quarantine", move |tx| sweep_quarantine(tx, before, limit))
            .await
    }

    async fn trim_record(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write("delete the beginning of the record", move |tx| trim(tx, before, now, limit)).await
    }

    async fn size(&self) -> Result<Size, StoreError> {
        self.read("measure", size).await
    }
}

/// What is known of an alert longer than the alert itself is to be forgotten when this time is long over.
pub(super) fn outlive(tx: &Tx<'_>, envelope: &Envelope, over_at: i64) -> Result<(), Fault> {
    tx.prepare_cached("UPDATE seen SET over_at = ? WHERE key = ?")?
        .execute(params![over_at, envelope.key.0])?;
    tx.prepare_cached("UPDATE names SET over_at = ? WHERE name = ?")?
        .execute(params![over_at, envelope.name.0])?;
    let mut ours = tx.prepare_cached("UPDATE ours SET over_at = ? WHERE identifier = ? AND sender = ?")?;
    for reference in issued_for(tx, &envelope.key)? {
        ours.execute(params![over_at, reference.identifier, reference.sender])?;
    }
    Ok(())
}

/// The references of our own messages that were made of an alert.
fn issued_for(tx: &Tx<'_>, key: &AlertKey) -> Result<Vec<Reference>, Fault> {
    let texts: Vec<String> = tx
        .prepare_cached(
            "SELECT r.rendering FROM renderings r JOIN deliveries d ON d.seq = r.seq WHERE d.alert = ?",
        )?
        .query_map([&key.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for text in texts {
        let rendering: Rendering = serde_json::from_str(&text)?;
        if rendering.translated {
            found.extend(rendering.earlier);
            found.push(rendering.reference);
        }
    }
    Ok(found)
}

fn forget(tx: &Tx<'_>, before: Timestamp, limit: u32) -> Result<u64, Fault> {
    let mut forgotten = 0;
    for sql in [
        "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE over_at < ? ORDER BY over_at LIMIT ?)",
        "DELETE FROM names WHERE name IN (SELECT name FROM names WHERE over_at < ? ORDER BY over_at LIMIT ?)",
        "DELETE FROM ours WHERE (identifier, sender) IN
         (SELECT identifier, sender FROM ours WHERE over_at < ? ORDER BY over_at LIMIT ?)",
    ] {
        forgotten += tx.prepare_cached(sql)?.execute(params![before.as_millisecond(), limit])?;
    }
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}

fn sweep_quarantine(tx: &Tx<'_>, before: Timestamp, limit: u32) -> Result<u64, Fault> {
    let oldest: Vec<String> = tx
        .prepare_cached("SELECT entry FROM quarantine ORDER BY seq LIMIT ?")?
        .query_map([limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut swept = 0;
    for text in oldest {
        let entry: Quarantined = serde_json::from_str(&text)?;
        if entry.received_at >= before {
            break;
        }
        tx.prepare_cached("DELETE FROM quarantine WHERE id = ?")?.execute([&entry.id])?;
        tx.count("documents", -1);
        if entry.released.is_none() {
            tx.count("quarantined", -1);
        }
        swept += 1;
    }
    Ok(swept)
}

/// Where the record begins.
pub(super) fn anchor(c: &Connection) -> Result<Anchor, Fault> {
    let found: Option<(i64, String)> = c
        .prepare_cached("SELECT entries, hash FROM anchor")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map_or_else(Anchor::default, |(entries, hash)| Anchor {
        entries: u64::try_from(entries).unwrap_or(0),
        hash,
    }))
}

fn trim(tx: &Tx<'_>, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, Fault> {
    let rows: Vec<(i64, String, String)> = tx
        .prepare_cached("SELECT seq, event, hash FROM events ORDER BY seq LIMIT ?")?
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let newest: Option<i64> =
        tx.prepare_cached("SELECT max(seq) FROM events")?.query_row([], |row| row.get(0))?;
    let mut anchor = anchor(tx)?;
    let mut last = None;
    for (seq, text, hash) in rows {
        let event: Event = serde_json::from_str(&text)?;
        if event.at >= before || Some(seq) == newest {
            break;
        }
        anchor = Anchor { entries: anchor.entries + 1, hash };
        last = Some(seq);
    }
    let Some(last) = last else { return Ok(0) };
    record::append(tx, &[audit::trimmed(now, &anchor)])?;
    let trimmed = tx.prepare_cached("DELETE FROM events WHERE seq <= ?")?.execute([last])?;
    tx.prepare_cached("DELETE FROM anchor")?.execute([])?;
    tx.prepare_cached("INSERT INTO anchor (entries, hash) VALUES (?, ?)")?
        .execute(params![i64::try_from(anchor.entries).unwrap_or(i64::MAX), anchor.hash])?;
    Ok(u64::try_from(trimmed).unwrap_or(u64::MAX))
}

fn size(c: &Connection) -> Result<Size, Fault> {
    let number = |sql: &str| -> Result<u64, Fault> {
        let found: Option<i64> = c.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(found.unwrap_or(0)).unwrap_or(0))
    };
    let pages = number("SELECT page_count FROM pragma_page_count")?;
    let free = number("SELECT freelist_count FROM pragma_freelist_count")?;
    Ok(Size {
        bytes: pages.saturating_sub(free) * number("SELECT page_size FROM pragma_page_size")?,
        // Entries are numbered without a gap, and only the first ones are ever deleted.
        record_entries: number("SELECT 1 + max(seq) - (SELECT min(seq) FROM events) FROM events")?,
        quarantined: number("SELECT n FROM counters WHERE name = 'documents'")?,
    })
}

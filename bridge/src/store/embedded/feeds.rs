//! Entries of feeds: two tables.

use async_trait::async_trait;
use bytes::Bytes;
use capbridge_adapters::feed::{Entry, Keeping};
use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{EmbeddedStore, Fault, Tx};
use crate::store::StoreError;
use crate::store::feeds::{Extent, FeedStore, Placed, Span};

/// Made where they are missing: a program that does not know them is not in their way.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS feeds (
  feed TEXT PRIMARY KEY,
  last INTEGER NOT NULL,
  swept INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feed_entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  feed TEXT NOT NULL,
  place INTEGER NOT NULL,
  id TEXT NOT NULL,
  reference TEXT NOT NULL,
  -- 1: nothing took its place, and it is no end of something.
  stands INTEGER NOT NULL,
  expires_at INTEGER,
  over_at INTEGER NOT NULL,
  entry TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (feed, place),
  UNIQUE (feed, id)
);
CREATE INDEX IF NOT EXISTS feed_entries_reference ON feed_entries (feed, reference);
CREATE INDEX IF NOT EXISTS feed_entries_stands ON feed_entries (feed, place) WHERE stands = 1;
CREATE INDEX IF NOT EXISTS feed_entries_age ON feed_entries (feed, over_at);
";

#[async_trait]
impl FeedStore for EmbeddedStore {
    async fn keep(&self, keeping: Keeping) -> Result<u64, StoreError> {
        self.write("keep an entry of a feed", move |tx| keep(tx, &keeping)).await
    }

    async fn entries(&self, feed: &EndpointName, span: Span, limit: u32) -> Result<Vec<Placed>, StoreError> {
        let feed = feed.clone();
        self.read("read a feed", move |c| entries(c, &feed, span, limit)).await
    }

    async fn in_force(
        &self,
        feed: &EndpointName,
        now: Timestamp,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Placed>, StoreError> {
        let feed = feed.clone();
        self.read("read what is in force", move |c| {
            let rows = c
                .prepare_cached(
                    "SELECT place, entry FROM feed_entries WHERE feed = ? AND stands = 1 AND place < ?
                     AND (expires_at IS NULL OR expires_at > ?) ORDER BY place DESC LIMIT ?",
                )?
                .query_map(params![feed.0, number(before), now.as_millisecond(), limit], row)?
                .collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(placed).collect()
        })
        .await
    }

    async fn entry(&self, feed: &EndpointName, id: &str) -> Result<Option<(Placed, Bytes)>, StoreError> {
        let (feed, id) = (feed.clone(), id.to_owned());
        self.read("read an entry of a feed", move |c| {
            let found = c
                .prepare_cached("SELECT place, entry, body FROM feed_entries WHERE feed = ? AND id = ?")?
                .query_row([&feed.0, &id], |r| Ok((row(r)?, r.get::<_, Vec<u8>>(2)?)))
                .optional()?;
            found.map(|(found, body)| Ok((placed(found)?, Bytes::from(body)))).transpose()
        })
        .await
    }

    async fn extent(&self, feed: &EndpointName) -> Result<Extent, StoreError> {
        let feed = feed.clone();
        self.read("see how far a feed is", move |c| extent(c, &feed)).await
    }

    async fn feeds(&self) -> Result<Vec<EndpointName>, StoreError> {
        self.read("list feeds", |c| {
            let names = c
                .prepare_cached("SELECT feed FROM feeds ORDER BY feed")?
                .query_map([], |row| row.get(0).map(EndpointName))?
                .collect::<Result<_, _>>()?;
            Ok(names)
        })
        .await
    }

    async fn sweep_feed(
        &self,
        feed: &EndpointName,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const OLD: &str = "FROM feed_entries WHERE feed = ?1 AND over_at < ?2";
        let (feed, before) = (feed.clone(), before.as_millisecond());
        let asked = feed.clone();
        let any = self.read("look for old entries", move |c| {
            Ok(c.prepare_cached(&format!("SELECT 1 {OLD} LIMIT 1"))?.exists(params![asked.0, before])?)
        });
        if !any.await? {
            return Ok(0);
        }
        self.write("delete old entries", move |tx| {
            let old: Vec<(i64, i64)> = tx
                .prepare_cached(&format!("SELECT seq, place {OLD} ORDER BY over_at, place LIMIT ?3"))?
                .query_map(params![feed.0, before, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut swept = 0;
            for (seq, place) in old {
                tx.prepare_cached("DELETE FROM feed_entries WHERE seq = ?")?.execute([seq])?;
                tx.prepare_cached("UPDATE feeds SET swept = max(swept, ?2) WHERE feed = ?1")?
                    .execute(params![feed.0, place])?;
                swept += 1;
            }
            Ok(swept)
        })
        .await
    }
}

/// SQLite counts with a sign.
fn number(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn row(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn placed((place, entry): (i64, String)) -> Result<Placed, Fault> {
    let entry: Entry = serde_json::from_str(&entry)?;
    Ok(Placed { place: u64::try_from(place).unwrap_or(0), entry })
}

fn extent(c: &Connection, feed: &EndpointName) -> Result<Extent, Fault> {
    let found: Option<(i64, i64)> = c
        .prepare_cached("SELECT last, swept FROM feeds WHERE feed = ?")?
        .query_row([&feed.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (last, swept) = found.unwrap_or_default();
    Ok(Extent { last: u64::try_from(last).unwrap_or(0), swept: u64::try_from(swept).unwrap_or(0) })
}

fn keep(tx: &Tx<'_>, keeping: &Keeping) -> Result<u64, Fault> {
    let Keeping { feed, entry, body } = keeping;
    let known: Option<i64> = tx
        .prepare_cached("SELECT place FROM feed_entries WHERE feed = ? AND id = ?")?
        .query_row([&feed.0, &entry.id], |row| row.get(0))
        .optional()?;
    if let Some(place) = known {
        return Ok(u64::try_from(place).unwrap_or(0));
    }
    let place = extent(tx, feed)?.last + 1;
    tx.prepare_cached(
        "INSERT INTO feeds (feed, last, swept) VALUES (?1, ?2, 0) ON CONFLICT (feed) DO UPDATE SET last = ?2",
    )?
    .execute(params![feed.0, number(place)])?;
    tx.prepare_cached(
        "INSERT INTO feed_entries (feed, place, id, reference, stands, expires_at, over_at, entry, body)
         VALUES (?,?,?,?,?,?,?,?,?)",
    )?
    .execute(params![
        feed.0,
        number(place),
        entry.id,
        entry.reference,
        entry.is_in_force(),
        entry.expires_at.map(Timestamp::as_millisecond),
        entry.over_at().as_millisecond(),
        serde_json::to_string(entry)?,
        body.as_ref(),
    ])?;
    let mut end = tx.prepare_cached(
        "UPDATE feed_entries SET stands = 0 WHERE feed = ? AND reference = ? AND place < ?",
    )?;
    for replaced in &entry.replaces {
        end.execute(params![feed.0, replaced, number(place)])?;
    }
    Ok(place)
}

fn entries(c: &Connection, feed: &EndpointName, span: Span, limit: u32) -> Result<Vec<Placed>, Fault> {
    let (place, sql) = match span {
        Span::After(place) => (
            place,
            "SELECT place, entry FROM feed_entries WHERE feed = ? AND place > ? ORDER BY place LIMIT ?",
        ),
        Span::Before(place) => (
            place,
            "SELECT place, entry FROM feed_entries WHERE feed = ? AND place < ? ORDER BY place DESC LIMIT ?",
        ),
    };
    let rows = c
        .prepare_cached(sql)?
        .query_map(params![feed.0, number(place), limit], row)?
        .collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(placed).collect()
}

//! Reading everything that the embedded store holds, in the form of no engine (`store copy`).
//!
//! Owns the list of tables and columns that a copy takes; a test compares it with the schema, so that what is added there
//! is not forgotten here.

use std::path::Path;

use bytes::Bytes;
use capbridge_adapters::feed::Keeping;
use capbridge_adapters::passage::EndpointName;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{EmbeddedStore, Fault, deliveries, engine, registrations};
use crate::audit::{self, Anchor};
use crate::envelope::{AlertKey, Envelope, StoredAlert};
use crate::store::copy::{Entry, Kind, Name, Ours, Record, Seen};
use crate::store::feeds::Extent;
use crate::store::registrations::Registration;
use crate::store::{DeliveryId, StoreError};

/// The bytes after which a batch is full.
const BATCH_BYTES: usize = 16 << 20;

impl EmbeddedStore {
    /// Opens a store that is there.
    ///
    /// # Errors
    /// As `open`; there is none in the folder.
    pub fn open_existing(folder: &Path) -> Result<Self, StoreError> {
        if folder.join("capbridge.sqlite").is_file() {
            return Self::open(folder);
        }
        Err(engine("open its file", Fault::Missing { what: "store in", id: folder.display().to_string() }))
    }

    /// What tells the state of this store from every other: its life is in the audit log.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn fingerprint(&self) -> Result<String, StoreError> {
        self.read("read the end of the record", |c| {
            let last = c
                .prepare_cached("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")?
                .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
                .optional()?;
            let (seq, hash) = last.unwrap_or((0, audit::GENESIS.to_owned()));
            Ok(format!("{seq} {hash}"))
        })
        .await
    }

    /// How many records of a kind there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn count(&self, kind: Kind) -> Result<u64, StoreError> {
        self.read("count records", move |c| {
            let sql = format!("SELECT count(*) FROM {}", table(kind));
            let count: i64 = c.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }

    /// The records of a kind behind a place, at most `limit`, and the place of the last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn export(
        &self,
        kind: Kind,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<Record>, String), StoreError> {
        let after = after.to_owned();
        self.read("read records to be copied", move |c| {
            let mut place = after.clone();
            let mut records = Vec::new();
            for (at, record) in read(c, kind, &after, limit)? {
                place = at;
                records.push(record);
            }
            Ok((records, place))
        })
        .await
    }
}

/// The table of a kind.
fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Alerts => "alerts",
        Kind::Seen => "seen",
        Kind::Names => "names",
        Kind::Deliveries => "deliveries",
        Kind::Renderings => "renderings",
        Kind::Ours => "ours",
        Kind::Quarantine => "quarantine",
        Kind::Anchors => "anchor",
        Kind::Events => "events",
        Kind::Checkpoints => "checkpoints",
        Kind::Registrations => "registrations",
        Kind::Feeds => "feeds",
        Kind::FeedEntries => "feed_entries",
    }
}

type Placed = (String, Record);

fn read(c: &Connection, kind: Kind, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    match kind {
        Kind::Alerts => numbered(
            c,
            "SELECT a.seq, a.envelope, b.raw, b.derived, a.waits, a.routed_at IS NOT NULL, a.hold_until,
             (SELECT count(*) FROM deliveries d WHERE d.alert = a.key AND d.final = 0)
             FROM alerts a JOIN documents b ON b.seq = a.seq WHERE a.seq > ? ORDER BY a.seq LIMIT ?",
            (after, limit),
            alert,
        ),
        Kind::Deliveries => numbered(
            c,
            "SELECT d.seq, d.delivery, d.head, coalesce(a.sent_at, 0) FROM deliveries d
             LEFT JOIN alerts a ON a.key = d.alert WHERE d.seq > ? ORDER BY d.seq LIMIT ?",
            (after, limit),
            |row| {
                let delivery = serde_json::from_str(&row.get::<_, String>(1)?)?;
                Ok(Record::Delivery { seq: row.get(0)?, delivery, head: row.get(2)?, sent_ms: row.get(3)? })
            },
        ),
        Kind::Quarantine => numbered(
            c,
            "SELECT seq, entry, raw FROM quarantine WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
            |row| {
                let entry = serde_json::from_str(&row.get::<_, String>(1)?)?;
                Ok(Record::Quarantined {
                    seq: row.get(0)?,
                    entry,
                    raw: Bytes::from(row.get::<_, Vec<u8>>(2)?),
                })
            },
        ),
        Kind::Events => numbered(
            c,
            "SELECT e.seq, a.key, e.event, e.hash FROM events e LEFT JOIN alerts a ON a.key = e.alert
             WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
            (after, limit),
            |row| {
                let (seq, alert, text, hash) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Record::Event(Entry { seq, alert, text, hash }))
            },
        ),
        Kind::Seen => read_seen(c, after, limit),
        Kind::Names => read_names(c, after, limit),
        Kind::Renderings => numbered(
            c,
            "SELECT r.seq, d.id, r.rendering, r.body FROM renderings r JOIN deliveries d ON d.seq = r.seq
             WHERE r.seq > ? ORDER BY r.seq LIMIT ?",
            (after, limit),
            |row| {
                let rendering = deliveries::rendering(row.get(2)?, row.get(3)?)?;
                Ok(Record::Rendering(DeliveryId(row.get(1)?), Box::new(rendering)))
            },
        ),
        Kind::Checkpoints => named(
            c,
            "SELECT origin, value FROM checkpoints WHERE origin > ? ORDER BY origin LIMIT ?",
            (after, limit),
            |row| Ok(Record::Checkpoint { origin: row.get(0)?, value: row.get(1)? }),
        ),
        Kind::Anchors => read_anchor(c, after, limit),
        Kind::Registrations => documents(c, after, limit),
        Kind::Feeds | Kind::FeedEntries => read_feeds(c, kind, after, limit),
        Kind::Ours => ours(c, after, limit),
    }
}

fn read_seen(c: &Connection, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    let sql = "SELECT key, digest, content_digest, twin, repeats, over_at FROM seen WHERE key > ? ORDER BY key LIMIT ?";
    named(c, sql, (after, limit), |row| {
        let (key, digest, content) = (AlertKey(row.get(0)?), row.get(1)?, row.get(2)?);
        let (twin, repeats, over_ms) = (row.get(3)?, row.get(4)?, row.get(5)?);
        Ok(Record::Seen(Seen { key, digest, content, twin, repeats, over_ms }))
    })
}

fn read_names(c: &Connection, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    let sql = "SELECT name, chain, accepted, over_at FROM names WHERE name > ? ORDER BY name LIMIT ?";
    named(c, sql, (after, limit), |row| {
        let (name, chain) = (row.get(0)?, row.get(1)?);
        Ok(Record::Name(Name { name, chain, accepted: row.get(2)?, over_ms: row.get(3)? }))
    })
}

fn read_anchor(c: &Connection, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    numbered(c, "SELECT entries, hash FROM anchor WHERE entries > ? LIMIT ?", (after, limit), |row| {
        let entries = unsigned(row.get(0)?);
        Ok(Record::Anchor(Anchor { entries, hash: row.get(1)? }))
    })
}

fn documents(c: &Connection, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    let found = registrations::registrations(c, after.parse().unwrap_or(0), limit)?;
    let place = |r: Registration| (r.revision.to_string(), Record::Registration(Box::new(r)));
    Ok(found.into_iter().map(place).collect())
}

fn read_feeds(c: &Connection, kind: Kind, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    if kind == Kind::Feeds {
        return named(
            c,
            "SELECT feed, last, swept FROM feeds WHERE feed > ? ORDER BY feed LIMIT ?",
            (after, limit),
            |row| {
                let (last, swept): (i64, i64) = (row.get(1)?, row.get(2)?);
                let extent = Extent { last: unsigned(last), swept: unsigned(swept) };
                Ok(Record::Feed(EndpointName(row.get(0)?), extent))
            },
        );
    }
    numbered(
        c,
        "SELECT seq, feed, place, stands, entry, body FROM feed_entries WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
        |row| {
            let entry = serde_json::from_str(&row.get::<_, String>(4)?)?;
            let body = Bytes::from(row.get::<_, Vec<u8>>(5)?);
            let keeping = Box::new(Keeping { feed: EndpointName(row.get(1)?), entry, body });
            Ok(Record::FeedEntry { keeping, place: unsigned(row.get(2)?), stands: row.get(3)? })
        },
    )
}

/// SQLite counts with a sign.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn alert(row: &Row<'_>) -> Result<Record, Fault> {
    let envelope: Envelope = serde_json::from_str(&row.get::<_, String>(1)?)?;
    let alert = StoredAlert {
        envelope,
        raw: Bytes::from(row.get::<_, Vec<u8>>(2)?),
        derived: row.get::<_, Option<Vec<u8>>>(3)?.map(Bytes::from),
    };
    Ok(Record::Alert {
        seq: row.get(0)?,
        alert: Box::new(alert),
        waits: row.get(4)?,
        routed: row.get(5)?,
        hold_ms: row.get(6)?,
        open: row.get(7)?,
    })
}

/// Rows by number; the first column is the place.
fn numbered(
    c: &Connection,
    sql: &str,
    (after, limit): (&str, u32),
    read: impl Fn(&Row<'_>) -> Result<Record, Fault>,
) -> Result<Vec<Placed>, Fault> {
    let after: i64 = after.parse().unwrap_or(0);
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, limit])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES
        && let Some(row) = rows.next()?
    {
        let record = read(row)?;
        bytes += record.body_bytes();
        found.push((row.get::<_, i64>(0)?.to_string(), record));
    }
    Ok(found)
}

/// Rows by name; the first column is the place.
fn named(
    c: &Connection,
    sql: &str,
    (after, limit): (&str, u32),
    read: impl Fn(&Row<'_>) -> Result<Record, Fault>,
) -> Result<Vec<Placed>, Fault> {
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, limit])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES
        && let Some(row) = rows.next()?
    {
        let record = read(row)?;
        bytes += record.body_bytes();
        found.push((row.get(0)?, record));
    }
    Ok(found)
}

/// The place of a message of ours is its identifier and its sender, as JSON.
fn ours(c: &Connection, after: &str, limit: u32) -> Result<Vec<Placed>, Fault> {
    let (identifier, sender): (String, String) =
        if after.is_empty() { Default::default() } else { serde_json::from_str(after)? };
    let mut statement = c.prepare_cached(
        "SELECT identifier, sender, alert, over_at FROM ours WHERE (identifier, sender) > (?, ?)
         ORDER BY identifier, sender LIMIT ?",
    )?;
    let mut rows = statement.query(params![identifier, sender, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (identifier, sender) = (row.get(0)?, row.get(1)?);
        let ours = Ours { identifier, sender, alert: row.get(2)?, over_ms: row.get(3)? };
        found.push((serde_json::to_string(&(&ours.identifier, &ours.sender))?, Record::Ours(ours)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What a copy takes of each table, and what it leaves: `-` before a column that the others say, or that is of the
    /// process that is gone.
    const COLUMNS: &[(&str, &str)] = &[
        (
            "alerts",
            "seq -key -chain -urgent envelope -sent_at -accepted_at -expires_at waits routed_at hold_until \
             -lease_until",
        ),
        ("documents", "-seq raw derived"),
        ("seen", "key -sender -identifier digest content_digest twin repeats over_at"),
        ("names", "name chain accepted over_at"),
        (
            "deliveries",
            "seq -id -alert -endpoint -chain -lane -state -final head -due_at -lease_until delivery",
        ),
        ("renderings", "-seq rendering body"),
        ("ours", "identifier sender alert over_at"),
        ("quarantine", "seq -id entry raw"),
        ("anchor", "entries hash"),
        ("events", "seq alert event hash"),
        ("checkpoints", "origin value"),
        ("registrations", "kind name revision body"),
        ("feeds", "feed last swept"),
        ("feed_entries", "seq feed place -id -reference stands -expires_at -over_at entry body"),
        ("probe", "-body"),
        ("leases", "-name -holder -until"),
        ("counters", "-name -n"),
    ];

    #[tokio::test]
    async fn every_table_and_column_is_copied_or_left_on_purpose() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        let found = store
            .read("list columns", |c| {
                let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
                let mut statement = c.prepare(
                    "SELECT m.name, t.name FROM sqlite_master m, pragma_table_info(m.name) t
                     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, t.cid",
                )?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    found.entry(row.get(0)?).or_default().push(row.get(1)?);
                }
                Ok(found)
            })
            .await
            .unwrap();
        let known: BTreeMap<String, Vec<String>> = COLUMNS
            .iter()
            .map(|(table, columns)| {
                let names = columns.split_whitespace().map(|c| c.trim_start_matches('-').to_owned());
                ((*table).to_owned(), names.collect())
            })
            .collect();
        assert_eq!(found, known, "what is new in the schema must be in the copy: see Kind and `read`");
        for kind in Kind::ALL {
            assert!(known.contains_key(table(kind)), "{kind:?}");
        }
    }
}

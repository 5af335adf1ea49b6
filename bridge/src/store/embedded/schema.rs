//! Tables and settings of the embedded store's file.
//!
//! Owns the schema version. A file of a newer program is refused, and so is one from before the first
//! release; from then on an older one is migrated step by step.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::Fault;

/// The version that this program writes.
const VERSION: i64 = 3;

const TABLES: &str = "
CREATE TABLE alerts (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  chain TEXT NOT NULL,
  urgent INTEGER NOT NULL,
  envelope TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  expires_at INTEGER,
  -- 1: to be routed, for the first time or for a source that brought it later.
  waits INTEGER NOT NULL DEFAULT 1,
  routed_at INTEGER,
  hold_until INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX alerts_chain ON alerts (chain, sent_at, seq);
CREATE INDEX alerts_age ON alerts (accepted_at);
-- What is to be routed: urgent alerts first, each lane in the order of acceptance.
CREATE INDEX alerts_waiting ON alerts (urgent DESC, seq) WHERE waits = 1;
-- The bytes of alerts: apart, because a row is written whole whenever a column of it changes.
CREATE TABLE documents (
  seq INTEGER PRIMARY KEY,
  raw BLOB NOT NULL,
  derived BLOB
);
-- Outlives the alert: a repeat is one long after it. `over_at` is set when the alert is swept.
CREATE TABLE seen (
  key TEXT PRIMARY KEY,
  sender TEXT NOT NULL,
  identifier TEXT NOT NULL,
  digest TEXT NOT NULL,
  content_digest TEXT NOT NULL,
  twin TEXT,
  repeats INTEGER NOT NULL DEFAULT 0,
  over_at INTEGER
) WITHOUT ROWID;
CREATE INDEX seen_over ON seen (over_at) WHERE over_at IS NOT NULL;
CREATE INDEX seen_reference ON seen (identifier, sender);
CREATE INDEX seen_twin ON seen (twin) WHERE twin IS NOT NULL;
-- Who is in which chain: messages by the name that references give them, and names that nobody carries yet.
CREATE TABLE names (
  name TEXT PRIMARY KEY,
  chain TEXT NOT NULL,
  accepted INTEGER NOT NULL,
  over_at INTEGER
) WITHOUT ROWID;
CREATE INDEX names_chain ON names (chain);
CREATE INDEX names_over ON names (over_at) WHERE over_at IS NOT NULL;
CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  alert TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  chain TEXT NOT NULL,
  lane TEXT NOT NULL,
  state TEXT NOT NULL,
  final INTEGER NOT NULL,
  head INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  lease_until INTEGER NOT NULL DEFAULT 0,
  delivery TEXT NOT NULL
);
-- Only the first unfinished delivery of each (endpoint, chain) is in the due index.
CREATE INDEX deliveries_due ON deliveries (lane, due_at) WHERE head = 1 AND final = 0 AND state <> 'attempting';
CREATE INDEX deliveries_leased ON deliveries (lane, lease_until) WHERE state = 'attempting';
CREATE INDEX deliveries_unfinished ON deliveries (endpoint, chain, seq) WHERE final = 0;
CREATE INDEX deliveries_age ON deliveries (seq) WHERE final = 0;
CREATE INDEX deliveries_alert ON deliveries (alert);
CREATE INDEX deliveries_chain ON deliveries (chain, endpoint, seq);
-- Not the states that every delivery passes: those are found in the order of routing.
CREATE INDEX deliveries_state ON deliveries (state, seq) WHERE state NOT IN ('queued', 'attempting', 'delivered');
-- By the number of the delivery.
CREATE TABLE renderings (
  seq INTEGER PRIMARY KEY,
  rendering TEXT NOT NULL,
  body BLOB NOT NULL
);
-- Outlives the delivery: our own output is known long after it.
CREATE TABLE ours (
  identifier TEXT NOT NULL,
  sender TEXT NOT NULL,
  alert TEXT NOT NULL,
  over_at INTEGER,
  PRIMARY KEY (identifier, sender)
) WITHOUT ROWID;
CREATE INDEX ours_over ON ours (over_at) WHERE over_at IS NOT NULL;
CREATE TABLE quarantine (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  entry TEXT NOT NULL,
  raw BLOB NOT NULL
);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  alert TEXT,
  event TEXT NOT NULL,
  hash TEXT NOT NULL
);
-- Where the log begins whose first entries were deleted: how many, and the hash of the last. At most one row.
CREATE TABLE anchor (entries INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE INDEX events_alert ON events (alert, seq) WHERE alert IS NOT NULL;
CREATE TABLE checkpoints (origin TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
-- What is written to see whether as much as a refused document goes in; empty but for that moment.
CREATE TABLE probe (body BLOB NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('unrouted', 0), ('urgent', 0), ('routine', 0), ('dead', 0), ('quarantined', 0), ('documents', 0),
  ('probe', 0);
";

/// Settings of the write connection, and the tables.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), Fault> {
    set_up(connection)?;
    let found = version(connection)?;
    if found > VERSION {
        return Err(Fault::Newer { found, known: VERSION });
    }
    if found != 0 && found < VERSION {
        return Err(Fault::Older { found, known: VERSION });
    }
    if found == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    connection.execute_batch(super::registrations::TABLE)?;
    connection.execute_batch(super::feeds::TABLES)?;
    // The process before this one may have ended because of a failed sync.
    settle(connection)?;
    // The folder's lock says that nobody else works here: what a dead process had leased is free at once.
    connection.execute_batch(
        "UPDATE alerts SET lease_until = 0 WHERE waits = 1;
         UPDATE deliveries SET lease_until = 0 WHERE state = 'attempting';
         DELETE FROM leases;",
    )?;
    Ok(())
}

/// A new write connection to the file after a write on the old one failed. Leases stay: this process still works.
pub(super) fn reopen(file: &Path) -> Result<Connection, Fault> {
    // Never makes a file: an empty store in the place of a lost one would forget what was accepted.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    set_up(&connection)?;
    let found = version(&connection)?;
    if found != VERSION {
        return Err(Fault::Replaced { found });
    }
    settle(&connection)?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Writes all that the write-ahead log holds into the file, syncs it and cuts the log to nothing. After a failed sync
/// the log's pages may be in memory only and count as clean: later commits behind them would be lost with them.
fn settle(connection: &Connection) -> Result<(), Fault> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err(Fault::Unsettled) }
}

fn set_up(connection: &Connection) -> Result<(), Fault> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Keys are spread over their indexes: 32 MiB of pages are at hand.
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// A connection that only reads.
pub(super) fn open_reader(file: &Path) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(file, super::read_only())?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

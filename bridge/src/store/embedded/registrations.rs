//! Registration documents: one table, read by what changed.

use rusqlite::{Connection, params};

use super::{Fault, Tx, record};
use crate::store::Event;
use crate::store::registrations::{Draft, Registration};

/// Made where it is missing: a program that does not know it is not in its way.
pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS registrations (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL UNIQUE,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) WITHOUT ROWID;
";

fn newest(c: &Connection) -> Result<i64, Fault> {
    let newest: Option<i64> =
        c.prepare_cached("SELECT max(revision) FROM registrations")?.query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

pub(super) fn register(
    tx: &Tx<'_>,
    seen: u64,
    drafts: &[Draft],
    events: &[Event],
) -> Result<Option<u64>, Fault> {
    let mut revision = newest(tx)?;
    if u64::try_from(revision).ok() != Some(seen) {
        return Ok(None);
    }
    for draft in drafts {
        revision += 1;
        tx.prepare_cached(
            "INSERT OR REPLACE INTO registrations (kind, name, revision, body) VALUES (?,?,?,?)",
        )?
        .execute(params![
            draft.kind.as_str(),
            draft.name,
            revision,
            serde_json::to_string(&draft.body)?
        ])?;
    }
    record::append(tx, events)?;
    Ok(u64::try_from(revision).ok())
}

pub(super) fn registrations(c: &Connection, after: u64, limit: u32) -> Result<Vec<Registration>, Fault> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows: Vec<(String, String, i64, String)> = c
        .prepare_cached(
            "SELECT kind, name, revision, body FROM registrations WHERE revision > ? ORDER BY revision LIMIT ?",
        )?
        .query_map(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::with_capacity(rows.len());
    for (kind, name, revision, body) in rows {
        let body = serde_json::from_str(&body)?;
        found.push(Registration { kind, name, revision: u64::try_from(revision).unwrap_or(0), body });
    }
    Ok(found)
}

//! The hash chain over the audit log in Redis.
//!
//! Owns the hashes. Steps append their events in one script with what they change; the server has no SHA-256 for scripts,
//! so the chain is computed here, a moment later, over the order that the stream has. Several instances may do it: the
//! chain grows only where its end has not moved meanwhile.

use redis::Value;

use super::Fault;
use super::keys::{Keys, suffix};
use super::link::{Effect, Link};
use super::records::Parts;
use super::scripts::Scripts;
use crate::audit;

/// Entries read at once.
const PAGE: u64 = 1_000;

/// How far the chain goes: entries, last hash, last entry.
struct Head {
    count: u64,
    hash: String,
    id: String,
}

async fn head(link: &Link, keys: &Keys) -> Result<Head, Fault> {
    let mut ask = redis::cmd("HMGET");
    ask.arg(keys.one(suffix::AUDIT_HEAD)).arg(&["n", "hash", "id"]);
    let (count, hash, id): (Option<u64>, Option<String>, Option<String>) =
        link.send(&ask, Effect::Read).await?;
    Ok(Head {
        count: count.unwrap_or(0),
        hash: hash.unwrap_or_else(|| audit::GENESIS.to_owned()),
        id: id.unwrap_or_else(|| "0-0".to_owned()),
    })
}

/// The texts behind an entry, each with its id; at most a page.
async fn entries(link: &Link, keys: &Keys, after: &str) -> Result<Vec<(String, Option<String>)>, Fault> {
    let mut range = redis::cmd("XRANGE");
    range.arg(keys.one(suffix::AUDIT)).arg(format!("({after}")).arg("+").arg("COUNT").arg(PAGE);
    Parts::each(link.send::<Value>(&range, Effect::Read).await?, |mut entry| {
        let id: String = entry.next()?;
        let fields: Vec<String> = entry.next()?;
        let mut fields = fields.into_iter();
        let text = fields.next().filter(|name| name == "event").and_then(|_| fields.next());
        Ok((id, text))
    })
}

/// Chains what is not chained yet. The number of entries chained; 0 also where another instance was faster.
pub(super) async fn seal(link: &Link, keys: &Keys, scripts: &Scripts) -> Result<u64, Fault> {
    let mut sealed = 0;
    loop {
        let head = head(link, keys).await?;
        let found = entries(link, keys, &head.id).await?;
        let Some((last, _)) = found.last() else { return Ok(sealed) };
        let mut call = scripts.seal.call();
        call.arg(head.count).arg(&head.hash).arg(audit::GENESIS).arg(last);
        let mut previous = head.hash;
        for (_, text) in &found {
            previous = audit::link(&previous, text.as_deref().unwrap_or(""));
            call.arg(&previous);
        }
        // A call whose answer was lost finds that the end has moved, and is not run again.
        let outcome: String = link.run(&scripts.seal, &call, Effect::Repeatable).await?;
        if outcome != "ok" {
            return Ok(sealed);
        }
        sealed += found.len() as u64;
    }
}

/// Recomputes the chain up to where it ended at the beginning of the call.
pub(super) async fn verify(link: &Link, keys: &Keys) -> Result<Result<u64, u64>, Fault> {
    let end = head(link, keys).await?;
    let (mut previous, mut number, mut after) = (audit::GENESIS.to_owned(), 0_u64, "0-0".to_owned());
    while number < end.count {
        let found = entries(link, keys, &after).await?;
        if found.is_empty() {
            return Ok(Err(number + 1));
        }
        let mut range = redis::cmd("LRANGE");
        range.arg(keys.one(suffix::AUDIT_HASHES)).arg(number).arg(number + PAGE - 1);
        let hashes: Vec<String> = link.send(&range, Effect::Read).await?;
        let mut hashes = hashes.into_iter();
        for (id, text) in found {
            if number == end.count {
                break;
            }
            number += 1;
            let hash = audit::link(&previous, text.as_deref().unwrap_or(""));
            if text.is_none() || hashes.next().as_ref() != Some(&hash) {
                return Ok(Err(number));
            }
            previous = hash;
            after = id;
        }
    }
    Ok(if previous == end.hash { Ok(number) } else { Err(number.max(1)) })
}

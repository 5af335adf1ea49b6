//! The hash chain over the audit log in Redis.
//!
//! Owns the hashes. Steps append their events in one script with what they change; the server has no SHA-256 for scripts,
//! so the chain is computed here, a moment later, over the order that the stream has. Several instances may do it: the
//! chain grows only where its end has not moved meanwhile.

use jiff::Timestamp;
use redis::Value;

use super::Fault;
use super::keys::{Keys, suffix};
use super::link::{Effect, Link};
use super::records::Parts;
use super::scripts::Scripts;
use crate::audit::{self, Anchor};
use crate::store::{Event, LogSpan, Logged};

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
    read(link.send::<Value>(&range, Effect::Read).await?)
}

fn read(answer: Value) -> Result<Vec<(String, Option<String>)>, Fault> {
    Parts::each(answer, |mut entry| {
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

async fn anchor(link: &Link, keys: &Keys) -> Result<Anchor, Fault> {
    let mut ask = redis::cmd("HMGET");
    ask.arg(keys.one(suffix::AUDIT_ANCHOR)).arg(&["n", "hash"]);
    let (entries, hash): (Option<u64>, Option<String>) = link.send(&ask, Effect::Read).await?;
    let Anchor { entries: none, hash: genesis } = Anchor::default();
    Ok(Anchor { entries: entries.unwrap_or(none), hash: hash.unwrap_or(genesis) })
}

/// Hashes of entries that are chained; the first that is kept has the place 0.
async fn hashes(link: &Link, keys: &Keys, from: u64, count: u64) -> Result<Vec<String>, Fault> {
    let mut range = redis::cmd("LRANGE");
    range.arg(keys.one(suffix::AUDIT_HASHES)).arg(from).arg(from + count.max(1) - 1);
    link.send(&range, Effect::Read).await
}

/// Whether a text is the place of an entry.
pub(super) fn is_place(text: &str) -> bool {
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u64>().is_ok();
    text.split_once('-').is_some_and(|(ms, seq)| is_number(ms) && is_number(seq))
}

/// Entries of the log from either end.
pub(super) async fn log(link: &Link, keys: &Keys, span: &LogSpan, limit: u32) -> Result<Vec<Logged>, Fault> {
    let (command, from, to) = match span {
        LogSpan::After(place) => ("XRANGE", format!("({place}"), "+"),
        LogSpan::Before(Some(place)) => ("XREVRANGE", format!("({place}"), "-"),
        LogSpan::Before(None) => ("XREVRANGE", "+".to_owned(), "-"),
    };
    let mut range = redis::cmd(command);
    range.arg(keys.one(suffix::AUDIT)).arg(from).arg(to).arg("COUNT").arg(limit);
    let found = read(link.send::<Value>(&range, Effect::Read).await?)?;
    let logged = found.into_iter().map(|(place, text)| {
        let event = serde_json::from_str(text.as_deref().unwrap_or(""))?;
        Ok(Logged { place, event })
    });
    logged.collect()
}

/// Recomputes the chain up to where it ended at the beginning of the call. A deletion of the beginning meanwhile makes it
/// begin again.
pub(super) async fn verify(link: &Link, keys: &Keys) -> Result<Result<u64, u64>, Fault> {
    loop {
        let begins = anchor(link, keys).await?;
        let outcome = verify_behind(link, keys, begins.clone()).await?;
        if outcome.is_ok() || anchor(link, keys).await? == begins {
            return Ok(outcome);
        }
    }
}

async fn verify_behind(link: &Link, keys: &Keys, begins: Anchor) -> Result<Result<u64, u64>, Fault> {
    let end = head(link, keys).await?;
    let first = begins.entries;
    let (mut chain, mut after) = (audit::Chain::behind(begins), "0-0".to_owned());
    while chain.number() < end.count {
        let found = entries(link, keys, &after).await?;
        if found.is_empty() {
            return Ok(Err(chain.number() + 1));
        }
        let mut hashes = hashes(link, keys, chain.number() - first, PAGE).await?.into_iter();
        for (id, text) in found {
            if chain.number() == end.count {
                break;
            }
            let (Some(text), Some(hash)) = (text, hashes.next()) else {
                return Ok(Err(chain.number() + 1));
            };
            if let Err(number) = chain.next(&text, &hash) {
                return Ok(Err(number));
            }
            after = id;
        }
    }
    if end.count > 0 && chain.hash() != end.hash {
        return Ok(Err(chain.number().max(1)));
    }
    Ok(chain.end())
}

/// Deletes the entries at the beginning that are from before a time, of those that are chained. Another instance that did
/// it at the same time leaves nothing to do.
pub(super) async fn trim(
    link: &Link,
    keys: &Keys,
    scripts: &Scripts,
    (before, now): (Timestamp, Timestamp),
    (limit, call_name): (u32, String),
) -> Result<u64, Fault> {
    let begins = anchor(link, keys).await?;
    // The newest that is chained stays.
    let most = head(link, keys).await?.count.saturating_sub(begins.entries).saturating_sub(1);
    let most = most.min(u64::from(limit)).min(PAGE - 1);
    let (mut count, mut stays) = (0, None);
    for (id, text) in entries(link, keys, "0-0").await? {
        let event: Event = serde_json::from_str(text.as_deref().unwrap_or(""))?;
        if count == most || event.at >= before {
            stays = Some(id);
            break;
        }
        count += 1;
    }
    let Some(first) = stays.filter(|_| count > 0) else { return Ok(0) };
    let last = hashes(link, keys, count - 1, 1).await?;
    let hash = last.into_iter().next().ok_or(Fault::Shape("a hash"))?;
    let ends = Anchor { entries: begins.entries + count, hash };
    let mut call = scripts.trim.call();
    call.arg(begins.entries).arg(count).arg(&ends.hash).arg(first).arg(call_name);
    super::add_events(&mut call, &[audit::trimmed(now, &ends)]);
    let outcome: String = link.run(&scripts.trim, &call, Effect::Repeatable).await?;
    Ok(if outcome == "ok" { count } else { 0 })
}

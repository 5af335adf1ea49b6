//! What a Redis must be before the bridge stores an alert in it.
//!
//! Owns the checks and their words. A Redis that would lose accepted alerts is refused with what to change; nothing is
//! changed on the server.

use std::collections::HashMap;

use redis::aio::ConnectionManager;

use super::Fault;
use super::keys::{Keys, ROUTERS, suffix};
use super::link::{Effect, Link};
use super::scripts::Scripts;

/// The version of the stored values that this program writes.
const VERSION: u32 = 3;
/// The oldest server whose `XAUTOCLAIM` and scripts behave as the engine needs.
const OLDEST: u32 = 7;

/// What the server says of itself.
pub(super) struct Facts {
    /// Major version.
    pub(super) major: u32,
    /// `role` of `INFO replication`.
    pub(super) role: String,
    /// `CONFIG GET` of the settings that matter.
    pub(super) config: HashMap<String, String>,
}

/// Refuses a server that loses data: at the start, and each primary that takes over later.
pub(super) async fn check(connection: ConnectionManager, allow_everysec: bool) -> Result<(), Fault> {
    let facts = examine(connection, allow_everysec).await?;
    if allow_everysec && facts.config.get("appendfsync").is_some_and(|v| v == "everysec") {
        tracing::warn!("Redis runs with appendfsync everysec: up to a second of accepted alerts can be lost");
    }
    Ok(())
}

/// The same without a word.
pub(super) async fn examine(connection: ConnectionManager, allow_everysec: bool) -> Result<Facts, Fault> {
    let facts = facts(connection).await?;
    fault(&facts, allow_everysec).map_or(Ok(facts), |fault| Err(Fault::Unsafe(fault)))
}

/// What is said of a server that holds less than it did.
pub(super) const LESS: &str = "it holds less than it did: it was emptied, restored from an older copy, or a replica that was \
    behind took over; alerts that were accepted may be gone, and sources hand over again only what they still have";

/// How far the order of alerts is; `None` where the mark of the bridge is gone, which is then made again.
pub(super) async fn held(link: &Link, keys: &Keys) -> Result<Option<u64>, Fault> {
    let mut mark = redis::cmd("HSETNX");
    mark.arg(keys.one(suffix::META)).arg("v").arg(VERSION);
    let is_new: u8 = link.send(&mark, Effect::Repeatable).await?;
    let mut order = redis::cmd("GET");
    order.arg(keys.one(suffix::SEQ));
    let seq: Option<u64> = link.send(&order, Effect::Read).await?;
    Ok((is_new == 0).then_some(seq.unwrap_or(0)))
}

/// Prepares what the engine needs.
pub(super) async fn prepare(link: &Link, keys: &Keys, scripts: &Scripts) -> Result<(), Fault> {
    let mut meta = redis::cmd("HSETNX");
    meta.arg(keys.one(suffix::META)).arg("v").arg(VERSION);
    link.send::<redis::Value>(&meta, Effect::Repeatable).await?;
    let mut meta = redis::cmd("HGET");
    meta.arg(keys.one(suffix::META)).arg("v");
    let found: u32 = link.send(&meta, Effect::Read).await?;
    if found > VERSION {
        return Err(Fault::Newer { found, known: VERSION });
    }
    if found < VERSION {
        return Err(Fault::Older { found, known: VERSION });
    }
    let mut group = redis::cmd("XGROUP");
    // From the beginning, never from `$`: what was accepted before the group existed is to be routed too.
    group.arg("CREATE").arg(keys.one(suffix::INBOX)).arg(ROUTERS).arg("0").arg("MKSTREAM");
    match link.send::<redis::Value>(&group, Effect::Repeatable).await {
        Ok(_) => {}
        Err(Fault::Redis(error)) if error.code() == Some("BUSYGROUP") => {}
        Err(other) => return Err(other),
    }
    for program in scripts.all() {
        link.load(program).await?;
    }
    Ok(())
}

async fn facts(mut connection: ConnectionManager) -> Result<Facts, Fault> {
    let mut info = redis::cmd("INFO");
    info.arg("server").arg("replication");
    let text: String = info.query_async(&mut connection).await?;
    let line = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let major = line("redis_version").and_then(|v| v.split('.').next()?.parse().ok()).unwrap_or(0);
    let role = line("role").unwrap_or("unknown").to_owned();
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg(&["appendonly", "appendfsync", "maxmemory-policy", "no-appendfsync-on-rewrite"]);
    let config = match get.query_async(&mut connection).await {
        Ok(config) => config,
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => HashMap::new(),
        Err(other) => return Err(other.into()),
    };
    Ok(Facts { major, role, config })
}

/// What is wrong with a server, and what to do.
pub(super) fn fault(facts: &Facts, allow_everysec: bool) -> Option<String> {
    if facts.major < OLDEST {
        return Some(format!("it is version {}; {OLDEST}.0 or later is needed", facts.major));
    }
    if facts.role != "master" {
        return Some(format!("its role is {}; name the primary in the URL", facts.role));
    }
    let set = |name: &str| facts.config.get(name).map(String::as_str);
    let unknown = "its settings cannot be read; allow the user `CONFIG GET`, so that they can be checked";
    match set("appendonly") {
        Some("yes") => {}
        Some(_) => {
            return Some("appendonly is off, so a restart loses everything; set `appendonly yes`".into());
        }
        None => return Some(unknown.into()),
    }
    match set("appendfsync") {
        Some("always") => {}
        Some("everysec") if allow_everysec => {}
        Some("everysec") => {
            return Some(
                "appendfsync is everysec, so up to a second of accepted alerts can be lost; set `appendfsync always`, \
                 or `dangerous_allow_everysec = true` in the bridge's configuration"
                    .into(),
            );
        }
        Some(other) => return Some(format!("appendfsync is {other}; set `appendfsync always`")),
        None => return Some(unknown.into()),
    }
    match set("maxmemory-policy") {
        Some("noeviction") => {}
        Some(other) => {
            return Some(format!(
                "maxmemory-policy is {other}, which drops alerts when memory is full; set `noeviction`"
            ));
        }
        None => return Some(unknown.into()),
    }
    if set("no-appendfsync-on-rewrite") == Some("yes") && !allow_everysec {
        return Some(
            "no-appendfsync-on-rewrite is on, so a rewrite leaves writes unsynced; set it to `no`".into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(changes: &[(&str, &str)], major: u32, role: &str, allow: bool) -> Option<String> {
        let mut config: HashMap<String, String> = [
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("maxmemory-policy", "noeviction"),
            ("no-appendfsync-on-rewrite", "no"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        for (name, value) in changes {
            config.insert((*name).to_owned(), (*value).to_owned());
        }
        fault(&Facts { major, role: role.to_owned(), config }, allow)
    }

    #[test]
    fn a_server_that_loses_data_is_refused_with_what_to_change() {
        assert_eq!(check(&[], 7, "master", false), None);
        assert_eq!(check(&[("appendfsync", "everysec")], 7, "master", true), None);
        let refused = [
            (check(&[("appendonly", "no")], 7, "master", true), "appendonly yes"),
            (check(&[("appendfsync", "everysec")], 7, "master", false), "appendfsync always"),
            (check(&[("appendfsync", "no")], 7, "master", true), "appendfsync always"),
            (check(&[("maxmemory-policy", "allkeys-lru")], 7, "master", true), "noeviction"),
            (check(&[("no-appendfsync-on-rewrite", "yes")], 7, "master", false), "no-appendfsync-on-rewrite"),
            (check(&[], 6, "master", false), "7.0"),
            (check(&[], 7, "slave", false), "primary"),
        ];
        for (fault, advice) in refused {
            assert!(fault.as_deref().is_some_and(|f| f.contains(advice)), "{fault:?} does not say {advice}");
        }
    }

    #[test]
    fn settings_that_cannot_be_read_are_not_taken_for_good_ones() {
        let facts = Facts { major: 8, role: "master".into(), config: HashMap::new() };
        assert!(fault(&facts, true).is_some_and(|f| f.contains("CONFIG GET")));
    }
}

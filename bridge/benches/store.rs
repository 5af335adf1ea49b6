//! What the store makes of the disk: accept, route and one delivery, against the raw limit of the same engine.
//!
//! 64 submitters at once, 4 KiB each. Raw: one durable insert, one read, one delete in grouped commits (embedded);
//! `XADD`, `XREADGROUP COUNT 64` by one consumer, `XACK`, each awaited (Redis). Both run as what they are compared with, by
//! turns; the median of the rounds counts. `BENCH_SECONDS` (10) is the length of one run, `BENCH_ROUNDS` (5) their number.
//!
//! `relay.flat.archive`: the cost of an alert with `BENCH_ARCHIVE` (1,000,000) alerts in the archive against 1,000, on the
//! same store.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on fails, and it prints a table"
)]

#[path = "store/bridge.rs"]
mod bridge;
#[path = "store/raw.rs"]
mod raw;
#[path = "store/summary.rs"]
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use capbridge::store::Store;
use capbridge::store::embedded::EmbeddedStore;
use capbridge::store::redis::{RedisSettings, RedisStore};
use summary::{median, merge, setting, target};

/// How many submit at once.
const SUBMITTERS: usize = 64;
/// The size of a document.
const BODY_BYTES: usize = 4 << 10;

#[tokio::main]
async fn main() {
    let run = Duration::from_secs_f64(setting("BENCH_SECONDS", 10.0));
    let rounds = (setting("BENCH_ROUNDS", 5.0) as usize).clamp(1, 25);
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load().trim());
    println!("{:16} {:>10} {:>10} {:>7}", "engine", "alerts/s", "raw/s", "ratio");
    let mut summary = BTreeMap::new();
    for engine in ["embedded", "redis_always", "redis_everysec"] {
        let (mut ours, mut limits) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (alerts, limit) = round(engine, run).await;
            ours.push(alerts);
            limits.push(limit);
        }
        let (ours, limit) = (median(ours), median(limits));
        println!("{engine:16} {ours:10.0} {limit:10.0} {:7.3}", ours / limit);
        summary.insert(format!("relay.accept_vs_raw.{engine}"), ours / limit);
    }
    for engine in ["embedded", "redis"] {
        let large = setting("BENCH_ARCHIVE", 1_000_000.0) as u64;
        let ratio = flat(engine, run, rounds, large).await;
        println!("archive of {large} against 1,000, {engine}: {ratio:.3}");
        summary.insert(format!("relay.flat.archive.{engine}"), ratio);
    }
    let worse = ["embedded", "redis"].map(|e| summary[&format!("relay.flat.archive.{e}")]);
    summary.insert("relay.flat.archive".to_owned(), worse[0].max(worse[1]));
    println!("load {}", load().trim());
    merge(&target().join("bench"), &summary);
}

/// One run of each on fresh files: alerts per second through the store, and the raw limit.
async fn round(engine: &str, run: Duration) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    if engine == "embedded" {
        let limit = raw::embedded(&folder.path().join("raw.sqlite"), run).await;
        let store = EmbeddedStore::open(&folder.path().join("store")).unwrap();
        return (bridge::measure(Arc::new(store), run, 0).await, limit);
    }
    let server = capbridge_harness::Redis::start().await.unwrap();
    let everysec = engine == "redis_everysec";
    if everysec {
        raw::every_second(&server.url()).await;
    }
    let limit = raw::redis(&server.url(), run).await;
    let settings = RedisSettings {
        url: server.url(),
        dangerous_allow_everysec: everysec,
        command_timeout: Duration::from_secs(10),
        ..RedisSettings::at("bench")
    };
    let store: Arc<dyn Store> = Arc::new(RedisStore::connect(settings).await.unwrap());
    (bridge::measure(store, run, 0).await, limit)
}

/// The cost of an alert with a large archive over that with a small one, by turns on two stores.
async fn flat(engine: &str, run: Duration, rounds: usize, large: u64) -> f64 {
    let (mut servers, mut stores): (Vec<capbridge_harness::Redis>, Vec<Arc<dyn Store>>) = Default::default();
    let folder = tempfile::tempdir().unwrap();
    for alerts in [1_000, large] {
        let store: Arc<dyn Store> = if engine == "embedded" {
            Arc::new(EmbeddedStore::open(&folder.path().join(alerts.to_string())).unwrap())
        } else {
            let server = capbridge_harness::Redis::start().await.unwrap();
            let settings = RedisSettings {
                url: server.url(),
                command_timeout: Duration::from_secs(10),
                ..RedisSettings::at("bench")
            };
            servers.push(server);
            Arc::new(RedisStore::connect(settings).await.unwrap())
        };
        bridge::fill(&store, alerts).await;
        stores.push(store);
    }
    let (mut small, mut full) = (Vec::new(), Vec::new());
    for round in 0..rounds as u64 {
        // Numbers that were not used.
        let from = (round + 1) << 32;
        small.push(bridge::measure(Arc::clone(&stores[0]), run, from).await);
        full.push(bridge::measure(Arc::clone(&stores[1]), run, from).await);
    }
    median(small) / median(full)
}

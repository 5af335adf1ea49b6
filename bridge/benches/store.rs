//! What the store makes of the disk: accept, route and one delivery, against the raw limit of the same engine.
//!
//! 64 submitters at once, 4 KiB each. Raw: one durable insert, one read, one delete in grouped commits (embedded);
//! `XADD`, `XREADGROUP COUNT 64` by one consumer, `XACK`, each awaited (Redis). Both run as what they are compared with, by
//! turns; the median of the rounds counts. `BENCH_SECONDS` (10) is the length of one run, `BENCH_ROUNDS` (5) their number.
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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capbridge::store::Store;
use capbridge::store::embedded::EmbeddedStore;
use capbridge::store::redis::{RedisSettings, RedisStore};

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
    println!("load {}", load().trim());
    merge(&target().join("bench"), &summary);
}

/// One run of each on fresh files: alerts per second through the store, and the raw limit.
async fn round(engine: &str, run: Duration) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    if engine == "embedded" {
        let limit = raw::embedded(&folder.path().join("raw.sqlite"), run).await;
        let store = EmbeddedStore::open(&folder.path().join("store")).unwrap();
        return (bridge::measure(Arc::new(store), run).await, limit);
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
    (bridge::measure(store, run).await, limit)
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn target() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from)
}

/// Other benches write into the same summary.
fn merge(folder: &Path, figures: &BTreeMap<String, f64>) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("summary.json");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut all: BTreeMap<String, f64> = serde_json::from_str(&old).unwrap_or_default();
    all.extend(figures.iter().map(|(name, figure)| (name.clone(), (figure * 1_000.0).round() / 1_000.0)));
    std::fs::write(&path, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
}

//! What the relay makes of the machine, with the real program on loopback.
//!
//! `relay.fanout_vs_client`: deliveries per second of alerts to many healthy endpoints, against a bare hyper client that sends
//! the same requests to the same receiver. `relay.flat.endpoints`: the time of an alert for one endpoint with many others
//! configured, against few. `relay.storm.*`: one alert after the other to many endpoints of which three in ten fail in four
//! ways, past the second retry of those. Program, receiver and client share the machine. `BENCH_STORM` (10,000) endpoints,
//! `BENCH_ROUNDS` (5), `BENCH_ONLY` picks `fanout`, `endpoints` or `storm`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on fails, and it prints a table"
)]

#[path = "relay/fanout.rs"]
mod fanout;
#[path = "relay/scene.rs"]
mod scene;
#[path = "relay/storm.rs"]
mod storm;
#[path = "store/summary.rs"]
mod summary;

use std::collections::BTreeMap;

use summary::{median, merge, setting, target};

#[tokio::main]
async fn main() {
    let rounds = (setting("BENCH_ROUNDS", 5.0) as usize).clamp(1, 25);
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.split(',').any(|o| o == name);
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load().trim());
    let mut figures = BTreeMap::new();
    for engine in ["embedded", "redis"] {
        if wanted("fanout") {
            let (mut ours, mut bare) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let (relay, client) = fanout::round(engine).await;
                ours.push(relay);
                bare.push(client);
            }
            let (ours, bare) = (median(ours), median(bare));
            println!("fanout {engine:9} {ours:8.0}/s  client {bare:8.0}/s  {:.3}", ours / bare);
            figures.insert(format!("relay.fanout_vs_client.{engine}"), ours / bare);
        }
        if wanted("endpoints") {
            let (mut few, mut many) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                few.push(fanout::one_of(engine, 100).await);
                many.push(fanout::one_of(engine, 10_000).await);
            }
            let (few, many) = (median(few), median(many));
            println!("endpoints {engine:9} 100: {:.3} ms  10,000: {:.3} ms  {:.3}", few, many, many / few);
            figures.insert(format!("relay.flat.endpoints.{engine}"), many / few);
        }
        if wanted("storm") {
            let endpoints = setting("BENCH_STORM", 10_000.0) as usize;
            let found = storm::run(engine, endpoints).await;
            println!(
                "storm {engine:9} {endpoints} endpoints  p50 {:.3} s  p99 {:.3} s  {:.0} MiB  {} of {}",
                found.p50_s, found.p99_s, found.rss_mib, found.arrived, found.due
            );
            assert_eq!(found.arrived, found.due, "healthy endpoints have every alert");
            figures.insert(format!("relay.storm.healthy_p50_s.{engine}"), found.p50_s);
            figures.insert(format!("relay.storm.healthy_p99_s.{engine}"), found.p99_s);
            figures.insert(format!("relay.storm.rss_mib.{engine}"), found.rss_mib);
        }
    }
    println!("load {}", load().trim());
    // The plain names are those of the store that is worse.
    for (name, is_better_high) in [
        ("relay.fanout_vs_client", true),
        ("relay.flat.endpoints", false),
        ("relay.storm.healthy_p50_s", false),
        ("relay.storm.healthy_p99_s", false),
        ("relay.storm.rss_mib", false),
    ] {
        let of = |engine| figures.get(&format!("{name}.{engine}")).copied();
        if let (Some(one), Some(other)) = (of("embedded"), of("redis")) {
            let worse = if is_better_high { one.min(other) } else { one.max(other) };
            figures.insert(name.to_owned(), worse);
        }
    }
    merge(&target().join("bench"), &figures);
}

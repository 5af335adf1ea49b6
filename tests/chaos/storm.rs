//! F16: an alert for thousands of endpoints, of which three in ten fail in four ways, and more alerts while those are retried.

use std::fmt::Write as _;
use std::time::Duration;

use capbridge_exercise::{Clock, Fault as Mishap, Mischief};
use capbridge_harness::{Program, eventually};
use jiff::Timestamp;
use serde_json::{Map, json};

use crate::Ran;
use crate::check::Outcome;
use crate::faults::urgent;
use crate::stage::{On, Stage, now, original, route};

/// Alerts, one after the other: the last ones go out while the failing endpoints are being retried.
const ALERTS: usize = 4;
/// The time between two alerts: retries of an urgent delivery come after 1, 2, 7, 20 and 30 s.
const BETWEEN: Duration = Duration::from_secs(15);
/// What a healthy endpoint may wait, seconds, in the middle and at the 99th percentile.
const PROMISED_SECS: (f64, f64) = (1.0, 5.0);
/// What the program may hold, MiB.
const PROMISED_MIB: u64 = 512;

/// Where an endpoint leads: one in ten refuses, one in ten hangs, one in twenty says 500, one in twenty is late.
fn path(n: usize, responder: &str) -> (String, bool) {
    match n % 20 {
        0 | 1 => ("http://127.0.0.1:1/".to_owned(), false),
        2 | 3 => (format!("{responder}/hang"), false),
        4 => (format!("{responder}/broken"), false),
        5 => (format!("{responder}/late"), false),
        _ => (format!("{responder}/healthy/{n}"), true),
    }
}

/// Runs it with so many endpoints.
pub async fn storm(on: On, endpoints: usize) -> Ran {
    let mut stage = Stage::new(on).await;
    let (mut tables, mut names, mut healthy) = (String::new(), Vec::new(), 0);
    for n in 0..endpoints {
        let (url, is_healthy) = path(n, &stage.responder.url());
        healthy += usize::from(is_healthy);
        let _ = write!(
            tables,
            "[endpoint.e{n}]\nsystem = \"e{n}\"\nmode = \"live\"\n[endpoint.e{n}.webhook]\nurl = \"{url}\"\n\
             key_file = \"webhook.key.pem\"\n"
        );
        names.push(format!("\"e{n}\""));
    }
    stage.tables = tables + &route("storm", "\"feed\"", &names.join(", "), "");
    stage.relay = "in_flight = 4096".to_owned();
    let always = u32::MAX;
    stage.responder.misbehave(Mischief::next(always, Mishap::Hang).path("/hang"));
    let broken = Mishap::Status { status: 500, retry_after_secs: None };
    stage.responder.misbehave(Mischief::next(always, broken).path("/broken"));
    stage.responder.misbehave(Mischief::next(always, Mishap::Delay { millis: 29_000 }).path("/late"));
    let (bridge, begun, clock) = (stage.bridge().await, now(), Clock::system());
    let mut published: Vec<Timestamp> = Vec::new();
    for chain in 0..ALERTS {
        published.push(clock.now());
        stage.feed.site.publish(urgent(chain, 0, begun));
        tokio::time::sleep(BETWEEN).await;
    }
    let arrived = || {
        let all = stage.responder.site.deliveries();
        all.into_iter().filter(|d| d.path.contains("/healthy/") && !d.is_repeat).collect::<Vec<_>>()
    };
    let all = eventually("every healthy endpoint has every alert", Duration::from_secs(60), async || {
        (arrived().len() >= healthy * ALERTS).then_some(())
    });
    let complete = all.await.is_ok();
    let mut outcome = Outcome { due: healthy * ALERTS, ..Outcome::default() };
    let mut waits: Vec<f64> = Vec::new();
    for delivery in arrived() {
        let chain: usize =
            original(&delivery).trim_start_matches('C').trim_end_matches("-0").parse().unwrap();
        waits.push(delivery.at.duration_since(published[chain]).as_secs_f64());
    }
    outcome.delivered = waits.len();
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::INFINITY)
    };
    let (p50, p99, mib) = (at(50), at(99), peak_mib(&bridge));
    if !complete {
        outcome.violations.push(format!("{} of {} healthy deliveries came", waits.len(), healthy * ALERTS));
    }
    if p50 > PROMISED_SECS.0 || p99 > PROMISED_SECS.1 {
        outcome
            .violations
            .push(format!("healthy endpoints waited {p50:.2} s, {p99:.2} s at the 99th percentile"));
    }
    if mib > PROMISED_MIB {
        outcome.violations.push(format!("the program held {mib} MiB"));
    }
    let mut figures = Map::new();
    figures.insert("healthy_p50_s".into(), json!(p50));
    figures.insert("healthy_p99_s".into(), json!(p99));
    figures.insert("rss_mib".into(), json!(mib));
    Ran { runs: endpoints, outcome, figures }
}

/// The most memory that the program held so far.
fn peak_mib(bridge: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.id().unwrap())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1_024
}

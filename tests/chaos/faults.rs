//! The faults: each sets a stage, does its harm, and hands over what was published and what arrived.

use std::collections::BTreeSet;
use std::time::Duration;

use capbridge_exercise::{Fault as Mishap, Mischief};
use capbridge_harness::redis_set::SentinelSet;
use capbridge_harness::{Program, eventually};
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::Ran;
use crate::check::check;
use crate::stage::{On, Stage, endpoint, message, now, originals, route, source};
use crate::storm::storm;

/// Long enough for a routine message that was refused twice, which waits five minutes.
const LIMIT: Duration = Duration::from_secs(420);
/// The turns of a chain: Alert, Update, Update, Cancel.
const TURNS: usize = 4;

/// The faults of the matrix that are run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    F01,
    F03,
    F04,
    F06,
    F08,
    F13,
    F15,
    F16,
    F18,
    F19,
}

impl Fault {
    pub const ALL: [Fault; 10] = [
        Fault::F01,
        Fault::F03,
        Fault::F04,
        Fault::F06,
        Fault::F08,
        Fault::F13,
        Fault::F15,
        Fault::F16,
        Fault::F18,
        Fault::F19,
    ];

    pub fn name(self) -> String {
        format!("{self:?}")
    }

    pub fn what(self) -> &'static str {
        match self {
            Fault::F01 => "the program is killed at any time under load",
            Fault::F03 => "the program is asked to stop under load",
            Fault::F04 => "Redis is killed and comes back with its files, under load",
            Fault::F06 => "the primary is killed and Sentinel makes another, with WAIT 1",
            Fault::F08 => "Redis is emptied, and the feed still has its alerts",
            Fault::F13 => "one endpoint answers late or a few bytes at a time, another is healthy",
            Fault::F15 => "answers are lost, cut, refused, redirected or nonsense",
            Fault::F16 => "thousands of endpoints, three in ten fail in four ways",
            Fault::F18 => "each alert comes many times through four feeds",
            Fault::F19 => "chains come in any order, and the endpoint refuses one request in five",
        }
    }

    pub fn stores(self) -> &'static [On] {
        match self {
            Fault::F01 | Fault::F03 | Fault::F13 | Fault::F15 | Fault::F16 | Fault::F18 | Fault::F19 => {
                &[On::Embedded, On::Redis]
            }
            Fault::F04 | Fault::F06 | Fault::F08 => &[On::Redis],
        }
    }

    pub async fn run(self, on: On, scaled: impl Fn(usize) -> usize) -> Ran {
        match self {
            Fault::F01 => killed(on, scaled(100)).await,
            Fault::F03 => stopped(on, scaled(20)).await,
            Fault::F04 => redis_killed(on, scaled(40)).await,
            Fault::F06 => failed_over(scaled(3)).await,
            Fault::F08 => emptied(on, scaled(3)).await,
            Fault::F13 => slow(on, scaled(200)).await,
            Fault::F15 => bad_answers(on, scaled(25)).await,
            Fault::F16 => storm(on, scaled(2_000)).await,
            Fault::F18 => stormed(on, scaled(10)).await,
            Fault::F19 => disordered(on, scaled(300)).await,
        }
    }
}

/// A message of a chain in the urgent lane, whose retries come in seconds.
pub fn urgent(chain: usize, turn: usize, begun: jiff::Timestamp) -> String {
    message(chain, turn, begun).replace("<urgency>Expected<", "<urgency>Immediate<")
}

/// Publishes whole chains and gives the identifiers.
fn publish(stage: &Stage, chains: std::ops::Range<usize>, begun: jiff::Timestamp) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for chain in chains {
        for turn in 0..TURNS {
            stage.feed.site.publish(urgent(chain, turn, begun));
            names.insert(format!("C{chain}-{turn}"));
        }
    }
    names
}

async fn arrives(stage: &Stage, bridge: &Program, due: &BTreeSet<String>) {
    let all = eventually("everything arrives", LIMIT, async || {
        let delivered: BTreeSet<String> = stage.delivered().into_iter().collect();
        due.is_subset(&delivered).then_some(())
    });
    // What is missing is told as lost by the checker.
    if all.await.is_ok() {
        stage.settled(bridge, LIMIT).await;
    }
}

fn ran(runs: usize, stage: &Stage, due: &BTreeSet<String>) -> Ran {
    Ran { runs, outcome: check(due, &stage.responder.site.deliveries()), figures: Map::new() }
}

/// What was accepted must arrive although the feed forgets it.
async fn killed(on: On, runs: usize) -> Ran {
    let stage = Stage::new(on).await;
    let begun = now();
    let (mut chain, mut ready_ms) = (0, Vec::new());
    for life in 0..runs {
        publish(&stage, chain..chain + 10, begun);
        chain += 10;
        let started = Instant::now();
        let bridge = stage.bridge().await;
        ready_ms.push(started.elapsed().as_millis());
        tokio::time::sleep(Duration::from_millis(20 + fastrand::u64(..380))).await;
        bridge.kill().await.unwrap();
        if life % 4 == 3 {
            stage.feed.site.clear();
        }
    }
    stage.feed.site.clear();
    let due = stage.accepted();
    let bridge = stage.bridge().await;
    arrives(&stage, &bridge, &due).await;
    let mut ran = ran(runs, &stage, &due);
    let (_, audit) = bridge.get("/v1/audit/verify").await.unwrap();
    if audit["intact"] != true {
        ran.outcome.violations.push(format!("the record does not verify: {audit}"));
    }
    ready_ms.sort_unstable();
    ran.figures.insert("ready_max_ms".into(), json!(ready_ms.last().copied().unwrap_or(0) as u64));
    ran
}

async fn stopped(on: On, runs: usize) -> Ran {
    let stage = Stage::new(on).await;
    let (begun, mut chain, mut late) = (now(), 0, Vec::new());
    for _ in 0..runs {
        let before = stage.accepted().len();
        publish(&stage, chain..chain + 15, begun);
        chain += 15;
        let bridge = stage.bridge().await;
        eventually("there is load", LIMIT, async || (stage.accepted().len() > before).then_some(()))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..200))).await;
        let asked = Instant::now();
        match bridge.terminate(Duration::from_secs(12)).await {
            Ok(status) if status.success() && asked.elapsed() <= Duration::from_secs(10) => {}
            other => late.push(format!("it did not stop cleanly in 10 s: {other:?}")),
        }
    }
    stage.feed.site.clear();
    let due = stage.accepted();
    let bridge = stage.bridge().await;
    arrives(&stage, &bridge, &due).await;
    let mut ran = ran(runs, &stage, &due);
    ran.outcome.violations.extend(late);
    ran
}

async fn redis_killed(on: On, runs: usize) -> Ran {
    let mut stage = Stage::new(on).await;
    let begun = now();
    let bridge = stage.bridge().await;
    let mut due = BTreeSet::new();
    for round in 0..runs {
        due.extend(publish(&stage, round * 10..(round + 1) * 10, begun));
        tokio::time::sleep(Duration::from_millis(50 + fastrand::u64(..400))).await;
        stage.redis.as_mut().unwrap().kill_and_restart().await.unwrap();
        if round % 8 == 7 {
            eventually("what was published is accepted", LIMIT, async || {
                due.is_subset(&stage.accepted()).then_some(())
            })
            .await
            .unwrap();
            stage.feed.site.clear();
        }
    }
    arrives(&stage, &bridge, &due).await;
    ran(runs, &stage, &due)
}

async fn failed_over(runs: usize) -> Ran {
    let mut set = SentinelSet::start().await.unwrap();
    let mut stage = Stage::new(On::Embedded).await;
    stage.store = format!("redis_url = \"{}\"\nwait_replicas = 1", set.url());
    let begun = now();
    let bridge = stage.bridge().await;
    let (mut due, mut outages_ms) = (BTreeSet::new(), Vec::new());
    for round in 0..runs {
        due.extend(publish(&stage, round * 20..round * 20 + 10, begun));
        tokio::time::sleep(Duration::from_millis(200 + fastrand::u64(..300))).await;
        let primary = primary_of(&set).await;
        set.servers[primary].kill().await.unwrap();
        let killed = Instant::now();
        let after = publish(&stage, round * 20 + 10..(round + 1) * 20, begun);
        eventually("alerts are accepted again", LIMIT, async || {
            after.is_subset(&stage.accepted()).then_some(())
        })
        .await
        .unwrap();
        outages_ms.push(killed.elapsed().as_millis() as u64);
        due.extend(after);
        set.servers[primary].restart().await.unwrap();
        eventually("the old primary follows", LIMIT, async || {
            let said = set.servers[primary].say(&["INFO", "replication"]).await.ok()?;
            said.contains("master_link_status:up").then_some(())
        })
        .await
        .unwrap();
    }
    arrives(&stage, &bridge, &due).await;
    let mut ran = ran(runs, &stage, &due);
    ran.figures.insert("outages_ms".into(), json!(outages_ms));
    ran
}

async fn primary_of(set: &SentinelSet) -> usize {
    let said = set.sentinels[0].say(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]).await.unwrap();
    let port: u16 = said.lines().nth(1).unwrap().parse().unwrap();
    set.servers.iter().position(|server| server.port == port).unwrap()
}

async fn emptied(on: On, runs: usize) -> Ran {
    let stage = Stage::new(on).await;
    let begun = now();
    let mut due = BTreeSet::new();
    let mut bridge = stage.bridge().await;
    for round in 0..runs {
        due.extend(publish(&stage, round * 10..(round + 1) * 10, begun));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let url = stage.redis.as_ref().unwrap().url();
        capbridge_harness::redis_set::cli(&["-u", &url], &["FLUSHALL"]).await.unwrap();
        // A source hands over each document once in a life; after a loss it is read again from the beginning.
        bridge.terminate(Duration::from_secs(15)).await.unwrap();
        bridge = stage.bridge().await;
    }
    arrives(&stage, &bridge, &due).await;
    let mut ran = ran(runs, &stage, &due);
    // An emptied store knows nothing of what it sent: all of it goes out again under the same ids. Nothing may be missing.
    let (lost, again): (Vec<String>, Vec<String>) =
        ran.outcome.violations.drain(..).partition(|violation| violation.ends_with("is lost"));
    ran.outcome.violations = lost;
    ran.figures.insert("sent_again".into(), json!(again.len()));
    ran
}

async fn slow(on: On, alerts: usize) -> Ran {
    let mut stage = Stage::new(on).await;
    let healthy = stage.another_responder().await;
    stage.tables =
        endpoint("healthy", &healthy, "as-received") + &route("both", "\"feed\"", "\"healthy\"", "");
    let half = u32::try_from(alerts).unwrap();
    stage.responder.misbehave(Mischief::next(half, Mishap::Hang));
    stage.responder.misbehave(Mischief::next(half, Mishap::Drip { millis: 1_000 }));
    let begun = now();
    let bridge = stage.bridge().await;
    let mut due = BTreeSet::new();
    let mut waits_ms = Vec::new();
    for chain in 0..alerts {
        let published = Instant::now();
        stage.feed.site.publish(message(chain, 0, begun));
        let name = format!("C{chain}-0");
        let there = eventually("the healthy endpoint has it", LIMIT, async || {
            originals(&healthy).contains(&name).then_some(())
        });
        if there.await.is_ok() {
            waits_ms.push(published.elapsed().as_millis() as u64);
        }
        due.insert(name);
    }
    drop(bridge);
    let outcome = check(&due, &healthy.site.deliveries());
    waits_ms.sort_unstable();
    let at = |percent: usize| waits_ms.get(waits_ms.len().saturating_sub(1) * percent / 100).copied();
    let mut figures = Map::new();
    // With the poll of the feed, 100 ms.
    figures.insert("healthy_p50_ms".into(), json!(at(50)));
    figures.insert("healthy_p99_ms".into(), json!(at(99)));
    let mut ran = Ran { runs: alerts, outcome, figures };
    if at(99).is_none_or(|p99| p99 > 1_000) {
        ran.outcome
            .violations
            .push(format!("the healthy endpoint waited {:?} ms at the 99th percentile", at(99)));
    }
    ran
}

async fn bad_answers(on: On, each: usize) -> Ran {
    let stage = Stage::new(on).await;
    let here = "http://127.0.0.1:1/".to_owned();
    let mishaps = [
        Mishap::LoseAnswer,
        Mishap::Drop,
        Mishap::CutBody,
        Mishap::Redirect { location: here },
        Mishap::Status { status: 429, retry_after_secs: Some(1_000_000_000) },
        Mishap::Status { status: 503, retry_after_secs: None },
    ];
    let begun = now();
    let bridge = stage.bridge().await;
    let mut due = BTreeSet::new();
    let mut chain = 0;
    for mishap in &mishaps {
        // Fewer than five in a row each, so that it is these answers and not the breaker that is tried.
        for _ in 0..each.div_ceil(4) {
            stage.responder.misbehave(Mischief::next(4, mishap.clone()));
            due.extend(publish(&stage, chain..chain + 4, begun));
            chain += 4;
            arrives(&stage, &bridge, &due).await;
        }
    }
    ran(mishaps.len() * each, &stage, &due)
}

async fn stormed(on: On, lives: usize) -> Ran {
    let mut stage = Stage::new(on).await;
    let mut tables = String::new();
    for name in ["b", "c", "d"] {
        tables += &source(name, &stage.feed, "mode = \"live\"");
    }
    stage.tables = tables + &route("more", "\"b\", \"c\", \"d\"", "\"responder\"", "");
    let begun = now();
    let mut due = BTreeSet::new();
    let mut messages = Vec::new();
    for chain in 0..100 {
        messages.push(message(chain, 0, begun));
        due.insert(format!("C{chain}-0"));
    }
    let mut copies = 0;
    for _ in 0..lives {
        stage.feed.site.clear();
        fastrand::shuffle(&mut messages);
        for message in messages.iter().chain(&messages) {
            stage.feed.site.publish(message.clone());
            copies += 4;
        }
        let bridge = stage.bridge().await;
        stage.settled(&bridge, LIMIT).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        bridge.terminate(Duration::from_secs(15)).await.unwrap();
    }
    let bridge = stage.bridge().await;
    arrives(&stage, &bridge, &due).await;
    let mut ran = ran(lives, &stage, &due);
    ran.figures.insert("copies".into(), json!(copies));
    if ran.outcome.repeats > 0 {
        ran.outcome
            .violations
            .push(format!("{} deliveries came twice, and nothing was killed", ran.outcome.repeats));
    }
    ran
}

async fn disordered(on: On, chains: usize) -> Ran {
    let stage = Stage::new(on).await;
    let begun = now();
    let mut all: Vec<(usize, usize)> =
        (0..chains).flat_map(|chain| (0..TURNS).map(move |turn| (chain, turn))).collect();
    fastrand::shuffle(&mut all);
    let bridge = stage.bridge().await;
    for part in all.chunks(40) {
        for (chain, turn) in part {
            stage.feed.site.publish(urgent(*chain, *turn, begun));
        }
        // One in five of the next requests.
        for _ in 0..3 {
            let refused = Mishap::Status { status: 503, retry_after_secs: None };
            stage.responder.misbehave(Mischief::next(1, refused));
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let accepted: BTreeSet<String> = all.iter().map(|(chain, turn)| format!("C{chain}-{turn}")).collect();
    let offered = eventually("everything is accepted", LIMIT, async || {
        accepted.is_subset(&stage.accepted()).then_some(())
    });
    let complete = offered.await.is_ok();
    stage.settled(&bridge, LIMIT).await;
    // What a later message took the place of is not sent any more; what was sent must be in order and end with the Cancel.
    let mut ran = ran(chains, &stage, &BTreeSet::new());
    ran.outcome.due = accepted.len();
    if !complete {
        ran.outcome.violations.push("not everything was accepted".into());
    }
    let delivered: BTreeSet<String> = stage.delivered().into_iter().collect();
    for chain in 0..chains {
        let any = (0..TURNS).any(|turn| delivered.contains(&format!("C{chain}-{turn}")));
        if any && !delivered.contains(&format!("C{chain}-{}", TURNS - 1)) {
            ran.outcome
                .violations
                .push(format!("chain {chain} is in force at the endpoint after its Cancel"));
        }
    }
    ran
}

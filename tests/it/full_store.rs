//! A store that can take no more: a disk that is full (here: files that may not grow), a Redis at its `maxmemory`. The
//! bridge says so, accepts nothing, floods no log, and goes on by itself when there is room again.

use std::collections::BTreeSet;
use std::time::Duration;

use capbridge_harness::{Program, eventually};
use jiff::Timestamp;
use serde_json::Value;

use crate::stage::{On, Stage, message, now};

const LIMIT: Duration = Duration::from_secs(60);
/// Far more than fits.
const CHAINS: usize = 240;
/// Longer than a source waits before it hands over what was refused.
const FULL_FOR: Duration = Duration::from_secs(8);
/// No file of the bridge may be larger.
const FILE_BYTES: u64 = 3 << 18;

async fn start(stage: &Stage, on: On) -> Program {
    match on {
        On::Embedded => {
            Program::start_within(stage.folder.path(), &stage.configuration(), FILE_BYTES).await.unwrap()
        }
        On::Redis => stage.bridge().await,
    }
}

async fn fill(stage: &Stage) {
    if let Some(redis) = &stage.redis {
        redis.set("maxmemory", "1mb").await.unwrap();
    }
}

async fn make_room(stage: &Stage, bridge: &Program) {
    match &stage.redis {
        Some(redis) => redis.set("maxmemory", "0").await.unwrap(),
        None => bridge.lift_file_limit().await.unwrap(),
    }
}

/// Lines of the log from the first failure on, and the seconds that they cover.
fn lines_since_failure(bridge: &Program) -> Option<(usize, f64)> {
    let text = std::fs::read_to_string(&bridge.log).unwrap();
    let lines: Vec<Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let failed = lines.iter().position(|l| l["level"] == "ERROR")?;
    let at = |line: &Value| line["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let secs = at(lines.last().unwrap()).duration_since(at(&lines[failed])).as_secs_f64();
    Some((lines.len() - failed, secs))
}

/// What the bridge says of its store: `/healthz`, and the metric.
async fn said_to_be_full(bridge: &Program) -> bool {
    let (status, body) = bridge.get("/healthz").await.unwrap();
    assert_eq!((status, &body["alive"]), (200, &Value::Bool(true)), "a restart would not help: {body}");
    let (_, metrics) = bridge.get("/metrics").await.unwrap();
    body["store"] != "takes writes" && metrics.as_str().unwrap().contains("capbridge_store_writable 0")
}

/// Waits until nothing was accepted for a while and the bridge said all the time that its store takes no writes. While a
/// disk fills up, some may still fit; a bridge that says so of a store that takes no alert never gets here.
async fn stays_full(stage: &Stage, bridge: &Program) {
    let since = std::sync::Mutex::new((stage.accepted().len(), tokio::time::Instant::now()));
    eventually("nothing fits, and the bridge says so", LIMIT, async || {
        let (accepted, is_said) = (stage.accepted().len(), said_to_be_full(bridge).await);
        let mut since = since.lock().unwrap();
        if accepted != since.0 || !is_said {
            *since = (accepted, tokio::time::Instant::now());
        }
        (since.1.elapsed() > FULL_FOR).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
}

async fn check(on: On) {
    let stage = Stage::new(on).await;
    let bridge = start(&stage, on).await;
    let begun = now();
    stage.feed.site.publish(message(1_000, 0, begun));
    eventually("the first is delivered", LIMIT, async || (stage.delivered().len() == 1).then_some(()))
        .await
        .unwrap();
    for chain in 0..CHAINS {
        (0..4).for_each(|turn| stage.feed.site.publish(message(chain, turn, begun)));
    }
    fill(&stage).await;
    let told = eventually("it is not ready because of its store", LIMIT, async || {
        let (status, body) = bridge.get("/readyz").await.ok()?;
        let store =
            body["faults"].as_array()?.iter().find_map(|f| f.as_str()?.strip_prefix("store: "))?.to_owned();
        (status == 503).then_some(store)
    })
    .await
    .unwrap_or_else(|error| panic!("{on:?}: {error}\n{}", bridge.tail(5)));
    assert!(told.len() > 20, "{told}");
    stays_full(&stage, &bridge).await;
    // Enough time for a loop that does not wait to write thousands of lines.
    let (lines, secs) = eventually("some time with a full store", LIMIT, async || {
        let (lines, secs) = lines_since_failure(&bridge)?;
        (secs > 6.0).then_some((lines, secs))
    })
    .await
    .unwrap();
    let rate = f64::from(u32::try_from(lines).unwrap()) / secs;
    assert!(rate < 20.0, "{on:?}: {lines} lines in {secs} s\n{}", bridge.tail(20));
    let before = stage.accepted();
    assert!(before.len() < CHAINS * 4, "{on:?}: everything fitted, nothing was tested");

    make_room(&stage, &bridge).await;
    let freed = tokio::time::Instant::now();
    eventually("it is ready again", LIMIT, async || {
        (bridge.get("/readyz").await.ok()?.0 == 200).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{on:?}: {error}\n{}", bridge.tail(20)));
    assert!(freed.elapsed() < Duration::from_secs(8), "{on:?}: it took {:?}", freed.elapsed());
    eventually("everything is accepted", LIMIT, async || {
        (stage.accepted().len() == CHAINS * 4 + 1).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{on:?}: {error}: {}\n{}", stage.accepted().len(), bridge.tail(20)));
    // What was told "accepted" is in the store of the next process too.
    bridge.kill().await.unwrap();
    stage.feed.site.clear();
    let bridge = stage.bridge().await;
    stage.settled(&bridge, LIMIT).await;
    let delivered: BTreeSet<String> = stage.delivered().into_iter().collect();
    let accepted = stage.accepted();
    assert!(accepted.is_subset(&delivered), "{on:?}: lost {:?}", accepted.difference(&delivered));
    stage.check_receipts();
    let (_, audit) = bridge.get("/v1/audit/verify").await.unwrap();
    assert_eq!(audit["intact"], true, "{on:?}: {audit}");
    bridge.terminate(Duration::from_secs(15)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_bridge_from_accepting_and_room_lets_it_go_on() {
    check(On::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_stops_the_bridge_from_accepting_and_room_lets_it_go_on() {
    check(On::Redis).await;
}

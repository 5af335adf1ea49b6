//! `kill -9` of the real program under load, on both stores (D-1, D-9).

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use crate::stage::{On, Stage, message, now};

/// How often the program is killed on each store.
const KILLS: usize = 24;
/// Chains of four messages that are published before each life.
const CHAINS_PER_LIFE: usize = 25;

async fn check(on: On) {
    let stage = Stage::new(on).await;
    let begun = now();
    let mut chain = 0;
    for life in 0..KILLS {
        for _ in 0..CHAINS_PER_LIFE {
            (0..4).for_each(|turn| stage.feed.site.publish(message(chain, turn, begun)));
            chain += 1;
        }
        let bridge = stage.bridge().await;
        // A life of 20 to 400 ms: before, inside and after the burst of this life.
        let life_ms = 20 + fastrand::u64(..380);
        tokio::time::sleep(Duration::from_millis(life_ms)).await;
        bridge.kill().await.unwrap();
        if life % 8 == 7 {
            // What was accepted stays so although the feed forgets it.
            stage.feed.site.clear();
        }
    }
    stage.feed.site.clear();
    let accepted = stage.accepted();
    assert!(accepted.len() > KILLS, "only {} alerts were accepted in {KILLS} lives: no load", accepted.len());
    let bridge = stage.bridge().await;
    stage.settled(&bridge, Duration::from_secs(120)).await;
    let delivered: BTreeSet<String> = stage.delivered().into_iter().collect();
    let lost: Vec<_> = accepted.difference(&delivered).collect();
    assert!(lost.is_empty(), "{} of {} accepted alerts are lost: {lost:?}", lost.len(), accepted.len());
    stage.check_receipts();
    let (_, audit) = bridge.get("/v1/audit/verify").await.unwrap();
    assert_eq!(audit["intact"], true, "{audit}");
    let said =
        format!("{on:?}: {KILLS} kills, {} accepted, {} delivered, 0 lost", accepted.len(), delivered.len());
    let _ = writeln!(std::io::stdout(), "{said}");
    bridge.terminate(Duration::from_secs(15)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_program_loses_nothing_on_the_embedded_store() {
    check(On::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_program_loses_nothing_on_redis() {
    check(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_redis_under_load_loses_nothing() {
    let mut stage = Stage::new(On::Redis).await;
    let begun = now();
    let bridge = stage.bridge().await;
    for round in 0..6 {
        for chain in round * 20..(round + 1) * 20 {
            (0..4).for_each(|turn| stage.feed.site.publish(message(chain, turn, begun)));
        }
        tokio::time::sleep(Duration::from_millis(50 + fastrand::u64(..300))).await;
        stage.redis.as_mut().unwrap().kill_and_restart().await.unwrap();
    }
    // Not by the log: where the answer of an accept was lost, the alert is stored, and comes again as a repeat.
    capbridge_harness::eventually("every message is delivered", Duration::from_secs(60), async || {
        (stage.delivered().len() == 480).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {}\n{}", stage.delivered().len(), bridge.tail(20)));
    stage.settled(&bridge, Duration::from_secs(60)).await;
    assert_eq!(stage.delivered().len(), 480);
    stage.check_receipts();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_drains_under_load_and_loses_nothing() {
    // D-10
    for on in [On::Embedded, On::Redis] {
        let stage = Stage::new(on).await;
        let begun = now();
        for round in 0..4 {
            for chain in round * 25..(round + 1) * 25 {
                (0..4).for_each(|turn| stage.feed.site.publish(message(chain, turn, begun)));
            }
            let bridge = stage.bridge().await;
            tokio::time::sleep(Duration::from_millis(100 + fastrand::u64(..200))).await;
            let status = bridge.terminate(Duration::from_secs(12)).await.unwrap();
            assert!(status.success(), "{on:?}: {status}");
        }
        stage.feed.site.clear();
        let accepted = stage.accepted();
        let bridge = stage.bridge().await;
        stage.settled(&bridge, Duration::from_secs(60)).await;
        let delivered: BTreeSet<String> = stage.delivered().into_iter().collect();
        assert!(accepted.is_subset(&delivered), "{on:?}: lost {:?}", accepted.difference(&delivered));
        stage.check_receipts();
        bridge.terminate(Duration::from_secs(15)).await.unwrap();
    }
}

//! A bridge moves from the embedded store to Redis and goes on, with the real program on both.

use std::time::Duration;

use capbridge_exercise::mischief::{Fault, Mischief};
use capbridge_harness::{Redis, binary, eventually};

use crate::stage::{On, Stage, events, message, now};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_moves_to_redis_and_goes_on_where_it_was() {
    let mut stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, 0, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.responder.misbehave(Mischief::next(1_000, Fault::Status { status: 503, retry_after_secs: None }));
    stage.feed.site.publish(message(1, 1, begun));
    stage.feed.site.publish(message(2, 0, begun));
    eventually("two deliveries wait", LIMIT, async || {
        (bridge.list("/v1/deliveries?state=waiting").await.ok()?.len() == 2).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));

    let redis = Redis::start().await.unwrap();
    let copy = || {
        let mut command = std::process::Command::new(binary().unwrap());
        command
            .args(["store", "copy", "--to", &redis.url(), "--from"])
            .arg(stage.folder.path().join("store"));
        command.arg("--config").arg(stage.folder.path().join("capbridge.toml")).output().unwrap()
    };
    let refused = copy();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(69) && said.contains("in use by another process"), "{said}");
    assert!(bridge.terminate(LIMIT).await.unwrap().success());
    let copied = copy();
    let said = String::from_utf8_lossy(&copied.stdout).into_owned();
    assert!(copied.status.success(), "{said}{}", String::from_utf8_lossy(&copied.stderr));
    assert!(said.contains("equal: a bridge can start there"), "{said}");

    stage.responder.behave();
    stage.store = format!("redis_url = \"{}\"", redis.url());
    let bridge = stage.bridge().await;
    eventually("what waited goes out", LIMIT, async || (stage.delivered().len() == 3).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", stage.delivered(), bridge.tail(20)));
    // The feed still shows all of them: repeats are repeats.
    assert_eq!(events(&bridge, "C1-0", "accepted").await.len(), 1);
    stage.feed.site.publish(message(1, 3, begun));
    eventually("the chain goes on", LIMIT, async || {
        stage.delivered().contains(&"C1-3".to_owned()).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", stage.delivered(), bridge.tail(20)));
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(stage.responder.site.accepted().len(), 4, "nothing went out twice");
    stage.check_receipts();
    let (_, verified) = bridge.get("/v1/audit/verify").await.unwrap();
    assert_eq!(verified["intact"], true);
}

//! Several instances on one Redis, and what happens to the work of one that dies.

use std::time::Duration;

use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::{Program, eventually};
use tokio::time::Instant;

use crate::stage::{On, Stage, message, now};

const LIMIT: Duration = Duration::from_secs(20);
/// What the instances promise.
const TAKEOVER: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_killed_instance_is_taken_over_in_less_than_ten_seconds() {
    // D-20
    let stage = Stage::new(On::Redis).await;
    let first = stage.bridge().await;
    stage.responder.misbehave(Mischief::next(1, Fault::Hang));
    stage.feed.site.publish(message(1, 0, now()));
    eventually("an attempt is under way", LIMIT, async || {
        (stage.responder.requests().len() == 1).then_some(())
    })
    .await
    .unwrap();
    let second_folder = tempfile::tempdir().unwrap();
    std::fs::copy(stage.folder.path().join("webhook.key.pem"), second_folder.path().join("webhook.key.pem"))
        .unwrap();
    let second = Program::start(second_folder.path(), &stage.configuration()).await.unwrap();
    first.kill().await.unwrap();
    let killed = Instant::now();
    stage.feed.site.publish(message(2, 0, now()));
    eventually("both are delivered", LIMIT, async || {
        let delivered = stage.delivered();
        (delivered.contains(&"C1-0".to_owned()) && delivered.contains(&"C2-0".to_owned())).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", second.tail(20)));
    let took = killed.elapsed();
    assert!(took < TAKEOVER, "{took:?}");
    stage.check_receipts();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_longer_than_a_takeover_is_made_once() {
    // D-20: the instance is heard of while it waits.
    let stage = Stage::new(On::Redis).await;
    let first = stage.bridge().await;
    let second_folder = tempfile::tempdir().unwrap();
    std::fs::copy(stage.folder.path().join("webhook.key.pem"), second_folder.path().join("webhook.key.pem"))
        .unwrap();
    let second = Program::start(second_folder.path(), &stage.configuration()).await.unwrap();
    stage.responder.misbehave(Mischief::next(1, Fault::Delay { millis: 8_500 }));
    stage.feed.site.publish(message(1, 0, now()));
    eventually("it is delivered", LIMIT, async || (stage.delivered() == ["C1-0"]).then_some(()))
        .await
        .unwrap();
    stage.settled(&first, LIMIT).await;
    stage.settled(&second, LIMIT).await;
    assert_eq!(stage.responder.requests().len(), 1, "{}", second.tail(20));
}

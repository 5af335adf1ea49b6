//! The delivery contract of `docs/delivery.md`, with the real program.

use std::time::Duration;

use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::{Program, eventually};
use serde_json::json;

use crate::stage::{On, Stage, message, now};

const LIMIT: Duration = Duration::from_secs(20);

fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after_secs: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_after_503_with_the_same_id_and_bytes_and_keeps_the_order_of_the_chain() {
    // D-2, D-5
    let stage = Stage::new(On::Embedded).await;
    stage.responder.misbehave(Mischief::next(1, status(503)));
    let bridge = stage.bridge().await;
    let begun = now();
    (0..4).for_each(|turn| stage.feed.site.publish(message(1, turn, begun)));
    // The first wait of a routine delivery is 5 s (4 to 6 with jitter); nothing of the chain may come before it.
    eventually("the chain is delivered", LIMIT, async || (stage.delivered().len() == 4).then_some(()))
        .await
        .unwrap();
    stage.check_receipts();
    assert_eq!(stage.delivered(), ["C1-0", "C1-1", "C1-2", "C1-3"]);
    let tried = stage.responder.requests().len();
    assert_eq!(tried, 5, "four messages and one retry");
    drop(bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_does_not_wait_out_the_pause_of_the_routine_message_before_it() {
    // D-5: after its second attempt the first message waits five minutes.
    for on in [On::Embedded, On::Redis] {
        let stage = Stage::new(on).await;
        stage.responder.misbehave(Mischief::next(3, status(503)));
        let bridge = stage.bridge().await;
        let begun = now();
        stage.feed.site.publish(message(1, 0, begun));
        eventually("it was tried twice", LIMIT, async || {
            (stage.responder.requests().len() == 2).then_some(())
        })
        .await
        .unwrap();
        eventually("it waits", LIMIT, async || {
            bridge.list("/v1/deliveries?state=waiting").await.ok()?.into_iter().next()
        })
        .await
        .unwrap();
        // It is tried at once, fails once more, and has the pauses of what is urgent from then on.
        let urgent = message(1, 1, begun).replace("<severity>Severe<", "<severity>Extreme<");
        stage.feed.site.publish(urgent);
        eventually("both are delivered", LIMIT, async || {
            (stage.delivered() == ["C1-0", "C1-1"]).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", stage.delivered(), bridge.tail(10)));
        stage.check_receipts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_asked_for_again_with_the_same_id() {
    // D-9
    let stage = Stage::new(On::Embedded).await;
    stage.responder.misbehave(Mischief::next(1, Fault::LoseAnswer));
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, 0, now()));
    eventually("it is delivered twice", LIMIT, async || {
        (stage.responder.site.deliveries().len() == 2).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(10)));
    stage.check_receipts();
    let deliveries = stage.responder.site.deliveries();
    assert_eq!(deliveries[0].id, deliveries[1].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_refusal_is_a_dead_letter_the_chain_goes_on_and_an_operator_can_replay_it() {
    // D-7, D-8
    let stage = Stage::new(On::Embedded).await;
    stage.responder.misbehave(Mischief::next(1, status(400)));
    let bridge = stage.bridge().await;
    let begun = now();
    (0..2).for_each(|turn| stage.feed.site.publish(message(1, turn, begun)));
    stage.comes_to(&bridge, &["C1-1"]).await;
    let dead = bridge.list("/v1/deliveries?state=dead").await.unwrap();
    assert_eq!(dead.len(), 1, "{dead:?}");
    stage.responder.misbehave(Mischief::next(1, status(400)));
    stage.feed.site.publish(message(2, 0, begun));
    let dead = eventually("there is another dead letter", LIMIT, async || {
        let dead = bridge.list("/v1/deliveries?state=dead").await.ok()?;
        (dead.len() == 2).then_some(dead)
    })
    .await
    .unwrap();
    let id = dead[0]["id"].as_str().unwrap();
    let decision = json!({"operator": "duty officer", "reason": "endpoint repaired"});
    let (status, _) = bridge.post(&format!("/v1/deliveries/{id}/replay"), &decision).await.unwrap();
    assert_eq!(status, 200);
    stage.comes_to(&bridge, &["C1-1", "C2-0"]).await;
    let (_, journey) = bridge.get("/v1/alerts/C2-0/journey").await.unwrap();
    let steps: Vec<&str> =
        journey[0]["events"].as_array().unwrap().iter().filter_map(|e| e["what"].as_str()).collect();
    for step in ["accepted", "routed", "dead", "replayed", "delivered"] {
        assert!(steps.contains(&step), "{step} is not in {steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_would_pass_the_end_is_cut_short_to_a_last_attempt() {
    // D-6: the third attempt would wait five minutes, and the time is over after 12 s.
    let mut stage = Stage::new(On::Embedded).await;
    stage.relay = "give_up_floor_secs = 12\ngive_up_cap_secs = 12".to_owned();
    stage.responder.misbehave(Mischief::next(2, status(503)));
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, 0, now()));
    stage.comes_to(&bridge, &["C1-0"]).await;
    assert_eq!(stage.responder.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_broken_off_before_its_lease_ends() {
    // D-9: an attempt that outlasts its lease would be made twice.
    let stage = Stage::new(On::Embedded).await;
    stage.responder.misbehave(Mischief::next(1, Fault::Hang));
    let webhook = "[endpoint.responder.webhook]";
    let configuration = stage.configuration().replace(webhook, &format!("{webhook}\ntimeout_secs = 30"));
    let bridge = Program::start(stage.folder.path(), &configuration).await.unwrap();
    stage.feed.site.publish(message(1, 0, now()));
    let waiting = eventually("the attempt has ended", LIMIT, async || {
        bridge.list("/v1/deliveries?state=waiting").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    assert!(waiting["error"].as_str().unwrap().contains("had not ended after 15 s"), "{waiting}");
    assert_eq!(waiting["maybe_delivered"], true, "{waiting}");
    stage.comes_to(&bridge, &["C1-0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_without_info_goes_to_everybody_that_its_chain_went_to() {
    // D-12: the rule matches the event code, which a Cancel without info does not have.
    let mut stage = Stage::new(On::Embedded).await;
    stage.extra = "events = [\"CEM\"]".to_owned();
    let bridge = stage.bridge().await;
    let begun = now();
    [0, 3].into_iter().for_each(|turn| stage.feed.site.publish(message(7, turn, begun)));
    eventually("both are delivered", LIMIT, async || (stage.delivered() == ["C7-0", "C7-3"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", stage.delivered(), bridge.tail(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_the_truth_about_a_source_that_does_not_answer() {
    let stage = Stage::new(On::Embedded).await;
    stage.feed.misbehave(Mischief::next(10_000, status(500)));
    let bridge = stage.bridge().await;
    let (status, body) = bridge.get("/readyz").await.unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body["faults"][0].as_str().unwrap().contains("source feed"), "{body}");
    let (status, _) = bridge.get("/healthz").await.unwrap();
    assert_eq!(status, 200);
    stage.feed.behave();
    eventually("it is ready", LIMIT, async || (bridge.get("/readyz").await.ok()?.0 == 200).then_some(()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_lost_with_the_store_and_comes_back_with_it() {
    let mut stage = Stage::new(On::Redis).await;
    let bridge = stage.bridge().await;
    eventually("it is ready", LIMIT, async || (bridge.get("/readyz").await.ok()?.0 == 200).then_some(()))
        .await
        .unwrap();
    stage.redis.as_mut().unwrap().kill().await.unwrap();
    let (status, body) = bridge.get("/readyz").await.unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body["faults"].to_string().contains("store: "), "{body}");
    stage.redis.as_mut().unwrap().kill_and_restart().await.unwrap();
    eventually("it is ready again", LIMIT, async || {
        (bridge.get("/readyz").await.ok()?.0 == 200).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_document_is_relayed_and_the_decision_is_recorded() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let old = now().checked_sub(jiff::SignedDuration::from_hours(72)).unwrap();
    stage.feed.site.publish(message(1, 0, old).replace("<expires>", "<expires>2099").replacen("2099", "", 1));
    let entry = eventually("it is in quarantine", LIMIT, async || {
        bridge.list("/v1/quarantine").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    assert_eq!(entry["reason"], "stale", "{entry}");
    let id = entry["id"].as_str().unwrap();
    let path = format!("/v1/quarantine/{id}/release");
    let (refused, _) = bridge.post(&path, &json!({"operator": " ", "reason": ""})).await.unwrap();
    assert_eq!(refused, 422, "a release needs a name and a reason");
    let (status, outcome) =
        bridge.post(&path, &json!({"operator": "duty officer", "reason": "drill"})).await.unwrap();
    assert_eq!((status, outcome["outcome"].as_str()), (200, Some("accepted")), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journey_shows_an_alert_from_arrival_to_each_endpoint_with_times() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(9, 0, now()));
    eventually("it is delivered", LIMIT, async || (stage.delivered() == ["C9-0"]).then_some(()))
        .await
        .unwrap();
    stage.settled(&bridge, LIMIT).await;
    let ask = |arguments: Vec<String>| async move {
        let output = tokio::process::Command::new(capbridge_harness::binary().unwrap())
            .args(arguments)
            .output()
            .await
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let by = |id: &str| vec!["journey".to_owned(), id.to_owned(), "--admin".to_owned(), bridge.admin.clone()];
    let (code, said, _) = ask(by("C9-0")).await;
    assert_eq!(code, Some(0));
    for expected in
        ["C9-0 from stage@county.example.test", "received", "accepted", "routed", "delivered", "responder"]
    {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
    let delivery = stage.responder.site.deliveries()[0].id.clone();
    assert_eq!(ask(by(&delivery)).await.1, said, "a delivery id finds the same journey");
    let (code, _, complaint) = ask(by("nobody")).await;
    assert_eq!(code, Some(1), "{complaint}");
}

/// The value of a metric line that begins so.
async fn metric(bridge: &capbridge_harness::Program, begin: &str) -> f64 {
    let (_, text) = bridge.get("/metrics").await.unwrap();
    let text = text.as_str().unwrap().to_owned();
    text.lines().find_map(|l| l.strip_prefix(begin)?.trim().parse().ok()).unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_left_alone_and_nothing_waiting_is_lost() {
    // D-17
    let stage = Stage::new(On::Embedded).await;
    stage.responder.misbehave(Mischief::next(1_000, status(503)));
    let bridge = stage.bridge().await;
    let begun = now();
    (0..12).for_each(|chain| stage.feed.site.publish(message(chain, 0, begun)));
    let shut = "capbridge_endpoint_shut{endpoint=\"responder\"}";
    eventually("it is left alone", LIMIT, async || (metric(&bridge, shut).await == 1.0).then_some(()))
        .await
        .unwrap();
    // Four at once may have been under way when the fifth failed.
    let tried = stage.responder.requests().len();
    assert!((5..=8).contains(&tried), "{tried}");
    let open = "capbridge_put_off_total{reason=\"open\"}";
    eventually("the others wait", LIMIT, async || (metric(&bridge, open).await >= 4.0).then_some(()))
        .await
        .unwrap();
    assert_eq!(stage.responder.requests().len(), tried, "nobody was asked again");
    assert_eq!(bridge.list("/v1/deliveries?state=dead").await.unwrap().len(), 0);
    let unfinished = "capbridge_unfinished_deliveries{lane=\"routine\"}";
    eventually("none of the twelve is given up", LIMIT, async || {
        (metric(&bridge, unfinished).await == 12.0).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_says_gone_is_not_called_again_and_an_operator_is_told() {
    // D-19
    let stage = Stage::new(On::Embedded).await;
    stage.responder.misbehave(Mischief::next(1, status(410)));
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, 0, begun));
    let shut = "capbridge_endpoint_shut{endpoint=\"responder\"}";
    eventually("it is gone", LIMIT, async || (metric(&bridge, shut).await == 2.0).then_some(()))
        .await
        .unwrap();
    stage.feed.site.publish(message(2, 0, begun));
    let dead = eventually("both are dead letters", LIMIT, async || {
        let dead = bridge.list("/v1/deliveries?state=dead").await.ok()?;
        (dead.len() == 2).then_some(dead)
    })
    .await
    .unwrap();
    assert!(dead.iter().all(|d| d.to_string().contains("never to be called again")), "{dead:?}");
    assert_eq!(stage.responder.requests().len(), 1);
    assert!(
        bridge
            .tail(200)
            .contains("asked never to be called again: what is meant for it becomes dead letters")
    );
}

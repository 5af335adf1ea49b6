//! What runs out: the proof of a webhook that is asked for again, and what metrics tell of registrations.

use std::time::Duration;

use capbridge_exercise::clock::Clock;
use capbridge_exercise::keys::Authority;
use capbridge_exercise::responder::{self, Responder};
use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::{Program, eventually};
use serde_json::{Value, json};

use crate::stage::{On, Stage, message, now, originals};

const LIMIT: Duration = Duration::from_secs(30);

async fn state(bridge: &Program, wanted: &str) -> Value {
    let found = eventually(wanted, LIMIT, async || {
        let (_, shown) = bridge.get("/v1/endpoints/hook").await.ok()?;
        (shown["state"] == wanted).then_some(shown)
    });
    found.await.unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(10)))
}

async fn metric(bridge: &Program, line: &str) {
    let found = eventually(line, LIMIT, async || {
        let (_, metrics) = bridge.get("/metrics").await.ok()?;
        metrics.as_str()?.contains(line).then_some(())
    });
    found.await.unwrap();
}

async fn check(on: On) {
    let mut stage = Stage::new(on).await;
    stage.route = String::new();
    stage.tables = "[registration]\nproof_secs = 1\nproof_grace_secs = 2\n".to_owned();
    let settings = responder::Settings { proves_itself: true, ..responder::Settings::default() };
    let receiver = Responder::start(settings, Clock::system()).await.unwrap();
    let bridge = stage.bridge().await;
    for (path, order) in [
        ("responders", json!({"name": "windsor", "title": "Windsor EOC"})),
        (
            "endpoints",
            json!({"name": "hook", "responder": "windsor", "class": "live", "webhook": {"url": receiver.url()}}),
        ),
        ("subscriptions", json!({"name": "all", "endpoint": "hook"})),
    ] {
        let (status, said) = bridge.post(&format!("/v1/{path}"), &order).await.unwrap();
        assert_eq!(status, 201, "{said}");
    }
    metric(&bridge, "capbridge_registrations{kind=\"endpoint\",state=\"unproven\"} 1").await;
    let (_, proven) = bridge.post("/v1/endpoints/hook/challenge", &json!({})).await.unwrap();
    metric(&bridge, "capbridge_registrations{kind=\"endpoint\",state=\"ready\"} 1").await;
    metric(&bridge, "capbridge_registrations{kind=\"subscription\",state=\"ready\"} 1").await;
    // It is asked again and answers.
    eventually("a newer proof", LIMIT, async || {
        let (_, shown) = bridge.get("/v1/endpoints/hook").await.ok()?;
        (shown["proven_at"].as_str()? > proven["proven_at"].as_str()?).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{on:?}: {error}\n{}", bridge.tail(10)));
    metric(&bridge, "capbridge_proofs_total{outcome=\"proven\"}").await;
    // It answers no more: it is paused after the time of grace, and nobody resumes it without a proof for long.
    let broken = Fault::Status { status: 500, retry_after_secs: None };
    receiver.misbehave(Mischief::next(1_000_000, broken));
    let paused = state(&bridge, "paused").await;
    assert_eq!(paused["paused"]["by"], "bridge", "{paused}");
    stage.feed.site.publish(message(1, 0, now()));
    stage.accepts(&bridge, "C1-0").await;
    let resume = json!({"reason": "drill"});
    assert_eq!(bridge.post("/v1/endpoints/hook/resume", &resume).await.unwrap().0, 200);
    state(&bridge, "paused").await;
    // It answers again: a challenge resumes it, and what waited comes.
    receiver.behave();
    assert_eq!(bridge.post("/v1/endpoints/hook/challenge", &json!({})).await.unwrap().0, 200);
    state(&bridge, "ready").await;
    eventually("what waited comes", LIMIT, async || (originals(&receiver) == ["C1-0"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{on:?}: {error}\n{}", bridge.tail(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_proves_itself_again_or_is_paused_until_it_does() {
    check(On::Embedded).await;
    check(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_of_a_registered_cog_is_watched_like_one_of_the_file() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.tables = "[registration]\nkinds = [\"ipaws\", \"masas\"]\n".to_owned();
    let bridge = stage.bridge().await;
    let authority = Authority::new("Exercise CA", now()).unwrap();
    let cog = |name: &str, days: i64| {
        let key = authority.cog(120_082, now(), days).unwrap();
        json!({
            "name": name, "responder": "fema", "class": "live", "system": "ipaws",
            "ipaws": {"url": format!("{}/post", stage.responder.url()), "cog_id": 120_082, "user": "duty@example.test",
                "key_file": "key", "certificate_file": "certificate"},
            "secrets": {"key": key.key_pem, "certificate": key.certificate_pem},
        })
    };
    let hub = json!({
        "name": "hub", "responder": "fema", "class": "exercise", "exercise": "cause", "system": "masas",
        "masas": {"hub_url": format!("{}/hub", stage.responder.url()), "secret_file": "code", "hub": "exercise"},
        "secrets": {"code": "a word"},
    });
    let mut nowhere = cog("nowhere", 20);
    nowhere["system"] = Value::Null;
    let mut inside = cog("inside", 20);
    inside["ipaws"]["url"] = json!("https://10.1.2.3/post");
    for (path, order, status) in [
        ("responders", json!({"name": "fema", "title": "FEMA"}), 201),
        ("endpoints", cog("over", 0), 422),
        ("endpoints", nowhere, 422),
        ("endpoints", inside, 422),
        ("endpoints", cog("cog", 20), 201),
        ("endpoints", hub, 201),
    ] {
        let (got, said) = bridge.post(&format!("/v1/{path}"), &order).await.unwrap();
        assert_eq!(got, status, "{said}");
        assert!(!said.to_string().contains("PRIVATE KEY") && !said.to_string().contains("a word"), "{said}");
    }
    for name in ["cog", "hub"] {
        let (_, shown) = bridge.get(&format!("/v1/endpoints/{name}")).await.unwrap();
        assert_eq!(shown["state"], "ready", "{shown}");
    }
    let line = "capbridge_credential_left_seconds{endpoint=\"cog\"} ";
    let left = eventually("it is watched", LIMIT, async || {
        let (_, metrics) = bridge.get("/metrics").await.ok()?;
        let (_, rest) = metrics.as_str()?.split_once(line)?;
        rest.lines().next()?.parse::<f64>().ok()
    })
    .await
    .unwrap();
    assert!((19.0..=20.0).contains(&(left / 86_400.0)), "{left}");
    let log = std::fs::read_to_string(&bridge.log).unwrap();
    assert!(log.contains("the credential of an endpoint runs out soon"), "{log}");
    assert_eq!(bridge.call("DELETE", "/v1/endpoints/cog", None, None).await.unwrap().0, 204);
    eventually("it is watched no more", LIMIT, async || {
        let (_, metrics) = bridge.get("/metrics").await.ok()?;
        (!metrics.as_str()?.contains(line)).then_some(())
    })
    .await
    .unwrap();
}

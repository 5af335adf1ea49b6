//! Registration over the admin API, with the real program: who may do what, what is refused, what outlives a restart.

mod bad_input;
mod kinds;

pub(crate) use kinds::code_in;

use std::time::Duration;

use capbridge_exercise::clock::Clock;
use capbridge_exercise::responder::{self, Responder};
use capbridge_exercise::server::Running;
use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::{Program, eventually};
use serde_json::{Value, json};

use crate::stage::{On, Stage, message, now, originals};

const LIMIT: Duration = Duration::from_secs(20);

/// A call that must end like this.
async fn expect(
    bridge: &Program,
    (method, path): (&str, &str),
    token: Option<&str>,
    body: Option<Value>,
    status: u16,
) -> Value {
    let (got, said) = bridge.call(method, path, token, body.as_ref()).await.unwrap();
    assert_eq!(got, status, "{method} {path}: {said}\n{}", bridge.tail(5));
    if status >= 400 {
        assert_eq!(said["status"], status, "{method} {path}: no problem document: {said}");
    }
    said
}

async fn token(bridge: &Program, order: Value) -> String {
    let made = expect(bridge, ("POST", "/v1/tokens"), None, Some(order), 201).await;
    made["token"].as_str().unwrap().to_owned()
}

/// Files of the stage that hold a text.
fn files_with(stage: &Stage, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![stage.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(text) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

async fn check_tokens(on: On) {
    let stage = Stage::new(on).await;
    let bridge = stage.bridge().await;
    let auditor = token(&bridge, json!({"name": "inspector", "role": "auditor"})).await;
    let operator = token(&bridge, json!({"name": "night-desk", "role": "operator"})).await;
    let own = token(&bridge, json!({"name": "eoc", "role": "responder", "responder": "windsor"})).await;
    let decision = json!({"operator": "duty officer", "reason": "drill"});
    let replay = ("POST", "/v1/deliveries/msg_none/replay");
    // Method and path, body; then what becomes of it with no token, the auditor's, the operator's, the responder's, and one
    // that nobody made.
    let cases = [
        (("GET", "/v1/alerts"), None, [200, 200, 200, 403, 401]),
        (("GET", "/v1/whoami"), None, [200, 200, 200, 200, 401]),
        (("GET", "/metrics"), None, [200, 200, 200, 403, 401]),
        (replay, Some(decision), [404, 403, 404, 403, 401]),
        (("GET", "/v1/tokens"), None, [200, 403, 403, 403, 401]),
        (
            ("POST", "/v1/tokens"),
            Some(json!({"name": "x", "role": "admin", "wrong": 1})),
            [422, 403, 403, 403, 401],
        ),
        (("POST", "/v1/tokens/nobody/revoke"), Some(json!({})), [404, 403, 403, 403, 401]),
    ];
    for (call, body, expected) in cases {
        let tokens = [None, Some(&*auditor), Some(&*operator), Some(&*own), Some("cbt_nobody-made-this")];
        for (token, status) in tokens.into_iter().zip(expected) {
            expect(&bridge, call, token, body.clone(), status).await;
        }
    }
    let who = expect(&bridge, ("GET", "/v1/whoami"), Some(&own), None, 200).await;
    assert_eq!(who, json!({"by": "token eoc", "role": "responder", "responder": "windsor"}));
    assert_eq!(files_with(&stage, &operator), Vec::<String>::new(), "a token is kept as it is");
    let listed = expect(&bridge, ("GET", "/v1/tokens"), None, None, 200).await.to_string();
    assert!(!listed.contains("digest") && !listed.contains("cbt_"), "{listed}");

    bridge.kill().await.unwrap();
    let bridge = stage.bridge().await;
    expect(&bridge, ("GET", "/v1/alerts"), Some(&operator), None, 200).await;
    expect(&bridge, ("POST", "/v1/tokens/night-desk/revoke"), None, Some(json!({})), 200).await;
    expect(&bridge, ("GET", "/v1/alerts"), Some(&operator), None, 401).await;
    let again = json!({"name": "night-desk", "role": "operator"});
    expect(&bridge, ("POST", "/v1/tokens"), None, Some(again), 409).await;
    let (_, verified) = bridge.get("/v1/audit/verify").await.unwrap();
    assert_eq!(verified["intact"], true, "{on:?}: {verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_its_role_in_and_no_further_and_is_kept_as_a_hash_over_a_restart() {
    check_tokens(On::Embedded).await;
    check_tokens(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_registers_or_takes_back_holds_at_the_other() {
    let stage = Stage::new(On::Redis).await;
    let first = stage.bridge().await;
    let second = stage.second(&stage.configuration()).await;
    let made = token(&first, json!({"name": "desk", "role": "operator"})).await;
    let as_seen = async |status: u16| {
        eventually("the second instance knows", LIMIT, async || {
            let (got, _) = second.1.call("GET", "/v1/alerts", Some(&made), None).await.ok()?;
            (got == status).then_some(())
        })
        .await
        .unwrap();
    };
    as_seen(200).await;
    expect(&first, ("POST", "/v1/tokens/desk/revoke"), None, Some(json!({})), 200).await;
    as_seen(401).await;
}

/// A responder's receiver that knows no key and remembers everything.
async fn receiver() -> Running<Responder> {
    let settings = responder::Settings { proves_itself: true, ..responder::Settings::default() };
    Responder::start(settings, Clock::system()).await.unwrap()
}

fn hook(name: &str, url: &str) -> Value {
    json!({"name": name, "responder": "windsor", "class": "live", "webhook": {"url": url}})
}

fn wants(name: &str, endpoint: &str, filter: Value) -> Value {
    json!({"name": name, "endpoint": endpoint, "filter": filter})
}

/// Registers the responder `windsor`.
async fn windsor(bridge: &Program) {
    let order = json!({"name": "windsor", "title": "Windsor EOC", "classes": ["live"], "sources": ["feed"]});
    expect(bridge, ("POST", "/v1/responders"), None, Some(order), 201).await;
}

async fn add(bridge: &Program, what: &str, order: Value) -> Value {
    expect(bridge, ("POST", &format!("/v1/{what}")), None, Some(order), 201).await
}

async fn act(bridge: &Program, endpoint: &str, what: &str, body: Value) -> Value {
    expect(bridge, ("POST", &format!("/v1/endpoints/{endpoint}/{what}")), None, Some(body), 200).await
}

/// Waits until a receiver has these originals, in this order.
async fn arrives(bridge: &Program, receiver: &Running<Responder>, expected: &[&str]) {
    eventually("it arrives", LIMIT, async || (originals(receiver) == expected).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", originals(receiver), bridge.tail(20)));
}

fn because() -> Value {
    json!({"reason": "maintenance of the receiver"})
}

async fn check_life(on: On) {
    let mut stage = Stage::new(on).await;
    stage.route = String::new();
    let receiver = receiver().await;
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    let made = add(&bridge, "endpoints", hook("windsor-hook", &format!("{}/alerts", receiver.url()))).await;
    assert_eq!((&made["state"], &made["from"]), (&json!("unproven"), &json!("api")));
    assert!(made["public_keys"][0].as_str().unwrap().starts_with("whpk_") && made["secret"].is_null());
    add(&bridge, "subscriptions", wants("severe", "windsor-hook", json!({"severities": ["Severe"]}))).await;
    let (_, waiting) = bridge.get("/v1/subscriptions/severe").await.unwrap();
    assert_eq!(waiting["state"], "waiting");

    // Nothing before it has proven itself: this alert was routed while it had not.
    stage.feed.site.publish(message(1, 0, now()));
    stage.accepts(&bridge, "C1-0").await;
    stage.settled(&bridge, LIMIT).await;
    act(&bridge, "windsor-hook", "challenge", json!({})).await;
    let (_, ready) = bridge.get("/v1/endpoints/windsor-hook").await.unwrap();
    assert_eq!(ready["state"], "ready", "{ready}");
    stage.feed.site.publish(message(2, 0, now()));
    arrives(&bridge, &receiver, &["C2-0"]).await;

    // The rest of its life outlives a restart. What came before anybody subscribed would be news to the feed's new world.
    stage.feed.site.clear();
    bridge.kill().await.unwrap();
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(3, 0, begun));
    arrives(&bridge, &receiver, &["C2-0", "C3-0"]).await;

    // Paused: it waits. Resumed: it comes.
    act(&bridge, "windsor-hook", "pause", because()).await;
    stage.feed.site.publish(message(4, 0, now()));
    eventually("it is queued and waits", LIMIT, async || {
        let (_, metrics) = bridge.get("/metrics").await.ok()?;
        metrics.as_str()?.contains("reason=\"paused\"").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert_eq!(originals(&receiver), ["C2-0", "C3-0"]);
    act(&bridge, "windsor-hook", "resume", because()).await;
    arrives(&bridge, &receiver, &["C2-0", "C3-0", "C4-0"]).await;

    // A subscription that was removed is about nothing new; what went by it is still ended.
    expect(&bridge, ("DELETE", "/v1/subscriptions/severe"), None, None, 204).await;
    stage.feed.site.publish(message(5, 0, now()));
    stage.accepts(&bridge, "C5-0").await;
    stage.feed.site.publish(message(3, 1, begun));
    arrives(&bridge, &receiver, &["C2-0", "C3-0", "C4-0", "C3-1"]).await;
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(originals(&receiver).len(), 4);

    // Removed, it is gone for good, and its name never means another class.
    expect(&bridge, ("DELETE", "/v1/endpoints/windsor-hook"), None, None, 204).await;
    expect(&bridge, ("GET", "/v1/endpoints/windsor-hook"), None, None, 404).await;
    let other = json!({"name": "windsor-hook", "responder": "windsor", "class": "test",
        "webhook": {"url": receiver.url()}});
    let said = expect(&bridge, ("POST", "/v1/endpoints"), None, Some(other), 409).await;
    assert!(said["detail"].as_str().unwrap().contains("was an endpoint for live"), "{said}");
    let (_, verified) = bridge.get("/v1/audit/verify").await.unwrap();
    assert_eq!(verified["intact"], true, "{on:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_proves_itself_gets_what_it_subscribed_to_and_is_paused_resumed_and_removed() {
    check_life(On::Embedded).await;
    check_life(On::Redis).await;
}

async fn check_gone(on: On) {
    // D-19: the endpoint of the file.
    let stage = Stage::new(on).await;
    stage.responder.misbehave(Mischief::next(1, Fault::Status { status: 410, retry_after_secs: None }));
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, 0, now()));
    let state = async |bridge: &Program, wanted: &str| {
        eventually("it stands so", LIMIT, async || {
            (bridge.get("/v1/endpoints/responder").await.ok()?.1["state"] == wanted).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {wanted}\n{}", bridge.tail(10)));
    };
    state(&bridge, "gone").await;
    bridge.kill().await.unwrap();
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(2, 0, now()));
    eventually("both are dead letters", LIMIT, async || {
        (bridge.list("/v1/deliveries?state=dead").await.ok()?.len() == 2).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert_eq!(stage.responder.requests().len(), 1, "{on:?}: a restart asked it once more");
    act(&bridge, "responder", "resume", because()).await;
    state(&bridge, "ready").await;
    stage.feed.site.publish(message(3, 0, now()));
    stage.comes_to(&bridge, &["C3-0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_answered_410_stays_ended_over_a_restart_until_somebody_resumes_it() {
    check_gone(On::Embedded).await;
    check_gone(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_signs_with_both_keys_and_a_test_is_no_alert() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.route = String::new();
    let receiver = receiver().await;
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    let mut order = hook("windsor-hook", &format!("{}/alerts", receiver.url()));
    order["webhook"]["signing"] = json!("hmac");
    let first = add(&bridge, "endpoints", order).await["secret"].as_str().unwrap().to_owned();
    expect(&bridge, ("POST", "/v1/endpoints/windsor-hook/test"), None, Some(json!({})), 409).await;
    act(&bridge, "windsor-hook", "challenge", json!({})).await;
    let rotated = act(&bridge, "windsor-hook", "rotate", json!({})).await;
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("whsec_") && second.starts_with("whsec_") && first != second);
    let keys = rotated["keys"].as_array().unwrap();
    let retires: jiff::Timestamp = keys[0]["retires_at"].as_str().unwrap().parse().unwrap();
    let left = retires.duration_since(now()).as_secs_f64() / 3_600.0;
    assert!((23.9..24.1).contains(&left) && keys[1]["retires_at"].is_null(), "{rotated}");
    let (_, shown) = bridge.get("/v1/endpoints/windsor-hook").await.unwrap();
    assert!(!shown.to_string().contains("whsec_"), "{shown}");

    act(&bridge, "windsor-hook", "test", json!({})).await;
    add(&bridge, "subscriptions", wants("all", "windsor-hook", json!({}))).await;
    stage.feed.site.publish(message(1, 0, now()));
    let deliveries = eventually("the test and the alert arrive", LIMIT, async || {
        let all = receiver.site.deliveries();
        (all.len() == 2).then_some(all)
    })
    .await
    .unwrap();
    for delivery in &deliveries {
        for secret in [&first, &second] {
            let secrets = vec![secret.clone()];
            let knows = responder::Settings { secrets, ..responder::Settings::default() };
            assert_eq!(responder::verdict_of(&knows, delivery), responder::Verdict::Good, "both sign");
        }
    }
    let body: Value = serde_json::from_slice(&deliveries[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["class"]), (&json!("capbridge.test"), &json!("test")));
    for _ in 0..2 {
        act(&bridge, "windsor-hook", "rotate", json!({})).await;
    }
    expect(&bridge, ("POST", "/v1/endpoints/windsor-hook/rotate"), None, Some(json!({})), 409).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_sees_and_changes_what_is_its_own_and_no_more() {
    let stage = Stage::new(On::Embedded).await;
    let receiver = receiver().await;
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    let detroit = json!({"name": "detroit", "title": "Detroit EOC"});
    expect(&bridge, ("POST", "/v1/responders"), None, Some(detroit), 201).await;
    let mut theirs = hook("detroit-hook", &receiver.url());
    theirs["responder"] = json!("detroit");
    add(&bridge, "endpoints", theirs).await;
    add(&bridge, "subscriptions", wants("detroit-all", "detroit-hook", json!({}))).await;
    let order = |who: &str| json!({"name": who, "role": "responder", "responder": who});
    let (own, other) = (token(&bridge, order("windsor")).await, token(&bridge, order("detroit")).await);
    let own = Some(own.as_str());

    let mine = hook("windsor-hook", &format!("{}/w", receiver.url()));
    expect(&bridge, ("POST", "/v1/endpoints"), own, Some(mine.clone()), 201).await;
    expect(&bridge, ("POST", "/v1/endpoints/windsor-hook/challenge"), own, Some(json!({})), 200).await;
    let all = wants("windsor-all", "windsor-hook", json!({}));
    let made = expect(&bridge, ("POST", "/v1/subscriptions"), own, Some(all), 201).await;
    assert_eq!(made["filter"]["from"], json!(["feed"]));
    let names = async |path: &str| -> Vec<String> {
        let all = expect(&bridge, ("GET", path), own, None, 200).await;
        all.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/v1/endpoints").await, ["windsor-hook"]);
    assert_eq!(names("/v1/subscriptions").await, ["windsor-all"]);
    assert_eq!(names("/v1/responders").await, ["windsor"]);

    let with = |member: &str, value: Value| {
        let mut order = hook("another", &receiver.url());
        order[member] = value;
        Some(order)
    };
    let cases = [
        (("POST", "/v1/endpoints"), with("class", json!("test")), 403),
        (("POST", "/v1/endpoints"), with("responder", json!("detroit")), 422),
        (("POST", "/v1/endpoints"), with("restricted", json!(true)), 403),
        (("POST", "/v1/endpoints"), with("addresses", json!(["200032"])), 403),
        (("POST", "/v1/endpoints"), with("system", json!("ipaws")), 403),
        (("POST", "/v1/endpoints"), with("name", json!("responder")), 409),
        (("POST", "/v1/endpoints"), with("name", json!("detroit-hook")), 409),
        (("GET", "/v1/endpoints/responder"), None, 404),
        (("GET", "/v1/endpoints/detroit-hook"), None, 404),
        (("POST", "/v1/endpoints/responder/pause"), Some(because()), 404),
        (("POST", "/v1/endpoints/detroit-hook/pause"), Some(because()), 404),
        (("POST", "/v1/endpoints/detroit-hook/rotate"), Some(json!({})), 404),
        (("POST", "/v1/endpoints/detroit-hook/test"), Some(json!({})), 404),
        (("DELETE", "/v1/endpoints/detroit-hook"), None, 404),
        (("GET", "/v1/subscriptions/detroit-all"), None, 404),
        (("DELETE", "/v1/subscriptions/detroit-all"), None, 404),
        (("POST", "/v1/subscriptions"), Some(wants("x", "detroit-hook", json!({}))), 422),
        (("POST", "/v1/subscriptions"), Some(wants("x", "responder", json!({}))), 422),
        (("POST", "/v1/subscriptions"), Some(wants("x", "windsor-hook", json!({"from": ["other"]}))), 403),
        (("POST", "/v1/subscriptions"), Some(wants("detroit-all", "windsor-hook", json!({}))), 409),
        (("POST", "/v1/responders"), Some(json!({"name": "x", "title": "X"})), 403),
        (("DELETE", "/v1/responders/windsor"), None, 403),
    ];
    for (call, body, status) in cases {
        expect(&bridge, call, own, body, status).await;
    }
    // One that nothing was permitted to registers nothing.
    let order = {
        let mut order = hook("detroit-two", &receiver.url());
        order["responder"] = json!("detroit");
        order
    };
    expect(&bridge, ("POST", "/v1/endpoints"), Some(&other), Some(order), 403).await;
    let none = wants("detroit-two", "detroit-hook", json!({}));
    expect(&bridge, ("POST", "/v1/subscriptions"), Some(&other), Some(none), 403).await;
    // What is removed of a responder takes its token nowhere, nor does the token lead to whoever gets the name next.
    expect(&bridge, ("DELETE", "/v1/endpoints/windsor-hook"), own, None, 204).await;
    expect(&bridge, ("DELETE", "/v1/responders/windsor"), None, None, 204).await;
    expect(&bridge, ("GET", "/v1/whoami"), own, None, 401).await;
    windsor(&bridge).await;
    expect(&bridge, ("GET", "/v1/whoami"), own, None, 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_answer_the_challenge_gets_nothing() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.route = String::new();
    let settings = responder::Settings { proves_itself: false, ..responder::Settings::default() };
    let stranger = Responder::start(settings, Clock::system()).await.unwrap();
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    add(&bridge, "endpoints", hook("windsor-hook", &stranger.url())).await;
    add(&bridge, "subscriptions", wants("all", "windsor-hook", json!({}))).await;
    let path = ("POST", "/v1/endpoints/windsor-hook/challenge");
    expect(&bridge, path, None, Some(json!({})), 502).await;
    stage.feed.site.publish(message(1, 0, now()));
    stage.accepts(&bridge, "C1-0").await;
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(stranger.site.deliveries().len(), 0);
    assert_eq!(bridge.get("/v1/endpoints/windsor-hook").await.unwrap().1["state"], "unproven");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_and_what_is_registered_are_shown_with_where_they_come_from() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let text = stage.configuration();
    let line = |table: &str| text.lines().position(|l| l == table).unwrap() + 1;
    for (path, table) in
        [("/v1/endpoints/responder", "[endpoint.responder]"), ("/v1/subscriptions/all", "[route.all]")]
    {
        let (_, shown) = bridge.get(path).await.unwrap();
        let from = shown["from"].as_str().unwrap();
        assert!(
            from.starts_with("file ") && from.ends_with(&format!("capbridge.toml:{}", line(table))),
            "{from}"
        );
    }
    windsor(&bridge).await;
    let (code, said) = stage.command(&bridge, &["endpoints", "list"], "");
    assert!(code == 0 && said.contains("responder  webhook  live  ready  from: file "), "{said}");
    let order = hook("windsor-hook", "https://no-such-host.invalid/").to_string();
    let (code, said) = stage.command(&bridge, &["endpoints", "add", "-"], &order);
    assert!(code == 1 && said.contains("status 422"), "{code} {said}");
    let order = hook("windsor-hook", "https://127.0.0.1:1/").to_string();
    let (code, said) = stage.command(&bridge, &["endpoints", "add", "-"], &order);
    assert!(code == 0 && said.contains("from: api") && said.contains("whpk_"), "{code} {said}");
    let (code, said) = stage.command(&bridge, &["endpoints", "remove", "windsor-hook"], "");
    assert!(code == 0 && said.contains("removed"), "{code} {said}");
    let (code, said) = stage.command(&bridge, &["token", "create", "desk", "--role", "auditor"], "");
    assert!(code == 0 && said.starts_with("cbt_"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_deliver_by_what_either_of_them_registered() {
    let mut stage = Stage::new(On::Redis).await;
    stage.route = String::new();
    let receiver = receiver().await;
    let first = stage.bridge().await;
    let (_folder, second) = stage.second(&stage.configuration()).await;
    windsor(&second).await;
    add(&second, "endpoints", hook("windsor-hook", &format!("{}/alerts", receiver.url()))).await;
    act(&second, "windsor-hook", "challenge", json!({})).await;
    add(&second, "subscriptions", wants("all", "windsor-hook", json!({}))).await;
    eventually("the first knows", LIMIT, async || {
        (first.get("/v1/subscriptions/all").await.ok()?.0 == 200).then_some(())
    })
    .await
    .unwrap();
    for chain in 1..=6 {
        stage.feed.site.publish(message(chain, 0, now()));
    }
    eventually("all arrive, whoever delivers", LIMIT, async || {
        (originals(&receiver).len() == 6).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}\n{}", first.tail(10), second.tail(10)));
    assert_eq!(first.list("/v1/deliveries?state=dead").await.unwrap(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_calls_without_end_is_told_so_and_takes_nothing_from_others() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let wild = token(&bridge, json!({"name": "wild", "role": "auditor"})).await;
    let calm = token(&bridge, json!({"name": "calm", "role": "auditor"})).await;
    let calls = async |n: usize| {
        let mut refused = 0;
        for _ in 0..n {
            let (status, _) = bridge.call("GET", "/v1/whoami", Some(&wild), None).await.unwrap();
            assert!(matches!(status, 200 | 429), "{status}");
            refused += usize::from(status == 429);
        }
        refused
    };
    eventually("it is told so", LIMIT, async || (calls(200).await > 0).then_some(())).await.unwrap();
    expect(&bridge, ("GET", "/v1/whoami"), Some(&calm), None, 200).await;
    expect(&bridge, ("GET", "/v1/whoami"), None, None, 200).await;
}

//! Registration over the admin API, with the real program: who may do what, what is refused, what outlives a restart.

use std::time::Duration;

use capbridge_harness::{Program, eventually};
use serde_json::{Value, json};

use crate::admin::{check_problem, send};
use crate::stage::{On, Stage};

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

#[tokio::test(flavor = "multi_thread")]
async fn bad_orders_of_tokens_and_callers_that_pretend_change_nothing() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    for (order, status) in [
        (json!({"name": "Desk", "role": "operator"}), 422),
        (json!({"name": "../x", "role": "operator"}), 422),
        (json!({"name": "desk"}), 422),
        (json!({"name": "desk", "role": "root"}), 422),
        (json!({"name": "desk", "role": "responder"}), 422),
        (json!({"name": "desk", "role": "admin", "responder": "windsor"}), 422),
        (json!({"name": "desk", "role": "admin", "expires_at": "2020-01-01T00:00:00Z"}), 422),
        (json!({"name": "desk", "role": "admin", "expires_at": "soon"}), 422),
        (json!({"name": "x".repeat(20_000), "role": "admin"}), 413),
        (json!([]), 422),
    ] {
        expect(&bridge, ("POST", "/v1/tokens"), None, Some(order), status).await;
    }
    for pretence in [
        "X-Forwarded-For: 127.0.0.1\r\n",
        "Forwarded: for=127.0.0.1\r\n",
        "Via: 1.1 proxy\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer x\r\nAuthorization: Bearer y\r\n",
    ] {
        let said = send(&bridge, "GET /v1/tokens", &format!("Host: localhost\r\n{pretence}"), "").await;
        check_problem(&said, 401, pretence);
        assert_eq!(said.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(bridge.list("/v1/tokens").await.unwrap(), Vec::<Value>::new());
}

//! What registration refuses, as data: with a reason, and without a trace.

use serde_json::{Value, json};

use super::{add, expect, hook, receiver, wants, windsor};
use crate::admin::{check_problem, send};
use crate::stage::{On, Stage};

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

/// An order, the status that it gets, and a part of what is said of it.
type Bad = (Value, u16, &'static str);

fn bad_endpoints(receiver: &str) -> Vec<Bad> {
    let endpoint = |member: &str, value: Value| {
        let mut order = hook("bad", receiver);
        order[member] = value;
        order
    };
    let to = |url: &str| endpoint("webhook", json!({"url": url}));
    let hook_with = |key: &str, value: Value| {
        let mut order = hook("bad", receiver);
        order["webhook"][key] = value;
        order
    };
    vec![
        // Addresses that are not public, in every spelling; the test's own network is permitted as 127.0.0.0/8 and ::1.
        (to("https://10.1.2.3/"), 422, "10.1.2.3"),
        (to("https://192.168.0.1/"), 422, "192.168.0.1"),
        (to("https://169.254.169.254/latest/meta-data"), 422, "169.254.169.254"),
        (to("https://[::ffff:10.1.2.3]/"), 422, "10.1.2.3"),
        (to("https://[fd00::1]/"), 422, "fd00::1"),
        (to("https://[64:ff9b::a01:203]/"), 422, "64:ff9b"),
        (to("https://0x0a010203/"), 422, "10.1.2.3"),
        (to("https://167838211/"), 422, "10.1.2.3"),
        (to("https://100.64.0.1/"), 422, "100.64.0.1"),
        (to("https://0.0.0.0/"), 422, "0.0.0.0"),
        (to("http://192.0.2.1/"), 422, ""),
        (to("ftp://example.org/"), 422, "url"),
        (to("https://user:secret@example.org/"), 422, "url"),
        (to("nowhere"), 422, "url"),
        (to("https://no-such-host.invalid/"), 422, "url"),
        // Settings.
        (hook_with("key_file", json!("/etc/hostname")), 422, "key_file"),
        (hook_with("more_secret_files", json!(["x"])), 422, "more_secret_files"),
        (hook_with("signing", json!("none")), 422, "signing"),
        (hook_with("urll", json!("x")), 422, "urll"),
        (hook_with("timeout_secs", json!(0)), 422, "timeout_secs"),
        (hook_with("profile", json!("cap-xx")), 422, "cap-xx"),
        (endpoint("class", json!("internal")), 422, "class"),
        (endpoint("class", json!("actual")), 422, "actual"),
        (endpoint("class", json!("exercise")), 422, "exercise"),
        (endpoint("exercise", json!("x")), 422, "exercise"),
        (endpoint("responder", json!("nobody")), 422, "nobody"),
        (endpoint("name", json!("No Name")), 422, "name"),
        (endpoint("name", json!("windsor-hook")), 409, "taken"),
        (endpoint("name", json!("responder")), 409, "taken"),
        (endpoint("reach", json!("public")), 403, "reach"),
        (endpoint("max_in_flight", json!(65)), 422, "max_in_flight"),
        (endpoint("webhook", Value::Null), 422, "kind"),
        (endpoint("email", json!({})), 422, "kind"),
        (endpoint("wat", json!(1)), 422, "wat"),
        (endpoint("addresses", json!(["x".repeat(20_000)])), 413, ""),
    ]
}

fn bad_subscriptions() -> Vec<Bad> {
    let filter = |filter: Value| wants("bad", "windsor-hook", filter);
    let area = |ring: &str| filter(json!({"area": {"polygon": ring}}));
    let star = "42,-83 43,-82 42,-82 43,-83 42,-83";
    vec![
        // Filters.
        (filter(json!({"severity": ["Severe"]})), 422, "severity"),
        (filter(json!({"severities": ["severe"]})), 422, "Severe"),
        (filter(json!({"categories": ["Weather"]})), 422, "Met"),
        (filter(json!({"urgencies": ["Soon"]})), 422, "Immediate"),
        (filter(json!({"certainties": ["Sure"]})), 422, "Observed"),
        (filter(json!({"scopes": ["public"]})), 422, "Public"),
        (filter(json!({"languages": ["français"]})), 422, "languages"),
        (filter(json!({"events": [""]})), 422, "events"),
        (filter(json!({"events": vec!["TOR"; 101]})), 422, "events"),
        (filter(json!({"from": ["nowhere"]})), 422, "nowhere"),
        (filter(json!({"direction": "from-canada"})), 422, "source"),
        (filter(json!({"direction": "north"})), 422, "north"),
        (filter(json!({"purpose": "fun"})), 422, "fun"),
        (filter(json!({"open_channels": ["EAS"]})), 422, "EAS"),
        (area("42,-83 43,-82"), 422, "area.polygon"),
        (area("42,-83 42,-82 43,-82 43,-83"), 422, "area.polygon"),
        (area("142,-83 42,-82 43,-82 142,-83"), 422, "area.polygon"),
        (area("42,-83 42,-82 42,-81 42,-83"), 422, "no area"),
        (area(star), 422, "crosses itself"),
        (filter(json!({"area": {}})), 422, "area"),
        (filter(json!({"area": {"same": ["999999"]}})), 422, "999999"),
        (filter(json!({"area": {"sgc": ["9999"]}})), 422, "9999"),
        (filter(json!({"area": {"clc": ["1"]}})), 422, "clc"),
        (filter(json!({"area": {"same": ["026163"], "polygon": star}})), 422, "two"),
        (wants("bad", "nobody", json!({})), 422, "nobody"),
        (json!({"name": "bad", "endpoint": "windsor-hook", "class": "test"}), 422, "class"),
        (wants("all", "windsor-hook", json!({})), 409, "taken"),
        (json!([]), 422, ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_orders_are_refused_with_a_reason_and_change_nothing() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.tables = "[purpose.flood]\nallows = [\"contact\"]\n".to_owned();
    let receiver = receiver().await;
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    add(&bridge, "endpoints", hook("windsor-hook", &receiver.url())).await;
    let (endpoints, subscriptions) = ("/v1/endpoints", "/v1/subscriptions");
    let bad = bad_endpoints(&receiver.url()).into_iter().map(|bad| (endpoints, bad));
    let cases = bad.chain(bad_subscriptions().into_iter().map(|bad| (subscriptions, bad)));
    let before = (bridge.list(endpoints).await.unwrap(), bridge.list(subscriptions).await.unwrap());
    let (_, record) = bridge.get("/v1/audit/verify").await.unwrap();
    for (path, (order, status, part)) in cases {
        let said = expect(&bridge, ("POST", path), None, Some(order.clone()), status).await;
        assert!(said["detail"].as_str().unwrap().contains(part), "{order}: {said}");
    }
    for (what, body) in
        [("pause", json!({"reason": " "})), ("pause", json!({})), ("challenge", json!({"x": 1}))]
    {
        let path = format!("/v1/endpoints/windsor-hook/{what}");
        expect(&bridge, ("POST", &path), None, Some(body), 422).await;
    }
    assert_eq!((bridge.list(endpoints).await.unwrap(), bridge.list(subscriptions).await.unwrap()), before);
    assert_eq!(bridge.get("/v1/audit/verify").await.unwrap().1, record, "something was recorded");
}

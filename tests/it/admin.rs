//! The admin socket as an operator, a script and a hostile web page meet it.

use std::time::Duration;

use capbridge_exercise::program::signal;
use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::{Program, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{On, Stage, message, now, private};

const LIMIT: Duration = Duration::from_secs(20);
const JSON: &str = "Content-Type: application/json\r\n";

/// A reply, read by hand: no client library may mend a request that is meant to be odd.
pub(crate) struct Said {
    pub status: u16,
    headers: String,
    pub body: Value,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) async fn send(bridge: &Program, line: &str, headers: &str, body: &str) -> Said {
    let address = bridge.admin.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}{length}\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    // The peer may close before it has read all of a body that is too large.
    let _ = tokio::time::timeout(LIMIT, socket.read_to_end(&mut reply)).await.unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply to {line}: {reply}"));
    let (status_line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    Said {
        status: status_line.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.to_owned(),
        body: serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())),
    }
}

pub(crate) fn check_problem(said: &Said, status: u16, what: &str) {
    assert_eq!(said.status, status, "{what}: {}", said.body);
    assert_eq!(said.header("content-type"), Some("application/problem+json"), "{what}: {}", said.headers);
    assert_eq!(said.body["status"], status, "{what}");
    for member in ["type", "title", "detail"] {
        assert!(
            said.body[member].as_str().is_some_and(|t| !t.is_empty()),
            "{what}: no {member}: {}",
            said.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_the_admin_socket_is_a_problem_document() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let decision = "{\"operator\": \"duty officer\", \"reason\": \"drill\"}";
    let large = format!("{{\"operator\": \"{}\", \"reason\": \"x\"}}", "a".repeat(100_000));
    let replay = "POST /v1/deliveries/msg_none/replay";
    let release = "POST /v1/quarantine/q_none/release";
    let cases: [(u16, &str, &str, &str); 20] = [
        (400, "GET /v1/deliveries?state=lost", "", ""),
        (400, "GET /v1/alerts?limit=many", "", ""),
        (400, "GET /v1/deliveries?stat=dead", "", ""),
        (400, "GET /v1/audit?who=me", "", ""),
        (400, "GET /v1/audit?since=yesterday", "", ""),
        (400, replay, JSON, "{\"operator\": "),
        (400, replay, JSON, ""),
        (404, "GET /nothing/here", "", ""),
        (404, "GET /v1/alerts/nobody/journey", "", ""),
        (404, "GET /v1/quarantine/q_none", "", ""),
        (404, replay, JSON, decision),
        (404, release, JSON, decision),
        (405, "DELETE /v1/alerts", "", ""),
        (405, "POST /healthz", JSON, "{}"),
        (413, replay, JSON, &large),
        (415, replay, "", decision),
        (415, replay, "Content-Type: application/jsonx\r\n", decision),
        (422, replay, JSON, "{\"operator\": \"a\"}"),
        (422, replay, JSON, "{\"operator\": \" \\u200b\", \"reason\": \"drill\"}"),
        (422, release, JSON, "{\"operator\": \"duty officer\", \"reason\": \"\\t\"}"),
    ];
    for (status, line, headers, body) in cases {
        let said = send(&bridge, line, &format!("Host: localhost\r\n{headers}"), body).await;
        check_problem(&said, status, line);
        assert_eq!(said.header("allow").is_some(), status == 405, "{line}: Allow goes with 405");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_socket_answers_to_no_name_that_is_not_its_own() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.admin = "hosts = [\"bridge.example.test\"]".to_owned();
    let bridge = stage.bridge().await;
    for path in ["/healthz", "/readyz", "/metrics", "/v1/alerts"] {
        let line = format!("GET {path}");
        for host in ["attacker.example.test", "attacker.example.test:8650", "127.0.0.1.attacker.example.test"]
        {
            check_problem(&send(&bridge, &line, &format!("Host: {host}\r\n"), "").await, 421, host);
        }
        check_problem(&send(&bridge, &line, "", "").await, 400, "no Host");
        let two = "Host: localhost\r\nHost: attacker.example.test\r\n";
        check_problem(&send(&bridge, &line, two, "").await, 400, "two Hosts");
        for host in ["localhost:1", "127.0.0.1", "[::1]:8650", "bridge.example.test:443"] {
            let said = send(&bridge, &line, &format!("Host: {host}\r\n"), "").await;
            // Under a name that a proxy uses nobody is taken for somebody at the machine.
            let needs_token = host.starts_with("bridge") && !path.ends_with("z");
            assert_eq!(said.status == 401, needs_token, "{path} at {host}");
            assert!(matches!(said.status, 200 | 401 | 503), "{host}: {}", said.status);
        }
    }
    let whole = "GET http://attacker.example.test/v1/alerts";
    check_problem(&send(&bridge, whole, "Host: localhost\r\n", "").await, 421, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_with_a_token_gives_health_to_all_and_the_rest_to_its_holder() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.admin = "token_file = \"admin.token\"".to_owned();
    private(&stage.folder.path().join("admin.token"), "a-long-enough-token\n");
    let bridge = stage.bridge().await;
    let by = |credentials: &str| format!("Host: localhost\r\n{credentials}");
    for path in ["/metrics", "/v1/alerts", "/v1/quarantine", "/v1/audit/verify"] {
        let line = format!("GET {path}");
        for wrong in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic a-long-enough-token\r\n"] {
            let said = send(&bridge, &line, &by(wrong), "").await;
            check_problem(&said, 401, path);
            assert_eq!(said.header("www-authenticate"), Some("Bearer"));
        }
        let good = by("Authorization: bearer a-long-enough-token\r\n");
        assert_eq!(send(&bridge, &line, &good, "").await.status, 200, "{path}");
    }
    assert_eq!(send(&bridge, "GET /healthz", &by(""), "").await.status, 200);
    let foreign = "Host: attacker.example.test\r\nAuthorization: Bearer a-long-enough-token\r\n";
    check_problem(&send(&bridge, "GET /v1/alerts", foreign, "").await, 421, "a token is no name");
}

async fn check_decisions(on: On) {
    let stage = Stage::new(on).await;
    stage.responder.misbehave(Mischief::next(1, Fault::Status { status: 400, retry_after_secs: None }));
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, 0, now()));
    let dead = eventually("a dead letter", LIMIT, async || {
        bridge.list("/v1/deliveries?state=dead").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    let path = format!("/v1/deliveries/{}/replay", dead["id"].as_str().unwrap());
    let long = "x".repeat(3_000);
    for (operator, reason) in
        [(" ", "drill"), ("duty officer", ""), ("duty officer", &*long), (&*long, "drill")]
    {
        let (status, said) =
            bridge.post(&path, &json!({"operator": operator, "reason": reason})).await.unwrap();
        assert_eq!(status, 422, "{on:?}: {said}");
    }
    assert_eq!(bridge.list("/v1/deliveries?state=dead").await.unwrap().len(), 1, "{on:?}: it was replayed");
    let decision = json!({"operator": "duty officer", "reason": "endpoint repaired"});
    assert_eq!(bridge.post(&path, &decision).await.unwrap().0, 200);
    eventually("it is delivered", LIMIT, async || (stage.delivered() == ["C1-0"]).then_some(()))
        .await
        .unwrap();
    let (_, journey) = bridge.get("/v1/alerts/C1-0/journey").await.unwrap();
    let replayed = journey[0]["events"].as_array().unwrap().iter().find(|e| e["what"] == "replayed").unwrap();
    assert_eq!(replayed["facts"], decision, "{on:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_replayed_only_by_somebody_for_a_reason_and_both_are_kept() {
    check_decisions(On::Embedded).await;
    check_decisions(On::Redis).await;
}

async fn check_release(on: On) {
    let stage = Stage::new(on).await;
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, 0, now()).replace("</info>", "&nope;</info>"));
    let held = eventually("it is in quarantine", LIMIT, async || {
        bridge.list("/v1/quarantine").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    let id = held["id"].as_str().unwrap();
    stage.feed.site.clear();
    let (_, before) = bridge.get(&format!("/v1/quarantine/{id}")).await.unwrap();
    let decision = json!({"operator": "duty officer", "reason": "it looks well"});
    let (status, said) = bridge.post(&format!("/v1/quarantine/{id}/release"), &decision).await.unwrap();
    assert_eq!(status, 409, "{on:?}: {said}");
    let (_, still) = bridge.get(&format!("/v1/quarantine/{id}")).await.unwrap();
    assert_eq!(still["released"], Value::Null, "{on:?}: it is shown as released and was not");
    assert_eq!(still["times"], before["times"], "{on:?}: a refused release is no second document");
    let (_, metrics) = bridge.get("/metrics").await.unwrap();
    for line in ["capbridge_quarantine_documents 1", "capbridge_quarantined_total{reason=\"document\"} 1"] {
        assert!(metrics.as_str().unwrap().contains(line), "{on:?}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_released_stays_in_quarantine_and_is_not_called_released() {
    check_release(On::Embedded).await;
    check_release(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told_by_readiness() {
    let stage = Stage::new(On::Embedded).await;
    *stage.feed.site.date.lock().unwrap() = Some("Sun, 01 Mar 2026 12:00:00 GMT".to_owned());
    let bridge = stage.bridge().await;
    let fault = async || {
        let (status, body) = bridge.get("/readyz").await.ok()?;
        let fault =
            body["faults"].as_array()?.iter().find_map(|f| f.as_str()?.strip_prefix("clock: "))?.to_owned();
        (status == 503).then_some(fault)
    };
    let fault = eventually("it is not ready because of the clock", LIMIT, fault).await.unwrap();
    assert!(fault.contains("source feed") && fault.contains("check time synchronisation"), "{fault}");
    *stage.feed.site.date.lock().unwrap() = None;
    eventually("it is ready", LIMIT, async || (bridge.get("/readyz").await.ok()?.0 == 200).then_some(()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_stands_by_is_ready_without_having_reached_the_source() {
    let stage = Stage::new(On::Redis).await;
    let first = stage.bridge().await;
    let ready = async |bridge: &Program| (bridge.get("/readyz").await.ok()?.0 == 200).then_some(());
    eventually("the first is ready", LIMIT, async || ready(&first).await).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(stage.folder.path().join("webhook.key.pem"), folder.path().join("webhook.key.pem"))
        .unwrap();
    let second = Program::start(folder.path(), &stage.configuration()).await.unwrap();
    eventually("the second is ready", LIMIT, async || ready(&second).await).await.unwrap();
    let (_, body) = second.get("/readyz").await.unwrap();
    assert_eq!(body["sources"]["feed"]["elsewhere"], true, "{body}");
    let (_, metrics) = second.get("/metrics").await.unwrap();
    assert!(!metrics.as_str().unwrap().contains("source_contact_age_seconds{"), "{metrics}");
    first.terminate(LIMIT).await.unwrap();
    eventually("the second reads the source", LIMIT, async || {
        let (status, body) = second.get("/readyz").await.ok()?;
        (status == 200 && body["sources"]["feed"]["elsewhere"] == false).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stays_open_and_is_not_read_holds_nothing_up_and_the_end_comes_all_the_same() {
    let stage = Stage::new(On::Embedded).await;
    let listen = format!("127.0.0.1:{}", capbridge_harness::free_port().unwrap());
    let configuration = stage.configuration().replace("127.0.0.1:0", &listen);
    let configuration = configuration.replace("[log]", "[log]\nlevel = \"trace\"");
    std::fs::write(stage.folder.path().join("c.toml"), configuration).unwrap();
    let mut child = tokio::process::Command::new(capbridge_harness::binary().unwrap())
        .args(["run", "--config", "c.toml"])
        .current_dir(stage.folder.path())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Held, and never read: what a stopped journal does.
    let mut unread = child.stderr.take().unwrap();
    // Each is several lines; a pipe holds 64 KiB.
    for chain in 0..300 {
        stage.feed.site.publish(message(chain, 0, now()));
    }
    eventually("all are delivered", LIMIT, async || (stage.delivered().len() == 300).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", child.try_wait()));
    signal(child.id().unwrap(), "TERM").await.unwrap();
    let ended = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
    let mut log = Vec::new();
    unread.read_to_end(&mut log).await.unwrap();
    // What fitted into it; a line that did not fit into the rest of a page leaves that empty.
    assert!((60_000..=65_536).contains(&log.len()), "the pipe was never full: {}", log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_changed_or_emptied_is_told_of_while_the_bridge_runs() {
    let mut stage = Stage::new(On::Redis).await;
    stage.store = format!("redis_url = \"{}\"\ncheck_secs = 1", stage.redis.as_ref().unwrap().url());
    let bridge = stage.bridge().await;
    let redis = stage.redis.as_ref().unwrap();
    let said = async |word: &str| {
        let (_, body) = bridge.get("/readyz").await.ok()?;
        let faults = body["faults"].as_array()?;
        faults.iter().any(|fault| fault.as_str().is_some_and(|fault| fault.contains(word))).then_some(())
    };
    let ready = async || (bridge.get("/readyz").await.ok()?.0 == 200).then_some(());
    let count = async |line: &str| {
        let (_, metrics) = bridge.get("/metrics").await.unwrap();
        assert!(metrics.as_str().unwrap().contains(line), "{line}: {metrics}");
    };
    eventually("it is ready", LIMIT, ready).await.unwrap();
    count("capbridge_store_safe 1").await;
    redis.set("appendfsync", "everysec").await.unwrap();
    eventually("it is told", LIMIT, async || said("appendfsync always").await).await.unwrap();
    count("capbridge_store_safe 0").await;
    redis.set("appendfsync", "always").await.unwrap();
    eventually("it is ready again", LIMIT, ready).await.unwrap();
    stage.feed.site.publish(message(1, 0, now()));
    eventually("it is delivered", LIMIT, async || (!stage.delivered().is_empty()).then_some(()))
        .await
        .unwrap();
    redis.empty().await.unwrap();
    eventually("it is told", LIMIT, async || said("emptied").await).await.unwrap();
    eventually("it goes on", LIMIT, ready).await.unwrap();
    count("capbridge_store_unsafe_total 2").await;
    let log = std::fs::read_to_string(&bridge.log).unwrap();
    assert_eq!(log.matches("the store is not safe").count(), 2, "once for each change:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_does_not_end_the_bridge_and_a_hangup_drains_it() {
    let stage = Stage::new(On::Embedded).await;
    let listen = format!("127.0.0.1:{}", capbridge_harness::free_port().unwrap());
    std::fs::write(stage.folder.path().join("c.toml"), stage.configuration().replace("127.0.0.1:0", &listen))
        .unwrap();
    let mut child = tokio::process::Command::new(capbridge_harness::binary().unwrap())
        .args(["run", "--config", "c.toml"])
        .current_dir(stage.folder.path())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // From here on every line of the log fails.
    drop(child.stderr.take());
    stage.feed.site.publish(message(1, 0, now()));
    eventually("the alert is delivered", LIMIT, async || (stage.delivered() == ["C1-0"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", child.try_wait()));
    signal(child.id().unwrap(), "HUP").await.unwrap();
    let ended = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
}

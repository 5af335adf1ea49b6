//! The audit log as an auditor reads it: by command, filtered, followed, verified.

use std::process::Stdio;
use std::time::Duration;

use capbridge_exercise::clock::Clock;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::stage::{On, Stage, message, now};

const LIMIT: Duration = Duration::from_secs(20);

/// What a command lists, each line of JSON.
fn listed(stage: &Stage, bridge: &capbridge_harness::Program, more: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--format", "json"], more].concat();
    let (code, said) = stage.command(bridge, &arguments, "");
    assert_eq!(code, 0, "{more:?}: {said}");
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn check(on: On) {
    let stage = Stage::new(on).await;
    let bridge = stage.bridge().await;
    let begun = Clock::system().now().to_string();
    stage.feed.site.publish(message(1, 0, now()));
    stage.comes_to(&bridge, &["C1-0"]).await;
    for n in 0..12 {
        let (code, said) =
            stage.command(&bridge, &["token", "create", &format!("desk-{n}"), "--role", "auditor"], "");
        assert_eq!(code, 0, "{said}");
    }
    let what = |found: &[Value]| {
        found.iter().map(|e| e["event"]["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = listed(&stage, &bridge, &[]);
    assert!(all.len() >= 15 && what(&all).last().unwrap() == "started", "{on:?}: {:?}", what(&all));
    assert_eq!(what(&listed(&stage, &bridge, &["--what", "accepted,delivered"])), ["delivered", "accepted"]);
    assert_eq!(listed(&stage, &bridge, &["--by", "local"]).len(), 12, "{on:?}");
    assert_eq!(listed(&stage, &bridge, &["--by", "nobody"]), Vec::<Value>::new());
    assert_eq!(listed(&stage, &bridge, &["--endpoint", "responder", "--what", "delivered"]).len(), 1);
    let about = listed(&stage, &bridge, &["--alert", "C1-0"]);
    assert!(
        what(&about).contains(&"routed".to_owned()) && !what(&about).contains(&"token-created".to_owned())
    );
    assert_eq!(listed(&stage, &bridge, &["--until", &begun, "--what", "accepted"]), Vec::<Value>::new());
    assert_eq!(listed(&stage, &bridge, &["--since", &begun, "--what", "accepted"]).len(), 1);
    // In pages, by the place that the command tells: each entry once.
    let (mut paged, mut before) = (Vec::new(), None::<String>);
    for _ in 0..100 {
        let from = before.as_deref().map(|place| vec!["--before", place]).unwrap_or_default();
        let arguments = [&["audit", "list", "--format", "json", "--limit", "4"][..], &from].concat();
        let (_, said) = stage.command(&bridge, &arguments, "");
        paged.extend(said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()));
        let Some((_, rest)) = said.split_once("--before ") else { break };
        before = Some(rest.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(what(&paged), what(&all), "{on:?}");
    let (code, said) = stage.command(&bridge, &["audit", "verify"], "");
    assert!(code == 0 && said.starts_with("intact: "), "{said}");
    for (arguments, expected) in [
        (vec!["audit", "list", "--since", "yesterday"], 1),
        (vec!["audit", "list", "--before", "nowhere"], 1),
        (vec!["audit", "list", "--color"], 64),
        (vec!["audit"], 64),
        (vec!["audit", "verify", "--admin", "http://127.0.0.1:1"], 69),
    ] {
        let unreachable = arguments.contains(&"--admin");
        let code = if unreachable {
            let run =
                std::process::Command::new(capbridge_harness::binary().unwrap()).args(&arguments).output();
            run.unwrap().status.code().unwrap()
        } else {
            stage.command(&bridge, &arguments, "").0
        };
        assert_eq!(code, expected, "{on:?}: {arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_read_by_command_in_pages_and_by_filters_and_verified() {
    check(On::Embedded).await;
    check(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_followed_and_each_entry_is_shown_once() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let create = |name: &str| {
        let (code, said) = stage.command(&bridge, &["token", "create", name, "--role", "auditor"], "");
        assert_eq!(code, 0, "{said}");
    };
    (0..3).for_each(|n| create(&format!("before-{n}")));
    let mut tail = tokio::process::Command::new(capbridge_harness::binary().unwrap())
        .args([
            "audit",
            "tail",
            "--what",
            "token-created",
            "--limit",
            "2",
            "--format",
            "json",
            "--admin",
            &bridge.admin,
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for turn in 0..5 {
        if turn == 2 {
            (0..3).for_each(|n| create(&format!("after-{n}")));
        }
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap();
        seen.push(entry["event"]["facts"]["token"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["before-1", "before-2", "after-0", "after-1", "after-2"]);
    tail.kill().await.unwrap();
}

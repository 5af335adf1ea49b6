//! What is in force at an endpoint when scopes, time zones or sources of a chain differ. Every case on both stores.

use std::collections::BTreeSet;
use std::time::Duration;

use capbridge_harness::eventually;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{Stage, endpoint, events, feed, message, now, originals, route, source};

const ALERT: usize = 0;
const UPDATE: usize = 1;
const CANCEL: usize = 3;
const LIMIT: Duration = Duration::from_secs(20);

on_both_stores! {
    what_its_scope_keeps_from_an_endpoint_ends_there_without_a_word_of_it
    a_message_in_another_time_zone_is_the_same_and_references_in_one_find_theirs
    what_one_source_cancelled_does_not_go_out_through_a_slower_one
}

/// A message that is not for everybody, with words that must stay; `turn` as for `message`.
fn narrowed(chain: usize, turn: usize, begun: Timestamp, scope: &str) -> String {
    message(chain, turn, begun)
        .replace("<scope>Public</scope>", &format!("<scope>{scope}</scope>"))
        .replace("<code>IPAWSv1.0</code>", "<code>IPAWSv1.0</code><note>a SECRET note</note>")
        .replace("<headline>chain", "<headline>SECRET chain")
}

async fn what_its_scope_keeps_from_an_endpoint_ends_there_without_a_word_of_it(mut stage: Stage) {
    // D-12, at an endpoint that gets the original and at one that gets a translation.
    const PRIVATE: &str = "Private</scope><addresses>SECRET-desk</addresses><scope>";
    const RESTRICTED: &str = "Restricted</scope><restriction>SECRET service</restriction><scope>";
    let other = stage.another_responder().await;
    stage.tables =
        endpoint("other", &other, "cap-cp") + &route("second", "\"feed\"", "\"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    let begun = now();
    for chain in 1..=3 {
        stage.feed.site.publish(message(chain, ALERT, begun));
        let there: Vec<String> = (1..=chain).map(|c| format!("C{c}-0")).collect();
        stage.comes_to(&bridge, &there.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let cut = |text: String| text.replace("<scope></scope>", "");
    stage.feed.site.publish(cut(narrowed(1, CANCEL, begun, RESTRICTED)));
    stage.feed.site.publish(cut(narrowed(2, UPDATE, begun, PRIVATE)));
    stage.feed.site.publish(cut(narrowed(3, CANCEL, begun, PRIVATE)));
    // Of what nobody has there is nothing to end.
    stage.feed.site.publish(cut(narrowed(4, ALERT, begun, PRIVATE)));
    stage.feed.site.publish(cut(narrowed(4, CANCEL, begun, PRIVATE)));
    for identifier in ["C1-3", "C2-1", "C3-3", "C4-3"] {
        stage.accepts(&bridge, identifier).await;
    }
    for responder in [&stage.responder, &other] {
        eventually("the ends are there", LIMIT, async || {
            (responder.site.deliveries().len() == 6).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    }
    // What goes on for everybody begins anew, and what was ended for the endpoint is not ended again.
    stage.feed.site.publish(message(2, 2, begun));
    stage.comes_to(&bridge, &["C1-0", "C2-0", "C3-0", "C2-2"]).await;
    for responder in [&stage.responder, &other] {
        let bodies: Vec<Value> =
            responder.site.deliveries().iter().map(|d| serde_json::from_slice(&d.body).unwrap()).collect();
        assert_eq!(bodies.len(), 7, "{bodies:#?}");
        for body in &bodies {
            assert!(!body.to_string().contains("SECRET"), "{body:#}");
        }
        let mut ended = BTreeSet::new();
        for body in &bodies[3..6] {
            let data = &body["data"];
            let cap = data["cap"].as_str().unwrap();
            assert_eq!(data["msg_type"], "Cancel", "{body:#}");
            assert!(
                cap.contains("<msgType>Cancel</msgType>") && cap.contains("<scope>Public</scope>"),
                "{cap}"
            );
            assert!(!["C1-3", "C2-1", "C3-3"].iter().any(|id| body.to_string().contains(id)), "{body:#}");
            let rules: Vec<&Value> =
                data["report"]["lines"].as_array().unwrap().iter().map(|l| &l["rule"]).collect();
            assert!(rules.contains(&&json!("lifecycle.content-stays")), "{body:#}");
            let references = cap.split("<references>").nth(1).unwrap().split("</references>").next().unwrap();
            let held = bodies[..3].iter().find(|b| b["data"]["reference"] == references);
            ended.insert(
                held.unwrap_or_else(|| panic!("{references}"))["data"]["trail"]["reference"].to_string(),
            );
        }
        assert_eq!(ended.len(), 3, "{ended:?}");
    }
    let as_received =
        |d: &capbridge_exercise::responder::Delivery| -> Value { serde_json::from_slice(&d.body).unwrap() };
    let plain = as_received(&stage.responder.site.deliveries()[3]);
    assert!(!plain["data"]["cap"].as_str().unwrap().contains("<info>"), "{plain:#}");
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
}

/// A message with every time in Newfoundland's zone: the same instants.
fn in_another_zone(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("-00:00") {
        let (before, time) = rest[..at].split_at(at - "2026-01-01T00:00:00".len());
        let local = format!("{time}Z").parse::<Timestamp>().unwrap() - SignedDuration::from_mins(150);
        out += &format!("{before}{}-02:30", local.strftime("%Y-%m-%dT%H:%M:%S"));
        rest = &rest[at + "-00:00".len()..];
    }
    out + rest
}

async fn a_message_in_another_time_zone_is_the_same_and_references_in_one_find_theirs(mut stage: Stage) {
    // D-16: the second source writes every time in its own zone, and comes after the first.
    let (mirror, other) = (feed().await, stage.another_responder().await);
    stage.tables = source("mirror", &mirror, "mode = \"live\"")
        + &endpoint("other", &other, "cap-cp")
        + &route("second", "\"feed\", \"mirror\"", "\"responder\", \"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    mirror.site.publish(in_another_zone(&message(1, ALERT, begun)));
    eventually("it is linked", LIMIT, async || {
        (events(&bridge, "C1-0", "linked").await.len() == 1).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    // The same instant with other words is a conflict, as it is in one zone.
    mirror.site.publish(in_another_zone(&message(1, ALERT, begun)).replace("chain 1", "county 1"));
    let kept = eventually("it is in quarantine", LIMIT, async || {
        bridge.list("/v1/quarantine").await.ok()?.into_iter().next()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert_eq!(kept["reason"], "conflict", "{kept}");
    // What refers to it in the other zone follows it.
    mirror.site.publish(in_another_zone(&message(1, UPDATE, begun)));
    stage.comes_to(&bridge, &["C1-0", "C1-1"]).await;
    mirror.site.publish(in_another_zone(&message(1, CANCEL, begun)));
    stage.comes_to(&bridge, &["C1-0", "C1-1", "C1-3"]).await;
    assert_eq!(stage.responder.site.deliveries().len(), 3, "each once");
    let kinds: Vec<Value> = other
        .site
        .deliveries()
        .iter()
        .map(|d| serde_json::from_slice::<Value>(&d.body).unwrap()["data"]["msg_type"].clone())
        .collect();
    assert_eq!(kinds, ["Alert", "Update", "Cancel"]);
}

async fn what_one_source_cancelled_does_not_go_out_through_a_slower_one(mut stage: Stage) {
    // D-14: the second route takes from the slower source only.
    let (slow, other) = (feed().await, stage.another_responder().await);
    stage.tables = source("slow", &slow, "mode = \"live\"")
        + &endpoint("other", &other, "as-received")
        + &route("second", "\"slow\"", "\"other\"", "");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
    slow.site.publish(message(1, ALERT, begun));
    let withheld = eventually("it is withheld", LIMIT, async || {
        let found = events(&bridge, "C1-0", "withheld").await;
        found.into_iter().find(|e| e["facts"]["endpoint"] == "other")
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    let reason = withheld["facts"]["reason"].as_str().unwrap();
    assert!(reason.contains("already cancelled by") && reason.contains("C1-3"), "{reason}");
    // What is in force goes on coming by that route, what was corrected included.
    slow.site.publish(message(2, ALERT, begun));
    eventually("the other alert is there", LIMIT, async || (originals(&other) == ["C2-0"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", originals(&other), bridge.tail(20)));
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(originals(&other), ["C2-0"]);
}

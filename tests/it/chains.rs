//! Chains that come as they should not: out of order, through two sources, from somebody else, after the routes changed.
//! Every case on both stores.

use std::collections::BTreeSet;
use std::time::Duration;

use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::eventually;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::stage::{Stage, endpoint, events, feed, message, now, originals, route, source};

const LIMIT: Duration = Duration::from_secs(20);
const ALERT: usize = 0;
const UPDATE: usize = 1;
const CANCEL: usize = 3;

on_both_stores! {
    a_live_alert_goes_out_although_an_exercise_or_an_unrouted_source_brought_it_first
    an_alert_through_a_second_source_goes_where_that_source_leads_and_nowhere_twice
    nobody_cancels_what_another_sent_until_an_operator_says_so
    a_source_in_no_route_ends_nothing
    a_rule_that_does_not_take_from_a_source_is_no_way_for_its_cancel
    an_alert_after_its_cancel_is_kept_and_not_sent
    an_update_before_its_alert_waits_for_it
    an_alert_after_its_hold_ended_update_is_kept_and_not_sent
    a_cancel_that_is_over_still_ends_what_was_sent
    a_cancel_a_day_late_still_ends_what_was_sent
    a_renamed_route_carries_the_chain_on_and_a_removed_one_says_that_it_does_not
    a_replayed_dead_letter_does_not_come_after_its_cancel
    the_second_of_two_routes_to_an_endpoint_is_tried_too
    an_attempt_without_an_answer_counts_as_something_to_end
    an_answer_without_info_is_withheld_where_it_would_be_translated
    alerts_that_two_sources_bring_at_once_reach_the_endpoints_of_both
    an_identifier_of_ones_own_gives_no_right_over_anothers
    a_foreign_cancel_that_came_first_ends_nothing
    a_cancel_that_counts_as_a_test_says_that_it_ends_nothing
    a_dead_letter_whose_cancel_found_nothing_to_end_stays_dead
    a_cancel_of_one_part_leaves_the_other_in_force
}

async fn a_live_alert_goes_out_although_an_exercise_or_an_unrouted_source_brought_it_first(mut stage: Stage) {
    // D-15
    let (drill, desk) = (feed().await, feed().await);
    stage.tables = source("drill", &drill, "mode = \"exercise\"\nexercise = \"x1\"")
        + &source("desk", &desk, "mode = \"live\"");
    let bridge = stage.bridge().await;
    let begun = now();
    drill.site.publish(message(1, ALERT, begun));
    desk.site.publish(message(1, ALERT, begun));
    // Other words under the same reference.
    drill.site.publish(message(2, ALERT, begun).replace("chain 2", "drill 2"));
    desk.site.publish(message(2, ALERT, begun).replace("chain 2", "desk 2"));
    eventually("all four are accepted", LIMIT, async || {
        (bridge.list("/v1/alerts").await.ok()?.len() == 4).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert!(stage.delivered().is_empty());
    // One after the other: chains have no order among them.
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(message(2, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0", "C2-0"]).await;
    assert!(bridge.list("/v1/quarantine").await.unwrap().is_empty());
}

async fn an_alert_through_a_second_source_goes_where_that_source_leads_and_nowhere_twice(mut stage: Stage) {
    // D-16
    let (mirror, other) = (feed().await, stage.another_responder().await);
    stage.tables = source("mirror", &mirror, "mode = \"live\"")
        + &endpoint("other", &other, "as-received")
        + &route("second", "\"mirror\"", "\"responder\", \"other\"", "");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    mirror.site.publish(message(1, ALERT, begun));
    eventually("the other has it", LIMIT, async || (originals(&other) == ["C1-0"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(stage.responder.site.deliveries().len(), 1, "relayed once");
    let linked = events(&bridge, "C1-0", "linked").await;
    assert_eq!(linked.len(), 1, "{linked:?}");
    assert_eq!(linked[0]["facts"]["origin"], "mirror");
    assert_eq!(events(&bridge, "C1-0", "delivered").await.len(), 2);
}

async fn nobody_cancels_what_another_sent_until_an_operator_says_so(stage: Stage) {
    // D-15
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    let foreign = |turn| {
        let own = "<sender>stage@county.example.test</sender>";
        message(1, turn, begun).replace(own, "<sender>office@city.example.test</sender>")
    };
    stage.feed.site.publish(foreign(UPDATE));
    stage.feed.site.publish(foreign(CANCEL));
    let kept = eventually("both are in quarantine", LIMIT, async || {
        let kept = bridge.list("/v1/quarantine").await.ok()?;
        (kept.len() == 2).then_some(kept)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert!(kept.iter().all(|entry| entry["reason"] == "authority"), "{kept:?}");
    assert!(kept[0]["detail"].as_str().unwrap().contains("stage@county.example.test,C1-0"), "{kept:?}");
    stage.comes_to(&bridge, &["C1-0"]).await;
    let cancel = kept.iter().find(|entry| entry["reference"]["identifier"] == "C1-3").unwrap();
    let path = format!("/v1/quarantine/{}/release", cancel["id"].as_str().unwrap());
    let decision = json!({"operator": "duty officer", "reason": "the city took over"});
    assert_eq!(bridge.post(&path, &decision).await.unwrap().0, 200);
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
}

async fn a_source_in_no_route_ends_nothing(mut stage: Stage) {
    let desk = feed().await;
    stage.tables = source("desk", &desk, "mode = \"live\"");
    stage.intake = "hold_secs = 0".to_owned();
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    desk.site.publish(message(1, CANCEL, begun));
    stage.accepts(&bridge, "C1-3").await;
    stage.comes_to(&bridge, &["C1-0"]).await;
    let withheld = events(&bridge, "C1-3", "withheld").await;
    assert!(withheld[0]["facts"]["reason"].as_str().unwrap().contains("source desk"), "{withheld:?}");
    // The same through the source that may.
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
}

async fn a_rule_that_does_not_take_from_a_source_is_no_way_for_its_cancel(mut stage: Stage) {
    let (desk, other) = (feed().await, stage.another_responder().await);
    stage.tables = source("desk", &desk, "mode = \"live\"")
        + &endpoint("other", &other, "as-received")
        + &route("second", "\"desk\"", "\"other\"", "");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    desk.site.publish(message(1, CANCEL, begun));
    stage.accepts(&bridge, "C1-3").await;
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(stage.delivered(), ["C1-0"]);
    let withheld = events(&bridge, "C1-3", "withheld").await;
    assert_eq!(withheld[0]["facts"]["endpoint"], "responder", "{withheld:?}");
    // What it may not end for the responder, it does not keep from it either.
    stage.feed.site.publish(message(1, UPDATE, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-1"]).await;
}

async fn an_alert_after_its_cancel_is_kept_and_not_sent(mut stage: Stage) {
    // D-13, D-14
    stage.intake = "hold_secs = 1".to_owned();
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-3"]).await;
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.accepts(&bridge, "C1-0").await;
    stage.comes_to(&bridge, &["C1-3"]).await;
    let withheld = events(&bridge, "C1-0", "withheld").await;
    assert!(withheld[0]["facts"]["reason"].as_str().unwrap().contains("C1-3"), "{withheld:?}");
    let routed = events(&bridge, "C1-3", "routed").await;
    assert_eq!(routed[0]["facts"]["orphan"], true, "{routed:?}");
}

async fn an_update_before_its_alert_waits_for_it(stage: Stage) {
    // D-13, with the default of 60 s.
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.accepts(&bridge, "C1-3").await;
    stage.feed.site.publish(message(1, UPDATE, begun));
    stage.accepts(&bridge, "C1-1").await;
    assert!(stage.delivered().is_empty());
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-1", "C1-3"]).await;
}

async fn an_alert_after_its_hold_ended_update_is_kept_and_not_sent(mut stage: Stage) {
    stage.intake = "hold_secs = 1".to_owned();
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, UPDATE, begun));
    stage.comes_to(&bridge, &["C1-1"]).await;
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.accepts(&bridge, "C1-0").await;
    // The chain goes on as one.
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-1", "C1-3"]).await;
    assert_eq!(events(&bridge, "C1-0", "withheld").await.len(), 1);
}

/// A Cancel with an info of its own that ended when it was sent.
fn cancel_that_is_over(chain: usize, begun: Timestamp) -> String {
    let alert = message(chain, ALERT, begun);
    let info = &alert[alert.find("<info>").unwrap()..alert.find("</alert>").unwrap()];
    let expires = &info[info.find("<expires>").unwrap()..info.find("</expires>").unwrap()];
    let over = format!("<expires>{}", capbridge_exercise::clock::cap_time(begun));
    message(chain, CANCEL, begun).replace("</alert>", &format!("{}</alert>", info.replace(expires, &over)))
}

async fn a_cancel_that_is_over_still_ends_what_was_sent(mut stage: Stage) {
    // D-12, at an endpoint that gets the original and at one that gets a translation.
    let other = stage.another_responder().await;
    stage.tables =
        endpoint("other", &other, "cap-cp") + &route("second", "\"feed\"", "\"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(cancel_that_is_over(1, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
    assert_eq!(originals(&other), ["C1-0", "C1-3"]);
}

async fn a_cancel_a_day_late_still_ends_what_was_sent(stage: Stage) {
    let bridge = stage.bridge().await;
    let begun = now().checked_sub(SignedDuration::from_hours(26)).unwrap();
    let in_force = message(1, ALERT, begun).replace("<expires>", "<!-- --><expires>");
    let old = &in_force[in_force.find("<expires>").unwrap()..in_force.find("</expires>").unwrap()];
    let later = now().checked_add(SignedDuration::from_hours(5)).unwrap();
    let in_force = in_force.replace(old, &format!("<expires>{}", capbridge_exercise::clock::cap_time(later)));
    stage.feed.site.publish(in_force);
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
    // Of something that never was here it is stale news.
    stage.feed.site.publish(message(2, CANCEL, begun));
    let kept = eventually("it is in quarantine", LIMIT, async || {
        bridge.list("/v1/quarantine").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    assert_eq!(kept["reason"], "stale", "{kept}");
}

async fn a_renamed_route_carries_the_chain_on_and_a_removed_one_says_that_it_does_not(mut stage: Stage) {
    // D-12
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    // There is no order across chains.
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(message(2, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0", "C2-0"]).await;
    bridge.terminate(LIMIT).await.unwrap();
    stage.route = "renamed".to_owned();
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-0", "C2-0", "C1-3"]).await;
    bridge.terminate(LIMIT).await.unwrap();
    stage.route = String::new();
    let other = stage.another_responder().await;
    stage.tables = endpoint("other", &other, "as-received") + &route("second", "\"feed\"", "\"other\"", "");
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(2, CANCEL, begun));
    stage.accepts(&bridge, "C2-3").await;
    eventually("it is routed", LIMIT, async || {
        (!events(&bridge, "C2-3", "routed").await.is_empty()).then_some(())
    })
    .await
    .unwrap();
    let withheld = events(&bridge, "C2-3", "withheld").await;
    assert_eq!(withheld[0]["facts"]["endpoint"], "responder", "{withheld:?}");
    assert_eq!(withheld[0]["facts"]["rule"], "all", "{withheld:?}");
}

async fn a_replayed_dead_letter_does_not_come_after_its_cancel(stage: Stage) {
    // D-14
    let refused = Fault::Status { status: 400, retry_after_secs: None };
    stage.responder.misbehave(Mischief::next(1, refused));
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    let dead = eventually("it is a dead letter", LIMIT, async || {
        bridge.list("/v1/deliveries?state=dead").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-3"]).await;
    let path = format!("/v1/deliveries/{}/replay", dead["id"].as_str().unwrap());
    let decision = json!({"operator": "duty officer", "reason": "endpoint repaired"});
    assert_eq!(bridge.post(&path, &decision).await.unwrap().0, 409);
    stage.comes_to(&bridge, &["C1-3"]).await;
}

async fn the_second_of_two_routes_to_an_endpoint_is_tried_too(mut stage: Stage) {
    let other = stage.another_responder().await;
    // The county touches nothing in Canada: only the second rule asks for it all the same.
    stage.tables = endpoint("other", &other, "cap-cp")
        + &route("narrow", "\"feed\"", "\"other\"", "")
        + &route("wide", "\"feed\"", "\"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, ALERT, now()).replace("026147", "026005"));
    stage.comes_to(&bridge, &["C1-0"]).await;
    eventually("the other has it", LIMIT, async || (originals(&other) == ["C1-0"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
}

async fn an_attempt_without_an_answer_counts_as_something_to_end(mut stage: Stage) {
    stage.relay = "give_up_floor_secs = 6\ngive_up_cap_secs = 6".to_owned();
    let other = stage.another_responder().await;
    stage.tables =
        endpoint("other", &other, "cap-cp") + &route("second", "\"feed\"", "\"other\"", "untouched = true");
    other.misbehave(Mischief::next(10, Fault::LoseAnswer));
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    eventually("it is given up", LIMIT, async || {
        (bridge.list("/v1/deliveries?state=expired").await.ok()?.len() == 1).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    other.behave();
    stage.feed.site.publish(message(1, CANCEL, begun));
    eventually("the Cancel is delivered", LIMIT, async || {
        (originals(&other).last()? == "C1-3").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
}

async fn an_answer_without_info_is_withheld_where_it_would_be_translated(mut stage: Stage) {
    let other = stage.another_responder().await;
    stage.tables =
        endpoint("other", &other, "cap-cp") + &route("second", "\"feed\"", "\"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(message(1, CANCEL, begun).replace(">Cancel<", ">Ack<"));
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
    assert_eq!(originals(&other), ["C1-0"]);
    let withheld = events(&bridge, "C1-3", "withheld").await;
    assert_eq!(withheld[0]["facts"]["endpoint"], "other", "{withheld:?}");
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
}

async fn alerts_that_two_sources_bring_at_once_reach_the_endpoints_of_both(mut stage: Stage) {
    // D-16, however the second arrival falls between routing's steps.
    let (mirror, other) = (feed().await, stage.another_responder().await);
    stage.tables = source("mirror", &mirror, "mode = \"live\"")
        + &endpoint("other", &other, "as-received")
        + &route("second", "\"mirror\"", "\"other\"", "");
    let bridge = stage.bridge().await;
    let begun = now();
    let expected: BTreeSet<String> = (0..40).flat_map(|n| [format!("C{n}-0"), format!("C{n}-3")]).collect();
    for chain in 0..40 {
        for turn in [ALERT, CANCEL] {
            stage.feed.site.publish(message(chain, turn, begun));
            mirror.site.publish(message(chain, turn, begun));
        }
    }
    for responder in [&stage.responder, &other] {
        eventually("everything is there", Duration::from_secs(60), async || {
            (originals(responder).into_iter().collect::<BTreeSet<_>>() == expected).then_some(())
        })
        .await
        .unwrap_or_else(|error| {
            let there: BTreeSet<_> = originals(responder).into_iter().collect();
            panic!("{error}: {:?}\n{}", expected.difference(&there).collect::<Vec<_>>(), bridge.tail(20))
        });
    }
}

fn by_another(text: &str) -> String {
    text.replace("<sender>stage@county.example.test<", "<sender>office@city.example.test<")
}

async fn an_identifier_of_ones_own_gives_no_right_over_anothers(stage: Stage) {
    // D-15
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    stage.feed.site.publish(by_another(&message(1, ALERT, begun)));
    stage.feed.site.publish(by_another(&message(1, CANCEL, begun)));
    let kept = eventually("the Cancel is in quarantine", LIMIT, async || {
        bridge.list("/v1/quarantine").await.ok()?.into_iter().next()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert_eq!(kept["reason"], "authority", "{kept}");
}

async fn a_foreign_cancel_that_came_first_ends_nothing(mut stage: Stage) {
    // D-15: judged again when its hold ends.
    stage.intake = "hold_secs = 2".to_owned();
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(by_another(&message(1, CANCEL, begun)));
    stage.accepts(&bridge, "C1-3").await;
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    eventually("it is routed", LIMIT, async || {
        (!events(&bridge, "C1-3", "routed").await.is_empty()).then_some(())
    })
    .await
    .unwrap();
    stage.comes_to(&bridge, &["C1-0"]).await;
    let withheld = events(&bridge, "C1-3", "withheld").await;
    assert!(withheld[0]["facts"]["reason"].as_str().unwrap().contains("another sender"), "{withheld:?}");
}

async fn a_cancel_that_counts_as_a_test_says_that_it_ends_nothing(stage: Stage) {
    // D-15
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0"]).await;
    let test = cancel_that_is_over(1, begun).replace("<headline>", "<headline>TEST ");
    stage.feed.site.publish(test);
    stage.accepts(&bridge, "C1-3").await;
    let withheld = events(&bridge, "C1-3", "withheld").await;
    assert!(withheld[0]["facts"]["reason"].as_str().unwrap().contains("counts as test"), "{withheld:?}");
}

async fn a_dead_letter_whose_cancel_found_nothing_to_end_stays_dead(mut stage: Stage) {
    // D-14
    let other = stage.another_responder().await;
    other.misbehave(Mischief::next(1, Fault::Status { status: 400, retry_after_secs: None }));
    stage.tables =
        endpoint("other", &other, "cap-cp") + &route("second", "\"feed\"", "\"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    let dead = eventually("it is a dead letter", LIMIT, async || {
        bridge.list("/v1/deliveries?state=dead").await.ok()?.into_iter().next()
    })
    .await
    .unwrap();
    stage.feed.site.publish(message(1, CANCEL, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-3"]).await;
    let path = format!("/v1/deliveries/{}/replay", dead["id"].as_str().unwrap());
    let decision = json!({"operator": "duty officer", "reason": "endpoint repaired"});
    assert_eq!(bridge.post(&path, &decision).await.unwrap().0, 409);
    assert!(originals(&other).is_empty());
}

async fn a_cancel_of_one_part_leaves_the_other_in_force(mut stage: Stage) {
    // D-14: the sender splits its alert, one part goes on and the other ends.
    let other = stage.another_responder().await;
    stage.tables =
        endpoint("other", &other, "cap-cp") + &route("second", "\"feed\"", "\"other\"", "untouched = true");
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.feed.site.publish(message(1, UPDATE, begun));
    stage.comes_to(&bridge, &["C1-0", "C1-1"]).await;
    let cancel = message(1, CANCEL, begun);
    let all = &cancel[cancel.find("<references>").unwrap()..cancel.find("</references>").unwrap()];
    let first = all.split(' ').next().unwrap();
    stage.feed.site.publish(cancel.replace(all, first));
    // The endpoint that gets the original judges for itself; for the other there is nothing to end.
    stage.comes_to(&bridge, &["C1-0", "C1-1", "C1-3"]).await;
    assert_eq!(originals(&other), ["C1-0", "C1-1"]);
    // A Cancel of the part that went on ends it.
    let end = message(1, 2, begun).replace(">Update<", ">Cancel<");
    stage.feed.site.publish(end);
    stage.comes_to(&bridge, &["C1-0", "C1-1", "C1-3", "C1-2"]).await;
    assert_eq!(originals(&other), ["C1-0", "C1-1", "C1-2"]);
}

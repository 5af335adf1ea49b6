//! What a MASAS hub shows after an Update or Cancel, whatever it answered. Every case on both stores.

use std::time::Duration;

use capbridge_exercise::masas_hub::{Account, Entry, Mode, Settings};
use capbridge_exercise::{Clock, Fault, MasasHub, Mischief, Responder, Running};
use capbridge_harness::{Program, eventually};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::stage::{Stage, endpoint, events, message, now, originals, private, route};

const LIMIT: Duration = Duration::from_secs(30);
const ALERT: usize = 0;
const UPDATE: usize = 1;
const CANCEL: usize = 3;

on_both_stores! {
    a_cancel_of_two_alerts_ends_the_entries_of_both
    an_update_of_two_alerts_shows_in_one_entry_and_ends_the_other
    a_cancel_whose_answer_was_lost_took_effect_and_is_no_dead_letter
    a_cancel_that_the_hub_refuses_because_it_is_over_is_no_dead_letter
    an_entry_whose_answer_was_lost_is_found_by_its_cancel
    an_entry_that_its_author_ends_is_cancelled_on_the_far_side
    an_entry_that_was_corrected_before_it_was_seen_waits_for_nothing
    an_entry_that_ends_because_another_goes_on_ends_nothing_else
    versions_of_an_entry_that_follow_at_once_leave_one_in_force_and_its_end_none
    a_cancel_of_one_part_ends_its_entry_and_leaves_the_other_part
}

async fn hub(stage: &mut Stage) -> Running<MasasHub> {
    let accounts = vec![Account::writer("code", "capbridge"), Account::writer("other", "Other")];
    let hub = MasasHub::start(Settings::new(Mode::Operations, accounts), Clock::system()).await.unwrap();
    private(&stage.folder.path().join("hub.secret"), "code");
    stage.tables = format!(
        "[endpoint.hub]\nsystem = \"masas\"\nmode = \"live\"\n[endpoint.hub.masas]\nhub_url = \"{}\"\n\
         secret_file = \"hub.secret\"\nown_account = \"{}\"\nhub = \"operations\"\n{}",
        hub.site.hub_url(),
        hub.site.account_uri("code").unwrap(),
        route("to_hub", "\"feed\"", "\"hub\"", "untouched = true")
    );
    hub
}

/// A message of a chain with a place that a hub can show, in the urgent lane.
pub fn located(chain: usize, turn: usize, begun: Timestamp) -> String {
    let polygon = "</areaDesc><polygon>42.9,-82.5 43.0,-82.5 43.0,-82.3 42.9,-82.3 42.9,-82.5</polygon>";
    message(chain, turn, begun)
        .replace("</areaDesc>", polygon)
        .replace("<urgency>Expected<", "<urgency>Immediate<")
        .replace("<severity>Severe<", "<severity>Extreme<")
}

/// A message that names the Alerts of both chains.
fn of_both(turn: usize, begun: Timestamp) -> String {
    let text = located(1, turn, begun);
    let references = &text[text.find("<references>").unwrap()..text.find("</references>").unwrap()];
    let first = references.trim_start_matches("<references>").split(' ').next().unwrap();
    text.replace(references, &format!("<references>{first} {}", first.replace("C1-0", "C2-0")))
}

/// The type of the alert that an entry shows.
fn shown(entry: &Entry) -> String {
    let cap = String::from_utf8(entry.cap().unwrap().to_vec()).unwrap();
    let (_, after) = cap.split_once("<msgType>").unwrap();
    after.split_once('<').unwrap().0.to_owned()
}

/// What each entry shows, how many revisions it had before, and whether it is over.
fn state(hub: &Running<MasasHub>) -> Vec<(String, usize, bool)> {
    let one = |entry: Entry| {
        let shows = shown(&entry);
        let over = shows == "Cancel" || entry.expires_at <= Clock::system().now();
        (shows, hub.site.revisions(&entry.id).len(), over)
    };
    let mut all: Vec<_> = hub.site.entries().into_iter().map(one).collect();
    all.sort();
    all
}

async fn comes_to(bridge: &Program, hub: &Running<MasasHub>, expected: &[(&str, usize, bool)]) {
    let expected: Vec<_> = expected.iter().map(|(t, n, over)| ((*t).to_owned(), *n, *over)).collect();
    eventually("the hub shows it", LIMIT, async || (state(hub) == expected).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", state(hub), bridge.tail(20)));
}

async fn dead(bridge: &Program) -> Vec<Value> {
    bridge.list("/v1/deliveries?state=dead").await.unwrap()
}

/// The delivery of a message to the hub, at its end.
async fn delivered(bridge: &Program, identifier: &str) -> Value {
    eventually("it is delivered", LIMIT, async || {
        events(bridge, identifier, "delivered").await.into_iter().find(|e| e["facts"]["endpoint"] == "hub")
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)))
}

fn refused(status: u16) -> Fault {
    Fault::Status { status, retry_after_secs: None }
}

async fn two_alerts(stage: &Stage, bridge: &Program, hub: &Running<MasasHub>, begun: Timestamp) {
    stage.feed.site.publish(located(1, ALERT, begun));
    stage.feed.site.publish(located(2, ALERT, begun));
    comes_to(bridge, hub, &[("Alert", 1, false), ("Alert", 1, false)]).await;
    delivered(bridge, "C1-0").await;
    delivered(bridge, "C2-0").await;
}

async fn a_cancel_of_two_alerts_ends_the_entries_of_both(mut stage: Stage) {
    // what was done is not done again, and what was not is.
    let hub = hub(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    two_alerts(&stage, &bridge, &hub, begun).await;
    // The first PUT takes effect without an answer; of the next attempt the other entry is refused.
    hub.misbehave(Mischief::next(1, Fault::LoseAnswer).method("PUT"));
    hub.misbehave(Mischief::next(2, refused(503)).method("PUT"));
    stage.feed.site.publish(of_both(CANCEL, begun));
    comes_to(&bridge, &hub, &[("Cancel", 2, true), ("Cancel", 2, true)]).await;
    let end = delivered(&bridge, "C1-3").await;
    assert_eq!(end["facts"]["partial"], false, "{end}");
    let waited = events(&bridge, "C1-3", "waiting").await;
    let told = |text: &str| waited.iter().any(|e| e["facts"]["error"].as_str().unwrap().contains(text));
    assert!(told("1 of 2 entries are as they should be"), "{waited:?}");
    assert!(dead(&bridge).await.is_empty());
}

async fn an_update_of_two_alerts_shows_in_one_entry_and_ends_the_other(mut stage: Stage) {
    //
    let hub = hub(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    two_alerts(&stage, &bridge, &hub, begun).await;
    // The Update is taken; ending the other entry is refused at first.
    let entries = hub.site.entries();
    for entry in &entries {
        hub.misbehave(Mischief::next(1, refused(503)).method("PUT").path(&format!("/feed/{}", entry.id)));
    }
    stage.feed.site.publish(of_both(UPDATE, begun));
    comes_to(&bridge, &hub, &[("Alert", 2, true), ("Update", 2, false)]).await;
    let end = delivered(&bridge, "C1-1").await;
    assert_eq!(end["facts"]["partial"], false, "{end}");
    assert!(end["facts"]["notes"].to_string().contains("made to expire"), "{end}");
    // What follows leaves the entry alone that is over.
    let cancel = located(1, CANCEL, begun);
    stage.feed.site.publish(cancel);
    comes_to(&bridge, &hub, &[("Alert", 2, true), ("Cancel", 3, true)]).await;
    assert!(dead(&bridge).await.is_empty());
}

async fn a_cancel_whose_answer_was_lost_took_effect_and_is_no_dead_letter(mut stage: Stage) {
    //
    let hub = hub(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(located(1, ALERT, begun));
    comes_to(&bridge, &hub, &[("Alert", 1, false)]).await;
    delivered(&bridge, "C1-0").await;
    hub.misbehave(Mischief::next(1, Fault::LoseAnswer).method("PUT"));
    stage.feed.site.publish(located(1, CANCEL, begun));
    let end = delivered(&bridge, "C1-3").await;
    assert!(end["facts"]["notes"].to_string().contains("an earlier attempt had arrived"), "{end}");
    comes_to(&bridge, &hub, &[("Cancel", 2, true)]).await;
    assert!(dead(&bridge).await.is_empty());
}

async fn a_cancel_that_the_hub_refuses_because_it_is_over_is_no_dead_letter(mut stage: Stage) {
    // somebody with the same account was faster.
    let hub = hub(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(located(1, ALERT, begun));
    comes_to(&bridge, &hub, &[("Alert", 1, false)]).await;
    delivered(&bridge, "C1-0").await;
    let id = hub.site.entries()[0].id.clone();
    hub.site.update_cap("code", &id, located(9, CANCEL, begun).as_bytes()).unwrap();
    stage.feed.site.publish(located(1, CANCEL, begun));
    let end = delivered(&bridge, "C1-3").await;
    assert!(end["facts"]["notes"].to_string().contains("it is over already"), "{end}");
    comes_to(&bridge, &hub, &[("Cancel", 2, true)]).await;
    assert!(dead(&bridge).await.is_empty());
}

async fn an_entry_whose_answer_was_lost_is_found_by_its_cancel(mut stage: Stage) {
    //
    let hub = hub(&mut stage).await;
    stage.relay = "give_up_floor_secs = 6\ngive_up_cap_secs = 6".to_owned();
    let bridge = stage.bridge().await;
    let begun = now();
    hub.misbehave(Mischief::next(1, Fault::LoseAnswer).method("POST"));
    hub.misbehave(Mischief::next(100, refused(503)).method("GET"));
    stage.feed.site.publish(located(1, ALERT, begun));
    eventually("it is given up", LIMIT, async || {
        (bridge.list("/v1/deliveries?state=expired").await.ok()?.len() == 1).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    hub.behave();
    stage.feed.site.publish(located(1, CANCEL, begun));
    comes_to(&bridge, &hub, &[("Cancel", 2, true)]).await;
    delivered(&bridge, "C1-3").await;
    assert!(dead(&bridge).await.is_empty());
}

const ENTRY: &str = include_str!("../exercise/data/samples/entry.xml");

/// An entry of a real event that ends then.
pub fn atom(expires: Timestamp) -> String {
    let ends = format!(">{expires}<");
    ENTRY.replace(">2026-03-01T23:00:00Z<", &ends).replace("\"Exercise\"", "\"Actual\"")
}

/// A hub as a source, half a minute behind.
pub async fn source(stage: &mut Stage) -> (Running<MasasHub>, Clock) {
    let clock = Clock::fixed(now().checked_sub(SignedDuration::from_secs(30)).unwrap());
    let accounts = vec![Account::writer("code", "capbridge"), Account::writer("other", "Other")];
    let hub = MasasHub::start(Settings::new(Mode::Operations, accounts), clock.clone()).await.unwrap();
    private(&stage.folder.path().join("hub.secret"), "code");
    stage.tables = format!(
        "[source.hub]\nsystem = \"masas\"\nmode = \"live\"\n[source.hub.masas]\nhub_url = \"{}\"\n\
         secret_file = \"hub.secret\"\npoll_secs = 0.1\nhub = \"operations\"\n[source.hub.masas.entries]\nscope = \"Public\"\n{}",
        hub.site.hub_url(),
        route("from_hub", "\"hub\"", "\"responder\"", "")
    );
    (hub, clock)
}

/// The types of what the responder got, in order.
fn received(stage: &Stage) -> Vec<String> {
    received_by(&stage.responder)
}

pub fn received_by(responder: &Running<Responder>) -> Vec<String> {
    let value = |text: &str, name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>")).unwrap_or_default();
        after.split_once('<').unwrap_or_default().0.to_owned()
    };
    let bodies = responder.site.deliveries().into_iter().map(|delivery| {
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        let cap = body["data"]["cap"].as_str().unwrap().to_owned();
        let references = value(&cap, "references");
        let about = references.split(',').nth(1).map(|of| format!(" of {of}")).unwrap_or_default();
        value(&cap, "msgType") + &about
    });
    bodies.collect()
}

async fn responder_gets(stage: &Stage, bridge: &Program, expected: &[&str]) {
    eventually("the responder has it", LIMIT, async || (received(stage) == expected).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", received(stage), bridge.tail(20)));
}

async fn an_entry_that_its_author_ends_is_cancelled_on_the_far_side(mut stage: Stage) {
    let (hub, clock) = source(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now().checked_sub(SignedDuration::from_secs(40)).unwrap();
    let entry = hub.site.post_cap("other", located(1, ALERT, begun).as_bytes()).unwrap();
    responder_gets(&stage, &bridge, &["Alert"]).await;
    clock.advance(10);
    hub.site.put_entry("other", &entry.id, atom(clock.now()).as_bytes()).unwrap();
    responder_gets(&stage, &bridge, &["Alert", "Cancel of C1-0"]).await;
    // A restart offers both again: they are repeats.
    bridge.terminate(LIMIT).await.unwrap();
    let bridge = stage.bridge().await;
    stage.feed.site.publish(located(2, ALERT, begun));
    responder_gets(&stage, &bridge, &["Alert", "Cancel of C1-0", "Alert"]).await;
    stage.settled(&bridge, LIMIT).await;
    assert!(bridge.list("/v1/quarantine").await.unwrap().is_empty());
    assert_eq!(received(&stage).len(), 3);
}

async fn an_entry_that_was_corrected_before_it_was_seen_waits_for_nothing(mut stage: Stage) {
    // D-13, with the default of 60 s.
    let (hub, clock) = source(&mut stage).await;
    let ends = clock.now().checked_add(SignedDuration::from_hours(3)).unwrap();
    let entry = hub.site.post_entry("other", atom(ends).as_bytes()).unwrap();
    clock.advance(10);
    hub.site.put_entry("other", &entry.id, atom(ends).as_bytes()).unwrap();
    let bridge = stage.bridge().await;
    eventually("the responder has it", LIMIT, async || (received(&stage).len() == 1).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert!(received(&stage)[0].starts_with("Update of masas-"), "{:?}", received(&stage));
}

async fn an_entry_that_ends_because_another_goes_on_ends_nothing_else(mut stage: Stage) {
    // D-14
    let (hub, clock) = source(&mut stage).await;
    let other = stage.another_responder().await;
    let translated =
        endpoint("other", &other, "cap-cp") + &route("second", "\"hub\"", "\"other\"", "untouched = true");
    stage.tables.push_str(&translated);
    let bridge = stage.bridge().await;
    let begun = now().checked_sub(SignedDuration::from_secs(40)).unwrap();
    let first = hub.site.post_cap("other", located(1, ALERT, begun).as_bytes()).unwrap();
    let second = hub.site.post_cap("other", located(2, ALERT, begun).as_bytes()).unwrap();
    let other_gets = async |count: usize| {
        eventually("the other has it", LIMIT, async || (originals(&other).len() == count).then_some(()))
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", originals(&other), bridge.tail(20)));
    };
    other_gets(2).await;
    clock.advance(10);
    hub.site.update_cap("other", &second.id, of_both(UPDATE, begun).as_bytes()).unwrap();
    other_gets(3).await;
    clock.advance(100);
    hub.site.put_entry("other", &first.id, atom(clock.now()).as_bytes()).unwrap();
    eventually("the end is known", LIMIT, async || {
        received(&stage).contains(&"Cancel of C1-0".to_owned()).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", received(&stage), bridge.tail(20)));
    stage.settled(&bridge, LIMIT).await;
    clock.advance(10);
    hub.site.update_cap("other", &second.id, located(1, CANCEL, begun).as_bytes()).unwrap();
    other_gets(4).await;
    assert_eq!(originals(&other)[2..], ["C1-1", "C1-3"]);
}

async fn versions_of_an_entry_that_follow_at_once_leave_one_in_force_and_its_end_none(mut stage: Stage) {
    // D-14: no parts of a split, although they come within a minute and name the first version only.
    let (hub, clock) = source(&mut stage).await;
    let other = stage.another_responder().await;
    let translated =
        endpoint("other", &other, "cap-cp") + &route("second", "\"hub\"", "\"other\"", "untouched = true");
    stage.tables.push_str(&translated);
    let bridge = stage.bridge().await;
    let ends = clock.now().checked_add(SignedDuration::from_hours(3)).unwrap();
    let other_gets = async |expected: &[&str]| {
        let kinds = || -> Vec<String> {
            received_by(&other).iter().map(|k| k.split(' ').next().unwrap_or_default().to_owned()).collect()
        };
        eventually("the other has it", LIMIT, async || (kinds() == expected).then_some(()))
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", received_by(&other), bridge.tail(20)));
    };
    let entry = hub.site.post_entry("other", atom(ends).as_bytes()).unwrap();
    other_gets(&["Alert"]).await;
    clock.advance(4);
    hub.site.put_entry("other", &entry.id, atom(ends).replace("Sarnia", "Corunna").as_bytes()).unwrap();
    other_gets(&["Alert", "Update"]).await;
    clock.advance(4);
    hub.site.put_entry("other", &entry.id, atom(ends).as_bytes()).unwrap();
    other_gets(&["Alert", "Update", "Update"]).await;
    clock.advance(4);
    hub.site.put_entry("other", &entry.id, atom(clock.now()).as_bytes()).unwrap();
    other_gets(&["Alert", "Update", "Update", "Cancel"]).await;
    stage.settled(&bridge, LIMIT).await;
    let moot = bridge.list("/v1/deliveries?state=expired").await.unwrap();
    assert!(moot.is_empty(), "{moot:?}");
}

async fn a_cancel_of_one_part_ends_its_entry_and_leaves_the_other_part(mut stage: Stage) {
    // D-14
    let hub = hub(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now().checked_sub(SignedDuration::from_secs(120)).unwrap();
    stage.feed.site.publish(located(1, ALERT, begun));
    comes_to(&bridge, &hub, &[("Alert", 1, false)]).await;
    delivered(&bridge, "C1-0").await;
    let north = located(1, UPDATE, begun);
    let south = north.replace("C1-1", "C1-9");
    stage.feed.site.publish(north);
    stage.feed.site.publish(south.clone());
    comes_to(&bridge, &hub, &[("Alert", 1, false), ("Update", 2, false)]).await;
    delivered(&bridge, "C1-9").await;
    // Sent by now, about the southern part only.
    let value = |text: &str, name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>")).unwrap();
        after.split_once('<').unwrap().0.to_owned()
    };
    let cancel = located(1, CANCEL, now());
    let named = format!("stage@county.example.test,C1-9,{}", value(&south, "sent"));
    stage.feed.site.publish(cancel.replace(&value(&cancel, "references"), &named));
    comes_to(&bridge, &hub, &[("Cancel", 2, true), ("Update", 2, false)]).await;
    delivered(&bridge, "C1-3").await;
    assert!(dead(&bridge).await.is_empty());
}

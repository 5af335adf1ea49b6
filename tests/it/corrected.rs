//! What a hub shows in the place of something else, and what a feed shows that is no alert. Every case on both stores.

use std::time::Duration;

use capbridge_exercise::masas_hub::{Account, Mode, Settings};
use capbridge_exercise::{Clock, MasasHub, Running};
use capbridge_harness::{Program, eventually};
use jiff::SignedDuration;
use serde_json::Value;

use crate::hub::{atom, located, received_by, source};
use crate::stage::{Stage, endpoint, events, message, now, private, route};

const LIMIT: Duration = Duration::from_secs(30);
const ALERT: usize = 0;
const UPDATE: usize = 1;
const DRILL: &str = "zebra drill";

on_both_stores! {
    an_entry_that_is_made_an_exercise_ends_the_real_alert_on_the_far_side
    a_cap_alert_that_is_made_an_exercise_in_its_entry_ends_the_real_one
    an_entry_that_is_made_an_exercise_around_its_alert_takes_the_alert_back
    an_exercise_in_another_entry_ends_no_real_alert
    an_update_whose_alert_was_never_shown_waits_for_nothing
    what_is_no_alert_of_a_feed_is_in_quarantine_once
    what_is_no_entry_of_a_hub_is_in_quarantine_once
}

/// The hub as a source of two responders, one of which gets a translation.
async fn set(stage: &mut Stage) -> (Running<MasasHub>, Clock, Running<capbridge_exercise::Responder>) {
    let (hub, clock) = source(stage).await;
    let other = stage.another_responder().await;
    stage.tables += &endpoint("other", &other, "ipaws");
    stage.tables += &route("second", "\"hub\"", "\"other\"", "untouched = true");
    (hub, clock, other)
}

async fn both_get(
    stage: &Stage,
    other: &Running<capbridge_exercise::Responder>,
    bridge: &Program,
    expected: &[&str],
) {
    let kinds = |responder| -> Vec<String> {
        let all = received_by(responder).into_iter();
        all.map(|k| k.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    eventually("both have it", LIMIT, async || {
        (kinds(&stage.responder) == expected && kinds(other) == expected).then_some(())
    })
    .await
    .unwrap_or_else(|error| {
        panic!("{error}: {:?} {:?}\n{}", kinds(&stage.responder), kinds(other), bridge.tail(20))
    });
    for responder in [&stage.responder, other] {
        for delivery in responder.site.deliveries() {
            let body = String::from_utf8(delivery.body.to_vec()).unwrap();
            assert!(!body.contains(DRILL) && !body.contains("Exercise"), "{body}");
        }
    }
}

async fn an_entry_that_is_made_an_exercise_ends_the_real_alert_on_the_far_side(mut stage: Stage) {
    // D-15, with two real versions before it, within a minute.
    let (hub, clock, other) = set(&mut stage).await;
    let bridge = stage.bridge().await;
    let ends = clock.now().checked_add(SignedDuration::from_hours(3)).unwrap();
    let entry = hub.site.post_entry("other", atom(ends).as_bytes()).unwrap();
    both_get(&stage, &other, &bridge, &["Alert"]).await;
    clock.advance(4);
    hub.site
        .put_entry("other", &entry.id, atom(ends).replace("Sealed source", "Two sources").as_bytes())
        .unwrap();
    both_get(&stage, &other, &bridge, &["Alert", "Update"]).await;
    clock.advance(4);
    let drill = atom(ends).replace("\"Actual\"", "\"Exercise\"").replace("Sealed source", DRILL);
    hub.site.put_entry("other", &entry.id, drill.as_bytes()).unwrap();
    both_get(&stage, &other, &bridge, &["Alert", "Update", "Cancel"]).await;
    // A restart offers the exercise again: nothing ends twice.
    bridge.terminate(LIMIT).await.unwrap();
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(9, ALERT, now()));
    eventually("it went on", LIMIT, async || stage.delivered().contains(&"C9-0".to_owned()).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    stage.settled(&bridge, LIMIT).await;
    assert_eq!(received_by(&other).len(), 3);
    assert!(bridge.list("/v1/quarantine").await.unwrap().is_empty());
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
    // The exercise goes on in its own world; the real thing begins anew.
    clock.advance(4);
    hub.site.put_entry("other", &entry.id, atom(ends).as_bytes()).unwrap();
    eventually("it begins anew", LIMIT, async || (received_by(&other).len() == 4).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", received_by(&other), bridge.tail(20)));
}

async fn a_cap_alert_that_is_made_an_exercise_in_its_entry_ends_the_real_one(mut stage: Stage) {
    // D-15
    let (hub, clock, other) = set(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now().checked_sub(SignedDuration::from_secs(40)).unwrap();
    let entry = hub.site.post_cap("other", located(1, ALERT, begun).as_bytes()).unwrap();
    both_get(&stage, &other, &bridge, &["Alert"]).await;
    clock.advance(10);
    let drill = located(1, UPDATE, begun).replace(">Actual<", ">Exercise<").replace("chain 1", DRILL);
    hub.site.update_cap("other", &entry.id, drill.as_bytes()).unwrap();
    both_get(&stage, &other, &bridge, &["Alert", "Cancel"]).await;
    assert!(received_by(&stage.responder)[1].ends_with("of C1-0"), "{:?}", received_by(&stage.responder));
    let told = events(&bridge, "C1-1", "withheld").await;
    assert!(told[0]["facts"]["reason"].as_str().unwrap().contains("is ended by"), "{told:?}");
}

async fn an_entry_that_is_made_an_exercise_around_its_alert_takes_the_alert_back(mut stage: Stage) {
    // D-15: the alert inside still says Actual. Of the first entry nothing was seen before.
    let (hub, clock, other) = set(&mut stage).await;
    let begun = now().checked_sub(SignedDuration::from_secs(40)).unwrap();
    let ends = clock.now().checked_add(SignedDuration::from_hours(3)).unwrap();
    let drill = atom(ends).replace("\"Actual\"", "\"Exercise\"").replace("Sealed source", DRILL);
    let unseen = hub.site.post_cap("other", located(2, ALERT, begun).as_bytes()).unwrap();
    hub.site.put_entry("other", &unseen.id, drill.as_bytes()).unwrap();
    let entry = hub.site.post_cap("other", located(1, ALERT, begun).as_bytes()).unwrap();
    let bridge = stage.bridge().await;
    // Nobody had the first: nobody is told of its end, and it is kept for an operator.
    let gets = async |responder: &Running<_>, expected: &[&str]| {
        let kinds = || {
            let mut kinds = received_by(responder);
            kinds.sort();
            kinds
        };
        eventually("it has it", LIMIT, async || (kinds() == expected).then_some(()))
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", kinds(), bridge.tail(20)));
    };
    gets(&stage.responder, &["Alert"]).await;
    gets(&other, &["Alert"]).await;
    clock.advance(10);
    hub.site.put_entry("other", &entry.id, drill.as_bytes()).unwrap();
    gets(&stage.responder, &["Alert", "Cancel of C1-0"]).await;
    eventually("the other has its end", LIMIT, async || (received_by(&other).len() == 2).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", received_by(&other), bridge.tail(20)));
    // The exercise goes on: what was taken back once is not taken back again.
    clock.advance(100);
    hub.site.put_entry("other", &entry.id, drill.replace(DRILL, "zebra drill two").as_bytes()).unwrap();
    eventually("the next version was read", LIMIT, async || {
        let kept = bridge.list("/v1/quarantine").await.ok()?;
        kept.iter().any(|k| k["times"].as_u64() > Some(1)).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    stage.settled(&bridge, LIMIT).await;
    gets(&stage.responder, &["Alert", "Cancel of C1-0"]).await;
    assert_eq!(received_by(&other).len(), 2);
    for delivery in stage.responder.site.deliveries().iter().chain(&other.site.deliveries()) {
        assert!(!String::from_utf8_lossy(&delivery.body).contains(DRILL));
    }
    assert!(!stage.delivered().contains(&"C2-0".to_owned()));
    let kept = bridge.list("/v1/quarantine").await.unwrap();
    let reasons: Vec<_> = kept.iter().map(|k| k["detail"].as_str().unwrap()).collect();
    let of = |words| reasons.iter().filter(|reason| reason.contains(words)).count();
    assert_eq!((reasons.len(), of("no real event"), of("never taken")), (2, 1, 1), "{reasons:?}");
}

async fn an_exercise_in_another_entry_ends_no_real_alert(mut stage: Stage) {
    // D-15: anybody may name a real alert in an exercise.
    let (hub, clock, other) = set(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now().checked_sub(SignedDuration::from_secs(40)).unwrap();
    hub.site.post_cap("other", located(1, ALERT, begun).as_bytes()).unwrap();
    both_get(&stage, &other, &bridge, &["Alert"]).await;
    let drill = located(1, UPDATE, begun).replace(">Actual<", ">Exercise<").replace("chain 1", DRILL);
    let entry = hub.site.post_cap("other", drill.as_bytes()).unwrap();
    clock.advance(10);
    let again = drill.replace("C1-1", "C1-8");
    hub.site.update_cap("other", &entry.id, again.as_bytes()).unwrap();
    let told = eventually("it is told", LIMIT, async || {
        events(&bridge, "C1-8", "withheld").await.into_iter().next()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    assert!(told["facts"]["reason"].as_str().unwrap().contains("changes nothing"), "{told}");
    stage.settled(&bridge, LIMIT).await;
    both_get(&stage, &other, &bridge, &["Alert"]).await;
}

async fn an_update_whose_alert_was_never_shown_waits_for_nothing(mut stage: Stage) {
    // D-13, with the default of 60 s; an Update in an entry of its own waits.
    let (hub, clock) = source(&mut stage).await;
    let begun = now().checked_sub(SignedDuration::from_secs(40)).unwrap();
    let entry = hub.site.post_cap("other", located(1, ALERT, begun).as_bytes()).unwrap();
    hub.site.post_cap("other", located(2, UPDATE, begun).as_bytes()).unwrap();
    clock.advance(10);
    hub.site.update_cap("other", &entry.id, located(1, UPDATE, begun).as_bytes()).unwrap();
    let bridge = stage.bridge().await;
    stage.accepts(&bridge, "C2-1").await;
    stage.accepts(&bridge, "C1-1").await;
    eventually("the responder has it", LIMIT, async || (stage.delivered() == ["C1-1"]).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", stage.delivered(), bridge.tail(20)));
    assert!(received_by(&stage.responder)[0].starts_with("Update"), "{:?}", received_by(&stage.responder));
}

/// The one document in quarantine, after the bridge has asked the source again some times.
async fn once(stage: &Stage, bridge: &Program, polls: impl Fn() -> usize) -> Value {
    let kept = eventually("it is in quarantine", LIMIT, async || {
        bridge.list("/v1/quarantine").await.ok()?.into_iter().next()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    let asked = polls();
    eventually("it is asked for again", LIMIT, async || (polls() > asked + 3).then_some(())).await.unwrap();
    stage.settled(bridge, LIMIT).await;
    let all = bridge.list("/v1/quarantine").await.unwrap();
    assert_eq!((all.len(), &all[0]["times"]), (1, &Value::from(1)), "{all:?}");
    assert_eq!(kept["reason"], "document");
    assert!(kept["detail"].as_str().unwrap().contains("neither an alert"), "{kept}");
    assert_eq!(bridge.tail(1_000).matches("document quarantined").count(), 1);
    let (_, metrics) = bridge.get("/metrics").await.unwrap();
    assert!(metrics.as_str().unwrap().contains("capbridge_quarantined_total{reason=\"document\"} 1"));
    kept
}

async fn what_is_no_alert_of_a_feed_is_in_quarantine_once(stage: Stage) {
    //
    let bridge = stage.bridge().await;
    let begun = now();
    stage.feed.site.publish(message(1, ALERT, begun));
    stage.feed.site.publish(format!("<batch>{}</batch>", message(2, ALERT, begun)));
    stage.comes_to(&bridge, &["C1-0"]).await;
    once(&stage, &bridge, || stage.feed.requests().len()).await;
    stage.feed.site.publish(message(3, ALERT, begun));
    stage.comes_to(&bridge, &["C1-0", "C3-0"]).await;
}

async fn what_is_no_entry_of_a_hub_is_in_quarantine_once(mut stage: Stage) {
    // a feed's own elements are none of it.
    let feed = "<feed xmlns='http://www.w3.org/2005/Atom'><id>1</id><title type='text'>MASAS</title>\
        <updated>2026-03-01T12:00:00Z</updated><author><name>hub</name></author><link rel='self' href='/'/>\
        <generator>hub</generator><batch><entry><id>masas:entry:1</id></entry></batch></feed>";
    let settings = Settings {
        replay: vec![feed.into()],
        ..Settings::new(Mode::Operations, vec![Account::reader("code", "capbridge")])
    };
    let hub = MasasHub::start(settings, Clock::system()).await.unwrap();
    private(&stage.folder.path().join("hub.secret"), "code");
    stage.tables = format!(
        "[source.hub]\nsystem = \"masas\"\nmode = \"live\"\n[source.hub.masas]\nhub_url = \"{}\"\n\
         secret_file = \"hub.secret\"\npoll_secs = 0.1\nhub = \"operations\"\n{}",
        hub.site.hub_url(),
        route("from_hub", "\"hub\"", "\"responder\"", "")
    );
    let bridge = stage.bridge().await;
    let kept = once(&stage, &bridge, || hub.requests().len()).await;
    assert_eq!(kept["origin"], "hub");
}

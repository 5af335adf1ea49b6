//! What the store promises of quarantine, record, checkpoints and leases.

use std::sync::Arc;

use bytes::Bytes;
use capbridge::envelope::Lane;
use capbridge::store::{Again, Arrival, AttemptEnd, Event, LogSpan, Logged, Page, Store, StoreError};
use capbridge_adapters::passage::Origin;

use crate::samples::{
    ALL, alert, arrival, at, delivery, event, finish, id, key, quarantined, release, through,
};

type Shared = Arc<dyn Store>;

pub async fn a_document_in_quarantine_is_kept_and_counted(s: Shared) {
    let raw = Bytes::from_static(b"\xff not xml \x00");
    for _ in 0..3 {
        s.quarantine(quarantined("a"), raw.clone(), Vec::new()).await.unwrap();
    }
    let (entry, kept) = s.quarantined_document("q_a").await.unwrap().unwrap();
    assert_eq!((entry.times, kept), (3, raw));
    assert_eq!(s.quarantined(ALL).await.unwrap(), [entry]);
    assert_eq!(s.depth().await.unwrap().quarantined, 1);
    assert_eq!(s.quarantined_document("q_b").await.unwrap(), None);
}

pub async fn a_released_document_counts_no_more_and_says_who_released_it(s: Shared) {
    s.quarantine(quarantined("a"), Bytes::from_static(b"a"), Vec::new()).await.unwrap();
    s.quarantine(quarantined("b"), Bytes::from_static(b"b"), Vec::new()).await.unwrap();
    let (entry, raw) = s.release("q_a", release(), Vec::new()).await.unwrap();
    assert_eq!((entry.released.clone(), &raw[..]), (Some(release()), &b"a"[..]));
    s.release("q_a", release(), Vec::new()).await.unwrap();
    assert_eq!(s.depth().await.unwrap().quarantined, 1);
    assert_eq!(s.quarantined_document("q_a").await.unwrap(), Some((entry, raw)));
    // The same bytes after a release are still that entry.
    s.quarantine(quarantined("a"), Bytes::from_static(b"a"), Vec::new()).await.unwrap();
    let (entry, _) = s.quarantined_document("q_a").await.unwrap().unwrap();
    assert_eq!((entry.times, entry.released), (2, Some(release())));
    assert_eq!(s.depth().await.unwrap().quarantined, 1);
    let error = s.release("q_c", release(), Vec::new()).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
}

pub async fn the_quarantine_is_listed_newest_first_in_pages(s: Shared) {
    for name in ["a", "b", "c"] {
        s.quarantine(quarantined(name), Bytes::new(), Vec::new()).await.unwrap();
    }
    let page = s.quarantined(Page { limit: 2, skip: 1 }).await.unwrap();
    assert_eq!(page.iter().map(|q| q.id.as_str()).collect::<Vec<_>>(), ["q_b", "q_a"]);
}

pub async fn the_record_is_a_chain_that_verifies(s: Shared) {
    assert_eq!(s.verify_record().await.unwrap(), Ok(0));
    s.record(Vec::new()).await.unwrap();
    for n in 0..25 {
        s.record(vec![event("started", None, n), event("repeat", Some("a"), n)]).await.unwrap();
    }
    assert_eq!(s.verify_record().await.unwrap(), Ok(50));
}

pub async fn the_record_is_read_in_pages_from_either_end(s: Shared) {
    for n in 0..5 {
        s.record(vec![event(&format!("step {n}"), None, n)]).await.unwrap();
    }
    let names = |found: &[Logged]| found.iter().map(|l| l.event.what.clone()).collect::<Vec<_>>();
    let newest = s.log(LogSpan::Before(None), 2).await.unwrap();
    assert_eq!(names(&newest), ["step 4", "step 3"]);
    let older = LogSpan::Before(None).behind(&newest[1].place);
    assert_eq!(names(&s.log(older, 9).await.unwrap()), ["step 2", "step 1", "step 0"]);
    let after = LogSpan::After(newest[1].place.clone());
    assert_eq!(names(&s.log(after, 9).await.unwrap()), ["step 4"]);
    let nothing = LogSpan::After(newest[0].place.clone());
    assert_eq!(s.log(nothing, 9).await.unwrap(), []);
    for bad in ["", "x", "1-", "-", "1 OR 1", "+"] {
        let error = s.log(LogSpan::After(bad.to_owned()), 9).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{bad:?}: {error:?}");
    }
}

pub async fn many_at_once_append_to_one_chain(s: Shared) {
    let all = (0..40).map(|n| s.record(vec![event("routed", Some("a"), n), event("attempt", Some("a"), n)]));
    for done in futures_util::future::join_all(all).await {
        done.unwrap();
    }
    assert_eq!(s.verify_record().await.unwrap(), Ok(80));
    s.accept(arrival(alert("a"))).await.unwrap();
    let events = s.journey(&key("a")).await.unwrap().unwrap().events;
    assert_eq!(events.len(), 80);
    // What one call appends stays together.
    for pair in events.chunks(2) {
        assert_eq!((pair[0].at, &*pair[0].what, &*pair[1].what), (pair[1].at, "routed", "attempt"));
    }
}

pub async fn events_about_an_alert_are_its_journey(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    let mut rich: Event = event("attempt", Some("a"), 2);
    rich.facts.insert("endpoint".into(), "x".into());
    rich.facts.insert("empty".into(), serde_json::json!([]));
    rich.facts.insert("large".into(), serde_json::json!(u64::MAX));
    let events = vec![event("accepted", Some("a"), 1), rich, event("accepted", Some("b"), 3)];
    s.record(events.clone()).await.unwrap();
    s.record(vec![event("started", None, 4)]).await.unwrap();
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().events, events[..2]);
    assert_eq!(s.journey(&key("b")).await.unwrap(), None);
}

pub async fn a_checkpoint_is_what_was_written_last(s: Shared) {
    let (hub, feed) = (Origin("hub".into()), Origin("feed".into()));
    assert_eq!(s.checkpoint(&hub).await.unwrap(), None);
    s.set_checkpoint(&hub, "1").await.unwrap();
    s.set_checkpoint(&feed, "").await.unwrap();
    s.set_checkpoint(&hub, "2").await.unwrap();
    assert_eq!(s.checkpoint(&hub).await.unwrap().as_deref(), Some("2"));
    assert_eq!(s.checkpoint(&feed).await.unwrap().as_deref(), Some(""));
}

pub async fn a_lease_has_one_holder_until_it_ends(s: Shared) {
    // (now, until, holder, given)
    let calls = [
        (0, 10, "one", true),
        (1, 11, "two", false),
        (5, 15, "one", true),
        (14, 24, "two", false),
        (15, 25, "two", true),
        (16, 26, "one", false),
    ];
    for (now, until, holder, given) in calls {
        assert_eq!(s.lease("hub", holder, at(now), at(until)).await.unwrap(), given, "{holder} at {now}");
    }
    assert!(s.lease("feed", "one", at(16), at(26)).await.unwrap());
    s.unlease("hub", "one").await.unwrap();
    assert!(!s.lease("hub", "one", at(17), at(27)).await.unwrap());
    s.unlease("hub", "two").await.unwrap();
    assert!(s.lease("hub", "one", at(17), at(27)).await.unwrap());
}

pub async fn a_probe_changes_nothing(s: Shared) {
    let before = s.depth().await.unwrap();
    for bytes in [0, 1, 300_000, 0] {
        s.probe(bytes).await.unwrap();
    }
    assert_eq!(s.depth().await.unwrap(), before);
}

pub async fn what_a_step_says_is_recorded_with_it_and_only_if_it_changed_something(s: Shared) {
    let whats = async |about: &str| -> Vec<String> {
        let journey = s.journey(&key(about)).await.unwrap().unwrap();
        journey.events.into_iter().map(|e| e.what).collect()
    };
    let said = |what: &str| vec![event(what, Some("a"), 1)];
    let new = || Arrival { alert: alert("a"), if_new: said("accepted"), if_linked: said("linked") };
    s.accept(new()).await.unwrap();
    s.accept(new()).await.unwrap();
    assert_eq!(whats("a").await, ["accepted"], "a repeat says nothing");
    s.accept(Arrival { alert: through("mirror", alert("a")), ..new() }).await.unwrap();
    let planned = s.alert(&key("a")).await.unwrap().unwrap().envelope;
    for _ in 0..2 {
        s.route(&planned, at(5), vec![delivery("a", "x")], said("routed")).await.unwrap();
    }
    s.claim(Lane::Routine, at(10), at(70), 9).await.unwrap();
    let dead = || AttemptEnd::Dead { error: "gone".into() };
    finish(&s, &id("a", "x"), at(11), dead(), said("dead")).await.unwrap();
    finish(&s, &id("a", "x"), at(11), dead(), said("dead")).await.unwrap();
    s.replay(&id("a", "x"), Again::GivenUp, at(12), at(9_000), said("replayed")).await.unwrap();
    assert!(s.replay(&id("a", "x"), Again::GivenUp, at(12), at(9_000), said("replayed")).await.is_err());
    assert_eq!(whats("a").await, ["accepted", "linked", "routed", "dead", "replayed"]);
    s.quarantine(quarantined("q"), Bytes::from_static(b"raw"), said("quarantined")).await.unwrap();
    s.release("q_q", release(), said("released")).await.unwrap();
    assert!(s.release("q_none", release(), said("released")).await.is_err());
    assert_eq!(whats("a").await.len(), 7);
    assert_eq!(s.verify_record().await.unwrap(), Ok(7));
}

pub async fn a_link_to_a_twin_is_in_the_journey_of_the_first(s: Shared) {
    let twin = |origin: &str, name: &str| {
        let mut made = through(origin, alert(name));
        made.envelope.twin = Some(key("twin"));
        let events = |what: &str| vec![event(what, Some(name), 1)];
        Arrival { alert: made, if_new: events("accepted"), if_linked: events("linked") }
    };
    s.accept(twin("hub", "a")).await.unwrap();
    s.accept(twin("mirror", "a.IPAWS")).await.unwrap();
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    let whats: Vec<_> = journey.events.iter().map(|e| e.what.as_str()).collect();
    assert_eq!(whats, ["accepted", "linked"]);
    assert_eq!(journey.events[1].alert, Some(key("a.IPAWS")), "the event names the copy");
}

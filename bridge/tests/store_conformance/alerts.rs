//! What the store promises of accepted alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cap_schema::MsgType;
use capbridge::envelope::{AlertKey, Lane, Reference, StoredAlert};
use capbridge::store::{AttemptEnd, Page, Store, StoreError, Stored};

use crate::samples::{
    ALL, alert, arrival, at, chain, chain_name, delivery, endpoint, finish, held, id, key, receipt,
    reference, render, rendering, sent, through, update,
};

type Shared = Arc<dyn Store>;

async fn keys(s: &Shared, page: Page) -> Vec<AlertKey> {
    s.alerts(page).await.unwrap().into_iter().map(|e| e.key).collect()
}

async fn handed_out(s: &Shared, now: i64, until: i64, limit: u32) -> Vec<AlertKey> {
    let alerts = s.unrouted(at(now), at(until), limit).await.unwrap();
    alerts.into_iter().map(|a| a.envelope.key).collect()
}

pub async fn a_new_alert_is_kept_byte_for_byte(s: Shared) {
    let mut new = alert("a");
    new.derived = Some(Bytes::from_static(b"<alert>derived</alert>"));
    assert_eq!(s.accept(arrival(new.clone())).await.unwrap(), Stored::New(chain("a")));
    assert_eq!(s.alert(&key("a")).await.unwrap(), Some(new));
    assert_eq!(s.alert(&key("b")).await.unwrap(), None);
}

pub async fn the_same_bytes_again_are_a_repeat_and_counted(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    for _ in 0..3 {
        assert_eq!(s.accept(arrival(alert("a"))).await.unwrap(), Stored::Repeat);
    }
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!(journey.repeats, 3);
    assert_eq!(s.depth().await.unwrap().unrouted, 1);
}

pub async fn the_same_alert_through_another_source_is_linked_once_and_routed_for_it(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    assert_eq!(handed_out(&s, 1, 60, 9).await, [key("a")]);
    s.route(&alert("a").envelope, at(2), vec![delivery("a", "x")], Vec::new()).await.unwrap();
    let mut other = through("mirror", alert("a"));
    other.envelope.digest = "other bytes".into();
    assert_eq!(s.accept(arrival(other.clone())).await.unwrap(), Stored::Linked(key("a")));
    assert_eq!(s.accept(arrival(other)).await.unwrap(), Stored::Repeat);
    assert_eq!(s.accept(arrival(alert("a"))).await.unwrap(), Stored::Repeat);
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().repeats, 3);
    assert_eq!(keys(&s, ALL).await, [key("a")]);
    assert_eq!(s.depth().await.unwrap().unrouted, 1);
    let again = s.unrouted(at(3), at(60), 9).await.unwrap();
    let origins: Vec<_> = again[0].envelope.provenance.origins().map(|o| o.0.clone()).collect();
    assert_eq!(origins, ["hub", "mirror"]);
    assert_eq!(again[0].raw, alert("a").raw, "the first bytes stay");
    // It counts as routed all the while, and what it has is not made twice.
    assert_eq!(s.later(&chain("a"), at(0)).await.unwrap().len(), 1);
    s.route(&again[0].envelope, at(4), vec![delivery("a", "x"), delivery("a", "y")], Vec::new())
        .await
        .unwrap();
    assert_eq!(s.deliveries(None, ALL).await.unwrap().len(), 2);
    assert!(handed_out(&s, 5, 60, 9).await.is_empty());
    assert_eq!(s.depth().await.unwrap().unrouted, 0);
}

pub async fn a_second_source_before_routing_changes_nothing_about_the_queue(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    assert_eq!(handed_out(&s, 1, 60, 9).await, [key("a")]);
    assert_eq!(s.accept(arrival(through("mirror", alert("a")))).await.unwrap(), Stored::Linked(key("a")));
    assert!(handed_out(&s, 2, 60, 9).await.is_empty(), "somebody has it");
    assert_eq!(s.depth().await.unwrap().unrouted, 1);
}

pub async fn what_is_linked_while_it_is_routed_is_routed_again(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    let planned = s.unrouted(at(1), at(60), 9).await.unwrap().remove(0).envelope;
    s.accept(arrival(through("mirror", alert("a")))).await.unwrap();
    s.route(&planned, at(2), vec![delivery("a", "x")], Vec::new()).await.unwrap();
    assert_eq!(s.depth().await.unwrap().unrouted, 1, "the second source's rules were not asked");
    let again = s.unrouted(at(3), at(60), 9).await.unwrap().remove(0).envelope;
    assert_eq!(again.provenance.origins().count(), 2);
    // A plan that is older than that changes nothing of it.
    s.route(&planned, at(4), vec![delivery("a", "x")], Vec::new()).await.unwrap();
    s.route(&again, at(4), vec![delivery("a", "x"), delivery("a", "y")], Vec::new()).await.unwrap();
    assert_eq!(s.deliveries(None, ALL).await.unwrap().len(), 2);
    assert_eq!(s.depth().await.unwrap().unrouted, 0);
    assert!(handed_out(&s, 5, 60, 9).await.is_empty());
}

pub async fn a_twin_is_linked_to_the_first(s: Shared) {
    let mut first = alert("a");
    first.envelope.twin = Some(key("twin"));
    let mut second = through("mirror", alert("a.IPAWS"));
    second.envelope.twin = Some(key("twin"));
    s.accept(arrival(first)).await.unwrap();
    assert_eq!(s.accept(arrival(second)).await.unwrap(), Stored::Linked(key("a")));
    assert_eq!(s.alert(&key("a.IPAWS")).await.unwrap(), None);
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().repeats, 1);
}

pub async fn the_same_key_with_other_content_is_a_conflict_and_changes_nothing(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    let mut other = alert("a");
    other.envelope.digest = "other bytes".into();
    other.envelope.content_digest = "other content".into();
    other.raw = Bytes::from_static(b"forged");
    assert_eq!(s.accept(arrival(other)).await.unwrap(), Stored::Conflict);
    assert_eq!(s.alert(&key("a")).await.unwrap(), Some(alert("a")));
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!((journey.repeats, s.depth().await.unwrap().unrouted), (0, 1));
}

pub async fn two_at_the_same_time_are_one_new_and_one_repeat(s: Shared) {
    for round in 0..20 {
        let name = format!("alert {round}");
        let (a, b) = tokio::join!(s.accept(arrival(alert(&name))), s.accept(arrival(alert(&name))));
        let found = [a.unwrap(), b.unwrap()];
        assert!(found.contains(&Stored::New(chain(&name))), "{found:?}");
        assert!(found.contains(&Stored::Repeat), "{found:?}");
    }
}

pub async fn what_follows_a_known_message_joins_its_chain(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    s.accept(arrival(alert("b"))).await.unwrap();
    let cases: [(&str, &[&str], &str); 4] = [
        ("update of a", &["a"], "a"),
        ("update of that update", &["update of a"], "a"),
        ("nothing known", &["unknown"], "nothing known"),
        ("names itself", &["names itself"], "names itself"),
    ];
    for (number, (name, of, expected)) in cases.into_iter().enumerate() {
        let new = sent(number as i64, update(name, of));
        assert_eq!(s.accept(arrival(new)).await.unwrap(), Stored::New(chain(expected)), "{name}");
        let stored = s.alert(&key(name)).await.unwrap().unwrap();
        assert_eq!(stored.envelope.chain, chain(expected), "{name}");
    }
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!(journey.chain, [reference("update of a"), reference("update of that update")]);
    let known = s.known(&["a", "unknown", "b"].map(chain_name)).await.unwrap();
    assert_eq!(known, [true, false, true]);
    assert!(s.known(&[]).await.unwrap().is_empty());
}

pub async fn a_message_finds_the_chain_of_what_came_before_it(s: Shared) {
    let late = ["update", "a", "cancel"];
    s.accept(arrival(sent(3, update("cancel", &["update"])))).await.unwrap();
    s.accept(arrival(sent(2, update("update", &["a"])))).await.unwrap();
    s.accept(arrival(sent(1, alert("a")))).await.unwrap();
    for name in late {
        let found = s.alert(&key(name)).await.unwrap().unwrap().envelope.chain;
        assert_eq!(found, chain("cancel"), "{name}");
    }
    // Routing takes the order in which they were sent.
    assert_eq!(handed_out(&s, 4, 60, 9).await, [key("a"), key("update"), key("cancel")]);
}

pub async fn chains_that_a_message_connects_become_one_with_their_lines(s: Shared) {
    for (secs, name) in [(1, "a"), (2, "b")] {
        s.accept(arrival(sent(secs, alert(name)))).await.unwrap();
        s.route(&alert(name).envelope, at(5), vec![delivery(name, "x"), delivery(name, name)], Vec::new())
            .await
            .unwrap();
    }
    let connected = s.accept(arrival(sent(3, update("u", &["a", "b"])))).await.unwrap();
    assert_eq!(connected, Stored::New(chain("a")));
    for name in ["a", "b", "u"] {
        assert_eq!(s.alert(&key(name)).await.unwrap().unwrap().envelope.chain, chain("a"), "{name}");
    }
    let later = s.later(&chain("a"), at(2)).await.unwrap();
    assert_eq!(later.into_iter().map(|e| e.key).collect::<Vec<_>>(), [key("b")], "u is not routed");
    s.route(&alert("u").envelope, at(6), vec![delivery("u", "x")], Vec::new()).await.unwrap();
    let rules = s.followers(&chain("a")).await.unwrap();
    let expected = [("a", "a"), ("b", "b"), ("x", "u")].map(|(e, r)| (endpoint(e), format!("rule of {r}")));
    assert_eq!(rules, expected);
    assert!(s.followers(&chain("b")).await.unwrap().is_empty());
    // One line for each endpoint: nothing overtakes.
    let mut order = Vec::new();
    for turn in 0..3 {
        let now = 20 + turn;
        for claim in s.claim(Lane::Routine, at(now), at(now + 60), 9).await.unwrap() {
            render(&s, &claim.delivery.id, rendering(&claim.delivery.id.0)).await.unwrap();
            finish(&s, &claim.delivery.id, at(now), AttemptEnd::Delivered(receipt("/1")), Vec::new())
                .await
                .unwrap();
            if claim.delivery.endpoint == endpoint("x") {
                assert_eq!(claim.delivery.chain, chain("a"));
                order.push((turn, claim.delivery.id.clone()));
            }
        }
    }
    assert_eq!(order, [(0, id("a", "x")), (1, id("b", "x")), (2, id("u", "x"))]);
    let issued = s.issued(&endpoint("x"), &chain("a")).await.unwrap();
    assert_eq!(issued.into_iter().map(|i| i.original.key).collect::<Vec<_>>(), ["a", "b", "u"].map(key));
    // A chain that became part of another is found through it.
    assert_eq!(s.accept(arrival(sent(9, update("v", &["b"])))).await.unwrap(), Stored::New(chain("a")));
}

pub async fn what_waits_for_another_message_is_held_until_that_comes_or_its_time_is_over(s: Shared) {
    assert_eq!(
        s.accept(arrival(held(60, sent(5, update("u", &["a"]))))).await.unwrap(),
        Stored::Held(chain("u"))
    );
    assert_eq!(
        s.accept(arrival(held(61, sent(6, update("c", &["u"]))))).await.unwrap(),
        Stored::New(chain("u"))
    );
    assert!(handed_out(&s, 10, 40, 9).await.is_empty(), "c waits behind u");
    assert_eq!(s.accept(arrival(sent(1, alert("a")))).await.unwrap(), Stored::New(chain("u")));
    assert_eq!(handed_out(&s, 11, 40, 9).await, [key("a"), key("u"), key("c")]);

    let alone = s.accept(arrival(held(60, sent(5, update("orphan", &["never"]))))).await.unwrap();
    assert_eq!(alone, Stored::Held(chain("orphan")));
    assert!(handed_out(&s, 12, 40, 9).await.is_empty());
    assert_eq!(handed_out(&s, 61, 90, 9).await, ["a", "u", "c", "orphan"].map(key));
}

pub async fn unrouted_alerts_are_handed_out_once_oldest_first_until_their_lease_ends(s: Shared) {
    for name in ["a", "b", "c"] {
        s.accept(arrival(alert(name))).await.unwrap();
    }
    assert_eq!(handed_out(&s, 1, 60, 2).await, [key("a"), key("b")]);
    assert_eq!(handed_out(&s, 2, 30, 9).await, [key("c")]);
    assert!(handed_out(&s, 3, 63, 9).await.is_empty());
    assert_eq!(handed_out(&s, 30, 40, 9).await, [key("c")]);
    s.accept(arrival(alert("d"))).await.unwrap();
    s.route(&alert("b").envelope, at(31), Vec::new(), Vec::new()).await.unwrap();
    assert_eq!(handed_out(&s, 60, 90, 9).await, [key("a"), key("c"), key("d")]);
    assert_eq!(s.depth().await.unwrap().unrouted, 3);
    for name in ["a", "c", "d"] {
        s.route(&alert(name).envelope, at(61), Vec::new(), Vec::new()).await.unwrap();
    }
    assert!(handed_out(&s, 500, 560, 9).await.is_empty());
    assert_eq!(s.depth().await.unwrap().unrouted, 0);
}

pub async fn a_later_message_of_a_chain_is_not_handed_out_before_an_earlier_one_is_routed(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    assert_eq!(handed_out(&s, 1, 60, 9).await, [key("a")]);
    s.accept(arrival(update("b", &["a"]))).await.unwrap();
    s.accept(arrival(alert("c"))).await.unwrap();
    assert_eq!(handed_out(&s, 2, 62, 9).await, [key("c")], "b waits for a");
    s.route(&alert("a").envelope, at(3), Vec::new(), Vec::new()).await.unwrap();
    assert_eq!(handed_out(&s, 4, 64, 9).await, [key("b")]);
    // Both at once, in order, when the lease on both ran out.
    s.accept(arrival(alert("d"))).await.unwrap();
    s.accept(arrival(update("e", &["d"]))).await.unwrap();
    assert_eq!(handed_out(&s, 5, 6, 9).await, [key("d"), key("e")]);
    assert_eq!(handed_out(&s, 7, 60, 9).await, [key("d"), key("e")]);
}

pub async fn urgent_alerts_are_handed_out_before_routine_ones_and_each_chain_keeps_its_order(s: Shared) {
    let urgent = |mut alert: StoredAlert| {
        alert.envelope.lane = Lane::Urgent;
        alert
    };
    for n in 0..40 {
        s.accept(arrival(alert(&format!("minor {n}")))).await.unwrap();
    }
    // Routers had begun with the storm.
    assert_eq!(handed_out(&s, 1, 60, 2).await, ["minor 0", "minor 1"].map(key));
    s.accept(arrival(urgent(update("worse", &["minor 30"])))).await.unwrap();
    s.accept(arrival(urgent(update("behind a lease", &["minor 0"])))).await.unwrap();
    s.accept(arrival(urgent(held(50, sent(5, update("held", &["never"])))))).await.unwrap();
    s.accept(arrival(urgent(alert("chlorine")))).await.unwrap();
    let first = ["minor 30", "worse", "chlorine", "minor 2"].map(key);
    assert_eq!(handed_out(&s, 2, 60, 4).await, first, "what an urgent one corrects goes before it");
    s.route(&alert("minor 0").envelope, at(3), Vec::new(), Vec::new()).await.unwrap();
    assert_eq!(handed_out(&s, 4, 60, 2).await, ["behind a lease", "minor 3"].map(key));
    // Again after its lease, and no more once it is routed.
    assert_eq!(handed_out(&s, 61, 90, 3).await, ["minor 30", "worse", "behind a lease"].map(key));
    assert_eq!(handed_out(&s, 62, 90, 2).await, ["held", "chlorine"].map(key));
    let mut waiting: BTreeSet<AlertKey> = (1..40).map(|n| key(&format!("minor {n}"))).collect();
    waiting.extend(["worse", "behind a lease", "held", "chlorine"].map(key));
    for name in ["minor 30", "worse", "chlorine"] {
        s.route(&alert(name).envelope, at(63), Vec::new(), Vec::new()).await.unwrap();
        waiting.remove(&key(name));
    }
    assert_eq!(s.depth().await.unwrap().unrouted, waiting.len() as u64);
    let rest = handed_out(&s, 200, 300, 99).await;
    assert_eq!(rest[..2], ["behind a lease", "held"].map(key));
    assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), waiting, "nobody is forgotten");
}

pub async fn what_is_handed_out_is_whole(s: Shared) {
    let mut new = alert("a");
    new.derived = Some(Bytes::from_static(b"\x00\xff derived"));
    s.accept(arrival(new.clone())).await.unwrap();
    assert_eq!(s.unrouted(at(1), at(60), 5).await.unwrap(), [new]);
}

pub async fn routing_what_is_not_there_is_an_error(s: Shared) {
    let error = s.route(&alert("nobody").envelope, at(1), Vec::new(), Vec::new()).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
}

pub async fn alerts_are_found_by_identifier_and_by_key_prefix(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    let mut same_identifier = alert("b");
    same_identifier.envelope.reference = Reference { sender: "b@other.example".into(), ..reference("a") };
    s.accept(arrival(same_identifier)).await.unwrap();
    let mut both = [key("a"), key("b")];
    both.sort();
    let mut found = s.find("a").await.unwrap();
    found.sort();
    assert_eq!(found, both);
    assert_eq!(s.find(&key("a").0[..12]).await.unwrap(), [key("a")]);
    assert_eq!(s.find(&key("a").0).await.unwrap(), [key("a")]);
    for nothing in ["", "unknown", &key("a").0[..7], "%", "*"] {
        assert!(s.find(nothing).await.unwrap().is_empty(), "{nothing:?}");
    }
}

pub async fn lists_of_alerts_are_newest_first_in_pages(s: Shared) {
    for name in ["a", "b", "c", "d"] {
        s.accept(arrival(alert(name))).await.unwrap();
    }
    assert_eq!(keys(&s, Page { limit: 2, skip: 0 }).await, [key("d"), key("c")]);
    assert_eq!(keys(&s, Page { limit: 2, skip: 1 }).await, [key("c"), key("b")]);
    assert_eq!(keys(&s, Page { limit: 9, skip: 3 }).await, [key("a")]);
    assert!(keys(&s, Page { limit: 9, skip: 4 }).await.is_empty());
}

fn aged(name: &str, accepted: i64, expires: Option<i64>) -> StoredAlert {
    let mut aged = alert(name);
    aged.envelope.accepted_at = at(accepted);
    aged.envelope.expires_at = Some(expires.map_or(at(accepted), at));
    aged
}

pub async fn the_sweep_takes_what_is_over_and_keeps_what_is_not(s: Shared) {
    let alerts = [
        aged("old", 0, Some(50)),
        aged("old and over at once", 1, None),
        aged("old but in force", 2, Some(500)),
        aged("old but not delivered", 3, Some(50)),
        aged("old but not routed", 4, Some(50)),
        aged("new", 100, None),
    ];
    for new in alerts {
        s.accept(arrival(new)).await.unwrap();
    }
    s.route(&alert("old").envelope, at(10), vec![delivery("old", "x")], Vec::new()).await.unwrap();
    for name in ["old and over at once", "old but in force", "new"] {
        s.route(&alert(name).envelope, at(10), Vec::new(), Vec::new()).await.unwrap();
    }
    let waiting = vec![delivery("old but not delivered", "y")];
    s.route(&alert("old but not delivered").envelope, at(10), waiting, Vec::new()).await.unwrap();
    render(&s, &id("old", "x"), rendering("old")).await.unwrap();
    finish(&s, &id("old", "x"), at(12), AttemptEnd::Dead { error: "refused".into() }, Vec::new())
        .await
        .unwrap();
    assert_eq!(s.depth().await.unwrap().dead, 1);

    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 2);
    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 0);
    let left = ["new", "old but not routed", "old but not delivered", "old but in force"];
    assert_eq!(keys(&s, ALL).await, left.map(key));
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.dead, depth.unrouted, depth.routine), (0, 1, 1));
    assert_eq!(s.delivery(&id("old", "x")).await.unwrap(), None);
    assert_eq!(s.journey(&key("old")).await.unwrap(), None);
    assert_eq!(s.deliveries(None, ALL).await.unwrap().len(), 1);
    assert!(s.find("old").await.unwrap().is_empty());
    assert!(s.find(&key("old").0).await.unwrap().is_empty());
    assert!(s.followers(&chain("old")).await.unwrap().is_empty());

    // What a later delivery end lets go is swept then.
    finish(&s, &id("old but not delivered", "y"), at(13), AttemptEnd::Delivered(receipt("/1")), Vec::new())
        .await
        .unwrap();
    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 1);
}

pub async fn what_has_no_end_is_kept_for_a_year_and_a_cancel_without_one_is_not(s: Shared) {
    let open_ended = |mut alert: StoredAlert| {
        alert.envelope.expires_at = None;
        alert
    };
    let mut cancel = open_ended(update("c", &["a"]));
    cancel.envelope.msg_type = MsgType::Cancel;
    for stored in [open_ended(alert("a")), cancel] {
        s.accept(arrival(stored.clone())).await.unwrap();
        s.route(&stored.envelope, at(1), Vec::new(), Vec::new()).await.unwrap();
    }
    let days = |n: i64| at(n * 24 * 3_600);
    assert_eq!(s.sweep(days(364), 100).await.unwrap(), 1);
    assert!(s.alert(&key("a")).await.unwrap().is_some());
    assert_eq!(s.sweep(days(366), 100).await.unwrap(), 1);
    assert!(s.alert(&key("a")).await.unwrap().is_none());
}

pub async fn dedup_keys_and_our_references_outlive_the_sweep(s: Shared) {
    s.accept(arrival(aged("a", 0, None))).await.unwrap();
    s.route(&alert("a").envelope, at(10), vec![delivery("a", "x")], Vec::new()).await.unwrap();
    render(&s, &id("a", "x"), rendering("a")).await.unwrap();
    finish(&s, &id("a", "x"), at(12), AttemptEnd::Delivered(receipt("/1")), Vec::new()).await.unwrap();
    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 1);
    assert_eq!(s.accept(arrival(aged("a", 0, None))).await.unwrap(), Stored::Repeat);
    assert_eq!(s.ours("bridge@example.org", "a").await.unwrap(), Some(key("a")));
    assert_eq!(s.accept(arrival(update("b", &["a"]))).await.unwrap(), Stored::New(chain("a")));
}

pub async fn the_sweep_keeps_to_its_limit_and_takes_the_oldest(s: Shared) {
    for (name, secs) in [("c", 3), ("a", 1), ("b", 2)] {
        s.accept(arrival(aged(name, secs, None))).await.unwrap();
        s.route(&alert(name).envelope, at(10), Vec::new(), Vec::new()).await.unwrap();
    }
    assert_eq!(s.sweep(at(100), 2).await.unwrap(), 2);
    assert_eq!(keys(&s, ALL).await, [key("c")]);
}

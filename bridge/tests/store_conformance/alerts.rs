//! What the store promises of accepted alerts.

use std::sync::Arc;

use bytes::Bytes;
use capbridge::envelope::{AlertKey, Reference, StoredAlert};
use capbridge::store::{AttemptEnd, Page, Store, StoreError, Stored};

use crate::samples::{ALL, alert, at, chain, delivery, id, key, receipt, reference, rendering, update};

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
    assert_eq!(s.accept(new.clone()).await.unwrap(), Stored::New(chain("a")));
    assert_eq!(s.alert(&key("a")).await.unwrap(), Some(new));
    assert_eq!(s.alert(&key("b")).await.unwrap(), None);
}

pub async fn the_same_bytes_again_are_a_repeat_and_counted(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(s.accept(alert("a")).await.unwrap(), Stored::Repeat);
    }
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!(journey.repeats, 3);
    assert_eq!(s.depth().await.unwrap().unrouted, 1);
}

pub async fn the_same_content_through_another_source_is_linked(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    let mut other = alert("a");
    other.envelope.digest = "other bytes".into();
    assert_eq!(s.accept(other).await.unwrap(), Stored::Linked(key("a")));
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().repeats, 1);
    assert_eq!(keys(&s, ALL).await, [key("a")]);
}

pub async fn a_twin_is_linked_to_the_first(s: Shared) {
    let mut first = alert("a");
    first.envelope.twin = Some(key("twin"));
    let mut second = alert("a.IPAWS");
    second.envelope.twin = Some(key("twin"));
    s.accept(first).await.unwrap();
    assert_eq!(s.accept(second).await.unwrap(), Stored::Linked(key("a")));
    assert_eq!(s.alert(&key("a.IPAWS")).await.unwrap(), None);
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().repeats, 1);
}

pub async fn the_same_key_with_other_content_is_a_conflict_and_changes_nothing(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    let mut other = alert("a");
    other.envelope.digest = "other bytes".into();
    other.envelope.content_digest = "other content".into();
    other.raw = Bytes::from_static(b"forged");
    assert_eq!(s.accept(other).await.unwrap(), Stored::Conflict);
    assert_eq!(s.alert(&key("a")).await.unwrap(), Some(alert("a")));
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!((journey.repeats, s.depth().await.unwrap().unrouted), (0, 1));
}

pub async fn two_at_the_same_time_are_one_new_and_one_repeat(s: Shared) {
    for round in 0..20 {
        let name = format!("alert {round}");
        let (a, b) = tokio::join!(s.accept(alert(&name)), s.accept(alert(&name)));
        let found = [a.unwrap(), b.unwrap()];
        assert!(found.contains(&Stored::New(chain(&name))), "{found:?}");
        assert!(found.contains(&Stored::Repeat), "{found:?}");
    }
}

pub async fn what_refers_to_a_known_message_joins_its_chain(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    s.accept(alert("b")).await.unwrap();
    let cases: [(&str, &[&str], &str); 5] = [
        ("update of a", &["a"], "a"),
        ("update of that update", &["update of a"], "a"),
        ("first known wins", &["unknown", "b", "a"], "b"),
        ("nothing known", &["unknown"], "nothing known"),
        ("names itself", &["names itself"], "names itself"),
    ];
    for (name, of, expected) in cases {
        assert_eq!(s.accept(update(name, of)).await.unwrap(), Stored::New(chain(expected)), "{name}");
        let stored = s.alert(&key(name)).await.unwrap().unwrap();
        assert_eq!(stored.envelope.chain, chain(expected), "{name}");
    }
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!(journey.chain, [reference("update of a"), reference("update of that update")]);
}

pub async fn a_reference_with_a_wrong_sender_is_found_by_its_identifier(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    let mut same_identifier = alert("other agency's a");
    same_identifier.envelope.reference =
        Reference { sender: "z@other.example".into(), ..reference("shared") };
    let mut exact = alert("ours");
    exact.envelope.reference = reference("shared");
    s.accept(same_identifier).await.unwrap();
    s.accept(exact).await.unwrap();

    let wrong = Reference { sender: "typo".into(), ..reference("a") };
    let mut lost = alert("update with a wrong sender");
    lost.envelope.refers_to = vec![wrong.clone()];
    assert_eq!(s.accept(lost).await.unwrap(), Stored::New(chain("a")));

    // An exact match of a later reference goes before a match by identifier alone.
    let mut both = alert("update with both");
    both.envelope.refers_to = vec![wrong, reference("shared")];
    assert_eq!(s.accept(both).await.unwrap(), Stored::New(chain("ours")));
}

pub async fn unrouted_alerts_are_handed_out_once_oldest_first_until_their_lease_ends(s: Shared) {
    for name in ["a", "b", "c"] {
        s.accept(alert(name)).await.unwrap();
    }
    assert_eq!(handed_out(&s, 1, 60, 2).await, [key("a"), key("b")]);
    assert_eq!(handed_out(&s, 2, 30, 9).await, [key("c")]);
    assert!(handed_out(&s, 3, 63, 9).await.is_empty());
    assert_eq!(handed_out(&s, 30, 40, 9).await, [key("c")]);
    s.accept(alert("d")).await.unwrap();
    s.route(&key("b"), at(31), Vec::new()).await.unwrap();
    assert_eq!(handed_out(&s, 60, 90, 9).await, [key("a"), key("c"), key("d")]);
    assert_eq!(s.depth().await.unwrap().unrouted, 3);
    for name in ["a", "c", "d"] {
        s.route(&key(name), at(61), Vec::new()).await.unwrap();
    }
    assert!(handed_out(&s, 500, 560, 9).await.is_empty());
    assert_eq!(s.depth().await.unwrap().unrouted, 0);
}

pub async fn a_later_message_of_a_chain_is_not_handed_out_before_an_earlier_one_is_routed(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    assert_eq!(handed_out(&s, 1, 60, 9).await, [key("a")]);
    let mut update = alert("b");
    update.envelope.refers_to = vec![reference("a")];
    s.accept(update).await.unwrap();
    s.accept(alert("c")).await.unwrap();
    assert_eq!(handed_out(&s, 2, 62, 9).await, [key("c")], "b waits for a");
    s.route(&key("a"), at(3), Vec::new()).await.unwrap();
    assert_eq!(handed_out(&s, 4, 64, 9).await, [key("b")]);
    // Both at once, in order, when the lease on both ran out.
    s.accept(alert("d")).await.unwrap();
    let mut update = alert("e");
    update.envelope.refers_to = vec![reference("d")];
    s.accept(update).await.unwrap();
    assert_eq!(handed_out(&s, 5, 6, 9).await, [key("d"), key("e")]);
    assert_eq!(handed_out(&s, 7, 60, 9).await, [key("d"), key("e")]);
}

pub async fn what_is_handed_out_is_whole(s: Shared) {
    let mut new = alert("a");
    new.derived = Some(Bytes::from_static(b"\x00\xff derived"));
    s.accept(new.clone()).await.unwrap();
    assert_eq!(s.unrouted(at(1), at(60), 5).await.unwrap(), [new]);
}

pub async fn routing_what_is_not_there_is_an_error(s: Shared) {
    let error = s.route(&key("nobody"), at(1), Vec::new()).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
}

pub async fn alerts_are_found_by_identifier_and_by_key_prefix(s: Shared) {
    s.accept(alert("a")).await.unwrap();
    let mut same_identifier = alert("b");
    same_identifier.envelope.reference = Reference { sender: "b@other.example".into(), ..reference("a") };
    s.accept(same_identifier).await.unwrap();
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
        s.accept(alert(name)).await.unwrap();
    }
    assert_eq!(keys(&s, Page { limit: 2, skip: 0 }).await, [key("d"), key("c")]);
    assert_eq!(keys(&s, Page { limit: 2, skip: 1 }).await, [key("c"), key("b")]);
    assert_eq!(keys(&s, Page { limit: 9, skip: 3 }).await, [key("a")]);
    assert!(keys(&s, Page { limit: 9, skip: 4 }).await.is_empty());
}

fn aged(name: &str, accepted: i64, expires: Option<i64>) -> StoredAlert {
    let mut aged = alert(name);
    aged.envelope.accepted_at = at(accepted);
    aged.envelope.expires_at = expires.map(at);
    aged
}

pub async fn the_sweep_takes_what_is_over_and_keeps_what_is_not(s: Shared) {
    let alerts = [
        aged("old", 0, Some(50)),
        aged("old without end", 1, None),
        aged("old but in force", 2, Some(500)),
        aged("old but not delivered", 3, Some(50)),
        aged("old but not routed", 4, Some(50)),
        aged("new", 100, None),
    ];
    for new in alerts {
        s.accept(new).await.unwrap();
    }
    s.route(&key("old"), at(10), vec![delivery("old", "x")]).await.unwrap();
    for name in ["old without end", "old but in force", "new"] {
        s.route(&key(name), at(10), Vec::new()).await.unwrap();
    }
    let waiting = vec![delivery("old but not delivered", "y")];
    s.route(&key("old but not delivered"), at(10), waiting).await.unwrap();
    s.render(&id("old", "x"), rendering("old")).await.unwrap();
    s.finish(&id("old", "x"), at(12), AttemptEnd::Dead { error: "refused".into() }).await.unwrap();
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
    s.finish(&id("old but not delivered", "y"), at(13), AttemptEnd::Delivered(receipt("/1"))).await.unwrap();
    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 1);
}

pub async fn dedup_keys_and_our_references_outlive_the_sweep(s: Shared) {
    s.accept(aged("a", 0, None)).await.unwrap();
    s.route(&key("a"), at(10), vec![delivery("a", "x")]).await.unwrap();
    s.render(&id("a", "x"), rendering("a")).await.unwrap();
    s.finish(&id("a", "x"), at(12), AttemptEnd::Delivered(receipt("/1"))).await.unwrap();
    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 1);
    assert_eq!(s.accept(aged("a", 0, None)).await.unwrap(), Stored::Repeat);
    assert_eq!(s.ours("bridge@example.org", "a").await.unwrap(), Some(key("a")));
    assert_eq!(s.accept(update("b", &["a"])).await.unwrap(), Stored::New(chain("a")));
}

pub async fn the_sweep_keeps_to_its_limit_and_takes_the_oldest(s: Shared) {
    for (name, secs) in [("c", 3), ("a", 1), ("b", 2)] {
        s.accept(aged(name, secs, None)).await.unwrap();
        s.route(&key(name), at(10), Vec::new()).await.unwrap();
    }
    assert_eq!(s.sweep(at(100), 2).await.unwrap(), 2);
    assert_eq!(keys(&s, ALL).await, [key("c")]);
}

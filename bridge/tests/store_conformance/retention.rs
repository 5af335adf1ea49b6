//! What the store promises of what is deleted when its time is over.

use std::sync::Arc;

use bytes::Bytes;
use capbridge::envelope::{Lane, StoredAlert};
use capbridge::store::{AttemptEnd, Store, Stored};

use crate::samples::{
    ALL, alert, arrival, at, chain_name, delivery, event, finish, id, key, quarantined, receipt, release,
    render, rendering, through, update,
};

type Shared = Arc<dyn Store>;

/// Accepted, delivered to one endpoint, and over at this time.
async fn past(s: &Shared, name: &str, over: i64) -> StoredAlert {
    let mut old = alert(name);
    (old.envelope.accepted_at, old.envelope.expires_at) = (at(over - 10), Some(at(over)));
    s.accept(arrival(old.clone())).await.unwrap();
    s.route(&old.envelope, at(5), vec![delivery(name, "x")], Vec::new()).await.unwrap();
    s.claim(Lane::Routine, at(10), at(70), 9).await.unwrap();
    let mut sent = rendering(name);
    sent.earlier = vec![rendering(&format!("first {name}")).reference];
    render(s, &id(name, "x"), sent).await.unwrap();
    finish(s, &id(name, "x"), at(11), AttemptEnd::Delivered(receipt("/1")), Vec::new()).await.unwrap();
    old
}

async fn is_ours(s: &Shared, identifier: &str) -> bool {
    s.ours("bridge@example.org", identifier).await.unwrap().is_some()
}

pub async fn keys_are_forgotten_long_after_their_alert(s: Shared) {
    let old = past(&s, "old", 100).await;
    past(&s, "newer", 200).await;
    // What is in the archive is known whatever its age.
    assert_eq!(s.forget(at(9_000), 100).await.unwrap(), 0);
    assert_eq!(s.sweep(at(300), 100).await.unwrap(), 2);
    assert_eq!(s.forget(at(100), 100).await.unwrap(), 0);
    assert_eq!(s.accept(arrival(old.clone())).await.unwrap(), Stored::Repeat);
    assert!(is_ours(&s, "old").await && is_ours(&s, "first old").await);
    // The key, the name, and both references of our own.
    assert_eq!(s.forget(at(101), 100).await.unwrap(), 4);
    assert!(!is_ours(&s, "old").await && !is_ours(&s, "first old").await);
    assert_eq!(s.known(&[chain_name("old"), chain_name("newer")]).await.unwrap(), [false, true]);
    assert!(is_ours(&s, "newer").await);
    assert!(matches!(s.accept(arrival(old)).await.unwrap(), Stored::New(_)));
}

pub async fn what_comes_again_after_it_was_swept_stays_known(s: Shared) {
    past(&s, "old", 100).await;
    assert_eq!(s.sweep(at(300), 100).await.unwrap(), 1);
    let mut again = alert("old");
    (again.envelope.accepted_at, again.envelope.expires_at) = (at(5_000), Some(at(100)));
    assert_eq!(s.accept(arrival(again.clone())).await.unwrap(), Stored::Repeat);
    s.forget(at(4_000), 100).await.unwrap();
    assert_eq!(s.accept(arrival(again.clone())).await.unwrap(), Stored::Repeat);
    s.forget(at(5_001), 100).await.unwrap();
    assert!(matches!(s.accept(arrival(again)).await.unwrap(), Stored::New(_)));
}

pub async fn a_twin_and_a_name_that_nobody_carries_are_forgotten_too(s: Shared) {
    let mut first = alert("first");
    first.envelope.twin = Some(key("the same"));
    (first.envelope.accepted_at, first.envelope.expires_at) = (at(0), Some(at(50)));
    s.accept(arrival(first.clone())).await.unwrap();
    s.route(&first.envelope, at(5), Vec::new(), Vec::new()).await.unwrap();
    let mut second = through("mirror", alert("second"));
    second.envelope.twin = Some(key("the same"));
    let mut orphan = update("orphan", &["never seen"]);
    orphan.envelope.expires_at = Some(at(60));
    s.accept(arrival(orphan.clone())).await.unwrap();
    assert_eq!(s.sweep(at(100), 100).await.unwrap(), 1);
    // The key and the name of the first, and the name that nobody carries.
    assert_eq!(s.forget(at(100), 100).await.unwrap(), 3);
    assert!(matches!(s.accept(arrival(second)).await.unwrap(), Stored::New(_)));
    // The chain of what is kept goes on.
    let late = update("late", &["orphan"]);
    let joined = s.alert(&key("orphan")).await.unwrap().unwrap().envelope.chain;
    assert!(matches!(s.accept(arrival(late)).await.unwrap(), Stored::New(chain) if chain == joined));
}

pub async fn a_name_that_a_message_came_to_carry_is_kept_as_long_as_that(s: Shared) {
    let mut early = update("early", &["late"]);
    early.envelope.expires_at = Some(at(60));
    s.accept(arrival(early)).await.unwrap();
    assert!(matches!(s.accept(arrival(alert("late"))).await.unwrap(), Stored::New(_)));
    assert_eq!(s.forget(at(100), 100).await.unwrap(), 0);
    assert_eq!(s.known(&[chain_name("late")]).await.unwrap(), [true]);
}

pub async fn old_documents_leave_the_quarantine(s: Shared) {
    for (name, received) in [("a", 10), ("b", 20), ("c", 30)] {
        let mut entry = quarantined(name);
        entry.received_at = at(received);
        s.quarantine(entry, Bytes::from_static(b"raw"), Vec::new()).await.unwrap();
    }
    s.release("q_b", release(), Vec::new()).await.unwrap();
    assert_eq!(s.size().await.unwrap().quarantined, 3);
    assert_eq!(s.sweep_quarantine(at(10), 9).await.unwrap(), 0);
    assert_eq!(s.sweep_quarantine(at(30), 1).await.unwrap(), 1);
    assert_eq!(s.sweep_quarantine(at(30), 9).await.unwrap(), 1);
    assert_eq!(s.sweep_quarantine(at(30), 9).await.unwrap(), 0);
    let left = s.quarantined(ALL).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["q_c"]);
    assert_eq!(s.quarantined_document("q_a").await.unwrap(), None);
    assert_eq!((s.depth().await.unwrap().quarantined, s.size().await.unwrap().quarantined), (1, 1));
}

pub async fn the_record_begins_anew_behind_an_anchor_and_still_verifies(s: Shared) {
    assert_eq!(s.trim_record(at(9_000), at(9_000), 9).await.unwrap(), 0);
    for n in 0..10 {
        s.record(vec![event("step", None, n)]).await.unwrap();
    }
    s.seal().await.unwrap();
    assert_eq!(s.trim_record(at(0), at(50), 9).await.unwrap(), 0);
    assert_eq!(s.trim_record(at(5), at(50), 3).await.unwrap(), 3);
    assert_eq!(s.trim_record(at(5), at(51), 9).await.unwrap(), 2);
    // Five steps, and two words on where the record begins.
    assert_eq!(s.verify_record().await.unwrap(), Ok(7));
    assert_eq!(s.size().await.unwrap().record_entries, 7);
    s.record(vec![event("step", None, 60)]).await.unwrap();
    assert_eq!(s.verify_record().await.unwrap(), Ok(8));
    // The newest entry stays, whatever its age.
    let mut deleted = 0;
    for round in 0..4 {
        deleted += s.trim_record(at(9_000), at(61 + round), 100).await.unwrap();
        assert!(s.verify_record().await.unwrap().is_ok());
    }
    assert!((8..=11).contains(&deleted), "{deleted}");
    assert!(s.size().await.unwrap().record_entries >= 1);
}

pub async fn the_size_is_told(s: Shared) {
    let before = s.size().await.unwrap();
    assert!(before.bytes > 0, "{before:?}");
    let mut large = alert("large");
    large.raw = Bytes::from(vec![b'x'; 4 << 20]);
    s.accept(arrival(large)).await.unwrap();
    let after = s.size().await.unwrap();
    assert!(after.bytes >= before.bytes + (4 << 20), "{before:?} {after:?}");
}

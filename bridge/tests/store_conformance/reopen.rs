//! What is there after the store was closed and opened again.

use std::sync::Arc;

use bytes::Bytes;
use capbridge::envelope::Lane;
use capbridge::store::{AttemptEnd, Store, Stored};
use capbridge_adapters::passage::Origin;

use crate::samples::{
    alert, arrival, at, chain, delivery, endpoint, event, finish, id, key, quarantined, receipt, render,
    rendering, update,
};

/// Does one of everything.
pub async fn fill(s: Arc<dyn Store>) {
    s.accept(arrival(alert("a"))).await.unwrap();
    s.accept(arrival(update("b", &["a"]))).await.unwrap();
    s.accept(arrival(alert("unrouted"))).await.unwrap();
    s.route(&alert("a").envelope, at(5), vec![delivery("a", "x"), delivery("a", "y")], Vec::new())
        .await
        .unwrap();
    s.route(&alert("b").envelope, at(5), vec![delivery("b", "x"), delivery("b", "y")], Vec::new())
        .await
        .unwrap();
    assert_eq!(s.claim(Lane::Routine, at(10), at(70), 9).await.unwrap().len(), 2);
    render(&s, &id("a", "x"), rendering("a")).await.unwrap();
    finish(&s, &id("a", "x"), at(11), AttemptEnd::Delivered(receipt("/1")), Vec::new()).await.unwrap();
    s.quarantine(quarantined("q"), Bytes::from_static(b"q"), Vec::new()).await.unwrap();
    s.record(vec![event("accepted", Some("a"), 1)]).await.unwrap();
    s.set_checkpoint(&Origin("hub".into()), "c").await.unwrap();
    assert!(s.lease("hub", "one", at(0), at(100)).await.unwrap());
}

/// What becomes of the leases of a process that is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// They run out: others may share the store.
    Kept,
    /// They are free at once: nobody else can be there.
    Freed,
}

/// Finds all of it.
pub async fn verify(s: Arc<dyn Store>, leases: Leases) {
    assert_eq!(s.accept(arrival(alert("a"))).await.unwrap(), Stored::Repeat);
    assert_eq!(s.alert(&key("unrouted")).await.unwrap(), Some(alert("unrouted")));
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.unrouted, depth.routine, depth.quarantined), (1, 3, 1));
    assert_eq!(s.unrouted(at(1), at(60), 9).await.unwrap(), [alert("unrouted")]);
    let claims = s.claim(Lane::Routine, at(20), at(80), 9).await.unwrap();
    let ids =
        |claims: &[capbridge::store::Claim]| claims.iter().map(|c| c.delivery.id.clone()).collect::<Vec<_>>();
    let taken = match leases {
        Leases::Kept => {
            assert_eq!(ids(&claims), [id("b", "x")]);
            s.claim(Lane::Routine, at(70), at(130), 9).await.unwrap()
        }
        Leases::Freed => claims,
    };
    let again = taken.iter().find(|c| c.delivery.id == id("a", "y")).unwrap();
    assert!(again.delivery.maybe_delivered);
    assert_eq!(s.issued(&endpoint("x"), &chain("a")).await.unwrap().len(), 1);
    assert_eq!(s.ours("bridge@example.org", "a").await.unwrap(), Some(key("a")));
    s.record(vec![event("started", None, 2)]).await.unwrap();
    assert_eq!(s.verify_record().await.unwrap(), Ok(2));
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().events.len(), 1);
    assert_eq!(s.checkpoint(&Origin("hub".into())).await.unwrap().as_deref(), Some("c"));
    assert_eq!(s.lease("hub", "two", at(50), at(150)).await.unwrap(), leases == Leases::Freed);
}

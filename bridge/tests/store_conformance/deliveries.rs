//! What the store promises of deliveries.

use std::sync::Arc;

use capbridge::envelope::{Lane, StoredAlert};
use capbridge::store::{
    Again, AttemptEnd, Claim, DeliveryId, Finish, Held, NewDelivery, Page, State, Store, StoreError,
};

use crate::samples::{
    ALL, alert, arrival, at, chain, delivery, endpoint, event, finish, give_back, hold, id, key, receipt,
    render, rendering, update, urgent,
};

type Shared = Arc<dyn Store>;

/// Accepts alerts and routes each to endpoints.
async fn queue(s: &Shared, alerts: Vec<StoredAlert>, to: &[&str]) {
    for new in alerts {
        let (planned, name) = (new.envelope.clone(), new.envelope.reference.identifier.clone());
        s.accept(arrival(new)).await.unwrap();
        let deliveries = to.iter().map(|to| delivery(&name, to)).collect();
        s.route(&planned, at(5), deliveries, Vec::new()).await.unwrap();
    }
}

async fn claim(s: &Shared, lane: Lane, now: i64, limit: u32) -> Vec<Claim> {
    s.claim(lane, at(now), at(now + 60), limit).await.unwrap()
}

async fn claimed(s: &Shared, now: i64) -> Vec<DeliveryId> {
    claim(s, Lane::Routine, now, 100).await.into_iter().map(|c| c.delivery.id).collect()
}

async fn state(s: &Shared, id: &DeliveryId) -> State {
    s.delivery(id).await.unwrap().unwrap().state
}

fn delivered() -> AttemptEnd {
    AttemptEnd::Delivered(receipt("/entry/1"))
}

fn dead() -> AttemptEnd {
    AttemptEnd::Dead { error: "refused with 400".into() }
}

fn waiting(secs: i64) -> AttemptEnd {
    AttemptEnd::Waiting { due_at: at(secs), error: "answered with 503".into(), maybe_delivered: false }
}

pub async fn routing_twice_changes_nothing(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    s.route(&alert("a").envelope, at(5), vec![delivery("a", "x")], Vec::new()).await.unwrap();
    s.route(&alert("a").envelope, at(6), vec![delivery("a", "x"), delivery("a", "y")], Vec::new())
        .await
        .unwrap();
    assert_eq!(s.deliveries(None, ALL).await.unwrap().len(), 1);
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.unrouted, depth.routine, depth.oldest_queued_at), (0, 1, Some(at(5))));
}

pub async fn a_claim_counts_the_attempt_and_is_not_handed_out_again(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    assert!(claimed(&s, 9).await.is_empty());
    let claims = claim(&s, Lane::Routine, 10, 5).await;
    let stored = s.delivery(&id("a", "x")).await.unwrap().unwrap();
    assert_eq!(claims, [Claim { delivery: stored.clone(), rendering: None, has_issued: false }]);
    assert_eq!((stored.state, stored.attempts, stored.attempted_at), (State::Attempting, 1, Some(at(10))));
    assert_eq!((stored.alert, stored.chain, stored.lane), (key("a"), chain("a"), Lane::Routine));
    assert!(claimed(&s, 69).await.is_empty());
}

pub async fn a_lease_that_ran_out_is_claimed_again_and_may_have_arrived(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    claimed(&s, 10).await;
    let claims = claim(&s, Lane::Routine, 70, 5).await;
    assert_eq!(claims.len(), 1);
    assert_eq!((claims[0].delivery.attempts, claims[0].delivery.maybe_delivered), (2, true));
}

pub async fn a_worker_whose_lease_ran_out_changes_nothing_once_another_has_the_delivery(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    let late = claim(&s, Lane::Routine, 10, 5).await[0].delivery.held();
    let now = claim(&s, Lane::Routine, 70, 5).await[0].delivery.held();
    assert_ne!(late, now);
    let before = s.delivery(&late.id).await.unwrap();
    let end = |held: &Held, end| Finish {
        held: held.clone(),
        ended_at: at(71),
        end,
        was_tried: true,
        events: vec![event("ended", Some("a"), 71)],
    };
    for refused in [
        s.finish(end(&late, dead())).await,
        s.finish(end(&late, waiting(500))).await,
        s.render(&late, rendering("late")).await,
        s.give_back(&late, at(400)).await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(&error, StoreError::TakenOver { id } if *id == late.id.0), "{error:?}");
    }
    s.extend(std::slice::from_ref(&late), at(9_000)).await.unwrap();
    assert_eq!(s.delivery(&late.id).await.unwrap(), before);
    assert!(s.journey(&key("a")).await.unwrap().unwrap().events.is_empty());
    assert_eq!(s.ours("bridge@example.org", "late").await.unwrap(), None);
    s.finish(end(&now, delivered())).await.unwrap();
    assert_eq!(state(&s, &late.id).await, State::Delivered);
    // Also after the end, and after an operator's replay.
    assert!(s.finish(end(&late, dead())).await.is_err());
    s.finish(end(&now, dead())).await.unwrap();
    assert_eq!(state(&s, &late.id).await, State::Delivered);
    assert_eq!(s.journey(&key("a")).await.unwrap().unwrap().events.len(), 1);
    assert!(claimed(&s, 1_000).await.is_empty());
}

pub async fn a_worker_whose_lease_ran_out_still_ends_what_nobody_took_over(s: Shared) {
    queue(&s, vec![alert("a"), alert("b")], &["x"]).await;
    let both = claim(&s, Lane::Routine, 10, 5).await;
    // Both leases are over; only one delivery is handed out again.
    let again = claim(&s, Lane::Routine, 70, 1).await;
    let other = both.iter().find(|c| c.delivery.id != again[0].delivery.id).unwrap();
    let finish = Finish {
        held: other.delivery.held(),
        ended_at: at(71),
        end: delivered(),
        was_tried: true,
        events: Vec::new(),
    };
    s.finish(finish).await.unwrap();
    assert_eq!(state(&s, &other.delivery.id).await, State::Delivered);
}

pub async fn what_was_not_tried_counts_no_attempt(s: Shared) {
    queue(&s, vec![alert("a"), alert("b")], &["x"]).await;
    claimed(&s, 10).await;
    finish(&s, &id("b", "x"), at(11), waiting(20), Vec::new()).await.unwrap();
    claimed(&s, 20).await;
    for (name, attempts, attempted_at) in [("a", 0, None), ("b", 1, Some(at(20)))] {
        let held = hold(&s, &id(name, "x")).await;
        let end = AttemptEnd::Expired { error: "over".into() };
        s.finish(Finish { held, ended_at: at(21), end, was_tried: false, events: Vec::new() }).await.unwrap();
        let d = s.delivery(&id(name, "x")).await.unwrap().unwrap();
        assert_eq!((d.state, d.attempts, d.attempted_at), (State::Expired, attempts, attempted_at), "{name}");
    }
}

pub async fn a_lease_that_is_prolonged_lasts_and_an_ended_delivery_stays_ended(s: Shared) {
    queue(&s, vec![alert("a")], &["x", "y"]).await;
    assert_eq!(claimed(&s, 10).await.len(), 2);
    finish(&s, &id("a", "y"), at(20), delivered(), Vec::new()).await.unwrap();
    let all =
        [hold(&s, &id("a", "x")).await, hold(&s, &id("a", "y")).await, hold(&s, &id("nobody", "z")).await];
    s.extend(&all, at(200)).await.unwrap();
    assert!(claimed(&s, 199).await.is_empty());
    assert_eq!(state(&s, &id("a", "y")).await, State::Delivered);
    let again = claim(&s, Lane::Routine, 200, 5).await;
    assert_eq!(again.len(), 1, "the worker was not heard of again");
    assert!(again[0].delivery.maybe_delivered);
}

pub async fn lanes_are_apart(s: Shared) {
    queue(&s, vec![alert("a"), urgent(alert("u"))], &["x"]).await;
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.urgent, depth.routine), (1, 1));
    let claims = claim(&s, Lane::Urgent, 10, 5).await;
    assert_eq!(claims.iter().map(|c| &c.delivery.id).collect::<Vec<_>>(), [&id("u", "x")]);
    assert_eq!(claimed(&s, 10).await, [id("a", "x")]);
    assert_eq!(s.next_due(Lane::Urgent).await.unwrap(), Some(at(70)));
}

pub async fn the_oldest_due_goes_first_and_the_limit_holds(s: Shared) {
    for (name, due) in [("late", 30), ("early", 10), ("middle", 20)] {
        s.accept(arrival(alert(name))).await.unwrap();
        let new = NewDelivery { due_at: at(due), ..delivery(name, "x") };
        s.route(&alert(name).envelope, at(5), vec![new], Vec::new()).await.unwrap();
    }
    assert_eq!(s.next_due(Lane::Routine).await.unwrap(), Some(at(10)));
    let first: Vec<_> = claim(&s, Lane::Routine, 25, 1).await;
    assert_eq!(first[0].delivery.id, id("early", "x"));
    assert_eq!(s.next_due(Lane::Routine).await.unwrap(), Some(at(20)));
    assert_eq!(claimed(&s, 25).await, [id("middle", "x")]);
    assert_eq!(claimed(&s, 30).await, [id("late", "x")]);
    assert_eq!(s.next_due(Lane::Urgent).await.unwrap(), None);
}

pub async fn one_of_a_chain_is_under_way_per_endpoint_and_a_cancel_never_overtakes(s: Shared) {
    queue(&s, vec![alert("a"), update("update", &["a"]), update("cancel", &["update"])], &["x", "y"]).await;
    assert_eq!(claimed(&s, 10).await, [id("a", "x"), id("a", "y")]);
    finish(&s, &id("a", "y"), at(11), delivered(), Vec::new()).await.unwrap();
    finish(&s, &id("a", "x"), at(11), waiting(500), Vec::new()).await.unwrap();
    // y goes on, x waits with all that is behind it.
    assert_eq!(claimed(&s, 12).await, [id("update", "y")]);
    finish(&s, &id("update", "y"), at(13), dead(), Vec::new()).await.unwrap();
    assert_eq!(claimed(&s, 14).await, [id("cancel", "y")]);
    assert!(claimed(&s, 499).await == [id("cancel", "y")]);
    assert_eq!(claimed(&s, 500).await, [id("a", "x")]);
    finish(&s, &id("a", "x"), at(501), AttemptEnd::Expired { error: "over".into() }, Vec::new())
        .await
        .unwrap();
    assert_eq!(claimed(&s, 502).await, [id("update", "x")]);
    finish(&s, &id("update", "x"), at(503), delivered(), Vec::new()).await.unwrap();
    assert_eq!(claimed(&s, 504).await, [id("cancel", "x")]);
}

pub async fn what_waits_ahead_is_tried_as_soon_as_what_comes_to_wait_behind_it(s: Shared) {
    queue(&s, vec![alert("a")], &["x", "y"]).await;
    assert_eq!(claimed(&s, 10).await, [id("a", "x"), id("a", "y")]);
    finish(&s, &id("a", "x"), at(11), waiting(5_000), Vec::new()).await.unwrap();
    // One that is as urgent as the first: the first is tried at once, and goes first.
    s.accept(arrival(update("b", &["a"]))).await.unwrap();
    let due = |name: &str, endpoint: &str, due| NewDelivery { due_at: at(due), ..delivery(name, endpoint) };
    s.route(&update("b", &["a"]).envelope, at(20), vec![due("b", "x", 20)], Vec::new()).await.unwrap();
    assert_eq!(s.next_due(Lane::Routine).await.unwrap(), Some(at(20)));
    assert_eq!(claimed(&s, 20).await, [id("a", "x")]);
    finish(&s, &id("a", "x"), at(21), waiting(5_000), Vec::new()).await.unwrap();
    // One that is more urgent: what it waits for is so too, also what is under way.
    let mut c = update("c", &["b"]);
    c.envelope.lane = Lane::Urgent;
    s.accept(arrival(c.clone())).await.unwrap();
    s.route(&c.envelope, at(30), vec![due("c", "x", 30), due("c", "y", 30)], Vec::new()).await.unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(s.delivery(&id(name, "x")).await.unwrap().unwrap().lane, Lane::Urgent, "{name}");
    }
    assert_eq!(s.next_due(Lane::Urgent).await.unwrap(), Some(at(30)));
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.urgent, depth.routine), (5, 0));
    let urgent = s.claim(Lane::Urgent, at(30), at(90), 9).await.unwrap();
    assert_eq!(urgent.iter().map(|c| c.delivery.id.clone()).collect::<Vec<_>>(), [id("a", "x")]);
    finish(&s, &id("a", "x"), at(31), delivered(), Vec::new()).await.unwrap();
    finish(&s, &id("a", "y"), at(31), delivered(), Vec::new()).await.unwrap();
    let urgent = s.claim(Lane::Urgent, at(31), at(90), 9).await.unwrap();
    assert_eq!(
        urgent.iter().map(|c| c.delivery.id.clone()).collect::<Vec<_>>(),
        [id("b", "x"), id("c", "y")]
    );
}

pub async fn a_final_state_makes_the_next_due_at_once(s: Shared) {
    s.accept(arrival(alert("a"))).await.unwrap();
    s.accept(arrival(update("b", &["a"]))).await.unwrap();
    s.route(&alert("a").envelope, at(5), vec![delivery("a", "x")], Vec::new()).await.unwrap();
    s.route(
        &alert("b").envelope,
        at(5),
        vec![NewDelivery { due_at: at(900), ..delivery("b", "x") }],
        Vec::new(),
    )
    .await
    .unwrap();
    claimed(&s, 10).await;
    finish(&s, &id("a", "x"), at(20), delivered(), Vec::new()).await.unwrap();
    assert_eq!(s.next_due(Lane::Routine).await.unwrap(), Some(at(20)));
    assert_eq!(claimed(&s, 20).await, [id("b", "x")]);
}

pub async fn each_end_is_stored_with_its_facts(s: Shared) {
    queue(&s, vec![alert("a"), alert("b"), alert("c"), alert("d")], &["x"]).await;
    claimed(&s, 10).await;
    let lost = AttemptEnd::Waiting { due_at: at(40), error: "no answer".into(), maybe_delivered: true };
    let ends = [
        ("a", delivered(), State::Delivered, Some(at(11)), None),
        ("b", lost, State::Waiting, None, Some("no answer")),
        ("c", dead(), State::Dead, Some(at(11)), Some("refused with 400")),
        ("d", AttemptEnd::Expired { error: "over".into() }, State::Expired, Some(at(11)), Some("over")),
    ];
    for (name, end, state, ended_at, error) in ends {
        finish(&s, &id(name, "x"), at(11), end, Vec::new()).await.unwrap();
        let d = s.delivery(&id(name, "x")).await.unwrap().unwrap();
        assert_eq!((d.state, d.ended_at, d.error.as_deref()), (state, ended_at, error), "{name}");
        assert_eq!(d.maybe_delivered, name == "b");
        assert_eq!(d.receipt, (name == "a").then(|| receipt("/entry/1")));
        assert_eq!(s.deliveries(Some(state), ALL).await.unwrap(), [d]);
    }
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.routine, depth.dead, depth.oldest_queued_at), (1, 1, Some(at(5))));
    assert_eq!(s.next_due(Lane::Routine).await.unwrap(), Some(at(40)));
    // A doubt about an earlier attempt stays when the next one fails cleanly.
    assert_eq!(claimed(&s, 40).await, [id("b", "x")]);
    finish(&s, &id("b", "x"), at(41), waiting(90), Vec::new()).await.unwrap();
    assert!(s.delivery(&id("b", "x")).await.unwrap().unwrap().maybe_delivered);
    finish(&s, &id("b", "x"), at(42), delivered(), Vec::new()).await.unwrap();
    assert_eq!(s.depth().await.unwrap().oldest_queued_at, None);
}

pub async fn an_end_of_what_is_not_there_is_an_error(s: Shared) {
    let nobody = id("nobody", "x");
    let errors = [
        finish(&s, &nobody, at(1), dead(), Vec::new()).await.unwrap_err(),
        give_back(&s, &nobody, at(1)).await.unwrap_err(),
        s.replay(&nobody, Again::GivenUp, at(1), at(2), Vec::new()).await.unwrap_err(),
        render(&s, &nobody, rendering("a")).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    }
    assert_eq!(s.delivery(&nobody).await.unwrap(), None);
}

pub async fn what_was_rendered_comes_with_the_next_claim_and_is_ours(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    claimed(&s, 10).await;
    render(&s, &id("a", "x"), rendering("a")).await.unwrap();
    finish(&s, &id("a", "x"), at(11), waiting(20), Vec::new()).await.unwrap();
    let claims = claim(&s, Lane::Routine, 20, 5).await;
    assert_eq!(claims[0].rendering, Some(rendering("a")));
    // Stamped again: the earlier reference stays ours.
    let mut again = rendering("a second");
    again.earlier = vec![rendering("a").reference];
    render(&s, &id("a", "x"), again.clone()).await.unwrap();
    finish(&s, &id("a", "x"), at(21), waiting(30), Vec::new()).await.unwrap();
    assert_eq!(claim(&s, Lane::Routine, 30, 5).await[0].rendering, Some(again));
    for name in ["a", "a second"] {
        assert_eq!(s.ours("bridge@example.org", name).await.unwrap(), Some(key("a")), "{name}");
    }
    assert_eq!(s.ours("desk@agency.example", "a").await.unwrap(), None);
    assert_eq!(s.ours("bridge@example.org", "b").await.unwrap(), None);
}

pub async fn an_original_that_goes_out_as_received_is_not_ours(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    let mut untouched = rendering("a");
    untouched.translated = false;
    render(&s, &id("a", "x"), untouched).await.unwrap();
    assert_eq!(s.ours("bridge@example.org", "a").await.unwrap(), None);
}

pub async fn giving_back_undoes_the_claim(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    claimed(&s, 10).await;
    give_back(&s, &id("a", "x"), at(1)).await.unwrap();
    give_back(&s, &id("a", "x"), at(1)).await.unwrap();
    let d = s.delivery(&id("a", "x")).await.unwrap().unwrap();
    assert_eq!((d.state, d.attempts, d.maybe_delivered), (State::Queued, 0, false));
    assert_eq!(claimed(&s, 10).await, [id("a", "x")]);
    finish(&s, &id("a", "x"), at(11), waiting(20), Vec::new()).await.unwrap();
    claimed(&s, 20).await;
    give_back(&s, &id("a", "x"), at(1)).await.unwrap();
    let d = s.delivery(&id("a", "x")).await.unwrap().unwrap();
    assert_eq!((d.state, d.attempts), (State::Waiting, 1));
    assert_eq!(claimed(&s, 20).await, [id("a", "x")]);
}

pub async fn a_dead_or_expired_delivery_can_be_replayed(s: Shared) {
    queue(&s, vec![alert("a"), alert("b")], &["x"]).await;
    claimed(&s, 10).await;
    finish(&s, &id("a", "x"), at(11), dead(), Vec::new()).await.unwrap();
    finish(&s, &id("b", "x"), at(11), AttemptEnd::Expired { error: "over".into() }, Vec::new())
        .await
        .unwrap();
    assert_eq!(s.depth().await.unwrap().dead, 1);
    for name in ["a", "b"] {
        s.replay(&id(name, "x"), Again::GivenUp, at(100), at(9_000), Vec::new()).await.unwrap();
        let d = s.delivery(&id(name, "x")).await.unwrap().unwrap();
        assert_eq!((d.state, d.due_at, d.give_up_at, d.ended_at), (State::Queued, at(100), at(9_000), None));
    }
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.dead, depth.routine, depth.oldest_queued_at), (0, 2, Some(at(5))));
    assert_eq!(claimed(&s, 100).await, [id("a", "x"), id("b", "x")]);
    for name in ["a", "b"] {
        finish(&s, &id(name, "x"), at(101), delivered(), Vec::new()).await.unwrap();
        let error =
            s.replay(&id(name, "x"), Again::GivenUp, at(102), at(9_000), Vec::new()).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    }
}

pub async fn a_delivered_delivery_can_be_issued_again(s: Shared) {
    queue(&s, vec![alert("a"), update("b", &["a"])], &["x"]).await;
    claimed(&s, 10).await;
    render(&s, &id("a", "x"), rendering("a")).await.unwrap();
    let error = s.replay(&id("a", "x"), Again::Delivered, at(11), at(9_000), Vec::new()).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "what is under way is not issued again: {error:?}");
    finish(&s, &id("a", "x"), at(11), delivered(), Vec::new()).await.unwrap();
    s.replay(&id("a", "x"), Again::Delivered, at(100), at(9_000), Vec::new()).await.unwrap();
    let d = s.delivery(&id("a", "x")).await.unwrap().unwrap();
    assert_eq!((d.state, d.due_at, d.give_up_at, d.ended_at), (State::Queued, at(100), at(9_000), None));
    assert!(d.receipt.is_some(), "that it was taken stays known");
    let depth = s.depth().await.unwrap();
    assert_eq!((depth.dead, depth.routine), (0, 2));
    // What the endpoint took stays among what was issued, whatever becomes of the other attempt.
    let issued = async || {
        let issued = s.issued(&endpoint("x"), &chain("a")).await.unwrap();
        issued.iter().map(|i| (i.original.key.clone(), i.reference.clone())).collect::<Vec<_>>()
    };
    let former = vec![(key("a"), rendering("a").reference)];
    assert_eq!(issued().await, former);
    assert_eq!(claimed(&s, 101).await, [id("b", "x")]);
    finish(&s, &id("b", "x"), at(102), dead(), Vec::new()).await.unwrap();
    assert_eq!(claimed(&s, 103).await, [id("a", "x")]);
    finish(&s, &id("a", "x"), at(104), dead(), Vec::new()).await.unwrap();
    assert_eq!(issued().await, former);
    s.replay(&id("a", "x"), Again::GivenUp, at(105), at(9_000), Vec::new()).await.unwrap();
    assert_eq!(issued().await, former);
    claimed(&s, 106).await;
    finish(&s, &id("a", "x"), at(107), delivered(), Vec::new()).await.unwrap();
    assert_eq!(issued().await, former);
    assert_eq!(s.depth().await.unwrap().routine, 0);
    let missing =
        s.replay(&id("nothing", "x"), Again::Delivered, at(108), at(9_000), Vec::new()).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing:?}");
}

pub async fn a_replayed_delivery_waits_behind_what_is_under_way(s: Shared) {
    queue(&s, vec![alert("a"), update("b", &["a"])], &["x"]).await;
    claimed(&s, 10).await;
    finish(&s, &id("a", "x"), at(11), dead(), Vec::new()).await.unwrap();
    assert_eq!(claimed(&s, 12).await, [id("b", "x")]);
    s.replay(&id("a", "x"), Again::GivenUp, at(13), at(9_000), Vec::new()).await.unwrap();
    assert!(claimed(&s, 14).await.is_empty());
    finish(&s, &id("b", "x"), at(15), delivered(), Vec::new()).await.unwrap();
    assert_eq!(claimed(&s, 16).await, [id("a", "x")]);
}

pub async fn what_was_issued_is_listed_per_endpoint_in_order(s: Shared) {
    queue(&s, vec![alert("a"), update("b", &["a"]), update("c", &["a"]), update("d", &["a"])], &["x", "y"])
        .await;
    for (name, end, has_issued) in [("a", delivered(), false), ("b", dead(), true), ("c", delivered(), true)]
    {
        let claims = claim(&s, Lane::Routine, 10, 100).await;
        let found = claims.iter().find(|c| c.delivery.id == id(name, "x")).unwrap();
        assert_eq!(found.has_issued, has_issued, "{name}");
        render(&s, &id(name, "x"), rendering(name)).await.unwrap();
        finish(&s, &id(name, "x"), at(11), end, Vec::new()).await.unwrap();
    }
    let issued = s.issued(&endpoint("x"), &chain("a")).await.unwrap();
    let facts: Vec<_> = issued.iter().map(|i| (&i.original.key, &i.reference)).collect();
    assert_eq!(facts, [(&key("a"), &rendering("a").reference), (&key("c"), &rendering("c").reference)]);
    assert_eq!(issued[0].original, alert("a").envelope);
    assert_eq!(issued[0].location.as_deref(), Some("/entry/1"));
    assert!(s.issued(&endpoint("y"), &chain("a")).await.unwrap().is_empty());
    assert!(s.issued(&endpoint("x"), &chain("b")).await.unwrap().is_empty());
}

pub async fn what_may_have_arrived_counts_as_issued_once_it_ended(s: Shared) {
    queue(&s, vec![alert("a")], &["x"]).await;
    claimed(&s, 10).await;
    render(&s, &id("a", "x"), rendering("a")).await.unwrap();
    let lost = AttemptEnd::Waiting { due_at: at(20), error: "no answer".into(), maybe_delivered: true };
    finish(&s, &id("a", "x"), at(11), lost, Vec::new()).await.unwrap();
    assert!(s.issued(&endpoint("x"), &chain("a")).await.unwrap().is_empty());
    claimed(&s, 20).await;
    finish(&s, &id("a", "x"), at(21), AttemptEnd::Expired { error: "late".into() }, Vec::new())
        .await
        .unwrap();
    let issued = s.issued(&endpoint("x"), &chain("a")).await.unwrap();
    assert_eq!((issued.len(), issued[0].location.as_deref()), (1, None));
    s.replay(&id("a", "x"), Again::GivenUp, at(22), at(9_000), Vec::new()).await.unwrap();
    assert!(s.issued(&endpoint("x"), &chain("a")).await.unwrap().is_empty());
}

pub async fn followers_are_all_endpoints_of_a_chain_with_the_newest_rule(s: Shared) {
    queue(&s, vec![alert("a")], &["x", "y"]).await;
    queue(&s, vec![update("b", &["a"])], &["y", "z"]).await;
    let expected = [("x", "rule of a"), ("y", "rule of b"), ("z", "rule of b")]
        .map(|(e, rule)| (endpoint(e), rule.to_owned()));
    assert_eq!(s.followers(&chain("a")).await.unwrap(), expected);
    assert!(s.followers(&chain("b")).await.unwrap().is_empty());
}

pub async fn lists_of_deliveries_are_newest_first_in_pages(s: Shared) {
    queue(&s, vec![alert("a"), alert("b"), alert("c")], &["x"]).await;
    claim(&s, Lane::Routine, 10, 1).await;
    let ids = |page: Vec<capbridge::store::Delivery>| page.into_iter().map(|d| d.id).collect::<Vec<_>>();
    let page = s.deliveries(None, Page { limit: 2, skip: 1 }).await.unwrap();
    assert_eq!(ids(page), [id("b", "x"), id("a", "x")]);
    let page = s.deliveries(Some(State::Queued), Page { limit: 1, skip: 1 }).await.unwrap();
    assert_eq!(ids(page), [id("b", "x")]);
    let page = s.deliveries(Some(State::Attempting), ALL).await.unwrap();
    assert_eq!(ids(page), [id("a", "x")]);
}

pub async fn a_journey_holds_deliveries_with_their_reports(s: Shared) {
    queue(&s, vec![alert("a")], &["x", "y"]).await;
    render(&s, &id("a", "x"), rendering("a")).await.unwrap();
    let journey = s.journey(&key("a")).await.unwrap().unwrap();
    assert_eq!(journey.envelope, alert("a").envelope);
    let facts: Vec<_> =
        journey.deliveries.into_iter().map(|d| (d.delivery.id, d.reference, d.report)).collect();
    let rendered = rendering("a");
    assert_eq!(
        facts,
        [
            (id("a", "x"), Some(rendered.reference), rendered.report),
            (id("a", "y"), None, serde_json::Value::Null)
        ]
    );
}

//! Random operations on both engines and on a simple model: all three must agree at each step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use capbridge::envelope::{Lane, StoredAlert};
use capbridge::store::redis::{RedisSettings, RedisStore};
use capbridge::store::{Again, AttemptEnd, DeliveryId, Finish, Held, Page, State, Store, Stored};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::samples::{
    self, ALL, alert, arrival, at, chain, delivery, endpoint, event, give_back, id, key, receipt, render,
    rendering, through, update, urgent,
};
use crate::{Embedded, Redis};

const ALERTS: u8 = 6;
const ENDPOINTS: [&str; 2] = ["x", "y"];
const CASES: u32 = 64;

#[derive(Clone, Copy, Debug)]
enum End {
    Delivered,
    Waiting,
    Dead,
    Expired,
}

/// One call. Numbers name alerts (modulo how many there are) and claims under way.
#[derive(Clone, Debug)]
enum Op {
    Accept {
        alert: u8,
        refers_to: Option<u8>,
        urgent: bool,
        held: bool,
    },
    /// The same alert through another source.
    Again {
        alert: u8,
    },
    Unrouted,
    Route {
        alert: u8,
        endpoints: u8,
    },
    Claim {
        urgent: bool,
        limit: u32,
    },
    Render(u8),
    Finish(u8, End),
    GiveBack(u8),
    Replay(u8),
    Record(u8),
    Wait(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let end = prop_oneof![Just(End::Delivered), Just(End::Waiting), Just(End::Dead), Just(End::Expired)];
    prop_oneof![
        4 => (0..ALERTS, proptest::option::weighted(0.8, 0..ALERTS), proptest::bool::weighted(0.2), any::<bool>())
            .prop_map(|(alert, refers_to, urgent, held)| Op::Accept { alert, refers_to, urgent, held }),
        1 => (0..ALERTS).prop_map(|alert| Op::Again { alert }),
        1 => Just(Op::Unrouted),
        4 => (0..ALERTS, prop_oneof![0..3_u8, Just(3)]).prop_map(|(alert, endpoints)| Op::Route { alert, endpoints }),
        4 => (any::<bool>(), 1..5_u32).prop_map(|(urgent, limit)| Op::Claim { urgent, limit }),
        1 => any::<u8>().prop_map(Op::Render),
        4 => (any::<u8>(), end).prop_map(|(n, end)| Op::Finish(n, end)),
        1 => any::<u8>().prop_map(Op::GiveBack),
        1 => any::<u8>().prop_map(Op::Replay),
        1 => (0..ALERTS).prop_map(Op::Record),
        1 => (1..90_u8).prop_map(Op::Wait),
    ]
}

fn name(alert: u8) -> String {
    format!("a{alert}")
}

/// What the promises of the trait come to, in the simplest form.
#[derive(Default)]
struct Model {
    /// Chain of each name, of accepted alerts and of those that they follow.
    chains: BTreeMap<u8, u8>,
    accepted: BTreeSet<u8>,
    /// Those to be routed.
    waiting: BTreeSet<u8>,
    /// Those that came through another source too.
    linked: BTreeSet<u8>,
    /// Unfinished deliveries of each (endpoint, chain), in order.
    lines: BTreeMap<(String, String), Vec<DeliveryId>>,
    /// Lines whose order an operator changed, or that were two.
    replayed: BTreeSet<(String, String)>,
    known: Vec<DeliveryId>,
}

impl Model {
    fn accept(&mut self, alert: u8, refers_to: Option<u8>, held: bool) -> Stored {
        let of = |n: &u8| self.chains.get(n).copied();
        let found: Vec<u8> = refers_to.iter().chain([&alert]).filter_map(of).collect();
        let joined = found.first().copied().unwrap_or(alert);
        for other in found.into_iter().filter(|other| *other != joined) {
            self.merge(other, joined);
        }
        let known = refers_to.is_none_or(|r| self.accepted.contains(&r));
        for named in refers_to.into_iter().chain([alert]) {
            self.chains.entry(named).or_insert(joined);
        }
        self.accepted.insert(alert);
        self.waiting.insert(alert);
        let joined = chain(&name(joined));
        if held && !known { Stored::Held(joined) } else { Stored::New(joined) }
    }

    fn merge(&mut self, from: u8, into: u8) {
        self.chains.values_mut().filter(|c| **c == from).for_each(|c| *c = into);
        for to in ENDPOINTS {
            let (old, new) = ((to.to_owned(), name(from)), (to.to_owned(), name(into)));
            let moved = self.lines.remove(&old).unwrap_or_default();
            let line = self.lines.entry(new.clone()).or_default();
            if self.replayed.remove(&old) || (!moved.is_empty() && !line.is_empty()) {
                self.replayed.insert(new);
            }
            line.extend(moved);
        }
    }

    fn line_of(&self, delivery: &DeliveryId) -> Option<(String, String)> {
        self.lines.iter().find(|(_, ids)| ids.contains(delivery)).map(|(line, _)| line.clone())
    }

    fn unfinished(&self) -> u64 {
        self.lines.values().map(|ids| ids.len() as u64).sum()
    }
}

/// The engines side by side.
struct Both {
    embedded: Arc<dyn Store>,
    redis: Arc<dyn Store>,
}

impl Both {
    /// The same call on both; the same answer from both.
    async fn call<T, F, Fut>(&self, call: F) -> T
    where
        T: Debug,
        F: Fn(Arc<dyn Store>) -> Fut,
        Fut: Future<Output = T>,
    {
        let (one, other) = (call(Arc::clone(&self.embedded)).await, call(Arc::clone(&self.redis)).await);
        assert_eq!(format!("{one:#?}"), format!("{other:#?}"), "the engines differ: embedded, Redis");
        one
    }
}

fn sample(alert_number: u8, refers_to: Option<u8>, is_urgent: bool) -> StoredAlert {
    let text = name(alert_number);
    let made = match refers_to {
        Some(earlier) if earlier != alert_number => update(&text, &[&name(earlier)]),
        Some(_) | None => alert(&text),
    };
    if is_urgent { urgent(made) } else { made }
}

async fn run(both: &Both, ops: &[Op]) {
    let (mut model, mut now) = (Model::default(), 100_i64);
    for op in ops {
        now += 1;
        step(both, &mut model, &mut now, op).await;
        let depth = both.call(|s| async move { s.depth().await.ok() }).await.unwrap();
        assert_eq!(depth.urgent + depth.routine, model.unfinished());
        assert_eq!(depth.unrouted, model.waiting.len() as u64);
        both.call(|s| async move { s.next_due(Lane::Urgent).await.ok() }).await;
        both.call(|s| async move { s.next_due(Lane::Routine).await.ok() }).await;
    }
    compare_all(both, &model).await;
    let swept = both.call(|s| async move { s.sweep(at(100_000), 1_000).await.ok() }).await;
    assert!(swept.is_some());
    both.call(|s| async move { s.alerts(ALL).await.ok() }).await;
    both.call(|s| async move { s.deliveries(None, ALL).await.ok() }).await;
    both.call(|s| async move { s.depth().await.ok() }).await;
}

async fn step(both: &Both, model: &mut Model, now: &mut i64, op: &Op) {
    let (time, lease) = (at(*now), at(*now + 60));
    match op {
        Op::Accept { alert, refers_to, urgent, held } => {
            let mut new = sample(*alert, *refers_to, *urgent);
            let held = *held && refers_to.is_some_and(|r| r != *alert);
            if held {
                new.envelope.hold_until = Some(at(*now + 40));
            }
            // A second document of the same name would be a conflict if it referred to something else.
            if model.accepted.contains(alert) {
                let first = both.call(|s| async move { s.alert(&key(&name(*alert))).await.ok() }).await;
                let again = first.unwrap().unwrap();
                let found = both
                    .call(|s| {
                        let again = again.clone();
                        async move { s.accept(arrival(again)).await.ok() }
                    })
                    .await;
                assert_eq!(found, Some(Stored::Repeat));
                return;
            }
            let refers_to = refers_to.filter(|r| r != alert);
            let found = both
                .call(|s| {
                    let new = new.clone();
                    async move { s.accept(arrival(new)).await.ok() }
                })
                .await;
            assert_eq!(found, Some(model.accept(*alert, refers_to, held)));
        }
        Op::Again { alert } => again(both, model, *alert).await,
        Op::Unrouted => {
            // The order inside each chain is promised; which chain comes first may differ.
            both.call(|s| async move {
                let mut found = s.unrouted(time, lease, 100).await.ok()?;
                found.sort_by(|a, b| a.envelope.chain.cmp(&b.envelope.chain));
                Some(found)
            })
            .await;
        }
        Op::Route { alert, endpoints } => route(both, model, *alert, *endpoints, *now).await,
        Op::Claim { urgent, limit } => claim(both, model, *urgent, *limit, *now).await,
        Op::Render(n) => {
            let Some(of) = pick(model, *n) else { return };
            both.call(|s| {
                let of = of.clone();
                async move { render(&s, &of, rendering(&of.0)).await.ok() }
            })
            .await;
        }
        Op::Finish(n, end) => finish(both, model, *n, *end, *now).await,
        Op::GiveBack(n) => {
            let Some(of) = pick(model, *n) else { return };
            let due_at = at(*now);
            both.call(|s| {
                let of = of.clone();
                async move { give_back(&s, &of, due_at).await.ok() }
            })
            .await;
        }
        Op::Replay(n) => replay(both, model, *n, *now).await,
        Op::Record(alert) => {
            let entry = event("noted", Some(&name(*alert)), *now);
            both.call(|s| {
                let entry = entry.clone();
                async move { s.record(vec![entry]).await.ok() }
            })
            .await;
        }
        Op::Wait(secs) => *now += i64::from(*secs),
    }
}

async fn again(both: &Both, model: &mut Model, alert: u8) {
    if !model.accepted.contains(&alert) {
        return;
    }
    let first = both.call(|s| async move { s.alert(&key(&name(alert))).await.ok() }).await;
    let again = through("mirror", first.unwrap().unwrap());
    let found = both
        .call(|s| {
            let again = again.clone();
            async move { s.accept(arrival(again)).await.ok() }
        })
        .await;
    if model.linked.insert(alert) {
        assert_eq!(found, Some(Stored::Linked(key(&name(alert)))));
        model.waiting.insert(alert);
    } else {
        assert_eq!(found, Some(Stored::Repeat));
    }
}

fn pick(model: &Model, n: u8) -> Option<DeliveryId> {
    model.known.get(usize::from(n) % model.known.len().max(1)).cloned()
}

async fn route(both: &Both, model: &mut Model, alert: u8, endpoints: u8, now: i64) {
    let wanted: Vec<_> = ENDPOINTS
        .iter()
        .enumerate()
        .filter(|(bit, _)| endpoints & (1 << bit) != 0)
        .map(|(_, e)| capbridge::store::NewDelivery { due_at: at(now), ..delivery(&name(alert), e) })
        .collect();
    let done = both
        .call(|s| {
            let wanted = wanted.clone();
            async move {
                let kept = s.alert(&key(&name(alert))).await.ok()?;
                let planned = kept.unwrap_or_else(|| samples::alert(&name(alert)));
                s.route(&planned.envelope, at(now), wanted, Vec::new()).await.ok()
            }
        })
        .await;
    if !model.accepted.contains(&alert) {
        assert!(done.is_none(), "what was not accepted cannot be routed");
        return;
    }
    let joined = model.chains[&alert];
    if model.waiting.remove(&alert) {
        for new in wanted.into_iter().filter(|new| !model.known.contains(&new.id)).collect::<Vec<_>>() {
            let line = (new.endpoint.0.clone(), name(joined));
            model.lines.entry(line).or_default().push(new.id.clone());
            model.known.push(new.id);
        }
    }
}

async fn claim(both: &Both, model: &Model, is_urgent: bool, limit: u32, now: i64) {
    let lane = if is_urgent { Lane::Urgent } else { Lane::Routine };
    let claims =
        both.call(|s| async move { s.claim(lane, at(now), at(now + 60), limit).await.ok() }).await.unwrap();
    assert!(claims.len() <= limit as usize);
    let mut lines = BTreeSet::new();
    for claim in claims {
        let line = model.line_of(&claim.delivery.id).unwrap();
        let first = model.lines.get(&line).and_then(|ids| ids.first()).unwrap();
        if !model.replayed.contains(&line) {
            assert_eq!(&claim.delivery.id, first, "nothing overtakes");
        }
        assert!(lines.insert(line), "one of a line at a time");
    }
}

async fn finish(both: &Both, model: &mut Model, n: u8, end: End, now: i64) {
    let Some(of) = pick(model, n) else { return };
    // Only the head is ever attempted, so only the head ends.
    let line = model.line_of(&of);
    let is_head = line.as_ref().is_some_and(|l| model.lines[l].first() == Some(&of));
    if !is_head || line.as_ref().is_some_and(|l| model.replayed.contains(l)) {
        return;
    }
    let ended = || match end {
        End::Delivered => AttemptEnd::Delivered(receipt("/1")),
        End::Waiting => {
            AttemptEnd::Waiting { due_at: at(now + 30), error: "busy".into(), maybe_delivered: now % 2 == 0 }
        }
        End::Dead => AttemptEnd::Dead { error: "gone".into() },
        End::Expired => AttemptEnd::Expired { error: "late".into() },
    };
    // Nobody but the last that claimed it.
    both.call(|s| {
        let (of, end) = (of.clone(), ended());
        async move {
            let Held { id, epoch } = samples::hold(&s, &of).await;
            let held = Held { id, epoch: epoch + 1 };
            let finish = Finish { held, ended_at: at(now), end, was_tried: true, events: Vec::new() };
            s.finish(finish).await.err()
        }
    })
    .await
    .unwrap();
    both.call(|s| {
        let (of, end) = (of.clone(), ended());
        async move { samples::finish(&s, &of, at(now), end, Vec::new()).await.ok() }
    })
    .await
    .unwrap();
    if let (Some(line), End::Delivered | End::Dead | End::Expired) = (line, end) {
        model.lines.get_mut(&line).unwrap().retain(|other| *other != of);
    }
}

async fn replay(both: &Both, model: &mut Model, n: u8, now: i64) {
    let Some(of) = pick(model, n) else { return };
    let found = both
        .call(|s| {
            let of = of.clone();
            async move { s.delivery(&of).await.ok() }
        })
        .await;
    let before = found.unwrap().unwrap();
    let again = if before.state == State::Delivered { Again::Delivered } else { Again::GivenUp };
    let done = both
        .call(|s| {
            let of = of.clone();
            async move { s.replay(&of, again, at(now), at(now + 900), Vec::new()).await.ok() }
        })
        .await;
    if done.is_some() {
        let line = (before.endpoint.0.clone(), model.name_of_chain(&before.chain.0));
        model.replayed.insert(line.clone());
        model.lines.entry(line).or_default().push(of);
    }
}

impl Model {
    fn name_of_chain(&self, wanted: &str) -> String {
        self.chains.values().map(|c| name(*c)).find(|n| chain(n).0 == wanted).unwrap()
    }
}

async fn compare_all(both: &Both, model: &Model) {
    both.call(|s| async move { s.alerts(ALL).await.ok() }).await.unwrap();
    both.call(|s| async move { s.deliveries(None, ALL).await.ok() }).await.unwrap();
    both.call(|s| async move { s.deliveries(None, Page { limit: 2, skip: 1 }).await.ok() }).await.unwrap();
    both.call(|s| async move { s.verify_record().await.ok() }).await.unwrap().unwrap();
    for (alert, joined) in model.chains.iter().filter(|(a, _)| model.accepted.contains(a)) {
        let (alert, joined) = (name(*alert), chain(&name(*joined)));
        both.call(|s| {
            let of = joined.clone();
            async move { s.later(&of, at(0)).await.ok() }
        })
        .await
        .unwrap();
        both.call(|s| {
            let of = key(&alert);
            async move { s.journey(&of).await.ok() }
        })
        .await
        .unwrap();
        both.call(|s| {
            let of = joined.clone();
            async move { s.followers(&of).await.ok() }
        })
        .await
        .unwrap();
        for to in ENDPOINTS {
            both.call(|s| {
                let of = joined.clone();
                async move { s.issued(&endpoint(to), &of).await.ok() }
            })
            .await;
            let own = rendering(&id(&alert, to).0).reference;
            both.call(|s| {
                let own = own.clone();
                async move { s.ours(&own.sender, &own.identifier).await.ok() }
            })
            .await;
        }
    }
}

#[test]
fn both_engines_and_a_model_agree_on_random_operations() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(Redis::start());
    let case = std::cell::Cell::new(0_u32);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(op(), 20..120), |ops| {
        case.set(case.get() + 1);
        runtime.block_on(async {
            let folder = Embedded::start().await;
            let settings = RedisSettings { name: format!("case-{}", case.get()), ..server.settings() };
            let redis: Arc<dyn Store> = Arc::new(RedisStore::connect(settings).await.unwrap());
            run(&Both { embedded: folder.open().await, redis }, &ops).await;
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

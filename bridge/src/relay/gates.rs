//! Who may make an attempt now: a slot of the endpoint, its breaker, and the pool of the suspects.
//!
//! Owns the rule that failing endpoints do not slow healthy ones (docs/delivery.md, D-17, D-18, D-19): what may be failing
//! shares a quarter of the attempts, and what is known to fail holds none. Must not know stores or messages.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use capbridge_adapters::endpoint::{DeliveryError, Receipt, Refusal};
use capbridge_adapters::passage::EndpointName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::breaker::{Answer, Breaker};

/// How long a delivery waits whose endpoint has no free slot.
const BUSY: Duration = Duration::from_millis(200);
/// How long one waits for the pool of the suspects, and as much again at random: thousands may be waiting, and each return
/// costs the store two steps.
const CROWDED: Duration = Duration::from_secs(1);
/// How long one waits whose endpoint is paused, and as much again at random; so soon is it tried after the resumption.
const PAUSED: Duration = Duration::from_secs(2);

/// The gates of all endpoints.
#[derive(Debug)]
pub struct Gates {
    endpoints: RwLock<BTreeMap<EndpointName, Arc<Gate>>>,
    suspects: Arc<Semaphore>,
}

#[derive(Debug)]
struct Gate {
    permits: u32,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    gone: bool,
    paused: bool,
    /// How often somebody resumed it.
    resumed: u64,
}

/// How an endpoint stands, as it is kept in the store (docs/registration.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Somebody paused it.
    pub paused: bool,
    /// It asked never to be called again.
    pub gone: bool,
    /// How often somebody resumed it: a 410 of before counts no more.
    pub resumed: u64,
}

/// What the gate says.
#[derive(Debug)]
pub enum Entry {
    /// Go on; the pass is given back when it is dropped.
    Pass(Pass),
    /// Come back after this time.
    Later(Duration, Why),
    /// The endpoint asked never to be called again.
    Gone,
}

/// Why an attempt waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// All slots of the endpoint are taken.
    Busy,
    /// Its breaker is open.
    Open,
    /// The pool of the suspects is full.
    Suspects,
    /// Somebody paused it.
    Paused,
}

impl Why {
    /// The label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Busy => "busy",
            Why::Open => "open",
            Why::Suspects => "suspects",
            Why::Paused => "paused",
        }
    }
}

/// The right to make one attempt.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    told: AtomicBool,
    _slot: OwnedSemaphorePermit,
    _suspect: Option<OwnedSemaphorePermit>,
}

impl Pass {
    /// Notes how the attempt ended.
    pub fn ended(&self, now: Instant, answer: &Result<Receipt, DeliveryError>) -> Change {
        self.told.store(true, Ordering::Relaxed);
        self.gate.ended(now, answer)
    }
}

impl Drop for Pass {
    /// An attempt that never reached the endpoint says nothing of it.
    fn drop(&mut self) {
        if !self.told.load(Ordering::Relaxed) {
            self.gate.lock().breaker.unused(Instant::now());
        }
    }
}

/// What the end of an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that anybody must know.
    None,
    /// The breaker opened.
    Opened,
    /// The breaker closed.
    Closed,
    /// The endpoint asked never to be called again.
    Gone,
}

impl Gates {
    /// Gates for these endpoints, each with its number of slots; a quarter of `in_flight` is for suspects.
    pub fn new(endpoints: impl IntoIterator<Item = (EndpointName, u32)>, in_flight: u32) -> Self {
        let gates = Gates { endpoints: RwLock::default(), suspects: permits(in_flight / 4) };
        gates.keep(endpoints.into_iter().map(|(name, slots)| (name, slots, Standing::default())));
        gates
    }

    /// Keeps gates for these endpoints and no others. What is known of those that stay is kept.
    pub fn keep(&self, endpoints: impl IntoIterator<Item = (EndpointName, u32, Standing)>) {
        let mut known = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        let mut kept = BTreeMap::new();
        for (name, slots, standing) in endpoints {
            let before = known.remove(&name).filter(|gate| gate.permits == slots);
            let gate = before.unwrap_or_else(|| {
                Arc::new(Gate { permits: slots, slots: permits(slots), state: Mutex::default() })
            });
            gate.stand(standing);
            kept.insert(name, gate);
        }
        *known = kept;
    }

    /// Asks to make an attempt at an endpoint. `dice` is uniform over `u64`.
    pub fn enter(&self, endpoint: &EndpointName, now: Instant, dice: u64) -> Option<Entry> {
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        let gate = Arc::clone(endpoints.get(endpoint)?);
        drop(endpoints);
        let mut state = gate.lock();
        if state.gone {
            return Some(Entry::Gone);
        }
        let jitter = |base: Duration| {
            base + base.mul_f64(f64::from(u32::try_from(dice >> 32).unwrap_or(0)) / 4_294_967_296.0)
        };
        if state.paused {
            return Some(Entry::Later(jitter(PAUSED), Why::Paused));
        }
        let Ok(slot) = Arc::clone(&gate.slots).try_acquire_owned() else {
            return Some(Entry::Later(BUSY, Why::Busy));
        };
        if let Answer::Wait(until) = state.breaker.ask(now) {
            return Some(Entry::Later(until.duration_since(now) + jitter(BUSY), Why::Open));
        }
        let suspect = if state.breaker.is_suspect() {
            match Arc::clone(&self.suspects).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    state.breaker.unused(now);
                    return Some(Entry::Later(jitter(CROWDED), Why::Suspects));
                }
            }
        } else {
            None
        };
        drop(state);
        let told = AtomicBool::new(false);
        Some(Entry::Pass(Pass { gate: Arc::clone(&gate), told, _slot: slot, _suspect: suspect }))
    }
}

impl Gate {
    fn stand(&self, standing: Standing) {
        let mut state = self.lock();
        if standing.resumed > state.resumed {
            *state = State { resumed: standing.resumed, ..State::default() };
        }
        state.paused = standing.paused;
        // A 410 of a moment ago may not be in the store yet.
        state.gone |= standing.gone && standing.resumed == state.resumed;
    }

    fn ended(&self, now: Instant, answer: &Result<Receipt, DeliveryError>) -> Change {
        let mut state = self.lock();
        match verdict(answer) {
            Verdict::Lives if state.breaker.answered(now) => Change::Closed,
            Verdict::Fails if state.breaker.failed(now) => Change::Opened,
            Verdict::Lives | Verdict::Fails => Change::None,
            Verdict::Untold => {
                state.breaker.unused(now);
                Change::None
            }
            Verdict::Gone => {
                state.gone = true;
                Change::Gone
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is inside is whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn permits(n: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(n).unwrap_or(1).max(1)))
}

enum Verdict {
    Lives,
    Fails,
    Gone,
    Untold,
}

/// What an answer says of the endpoint, whatever it says of the message.
fn verdict(answer: &Result<Receipt, DeliveryError>) -> Verdict {
    let of = |cause: &Refusal, otherwise| match cause {
        // Ours, not the endpoint's.
        Refusal::Busy { .. } | Refusal::Unfit { .. } => Verdict::Untold,
        Refusal::Transport { .. }
        | Refusal::Status { .. }
        | Refusal::Protocol { .. }
        | Refusal::ExpiredReference { .. }
        | Refusal::UnknownReference { .. }
        | Refusal::UnreadableReply { .. }
        | Refusal::Unfinished { .. }
        | Refusal::Overdue { .. } => otherwise,
    };
    match answer {
        Ok(_) => Verdict::Lives,
        Err(DeliveryError::Permanent { disable: true, .. }) => Verdict::Gone,
        Err(DeliveryError::Permanent { disable: false, cause }) => of(cause, Verdict::Lives),
        Err(DeliveryError::Temporary { cause, .. }) => of(cause, Verdict::Fails),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::breaker::OPEN;

    fn name(text: &str) -> EndpointName {
        EndpointName(text.to_owned())
    }

    fn status(status_code: u16, permanent: bool, disable: bool) -> Result<Receipt, DeliveryError> {
        let cause = Refusal::Status { status_code, said: String::new() };
        Err(match permanent {
            true => DeliveryError::Permanent { disable, cause },
            false => DeliveryError::Temporary { retry_after: None, outcome_unknown: false, cause },
        })
    }

    fn pass(gates: &Gates, endpoint: &str, now: Instant) -> Pass {
        match gates.enter(&name(endpoint), now, 0) {
            Some(Entry::Pass(pass)) => pass,
            other => panic!("{endpoint}: {other:?}"),
        }
    }

    fn why(gates: &Gates, endpoint: &str, now: Instant) -> Option<Why> {
        match gates.enter(&name(endpoint), now, 0) {
            Some(Entry::Later(_, why)) => Some(why),
            Some(Entry::Pass(_) | Entry::Gone) | None => None,
        }
    }

    // D-18: suspects hold a quarter of the attempts and no more; a healthy endpoint never waits for them.
    #[tokio::test(start_paused = true)]
    async fn d_18_suspects_share_a_quarter_and_healthy_endpoints_do_not_wait() {
        let names = (0..10).map(|n| (name(&format!("bad{n}")), 4)).chain([(name("good"), 4)]);
        let gates = Gates::new(names, 16);
        let now = Instant::now();
        for n in 0..10 {
            pass(&gates, &format!("bad{n}"), now).ended(now, &status(503, false, false));
        }
        let mut held: Vec<Pass> = (0..4).map(|n| pass(&gates, &format!("bad{n}"), now)).collect();
        assert_eq!(why(&gates, "bad4", now), Some(Why::Suspects));
        held.extend((0..4).map(|_| pass(&gates, "good", now)));
        assert_eq!(why(&gates, "good", now), Some(Why::Busy), "its own slots are its bound");
        held.remove(0);
        held.push(pass(&gates, "bad4", now));
    }

    // D-17: what is known to fail holds no slot; a probe that finds the pool full is not lost.
    #[tokio::test(start_paused = true)]
    async fn d_17_an_open_breaker_holds_nothing_and_one_probe_goes() {
        let gates = Gates::new([(name("e"), 4), (name("other"), 4)], 4);
        let begun = Instant::now();
        let changes: Vec<Change> =
            (0..5).map(|_| pass(&gates, "e", begun).ended(begun, &status(500, false, false))).collect();
        assert_eq!(changes.last(), Some(&Change::Opened));
        match gates.enter(&name("e"), begun, 0) {
            Some(Entry::Later(wait, Why::Open)) => {
                assert!(wait >= OPEN && wait < OPEN + Duration::from_secs(1))
            }
            other => panic!("{other:?}"),
        }
        let later = begun + OPEN;
        pass(&gates, "other", later).ended(later, &status(500, false, false));
        let crowd = pass(&gates, "other", later);
        assert_eq!(why(&gates, "e", later), Some(Why::Suspects));
        drop(crowd);
        let probe = pass(&gates, "e", later);
        assert_eq!(why(&gates, "e", later), Some(Why::Open), "one probe");
        assert_eq!(probe.ended(later, &Ok(Receipt::default())), Change::Closed);
        drop(probe);
        pass(&gates, "e", later);
    }

    // D-19: 410 ends the endpoint; a refusal of one message does not count against it.
    #[tokio::test(start_paused = true)]
    async fn d_19_gone_is_for_ever_and_a_refused_message_says_nothing_bad() {
        let gates = Gates::new([(name("e"), 4)], 16);
        let now = Instant::now();
        for _ in 0..20 {
            assert_eq!(pass(&gates, "e", now).ended(now, &status(400, true, false)), Change::None);
        }
        assert_eq!(pass(&gates, "e", now).ended(now, &status(410, true, true)), Change::Gone);
        assert!(matches!(gates.enter(&name("e"), now + OPEN * 100, 0), Some(Entry::Gone)));
    }
}

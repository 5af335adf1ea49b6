//! Whether the outside can be reached and the clock can be trusted: what readiness is made of.
//!
//! Owns the last contact with each source and the watch on the clock. "No alerts" and "source down" are different
//! states here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use capbridge_adapters::passage::Origin;
use capbridge_adapters::source::{Clock, Contact, SourceError};
use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};

use crate::clock::{SystemClock, instant};
use crate::telemetry::{Metrics, chain};

/// A step of the clock larger than this is a fault.
const STEP: Duration = Duration::from_secs(30);
/// The clock may differ from what the sources say by this much, seconds: answers take time, and so do their clocks.
const AGREES_SECS: i64 = 60;
/// How long a step keeps the bridge from being ready.
const STEP_MEMORY: Duration = Duration::from_secs(300);

/// The state of one source.
#[derive(Clone, Debug, Serialize)]
pub struct ContactState {
    /// When it last answered, by the machine's clock.
    pub reached_at: Option<Timestamp>,
    /// Why it does not answer, if it does not.
    pub error: Option<String>,
    /// How far the machine's clock was ahead of what the source's last answer said, seconds; negative: behind.
    pub clock_ahead_secs: Option<i64>,
    /// Another instance of the bridge reads it: its silence here says nothing.
    pub elsewhere: bool,
    #[serde(skip)]
    reached: Option<Instant>,
    #[serde(skip)]
    warned: Option<Instant>,
}

/// How often a source that stays away is mentioned again.
const REMIND: Duration = Duration::from_secs(60);

/// What is known of all sources and of the clock.
pub struct Contacts {
    started: Instant,
    metrics: Arc<Metrics>,
    sources: Mutex<BTreeMap<Origin, ContactState>>,
    clock: Mutex<ClockWatch>,
}

struct ClockWatch {
    wall: Timestamp,
    monotonic: Instant,
    stepped: Option<(Instant, i64)>,
}

impl Contacts {
    /// Starts with no contact to any source.
    pub fn new(origins: impl Iterator<Item = Origin>, metrics: Arc<Metrics>) -> Arc<Self> {
        let state = ContactState {
            reached_at: None,
            error: None,
            clock_ahead_secs: None,
            elsewhere: false,
            reached: None,
            warned: None,
        };
        Arc::new(Contacts {
            started: instant(),
            metrics,
            sources: Mutex::new(origins.map(|o| (o, state.clone())).collect()),
            clock: Mutex::new(ClockWatch { wall: SystemClock.now(), monotonic: instant(), stepped: None }),
        })
    }

    /// The state of every source.
    pub fn states(&self) -> BTreeMap<Origin, ContactState> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the bridge is not ready as far as sources and clock go; empty if it is.
    pub fn faults(&self, limit: Duration) -> Vec<String> {
        let mut faults = Vec::new();
        for (origin, state) in self.states().into_iter().filter(|(_, s)| !s.elsewhere) {
            match (state.reached, state.error.as_deref()) {
                (None, why) => {
                    let why = why.unwrap_or("no answer yet");
                    faults.push(format!("source {origin}: never reached: {why}"));
                }
                (Some(at), why) if at.elapsed() > limit => {
                    let secs = at.elapsed().as_secs();
                    // It may answer while the store takes nothing.
                    let fault = why.map_or_else(
                        || format!("source {origin}: nothing could be taken from it for {secs} s"),
                        |why| format!("source {origin}: not reached for {secs} s: {why}"),
                    );
                    faults.push(fault);
                }
                (Some(_), _) => {}
            }
        }
        faults.extend(self.clock_fault(limit));
        let watch = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, secs)) = watch.stepped
            && at.elapsed() < STEP_MEMORY
        {
            faults.push(format!("clock: stepped by {secs} s; check time synchronisation"));
        }
        faults
    }

    /// Says that the clock is off where every source that was reached lately says so. One that agrees is enough: the
    /// clock of a single source can be off as well.
    fn clock_fault(&self, limit: Duration) -> Option<String> {
        let states = self.states();
        let told = states.iter().filter(|(_, s)| s.reached.is_some_and(|at| at.elapsed() <= limit));
        let nearest = told.filter_map(|(o, s)| Some((o, s.clock_ahead_secs?))).min_by_key(|(_, s)| s.abs());
        let (origin, ahead) = nearest.filter(|(_, ahead)| ahead.abs() > AGREES_SECS)?;
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let secs = ahead.abs();
        Some(format!("clock: {secs} s {way} what source {origin} says; check time synchronisation"))
    }

    /// Compares the wall clock with the monotonic one since the last call.
    pub fn watch_clock(&self) {
        self.compare(SystemClock.now(), instant());
    }

    fn compare(&self, wall: Timestamp, monotonic: Instant) {
        let mut watch = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = monotonic.duration_since(watch.monotonic).as_secs_f64();
        let shown = wall.duration_since(watch.wall).as_secs_f64();
        if (shown - passed).abs() > STEP.as_secs_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "seconds between two readings of a clock")]
            let secs = (shown - passed) as i64;
            warn!(secs, "the clock stepped");
            watch.stepped = Some((monotonic, secs));
        }
        (watch.wall, watch.monotonic) = (wall, monotonic);
    }

    /// Writes the ages of contact to the metrics.
    pub fn publish(&self) {
        for (origin, state) in self.states().into_iter().filter(|(_, s)| !s.elsewhere) {
            let age = state.reached.map_or_else(|| self.started.elapsed(), |at| at.elapsed());
            self.metrics.contact(&origin, age);
        }
    }

    /// Says whether another instance reads the source. One that this instance begins to read was not reached yet.
    pub fn read_elsewhere(&self, origin: &Origin, elsewhere: bool) {
        self.update(origin, |state| {
            if state.elsewhere != elsewhere {
                state.elsewhere = elsewhere;
                (state.reached, state.error) = (None, None);
                let reader = if elsewhere { "another instance" } else { "this instance" };
                info!(%origin, reader, "who reads the source has changed");
            }
        });
        if elsewhere {
            self.metrics.no_contact(origin);
        }
    }

    /// Whether the source does not answer.
    pub fn is_failing(&self, origin: &Origin) -> bool {
        self.states().get(origin).is_some_and(|state| state.error.is_some())
    }

    fn update(&self, origin: &Origin, change: impl FnOnce(&mut ContactState)) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = sources.get_mut(origin) {
            change(state);
        }
    }
}

impl Contact for Contacts {
    fn reached(&self, origin: &Origin) {
        self.update(origin, |state| {
            if state.error.take().is_some() || state.reached.is_none() {
                info!(%origin, "source reached");
            }
            state.reached = Some(instant());
            state.reached_at = Some(SystemClock.now());
        });
    }

    fn told_time(&self, origin: &Origin, at: Timestamp) {
        let ahead = SystemClock.now().duration_since(at).as_secs();
        self.update(origin, |state| {
            let agreed = |ahead: Option<i64>| ahead.is_none_or(|secs| secs.abs() <= AGREES_SECS);
            if agreed(state.clock_ahead_secs) && !agreed(Some(ahead)) {
                warn!(%origin, ahead_secs = ahead, "the clock differs from that of a source");
            }
            state.clock_ahead_secs = Some(ahead);
        });
    }

    fn failed(&self, origin: &Origin, error: &SourceError) {
        let error = chain(error);
        self.update(origin, |state| {
            // Once when it begins, then once a minute: a source that is down for days must not fill the log.
            if state.error.is_none() || state.warned.is_none_or(|at| at.elapsed() > REMIND) {
                warn!(%origin, error, "source not reached");
                state.warned = Some(instant());
            }
            state.error = Some(error);
        });
    }

    fn gap(&self, origin: &Origin, since: Timestamp) {
        tracing::error!(%origin, since = %since, "silent for longer than its window: alerts may have been lost");
        self.metrics.gap(origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const LIMIT: Duration = Duration::from_secs(600);

    fn contacts() -> Arc<Contacts> {
        Contacts::new(["a", "b"].map(|n| Origin(n.into())).into_iter(), Metrics::new())
    }

    #[test]
    fn the_clock_is_off_only_where_no_source_agrees_with_it() {
        for (a, b, off) in [
            (Some(0), Some(0), false),
            (Some(7_200), Some(0), false),
            (Some(7_200), None, true),
            (Some(-7_200), Some(300), true),
            (None, None, false),
        ] {
            let contacts = contacts();
            for (origin, ahead) in [("a", a), ("b", b)] {
                let origin = Origin(origin.into());
                contacts.reached(&origin);
                if let Some(secs) = ahead {
                    let told = SystemClock.now().checked_sub(SignedDuration::from_secs(secs)).unwrap();
                    contacts.told_time(&origin, told);
                }
            }
            let faults = contacts.faults(LIMIT);
            assert_eq!(faults.iter().any(|f| f.starts_with("clock: ")), off, "{a:?} {b:?}: {faults:?}");
        }
    }

    #[test]
    fn a_step_of_the_clock_is_noticed_and_drift_is_not() {
        for (wall_secs, stepped) in [(5, false), (-3_600, true), (40, true), (30, false)] {
            let contacts = contacts();
            let (wall, monotonic) = (SystemClock.now(), instant());
            contacts.compare(wall, monotonic);
            let later = wall.checked_add(SignedDuration::from_secs(wall_secs)).unwrap();
            contacts.compare(later, monotonic + Duration::from_secs(5));
            let faults = contacts.faults(LIMIT);
            assert_eq!(faults.iter().any(|f| f.contains("stepped")), stepped, "{wall_secs}: {faults:?}");
        }
    }
}

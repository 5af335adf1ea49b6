//! When an endpoint that fails is left alone, and when it is asked again (docs/delivery.md, D-17).
//!
//! Owns one endpoint's recent past. Pure: the time is handed in. Must not know what an attempt is made of.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open it.
const IN_A_ROW: u32 = 5;
/// The time that the share of failures is taken over.
const WINDOW: Duration = Duration::from_secs(60);
/// The window is counted in pieces of this length, so that what is kept does not grow with the rate.
const PIECE: Duration = Duration::from_secs(5);
/// The attempts in the window from which the share counts.
const ENOUGH: u32 = 10;
/// How long it stays open before a probe.
pub const OPEN: Duration = Duration::from_secs(30);
/// A probe that nobody heard of again does not keep it open for ever.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Go,
    /// Yes, and everybody else waits for how it ends.
    Probe,
    /// Not before then.
    Wait(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing { until: Instant },
}

/// What is remembered of one endpoint.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    in_a_row: u32,
    /// Begin of the piece, attempts, failures.
    recent: VecDeque<(Instant, u32, u32)>,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { state: State::Closed, in_a_row: 0, recent: VecDeque::new() }
    }
}

impl Breaker {
    /// Asks to make an attempt.
    pub fn ask(&mut self, now: Instant) -> Answer {
        match self.state {
            State::Closed => Answer::Go,
            State::Open { until } | State::Probing { until } if now < until => Answer::Wait(until),
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { until: now + PROBE_LIMIT };
                Answer::Probe
            }
        }
    }

    /// Takes a permission back that was not used.
    pub fn unused(&mut self, now: Instant) {
        if matches!(self.state, State::Probing { .. }) {
            self.state = State::Open { until: now };
        }
    }

    /// The endpoint answered: it lives, whatever it said of the message. Whether that closed it.
    pub fn answered(&mut self, now: Instant) -> bool {
        self.in_a_row = 0;
        let was_shut = self.state != State::Closed;
        if was_shut {
            self.recent.clear();
            self.state = State::Closed;
        }
        self.note(now, false);
        was_shut
    }

    /// No answer, or one that says "not now". Whether that opened it.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.note(now, true);
        let (attempts, failures) = self
            .recent
            .iter()
            .fold((0u32, 0u32), |(a, f), (_, attempts, failures)| (a + attempts, f + failures));
        let often = attempts >= ENOUGH && failures * 2 > attempts;
        match self.state {
            State::Closed if self.in_a_row >= IN_A_ROW || often => {}
            State::Probing { .. } => {}
            // An attempt that began before it opened changes nothing.
            State::Closed | State::Open { .. } => return false,
        }
        self.state = State::Open { until: now + OPEN };
        true
    }

    /// Whether it shares the pool of those that may be failing.
    pub fn is_suspect(&self) -> bool {
        self.in_a_row > 0 || self.state != State::Closed
    }

    /// Whether attempts are held back.
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    fn note(&mut self, now: Instant, failure: bool) {
        while self.recent.front().is_some_and(|(begin, _, _)| now.duration_since(*begin) >= WINDOW) {
            self.recent.pop_front();
        }
        let more = u32::from(failure);
        match self.recent.back_mut() {
            Some((begin, attempts, failures)) if now.duration_since(*begin) < PIECE => {
                *attempts = attempts.saturating_add(1);
                *failures = failures.saturating_add(more);
            }
            Some(_) | None => self.recent.push_back((now, 1, more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    // D-17: five in a row, then half a minute, then one probe at a time.
    #[tokio::test(start_paused = true)]
    async fn d_17_five_failures_in_a_row_open_it_and_one_probe_decides() {
        let mut breaker = Breaker::default();
        let begun = Instant::now();
        for n in 0..4 {
            assert!(!breaker.failed(begun + secs(n)), "failure {n}");
        }
        assert_eq!(breaker.ask(begun), Answer::Go);
        assert!(breaker.failed(begun), "the fifth");
        assert_eq!(breaker.ask(begun + secs(29)), Answer::Wait(begun + secs(30)));
        let probed = begun + secs(30);
        assert_eq!(breaker.ask(probed), Answer::Probe);
        assert_eq!(breaker.ask(probed), Answer::Wait(probed + PROBE_LIMIT), "one at a time");
        assert!(breaker.failed(probed + secs(10)), "the probe failed");
        assert_eq!(breaker.ask(probed + secs(39)), Answer::Wait(probed + secs(40)));
        assert_eq!(breaker.ask(probed + secs(40)), Answer::Probe);
        assert!(breaker.answered(probed + secs(41)));
        assert_eq!(breaker.ask(probed + secs(41)), Answer::Go);
        assert!(!breaker.is_suspect());
    }

    // D-17: more than half of at least ten in a minute.
    #[tokio::test(start_paused = true)]
    async fn d_17_more_than_half_of_ten_in_a_minute_open_it() {
        let begun = Instant::now();
        // (what happens in order: true is a failure; seconds between, whether it opens)
        let cases: [(&[bool], u64, bool); 4] = [
            (&[true, false, true, false, true, false, true, false, true, true], 1, true),
            (&[true, false, true, false, true, false, true, false, true, false], 1, false),
            (&[true, true, false, true, true, false, true, true, false], 1, false),
            (&[true, true, false, true, true, false, true, true, false, true, true], 10, false),
        ];
        for (events, apart, expected) in cases {
            let mut breaker = Breaker::default();
            let mut opened = false;
            for (n, failure) in (0..).zip(events) {
                let now = begun + secs(n * apart);
                if *failure {
                    opened |= breaker.failed(now);
                } else {
                    breaker.answered(now);
                }
            }
            assert_eq!(opened, expected, "{events:?} every {apart} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_makes_a_suspect_and_one_answer_clears_it() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        assert!(!breaker.is_suspect());
        breaker.failed(now);
        assert!(breaker.is_suspect() && !breaker.is_open());
        assert!(!breaker.answered(now), "it was not shut");
        assert!(!breaker.is_suspect());
    }

    #[tokio::test(start_paused = true)]
    async fn late_failures_do_not_prolong_it_and_a_lost_probe_is_made_again() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        (0..5).for_each(|_| _ = breaker.failed(now));
        assert!(!breaker.failed(now + secs(20)), "it began before");
        assert_eq!(breaker.ask(now + secs(30)), Answer::Probe);
        breaker.unused(now + secs(30));
        assert_eq!(breaker.ask(now + secs(31)), Answer::Probe, "it was not used");
        assert_eq!(breaker.ask(now + secs(31) + PROBE_LIMIT), Answer::Probe, "nobody heard of it again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_does_not_grow_with_the_rate() {
        let mut breaker = Breaker::default();
        let begun = Instant::now();
        for n in 0..100_000 {
            breaker.answered(begun + Duration::from_millis(n * 10));
        }
        assert!(breaker.recent.len() <= 13, "{}", breaker.recent.len());
    }
}

//! The simulators' time. The only file of this package that reads the machine's clock.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that is handed to each simulator; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<Hands>>);

#[derive(Debug, Clone, Copy)]
enum Hands {
    System { shift: SignedDuration },
    Fixed { at: Timestamp },
    Running { from: Timestamp, since: tokio::time::Instant, speed: f64 },
}

impl Clock {
    /// The machine's time.
    #[must_use]
    pub fn system() -> Self {
        Self::with(Hands::System { shift: SignedDuration::ZERO })
    }

    /// Stands still at `at` until it is moved.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::with(Hands::Fixed { at })
    }

    /// Starts at `from` now and runs `speed` times as fast as life, for replays.
    #[must_use]
    pub fn running(from: Timestamp, speed: f64) -> Self {
        Self::with(Hands::Running { from, since: tokio::time::Instant::now(), speed })
    }

    fn with(hands: Hands) -> Self {
        Self(Arc::new(Mutex::new(hands)))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let hands = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match hands {
            Hands::System { shift } => later(machine_time(), shift),
            Hands::Fixed { at } => at,
            Hands::Running { from, since, speed } => {
                let elapsed = since.elapsed().as_secs_f64() * speed;
                later(from, SignedDuration::try_from_secs_f64(elapsed).unwrap_or(SignedDuration::ZERO))
            }
        }
    }

    /// Moves the clock by `secs` seconds, back if negative.
    pub fn advance(&self, secs: i64) {
        let by = SignedDuration::from_secs(secs);
        let mut hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *hands = match *hands {
            Hands::System { shift } => Hands::System { shift: shift.saturating_add(by) },
            Hands::Fixed { at } => Hands::Fixed { at: later(at, by) },
            Hands::Running { from, since, speed } => Hands::Running { from: later(from, by), since, speed },
        };
    }

    /// Stops the clock at `at`.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Hands::Fixed { at };
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

#[expect(clippy::disallowed_methods, reason = "this is the package's clock.rs")]
fn machine_time() -> Timestamp {
    Timestamp::now()
}

/// `YYYY-MM-DDThh:mm:ssZ`, the form of Atom and of the feed addresses.
#[must_use]
pub fn zulu(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `YYYY-MM-DDThh:mm:ss-00:00`, the form that CAP 1.2 demands for UTC.
#[must_use]
pub fn cap_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S-00:00").to_string()
}

/// Reads any RFC 3339 time.
#[must_use]
pub fn instant(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed(instant("2026-03-01T17:00:00Z").unwrap());
        let seen_by = clock.clone();
        clock.advance(90);
        assert_eq!(zulu(seen_by.now()), "2026-03-01T17:01:30Z");
        assert_eq!(cap_time(seen_by.now()), "2026-03-01T17:01:30-00:00");
    }

    #[test]
    fn the_unknown_offset_of_cap_reads_as_utc() {
        assert_eq!(instant("2026-03-01T17:00:00-00:00"), instant("2026-03-01T12:00:00-05:00"));
        assert!(instant("2026-03-01").is_none());
    }
}

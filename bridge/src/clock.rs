//! The time. The only place that reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        read()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
fn read() -> Timestamp {
    Timestamp::now()
}

/// A monotonic instant, for durations only.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// A clock that follows the messages of a replay: never earlier than the newest `sent` seen, and running on from
/// there. For replays only (`[clock] dangerous_follow_messages`).
#[derive(Debug)]
pub struct FollowingClock {
    /// Milliseconds to add to the machine's clock.
    offset_ms: AtomicI64,
}

impl FollowingClock {
    /// Starts at the epoch, so that the first message sets it.
    pub fn new() -> Arc<Self> {
        Arc::new(FollowingClock { offset_ms: AtomicI64::new(-read().as_millisecond()) })
    }

    /// Moves the clock forward to `sent`, if it is behind.
    pub fn observe(&self, sent: Timestamp) {
        let wanted = sent.as_millisecond() - read().as_millisecond();
        self.offset_ms.fetch_max(wanted, Ordering::SeqCst);
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset_ms.load(Ordering::SeqCst));
        read().checked_add(offset).unwrap_or_else(|_| read())
    }
}

/// The clock that a configuration asked for.
#[derive(Clone)]
pub enum BridgeClock {
    /// The machine's.
    System(SystemClock),
    /// Following a replay.
    Following(Arc<FollowingClock>),
}

impl BridgeClock {
    /// Tells a following clock what was seen; nothing for the machine's.
    pub fn observe(&self, sent: Timestamp) {
        match self {
            BridgeClock::System(_) => {}
            BridgeClock::Following(clock) => clock.observe(sent),
        }
    }
}

impl Clock for BridgeClock {
    fn now(&self) -> Timestamp {
        match self {
            BridgeClock::System(clock) => clock.now(),
            BridgeClock::Following(clock) => clock.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_following_clock_moves_forward_with_messages_and_never_back() {
        let clock = FollowingClock::new();
        let newer: Timestamp = "2026-07-29T10:00:00Z".parse().unwrap();
        let older: Timestamp = "2013-01-01T00:00:00Z".parse().unwrap();
        clock.observe(newer);
        clock.observe(older);
        let ahead = clock.now().as_millisecond() - newer.as_millisecond();
        assert!((0..60_000).contains(&ahead), "{ahead} ms after the newest message");
    }
}

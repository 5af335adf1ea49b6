//! How often the holder of a token may call (ASVS 5 section 2.4.1): a script that runs wild, or somebody who found a token,
//! leaves room for the others.
//!
//! Owns a bucket for each caller. Somebody at the machine itself is not counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls in a second, in the long run.
const EACH_SECOND: f64 = 20.0;
/// Calls at once.
const AT_ONCE: f64 = 100.0;

/// What callers have left.
#[derive(Debug, Default)]
pub struct Rates(Mutex<BTreeMap<String, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn now(self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed * EACH_SECOND).min(AT_ONCE)
    }
}

impl Rates {
    /// Takes a call, or says how long to wait.
    ///
    /// # Errors
    /// The caller has none left.
    pub(super) fn take(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full bucket is as good as none.
        buckets.retain(|_, bucket| bucket.now(now) < AT_ONCE);
        let left = buckets.get(caller).map_or(AT_ONCE, |bucket| bucket.now(now));
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / EACH_SECOND));
        }
        buckets.insert(caller.to_owned(), Bucket { left: left - 1.0, at: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_a_hundred_calls_at_once_and_twenty_a_second_and_takes_none_from_others() {
        let (rates, begun) = (Rates::default(), crate::clock::instant());
        let taken = |caller: &str, at: Instant| (0..200).filter(|_| rates.take(caller, at).is_ok()).count();
        assert_eq!(taken("one", begun), 100);
        assert_eq!(taken("other", begun), 100);
        assert!(rates.take("one", begun).unwrap_err() <= Duration::from_millis(50));
        assert_eq!(taken("one", begun + Duration::from_secs(2)), 40);
        assert_eq!(taken("one", begun + Duration::from_secs(60)), 100);
    }
}

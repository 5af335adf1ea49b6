//! How long a loop waits after the store failed it.
//!
//! Owns one schedule: 1 s, 2 s, 4 s, ... at most 30 s. A store that is gone must not be asked, nor the log written,
//! hundreds of times a second; whoever waits is also woken when something was stored.

use std::time::Duration;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// The waits of one loop.
#[derive(Debug, Default)]
pub struct Patience {
    failures: u32,
}

impl Patience {
    /// The store answered.
    pub fn answered(&mut self) {
        self.failures = 0;
    }

    /// The store failed: how long to wait before it is asked again.
    pub fn failed(&mut self) -> Duration {
        let wait = Duration::from_secs(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_one_second_to_thirty_and_begin_anew_after_an_answer() {
        let mut patience = Patience::default();
        let waits: Vec<u64> = (0..8).map(|_| patience.failed().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        patience.answered();
        assert_eq!(patience.failed().as_secs(), 1);
    }
}

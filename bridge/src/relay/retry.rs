//! When a failed delivery is tried again (docs/delivery.md, D-3, D-4).
//!
//! Owns the two schedules and the reading of `Retry-After`. Must not know endpoints or stores.

use std::time::Duration;

use crate::envelope::Lane;

/// Waits after attempt 1, 2, ...; the last one repeats. Urgent: reliability page 2.
const URGENT_SECS: [u64; 11] = [1, 2, 7, 20, 30, 60, 180, 300, 600, 600, 1_800];
/// Waits after attempt 1, 2, ...: the table of Standard Webhooks 1.0.0.
const ROUTINE_SECS: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Jitter in both directions, percent.
const JITTER_PERCENT: u64 = 20;

/// The wait after attempt number `attempt` (from 1). What the endpoint asked for is honoured between one and two times
/// the scheduled wait, so that it can slow us but not silence us. `dice` is uniform over `u64`.
pub fn wait(lane: Lane, attempt: u32, retry_after: Option<Duration>, dice: u64) -> Duration {
    let schedule: &[u64] = match lane {
        Lane::Urgent => &URGENT_SECS,
        Lane::Routine => &ROUTINE_SECS,
    };
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(schedule.len() - 1);
    let base_ms = schedule.get(index).copied().unwrap_or(1_800) * 1_000;
    let spread = base_ms * JITTER_PERCENT / 100;
    let jittered = base_ms - spread + dice % (2 * spread + 1);
    let jittered = Duration::from_millis(jittered);
    match retry_after {
        Some(asked) => asked.clamp(jittered, jittered * 2),
        None => jittered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_inside_the_jitter_and_the_last_repeats() {
        for (lane, attempt, base) in
            [(Lane::Urgent, 1, 1), (Lane::Urgent, 4, 20), (Lane::Urgent, 99, 1_800), (Lane::Routine, 2, 300)]
        {
            for dice in [0, 1, u64::MAX / 2, u64::MAX] {
                let secs = wait(lane, attempt, None, dice).as_secs_f64();
                let base = f64::from(base);
                assert!((base * 0.8..=base * 1.2).contains(&secs), "{lane:?} {attempt}: {secs}");
            }
        }
    }

    #[test]
    fn honours_retry_after_between_one_and_two_times_the_schedule() {
        let plain = wait(Lane::Routine, 1, None, 7);
        assert_eq!(wait(Lane::Routine, 1, Some(Duration::from_secs(0)), 7), plain);
        assert_eq!(wait(Lane::Routine, 1, Some(Duration::from_secs(1_000_000_000)), 7), plain * 2);
        let asked = plain + Duration::from_millis(10);
        assert_eq!(wait(Lane::Routine, 1, Some(asked), 7), asked);
    }
}

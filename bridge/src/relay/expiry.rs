//! When a delivery is given up (docs/delivery.md, D-6).

use jiff::{SignedDuration, Timestamp};

use crate::settings::RelayTable;

/// The moment after which a delivery is no longer tried: `expires`, but not before the floor and not after the cap.
pub fn give_up_at(queued_at: Timestamp, expires_at: Option<Timestamp>, settings: &RelayTable) -> Timestamp {
    let after = |secs: u64| {
        let secs = i64::try_from(secs).unwrap_or(i64::MAX / 1_000);
        queued_at.checked_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX)
    };
    let (floor, cap) = (after(settings.give_up_floor_secs), after(settings.give_up_cap_secs));
    expires_at.unwrap_or(cap).clamp(floor.min(cap), cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_kept_between_floor_and_cap() {
        let settings =
            RelayTable { give_up_floor_secs: 60, give_up_cap_secs: 3_600, ..RelayTable::default() };
        let at = |secs: i64| Timestamp::from_second(1_000_000 + secs).unwrap();
        for (expires, expected) in
            [(None, 3_600), (Some(1), 60), (Some(-5), 60), (Some(600), 600), (Some(99_999), 3_600)]
        {
            assert_eq!(give_up_at(at(0), expires.map(at), &settings), at(expected), "{expires:?}");
        }
    }
}

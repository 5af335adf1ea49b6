//! What this instance has under way, by lane.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::envelope::Lane;
use crate::store::{Delivery, Held};

/// The deliveries that are under way: their leases are prolonged.
#[derive(Debug, Default)]
pub struct UnderWay {
    urgent: Mutex<BTreeSet<Held>>,
    routine: Mutex<BTreeSet<Held>>,
}

impl UnderWay {
    fn of(&self, lane: Lane) -> MutexGuard<'_, BTreeSet<Held>> {
        let of = match lane {
            Lane::Urgent => &self.urgent,
            Lane::Routine => &self.routine,
        };
        of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery was claimed.
    pub fn begin(&self, delivery: &Delivery) {
        self.of(delivery.lane).insert(delivery.held());
    }

    /// It is no longer under way.
    pub fn end(&self, delivery: &Delivery) {
        self.of(delivery.lane).remove(&delivery.held());
    }

    /// All of a lane.
    pub fn all(&self, lane: Lane) -> Vec<Held> {
        self.of(lane).iter().cloned().collect()
    }
}

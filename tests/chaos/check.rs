//! What must be true after a fault, from two lists: what was published, and what arrived. Knows nothing of the bridge.

use std::collections::{BTreeMap, BTreeSet};

use capbridge_exercise::responder::{Delivery, Verdict};

use crate::stage::original;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Messages that had to arrive.
    pub due: usize,
    /// Deliveries with an id that was new.
    pub delivered: usize,
    /// Deliveries with an id that had arrived before: allowed after a lost answer or a crash.
    pub repeats: usize,
    /// What must not be, in words.
    pub violations: Vec<String>,
}

/// `due` are identifiers that must have arrived. Chains are named `C<chain>-<turn>`.
pub fn check(due: &BTreeSet<String>, deliveries: &[Delivery]) -> Outcome {
    let mut outcome = Outcome { due: due.len(), ..Outcome::default() };
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut ids: BTreeMap<String, &str> = BTreeMap::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in deliveries {
        if delivery.verdict != Verdict::Good {
            outcome.violations.push(format!("{} is not signed: {:?}", delivery.id, delivery.verdict));
            continue;
        }
        // I2: one id, one body.
        match bodies.get(delivery.id.as_str()) {
            Some(first) if *first != &delivery.body[..] => {
                outcome.violations.push(format!("{} came with two bodies", delivery.id));
            }
            Some(_) => {
                outcome.repeats += 1;
                continue;
            }
            None => {}
        }
        bodies.insert(&delivery.id, &delivery.body);
        outcome.delivered += 1;
        let identifier = original(delivery);
        // I2, I7: one id a message.
        if let Some(other) = ids.insert(identifier.clone(), &delivery.id)
            && other != delivery.id
        {
            outcome.violations.push(format!("{identifier} came under two ids"));
        }
        // I3, I4: in the order of the chain, and nothing after its Cancel.
        if let Some((chain, turn)) = identifier.split_once('-') {
            let turn: usize = turn.parse().unwrap_or(usize::MAX);
            let before = last.insert(chain.to_owned(), turn);
            if before.is_some_and(|before| before >= turn) {
                outcome.violations.push(format!("{identifier} arrived after turn {before:?}"));
            }
        }
    }
    // I1: nothing is lost.
    for identifier in due.iter().filter(|identifier| !ids.contains_key(*identifier)) {
        outcome.violations.push(format!("{identifier} is lost"));
    }
    outcome
}

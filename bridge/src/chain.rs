//! Who takes whose place in a chain.
//!
//! Owns the one answer that routing, relay and replay go by. Pure. A message takes the place of what it names, and of
//! what that took the place of (CAP 1.2 3.2.1 `references`). So a Cancel of one part of an alert does not end the part
//! that an Update goes on with.

use std::collections::{HashMap, HashSet};

use cap_schema::MsgType;
use jiff::SignedDuration;

use crate::envelope::{ChainName, Envelope};
use crate::store::Issued;

/// The parts of one decision are sent within this time. INFERRED: the weather services send the messages that split an
/// alert together. What is sent later and names only what an Update took the place of means that Update too: senders are
/// known that go on naming their first message alone.
const PARTS: SignedDuration = SignedDuration::from_secs(60);

/// The messages of a chain by name.
pub struct Lineage<'m>(HashMap<&'m ChainName, Vec<&'m Envelope>>);

impl<'m> Lineage<'m> {
    /// Of the members of a chain.
    pub fn new(members: &'m [Envelope]) -> Self {
        let mut by_name: HashMap<&ChainName, Vec<&Envelope>> = HashMap::new();
        for member in members {
            by_name.entry(&member.name).or_default().push(member);
        }
        Lineage(by_name)
    }

    /// These names, and everything that the messages of these names follow.
    fn reach<'a>(&'a self, names: impl IntoIterator<Item = &'a ChainName>) -> HashSet<&'a ChainName> {
        let mut open: Vec<&ChainName> = names.into_iter().collect();
        let mut found = HashSet::new();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(self.0.get(name).into_iter().flatten().flat_map(|m| before(m)));
            }
        }
        found
    }

    /// Whether a message takes the place of an earlier one.
    pub fn replaces(&self, later: &Envelope, earlier: &Envelope) -> bool {
        is_replacing(later)
            && later.key != earlier.key
            && (self.reach(before(later)).contains(&earlier.name) || self.means_too(later, earlier))
    }

    /// Whether a message that names only what another took the place of means that other as well.
    fn means_too(&self, later: &Envelope, earlier: &Envelope) -> bool {
        if later.sent_at.duration_since(earlier.sent_at) <= PARTS {
            return false;
        }
        let behind = self.reach(before(earlier));
        before(later).next().is_some() && before(later).all(|name| behind.contains(name))
    }

    /// What of the issued is in force at an endpoint.
    fn in_force<'i>(&self, issued: &'i [Issued]) -> Vec<&'i Issued> {
        let replacing = || issued.iter().map(|i| &i.original).filter(|o| is_replacing(o));
        let named = self.reach(replacing().flat_map(before));
        let is_over = |i: &Issued| {
            i.msg_type == MsgType::Cancel
                || named.contains(&i.original.name)
                || replacing().any(|later| self.means_too(later, &i.original))
        };
        issued.iter().filter(|i| !is_over(i)).collect()
    }

    /// What a message takes the place of at an endpoint, with what that goes back to, as far as no Cancel ended it; in
    /// the order of `sent`. Empty where it takes the place of nothing that is in force there.
    pub fn taken_over(&self, message: &Envelope, issued: &[Issued]) -> Vec<Issued> {
        let mut ends = self.in_force(issued);
        ends.retain(|i| self.replaces(message, &i.original));
        let cancels = issued.iter().filter(|i| i.msg_type == MsgType::Cancel);
        let cancelled = self.reach(cancels.flat_map(|i| before(&i.original)));
        let names = self.reach(ends.iter().map(|i| &i.original.name));
        let belongs = |i: &&Issued| {
            let name = &i.original.name;
            let is_end = ends.iter().any(|end| end.original.key == i.original.key);
            is_end || (i.msg_type != MsgType::Cancel && names.contains(name) && !cancelled.contains(name))
        };
        issued.iter().filter(belongs).cloned().collect()
    }
}

/// What a message follows besides itself: real references name their own message.
fn before(message: &Envelope) -> impl Iterator<Item = &ChainName> {
    message.follows.iter().filter(|name| **name != message.name)
}

/// Whether a message takes the place of what it names.
pub fn is_replacing(message: &Envelope) -> bool {
    match message.msg_type {
        MsgType::Update | MsgType::Cancel | MsgType::Error => true,
        MsgType::Alert | MsgType::Ack => false,
    }
}

#[cfg(test)]
mod tests;

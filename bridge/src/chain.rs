//! Who takes whose place in a chain.
//!
//! Owns the one answer that routing, relay and replay go by. Pure. A message takes the place of what it names, and of
//! what that took the place of (CAP 1.2 3.2.1 `references`). So a Cancel of one part of an alert does not end the part
//! that an Update goes on with.

use std::collections::{HashMap, HashSet};

use cap_schema::MsgType;
use capbridge_adapters::source::Form;
use jiff::{SignedDuration, Timestamp};

use crate::envelope::{AlertKey, ChainName, Envelope};
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

    /// Whether a message that names only what another took the place of means that other as well. Versions of one entry
    /// are never parts of each other, however quickly they follow.
    fn means_too(&self, later: &Envelope, earlier: &Envelope) -> bool {
        let after = later.sent_at.duration_since(earlier.sent_at);
        if after <= SignedDuration::ZERO || (after <= PARTS && !same_entry(later, earlier)) {
            return false;
        }
        let behind = self.reach(before(earlier));
        before(later).next().is_some() && before(later).all(|name| behind.contains(name))
    }

    /// What of the issued is in force at an endpoint.
    pub fn in_force<'i>(&self, issued: &'i [Issued]) -> Vec<&'i Issued> {
        let replacing = || issued.iter().map(|i| &i.original).filter(|o| is_replacing(o));
        let named = self.reach(replacing().flat_map(before));
        let is_over = |i: &Issued| {
            i.msg_type == MsgType::Cancel
                || named.contains(&i.original.name)
                || replacing().any(|later| self.means_too(later, &i.original))
        };
        issued.iter().filter(|i| !is_over(i)).collect()
    }

    /// What a message takes the place of at an endpoint, with what that took the place of there, and so on; in the order
    /// of `sent`. Empty where it takes the place of nothing that is in force there. What another part took over belongs
    /// to that part.
    pub fn taken_over(&self, message: &Envelope, issued: &[Issued]) -> Vec<Issued> {
        let mut ends = self.in_force(issued);
        ends.retain(|i| self.replaces(message, &i.original));
        let takers = self.takers(issued);
        let mut belonging: HashSet<&ChainName> = HashSet::new();
        let mut open: Vec<&ChainName> = ends.iter().map(|i| &i.original.name).collect();
        while let Some(name) = open.pop() {
            if belonging.insert(name) {
                open.extend(takers.iter().filter(|(_, taker)| **taker == name).map(|(taken, _)| *taken));
            }
        }
        issued.iter().filter(|i| belonging.contains(&i.original.name)).cloned().collect()
    }

    /// Of what a message takes the place of, at most `most` to name: what is in force is all named, however many that
    /// are, with the first and the last ones, those before others that have not expired. What a later one took the place of
    /// is over at the endpoint already.
    pub fn to_name(&self, taken: &[Issued], most: usize, now: Timestamp) -> Vec<Issued> {
        if taken.len() <= most {
            return taken.to_vec();
        }
        let in_force: HashSet<&AlertKey> = self.in_force(taken).iter().map(|i| &i.original.key).collect();
        let rank = |(place, one): (usize, &Issued)| {
            let needed = place == 0 || in_force.contains(&one.original.key);
            let lasting = one.original.expires_at.is_none_or(|at| at > now);
            (needed, lasting, place)
        };
        let mut ranks: Vec<(bool, bool, usize)> = taken.iter().enumerate().map(rank).collect();
        ranks.sort_unstable_by(|one, other| other.cmp(one));
        let chosen = ranks.into_iter().enumerate().filter(|(count, (needed, ..))| *needed || *count < most);
        let places: HashSet<usize> = chosen.map(|(_, (.., place))| place).collect();
        let named = taken.iter().enumerate().filter(|(place, _)| places.contains(place));
        named.map(|(_, one)| one.clone()).collect()
    }

    /// Of each message that an endpoint took: the first that took its place there. Nothing takes the place of a Cancel.
    fn takers<'i>(&'i self, issued: &'i [Issued]) -> HashMap<&'i ChainName, &'i ChainName> {
        let there: HashSet<&ChainName> = issued.iter().map(|i| &i.original.name).collect();
        let cancels: HashSet<&ChainName> =
            issued.iter().filter(|i| i.msg_type == MsgType::Cancel).map(|i| &i.original.name).collect();
        let replacing = || issued.iter().map(|i| &i.original).filter(|o| is_replacing(o));
        let mut takers: HashMap<&ChainName, &ChainName> = HashMap::new();
        for later in replacing() {
            // What it names, or goes back to through messages that are not there.
            let (mut open, mut seen): (Vec<&ChainName>, HashSet<_>) =
                (before(later).collect(), HashSet::new());
            while let Some(name) = open.pop() {
                if !seen.insert(name) || cancels.contains(name) {
                    continue;
                }
                if there.contains(name) {
                    takers.entry(name).or_insert(&later.name);
                } else {
                    open.extend(self.0.get(name).into_iter().flatten().flat_map(|m| before(m)));
                }
            }
        }
        let lasting = issued.iter().filter(|i| i.msg_type != MsgType::Cancel).map(|i| &i.original);
        for earlier in lasting {
            if !takers.contains_key(&earlier.name)
                && let Some(later) = replacing().find(|later| self.means_too(later, earlier))
            {
                takers.insert(&earlier.name, &later.name);
            }
        }
        takers
    }
}

/// Whether both are versions of one entry of a hub that has no CAP: it names its first version only.
fn same_entry(one: &Envelope, other: &Envelope) -> bool {
    (one.form, other.form) == (Form::MasasEntry, Form::MasasEntry)
        && one.remote_id.is_some()
        && (&one.remote_id, &one.provenance.system) == (&other.remote_id, &other.provenance.system)
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
pub(crate) mod tests;

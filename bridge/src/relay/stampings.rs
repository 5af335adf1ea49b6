//! How else a message can name what it follows, where an endpoint refuses it for that.
//!
//! Owns which stamping of an earlier message is tried when, where answers to several were lost, and what is left out
//! because it is over. IPAWS takes references to the stampings that it has and that are in force, and no others; a Cancel
//! that names another leaves its alert in force. Pure.

use capbridge_adapters::endpoint::Refusal;
use jiff::Timestamp;

use crate::chain::Lineage;
use crate::envelope::Reference;
use crate::store::Issued;

/// How many other ways of naming the earlier messages are tried. Each is a refused post, and real chains have one
/// message in doubt.
const MOST: usize = 8;

/// What a message names of what it takes the place of.
pub struct Named {
    /// What it takes the place of, in the order of `sent`.
    pub taken: Vec<Issued>,
    /// What it names of that.
    pub issued: Vec<Issued>,
}

impl Named {
    /// At most so many, and all that is in force.
    pub fn of(lineage: &Lineage<'_>, taken: Vec<Issued>, most: u32, now: Timestamp) -> Self {
        let issued = lineage.to_name(&taken, usize::try_from(most).unwrap_or(usize::MAX), now);
        Named { taken, issued }
    }

    /// How many are not named because a later one took their place.
    pub fn left_out(&self, named: &[Issued]) -> usize {
        self.taken.len().saturating_sub(self.issued.len().max(named.len()))
    }
}

/// What to name instead after a refusal, likeliest first; nothing, where it was for something else. `is_former` tells what
/// went out under an identity that the bridge had before. A message that `may_begin` a chain may name nothing, where what
/// it names is of a former identity alone.
pub fn instead(
    cause: &Refusal,
    named: &Named,
    (is_former, may_begin): (impl Fn(&Issued) -> bool, bool),
    now: Timestamp,
) -> Vec<Vec<Issued>> {
    let issued = &named.issued;
    match cause {
        Refusal::UnknownReference { .. } => {
            let mut ways = Vec::new();
            // IPAWS may want all that has not expired (ipaws page 4.1, rule 12; that it says 307 is INFERRED).
            let lasting = |one: &&Issued| one.original.expires_at.is_none_or(|at| at > now);
            let whole: Vec<Issued> = named.taken.iter().filter(lasting).cloned().collect();
            if issued.len() < named.taken.len() && whole != *issued {
                ways.push(whole);
            }
            // Before anything is left out: what is left out stays in force where the endpoint has it.
            ways.extend(others(issued));
            ways.extend(of_one_identity(issued, is_former, may_begin));
            ways
        }
        Refusal::ExpiredReference { .. } => {
            let is_over = |one: &&Issued| one.original.expires_at.is_some_and(|at| at <= now);
            let left: Vec<Issued> = issued.iter().filter(|one| !is_over(one)).cloned().collect();
            if left.len() < issued.len() { vec![left] } else { Vec::new() }
        }
        Refusal::Transport { .. }
        | Refusal::Status { .. }
        | Refusal::Protocol { .. }
        | Refusal::UnreadableReply { .. }
        | Refusal::Unfinished { .. }
        | Refusal::Busy { .. }
        | Refusal::Overdue { .. }
        | Refusal::Unfit { .. } => Vec::new(),
    }
}

/// The same issued messages without those that another COG issued, which this one does not know; without those that were
/// to be issued again and did not arrive; and none, where all are former ones.
fn of_one_identity(
    issued: &[Issued],
    is_former: impl Fn(&Issued) -> bool,
    may_begin: bool,
) -> Vec<Vec<Issued>> {
    let (former, own): (Vec<&Issued>, Vec<&Issued>) = issued.iter().partition(|one| is_former(one));
    if former.is_empty() {
        return Vec::new();
    }
    let again = |one: &Issued| former.iter().any(|other| other.original.key == one.original.key);
    let without = |left_out: &dyn Fn(&Issued) -> bool| -> Vec<Issued> {
        issued.iter().filter(|one| !left_out(one)).cloned().collect()
    };
    let mut ways = Vec::new();
    if !own.is_empty() {
        ways.push(without(&is_former));
    }
    if own.iter().any(|one| again(one)) {
        ways.push(without(&|one| !is_former(one) && again(one)));
    }
    if may_begin && own.iter().all(|one| again(one)) {
        ways.push(Vec::new());
    }
    ways
}

/// The same issued messages under other stampings, likeliest first.
fn others(issued: &[Issued]) -> Vec<Vec<Issued>> {
    let stamps: Vec<Vec<Reference>> = issued
        .iter()
        .map(|one| std::iter::once(&one.reference).chain(one.earlier.iter().rev()).cloned().collect())
        .collect();
    let named = |way: Vec<Reference>| {
        let each = issued.iter().zip(way);
        each.map(|(one, reference)| Issued { reference, ..one.clone() }).collect()
    };
    ways(&stamps).into_iter().map(named).collect()
}

/// Every choice of one stamping for each message but that of the first ones.
fn ways(stamps: &[Vec<Reference>]) -> Vec<Vec<Reference>> {
    let first: Vec<Reference> = stamps.iter().filter_map(|of| of.first().cloned()).collect();
    let mut ways = vec![first];
    for (place, of) in stamps.iter().enumerate() {
        let mut more: Vec<Vec<Reference>> = Vec::new();
        for stamp in of.iter().skip(1) {
            for way in &ways {
                let mut other = way.clone();
                if let Some(named) = other.get_mut(place) {
                    named.clone_from(stamp);
                }
                if !ways.contains(&other) && !more.contains(&other) {
                    more.push(other);
                }
            }
        }
        ways.extend(more);
        ways.truncate(MOST + 1);
    }
    ways.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::{issued, message};

    fn stamps(sent: &[&str]) -> Vec<Reference> {
        let one =
            |sent: &&str| Reference { sender: "s".into(), identifier: "i".into(), sent: (*sent).to_owned() };
        sent.iter().map(one).collect()
    }

    #[test]
    fn every_stamping_in_doubt_is_tried_once() {
        let cases: [(&[&[&str]], &[&str]); 4] = [
            (&[&["1"]], &[]),
            (&[&["1", "3", "2"]], &["3", "2"]),
            (&[&["1"], &["2", "3", "2"]], &["1 3"]),
            (&[&["1", "2"], &["3", "4"]], &["2 3", "1 4", "2 4"]),
        ];
        for (messages, expected) in cases {
            let all: Vec<Vec<Reference>> = messages.iter().map(|m| stamps(m)).collect();
            let told: Vec<String> = ways(&all)
                .iter()
                .map(|way| way.iter().map(|r| r.sent.as_str()).collect::<Vec<_>>().join(" "))
                .collect();
            assert_eq!(told, expected, "{messages:?}");
        }
        assert_eq!(ways(&vec![stamps(&["1", "2", "3", "4"]); 5]).len(), MOST);
    }

    /// `A f` is A under a former identity.
    fn of(name: &str) -> Issued {
        let mut one = issued(&message(name.split(' ').next().unwrap(), 0, &[]));
        one.reference.identifier = name.to_owned();
        one
    }

    fn is_former(one: &Issued) -> bool {
        one.reference.identifier.ends_with(" f")
    }

    fn told(named: &Named, may_begin: bool) -> Vec<String> {
        let cause = Refusal::UnknownReference { protocol: "p", said: String::new() };
        let ways =
            instead(&cause, named, (is_former, may_begin), Timestamp::from_second(1_750_000_100).unwrap());
        let words = |way: &Vec<Issued>| {
            way.iter().map(|i| i.reference.identifier.clone()).collect::<Vec<_>>().join(", ")
        };
        ways.iter().map(words).collect()
    }

    #[test]
    fn what_another_cog_issued_is_left_out_when_nothing_else_can_be_named() {
        // What is named first; then what is tried, by a message that may begin a chain and by one that may not.
        let cases: [(&[&str], &[&str], &[&str]); 5] = [
            (&["A", "U"], &[], &[]),
            (&["A f"], &[""], &[]),
            (&["A f", "A"], &["A", "A f", ""], &["A", "A f"]),
            (&["A f", "U f", "U"], &["U", "A f, U f", ""], &["U", "A f, U f"]),
            // U is no message of before: nothing begins beside it.
            (&["A f", "U"], &["U"], &["U"]),
        ];
        for (names, begins, follows) in cases {
            let all: Vec<Issued> = names.iter().map(|name| of(name)).collect();
            let named = Named { taken: all.clone(), issued: all };
            assert_eq!(told(&named, true), begins, "{names:?}");
            assert_eq!(told(&named, false), follows, "{names:?}");
        }
    }

    #[test]
    fn a_shortened_list_is_tried_whole_without_what_has_expired() {
        let mut all = Vec::from(["A", "U1", "U2", "U3"].map(of));
        all[1].original.expires_at = Timestamp::from_second(1_750_000_050).ok();
        let named = Named { issued: vec![all[0].clone(), all[3].clone()], taken: all };
        assert_eq!(told(&named, true), ["A, U2, U3"]);
        assert_eq!(named.left_out(&named.issued), 2);
        assert_eq!(named.left_out(&named.taken[1..]), 1);
    }
}

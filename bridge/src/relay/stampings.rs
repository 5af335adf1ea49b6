//! How else a message can name what it follows, where an endpoint refuses it for that.
//!
//! Owns which stamping of an earlier message is tried when, where answers to several were lost, and what is left out
//! because it is over. IPAWS takes references to the stampings that it has and that are in force, and no others; a Cancel
//! that names another leaves its alert in force. Pure.

use capbridge_adapters::endpoint::Refusal;
use jiff::Timestamp;

use crate::envelope::Reference;
use crate::store::Issued;

/// How many other ways of naming the earlier messages are tried. Each is a refused post, and real chains have one
/// message in doubt.
const MOST: usize = 8;

/// What to name instead after a refusal, likeliest first; nothing, where it was for something else.
pub fn instead(cause: &Refusal, issued: &[Issued], now: Timestamp) -> Vec<Vec<Issued>> {
    match cause {
        Refusal::UnknownReference { .. } => others(issued),
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
}

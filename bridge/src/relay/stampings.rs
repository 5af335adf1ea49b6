//! Which stamping of its earlier messages an endpoint has, where answers to several were lost.
//!
//! Owns the order in which a message tries them. IPAWS takes a reference to the stamping that it has and no other, and a
//! Cancel that names the wrong one leaves its alert in force. Pure.

use crate::envelope::Reference;
use crate::store::Issued;

/// How many other ways of naming the earlier messages are tried. Each is a refused post, and real chains have one
/// message in doubt.
const MOST: usize = 8;

/// The same issued messages under other stampings, likeliest first.
pub fn others(issued: &[Issued]) -> Vec<Vec<Issued>> {
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

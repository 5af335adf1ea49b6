//! Chains of a few messages, and what the last one takes the place of.

use capbridge_adapters::class::{Class, Classified};
use capbridge_adapters::passage::{Audience, Origin, Provenance, SystemName};
use jiff::Timestamp;

use super::*;
use crate::envelope::{ChainKey, Lane, Reference, World};

/// A message: its kind by the first letter of its name (A, U, C), sent some seconds after the beginning.
pub(crate) fn message(name: &str, secs: i64, follows: &[&str]) -> Envelope {
    let sent_at = Timestamp::from_second(1_750_000_000 + secs).unwrap();
    let reference = Reference { sender: "s".into(), identifier: name.into(), sent: sent_at.to_string() };
    Envelope {
        v: 1,
        key: AlertKey(name.into()),
        chain: ChainKey("chain".into()),
        reference,
        msg_type: match name.as_bytes()[0] {
            b'U' => MsgType::Update,
            b'C' => MsgType::Cancel,
            _ => MsgType::Alert,
        },
        refers_to: Vec::new(),
        world: World::live(),
        name: ChainName(name.into()),
        follows: follows.iter().map(|n| ChainName((*n).into())).collect(),
        hold_until: None,
        provenance: Provenance {
            origin: Origin("hub".into()),
            system: SystemName("masas".into()),
            audience: Audience::Public,
            addresses: Vec::new(),
            also: Vec::new(),
        },
        form: Form::Cap,
        remote_id: None,
        received_at: sent_at,
        accepted_at: sent_at,
        sent_at,
        expires_at: None,
        class: Classified::new(Class::Live, None),
        lane: Lane::Routine,
        digest: String::new(),
        content_digest: String::new(),
        twin: None,
        signature: String::new(),
        findings: Vec::new(),
        headline: None,
    }
}

pub(crate) fn issued(original: &Envelope) -> Issued {
    Issued {
        reference: original.reference.clone(),
        msg_type: original.msg_type,
        original: original.clone(),
        location: None,
        earlier: Vec::new(),
    }
}

/// What the endpoint took: everything but the last message, as it is.
fn check(chain: &[(&str, i64, &[&str])], expected: &[&str]) {
    let members: Vec<Envelope> = chain.iter().map(|(name, secs, of)| message(name, *secs, of)).collect();
    let (last, before) = members.split_last().unwrap();
    let issued: Vec<Issued> = before.iter().map(issued).collect();
    let taken = Lineage::new(&members).taken_over(last, &issued);
    let names: Vec<&str> = taken.iter().map(|i| i.original.reference.identifier.as_str()).collect();
    assert_eq!(names, expected, "{chain:?}");
}

#[test]
fn a_message_takes_the_place_of_what_it_names_and_of_what_that_goes_back_to() {
    check(&[("A", 0, &[]), ("U1", 10, &["A"])], &["A"]);
    check(&[("A", 0, &[]), ("U1", 10, &["A"]), ("C", 20, &["A", "U1"])], &["A", "U1"]);
    check(&[("A", 0, &[]), ("U1", 10, &["A"]), ("C", 20, &["U1"])], &["A", "U1"]);
    check(&[("A1", 0, &[]), ("A2", 5, &[]), ("C", 10, &["A1", "A2"])], &["A1", "A2"]);
    check(&[("A", 0, &[]), ("C", 10, &["C", "A"])], &["A"]);
    // In the same second, and even before it.
    check(&[("A", 0, &[]), ("C", 0, &["A"])], &["A"]);
    check(&[("A", 5, &[]), ("C", 0, &["A"])], &["A"]);
}

#[test]
fn one_part_does_not_take_the_place_of_another() {
    // A warning that is split: one part goes on, the other ends.
    check(&[("A", 0, &[]), ("U1", 600, &["A"]), ("C1", 600, &["A"])], &[]);
    check(&[("A", 0, &[]), ("U1", 600, &["A"]), ("U2", 601, &["A"])], &[]);
    // Each part goes on by itself, hours later, with all its references.
    let split: [(&str, i64, &[&str]); 3] = [("A", 0, &[]), ("U1", 600, &["A"]), ("U2", 600, &["A"])];
    check(&[split[0], split[1], split[2], ("C", 9_000, &["A", "U2"])], &["U2"]);
    check(&[split[0], split[1], split[2], ("U3", 9_000, &["U1"]), ("C", 9_900, &["U2"])], &["U2"]);
    // What an endpoint shows as the first part is not ended with the second.
    check(&[split[0], split[1], split[2], ("C", 9_000, &["U1"])], &["A", "U1"]);
    check(&[split[0], split[1], split[2], ("U3", 9_000, &["U2"])], &["U2"]);
    // Two alerts that another message connected.
    check(
        &[("A1", 0, &[]), ("A2", 5, &[]), ("U", 10, &["A1", "A2"]), ("A3", 15, &[]), ("C", 20, &["A3"])],
        &["A3"],
    );
}

#[test]
fn a_sender_that_goes_on_naming_its_first_message_is_understood() {
    check(&[("A", 0, &[]), ("U1", 600, &["A"]), ("C", 1_200, &["A"])], &["A", "U1"]);
    check(
        &[("A", 0, &[]), ("U1", 600, &["A"]), ("U2", 1_200, &["A"]), ("C", 1_800, &["A"])],
        &["A", "U1", "U2"],
    );
}

#[test]
fn versions_of_one_entry_are_no_parts() {
    let version = |name: &str, secs: i64, follows: &[&str]| {
        let mut version = message(name, secs, follows);
        (version.form, version.remote_id) = (Form::MasasEntry, Some("entry 7".into()));
        version
    };
    let members = [version("A", 0, &[]), version("U1", 4, &["A"]), version("C", 8, &["A"])];
    let lineage = Lineage::new(&members);
    assert!(lineage.replaces(&members[2], &members[1]) && !lineage.replaces(&members[1], &members[2]));
    assert!(lineage.replaces(&members[2], &members[0]));
    let mut other = members[2].clone();
    other.remote_id = Some("entry 8".into());
    assert!(!lineage.replaces(&other, &members[1]), "another entry may be another part");
    // Two CAP messages under one name of a source, such as its address.
    let mut cap = members.clone();
    cap.iter_mut().for_each(|m| m.form = Form::Cap);
    assert!(!Lineage::new(&cap).replaces(&cap[2], &cap[1]));
}

#[test]
fn after_a_cancel_nothing_is_in_force() {
    check(&[("A", 0, &[]), ("C", 600, &["A"]), ("U", 700, &["A"])], &[]);
    check(&[("A", 0, &[]), ("C", 600, &["A"]), ("U1", 700, &["A"]), ("U2", 800, &["A", "U1"])], &["U1"]);
    // A Cancel of one of two leaves the other.
    check(&[("A1", 0, &[]), ("A2", 5, &[]), ("C", 10, &["A2"]), ("U", 20, &["A1", "A2"])], &["A1"]);
}

#[test]
fn what_comes_late_is_known_to_be_replaced() {
    let replaced = |late: (&str, i64, &[&str]), by: (&str, i64, &[&str])| {
        let members = [message("A", 0, &[]), message(by.0, by.1, by.2)];
        Lineage::new(&members).replaces(&members[1], &message(late.0, late.1, late.2))
    };
    assert!(replaced(("U1", 10, &["A"]), ("C", 900, &["A", "U1"])));
    assert!(replaced(("U1", 10, &["A"]), ("C", 900, &["A"])), "a later Cancel of all that it replaced");
    assert!(!replaced(("U1", 600, &["A"]), ("C", 600, &["A"])), "the other part of a split");
    assert!(!replaced(("U1", 10, &["A"]), ("A9", 900, &["A"])), "an Alert replaces nothing");
}

#[test]
fn of_a_long_chain_the_first_the_last_and_all_that_is_in_force_are_named() {
    // Each of 400 Updates names the one before it; every other one was not for the endpoint.
    let mut members = vec![message("A", 0, &[])];
    for number in 1..=400 {
        let before = members.last().unwrap().reference.identifier.clone();
        members.push(message(&format!("U{number}"), number * 100, &[&before]));
    }
    let last = message("U401", 40_100, &["U400"]);
    let lineage = Lineage::new(&members);
    let there: Vec<Issued> = members.iter().step_by(2).map(issued).collect();
    let taken = lineage.taken_over(&last, &there);
    assert_eq!(taken.len(), 201);
    let names = |named: &[Issued]| -> Vec<String> {
        named.iter().map(|i| i.original.reference.identifier.clone()).collect()
    };
    let now = Timestamp::from_second(1_750_100_000).unwrap();
    assert_eq!(names(&lineage.to_name(&taken, 4, now)), ["A", "U396", "U398", "U400"]);
    assert_eq!(names(&lineage.to_name(&taken, 201, now)), names(&taken));
    // What has expired goes before what has not, and what is in force stays whatever it is.
    let mut some_over = taken.clone();
    for one in some_over.iter_mut().skip(1) {
        let lasts = one.original.reference.identifier == "U200";
        one.original.expires_at = (!lasts).then_some(now);
    }
    assert_eq!(names(&lineage.to_name(&some_over, 4, now)), ["A", "U200", "U398", "U400"]);
    // 60 Alerts side by side, all in force: none may stay out of what ends them.
    let mut members: Vec<Envelope> = (0..60).map(|n| message(&format!("A{n}"), n, &[])).collect();
    let all: Vec<String> = members.iter().map(|m| m.reference.identifier.clone()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let there: Vec<Issued> = members.iter().map(issued).collect();
    members.push(message("C", 100, &all));
    let lineage = Lineage::new(&members);
    let taken = lineage.taken_over(members.last().unwrap(), &there);
    assert_eq!(names(&lineage.to_name(&taken, 10, now)), all);
}

//! What follows an alert: Update, Cancel, Error, and what they refer to at the destination.

use super::*;
use crate::envelope::Reference;

const EARLIER: &str =
    "<references>em@lambton.example.test,LAMBTON-0,2026-03-01T11:00:00-05:00</references></alert>";

/// The alert as a later message of a chain.
pub(super) fn later(text: &str, kind: &str) -> String {
    let references = EARLIER.trim_end_matches("</alert>");
    text.replace("<msgType>Alert", &format!("<msgType>{kind}"))
        .replace("</code><info>", &format!("</code>{references}<info>"))
}

#[test]
fn an_update_that_says_ended_becomes_a_cancel_at_ipaws_alone() {
    let ended = "<parameter><valueName>layer:EC-MSC-SMC:1.1:Alert_Location_Status</valueName><value>ended</value></parameter><area>";
    let text = later(SARNIA, "Update").replace("<area>", ended);
    let cases = [
        (text.clone(), Target::Ipaws, "<msgType>Cancel</msgType>"),
        (text.clone(), Target::CapCp, "<msgType>Update</msgType>"),
        // One of two infos is still in force.
        (
            text.replacen("<value>ended</value>", "<value>active</value>", 1),
            Target::Ipaws,
            "<msgType>Update</msgType>",
        ),
    ];
    for (text, target, expected) in cases {
        let made = made(&text, target, AT).unwrap();
        assert!(made.xml.contains(expected), "{expected} is not in {}", made.xml);
        assert!(made.xml.contains("<references>capbridge@localhost.invalid,capbridge-"), "{}", made.xml);
    }
}

#[test]
fn a_cancel_that_ends_at_once_is_news_for_an_hour() {
    let text = later(SARNIA, "Cancel").replace("2026-03-01T18:00:00-05:00", "2026-03-01T12:02:05-05:00");
    let soon = made(&text, Target::Ipaws, AT).unwrap();
    assert!(soon.xml.contains("<expires>2026-03-01T18:03:00-00:00</expires>"), "{}", soon.xml);
    assert_eq!(made(&text, Target::Ipaws, "2026-03-01T19:00:00Z").err(), Some(NotSent::Expired));
}

/// The message with its key and what the destination has, as a running bridge passes it.
fn with(
    text: &str,
    target: Target,
    settings: &Settings,
    issued: Option<&[(Reference, Reference)]>,
) -> Result<Translated, NotSent> {
    let tables = Tables::builtin().unwrap();
    let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
    translate(&Request {
        alert: &alert,
        origin_key: "key",
        target,
        at: AT.parse().unwrap(),
        issued,
        previous: None,
        settings,
        tables: &tables,
    })
}

fn references_of(made: &Translated) -> Vec<String> {
    made.alert.references().iter().map(ToString::to_string).collect()
}

#[test]
fn an_error_about_the_senders_own_message_ends_it_and_other_answers_stay() {
    let error = later(SARNIA, "Error");
    for target in [Target::Ipaws, Target::CapCp] {
        let made = made(&error, target, AT).unwrap();
        assert!(made.xml.contains("<msgType>Cancel</msgType>"), "{}", made.xml);
        assert!(made.xml.contains("<responseType>AllClear</responseType>"), "{}", made.xml);
        assert_eq!(references_of(&made).len(), 1);
    }
    let of_another = error.replace("em@lambton.example.test,LAMBTON-0", "desk@other.example.test,LAMBTON-0");
    for text in [of_another, later(SARNIA, "Ack"), SARNIA.replace("<msgType>Alert", "<msgType>Error")] {
        assert_eq!(made(&text, Target::Ipaws, AT).err(), Some(NotSent::Answer));
    }
}

#[test]
fn a_wrong_sender_part_means_the_senders_own_message() {
    let right = made(&later(SARNIA, "Update"), Target::CapCp, AT).unwrap();
    let text =
        later(SARNIA, "Update").replace("<references>em@lambton.example.test", "<references>LambtonTest");
    let wrong = made(&text, Target::CapCp, AT).unwrap();
    assert_eq!(references_of(&wrong), references_of(&right));
    let said = wrong.report.lines.iter().find(|l| l.rule == report::Rule::SenderPart).unwrap();
    assert_eq!(
        (said.severity, said.detail.as_str()),
        (Severity::Warning, "LambtonTest,LAMBTON-0,2026-03-01T11:00:00-05:00")
    );
}

#[test]
fn references_that_accumulate_are_mapped_each_once_and_never_to_itself() {
    let list = "em@lambton.example.test,LAMBTON-0,2026-03-01T11:00:00-05:00 \
                em@lambton.example.test,LAMBTON-0b,2026-03-01T11:30:00-05:00 \
                em@lambton.example.test,LAMBTON-0,2026-03-01T11:00:00-05:00";
    let text =
        later(SARNIA, "Update").replace("em@lambton.example.test,LAMBTON-0,2026-03-01T11:00:00-05:00", list);
    let derived = made(&text, Target::CapCp, AT).unwrap();
    assert_eq!(references_of(&derived).len(), 2);
    let reference = |identifier: &str, sent: &str| Reference {
        sender: "capbridge@localhost.invalid".into(),
        identifier: identifier.into(),
        sent: sent.into(),
    };
    // The destination has what was posted, with the times of posting: those count, not the originals'.
    let original = reference("LAMBTON-0", "2026-03-01T11:00:00-05:00");
    let ours = reference("ours-1", "2026-03-01T16:00:09-00:00");
    let itself = reference(&derived.reference.identifier, "2026-03-01T16:30:00-00:00");
    let issued = [(original.clone(), ours.clone()), (original.clone(), ours.clone()), (original, itself)];
    let made = with(&text, Target::CapCp, &Settings::default(), Some(&issued)).unwrap();
    assert_eq!(references_of(&made), [ours.to_string()]);
    assert_eq!(made.alert.msg_type, Code::Known(MsgType::Update));
}

#[test]
fn after_a_change_of_the_key_what_is_in_force_can_be_issued_again_under_a_new_identifier() {
    let identifiers: std::collections::BTreeSet<String> = (0..3)
        .map(|edition| {
            let settings = Settings { edition, ..Settings::default() };
            let first = with(SARNIA, Target::Ipaws, &settings, None).unwrap();
            assert_eq!(first.reference, with(SARNIA, Target::Ipaws, &settings, None).unwrap().reference);
            first.reference.identifier
        })
        .collect();
    assert_eq!(identifiers.len(), 3);
}

#[test]
fn what_another_bridge_carried_over_is_not_carried_back_where_one_crossing_is_allowed() {
    let settings =
        |name: &str| Settings { bridge_name: name.into(), max_crossings: Some(1), ..Settings::default() };
    let over = with(SARNIA, Target::Ipaws, &settings("a"), None).unwrap();
    assert_eq!(with(&over.xml, Target::CapCp, &settings("b"), None).err(), Some(NotSent::Crossed));
    assert!(with(&over.xml, Target::CapCp, &Settings::default(), None).is_ok());
}

//! What is no longer for the destination, or over when it comes, ends what the destination holds.

use super::lifecycle::later;
use super::*;
use crate::envelope::Reference;

fn reference(sender: &str, identifier: &str) -> Reference {
    Reference {
        sender: sender.into(),
        identifier: identifier.into(),
        sent: "2026-03-01T16:02:05-00:00".into(),
    }
}

/// A message that follows `earlier`, which the destination holds or does not.
fn following(text: &str, earlier: &str, target: Target, is_held: bool) -> Result<Translated, NotSent> {
    let (tables, settings) = (Tables::builtin().unwrap(), Settings::default());
    let read = |text: &str| cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
    let (alert, earlier) = (read(text), read(earlier));
    let issued = [(reference("desk@example.test", "1"), reference("capbridge@localhost.invalid", "ours"))];
    translate(&Request {
        alert: &alert,
        origin_key: "key",
        target,
        at: AT.parse().unwrap(),
        issued: Some(if is_held { &issued } else { &[] }),
        previous: is_held.then_some(&earlier),
        settings: &settings,
        tables: &tables,
    })
}

/// The message with its places moved far from the border.
fn moved(text: &str) -> String {
    text.replace("42.9745,-82.4066 4", "53.0000,-110.0000 4").replace("3538030", "4810028").replace(
        "42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900",
        "32.0000,-99.0000 32.0000,-98.9000 32.1000,-98.9000 32.1000,-99.0000 32.0000,-99.0000",
    )
}

#[test]
fn what_moved_away_or_is_over_becomes_a_cancel_where_the_earlier_message_is_held() {
    let over = |text: &str| text.replace("<expires>2026-03-01T18:00:00", "<expires>2026-03-01T12:02:05");
    for (original, target) in [(SARNIA, Target::Ipaws), (RIVER, Target::CapCp)] {
        for kind in ["Update", "Cancel"] {
            let text = later(original, kind);
            for changed in [moved(&text), over(&text), over(&moved(&text))] {
                let made = following(&changed, original, target, true).unwrap();
                assert_eq!(made.msg_type, MsgType::Cancel, "{kind} for {target:?}");
                assert!(made.xml.contains("<msgType>Cancel</msgType>"), "{}", made.xml);
                assert!(made.xml.contains("capbridge@localhost.invalid,ours,"), "{}", made.xml);
                let profile = if target == Target::Ipaws { Profile::Ipaws } else { Profile::CapCp };
                let errors: Vec<_> = [Profile::Cap, profile]
                    .into_iter()
                    .flat_map(|p| cap_schema::validate(&made.alert, p))
                    .filter(|f| f.level == cap_schema::Level::Error)
                    .collect();
                assert!(errors.is_empty(), "{errors:?} in {}", made.xml);
            }
        }
    }
}

#[test]
fn where_nothing_is_held_there_is_nothing_to_end() {
    for (original, target) in [(SARNIA, Target::Ipaws), (RIVER, Target::CapCp)] {
        let cancel = following(&moved(&later(original, "Cancel")), original, target, false);
        assert_eq!(cancel.err(), Some(NotSent::NothingToEnd));
        let update = following(&moved(&later(original, "Update")), original, target, false);
        assert_eq!(update.err(), Some(NotSent::Untouched));
    }
}

#[test]
fn the_report_says_why_an_update_became_a_cancel() {
    let made = following(&moved(&later(SARNIA, "Update")), SARNIA, Target::Ipaws, true).unwrap();
    let report = serde_json::to_string(&made.report).unwrap();
    assert!(report.contains("lifecycle.ends-earlier"), "{report}");
    assert!(report.contains("it touches nothing on the far side"), "{report}");
}

//! What an operator sets: lengths of texts, fallbacks, validity, and the purpose of a route.

use super::report::Rule;
use super::*;
use crate::translate::minimise::Purpose;

fn with(text: &str, target: Target, settings: &Settings) -> Translated {
    let tables = Tables::builtin().unwrap();
    let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
    let at = AT.parse().unwrap();
    let request = Request {
        alert: &alert,
        origin_key: "key",
        target,
        at,
        issued: None,
        previous: None,
        settings,
        tables: &tables,
    };
    translate(&request).unwrap()
}

fn detail(made: &Translated, rule: Rule) -> Vec<&str> {
    made.report.lines.iter().filter(|l| l.rule == rule).map(|l| l.detail.as_str()).collect()
}

#[test]
fn long_texts_are_cut_at_words_and_the_report_has_what_was_cut() {
    let texts = TextLimits { headline_chars: Some(10), ..TextLimits::default() };
    let made = with(SARNIA, Target::CapCp, &Settings { texts, ..Settings::default() });
    let headlines: Vec<_> = made.alert.info.iter().map(|i| i.headline.as_deref().unwrap()).collect();
    assert_eq!(headlines, ["Chlorine", "Fuite de"]);
    assert_eq!(
        detail(&made, Rule::TextLength),
        ["10 characters, without: release", "10 characters, without: chlore"]
    );
    assert!(detail(&with(SARNIA, Target::CapCp, &Settings::default()), Rule::TextLength).is_empty());
}

#[test]
fn a_title_of_an_entry_is_cut_and_its_content_is_whole() {
    let long = "Chlorine release near the river ".repeat(12);
    let text = RIVER.replace("<headline>Hazardous Materials Warning", &format!("<headline>{long}"));
    let made = with(&text, Target::MasasEntry, &Settings::default());
    let title = made.xml.split("<title").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(title.contains("river") && !title.contains(long.trim()), "{title}");
    assert!(made.xml.contains(long.trim()));
    assert_eq!(detail(&made, Rule::TextLength).len(), 1);
}

#[test]
fn an_event_that_no_table_knows_takes_the_set_fallback_with_an_alarm() {
    let settings =
        Settings { fallback_same: "CDW".into(), fallback_cap_cp: "civilEmerg".into(), ..Settings::default() };
    let unknown = SARNIA.replace(">chemical<", ">sharknado<");
    let without = SARNIA.replace("profile:CAP-CP:Event:0.4", "layer:Other:Event");
    for (text, target, code, said) in [
        (&unknown, Target::Ipaws, "CDW", "sharknado: CDW"),
        (&without, Target::Ipaws, "CDW", "no code: CDW"),
        (&without, Target::CapCp, "civilEmerg", "no code: civilEmerg"),
    ] {
        let made = with(text, target, &settings);
        assert_eq!(made.alert.info[0].event_code[0].value, code);
        assert_eq!(detail(&made, Rule::CodeFallback), [said]);
        assert_eq!(made.report.severity(), Severity::Alarm);
    }
    // A code of the target is kept although no table knows it.
    let kept = with(&unknown, Target::CapCp, &settings);
    assert_eq!(detail(&kept, Rule::CodePresent), ["sharknado"]);
}

#[test]
fn validity_is_as_set_where_the_original_does_not_say() {
    let settings = Settings { default_expiry_secs: 900, cancel_secs: 600, ..Settings::default() };
    let open = SARNIA.replace("<expires>2026-03-01T18:00:00-05:00</expires>", "");
    let made = with(&open, Target::CapCp, &settings);
    assert_eq!(made.alert.info[0].expires.as_ref().unwrap().as_str(), "2026-03-01T17:18:00-00:00");
    let ends = super::lifecycle::later(SARNIA, "Cancel")
        .replace("2026-03-01T18:00:00-05:00", "2026-03-01T12:02:05-05:00");
    let made = with(&ends, Target::CapCp, &settings);
    assert_eq!(made.alert.info[0].expires.as_ref().unwrap().as_str(), "2026-03-01T17:13:00-00:00");
}

#[test]
fn personal_fields_cross_only_for_a_purpose_that_names_them() {
    let personal = SARNIA
        .replace("</code>", "</code><note>Ask for R. in the control room.</note>")
        .replace(
            "<area>",
            "<parameter><valueName>layer:PEASI:1.0:InternalGroupNames</valueName><value>night shift</value>\
             </parameter><parameter><valueName>layer:SOREM:1.0:Broadcast_Immediately</valueName>\
             <value>Yes</value></parameter><area>",
        )
        .replace(
            "<msgType>Alert</msgType><scope>Public</scope>",
            "<msgType>Alert</msgType><scope>Public</scope><addresses>desk-7</addresses>",
        );
    let list = minimise::Minimisation::builtin().unwrap();
    let allowing = |allows: &[&str]| {
        let allows: Vec<String> = allows.iter().map(|a| (*a).to_owned()).collect();
        let purpose = (!allows.is_empty()).then(|| Purpose::new("mutual-aid", &allows, &list).unwrap());
        Settings { purpose, ..Settings::default() }
    };
    let canaries = ["555-0100", "control room", "night shift", "Broadcast_Immediately", "desk-7"];
    for (allows, crosses) in [
        (vec![], vec![]),
        (vec!["contact"], vec!["555-0100"]),
        (vec!["note"], vec!["control room"]),
        (vec!["parameter:layer:PEASI:"], vec!["night shift"]),
        (
            vec!["contact", "note", "parameter:layer:PEASI:1.0:InternalGroupNames"],
            vec!["555-0100", "control room", "night shift"],
        ),
    ] {
        for target in [Target::Ipaws, Target::CapCp] {
            let made = with(&personal, target, &allowing(&allows));
            for canary in canaries {
                assert_eq!(made.xml.contains(canary), crosses.contains(&canary), "{allows:?} {canary}");
            }
            let said = made.report.lines.iter().any(|l| l.rule == Rule::Purpose);
            assert_eq!(said, !allows.is_empty(), "{allows:?}");
        }
    }
}

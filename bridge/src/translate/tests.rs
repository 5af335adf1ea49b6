//! Both ways with the examples of the issue.

mod chains;
mod corpus;
mod ends;
mod fields;
mod lifecycle;
mod odd;
mod places;
mod properties;
mod settings;
mod tables;
mod texts;

use super::report::{Action, Severity};
use super::*;
use cap_schema::{Limits, Profile};

const SARNIA: &str = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>LAMBTON-1</identifier><sender>em@lambton.example.test</sender><sent>2026-03-01T12:02:05-05:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><code>profile:CAP-CP:0.4</code><info><language>en-CA</language><category>CBRNE</category><event>Chemical Hazard</event><responseType>Shelter</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><eventCode><valueName>profile:CAP-CP:Event:0.4</valueName><value>chemical</value></eventCode><expires>2026-03-01T18:00:00-05:00</expires><senderName>Lambton County</senderName><headline>Chlorine release</headline><description>Chlorine.</description><instruction>Go indoors.</instruction><contact>duty desk 555-0100</contact><area><areaDesc>Sarnia</areaDesc><circle>42.9745,-82.4066 4</circle><geocode><valueName>profile:CAP-CP:Location:0.3</valueName><value>3538030</value></geocode></area></info><info><language>fr-CA</language><category>CBRNE</category><event>Risque chimique</event><responseType>Shelter</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><eventCode><valueName>profile:CAP-CP:Event:0.4</valueName><value>chemical</value></eventCode><expires>2026-03-01T18:00:00-05:00</expires><senderName>Comté de Lambton</senderName><headline>Fuite de chlore</headline><description>Chlore.</description><instruction>Rentrez.</instruction><area><areaDesc>Sarnia</areaDesc><circle>42.9745,-82.4066 4</circle><geocode><valueName>profile:CAP-CP:Location:0.3</valueName><value>3538030</value></geocode></area></info></alert>"#;

const RIVER: &str = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>STCLAIR-1</identifier><sender>hmw@stclair.example.test</sender><sent>2026-03-01T12:02:05-05:00</sent><status>Actual</status><msgType>Alert</msgType><source>St. Clair County</source><scope>Public</scope><code>IPAWSv1.0</code><info><language>en-US</language><category>CBRNE</category><event>Hazardous Materials Warning</event><responseType>Shelter</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><eventCode><valueName>SAME</valueName><value>HMW</value></eventCode><expires>2026-03-01T18:00:00-05:00</expires><senderName>200900,St. Clair County,EM</senderName><headline>Hazardous Materials Warning</headline><description>A barge leaks.</description><instruction>Stay inside.</instruction><parameter><valueName>BLOCKCHANNEL</valueName><value>EAS</value></parameter><area><areaDesc>River</areaDesc><polygon>42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900</polygon><geocode><valueName>SAME</valueName><value>026147</value></geocode></area></info></alert>"#;

fn made(text: &str, target: Target, at: &str) -> Result<Translated, NotSent> {
    let tables = Tables::builtin().unwrap();
    let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
    let settings = Settings::default();
    translate(&Request {
        alert: &alert,
        origin_key: "key",
        target,
        at: at.parse().unwrap(),
        issued: None,
        previous: None,
        settings: &settings,
        tables: &tables,
    })
}

const AT: &str = "2026-03-01T17:03:00Z";

#[test]
fn a_canadian_chemical_alert_becomes_a_blocked_ipaws_message() {
    let made = made(SARNIA, Target::Ipaws, AT).unwrap();
    for expected in [
        "<code>IPAWSv1.0</code>",
        "<valueName>SAME</valueName><value>HMW</value>",
        "<value>026147</value>",
        "<value>chemical</value>",
        "<valueName>BLOCKCHANNEL</valueName><value>EAS</value>",
        "<value>CMAS</value>",
        "<value>NWEM</value>",
        "<value>PUBLIC</value>",
        "<circle>42.9745,-82.4066 4</circle>",
        "<language>en-US</language>",
        "<language>fr-CA</language>",
        "<sent>2026-03-01T17:03:00-00:00</sent>",
        "em@lambton.example.test,LAMBTON-1,2026-03-01T12:02:05-05:00",
    ] {
        assert!(made.xml.contains(expected), "{expected} is not in {}", made.xml);
    }
    assert!(!made.xml.contains("555-0100"), "the contact crossed the border");
    let alert = cap_schema::parse_owned(made.xml.as_bytes(), &Limits::default()).unwrap();
    assert!(alert.accepted(), "{:?}", alert.findings);
    let errors: Vec<_> = [Profile::Cap, Profile::Ipaws]
        .into_iter()
        .flat_map(|p| cap_schema::validate(&alert.alert, p))
        .filter(|f| f.level == cap_schema::Level::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn a_us_warning_over_the_river_becomes_cap_cp_with_french_by_name_and_notice() {
    let made = made(RIVER, Target::CapCp, AT).unwrap();
    for expected in [
        "<code>profile:CAP-CP:0.4</code>",
        "<value>hazmat</value>",
        "<value>HMW</value>",
        "<value>3538</value>",
        "<language>en-CA</language>",
        "<language>fr-CA</language>",
        "Matières dangereuses",
        "42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900",
    ] {
        assert!(made.xml.contains(expected), "{expected} is not in {}", made.xml);
    }
    assert!(!made.xml.contains("BLOCKCHANNEL"), "channels of the other side mean nothing here");
    let alert = cap_schema::parse_owned(made.xml.as_bytes(), &Limits::default()).unwrap();
    let errors: Vec<_> = [Profile::Cap, Profile::CapCp]
        .into_iter()
        .flat_map(|p| cap_schema::validate(&alert.alert, p))
        .filter(|f| f.level == cap_schema::Level::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(made(SARNIA, Target::Ipaws, AT).unwrap(), made(SARNIA, Target::Ipaws, AT).unwrap());
}

#[test]
fn the_identifier_does_not_depend_on_the_time_of_issue() {
    let (a, b) = (
        made(SARNIA, Target::Ipaws, AT).unwrap(),
        made(SARNIA, Target::Ipaws, "2026-03-01T18:00:00Z").unwrap(),
    );
    assert_eq!(a.reference.identifier, b.reference.identifier);
    assert_ne!(a.reference.sent, b.reference.sent);
}

#[test]
fn what_may_not_or_need_not_cross_is_not_sent() {
    let cases = [
        (SARNIA.replace("Actual", "System"), Target::Ipaws, AT, NotSent::Internal),
        (SARNIA.replace("Actual", "Draft"), Target::Ipaws, AT, NotSent::Internal),
        (SARNIA.replace("<msgType>Alert", "<msgType>Ack"), Target::Ipaws, AT, NotSent::Answer),
        (
            SARNIA
                .replace("<scope>Public", "<scope>Private")
                .replace("</scope>", "</scope><addresses>a</addresses>"),
            Target::Ipaws,
            AT,
            NotSent::Private,
        ),
        (SARNIA.replace("<msgType>Alert", "<msgType>Cancel"), Target::Ipaws, AT, NotSent::NothingToEnd),
        (SARNIA.to_owned(), Target::Ipaws, "2026-03-02T00:00:00Z", NotSent::Expired),
        (SARNIA.replace("42.9745,-82.4066 4", "45.4,-75.7 2"), Target::Ipaws, AT, NotSent::Untouched),
        (SARNIA.replacen("<value>chemical", "<value>flood", 1), Target::Ipaws, AT, NotSent::SeveralEvents),
    ];
    for (text, target, at, expected) in cases {
        assert_eq!(made(&text, target, at).err(), Some(expected));
    }
}

#[test]
fn an_exercise_never_becomes_actual_nor_public_at_ipaws() {
    let made = made(&SARNIA.replace("Actual", "Exercise"), Target::Ipaws, AT).unwrap();
    assert!(made.xml.contains("<status>Exercise</status>") && made.xml.contains("<scope>Restricted</scope>"));
}

#[test]
fn what_came_as_an_exercise_or_test_says_so_whatever_it_called_itself() {
    let tables = Tables::builtin().unwrap();
    for (class, own, expected) in [
        (Class::Live, "Actual", "Actual"),
        (Class::Exercise, "Actual", "Exercise"),
        (Class::Exercise, "Test", "Test"),
        (Class::Test, "Exercise", "Test"),
    ] {
        let text = SARNIA.replace("Actual", own);
        let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
        let settings = Settings { class, ..Settings::default() };
        let made = translate(&Request {
            alert: &alert,
            origin_key: "key",
            target: Target::CapCp,
            at: AT.parse().unwrap(),
            issued: None,
            previous: None,
            settings: &settings,
            tables: &tables,
        });
        let xml = made.unwrap().xml;
        assert!(xml.contains(&format!("<status>{expected}</status>")), "{class} {own}: {xml}");
    }
}

#[test]
fn an_entry_is_written_with_status_icon_and_both_languages() {
    let made = made(RIVER, Target::MasasEntry, AT).unwrap();
    for expected in [
        "masas:category:status\" term=\"Actual\"",
        "ems/incident/hazardousMaterial",
        "xml:lang=\"en\"",
        "xml:lang=\"fr\"",
        "georss",
    ] {
        assert!(made.xml.contains(expected), "{expected} is not in {}", made.xml);
    }
}

/// Two blocks of one language, with three shapes.
fn river_in_blocks() -> String {
    let (head, rest) = RIVER.split_once("<info>").unwrap();
    let (first, tail) = rest.split_once("</info>").unwrap();
    let other = "<area><areaDesc>Other</areaDesc><circle>42.95,-82.45 3</circle></area>";
    let second = first
        .replace("<severity>Severe", "<severity>Moderate")
        .replace("<headline>Hazardous Materials Warning", "<headline>Downstream")
        .replace("42.9000,-82.4900", "42.8900,-82.4900");
    format!("{head}<info>{first}{other}</info><info>{second}</info>{tail}")
}

#[test]
fn what_an_entry_has_no_room_for_is_dropped_in_its_report() {
    let made = made(&river_in_blocks(), Target::MasasEntry, AT).unwrap();
    let text = |language: &str| made.xml.matches(&format!("xml:lang=\"{language}\"")).count();
    assert_eq!((text("en"), text("fr")), (2, 2), "one title and one content: {}", made.xml);
    assert!(made.xml.contains("Downstream A barge leaks."), "{}", made.xml);
    assert!(made.xml.contains("<circle xmlns=\"http://www.georss.org/georss\">42.95 -82.45 3000<"));
    let lines = |field: &str| -> Vec<&str> {
        made.report.lines.iter().filter(|l| l.field == field).map(|l| l.rule.id()).collect()
    };
    for (field, rules) in [
        ("info[1]/area[2]/circle", &["places.shape"][..]),
        ("info[1]/area[1]/polygon", &["entry.one-shape"]),
        ("info[2]/area[1]/polygon", &["entry.one-shape"]),
        ("info[1]/severity", &["text.value-kept"]),
        ("info[2]/severity", &["entry.no-room"]),
        ("info[2]/certainty", &["text.value-kept"]),
        ("info[1]/urgency", &["entry.no-room"]),
        ("info[2]/headline", &["text.kept"]),
        ("info[1]/area/areaDesc", &["entry.no-room", "entry.no-room"]),
        ("identifier", &["entry.of-the-hub"]),
        ("msgType", &["entry.of-the-hub"]),
        ("status", &["class.kept"]),
    ] {
        assert_eq!(lines(field), rules, "{field}: {}", made.report.to_words());
    }
    let kept = |l: &&report::Line| l.action != report::Action::Dropped && l.field.contains("area");
    assert_eq!(made.report.lines.iter().filter(kept).count(), 1, "{}", made.report.to_words());
}

#[test]
fn a_cancel_is_an_entry_that_is_over() {
    let references = "<references>hmw@stclair.example.test,STCLAIR-0,2026-03-01T11:02:05-05:00</references>";
    let text = RIVER.replace(">Alert<", ">Cancel<").replace("<info>", &format!("{references}<info>"));
    let made = made(&text, Target::MasasEntry, AT).unwrap();
    assert!(made.xml.contains(&format!("age/1.0\">{AT}</expires>")), "{}", made.xml);
    assert!(made.xml.contains(">Hazardous Materials Warning - cancelled<"), "{}", made.xml);
    assert!(made.report.lines.iter().any(|l| l.rule == report::Rule::EntryEnds), "{:?}", made.report);
}

#[test]
fn numbers_for_responders_are_carried_as_facts() {
    let text = SARNIA.replace("Chlorine.</description>", "Chlorine, UN 1017, ERG guide 124.</description>");
    let made = made(&text, Target::Ipaws, AT).unwrap();
    for expected in ["<value>UN1017</value>", "<value>124</value>"] {
        assert!(made.xml.contains(expected), "{expected} is not in {}", made.xml);
    }
}

#[test]
fn wireless_opens_for_a_rule_and_a_real_threat_and_loses_french_with_a_word() {
    let tables = Tables::builtin().unwrap();
    let settings = Settings { open_channels: vec!["CMAS".into()], ..Settings::default() };
    let open = |text: &str| {
        let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
        let at = AT.parse().unwrap();
        translate(&Request {
            alert: &alert,
            origin_key: "key",
            target: Target::Ipaws,
            at,
            issued: None,
            previous: None,
            settings: &settings,
            tables: &tables,
        })
        .unwrap()
    };
    let real = open(SARNIA);
    assert!(
        real.xml.contains("<value>Imminent Threat</value>") && !real.xml.contains("fr-CA"),
        "{}",
        real.xml
    );
    assert!(!real.xml.contains("<value>CMAS</value>"));
    assert_eq!(real.report.severity(), Severity::Alarm);
    let shut = [
        SARNIA.replace("Actual", "Exercise"),
        SARNIA.replace(">chemical<", ">avalanche<").replace("<urgency>Immediate", "<urgency>Past"),
        SARNIA.replace("<responseType>Shelter", "<responseType>AllClear"),
    ];
    // An avalanche that is no imminent threat is a matter of public safety.
    let expected = [true, false, true];
    for (text, shut) in shut.iter().zip(expected) {
        assert_eq!(open(text).xml.contains("<value>CMAS</value>"), shut, "{text}");
    }
}

#[test]
fn an_area_that_is_not_in_the_us_joins_one_that_is() {
    let far = "<area><areaDesc>Ottawa</areaDesc><circle>45.4,-75.7 2</circle></area></info>";
    let made = made(&SARNIA.replace("</area></info>", &format!("</area>{far}")), Target::Ipaws, AT).unwrap();
    let info = &made.alert.info[0];
    assert_eq!(info.area.len(), 1);
    assert_eq!(info.area[0].area_desc, "Sarnia; Ottawa");
    assert_eq!(info.area[0].circle.len(), 2);
    assert_eq!(made.alert.scope, Some(Code::Known(Scope::Public)));
}

#[test]
fn a_code_of_weather_radio_is_understood_and_never_written_for_ipaws() {
    let text = RIVER.replace(">HMW<", ">CHW<");
    let canada = made(&text, Target::CapCp, AT).unwrap();
    assert!(canada.xml.contains("<value>chemical</value>"), "{}", canada.xml);
    let us = made(&text.replace("en-US", "en-CA"), Target::Ipaws, AT).unwrap();
    assert!(us.xml.contains("<value>HMW</value>") && !us.xml.contains("<value>CHW</value>"), "{}", us.xml);
}

#[test]
fn a_watch_or_a_statement_does_not_become_a_warning() {
    let of = |code: &str, said: &str| {
        let parameter = format!(
            "<parameter><valueName>layer:EC-MSC-SMC:1.0:Alert_Type</valueName><value>{said}</value></parameter><area>"
        );
        made(
            &SARNIA.replace(">chemical<", &format!(">{code}<")).replace("<area>", &parameter),
            Target::Ipaws,
            AT,
        )
        .unwrap()
    };
    for (code, said, same, rule) in [
        ("tornado", "warning", "TOR", report::Rule::CodeByTable),
        ("tornado", "watch", "TOA", report::Rule::CodeByType),
        ("thunderstorm", "statement", "SVS", report::Rule::CodeByType),
        ("wind", "advisory", "SPS", report::Rule::CodeByType),
        // There is no code of a watch, and no warning may be made of one.
        ("chemical", "watch", "CEM", report::Rule::CodeFallback),
    ] {
        let made = of(code, said);
        assert_eq!(made.alert.info[0].event_code[0].value, same, "{code} {said}");
        assert!(made.report.lines.iter().any(|l| l.rule == rule), "{code} {said}");
    }
    // One of two infos says nothing of it: what the other says counts.
    let text = SARNIA.replace(">chemical<", ">tornado<").replacen(
        "<area>",
        "<parameter><valueName>layer:EC-MSC-SMC:1.0:Alert_Type</valueName><value>watch</value></parameter><area>",
        1,
    );
    assert_eq!(made(&text, Target::Ipaws, AT).unwrap().alert.info[0].event_code[0].value, "TOA");
}

#[test]
fn one_code_for_many_says_what_else_it_may_be() {
    let made = made(RIVER, Target::CapCp, AT).unwrap();
    let line = made.report.lines.iter().find(|l| l.rule == report::Rule::CodeOfMany).unwrap();
    assert_eq!(line.detail, "HMW → hazmat; it may also be chemical, fallObject, industryFire");
    assert_eq!(line.row.as_ref().map(|r| (r.table, r.key.as_str())), Some(("events_same", "HMW")));
}

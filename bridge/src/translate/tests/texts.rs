//! What of a person, of a watch and of another's marks crosses the border.

use super::*;

fn sarnia(headline: &str, more: &str) -> String {
    SARNIA.replacen("<headline>Chlorine release", &format!("<headline>{headline}"), 1).replacen(
        "<contact>",
        &format!("{more}<contact>"),
        1,
    )
}

#[test]
fn numbers_of_persons_are_taken_out_of_texts_and_lines_of_the_public_stay() {
    let text = sarnia("SIN 046 454 286, DOB 1984-05-31, call 519-555-0100", "");
    let plain = made(&text, Target::Ipaws, AT).unwrap();
    assert_eq!(
        plain.alert.info[0].headline.as_deref(),
        Some("SIN [withheld], DOB [withheld], call 519-555-0100")
    );
    let words = plain.report.to_words();
    assert!(words.contains("birth-date, sin") && words.contains("phone"), "{words}");
    assert!(!words.contains("046 454 286") && !words.contains("1984-05-31"), "the report tells: {words}");
}

#[test]
fn nothing_crosses_under_the_beginning_of_a_name_or_with_a_password() {
    let parameter =
        |name: &str| format!("<parameter><valueName>{name}</valueName><value>Jane</value></parameter>");
    let more = parameter("VTECcontact") + &parameter("timezoneOperator") + &parameter("capbridge:contact");
    let text = sarnia("Chlorine", &more).replacen(
        "<contact>",
        "<web>https://jane:secret@desk.example.test/</web><contact>",
        1,
    );
    let text = text.replacen(&more, "", 1).replacen("<area>", &format!("{more}<area>"), 1);
    let made = made(&text, Target::Ipaws, AT).unwrap();
    assert!(!made.xml.contains("Jane") && !made.xml.contains("secret"), "{}", made.xml);
}

#[test]
fn a_forged_origin_stands_beside_the_true_one_or_goes() {
    let parameter = |name: &str, value: &str| {
        format!("<parameter><valueName>{name}</valueName><value>{value}</value></parameter>")
    };
    let true_one = "em@lambton.example.test,LAMBTON-1,2026-03-01T12:02:05-05:00";
    let origin = parameter("capbridge:origin", "else@example.test,X,2026-03-01T12:00:00-05:00");
    let alone = SARNIA.replace("<area>", &format!("{origin}<area>"));
    let made_alone = made(&alone, Target::Ipaws, AT).unwrap();
    assert!(!made_alone.xml.contains("else@example.test") && made_alone.xml.contains(true_one));
    let traced = origin + &parameter("capbridge:trace", "another");
    let both = made(&SARNIA.replace("<area>", &format!("{traced}<area>")), Target::Ipaws, AT).unwrap();
    assert!(both.xml.contains("else@example.test") && both.xml.contains(true_one));
}

#[test]
fn a_watch_never_becomes_a_warning() {
    let coded = |name: &str, code: &str| {
        RIVER.replace(
            "<valueName>SAME</valueName><value>HMW",
            &format!("<valueName>{name}</valueName><value>{code}"),
        )
    };
    let typed = |event: &str, kinds: [&str; 2]| {
        let mut parts = SARNIA.replace("chemical<", &format!("{event}<"));
        for (area, kind) in ["<area>", "<area >"].into_iter().zip(kinds) {
            let parameter = match kind {
                "" => String::new(),
                kind => format!(
                    "<parameter><valueName>layer:EC-MSC-SMC:1.0:Alert_Type</valueName><value>{kind}</value></parameter>"
                ),
            };
            parts = parts.replacen("<area>", &format!("{parameter}<area >"), 1);
            let _ = area;
        }
        parts
    };
    let cases = [
        (coded("SAME", "EVA"), "CEM"),
        (coded("SAME", "DBA"), "LAE"),
        (typed("tornado", ["watch", "watch"]), "TOA"),
        (typed("tornado", ["watch", ""]), "TOA"),
        (typed("tornado", ["watch", "warning"]), "TOR"),
        (typed("tornado", ["", ""]), "TOR"),
        (typed("forestFire", ["watch", "watch"]), "CEM"),
    ];
    for (text, expected) in cases {
        let made = made(&text, Target::Ipaws, AT).unwrap();
        let code = made.alert.info[0].event_code.iter().find(|c| c.value_name == "SAME").unwrap();
        assert_eq!(code.value, expected, "{text}");
        if expected == "CEM" {
            assert_eq!(made.report.severity(), Severity::Alarm);
        }
    }
}

#[test]
fn what_cannot_be_followed_or_read_is_said() {
    let own = "em@lambton.example.test,LAMBTON-1,2026-03-01T12:02:05-05:00";
    let update = |references: &str| {
        SARNIA
            .replace("<msgType>Alert", "<msgType>Update")
            .replace("</code><info>", &format!("</code><references>{references}</references><info>"))
    };
    let itself = made(&update(own), Target::Ipaws, AT).unwrap();
    assert_eq!((itself.msg_type, itself.alert.references), (MsgType::Alert, None));
    let mixed = format!(
        "em@lambton.example.test,LAMBTON-0,2026-03-01T11:00:00-05:00 em@x.example.test,B,notatime {own}"
    );
    let mixed = made(&update(&mixed), Target::Ipaws, AT).unwrap();
    assert_eq!(mixed.alert.references.unwrap().split(' ').count(), 1);
    assert!(mixed.report.lines.iter().any(|l| l.rule.id() == "lifecycle.reference-unusable"));
    let nowhere = SARNIA.replace("42.9745,-82.4066 4", "91.0,-82.4066 4");
    assert_eq!(made(&nowhere, Target::Ipaws, AT), Err(NotSent::Unreadable));
}

#[test]
fn each_english_block_of_an_alert_gets_its_french_one_and_a_cancel_says_so() {
    let (head, info) = RIVER.split_once("<info>").unwrap();
    let info = info.replace("</alert>", "");
    let two = format!("{head}<info>{info}<info>{}</alert>", info.replace("42.9", "42.8"));
    let made_two = made(&two, Target::CapCp, AT).unwrap();
    assert_eq!(made_two.alert.info.len(), 4);
    let cancel = RIVER.replace("<msgType>Alert", "<msgType>Cancel").replace(
        "</code><info>",
        "</code><references>hmw@stclair.example.test,A,2026-03-01T11:00:00-05:00</references><info>",
    );
    let made = made(&cancel, Target::CapCp, AT).unwrap();
    let french = made.alert.info.last().unwrap();
    assert_eq!(french.headline.as_deref(), Some("Matières dangereuses - annulé"));
}

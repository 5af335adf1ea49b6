//! What a mail holds, and what text of an alert cannot do to it.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::endpoint::Prior;

/// Text that tries everything: lines of its own, headers, boundaries, a lone dot, markup, directions of writing.
const NASTY: &str = "x\r\nBcc: victim@example.test\r\n\r\n.\r\nRSET\r\nMAIL FROM:<a@b.test>\n.\n--=_m_msg_1\n\
                     Content-Type: text/html\n<script>alert(1)</script>\u{202e}gnp.exe\u{200b}=?utf-8?q?=0D=0A?=";

fn cap(scope: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('\r', "&#13;").replace('\n', "&#10;");
    let restriction = if scope == "Restricted" { "<restriction>fire services</restriction>" } else { "" };
    let addresses = if scope == "Private" { "<addresses>a</addresses>" } else { "" };
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>I1</identifier><sender>s@h.test</sender>\
         <sent>2026-03-01T12:00:00-05:00</sent><status>Actual</status><msgType>Alert</msgType><scope>{scope}</scope>\
         {restriction}{addresses}<info><language>en-CA</language><category>Safety</category><event>{text}</event>\
         <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>\
         <headline>{text}</headline><description>{text}</description><instruction>{text}</instruction>\
         <web>{text}</web><contact>{text}</contact><area><areaDesc>{text}</areaDesc></area></info>\
         <info><language>fr-CA</language><category>Safety</category><event>Événement</event>\
         <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>\
         <headline>Fuite de gaz à Québec</headline><area><areaDesc>Québec</areaDesc></area></info></alert>"
    )
}

pub(in crate::email) fn message(cap: &str, class: &str, exercise: Option<&str>, msg_type: &str) -> Message {
    let body = json!({
        "type": "alert.relayed",
        "timestamp": "2026-03-01T17:00:03Z",
        "data": {
            "usage": {"class": class, "exercise": exercise},
            "msg_type": msg_type,
            "reference": "s@h.test,I1,2026-03-01T12:00:00-05:00",
            "cap": cap,
            "cap_encoding": "utf-8",
            "trail": {"origin": "hub", "system": "masas", "reference": "a,b,c", "translated": false},
        }
    });
    Message {
        id: "msg_1".into(),
        msg_type: MsgType::Alert,
        reference: "s@h.test,I1,2026-03-01T12:00:00-05:00".into(),
        body: Bytes::from(body.to_string()),
        content_type: "application/json".into(),
        attempt: 1,
        maybe_delivered: false,
        prior: vec![],
    }
}

fn made(message: &Message) -> String {
    let from = "Bridge <alerts@bridge.test>".parse().unwrap();
    let to = "duty@county.test".parse().unwrap();
    String::from_utf8(make(&from, &to, message).unwrap().bytes).unwrap()
}

/// The value of a header, unfolded.
fn header(mail: &str, name: &str) -> Option<String> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let prefix = format!("{name}: ");
    head.split("\r\n").find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

// A-28, F29: CRLF in every field, lone LF and dot, long lines, 8 bit.
#[test]
fn text_of_an_alert_makes_neither_headers_nor_parts_nor_lines_of_its_own() {
    let long = format!("{NASTY} {}", "é".repeat(5_000));
    for text in [NASTY, &long] {
        for (class, exercise) in [("live", None), ("exercise", Some(text)), ("test", None)] {
            let mail = made(&message(&cap("Public", text), class, exercise, "Alert"));
            assert!(mail.is_ascii(), "everything is encoded");
            assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "every line ends in CR LF");
            assert!(mail.split("\r\n").all(|line| line.len() <= 998), "RFC 5322 section 2.1.1");
            let (head, body) = mail.split_once("\r\n\r\n").unwrap();
            let mut names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split_once(':').unwrap().0)
                .collect();
            names.retain(|name| !matches!(*name, "Importance" | "X-Priority"));
            let expected = [
                "From",
                "To",
                "Date",
                "Message-ID",
                "Subject",
                "Auto-Submitted",
                "X-Auto-Response-Suppress",
                "X-Capbridge-Class",
                "MIME-Version",
                "Content-Type",
            ];
            assert_eq!(names, expected);
            let boundaries: Vec<&str> = body.split("\r\n").filter(|line| line.starts_with("--=_")).collect();
            let expected = [
                "--=_m_msg_1",
                "--=_a_msg_1",
                "--=_a_msg_1",
                "--=_a_msg_1--",
                "--=_m_msg_1",
                "--=_m_msg_1--",
            ];
            assert_eq!(boundaries, expected);
            let (_, html) = body.split_once("<!DOCTYPE html>").unwrap();
            assert!(!html.contains("<script"), "markup of the alert is text");
        }
    }
}

#[test]
fn the_subject_begins_with_the_class_and_keeps_what_is_not_public() {
    let cases = [
        ("live", None, "Alert", "Public", "ALERT / ALERTE: Tornado (Extreme) =?"),
        ("live", None, "Update", "Public", "UPDATE / "),
        ("live", None, "Cancel", "Public", "CANCELLED / "),
        ("exercise", Some("cause-6"), "Alert", "Public", "EXERCISE / EXERCICE [cause-6]: Tornado (Extreme)"),
        ("exercise", Some("cause-6"), "Cancel", "Public", "EXERCISE / EXERCICE [cause-6] Cancel: Tornado"),
        ("test", None, "Alert", "Public", "TEST: Tornado (Extreme)"),
        ("live", None, "Alert", "Restricted", "ALERT / ALERTE: restricted / diffusion restreinte"),
        ("live", None, "Alert", "Private", "ALERT / ALERTE: private / "),
    ];
    for (class, exercise, msg_type, scope, expected) in cases {
        let mail = made(&message(&cap(scope, "Tornado"), class, exercise, msg_type));
        let subject = header(&mail, "Subject").unwrap();
        assert!(subject.starts_with(expected), "{class} {msg_type} {scope}: {subject}");
        if scope != "Public" {
            assert!(!subject.contains("Tornado"), "{subject}");
        }
        assert_eq!(header(&mail, "X-Capbridge-Class").as_deref(), Some(class));
        let urgent = header(&mail, "X-Priority").is_some();
        assert_eq!(urgent, class == "live", "nobody is woken for an exercise");
        assert_eq!(mail.contains("EXERCISE =E2=80=93 EXERCISE"), class == "exercise", "the banner");
        assert_eq!(mail.contains("<h1>TEST"), class == "test");
    }
}

#[test]
fn a_headline_cannot_make_an_exercise_look_real() {
    let text = "ALERT / ALERTE: the dam breaks";
    let mail = made(&message(&cap("Public", text), "exercise", Some("cause"), "Alert"));
    assert!(header(&mail, "Subject").unwrap().starts_with("EXERCISE / EXERCICE [cause]: ALERT"));
}

// the same name and the same bytes over retries; later messages of the chain refer to it.
#[test]
fn a_mail_is_the_same_on_every_attempt_and_names_what_went_before() {
    let first = message(&cap("Public", "Tornado"), "live", None, "Alert");
    let again = Message { attempt: 7, maybe_delivered: true, ..first.clone() };
    assert_eq!(made(&first), made(&again));
    assert_eq!(header(&made(&first), "Message-ID").as_deref(), Some("<msg_1@bridge.test>"));
    assert_eq!(header(&made(&first), "Date").as_deref(), Some("Sun, 01 Mar 2026 17:00:03 +0000"));
    let at = |location: &str| Prior { reference: "a,b,c".into(), location: Some(location.into()) };
    let prior = vec![at("<msg_0@bridge.test>"), at("<x>\r\nBcc: y@z.test"), at("<msg_9@bridge.test>")];
    let update = made(&Message { prior, ..first });
    assert_eq!(header(&update, "In-Reply-To").as_deref(), Some("<msg_9@bridge.test>"));
    assert_eq!(header(&update, "References").as_deref(), Some("<msg_0@bridge.test> <msg_9@bridge.test>"));
}

#[test]
fn every_language_is_there_with_its_own_labels() {
    let mail = made(&message(&cap("Public", "Tornado"), "live", None, "Alert"));
    for expected in ["Severity, urgency, certainty: Extreme, Immediate, Observed", "R=C3=A9gion: Qu=C3=A9bec"]
    {
        assert!(mail.contains(expected), "{expected}\n{mail}");
    }
}

#[test]
fn what_is_not_a_relayed_alert_is_no_mail() {
    let good = message(&cap("Public", "x"), "live", None, "Alert");
    let from: Mailbox = "a@b.test".parse().unwrap();
    let internal = message(&cap("Public", "x"), "internal", None, "Alert");
    let broken = message("<alert", "live", None, "Alert");
    let odd = Message { body: Bytes::from_static(b"[]"), ..good };
    for bad in [internal, broken, odd] {
        assert!(make(&from, &from, &bad).is_err());
    }
}

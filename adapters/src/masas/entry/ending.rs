//! From an entry that its author ended to a Cancel of the CAP alert that it still holds.
//!
//! No client of a hub deletes: an author ends an entry by setting its `age:expires` to now, and the alert inside is left
//! as it was. Whoever reads the alert alone would go on warning. The Cancel speaks for the alert's sender, whose entry it
//! is; its `source`, `note` and identifier say what it was made of. INFERRED, as all of `entry`.

use std::fmt::Write;

use cap_schema::{Alert, Code, Limits, MsgType, Status, Time};
use jiff::{SignedDuration, Timestamp};

use super::document::Out;
use super::{EntryError, EntrySettings, Made, cap_time, document, finding};
use crate::atom::Entry;

/// How what is handed over begins; the length of the entry in bytes, and the entry and the alert follow it unchanged.
const HEAD: &str = "masas-ending ";

/// How an author ends an entry whose alert goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::masas) enum Ending {
    /// Its end was set to now.
    Ended,
    /// Its status was taken back: the alert says Actual, and the entry that it is none.
    Demoted,
}

/// Whether the author changed the entry after it was posted.
pub(in crate::masas) fn is_revised(entry: &Entry) -> bool {
    // A hub's times have a resolution of a second.
    let is_later = entry.published.zip(entry.updated).is_some_and(|(published, updated)| published < updated);
    entry.edited.is_some() || is_later
}

/// How the author ended the entry, where its alert says that it goes on.
pub(in crate::masas) fn ending(entry: &Entry, cap: &[u8], settings: &EntrySettings) -> Option<Ending> {
    let updated = entry.updated?;
    let slack = SignedDuration::from_secs(i64::from(settings.cancel_slack_secs));
    let alert = cap_schema::parse_owned(cap, &Limits::default()).ok()?.alert;
    match alert.msg_type {
        Code::Known(MsgType::Alert | MsgType::Update) => {}
        Code::Known(MsgType::Cancel | MsgType::Ack | MsgType::Error) | Code::Unknown(_) => return None,
    }
    if is_demoted(entry, &alert) {
        return Some(Ending::Demoted);
    }
    let ended = entry.expires.is_some_and(|expires| expires.duration_since(updated) <= slack);
    let goes_on = alert.info.iter().any(|info| match info.expires.as_ref().and_then(instant) {
        Some(expires) => expires.duration_since(updated) > slack,
        None => true,
    });
    (ended && goes_on && is_revised(entry)).then_some(Ending::Ended)
}

/// Whether an entry is no real event, or says no such thing of itself, where its alert says that it is one. Only an entry
/// that is Actual and nothing else is believed to be.
fn is_demoted(entry: &Entry, alert: &Alert<'_>) -> bool {
    let mut terms = entry.terms(document::STATUS).peekable();
    alert.status == Code::Known(Status::Actual)
        && (terms.peek().is_none() || terms.any(|term| !term.trim().eq_ignore_ascii_case("Actual")))
}

/// The entry and its alert as one document, each byte for byte.
pub(in crate::masas) fn both(entry: &[u8], cap: &[u8]) -> Vec<u8> {
    let mut out = format!("{HEAD}{}\n", entry.len()).into_bytes();
    out.extend_from_slice(entry);
    out.extend_from_slice(cap);
    out
}

/// Makes the Cancel: pure, the same bytes for the same entry and alert.
///
/// # Errors
/// See `EntryError`; such a document goes to quarantine.
pub fn to_cancel(raw: &[u8], settings: &EntrySettings) -> Result<Made, EntryError> {
    let (entry, cap) = parts(raw).ok_or(EntryError::NotBoth)?;
    let entry = Entry::read(entry).map_err(|cause| EntryError::Unreadable { cause })?;
    let id = entry.id.as_deref().ok_or(EntryError::Missing { element: "id" })?;
    let updated = entry.updated.ok_or(EntryError::Missing { element: "updated" })?;
    let parsed = cap_schema::parse_owned(cap, &Limits::default()).map_err(|_| EntryError::NotBoth)?;
    let alert = &parsed.alert;
    let began = instant(&alert.sent).unwrap_or(updated);
    let (name, sent, words) = if is_demoted(&entry, alert) {
        // The same for each later version of the entry: what is taken back is taken back once.
        let sent = began.saturating_add(SignedDuration::from_secs(1)).unwrap_or(began);
        let words =
            format!("the author of {id} says that it is no real event, and the alert in it says Actual");
        (format!("{}-taken-back", document::name(id, began)), sent, words)
    } else {
        let at = cap_time(updated);
        let words = format!("the author of {id} ended it at {at}, and the alert in it goes on");
        (document::name(id, updated), shortly_after(began, updated), words)
    };
    let cap = cancel(alert, &name, sent, (settings.hub_host(), &words));
    Ok(Made { cap, findings: vec![finding("masas.ended", format!("made a Cancel: {words}"))] })
}

fn cancel(alert: &Alert<'_>, identifier: &str, sent: Timestamp, (host, words): (&str, &str)) -> Vec<u8> {
    let mut out = Out(String::with_capacity(1_024));
    out.0.push_str(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    out.0.push_str(r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">"#);
    out.element("identifier", identifier);
    out.element("sender", &alert.sender);
    out.element("sent", &cap_time(sent));
    out.element("status", alert.status.as_str());
    out.element("msgType", "Cancel");
    out.element("source", &format!("MASAS {host}"));
    // For those who have the alert, and for nobody else.
    if let Some(scope) = &alert.scope {
        out.element("scope", scope.as_str());
    }
    for (name, value) in [("restriction", &alert.restriction), ("addresses", &alert.addresses)] {
        if let Some(value) = value {
            out.element(name, value);
        }
    }
    out.element("note", &format!("Made by the reader of the hub: {words}."));
    let mut reference = String::new();
    let of = alert.reference();
    // Writing to a String does not fail.
    let _ = write!(reference, "{},{},{}", of.sender, of.identifier, of.sent);
    out.element("references", &reference);
    out.0.push_str("</alert>");
    out.0.into_bytes()
}

/// When the Cancel says that it was sent: as the entry ended, but at most a minute after the alert. One that is sent later
/// means what took the alert's place as well (docs/delivery.md, D-14), and this one means what its entry holds: an author
/// who goes on in another entry ends the first as well.
fn shortly_after(sent: Timestamp, updated: Timestamp) -> Timestamp {
    updated.min(sent.saturating_add(SignedDuration::from_secs(60)).unwrap_or(sent)).max(sent)
}

fn parts(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = raw.strip_prefix(HEAD.as_bytes())?;
    let line = rest.iter().position(|b| *b == b'\n')?;
    let length = std::str::from_utf8(rest.get(..line)?).ok()?.parse().ok()?;
    rest.get(line + 1..)?.split_at_checked(length)
}

fn instant(time: &Time<'_>) -> Option<Timestamp> {
    Timestamp::from_second(time.instant()?.seconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: &str = "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>A&amp;1</identifier>\
        <sender>em@lambton.example.test</sender><sent>2026-03-01T12:00:00-05:00</sent><status>Exercise</status>\
        <msgType>Alert</msgType><scope>Private</scope><addresses>a b</addresses><info><category>Fire</category>\
        <event>Fire</event><urgency>Expected</urgency><severity>Severe</severity><certainty>Likely</certainty>\
        <expires>2026-03-01T20:00:00-05:00</expires></info></alert>";

    fn entry(updated: &str, expires: &str) -> String {
        format!(
            "<entry xmlns='http://www.w3.org/2005/Atom'><id>masas:entry:7</id><published>2026-03-01T17:00:00Z</published>\
             <updated>{updated}</updated><expires xmlns='http://purl.org/atompub/age/1.0'>{expires}</expires></entry>"
        )
    }

    #[test]
    fn an_entry_that_its_author_ended_makes_a_cancel_of_its_alert() {
        let raw = both(entry("2026-03-01T18:00:00Z", "2026-03-01T18:00:00Z").as_bytes(), CAP.as_bytes());
        let made = to_cancel(&raw, &EntrySettings::default()).unwrap();
        assert_eq!(made, to_cancel(&raw, &EntrySettings::default()).unwrap());
        assert_eq!(made.findings.iter().map(|f| f.rule).collect::<Vec<_>>(), ["masas.ended"]);
        let parsed = cap_schema::parse_owned(&made.cap, &Limits::default()).unwrap();
        assert!(parsed.accepted() && parsed.findings.is_empty(), "{:?}", parsed.findings);
        let alert = parsed.alert;
        assert_eq!(alert.msg_type, Code::Known(MsgType::Cancel));
        assert_eq!(
            alert.reference().to_string(),
            "em@lambton.example.test,masas-7-20260301T180000Z,2026-03-01T17:01:00-00:00"
        );
        assert_eq!(
            alert.references.as_deref(),
            Some("em@lambton.example.test,A&1,2026-03-01T12:00:00-05:00")
        );
        assert_eq!((alert.status.as_str(), alert.addresses.as_deref()), ("Exercise", Some("a b")));
        assert!(alert.note.unwrap().contains("masas:entry:7"));
        for broken in
            [&b"masas-ending 9\n<a/>"[..], b"<a/>", b"masas-ending x\n", b"masas-ending 4\n<a/>no alert"]
        {
            assert!(to_cancel(broken, &EntrySettings::default()).is_err());
        }
    }

    #[test]
    fn only_an_entry_that_ends_before_its_alert_was_ended() {
        let (at, later) = ("2026-03-01T18:00:00Z", "2026-03-02T18:00:00Z");
        let over = CAP.replace("20:00:00-05:00", "13:00:00-05:00");
        let cases = [
            (entry(at, at), CAP.to_owned(), true),
            (entry(at, "2026-03-01T18:00:05Z"), CAP.to_owned(), true),
            (entry(at, at), CAP.replace("<expires>2026-03-01T20:00:00-05:00</expires>", ""), true),
            (entry(at, later), CAP.to_owned(), false),
            (entry("2026-03-01T17:00:00Z", at), CAP.to_owned(), false),
            (entry(at, at), over, false),
            (entry(at, at), CAP.replace(">Alert<", ">Cancel<"), false),
            (entry(at, at), "no alert".to_owned(), false),
        ];
        for (entry, cap, ended) in cases {
            let read = Entry::read(entry.as_bytes()).unwrap();
            let found = ending(&read, cap.as_bytes(), &EntrySettings::default());
            assert_eq!(found, ended.then_some(Ending::Ended), "{entry} {cap}");
        }
    }
    #[test]
    fn an_entry_that_is_no_real_event_any_more_takes_its_alert_back() {
        let later = "2026-03-02T18:00:00Z";
        let actual = CAP.replace(">Exercise<", ">Actual<");
        for (status, cap, expected) in [
            ("Exercise", &actual, true),
            ("Draft", &actual, true),
            ("EXERCISE ", &actual, true),
            ("Excercise", &actual, true),
            ("", &actual, true),
            ("Actual|Exercise", &actual, true),
            ("Exercise|Actual", &actual, true),
            ("none", &actual, true),
            ("Actual", &actual, false),
            ("actual", &actual, false),
            ("Test", &CAP.to_owned(), false),
            ("Test", &actual.replace(">Alert<", ">Cancel<"), false),
        ] {
            let terms = status.split('|').filter(|term| *term != "none");
            let category: String = terms
                .map(|term| format!("<category scheme='masas:category:status' term='{term}'/>"))
                .chain(["</entry>".to_owned()])
                .collect();
            let entry = entry(later, later).replace("<expires", "<x").replace("expires>", "x>");
            let entry = entry.replace("</entry>", &category);
            let read = Entry::read(entry.as_bytes()).unwrap();
            let settings = EntrySettings::default();
            let found = ending(&read, cap.as_bytes(), &settings);
            assert_eq!(found, expected.then_some(Ending::Demoted), "{status}");
            if expected {
                let made = |entry: &str| {
                    String::from_utf8(
                        to_cancel(&both(entry.as_bytes(), cap.as_bytes()), &settings).unwrap().cap,
                    )
                    .unwrap()
                };
                let first = made(&entry);
                assert!(first.contains("<status>Actual</status><msgType>Cancel</msgType>"), "{first}");
                assert!(first.contains("no real event"), "{first}");
                // A later version takes nothing back that is not taken back.
                assert_eq!(
                    made(&entry.replace("<updated>2026-03-02T18:00:00Z", "<updated>2026-03-02T19:30:00Z")),
                    first
                );
                assert!(entry.contains("<updated>2026-03-02T18:00:00Z"), "{entry}");
            }
        }
    }
}

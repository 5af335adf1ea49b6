//! Entries of our own, shaped like the hub's, and what becomes of them.

use super::*;
use crate::masas::entry::to_cap;
use crate::tree::Element;

const CAP: &str = "urn:oasis:names:tc:emergency:cap:1.2";

fn entry(inside: &str) -> String {
    format!(
        r#"<entry xmlns="http://www.w3.org/2005/Atom" xmlns:georss="http://www.georss.org/georss"
        xmlns:age="http://purl.org/atompub/age/1.0"><author><name>St. Clair EM</name><uri>https://a.example.test/u/2</uri></author>
        <id>masas:entry:c286e671-0eee-488c-b262-d0e9d511dc5f</id>{inside}</entry>"#
    )
}

const BRIDGE: &str = r#"<category scheme="masas:category:status" term="Exercise"/>
    <category scheme="masas:category:severity" term="Moderate"/><category scheme="masas:category:certainty" term="Likely"/>
    <category scheme="masas:category:category" term="Transport"/><category scheme="masas:category:category" term="Infra"/>
    <category scheme="masas:category:icon" term="ems/incident/roadway/bridgeClosure"/>
    <title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><div xml:lang="en">Bridge &amp; ramp closed</div>
    <div xml:lang="fr">Pont fermé</div></div></title>
    <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><div xml:lang="en">Eastbound.</div></div></content>
    <link rel="related" href="https://example.test/bridge"/>
    <link rel="enclosure" type="image/jpeg" title="Image" length="267162" href="https://h/hub/feed/c/content/0"/>
    <georss:polygon>42.996 -82.426 42.996 -82.410 43.002 -82.410 43.002 -82.426 42.996 -82.426</georss:polygon>"#;

fn times(published: &str, updated: &str, expires: &str) -> String {
    format!(
        "<published>{published}</published><updated>{updated}</updated><age:expires>{expires}</age:expires>"
    )
}

fn made(inside: &str) -> (Element, Made) {
    let made = to_cap(entry(inside).as_bytes(), &EntrySettings::default()).unwrap();
    (Element::read(&made.cap).unwrap(), made)
}

fn value(element: &Element, name: &str) -> String {
    element.value(CAP, name).unwrap_or_default()
}

#[test]
fn an_entry_becomes_restricted_cap_in_both_languages() {
    let (alert, made) = made(&format!(
        "{BRIDGE}{}",
        times("2026-03-01T16:58:11Z", "2026-03-01T16:58:11Z", "2026-03-02T05:00:00Z")
    ));
    assert_eq!(value(&alert, "identifier"), "masas-c286e671-0eee-488c-b262-d0e9d511dc5f-20260301T165811Z");
    assert_eq!(value(&alert, "sent"), "2026-03-01T16:58:11-00:00");
    assert_eq!(value(&alert, "status"), "Exercise");
    assert_eq!(value(&alert, "msgType"), "Alert");
    assert_eq!(value(&alert, "scope"), "Restricted");
    assert!(!value(&alert, "restriction").is_empty());
    let infos: Vec<_> = alert.named(CAP, "info").collect();
    let languages: Vec<_> = infos.iter().map(|i| value(i, "language")).collect();
    assert_eq!(languages, ["en-CA", "fr-CA"]);
    let (en, fr) = (infos[0], infos[1]);
    assert_eq!(value(en, "headline"), "Bridge & ramp closed");
    assert_eq!(value(en, "description"), "Eastbound.");
    assert_eq!(value(fr, "headline"), "Pont fermé");
    assert_eq!(fr.child(CAP, "description"), None);
    assert_eq!(value(en, "urgency"), "Unknown");
    assert_eq!(value(en, "severity"), "Moderate");
    assert_eq!(value(en, "certainty"), "Likely");
    assert_eq!(en.named(CAP, "category").map(Element::text).collect::<Vec<_>>(), ["Transport", "Infra"]);
    assert_eq!(value(en, "expires"), "2026-03-02T05:00:00-00:00");
    assert_eq!(value(en, "web"), "https://example.test/bridge");
    let area = en.child(CAP, "area").unwrap();
    assert!(value(area, "polygon").starts_with("42.996,-82.426 42.996,-82.410 "));
    assert_eq!(value(en.child(CAP, "resource").unwrap(), "size"), "267162");
    assert!(!made.findings.is_empty());
}

#[test]
fn the_life_of_an_entry_is_alert_update_cancel() {
    let cases = [
        ("2026-03-01T17:00:00Z", "2026-03-01T17:00:00Z", "2026-03-02T05:00:00Z", "Alert"),
        ("2026-03-01T17:00:00Z", "2026-03-01T17:00:00Z", "2026-03-01T17:00:00Z", "Alert"),
        ("2026-03-01T17:00:00Z", "2026-03-01T17:05:00Z", "2026-03-02T05:00:00Z", "Update"),
        ("2026-03-01T17:00:00Z", "2026-03-01T17:05:00Z", "2026-03-01T17:05:03Z", "Cancel"),
        ("2026-03-01T17:00:00Z", "2026-03-01T17:05:00Z", "2026-03-01T17:04:59Z", "Cancel"),
    ];
    for (published, updated, expires, expected) in cases {
        let (alert, _) = made(&format!("{BRIDGE}{}", times(published, updated, expires)));
        assert_eq!(value(&alert, "msgType"), expected, "{published} {updated} {expires}");
        let references = value(&alert, "references");
        let first = "entries@masas.invalid,masas-c286e671-0eee-488c-b262-d0e9d511dc5f-20260301T170000Z,\
                     2026-03-01T17:00:00-00:00";
        assert_eq!(references, if expected == "Alert" { "" } else { first });
    }
}

#[test]
fn what_an_entry_does_not_say_is_unknown_and_what_it_says_oddly_is_kept() {
    let inside = r#"<category scheme="masas:category:status" term="Test"/><category scheme="masas:category:severity" term="Bad"/>
        <category scheme="masas:category:category" term="Aliens"/><category scheme="masas:category:icon" term="ems/incident/fire/dragon"/>
        <title>x</title><updated>2026-03-01T17:00:00Z</updated><georss:line>1 2 3 4</georss:line>"#;
    let (alert, made) = made(inside);
    let info = alert.child(CAP, "info").unwrap();
    assert_eq!(value(info, "language"), "en-CA");
    assert_eq!(value(info, "category"), "Other");
    assert_eq!((value(info, "severity"), value(info, "certainty")), ("Unknown".into(), "Unknown".into()));
    assert_eq!(value(info, "event"), "Fire");
    assert_eq!(info.child(CAP, "eventCode"), None);
    let parameters: Vec<_> =
        info.named(CAP, "parameter").map(|p| (value(p, "valueName"), value(p, "value"))).collect();
    assert!(parameters.contains(&("layer:MASAS:category".into(), "Aliens".into())));
    assert!(parameters.contains(&("layer:CAPAN:eventLocation:line".into(), "1,2 3,4".into())));
    let rules: Vec<_> = made.findings.iter().map(|f| f.rule.to_string()).collect();
    for rule in ["masas.entry", "masas.language", "masas.term", "masas.icon", "masas.line"] {
        assert!(rules.iter().any(|r| r == rule), "{rule} in {rules:?}");
    }
}

#[test]
fn entries_that_cannot_be_alerts_are_refused() {
    let status = r#"<category scheme="masas:category:status" term="Actual"/>"#;
    let odd = r#"<category scheme="masas:category:status" term="actual"/>"#;
    let updated = "<updated>2026-03-01T17:00:00Z</updated>";
    let cases = [
        (format!("{updated}<title>x</title>"), EntryError::Missing { element: "status category" }),
        (format!("{status}<title>x</title>"), EntryError::Missing { element: "updated" }),
        (format!("{status}{updated}<title> </title>"), EntryError::Missing { element: "title or content" }),
        (format!("{odd}{updated}<title>x</title>"), EntryError::UnknownStatus { status: "actual".into() }),
    ];
    for (inside, expected) in cases {
        assert_eq!(to_cap(entry(&inside).as_bytes(), &EntrySettings::default()), Err(expected), "{inside}");
    }
}

#[test]
fn a_long_title_is_cut_in_the_headline_only() {
    let title = "é".repeat(200);
    let inside = format!(
        r#"<category scheme="masas:category:status" term="Test"/><title>{title}</title><updated>2026-03-01T17:00:00Z</updated>"#
    );
    let (alert, _) = made(&inside);
    let info = alert.child(CAP, "info").unwrap();
    assert_eq!(value(info, "headline").chars().count(), 160);
    assert_eq!(value(info, "description"), title);
    assert_eq!(info.child(CAP, "area"), None);
}

#[test]
fn the_same_entry_makes_the_same_bytes() {
    let inside =
        format!("{BRIDGE}{}", times("2026-03-01T16:58:11Z", "2026-03-01T16:58:11Z", "2026-03-02T05:00:00Z"));
    let once = to_cap(entry(&inside).as_bytes(), &EntrySettings::default());
    assert_eq!(once, to_cap(entry(&inside).as_bytes(), &EntrySettings::default()));
}

//! Values that are of the right type and still cannot be meant: words that CAP does not know, senders that name nobody,
//! addresses that nothing would be sent to.
//!
//! Owns what can be said of them without opening anything. Must not refuse what somebody could mean.

use cap_schema::{Category, Certainty, CodeList, Scope, Severity, Urgency};
use capbridge_adapters::http::HttpSettings;
use url::Url;

use super::{File, RouteTable};

/// Event codes of both systems, in the first column.
const EVENTS: [&str; 3] = [
    include_str!("../../data/events_same.tsv"),
    include_str!("../../data/events_same_radio.tsv"),
    include_str!("../../data/events_capcp.tsv"),
];

/// The keys of an address, in whatever adapter.
const ADDRESSES: [&str; 3] = ["base_url", "hub_url", "url"];

/// Why a text is no CAP `sender` (CAP 1.2 section 3.2.1): `None` if it is one.
pub(super) fn sender_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || ",&<>{}\"'".contains(c)) {
        return Some("holds a character that CAP does not allow in sender");
    }
    let is_unique = match text.split_once('@') {
        Some((name, domain)) => !name.is_empty() && is_domain(domain),
        None => is_domain(text) && text.contains('.') || text.contains(':'),
    };
    (!is_unique).then_some("is neither an address nor a domain name: other senders may have the same")
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        let plain = label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
        !label.is_empty() && plain
    })
}

/// What is the same in every adapter.
pub(super) fn check(file: &mut File<'_>, http: Option<&HttpSettings>) {
    check_senders(file);
    http.into_iter().for_each(|http| check_reach(file, http));
}

/// The registered senders of endpoints.
fn check_senders(file: &mut File<'_>) {
    for name in file.names("endpoint") {
        for kind in ["email", "ipaws", "masas", "webhook"] {
            let path = ["endpoint", &name, kind, "sender"];
            // The sender of a mail is that of a mail.
            let Some(text) = file.text_at(&path).filter(|_| kind != "email") else { continue };
            if let Some(problem) = sender_fault(&text) {
                file.fault(&path.join("."), problem, "use name@domain, as it is registered there");
            }
        }
    }
}

/// What a route filters by.
pub(super) fn check_filters(file: &mut File<'_>, at: &str, table: &RouteTable) {
    words::<Category>(file, at, "categories", &table.categories);
    words::<Severity>(file, at, "severities", &table.severities);
    words::<Urgency>(file, at, "urgencies", &table.urgencies);
    words::<Certainty>(file, at, "certainties", &table.certainties);
    words::<Scope>(file, at, "scopes", &table.scopes);
    for event in &table.events {
        let (problem, remedy) = match event_fault(event) {
            None => continue,
            Some(Some(known)) => (format!("{event} matches no alert"), format!("write \"{known}\"")),
            Some(None) => (
                format!("{event:?} is not an event code"),
                "write the code, such as \"TOR\" (SAME) or \"tornado\" (CAP-CP)".to_owned(),
            ),
        };
        file.fault(&format!("{at}.events"), &problem, &remedy);
    }
    for language in &table.languages {
        let mut parts = language.split('-');
        let is_part = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric());
        let primary = parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && is_part(p));
        if !primary || !parts.all(|part| (1..=8).contains(&part.len()) && is_part(part)) {
            let problem = format!("{language:?} is not a language");
            file.fault(&format!("{at}.languages"), &problem, "write it as \"en\", \"fr\" or \"fr-CA\"");
        }
    }
}

fn words<T: CodeList>(file: &mut File<'_>, at: &str, key: &str, words: &[String]) {
    for word in words.iter().filter(|word| T::from_text(word).is_none()) {
        let all: Vec<&str> = T::ALL.iter().map(|known| known.as_str()).collect();
        let problem = format!("{word} is not a CAP {}", T::ELEMENT);
        file.fault(&format!("{at}.{key}"), &problem, &format!("the values are {}", all.join(", ")));
    }
}

/// Whether a code can be none: `Some(Some(…))` where it is a known one in other letters. Codes of other lists are let
/// through: alerts may carry them.
fn event_fault(code: &str) -> Option<Option<&'static str>> {
    if code.is_empty() || code.chars().any(char::is_whitespace) {
        return Some(None);
    }
    let rows = EVENTS.iter().flat_map(|table| table.lines().filter(|l| !l.starts_with('#')).skip(1));
    let mut near = None;
    for known in rows.filter_map(|row| row.split('\t').next()) {
        if known == code {
            return None;
        }
        if known.eq_ignore_ascii_case(code) {
            near = Some(known);
        }
    }
    near.map(Some)
}

/// Addresses that the HTTP client would refuse, as far as that is known before their names are looked up.
fn check_reach(file: &mut File<'_>, http: &HttpSettings) {
    for side in ["source", "endpoint"] {
        for name in file.names(side) {
            for kind in file.tables_under(&[side, &name]) {
                for key in ADDRESSES {
                    let path = [side, name.as_str(), kind.as_str(), key];
                    let url = file.text_at(&path).and_then(|text| Url::parse(&text).ok());
                    let Some(error) = url.and_then(|url| http.refuses(&url)) else { continue };
                    let remedy = "if it is yours, name it in [network] allow_private = [\"10.1.2.3\"]; else use https \
                                  and a public address";
                    file.fault(&path.join("."), &error.to_string(), remedy);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_names_somebody() {
        for good in [
            "a@b",
            "em@lambton.example.test",
            "w-nws.webmaster@noaa.gov",
            "cap.example.test",
            "urn:oid:2.49.0.1.124",
        ] {
            assert_eq!(sender_fault(good), None, "{good}");
        }
        for bad in ["", "a b@c", "bridge", "@b", "a@", "a@b@c", "a@.b", "a.b.", "a,b@c", "a<b@c"] {
            assert!(sender_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_known_event_in_other_letters_matches_nothing() {
        for (code, expected) in [
            ("TOR", None),
            ("tornado", None),
            ("X-own:7", None),
            ("tor", Some(Some("TOR"))),
            ("Tornado", Some(Some("tornado"))),
            ("Tornado Warning", Some(None)),
            ("", Some(None)),
        ] {
            assert_eq!(event_fault(code), expected, "{code}");
        }
    }
}

//! Rules on texts, languages and named values (CAP 1.2 section 3.2.2, 3.3.3; V13, V14, V20, V22, V23, V25, N4, N9).

use std::collections::HashSet;

use super::Findings;
use super::resource::is_absolute;
use crate::alert::Alert;
use crate::area::Area;
use crate::info::{Info, NamedValue};
use crate::time::Time;

/// Comparisons of places that one alert may cost; beyond it overriding infos are not looked for.
const BUDGET: usize = 100_000;

pub(super) fn check(alert: &Alert<'_>, out: &mut Findings) {
    if let Some(note) = &alert.note {
        markup(note, out, || "/alert/note".to_owned());
    }
    for (index, info) in alert.info.iter().enumerate() {
        one_info(index + 1, info, out);
    }
    let mut budget = BUDGET;
    for (index, later) in alert.info.iter().enumerate() {
        for earlier in alert.info.iter().take(index) {
            between(index + 1, earlier, later, &mut budget, out);
        }
    }
}

fn one_info(number: usize, info: &Info<'_>, out: &mut Findings) {
    let path = |name: &str| format!("/alert/info[{number}]/{name}");
    if let Some(language) = &info.language
        && !is_language(language)
    {
        let shown: String = language.chars().take(40).collect();
        out.add(
            "cap.language.syntax",
            path("language"),
            format!("'{}' is not a language tag", shown.escape_debug()),
        );
    }
    if info.headline.as_ref().is_some_and(|h| h.len() > 160 && h.chars().nth(160).is_some()) {
        out.add("cap.headline.long", path("headline"), "a headline of more than 160 characters");
    }
    if let Some(web) = &info.web
        && !is_absolute(web.trim())
    {
        out.add("cap.web.absolute", path("web"), "web is not an absolute URI");
    }
    markup(&info.event, out, || path("event"));
    let texts = [
        ("audience", &info.audience),
        ("senderName", &info.sender_name),
        ("headline", &info.headline),
        ("description", &info.description),
        ("instruction", &info.instruction),
        ("contact", &info.contact),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            markup(text, out, || path(name));
        }
    }
    for (name, list) in [("eventCode", &info.event_code), ("parameter", &info.parameter)] {
        for (at, pair) in list.iter().enumerate() {
            named_value(pair, out, || path(&format!("{name}[{}]", at + 1)));
        }
    }
    for (at, area) in info.area.iter().enumerate() {
        markup(&area.area_desc, out, || path(&format!("area[{}]/areaDesc", at + 1)));
        for (nth, pair) in area.geocode.iter().enumerate() {
            named_value(pair, out, || path(&format!("area[{}]/geocode[{}]", at + 1, nth + 1)));
        }
    }
}

/// V25 and N9.
fn named_value(pair: &NamedValue<'_>, out: &mut Findings, path: impl Fn() -> String) {
    let name = pair.value_name.trim();
    if name.is_empty() {
        out.add("cap.pair.empty-name", path() + "/valueName", "valueName is empty");
    }
    if pair.value.trim().is_empty() {
        out.add("cap.pair.empty-value", path() + "/value", "value is empty");
    }
    const ACRONYMS: [&str; 4] = ["SAME", "FIPS", "ZIP", "UGC"];
    if name.len() <= 8 && !ACRONYMS.contains(&name) {
        let same = |acronym: &str| {
            let letters = name.chars().filter(|c| *c != '.');
            letters.map(|c| c.to_ascii_uppercase()).eq(acronym.chars())
        };
        if ACRONYMS.into_iter().any(same) {
            let message = format!("'{name}' is written in capitals without periods");
            out.add("cap.value-name.form", path() + "/valueName", message);
        }
    }
}

/// V22: entities and tags of HTML that show as such.
fn markup(text: &str, out: &mut Findings, path: impl Fn() -> String) {
    if memchr::memchr2(b'&', b'<', text.as_bytes()).is_none() {
        return;
    }
    if has_entity(text) {
        out.add("cap.text.html-entity", path(), "an HTML entity in text");
    }
    if has_tag(text) {
        out.add("cap.text.html-tag", path(), "an HTML tag in text");
    }
}

fn has_entity(text: &str) -> bool {
    text.split('&').skip(1).any(|rest| {
        let Some((name, _)) = rest.split_once(';') else { return false };
        let digits = name.strip_prefix('#').map(|d| d.strip_prefix(['x', 'X']).unwrap_or(d));
        match digits {
            Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
            None => (2..=31).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric()),
        }
    })
}

fn has_tag(text: &str) -> bool {
    text.split('<').skip(1).any(|rest| {
        let name = rest.strip_prefix('/').unwrap_or(rest);
        // <https://...> and <a@b> are addresses.
        let named = name.split_once('>').is_some_and(|(inside, _)| {
            let word = inside.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or("");
            !word.contains([':', '@'])
        });
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && named
    })
}

/// The texts that name the places of an info.
fn places<'i>(info: &'i Info<'_>) -> impl Iterator<Item = &'i str> {
    let of = |area: &'i Area<'_>| {
        let shapes = area.polygon.iter().map(|p| p.as_str()).chain(area.circle.iter().map(|c| c.as_str()));
        shapes.chain(area.geocode.iter().map(|g| g.value.as_ref()))
    };
    info.area.iter().flat_map(of)
}

/// V14 and N4.
fn between(number: usize, earlier: &Info<'_>, later: &Info<'_>, budget: &mut usize, out: &mut Findings) {
    fn language<'i>(info: &'i Info<'_>) -> &'i str {
        info.language.as_deref().unwrap_or("en-US")
    }
    if !language(earlier).eq_ignore_ascii_case(language(later)) {
        fn texts<'i>(info: &'i Info<'_>) -> [(&'static str, Option<&'i str>); 4] {
            [
                ("event", Some(&info.event)),
                ("headline", info.headline.as_deref()),
                ("description", info.description.as_deref()),
                ("instruction", info.instruction.as_deref()),
            ]
        }
        let mut pairs = texts(earlier).into_iter().zip(texts(later));
        if let Some(((name, _), _)) = pairs.find(|((_, a), (_, b))| a.is_some() && a == b) {
            let path = format!("/alert/info[{number}]/{name}");
            out.add("cap.text.same-in-two-languages", path, format!("{name} is the same in two languages"));
        }
        return;
    }
    // Times are compared as what they mean; what is no time was found already.
    let end = |info: &Info<'_>| info.expires.as_ref().and_then(Time::instant);
    let differs = earlier.urgency != later.urgency
        || earlier.severity != later.severity
        || earlier.certainty != later.certainty
        || matches!((end(earlier), end(later)), (Some(a), Some(b)) if a != b);
    let overlaps = |left: &mut usize| {
        let shown: HashSet<&str> = places(earlier).take(*left).collect();
        *left = left.saturating_sub(shown.len() + 1);
        let mut later = places(later).take(*left);
        later.any(|place| {
            *left = left.saturating_sub(1);
            shown.contains(place)
        })
    };
    let same_event = earlier.event_code == later.event_code
        || earlier.event_code.is_empty()
        || later.event_code.is_empty();
    if differs && same_event && overlaps(budget) {
        let path = format!("/alert/info[{number}]");
        out.add(
            "cap.info.override",
            path,
            "other urgency, severity, certainty or expires for a place of an earlier info",
        );
    }
}

/// RFC 3066: one to eight letters, then groups of one to eight letters or digits.
pub(crate) fn is_language(text: &str) -> bool {
    let mut groups = text.split('-');
    let primary = groups.next().unwrap_or("");
    (1..=8).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && groups.all(|g| (1..=8).contains(&g.len()) && g.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Profile, parse_owned, validate};

    #[test]
    fn a_later_info_gives_no_other_values_for_the_place_of_an_earlier_one() {
        let info = |urgency: &str, expires: &str| {
            format!(
                "<info><category>Met</category><event>Wind</event><urgency>{urgency}</urgency><severity>Minor</severity>\
                 <certainty>Likely</certainty>{expires}<area><areaDesc>a</areaDesc><circle>42,-82 3</circle></area></info>"
            )
        };
        let noon = "<expires>2026-03-01T12:00:00-05:00</expires>";
        for (urgency, expires, found) in [
            ("Future", noon, false),
            // The same instant, and none.
            ("Future", "<expires>2026-03-01T17:00:00-00:00</expires>", false),
            ("Future", "", false),
            ("Future", "<expires>2026-03-01T12:00:01-05:00</expires>", true),
            ("Past", noon, true),
        ] {
            let text = format!(
                "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>1</identifier>{}{}</alert>",
                info("Future", noon),
                info(urgency, expires)
            );
            let parsed = parse_owned(text.as_bytes(), &Limits::default()).unwrap();
            let rules = validate(&parsed.alert, Profile::Cap);
            assert_eq!(rules.iter().any(|f| f.rule == "cap.info.override"), found, "{urgency} {expires}");
        }
    }

    #[test]
    fn language_tags_are_those_of_rfc_3066() {
        for (text, good) in [
            ("en", true),
            ("EN", true),
            ("fr-CA", true),
            ("en-scouse", true),
            ("i-klingon", true),
            ("de-1901", true),
            ("sgn-CH-de", true),
            ("zh-Hans-HK", true),
            ("12345", false),
            ("toolonglang", false),
            ("en_US", false),
            ("??", false),
            ("en-", false),
            ("", false),
        ] {
            assert_eq!(is_language(text), good, "{text}");
        }
    }
}

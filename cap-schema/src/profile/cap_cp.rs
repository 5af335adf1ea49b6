//! The Canadian Profile of CAP, 0.3 to 1.0 (cap page 2.2; numbers of the rule set 0.4A).
//!
//! The official rule set was obtainable as its introduction only; the rules are those that three validators agree on.

use std::borrow::Cow;

use crate::alert::Alert;
use crate::area::Area;
use crate::code::MsgType;
use crate::info::{Info, NamedValue};
use crate::tables::{cap_cp_event, layer_values};
use crate::time::TimeForm;
use crate::validate::Findings;

const EVENT: &str = "profile:CAP-CP:Event:";
const LOCATION: &str = "profile:CAP-CP:Location:";

/// A prefix, in any case, as receivers compare it.
fn has_prefix(text: &str, prefix: &str) -> bool {
    text.trim().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    let name = name.trim();
    name.len()
        .checked_sub(suffix.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

pub(crate) fn claims(alert: &Alert<'_>) -> bool {
    alert.code.iter().any(|c| has_prefix(c, "profile:CAP-CP"))
        || alert.info.iter().any(|info| {
            info.event_code.iter().any(|c| has_prefix(&c.value_name, EVENT))
                || info.area.iter().any(|a| a.geocode.iter().any(|g| has_prefix(&g.value_name, LOCATION)))
        })
}

/// The versions of the profile. 0.4A has the names of 0.4.
const VERSIONS: [&str; 3] = ["0.3", "0.4", "1.0"];

/// The version that stands behind a prefix in a name of the profile.
fn version_in<'t>(name: &'t str, prefix: &str) -> Option<&'t str> {
    let rest = has_prefix(name, prefix).then(|| name.trim().get(prefix.len()..))??;
    Some(rest.split(':').next().unwrap_or(rest))
}

/// The version that an alert says it follows.
fn version<'a>(alert: &'a Alert<'_>) -> Option<&'a str> {
    alert.code.iter().find_map(|c| version_in(c, "profile:CAP-CP:"))
}

/// That names carry a version of the profile, event codes that of the alert; and rule 4 of 0.3, which CAP 1.2 made its own.
fn versions(alert: &Alert<'_>, out: &mut Findings) {
    let stated = version(alert);
    let shown = |v: &str| v.chars().take(20).collect::<String>().escape_debug().to_string();
    if let Some(other) = stated.filter(|v| !VERSIONS.contains(v)) {
        out.add("cap-cp.version", "/alert", format!("there is no version {} of CAP-CP", shown(other)));
    }
    for (index, info) in alert.info.iter().enumerate() {
        let path = format!("/alert/info[{}]", index + 1);
        for (at, code) in info.event_code.iter().enumerate() {
            if let (Some(stated), Some(used)) = (stated, version_in(&code.value_name, EVENT))
                && stated != used
            {
                let message = format!("an event code of {} in an alert of {}", shown(used), shown(stated));
                out.add("cap-cp.version", format!("{path}/eventCode[{}]/valueName", at + 1), message);
            }
        }
        for (at, area) in info.area.iter().enumerate() {
            for (nth, geocode) in area.geocode.iter().enumerate() {
                if let Some(other) =
                    version_in(&geocode.value_name, LOCATION).filter(|v| !VERSIONS.contains(v))
                {
                    let place = format!("{path}/area[{}]/geocode[{}]/valueName", at + 1, nth + 1);
                    let message = format!("there is no version {} of the location codes", shown(other));
                    out.add("cap-cp.version", place, message);
                }
            }
        }
        if stated == Some("0.3") {
            for (name, time) in
                [("effective", &info.effective), ("onset", &info.onset), ("expires", &info.expires)]
            {
                if time.as_ref().is_some_and(|t| t.form() == TimeForm::NoOffset) {
                    out.add("cap-cp.4", format!("{path}/{name}"), format!("{name} has no offset from UTC"));
                }
            }
        }
    }
    if stated == Some("0.3") && alert.sent.form() == TimeForm::NoOffset {
        out.add("cap-cp.4", "/alert/sent", "sent has no offset from UTC");
    }
}

pub(crate) fn check(alert: &Alert<'_>, out: &mut Findings) {
    versions(alert, out);
    if !alert.code.iter().any(|c| has_prefix(c, "profile:CAP-CP:")) {
        out.add("cap-cp.3", "/alert", "no code that names CAP-CP and its version");
    }
    let public = matches!(alert.msg_type.known(), Some(MsgType::Alert | MsgType::Update | MsgType::Cancel));
    if public && alert.info.is_empty() {
        out.add("cap-cp.5", "/alert", format!("{} without info", alert.msg_type));
    }
    if !alert.sender.contains(['@', ' ']) && is_unreadable(&alert.sender) {
        out.add("cap-cp.11", "/alert/sender", "sender does not name an agency that people can read");
    }
    let chained = matches!(alert.msg_type.known(), Some(MsgType::Update | MsgType::Cancel));
    if chained && alert.references.is_none() {
        out.add("cap-cp.12", "/alert/msgType", format!("{} without references", alert.msg_type));
    }
    let version_1_0 = version(alert).is_some_and(|v| v.starts_with("1."));
    for (index, info) in alert.info.iter().enumerate() {
        let path = format!("/alert/info[{}]", index + 1);
        event(info, &path, out);
        recommended(info, &path, out);
        parameters(alert, info, &path, out);
        if info.area.is_empty() {
            out.add("cap-cp.10", &path, "an info without area");
        }
        for (at, area) in info.area.iter().enumerate() {
            location(area, version_1_0, &format!("{path}/area[{}]", at + 1), out);
        }
    }
    across(alert, out);
}

/// A sender such as a GUID: nothing but hexadecimal digits and hyphens.
fn is_unreadable(sender: &str) -> bool {
    sender.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// The CAP-CP event codes of an info with their numbers.
fn event_codes<'i>(info: &'i Info<'_>) -> impl Iterator<Item = (usize, &'i NamedValue<'i>)> {
    info.event_code.iter().enumerate().filter(|(_, c)| has_prefix(&c.value_name, EVENT))
}

/// Rules 2, 7 and 8 in an info.
fn event(info: &Info<'_>, path: &str, out: &mut Findings) {
    let Some((_, first)) = event_codes(info).next() else {
        out.add("cap-cp.8", path, "no CAP-CP event code");
        return;
    };
    for (at, code) in event_codes(info) {
        let place = format!("{path}/eventCode[{}]/value", at + 1);
        let value = code.value.as_ref();
        if value.trim() != first.value.trim() {
            out.add("cap-cp.2", place.as_str(), "a second event in one info");
        }
        if !(4..=12).contains(&value.len()) || value.contains(char::is_whitespace) {
            let shown: String = value.chars().take(40).collect();
            let message = format!("'{}' is not the form of an event code", shown.escape_debug());
            out.add("cap-cp.8.form", place, message);
        } else if cap_cp_event(value).is_none() {
            out.add("cap-cp.8", place, format!("'{value}' is not in the event table"));
        }
    }
    let Some(known) = cap_cp_event(&first.value) else { return };
    let english = info.language.as_deref().is_none_or(|l| has_prefix(l, "en"));
    let french = info.language.as_deref().is_some_and(|l| has_prefix(l, "fr"));
    let same = |name: &str| info.event.trim().to_lowercase() == name.to_lowercase();
    // A French name that was not found in official messages is no measure.
    if english && !same(known.english)
        || french && known.french_is_found && !known.french.is_empty() && !same(known.french)
    {
        let name = if english { known.english } else { known.french };
        let message = format!("the event '{}' is called '{name}'", known.code);
        out.add("cap-cp.7", format!("{path}/event"), message);
    }
}

/// A code of the Standard Geographical Classification: Canada, a province, a census division or subdivision of one, a water
/// body or a part of one; or none.
fn is_location(value: &str) -> bool {
    const PROVINCES: [&str; 13] =
        ["10", "11", "12", "13", "24", "35", "46", "47", "48", "59", "60", "61", "62"];
    const WATERS: [&str; 8] = ["001", "002", "003", "004", "005", "006", "007", "008"];
    let begins = |list: &[&str]| list.iter().any(|prefix| value.starts_with(prefix));
    match value.len() {
        _ if matches!(value, "0" | "00" | "none") => true,
        _ if !value.bytes().all(|b| b.is_ascii_digit()) => false,
        2 | 4 | 7 => begins(&PROVINCES),
        3 | 5 => begins(&WATERS),
        _ => false,
    }
}

/// Rules 6 (language) and 13 to 15.
fn recommended(info: &Info<'_>, path: &str, out: &mut Findings) {
    if info.language.is_none() {
        out.add("cap-cp.6", path, "no language");
    }
    if info.expires.is_none() {
        out.add("cap-cp.13", path, "no expires");
    }
    if info.sender_name.is_none() {
        out.add("cap-cp.14", path, "no senderName");
    }
    if info.response_type.is_empty() || info.instruction.is_none() {
        out.add("cap-cp.15", path, "responseType and instruction are not both there");
    }
}

/// Rules 9 and 18.
fn location(area: &Area<'_>, version_1_0: bool, path: &str, out: &mut Findings) {
    let has_geometry = !area.polygon.is_empty() || !area.circle.is_empty();
    let mut found = false;
    for (at, geocode) in area.geocode.iter().enumerate().filter(|(_, g)| has_prefix(&g.value_name, LOCATION))
    {
        found = true;
        let value = geocode.value.trim();
        if !is_location(value) {
            let shown: String = value.chars().take(40).collect();
            let message = format!("'{}' is not a location code", shown.escape_debug());
            out.add("cap-cp.9.form", format!("{path}/geocode[{}]/value", at + 1), message);
        }
    }
    let exempt = version_1_0 && has_geometry;
    if !found && !exempt {
        out.add("cap-cp.9", path, "an area without CAP-CP location code");
    }
    if !has_geometry {
        out.add("cap-cp.18", path, "an area without polygon and circle");
    }
}

/// Rules 16 and 17, and the SOREM layer.
fn parameters(alert: &Alert<'_>, info: &Info<'_>, path: &str, out: &mut Findings) {
    let mut translated = 0;
    for (at, parameter) in info.parameter.iter().enumerate() {
        let place = || format!("{path}/parameter[{}]/value", at + 1);
        let (name, value) = (parameter.value_name.as_ref(), parameter.value.trim());
        let yes_or_no = value.eq_ignore_ascii_case("yes") || value.eq_ignore_ascii_case("no");
        if has_prefix(name, "profile:CAP-CP") && has_suffix(name, ":MinorChange") {
            if alert.msg_type.known() != Some(MsgType::Update) || alert.references.is_none() {
                out.add("cap-cp.16", place(), "MinorChange outside an Update with references");
            }
            let kinds = ["none", "text", "correction", "resource", "layer", "other"];
            // 1.0 allows several.
            let several = version_in(name, "profile:CAP-CP:").is_some_and(|v| v.starts_with("1."));
            let mut given: Vec<&str> = vec![value];
            if several {
                given = value.split([' ', ',']).filter(|v| !v.is_empty()).collect();
            }
            let known = !given.is_empty() && given.iter().all(|v| kinds.contains(v));
            if !known || given.contains(&"other") && alert.note.is_none() {
                out.add(
                    "cap-cp.16.value",
                    place(),
                    format!("'{value}' is no kind of minor change, or is not explained"),
                );
            }
        } else if has_prefix(name, "profile:CAP-CP") && has_suffix(name, ":AutoTranslated") {
            translated += 1;
            if !yes_or_no || translated > 1 {
                out.add("cap-cp.17", place(), "AutoTranslated is yes or no, once in an info");
            }
        } else if has_prefix(name, "layer:SOREM:")
            && (has_suffix(name, ":Broadcast_Immediately") || has_suffix(name, ":WirelessImmediate"))
        {
            if !yes_or_no {
                out.add("cap-cp.sorem.value", place(), format!("'{value}' is neither Yes nor No"));
            } else if value.eq_ignore_ascii_case("yes")
                && has_suffix(name, ":Broadcast_Immediately")
                && !on_sorem_list(info)
            {
                out.add(
                    "cap-cp.sorem.event",
                    place(),
                    "the SOREM list has no such event, urgency, severity and certainty",
                );
            }
        } else if let Some(values) = layer_values(name)
            && !values.is_empty()
            && !values.iter().any(|v| v.eq_ignore_ascii_case(value))
        {
            out.add("cap-cp.layer.value", place(), format!("{name} is none of {}", values.join(", ")));
        }
    }
}

/// Whether the list has the event with this urgency, severity and certainty.
fn on_sorem_list(info: &Info<'_>) -> bool {
    let Some(event) = event_codes(info).next().and_then(|(_, c)| cap_cp_event(&c.value)) else {
        return false;
    };
    let mut allowed = event.sorem.split('/');
    let fits =
        |allowed: Option<&str>, text: &str| allowed.is_some_and(|a| a.split(" or ").any(|v| v == text));
    fits(allowed.next(), info.urgency.as_str())
        && fits(allowed.next(), info.severity.as_str())
        && fits(allowed.next(), info.certainty.as_str())
}

/// Rules 2, 6 and 16 across infos.
fn across(alert: &Alert<'_>, out: &mut Findings) {
    let Some(first) = alert.info.first() else { return };
    let value = |info: &Info<'_>| event_codes(info).next().map(|(_, c)| c.value.trim().to_owned());
    let minor = |info: &Info<'_>| info.parameter.iter().any(|p| has_suffix(&p.value_name, ":MinorChange"));
    let any_minor = alert.info.iter().any(minor);
    let all_codes: Vec<Vec<&Cow<'_, str>>> = alert.info.iter().map(codes).collect();
    for (index, info) in alert.info.iter().enumerate() {
        let path = format!("/alert/info[{}]", index + 1);
        if index > 0 && value(info).is_some() && value(info) != value(first) {
            out.add("cap-cp.2", &path, "another event code than the first info");
        }
        if any_minor && !minor(info) {
            out.add("cap-cp.16.all", &path, "MinorChange is missing in this info");
        }
        if let Some(twin) = twin(alert, &all_codes, index)
            && let Some((rule, what)) = other_value(twin, info)
        {
            let message = format!("another {what} than the same info in another language");
            out.add(rule, &path, message);
        }
    }
    let has = |prefix: &str| {
        alert.info.iter().any(|i| i.language.as_deref().is_some_and(|l| has_prefix(l, prefix)))
    };
    if !(has("en-CA") || has("en-US")) || !has("fr-CA") {
        out.add("cap-cp.6.bilingual", "/alert", "English and French are not both there");
    }
}

/// The counterpart of an info in the first language of the alert: of those with the same places the one of the same
/// number, where both languages have equally many of them; without one, the same among all infos.
fn twin<'a>(alert: &'a Alert<'a>, places: &[Vec<&Cow<'_, str>>], index: usize) -> Option<&'a Info<'a>> {
    let (first, info) = (alert.info.first()?, alert.info.get(index)?);
    if info.language == first.language {
        return None;
    }
    let own = places.get(index)?;
    let of_language = |language: &Option<Cow<'_, str>>, placed: bool| -> Vec<usize> {
        let all = alert.info.iter().zip(places).enumerate();
        all.filter(|(_, (i, p))| i.language == *language && (!placed || *p == own))
            .map(|(at, _)| at)
            .collect()
    };
    let pick = |placed: bool| {
        let (theirs, ours) = (of_language(&first.language, placed), of_language(&info.language, placed));
        let number = ours.iter().position(|at| *at == index)?;
        (theirs.len() == ours.len()).then(|| theirs.get(number).copied()).flatten()
    };
    let found = if own.is_empty() { None } else { pick(true) };
    alert.info.get(found.or_else(|| pick(false))?)
}

fn codes<'i>(info: &'i Info<'_>) -> Vec<&'i Cow<'i, str>> {
    info.area.iter().flat_map(|a| &a.geocode).map(|g| &g.value).collect()
}

/// The CAP-CP codes: senders write others in each language as they like, real ones of SAME too.
fn event_values<'i>(info: &'i Info<'_>) -> Vec<&'i str> {
    event_codes(info).map(|(_, c)| c.value.as_ref()).collect()
}

/// The rule, and what is not free text and differs between two languages.
fn other_value(one: &Info<'_>, other: &Info<'_>) -> Option<(&'static str, &'static str)> {
    let same_codes = codes(one) == codes(other);
    // Without codes in common the two were paired by their number, which may be wrong.
    let of_places = if same_codes && !codes(one).is_empty() { "cap-cp.6.values" } else { "cap-cp.6.places" };
    let differs = [
        ("category", one.category != other.category),
        ("responseType", one.response_type != other.response_type),
        ("urgency", one.urgency != other.urgency),
        ("severity", one.severity != other.severity),
        ("certainty", one.certainty != other.certainty),
        ("eventCode", event_values(one) != event_values(other)),
        ("effective", one.effective != other.effective),
        ("onset", one.onset != other.onset),
        ("expires", one.expires != other.expires),
    ];
    let value = differs.into_iter().find_map(|(what, differs)| differs.then_some(("cap-cp.6.values", what)));
    let shape = || (shapes(one) != shapes(other)).then_some((of_places, "polygon or circle"));
    let code = || (!same_codes).then_some((of_places, "geocode"));
    value.or_else(shape).or_else(code)
}

fn shapes<'i>(info: &'i Info<'_>) -> Vec<&'i str> {
    let of = |area: &'i Area<'_>| {
        area.polygon.iter().map(|p| p.as_str()).chain(area.circle.iter().map(|c| c.as_str()))
    };
    info.area.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_compared_in_any_case_and_any_version() {
        assert!(has_prefix("Profile:CAP-cp:event:1.0", EVENT));
        assert!(!has_prefix("profile:CAP-CP", EVENT));
        assert!(has_suffix("profile:CAP-CP:0.4:minorchange", ":MinorChange"));
        assert!(!has_suffix("é", ":MinorChange"));
        assert_eq!(version_in(" Profile:cap-cp:0.4 ", "profile:CAP-CP:"), Some("0.4"));
        assert_eq!(version_in("profile:CAP-CP:Event:1.0", EVENT), Some("1.0"));
        assert_eq!(version_in("other", EVENT), None);
    }

    #[test]
    fn location_codes_are_those_of_the_classification() {
        for (value, good) in [
            ("0", true),
            ("00", true),
            ("none", true),
            ("35", true),
            ("3538", true),
            ("3538030", true),
            ("002", true),
            ("00111", true),
            ("3", false),
            ("01", false),
            ("99", false),
            ("353", false),
            ("009", false),
            ("353803", false),
            ("9999999", false),
            ("35380300", false),
            ("Sarnia", false),
            ("", false),
        ] {
            assert_eq!(is_location(value), good, "{value}");
        }
    }
}

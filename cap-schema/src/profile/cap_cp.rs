//! The Canadian Profile of CAP, 0.3 to 1.0 (cap page 2.2; numbers of the rule set 0.4A).
//!
//! The official rule set was obtainable as its introduction only; the rules are those that three validators agree on.

use std::borrow::Cow;

use crate::alert::Alert;
use crate::area::Area;
use crate::code::MsgType;
use crate::info::{Info, NamedValue};
use crate::tables::cap_cp_event;
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

pub(crate) fn check(alert: &Alert<'_>, out: &mut Findings) {
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
    let version_1_0 = alert.code.iter().any(|c| has_prefix(c, "profile:CAP-CP:1."));
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

fn event_code<'i>(info: &'i Info<'_>) -> Option<(usize, &'i NamedValue<'i>)> {
    info.event_code.iter().enumerate().find(|(_, c)| has_prefix(&c.value_name, EVENT))
}

/// Rules 7 and 8.
fn event(info: &Info<'_>, path: &str, out: &mut Findings) {
    let Some((at, code)) = event_code(info) else {
        out.add("cap-cp.8", path, "no CAP-CP event code");
        return;
    };
    let place = format!("{path}/eventCode[{}]/value", at + 1);
    let value = code.value.as_ref();
    if !(4..=12).contains(&value.len()) || value.contains(char::is_whitespace) {
        let shown: String = value.chars().take(40).collect();
        out.add(
            "cap-cp.8.form",
            place,
            format!("'{}' is not the form of an event code", shown.escape_debug()),
        );
        return;
    }
    let Some(known) = cap_cp_event(value) else {
        out.add("cap-cp.8", place, format!("'{value}' is not in the event table"));
        return;
    };
    let english = info.language.as_deref().is_none_or(|l| has_prefix(l, "en"));
    let french = info.language.as_deref().is_some_and(|l| has_prefix(l, "fr"));
    let same = |name: &str| info.event.trim().to_lowercase() == name.to_lowercase();
    // A French name that was not found in official messages is no measure.
    if english && !same(known.english) || french && known.french_is_found && !same(known.french) {
        let name = if english { known.english } else { known.french };
        out.add("cap-cp.7", format!("{path}/event"), format!("the event '{value}' is called '{name}'"));
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
        let digits = value.bytes().all(|b| b.is_ascii_digit()) && matches!(value.len(), 1..=5 | 7);
        if !digits && value != "none" {
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
            if !kinds.contains(&value) || value == "other" && alert.note.is_none() {
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
        }
    }
}

/// Whether the list has the event with this urgency, severity and certainty.
fn on_sorem_list(info: &Info<'_>) -> bool {
    let Some(event) = event_code(info).and_then(|(_, c)| cap_cp_event(&c.value)) else { return false };
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
    let value = |info: &Info<'_>| event_code(info).map(|(_, c)| c.value.trim().to_owned());
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
        // The counterpart in another language is the info with the same places.
        let places = all_codes.get(index).filter(|c| !c.is_empty());
        let twin = alert.info.iter().zip(&all_codes).take(index).find_map(|(other, codes)| {
            (other.language != info.language && Some(codes) == places).then_some(other)
        });
        if let Some(twin) = twin
            && !same_values(twin, info)
        {
            out.add("cap-cp.6.values", &path, "other values than the same info in another language");
        }
    }
    let has = |prefix: &str| {
        alert.info.iter().any(|i| i.language.as_deref().is_some_and(|l| has_prefix(l, prefix)))
    };
    if !(has("en-CA") || has("en-US")) || !has("fr-CA") {
        out.add("cap-cp.6.bilingual", "/alert", "English and French are not both there");
    }
}

fn codes<'i>(info: &'i Info<'_>) -> Vec<&'i Cow<'i, str>> {
    info.area.iter().flat_map(|a| &a.geocode).map(|g| &g.value).collect()
}

fn same_values(one: &Info<'_>, other: &Info<'_>) -> bool {
    let texts = |info: &Info<'_>| {
        let list = |codes: Vec<&str>| codes.join(" ");
        [
            list(info.category.iter().map(|c| c.as_str()).collect()),
            list(info.response_type.iter().map(|c| c.as_str()).collect()),
            format!("{} {} {}", info.urgency, info.severity, info.certainty),
        ]
    };
    texts(one) == texts(other)
        && one.effective == other.effective
        && one.onset == other.onset
        && one.expires == other.expires
        && shapes(one) == shapes(other)
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
    }
}

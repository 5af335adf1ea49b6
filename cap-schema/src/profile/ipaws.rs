//! The IPAWS profile of CAP 1.2 (ipaws page 4.1 and 4.2; numbers of that table).
//!
//! Rules 14, 16 and 17 are those of CAP, the schema and the signature. The window around `sent` (rule 4) needs a clock
//! and belongs to who posts.

use crate::alert::Alert;
use crate::area::Area;
use crate::code::{MsgType, Scope, Status};
use crate::info::Info;
use crate::profile::channels;
use crate::tables::{SameUse, same_event, same_state};
use crate::time::{Time, TimeForm};
use crate::validate::Findings;

pub(crate) fn claims(alert: &Alert<'_>) -> bool {
    alert.code.iter().any(|c| c.trim() == "IPAWSv1.0")
}

pub(super) fn is_public(alert: &Alert<'_>) -> bool {
    alert.scope.as_ref().and_then(|s| s.known()) == Some(Scope::Public)
}

pub(crate) fn check(alert: &Alert<'_>, out: &mut Findings) {
    if !claims(alert) {
        out.add("ipaws.1", "/alert", "no code IPAWSv1.0");
    }
    names(alert, out);
    if is_public(alert) && alert.status.known() != Some(Status::Actual) {
        out.add("ipaws.6", "/alert/status", format!("{} with scope Public", alert.status));
    }
    let may_be_bare = alert.msg_type.known() == Some(MsgType::Cancel)
        || alert.scope.as_ref().and_then(|s| s.known()) == Some(Scope::Private);
    if alert.info.is_empty() && !may_be_bare {
        out.add("ipaws.7", "/alert", "no info");
    }
    references(alert, out);
    if is_public(alert) && alert.addresses.is_some() {
        out.add("ipaws.18", "/alert/addresses", "addresses in a public message");
    }
    for (index, info) in alert.info.iter().enumerate() {
        let path = format!("/alert/info[{}]", index + 1);
        times(alert, info, &path, out);
        event(info, is_public(alert), &path, out);
        areas(alert, info, &path, out);
        addresses(info, &path, out);
        parameters(info, &path, out);
        channels::check(alert, info, &path, out);
    }
    same_in_all(alert, out);
}

/// Rules 2, 3 and 5.
fn names(alert: &Alert<'_>, out: &mut Findings) {
    let bad =
        |text: &str, forbidden: &str| text.contains(|c: char| c.is_whitespace() || forbidden.contains(c));
    if bad(&alert.identifier, ",'<>&{}|\\/^~[]()") {
        out.add("ipaws.2", "/alert/identifier", "a character that IPAWS does not take in identifier");
    }
    if bad(&alert.sender, ",\"<>&{}|\\^~") {
        out.add("ipaws.3", "/alert/sender", "a character that IPAWS does not take in sender");
    }
    match &alert.source {
        None => out.add("ipaws.5", "/alert", "no source"),
        Some(source) if source.chars().count() > 30 => {
            out.add("ipaws.5", "/alert/source", "source has more than 30 characters");
        }
        Some(_) => {}
    }
    if alert.sent.form() != TimeForm::Cap {
        out.add("ipaws.4", "/alert/sent", "sent is not of the CAP form");
    }
}

/// Rule 12.
fn references(alert: &Alert<'_>, out: &mut Findings) {
    let needed = match alert.msg_type.known() {
        Some(MsgType::Update | MsgType::Cancel | MsgType::Ack | MsgType::Error) => true,
        Some(MsgType::Alert) | None => false,
    };
    match alert.references.as_deref() {
        None if needed => {
            out.add("ipaws.12", "/alert/msgType", format!("{} without references", alert.msg_type))
        }
        Some(text) if text.split(' ').any(|p| p.is_empty() || p.contains(char::is_whitespace)) => {
            out.add("ipaws.12", "/alert/references", "references are not separated by one space");
        }
        Some(_) | None => {}
    }
}

/// Rules 4 and 8.
fn times(alert: &Alert<'_>, info: &Info<'_>, path: &str, out: &mut Findings) {
    for (name, time) in [("effective", &info.effective), ("onset", &info.onset), ("expires", &info.expires)] {
        if time.as_ref().is_some_and(|t| t.form() != TimeForm::Cap) {
            out.add("ipaws.4", format!("{path}/{name}"), format!("{name} is not of the CAP form"));
        }
    }
    let Some(expires) = &info.expires else {
        out.add("ipaws.8", path, "no expires");
        return;
    };
    let (Some(end), Some(sent)) = (Time::instant(expires), alert.sent.instant()) else { return };
    if end <= sent {
        out.add("ipaws.8", format!("{path}/expires"), "expires is not later than sent");
    } else if end.seconds() - sent.seconds() < 300 {
        out.add("ipaws.8.short", format!("{path}/expires"), "expires less than five minutes after sent");
    }
}

/// The SAME event codes of an info.
pub(super) fn same_codes<'i>(info: &'i Info<'_>) -> Vec<&'i str> {
    info.event_code.iter().filter(|c| c.value_name.trim() == "SAME").map(|c| c.value.as_ref()).collect()
}

/// Rule 10. The public channels need a SAME code; between COGs any code will do.
fn event(info: &Info<'_>, public: bool, path: &str, out: &mut Findings) {
    let at = info.event_code.iter().position(|c| c.value_name.trim() == "SAME").map_or(0, |at| at + 1);
    let place = format!("{path}/eventCode[{at}]/value");
    match same_codes(info).as_slice() {
        [] if public => out.add("ipaws.10", path, "no eventCode SAME"),
        [] => {}
        [code] => match same_event(code).map(|e| e.taken) {
            Some(SameUse::Us) => {}
            Some(SameUse::RadioOnly) => {
                out.add("ipaws.10", place, format!("IPAWS does not take the event code '{code}'"));
            }
            Some(SameUse::Obsolete) => {
                out.add("ipaws.10", place, format!("the event code '{code}' is obsolete"))
            }
            None => {
                let shown: String = code.chars().take(40).collect();
                out.add("ipaws.10", place, format!("'{}' is no SAME event code", shown.escape_debug()));
            }
        },
        _ => out.add("ipaws.10", place, "more than one eventCode SAME"),
    }
}

/// Rules 11 and 13.
fn areas(alert: &Alert<'_>, info: &Info<'_>, path: &str, out: &mut Findings) {
    if info.area.is_empty() {
        out.add("ipaws.11", path, "no area");
    }
    let mut points = 0;
    for (at, area) in info.area.iter().enumerate() {
        let place = format!("{path}/area[{}]", at + 1);
        geocodes(area, is_public(alert), &place, out);
        for (nth, polygon) in area.polygon.iter().enumerate() {
            let text = polygon.as_str();
            let pairs: Vec<&str> = text.split_whitespace().collect();
            points += pairs.len();
            let doubled = pairs.windows(2).any(|w| matches!(w, [a, b] if a == b));
            // The last point is the first one again.
            let mut corners: Vec<&str> = pairs.iter().skip(1).copied().collect();
            corners.sort_unstable();
            if !doubled && corners.windows(2).any(|w| matches!(w, [a, b] if a == b)) {
                let message = "the polygon comes back to a corner";
                out.add("ipaws.13.touch", format!("{place}/polygon[{}]", nth + 1), message);
            }
            if text.trim() != text || doubled {
                let message =
                    if doubled { "a point stands twice" } else { "white space at an end of the polygon" };
                out.add("ipaws.13", format!("{place}/polygon[{}]", nth + 1), message);
            }
        }
    }
    if points > 200 {
        out.add("ipaws.13", path, format!("{points} points; IPAWS takes 200"));
    }
}

fn geocodes(area: &Area<'_>, public: bool, path: &str, out: &mut Findings) {
    if area.geocode.is_empty() {
        out.add("ipaws.11", path, "an area without geocode");
        return;
    }
    let mut same = area.geocode.iter().enumerate().filter(|(_, g)| g.value_name.trim() == "SAME").peekable();
    if public && same.peek().is_none() {
        out.add("ipaws.11", path, "a public area without SAME code");
    }
    for (at, geocode) in same {
        let value = geocode.value.as_ref();
        let shown = || value.chars().take(40).collect::<String>();
        let place = || format!("{path}/geocode[{}]/value", at + 1);
        if value.len() != 6 || !value.bytes().all(|b| b.is_ascii_digit()) {
            let message = format!("'{}' is not six digits PSSCCC", shown().escape_debug());
            out.add("ipaws.11", place(), message);
        } else if value != "000000" && value.get(1..3).and_then(same_state).is_none() {
            out.add("ipaws.11", place(), format!("'{}' has no state number of the list", shown()));
        }
    }
}

/// Rule 15.
fn addresses(info: &Info<'_>, path: &str, out: &mut Findings) {
    let bad = |text: &str| {
        let http = text.starts_with("http://") || text.starts_with("https://");
        !http || text.contains(|c: char| c.is_whitespace() || c == '?') || text.chars().count() > 2_083
    };
    if info.web.as_deref().is_some_and(bad) {
        out.add("ipaws.15", format!("{path}/web"), "web is not a plain http or https address");
    }
    for (at, resource) in info.resource.iter().enumerate() {
        // A uri that names embedded content is relative (CAP 1.2 3.2.3).
        if resource.deref_uri.is_none() && resource.uri.as_deref().is_some_and(bad) {
            let place = format!("{path}/resource[{}]/uri", at + 1);
            out.add("ipaws.15", place, "uri is not a plain http or https address");
        }
    }
}

/// Page 4.2.
fn parameters(info: &Info<'_>, path: &str, out: &mut Findings) {
    const ONCE: [&str; 7] =
        ["WEAHandling", "CMAMtext", "CMAMlongtext", "EAS-ORG", "EAS-STN-ID", "EAS-Must-Carry", "EASText"];
    // How often each of these was seen: looking back for each parameter would take as long as the square of their number.
    let mut seen = [false; ONCE.len()];
    for (at, parameter) in info.parameter.iter().enumerate() {
        let place = || format!("{path}/parameter[{}]", at + 1);
        let name = parameter.value_name.as_ref();
        if name == "DBGFBYPASS" && !matches!(parameter.value.trim(), "TRUE" | "FALSE") {
            out.add("ipaws.geofencing", place(), "DBGFBYPASS is neither TRUE nor FALSE");
        }
        if name == "BLOCKCHANNEL"
            && !["NWEM", "EAS", "CMAS", "CAPEXCH", "PUBLIC"].contains(&parameter.value.trim())
        {
            out.add("ipaws.channel", place(), "not a channel of the list");
        }
        let earlier = ONCE.iter().zip(&mut seen).find(|(once, _)| **once == name).map(|(_, seen)| seen);
        if earlier.is_some_and(|seen| std::mem::replace(seen, true)) {
            out.add("ipaws.parameter.once", place(), format!("{name} stands twice"));
        }
    }
}

/// Rule 9.
fn same_in_all(alert: &Alert<'_>, out: &mut Findings) {
    let Some(first) = alert.info.first() else { return };
    for (index, info) in alert.info.iter().enumerate().skip(1) {
        if info.category != first.category || same_codes(info) != same_codes(first) {
            let path = format!("/alert/info[{}]", index + 1);
            out.add("ipaws.9", path, "another category or event code than the first info");
        }
    }
}

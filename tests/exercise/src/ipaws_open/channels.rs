//! Which channels an accepted alert goes out on, and what the reply says of each.

use crate::cap::{Alert, Info};
use crate::clock::instant;

use super::group::Group;
use super::settings::Cog;

/// A feed that an alert is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Non-weather emergency messages.
    Nwem,
    /// Emergency Alert System.
    Eas,
    /// Wireless Emergency Alerts.
    Cmas,
    /// The public feed without EAS.
    Public,
}

/// The channels and the groups of a reply, in the order of the recorded replies.
#[must_use]
pub fn decide(alert: &Alert, cog: &Cog, of_references: &[Channel]) -> (Vec<Channel>, Vec<Group>) {
    let is_public = alert.status == "Actual"
        && alert.scope == "Public"
        && ["Alert", "Update", "Cancel"].contains(&alert.msg_type.as_str());
    let mut open = Vec::new();
    let mut groups = Vec::new();
    for (channel, name) in [(Channel::Nwem, "nwem"), (Channel::Eas, "eas"), (Channel::Cmas, "cmas")] {
        let group = match (is_public, alert.infos.first()) {
            (false, _) => Group::plain(&format!("{name}-not-used")),
            // INFERRED: a Cancel with no block goes where the alerts went that it ends.
            (true, None) if of_references.contains(&channel) => Group::plain(&format!("{name}-ack")),
            (true, None) => Group::plain(&format!("{name}-not-used")),
            (true, Some(info)) => one(alert, info, cog, channel, name),
        };
        if group.code.ends_with("00") {
            open.push(channel);
        }
        groups.push(group);
    }
    // Recorded replies: on EAS means "not disseminated as non-EAS public".
    let is_blocked =
        alert.infos.iter().any(|info| info.parameter("BLOCKCHANNEL").any(|name| name == "PUBLIC"));
    let event = alert.infos.first().and_then(|info| info.event_code("SAME").next()).unwrap_or_default();
    let public = if !is_public || is_blocked || open.contains(&Channel::Eas) {
        "public-not-used"
    } else if !alert.infos.is_empty() && !cog.may_post("PUBLIC", event) {
        "public-unauthorized"
    } else {
        open.push(Channel::Public);
        "public-ack"
    };
    groups.push(Group::plain(public));
    if open.contains(&Channel::Cmas) {
        groups.push(Group::plain("gateway-ack"));
    }
    (open, groups)
}

fn one(alert: &Alert, info: &Info, cog: &Cog, channel: Channel, name: &str) -> Group {
    let upper = name.to_ascii_uppercase();
    let is_blocked = |info: &Info| info.parameter("BLOCKCHANNEL").any(|blocked| blocked == upper);
    let asks_for_wea = info.parameters.iter().any(|(key, _)| key == "WEAHandling" || key == "CMAMtext");
    // INFERRED: an alert with neither WEA parameter did not ask for WEA.
    if alert.infos.iter().any(is_blocked) || (channel == Channel::Cmas && !asks_for_wea) {
        return Group::plain(&format!("{name}-not-used"));
    }
    if !cog.may_post(&upper, info.event_code("SAME").next().unwrap_or_default()) {
        return Group::plain(&format!("{name}-unauthorized"));
    }
    for info in &alert.infos {
        let broken = match channel {
            Channel::Cmas => broken_for_wea(info, alert),
            Channel::Eas | Channel::Nwem | Channel::Public => broken_for_eas(info, alert, channel),
        };
        if let Some(rule) = broken {
            return Group::named(&format!("{name}-rule"), rule);
        }
    }
    Group::plain(&format!("{name}-ack"))
}

fn minutes_open(info: &Info, alert: &Alert) -> Option<i64> {
    let (sent, expires) = (instant(&alert.sent)?, instant(info.expires.as_deref()?)?);
    Some((expires.as_second() - sent.as_second()) / 60)
}

fn broken_for_eas(info: &Info, alert: &Alert, channel: Channel) -> Option<&'static str> {
    let is_originator = |org: &str| ["PEP", "EAS", "WXR", "CIV"].contains(&org);
    if !info.parameter("EAS-ORG").any(is_originator) {
        return Some("EAS-ORG is missing");
    }
    if info.description.as_deref().unwrap_or_default().is_empty() {
        return Some("description is missing");
    }
    // The SAME header cannot say more than 9930.
    if minutes_open(info, alert).is_none_or(|minutes| minutes > 99 * 60 + 30) {
        return Some("expires is more than 99.5 hours after sent");
    }
    if info.parameter("EAS-STN-ID").any(|station| station.len() > 8 || station.contains(['-', '+'])) {
        return Some("EAS-STN-ID is invalid");
    }
    let has_circle = info.areas.iter().any(|area| !area.circles.is_empty());
    let mut polygons = info.areas.iter().flat_map(|area| &area.polygons);
    let too_fine = polygons.any(|polygon| polygon.split_ascii_whitespace().count() > 20);
    (channel == Channel::Nwem && (has_circle || too_fine))
        .then_some("NWEM takes no circle and 20 vertices at most")
}

fn broken_for_wea(info: &Info, alert: &Alert) -> Option<&'static str> {
    if !["en-US", "es-US"].contains(&info.language.as_str()) {
        return Some("language is neither en-US nor es-US");
    }
    let handlings: Vec<_> = info.parameter("WEAHandling").collect();
    let event = info.event_code("SAME").next().unwrap_or_default();
    match handlings.as_slice() {
        ["Amber"] if event != "CAE" => return Some("WEAHandling Amber demands CAE"),
        ["WEA Test"] if !["DMO", "NPT", "RMT", "RWT"].contains(&event) => {
            return Some("WEAHandling WEA Test demands a test code");
        }
        ["Imminent Threat" | "Public Safety" | "Amber" | "WEA Test" | "Earthquake"] => {}
        ["Presidential"] => return Some("WEAHandling Presidential is FEMA's"),
        _ => return Some("not exactly one known WEAHandling"),
    }
    for (name, limit, required) in [("CMAMtext", 90, true), ("CMAMlongtext", 360, false)] {
        let text = info.parameter(name).next();
        if required && text.is_none_or(str::is_empty) {
            return Some("CMAMtext is missing");
        }
        let text = text.unwrap_or_default();
        if text.chars().count() > limit || text.contains(['{', '}', '|', '\\', '^', '~', '[', ']']) {
            return Some("CMAMtext or CMAMlongtext is too long or holds a forbidden character");
        }
    }
    if minutes_open(info, alert).is_none_or(|minutes| minutes > 24 * 60) {
        return Some("expires is more than 24 hours after sent");
    }
    let is_imminent = ["Immediate", "Expected"].contains(&info.urgency.as_str())
        && ["Extreme", "Severe"].contains(&info.severity.as_str())
        && ["Observed", "Likely"].contains(&info.certainty.as_str());
    if handlings == ["Imminent Threat"] && !is_imminent {
        return Some("urgency, severity or certainty is too low for Imminent Threat");
    }
    let allowed = ["Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor"];
    if info.response_types.iter().any(|response| !allowed.contains(&response.as_str())) {
        return Some("responseType is not allowed");
    }
    let shapes = || info.areas.iter().flat_map(|area| area.polygons.iter().chain(&area.circles));
    let pairs: usize = shapes().map(|shape| shape.matches(',').count()).sum();
    (shapes().count() > 10 || pairs > 100).then_some("more than 10 shapes or 100 coordinate pairs")
}

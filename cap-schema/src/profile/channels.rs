//! The public channels of IPAWS: EAS, NWEM and WEA (ipaws page 4.3 and 4.4; ECIG CAP-to-EAS guide).
//!
//! A channel's rules count where the message can reach it: public, actual, not blocked.

use crate::alert::Alert;
use crate::code::{Certainty, MsgType, ResponseType, Severity, Status, Urgency};
use crate::info::Info;
use crate::profile::ipaws::{is_public, same_codes};
use crate::tables::{WeaUse, same_originator, wea_events};
use crate::validate::Findings;

pub(super) fn check(alert: &Alert<'_>, info: &Info<'_>, path: &str, out: &mut Findings) {
    let aired = matches!(alert.msg_type.known(), Some(MsgType::Alert | MsgType::Update));
    if !is_public(alert) || alert.status.known() != Some(Status::Actual) || !aired {
        return;
    }
    let seconds = match (info.expires.as_ref().and_then(|e| e.instant()), alert.sent.instant()) {
        (Some(end), Some(sent)) => end.seconds() - sent.seconds(),
        _ => 0,
    };
    let open = |channel: &str| {
        !info.parameter.iter().any(|p| p.value_name == "BLOCKCHANNEL" && p.value.trim() == channel)
    };
    if open("EAS") || open("NWEM") {
        eas(info, seconds, path, out);
    }
    if open("NWEM") {
        nwem(info, path, out);
    }
    if open("CMAS") {
        wea(info, seconds, path, out);
    }
}

/// The value of a parameter and its place.
fn parameter<'i>(info: &'i Info<'_>, path: &str, name: &str) -> Option<(&'i str, String)> {
    let at = info.parameter.iter().position(|p| p.value_name == name)?;
    let value = info.parameter.get(at)?.value.as_ref();
    Some((value, format!("{path}/parameter[{}]/value", at + 1)))
}

fn eas(info: &Info<'_>, seconds: i64, path: &str, out: &mut Findings) {
    match parameter(info, path, "EAS-ORG") {
        Some((value, _)) if same_originator(value.trim()).is_some() => {}
        Some((_, place)) => out.add("ipaws.eas.org", place, "EAS-ORG is not PEP, EAS, WXR or CIV"),
        None => out.add("ipaws.eas.org", path, "no EAS-ORG"),
    }
    if info.description.is_none() {
        out.add("ipaws.eas.description", path, "no description");
    }
    let length = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map_or(0, |t| t.chars().count());
    if length(&info.description) + length(&info.instruction) > 1_800 {
        out.add(
            "ipaws.eas.text",
            format!("{path}/description"),
            "description and instruction have more than 1800 characters",
        );
    }
    let same = info.area.iter().flat_map(|a| &a.geocode).filter(|g| g.value_name.trim() == "SAME").count();
    if same > 31 {
        out.add("ipaws.eas.geocodes", path, format!("{same} SAME codes; the first 31 are used"));
    }
    if seconds > 358_200 {
        out.add("ipaws.eas.expires", format!("{path}/expires"), "expires more than 99.5 hours after sent");
    }
    if let Some((id, place)) = parameter(info, path, "EAS-STN-ID")
        && (id.chars().count() > 8 || id.contains(['-', '+']))
    {
        out.add("ipaws.eas.station", place, "EAS-STN-ID has more than 8 characters, or - or +");
    }
    if let Some((value, place)) = parameter(info, path, "EAS-Must-Carry")
        && !matches!(value, "TRUE" | "FALSE")
    {
        out.add("ipaws.eas.must-carry", place, "EAS-Must-Carry is not TRUE");
    }
    for (at, resource) in info.resource.iter().enumerate() {
        let media = resource.mime_type.as_deref().map_or("", str::trim);
        let known = [
            "audio/x-ipaws-audio-mp3",
            "audio/x-ipaws-audio-wav",
            "audio/x-ipaws-streaming-audio-mp3",
            "audio/x-ipaws-streaming-audio",
            "video/x-ipaws-video",
            "video/x-ipaws-streaming-video",
        ];
        if resource.resource_desc.trim() == "EAS Broadcast Content" && !known.contains(&media) {
            let place = format!("{path}/resource[{}]/mimeType", at + 1);
            out.add("ipaws.eas.audio", place, "not a media type of EAS broadcast content");
        }
    }
}

fn nwem(info: &Info<'_>, path: &str, out: &mut Findings) {
    let parts =
        info.sender_name.as_deref().map_or(0, |n| n.split(',').filter(|p| !p.trim().is_empty()).count());
    if parts < 3 {
        let place = if info.sender_name.is_some() { format!("{path}/senderName") } else { path.to_owned() };
        out.add("ipaws.nwem.sender-name", place, "senderName is not COG id, COG name, agency");
    }
    for (at, area) in info.area.iter().enumerate() {
        let long = area.polygon.iter().any(|p| p.as_str().split_whitespace().count() > 20);
        if long || !area.circle.is_empty() {
            let place = format!("{path}/area[{}]", at + 1);
            out.add("ipaws.nwem.polygon", place, "a circle, or a polygon of more than 20 points");
        }
    }
}

fn wea(info: &Info<'_>, seconds: i64, path: &str, out: &mut Findings) {
    if seconds > 86_400 {
        out.add("ipaws.wea.expires", format!("{path}/expires"), "expires more than 24 hours after sent");
    }
    // Lines of a text count as written; real texts hold line ends and letters of Spanish.
    let length = |text: &str| text.chars().count();
    match parameter(info, path, "CMAMtext") {
        None => out.add("ipaws.wea.text", path, "no CMAMtext"),
        Some((text, place)) if text.trim().is_empty() => {
            out.add("ipaws.wea.text", place, "CMAMtext is empty")
        }
        Some((text, place)) if length(text) > 90 => {
            out.add("ipaws.wea.text", place, "CMAMtext has more than 90 characters")
        }
        Some(_) => {}
    }
    if let Some((text, place)) = parameter(info, path, "CMAMlongtext")
        && length(text) > 360
    {
        out.add("ipaws.wea.long-text", place, "CMAMlongtext has more than 360 characters");
    }
    for name in ["CMAMtext", "CMAMlongtext"] {
        if let Some((text, place)) = parameter(info, path, name)
            && text.contains(['{', '}', '|', '\\', '^', '~', '[', ']'])
        {
            out.add("ipaws.wea.characters", place, "a character that WEA does not take");
        }
    }
    let language = info.language.as_deref().unwrap_or("en-US");
    if !["en-US", "es-US"].iter().any(|l| language.eq_ignore_ascii_case(l)) {
        out.add(
            "ipaws.wea.language",
            format!("{path}/language"),
            format!("WEA does not take the language {language}"),
        );
    }
    let answers = |r: &crate::code::Code<'_, ResponseType>| match r.known() {
        Some(
            ResponseType::Shelter
            | ResponseType::Evacuate
            | ResponseType::Prepare
            | ResponseType::Execute
            | ResponseType::Avoid
            | ResponseType::Monitor,
        ) => true,
        Some(ResponseType::Assess | ResponseType::AllClear | ResponseType::None) | None => false,
    };
    if let Some(at) = info.response_type.iter().position(|r| !answers(r)) {
        let place = format!("{path}/responseType[{}]", at + 1);
        out.add("ipaws.wea.response-type", place, "a responseType that WEA does not take");
    }
    shapes(info, path, out);
    handling(info, path, out);
}

fn shapes(info: &Info<'_>, path: &str, out: &mut Findings) {
    let polygons = || info.area.iter().flat_map(|a| &a.polygon);
    let circles = || info.area.iter().flat_map(|a| &a.circle);
    let count = polygons().count() + circles().count();
    let points: usize =
        polygons().map(|p| p.as_str().split_whitespace().count()).sum::<usize>() + circles().count();
    if count > 10 || points > 100 {
        out.add(
            "ipaws.wea.polygon",
            path,
            format!("{count} shapes with {points} points; WEA takes 10 with 100"),
        );
    }
    let texts = polygons().map(|p| p.as_str()).chain(circles().map(|c| c.as_str()));
    let decimals = |number: &str| number.split_once('.').map_or(0, |(_, d)| d.len());
    let long = |text: &str| text.split(|c: char| c == ',' || c.is_whitespace()).any(|n| decimals(n) > 4);
    if texts.into_iter().any(long) {
        out.add("ipaws.wea.decimals", path, "coordinates with more than four decimals");
    }
}

fn handling(info: &Info<'_>, path: &str, out: &mut Findings) {
    let count = info.parameter.iter().filter(|p| p.value_name == "WEAHandling").count();
    let (Some((value, place)), 1) = (parameter(info, path, "WEAHandling"), count) else {
        out.add("ipaws.wea.handling", path, format!("{count} WEAHandling instead of one"));
        return;
    };
    let handling = value.trim();
    let Some(events) = wea_events(handling) else {
        out.add("ipaws.wea.handling", place, "a WEAHandling that does not exist");
        return;
    };
    for code in same_codes(info) {
        match events.iter().find(|(event, _)| *event == code) {
            Some((_, WeaUse::Listed)) => {}
            Some((_, WeaUse::Seen)) => {
                let message =
                    format!("WEAHandling {handling} does not list {code}; IPAWS has taken it all the same");
                out.add("ipaws.wea.event", place.as_str(), message);
            }
            None => {
                let message = format!("the event code {code} does not go with WEAHandling {handling}");
                out.add("ipaws.wea.event", place.as_str(), message);
            }
        }
    }
    let urgent = matches!(info.urgency.known(), Some(Urgency::Immediate | Urgency::Expected));
    let severe = matches!(info.severity.known(), Some(Severity::Extreme | Severity::Severe));
    let certain = matches!(info.certainty.known(), Some(Certainty::Observed | Certainty::Likely));
    if handling == "Imminent Threat" && !(urgent && severe && certain) {
        out.add("ipaws.wea.triple", path, "urgency, severity and certainty are below an imminent threat");
    }
}

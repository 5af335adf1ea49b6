//! The public channels of IPAWS: shut unless a rule opens them, each by name, and then only where the message may be
//! on the air at all.

use std::borrow::Cow;

use cap_schema::{
    Certainty, Code, Info, Instant, NamedValue, ResponseType, Scope, Severity as CapSeverity, Status, Time,
    Urgency,
};
use capbridge_adapters::class::Class;

use super::codes::Event;
use super::report::{Report, Rule};
use super::{Request, Target, language, text};

/// The public channels of IPAWS, in the order in which they are blocked.
const CHANNELS: [&str; 4] = ["EAS", "NWEM", "CMAS", "PUBLIC"];
/// WEA: in force for at most 24 hours (ipaws page 4.4).
const WEA_SECS: i64 = 86_400;
/// EAS and NWEM: at most 99.5 hours (ipaws page 4.3).
const EAS_SECS: i64 = 358_200;
/// EAS and NWEM: characters of description and instruction together.
const EAS_CHARS: usize = 1_800;
/// EAS and NWEM: the SAME codes that go on the air, the first ones of an info (ipaws page 4.3).
const EAS_CODES: usize = 31;

/// What is open for one message.
pub(super) struct Open {
    channels: Vec<&'static str>,
    /// WEAHandling, where CMAS is open.
    handling: Option<String>,
}

impl Open {
    fn has(&self, channel: &str) -> bool {
        self.channels.contains(&channel)
    }
}

/// Decides which of the channels that a rule names are open for this message. A channel that would break its own rules
/// stays shut, and a person is told.
pub(super) fn open(
    request: &Request<'_>,
    everywhere: bool,
    event: &Event,
    infos: &[&Info<'_>],
    report: &mut Report,
) -> Open {
    let mut open = Open { channels: Vec::new(), handling: None };
    if request.target != Target::Ipaws {
        return open;
    }
    let alert = request.alert;
    let public = alert.status == Code::Known(Status::Actual)
        && request.settings.class == Class::Live
        && alert.scope.as_ref().is_none_or(|s| *s == Code::Known(Scope::Public))
        && everywhere;
    for channel in CHANNELS {
        if !request.settings.open_channels.iter().any(|c| c == channel) {
            continue;
        }
        let shut = if public {
            match channel {
                "CMAS" => wea(request, event, infos, &mut open.handling),
                "NWEM" => nwem(request, infos).or_else(|| eas(infos)),
                "EAS" => eas(infos),
                _ => None,
            }
        } else {
            Some("only actual public messages about places in the US are on the air")
        };
        let (rule, detail) = match shut {
            Some(why) => (Rule::ChannelShut, format!("{channel} stays shut although a rule names it: {why}")),
            None => (Rule::ChannelOpen, format!("{channel} is open: a rule names it")),
        };
        report.add(rule, "info/parameter", &detail);
        if shut.is_none() {
            open.channels.push(channel);
        }
    }
    open
}

fn eas(infos: &[&Info<'_>]) -> Option<&'static str> {
    infos.iter().any(|i| i.description.is_none()).then_some("an info has no description")
}

fn nwem(request: &Request<'_>, infos: &[&Info<'_>]) -> Option<&'static str> {
    let named = request.settings.sender_name.split(',').count() >= 2;
    if !named || infos.iter().any(|i| i.sender_name.is_none()) {
        return Some("the sender's name is not COG id, COG name, agency");
    }
    let areas = || infos.iter().flat_map(|i| &i.area);
    let large = areas().flat_map(|a| &a.polygon).any(|p| p.as_str().split_ascii_whitespace().count() > 20);
    let circles = areas().any(|a| !a.circle.is_empty());
    (large || circles).then_some("it has a circle, or a polygon of more than 20 points")
}

fn wea(
    request: &Request<'_>,
    event: &Event,
    infos: &[&Info<'_>],
    handling: &mut Option<String>,
) -> Option<&'static str> {
    let spoken: Vec<&&Info<'_>> = infos.iter().filter(|i| is_wea_language(i.language.as_deref())).collect();
    if spoken.is_empty() {
        return Some("no info is in English or Spanish");
    }
    let areas = || infos.iter().flat_map(|i| &i.area);
    let circles: usize = areas().map(|a| a.circle.len()).sum();
    let polygons: usize = areas().map(|a| a.polygon.len()).sum();
    let points = |p: &cap_schema::Polygon<'_>| p.as_str().split_ascii_whitespace().count();
    if circles + polygons > 10 || areas().flat_map(|a| &a.polygon).map(points).sum::<usize>() + circles > 100
    {
        return Some("more than 10 shapes or 100 points");
    }
    let answers = |r: &Code<'_, ResponseType>| match r {
        Code::Known(ResponseType::Assess | ResponseType::AllClear | ResponseType::None) => false,
        Code::Known(_) | Code::Unknown(_) => true,
    };
    if !spoken.iter().flat_map(|i| &i.response_type).all(answers) {
        return Some("a responseType that WEA does not take");
    }
    let threat = spoken.iter().all(|i| {
        matches!(i.urgency, Code::Known(Urgency::Immediate | Urgency::Expected))
            && matches!(i.severity, Code::Known(CapSeverity::Extreme | CapSeverity::Severe))
            && matches!(i.certainty, Code::Known(Certainty::Observed | Certainty::Likely))
    });
    let row = request.tables.codes.same(event.same());
    let fits = |one: &&String| one.as_str() != "Imminent Threat" || threat;
    *handling = row.and_then(|r| r.wea.iter().find(fits).cloned());
    if handling.is_none() {
        return Some("the event and its urgency, severity and certainty have no WEAHandling");
    }
    None
}

fn is_wea_language(language: Option<&str>) -> bool {
    let language = language::map(Target::Ipaws, language);
    ["en-US", "es-US"].iter().any(|l| language.eq_ignore_ascii_case(l))
}

/// Adds what the destination needs to know about channels. Values of the original for them are never taken over.
pub(super) fn parameters(target: Target, open: &Open, info: &mut Info<'static>, report: &mut Report) {
    if target != Target::Ipaws {
        return;
    }
    let met = info.category.contains(&Code::Known(cap_schema::Category::Met));
    let originator = if met { "WXR" } else { "CIV" };
    info.parameter.push(NamedValue::new("EAS-ORG", originator));
    report.add(Rule::Originator, "info/parameter", originator);
    for channel in CHANNELS.into_iter().filter(|c| !open.has(c)) {
        info.parameter.push(NamedValue::new("BLOCKCHANNEL", channel));
        let detail = format!("{channel} is blocked");
        report.add(Rule::ChannelBlocked, "info/parameter", &detail);
    }
    if let (Some(handling), true) = (&open.handling, open.has("CMAS")) {
        wireless(info, handling, report);
    }
}

/// Wireless texts (ipaws page 4.4): at most 90 and 360 characters, cut at words.
fn wireless(info: &mut Info<'static>, handling: &str, report: &mut Report) {
    let clean = |text: &str| -> String {
        text.chars().map(|c| if "{}|\\^~[]".contains(c) || c.is_control() { ' ' } else { c }).collect()
    };
    let headline = clean(info.headline.as_deref().unwrap_or(&info.event));
    let long = clean(&format!("{headline} {}", info.instruction.as_deref().unwrap_or("")));
    for (name, whole, limit) in [("CMAMtext", headline.trim(), 90), ("CMAMlongtext", long.trim(), 360)] {
        let short = text::cut(whole, limit);
        if short.len() < whole.len() {
            let rest = whole.get(short.len()..).unwrap_or("").trim();
            let detail = format!("{name} at {limit} characters, without: {rest}");
            report.add(Rule::WirelessText, "info/parameter", &detail);
        }
        info.parameter.push(NamedValue::new(name, short));
    }
    info.parameter.push(NamedValue::new("WEAHandling", handling.to_owned()));
}

/// Whether the open channels take the language.
pub(super) fn takes(open: &Open, info: &Info<'_>, report: &mut Report) -> bool {
    let taken = !open.has("CMAS") || is_wea_language(info.language.as_deref());
    let language = info.language.as_deref().unwrap_or("");
    let detail = format!("{language}: WEA takes English and Spanish only");
    report.add_if(!taken, Rule::ChannelLanguage, "info", &detail);
    taken
}

/// What an open channel does not take: long validity, long texts.
pub(super) fn limits(
    request: &Request<'_>,
    open: &Open,
    infos: &mut [Info<'static>],
    numbers: &[usize],
    report: &mut Report,
) {
    let on_air = open.has("EAS") || open.has("NWEM");
    let longest = if open.has("CMAS") { Some(WEA_SECS) } else { on_air.then_some(EAS_SECS) };
    for (info, number) in infos.iter_mut().zip(numbers) {
        let at = format!("info[{}]", number + 1);
        if let (Some(longest), Some(end)) = (longest, info.expires.as_ref().and_then(Time::instant)) {
            let last = request.at.as_second() + longest;
            if end.seconds() > last {
                let detail = format!("{} hours from the time of issue, the channel's limit", longest / 3_600);
                report.add(Rule::ChannelExpires, &format!("{at}/expires"), &detail);
                info.expires = Some(Time::from_instant(Instant::from_seconds(last), 0));
            }
        }
        if on_air {
            shorten(info, &at, report);
            codes_on_air(info, &at, report);
        }
    }
}

/// Says which places an open channel does not warn. The codes stay in the message: other readers take them all.
fn codes_on_air(info: &Info<'_>, at: &str, report: &mut Report) {
    let mut codes: Vec<&str> = Vec::new();
    for code in info.area.iter().flat_map(|a| &a.geocode).filter(|g| g.value_name == "SAME") {
        if !codes.contains(&code.value.as_ref()) {
            codes.push(&code.value);
        }
    }
    if let Some((_, rest)) = codes.split_at_checked(EAS_CODES).filter(|(_, rest)| !rest.is_empty()) {
        let detail =
            format!("{} SAME codes: EAS airs the first {EAS_CODES} and not {}", codes.len(), rest.join(" "));
        report.add(Rule::ChannelCodes, &format!("{at}/area/geocode"), &detail);
    }
}

/// The instruction says what to do: at least half of the room is its.
fn shorten(info: &mut Info<'static>, at: &str, report: &mut Report) {
    let chars = |t: &Option<Cow<'_, str>>| t.as_deref().map_or(0, |t| t.chars().count());
    let (description, instruction) = (chars(&info.description), chars(&info.instruction));
    if description + instruction <= EAS_CHARS {
        return;
    }
    let room = (EAS_CHARS / 2).max(EAS_CHARS.saturating_sub(description));
    shorten_to(&mut info.instruction, &format!("{at}/instruction"), room, report);
    let left = EAS_CHARS.saturating_sub(chars(&info.instruction));
    shorten_to(&mut info.description, &format!("{at}/description"), left, report);
}

fn shorten_to(slot: &mut Option<Cow<'static, str>>, field: &str, limit: usize, report: &mut Report) {
    let Some(whole) = slot.as_deref() else { return };
    let short = text::cut(whole, limit);
    if short.len() < whole.len() {
        let rest = whole.get(short.len()..).unwrap_or("").trim();
        let detail = format!("EAS takes {EAS_CHARS} characters in all, without: {rest}");
        report.add(Rule::ChannelText, field, &detail);
        *slot = Some(Cow::Owned(short));
    }
}

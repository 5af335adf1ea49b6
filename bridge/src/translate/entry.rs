//! A MASAS Atom entry (masas page 4 and 6.2): for hubs and viewers that take no CAP.
//!
//! An entry has one status, severity and certainty, one end, one shape, and a text for each language; it has no type and
//! refers to nothing. So a Cancel is an entry that ends now, to be put where the earlier one is.

use std::borrow::Cow;
use std::fmt::Write;

use cap_schema::xml::escape_text;
use cap_schema::{Alert, Circle, Code, Info, MsgType, Time};

use super::report::{Report, Rule};
use super::{Request, codes, lifecycle, room, text as texts};

/// Characters of a title that a hub takes (masas page 4.3).
const TITLE_CHARS: usize = 250;
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// What the entry shows of the shapes of a message.
pub(super) struct Shape {
    /// The name of its element.
    pub(super) name: &'static str,
    /// As the message writes it.
    pub(super) text: String,
}

/// Writes the entry of a message that was made for Canada.
pub(super) fn write(request: &Request<'_>, alert: &Alert<'_>, report: &mut Report) -> String {
    let kind = match alert.msg_type {
        Code::Known(kind) => kind,
        Code::Unknown(_) => MsgType::Alert,
    };
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<entry xmlns=\"{ATOM}\">");
    let first = alert.info.first();
    category(&mut out, "Status", alert.status.as_str());
    if let Some(info) = first {
        category(&mut out, "Severity", info.severity.as_str());
        category(&mut out, "Certainty", info.certainty.as_str());
        for one in &info.category {
            category(&mut out, "Category", one.as_str());
        }
        let code = info.event_code.iter().find(|c| c.value_name == codes::CAP_CP_EVENT);
        let icon =
            code.and_then(|c| request.tables.codes.cap_cp(&c.value)).map_or("other", |row| row.icon.as_str());
        category(&mut out, "Icon", icon);
    }
    let origin = request.alert.reference().to_string();
    let _ = write!(
        out,
        "<category label=\"Bridge Origin\" scheme=\"urn:capbridge:origin\" term=\"{}\"/>",
        attribute(&origin)
    );
    let blocks = blocks(alert);
    text(
        &mut out,
        "title",
        &blocks,
        |infos, report| infos.first().map_or(String::new(), |i| title(i, kind, report)),
        report,
    );
    text(&mut out, "content", &blocks, |infos, _| content(infos), report);
    if let Some(web) = first.and_then(|info| info.web.as_deref()) {
        let _ = write!(out, "<link rel=\"related\" href=\"{}\"/>", attribute(web));
    }
    let ends = match kind {
        MsgType::Cancel => Some(request.at.to_string()),
        MsgType::Alert | MsgType::Update | MsgType::Ack | MsgType::Error => {
            first.and_then(|info| info.expires.as_ref()).and_then(zulu)
        }
    };
    if let Some(ends) = ends {
        let _ = write!(out, "<expires xmlns=\"http://purl.org/atompub/age/1.0\">{ends}</expires>");
    }
    if let Some(effective) = first.and_then(|info| info.effective.as_ref()).and_then(zulu) {
        let _ = write!(out, "<effective xmlns=\"masas:experimental:time\">{effective}</effective>");
    }
    let shown = first.and_then(|info| geometry(&mut out, info));
    out.push_str("</entry>");
    room::report(alert, kind, shown.as_ref(), report);
    out
}

fn zulu(time: &Time<'_>) -> Option<String> {
    jiff::Timestamp::from_second(time.instant()?.seconds()).ok().map(|at| at.to_string())
}

/// The infos of each language, in the order of the message: an entry has one text for a language.
fn blocks<'a>(alert: &'a Alert<'_>) -> Vec<(Cow<'a, str>, Vec<&'a Info<'a>>)> {
    let mut blocks: Vec<(Cow<'a, str>, Vec<&'a Info<'a>>)> = Vec::new();
    for info in &alert.info {
        let language = info.language.as_deref().unwrap_or("en-CA");
        let short = language.split('-').next().unwrap_or("en");
        match blocks.iter_mut().find(|(known, _)| known == short) {
            Some((_, infos)) => infos.push(info),
            None => blocks.push((Cow::Borrowed(short), vec![info])),
        }
    }
    blocks
}

/// What the infos of a language say, each once.
fn content(infos: &[&Info<'_>]) -> String {
    let mut said: Vec<String> = Vec::with_capacity(infos.len());
    for info in infos {
        let texts = [info.headline.as_deref(), info.description.as_deref(), info.instruction.as_deref()];
        let words = texts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if !said.contains(&words) {
            said.push(words);
        }
    }
    said.join(" ")
}

/// The whole headline is in the content; the title is cut to what a hub takes.
fn title(info: &Info<'_>, kind: MsgType, report: &mut Report) -> String {
    let whole = info.headline.as_deref().unwrap_or(&info.event);
    let ended = lifecycle::ended(info.language.as_deref());
    let whole = if kind == MsgType::Cancel && !whole.ends_with(ended) {
        &format!("{whole} - {ended}")
    } else {
        whole
    };
    let short = texts::cut(whole, TITLE_CHARS);
    if short.len() < whole.len() {
        let rest = whole.get(short.len()..).unwrap_or("").trim();
        report.add(Rule::TextLength, "title", &format!("{TITLE_CHARS} characters, without: {rest}"));
    }
    short
}

fn category(out: &mut String, label: &str, term: &str) {
    let scheme = label.to_ascii_lowercase();
    let _ = write!(
        out,
        "<category label=\"{label}\" scheme=\"masas:category:{scheme}\" term=\"{}\"/>",
        attribute(term)
    );
}

fn attribute(value: &str) -> String {
    let mut escaped = String::new();
    escape_text(value, &mut escaped);
    escaped.replace('"', "&quot;")
}

fn text<'a>(
    out: &mut String,
    name: &str,
    blocks: &[(Cow<'a, str>, Vec<&'a Info<'a>>)],
    mut words: impl FnMut(&[&'a Info<'a>], &mut Report) -> String,
    report: &mut Report,
) {
    let _ = write!(out, "<{name} type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\">");
    for (language, infos) in blocks {
        let _ = write!(out, "<div xml:lang=\"{}\">", attribute(language));
        escape_text(&words(infos, report), out);
        out.push_str("</div>");
    }
    let _ = write!(out, "</div></{name}>");
}

/// One shape: the event's position if it is known, else the first circle (metres) or polygon. Which one of the message.
fn geometry(out: &mut String, info: &Info<'_>) -> Option<Shape> {
    const GEORSS: &str = "http://www.georss.org/georss";
    let position = info
        .parameter
        .iter()
        .find(|p| p.value_name.contains("eventLocation") && p.value_name.ends_with("point"));
    if let Some(point) = position {
        let _ =
            write!(out, "<point xmlns=\"{GEORSS}\">{}</point>", attribute(&point.value.replace(',', " ")));
        return None;
    }
    let mut circles = info.area.iter().flat_map(|a| &a.circle);
    if let Some((text, center, metres)) =
        circles.find_map(|circle| in_metres(circle).map(|(center, metres)| (circle.as_str(), center, metres)))
    {
        let _ = write!(out, "<circle xmlns=\"{GEORSS}\">{} {metres}</circle>", attribute(&center));
        return Some(Shape { name: "circle", text: text.to_owned() });
    }
    let polygon = info.area.iter().flat_map(|a| &a.polygon).find(|p| p.points().is_ok())?;
    let text = polygon.as_str();
    let _ = write!(out, "<polygon xmlns=\"{GEORSS}\">{}</polygon>", attribute(&text.replace(',', " ")));
    Some(Shape { name: "polygon", text: text.to_owned() })
}

/// Centre and radius of a circle as GeoRSS writes them: the same digits, kilometres moved to metres. A hub takes no
/// radius under one metre (masas page 4.5).
fn in_metres(circle: &Circle<'_>) -> Option<(String, String)> {
    let radius_km = circle.radius_km().ok()?;
    circle.center().ok()?;
    let (center, radius) = circle.as_str().trim().split_once(char::is_whitespace)?;
    let metres = if radius_km < 0.001 { "1".to_owned() } else { thousandfold(radius.trim()) };
    Some((center.replace(',', " "), metres))
}

/// A decimal number times a thousand, digit by digit: no digit is made up and none is lost.
fn thousandfold(number: &str) -> String {
    let (whole, fraction) = number.trim_start_matches('+').split_once('.').unwrap_or((number, ""));
    let moved: String = fraction.chars().chain("000".chars()).take(3).collect();
    let rest = fraction.get(3..).unwrap_or("").trim_end_matches('0');
    let digits = format!("{whole}{moved}");
    let digits = digits.trim_start_matches(['0', '+']);
    let digits = if digits.is_empty() { "0" } else { digits };
    if rest.is_empty() { digits.to_owned() } else { format!("{digits}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilometres_become_metres_with_the_same_digits() {
        for (circle, expected) in [
            ("42.97,-82.40 4", ("42.97 -82.40", "4000")),
            ("42.97,-82.40 0.25", ("42.97 -82.40", "250")),
            ("42.97,-82.40 +1.2345", ("42.97 -82.40", "1234.5")),
            ("42.97,-82.40 12.10", ("42.97 -82.40", "12100")),
            ("42.97,-82.40 .0500", ("42.97 -82.40", "50")),
            ("42.97,-82.40 0", ("42.97 -82.40", "1")),
        ] {
            let (center, metres) = in_metres(&Circle::new(circle)).unwrap();
            assert_eq!((center.as_str(), metres.as_str()), expected, "{circle}");
        }
        assert!(in_metres(&Circle::new("nowhere 3")).is_none());
    }
}

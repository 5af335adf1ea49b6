//! A MASAS Atom entry (masas page 4 and 6.2): for hubs and viewers that take no CAP.

use std::fmt::Write;

use cap_schema::xml::escape_text;
use cap_schema::{Alert, Circle, Info};

use super::report::{Report, Rule};
use super::{Request, codes, text as texts};

/// Characters of a title that a hub takes (masas page 4.3).
const TITLE_CHARS: usize = 250;
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// Writes the entry of a message that was made for Canada.
pub(super) fn write(request: &Request<'_>, alert: &Alert<'_>, report: &mut Report) -> String {
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
    text(&mut out, "title", alert, |i| title(i, report));
    text(&mut out, "content", alert, |i| {
        [i.headline.as_deref(), i.description.as_deref(), i.instruction.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    });
    if let Some(expires) = first.and_then(|i| i.expires.as_ref()).and_then(cap_schema::Time::instant) {
        let zulu = jiff::Timestamp::from_second(expires.seconds()).map(|t| t.to_string()).unwrap_or_default();
        let _ = write!(out, "<expires xmlns=\"http://purl.org/atompub/age/1.0\">{zulu}</expires>");
    }
    if let Some(info) = first {
        geometry(&mut out, info);
    }
    out.push_str("</entry>");
    out
}

/// The whole headline is in the content; the title is cut to what a hub takes.
fn title(info: &Info<'_>, report: &mut Report) -> String {
    let whole = info.headline.as_deref().unwrap_or(&info.event);
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

fn text(out: &mut String, name: &str, alert: &Alert<'_>, mut words: impl FnMut(&Info<'_>) -> String) {
    let _ = write!(out, "<{name} type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\">");
    for info in &alert.info {
        let language = info.language.as_deref().unwrap_or("en-CA");
        let short = language.split('-').next().unwrap_or("en");
        let _ = write!(out, "<div xml:lang=\"{}\">", attribute(short));
        escape_text(&words(info), out);
        out.push_str("</div>");
    }
    let _ = write!(out, "</div></{name}>");
}

/// One shape: the event's position if it is known, else the first circle (metres) or polygon.
fn geometry(out: &mut String, info: &Info<'_>) {
    const GEORSS: &str = "http://www.georss.org/georss";
    let position = info
        .parameter
        .iter()
        .find(|p| p.value_name.contains("eventLocation") && p.value_name.ends_with("point"));
    if let Some(point) = position {
        let _ =
            write!(out, "<point xmlns=\"{GEORSS}\">{}</point>", attribute(&point.value.replace(',', " ")));
        return;
    }
    let mut circles = info.area.iter().flat_map(|a| &a.circle);
    if let Some((center, metres)) = circles.find_map(|circle| in_metres(circle)) {
        let _ = write!(out, "<circle xmlns=\"{GEORSS}\">{} {metres}</circle>", attribute(&center));
        return;
    }
    let polygon = info.area.iter().flat_map(|a| &a.polygon).find(|p| p.points().is_ok());
    if let Some(polygon) = polygon {
        let _ = write!(
            out,
            "<polygon xmlns=\"{GEORSS}\">{}</polygon>",
            attribute(&polygon.as_str().replace(',', " "))
        );
    }
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

//! A MASAS Atom entry (masas page 4 and 6.2): for hubs and viewers that take no CAP.

use std::fmt::Write;

use cap_schema::xml::escape_text;
use cap_schema::{Alert, Info};

use super::{Request, codes};

const ATOM: &str = "http://www.w3.org/2005/Atom";

/// Writes the entry of a message that was made for Canada.
pub(super) fn write(request: &Request<'_>, alert: &Alert<'_>) -> String {
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
    text(&mut out, "title", alert, |i| i.headline.as_deref().unwrap_or(&i.event).to_owned());
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

fn text(out: &mut String, name: &str, alert: &Alert<'_>, words: impl Fn(&Info<'_>) -> String) {
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
    let circle =
        info.area.iter().flat_map(|a| &a.circle).find_map(|c| Some((c.center().ok()?, c.radius_km().ok()?)));
    if let Some((center, radius_km)) = circle {
        let metres = (radius_km * 1_000.0).max(1.0);
        let _ = write!(out, "<circle xmlns=\"{GEORSS}\">{} {} {metres:.0}</circle>", center.lat, center.lon);
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

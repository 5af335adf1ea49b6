//! A page of a feed as Atom (RFC 4287), paged after RFC 5005 section 3, with the messages as enclosures, their shapes as
//! GeoRSS Simple and the facts that readers sort by under their CAP names.

use std::fmt::Write;

use cap_schema::{Circle, MsgType, Polygon};
use capbridge_adapters::feed::{Entry, EntryInfo};

use super::{FeedServer, Served};
use crate::store::feeds::{Extent, Placed, Span};

/// What is shown.
pub(super) struct Page {
    /// Newest first.
    pub(super) entries: Vec<Placed>,
    pub(super) extent: Extent,
    pub(super) span: Span,
    pub(super) limit: u32,
}

/// The document.
pub(super) fn document(server: &FeedServer, served: &Served, page: &Page) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" \
         xmlns:georss=\"http://www.georss.org/georss\" xmlns:cap=\"urn:oasis:names:tc:emergency:cap:1.2\">\n",
    );
    let feed = &served.feed;
    let newest = page.entries.first().map(|placed| placed.entry.published_at).unwrap_or_default();
    element(&mut out, "id", &server.lasting_id(&["feed", &feed.name.0]));
    element(&mut out, "title", &format!("{}{}", served.banner(), feed.title));
    element(&mut out, "updated", &newest.to_string());
    let _ = writeln!(out, "<author><name>{}</name></author>", escaped(&server.author));
    element(&mut out, "generator", "capbridge");
    links(&mut out, server, served, page);
    for placed in &page.entries {
        entry(&mut out, server, served, &placed.entry);
    }
    out.push_str("</feed>\n");
    out
}

fn links(out: &mut String, server: &FeedServer, served: &Served, page: &Page) {
    let at = |query: String| {
        let all =
            if page.limit == server.page_entries { String::new() } else { format!("limit={}", page.limit) };
        let parts: Vec<String> = [query, all].into_iter().filter(|part| !part.is_empty()).collect();
        let query = if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
        server.url(&served.feed, &format!("atom.xml{query}"))
    };
    let own = match page.span {
        Span::After(place) => format!("after={place}"),
        Span::Before(place) if place > page.extent.last => String::new(),
        Span::Before(place) => format!("before={place}"),
    };
    let mut link = |rel: &str, href: &str| {
        let _ =
            writeln!(out, "<link rel=\"{rel}\" type=\"application/atom+xml\" href=\"{}\"/>", escaped(href));
    };
    link("self", &at(own));
    link("first", &at(String::new()));
    link("last", &at("after=0".to_owned()));
    let (newest, oldest) = (page.entries.first(), page.entries.last());
    // A page that is not full is the last one, unless it was read from the other end.
    let is_full = page.entries.len() == usize::try_from(page.limit).unwrap_or(usize::MAX);
    if let Some(oldest) = oldest
        && match page.span {
            Span::Before(_) => is_full && oldest.place > 1,
            Span::After(place) => place > 0,
        }
    {
        link("next", &at(format!("before={}", oldest.place)));
    }
    if let Some(newest) = newest
        && newest.place < page.extent.last
    {
        link("previous", &at(format!("after={}", newest.place)));
    }
}

fn entry(out: &mut String, server: &FeedServer, served: &Served, entry: &Entry) {
    out.push_str("<entry>\n");
    element(out, "id", &server.lasting_id(&["entry", &served.feed.name.0, &entry.id]));
    element(out, "title", &title(served, entry));
    element(out, "updated", &entry.published_at.to_string());
    element(out, "published", &entry.published_at.to_string());
    let first = entry.infos.first();
    let author = first.and_then(|info| info.sender_name.as_deref()).unwrap_or(&entry.sender);
    let _ = writeln!(out, "<author><name>{}</name></author>", escaped(author));
    let mut terms: Vec<&str> = Vec::new();
    for term in entry.infos.iter().flat_map(|info| &info.categories) {
        if !terms.contains(&term.as_str()) {
            terms.push(term);
            let _ = writeln!(out, "<category term=\"{}\"/>", escaped(term));
        }
    }
    element(out, "summary", &summary(entry));
    let href = escaped(&server.url(&served.feed, &format!("alerts/{}.xml", entry.id)));
    let media = escaped(&entry.content_type);
    let length = entry.length_bytes;
    let _ = writeln!(out, "<link rel=\"enclosure\" type=\"{media}\" length=\"{length}\" href=\"{href}\"/>");
    let _ = writeln!(out, "<content type=\"{media}\" src=\"{href}\"/>");
    element(out, "cap:status", &entry.status);
    element(out, "cap:msgType", kind(entry.msg_type));
    element(out, "cap:sent", &entry.sent);
    if let Some(info) = first {
        facts(out, info);
    }
    shapes(out, entry);
    out.push_str("</entry>\n");
}

pub(super) fn title(served: &Served, entry: &Entry) -> String {
    let ends = match entry.msg_type {
        MsgType::Cancel => "CANCEL / ANNULATION: ",
        MsgType::Error => "ERROR / ERREUR: ",
        MsgType::Alert | MsgType::Update | MsgType::Ack => "",
    };
    format!("{}{ends}{}", served.banner(), entry.headline())
}

pub(super) fn kind(msg_type: MsgType) -> &'static str {
    match msg_type {
        MsgType::Alert => "Alert",
        MsgType::Update => "Update",
        MsgType::Cancel => "Cancel",
        MsgType::Ack => "Ack",
        MsgType::Error => "Error",
    }
}

fn summary(entry: &Entry) -> String {
    let texts: Vec<&str> = entry
        .infos
        .iter()
        .flat_map(|info| [info.description.as_deref(), info.instruction.as_deref()])
        .flatten()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() { entry.headline() } else { texts.join("\n\n") }
}

fn facts(out: &mut String, info: &EntryInfo) {
    element(out, "cap:event", &info.event);
    element(out, "cap:urgency", &info.urgency);
    element(out, "cap:severity", &info.severity);
    element(out, "cap:certainty", &info.certainty);
    if let Some(expires) = &info.expires {
        element(out, "cap:expires", expires);
    }
    let places: Vec<&str> = info.areas.iter().map(|area| area.description.as_str()).collect();
    if !places.is_empty() {
        element(out, "cap:areaDesc", &places.join("; "));
    }
}

/// Each shape once: infos in two languages have the same.
fn shapes(out: &mut String, entry: &Entry) {
    let mut told: Vec<&str> = Vec::new();
    for area in entry.infos.iter().flat_map(|info| &info.areas) {
        for text in &area.polygons {
            if !told.contains(&text.as_str()) && Polygon::new(text.as_str()).points().is_ok() {
                told.push(text);
                element(out, "georss:polygon", &text.replace(',', " "));
            }
        }
        for text in &area.circles {
            let circle = Circle::new(text.as_str());
            if let (false, Ok(centre), Ok(radius_km)) =
                (told.contains(&text.as_str()), circle.center(), circle.radius_km())
            {
                told.push(text);
                let metres = radius_km * 1_000.0;
                element(out, "georss:circle", &format!("{} {} {metres}", centre.lat, centre.lon));
            }
        }
    }
}

fn element(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "<{name}>{}</{name}>", escaped(text));
}

/// Text as content or as the value of an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out
}

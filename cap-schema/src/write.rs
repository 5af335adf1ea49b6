//! The model as CAP 1.2, in schema order.
//!
//! Owns the shape that the IPAWS profile signs (ipaws page 6.4): one default namespace on `alert`, no white space between
//! elements, no comments. What CAP 1.0 and 1.1 lack is filled with the defaults of cap page 1.7.

use std::borrow::Cow;

use crate::alert::{Alert, Version};
use crate::area::Area;
use crate::code::{Category, CodeList, Scope};
use crate::info::{Info, NamedValue};
use crate::parse::is_decimal;
use crate::resource::Resource;
use crate::time::{Time, trimmed};
use crate::xml::escape_text;

/// The namespace of CAP 1.2.
pub const CAP_1_2: &str = "urn:oasis:names:tc:emergency:cap:1.2";

/// Start and end of an element.
type Tags = (&'static str, &'static str);

macro_rules! tags {
    ($name:literal) => {
        (concat!("<", $name, ">"), concat!("</", $name, ">"))
    };
}

/// Writes an alert as CAP 1.2.
pub fn write(alert: &Alert<'_>) -> String {
    let mut out = String::with_capacity(size(alert));
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"");
    out.push_str(CAP_1_2);
    out.push_str("\">");
    leaf(&mut out, tags!("identifier"), &alert.identifier);
    leaf(&mut out, tags!("sender"), &alert.sender);
    leaf(&mut out, tags!("sent"), &time(&alert.sent, alert.version));
    leaf(&mut out, tags!("status"), alert.status.as_str());
    leaf(&mut out, tags!("msgType"), alert.msg_type.as_str());
    optional(&mut out, tags!("source"), alert.source.as_deref());
    match &alert.scope {
        Some(scope) => leaf(&mut out, tags!("scope"), scope.as_str()),
        // Optional in CAP 1.0 only, where its absence means Public.
        None if alert.version == Version::V1_0 => leaf(&mut out, tags!("scope"), Scope::Public.as_str()),
        None => {}
    }
    optional(&mut out, tags!("restriction"), alert.restriction.as_deref());
    optional(&mut out, tags!("addresses"), alert.addresses.as_deref());
    for code in &alert.code {
        leaf(&mut out, tags!("code"), code);
    }
    let (note, references) = note_and_references(alert);
    optional(&mut out, tags!("note"), note.as_deref());
    optional(&mut out, tags!("references"), references);
    optional(&mut out, tags!("incidents"), alert.incidents.as_deref());
    for one in &alert.info {
        info(&mut out, one, alert.version);
    }
    for raw in alert.extensions.iter().chain(&alert.signatures) {
        out.push_str(raw);
    }
    out.push_str("</alert>");
    out
}

/// CAP 1.0 refers to messages without saying when they were sent; only a store could tell, so they go into the note.
fn note_and_references<'a>(alert: &'a Alert<'_>) -> (Option<Cow<'a, str>>, Option<&'a str>) {
    let (note, references) = (alert.note.as_deref(), alert.references.as_deref());
    match references {
        Some(references) if alert.version == Version::V1_0 => {
            let before = note.map_or_else(String::new, |n| format!("{n} "));
            (Some(Cow::Owned(format!("{before}References of CAP 1.0: {references}"))), None)
        }
        _ => (note.map(Cow::Borrowed), references),
    }
}

/// About how long the text becomes: what is long is counted, the rest guessed.
fn size(alert: &Alert<'_>) -> usize {
    let optional = |text: &Option<Cow<'_, str>>| text.as_deref().map_or(0, str::len);
    let pairs =
        |list: &[NamedValue<'_>]| list.iter().map(|p| p.value.len() + p.value_name.len() + 80).sum::<usize>();
    let area = |a: &Area<'_>| {
        a.polygon.iter().map(|p| p.as_str().len() + 24).sum::<usize>()
            + pairs(&a.geocode)
            + a.area_desc.len()
            + 128
    };
    let resource = |r: &Resource<'_>| optional(&r.deref_uri) + optional(&r.uri) + 384;
    let info = |i: &Info<'_>| {
        optional(&i.description)
            + optional(&i.instruction)
            + optional(&i.headline)
            + pairs(&i.parameter)
            + i.resource.iter().map(resource).sum::<usize>()
            + i.area.iter().map(area).sum::<usize>()
            + 1_024
    };
    let signatures = alert.signatures.iter().chain(&alert.extensions).map(|s| s.len()).sum::<usize>();
    alert.info.iter().map(info).sum::<usize>()
        + signatures
        + optional(&alert.references)
        + optional(&alert.note)
        + 1_024
}

fn leaf(out: &mut String, (start, end): Tags, text: &str) {
    out.push_str(start);
    escape_text(text, out);
    out.push_str(end);
}

/// The schemas of CAP 1.0 and 1.1 take forms of times that 1.2 does not.
fn time<'a>(time: &'a Time<'_>, version: Version) -> Cow<'a, str> {
    if version == Version::V1_2 { Cow::Borrowed(time.as_str()) } else { time.in_cap_form() }
}

fn optional(out: &mut String, tags: Tags, text: Option<&str>) {
    if let Some(text) = text {
        leaf(out, tags, text);
    }
}

fn pair(out: &mut String, (start, end): Tags, value: &NamedValue<'_>) {
    out.push_str(start);
    leaf(out, tags!("valueName"), &value.value_name);
    leaf(out, tags!("value"), &value.value);
    for raw in &value.extensions {
        out.push_str(raw);
    }
    out.push_str(end);
}

fn info(out: &mut String, info: &Info<'_>, version: Version) {
    out.push_str("<info>");
    optional(out, tags!("language"), info.language.as_deref());
    for category in &info.category {
        leaf(out, tags!("category"), category.as_str());
    }
    if info.category.is_empty() && version == Version::V1_0 {
        leaf(out, tags!("category"), Category::Other.as_str());
    }
    leaf(out, tags!("event"), &info.event);
    for response in &info.response_type {
        leaf(out, tags!("responseType"), response.as_str());
    }
    leaf(out, tags!("urgency"), info.urgency.as_str());
    leaf(out, tags!("severity"), info.severity.as_str());
    leaf(out, tags!("certainty"), info.certainty.as_str());
    optional(out, tags!("audience"), info.audience.as_deref());
    for code in &info.event_code {
        pair(out, tags!("eventCode"), code);
    }
    let times = [
        (tags!("effective"), &info.effective),
        (tags!("onset"), &info.onset),
        (tags!("expires"), &info.expires),
    ];
    for (tags, value) in times {
        if let Some(value) = value {
            leaf(out, tags, &time(value, version));
        }
    }
    optional(out, tags!("senderName"), info.sender_name.as_deref());
    optional(out, tags!("headline"), info.headline.as_deref());
    optional(out, tags!("description"), info.description.as_deref());
    optional(out, tags!("instruction"), info.instruction.as_deref());
    optional(out, tags!("web"), info.web.as_deref());
    optional(out, tags!("contact"), info.contact.as_deref());
    for parameter in &info.parameter {
        pair(out, tags!("parameter"), parameter);
    }
    for one in &info.resource {
        resource(out, one, version);
    }
    for one in &info.area {
        area(out, one, version);
    }
    for raw in &info.extensions {
        out.push_str(raw);
    }
    out.push_str("</info>");
}

fn resource(out: &mut String, resource: &Resource<'_>, version: Version) {
    out.push_str("<resource>");
    leaf(out, tags!("resourceDesc"), &resource.resource_desc);
    match &resource.mime_type {
        Some(mime_type) => leaf(out, tags!("mimeType"), mime_type),
        // Required since 1.2.
        None if version != Version::V1_2 => leaf(out, tags!("mimeType"), "application/octet-stream"),
        None => {}
    }
    optional(out, tags!("size"), resource.size.as_deref());
    optional(out, tags!("uri"), resource.uri.as_deref());
    optional(out, tags!("derefUri"), resource.deref_uri.as_deref());
    optional(out, tags!("digest"), resource.digest.as_deref());
    for raw in &resource.extensions {
        out.push_str(raw);
    }
    out.push_str("</resource>");
}

fn area(out: &mut String, area: &Area<'_>, version: Version) {
    out.push_str("<area>");
    leaf(out, tags!("areaDesc"), &area.area_desc);
    for polygon in &area.polygon {
        leaf(out, tags!("polygon"), polygon.as_str());
    }
    for circle in &area.circle {
        leaf(out, tags!("circle"), circle.as_str());
    }
    for geocode in &area.geocode {
        pair(out, tags!("geocode"), geocode);
    }
    // Texts of any kind before 1.2, such as `500 ft`.
    let decimal = |text: &str| version == Version::V1_2 || is_decimal(trimmed(text));
    optional(out, tags!("altitude"), area.altitude.as_deref().filter(|t| decimal(t)));
    optional(out, tags!("ceiling"), area.ceiling.as_deref().filter(|t| decimal(t)));
    for raw in &area.extensions {
        out.push_str(raw);
    }
    out.push_str("</area>");
}

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

/// Writes an alert as CAP 1.2.
pub fn write(alert: &Alert<'_>) -> String {
    let mut out = String::with_capacity(size(alert));
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"");
    out.push_str(CAP_1_2);
    out.push_str("\">");
    leaf(&mut out, "identifier", &alert.identifier);
    leaf(&mut out, "sender", &alert.sender);
    leaf(&mut out, "sent", &time(&alert.sent, alert.version));
    leaf(&mut out, "status", alert.status.as_str());
    leaf(&mut out, "msgType", alert.msg_type.as_str());
    optional(&mut out, "source", alert.source.as_deref());
    match &alert.scope {
        Some(scope) => leaf(&mut out, "scope", scope.as_str()),
        // Optional in CAP 1.0 only, where its absence means Public.
        None if alert.version == Version::V1_0 => leaf(&mut out, "scope", Scope::Public.as_str()),
        None => {}
    }
    optional(&mut out, "restriction", alert.restriction.as_deref());
    optional(&mut out, "addresses", alert.addresses.as_deref());
    for code in &alert.code {
        leaf(&mut out, "code", code);
    }
    let (note, references) = note_and_references(alert);
    optional(&mut out, "note", note.as_deref());
    optional(&mut out, "references", references);
    optional(&mut out, "incidents", alert.incidents.as_deref());
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

fn leaf(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    escape_text(text, out);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// The schemas of CAP 1.0 and 1.1 take forms of times that 1.2 does not.
fn time<'a>(time: &'a Time<'_>, version: Version) -> Cow<'a, str> {
    if version == Version::V1_2 { Cow::Borrowed(time.as_str()) } else { time.in_cap_form() }
}

fn optional(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        leaf(out, name, text);
    }
}

fn pair(out: &mut String, name: &str, value: &NamedValue<'_>) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    leaf(out, "valueName", &value.value_name);
    leaf(out, "value", &value.value);
    for raw in &value.extensions {
        out.push_str(raw);
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn info(out: &mut String, info: &Info<'_>, version: Version) {
    out.push_str("<info>");
    optional(out, "language", info.language.as_deref());
    for category in &info.category {
        leaf(out, "category", category.as_str());
    }
    if info.category.is_empty() && version == Version::V1_0 {
        leaf(out, "category", Category::Other.as_str());
    }
    leaf(out, "event", &info.event);
    for response in &info.response_type {
        leaf(out, "responseType", response.as_str());
    }
    leaf(out, "urgency", info.urgency.as_str());
    leaf(out, "severity", info.severity.as_str());
    leaf(out, "certainty", info.certainty.as_str());
    optional(out, "audience", info.audience.as_deref());
    for code in &info.event_code {
        pair(out, "eventCode", code);
    }
    for (name, value) in [("effective", &info.effective), ("onset", &info.onset), ("expires", &info.expires)]
    {
        if let Some(value) = value {
            leaf(out, name, &time(value, version));
        }
    }
    optional(out, "senderName", info.sender_name.as_deref());
    optional(out, "headline", info.headline.as_deref());
    optional(out, "description", info.description.as_deref());
    optional(out, "instruction", info.instruction.as_deref());
    optional(out, "web", info.web.as_deref());
    optional(out, "contact", info.contact.as_deref());
    for parameter in &info.parameter {
        pair(out, "parameter", parameter);
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
    leaf(out, "resourceDesc", &resource.resource_desc);
    match &resource.mime_type {
        Some(mime_type) => leaf(out, "mimeType", mime_type),
        // Required since 1.2.
        None if version != Version::V1_2 => leaf(out, "mimeType", "application/octet-stream"),
        None => {}
    }
    optional(out, "size", resource.size.as_deref());
    optional(out, "uri", resource.uri.as_deref());
    optional(out, "derefUri", resource.deref_uri.as_deref());
    optional(out, "digest", resource.digest.as_deref());
    for raw in &resource.extensions {
        out.push_str(raw);
    }
    out.push_str("</resource>");
}

fn area(out: &mut String, area: &Area<'_>, version: Version) {
    out.push_str("<area>");
    leaf(out, "areaDesc", &area.area_desc);
    for polygon in &area.polygon {
        leaf(out, "polygon", polygon.as_str());
    }
    for circle in &area.circle {
        leaf(out, "circle", circle.as_str());
    }
    for geocode in &area.geocode {
        pair(out, "geocode", geocode);
    }
    // Texts of any kind before 1.2, such as `500 ft`.
    let decimal = |text: &str| version == Version::V1_2 || is_decimal(trimmed(text));
    optional(out, "altitude", area.altitude.as_deref().filter(|t| decimal(t)));
    optional(out, "ceiling", area.ceiling.as_deref().filter(|t| decimal(t)));
    for raw in &area.extensions {
        out.push_str(raw);
    }
    out.push_str("</area>");
}

//! The content model of CAP, element by element.
//!
//! Owns which children an element has in which version, how often and in which order. Names and paths are compared and
//! built without allocation; words are made only for findings.

use std::borrow::Cow;

use super::content::Reading;
use super::place::{Name, Place};
use crate::alert::{Alert, Version};
use crate::area::Area;
use crate::code::{Category, Certainty, Code, ResponseType, Status};
use crate::finding::Rejection;
use crate::geometry::{Circle, Polygon};
use crate::info::{Info, NamedValue};
use crate::limits::Limits;
use crate::parse::Parsed;
use crate::resource::Resource;
use crate::xml::Piece;

pub(super) type Outcome<T> = Result<T, Rejection>;

/// Which children of an element were there, and which was the last in schema order.
#[derive(Default)]
pub(super) struct Seen {
    counts: [u16; 22],
    last: usize,
}

impl Seen {
    /// Counts one more; its number and whether it stands too late.
    pub(super) fn one_more(&mut self, index: usize) -> (u16, bool) {
        let number = self.counts.get_mut(index).map_or(1, |count| {
            *count = count.saturating_add(1);
            *count
        });
        let late = index < self.last;
        self.last = self.last.max(index);
        (number, late)
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.counts.get(index).is_some_and(|count| *count > 0)
    }

    pub(super) fn last(&self) -> usize {
        self.last
    }
}

/// A child that began.
pub(super) enum Child<'t> {
    /// An element of the content model, by its place in the schema.
    Known(usize),
    /// An XML signature, as written.
    Signature(Cow<'t, str>),
    /// Another element, as written.
    Other(Cow<'t, str>),
}

/// Reads the alert of a text that passed the gate.
pub(super) fn document<'t>(text: &'t str, limits: &'t Limits) -> Outcome<Parsed<'t>> {
    let mut reading = Reading::new(text, limits);
    reading.root()?;
    let mut alert = alert(&mut reading)?;
    while !matches!(reading.reader.pull()?, Piece::Over) {}
    if alert.version == Version::V1_0 {
        from_1_0(&mut alert, &mut reading);
    }
    Ok(Parsed { alert, findings: reading.into_findings() })
}

fn alert<'t>(r: &mut Reading<'t>) -> Outcome<Alert<'t>> {
    let start = r.reader.offset();
    let mut seen = Seen::default();
    let mut alert = Alert { version: r.version, ..Alert::default() };
    while let Some(child) = r.child(&super::place::ALERT, &mut seen)? {
        match child {
            Child::Known(0) => alert.identifier = r.required_value()?,
            Child::Known(1) => alert.sender = r.required_value()?,
            Child::Known(2) => alert.sent = r.time()?.unwrap_or_default(),
            Child::Known(3) => alert.status = r.code()?,
            Child::Known(4) => alert.msg_type = r.code()?,
            Child::Known(5) => alert.source = r.text()?,
            Child::Known(6) => alert.scope = Some(r.code()?),
            Child::Known(7) => alert.restriction = r.text()?,
            Child::Known(8) => alert.addresses = r.text()?,
            Child::Known(9) => alert.code.extend(r.value()?),
            Child::Known(10) => alert.note = r.text()?,
            Child::Known(11) => alert.references = r.list()?,
            Child::Known(12) => alert.incidents = r.text()?,
            Child::Known(_) => {
                r.bound("limit.infos", "infos", alert.info.len(), r.limits.infos)?;
                alert.info.push(info(r)?);
            }
            Child::Signature(raw) => {
                r.bound("limit.signatures", "signatures", alert.signatures.len(), r.limits.signatures)?;
                alert.signatures.push(raw);
                continue;
            }
            Child::Other(raw) => {
                alert.extensions.push(raw);
                continue;
            }
        }
        r.place.leave();
    }
    let required: &[usize] = if r.version == Version::V1_0 { &[0, 1, 2, 3, 4] } else { &[0, 1, 2, 3, 4, 6] };
    r.require(&super::place::ALERT, &seen, required, start);
    if r.version == Version::V1_0 && alert.status == Code::Known(Status::Draft) {
        r.newer(start, "status Draft");
    }
    Ok(alert)
}

fn info<'t>(r: &mut Reading<'t>) -> Outcome<Info<'t>> {
    let start = r.reader.offset();
    let mut seen = Seen::default();
    let mut info = Info::default();
    while let Some(child) = r.child(&super::place::INFO, &mut seen)? {
        match child {
            Child::Known(0) => info.language = r.language()?,
            Child::Known(1) => info.category.push(r.code()?),
            Child::Known(2) => info.event = r.required_text()?,
            Child::Known(3) => info.response_type.push(r.code()?),
            Child::Known(4) => info.urgency = r.code()?,
            Child::Known(5) => info.severity = r.code()?,
            Child::Known(6) => info.certainty = r.certainty()?,
            Child::Known(7) => info.audience = r.text()?,
            Child::Known(8) => info.event_code.push(pair(r)?),
            Child::Known(9) => info.effective = r.time()?,
            Child::Known(10) => info.onset = r.time()?,
            Child::Known(11) => info.expires = r.time()?,
            Child::Known(12) => info.sender_name = r.text()?,
            Child::Known(13) => info.headline = r.text()?,
            Child::Known(14) => info.description = r.text()?,
            Child::Known(15) => info.instruction = r.text()?,
            Child::Known(16) => info.web = r.text()?,
            Child::Known(17) => info.contact = r.text()?,
            Child::Known(18) => info.parameter.push(pair(r)?),
            Child::Known(19) => info.resource.push(resource(r)?),
            Child::Known(_) => {
                r.bound("limit.areas", "areas", info.area.len(), r.limits.areas)?;
                info.area.push(area(r)?);
            }
            Child::Signature(raw) | Child::Other(raw) => {
                info.extensions.push(raw);
                continue;
            }
        }
        r.place.leave();
    }
    let required: &[usize] = if r.version == Version::V1_0 { &[2, 4, 5, 6] } else { &[1, 2, 4, 5, 6] };
    r.require(&super::place::INFO, &seen, required, start);
    versions(r, &info, start);
    Ok(info)
}

/// Values that came with a later version of CAP.
fn versions(r: &mut Reading<'_>, info: &Info<'_>, start: usize) {
    if r.version == Version::V1_2 {
        return;
    }
    let later =
        |t: &Code<'_, ResponseType>| matches!(t.known(), Some(ResponseType::Avoid | ResponseType::AllClear));
    if info.response_type.iter().any(later) {
        r.newer(start, "responseType Avoid and AllClear");
    }
    if r.version != Version::V1_0 {
        return;
    }
    if !info.response_type.is_empty() {
        r.newer(start, "responseType");
    }
    if info.category.iter().any(|c| c.known() == Some(Category::Cbrne)) {
        r.newer(start, "category CBRNE");
    }
    if info.certainty.known() == Some(Certainty::Observed) {
        r.newer(start, "certainty Observed");
    }
}

fn area<'t>(r: &mut Reading<'t>) -> Outcome<Area<'t>> {
    let start = r.reader.offset();
    let mut seen = Seen::default();
    let mut area = Area::default();
    while let Some(child) = r.child(&super::place::AREA, &mut seen)? {
        match child {
            Child::Known(0) => area.area_desc = r.required_text()?,
            Child::Known(1) => {
                if let Some(text) = r.list()? {
                    if text.len() > r.limits.points {
                        let commas = memchr::memchr_iter(b',', text.as_bytes()).count();
                        r.bound(
                            "limit.points",
                            "points of a polygon",
                            commas.saturating_sub(1),
                            r.limits.points,
                        )?;
                    }
                    area.polygon.push(Polygon::new(text));
                }
            }
            Child::Known(2) => area.circle.extend(r.list()?.map(Circle::new)),
            Child::Known(3) => area.geocode.push(pair(r)?),
            Child::Known(4) => area.altitude = r.number(true)?,
            Child::Known(_) => area.ceiling = r.number(true)?,
            Child::Signature(raw) | Child::Other(raw) => {
                area.extensions.push(raw);
                continue;
            }
        }
        r.place.leave();
    }
    r.require(&super::place::AREA, &seen, &[0], start);
    Ok(area)
}

fn resource<'t>(r: &mut Reading<'t>) -> Outcome<Resource<'t>> {
    let start = r.reader.offset();
    let mut seen = Seen::default();
    let mut resource = Resource::default();
    while let Some(child) = r.child(&super::place::RESOURCE, &mut seen)? {
        match child {
            Child::Known(0) => resource.resource_desc = r.required_text()?,
            Child::Known(1) => resource.mime_type = r.text()?,
            Child::Known(2) => resource.size = r.number(false)?,
            Child::Known(3) => resource.uri = r.text()?,
            Child::Known(4) => resource.deref_uri = r.embedded()?,
            Child::Known(_) => resource.digest = r.text()?,
            Child::Signature(raw) | Child::Other(raw) => {
                resource.extensions.push(raw);
                continue;
            }
        }
        r.place.leave();
    }
    r.require(&super::place::RESOURCE, &seen, &[0], start);
    match r.version {
        Version::V1_2 => r.require(&super::place::RESOURCE, &seen, &[1], start),
        Version::V1_1 => {}
        Version::V1_0 if resource.deref_uri.is_some() => r.newer(start, "derefUri"),
        Version::V1_0 => {}
    }
    Ok(resource)
}

/// `valueName` and `value`, or the `name=value` text of CAP 1.0.
fn pair<'t>(r: &mut Reading<'t>) -> Outcome<NamedValue<'t>> {
    if r.version == Version::V1_0 {
        let text = r.text()?.unwrap_or_default();
        return Ok(match text.split_once('=') {
            Some((name, value)) => NamedValue::new(name.to_owned(), value.to_owned()),
            None => NamedValue::new("", text),
        });
    }
    let start = r.reader.offset();
    let mut seen = Seen::default();
    let mut pair = NamedValue::default();
    while let Some(child) = r.child(&super::place::PAIR, &mut seen)? {
        match child {
            Child::Known(0) => pair.value_name = r.value_or_empty()?,
            Child::Known(_) => pair.value = r.text_or_empty()?,
            Child::Signature(raw) | Child::Other(raw) => {
                pair.extensions.push(raw);
                continue;
            }
        }
        r.place.leave();
    }
    r.require(&super::place::PAIR, &seen, &[0, 1], start);
    Ok(pair)
}

/// What CAP 1.0 says in other words (cap page 1.7).
fn from_1_0(alert: &mut Alert<'_>, r: &mut Reading<'_>) {
    for (index, info) in alert.info.iter_mut().enumerate() {
        if info.certainty.as_str() == "Very Likely" {
            info.certainty = Code::Known(Certainty::Likely);
            let mut place = Place::default();
            place.enter(Name::many("info"), u16::try_from(index + 1).unwrap_or(u16::MAX));
            r.find_at("cap.very-likely", &place, r.root_offset, "'Very Likely' of CAP 1.0 is read as Likely");
        }
    }
}

//! The content model of CAP, element by element.

use std::borrow::Cow;

use crate::alert::{Alert, Version};
use crate::area::Area;
use crate::code::{Code, CodeList};
use crate::finding::{Finding, Level, Rejection, place};
use crate::geometry::{Circle, Polygon};
use crate::info::{Info, NamedValue};
use crate::limits::Limits;
use crate::parse::Parsed;
use crate::resource::Resource;
use crate::time::Time;
use crate::xml::{DSIG_NS, Element, Reader, Token};

/// Children of `alert`, in the order of the schema.
const ALERT: [&str; 14] = [
    "identifier",
    "sender",
    "sent",
    "status",
    "msgType",
    "source",
    "scope",
    "restriction",
    "addresses",
    "code",
    "note",
    "references",
    "incidents",
    "info",
];
/// Children of `info`.
const INFO: [&str; 21] = [
    "language",
    "category",
    "event",
    "responseType",
    "urgency",
    "severity",
    "certainty",
    "audience",
    "eventCode",
    "effective",
    "onset",
    "expires",
    "senderName",
    "headline",
    "description",
    "instruction",
    "web",
    "contact",
    "parameter",
    "resource",
    "area",
];
/// Children of `resource`.
const RESOURCE: [&str; 6] = ["resourceDesc", "mimeType", "size", "uri", "derefUri", "digest"];
/// Children of `area`.
const AREA: [&str; 6] = ["areaDesc", "polygon", "circle", "geocode", "altitude", "ceiling"];
/// Children that may stand more than once.
const MANY: [&str; 11] = [
    "code",
    "info",
    "category",
    "responseType",
    "eventCode",
    "parameter",
    "resource",
    "area",
    "polygon",
    "circle",
    "geocode",
];

/// One open CAP element while its children are read.
struct Frame {
    path: String,
    order: &'static [&'static str],
    seen: [u16; 22],
    last: usize,
}

impl Frame {
    fn new(path: String, order: &'static [&'static str]) -> Self {
        Frame { path, order, seen: [0; 22], last: 0 }
    }

    fn count(&self, name: &str) -> u16 {
        self.order.iter().position(|n| *n == name).and_then(|at| self.seen.get(at)).copied().unwrap_or(0)
    }
}

/// Text of an element, with what stood between its pieces.
struct Content<'t> {
    text: Cow<'t, str>,
    offset: usize,
    commented: bool,
}

/// What the children of an element can be.
enum Child<'t> {
    /// A CAP element of the content model, by its place in the order.
    Known(&'static str, usize),
    /// An XML signature.
    Signature(Cow<'t, str>),
    /// A foreign element.
    Foreign(Cow<'t, str>),
}

pub(crate) struct Builder<'t> {
    reader: Reader<'t>,
    text: &'t str,
    limits: &'t Limits,
    version: Version,
    namespace: Cow<'t, str>,
    findings: Vec<Finding>,
}

type Outcome<T> = Result<T, Rejection>;

impl<'t> Builder<'t> {
    pub(crate) fn new(text: &'t str, limits: &'t Limits) -> Self {
        Builder {
            reader: Reader::new(text, limits),
            text,
            limits,
            version: Version::V1_2,
            namespace: Cow::Borrowed(""),
            findings: Vec::new(),
        }
    }

    pub(crate) fn document(mut self) -> Outcome<Parsed<'t>> {
        let root = loop {
            match self.reader.next()? {
                Some(Token::Start(root)) => break root,
                Some(Token::Comment(_) | Token::Instruction(..) | Token::Text(_) | Token::End) => {}
                None => return Err(Rejection::at("xml.malformed", self.text, 0, "no element")),
            }
        };
        let at = self.reader.offset();
        if root.local != "alert" {
            let message = format!("the root is {}, not alert", root.local);
            return Err(Rejection::at("cap.root", self.text, at, message));
        }
        let Some(version) = Version::of_namespace(&root.namespace) else {
            let message = format!(
                "the namespace of alert is '{}', which is none of CAP",
                root.namespace.escape_debug()
            );
            return Err(Rejection::at("cap.namespace", self.text, at, message));
        };
        self.version = version;
        self.namespace = root.namespace.clone();
        self.no_attributes(&root, "/alert");
        let alert = self.alert()?;
        while self.reader.next()?.is_some() {}
        Ok(Parsed { alert, findings: self.findings })
    }

    fn note(&mut self, finding: Finding, offset: usize) {
        let mut finding = finding;
        (finding.line, finding.column) = place(self.text, offset);
        self.findings.push(finding);
    }

    fn fatal(&mut self, rule: &'static str, path: &str, offset: usize, message: impl Into<String>) {
        self.note(Finding::fatal(rule, path, message), offset);
    }

    fn error(&mut self, rule: &'static str, path: &str, offset: usize, message: impl Into<String>) {
        self.note(Finding::new(rule, Level::Error, path, message), offset);
    }

    /// The schema allows no attributes on CAP elements; `xsi:schemaLocation` and `xml:lang` do no harm, others might.
    fn no_attributes(&mut self, element: &Element<'_>, path: &str) {
        for attribute in &element.attributes {
            let message = format!("the attribute {} is not part of CAP", attribute.local);
            let offset = self.reader.offset();
            if attribute.namespace.is_empty() || Version::of_namespace(&attribute.namespace).is_some() {
                self.fatal("cap.attribute", path, offset, message);
            } else {
                self.error("cap.foreign-attribute", path, offset, message);
            }
        }
    }

    /// The next child of a CAP element that has element content; `None` at its end.
    fn child(&mut self, frame: &mut Frame) -> Outcome<Option<(Child<'t>, Element<'t>)>> {
        loop {
            match self.reader.next()? {
                None | Some(Token::End) => return Ok(None),
                Some(Token::Comment(_) | Token::Instruction(..)) => {}
                Some(Token::Text(text)) => {
                    if !text.bytes().all(|b| b.is_ascii_whitespace()) {
                        let (path, at) = (frame.path.clone(), self.reader.offset());
                        self.fatal("cap.stray-text", &path, at, "text between elements");
                    }
                }
                Some(Token::Start(element)) => {
                    let child = self.classify(frame, &element)?;
                    return Ok(Some((child, element)));
                }
            }
        }
    }

    fn classify(&mut self, frame: &mut Frame, element: &Element<'t>) -> Outcome<Child<'t>> {
        let at = self.reader.offset();
        if element.namespace != self.namespace {
            let is_signature = element.is(DSIG_NS, "Signature") && frame.path == "/alert";
            if !is_signature && Version::of_namespace(&element.namespace).is_some() {
                let path = format!("{}/{}", frame.path, element.local);
                self.fatal("cap.namespace", &path, at, "an element of another version of CAP");
            } else if !is_signature {
                let path = format!("{}/{}", frame.path, element.local);
                let message = format!("{} is not part of CAP; kept as it is", element.local);
                let fatal = element.namespace.is_empty();
                if fatal {
                    self.fatal("cap.unknown-element", &path, at, message);
                } else {
                    self.error("cap.foreign-element", &path, at, message);
                }
            }
            let raw = self.raw_element(at)?;
            return Ok(if is_signature { Child::Signature(raw) } else { Child::Foreign(raw) });
        }
        let Some((index, name)) = frame.order.iter().copied().enumerate().find(|(_, n)| *n == element.local)
        else {
            let path = format!("{}/{}", frame.path, element.local);
            let known =
                self.version == Version::V1_0 && element.local == "password" && frame.path == "/alert";
            if known {
                self.note(
                    Finding::new(
                        "cap.password",
                        Level::Warning,
                        path,
                        "password was removed from CAP; dropped",
                    ),
                    at,
                );
            } else {
                self.fatal("cap.unknown-element", &path, at, format!("CAP has no {} here", element.local));
            }
            return Ok(Child::Foreign(self.raw_element(at)?));
        };
        let seen = frame.seen.get_mut(index).map_or(1, |n| {
            *n = n.saturating_add(1);
            *n
        });
        let path = path_of(&frame.path, name, seen);
        if seen > 1 && !MANY.contains(&name) {
            self.fatal("cap.duplicate", &path, at, format!("{name} stands more than once"));
        }
        if index < frame.last {
            let message = format!(
                "{name} stands after {}; the schema has another order",
                frame.order.get(frame.last).unwrap_or(&"")
            );
            self.error("cap.order", &path, at, message);
        }
        frame.last = frame.last.max(index);
        self.no_attributes(element, &path);
        Ok(Child::Known(name, usize::from(seen)))
    }

    /// The element that just began, as written, with the namespaces that it takes from outside declared on it.
    fn raw_element(&mut self, start: usize) -> Outcome<Cow<'t, str>> {
        let depth = self.reader.depth();
        let outer: Vec<(String, String)> =
            self.reader.bindings().iter().map(|(p, u)| ((*p).to_owned(), u.to_string())).collect();
        while self.reader.depth() >= depth {
            if self.reader.next()?.is_none() {
                break;
            }
        }
        let raw = self.reader.slice(start, self.reader.end_offset());
        Ok(crate::xml::self_contained(raw, &outer))
    }

    fn require(&mut self, frame: &Frame, names: &[&str], offset: usize) {
        for name in names {
            if frame.count(name) == 0 {
                let path = format!("{}/{name}", frame.path);
                self.fatal("cap.missing", &path, offset, format!("{name} is required"));
            }
        }
    }

    fn alert(&mut self) -> Outcome<Alert<'t>> {
        let start = self.reader.offset();
        let mut frame = Frame::new("/alert".into(), &ALERT);
        let mut alert = Alert { version: self.version, ..Alert::default() };
        while let Some((child, _)) = self.child(&mut frame)? {
            let (name, nth) = match child {
                Child::Known(name, nth) => (name, nth),
                Child::Signature(raw) => {
                    alert.signatures.push(raw);
                    continue;
                }
                Child::Foreign(raw) => {
                    alert.extensions.push(raw);
                    continue;
                }
            };
            let path = path_of("/alert", name, u16::try_from(nth).unwrap_or(u16::MAX));
            match name {
                "info" => {
                    if alert.info.len() >= self.limits.infos {
                        return Err(self.over("limit.infos", "infos", self.limits.infos));
                    }
                    let info = self.info(path)?;
                    alert.info.push(info);
                }
                "identifier" => alert.identifier = self.name(&path)?.unwrap_or_default(),
                "sender" => alert.sender = self.name(&path)?.unwrap_or_default(),
                "sent" => alert.sent = self.time(&path)?.unwrap_or_default(),
                "status" => alert.status = self.code(&path)?,
                "msgType" => alert.msg_type = self.code(&path)?,
                "scope" => alert.scope = Some(self.code(&path)?),
                "code" => alert.code.extend(self.name(&path)?),
                "source" => alert.source = self.free(&path)?,
                "restriction" => alert.restriction = self.free(&path)?,
                "addresses" => alert.addresses = self.free(&path)?,
                "note" => alert.note = self.free(&path)?,
                "references" => alert.references = self.free(&path)?,
                _ => alert.incidents = self.free(&path)?,
            }
        }
        self.require(&frame, &["identifier", "sender", "sent", "status", "msgType"], start);
        if self.version == Version::V1_0 {
            self.from_1_0(&mut alert);
        } else {
            self.require(&frame, &["scope"], start);
        }
        if alert.signatures.len() > self.limits.signatures {
            return Err(self.over("limit.signatures", "signatures", self.limits.signatures));
        }
        Ok(alert)
    }

    fn over(&self, rule: &'static str, what: &str, limit: usize) -> Rejection {
        Rejection::at(rule, self.text, self.reader.offset(), format!("more than {limit} {what}"))
    }

    /// What CAP 1.0 says in other words (cap page 1.7).
    fn from_1_0(&mut self, alert: &mut Alert<'t>) {
        for (index, info) in alert.info.iter_mut().enumerate() {
            if let Code::Unknown(text) = &info.certainty
                && text == "Very Likely"
            {
                info.certainty = Code::Known(crate::code::Certainty::Likely);
                let path = format!("/alert/info[{}]/certainty", index + 1);
                self.findings.retain(|f| !(f.rule == "cap.code-value" && f.path == path));
                let message = "'Very Likely' of CAP 1.0 is read as Likely";
                self.findings.push(Finding::new("cap.very-likely", Level::Warning, path, message));
            }
        }
    }

    fn info(&mut self, at_path: String) -> Outcome<Info<'t>> {
        let start = self.reader.offset();
        let mut frame = Frame::new(at_path.clone(), &INFO);
        let mut info = Info::default();
        while let Some((child, _)) = self.child(&mut frame)? {
            let (name, nth) = match child {
                Child::Known(name, nth) => (name, nth),
                Child::Signature(raw) | Child::Foreign(raw) => {
                    info.extensions.push(raw);
                    continue;
                }
            };
            let path = path_of(&at_path, name, u16::try_from(nth).unwrap_or(u16::MAX));
            match name {
                "area" => {
                    if info.area.len() >= self.limits.areas {
                        return Err(self.over("limit.areas", "areas", self.limits.areas));
                    }
                    let area = self.area(path)?;
                    info.area.push(area);
                }
                "resource" => {
                    let resource = self.resource(path)?;
                    info.resource.push(resource);
                }
                "eventCode" => info.event_code.push(self.pair(path)?),
                "parameter" => info.parameter.push(self.pair(path)?),
                "language" => info.language = self.name(&path)?,
                "category" => info.category.push(self.code(&path)?),
                "event" => info.event = self.free(&path)?.unwrap_or_default(),
                "responseType" => info.response_type.push(self.code(&path)?),
                "urgency" => info.urgency = self.code(&path)?,
                "severity" => info.severity = self.code(&path)?,
                "certainty" => info.certainty = self.code(&path)?,
                "audience" => info.audience = self.free(&path)?,
                "effective" => info.effective = self.time(&path)?,
                "onset" => info.onset = self.time(&path)?,
                "expires" => info.expires = self.time(&path)?,
                "senderName" => info.sender_name = self.free(&path)?,
                "headline" => info.headline = self.free(&path)?,
                "description" => info.description = self.free(&path)?,
                "instruction" => info.instruction = self.free(&path)?,
                "web" => info.web = self.free(&path)?,
                _ => info.contact = self.free(&path)?,
            }
        }
        self.require(&frame, &["event", "urgency", "severity", "certainty"], start);
        if self.version != Version::V1_0 {
            self.require(&frame, &["category"], start);
        }
        Ok(info)
    }

    fn area(&mut self, at_path: String) -> Outcome<Area<'t>> {
        let start = self.reader.offset();
        let mut frame = Frame::new(at_path.clone(), &AREA);
        let mut area = Area::default();
        while let Some((child, _)) = self.child(&mut frame)? {
            let (name, nth) = match child {
                Child::Known(name, nth) => (name, nth),
                Child::Signature(raw) | Child::Foreign(raw) => {
                    area.extensions.push(raw);
                    continue;
                }
            };
            let path = path_of(&at_path, name, u16::try_from(nth).unwrap_or(u16::MAX));
            match name {
                "areaDesc" => area.area_desc = self.free(&path)?.unwrap_or_default(),
                "polygon" => {
                    if let Some(text) = self.free(&path)? {
                        if text.split_ascii_whitespace().count() > self.limits.points {
                            return Err(self.over("limit.points", "points of a polygon", self.limits.points));
                        }
                        area.polygon.push(Polygon::new(text));
                    }
                }
                "circle" => area.circle.extend(self.free(&path)?.map(Circle::new)),
                "geocode" => area.geocode.push(self.pair(path)?),
                "altitude" => area.altitude = self.number(&path)?,
                _ => area.ceiling = self.number(&path)?,
            }
        }
        self.require(&frame, &["areaDesc"], start);
        Ok(area)
    }

    fn resource(&mut self, at_path: String) -> Outcome<Resource<'t>> {
        let start = self.reader.offset();
        let mut frame = Frame::new(at_path.clone(), &RESOURCE);
        let mut resource = Resource::default();
        while let Some((child, _)) = self.child(&mut frame)? {
            let (name, nth) = match child {
                Child::Known(name, nth) => (name, nth),
                Child::Signature(raw) | Child::Foreign(raw) => {
                    resource.extensions.push(raw);
                    continue;
                }
            };
            let path = path_of(&at_path, name, u16::try_from(nth).unwrap_or(u16::MAX));
            match name {
                "resourceDesc" => resource.resource_desc = self.free(&path)?.unwrap_or_default(),
                "mimeType" => resource.mime_type = self.free(&path)?,
                "size" => resource.size = self.number(&path)?,
                "uri" => resource.uri = self.free(&path)?,
                "derefUri" => resource.deref_uri = self.text_of(&path, self.limits.document_bytes)?,
                _ => resource.digest = self.free(&path)?,
            }
        }
        self.require(&frame, &["resourceDesc"], start);
        if self.version == Version::V1_2 {
            self.require(&frame, &["mimeType"], start);
        }
        Ok(resource)
    }

    /// `valueName` and `value`, or the `name=value` text of CAP 1.0.
    fn pair(&mut self, path: String) -> Outcome<NamedValue<'t>> {
        let start = self.reader.offset();
        if self.version == Version::V1_0 {
            let content = self.content(&path, self.limits.text_bytes)?;
            let text = content.text;
            return Ok(match text.split_once('=') {
                Some((name, value)) => NamedValue::new(name.to_owned(), value.to_owned()),
                None => NamedValue::new("", text),
            });
        }
        const PAIR: [&str; 2] = ["valueName", "value"];
        let mut frame = Frame::new(path.clone(), &PAIR);
        let mut pair = NamedValue::default();
        while let Some((child, _)) = self.child(&mut frame)? {
            let Child::Known(name, nth) = child else { continue };
            let inner = path_of(&path, name, u16::try_from(nth).unwrap_or(u16::MAX));
            match name {
                "valueName" => pair.value_name = self.name(&inner)?.unwrap_or_default(),
                _ => pair.value = self.text_of(&inner, self.limits.text_bytes)?.unwrap_or_default(),
            }
        }
        self.require(&frame, &PAIR, start);
        Ok(pair)
    }

    /// The text of a leaf element.
    fn content(&mut self, path: &str, limit: usize) -> Outcome<Content<'t>> {
        let offset = self.reader.end_offset();
        let mut content = Content { text: Cow::Borrowed(""), offset, commented: false };
        loop {
            match self.reader.next()? {
                None | Some(Token::End) => return Ok(content),
                Some(Token::Text(piece)) => {
                    if content.text.is_empty() {
                        content.text = piece;
                    } else {
                        content.text.to_mut().push_str(&piece);
                    }
                    if content.text.len() > limit {
                        return Err(Rejection::at(
                            "limit.text",
                            self.text,
                            offset,
                            format!("a text longer than {limit} bytes"),
                        ));
                    }
                }
                Some(Token::Comment(_) | Token::Instruction(..)) => content.commented = true,
                Some(Token::Start(element)) => {
                    let at = self.reader.offset();
                    let message = format!("{} stands inside an element that holds text only", element.local);
                    self.fatal("cap.nested", path, at, message);
                    self.raw_element(at)?;
                }
            }
        }
    }

    /// Free text: comments are ignored with a note, empty counts as absent with a note.
    fn text_of(&mut self, path: &str, limit: usize) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.content(path, limit)?;
        if content.commented {
            let finding = Finding::new("cap.comment", Level::Note, path, "a comment inside text was ignored");
            self.note(finding, content.offset);
        }
        if content.text.bytes().all(|b| b.is_ascii_whitespace()) {
            let finding = Finding::new("cap.empty", Level::Note, path, "empty; counts as absent");
            self.note(finding, content.offset);
            return Ok(None);
        }
        Ok(Some(content.text))
    }

    fn free(&mut self, path: &str) -> Outcome<Option<Cow<'t, str>>> {
        self.text_of(path, self.limits.text_bytes)
    }

    /// Text that is compared: a comment inside makes it ambiguous.
    fn exact(&mut self, path: &str) -> Outcome<Content<'t>> {
        let content = self.content(path, self.limits.text_bytes)?;
        if content.commented {
            let message =
                "a comment or processing instruction inside a value: two readers could read two values";
            self.fatal("cap.comment-in-value", path, content.offset, message);
        }
        if content.text.chars().count() > self.limits.name_chars {
            let message = format!("longer than {} characters", self.limits.name_chars);
            self.fatal("limit.name", path, content.offset, message);
        }
        Ok(content)
    }

    fn name(&mut self, path: &str) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.exact(path)?;
        if content.text.bytes().all(|b| b.is_ascii_whitespace()) {
            let required = path == "/alert/identifier" || path == "/alert/sender";
            if required {
                self.fatal("cap.missing", path, content.offset, "required, and empty");
            } else {
                let finding = Finding::new("cap.empty", Level::Note, path, "empty; counts as absent");
                self.note(finding, content.offset);
            }
            return Ok(None);
        }
        Ok(Some(content.text))
    }

    fn code<T: CodeList>(&mut self, path: &str) -> Outcome<Code<'t, T>> {
        let content = self.exact(path)?;
        let code = Code::new(content.text);
        if let Code::Unknown(text) = &code {
            let all: Vec<&str> = T::ALL.iter().map(|v| v.as_str()).collect();
            let shown: String = text.chars().take(60).collect();
            let message = format!("'{}' is none of {}", shown.escape_debug(), all.join(", "));
            self.fatal("cap.code-value", path, content.offset, message);
        }
        Ok(code)
    }

    fn time(&mut self, path: &str) -> Outcome<Option<Time<'t>>> {
        let content = self.exact(path)?;
        if content.text.bytes().all(|b| b.is_ascii_whitespace()) {
            if path == "/alert/sent" {
                self.fatal("cap.missing", path, content.offset, "required, and empty");
            } else {
                let finding = Finding::new("cap.empty", Level::Note, path, "empty; counts as absent");
                self.note(finding, content.offset);
            }
            return Ok(None);
        }
        Ok(Some(Time::new(content.text)))
    }

    fn number(&mut self, path: &str) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.exact(path)?;
        let text = content.text.trim();
        if text.is_empty() {
            let finding = Finding::new("cap.empty", Level::Note, path, "empty; counts as absent");
            self.note(finding, content.offset);
            return Ok(None);
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let plain = digits.bytes().any(|b| b.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && digits.bytes().filter(|b| *b == b'.').count() <= 1;
        // CAP 1.0 and 1.1 have altitude and ceiling as text.
        if !plain && (self.version == Version::V1_2 || path.ends_with("size")) {
            let shown: String = text.chars().take(40).collect();
            self.fatal(
                "cap.number",
                path,
                content.offset,
                format!("'{}' is not a number", shown.escape_debug()),
            );
        }
        Ok(Some(content.text))
    }
}

/// The path of the nth element of a name: `[n]` only where there can be several.
pub(super) fn path_of(parent: &str, name: &str, nth: u16) -> String {
    if MANY.contains(&name) || nth > 1 {
        format!("{parent}/{name}[{nth}]")
    } else {
        format!("{parent}/{name}")
    }
}

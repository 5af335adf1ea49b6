//! Reading of leaves and children: texts, values, codes, times, numbers.
//!
//! Owns what a comment inside means, what empty means, and the findings with their places.

use std::borrow::Cow;

use super::elements::{Child, Outcome, Seen};
use super::place::{Name, Place};
use crate::alert::Version;
use crate::code::{Certainty, Code, CodeList};
use crate::finding::{Finding, Rejection, places};
use crate::limits::Limits;
use crate::rules::finding;
use crate::time::{Time, TimeForm, trimmed};
use crate::xml::{DSIG_NS, Piece, Reader};

/// Findings that one document may cost; more are counted.
const FINDINGS: usize = 1_000;
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A document while it is read.
pub(super) struct Reading<'t> {
    pub(super) reader: Reader<'t>,
    text: &'t str,
    pub(super) limits: &'t Limits,
    pub(super) version: Version,
    namespace: Cow<'t, str>,
    pub(super) place: Place,
    pub(super) root_offset: usize,
    findings: Vec<(Finding, usize)>,
    left_out: usize,
}

/// The text of a leaf.
struct Content<'t> {
    text: Cow<'t, str>,
    offset: usize,
    commented: bool,
}

impl Content<'_> {
    fn is_blank(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_whitespace())
    }
}

impl<'t> Reading<'t> {
    pub(super) fn new(text: &'t str, limits: &'t Limits) -> Self {
        Reading {
            reader: Reader::new(text, limits),
            text,
            limits,
            version: Version::V1_2,
            namespace: Cow::Borrowed(""),
            place: Place::default(),
            root_offset: 0,
            findings: Vec::new(),
            left_out: 0,
        }
    }

    /// Reads up to the start of `alert`.
    pub(super) fn root(&mut self) -> Outcome<()> {
        while !matches!(self.reader.pull()?, Piece::Start) {}
        let at = self.reader.offset();
        self.root_offset = at;
        let root = self.reader.element();
        if root.local != "alert" {
            let message = format!("the root is {}, not alert", root.local);
            return Err(Rejection::at("cap.root", self.text, at, message));
        }
        let Some(version) = Version::of_namespace(&root.namespace) else {
            let shown: String = root.namespace.chars().take(80).collect();
            let message =
                format!("the namespace of alert is '{}', which is none of CAP", shown.escape_debug());
            return Err(Rejection::at("cap.namespace", self.text, at, message));
        };
        self.version = version;
        self.namespace = root.namespace;
        for attribute in root.attributes {
            self.attribute(&attribute.namespace, attribute.local);
        }
        Ok(())
    }

    /// All findings with their lines.
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        if self.left_out > 0 {
            let message = format!("{} more findings are left out", self.left_out);
            self.findings.push((finding("cap.more-findings", "/alert", message), self.root_offset));
        }
        places(self.text, self.findings)
    }

    pub(super) fn find_at(
        &mut self,
        rule: &'static str,
        place: &Place,
        at: usize,
        message: impl Into<String>,
    ) {
        self.push(finding(rule, place.path(), message), at);
    }

    fn find(&mut self, rule: &'static str, at: usize, message: impl Into<String>) {
        let place = self.place;
        self.find_at(rule, &place, at, message);
    }

    /// A finding about an element that is not part of the model.
    fn find_child(&mut self, rule: &'static str, name: &str, message: impl Into<String>) {
        let path = format!("{}/{name}", self.place.path());
        let at = self.reader.offset();
        self.push(finding(rule, path, message), at);
    }

    fn push(&mut self, finding: Finding, at: usize) {
        let first_fatal = finding.fatal && !self.findings.iter().any(|(f, _)| f.fatal);
        if self.findings.len() < FINDINGS || first_fatal {
            self.findings.push((finding, at));
        } else {
            self.left_out += 1;
        }
    }

    /// Something that came with a later version of CAP.
    pub(super) fn newer(&mut self, at: usize, what: &str) {
        let message = format!("{what} is not part of CAP {}", self.version.as_str());
        self.find("cap.version", at, message);
    }

    /// A number of things within its limit, before one more is added.
    pub(super) fn bound(&self, rule: &'static str, what: &str, have: usize, limit: usize) -> Outcome<()> {
        if have < limit {
            return Ok(());
        }
        Err(Rejection::at(rule, self.text, self.reader.offset(), format!("more than {limit} {what}")))
    }

    pub(super) fn require(&mut self, table: &[Name], seen: &Seen, needed: &[usize], at: usize) {
        for index in needed {
            if let Some(name) = table.get(*index)
                && !seen.has(*index)
            {
                let path = format!("{}/{}", self.place.path(), name.text);
                self.push(finding("cap.missing", path, format!("{} is required", name.text)), at);
            }
        }
    }

    /// The schema allows no attributes on CAP elements; a schema's location is no content.
    fn attribute(&mut self, namespace: &str, local: &str) {
        let at = self.reader.offset();
        let shown: String = local.chars().take(60).collect();
        let message = format!("the attribute {shown} is not part of CAP");
        if namespace.is_empty() || Version::of_namespace(namespace).is_some() {
            self.find("cap.attribute", at, message);
        } else if namespace != XSI || !matches!(local, "schemaLocation" | "noNamespaceSchemaLocation") {
            self.find("cap.foreign-attribute", at, message);
        }
    }

    /// The next child of an element with element content; `None` at its end. A known child has been entered.
    pub(super) fn child(&mut self, table: &'static [Name], seen: &mut Seen) -> Outcome<Option<Child<'t>>> {
        loop {
            match self.reader.pull()? {
                Piece::Over | Piece::End => return Ok(None),
                Piece::Comment(_) | Piece::Instruction(..) => {}
                Piece::Text(text) => {
                    if !text.bytes().all(|b| b.is_ascii_whitespace()) {
                        self.find("cap.stray-text", self.reader.offset(), "text between elements");
                    }
                }
                Piece::Start => {
                    if !self.reader.is_in(&self.namespace) {
                        return self.foreign(table, seen).map(Some);
                    }
                    let (_, local) = self.reader.name();
                    // Children come in schema order, so the search begins where the last one was.
                    let (before, after) = table.split_at_checked(seen.last()).unwrap_or((table, &[]));
                    let found = after.iter().position(|n| n.text == local).map(|at| at + before.len());
                    let Some(index) = found.or_else(|| before.iter().position(|n| n.text == local)) else {
                        // Its text was meant for the first recipient only.
                        if self.version == Version::V1_0 && local == "password" {
                            self.find_child("cap.password", local, "password was removed from CAP; dropped");
                            self.raw_element()?;
                            continue;
                        }
                        return self.unknown(local).map(Some);
                    };
                    self.known(table, index, seen);
                    return Ok(Some(Child::Known(index)));
                }
            }
        }
    }

    fn known(&mut self, table: &'static [Name], index: usize, seen: &mut Seen) {
        let before = seen.last();
        let (number, late) = seen.one_more(index);
        let Some(name) = table.get(index) else { return };
        self.place.enter(*name, number);
        let at = self.reader.offset();
        if number > 1 && !name.many {
            self.find("cap.duplicate", at, format!("{} stands more than once", name.text));
        }
        if late {
            let earlier = table.get(before).map_or("", |n| n.text);
            let message = format!("{} stands after {earlier}; the schema has another order", name.text);
            self.find("cap.order", at, message);
        }
        if self.reader.has_attributes() {
            for attribute in self.reader.element().attributes {
                self.attribute(&attribute.namespace, attribute.local);
            }
        }
    }

    /// An element of the CAP namespace that the model does not have here.
    fn unknown(&mut self, local: &'t str) -> Outcome<Child<'t>> {
        let shown: String = local.chars().take(60).collect();
        self.find_child("cap.unknown-element", &shown, format!("CAP has no {shown} here"));
        Ok(Child::Other(self.raw_element()?))
    }

    /// An element of another namespace.
    fn foreign(&mut self, table: &'static [Name], seen: &Seen) -> Outcome<Child<'t>> {
        let (_, local) = self.reader.name();
        let on_alert = std::ptr::eq(table, super::place::ALERT.as_slice());
        if on_alert && self.reader.is_in(DSIG_NS) {
            if self.version != Version::V1_2 {
                self.find_child("cap.version", local, "signatures are part of CAP 1.2");
            } else if !seen.has(13) && seen.last() < 12 && !seen.has(6) {
                self.find_child("cap.order", local, "a signature stands behind all other elements");
            }
            return Ok(Child::Signature(self.raw_element()?));
        }
        let shown: String = local.chars().take(60).collect();
        // A reader that ignores namespaces would take it for CAP's own.
        let looks_like_cap = table.iter().any(|n| n.text == local) || self.reader.is_in("");
        let other_version = || {
            let (prefix, _) = self.reader.name();
            self.reader
                .namespace(prefix)
                .is_none_or(|uri| uri.is_empty() || Version::of_namespace(uri).is_some())
        };
        if looks_like_cap || other_version() {
            self.find_child(
                "cap.unknown-element",
                &shown,
                format!("{shown} is in another namespace than alert"),
            );
        } else {
            self.find_child(
                "cap.foreign-element",
                &shown,
                format!("{shown} is not part of CAP; kept as it is"),
            );
        }
        Ok(Child::Other(self.raw_element()?))
    }

    /// The element that just began, as written, with the namespaces that it takes from outside declared on it.
    fn raw_element(&mut self) -> Outcome<Cow<'t, str>> {
        let start = self.reader.offset();
        let depth = self.reader.depth();
        let outer = self.reader.outer_bindings().to_vec();
        while self.reader.depth() >= depth {
            if matches!(self.reader.pull()?, Piece::Over) {
                break;
            }
        }
        Ok(crate::xml::self_contained(self.reader.slice(start, self.reader.end_offset()), &outer))
    }

    fn content(&mut self, limit: usize) -> Outcome<Content<'t>> {
        let offset = self.reader.end_offset();
        let mut content = Content { text: Cow::Borrowed(""), offset, commented: false };
        loop {
            match self.reader.pull()? {
                Piece::Over | Piece::End => return Ok(content),
                Piece::Text(piece) => {
                    if content.text.is_empty() {
                        content.text = piece;
                    } else {
                        content.text.to_mut().push_str(&piece);
                    }
                    if content.text.len() > limit {
                        let message = format!("a text longer than {limit} bytes");
                        return Err(Rejection::at("limit.text", self.text, offset, message));
                    }
                }
                Piece::Comment(_) | Piece::Instruction(..) => content.commented = true,
                Piece::Start => {
                    let (_, local) = self.reader.name();
                    let shown: String = local.chars().take(60).collect();
                    let message = format!("{shown} stands inside an element that holds text only");
                    self.find("cap.nested", self.reader.offset(), message);
                    self.raw_element()?;
                }
            }
        }
    }

    fn free(&mut self, limit: usize) -> Outcome<Content<'t>> {
        let content = self.content(limit)?;
        if content.commented {
            self.find("cap.comment", content.offset, "a comment inside text was ignored");
        }
        Ok(content)
    }

    /// Text that is compared or computed with: a comment inside makes it ambiguous.
    fn exact(&mut self, limit: usize) -> Outcome<Content<'t>> {
        let content = self.content(limit)?;
        if content.commented {
            let message =
                "a comment or processing instruction inside a value: two readers could read two values";
            self.find("cap.comment-in-value", content.offset, message);
        }
        Ok(content)
    }

    /// A text that is compared and short.
    fn short(&mut self) -> Outcome<Content<'t>> {
        let content = self.exact(self.limits.text_bytes)?;
        let limit = self.limits.name_chars;
        if content.text.len() > limit && content.text.chars().count() > limit {
            self.find("limit.name", content.offset, format!("longer than {limit} characters"));
        }
        Ok(content)
    }

    fn absent_if_blank(&mut self, content: Content<'t>) -> Option<Cow<'t, str>> {
        if content.is_blank() {
            self.find("cap.empty", content.offset, "empty; counts as absent");
            return None;
        }
        Some(content.text)
    }

    /// Free text; empty counts as absent.
    pub(super) fn text(&mut self) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.free(self.limits.text_bytes)?;
        Ok(self.absent_if_blank(content))
    }

    /// A file in base64; empty counts as absent.
    pub(super) fn embedded(&mut self) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.free(self.limits.document_bytes)?;
        Ok(self.absent_if_blank(content))
    }

    /// Free text that must be there.
    pub(super) fn required_text(&mut self) -> Outcome<Cow<'t, str>> {
        let content = self.free(self.limits.text_bytes)?;
        if content.is_blank() {
            self.find("cap.empty-required", content.offset, "required, and empty");
        }
        Ok(content.text)
    }

    /// Free text that may be empty (`value`).
    pub(super) fn text_or_empty(&mut self) -> Outcome<Cow<'t, str>> {
        Ok(self.free(self.limits.text_bytes)?.text)
    }

    /// A value; empty counts as absent.
    pub(super) fn value(&mut self) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.short()?;
        Ok(self.absent_if_blank(content))
    }

    /// A value that may be empty (`valueName`).
    pub(super) fn value_or_empty(&mut self) -> Outcome<Cow<'t, str>> {
        Ok(self.short()?.text)
    }

    /// Identifier and sender: without them a message has no key.
    pub(super) fn required_value(&mut self) -> Outcome<Cow<'t, str>> {
        let content = self.short()?;
        if content.is_blank() {
            self.find("cap.missing", content.offset, "required, and empty");
        }
        Ok(content.text)
    }

    /// References, polygons and circles: compared or computed with, and long. A polygon is bounded by its points.
    pub(super) fn list(&mut self) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.exact(self.limits.document_bytes)?;
        Ok(self.absent_if_blank(content))
    }

    /// A language; the schema gives an empty one its default.
    pub(super) fn language(&mut self) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.short()?;
        if content.is_blank() && !content.text.is_empty() {
            self.find(
                "cap.empty-value",
                content.offset,
                "white space instead of a language; counts as absent",
            );
            return Ok(None);
        }
        Ok(self.absent_if_blank(content))
    }

    pub(super) fn code<T: CodeList>(&mut self) -> Outcome<Code<'t, T>> {
        let (code, offset) = self.any_code::<T>()?;
        self.known_code(&code, offset);
        Ok(code)
    }

    /// `Very Likely` is a value of CAP 1.0.
    pub(super) fn certainty(&mut self) -> Outcome<Code<'t, Certainty>> {
        let (code, offset) = self.any_code()?;
        if self.version != Version::V1_0 || code.as_str() != "Very Likely" {
            self.known_code(&code, offset);
        }
        Ok(code)
    }

    fn any_code<T: CodeList>(&mut self) -> Outcome<(Code<'t, T>, usize)> {
        let content = self.short()?;
        Ok((Code::new(content.text), content.offset))
    }

    fn known_code<T: CodeList>(&mut self, code: &Code<'_, T>, offset: usize) {
        if let Code::Unknown(text) = code {
            let all: Vec<&str> = T::ALL.iter().map(|v| v.as_str()).collect();
            let shown: String = text.chars().take(60).collect();
            let message = format!("'{}' is none of {}", shown.escape_debug(), all.join(", "));
            self.find("cap.code-value", offset, message);
        }
    }

    /// A time. `Z` and fractions are left to the rules: the instant is clear.
    pub(super) fn time(&mut self) -> Outcome<Option<Time<'t>>> {
        let content = self.short()?;
        if content.is_blank() {
            if self.place.path() == "/alert/sent" {
                self.find("cap.missing", content.offset, "required, and empty");
            } else {
                self.find("cap.empty-value", content.offset, "empty; counts as absent");
            }
            return Ok(None);
        }
        let time = Time::new(content.text);
        let shown = || time.as_str().chars().take(60).collect::<String>();
        match time.form() {
            TimeForm::Cap | TimeForm::Zulu | TimeForm::Fraction => {}
            TimeForm::NoOffset => {
                let message = format!("'{}' has no offset from UTC", shown().escape_debug());
                // The schemas of CAP 1.0 and 1.1 take such a time; which instant it means is not known there either.
                let old = self.version != Version::V1_2;
                self.find(if old { "cap.time.local" } else { "cap.time.no-offset" }, content.offset, message);
            }
            TimeForm::Invalid => {
                let message = format!("'{}' is not a time", shown().escape_debug());
                self.find("cap.time.invalid", content.offset, message);
            }
        }
        Ok(Some(time))
    }

    /// `size` (integer), or `altitude` and `ceiling` (decimal; text in CAP 1.0 and 1.1).
    pub(super) fn number(&mut self, decimal: bool) -> Outcome<Option<Cow<'t, str>>> {
        let content = self.short()?;
        if content.is_blank() {
            let typed = !decimal || self.version == Version::V1_2;
            let rule = if typed { "cap.empty-value" } else { "cap.empty" };
            self.find(rule, content.offset, "empty; counts as absent");
            return Ok(None);
        }
        let text = trimmed(&content.text);
        let plain = is_decimal(text) && (decimal || !text.contains('.'));
        if !plain && (!decimal || self.version == Version::V1_2) {
            let shown: String = text.chars().take(40).collect();
            self.find("cap.number", content.offset, format!("'{}' is not a number", shown.escape_debug()));
        }
        Ok(Some(content.text))
    }
}

/// A decimal number as XML Schema writes it.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().filter(|b| *b == b'.').count() <= 1
}

//! The one strict reader. Model, limits and canonicaliser are fed by it; there is no second parser to disagree with.
//!
//! Owns XML 1.0 without DTD and Namespaces in XML 1.0: characters, names, attributes, one root, references, line ends,
//! limits. Every byte is looked at once or twice, whatever the document. Must not know CAP.

use std::borrow::Cow;

use super::names::{first_bad, split_qname};
use super::references::{line_ends, resolve};
use super::token::{Attribute, Element, Token};
use super::{XML_NS, find_mark};
use crate::finding::Rejection;
use crate::limits::Limits;

/// Reads one document.
pub struct Reader<'t> {
    text: &'t str,
    limits: &'t Limits,
    scopes: Vec<(&'t str, Cow<'t, str>)>,
    /// Which scope is the default namespace's.
    default: Option<usize>,
    /// Each open element: its name as written, and how many scopes it added.
    open: Vec<(&'t str, usize)>,
    elements: usize,
    pending_end: bool,
    root_done: bool,
    start: usize,
    end: usize,
    /// Where the first character that XML does not allow stands.
    bad_character: Option<usize>,
    has_returns: bool,
    has_section_ends: bool,
    name: (&'t str, &'t str),
    attributes: Vec<Attribute<'t>>,
}

/// A piece of a document without the details of an element, which the reader keeps until the next piece.
pub(crate) enum Piece<'t> {
    /// An element begins.
    Start,
    /// The innermost element ends.
    End,
    /// A piece of text.
    Text(Cow<'t, str>),
    /// A comment.
    Comment(&'t str),
    /// A processing instruction: target and data.
    Instruction(&'t str, &'t str),
    /// The document is over.
    Over,
}

impl<'t> Reader<'t> {
    /// Starts at the beginning of a text that passed the gate.
    pub fn new(text: &'t str, limits: &'t Limits) -> Self {
        Reader {
            text,
            limits,
            scopes: Vec::with_capacity(8),
            default: None,
            open: Vec::with_capacity(8),
            elements: 0,
            pending_end: false,
            root_done: false,
            start: 0,
            end: 0,
            bad_character: first_bad(text),
            has_returns: memchr::memchr(b'\r', text.as_bytes()).is_some(),
            has_section_ends: memchr::memmem::find(text.as_bytes(), b"]]>").is_some(),
            name: ("", ""),
            attributes: Vec::new(),
        }
    }

    /// Where the last token begins, in bytes.
    pub fn offset(&self) -> usize {
        self.start
    }

    /// Where the last token ends, in bytes.
    pub fn end_offset(&self) -> usize {
        self.end
    }

    /// How many elements are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The namespace bound to a prefix at this place.
    pub fn namespace(&self, prefix: &str) -> Option<&Cow<'t, str>> {
        if prefix.is_empty() {
            return self.default.and_then(|at| self.scopes.get(at)).map(|(_, uri)| uri);
        }
        self.scopes.iter().rev().find(|(p, _)| *p == prefix).map(|(_, uri)| uri)
    }

    /// The bindings in scope, outermost first; later ones win.
    pub fn bindings(&self) -> &[(&'t str, Cow<'t, str>)] {
        &self.scopes
    }

    /// The text between two offsets.
    pub fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or("")
    }

    fn refuse(&self, rule: &'static str, at: usize, message: impl Into<String>) -> Rejection {
        Rejection::at(rule, self.text, at, message)
    }

    fn malformed(&self, message: impl Into<String>) -> Rejection {
        self.refuse("xml.malformed", self.start, message)
    }

    /// The next token; `None` at the end of a whole document.
    ///
    /// # Errors
    /// The document is not well-formed, or beyond a limit.
    #[expect(clippy::should_implement_trait, reason = "a fallible reader is not an iterator")]
    pub fn next(&mut self) -> Result<Option<Token<'t>>, Rejection> {
        Ok(Some(match self.pull()? {
            Piece::Start => Token::Start(self.element()),
            Piece::End => Token::End,
            Piece::Text(text) => Token::Text(text),
            Piece::Comment(text) => Token::Comment(text),
            Piece::Instruction(target, data) => Token::Instruction(target, data),
            Piece::Over => return Ok(None),
        }))
    }

    /// The element that just began, by prefix and local name.
    pub(crate) fn name(&self) -> (&'t str, &'t str) {
        self.name
    }

    /// Whether the element that just began is in a namespace.
    pub(crate) fn is_in(&self, namespace: &str) -> bool {
        let prefix = self.name.0;
        // Mostly both are the same piece of the document.
        let same = |uri: &Cow<'t, str>| {
            uri.len() == namespace.len() && (uri.as_ptr() == namespace.as_ptr() || uri.as_ref() == namespace)
        };
        self.namespace(prefix).is_some_and(same)
    }

    /// Whether the element that just began has attributes other than namespace declarations.
    pub(crate) fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// The bindings in scope around the element that just began.
    pub(crate) fn outer_bindings(&self) -> &[(&'t str, Cow<'t, str>)] {
        let own = self.open.last().map_or(0, |(_, added)| *added);
        self.scopes.get(..self.scopes.len().saturating_sub(own)).unwrap_or(&[])
    }

    /// The element that just began, whole. Its attributes can be taken once.
    pub(crate) fn element(&mut self) -> Element<'t> {
        let (prefix, local) = self.name;
        let own = self.open.last().map_or(0, |(_, added)| *added);
        let namespace = match prefix {
            "xml" => Cow::Borrowed(XML_NS),
            prefix => self.namespace(prefix).cloned().unwrap_or_default(),
        };
        let declarations = self.scopes.get(self.scopes.len().saturating_sub(own)..).unwrap_or(&[]).to_vec();
        Element { prefix, local, namespace, attributes: std::mem::take(&mut self.attributes), declarations }
    }

    /// The next piece.
    pub(crate) fn pull(&mut self) -> Result<Piece<'t>, Rejection> {
        if self.pending_end {
            self.pending_end = false;
            self.close();
            return Ok(Piece::End);
        }
        if let Some(at) = self.bad_character {
            return Err(self.refuse("xml.character", at, "a character that XML 1.0 does not allow"));
        }
        loop {
            self.start = self.end;
            let rest = self.text.as_bytes().get(self.start..).unwrap_or(&[]);
            match rest {
                [] => return self.over(),
                [b'<', b'/', ..] => return self.end_tag(rest),
                [b'<', b'?', ..] => {
                    let raw = self.up_to(rest, 2, b"?>", "a processing instruction does not end")?;
                    // The gate has read the declaration.
                    let declaration = self.start == 0
                        && raw.strip_prefix("<?xml").is_some_and(|r| r.starts_with([' ', '\t', '\r', '\n']));
                    if !declaration {
                        self.one_more()?;
                        return self.instruction(raw);
                    }
                }
                [b'<', b'!', ..] => return self.declared(rest),
                [b'<', ..] => return self.open(rest),
                [b'&', ..] => return self.reference(rest),
                _ => {
                    // Most texts are short white space.
                    let near = rest.iter().take(12).position(|b| matches!(b, b'<' | b'&'));
                    let length = near.or_else(|| memchr::memchr2(b'<', b'&', rest)).unwrap_or(rest.len());
                    self.end = self.start + length;
                    let raw = self.slice(self.start, self.end);
                    if !self.open.is_empty() {
                        if self.has_section_ends && raw.contains("]]>") {
                            return Err(self.malformed("]]> in text"));
                        }
                        return Ok(Piece::Text(self.line_ends(raw)));
                    }
                    if !raw.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
                        return Err(self.malformed("text outside the root element"));
                    }
                }
            }
        }
    }

    /// Takes a piece up to the end of a mark that is looked for behind its first bytes.
    fn up_to(&mut self, rest: &[u8], skip: usize, mark: &[u8], problem: &str) -> Result<&'t str, Rejection> {
        let body = rest.get(skip..).unwrap_or(&[]);
        let Some(at) = find_mark(body, mark) else { return Err(self.malformed(problem)) };
        self.end = self.start + skip + at + mark.len();
        Ok(self.slice(self.start, self.end))
    }

    /// Comments and CDATA sections; anything else behind `<!` is no part of a document without DTD.
    fn declared(&mut self, rest: &[u8]) -> Result<Piece<'t>, Rejection> {
        if rest.starts_with(b"<!--") {
            self.one_more()?;
            let raw = self.up_to(rest, 4, b"--", "a comment does not end")?;
            if rest.get(raw.len()) != Some(&b'>') {
                return Err(self.malformed("-- inside a comment"));
            }
            self.end += 1;
            return Ok(Piece::Comment(raw.get(4..raw.len().saturating_sub(2)).unwrap_or("")));
        }
        if rest.starts_with(b"<![CDATA[") {
            if self.open.is_empty() {
                return Err(self.malformed("a CDATA section outside the root"));
            }
            let raw = self.up_to(rest, 9, b"]]>", "a CDATA section does not end")?;
            return Ok(Piece::Text(self.line_ends(raw.get(9..raw.len().saturating_sub(3)).unwrap_or(""))));
        }
        if rest.get(2..9).is_some_and(|word| word.eq_ignore_ascii_case(b"doctype")) {
            return Err(self.refuse("gate.dtd", self.start, "a DTD is never processed"));
        }
        Err(self.malformed("a declaration that is none"))
    }

    fn reference(&mut self, rest: &[u8]) -> Result<Piece<'t>, Rejection> {
        if self.open.is_empty() {
            return Err(self.malformed("a reference outside the root"));
        }
        let Some(length) = rest.iter().take(64).position(|b| *b == b';') else {
            return Err(self.malformed("& that begins no reference"));
        };
        self.end = self.start + length + 1;
        let name = self.slice(self.start + 1, self.end - 1);
        let resolved = resolve(name).ok_or_else(|| self.bad_reference(name))?;
        Ok(Piece::Text(resolved))
    }

    fn end_tag(&mut self, rest: &[u8]) -> Result<Piece<'t>, Rejection> {
        let Some((name, _)) = self.open.last().copied() else {
            return Err(self.malformed("an end tag without start tag"));
        };
        let behind = rest.get(2..).and_then(|r| r.strip_prefix(name.as_bytes())).unwrap_or(&[]);
        let blanks = behind.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
        if behind.get(blanks) != Some(&b'>') {
            return Err(self.malformed(format!("expected the end tag of {name}")));
        }
        self.end = self.start + 2 + name.len() + blanks + 1;
        self.close();
        Ok(Piece::End)
    }

    fn over(&self) -> Result<Piece<'t>, Rejection> {
        if !self.open.is_empty() {
            Err(self.malformed("the document ends inside an element"))
        } else if self.root_done {
            Ok(Piece::Over)
        } else {
            Err(self.malformed("no element"))
        }
    }

    fn line_ends(&self, raw: &'t str) -> Cow<'t, str> {
        if self.has_returns { line_ends(raw) } else { Cow::Borrowed(raw) }
    }

    fn bad_reference(&self, name: &str) -> Rejection {
        let shown: String = name.chars().take(40).collect();
        self.malformed(format!("&{shown}; is not a reference that can be resolved"))
    }

    fn instruction(&self, raw: &'t str) -> Result<Piece<'t>, Rejection> {
        let inner = raw.get(2..raw.len().saturating_sub(2)).unwrap_or("");
        let (target, data) = inner.split_once([' ', '\t', '\r', '\n']).unwrap_or((inner, ""));
        if target.eq_ignore_ascii_case("xml") || target.contains(':') || split_qname(target).is_none() {
            return Err(self.malformed("a processing instruction with a target that is not allowed"));
        }
        Ok(Piece::Instruction(target, data.trim_start_matches([' ', '\t', '\r', '\n'])))
    }

    fn find_default(&mut self) {
        self.default = self.scopes.iter().rposition(|(prefix, _)| prefix.is_empty());
    }

    fn close(&mut self) {
        let (_, added) = self.open.pop().unwrap_or(("", 0));
        if added > 0 {
            self.scopes.truncate(self.scopes.len().saturating_sub(added));
            self.find_default();
        }
        if self.open.is_empty() {
            self.root_done = true;
        }
    }

    fn open(&mut self, rest: &[u8]) -> Result<Piece<'t>, Rejection> {
        if self.root_done && self.open.is_empty() {
            return Err(self.malformed("a second root element"));
        }
        self.one_more()?;
        if self.open.len() >= self.limits.depth {
            let message = format!("more than {} elements inside each other", self.limits.depth);
            return Err(self.refuse("limit.depth", self.start, message));
        }
        let (mut name_end, mut plain) = (1, true);
        loop {
            match rest.get(name_end) {
                Some(b'a'..=b'z' | b'A'..=b'Z') => {}
                Some(b'>' | b' ' | b'\t' | b'\r' | b'\n' | b'/') => break,
                Some(b'0'..=b'9') => plain &= name_end > 1,
                Some(_) => plain = false,
                None => return Err(self.malformed("a tag does not end")),
            }
            name_end += 1;
        }
        let tag_end =
            if rest.get(name_end) == Some(&b'>') { Some(name_end) } else { tag_end(rest, name_end) };
        let Some(tag_end) = tag_end else { return Err(self.malformed("a tag does not end")) };
        self.end = self.start + tag_end + 1;
        let empty = rest.get(tag_end - 1) == Some(&b'/');
        let name = self.slice(self.start + 1, self.start + name_end);
        let rest = self.slice(self.start + name_end, self.start + tag_end - usize::from(empty));
        let qualified = if plain && !name.is_empty() { Some(("", name)) } else { split_qname(name) };
        self.name = qualified.ok_or_else(|| self.malformed("the name of an element is not a name"))?;
        self.attributes.clear();
        if rest.is_empty() {
            self.open.push((name, 0));
        } else {
            let (attributes, declarations) = self.attributes(rest)?;
            self.open.push((name, declarations.len()));
            self.scopes.extend(declarations);
            if self.scopes.len() > self.limits.namespaces_in_scope {
                let message =
                    format!("more than {} namespace declarations in scope", self.limits.namespaces_in_scope);
                return Err(self.refuse("limit.namespaces", self.start, message));
            }
            self.find_default();
            self.attributes = attributes;
            for at in 0..self.attributes.len() {
                let Some(prefix) = self.attributes.get(at).map(|a| a.prefix) else { break };
                let namespace = self.attribute_namespace(prefix)?;
                if let Some(attribute) = self.attributes.get_mut(at) {
                    attribute.namespace = namespace;
                }
            }
            self.no_doubles()?;
        }
        let prefix = self.name.0;
        if !prefix.is_empty() {
            self.attribute_namespace(prefix)?;
        }
        self.pending_end = empty;
        Ok(Piece::Start)
    }

    /// Counts what costs time to read, however short it is.
    fn one_more(&mut self) -> Result<(), Rejection> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            let message = format!("more than {} elements, attributes and comments", self.limits.elements);
            return Err(self.refuse("limit.elements", self.start, message));
        }
        Ok(())
    }

    /// Two prefixes can stand for one namespace, so names are compared with their namespaces.
    fn no_doubles(&self) -> Result<(), Rejection> {
        if self.attributes.len() < 2 {
            return Ok(());
        }
        let mut names: Vec<(&str, &str)> =
            self.attributes.iter().map(|a| (a.local, a.namespace.as_ref())).collect();
        names.sort_unstable();
        match names.windows(2).find(|w| matches!(w, [a, b] if a == b)) {
            Some(twice) => {
                let local = twice.first().map_or("", |(local, _)| *local);
                Err(self.malformed(format!("the attribute {local} stands twice")))
            }
            None => Ok(()),
        }
    }

    /// The namespace of an attribute's prefix, or of an element's that is not empty.
    fn attribute_namespace(&self, prefix: &str) -> Result<Cow<'t, str>, Rejection> {
        match prefix {
            "" => Ok(Cow::Borrowed("")),
            "xml" => Ok(Cow::Borrowed(XML_NS)),
            "xmlns" => Err(self.malformed("the prefix xmlns is reserved")),
            prefix => self.namespace(prefix).cloned().ok_or_else(|| {
                self.refuse("xml.namespace", self.start, format!("the prefix {prefix} is not declared"))
            }),
        }
    }

    #[expect(clippy::type_complexity, reason = "attributes and declarations of one element")]
    fn attributes(
        &mut self,
        text: &'t str,
    ) -> Result<(Vec<Attribute<'t>>, Vec<(&'t str, Cow<'t, str>)>), Rejection> {
        const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
        let (mut attributes, mut declarations) = (Vec::new(), Vec::new());
        let mut rest = text;
        loop {
            let trimmed = rest.trim_start_matches(SPACE);
            if trimmed.is_empty() {
                return Ok((attributes, declarations));
            }
            if trimmed.len() == rest.len() {
                return Err(self.malformed("white space is missing between attributes"));
            }
            self.one_more()?;
            let (name, after) =
                trimmed.split_once('=').ok_or_else(|| self.malformed("an attribute without value"))?;
            let after = after.trim_start_matches(SPACE);
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let quote = quote.ok_or_else(|| self.malformed("the value of an attribute is not quoted"))?;
            let (value, remaining) = after
                .get(1..)
                .and_then(|a| a.split_once(quote))
                .ok_or_else(|| self.malformed("the value of an attribute does not end"))?;
            rest = remaining;
            if value.len() > self.limits.attribute_bytes {
                return Err(self.refuse(
                    "limit.attribute",
                    self.start,
                    format!("an attribute longer than {} bytes", self.limits.attribute_bytes),
                ));
            }
            let (prefix, local) = split_qname(name.trim_end_matches(SPACE))
                .ok_or_else(|| self.malformed("the name of an attribute is not a name"))?;
            let value = self.attribute_value(value)?;
            if prefix == "xmlns" || (prefix.is_empty() && local == "xmlns") {
                let declared = if prefix.is_empty() { "" } else { local };
                self.check_declaration(declared, &value, &declarations)?;
                declarations.push((declared, value));
            } else {
                attributes.push(Attribute { prefix, local, namespace: Cow::Borrowed(""), value });
            }
            if attributes.len() > self.limits.attributes {
                return Err(self.refuse(
                    "limit.attributes",
                    self.start,
                    format!("more than {} attributes", self.limits.attributes),
                ));
            }
            if declarations.len() > self.limits.namespaces {
                return Err(self.refuse(
                    "limit.namespaces",
                    self.start,
                    format!("more than {} namespace declarations", self.limits.namespaces),
                ));
            }
        }
    }

    fn check_declaration(
        &self,
        prefix: &str,
        uri: &str,
        earlier: &[(&str, Cow<'_, str>)],
    ) -> Result<(), Rejection> {
        let bad = |message: &str| Err(self.refuse("xml.namespace", self.start, message));
        if uri.len() > self.limits.namespace_bytes {
            let message =
                format!("a namespace whose name has more than {} bytes", self.limits.namespace_bytes);
            return Err(self.refuse("limit.namespaces", self.start, message));
        }
        if earlier.iter().any(|(p, _)| *p == prefix) {
            return bad("a prefix is declared twice");
        }
        if prefix == "xmlns" || uri == "http://www.w3.org/2000/xmlns/" {
            return bad("the prefix xmlns cannot be declared");
        }
        if (prefix == "xml") != (uri == XML_NS) {
            return bad("the prefix xml belongs to its own namespace");
        }
        if !prefix.is_empty() && uri.is_empty() {
            return bad("a prefix cannot be taken back in XML 1.0");
        }
        Ok(())
    }

    fn attribute_value(&self, raw: &'t str) -> Result<Cow<'t, str>, Rejection> {
        if raw.contains('<') {
            return Err(self.malformed("< in the value of an attribute"));
        }
        if !raw.contains(['&', '\t', '\r', '\n']) {
            return Ok(Cow::Borrowed(raw));
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(c) = rest.chars().next() {
            match c {
                '&' => {
                    let (name, after) = rest
                        .get(1..)
                        .and_then(|r| r.split_once(';'))
                        .ok_or_else(|| self.bad_reference(""))?;
                    value.push_str(&resolve(name).ok_or_else(|| self.bad_reference(name))?);
                    rest = after;
                    continue;
                }
                '\r' => {
                    value.push(' ');
                    rest = rest.strip_prefix("\r\n").or_else(|| rest.get(1..)).unwrap_or("");
                    continue;
                }
                '\t' | '\n' => value.push(' '),
                c => value.push(c),
            }
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
        Ok(Cow::Owned(value))
    }
}

/// Where a tag ends: the `>` that is not quoted, behind the name.
fn tag_end(tag: &[u8], name_end: usize) -> Option<usize> {
    let mut at = name_end;
    loop {
        let rest = tag.get(at..)?;
        let found = at + memchr::memchr3(b'>', b'"', b'\'', rest)?;
        match tag.get(found)? {
            b'>' => return Some(found),
            quote => at = found + 2 + memchr::memchr(*quote, tag.get(found + 1..)?)?,
        }
    }
}

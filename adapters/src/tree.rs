//! Small trees of foreign XML: feeds, entries, SOAP replies. Never for CAP, which has its own reader.
//!
//! Owns the limits of what a peer may send in such documents. Names are pairs of namespace and local name; prefixes
//! never count. No DTD, no entities but the five of XML.

use quick_xml::NsReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::name::ResolveResult;

/// `xml:lang` and friends.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Deeper documents are refused.
const MAX_DEPTH: usize = 32;
/// Larger ones too.
const MAX_ELEMENTS: usize = 200_000;

/// And elements with more attributes.
const MAX_ATTRIBUTES: usize = 64;

/// Why bytes are not such a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// Not well-formed.
    #[error("it is not well-formed XML near byte {offset}")]
    Syntax {
        /// Where.
        offset: u64,
    },
    /// A document type declaration.
    #[error("it has a document type declaration")]
    Doctype,
    /// A prefix without a declaration.
    #[error("it uses a prefix that is not declared")]
    UnknownPrefix,
    /// An entity or character reference that is not allowed.
    #[error("it has a reference that cannot be resolved")]
    UnknownReference,
    /// Too deep or too many elements.
    #[error("it is deeper or larger than a document of its kind")]
    TooLarge,
    /// No root element, or more than one.
    #[error("it has not exactly one root element")]
    Root,
}

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) ns: String,
    pub(crate) name: String,
    attributes: Vec<(String, String, String)>,
    pub(crate) children: Vec<Node>,
}

/// What is inside an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Reads a document.
    pub(crate) fn read(bytes: &[u8]) -> Result<Element, Malformed> {
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Encoding)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Builder::default().run(text)
    }

    /// Whether it has this name.
    pub(crate) fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    /// All child elements.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The child elements of a name.
    pub(crate) fn named<'e>(&'e self, ns: &'e str, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.elements().filter(move |e| e.is(ns, name))
    }

    /// The first child element of a name.
    pub(crate) fn child(&self, ns: &str, name: &str) -> Option<&Element> {
        self.elements().find(|e| e.is(ns, name))
    }

    /// The trimmed text of the first child of a name, if there is any text.
    pub(crate) fn value(&self, ns: &str, name: &str) -> Option<String> {
        let text = self.child(ns, name)?.text();
        let text = text.trim();
        if text.is_empty() { None } else { Some(text.to_owned()) }
    }

    /// An attribute in no namespace.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// An attribute.
    pub(crate) fn attribute_in(&self, ns: &str, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, l, _)| n == ns && l == name).map(|(_, _, value)| value.as_str())
    }

    /// All text inside it, in order.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.gather(&mut out);
        out
    }

    fn gather(&self, out: &mut String) {
        for node in &self.children {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Element(element) => element.gather(out),
            }
        }
    }

    /// The first element of a name, the element itself or anywhere below it.
    pub(crate) fn find(&self, ns: &str, name: &str) -> Option<&Element> {
        if self.is(ns, name) {
            return Some(self);
        }
        self.elements().find_map(|e| e.find(ns, name))
    }
}

#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Builder {
    fn run(mut self, text: &str) -> Result<Element, Malformed> {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().check_comments = true;
        loop {
            let event = reader.read_event();
            let event = event.map_err(|_| Malformed::Syntax { offset: reader.error_position() })?;
            match event {
                Event::Start(tag) => {
                    let element = named(&reader, &tag)?;
                    self.begin(element)?;
                }
                Event::Empty(tag) => {
                    let element = named(&reader, &tag)?;
                    self.begin(element)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.push(&text.xml10_content())?,
                Event::CData(text) => self.push(&text.xml10_content())?,
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(c)) if is_character(c) => self.push(c.encode_utf8(&mut [0; 4]))?,
                    Ok(None) => {
                        let text =
                            resolve_predefined_entity(&reference).ok_or(Malformed::UnknownReference)?;
                        self.push(text)?;
                    }
                    Ok(Some(_)) | Err(_) => return Err(Malformed::UnknownReference),
                },
                Event::DocType(_) => return Err(Malformed::Doctype),
                Event::Decl(declaration) => utf8_only(&declaration)?,
                Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        if !self.open.is_empty() {
            return Err(Malformed::Root);
        }
        self.root.ok_or(Malformed::Root)
    }

    fn begin(&mut self, element: Element) -> Result<(), Malformed> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS || self.open.len() >= MAX_DEPTH {
            return Err(Malformed::TooLarge);
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(Malformed::Root);
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let element = self.open.pop().ok_or(Malformed::Root)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), Malformed> {
        match self.open.last_mut() {
            None if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() => {}
            None => return Err(Malformed::Root),
            Some(_) if !text.chars().all(is_character) => return Err(Malformed::UnknownReference),
            Some(parent) => match parent.children.last_mut() {
                Some(Node::Text(last)) => last.push_str(text),
                Some(Node::Element(_)) | None => parent.children.push(Node::Text(text.to_owned())),
            },
        }
        Ok(())
    }
}

fn named(reader: &NsReader<&[u8]>, tag: &BytesStart<'_>) -> Result<Element, Malformed> {
    let (ns, local) = reader.resolver().resolve_element(tag.name());
    let mut element =
        Element { ns: namespace(ns)?, name: local.into_inner().to_owned(), ..Element::default() };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| Malformed::Syntax { offset: reader.error_position() })?;
        if element.attributes.len() >= MAX_ATTRIBUTES {
            return Err(Malformed::TooLarge);
        }
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (ns, local) = reader.resolver().resolve_attribute(attribute.key);
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|_| Malformed::UnknownReference)?;
        element.attributes.push((namespace(ns)?, local.into_inner().to_owned(), value.into_owned()));
    }
    Ok(element)
}

/// The bytes were read as UTF-8; a declaration that says otherwise makes their meaning uncertain.
fn utf8_only(declaration: &BytesDecl<'_>) -> Result<(), Malformed> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => {
            Ok(())
        }
        Some(_) => Err(Malformed::Encoding),
    }
}

fn namespace(resolved: ResolveResult<'_>) -> Result<String, Malformed> {
    match resolved {
        ResolveResult::Bound(ns) => Ok(ns.into_inner().to_owned()),
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(_) => Err(Malformed::UnknownPrefix),
    }
}

/// XML 1.0 section 2.2.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_namespaces_and_local_names() {
        let root = Element::read(
            b"<a:x xmlns:a='u' xmlns='v'><y xml:lang='fr' z='1&amp;2'>p&#233;<![CDATA[<]]>&lt;</y></a:x>",
        );
        let root = root.unwrap();
        assert!(root.is("u", "x"));
        let y = root.child("v", "y").unwrap();
        assert_eq!((y.attribute_in(XML, "lang"), y.attribute("z")), (Some("fr"), Some("1&2")));
        assert_eq!(root.text(), "pé<<");
        assert_eq!(root.find("v", "y"), Some(y));
    }

    #[test]
    fn what_is_not_plain_xml_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(33), "</a>".repeat(33));
        let cases: [(&[u8], &str); 12] = [
            (b"", "root"),
            (b"text", "root"),
            (b"<a/><b/>", "root"),
            (b"<a>", "root or syntax"),
            (b"<a></b>", "syntax"),
            (b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "doctype"),
            (b"<a>&x;</a>", "reference"),
            (b"<a>&#0;</a>", "reference"),
            (b"<p:a/>", "prefix"),
            (b"<a>\xff</a>", "encoding"),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "declared encoding"),
            (deep.as_bytes(), "depth"),
        ];
        for (bytes, what) in cases {
            assert!(Element::read(bytes).is_err(), "{what}");
        }
    }
}

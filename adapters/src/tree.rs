//! Small trees of foreign XML: feeds, entries, SOAP replies. Never for CAP, which has its own reader.
//!
//! Stands on the one strict reader of `cap-schema`. Names are pairs of namespace and local name; prefixes never count.

use cap_schema::xml::{Reader, Token};
use cap_schema::{Document, Limits, Rejection};

/// `xml:lang` and friends.
pub(crate) const XML: &str = cap_schema::xml::XML_NS;

/// Why bytes are not such a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({rule}, line {line})")]
pub struct Malformed {
    /// The rule of the reader.
    pub rule: &'static str,
    /// What is wrong, for a person.
    pub message: String,
    /// Where.
    pub line: u32,
}

impl From<Rejection> for Malformed {
    fn from(rejection: Rejection) -> Self {
        let first = rejection.findings.into_iter().next();
        let (rule, message, line) =
            first.map_or(("xml", "it cannot be read".to_owned(), 0), |f| (f.rule, f.message, f.line));
        Malformed { rule, message, line }
    }
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
    /// Reads a document of any size that the caller holds already; its other limits are those of CAP.
    pub(crate) fn read(bytes: &[u8]) -> Result<Element, Malformed> {
        let limits = Limits { document_bytes: bytes.len(), ..Limits::default() };
        let document = Document::read(bytes, &limits)?;
        let mut reader = Reader::new(document.text(), &limits);
        let mut open: Vec<Element> = Vec::new();
        let mut root = Element::default();
        while let Some(token) = reader.next()? {
            match token {
                Token::Start(start) => open.push(Element {
                    ns: start.namespace.into_owned(),
                    name: start.local.to_owned(),
                    attributes: start
                        .attributes
                        .into_iter()
                        .map(|a| (a.namespace.into_owned(), a.local.to_owned(), a.value.into_owned()))
                        .collect(),
                    children: Vec::new(),
                }),
                Token::End => match (open.pop(), open.last_mut()) {
                    (Some(element), Some(parent)) => parent.children.push(Node::Element(element)),
                    (Some(element), None) => root = element,
                    (None, _) => {}
                },
                Token::Text(text) => {
                    let Some(parent) = open.last_mut() else { continue };
                    match parent.children.last_mut() {
                        Some(Node::Text(last)) => last.push_str(&text),
                        Some(Node::Element(_)) | None => parent.children.push(Node::Text(text.into_owned())),
                    }
                }
                Token::Comment(_) | Token::Instruction(..) => {}
            }
        }
        Ok(root)
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
            (b"<?xml version='1.0' encoding='UTF-16'?><a/>", "declared encoding"),
            (deep.as_bytes(), "depth"),
        ];
        for (bytes, what) in cases {
            assert!(Element::read(bytes).is_err(), "{what}");
        }
    }
}

//! Canonical XML 1.0 and Exclusive XML Canonicalization 1.0, with and without comments.
//!
//! Owns the canonical form of a whole document without some of its elements, and of one element in its context. Fed by
//! the one strict reader, so that what is digested is what is read. Must not know signatures.

use std::borrow::Cow;
use std::ops::Range;

use super::{Attribute, Element, Reader, Token, XML_NS, push_replaced};
use crate::finding::Rejection;
use crate::limits::Limits;

/// Which canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Method {
    /// Exclusive: only namespaces that are used are written.
    pub exclusive: bool,
    /// Comments are kept.
    pub comments: bool,
    /// Prefixes that the exclusive form treats as the inclusive one; empty for the default namespace.
    pub inclusive_prefixes: Vec<String>,
}

impl Method {
    /// Canonical XML 1.0 without comments: what a reference without transform means.
    pub const INCLUSIVE: Method =
        Method { exclusive: false, comments: false, inclusive_prefixes: Vec::new() };
    /// Exclusive canonical XML without comments.
    pub const EXCLUSIVE: Method = Method { exclusive: true, comments: false, inclusive_prefixes: Vec::new() };

    /// The algorithm identifier; canonical XML is named by its version 1.0.
    pub fn uri(&self) -> &'static str {
        match (self.exclusive, self.comments) {
            (false, false) => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            (false, true) => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
            (true, false) => "http://www.w3.org/2001/10/xml-exc-c14n#",
            (true, true) => "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        }
    }

    /// The method of an algorithm identifier.
    pub fn of_uri(uri: &str) -> Option<Method> {
        let (exclusive, comments) = match uri {
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315" => (false, false),
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments" => (false, true),
            // Differs from 1.0 only for attributes inherited by a part of a document; an enveloped signature on the root
            // and its `SignedInfo` have none.
            "http://www.w3.org/2006/12/xml-c14n11" => (false, false),
            "http://www.w3.org/2006/12/xml-c14n11#WithComments" => (false, true),
            "http://www.w3.org/2001/10/xml-exc-c14n#" => (true, false),
            "http://www.w3.org/2001/10/xml-exc-c14n#WithComments" => (true, true),
            _ => return None,
        };
        Some(Method { exclusive, comments, inclusive_prefixes: Vec::new() })
    }
}

/// The canonical form of a document without the elements at `left_out` (byte ranges of `text`).
///
/// # Errors
/// The document cannot be read, or has a namespace that canonical XML does not define (a relative reference).
pub fn document(
    text: &str,
    limits: &Limits,
    method: &Method,
    left_out: &[Range<usize>],
) -> Result<String, Rejection> {
    let mut reader = Reader::new(text, limits);
    let mut out = Canonical::new(method, text.len());
    while let Some(token) = reader.next()? {
        if left_out.iter().any(|range| range.contains(&reader.offset())) {
            continue;
        }
        out.token(&reader, &token).map_err(|Relative(uri)| relative(text, &reader, &uri))?;
    }
    Ok(out.text)
}

/// The canonical form of the element that begins at `start` (byte offset of its `<`), in the context of its document.
/// Elements at `left_out` are not written.
///
/// # Errors
/// The document cannot be read up to the end of the element, no element begins there, or a namespace is a relative
/// reference.
pub fn element(
    text: &str,
    limits: &Limits,
    method: &Method,
    start: usize,
    left_out: &[Range<usize>],
) -> Result<String, Rejection> {
    let mut reader = Reader::new(text, limits);
    let mut out = Canonical::new(method, 1_024);
    let mut depth = None;
    while let Some(token) = reader.next()? {
        match (&token, depth) {
            (Token::Start(_), None) if reader.offset() == start => depth = Some(reader.depth()),
            (Token::Start(element), None) => out.ancestor(reader.depth(), element),
            (_, None) => continue,
            (_, Some(_)) => {}
        }
        let Some(depth) = depth else { continue };
        if left_out.iter().any(|range| range.contains(&reader.offset())) {
            continue;
        }
        out.token(&reader, &token).map_err(|Relative(uri)| relative(text, &reader, &uri))?;
        if matches!(token, Token::End) && reader.depth() < depth {
            return Ok(out.text);
        }
    }
    Err(Rejection::at("xml.malformed", text, start, "no element begins here"))
}

fn relative(text: &str, reader: &Reader<'_>, uri: &str) -> Rejection {
    let shown: String = uri.chars().take(60).collect();
    let message = format!("the namespace '{}' is a relative reference", shown.escape_debug());
    Rejection::at("xml.namespace", text, reader.offset(), message)
}

/// A namespace that canonical XML does not define.
struct Relative(String);

/// Writes tokens in canonical form.
struct Canonical<'m, 't> {
    method: &'m Method,
    /// The inclusive prefixes, sorted: a signature can name thousands.
    inclusive: Vec<&'m str>,
    text: String,
    /// Namespaces as written so far, innermost last.
    rendered: Vec<(&'t str, Cow<'t, str>)>,
    /// For each open written element: how many of `rendered` it found, and its name.
    open: Vec<(usize, &'t str, &'t str)>,
    /// `xml:` attributes of ancestors that are not written, with their depth (inclusive form only).
    inherited: Vec<(usize, Attribute<'t>)>,
    root_done: bool,
}

impl<'m, 't> Canonical<'m, 't> {
    fn new(method: &'m Method, capacity: usize) -> Self {
        let mut inclusive: Vec<&str> = method.inclusive_prefixes.iter().map(String::as_str).collect();
        inclusive.sort_unstable();
        Canonical {
            method,
            inclusive,
            text: String::with_capacity(capacity),
            rendered: Vec::new(),
            open: Vec::new(),
            inherited: Vec::new(),
            root_done: false,
        }
    }

    fn ancestor(&mut self, depth: usize, element: &Element<'t>) {
        if self.method.exclusive {
            return;
        }
        self.inherited.retain(|(at, _)| *at < depth);
        let own = element.attributes.iter().filter(|a| a.prefix == "xml");
        self.inherited.extend(own.map(|a| (depth, a.clone())));
    }

    fn token(&mut self, reader: &Reader<'t>, token: &Token<'t>) -> Result<(), Relative> {
        match token {
            Token::Start(element) => return self.start(reader, element),
            Token::End => self.end(),
            Token::Text(text) => escape_canonical_text(text, &mut self.text),
            Token::Comment(comment) => {
                if self.method.comments {
                    self.outside(|out| {
                        out.push_str("<!--");
                        push_lines(comment, out);
                        out.push_str("-->");
                    });
                }
            }
            Token::Instruction(target, data) => self.outside(|out| {
                out.push_str("<?");
                out.push_str(target);
                if !data.is_empty() {
                    out.push(' ');
                    push_lines(data, out);
                }
                out.push_str("?>");
            }),
        }
        Ok(())
    }

    /// Comments and instructions beside the root stand on lines of their own.
    fn outside(&mut self, write: impl FnOnce(&mut String)) {
        if self.open.is_empty() && self.root_done {
            self.text.push('\n');
        }
        write(&mut self.text);
        if self.open.is_empty() && !self.root_done {
            self.text.push('\n');
        }
    }

    fn end(&mut self) {
        let Some((mark, prefix, local)) = self.open.pop() else { return };
        self.rendered.truncate(mark);
        self.text.push_str("</");
        push_name(prefix, local, &mut self.text);
        self.text.push('>');
        self.root_done = self.open.is_empty();
    }

    fn start(&mut self, reader: &Reader<'t>, element: &Element<'t>) -> Result<(), Relative> {
        let apex = self.open.is_empty();
        self.open.push((self.rendered.len(), element.prefix, element.local));
        self.text.push('<');
        push_name(element.prefix, element.local, &mut self.text);
        // Whether it is written or not: what another canonicaliser makes of it is not known.
        if let Some((_, uri)) =
            element.declarations.iter().find(|(_, uri)| !uri.is_empty() && !uri.contains(':'))
        {
            return Err(Relative(uri.clone().into_owned()));
        }
        for (prefix, uri) in self.namespaces(reader, element, apex) {
            self.text.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.text.push_str(prefix);
            self.text.push_str("=\"");
            escape_canonical_attribute(&uri, &mut self.text);
            self.text.push('"');
            self.rendered.push((prefix, uri));
        }
        let inherited = if apex { self.inherit(element) } else { Vec::new() };
        let mut attributes: Vec<&Attribute<'t>> = element.attributes.iter().chain(&inherited).collect();
        attributes.sort_by(|a, b| (a.namespace.as_ref(), a.local).cmp(&(b.namespace.as_ref(), b.local)));
        for attribute in attributes {
            self.text.push(' ');
            push_name(attribute.prefix, attribute.local, &mut self.text);
            self.text.push_str("=\"");
            escape_canonical_attribute(&attribute.value, &mut self.text);
            self.text.push('"');
        }
        self.text.push('>');
        Ok(())
    }

    /// `xml:` attributes that the first element takes from ancestors that are not written; the nearest one wins.
    fn inherit(&mut self, element: &Element<'t>) -> Vec<Attribute<'t>> {
        let mut taken: Vec<Attribute<'t>> = Vec::new();
        for (_, attribute) in std::mem::take(&mut self.inherited).into_iter().rev() {
            let known = element.attributes.iter().chain(&taken);
            if !known.into_iter().any(|a| a.namespace == XML_NS && a.local == attribute.local) {
                taken.push(attribute);
            }
        }
        taken
    }

    /// The namespaces that this element has to declare, in order of their prefixes.
    fn namespaces(
        &self,
        reader: &Reader<'t>,
        element: &Element<'t>,
        apex: bool,
    ) -> Vec<(&'t str, Cow<'t, str>)> {
        // What an element takes over from those around it is written there, so only the first one looks at all in scope.
        let known: Vec<&'t str> = if apex {
            reader.bindings().iter().map(|(prefix, _)| *prefix).collect()
        } else {
            element.declarations.iter().map(|(prefix, _)| *prefix).collect()
        };
        let mut prefixes = if self.method.exclusive {
            let used = element.attributes.iter().map(|a| a.prefix).filter(|p| !p.is_empty());
            let named = known.into_iter().filter(|p| self.inclusive.binary_search(p).is_ok());
            std::iter::once(element.prefix).chain(used).chain(named).collect()
        } else {
            known
        };
        prefixes.retain(|p| *p != "xml");
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut wanted = Vec::new();
        for prefix in prefixes {
            let uri = reader.namespace(prefix).map_or("", |uri| uri.as_ref());
            let shown = self.rendered.iter().rev().find(|(p, _)| *p == prefix).map(|(_, uri)| uri.as_ref());
            if shown.unwrap_or("") != uri {
                wanted.push((prefix, reader.namespace(prefix).cloned().unwrap_or_default()));
            }
        }
        wanted
    }
}

fn push_name(prefix: &str, local: &str, out: &mut String) {
    if !prefix.is_empty() {
        out.push_str(prefix);
        out.push(':');
    }
    out.push_str(local);
}

/// Comments and instructions come with the line ends of the document.
fn push_lines(text: &str, out: &mut String) {
    if text.contains('\r') {
        out.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
    } else {
        out.push_str(text);
    }
}

/// Text in canonical form.
pub fn escape_canonical_text(text: &str, out: &mut String) {
    push_replaced(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape_canonical_attribute(text: &str, out: &mut String) {
    push_replaced(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_one_canonical_form() {
        let inclusive = Method::INCLUSIVE;
        let exclusive = Method::EXCLUSIVE;
        let comments = Method { comments: true, ..Method::INCLUSIVE };
        let cases: [(&str, &Method, &str); 9] = [
            ("<?x y ?><!--c--><a/><!--d--><?z?>", &inclusive, "<?x y ?>\n<a></a>\n<?z?>"),
            ("<!--c--><a/><!--d-->", &comments, "<!--c-->\n<a></a>\n<!--d-->"),
            ("<a b='1' a='2&#10;\"&amp;'/>", &inclusive, "<a a=\"2&#xA;&quot;&amp;\" b=\"1\"></a>"),
            ("<a>x&gt;<![CDATA[<&]]>&#13;\r\n</a>", &inclusive, "<a>x&gt;&lt;&amp;&#xD;\n</a>"),
            (
                "<a xmlns='u:1' xmlns:q='u:2'><b xmlns=''/></a>",
                &inclusive,
                "<a xmlns=\"u:1\" xmlns:q=\"u:2\"><b xmlns=\"\"></b></a>",
            ),
            (
                "<a xmlns='u:1' xmlns:q='u:2'><q:b/><q:b q:c='' xmlns:q='u:2'/></a>",
                &exclusive,
                "<a xmlns=\"u:1\"><q:b xmlns:q=\"u:2\"></q:b><q:b xmlns:q=\"u:2\" q:c=\"\"></q:b></a>",
            ),
            (
                "<a xmlns:b='u:2' xmlns:a='u:1' b:x='' a:x='' x=''/>",
                &inclusive,
                "<a xmlns:a=\"u:1\" xmlns:b=\"u:2\" x=\"\" a:x=\"\" b:x=\"\"></a>",
            ),
            ("<a xmlns='u:1'><b xmlns='u:1'/></a>", &inclusive, "<a xmlns=\"u:1\"><b></b></a>"),
            ("<a t=' x\n\ty '/>", &inclusive, "<a t=\" x  y \"></a>"),
        ];
        for (text, method, expected) in cases {
            assert_eq!(document(text, &Limits::default(), method, &[]).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_element_takes_its_context_along_in_the_inclusive_form_only() {
        let text = "<a xmlns='u:1' xmlns:q='u:2' xml:lang='en'><q:b><c/></q:b></a>";
        let start = text.find("<q:b").unwrap();
        let form = |method| element(text, &Limits::default(), &method, start, &[]).unwrap();
        assert_eq!(form(Method::EXCLUSIVE), "<q:b xmlns:q=\"u:2\"><c xmlns=\"u:1\"></c></q:b>");
        assert_eq!(
            form(Method::INCLUSIVE),
            "<q:b xmlns=\"u:1\" xmlns:q=\"u:2\" xml:lang=\"en\"><c></c></q:b>"
        );
    }

    #[test]
    fn a_relative_namespace_has_no_canonical_form() {
        assert!(document("<a xmlns='relative'/>", &Limits::default(), &Method::INCLUSIVE, &[]).is_err());
    }
}

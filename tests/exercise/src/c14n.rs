//! Canonical XML 1.0 and Exclusive Canonical XML 1.0 over roxmltree.
//!
//! The simulators' own, so that the bridge's canonicaliser is checked against another one.
//! Left out: inheritance of `xml:` attributes into a subtree, which no message here uses.

use std::collections::BTreeMap;

use roxmltree::{Attribute, Document, Node, NodeId};

/// Canonical XML 1.0, inclusive.
pub const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// Exclusive Canonical XML 1.0.
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

const DEPTH_LIMIT: u32 = 64;

/// How to canonicalise.
#[derive(Debug, Clone, Default)]
pub struct Method {
    /// Exclusive instead of inclusive.
    pub exclusive: bool,
    /// Keeps comments.
    pub comments: bool,
    /// Prefixes that exclusive canonicalisation treats as inclusive (`#default` is the empty one).
    pub inclusive_prefixes: Vec<String>,
}

impl Method {
    /// The method of an algorithm identifier, if it is one of the four.
    #[must_use]
    pub fn named(algorithm: &str) -> Option<Self> {
        let (name, comments) = match algorithm.strip_suffix("WithComments") {
            Some(name) => (name, true),
            None => (algorithm, false),
        };
        // Inclusive: "…REC-xml-c14n-20010315#WithComments"; exclusive: "…xml-exc-c14n#WithComments".
        match name {
            EXCLUSIVE => Some(Self { exclusive: true, comments, ..Self::default() }),
            _ if name.trim_end_matches('#') == INCLUSIVE => Some(Self { comments, ..Self::default() }),
            _ => None,
        }
    }
}

/// The document is nested deeper than 64 elements.
#[derive(Debug, thiserror::Error)]
#[error("elements are nested deeper than {DEPTH_LIMIT}")]
pub struct TooDeep;

/// The canonical form of `apex` and what is in it, without the elements in `left_out`.
///
/// # Errors
/// If elements are nested too deep.
pub fn canonical(apex: Node<'_, '_>, method: &Method, left_out: &[NodeId]) -> Result<String, TooDeep> {
    let mut writer = Writer { source: apex.document(), method, left_out, out: String::new() };
    if apex.is_root() {
        writer.document(apex)?;
    } else {
        writer.node(apex, &BTreeMap::new(), 0)?;
    }
    Ok(writer.out)
}

struct Writer<'w, 'a, 'input> {
    source: &'a Document<'input>,
    method: &'w Method,
    left_out: &'w [NodeId],
    out: String,
}

type Scope = BTreeMap<String, String>;

impl<'a> Writer<'_, 'a, '_> {
    fn document(&mut self, root: Node<'a, '_>) -> Result<(), TooDeep> {
        let mut after_element = false;
        for child in root.children() {
            if child.is_element() {
                self.node(child, &Scope::new(), 0)?;
                after_element = true;
            } else if child.is_pi() || (child.is_comment() && self.method.comments) {
                if after_element {
                    self.out.push('\n');
                }
                self.node(child, &Scope::new(), 0)?;
                if !after_element {
                    self.out.push('\n');
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, node: Node<'a, '_>, rendered: &Scope, depth: u32) -> Result<(), TooDeep> {
        if node.is_element() {
            return self.element(node, rendered, depth);
        }
        if let Some(pi) = node.pi() {
            self.out.push_str("<?");
            self.out.push_str(pi.target);
            if let Some(value) = pi.value {
                self.out.push(' ');
                self.out.push_str(&line_ends(value));
            }
            self.out.push_str("?>");
        } else if node.is_comment() {
            if self.method.comments {
                self.out.push_str("<!--");
                self.out.push_str(&line_ends(node.text().unwrap_or_default()));
                self.out.push_str("-->");
            }
        } else if node.is_text() {
            escape_text(&mut self.out, node.text().unwrap_or_default());
        }
        Ok(())
    }

    fn element(&mut self, node: Node<'a, '_>, rendered: &Scope, depth: u32) -> Result<(), TooDeep> {
        if self.left_out.contains(&node.id()) {
            return Ok(());
        }
        if depth >= DEPTH_LIMIT {
            return Err(TooDeep);
        }
        let name = self.element_name(node);
        self.out.push('<');
        self.out.push_str(name);
        let rendered = self.namespaces(node, name, rendered);
        let mut attributes: Vec<_> = node.attributes().collect();
        attributes.sort_by_key(|attribute| (attribute.namespace().unwrap_or_default(), attribute.name()));
        for attribute in attributes {
            let name = self.attribute_name(&attribute);
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape_attribute(&mut self.out, attribute.value());
            self.out.push('"');
        }
        self.out.push('>');
        for child in node.children() {
            self.node(child, &rendered, depth + 1)?;
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        Ok(())
    }

    /// Writes the namespace declarations that are due here and returns what is now declared.
    fn namespaces(&mut self, node: Node<'a, '_>, name: &str, rendered: &Scope) -> Scope {
        let mut due = Scope::new();
        for namespace in node.namespaces() {
            let prefix = namespace.name().unwrap_or_default();
            if prefix != "xml" && (!self.method.exclusive || self.is_used(node, name, prefix)) {
                due.insert(prefix.to_owned(), namespace.uri().to_owned());
            }
        }
        // `xmlns=""` is due where an outer default namespace would otherwise reach in.
        if !self.method.exclusive || self.is_used(node, name, "") {
            due.entry(String::new()).or_default();
        }
        let mut now = rendered.clone();
        for (prefix, uri) in due {
            if rendered.get(&prefix).map_or("", String::as_str) == uri {
                continue;
            }
            let separator = if prefix.is_empty() { "" } else { ":" };
            self.out.push_str(&format!(" xmlns{separator}{prefix}=\""));
            escape_attribute(&mut self.out, &uri);
            self.out.push('"');
            now.insert(prefix, uri);
        }
        now
    }

    fn is_used(&self, node: Node<'a, '_>, name: &str, prefix: &str) -> bool {
        let listed = if prefix.is_empty() { "#default" } else { prefix };
        prefix_of(name) == prefix
            || self.method.inclusive_prefixes.iter().any(|kept| kept == listed)
            || (!prefix.is_empty()
                && node.attributes().any(|attribute| prefix_of(self.attribute_name(&attribute)) == prefix))
    }

    /// The name with the prefix that the source has; the tree keeps only the namespace.
    fn element_name(&self, node: Node<'a, '_>) -> &'a str {
        let start = node.range().start + 1;
        let rest = self.source.input_text().get(start..).unwrap_or_default();
        rest.split(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').next().unwrap_or_default()
    }

    fn attribute_name(&self, attribute: &Attribute<'a, '_>) -> &'a str {
        self.source.input_text().get(attribute.range_qname()).unwrap_or_default()
    }
}

fn prefix_of(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

/// The parser leaves line ends in comments and processing instructions as they are.
fn line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn escape_text(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

fn escape_attribute(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, exclusive: bool, apex: &str, wanted: &str) {
        let document = Document::parse(source).unwrap();
        let node = document.descendants().find(|node| node.tag_name().name() == apex);
        let method = Method { exclusive, ..Method::default() };
        assert_eq!(canonical(node.unwrap_or(document.root()), &method, &[]).unwrap(), wanted, "{source}");
    }

    #[test]
    fn canonical_forms_are_those_of_the_two_recommendations() {
        let nested = r#"<a xmlns="u:d" xmlns:p="u:p" xmlns:q="u:q"><p:b z="1" q:y="&#10;" a='"'/></a>"#;
        check(nested, true, "b", r#"<p:b xmlns:p="u:p" xmlns:q="u:q" a="&quot;" z="1" q:y="&#xA;"></p:b>"#);
        let inclusive = r#"<p:b xmlns="u:d" xmlns:p="u:p" xmlns:q="u:q" a="&quot;" z="1" q:y="&#xA;"></p:b>"#;
        check(nested, false, "b", inclusive);
        let undeclared = r#"<a xmlns="u:d"><b xmlns=""><c xmlns="u:d">&gt;<![CDATA[<&]]>&#13;</c></b></a>"#;
        let same = r#"<a xmlns="u:d"><b xmlns=""><c xmlns="u:d">&gt;&lt;&amp;&#xD;</c></b></a>"#;
        check(undeclared, true, "", same);
        check(undeclared, false, "", same);
        check("<a><?x y\r\nz?></a>", false, "", "<a><?x y\nz?></a>");
        check("<?xml version='1.0'?>\n<?x y?><!-- c --><a/>\n<?z?>", false, "", "<?x y?>\n<a></a>\n<?z?>");
    }

    #[test]
    fn every_algorithm_name_gives_its_method() {
        let with = Method::named("http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments").unwrap();
        assert!(with.comments && !with.exclusive);
        assert!(Method::named("http://www.w3.org/2001/10/xml-exc-c14n#WithComments").unwrap().comments);
        assert!(Method::named(EXCLUSIVE).unwrap().exclusive);
        assert!(Method::named("http://www.w3.org/TR/1999/REC-xslt-19991116").is_none());
    }
}

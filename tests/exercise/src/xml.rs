//! Small readers over roxmltree: by (namespace, local name), never by prefix.

use roxmltree::{Document, Node, ParsingOptions};

/// Elements, attributes and texts that one document may have.
const NODE_LIMIT: u32 = 200_000;

/// Why a body is no XML document that a simulator takes.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8")]
    Encoding {
        /// Where.
        #[source]
        cause: std::str::Utf8Error,
    },
    /// Not well-formed, or a DOCTYPE.
    #[error("the body is not well-formed XML")]
    Malformed {
        /// What and where.
        #[source]
        cause: roxmltree::Error,
    },
}

/// The text of a body, without a byte order mark.
///
/// # Errors
/// If it is not UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|cause| XmlError::Encoding { cause })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Parses a text; a DOCTYPE is refused.
///
/// # Errors
/// If it is not well-formed or too large.
pub fn document(text: &str) -> Result<Document<'_>, XmlError> {
    let options = ParsingOptions { nodes_limit: NODE_LIMIT, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|cause| XmlError::Malformed { cause })
}

/// Whether a node is the element (`namespace`, `name`).
#[must_use]
pub fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element()
        && node.tag_name().name() == name
        && node.tag_name().namespace().unwrap_or_default() == namespace
}

/// The first child element of that name.
#[must_use]
pub fn child<'a, 'input>(node: Node<'a, 'input>, namespace: &str, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| is(*child, namespace, name))
}

/// All child elements of that name, in order.
#[must_use]
pub fn children<'a, 'input>(node: Node<'a, 'input>, namespace: &str, name: &str) -> Vec<Node<'a, 'input>> {
    node.children().filter(|child| is(*child, namespace, name)).collect()
}

/// All text inside an element, as it stands.
#[must_use]
pub fn raw_text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// All text inside an element, trimmed.
#[must_use]
pub fn text(node: Node<'_, '_>) -> String {
    raw_text(node).trim().to_owned()
}

/// The trimmed text of the first child of that name.
#[must_use]
pub fn child_text(node: Node<'_, '_>, namespace: &str, name: &str) -> Option<String> {
    child(node, namespace, name).map(text)
}

/// Escapes a text for element content and for attribute values in double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}

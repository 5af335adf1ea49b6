//! XML 1.0 with namespaces, as strictly as CAP needs it.

pub mod c14n;
mod names;
mod reader;

pub use reader::{Attribute, Element, Reader, Token};

/// The namespace of the `xml` prefix.
pub const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of XML signatures.
pub const DSIG_NS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Escapes text content.
pub fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A carriage return would be read back as a line feed.
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
}

/// An element as written, with the namespaces that it takes from around it declared on it. Bindings are outermost
/// first. Used to keep foreign elements and signatures whole when the model is written again.
pub(crate) fn self_contained<'t>(raw: &'t str, outer: &[(String, String)]) -> std::borrow::Cow<'t, str> {
    let name_end = raw.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(raw.len());
    let mut added = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for (prefix, uri) in outer.iter().rev() {
        if seen.contains(&prefix.as_str()) {
            continue;
        }
        seen.push(prefix);
        let used = if prefix.is_empty() {
            // The default namespace of the written document is CAP's.
            !uri.is_empty() && uri != crate::write::CAP_1_2
        } else {
            raw.contains(&format!("{prefix}:"))
        };
        let attribute =
            if prefix.is_empty() { " xmlns=\"".to_owned() } else { format!(" xmlns:{prefix}=\"") };
        let declared =
            raw.get(..raw.find('>').unwrap_or(0)).is_some_and(|tag| tag.contains(attribute.trim_start()));
        if used && !declared {
            added.push_str(&attribute);
            for c in uri.chars() {
                match c {
                    '&' => added.push_str("&amp;"),
                    '<' => added.push_str("&lt;"),
                    '"' => added.push_str("&quot;"),
                    c => added.push(c),
                }
            }
            added.push('"');
        }
    }
    if added.is_empty() {
        return std::borrow::Cow::Borrowed(raw);
    }
    let (name, rest) = raw.split_at_checked(name_end).unwrap_or((raw, ""));
    std::borrow::Cow::Owned(format!("{name}{added}{rest}"))
}

//! XML 1.0 with namespaces, as strictly as CAP needs it.

use std::borrow::Cow;

pub mod c14n;
mod names;
mod reader;
mod references;
mod token;

pub(crate) use names::{first_bad as first_bad_character, is_ncname};
pub(crate) use reader::Piece;
pub use reader::Reader;
pub use token::{Attribute, Element, Token};

/// The namespace of the `xml` prefix.
pub const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of XML signatures.
pub const DSIG_NS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Bytes from which it pays to look for what must be escaped before copying.
const LONG: usize = 256;

/// Where a mark of a few bytes stands first.
pub(crate) fn find_mark(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    // Mostly it is near; setting up the search for far ones takes longer than looking.
    let near = bytes.get(..32).unwrap_or(bytes).windows(mark.len()).position(|w| w == mark);
    near.or_else(|| memchr::memmem::find(bytes, mark))
}

/// Escapes text content.
pub fn escape_text(text: &str, out: &mut String) {
    // Long texts are mostly coordinates and files, which hold nothing to escape.
    if text.len() >= LONG
        && memchr::memchr3(b'&', b'<', b'>', text.as_bytes()).is_none()
        && memchr::memchr(b'\r', text.as_bytes()).is_none()
    {
        out.push_str(text);
        return;
    }
    push_replaced(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        // A carriage return would be read back as a line feed.
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Copies a text with some ASCII characters replaced. Stretches without any of them are copied whole; `replacement` must
/// leave all but control characters and `"&<>` alone.
pub(crate) fn push_replaced(text: &str, out: &mut String, replacement: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    for chunk in bytes.chunks(32) {
        if is_suspicious(chunk) {
            for (offset, byte) in chunk.iter().enumerate() {
                if let Some(with) = replacement(*byte) {
                    out.push_str(text.get(copied..at + offset).unwrap_or(""));
                    out.push_str(with);
                    copied = at + offset + 1;
                }
            }
        }
        at += chunk.len();
    }
    out.push_str(text.get(copied..).unwrap_or(""));
}

/// Whether a control character or one of `"&<>` may be among the bytes: eight are looked at together.
fn is_suspicious(chunk: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let word = |eight: [u8; 8]| {
        let text = u64::from_le_bytes(eight);
        // `"` and `&` differ in one bit, and so do `<` and `>`. A byte that becomes 0 borrows from its highest bit; so does
        // one below a bound. A borrow can spill into the byte behind, which is then looked at for nothing.
        let quote_or_amp = (text & !(EACH * 0x04)) ^ (EACH * 0x22);
        let angle = (text & !(EACH * 0x02)) ^ (EACH * 0x3c);
        let zero = |value: u64| value.wrapping_sub(EACH) & !value;
        let control = text.wrapping_sub(EACH * 0x20) & !text;
        (zero(quote_or_amp) | zero(angle) | control) & TOPS
    };
    let (words, rest) = chunk.as_chunks::<8>();
    let mut last = [b'a'; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    words.iter().fold(word(last), |all, eight| all | word(*eight)) != 0
}

/// An element as written, with the namespaces that it takes from around it declared on it. Bindings are outermost
/// first. Used to keep foreign elements and signatures whole when the model is written again.
pub(crate) fn self_contained<'t>(raw: &'t str, outer: &[(&str, Cow<'_, str>)]) -> Cow<'t, str> {
    let tag = raw.get(..raw.find('>').unwrap_or(0)).unwrap_or("");
    let name_end = raw.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(raw.len());
    let mut added = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for (prefix, uri) in outer.iter().rev() {
        if seen.contains(prefix) {
            continue;
        }
        seen.push(prefix);
        // The default namespace of the written document is CAP's.
        let used = if prefix.is_empty() {
            !uri.is_empty() && uri != crate::write::CAP_1_2
        } else {
            raw.contains(&format!("{prefix}:"))
        };
        let attribute =
            if prefix.is_empty() { " xmlns=\"".to_owned() } else { format!(" xmlns:{prefix}=\"") };
        let name = attribute.trim_start().trim_end_matches('"');
        if used && !tag.contains(name) {
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
        return Cow::Borrowed(raw);
    }
    let (name, rest) = raw.split_at_checked(name_end).unwrap_or((raw, ""));
    Cow::Owned(format!("{name}{added}{rest}"))
}

//! Characters and names (XML 1.0 fifth edition, sections 2.2 and 2.3; Namespaces in XML 1.0).

/// Whether a character may stand in a document.
pub fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// The byte offset of the first character that may not.
pub fn first_bad(text: &str) -> Option<usize> {
    // Everything but control characters and the two non-characters is allowed; look at bytes first, many at a time. Most
    // stretches of long texts hold neither line ends nor anything beyond ASCII, which is seen more quickly.
    let plain = |chunk: &[u8]| chunk.iter().fold(0, |all, b| all | u8::from(b.cast_signed() < 0x20)) == 0;
    let bad = |b: u8| u8::from(b < 0x20) & u8::from(b != b'\t') & u8::from(b != b'\n') & u8::from(b != b'\r');
    let suspicious = |chunk: &[u8]| chunk.iter().fold(0, |all, b| all | bad(*b) | u8::from(*b == 0xef)) != 0;
    if !text.as_bytes().chunks(128).any(|chunk| !plain(chunk) && suspicious(chunk)) {
        return None;
    }
    text.char_indices().find(|(_, c)| !is_char(*c)).map(|(at, _)| at)
}

fn starts_name(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn continues_name(c: char) -> bool {
    starts_name(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Whether a text is a name without colon.
pub fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(starts_name) && chars.all(continues_name)
}

/// Prefix and local part of a qualified name; `None` if it is none.
pub fn split_qname(name: &str) -> Option<(&str, &str)> {
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Some(("", name));
    }
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    let sound = is_ncname(local)
        && (prefix.is_empty() != name.contains(':'))
        && (prefix.is_empty() || is_ncname(prefix));
    sound.then_some((prefix, local))
}

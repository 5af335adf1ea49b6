//! Entity and character references, and line ends (XML 1.0 sections 2.11, 4.1, 4.6).

use std::borrow::Cow;

use super::names::is_char;

/// The five entities of XML and character references.
pub(super) fn resolve(name: &str) -> Option<Cow<'static, str>> {
    let known = match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) if !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    u32::from_str_radix(hex, 16).ok()?
                }
                None if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                    digits.parse().ok()?
                }
                Some(_) | None => return None,
            };
            let c = char::from_u32(code).filter(|c| is_char(*c))?;
            return Some(Cow::Owned(c.to_string()));
        }
    };
    Some(Cow::Borrowed(known))
}

/// Line ends as XML 1.0 section 2.11 has them.
pub(super) fn line_ends(raw: &str) -> Cow<'_, str> {
    if raw.contains('\r') {
        Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(raw)
    }
}

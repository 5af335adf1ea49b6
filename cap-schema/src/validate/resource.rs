//! Rules on resources (CAP 1.2 section 3.2.3; V18, V19, V21).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Findings;
use crate::alert::Alert;
use crate::profile;
use crate::resource::Resource;

/// Top-level media types (IANA).
const TYPES: [&str; 11] = [
    "application",
    "audio",
    "font",
    "haptics",
    "image",
    "message",
    "model",
    "multipart",
    "text",
    "video",
    "example",
];

pub(super) fn check(alert: &Alert<'_>, out: &mut Findings) {
    // NAADS digests the text (cap page 4.7).
    let of_text = profile::cap_cp::claims(alert);
    for (index, info) in alert.info.iter().enumerate() {
        for (at, resource) in info.resource.iter().enumerate() {
            let path = |name: &str| format!("/alert/info[{}]/resource[{}]/{name}", index + 1, at + 1);
            if let Some(mime) = &resource.mime_type
                && !is_media_type(mime.trim())
            {
                let shown: String = mime.chars().take(60).collect();
                let message = format!("'{}' is not a media type", shown.escape_debug());
                out.add("cap.mime-type.syntax", path("mimeType"), message);
            }
            if let Some(uri) = resource.uri.as_deref().map(str::trim) {
                if !is_uri(uri) {
                    out.add("cap.uri.syntax", path("uri"), "characters that no URI has");
                } else if !is_absolute(uri) && resource.deref_uri.is_none() {
                    out.add("cap.uri.relative", path("uri"), "a relative uri without derefUri");
                }
            }
            content(resource, of_text, out, path);
        }
    }
}

/// The embedded file against size and digest. `of_text` says whose custom it is to digest the text instead of the file.
fn content(resource: &Resource<'_>, of_text: bool, out: &mut Findings, path: impl Fn(&str) -> String) {
    let Some(text) = &resource.deref_uri else { return };
    let packed = packed(text);
    let Some(bytes) = decoded_bytes(packed.as_bytes()) else {
        out.add("cap.deref-uri.base64", path("derefUri"), "not base64");
        return;
    };
    if let Some(size) = resource.size.as_deref().map(str::trim)
        && size.strip_prefix('+').unwrap_or(size).parse::<usize>().ok() != Some(bytes)
    {
        out.add("cap.size.mismatch", path("size"), format!("{size}, and the file has {bytes} bytes"));
    }
    let Some(digest) = resource.digest.as_deref().map(str::trim) else { return };
    let is_of = |bytes: &[u8]| digest.eq_ignore_ascii_case(&sha1(bytes));
    let is_of_file = || STANDARD.decode(packed.as_bytes()).is_ok_and(|file| is_of(&file));
    let is_of_text = || is_of(packed.as_bytes()) || matches!(packed, Cow::Owned(_)) && is_of(text.as_bytes());
    // What is expected is looked at first, since each costs as much as reading the rest.
    let (file, text) = if of_text {
        let text = is_of_text();
        (!text && is_of_file(), text)
    } else {
        let file = is_of_file();
        (file, !file && is_of_text())
    };
    if text {
        out.add("cap.digest.of-base64", path("digest"), "computed over the base64 text");
    } else if !file {
        out.add("cap.digest.mismatch", path("digest"), "not the SHA-1 of the file");
    }
}

/// How many bytes a file in base64 has (RFC 4648 section 4, with padding); `None` for what is no base64.
fn decoded_bytes(packed: &[u8]) -> Option<usize> {
    let digits = match packed {
        [rest @ .., b'=', b'='] => rest,
        [rest @ .., b'='] => rest,
        all => all,
    };
    if !packed.len().is_multiple_of(4) {
        return None;
    }
    // Without branches, so that many bytes are looked at together.
    let is_other = |b: u8| {
        u8::from((b | 0x20).wrapping_sub(b'a') >= 26)
            & u8::from(b.wrapping_sub(b'0') >= 10)
            & u8::from(b != b'+')
            & u8::from(b != b'/')
    };
    if digits.chunks(128).any(|chunk| chunk.iter().fold(0, |all, b| all | is_other(*b)) != 0) {
        return None;
    }
    // The bits of the last digit that belong to no byte are 0.
    let padding = packed.len() - digits.len();
    let last = digits.last().and_then(|b| DIGITS.iter().position(|d| d == b)).unwrap_or(0);
    let unused = [0, 0b11, 0b1111].get(padding).copied().unwrap_or(0);
    (last & unused == 0).then_some(packed.len() / 4 * 3 - padding)
}

/// The digits of base64, in order of their values.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 without the white space that may stand in it.
fn packed(text: &str) -> Cow<'_, str> {
    let blank = |chunk: &[u8]| chunk.iter().fold(0_u8, |all, b| all | u8::from(*b <= b' ')) != 0;
    if !text.as_bytes().chunks(128).any(blank) {
        return Cow::Borrowed(text);
    }
    let mut packed = String::with_capacity(text.len());
    for line in text.split_ascii_whitespace() {
        packed.push_str(line);
    }
    Cow::Owned(packed)
}

/// The SHA-1 of a file, in hexadecimal digits.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().iter().fold(String::with_capacity(40), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// RFC 2046 and 6838: type/subtype, parameters allowed.
pub(crate) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or("").trim_end();
    let Some((kind, sub)) = essence.split_once('/') else { return false };
    let name = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
    let known = TYPES.iter().any(|t| kind.eq_ignore_ascii_case(t)) || kind.starts_with("x-");
    known && !sub.is_empty() && sub.len() <= 127 && sub.bytes().all(name)
}

/// No character that neither a URI nor an IRI has.
pub(crate) fn is_uri(text: &str) -> bool {
    // Mostly it is ASCII, where every byte is a character.
    let forbidden = |b: u8| b <= b' ' || b == 0x7f || b"<>\"{}|\\^`".contains(&b);
    let beyond = |c: char| !c.is_ascii() && (c.is_whitespace() || c.is_control());
    !text.is_empty() && !text.bytes().any(forbidden) && (text.is_ascii() || !text.contains(beyond))
}

/// A URI with a scheme and something behind it.
pub(crate) fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let hierarchical = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    named && is_uri(text) && !rest.is_empty() && (!hierarchical || rest.len() > 2 && rest.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_no_white_space_and_no_delimiter() {
        for text in [
            "a b", "a\tb", "<a>", "a\"", "a|b", "a\\b", "a^", "`", "{a}", "a\u{7f}", "a\u{a0}b", "a\u{85}",
            "",
        ] {
            assert!(!is_uri(text), "{text:?}");
        }
        for text in ["https://warning.example/a?b#c", "map.txt", "http://\u{e9}.example/%20"] {
            assert!(is_uri(text), "{text:?}");
        }
    }

    #[test]
    fn base64_is_what_the_decoder_takes() {
        let mut seen = 0;
        let mut check = |text: &[u8]| {
            seen += usize::from(decoded_bytes(text).is_some());
            assert_eq!(decoded_bytes(text), STANDARD.decode(text).ok().map(|d| d.len()), "{text:?}");
        };
        for byte in 0..=255 {
            for text in [
                [byte, b'A', b'A', b'A'],
                [b'A', b'A', b'A', byte],
                [b'A', byte, b'=', b'='],
                [b'A', b'A', byte, b'='],
            ] {
                check(&text);
                // Also behind what is looked at together.
                check(&[&[b'z'; 256][..], &text].concat());
            }
        }
        for text in ["", "=", "==", "====", "A===", "AA=A", "A", "AA", "AAA", "AAAAA", "AA==AAAA", "AAA=="] {
            check(text.as_bytes());
        }
        assert!(seen > 290, "{seen}");
    }
}

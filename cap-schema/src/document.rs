//! The gate: which bytes may be read as XML at all.
//!
//! Owns size, encoding, XML declaration and the refusal of DTDs, before any parser sees the document (design 9). Must not
//! look at elements.

use std::borrow::Cow;

use crate::finding::{Finding, Rejection};
use crate::limits::Limits;
use crate::parse::{self, Parsed};
use crate::rules::finding;
use crate::xml::find_mark;

/// A document that passed the gate: text that may be parsed.
#[derive(Clone, Debug)]
pub struct Document<'b> {
    text: Cow<'b, str>,
    limits: Limits,
    findings: Vec<Finding>,
    encoding: Encoding,
}

impl<'b> Document<'b> {
    /// Lets bytes through the gate: UTF-8 with or without BOM, and documents that declare ISO-8859-1, windows-1252 or
    /// US-ASCII, transcoded exactly with a note. Everything else is refused, and so is every DTD and XML 1.1.
    ///
    /// # Errors
    /// What the gate refuses, with the place.
    pub fn read(bytes: &'b [u8], limits: &Limits) -> Result<Document<'b>, Rejection> {
        let body = check_bytes(bytes, limits)?;
        let encoding = declaration(body)?;
        Document::of_body(body, limits, encoding)
    }

    /// The same for a part of a document, whose encoding is known from there. The text can be changed before it is kept.
    pub(crate) fn read_as(
        part: &'b [u8],
        limits: &Limits,
        encoding: Encoding,
        change: impl FnOnce(&str) -> Cow<'_, str>,
    ) -> Result<Document<'b>, Rejection> {
        let mut document = Document::of_body(check_bytes(part, limits)?, limits, encoding)?;
        if let Cow::Owned(changed) = change(&document.text) {
            document.text = Cow::Owned(changed);
        }
        Ok(document)
    }

    fn of_body(body: &'b [u8], limits: &Limits, encoding: Encoding) -> Result<Document<'b>, Rejection> {
        let mut findings = Vec::new();
        let text: Cow<'b, str> = match encoding {
            Encoding::Utf8 => match std::str::from_utf8(body) {
                Ok(text) => Cow::Borrowed(text),
                Err(error) => {
                    let at = error.valid_up_to();
                    let sound = body.get(..at).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("");
                    return Err(Rejection::at("gate.encoding", sound, at, format!("byte {at} is not UTF-8")));
                }
            },
            Encoding::Ascii => match std::str::from_utf8(body) {
                Ok(text) if text.is_ascii() => Cow::Borrowed(text),
                _ => return refuse("gate.encoding", "declared US-ASCII, and the bytes are not".into()),
            },
            Encoding::Latin1 | Encoding::Windows1252 => {
                let Some(text) = transcode(body, encoding == Encoding::Windows1252) else {
                    return refuse("gate.encoding", "a byte has no character in windows-1252".into());
                };
                let message = "not UTF-8: transcoded exactly from the declared encoding";
                findings.push(finding("gate.transcoded", "", message));
                Cow::Owned(text)
            }
        };
        if let Some(at) = find_doctype(&text) {
            return Err(Rejection::at("gate.dtd", &text, at, "a DTD is never processed"));
        }
        Ok(Document { text, limits: limits.clone(), findings, encoding })
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How the characters of a document are written; what the gate can say before it reads them.
    pub(crate) fn encoding_of(bytes: &[u8], limits: &Limits) -> Result<Encoding, Rejection> {
        declaration(check_bytes(bytes, limits)?)
    }

    /// With a finding about where it was found.
    pub(crate) fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// How many bytes of the original document a stretch of the text was; the byte order mark belongs to an empty one at
    /// the beginning.
    pub(crate) fn byte_length(&self, bytes: &[u8], stretch: std::ops::Range<usize>) -> usize {
        if stretch.end == 0 {
            return if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        }
        match self.encoding {
            Encoding::Utf8 | Encoding::Ascii => stretch.len(),
            // Each character was one byte.
            Encoding::Latin1 | Encoding::Windows1252 => {
                self.text.get(stretch).map_or(0, |t| t.chars().count())
            }
        }
    }

    /// The text that is parsed: without BOM, transcoded where needed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The limits that the document is read under.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads the alert.
    ///
    /// # Errors
    /// There is no alert to speak of.
    pub fn parse(&self) -> Result<Parsed<'_>, Rejection> {
        let mut parsed = parse::parse(&self.text, &self.limits)?;
        parsed.findings.splice(0..0, self.findings.iter().cloned());
        Ok(parsed)
    }

    /// Fills in line and column of findings that have only a path, by one more pass over the text.
    pub fn locate(&self, findings: &mut [Finding]) {
        parse::locate(&self.text, &self.limits, findings);
    }
}

/// Reads an alert and keeps it beyond the input.
///
/// # Errors
/// There is no alert to speak of.
pub fn parse_owned(bytes: &[u8], limits: &Limits) -> Result<Parsed<'static>, Rejection> {
    Document::read(bytes, limits)?.parse().map(Parsed::into_owned)
}

const BOM: &[u8] = b"\xef\xbb\xbf";

fn refuse<T>(rule: &'static str, message: String) -> Result<T, Rejection> {
    Err(Rejection { findings: vec![finding(rule, "", message)] })
}

/// Size, and the encodings that show in the first bytes.
fn check_bytes<'b>(bytes: &'b [u8], limits: &Limits) -> Result<&'b [u8], Rejection> {
    if bytes.len() > limits.document_bytes {
        return refuse("gate.size", format!("more than {} bytes", limits.document_bytes));
    }
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..] | [0x4c, 0x6f, 0xa7, 0x94, ..] = body {
        return refuse("gate.encoding", "the bytes are UTF-16, UTF-32 or EBCDIC; only UTF-8 is read".into());
    }
    Ok(body)
}

/// How the characters of a document were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    Windows1252,
}

/// The declarations that nearly all documents have.
const USUAL: [&[u8]; 3] = [
    b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    b"<?xml version=\"1.0\" encoding=\"utf-8\"?>",
    b"<?xml version='1.0' encoding='UTF-8'?>",
];

/// Reads the XML declaration, if there is one, as XML 1.0 section 2.8 writes it.
fn declaration(body: &[u8]) -> Result<Encoding, Rejection> {
    if USUAL.iter().any(|usual| body.starts_with(usual)) {
        return Ok(Encoding::Utf8);
    }
    let bad = |message: &str| {
        let mut finding = Finding::fatal("gate.declaration", "", message);
        (finding.line, finding.column) = (1, 1);
        Err(Rejection { findings: vec![finding] })
    };
    let begins = body.starts_with(b"<?xml") && body.get(5).is_some_and(u8::is_ascii_whitespace);
    if !begins {
        return Ok(Encoding::Utf8);
    }
    let Some(end) = body.windows(2).take(512).position(|w| w == b"?>") else {
        return bad("the XML declaration does not end");
    };
    let Some(inner) = body.get(5..end).and_then(|d| std::str::from_utf8(d).ok()) else {
        return bad("the XML declaration is not text");
    };
    let mut rest = inner;
    let mut seen = Vec::new();
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if trimmed.is_empty() {
            break;
        }
        if trimmed.len() == rest.len() {
            return bad("white space is missing in the XML declaration");
        }
        let Some((name, after)) = trimmed.split_once('=') else {
            return bad("the XML declaration is not well-formed");
        };
        let after = after.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return bad("a value in the XML declaration is not quoted");
        };
        let Some((value, remaining)) = after.get(1..).and_then(|a| a.split_once(quote)) else {
            return bad("a value in the XML declaration is not quoted");
        };
        seen.push((name.trim_end_matches([' ', '\t', '\r', '\n']), value));
        rest = remaining;
    }
    let names: Vec<&str> = seen.iter().map(|(n, _)| *n).collect();
    if !matches!(
        names.as_slice(),
        ["version"]
            | ["version", "encoding"]
            | ["version", "standalone"]
            | ["version", "encoding", "standalone"]
    ) {
        return bad("the XML declaration has other parts than version, encoding, standalone, in this order");
    }
    let value = |name: &str| seen.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    if value("version") != Some("1.0") {
        return bad("only XML 1.0 is read");
    }
    if !matches!(value("standalone"), None | Some("yes" | "no")) {
        return bad("standalone is neither yes nor no");
    }
    match value("encoding").map(str::to_ascii_lowercase).as_deref() {
        None | Some("utf-8" | "utf8") => Ok(Encoding::Utf8),
        Some("us-ascii" | "ascii") => Ok(Encoding::Ascii),
        Some("iso-8859-1" | "latin1" | "iso_8859-1") => Ok(Encoding::Latin1),
        Some("windows-1252" | "cp1252") => Ok(Encoding::Windows1252),
        Some(other) => Err(Rejection {
            findings: vec![Finding::about_file(
                "gate.encoding",
                format!("declares the encoding {}; only UTF-8 is read", other.escape_default()),
            )],
        }),
    }
}

/// Characters of windows-1252 at 0x80 to 0x9F; 0 where there is none.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,
    0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0, 0x017e, 0x0178,
];

fn transcode(bytes: &[u8], windows: bool) -> Option<String> {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for byte in bytes {
        let c = match byte {
            0x80..=0x9f if windows => {
                let code = WINDOWS_1252.get(usize::from(byte - 0x80)).copied().filter(|c| *c != 0)?;
                char::from_u32(u32::from(code))?
            }
            _ => char::from(*byte),
        };
        text.push(c);
    }
    Some(text)
}

/// A `<!DOCTYPE`, in any case, before the root element. Behind it the reader refuses one.
fn find_doctype(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
        let rest = bytes.get(at..)?;
        let (begin, end) = match rest {
            [b'<', b'!', b'-', b'-', ..] => (4, &b"-->"[..]),
            [b'<', b'?', ..] => (2, &b"?>"[..]),
            [b'<', b'!', ..] => return Some(at),
            _ => return None,
        };
        at += begin + find_mark(rest.get(begin..)?, end)? + end.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_refuses_what_is_not_utf8_xml_1_0() {
        let cases: [(&[u8], Option<&str>); 12] = [
            (b"<a/>", None),
            (b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><a/>", None),
            (b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>", None),
            (b"<a>\xe9</a>", Some("gate.encoding")),
            (b"\xff\xfe<\0a\0", Some("gate.encoding")),
            (b"<\0a\0/\0>\0", Some("gate.encoding")),
            (b"<?xml version=\"1.0\" encoding=\"utf-7\"?><a/>", Some("gate.encoding")),
            (b"<?xml version=\"1.1\"?><a/>", Some("gate.declaration")),
            (b"<?xml version=\"1.0 \"?><a/>", Some("gate.declaration")),
            (b"<?xml encoding=\"utf-8\"?><a/>", Some("gate.declaration")),
            (b"<!DOCTYPE a><a/>", Some("gate.dtd")),
            (b"<!-- <!DOCTYPE --> <?x?><!doctype x><a/>", Some("gate.dtd")),
        ];
        for (bytes, rule) in cases {
            let found = Document::read(bytes, &Limits::default()).err().map(|r| r.findings[0].rule);
            assert_eq!(found, rule, "{}", String::from_utf8_lossy(bytes));
        }
        assert!(Document::read(b"<!-- <!DOCTYPE --><a/>", &Limits::default()).is_ok());
    }
}

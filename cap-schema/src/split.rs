//! Alerts inside other documents: IPAWS `alerts`, Atom and RSS content, EDXL-DE, SOAP.
//!
//! Owns the cutting by byte range, so that each alert is read, verified and quarantined on its own: one broken alert
//! never drops the rest. Must not read what it cuts.

use std::ops::Range;

use crate::alert::Version;
use crate::document::Document;
use crate::finding::{Finding, Rejection};
use crate::limits::Limits;
use crate::xml::{Reader, Token};

/// An alert found in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes in the document.
    pub range: Range<usize>,
    /// Local name of the element around it; empty where the alert is the document.
    pub container: String,
}

/// Finds the alerts of a document. A document whose root is an alert is one, whole.
///
/// Where the container is broken, the alerts are cut at `<alert` and `</alert>` as they stand: what cannot be read then
/// is found out when each is read.
///
/// # Errors
/// The gate refuses the document, or there is no alert in it.
pub fn split(bytes: &[u8], limits: &Limits) -> Result<Vec<Found>, Rejection> {
    let whole = Limits { document_bytes: bytes.len().max(limits.document_bytes), ..limits.clone() };
    let strict = Document::read(bytes, &whole).and_then(|document| walk(&document, bytes, &whole));
    match strict {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            Err(Rejection { findings: vec![Finding::about_file("cap.none", "no alert in this document")] })
        }
        Err(rejection) => {
            // Only a container is cut by hand: a lone alert that is broken is refused as it is.
            let found = by_hand(bytes);
            if found.len() > 1 || found.iter().any(|f| !f.container.is_empty()) {
                Ok(found)
            } else {
                Err(rejection)
            }
        }
    }
}

fn walk(document: &Document<'_>, bytes: &[u8], limits: &Limits) -> Result<Vec<Found>, Rejection> {
    let text = document.text();
    // A transcoded document has other offsets; it is taken whole.
    let shift = bytes.len().checked_sub(text.len()).filter(|s| matches!(s, 0 | 3)).unwrap_or(usize::MAX);
    let mut reader = Reader::new(text, limits);
    let mut names: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    let mut inside: Option<(usize, usize)> = None;
    while let Some(token) = reader.next()? {
        match token {
            Token::Start(element) => {
                let is_alert =
                    element.local == "alert" && Version::of_namespace(&element.namespace).is_some();
                let lone_root = names.is_empty() && element.local == "alert";
                if lone_root {
                    return Ok(vec![Found { range: 0..bytes.len(), container: String::new() }]);
                }
                if is_alert && inside.is_none() && shift != usize::MAX {
                    inside = Some((names.len(), reader.offset()));
                }
                names.push(element.local);
            }
            Token::End => {
                names.pop();
                if let Some((depth, start)) = inside
                    && names.len() == depth
                {
                    let container = names.last().copied().unwrap_or("").to_owned();
                    found.push(Found { range: start + shift..reader.end_offset() + shift, container });
                    inside = None;
                }
            }
            Token::Text(_) | Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    Ok(found)
}

/// Cuts at the tags as they stand, with any prefix.
fn by_hand(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find_tag(bytes, at, b"<") {
        // A second start before the end means that the first alert never ended.
        let next = find_tag(bytes, start + 1, b"<").unwrap_or(bytes.len());
        let end = find_tag(bytes, start + 1, b"</").filter(|e| *e < next);
        let stop = match end {
            Some(close) => {
                bytes.iter().skip(close).position(|b| *b == b'>').map_or(bytes.len(), |n| close + n + 1)
            }
            None => next,
        };
        let lone = bytes.get(..start).is_some_and(|before| {
            !before.windows(2).any(|w| matches!(w, [b'<', c] if c.is_ascii_alphabetic()))
        });
        let container = if lone { String::new() } else { "broken".to_owned() };
        found.push(Found { range: start..stop, container });
        at = stop;
    }
    found
}

/// The next `<alert` or `</alert`, with or without prefix, followed by what may follow a name.
fn find_tag(bytes: &[u8], from: usize, open: &[u8]) -> Option<usize> {
    let mut at = from;
    while let Some(rest) = bytes.get(at..) {
        let step = rest.windows(open.len()).position(|w| w == open)?;
        let start = at + step;
        let name = bytes.get(start + open.len()..)?;
        let length = name
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-' | b'.'))
            .count();
        let local = name.get(..length)?.rsplit(|b| *b == b':').next()?;
        if local == b"alert" {
            return Some(start);
        }
        at = start + open.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>1</identifier></alert>";

    fn cut(document: &str) -> Vec<String> {
        let found = split(document.as_bytes(), &Limits::default()).unwrap();
        found.into_iter().map(|f| document[f.range].to_owned()).collect()
    }

    #[test]
    fn a_lone_alert_is_the_whole_document() {
        let document = format!("<?xml version=\"1.0\"?>\n{ONE}\n");
        assert_eq!(cut(&document), [document.clone()]);
    }

    #[test]
    fn alerts_are_cut_out_of_containers_byte_for_byte() {
        for (open, close) in [
            ("<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">", "</ns1:alerts>"),
            ("<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><content>", "</content></entry></feed>"),
        ] {
            assert_eq!(cut(&format!("{open}{ONE} {ONE}{close}")), [ONE, ONE], "{open}");
        }
    }

    #[test]
    fn one_broken_alert_does_not_drop_the_others() {
        let broken = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>&nope;</alert>";
        let document = format!("<a:alerts xmlns:a=\"x\">{ONE}{broken}{ONE}</a:alerts>");
        assert_eq!(cut(&document), [ONE, broken, ONE]);
    }

    #[test]
    fn an_alert_that_never_ends_does_not_swallow_the_next() {
        let cut_off = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>1";
        let document = format!("<a:alerts xmlns:a=\"x\">{cut_off}{ONE}</a:alerts>");
        assert_eq!(cut(&document), [cut_off, ONE]);
    }

    #[test]
    fn a_document_without_alert_is_refused() {
        for document in ["<feed xmlns=\"http://www.w3.org/2005/Atom\"/>", "", "<alert", "<alerts/>"] {
            assert!(split(document.as_bytes(), &Limits::default()).is_err(), "{document}");
        }
    }
}

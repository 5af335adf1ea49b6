//! Alerts inside other documents: IPAWS `alerts`, Atom and RSS content, EDXL-DE, SOAP.
//!
//! Owns the cutting by byte range, so that each alert is read, verified and quarantined on its own: one broken alert
//! never drops the rest. Must not read what it cuts.

use std::borrow::Cow;
use std::ops::Range;

use crate::alert::Version;
use crate::document::{Document, Encoding};
use crate::finding::Rejection;
use crate::limits::Limits;
use crate::xml::{Piece, Reader, self_contained};

/// An alert found in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes in the document.
    pub range: Range<usize>,
    /// Local name of the element around it; empty where the alert is the document.
    pub container: String,
    /// Prefixes and namespaces that are declared around it, outermost first.
    namespaces: Vec<(String, String)>,
    encoding: Encoding,
}

impl Found {
    fn whole(bytes: &[u8]) -> Self {
        Found {
            range: 0..bytes.len(),
            container: String::new(),
            namespaces: Vec::new(),
            encoding: Encoding::Utf8,
        }
    }

    /// Lets the alert's bytes through the gate as a document of its own, in the encoding of the document it was cut from,
    /// and with the prefixes that it takes from around it declared on it (then the text differs from the bytes by these
    /// declarations).
    ///
    /// # Errors
    /// The gate refuses it.
    pub fn read<'b>(&self, bytes: &'b [u8], limits: &Limits) -> Result<Document<'b>, Rejection> {
        let part = bytes.get(self.range.clone()).unwrap_or(bytes);
        if self.container.is_empty() {
            return Document::read(part, limits);
        }
        let outer: Vec<(&str, Cow<'_, str>)> =
            self.namespaces.iter().map(|(p, uri)| (p.as_str(), Cow::Borrowed(uri.as_str()))).collect();
        Document::read_as(part, limits, self.encoding, |text| self_contained(text, &outer))
    }
}

/// Containers whose alerts are looked for: IPAWS `alerts`, Atom, RSS, EDXL-DE 1.0 and 2.0, SOAP 1.1 and 1.2.
fn is_container(namespace: &str, local: &str) -> bool {
    match local {
        "alerts" => true,
        "feed" | "entry" => namespace == "http://www.w3.org/2005/Atom",
        "rss" => namespace.is_empty(),
        "RDF" => namespace == "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "EDXLDistribution" | "edxlDistribution" => {
            namespace.starts_with("urn:oasis:names:tc:emergency:EDXL:DE:")
        }
        "Envelope" => {
            namespace == "http://schemas.xmlsoap.org/soap/envelope/"
                || namespace == "http://www.w3.org/2003/05/soap-envelope"
        }
        _ => false,
    }
}

/// Finds the alerts of a document. A document whose root is no known container is one alert, whole: what it is is found
/// out when it is read.
///
/// Where the container is broken, the alerts are cut at `<alert` and `</alert>` as they stand: what cannot be read then
/// is found out when each is read.
///
/// # Errors
/// The gate refuses the document, or there is no alert in a container.
pub fn split(bytes: &[u8], limits: &Limits) -> Result<Vec<Found>, Rejection> {
    let whole = Limits { document_bytes: bytes.len().max(limits.document_bytes), ..limits.clone() };
    let strict = Document::read(bytes, &whole).and_then(|document| walk(&document, bytes, &whole));
    match strict {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            let message = "no alert in this document";
            Err(Rejection { findings: vec![crate::rules::finding("cap.container.empty", "", message)] })
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

/// An alert whose end is not read yet.
struct Begun {
    depth: usize,
    start: usize,
    namespaces: Vec<(String, String)>,
}

fn walk(document: &Document<'_>, bytes: &[u8], limits: &Limits) -> Result<Vec<Found>, Rejection> {
    let text = document.text();
    let mut reader = Reader::new(text, limits);
    let mut names: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    let mut inside: Option<Begun> = None;
    // Offsets are asked for in order, so each stretch of the text is measured once.
    let mut last = (0, document.byte_length(bytes, 0..0));
    let mut byte_at = |at: usize| {
        last = (at, last.1 + document.byte_length(bytes, last.0..at));
        last.1
    };
    loop {
        match reader.pull()? {
            Piece::Start => {
                let (prefix, local) = reader.name();
                let namespace = reader.namespace(prefix).map_or("", |uri| uri.as_ref());
                if names.is_empty() && !is_container(namespace, local) {
                    return Ok(vec![Found::whole(bytes)]);
                }
                if local == "alert" && Version::of_namespace(namespace).is_some() && inside.is_none() {
                    let outer = reader.outer_bindings().iter().map(|(p, u)| ((*p).to_owned(), u.to_string()));
                    inside = Some(Begun {
                        depth: names.len(),
                        start: byte_at(reader.offset()),
                        namespaces: outer.collect(),
                    });
                }
                names.push(local);
            }
            Piece::End => {
                names.pop();
                if let Some(Begun { depth, start, namespaces }) = inside.take_if(|b| names.len() == b.depth) {
                    let container = names.get(depth.saturating_sub(1)).copied().unwrap_or("").to_owned();
                    let range = start..byte_at(reader.end_offset());
                    found.push(Found { range, container, namespaces, encoding: document.encoding() });
                }
            }
            Piece::Over => return Ok(found),
            Piece::Text(_) | Piece::Comment(_) | Piece::Instruction(..) => {}
        }
    }
}

/// Cuts at the tags as they stand, with any prefix.
fn by_hand(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find_tag(bytes, at, b"<") {
        // A second start before the end means that the first alert never ended.
        let next = find_tag(bytes, start + 1, b"<").unwrap_or(bytes.len());
        let before_next = bytes.get(..next).unwrap_or(bytes);
        let end = find_tag(before_next, start + 1, b"</");
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
        found.push(Found { container, range: start..stop, ..Found::whole(bytes) });
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
        found.into_iter().map(|f| document.get(f.range).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_lone_alert_is_the_whole_document() {
        let document = format!("<?xml version=\"1.0\"?>\n{ONE}\n");
        assert_eq!(cut(&document), std::slice::from_ref(&document));
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
    fn an_alert_keeps_prefixes_and_encoding_of_its_container() {
        let limits = Limits::default();
        let mut document = b"<?xml version='1.0' encoding='ISO-8859-1'?><feed xmlns='http://www.w3.org/2005/Atom' xmlns:c='\
            urn:oasis:names:tc:emergency:cap:1.2'><title>\xe9\xe9</title><c:alert><c:identifier>\xe9</c:identifier></c:alert></feed>"
            .to_vec();
        document.retain(|b| *b != b'\n');
        let found = split(&document, &limits).unwrap();
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert!(
            document[one.range.clone()].starts_with(b"<c:alert>")
                && document[one.range.clone()].ends_with(b"</c:alert>")
        );
        let read = one.read(&document, &limits).unwrap();
        assert_eq!(read.parse().unwrap().alert.identifier, "\u{e9}");
    }

    #[test]
    fn a_root_that_is_no_container_is_taken_whole() {
        let document = format!("<feed>{ONE}{ONE}</feed>");
        assert_eq!(cut(&document), std::slice::from_ref(&document));
    }

    #[test]
    fn a_document_without_alert_is_refused() {
        for document in [
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"/>",
            "",
            "<alert",
            "<alerts/>",
            "<alerts><alert/></alerts>",
        ] {
            assert!(split(document.as_bytes(), &Limits::default()).is_err(), "{document}");
        }
    }
}

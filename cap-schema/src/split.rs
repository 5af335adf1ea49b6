//! Alerts inside other documents: IPAWS `alerts`, Atom and RSS content, EDXL-DE, SOAP.
//!
//! Owns the cutting by byte range, so that each alert is read, verified and quarantined on its own: one broken alert
//! never drops the rest. Must not read what it cuts.

mod by_hand;
mod embedded;
mod escaped;

use std::borrow::Cow;
use std::ops::Range;

use by_hand::{Cut, by_hand};
use embedded::{Embedded, File, Source};
use escaped::Escaped;

use crate::alert::Version;
use crate::document::{Document, Encoding};
use crate::finding::Rejection;
use crate::limits::Limits;
use crate::rules::finding;
use crate::xml::{Piece, Reader, self_contained};

/// An alert found in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes in the document; of alerts in base64, the element that holds the base64.
    pub range: Range<usize>,
    /// Local name of the element around it; empty where the alert is the document.
    pub container: String,
    source: Source,
    /// Prefixes and namespaces that are declared around it, outermost first.
    namespaces: Vec<(String, String)>,
    encoding: Encoding,
    /// Why the container could not be read, where it was cut by hand.
    broken: Option<String>,
}

impl Found {
    fn whole(bytes: &[u8]) -> Self {
        Found {
            broken: None,
            range: 0..bytes.len(),
            container: String::new(),
            source: Source::Here,
            namespaces: Vec::new(),
            encoding: Encoding::Utf8,
        }
    }

    /// The alert's own bytes: a piece of the document, or what its base64 says.
    pub fn bytes<'b>(&'b self, document: &'b [u8]) -> &'b [u8] {
        match &self.source {
            Source::Decoded(bytes) => bytes,
            Source::Inside(outer, inner) => inner.bytes(outer),
            Source::Here | Source::Unreadable(_) | Source::Escaped => {
                document.get(self.range.clone()).unwrap_or(document)
            }
        }
    }

    /// Whether it stands in the document as it is, so that its lines are lines of the document.
    pub fn stands_in_document(&self) -> bool {
        !self.container.is_empty() && matches!(self.source, Source::Here)
    }

    /// Lets the alert's bytes through the gate as a document of its own, in the encoding of the document it was cut from,
    /// and with the prefixes that it takes from around it declared on it (then the text differs from the bytes by these
    /// declarations). What was in base64 is a document with an encoding of its own.
    ///
    /// # Errors
    /// The gate refuses it, or its base64 is none.
    pub fn read<'b>(&'b self, document: &'b [u8], limits: &Limits) -> Result<Document<'b>, Rejection> {
        let document = self.read_part(document, limits)?;
        Ok(match &self.broken {
            Some(why) => document.with(finding("cap.container.broken", "", why)),
            None => document,
        })
    }

    fn read_part<'b>(&'b self, document: &'b [u8], limits: &Limits) -> Result<Document<'b>, Rejection> {
        let part = self.bytes(document);
        match &self.source {
            Source::Unreadable(why) => {
                let message = format!("the content of {} is not base64: {why}", self.container);
                return Err(Rejection { findings: vec![finding("cap.container.content", "", message)] });
            }
            Source::Escaped => {
                let message = format!("an alert stands as text in {}, not as XML", self.container);
                return Err(Rejection { findings: vec![finding("cap.container.escaped", "", message)] });
            }
            Source::Here if !self.container.is_empty() => {}
            Source::Here | Source::Decoded(_) => return Document::read(part, limits),
            Source::Inside(outer, inner) => return inner.read(outer, limits),
        }
        let outer: Vec<(&str, Cow<'_, str>)> =
            self.namespaces.iter().map(|(p, uri)| (p.as_str(), Cow::Borrowed(uri.as_str()))).collect();
        Document::read_as(part, limits, self.encoding, |text| self_contained(text, &outer))
    }
}

/// What the namespaces of EDXL-DE 1.0 and 2.0 begin with.
const EDXL: &str = "urn:oasis:names:tc:emergency:EDXL:DE:";

/// Containers whose alerts are looked for: IPAWS `alerts`, Atom, RSS, EDXL-DE 1.0 and 2.0, SOAP 1.1 and 1.2.
fn is_container(namespace: &str, local: &str) -> bool {
    match local {
        "alerts" => true,
        "feed" | "entry" => namespace == "http://www.w3.org/2005/Atom",
        "rss" => namespace.is_empty(),
        "RDF" => namespace == "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "EDXLDistribution" | "edxlDistribution" => namespace.starts_with(EDXL),
        "Envelope" => {
            namespace == "http://schemas.xmlsoap.org/soap/envelope/"
                || namespace == "http://www.w3.org/2003/05/soap-envelope"
        }
        _ => false,
    }
}

/// The same for a container that is broken, whose namespaces nobody can say.
fn may_be_container(local: &str) -> bool {
    matches!(
        local,
        "alerts" | "feed" | "entry" | "rss" | "RDF" | "EDXLDistribution" | "edxlDistribution" | "Envelope"
    )
}

/// Finds the alerts of a document. A document whose root is no known container is one alert, whole: what it is is found
/// out when it is read.
///
/// Where a container is broken, the alerts are cut at `<alert` and `</alert>` as they stand: what cannot be read then is
/// found out when each is read, and each has a finding that says that its container is broken. What the gate refuses
/// (DTD, encodings, versions of XML, size) is refused whole.
///
/// A file in base64 that is a container itself is looked into, and no further: a container inside that one is refused.
///
/// # Errors
/// The gate refuses the document, it is broken and no container, or there is no alert in a container.
pub fn split(bytes: &[u8], limits: &Limits) -> Result<Vec<Found>, Rejection> {
    split_within(bytes, limits, 1)
}

/// The same; files in base64 may be containers so many times inside each other.
fn split_within(bytes: &[u8], limits: &Limits, nested: usize) -> Result<Vec<Found>, Rejection> {
    // Each alert of a container is held to the limits of a document; the container itself to a larger size.
    let whole =
        Limits { document_bytes: limits.container_bytes, elements: limits.container_bytes, ..limits.clone() };
    let encoding = Document::encoding_of(bytes, &whole)?;
    let strict = Document::read(bytes, &whole)
        .and_then(|document| walk(&document, bytes, &whole, &Files { limits, nested }));
    let empty =
        |message: &str| Err(Rejection { findings: vec![finding("cap.container.empty", "", message)] });
    match strict {
        Ok(found) if found.len() > limits.alerts => too_many(limits),
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => empty("no alert in this document"),
        Err(rejection) => {
            if rejection.findings.iter().any(|f| f.rule == "gate.dtd") {
                return Err(rejection);
            }
            let why = rejection.findings.first().map_or_else(String::new, |f| match f.line {
                0 => f.message.clone(),
                line => format!("{} (line {line} of the container)", f.message),
            });
            let files = Files { limits, nested };
            let mut found = Vec::new();
            for cut in by_hand(bytes, limits.document_bytes, may_be_container) {
                match cut {
                    Cut::Alert(range) => found.push(Found {
                        range,
                        container: "broken".to_owned(),
                        encoding,
                        ..Found::whole(bytes)
                    }),
                    Cut::File(file) => files.add(file, "contentData", bytes, &mut found),
                }
            }
            if found.is_empty() {
                return Err(rejection);
            }
            if found.len() > limits.alerts {
                return too_many(limits);
            }
            for one in &mut found {
                one.broken = Some(format!("the container is broken: {why}"));
            }
            Ok(found)
        }
    }
}

/// What is done with files in base64.
struct Files<'l> {
    limits: &'l Limits,
    /// How many times they may be containers inside each other.
    nested: usize,
}

impl Files<'_> {
    /// Adds the alerts of a file.
    fn add(&self, file: File, around: &str, bytes: &[u8], found: &mut Vec<Found>) {
        let inner = |inner: &[u8]| match self.nested.checked_sub(1) {
            Some(nested) => split_within(inner, self.limits, nested)
                .map_err(|r| r.findings.iter().any(|f| f.rule == "cap.container.empty")),
            None => Err(false),
        };
        let alerts = file.alerts(around, inner).into_iter();
        found.extend(alerts.map(|(range, container, source)| Found {
            range,
            container,
            source,
            ..Found::whole(bytes)
        }));
    }
}

fn too_many<T>(limits: &Limits) -> Result<T, Rejection> {
    let message = format!("more than {} alerts in a container", limits.alerts);
    Err(Rejection { findings: vec![finding("limit.alerts", "", message)] })
}

/// An alert whose end is not read yet.
struct Begun {
    depth: usize,
    start: usize,
    namespaces: Vec<(String, String)>,
}

/// The alerts of a document that can be read.
fn walk(
    document: &Document<'_>,
    bytes: &[u8],
    limits: &Limits,
    files: &Files<'_>,
) -> Result<Vec<Found>, Rejection> {
    let text = document.text();
    let mut reader = Reader::new(text, limits);
    let mut names: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    let mut inside: Option<Begun> = None;
    let mut embedded = Embedded::default();
    let mut escaped = Escaped::default();
    // Fragments that EDXL-DE repeats beside the whole content, so that routers need not read it.
    let mut excerpt: Option<usize> = None;
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
                let outside = inside.is_none() && excerpt.is_none();
                if outside && local == "alert" && Version::of_namespace(namespace).is_some() {
                    // Elements are no base64, and no text.
                    embedded = Embedded::default();
                    escaped = Escaped::default();
                    let outer = reader.outer_bindings().iter().map(|(p, u)| ((*p).to_owned(), u.to_string()));
                    inside = Some(Begun {
                        depth: names.len(),
                        start: byte_at(reader.offset()),
                        namespaces: outer.collect(),
                    });
                } else if outside && namespace.starts_with(EDXL) {
                    if local == "keyXMLContent" {
                        excerpt = Some(names.len());
                    } else {
                        embedded.start(local, names.len(), || byte_at(reader.offset()));
                    }
                } else if outside && Escaped::may_begin(namespace, local) {
                    escaped = Escaped::begin(names.len(), byte_at(reader.offset()));
                }
                names.push(local);
            }
            Piece::End => {
                names.pop();
                excerpt.take_if(|depth| names.len() == *depth);
                let around = names.last().copied().unwrap_or("");
                if let Some(Begun { start, namespaces, .. }) = inside.take_if(|b| names.len() == b.depth) {
                    let range = start..byte_at(reader.end_offset());
                    let (container, encoding) = (around.to_owned(), document.encoding());
                    found.push(Found {
                        range,
                        container,
                        source: Source::Here,
                        namespaces,
                        encoding,
                        broken: None,
                    });
                } else if let Some(file) =
                    embedded.end(names.len(), files.limits.document_bytes, || byte_at(reader.end_offset()))
                {
                    files.add(file, around, bytes, &mut found);
                    if found.len() > files.limits.alerts {
                        return Ok(found);
                    }
                } else if let Some(start) = escaped.end(names.len()) {
                    let range = start..byte_at(reader.end_offset());
                    let (container, source) = (around.to_owned(), Source::Escaped);
                    found.push(Found { range, container, source, ..Found::whole(bytes) });
                }
            }
            Piece::Text(text) => {
                embedded.text(&text);
                escaped.text(&text);
            }
            Piece::Over => return Ok(found),
            Piece::Comment(_) | Piece::Instruction(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::parse::Parsed;

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

    /// A distribution with files and elements, of either version.
    fn distribution(version: &str, file: &str, files: &[(&str, &str)], xml: &str) -> String {
        let files: String = files
            .iter()
            .map(|(kind, data)| {
                format!(
                    "<contentObject><{file}><mimeType>{kind}</mimeType><contentData>{data}</contentData></{file}></contentObject>"
                )
            })
            .collect();
        format!(
            "<d:EDXLDistribution xmlns:d='urn:oasis:names:tc:emergency:EDXL:DE:{version}' xmlns='urn:oasis:names:tc:emergency:EDXL:DE:{version}'>\
             {files}<contentObject>{xml}</contentObject></d:EDXLDistribution>"
        )
    }

    #[test]
    fn files_in_base64_are_read_for_their_alerts() {
        let base64 = STANDARD.encode(ONE);
        let wrapped = base64.replace('P', "P\n ");
        let picture = STANDARD.encode("no alert");
        let other = STANDARD.encode("<kml/>");
        type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c str, usize);
        let readable: [Case<'_>; 6] = [
            ("1.0", "nonXMLContent", &[("application/cap+xml", &base64)], "", 1),
            ("2.0", "otherContent", &[("Application/CAP+xml; charset=utf-8", &wrapped)], "", 1),
            (
                "1.0",
                "nonXMLContent",
                &[("image/png", &picture), ("text/xml", &other), ("text/xml", &base64)],
                "",
                1,
            ),
            ("1.0", "nonXMLContent", &[("application/cap+xml", &base64)], ONE, 2),
            ("2.0", "otherContent", &[("image/png", &base64)], ONE, 1),
            // The excerpt for routers is not a second alert.
            (
                "1.0",
                "nonXMLContent",
                &[],
                &format!(
                    "<xmlContent><keyXMLContent>{ONE}</keyXMLContent><embeddedXMLContent>{ONE}</embeddedXMLContent></xmlContent>"
                ),
                1,
            ),
        ];
        for (version, file, files, xml, expected) in readable {
            let document = distribution(version, file, files, xml);
            let found = split(document.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(found.len(), expected, "{document}");
            for one in &found {
                assert_eq!(one.bytes(document.as_bytes()), ONE.as_bytes(), "{document}");
                let read = one.read(document.as_bytes(), &Limits::default()).unwrap();
                assert_eq!(read.parse().unwrap().alert.identifier, "1");
            }
        }
    }

    #[test]
    fn a_container_in_base64_is_looked_into_once() {
        let feed = format!(
            "<feed xmlns='http://www.w3.org/2005/Atom' xmlns:c='urn:oasis:names:tc:emergency:cap:1.2'><entry>\
             <content>{ONE}</content></entry><entry><content><c:alert><c:identifier>2</c:identifier></c:alert></content></entry></feed>"
        );
        let base64 = STANDARD.encode(&feed);
        let limits = Limits::default();
        for kind in ["application/atom+xml", "application/xml", "application/cap+xml", ""] {
            let document = distribution("1.0", "nonXMLContent", &[(kind, &base64)], ONE);
            let found = split(document.as_bytes(), &limits).unwrap();
            let [first, second, third] = found.as_slice() else { panic!("{kind}: {found:?}") };
            assert_eq!(
                (first.bytes(document.as_bytes()), first.container.as_str()),
                (ONE.as_bytes(), "content")
            );
            assert!(!second.stands_in_document() && third.stands_in_document(), "{kind}");
            let read = second.read(document.as_bytes(), &limits).unwrap();
            assert_eq!(read.parse().unwrap().alert.identifier, "2");
        }
        // No further, and not in silence.
        let twice = STANDARD.encode(distribution("1.0", "nonXMLContent", &[("text/xml", &base64)], ""));
        let document = distribution("1.0", "nonXMLContent", &[("text/xml", &twice)], "");
        let found = split(document.as_bytes(), &limits).unwrap();
        let [one] = found.as_slice() else { panic!("{found:?}") };
        let read = one.read(document.as_bytes(), &limits).unwrap();
        assert_eq!(read.parse().unwrap_err().findings[0].rule, "cap.root");
        // What holds no alert is one only if it was said to.
        let empty = STANDARD.encode("<feed xmlns='http://www.w3.org/2005/Atom'/>");
        for (kind, count) in [("application/atom+xml", 1), ("application/cap+xml", 2)] {
            let document = distribution("1.0", "nonXMLContent", &[(kind, &empty)], ONE);
            assert_eq!(split(document.as_bytes(), &limits).unwrap().len(), count, "{kind}");
        }
        let small = Limits { alerts: 2, ..Limits::default() };
        let document = distribution("1.0", "nonXMLContent", &[("text/xml", &base64)], ONE);
        let refusal = split(document.as_bytes(), &small).unwrap_err();
        assert_eq!(refusal.findings[0].rule, "limit.alerts");
    }

    #[test]
    fn a_broken_distribution_keeps_its_alerts_in_base64() {
        let base64 = STANDARD.encode(ONE);
        let feed = STANDARD.encode(format!("<alerts>{ONE}{ONE}</alerts>"));
        let limits = Limits::default();
        for (files, expected) in [
            (&[("application/cap+xml", base64.as_str())][..], 1),
            (&[("application/cap+xml", &base64.replace('P', "P\n ")), ("image/png", &base64)], 1),
            (&[("text/xml", &feed), ("application/cap+xml", &base64)], 3),
        ] {
            for (from, to) in [("</contentObject>", "&nope;</contentObject>"), ("</d:EDXLDistribution>", "")]
            {
                let document = distribution("1.0", "nonXMLContent", files, ONE).replacen(from, to, 1);
                let found = split(document.as_bytes(), &limits).unwrap();
                assert_eq!(found.len(), expected + 1, "{document}");
                for one in &found {
                    assert_eq!(one.bytes(document.as_bytes()), ONE.as_bytes());
                    let read = one.read(document.as_bytes(), &limits).unwrap();
                    assert_eq!(read.parse().unwrap().findings[0].rule, "cap.container.broken");
                }
            }
        }
        // An alert that never ends does not swallow the file behind it.
        let document = distribution("1.0", "nonXMLContent", &[("text/xml", &base64)], "");
        let document = document
            .replace("<contentObject><non", &format!("{}<contentObject><non", ONE.get(..60).unwrap()));
        let found = split(document.as_bytes(), &limits).unwrap();
        let reads: Vec<bool> =
            found.iter().map(|f| f.read(document.as_bytes(), &limits).unwrap().parse().is_ok()).collect();
        assert_eq!(reads, [false, true], "{document}");
        // What cannot be decoded is named.
        let document =
            distribution("1.0", "nonXMLContent", &[("text/xml", "PGF<!-- -->sZXJ0Lz4=")], "&nope;");
        let found = split(document.as_bytes(), &limits).unwrap();
        let refusal = found[0].read(document.as_bytes(), &limits).unwrap_err();
        assert_eq!(refusal.findings[0].rule, "cap.container.content");
    }

    #[test]
    fn an_alert_that_stands_where_base64_should_is_read_once() {
        let document = distribution("1.0", "nonXMLContent", &[("application/cap+xml", ONE)], "");
        assert_eq!(cut(&document), [ONE]);
    }

    #[test]
    fn files_that_say_that_they_are_alerts_and_cannot_be_read_are_refused_one_by_one() {
        let good = STANDARD.encode(ONE);
        let dtd = STANDARD.encode("<!DOCTYPE a><alert/>");
        let small = Limits { document_bytes: 200, ..Limits::default() };
        let long = STANDARD.encode("x".repeat(300));
        for (kind, data, rule) in [
            ("application/cap+xml", "no base64!", "cap.container.content"),
            ("text/xml", "====", "cap.container.content"),
            ("application/cap+xml", long.as_str(), "cap.container.content"),
            ("application/cap+xml", &STANDARD.encode("<letter/>"), "cap.root"),
            ("application/xml", &dtd, "gate.dtd"),
        ] {
            let document =
                distribution("1.0", "nonXMLContent", &[(kind, data), ("application/cap+xml", &good)], "");
            let found = split(document.as_bytes(), &small).unwrap();
            let [bad, sound] = found.as_slice() else { panic!("{found:?}") };
            let refusal =
                bad.read(document.as_bytes(), &small).and_then(|d| d.parse().map(Parsed::into_owned));
            assert_eq!(refusal.unwrap_err().findings[0].rule, rule, "{kind} {data}");
            assert!(sound.read(document.as_bytes(), &small).is_ok());
        }
    }

    #[test]
    fn what_the_gate_refuses_is_refused_in_a_container_too() {
        let dtd = "<!DOCTYPE alerts [<!ENTITY x 'y'>]>";
        for (before, rule) in [
            (dtd, "gate.dtd"),
            ("<?xml version='1.1'?>", "gate.declaration"),
            ("<?xml version='1.0' encoding='UTF-7'?>", "gate.encoding"),
            ("<?xml version='1.0' encoding='ISO-8859-2'?>", "gate.encoding"),
        ] {
            for broken in ["", "&nope;"] {
                let document = format!("{before}<alerts>{broken}{ONE}</alerts>");
                let refusal = split(document.as_bytes(), &Limits::default()).unwrap_err();
                assert_eq!(refusal.findings[0].rule, rule, "{document}");
            }
        }
        let small = Limits { container_bytes: 100, ..Limits::default() };
        let refusal = split(format!("<alerts>{ONE}</alerts>").as_bytes(), &small).unwrap_err();
        assert_eq!(refusal.findings[0].rule, "gate.size");
    }

    #[test]
    fn no_alert_comes_from_comments_sections_or_instructions_of_a_broken_container() {
        for (open, close) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?x ", "?>"), ("<!-- ", "")] {
            let document = format!("<alerts>&nope;{ONE}{open}{ONE}{close}</alerts>");
            assert_eq!(cut(&document), [ONE], "{document}");
        }
        // A lone alert that is broken is one alert, and is refused as it is.
        for document in [
            format!("<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'>\u{1}<!--{ONE}--></alert>"),
            format!("<letter>&nope;{ONE}</letter>"),
            format!("<alerts>&nope;<!DOCTYPE x>{ONE}</alerts>"),
        ] {
            for one in split(document.as_bytes(), &Limits::default()).unwrap_or_default() {
                let read = one.read(document.as_bytes(), &Limits::default()).unwrap();
                assert!(read.parse().is_err(), "{document}");
            }
        }
    }

    #[test]
    fn a_container_of_more_alerts_than_any_has_is_refused() {
        let small = Limits { alerts: 2, ..Limits::default() };
        for broken in ["", "&nope;"] {
            for (alerts, good) in [(2, true), (3, false)] {
                let document = format!("<alerts>{broken}{}</alerts>", ONE.repeat(alerts));
                assert_eq!(split(document.as_bytes(), &small).is_ok(), good, "{document}");
            }
        }
    }

    #[test]
    fn alerts_of_a_broken_container_say_so_and_keep_its_encoding() {
        let latin = ONE.replace("<identifier>1", "<identifier>\u{e9}");
        let document = format!("<?xml version='1.0' encoding='ISO-8859-1'?><alerts>&nope;{latin}</alerts>");
        let document: Vec<u8> = document.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let found = split(&document, &Limits::default()).unwrap();
        let read = found[0].read(&document, &Limits::default()).unwrap();
        assert_eq!(read.parse().unwrap().alert.identifier, "\u{e9}");
        let broken = format!("<alerts>&nope;{ONE}</alerts>");
        let found = split(broken.as_bytes(), &Limits::default()).unwrap();
        let parsed = found[0].read(broken.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(parsed.parse().unwrap().findings[0].rule, "cap.container.broken");
    }

    #[test]
    fn alerts_that_stand_as_text_are_refused_and_not_passed_over() {
        let escaped = ONE.replace('<', "&lt;");
        let section = format!("<![CDATA[ <?xml version='1.0'?>\n{ONE}]]>");
        let prefixed = ONE.replace("alert", "cap:alert").replace('<', "&lt;");
        for text in [&escaped, &section, &prefixed] {
            for (open, close) in [
                (
                    "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><content type=\"text\">",
                    "</content></entry></feed>",
                ),
                ("<rss><channel><item><description>", "</description></item></channel></rss>"),
            ] {
                let document = format!("{open}{text}{close}");
                let found = split(document.as_bytes(), &Limits::default()).unwrap();
                let [one] = found.as_slice() else { panic!("{document}") };
                let refusal = one.read(document.as_bytes(), &Limits::default()).unwrap_err();
                assert_eq!(refusal.findings[0].rule, "cap.container.escaped", "{document}");
            }
        }
        let talk = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><summary>&lt;b&gt;an &lt;alert&gt; ended</summary></feed>";
        assert!(split(talk.as_bytes(), &Limits::default()).is_err());
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

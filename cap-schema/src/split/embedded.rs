//! Files in base64 inside EDXL-DE: `contentData` beside a `mimeType` (DE 1.0 `nonXMLContent`, DE 2.0 `otherContent`).
//!
//! Owns which of them are read: those of a CAP media type, and those of an XML one or of none whose root is `alert` or a
//! container. Must not read more than that.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::Document;
use crate::limits::Limits;
use crate::xml::{Piece, Reader};

use super::{Found, is_container};

/// Where the bytes of an alert are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the document, as they are.
    Here,
    /// In the document, in base64.
    Decoded(Vec<u8>),
    /// In a container that stands in the document in base64.
    Inside(Arc<[u8]>, Box<Found>),
    /// In the document, and nobody can decode them.
    Unreadable(&'static str),
    /// In the document, as text that is no part of its XML.
    Escaped,
}

/// The file that is being read.
#[derive(Default)]
pub(super) struct Embedded {
    open: Option<(Part, usize)>,
    media_type: String,
    data: String,
    range: Option<Range<usize>>,
    /// How deep the children of the file's element stand.
    depth: usize,
}

#[derive(Clone, Copy)]
enum Part {
    MediaType,
    Data,
}

impl Embedded {
    /// An element of EDXL-DE begins.
    pub(super) fn start(&mut self, local: &str, depth: usize, offset: impl FnOnce() -> usize) {
        match local {
            "mimeType" => {
                self.open = Some((Part::MediaType, depth));
                self.media_type.clear();
            }
            "contentData" => {
                self.open = Some((Part::Data, depth));
                let at = offset();
                self.range = Some(at..at);
            }
            _ => return,
        }
        self.depth = depth;
    }

    pub(super) fn text(&mut self, text: &str) {
        match self.open {
            Some((Part::MediaType, _)) => self.media_type.push_str(text),
            Some((Part::Data, _)) => self.data.extend(text.split_ascii_whitespace()),
            None => {}
        }
    }

    /// An element ends at this depth: a file, if it is the end of one that may hold alerts.
    pub(super) fn end(
        &mut self,
        depth: usize,
        limit_bytes: usize,
        offset: impl FnOnce() -> usize,
    ) -> Option<File> {
        if let Some((part, _)) = self.open.take_if(|(_, at)| *at == depth) {
            if let (Part::Data, Some(range)) = (part, &mut self.range) {
                range.end = offset();
            }
            return None;
        }
        if self.range.is_some() && depth < self.depth {
            let file = std::mem::take(self);
            return File::new(file.range?, &file.media_type, &file.data, limit_bytes);
        }
        None
    }
}

/// What a file is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// An alert.
    Cap,
    /// XML of some kind.
    Xml,
    /// Nothing is said.
    Nothing,
}

/// A file that may hold alerts.
#[derive(Debug)]
pub(super) struct File {
    range: Range<usize>,
    claim: Claim,
    content: Result<Vec<u8>, &'static str>,
}

/// What the root of a file is.
enum Root {
    Alert,
    Container,
    Other,
    /// It cannot be read up to there.
    Unknown,
}

impl File {
    /// Decodes a file of a kind that may hold alerts. `data` is base64 without white space.
    pub(super) fn new(range: Range<usize>, media_type: &str, data: &str, limit_bytes: usize) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let claim = match essence.as_str() {
            "application/cap+xml" | "application/common-alerting-protocol+xml" => Claim::Cap,
            "application/xml"
            | "text/xml"
            | "application/atom+xml"
            | "application/rss+xml"
            | "application/soap+xml" => Claim::Xml,
            "" => Claim::Nothing,
            _ => return None,
        };
        // Each four characters are three bytes; nothing is decoded that no reader would take.
        let content = if data.len() / 4 * 3 > limit_bytes.saturating_add(2) {
            Err("longer than any document may be")
        } else {
            STANDARD.decode(data.as_bytes()).map_err(|_| "its characters or padding are wrong")
        };
        (claim != Claim::Nothing || content.is_ok()).then_some(File { range, claim, content })
    }

    /// A file that cannot be read for what stands in its element.
    pub(super) fn unreadable(range: Range<usize>, why: &'static str) -> Self {
        File { range, claim: Claim::Xml, content: Err(why) }
    }

    /// The alerts in it, each with the name of the element around it; `split` finds those of a container.
    pub(super) fn alerts(
        self,
        around: &str,
        split: impl FnOnce(&[u8]) -> Result<Vec<Found>, bool>,
    ) -> Vec<(Range<usize>, String, Source)> {
        let one = |source| vec![(self.range.clone(), around.to_owned(), source)];
        let bytes = match self.content {
            Ok(bytes) => bytes,
            Err(why) => return one(Source::Unreadable(why)),
        };
        match (root(&bytes), self.claim) {
            (Root::Alert, _) | (Root::Unknown, Claim::Cap | Claim::Xml) | (Root::Other, Claim::Cap) => {
                one(Source::Decoded(bytes))
            }
            (Root::Other, Claim::Xml | Claim::Nothing) | (Root::Unknown, Claim::Nothing) => Vec::new(),
            (Root::Container, claim) => match split(&bytes) {
                Ok(found) => {
                    let outer: Arc<[u8]> = bytes.into();
                    let inside = |f: Found| {
                        (self.range.clone(), f.container.clone(), Source::Inside(outer.clone(), Box::new(f)))
                    };
                    found.into_iter().map(inside).collect()
                }
                // There is none in it, and nobody said so.
                Err(true) if claim != Claim::Cap => Vec::new(),
                // Refused when it is read, so that it is not passed over in silence.
                Err(_) => one(Source::Decoded(bytes)),
            },
        }
    }
}

fn root(bytes: &[u8]) -> Root {
    let limits = Limits::default();
    let Ok(document) = Document::read(bytes, &limits) else { return Root::Unknown };
    let mut reader = Reader::new(document.text(), &limits);
    loop {
        match reader.pull() {
            Ok(Piece::Start) => {
                let (prefix, local) = reader.name();
                let namespace = reader.namespace(prefix).map_or("", |uri| uri.as_ref());
                return match local {
                    "alert" => Root::Alert,
                    _ if is_container(namespace, local) => Root::Container,
                    _ => Root::Other,
                };
            }
            Ok(Piece::Text(_) | Piece::Comment(_) | Piece::Instruction(..)) => {}
            Ok(Piece::End | Piece::Over) | Err(_) => return Root::Unknown,
        }
    }
}

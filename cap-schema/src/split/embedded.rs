//! Files in base64 inside EDXL-DE: `contentData` beside a `mimeType` (DE 1.0 `nonXMLContent`, DE 2.0 `otherContent`).
//!
//! Owns which of them are alerts: those of a CAP media type, and those of an XML one whose root is `alert`. Must not read
//! more than that.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::Document;
use crate::limits::Limits;
use crate::xml::{Piece, Reader};

/// Where the bytes of an alert are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the document, as they are.
    Here,
    /// In the document, in base64.
    Decoded(Vec<u8>),
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

    /// An element ends at this depth: an alert, if it is the end of a file that is one.
    pub(super) fn end(
        &mut self,
        depth: usize,
        limit_bytes: usize,
        offset: impl FnOnce() -> usize,
    ) -> Option<(Range<usize>, Source)> {
        if let Some((part, _)) = self.open.take_if(|(_, at)| *at == depth) {
            if let (Part::Data, Some(range)) = (part, &mut self.range) {
                range.end = offset();
            }
            return None;
        }
        if self.range.is_some() && depth < self.depth {
            let file = std::mem::take(self);
            return file.alert(limit_bytes);
        }
        None
    }

    fn alert(self, limit_bytes: usize) -> Option<(Range<usize>, Source)> {
        let range = self.range?;
        let essence = self.media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let claimed =
            matches!(essence.as_str(), "application/cap+xml" | "application/common-alerting-protocol+xml");
        if !claimed && !matches!(essence.as_str(), "application/xml" | "text/xml") {
            return None;
        }
        // Each four characters are three bytes; nothing is decoded that no reader would take.
        if self.data.len() / 4 * 3 > limit_bytes.saturating_add(2) {
            return Some((range, Source::Unreadable("longer than any document may be")));
        }
        match STANDARD.decode(self.data.as_bytes()) {
            Ok(bytes) if claimed || may_be_alert(&bytes) => Some((range, Source::Decoded(bytes))),
            Ok(_) => None,
            Err(_) => Some((range, Source::Unreadable("its characters or padding are wrong"))),
        }
    }
}

/// Whether the root is `alert`. What cannot be read up to there is not passed over either: it is refused when it is read.
fn may_be_alert(bytes: &[u8]) -> bool {
    let limits = Limits::default();
    let Ok(document) = Document::read(bytes, &limits) else { return true };
    let mut reader = Reader::new(document.text(), &limits);
    loop {
        match reader.pull() {
            Ok(Piece::Start) => return reader.name().1 == "alert",
            Ok(Piece::Text(_) | Piece::Comment(_) | Piece::Instruction(..)) => {}
            Ok(Piece::End | Piece::Over) | Err(_) => return true,
        }
    }
}

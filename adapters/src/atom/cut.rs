//! Cuts a feed into entries by byte range, without trusting what is inside an entry.
//!
//! A strict reader stops at the first broken entry and loses all that follow it. So a feed that the strict reader does
//! not like is cut at its tags as they stand, whatever is wrong between them. Each entry is handed on inside the start
//! tag of its feed, because that is where its prefixes are declared.

use std::ops::Range;

use cap_schema::xml::{Reader, Token};
use cap_schema::{Document, Limits};

use super::FeedError;

/// A feed, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Each entry as a document of its own: the feed's start tag, the entry's bytes unchanged, the feed's end tag. For a
    /// document that is one entry: that document.
    pub entries: Vec<Vec<u8>>,
    /// The feed was complete. Otherwise it broke off, and there may be more entries than these.
    pub complete: bool,
}

/// Cuts a feed or a single entry.
///
/// # Errors
/// `NotAtom` if there is no feed or entry to cut, `Doctype` if there is a document type declaration.
pub fn cut(bytes: &[u8]) -> Result<Cut, FeedError> {
    let mut tags = Tags::of(bytes);
    if let Some(Tag { name, kind: Kind::Start, .. }) = tags.next()
        && local(name) == b"entry"
    {
        return Ok(Cut { entries: vec![bytes.to_vec()], complete: true });
    }
    let parts = parts(bytes, "feed", "entry")?;
    let head = slice(bytes, parts.head);
    let tail = [b"</", parts.name, b">"].concat();
    let entries = parts.found.into_iter().map(|range| [head, slice(bytes, range), &tail].concat()).collect();
    Ok(Cut { entries, complete: parts.complete })
}

/// What is inside a wrapper, by byte range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'b> {
    head: Range<usize>,
    name: &'b [u8],
    /// Each part.
    pub(crate) found: Vec<Range<usize>>,
    /// The wrapper was complete.
    pub(crate) complete: bool,
}

/// Finds every `part` that is a child of a `wrapper`, by local names.
///
/// # Errors
/// `NotAtom` if the root is no such wrapper, `Doctype` if there is a document type declaration.
pub(crate) fn parts<'b>(bytes: &'b [u8], wrapper: &str, part: &str) -> Result<Parts<'b>, FeedError> {
    let mut tags = Tags::of(bytes);
    let root = tags.next();
    if tags.doctype {
        return Err(FeedError::Doctype);
    }
    let root = root.filter(|root| local(root.name) == wrapper.as_bytes()).ok_or(FeedError::NotAtom)?;
    let mut parts = Parts { head: root.range, name: root.name, found: Vec::new(), complete: true };
    match (root.kind, strict(bytes, part)) {
        (Kind::End, _) => return Err(FeedError::NotAtom),
        (Kind::Empty, _) => {}
        (Kind::Start, Some(found)) => parts.found = found,
        (Kind::Start, None) => by_hand(&mut tags, part.as_bytes(), &mut parts),
    }
    if tags.doctype { Err(FeedError::Doctype) } else { Ok(parts) }
}

/// The parts of a document that is whole. `None` if it is not, or if its bytes are not the text that would be read.
fn strict(bytes: &[u8], part: &str) -> Option<Vec<Range<usize>>> {
    let limits = Limits { document_bytes: bytes.len(), elements: bytes.len(), ..Limits::default() };
    let document = Document::read(bytes, &limits).ok()?;
    let shift = bytes
        .len()
        .checked_sub(document.text().len())
        .filter(|shift| bytes.get(*shift..) == Some(document.text().as_bytes()))?;
    let mut reader = Reader::new(document.text(), &limits);
    let (mut found, mut start) = (Vec::new(), None);
    while let Some(token) = reader.next().ok()? {
        match (token, reader.depth(), start) {
            (Token::Start(element), 2, None) if element.local == part => {
                start = Some(reader.offset() + shift)
            }
            (Token::End, 1, Some(from)) => {
                found.push(from..reader.end_offset() + shift);
                start = None;
            }
            (_, _, _) => {}
        }
    }
    Some(found)
}

/// The parts of a document that is broken somewhere, at their tags as they stand. A part inside a part is taken for the
/// one after it: an end tag that is missing must not swallow what follows.
fn by_hand(tags: &mut Tags<'_>, part: &[u8], parts: &mut Parts<'_>) {
    parts.complete = false;
    let mut open: Option<(usize, &[u8])> = None;
    while let Some(tag) = tags.next() {
        let ends_wrapper = tag.kind == Kind::End && tag.name == parts.name;
        match (open, tag.kind) {
            (_, Kind::Start | Kind::Empty) if local(tag.name) == part => {
                parts.found.extend(open.map(|(start, _)| start..tag.range.start));
                open = (tag.kind == Kind::Start).then_some((tag.range.start, tag.name));
                if tag.kind == Kind::Empty {
                    parts.found.push(tag.range);
                }
            }
            (Some((start, name)), Kind::End) if tag.name == name => {
                parts.found.push(start..tag.range.end);
                open = None;
            }
            (_, _) if ends_wrapper => {
                parts.found.extend(open.map(|(start, _)| start..tag.range.start));
                parts.complete = true;
                return;
            }
            (Some(_) | None, _) => {}
        }
    }
}

fn slice(bytes: &[u8], range: Range<usize>) -> &[u8] {
    bytes.get(range).unwrap_or_default()
}

fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|b| *b == b':').next().unwrap_or(name)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start,
    End,
    Empty,
}

struct Tag<'b> {
    name: &'b [u8],
    kind: Kind,
    range: Range<usize>,
}

/// The tags of a document, comments and sections skipped. What begins like one of them and does not end is taken for
/// text, so that it cannot hide what follows.
struct Tags<'b> {
    bytes: &'b [u8],
    at: usize,
    doctype: bool,
}

impl<'b> Tags<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        Tags { bytes, at: 0, doctype: false }
    }

    fn next(&mut self) -> Option<Tag<'b>> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let start = self.at + rest.iter().position(|b| *b == b'<')?;
            let rest = self.bytes.get(start..)?;
            self.at = start + 1;
            let section = SECTIONS.iter().find(|(open, _)| rest.starts_with(open));
            if let Some((open, close)) = section {
                let inside = rest.get(open.len()..)?;
                if let Some(length) = inside.windows(close.len()).position(|w| w == *close) {
                    self.at = start + open.len() + length + close.len();
                }
                continue;
            }
            if rest.get(..9).is_some_and(|word| word.eq_ignore_ascii_case(b"<!doctype")) {
                self.doctype = true;
                return None;
            }
            let Some(length) = tag_length(rest) else { continue };
            self.at = start + length;
            let inside = rest.get(1..length - 1)?;
            let (kind, inside) = match (inside.strip_prefix(b"/"), inside.strip_suffix(b"/")) {
                (Some(end), _) => (Kind::End, end),
                (None, Some(empty)) => (Kind::Empty, empty),
                (None, None) => (Kind::Start, inside),
            };
            let name = inside.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
            return Some(Tag { name, kind, range: start..self.at });
        }
    }
}

/// What is no tag: how it begins and how it ends.
const SECTIONS: [(&[u8], &[u8]); 3] = [(b"<!--", b"-->"), (b"<![CDATA[", b"]]>"), (b"<?", b"?>")];

/// The length of a tag with its brackets. A closing bracket inside a quoted value does not end it; an opening one is
/// allowed nowhere in a tag, so there is none.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let mut quote: Option<u8> = None;
    for (n, byte) in bytes.iter().enumerate().skip(1) {
        match (quote, *byte) {
            (_, b'<') => return None,
            (None, b'>') => return Some(n + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if byte == open => quote = None,
            (None | Some(_), _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cut: &Cut) -> Vec<&str> {
        cut.entries.iter().map(|e| std::str::from_utf8(e).unwrap()).collect()
    }

    // one broken entry never drops the batch.
    #[test]
    fn a_9_a_broken_entry_does_not_take_its_neighbours_with_it() {
        let feed = "<?xml version='1.0'?><!-- <entry> --><f:feed xmlns:f='u' a='>'><id/>\
                    <f:entry><x>&bad;<y></f:entry><f:entry><![CDATA[</f:entry>]]></f:entry>\
                    <f:entry><z:w/></f:entry></f:feed>";
        let cut = cut(feed.as_bytes()).unwrap();
        assert!(cut.complete);
        assert_eq!(
            texts(&cut),
            [
                "<f:feed xmlns:f='u' a='>'><f:entry><x>&bad;<y></f:entry></f:feed>",
                "<f:feed xmlns:f='u' a='>'><f:entry><![CDATA[</f:entry>]]></f:entry></f:feed>",
                "<f:feed xmlns:f='u' a='>'><f:entry><z:w/></f:entry></f:feed>",
            ]
        );
    }

    #[test]
    fn a_feed_that_breaks_off_is_not_complete() {
        let cases = [
            ("<feed><entry>1</entry><entry>2", 1, false),
            ("<feed><entry>1</entry>", 1, false),
            ("<feed><entry>1<entry>2</entry></entry></feed>", 1, true),
            ("<feed><entry>1<entry>2</entry><entry>3</entry></feed>", 3, true),
            ("<feed><entry>1</feed>", 1, true),
            ("<feed><a><entry>1</entry></a><entry>2</entry></feed>", 1, true),
            ("<feed><entry/><entry>&x;</entry></feed>", 2, true),
            ("<feed><entry><a b=\"c</entry><entry>2</entry></feed>", 2, true),
            ("<feed><entry><!-- </entry><entry>2</entry></feed>", 2, true),
            ("<feed><entry><![CDATA[ </entry><entry>2</entry></feed>", 2, true),
            ("<feed/>", 0, true),
            ("<feed></feed>", 0, true),
            ("<entry>1</entry>", 1, true),
        ];
        for (feed, entries, complete) in cases {
            let cut = cut(feed.as_bytes()).unwrap();
            assert_eq!((cut.entries.len(), cut.complete), (entries, complete), "{feed}");
        }
    }

    #[test]
    fn what_is_no_feed_is_refused() {
        for (bytes, expected) in [
            ("", FeedError::NotAtom),
            ("no tags", FeedError::NotAtom),
            ("<html></html>", FeedError::NotAtom),
            ("<!DOCTYPE feed><feed/>", FeedError::Doctype),
            ("<feed><entry/><!DOCTYPE x></feed>", FeedError::Doctype),
            ("<", FeedError::NotAtom),
        ] {
            assert_eq!(cut(bytes.as_bytes()), Err(expected), "{bytes}");
        }
    }
}

//! Cuts a feed into entries by byte range, without trusting what is inside an entry.
//!
//! A strict reader stops at the first broken entry and loses all that follow it. This one only looks at tags: inside an
//! entry it waits for the end tag of the same name, whatever else is wrong there. Each entry is handed on inside the
//! start tag of its feed, because that is where its prefixes are declared.

use std::ops::Range;

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
    let mut tags = Tags { bytes, at: 0, doctype: false };
    if let Some(Tag { name, kind: Kind::Start, .. }) = tags.next()
        && local(name) == b"entry"
    {
        return Ok(Cut { entries: vec![bytes.to_vec()], complete: true });
    }
    let parts = parts(bytes, b"feed", b"entry")?;
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

/// Finds every `part` directly or deeper inside a `wrapper`, by local names.
///
/// # Errors
/// `NotAtom` if the root is no such wrapper, `Doctype` if there is a document type declaration.
pub(crate) fn parts<'b>(bytes: &'b [u8], wrapper: &[u8], part: &[u8]) -> Result<Parts<'b>, FeedError> {
    let mut tags = Tags { bytes, at: 0, doctype: false };
    let root = tags.next();
    if tags.doctype {
        return Err(FeedError::Doctype);
    }
    let root = root.filter(|root| local(root.name) == wrapper).ok_or(FeedError::NotAtom)?;
    let mut parts = Parts { head: root.range, name: root.name, found: Vec::new(), complete: false };
    match root.kind {
        Kind::Start => {}
        Kind::Empty => return Ok(Parts { complete: true, ..parts }),
        Kind::End => return Err(FeedError::NotAtom),
    }
    let mut open: Option<(usize, &[u8], usize)> = None;
    while let Some(tag) = tags.next() {
        open = match (open, tag.kind) {
            (None, Kind::Start) if local(tag.name) == part => Some((tag.range.start, tag.name, 1)),
            (None, Kind::Empty) if local(tag.name) == part => {
                parts.found.push(tag.range);
                None
            }
            (None, Kind::End) if tag.name == root.name => {
                parts.complete = true;
                break;
            }
            (Some((start, name, depth)), Kind::Start) if tag.name == name => Some((start, name, depth + 1)),
            (Some((start, name, 1)), Kind::End) if tag.name == name => {
                parts.found.push(start..tag.range.end);
                None
            }
            (Some((start, name, depth)), Kind::End) if tag.name == name => Some((start, name, depth - 1)),
            // The wrapper ends inside a part that never did: hand over what there is of it.
            (Some((start, _, _)), Kind::End) if tag.name == root.name => {
                parts.found.push(start..tag.range.start);
                parts.complete = true;
                break;
            }
            (other, _) => other,
        };
    }
    if tags.doctype { Err(FeedError::Doctype) } else { Ok(parts) }
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

/// The tags of a document, comments and sections skipped.
struct Tags<'b> {
    bytes: &'b [u8],
    at: usize,
    doctype: bool,
}

impl<'b> Tags<'b> {
    fn next(&mut self) -> Option<Tag<'b>> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let start = self.at + rest.iter().position(|b| *b == b'<')?;
            let rest = self.bytes.get(start..)?;
            let skipped: Option<&[u8]> = if rest.starts_with(b"<!--") {
                Some(b"-->")
            } else if rest.starts_with(b"<![CDATA[") {
                Some(b"]]>")
            } else if rest.starts_with(b"<?") {
                Some(b"?>")
            } else {
                None
            };
            if let Some(end) = skipped {
                self.at = start + 2 + rest.get(2..)?.windows(end.len()).position(|w| w == end)? + end.len();
                continue;
            }
            if rest.starts_with(b"<!") {
                self.doctype = true;
                return None;
            }
            let length = tag_length(rest)?;
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

/// The length of a tag with its brackets; a bracket inside a quoted value does not end it.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let mut quote: Option<u8> = None;
    for (n, byte) in bytes.iter().enumerate() {
        match (quote, *byte) {
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
            ("<feed><entry>1</feed>", 1, true),
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

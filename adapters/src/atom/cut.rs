//! Cuts a feed into entries by byte range, without trusting what is inside an entry.
//!
//! A strict reader stops at the first broken entry and loses all that follow it. So a feed that the strict reader does
//! not like is cut at its tags as they stand, whatever is wrong between them. Each entry is handed on inside the start
//! tag of its feed, because that is where its prefixes are declared. What is no entry and not the feed's own is a stray:
//! it may hold an alert, so nothing of it is passed over.

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
    /// What stands in the feed and is neither an entry nor one of a feed's own elements, as it stands.
    pub strays: Vec<Vec<u8>>,
    /// The feed was complete. Otherwise it broke off, and there may be more entries than these.
    pub complete: bool,
}

/// An Atom feed (RFC 4287 4.1.1), with the counts that search results carry (OpenSearch 1.1).
const FEED: Wrapper = Wrapper {
    name: "feed",
    part: "entry",
    own: &[
        "author",
        "category",
        "contributor",
        "generator",
        "icon",
        "id",
        "link",
        "logo",
        "rights",
        "subtitle",
        "title",
        "updated",
        "totalResults",
        "startIndex",
        "itemsPerPage",
    ],
};

/// Cuts a feed or a single entry.
///
/// # Errors
/// `NotAtom` if there is no feed or entry to cut, `Doctype` if there is a document type declaration.
pub fn cut(bytes: &[u8]) -> Result<Cut, FeedError> {
    let mut tags = Tags::of(bytes);
    if let Some(Tag { name, kind: Kind::Start, .. }) = tags.next()
        && local(name) == b"entry"
    {
        return Ok(Cut { entries: vec![bytes.to_vec()], strays: Vec::new(), complete: true });
    }
    let parts = parts(bytes, &FEED)?;
    let head = slice(bytes, parts.head);
    let tail = [b"</", parts.name, b">"].concat();
    let entries = parts.found.into_iter().map(|range| [head, slice(bytes, range), &tail].concat()).collect();
    let strays = parts.strays.into_iter().map(|range| slice(bytes, range).to_vec()).collect();
    Ok(Cut { entries, strays, complete: parts.complete })
}

/// A kind of document that holds parts. Names are local ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapper {
    /// Its own name.
    pub(crate) name: &'static str,
    /// The name of a part.
    pub(crate) part: &'static str,
    /// What else stands in it by its rules.
    pub(crate) own: &'static [&'static str],
}

impl Wrapper {
    fn is_part(&self, name: &[u8]) -> bool {
        local(name) == self.part.as_bytes()
    }

    /// Whether a child is one of the wrapper's own elements, with nothing in it that people would act on.
    fn is_own(&self, child: &[u8]) -> bool {
        let mut tags = Tags::of(child);
        let own = |tag: Tag<'_>| self.own.iter().any(|own| own.as_bytes() == local(tag.name));
        tags.next().is_some_and(own)
            && !std::iter::from_fn(|| tags.next()).any(|tag| matches!(local(tag.name), b"alert" | b"entry"))
    }
}

/// What is inside a wrapper, by byte range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'b> {
    head: Range<usize>,
    name: &'b [u8],
    /// Each part.
    pub(crate) found: Vec<Range<usize>>,
    /// What is neither a part nor the wrapper's own: other elements, and text where none belongs.
    pub(crate) strays: Vec<Range<usize>>,
    /// The wrapper was complete.
    pub(crate) complete: bool,
}

/// The children of a wrapper, and its end tag where it has one.
#[derive(Default)]
struct Inside {
    children: Vec<Range<usize>>,
    end: Option<Range<usize>>,
}

/// Finds every part that is a child of a wrapper, and what else is there.
///
/// # Errors
/// `NotAtom` if the root is no such wrapper, `Doctype` if there is a document type declaration.
pub(crate) fn parts<'b>(bytes: &'b [u8], wrapper: &Wrapper) -> Result<Parts<'b>, FeedError> {
    let mut tags = Tags::of(bytes);
    let root = tags.next();
    if tags.doctype {
        return Err(FeedError::Doctype);
    }
    let root = root.filter(|root| local(root.name) == wrapper.name.as_bytes()).ok_or(FeedError::NotAtom)?;
    let head = root.range;
    let Inside { children, end } = match root.kind {
        Kind::End => return Err(FeedError::NotAtom),
        Kind::Empty => Inside { children: Vec::new(), end: Some(head.end..head.end) },
        Kind::Start => strict(bytes).unwrap_or_else(|| by_hand(&mut tags, root.name, wrapper)),
    };
    if tags.doctype {
        return Err(FeedError::Doctype);
    }
    let (mut found, mut strays) = (Vec::new(), Vec::new());
    let between = |from: usize, to: usize| something(bytes, from..to);
    strays.extend(between(0, head.start));
    let mut at = head.end;
    for child in children {
        strays.extend(between(at, child.start));
        at = child.end;
        let text = slice(bytes, child.clone());
        match Tags::of(text).next() {
            Some(tag) if wrapper.is_part(tag.name) => found.push(child),
            Some(_) if wrapper.is_own(text) => {}
            Some(_) | None => strays.push(child),
        }
    }
    let complete = end.is_some();
    // Of one that broke off the rest is asked for again.
    if let Some(end) = end {
        strays.extend(between(at, end.start));
        strays.extend(between(end.end, bytes.len()));
    }
    Ok(Parts { head, name: root.name, found, strays, complete })
}

/// What stands between elements other than white space, comments and instructions.
fn something(bytes: &[u8], gap: Range<usize>) -> Option<Range<usize>> {
    let mut at = gap.start;
    loop {
        let rest = slice(bytes, at..gap.end);
        let blank = rest.len() - rest.trim_ascii_start().len();
        let section = |open: &[u8], close: &[u8]| {
            let inside = rest.strip_prefix(open)?;
            Some(open.len() + inside.windows(close.len()).position(|w| w == close)? + close.len())
        };
        let mark = rest.starts_with(BYTE_ORDER_MARK).then_some(BYTE_ORDER_MARK.len());
        let skipped = section(b"<!--", b"-->").or_else(|| section(b"<?", b"?>")).or(mark);
        match (skipped, blank) {
            (Some(length), _) => at += length,
            (None, 1..) => at += blank,
            (None, 0) => break,
        }
    }
    let length = slice(bytes, at..gap.end).trim_ascii_end().len();
    (length > 0).then_some(at..at + length)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The inside of a document that is whole. `None` if it is not, or if its bytes are not the text that would be read.
fn strict(bytes: &[u8]) -> Option<Inside> {
    let limits = Limits { document_bytes: bytes.len(), elements: bytes.len(), ..Limits::default() };
    let document = Document::read(bytes, &limits).ok()?;
    let shift = bytes
        .len()
        .checked_sub(document.text().len())
        .filter(|shift| bytes.get(*shift..) == Some(document.text().as_bytes()))?;
    let mut reader = Reader::new(document.text(), &limits);
    let (mut inside, mut start) = (Inside::default(), 0);
    while let Some(token) = reader.next().ok()? {
        match (token, reader.depth()) {
            (Token::Start(_), 2) => start = reader.offset() + shift,
            (Token::End, 1) => inside.children.push(start..reader.end_offset() + shift),
            (Token::End, 0) => inside.end = Some(reader.offset() + shift..reader.end_offset() + shift),
            (_, _) => {}
        }
    }
    Some(inside)
}

/// The inside of a document that is broken somewhere, at its tags as they stand. A part inside anything is taken for the
/// one after it: an end tag that is missing must not swallow what follows.
fn by_hand(tags: &mut Tags<'_>, root: &[u8], wrapper: &Wrapper) -> Inside {
    let mut inside = Inside::default();
    let mut open: Option<(usize, &[u8])> = None;
    while let Some(tag) = tags.next() {
        let ends_root = tag.kind == Kind::End && tag.name == root;
        match (open, tag.kind) {
            (_, kind @ (Kind::Start | Kind::Empty)) if open.is_none() || wrapper.is_part(tag.name) => {
                inside.children.extend(open.map(|(start, _)| start..tag.range.start));
                open = (kind == Kind::Start).then_some((tag.range.start, tag.name));
                if kind == Kind::Empty {
                    inside.children.push(tag.range);
                }
            }
            (Some((start, name)), Kind::End) if tag.name == name => {
                inside.children.push(start..tag.range.end);
                open = None;
            }
            (_, _) if ends_root => {
                inside.children.extend(open.map(|(start, _)| start..tag.range.start));
                inside.end = Some(tag.range);
                break;
            }
            (Some(_) | None, _) => {}
        }
    }
    inside
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

    // what is no entry may hold one.
    #[test]
    fn a_9_what_is_neither_an_entry_nor_the_feeds_own_is_a_stray() {
        let own = "<id>1</id><title type='xhtml'><div>t</div></title><updated/><author><name>n</name></author>\
                   <link href='x'/><generator>g</generator><o:totalResults>1</o:totalResults>";
        let cases: [(&str, usize, &[&str]); 14] = [
            ("<entry>1</entry>", 1, &[]),
            ("<entry>1<alert/></entry> <!-- <alert/> --> <?alert x?>", 1, &[]),
            ("<batch><entry>1</entry></batch><entry>2</entry>", 1, &["<batch><entry>1</entry></batch>"]),
            ("<x:item><alert/></x:item>", 0, &["<x:item><alert/></x:item>"]),
            ("<other/><other/>", 0, &["<other/>", "<other/>"]),
            ("<title><alert/></title>", 0, &["<title><alert/></title>"]),
            (" an alert <entry/> &lt;alert> ", 1, &["an alert", "&lt;alert>"]),
            ("<![CDATA[<alert/>]]>", 0, &["<![CDATA[<alert/>]]>"]),
            // From here on broken.
            ("<entry>&x;</entry>", 1, &[]),
            ("<batch><alert>&x;</alert></batch><entry>2</entry>", 1, &["<batch><alert>&x;</alert></batch>"]),
            ("<batch><entry>&x;</entry></batch>", 1, &["<batch>", "</batch>"]),
            ("<entry>&x;</entry></entry>", 1, &["</entry>"]),
            ("<batch>&x;<alert/>", 0, &["<batch>&x;<alert/>"]),
            ("<entry>&x;</entry>text", 1, &["text"]),
        ];
        for (inside, entries, strays) in cases {
            for (before, after) in [("", ""), (own, own)] {
                let feed = format!(
                    "\u{feff}<?xml version='1.0'?><feed xmlns:o='o' xmlns:x='x'>{before}{inside}{after}</feed>\n"
                );
                // What has no end takes what follows it.
                if inside == "<batch>&x;<alert/>" && !after.is_empty() {
                    continue;
                }
                let cut = cut(feed.as_bytes()).unwrap();
                let found: Vec<_> = cut.strays.iter().map(|s| std::str::from_utf8(s).unwrap()).collect();
                assert_eq!((cut.entries.len(), &found[..], cut.complete), (entries, strays, true), "{feed}");
            }
        }
    }

    #[test]
    fn what_stands_outside_of_a_feed_is_a_stray_and_what_broke_off_is_none() {
        let cases: [(&str, usize, &[&str], bool); 6] = [
            ("<feed><entry/></feed><entry>2</entry>", 1, &["<entry>2</entry>"], true),
            ("<feed/><alert>2</alert>", 0, &["<alert>2</alert>"], true),
            ("busy <feed><entry/></feed>", 1, &["busy"], true),
            ("<feed><entry/><entry><id>2", 1, &[], false),
            ("<feed><entry/><item>2", 1, &[], false),
            ("<feed><title>t", 0, &[], false),
        ];
        for (feed, entries, strays, complete) in cases {
            let cut = cut(feed.as_bytes()).unwrap();
            let found: Vec<_> = cut.strays.iter().map(|s| std::str::from_utf8(s).unwrap()).collect();
            assert_eq!((cut.entries.len(), &found[..], cut.complete), (entries, strays, complete), "{feed}");
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

//! One Atom entry, as data: nothing is interpreted, unknown values are kept.

use jiff::Timestamp;

use super::shape::{Shape, shapes};
use super::{ATOM, FeedError};
use crate::tree::{Element, Node, XML};

const APP: &str = "http://www.w3.org/2007/app";
pub(super) const AGE: &str = "http://purl.org/atompub/age/1.0";
const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// The control extension and the experimental time of the MASAS hubs.
const CONTROL: &str = "masas:extension:control";
const TIME: &str = "masas:experimental:time";

/// Text in one or more languages: (`xml:lang`, text). No language where none was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<(Option<String>, String)>);

impl Text {
    /// The text whose language begins with `prefix` (`en` finds `en-CA`).
    pub fn in_language(&self, prefix: &str) -> Option<&str> {
        let found = self.0.iter().find(|(language, _)| {
            language.as_deref().is_some_and(|l| primary(l).eq_ignore_ascii_case(prefix))
        });
        found.map(|(_, text)| text.as_str())
    }
}

/// The primary subtag of a language.
fn primary(language: &str) -> &str {
    language.split('-').next().unwrap_or(language)
}

/// Who wrote the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// A name for people.
    pub name: Option<String>,
    /// The account.
    pub uri: Option<String>,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The list that the term is from.
    pub scheme: Option<String>,
    /// The term.
    pub term: String,
    /// The term for people.
    pub label: Option<String>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it leads to; `alternate` where nothing is said.
    pub rel: String,
    /// The address, as written.
    pub href: String,
    /// The media type.
    pub media_type: Option<String>,
    /// A name for people.
    pub title: Option<String>,
    /// The size in bytes, as the feed tells it.
    pub length: Option<u64>,
}

impl Link {
    /// Whether the media type is this one, parameters aside.
    pub fn is_type(&self, media_type: &str) -> bool {
        let own = self.media_type.as_deref().and_then(|t| t.split(';').next());
        own.is_some_and(|own| own.trim().eq_ignore_ascii_case(media_type))
    }
}

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: Option<String>,
    /// Its author.
    pub author: Author,
    /// Its title.
    pub title: Text,
    /// Its content.
    pub content: Text,
    /// Its summary.
    pub summary: Text,
    /// When it was first published.
    pub published: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
    /// When it was edited (`app:edited`).
    pub edited: Option<Timestamp>,
    /// From when it holds (`met:effective`).
    pub effective: Option<Timestamp>,
    /// Until when it holds (`age:expires`).
    pub expires: Option<Timestamp>,
    /// Elements that should hold a time and do not: name and text.
    pub bad_times: Vec<(String, String)>,
    /// Its categories, in order.
    pub categories: Vec<Category>,
    /// Its links, in order.
    pub links: Vec<Link>,
    /// Its geometries, in order.
    pub shapes: Vec<Shape>,
    /// Who may change it (`app:control/mec:update`).
    pub may_update: Option<String>,
}

impl Entry {
    /// Reads a document that is an entry, or a feed with one entry.
    ///
    /// # Errors
    /// `Malformed`, `NotAtom`, or `NotOne`.
    pub fn read(bytes: &[u8]) -> Result<Entry, FeedError> {
        let root = Element::read(bytes).map_err(|cause| FeedError::Malformed { cause })?;
        if root.is(ATOM, "entry") {
            return Ok(read(&root));
        }
        if !root.is(ATOM, "feed") {
            return Err(FeedError::NotAtom);
        }
        let entries: Vec<&Element> = root.named(ATOM, "entry").collect();
        match entries.as_slice() {
            [entry] => Ok(read(entry)),
            _ => Err(FeedError::NotOne { entries: entries.len() }),
        }
    }

    /// The terms of a scheme, in order.
    pub fn terms<'e>(&'e self, scheme: &'e str) -> impl Iterator<Item = &'e str> {
        self.categories.iter().filter(move |c| c.scheme.as_deref() == Some(scheme)).map(|c| c.term.as_str())
    }

    /// The links of a relation, in order.
    pub fn linked<'e>(&'e self, rel: &'e str) -> impl Iterator<Item = &'e Link> {
        self.links.iter().filter(move |l| l.rel == rel)
    }
}

fn read(element: &Element) -> Entry {
    let mut entry = Entry {
        id: element.value(ATOM, "id"),
        title: text(element, "title"),
        content: text(element, "content"),
        summary: text(element, "summary"),
        shapes: shapes(element),
        may_update: element.child(APP, "control").and_then(|c| c.value(CONTROL, "update")),
        ..Entry::default()
    };
    if let Some(author) = element.child(ATOM, "author") {
        entry.author = Author { name: author.value(ATOM, "name"), uri: author.value(ATOM, "uri") };
    }
    let mut time = |ns: &str, name: &str| {
        let written = element.value(ns, name)?;
        let read = written.parse::<Timestamp>();
        if read.is_err() {
            entry.bad_times.push((name.to_owned(), written));
        }
        read.ok()
    };
    let (published, updated) = (time(ATOM, "published"), time(ATOM, "updated"));
    let (edited, effective, expires) = (time(APP, "edited"), time(TIME, "effective"), time(AGE, "expires"));
    entry.categories.extend(element.named(ATOM, "category").filter_map(category));
    entry.links.extend(element.named(ATOM, "link").filter_map(link));
    Entry { published, updated, edited, effective, expires, ..entry }
}

fn category(element: &Element) -> Option<Category> {
    let owned = |name| element.attribute(name).map(str::to_owned);
    Some(Category { scheme: owned("scheme"), term: owned("term")?, label: owned("label") })
}

fn link(element: &Element) -> Option<Link> {
    let owned = |name| element.attribute(name).map(str::to_owned);
    Some(Link {
        rel: owned("rel").unwrap_or_else(|| "alternate".to_owned()),
        href: owned("href")?,
        media_type: owned("type"),
        title: owned("title"),
        length: element.attribute("length").and_then(|l| l.parse().ok()),
    })
}

/// Plain text, or XHTML with one `div` a language.
fn text(entry: &Element, name: &str) -> Text {
    let Some(construct) = entry.child(ATOM, name) else { return Text::default() };
    let mut texts = Vec::new();
    let language = construct.attribute_in(XML, "lang");
    if construct.attribute("type") == Some("xhtml") {
        for division in construct.elements() {
            divisions(division, language, &mut texts);
        }
    } else {
        push(&mut texts, language, &construct.text());
    }
    Text(texts)
}

fn divisions(element: &Element, outer: Option<&str>, texts: &mut Vec<(Option<String>, String)>) {
    let language = element.attribute_in(XML, "lang").or_else(|| element.attribute("lang")).or(outer);
    let marked = |e: &&Element| e.attribute_in(XML, "lang").or_else(|| e.attribute("lang")).is_some();
    if element.elements().any(|e| marked(&e)) {
        for inner in element.elements() {
            divisions(inner, language, texts);
        }
        return;
    }
    let mut out = String::new();
    flow(element, &mut out);
    push(texts, language, &out);
}

/// The words of XHTML: blocks and breaks become lines.
fn flow(element: &Element, out: &mut String) {
    for node in &element.children {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Element(inner) => {
                let block = inner.ns == XHTML
                    && matches!(
                        inner.name.as_str(),
                        "br" | "p" | "div" | "li" | "ul" | "ol" | "h1" | "h2" | "h3"
                    );
                if block && !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                flow(inner, out);
                if block && !out.ends_with('\n') {
                    out.push('\n');
                }
            }
        }
    }
}

fn push(texts: &mut Vec<(Option<String>, String)>, language: Option<&str>, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        texts.push((language.map(str::to_owned), text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom" xmlns:georss="http://www.georss.org/georss"
        xmlns:a="http://www.w3.org/2007/app" xmlns:mec="masas:extension:control"><entry>
        <author><name>Lambton EM</name><uri>https://access.example.test/accounts/user/1</uri></author>
        <category label="Certainty" scheme="masas:category:certainty" term="Observed"/>
        <category scheme="masas:category:status" term="Exercise"/><category term="loose"/>
        <title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><div xml:lang="en">Chlorine &amp; smoke</div>
        <div xml:lang="fr">Fuite de chlore, mise à l'abri</div><div xml:lang="es"> </div></div></title>
        <content type="xhtml"><x:div xmlns:x="http://www.w3.org/1999/xhtml"><x:p>One.</x:p><x:p>Two<x:br/>three</x:p></x:div></content>
        <summary>plain</summary>
        <id>masas:entry:1</id><link href="e" rel="edit"/>
        <link href="c/0" rel="enclosure" length="2741" title="CAP" type="application/cap+xml; charset=utf-8"/>
        <published>2026-03-01T17:02:11Z</published><updated>2026-03-01T12:02:12.250-05:00</updated>
        <a:edited>yesterday</a:edited><a:control><mec:update>all</mec:update></a:control>
        <expires xmlns="http://purl.org/atompub/age/1.0">2026-03-01T23:00:00+00:00</expires>
        <georss:point>42.9745 -82.4066</georss:point></entry></feed>"#;

    #[test]
    fn an_entry_is_read_by_namespace_and_not_by_prefix() {
        let entry = Entry::read(ENTRY.as_bytes()).unwrap();
        assert_eq!(entry.id.as_deref(), Some("masas:entry:1"));
        assert_eq!(entry.author.name.as_deref(), Some("Lambton EM"));
        assert_eq!(entry.title.in_language("en"), Some("Chlorine & smoke"));
        assert_eq!(entry.title.in_language("fr"), Some("Fuite de chlore, mise à l'abri"));
        assert_eq!(entry.title.0.len(), 2, "empty languages do not count");
        assert_eq!(entry.content.0, [(None, "One.\nTwo\nthree".to_owned())]);
        assert_eq!(entry.summary.0, [(None, "plain".to_owned())]);
        assert_eq!(entry.terms("masas:category:status").collect::<Vec<_>>(), ["Exercise"]);
        assert_eq!(entry.categories.len(), 3);
        let cap = entry.linked("enclosure").next().unwrap();
        assert!(cap.is_type("application/cap+xml"));
        assert_eq!(cap.length, Some(2741));
        assert_eq!(entry.updated, "2026-03-01T17:02:12.25Z".parse().ok());
        assert_eq!(entry.expires, "2026-03-01T23:00:00Z".parse().ok());
        assert_eq!(entry.bad_times, [("edited".to_owned(), "yesterday".to_owned())]);
        assert_eq!(entry.may_update.as_deref(), Some("all"));
        assert_eq!(entry.shapes.len(), 1);
    }

    #[test]
    fn what_is_not_one_entry_is_refused() {
        let feed = |inside: &str| format!("<feed xmlns='http://www.w3.org/2005/Atom'>{inside}</feed>");
        assert_eq!(Entry::read(feed("").as_bytes()), Err(FeedError::NotOne { entries: 0 }));
        assert_eq!(Entry::read(feed("<entry/><entry/>").as_bytes()), Err(FeedError::NotOne { entries: 2 }));
        assert_eq!(Entry::read(b"<entry/>"), Err(FeedError::NotAtom));
        assert!(matches!(Entry::read(b"<entry>"), Err(FeedError::Malformed { .. })));
        assert!(Entry::read(b"<entry xmlns='http://www.w3.org/2005/Atom'/>").is_ok());
    }
}

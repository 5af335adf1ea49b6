//! An entry: read from what a client posts, written as the hub writes it.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::Timestamp;
use roxmltree::Node;

use crate::c14n::{Method, canonical};
use crate::clock::{instant, zulu};
use crate::geometry::Shape;
use crate::xml::{child, child_text, children, escape, text};

/// Atom.
pub const ATOM: &str = "http://www.w3.org/2005/Atom";
const GEORSS: &str = "http://www.georss.org/georss";
const APP: &str = "http://www.w3.org/2007/app";
const MEC: &str = "masas:extension:control";
const AGE: &str = "http://purl.org/atompub/age/1.0";
const MET: &str = "masas:experimental:time";
const XHTML: &str = "http://www.w3.org/1999/xhtml";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The media type of a CAP enclosure.
pub const CAP_TYPE: &str = "application/common-alerting-protocol+xml";

/// A title, content or summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Atom's `type`.
    pub kind: String,
    /// What is inside the element, as XML.
    pub xml: String,
    /// The text of each language; the language is empty where none is given.
    pub languages: Vec<(String, String)>,
}

impl Text {
    /// A text of one `div` for each language.
    #[must_use]
    pub fn multilingual(languages: Vec<(String, String)>) -> Self {
        let mut xml = format!("<div xmlns=\"{XHTML}\">");
        for (language, text) in &languages {
            // Writing to a String does not fail.
            let _always = write!(xml, "<div xml:lang=\"{}\">{}</div>", escape(language), escape(text));
        }
        xml.push_str("</div>");
        Self { kind: "xhtml".to_owned(), xml, languages }
    }

    fn read(node: Node<'_, '_>) -> Result<Self, &'static str> {
        let kind = node.attribute("type").unwrap_or("text").to_owned();
        if kind != "xhtml" {
            let value = text(node);
            return Ok(Self { kind, xml: escape(&value), languages: vec![(String::new(), value)] });
        }
        let outer = child(node, XHTML, "div").ok_or("A text of type xhtml has no div")?;
        let method = Method { exclusive: true, ..Method::default() };
        let xml = canonical(outer, &method, &[]).map_err(|_| "A text is nested too deep")?;
        let language = |div: Node<'_, '_>| div.attribute((XML, "lang")).unwrap_or_default().to_owned();
        let inner: Vec<_> =
            children(outer, XHTML, "div").into_iter().map(|div| (language(div), text(div))).collect();
        let languages = if inner.is_empty() { vec![(language(outer), text(outer))] } else { inner };
        Ok(Self { kind, xml, languages })
    }

    /// Whether some language has a text of at least this many characters.
    fn has(&self, characters: usize) -> bool {
        self.languages.iter().any(|(_, text)| text.chars().count() >= characters)
    }

    fn write(&self, out: &mut String, name: &str, language: Option<&str>) {
        let only: Vec<_> =
            self.languages.iter().filter(|(own, _)| Some(own.as_str()) == language).cloned().collect();
        let _always = if only.is_empty() {
            write!(out, "<{name} type=\"{}\">{}</{name}>", escape(&self.kind), self.xml)
        } else {
            write!(out, "<{name} type=\"xhtml\">{}</{name}>", Self::multilingual(only).xml)
        };
    }
}

/// A category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// `label`.
    pub label: String,
    /// `scheme`.
    pub scheme: String,
    /// `term`.
    pub term: String,
}

impl Category {
    /// One of the hub's own categories.
    #[must_use]
    pub fn of_hub(label: &str, term: &str) -> Self {
        let scheme = format!("masas:category:{}", label.to_ascii_lowercase());
        Self { label: label.to_owned(), scheme, term: term.to_owned() }
    }
}

/// A file that belongs to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosure {
    /// Media type.
    pub media_type: String,
    /// Title.
    pub title: String,
    /// The bytes as posted.
    pub content: Bytes,
}

/// What the author of an entry determines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Categories, in the order of the author.
    pub categories: Vec<Category>,
    /// Title.
    pub title: Text,
    /// Content.
    pub content: Option<Text>,
    /// Summary.
    pub summary: Option<Text>,
    /// `href`, `type` and `title` of the related links.
    pub related: Vec<(String, Option<String>, Option<String>)>,
    /// Position.
    pub shapes: Vec<Shape>,
    /// Start in the future, as written.
    pub effective: Option<String>,
    /// End.
    pub expires_at: Option<Timestamp>,
    /// Who may update, as written.
    pub update: Option<String>,
}

impl Draft {
    /// Reads an Atom entry. What the hub sets itself (id, author, dates, its links) is not looked at;
    /// extension elements that it does not know are not kept (INFERRED).
    ///
    /// # Errors
    /// A sentence for the author.
    pub fn read(entry: Node<'_, '_>) -> Result<Self, &'static str> {
        if !crate::xml::is(entry, ATOM, "entry") {
            return Err("The document is no Atom entry");
        }
        let optional = |name| child(entry, ATOM, name).map(Text::read).transpose();
        let attribute = |node: Node<'_, '_>, name| node.attribute(name).map(str::to_owned);
        let category = |node| Category {
            label: attribute(node, "label").unwrap_or_default(),
            scheme: attribute(node, "scheme").unwrap_or_default(),
            term: attribute(node, "term").unwrap_or_default(),
        };
        let expires = child_text(entry, AGE, "expires").filter(|text| !text.is_empty());
        let expires_at = match expires {
            Some(text) => Some(instant(&text).ok_or("The time in expires cannot be read")?),
            None => None,
        };
        let draft = Self {
            categories: children(entry, ATOM, "category").into_iter().map(category).collect(),
            title: optional("title")?.ok_or("An entry needs a title")?,
            content: optional("content")?,
            summary: optional("summary")?,
            related: children(entry, ATOM, "link")
                .into_iter()
                .filter(|link| link.attribute("rel") == Some("related"))
                .filter_map(|link| {
                    Some((attribute(link, "href")?, attribute(link, "type"), attribute(link, "title")))
                })
                .collect(),
            shapes: shapes(entry)?,
            effective: child_text(entry, MET, "effective"),
            expires_at,
            update: child(entry, APP, "control").and_then(|control| child_text(control, MEC, "update")),
        };
        draft.check()?;
        Ok(draft)
    }

    /// The posting tool's rules, which the hub is taken to share (INFERRED).
    fn check(&self) -> Result<(), &'static str> {
        if !self.title.has(1) {
            return Err("The title is empty");
        }
        if self.content.as_ref().is_some_and(|content| !content.has(1)) {
            return Err("The content is empty");
        }
        if self.shapes.is_empty() {
            return Err("An entry needs a position");
        }
        if self.terms("status").count() != 1 {
            return Err("An entry needs exactly one status category");
        }
        if ["severity", "certainty", "icon"].iter().any(|name| self.terms(name).count() > 1) {
            return Err("Severity, certainty and icon may occur once only");
        }
        Ok(())
    }

    /// The terms of one of the hub's schemes.
    pub fn terms<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_scheme =
            move |category: &&Category| category.scheme.strip_prefix("masas:category:") == Some(name);
        self.categories.iter().filter(of_scheme).map(|category| category.term.as_str())
    }
}

fn shapes(entry: Node<'_, '_>) -> Result<Vec<Shape>, &'static str> {
    let elements = entry.children().filter(|node| node.is_element());
    elements
        .filter(|node| node.tag_name().namespace() == Some(GEORSS))
        .map(|node| Shape::read(node.tag_name().name(), &text(node)))
        .collect()
}

/// An entry as the hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Id in the addresses and in `masas:entry:ID`.
    pub id: String,
    /// Account URI of the author.
    pub author_uri: String,
    /// Name of the author.
    pub author_name: String,
    /// Address of the author.
    pub author_email: Option<String>,
    /// First posted.
    pub published_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
    /// Whether it was ever changed.
    pub is_edited: bool,
    /// End.
    pub expires_at: Timestamp,
    /// What the author determines.
    pub draft: Draft,
    /// Files; CAP is the first.
    pub enclosures: Vec<Enclosure>,
}

impl Entry {
    /// The CAP alert, if the entry is one.
    #[must_use]
    pub fn cap(&self) -> Option<&Bytes> {
        self.enclosures.iter().find(|file| file.media_type == CAP_TYPE).map(|file| &file.content)
    }

    /// The title in a language, else in the first.
    #[must_use]
    pub fn title(&self, language: &str) -> &str {
        let titles = &self.draft.title.languages;
        let found = titles.iter().find(|(own, _)| own == language).or_else(|| titles.first());
        found.map_or("", |(_, text)| text.as_str())
    }

    /// Writes the entry element. `feed_url` is the collection's address; `root` adds the namespaces.
    #[must_use]
    pub fn xml(&self, feed_url: &str, language: Option<&str>, root: bool) -> String {
        let mut out = String::from(if root { "<entry" } else { "<entry>" });
        if root {
            out.push_str(NAMESPACES);
            out.push('>');
        }
        self.author(&mut out);
        for Category { label, scheme, term } in &self.draft.categories {
            let (label, scheme, term) = (escape(label), escape(scheme), escape(term));
            let _always = write!(out, "<category label=\"{label}\" scheme=\"{scheme}\" term=\"{term}\" />");
        }
        if let Some(content) = &self.draft.content {
            content.write(&mut out, "content", language);
        }
        let _always = write!(out, "<id>masas:entry:{}</id>", self.id);
        self.links(&mut out, feed_url);
        let _always = write!(out, "<published>{}</published>", zulu(self.published_at));
        if let Some(summary) = &self.draft.summary {
            summary.write(&mut out, "summary", language);
        }
        self.draft.title.write(&mut out, "title", language);
        let updated = zulu(self.updated_at);
        let _always = write!(out, "<updated>{updated}</updated>");
        if self.is_edited {
            let _always = write!(out, "<app:edited>{updated}</app:edited>");
        }
        if let Some(update) = &self.draft.update {
            let _always =
                write!(out, "<app:control><mec:update>{}</mec:update></app:control>", escape(update));
        }
        for Shape { kind, text } in &self.draft.shapes {
            let _always = write!(out, "<georss:{kind}>{text}</georss:{kind}>");
        }
        if let Some(effective) = &self.draft.effective {
            let _always =
                write!(out, "<met:effective xmlns:met=\"{MET}\">{}</met:effective>", escape(effective));
        }
        let _always = write!(out, "<age:expires>{}</age:expires></entry>", zulu(self.expires_at));
        out
    }

    fn author(&self, out: &mut String) {
        let (name, uri) = (escape(&self.author_name), escape(&self.author_uri));
        let _always = write!(out, "<author><name>{name}</name><uri>{uri}</uri>");
        if let Some(email) = &self.author_email {
            let _always = write!(out, "<email>{}</email>", escape(email));
        }
        out.push_str("</author>");
    }

    fn links(&self, out: &mut String, feed_url: &str) {
        let own = format!("{feed_url}/{}", self.id);
        let _always =
            write!(out, "<link href=\"{own}\" rel=\"edit\" type=\"application/atom+xml;type=entry\" />");
        if !self.enclosures.is_empty() {
            let _always = write!(out, "<link href=\"{own}/content\" rel=\"edit-media\" />");
        }
        for (n, Enclosure { media_type, title, content }) in self.enclosures.iter().enumerate() {
            let (length, title, media_type) = (content.len(), escape(title), escape(media_type));
            let _always = write!(
                out,
                "<link href=\"{own}/content/{n}\" length=\"{length}\" rel=\"enclosure\" title=\"{title}\" \
                 type=\"{media_type}\" />"
            );
        }
        if self.is_edited {
            let _always = write!(
                out,
                "<link href=\"{own}/history\" rel=\"history\" type=\"application/atom+xml;type=feed\" />"
            );
        }
        for (href, media_type, title) in &self.draft.related {
            let _always = write!(out, "<link href=\"{}\" rel=\"related\"", escape(href));
            for (name, value) in [("title", title), ("type", media_type)] {
                if let Some(value) = value {
                    let _always = write!(out, " {name}=\"{}\"", escape(value));
                }
            }
            out.push_str(" />");
        }
    }
}

/// The namespace declarations of the hub's root elements.
pub const NAMESPACES: &str = concat!(
    " xmlns=\"http://www.w3.org/2005/Atom\" xmlns:georss=\"http://www.georss.org/georss\"",
    " xmlns:app=\"http://www.w3.org/2007/app\" xmlns:mec=\"masas:extension:control\"",
    " xmlns:age=\"http://purl.org/atompub/age/1.0\""
);

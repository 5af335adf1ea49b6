//! The pieces of a document that a reader hands out.
//!
//! Owns what an element, an attribute and a token are. Must not read.

use std::borrow::Cow;

/// An attribute that is not a namespace declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute<'t> {
    /// Prefix, or empty.
    pub prefix: &'t str,
    /// Local part.
    pub local: &'t str,
    /// Namespace; empty for none.
    pub namespace: Cow<'t, str>,
    /// Value, normalised (XML 1.0 section 3.3.3).
    pub value: Cow<'t, str>,
}

/// The start of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'t> {
    /// Prefix, or empty.
    pub prefix: &'t str,
    /// Local part.
    pub local: &'t str,
    /// Namespace; empty for none.
    pub namespace: Cow<'t, str>,
    /// Attributes in document order, without namespace declarations.
    pub attributes: Vec<Attribute<'t>>,
    /// Namespace declarations: prefix (empty for the default) and URI.
    pub declarations: Vec<(&'t str, Cow<'t, str>)>,
}

impl Element<'_> {
    /// Whether it has this namespace and local name.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace == namespace
    }
}

/// A piece of a document. An empty element gives `Start` and `End`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'t> {
    /// An element begins.
    Start(Element<'t>),
    /// The innermost element ends.
    End,
    /// A piece of text, entities resolved and line ends normalised. Text may come in several pieces.
    Text(Cow<'t, str>),
    /// A comment.
    Comment(&'t str),
    /// A processing instruction: target and data.
    Instruction(&'t str, &'t str),
}

//! Bounds of what is read (design 9). They let every XSD-valid real document through that we know.

/// The largest document that is read, and the largest of its parts. A source may lower them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document.
    pub document_bytes: usize,
    /// Bytes of a container with several alerts (a feed, an envelope), each of which is held to `document_bytes`.
    pub container_bytes: usize,
    /// Alerts of a container.
    pub alerts: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Attributes of an element, namespace declarations not counted.
    pub attributes: usize,
    /// Namespace declarations of an element.
    pub namespaces: usize,
    /// Namespace declarations in scope at an element.
    pub namespaces_in_scope: usize,
    /// Bytes of the name of a namespace.
    pub namespace_bytes: usize,
    /// Bytes of an attribute's value.
    pub attribute_bytes: usize,
    /// Elements of the document; attributes, comments and processing instructions count like them.
    pub elements: usize,
    /// Bytes of the text of an element; `derefUri` may be as large as the document.
    pub text_bytes: usize,
    /// Characters of identifiers, senders, codes and names.
    pub name_chars: usize,
    /// Infos of an alert.
    pub infos: usize,
    /// Areas of an info.
    pub areas: usize,
    /// Pairs of a polygon.
    pub points: usize,
    /// Signatures of an alert.
    pub signatures: usize,
    /// Transforms of a signature's reference.
    pub transforms: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            document_bytes: 6 << 20,
            container_bytes: 64 << 20,
            alerts: 10_000,
            depth: 32,
            attributes: 64,
            namespaces: 16,
            namespaces_in_scope: 64,
            namespace_bytes: 256,
            attribute_bytes: 8 << 10,
            elements: 200_000,
            text_bytes: 512 << 10,
            name_chars: 1_024,
            infos: 64,
            areas: 2_000,
            points: 50_000,
            signatures: 4,
            transforms: 3,
        }
    }
}

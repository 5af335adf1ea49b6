//! The signatures of a document, as the strict reader sees them.
//!
//! Owns where a signature may stand and what it must consist of. Anything that two verifiers could read in two ways
//! (comments inside, two SignedInfo, two references) is refused here.

use std::borrow::Cow;
use std::ops::Range;

use super::algorithm::{Digest, Method, short_name};
use crate::alert::Version;
use crate::finding::Rejection;
use crate::limits::Limits;
use crate::xml::{DSIG_NS, Element, Reader, Token, c14n};

/// A document's outline: what verification needs of it.
#[derive(Default)]
pub(super) struct Outline<'t> {
    /// The signatures that are direct children of `alert`.
    pub(super) signatures: Vec<Node<'t>>,
    /// A signature stands elsewhere.
    pub(super) misplaced: bool,
    /// CAP `sent` of the root.
    pub(super) sent: Cow<'t, str>,
}

/// An element of a signature with everything in it.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) element: Element<'t>,
    pub(super) range: Range<usize>,
    pub(super) text: Cow<'t, str>,
    pub(super) children: Vec<Node<'t>>,
    /// A comment or processing instruction stands directly in it.
    pub(super) commented: bool,
}

impl<'t> Node<'t> {
    fn new(element: Element<'t>, start: usize) -> Self {
        Node { element, range: start..start, text: Cow::Borrowed(""), children: Vec::new(), commented: false }
    }

    fn named<'n>(&'n self, local: &'n str) -> impl Iterator<Item = &'n Node<'t>> {
        self.children.iter().filter(move |c| c.element.is(DSIG_NS, local))
    }

    /// The one child of a name.
    fn only(&self, local: &'static str) -> Result<&Node<'t>, Fault> {
        let mut found = self.named(local);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(Fault::Structure(format!("{} has no {local}", self.element.local))),
            (Some(_), Some(_)) => Err(Fault::Structure(format!("{} has two {local}", self.element.local))),
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let plain = |a: &&crate::xml::Attribute<'_>| a.prefix.is_empty() && a.local == name;
        self.element.attributes.iter().find(plain).map(|a| a.value.as_ref())
    }

    fn algorithm(&self) -> &str {
        self.attribute("Algorithm").unwrap_or("")
    }

    /// All of it, itself first.
    fn all<'n>(&'n self, into: &mut Vec<&'n Node<'t>>) {
        into.push(self);
        for child in &self.children {
            child.all(into);
        }
    }
}

/// Why a signature is not what it must be.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is broken.
    Structure(String),
    /// It uses what is not allowed here.
    Unsupported(String),
}

/// What a signature says, before anything of it is believed.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) method: Method,
    pub(super) signed_info: usize,
    pub(super) signed_info_form: c14n::Method,
    pub(super) document_form: c14n::Method,
    pub(super) digest: Digest,
    pub(super) digest_value: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// Certificates in DER, as they stand.
    pub(super) certificates: Vec<Vec<u8>>,
    /// A bare RSA key, modulus and exponent: it shows that the document is whole, and nothing about who signed.
    pub(super) bare_key: Option<(Vec<u8>, Vec<u8>)>,
}

pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Walks a document once.
pub(super) fn outline<'t>(text: &'t str, limits: &'t Limits) -> Result<Outline<'t>, Rejection> {
    let mut reader = Reader::new(text, limits);
    let mut outline = Outline::default();
    let mut root_is_alert = false;
    // The path of open nodes of a signature; its elements are few.
    let mut nodes: Vec<Node<'t>> = Vec::new();
    let mut in_sent = false;
    while let Some(token) = reader.next()? {
        match token {
            Token::Start(element) => {
                let depth = reader.depth();
                if depth == 1 {
                    root_is_alert =
                        element.local == "alert" && Version::of_namespace(&element.namespace).is_some();
                }
                in_sent = depth == 2
                    && element.local == "sent"
                    && Version::of_namespace(&element.namespace).is_some()
                    && outline.sent.is_empty();
                let signature = element.is(DSIG_NS, "Signature");
                if !nodes.is_empty() || (signature && depth == 2 && root_is_alert) {
                    outline.misplaced |= signature && !nodes.is_empty();
                    nodes.push(Node::new(element, reader.offset()));
                } else {
                    outline.misplaced |= signature;
                }
            }
            Token::End => {
                in_sent = false;
                let Some(mut node) = nodes.pop() else { continue };
                node.range.end = reader.end_offset();
                match nodes.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => outline.signatures.push(node),
                }
            }
            Token::Text(piece) => {
                let into = match nodes.last_mut() {
                    Some(node) => &mut node.text,
                    None if in_sent => &mut outline.sent,
                    None => continue,
                };
                if into.is_empty() {
                    *into = piece;
                } else {
                    into.to_mut().push_str(&piece);
                }
            }
            Token::Comment(_) | Token::Instruction(..) => {
                if let Some(node) = nodes.last_mut() {
                    node.commented = true;
                }
            }
        }
    }
    Ok(outline)
}

/// The short name of a signature's algorithm, for the report.
pub(super) fn algorithm_name(signature: &Node<'_>) -> String {
    let info = signature.named("SignedInfo").next();
    let method = info.and_then(|i| i.named("SignatureMethod").next());
    method.map_or_else(String::new, |m| short_name(m.algorithm()))
}

/// Reads what a signature says.
pub(super) fn claims(signature: &Node<'_>, limits: &Limits) -> Result<Claims, Fault> {
    let mut all = Vec::new();
    signature.all(&mut all);
    if all.iter().any(|n| n.commented) {
        return Err(Fault::Structure(
            "a comment or processing instruction stands inside the signature".into(),
        ));
    }
    if all.iter().filter(|n| n.element.is(DSIG_NS, "SignedInfo")).count() > 1 {
        return Err(Fault::Structure("two SignedInfo".into()));
    }
    let info = signature.only("SignedInfo")?;
    if info.children.len() != 3 {
        return Err(Fault::Structure(format!(
            "SignedInfo has {} children instead of three",
            info.children.len()
        )));
    }
    let form = info.only("CanonicalizationMethod")?;
    let signed_info_form = canonical_form(form)?;
    let method_node = info.only("SignatureMethod")?;
    let method =
        Method::of_uri(method_node.algorithm()).filter(|_| method_node.children.is_empty()).ok_or_else(
            || Fault::Unsupported(format!("signature method {}", short_name(method_node.algorithm()))),
        )?;
    let reference = info.only("Reference")?;
    match reference.attribute("URI") {
        Some("") => {}
        Some(uri) => {
            let shown: String = uri.chars().take(60).collect();
            let message =
                format!("a reference to '{}'; only the whole document is verified", shown.escape_debug());
            return Err(Fault::Unsupported(message));
        }
        None => return Err(Fault::Unsupported("a reference without URI".into())),
    }
    let document_form = transforms(reference, limits)?;
    let digest_node = reference.only("DigestMethod")?;
    let digest = Digest::of_uri(digest_node.algorithm()).ok_or_else(|| {
        Fault::Unsupported(format!("digest method {}", short_name(digest_node.algorithm())))
    })?;
    let digest_value = base64(&reference.only("DigestValue")?.text)?;
    let value = base64(&signature.only("SignatureValue")?.text)?;
    let mut certificates = Vec::new();
    let mut bare_key = None;
    for key_info in signature.named("KeyInfo") {
        for key in key_info.named("KeyValue").flat_map(|v| v.named("RSAKeyValue")) {
            bare_key = Some((base64(&key.only("Modulus")?.text)?, base64(&key.only("Exponent")?.text)?));
        }
        for data in key_info.named("X509Data") {
            for certificate in data.named("X509Certificate").take(8) {
                certificates.push(base64(&certificate.text)?);
            }
        }
    }
    Ok(Claims {
        method,
        signed_info: info.range.start,
        signed_info_form,
        document_form,
        digest,
        digest_value,
        value,
        certificates,
        bare_key,
    })
}

/// Enveloped, and at most one canonical form; without one it is the inclusive one without comments.
fn transforms(reference: &Node<'_>, limits: &Limits) -> Result<c14n::Method, Fault> {
    let list: Vec<&Node<'_>> = match reference.only("Transforms") {
        Ok(transforms) => transforms.children.iter().collect(),
        Err(_) => Vec::new(),
    };
    if list.len() > limits.transforms {
        return Err(Fault::Unsupported(format!("more than {} transforms", limits.transforms)));
    }
    let mut enveloped = false;
    let mut form = None;
    for transform in list {
        let uri = transform.algorithm();
        if !transform.element.is(DSIG_NS, "Transform") {
            return Err(Fault::Structure("an element in Transforms that is no Transform".into()));
        }
        if uri == ENVELOPED && !enveloped && form.is_none() {
            enveloped = true;
        } else if form.is_none() {
            form = Some(canonical_form(transform)?);
        } else {
            return Err(Fault::Unsupported(format!("transform {} after another", short_name(uri))));
        }
    }
    if !enveloped {
        return Err(Fault::Unsupported("the signature is not enveloped".into()));
    }
    // A reference to the whole document leaves its comments out before any transform (XML Signature section 4.4.3.3).
    Ok(c14n::Method { comments: false, ..form.unwrap_or(c14n::Method::INCLUSIVE) })
}

fn canonical_form(node: &Node<'_>) -> Result<c14n::Method, Fault> {
    let uri = node.algorithm();
    let mut method = c14n::Method::of_uri(uri)
        .ok_or_else(|| Fault::Unsupported(format!("transform or canonical form {}", short_name(uri))))?;
    for child in &node.children {
        if !method.exclusive
            || !child.element.is("http://www.w3.org/2001/10/xml-exc-c14n#", "InclusiveNamespaces")
        {
            return Err(Fault::Unsupported("a canonical form with parameters that are not known".into()));
        }
        let list = child.attribute("PrefixList").unwrap_or("");
        let plain = |p: &str| if p == "#default" { String::new() } else { p.to_owned() };
        method.inclusive_prefixes = list.split_ascii_whitespace().map(plain).collect();
    }
    Ok(method)
}

/// Base64 with white space anywhere.
fn base64(text: &str) -> Result<Vec<u8>, Fault> {
    use ::base64::Engine;
    let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    ::base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|_| Fault::Structure("a value is not base64".into()))
}

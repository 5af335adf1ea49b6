//! Signing an alert in the shape that IPAWS takes (ipaws page 6.1).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::algorithm::Digest;
use super::read::{self, ENVELOPED};
use super::trust::subject;
use crate::document::Document;
use crate::finding::Rejection;
use crate::limits::Limits;
use crate::xml::{DSIG_NS, Reader, Token, c14n, escape_text, is_ncname as is_prefix};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key is not PEM.
    #[error("the private key is not PEM")]
    KeyPem {
        /// What the reader says.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// The key is not an RSA key of at least 2048 bits in PKCS#8 or PKCS#1.
    #[error("the private key is not an RSA key of 2048 to 8192 bits")]
    Key,
    /// The key is not a P-256, P-384 or P-521 key in PKCS#8.
    #[error("the private key is not an elliptic curve key of P-256, P-384 or P-521")]
    CurveKey,
    /// The certificate is not PEM.
    #[error("the certificate is not PEM")]
    CertificatePem {
        /// What the reader says.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// The certificate cannot be read.
    #[error("the certificate is not an X.509 certificate")]
    Certificate,
    /// The certificate is for another key.
    #[error("the certificate does not belong to the private key")]
    OtherKey,
    /// The document cannot be read.
    #[error("the document to sign cannot be read")]
    Document {
        /// What is wrong with it.
        #[source]
        cause: Rejection,
    },
    /// The document is not an alert with content.
    #[error("the document to sign is not an alert")]
    NotAnAlert,
    /// The document is signed already.
    #[error("the document to sign has a signature")]
    Signed,
    /// The library refused to sign.
    #[error("the key cannot sign")]
    Refused,
}

/// A digest that may be signed with. SHA-1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DigestMethod {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestMethod {
    fn digest(self) -> Digest {
        match self {
            DigestMethod::Sha256 => Digest::Sha256,
            DigestMethod::Sha384 => Digest::Sha384,
            DigestMethod::Sha512 => Digest::Sha512,
        }
    }
}

/// How to sign. The default is the form of the alerts of IPAWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The canonical form of `SignedInfo`.
    pub signed_info: c14n::Method,
    /// The canonical form of the document, named by a transform; none means inclusive without a transform. Comments of the
    /// document are never signed: a reference to the whole document leaves them out (XML Signature section 4.4.3.3).
    pub document: Option<c14n::Method>,
    /// The digest of the document, and with an RSA key of `SignedInfo` too. A curve has a digest of its own.
    pub digest: DigestMethod,
}

impl Default for Form {
    fn default() -> Self {
        Form { signed_info: c14n::Method::EXCLUSIVE, document: None, digest: DigestMethod::Sha256 }
    }
}

enum Key {
    Rsa(KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
}

impl Key {
    fn public(&self) -> &[u8] {
        match self {
            Key::Rsa(key) => key.public_key().as_ref(),
            Key::P256(key) | Key::P384(key) | Key::P521(key) => key.public_key().as_ref(),
        }
    }
}

/// A private key with its certificate.
pub struct SigningKey {
    key: Key,
    certificate: CertificateDer<'static>,
    subject: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads an RSA key (PKCS#8 or PKCS#1) and its certificate, both PEM.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub fn from_pkcs8_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, SignError> {
        let der =
            PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|cause| SignError::KeyPem { cause })?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(SignError::Key),
        };
        SigningKey::with_certificate(Key::Rsa(key.map_err(|_| SignError::Key)?), certificate_pem)
    }

    /// Reads a P-256, P-384 or P-521 key (PKCS#8) and its certificate, both PEM.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub fn from_curve_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, SignError> {
        let der =
            PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|cause| SignError::KeyPem { cause })?;
        let PrivateKeyDer::Pkcs8(der) = &der else { return Err(SignError::CurveKey) };
        let read = |curve| EcdsaKeyPair::from_pkcs8(curve, der.secret_pkcs8_der());
        let key = read(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(Key::P256)
            .or_else(|_| read(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Key::P384))
            .or_else(|_| read(&ECDSA_P521_SHA512_FIXED_SIGNING).map(Key::P521))
            .map_err(|_| SignError::CurveKey)?;
        SigningKey::with_certificate(key, certificate_pem)
    }

    fn with_certificate(key: Key, certificate_pem: &str) -> Result<Self, SignError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|cause| SignError::CertificatePem { cause })?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| SignError::Certificate)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public() {
            return Err(SignError::OtherKey);
        }
        let subject = subject(&parsed);
        Ok(SigningKey { key, certificate, subject })
    }

    /// The certificate in DER, for a security token.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate's subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// RSA PKCS#1 v1.5 with SHA-256 over bytes.
    ///
    /// # Errors
    /// The key is no RSA key, or the library refuses.
    pub fn sign_rsa_sha256(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.key {
            Key::Rsa(_) => self.value(bytes, DigestMethod::Sha256),
            Key::P256(_) | Key::P384(_) | Key::P521(_) => Err(SignError::Key),
        }
    }

    /// The identifier of the method that it signs with.
    fn method(&self, digest: DigestMethod) -> &'static str {
        match (&self.key, digest) {
            (Key::Rsa(_), DigestMethod::Sha256) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            (Key::Rsa(_), DigestMethod::Sha384) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            (Key::Rsa(_), DigestMethod::Sha512) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            (Key::P256(_), _) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            (Key::P384(_), _) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            (Key::P521(_), _) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        }
    }

    fn value(&self, bytes: &[u8], digest: DigestMethod) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let key = match &self.key {
            Key::Rsa(key) => key,
            Key::P256(key) | Key::P384(key) | Key::P521(key) => {
                return key.sign(&random, bytes).map(|v| v.as_ref().to_vec()).map_err(|_| SignError::Refused);
            }
        };
        let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match digest {
            DigestMethod::Sha256 => &RSA_PKCS1_SHA256,
            DigestMethod::Sha384 => &RSA_PKCS1_SHA384,
            DigestMethod::Sha512 => &RSA_PKCS1_SHA512,
        };
        let mut value = vec![0; key.public_modulus_len()];
        key.sign(padding, &random, bytes, &mut value).map_err(|_| SignError::Refused)?;
        Ok(value)
    }
}

/// Signs an alert: the signature becomes its last child, nothing else changes.
///
/// The form is that of the alerts of IPAWS: `SignedInfo` in exclusive canonical form, one reference to the whole
/// document with the enveloped transform alone, RSA with SHA-256, subject name and certificate.
///
/// # Errors
/// The document is not an unsigned alert, or the key cannot sign.
pub fn sign(alert_xml: &str, key: &SigningKey) -> Result<String, SignError> {
    sign_as(alert_xml, key, &Form::default())
}

/// Signs an alert in a form of one's choice: the signature becomes its last child, nothing else changes.
///
/// ```no_run
/// use cap_schema::signature::{DigestMethod, Form, SigningKey, sign_as};
/// use cap_schema::xml::c14n;
/// # let (key_pem, certificate_pem, alert) = ("", "", "");
/// let key = SigningKey::from_curve_pem(key_pem, certificate_pem)?;
/// let document = Some(c14n::Method::EXCLUSIVE);
/// let form = Form { document, digest: DigestMethod::Sha512, ..Form::default() };
/// let signed = sign_as(alert, &key, &form)?;
/// # Ok::<(), cap_schema::signature::SignError>(())
/// ```
///
/// # Errors
/// The document is not an unsigned alert, or the key cannot sign.
pub fn sign_as(alert_xml: &str, key: &SigningKey, form: &Form) -> Result<String, SignError> {
    let limits = Limits::default();
    let document = |cause| SignError::Document { cause };
    let read = Document::read(alert_xml.as_bytes(), &limits).map_err(document)?;
    let text = read.text();
    let outline = read::outline(text, &limits).map_err(document)?;
    if !outline.signatures.is_empty() || outline.misplaced {
        return Err(SignError::Signed);
    }
    let at = end_tag(text, &limits).map_err(document)?.ok_or(SignError::NotAnAlert)?;
    let whole = form.document.clone().unwrap_or(c14n::Method::INCLUSIVE);
    let whole = c14n::Method { comments: false, ..whole };
    let canonical = c14n::document(text, &limits, &whole, &[]).map_err(document)?;
    let digest = form.digest.digest();
    let value = STANDARD.encode(digest.of(canonical.as_bytes()));
    let transform = form.document.as_ref().map_or_else(String::new, |m| algorithm("Transform", m));
    let signed_info = format!(
        "<SignedInfo>{}<SignatureMethod Algorithm=\"{}\"></SignatureMethod><Reference URI=\"\"><Transforms>\
         <Transform Algorithm=\"{ENVELOPED}\"></Transform>{transform}</Transforms>\
         <DigestMethod Algorithm=\"{}\"></DigestMethod><DigestValue>{value}</DigestValue></Reference></SignedInfo>",
        algorithm("CanonicalizationMethod", &form.signed_info),
        key.method(form.digest),
        digest.uri(),
    );
    let (before, after) = text.split_at_checked(at).ok_or(SignError::NotAnAlert)?;
    let before = format!("{before}<Signature xmlns=\"{DSIG_NS}\">");
    // Its canonical form is that of the place where it stands.
    let placed = format!("{before}{signed_info}</Signature>{after}");
    let canonical =
        c14n::element(&placed, &limits, &form.signed_info, before.len(), &[]).map_err(document)?;
    let value = STANDARD.encode(key.value(canonical.as_bytes(), form.digest)?);
    let mut subject = String::new();
    escape_text(&key.subject, &mut subject);
    Ok(format!(
        "{before}{signed_info}<SignatureValue>{value}</SignatureValue><KeyInfo><X509Data>\
         <X509SubjectName>{subject}</X509SubjectName><X509Certificate>{}</X509Certificate></X509Data></KeyInfo></Signature>{after}",
        STANDARD.encode(&key.certificate),
    ))
}

/// An element that names a canonical form.
fn algorithm(element: &str, method: &c14n::Method) -> String {
    // What is no prefix cannot be bound to anything.
    let prefixes: Vec<&str> = method
        .inclusive_prefixes
        .iter()
        .filter(|p| p.is_empty() || is_prefix(p))
        .map(|p| if p.is_empty() { "#default" } else { p.as_str() })
        .collect();
    let mut list = String::new();
    if method.exclusive && !prefixes.is_empty() {
        list.push_str("<InclusiveNamespaces xmlns=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"");
        list.push_str(&prefixes.join(" "));
        list.push_str("\"></InclusiveNamespaces>");
    }
    format!("<{element} Algorithm=\"{}\">{list}</{element}>", method.uri())
}

/// Where the end tag of the root begins; `None` where the root is no alert or has none.
fn end_tag(text: &str, limits: &Limits) -> Result<Option<usize>, Rejection> {
    let mut reader = Reader::new(text, limits);
    let mut at = None;
    let mut first = true;
    while let Some(token) = reader.next()? {
        match token {
            Token::Start(element) if first => {
                first = false;
                if element.local != "alert"
                    || crate::alert::Version::of_namespace(&element.namespace).is_none()
                {
                    return Ok(None);
                }
            }
            Token::End if reader.depth() == 0 => {
                at =
                    text.get(reader.offset()..).is_some_and(|t| t.starts_with("</")).then(|| reader.offset());
            }
            _ => {}
        }
    }
    Ok(at)
}

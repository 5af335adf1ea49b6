//! Signing an alert in the shape that IPAWS takes (ipaws page 6.1).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::algorithm::Digest;
use super::read;
use super::trust::subject;
use crate::document::Document;
use crate::finding::Rejection;
use crate::limits::Limits;
use crate::xml::{DSIG_NS, Reader, Token, c14n, escape_text};

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

/// A private key with its certificate.
pub struct SigningKey {
    key: KeyPair,
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
        let key = key.map_err(|_| SignError::Key)?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|cause| SignError::CertificatePem { cause })?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| SignError::Certificate)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key().as_ref() {
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
    /// The library refuses.
    pub fn sign_rsa_sha256(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut value = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut value)
            .map_err(|_| SignError::Refused)?;
        Ok(value)
    }
}

/// Signs an alert: the signature becomes its last child, nothing else changes.
///
/// The shape is that of the alerts of IPAWS: `SignedInfo` in exclusive canonical form, one reference to the whole
/// document with the enveloped transform alone, RSA with SHA-256, subject name and certificate.
///
/// # Errors
/// The document is not an unsigned alert, or the key cannot sign.
pub fn sign(alert_xml: &str, key: &SigningKey) -> Result<String, SignError> {
    let limits = Limits::default();
    let document = |cause| SignError::Document { cause };
    let read = Document::read(alert_xml.as_bytes(), &limits).map_err(document)?;
    let text = read.text();
    let outline = read::outline(text, &limits).map_err(document)?;
    if !outline.signatures.is_empty() || outline.misplaced {
        return Err(SignError::Signed);
    }
    let at = end_tag(text, &limits).map_err(document)?.ok_or(SignError::NotAnAlert)?;
    let form = c14n::document(text, &limits, &c14n::Method::INCLUSIVE, &[]).map_err(document)?;
    let digest = STANDARD.encode(Digest::Sha256.of(form.as_bytes()));
    // Already in canonical form; inside Signature the namespace is inherited instead of repeated.
    let body = format!(
        "<CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></CanonicalizationMethod>\
         <SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></SignatureMethod>\
         <Reference URI=\"\"><Transforms>\
         <Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></Transform></Transforms>\
         <DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></DigestMethod>\
         <DigestValue>{digest}</DigestValue></Reference></SignedInfo>"
    );
    let value = key.sign_rsa_sha256(format!("<SignedInfo xmlns=\"{DSIG_NS}\">{body}").as_bytes())?;
    let mut subject = String::new();
    escape_text(&key.subject, &mut subject);
    let (before, after) = text.split_at_checked(at).ok_or(SignError::NotAnAlert)?;
    Ok(format!(
        "{before}<Signature xmlns=\"{DSIG_NS}\"><SignedInfo>{body}<SignatureValue>{}</SignatureValue><KeyInfo><X509Data>\
         <X509SubjectName>{subject}</X509SubjectName><X509Certificate>{}</X509Certificate></X509Data></KeyInfo></Signature>{after}",
        STANDARD.encode(value),
        STANDARD.encode(&key.certificate),
    ))
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

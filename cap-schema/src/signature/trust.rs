//! Whom to believe: the caller's certificates and what chains to them.

use aws_lc_rs::signature::UnparsedPublicKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    anchor_from_trusted_cert,
};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

use super::algorithm::{KeyKind, Method};
use super::pin::{Pin, Pins};
use crate::time::Instant;

/// Certificates that are believed: roots of chains, and signers themselves. An authority signs for many; pins say which of
/// them are meant.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    pins: Pins,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not PEM.
    #[error("certificate {number} is not PEM")]
    Pem {
        /// From 1.
        number: usize,
        /// What the reader says.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// Not a certificate.
    #[error("certificate {number} is not an X.509 certificate")]
    Certificate {
        /// From 1.
        number: usize,
    },
    /// Nothing in it.
    #[error("no certificate found")]
    Empty,
    /// Not a pin.
    #[error("line {line} is not `subject NAME=VALUE` or `issuer NAME=VALUE`")]
    Pin {
        /// From 1.
        line: usize,
    },
}

impl TrustStore {
    /// Adds the certificates of a PEM text.
    ///
    /// # Errors
    /// The text holds no certificate, or one that cannot be read; nothing is added then.
    pub fn add_pem(&mut self, pem: &str) -> Result<(), TrustError> {
        let mut read = Vec::new();
        for (index, item) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            read.push(item.map_err(|cause| TrustError::Pem { number: index + 1, cause })?);
        }
        if read.is_empty() {
            return Err(TrustError::Empty);
        }
        for (index, certificate) in read.iter().enumerate() {
            if X509Certificate::from_der(certificate).is_err() {
                return Err(TrustError::Certificate { number: index + 1 });
            }
        }
        for certificate in read {
            self.keep(certificate);
        }
        Ok(())
    }

    /// Adds a certificate in DER.
    ///
    /// # Errors
    /// It is none.
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), TrustError> {
        if X509Certificate::from_der(der).is_err() {
            return Err(TrustError::Certificate { number: 1 });
        }
        self.keep(CertificateDer::from(der.to_vec()));
        Ok(())
    }

    /// Narrows who is believed among those that chain to an authority: lines such as `subject CN=IPAWSOPEN200032` or
    /// `issuer CN=IGC Device CA 2`; `*` at the end of a value stands for anything, `#` begins a comment. Where there are
    /// pins of a kind, a signer must fit one of them. A signer whose own certificate is in the store needs none.
    ///
    /// # Errors
    /// A line is no pin; nothing is added then.
    pub fn add_pins(&mut self, text: &str) -> Result<(), TrustError> {
        let mut read = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                read.push(Pin::read(line).ok_or(TrustError::Pin { line: index + 1 })?);
            }
        }
        self.pins.extend(read);
        Ok(())
    }

    fn keep(&mut self, certificate: CertificateDer<'static>) {
        // A signer that is believed itself is no authority: what it issues is not believed for that.
        let authority = X509Certificate::from_der(&certificate)
            .is_ok_and(|(_, c)| c.basic_constraints().is_ok_and(|b| b.is_some_and(|b| b.value.ca)));
        if authority && let Ok(anchor) = anchor_from_trusted_cert(&certificate) {
            self.anchors.push(anchor.to_owned());
        }
        self.certificates.push(certificate);
    }

    /// Whether there is nothing to believe.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Whether a signer is believed at a time; the reason if not.
    pub(super) fn believes(
        &self,
        signer: &Signer<'_>,
        others: &[Vec<u8>],
        at: Instant,
    ) -> Result<(), String> {
        if self.is_empty() {
            return Err("no certificate is trusted".into());
        }
        if self.certificates.iter().any(|c| c.as_ref() == signer.der) {
            return Ok(());
        }
        if signer.may_not_sign() {
            return Err("its certificate is not one for signatures (key usage)".into());
        }
        let leaf = CertificateDer::from(signer.der);
        let leaf =
            EndEntityCert::try_from(&leaf).map_err(|e| format!("the certificate cannot be used: {e}"))?;
        let intermediates: Vec<CertificateDer<'_>> = others
            .iter()
            .filter(|o| o.as_slice() != signer.der)
            .map(|o| CertificateDer::from(o.as_slice()))
            .collect();
        let seconds = u64::try_from(at.seconds()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &self.anchors, &intermediates, time, AnyUse, None, None)
            .map_err(|e| format!("the certificate does not chain to one that is trusted{}", because(&e)))?;
        self.pins.admit(&signer.certificate)
    }
}

/// Why a chain does not hold, in words for a person; nothing where the words before say it all.
fn because(error: &webpki::Error) -> String {
    let words = match error {
        webpki::Error::UnknownIssuer => return String::new(),
        webpki::Error::CaUsedAsEndEntity => {
            "it is the certificate of an authority, and not one that is trusted itself"
        }
        webpki::Error::EndEntityUsedAsCa => "a certificate of the chain may not issue others",
        webpki::Error::CertExpired { .. } => "a certificate of the chain had expired when the alert was sent",
        webpki::Error::CertNotValidYet { .. } => {
            "a certificate of the chain was not valid yet when the alert was sent"
        }
        webpki::Error::InvalidSignatureForPublicKey => {
            "a certificate of the chain is not signed by its issuer"
        }
        webpki::Error::UnsupportedSignatureAlgorithmContext(_)
        | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a certificate of the chain is signed by a method that is not supported"
        }
        other => return format!(" ({other})"),
    };
    format!(": {words}")
}

/// Document signing has no usage of its own that signers agree on.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// The certificate whose key is said to have signed.
pub(super) struct Signer<'c> {
    der: &'c [u8],
    certificate: X509Certificate<'c>,
    kind: KeyKind,
    bits: usize,
}

impl<'c> Signer<'c> {
    /// Reads a certificate; the reason if it cannot be used.
    pub(super) fn read(der: &'c [u8]) -> Result<Self, String> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| "the certificate cannot be read".to_owned())?;
        if !rest.is_empty() {
            return Err("something stands behind the certificate".into());
        }
        let info = certificate.public_key();
        let algorithm = info.algorithm.algorithm.to_id_string();
        let curve =
            info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|o| o.to_id_string());
        let kind = match (algorithm.as_str(), curve.as_deref()) {
            ("1.2.840.113549.1.1.1", _) => KeyKind::Rsa,
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => KeyKind::P256,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => KeyKind::P384,
            ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => KeyKind::P521,
            _ => return Err("a kind of key that is not supported".into()),
        };
        let bits = info.parsed().map_or(0, |key| key.key_size());
        Ok(Signer { der, certificate, kind, bits })
    }

    /// The subject, most specific part first.
    pub(super) fn subject(&self) -> String {
        subject(&self.certificate)
    }

    /// The first common name of the subject; empty without one.
    pub(super) fn common_name(&self) -> String {
        let name = self.certificate.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
        name.unwrap_or("").to_owned()
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.kind
    }

    pub(super) fn is_short_rsa(&self) -> bool {
        self.kind == KeyKind::Rsa && self.bits < 2_048
    }

    /// Whether the certificate says what its key is for, and names no signatures.
    fn may_not_sign(&self) -> bool {
        let usage = self.certificate.key_usage().ok().flatten();
        usage.is_some_and(|u| !u.value.digital_signature() && !u.value.non_repudiation())
    }

    /// First and last second of validity.
    pub(super) fn validity(&self) -> (Instant, Instant) {
        let validity = self.certificate.validity();
        (
            Instant::from_seconds(validity.not_before.timestamp()),
            Instant::from_seconds(validity.not_after.timestamp()),
        )
    }

    /// Whether the key made this signature over these bytes.
    pub(super) fn signed(&self, method: Method, bytes: &[u8], value: &[u8]) -> bool {
        let Some(verifier) = method.verifier(self.kind, self.is_short_rsa()) else { return false };
        let Some(value) = self.kind.value(value) else { return false };
        let key = &self.certificate.public_key().subject_public_key.data;
        UnparsedPublicKey::new(verifier, key).verify(bytes, &value).is_ok()
    }
}

/// A certificate's subject as RFC 4514 orders it, with a space after each comma as IPAWS writes it.
pub(super) fn subject(certificate: &X509Certificate<'_>) -> String {
    let mut parts: Vec<String> = certificate
        .subject()
        .iter_rdn()
        .map(|rdn| {
            let pairs: Vec<String> = rdn
                .iter()
                .map(|a| format!("{}={}", attribute_name(a), escaped(a.as_str().unwrap_or(""))))
                .collect();
            pairs.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(", ")
}

/// Such as `CN`, or the dotted identifier of what has no short name.
pub(super) fn attribute_name(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    x509_parser::objects::oid2abbrev(oid, x509_parser::objects::oid_registry())
        .map_or_else(|_| oid.to_id_string(), str::to_owned)
}

/// RFC 4514 section 2.4.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

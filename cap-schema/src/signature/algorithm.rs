//! Algorithms by their identifiers, bound to the kind of key that they need.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as keys, VerificationAlgorithm};

/// A digest method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        match uri {
            "http://www.w3.org/2000/09/xmldsig#sha1" => Some(Digest::Sha1),
            "http://www.w3.org/2001/04/xmlenc#sha256" => Some(Digest::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(Digest::Sha384),
            "http://www.w3.org/2001/04/xmlenc#sha512" => Some(Digest::Sha512),
            _ => None,
        }
    }

    pub(super) fn uri(self) -> &'static str {
        match self {
            Digest::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            Digest::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Digest::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Digest::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    pub(super) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Digest::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => &digest::SHA256,
            Digest::Sha384 => &digest::SHA384,
            Digest::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

/// What kind of key an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
}

impl KeyKind {
    /// Bytes of each of the two numbers of a signature by a curve.
    fn number_bytes(self) -> Option<usize> {
        match self {
            KeyKind::Rsa => None,
            KeyKind::P256 => Some(32),
            KeyKind::P384 => Some(48),
            KeyKind::P521 => Some(66),
        }
    }

    /// A signature value as the verifiers take it. XML signatures write the two numbers of a curve's one behind the other
    /// (XML Signature section 6.4.3), which is an ASN.1 sequence elsewhere. `None` for another length.
    pub(super) fn value(self, value: &[u8]) -> Option<Vec<u8>> {
        let Some(bytes) = self.number_bytes() else { return Some(value.to_vec()) };
        let (r, s) = value.split_at_checked(bytes).filter(|(_, s)| s.len() == bytes)?;
        let content = [integer(r), integer(s)].concat();
        let mut sequence = vec![0x30];
        sequence.extend(length(content.len()));
        sequence.extend(content);
        Some(sequence)
    }
}

/// A whole number above 0 in DER.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes.iter().skip_while(|b| **b == 0).copied().collect();
    let sign = digits.first().is_none_or(|first| *first >= 0x80);
    let mut out = vec![0x02];
    out.extend(length(digits.len() + usize::from(sign)));
    out.extend(sign.then_some(0));
    out.extend(digits);
    out
}

/// A length below 256 in DER.
fn length(bytes: usize) -> Vec<u8> {
    match u8::try_from(bytes) {
        Ok(short @ 0..=0x7f) => vec![short],
        Ok(long) => vec![0x81, long],
        Err(_) => Vec::new(),
    }
}

/// A signature method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) rsa: bool,
    pub(super) digest: Digest,
}

impl Method {
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let (rsa, digest) = match uri {
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1" => (true, Digest::Sha1),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => (true, Digest::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => (true, Digest::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => (true, Digest::Sha512),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => (false, Digest::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => (false, Digest::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512" => (false, Digest::Sha512),
            _ => return None,
        };
        Some(Method { rsa, digest })
    }

    /// Whether a bare RSA key made this signature over these bytes.
    pub(super) fn signed_by_bare_rsa(self, key: &(Vec<u8>, Vec<u8>), bytes: &[u8], value: &[u8]) -> bool {
        let parameters = match (self.rsa, self.digest) {
            (true, Digest::Sha1) => &keys::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (true, Digest::Sha256) => &keys::RSA_PKCS1_2048_8192_SHA256,
            (true, Digest::Sha384) => &keys::RSA_PKCS1_2048_8192_SHA384,
            (true, Digest::Sha512) => &keys::RSA_PKCS1_2048_8192_SHA512,
            (false, _) => return false,
        };
        let trimmed = |number: &[u8]| number.iter().skip_while(|b| **b == 0).copied().collect::<Vec<u8>>();
        let key = keys::RsaPublicKeyComponents { n: trimmed(&key.0), e: trimmed(&key.1) };
        key.verify(parameters, bytes, value).is_ok()
    }

    /// The verifier for a key; `None` where method and key do not belong together.
    pub(super) fn verifier(
        self,
        key: KeyKind,
        short_keys: bool,
    ) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (self.rsa, self.digest, key, short_keys) {
            (true, Digest::Sha1, KeyKind::Rsa, true) => &keys::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (true, Digest::Sha1, KeyKind::Rsa, false) => &keys::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (true, Digest::Sha256, KeyKind::Rsa, true) => {
                &keys::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
            }
            (true, Digest::Sha256, KeyKind::Rsa, false) => &keys::RSA_PKCS1_2048_8192_SHA256,
            (true, Digest::Sha384, KeyKind::Rsa, _) => &keys::RSA_PKCS1_2048_8192_SHA384,
            (true, Digest::Sha512, KeyKind::Rsa, true) => {
                &keys::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
            }
            (true, Digest::Sha512, KeyKind::Rsa, false) => &keys::RSA_PKCS1_2048_8192_SHA512,
            (false, Digest::Sha256, KeyKind::P256, _) => &keys::ECDSA_P256_SHA256_ASN1,
            (false, Digest::Sha384, KeyKind::P256, _) => &keys::ECDSA_P256_SHA384_ASN1,
            (false, Digest::Sha512, KeyKind::P256, _) => &keys::ECDSA_P256_SHA512_ASN1,
            (false, Digest::Sha256, KeyKind::P384, _) => &keys::ECDSA_P384_SHA256_ASN1,
            (false, Digest::Sha384, KeyKind::P384, _) => &keys::ECDSA_P384_SHA384_ASN1,
            (false, Digest::Sha512, KeyKind::P384, _) => &keys::ECDSA_P384_SHA512_ASN1,
            (false, Digest::Sha256, KeyKind::P521, _) => &keys::ECDSA_P521_SHA256_ASN1,
            (false, Digest::Sha384, KeyKind::P521, _) => &keys::ECDSA_P521_SHA384_ASN1,
            (false, Digest::Sha512, KeyKind::P521, _) => &keys::ECDSA_P521_SHA512_ASN1,
            (false, Digest::Sha1, _, _)
            | (false, _, KeyKind::Rsa, _)
            | (true, _, KeyKind::P256 | KeyKind::P384 | KeyKind::P521, _) => return None,
        })
    }
}

/// The last part of an algorithm identifier: what people call it.
pub(super) fn short_name(uri: &str) -> String {
    uri.rsplit(['#', '/']).next().unwrap_or(uri).chars().take(60).collect()
}

//! Signatures of Standard Webhooks 1.0: `v1a` (ed25519) and `v1` (HMAC-SHA256) over `id.timestamp.body`.
//!
//! Owns the keys. They are read from text, never from files, and never print.

use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

use crate::settings::{Fault, Secret};

/// One signing key.
#[derive(Clone)]
pub enum Key {
    /// `v1a`.
    Ed25519(Arc<Ed25519KeyPair>),
    /// `v1`.
    Hmac(Arc<hmac::Key>),
}

impl Key {
    /// Reads an ed25519 key: PKCS#8 in PEM, or `whsk_` and base64 of the seed (32 bytes) or of seed and public key
    /// (64 bytes).
    ///
    /// # Errors
    /// A fault at `key`; it does not say what the file holds.
    pub fn ed25519(key: &str, text: &Secret) -> Result<Self, Fault> {
        let bad = || {
            Fault::new(
                key,
                "is not an ed25519 private key",
                "give PKCS#8 in PEM (openssl genpkey -algorithm ed25519) or whsk_ and base64",
            )
        };
        let text = text.expose();
        let pair = match text.strip_prefix("whsk_") {
            Some(encoded) => {
                let bytes = STANDARD.decode(encoded).map_err(|_| bad())?;
                match (bytes.len(), bytes.split_at_checked(32)) {
                    (32, Some((seed, _))) => Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| bad())?,
                    (64, Some((seed, public))) => {
                        Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| bad())?
                    }
                    _ => return Err(bad()),
                }
            }
            None => {
                let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| bad())?;
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| bad())?
            }
        };
        Ok(Key::Ed25519(Arc::new(pair)))
    }

    /// Reads a shared secret: `whsec_` and base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// A fault at `key`; it does not say what the file holds.
    pub fn hmac(key: &str, text: &Secret) -> Result<Self, Fault> {
        let bad = |problem: &str| {
            Fault::new(
                key,
                problem,
                "give whsec_ and base64 of 24 to 64 random bytes (openssl rand -base64 32)",
            )
        };
        let encoded = text.expose().strip_prefix("whsec_").unwrap_or(text.expose());
        let bytes = STANDARD.decode(encoded).map_err(|_| bad("is not base64"))?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(bad("is not 24 to 64 bytes long"));
        }
        Ok(Key::Hmac(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }
}

/// All keys of one endpoint. Each signs; the receiver takes any that it knows.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<Key>,
}

impl Signer {
    /// A signer with these keys.
    pub fn new(keys: Vec<Key>) -> Self {
        Signer { keys }
    }

    /// The value of `webhook-signature`: one signature a key, separated by a space.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        let each = self.keys.iter().map(|key| match key {
            Key::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&signed))),
            Key::Hmac(secret) => format!("v1,{}", STANDARD.encode(hmac::sign(secret, &signed))),
        });
        each.collect::<Vec<_>>().join(" ")
    }

    /// The public halves (`whpk_` and base64) that receivers check `v1a` with.
    pub fn public_keys(&self) -> Vec<String> {
        let each = self.keys.iter().filter_map(|key| match key {
            Key::Ed25519(pair) => Some(format!("whpk_{}", STANDARD.encode(pair.public_key()))),
            Key::Hmac(_) => None,
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// The vector of the reference libraries.
    #[test]
    fn hmac_signature_is_that_of_the_reference_libraries() {
        let key = Key::hmac("k", &secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = Signer::new(vec![key]).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 8032 section 7.1, test 2: one key in three spellings makes one signature, and the public half fits.
    #[test]
    fn ed25519_keys_are_read_in_every_spelling() {
        let seed = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
            0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
        ];
        let public = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = public.public_key().as_ref();
        assert_eq!(public[..4], [0x3d, 0x40, 0x17, 0xc3]);
        let mut der = vec![
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ];
        der.extend(seed);
        let begin = "-----BEGIN PRIVATE KEY-----";
        let end = "-----END PRIVATE KEY-----";
        let spellings = [
            format!("whsk_{}", STANDARD.encode(seed)),
            format!("whsk_{}", STANDARD.encode([&seed[..], public].concat())),
            format!("{begin}\n{}\n{end}\n", STANDARD.encode(der)),
        ];
        let signed: Vec<_> = spellings
            .iter()
            .map(|text| {
                let signer = Signer::new(vec![Key::ed25519("k", &secret(text)).unwrap()]);
                assert_eq!(signer.public_keys(), [format!("whpk_{}", STANDARD.encode(public))]);
                signer.sign("msg_1", 1, b"x")
            })
            .collect();
        assert!(signed.iter().all(|s| s == &signed[0] && s.starts_with("v1a,")));
        let raw = STANDARD.decode(signed[0].trim_start_matches("v1a,")).unwrap();
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
        assert!(key.verify(b"msg_1.1.x", &raw).is_ok());
        assert!(key.verify(b"msg_1.2.x", &raw).is_err());
    }

    #[test]
    fn keys_that_are_none_are_faults_without_their_content() {
        for text in [
            "",
            "whsk_AAAA",
            "whsk_!",
            "hunter2",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            let fault = Key::ed25519("key_file", &secret(text)).map(|_| ()).unwrap_err();
            assert!(!format!("{fault:?}").contains("hunter2"));
        }
        for text in ["whsec_AAAA", "whsec_!", "hunter2"] {
            assert!(Key::hmac("secret_file", &secret(text)).is_err());
        }
    }
}

//! Signing a mail with the key of the sender's domain (DKIM, RFC 6376 and RFC 8463), relaxed/relaxed.
//!
//! Owns the key and the two canonical forms. The signature says nothing of the time of the attempt, so a mail is the same
//! over retries. Headers that must not be added on the way are named twice (RFC 6376 section 5.4.2).

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

use crate::settings::{Fault, Secret};

/// What is signed; a name that is given twice also signs that there is no second one.
const HEADERS: &str = "from:from:to:to:subject:subject:date:date:message-id:mime-version:content-type:content-type:\
                       in-reply-to:references:auto-submitted";
/// The longest line of the header that is made.
const LINE: usize = 72;

/// The key of a domain.
#[derive(Clone)]
pub(super) struct Signer {
    domain: String,
    selector: String,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Ed25519(Arc<Ed25519KeyPair>),
    Rsa(Arc<RsaKeyPair>),
}

impl Signer {
    /// Reads the key.
    ///
    /// # Errors
    /// A fault at `dkim_key_file` or `dkim_selector`; it does not say what the file holds.
    pub(super) fn new(domain: &str, selector: &str, key: &Secret) -> Result<Self, Fault> {
        let label = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if !label(selector) {
            return Err(Fault::new(
                "dkim_selector",
                "is not a name in DNS",
                "use letters, digits and hyphens",
            ));
        }
        if !label(domain) {
            return Err(Fault::new("dkim_domain", "is not a name in DNS", "use the domain of `from`"));
        }
        let bad = || {
            let remedy = "give PKCS#8 in PEM: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048, or ed25519";
            Fault::new(
                "dkim_key_file",
                "is neither an RSA key of 2048 bits or more nor an ed25519 key",
                remedy,
            )
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| bad())?;
        let der = der.secret_pkcs8_der();
        let key = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => Key::Ed25519(Arc::new(pair)),
            Err(_) => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| bad())?;
                if pair.public_modulus_len() < 256 {
                    return Err(bad());
                }
                Key::Rsa(Arc::new(pair))
            }
        };
        Ok(Signer { domain: domain.to_owned(), selector: selector.to_owned(), key })
    }

    /// The mail with its signature in front, or `None` if the library refuses to sign.
    pub(super) fn sign(&self, mail: &[u8]) -> Option<Vec<u8>> {
        let at = mail.windows(4).position(|w| w == b"\r\n\r\n")?;
        let (head, rest) = mail.split_at_checked(at + 2)?;
        let body = rest.get(2..)?;
        let algorithm = match self.key {
            Key::Ed25519(_) => "ed25519-sha256",
            Key::Rsa(_) => "rsa-sha256",
        };
        let body_hash = STANDARD.encode(digest::digest(&digest::SHA256, &relaxed_body(body)));
        let unsigned = folded(&format!(
            "v=1; a={algorithm}; c=relaxed/relaxed; d={}; s={}; h={HEADERS}; bh={body_hash}; b=",
            self.domain, self.selector
        ));
        let mut data = signed_headers(head);
        data.extend(relaxed_header("dkim-signature", &unsigned));
        let signature = match &self.key {
            Key::Ed25519(pair) => {
                pair.sign(digest::digest(&digest::SHA256, &data).as_ref()).as_ref().to_vec()
            }
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &data, &mut signature).ok()?;
                signature
            }
        };
        let mut signed = format!("DKIM-Signature: {unsigned}").into_bytes();
        for line in STANDARD.encode(signature).as_bytes().chunks(LINE) {
            signed.extend_from_slice(b"\r\n ");
            signed.extend_from_slice(line);
        }
        signed.extend_from_slice(b"\r\n");
        signed.extend_from_slice(mail);
        Some(signed)
    }

    /// The record for the domain's DNS, at `SELECTOR._domainkey.DOMAIN`.
    pub(super) fn record(&self) -> String {
        match &self.key {
            Key::Ed25519(pair) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key())),
            Key::Rsa(pair) => {
                let spki = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(
                    pair.public_key(),
                );
                let key = spki.map(|der| STANDARD.encode(der.as_ref())).unwrap_or_default();
                format!("v=DKIM1; k=rsa; p={key}")
            }
        }
    }
}

/// Breaks a tag list into lines. White space inside it means nothing (RFC 6376 section 3.2), but not inside the names of
/// the header list, so it is broken after a colon or a semicolon only.
fn folded(tags: &str) -> String {
    let mut out = String::new();
    let mut length = "DKIM-Signature: ".len();
    for piece in tags.split_inclusive([':', ' ']) {
        if length + piece.len() > LINE {
            out.truncate(out.trim_end().len());
            out.push_str("\r\n ");
            length = 1;
        }
        out.push_str(piece);
        length += piece.len();
    }
    out
}

/// The signed headers in the order of their names; of a name that is given twice the last comes first (section 5.4.2).
fn signed_headers(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str("\r\n");
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    let mut out = Vec::new();
    for name in HEADERS.split(':') {
        if let Some(at) = fields.iter().rposition(|(field, _)| field == name) {
            let (_, value) = fields.remove(at);
            out.extend(relaxed_header(name, &value));
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// Section 3.4.2: one line, runs of white space as one space, none at the ends.
fn relaxed_header(name: &str, value: &str) -> Vec<u8> {
    let value: Vec<&str> = value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    format!("{name}:{}", value.join(" ")).into_bytes()
}

/// Section 3.4.4: runs of white space as one space, none at the end of a line, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let text = body.strip_suffix(b"\r\n").unwrap_or(body);
    for line in text.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut gap = false;
        for byte in line {
            match byte {
                b' ' | b'\t' => gap = true,
                other => {
                    if gap {
                        out.push(b' ');
                    }
                    gap = false;
                    out.push(*other);
                }
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    while out.ends_with(b"\r\n\r\n") {
        out.truncate(out.len() - 2);
    }
    if out == b"\r\n" { Vec::new() } else { out }
}

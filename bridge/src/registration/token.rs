//! Bearer tokens and the roles that they carry.
//!
//! Owns what is kept of a token: its SHA-256 and never itself. A token has 256 random bits, so a plain hash cannot be
//! turned back (ASVS 5 appendix C). The text is shown once, when it is made.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capbridge_adapters::token::TokenDigest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Name;

/// How a token begins, so that it is found where it was left by mistake.
const PREFIX: &str = "cbt_";
/// Random bytes of a token.
const BYTES: usize = 32;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, tokens and responders too.
    Admin,
    /// The daily work: endpoints, subscriptions, quarantine, dead letters.
    Operator,
    /// Sees everything and changes nothing.
    Auditor,
    /// A responder: its own endpoints and subscriptions.
    Responder,
}

impl Role {
    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Auditor => "auditor",
            Role::Responder => "responder",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// For the record: `token NAME`, or `local` for somebody at the machine.
    pub by: String,
    /// What it may do.
    pub role: Role,
    /// Whose things it may touch; with `Role::Responder` only.
    pub responder: Option<Name>,
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Version of this document.
    pub v: u8,
    /// Its name.
    pub name: Name,
    /// What it lets its holder do.
    pub role: Role,
    /// Whose token it is; with `Role::Responder` only.
    pub responder: Option<Name>,
    /// SHA-256 of the token, lower-case hex.
    pub digest: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From when on it is good for nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// What a new token is to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenOrder {
    /// Its name.
    pub name: Name,
    /// What it lets its holder do.
    pub role: Role,
    /// Whose token it is; with `Role::Responder` only.
    #[serde(default)]
    pub responder: Option<Name>,
    /// From when on it is good for nothing.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A token as its holder has it. Does not print.
pub struct Bearer(String);

impl Bearer {
    /// A new one; `None` where the system gives no randomness.
    pub fn random() -> Option<Self> {
        let mut bytes = [0_u8; BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Bearer(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> String {
        Self::digest_of(&self.0)
    }

    /// The digest of what somebody presents.
    pub fn digest_of(text: &str) -> String {
        TokenDigest::of(text).hex()
    }
}

impl Token {
    /// Whether it lets anybody in at this time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Who holds it.
    pub fn caller(&self) -> Caller {
        Caller { by: format!("token {}", self.name), role: self.role, responder: self.responder.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_alike_and_only_the_digest_is_kept() {
        let (one, other) = (Bearer::random().unwrap(), Bearer::random().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 47);
        assert_eq!(one.digest(), Bearer::digest_of(one.expose()));
        // FIPS 180-2 appendix B.1.
        assert_eq!(
            Bearer::digest_of("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

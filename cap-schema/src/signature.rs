//! Enveloped XML signatures on alerts (XML Signature, W3C 2008; ipaws page 6, cap page 4.6, reliability page 6).
//!
//! Owns the states that a signature can be in and what a policy may allow. What is verified is what the one strict
//! reader reads; keys come only from certificates, trust only from the caller's store. Must not fetch anything.

mod algorithm;
mod cog;
mod pin;
mod read;
mod sign;
mod trust;
mod verified;
mod verify;

use std::fmt;

use serde::Serialize;

pub use cog::cog_of;
pub use sign::{DigestMethod, Form, SignError, SigningKey, sign, sign_as};
pub use trust::{TrustError, TrustStore};
pub use verified::{NotVerified, Verified, verified};
pub use verify::{verify, verify_document};

use crate::alert::Alert;
use crate::finding::Finding;
use crate::limits::Limits;
use crate::rules::finding;

/// What is known of a signature, or of all signatures of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It verifies, and its certificate chains to the trust store.
    Trusted,
    /// It verifies; whether the signer is to be believed is not known.
    Untrusted,
    /// It does not verify, or is not where or what it must be.
    Invalid,
    /// There is none.
    Absent,
    /// It uses what this reader or the policy does not allow.
    Unsupported,
}

impl State {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Trusted => "trusted",
            State::Untrusted => "untrusted",
            State::Invalid => "invalid",
            State::Absent => "absent",
            State::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a source's policy allows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    /// SHA-1 in digests and signatures, and RSA keys of less than 2048 bits: what NAADS used before 2015.
    pub allow_sha1: bool,
    /// A signer's certificate that was not valid at `sent`.
    pub accept_expired: bool,
    /// Bounds of what is read.
    pub limits: Limits,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignatureReport {
    /// What is known of it.
    pub state: State,
    /// The signature algorithm, short: `rsa-sha256`.
    pub algorithm: String,
    /// Subject of the signer's certificate; empty where there is none.
    pub subject: String,
    /// Why, in words.
    pub reason: String,
    /// Common name in the subject of the certificate, as it stands there.
    #[serde(skip)]
    pub common_name: Option<String>,
}

/// All signatures of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The overall state: absent without signatures; invalid if one is; else unsupported if one is; else trusted if one
    /// is; else untrusted.
    pub state: State,
    /// Each signature, in document order.
    pub signatures: Vec<SignatureReport>,
}

impl Verification {
    /// No signature.
    pub fn absent() -> Self {
        Verification { state: State::Absent, signatures: Vec::new() }
    }

    /// The overall state of some signatures.
    fn of(signatures: Vec<SignatureReport>) -> Self {
        let has = |state| signatures.iter().any(|s| s.state == state);
        let state = [State::Invalid, State::Unsupported, State::Trusted, State::Untrusted]
            .into_iter()
            .find(|state| has(*state))
            .unwrap_or(State::Absent);
        Verification { state, signatures }
    }

    /// What signatures and alert say together: that a signature is invalid, or that another signed than the alert names.
    pub fn findings(&self, alert: &Alert<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.state == State::Invalid {
            let worst = self.signatures.iter().find(|s| s.state == self.state);
            let reason = worst.map_or("no signature", |s| s.reason.as_str());
            found.push(finding("signature.invalid", "/alert/Signature", reason));
        }
        found.extend(cog::check(alert, self));
        found
    }
}

//! Stage 2: is the document to be believed?
//!
//! Owns signature state, freshness and profile findings against the source's policy. Must not change the document.

use cap_schema::signature::{self, Policy, State, TrustStore, Verification};
use cap_schema::{Alert, Finding, Level, Profile};
use capbridge_adapters::registry::{SignatureRule, Strictness};
use jiff::{SignedDuration, Timestamp};

use super::{Reason, Setback};
use crate::settings::IntakeTable;

/// What a source's documents must satisfy.
#[derive(Clone, Debug)]
pub struct SourceTrust {
    /// What a signature must be.
    pub signature: SignatureRule,
    /// Whether error-level findings keep a document out.
    pub strictness: Strictness,
    /// Certificates that are trusted.
    pub store: TrustStore,
    /// Algorithms and expired certificates.
    pub policy: Policy,
}

/// What verification found about a document that passed.
#[derive(Debug)]
pub struct Verified {
    /// State of the signatures on the received bytes.
    pub verification: Verification,
    /// Profile findings.
    pub findings: Vec<Finding>,
}

/// Checks a document against the trust rule of its source.
///
/// # Errors
/// A setback for quarantine.
pub fn verify(raw: &[u8], alert: &Alert<'_>, trust: &SourceTrust) -> Result<Verified, Box<Setback>> {
    let reference = super::reference_of(alert);
    let refuse = |reason, detail: String, findings| {
        Err(Box::new(Setback { reason, detail, findings, reference: reference.clone() }))
    };
    let mut findings = cap_schema::validate(alert, Profile::Cap);
    for profile in cap_schema::profiles_of(alert) {
        if profile != Profile::Cap {
            findings.extend(cap_schema::validate(alert, profile));
        }
    }
    let verification = match trust.signature {
        SignatureRule::Ignored => Verification::absent(),
        SignatureRule::Checked | SignatureRule::Required => {
            signature::verify(raw, &trust.store, &trust.policy)
        }
    };
    findings.extend(verification.findings(alert));
    let reason_of_signature =
        || verification.signatures.iter().map(|s| s.reason.as_str()).collect::<Vec<_>>().join("; ");
    match (trust.signature, verification.state) {
        (SignatureRule::Ignored, _) | (_, State::Trusted) => {}
        (SignatureRule::Checked, State::Absent | State::Untrusted | State::Unsupported) => {}
        (SignatureRule::Checked, State::Invalid) => {
            return refuse(Reason::Signature, format!("invalid: {}", reason_of_signature()), findings);
        }
        (SignatureRule::Required, State::Absent) => {
            return refuse(Reason::Signature, "absent, and this source requires one".into(), findings);
        }
        (SignatureRule::Required, state @ (State::Untrusted | State::Unsupported | State::Invalid)) => {
            return refuse(Reason::Signature, format!("{state}: {}", reason_of_signature()), findings);
        }
    }
    if trust.strictness == Strictness::Strict
        && let Some(first) = findings.iter().find(|f| f.level == Level::Error)
    {
        let detail = format!("{}: {}", first.rule, first.message);
        return refuse(Reason::Rules, detail, findings);
    }
    Ok(Verified { verification, findings })
}

/// `sent` must be an instant, not far ahead of the clock, and not so old that the message is a replay.
///
/// # Errors
/// The reason and the words for quarantine.
pub fn fresh(alert: &Alert<'_>, now: Timestamp, intake: &IntakeTable) -> Result<(), (Reason, String)> {
    let Some(sent) = super::instant(&alert.sent) else {
        return Err((Reason::Document, "sent is not a time".into()));
    };
    let secs = |n: u64| SignedDuration::from_secs(i64::try_from(n).unwrap_or(i64::MAX / 1_000));
    let ahead = sent.duration_since(now);
    if ahead > secs(intake.future_secs) {
        return Err((Reason::Future, format!("sent is {} s ahead of the clock", ahead.as_secs())));
    }
    let age = now.duration_since(sent);
    let expired = super::expires(alert).is_none_or(|e| e < now);
    if age > secs(intake.stale_secs) && expired {
        return Err((Reason::Stale, format!("sent {} h ago and no longer in force", age.as_hours())));
    }
    Ok(())
}

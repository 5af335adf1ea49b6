//! Verification on the received bytes.

use std::ops::Range;

use super::algorithm::Digest;
use super::read::{self, Claims, Fault, Node, Outline};
use super::trust::{Signer, TrustStore};
use super::{Policy, SignatureReport, State, Verification};
use crate::document::Document;
use crate::time::{Instant, Time};
use crate::xml::c14n;

/// Verifies all signatures of an alert's bytes.
///
/// A document that cannot be read has no signature to speak of: absent. The digest of each signature covers the whole
/// document without that signature, or, as NAADS makes them, without all signatures.
pub fn verify(bytes: &[u8], trust: &TrustStore, policy: &Policy) -> Verification {
    match Document::read(bytes, &policy.limits) {
        Ok(document) => verify_text(document.text(), trust, policy),
        Err(_) => Verification::absent(),
    }
}

/// Verifies all signatures of a document that passed the gate.
pub fn verify_document(document: &Document<'_>, trust: &TrustStore, policy: &Policy) -> Verification {
    verify_text(document.text(), trust, policy)
}

/// Verifies all signatures of a text that passed the gate.
pub(super) fn verify_text(text: &str, trust: &TrustStore, policy: &Policy) -> Verification {
    let Ok(outline) = read::outline(text, &policy.limits) else { return Verification::absent() };
    let check = Check { text, trust, policy, outline: &outline };
    let count = outline.signatures.len();
    let mut reports: Vec<SignatureReport> = if count > policy.limits.signatures {
        vec![SignatureReport {
            state: State::Unsupported,
            algorithm: String::new(),
            subject: String::new(),
            reason: format!("{count} signatures; the limit is {}", policy.limits.signatures),
            common_name: None,
        }]
    } else {
        outline.signatures.iter().map(|s| check.report(s)).collect()
    };
    if outline.misplaced {
        reports.push(SignatureReport {
            state: State::Invalid,
            algorithm: String::new(),
            subject: String::new(),
            reason: "a signature stands where none may: not as a child of alert".into(),
            common_name: None,
        });
    }
    Verification::of(reports)
}

struct Check<'c> {
    text: &'c str,
    trust: &'c TrustStore,
    policy: &'c Policy,
    outline: &'c Outline<'c>,
}

impl Check<'_> {
    fn report(&self, signature: &Node<'_>) -> SignatureReport {
        let mut report = SignatureReport {
            state: State::Invalid,
            algorithm: read::algorithm_name(signature),
            subject: String::new(),
            reason: String::new(),
            common_name: None,
        };
        match read::claims(signature, &self.policy.limits) {
            Err(Fault::Structure(reason)) => report.reason = reason,
            Err(Fault::Unsupported(reason)) => {
                report.state = State::Unsupported;
                report.reason = reason;
            }
            Ok(claims) => {
                let mut name = None;
                (report.state, report.subject, report.reason) = self.judge(signature, &claims, &mut name);
                report.common_name = name;
            }
        }
        report
    }

    /// State, subject and reason; `name` becomes the common name of who signed.
    fn judge(
        &self,
        signature: &Node<'_>,
        claims: &Claims,
        name: &mut Option<String>,
    ) -> (State, String, String) {
        let mut subject = String::new();
        let invalid = |subject: String, reason: &str| (State::Invalid, subject, reason.to_owned());
        let sha1 = claims.digest == Digest::Sha1 || claims.method.digest == Digest::Sha1;
        if sha1 && !self.policy.allow_sha1 {
            return (State::Unsupported, subject, "SHA-1, which the policy does not allow".into());
        }
        let Ok(signed_info) =
            c14n::element(self.text, &self.policy.limits, &claims.signed_info_form, claims.signed_info, &[])
        else {
            return invalid(subject, "SignedInfo has no canonical form");
        };
        if claims.certificates.is_empty() {
            return self.judge_bare(signature, claims, &signed_info);
        }
        let mut signer = None;
        for der in &claims.certificates {
            let candidate = match Signer::read(der) {
                Ok(candidate) => candidate,
                Err(reason) => return (State::Unsupported, subject, reason),
            };
            if subject.is_empty() {
                subject = candidate.subject();
            }
            if candidate.is_short_rsa() && !self.policy.allow_sha1 {
                return (State::Unsupported, subject, "an RSA key of less than 2048 bits".into());
            }
            if claims.method.verifier(candidate.kind(), false).is_none() && claims.certificates.len() == 1 {
                return invalid(subject, "the method does not belong to the kind of key");
            }
            if candidate.signed(claims.method, signed_info.as_bytes(), &claims.value) {
                subject = candidate.subject();
                *name = Some(candidate.common_name());
                signer = Some(candidate);
                break;
            }
        }
        let Some(signer) = signer else {
            return invalid(subject, "the signature value does not belong to SignedInfo and certificate");
        };
        if !self.digest_holds(signature, claims) {
            return invalid(
                subject,
                "the digest does not belong to the document: it was changed after signing",
            );
        }
        self.trust(&signer, claims, subject, sha1)
    }

    /// A signature without certificate can verify, and is never trusted.
    fn judge_bare(
        &self,
        signature: &Node<'_>,
        claims: &Claims,
        signed_info: &str,
    ) -> (State, String, String) {
        let Some(key) = &claims.bare_key else {
            return (State::Unsupported, String::new(), "no certificate in the signature".into());
        };
        let (state, reason) = if !claims.method.signed_by_bare_rsa(key, signed_info.as_bytes(), &claims.value)
        {
            (State::Invalid, "the signature value does not belong to SignedInfo and key")
        } else if !self.digest_holds(signature, claims) {
            (State::Invalid, "the digest does not belong to the document: it was changed after signing")
        } else {
            (State::Untrusted, "verified, but the key is a bare one that comes with the message")
        };
        (state, String::new(), reason.to_owned())
    }

    /// Without the signature itself, or, as NAADS does it, without all.
    fn digest_holds(&self, signature: &Node<'_>, claims: &Claims) -> bool {
        let all: Vec<Range<usize>> = self.outline.signatures.iter().map(|s| s.range.clone()).collect();
        let own = [signature.range.clone()];
        let ways: &[&[Range<usize>]] = if all.len() > 1 { &[&all, &own] } else { &[&own] };
        ways.iter().any(|left_out| {
            c14n::document(self.text, &self.policy.limits, &claims.document_form, left_out)
                .is_ok_and(|form| claims.digest.of(form.as_bytes()) == claims.digest_value)
        })
    }

    fn trust(
        &self,
        signer: &Signer<'_>,
        claims: &Claims,
        subject: String,
        sha1: bool,
    ) -> (State, String, String) {
        let note = if sha1 { " (SHA-1)" } else { "" };
        let Some(sent) = Time::new(self.outline.sent.as_ref()).instant() else {
            return (
                State::Untrusted,
                subject,
                format!("verified{note}, but sent is no time to judge it by"),
            );
        };
        let (from, until) = signer.validity();
        let mut at = sent;
        let mut expired = "";
        if sent < from || sent > until {
            if !self.policy.accept_expired {
                let reason =
                    format!("verified{note}, but the certificate was not valid when the alert was sent");
                return (State::Untrusted, subject, reason);
            }
            at = Instant::from_seconds(sent.seconds().clamp(from.seconds(), until.seconds()));
            expired = ", with a certificate that was not valid when the alert was sent";
        }
        match self.trust.believes(signer, &claims.certificates, at) {
            Ok(()) => (State::Trusted, subject, format!("verified{note}{expired}")),
            Err(reason) => (State::Untrusted, subject, format!("verified{note}, but {reason}")),
        }
    }
}

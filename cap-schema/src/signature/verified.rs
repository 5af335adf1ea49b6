//! An alert that was verified: the only way to it is through the signature.

use super::trust::TrustStore;
use super::verify::verify_text;
use super::{Policy, State, Verification};
use crate::alert::Alert;
use crate::document::Document;
use crate::finding::Rejection;
use crate::parse::Parsed;

/// What was read from a text whose signatures were verified. There is no other way to make one, so a caller that holds it
/// cannot read anything else than what was signed: each signature covers all of `alert`, and the model comes from the
/// same text through the same reader.
#[derive(Clone, Debug)]
pub struct Verified<'a> {
    parsed: Parsed<'a>,
    verification: Verification,
}

/// Why there is no verified alert.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// There is no alert to speak of, or none that can be acted on.
    #[error("the document is refused")]
    Refused {
        /// Why.
        #[source]
        cause: Rejection,
    },
    /// The signatures are not trusted.
    #[error("the signature is {}", .verification.state)]
    Signature {
        /// What is known of them.
        verification: Verification,
    },
}

/// Reads an alert whose signature is trusted.
///
/// # Errors
/// The document is refused, or its overall signature state is not trusted.
pub fn verified<'d>(
    document: &'d Document<'_>,
    trust: &TrustStore,
    policy: &Policy,
) -> Result<Verified<'d>, NotVerified> {
    let parsed = document.parse().map_err(|cause| NotVerified::Refused { cause })?;
    if !parsed.accepted() {
        return Err(NotVerified::Refused { cause: Rejection { findings: parsed.findings } });
    }
    let verification = verify_text(document.text(), trust, policy);
    if verification.state != State::Trusted {
        return Err(NotVerified::Signature { verification });
    }
    Ok(Verified { parsed, verification })
}

impl<'a> Verified<'a> {
    /// The alert.
    pub fn alert(&self) -> &Alert<'a> {
        &self.parsed.alert
    }

    /// Who signed.
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// What reading noticed, and the alert.
    pub fn into_parsed(self) -> Parsed<'a> {
        self.parsed
    }
}

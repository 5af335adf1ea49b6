//! Stage 1: from received bytes to a CAP alert.
//!
//! Owns the gate and the one reading of the document. What is not an alert becomes a `Setback` with a reason; nothing
//! is dropped. Must not decide whether an alert is believed.

use std::borrow::Cow;

use bytes::Bytes;
use cap_schema::{Alert, Document, Finding, Limits, Rejection};
use capbridge_adapters::masas;
use capbridge_adapters::source::{Form, Problem, Received};

use super::{Reason, Setback};

/// An alert that was read, with what was noticed on the way.
#[derive(Debug)]
pub struct Read {
    /// The model, free of the input.
    pub alert: Alert<'static>,
    /// Everything that reading found.
    pub findings: Vec<Finding>,
    /// The CAP document that was made, where the original is not CAP.
    pub derived: Option<Bytes>,
}

/// Reads a received document.
///
/// # Errors
/// A setback for quarantine: what is wrong, with the findings.
pub fn read(
    received: &Received,
    limits: &Limits,
    masas: &masas::entry::EntrySettings,
) -> Result<Read, Box<Setback>> {
    if let Some(problem) = received.problem {
        let reason = match problem {
            Problem::Stray | Problem::TakenBack => Reason::Document,
            Problem::EnclosureUnavailable | Problem::TooLarge => Reason::Incomplete,
        };
        return Err(Setback::boxed(reason, problem.to_string()));
    }
    let (cap, derived, mut findings) = match received.form {
        Form::Cap => (Cow::Borrowed(received.raw.as_ref()), None, Vec::new()),
        Form::MasasEntry => derived(masas::entry::to_cap(&received.raw, masas))?,
        Form::MasasEnding => derived(masas::entry::to_cancel(&received.raw, masas))?,
    };
    let document = Document::read(&cap, limits).map_err(refused)?;
    let parsed = document.parse().map_err(refused)?;
    let accepted = parsed.accepted();
    let alert = parsed.alert.into_owned();
    findings.extend(parsed.findings);
    if !accepted {
        return Err(Box::new(Setback {
            reason: Reason::Document,
            detail: first_words(&findings),
            reference: super::reference_of(&alert),
            findings,
        }));
    }
    Ok(Read { alert, findings, derived })
}

type Derived<'d> = (Cow<'d, [u8]>, Option<Bytes>, Vec<Finding>);

fn derived<'d>(
    made: Result<masas::entry::Made, masas::entry::EntryError>,
) -> Result<Derived<'d>, Box<Setback>> {
    let made = made.map_err(|error| Setback::boxed(Reason::Document, crate::telemetry::chain(&error)))?;
    let cap = Bytes::from(made.cap);
    Ok((Cow::Owned(cap.to_vec()), Some(cap), made.findings))
}

fn refused(rejection: Rejection) -> Box<Setback> {
    Box::new(Setback {
        reason: Reason::Document,
        detail: first_words(&rejection.findings),
        reference: None,
        findings: rejection.findings,
    })
}

/// The first error in words, for lists.
fn first_words(findings: &[Finding]) -> String {
    findings
        .iter()
        .find(|f| f.level == cap_schema::Level::Error)
        .or(findings.first())
        .map_or_else(String::new, |f| format!("{}: {} (line {})", f.rule, f.message, f.line))
}

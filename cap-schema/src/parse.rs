//! From a document to the model: `Parsed { alert, findings }`.
//!
//! Owns cardinality, order and lexical gate of the content model (CAP 1.2 section 3.2 and schema). Prose rules are in
//! `validate`. Must not give up where an alert can still be spoken of.

mod content;
mod elements;
mod locate;
mod place;

use crate::alert::Alert;
use crate::finding::{Finding, Rejection};
use crate::limits::Limits;

pub(crate) use content::is_decimal;
pub(crate) use locate::locate;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The model.
    pub alert: Alert<'a>,
    /// What was noticed, in document order.
    pub findings: Vec<Finding>,
}

impl Parsed<'_> {
    /// Whether the document can be acted on safely, whatever the profile (design 7). If not, at least one finding is an
    /// error.
    pub fn accepted(&self) -> bool {
        !self.findings.iter().any(|f| f.fatal)
    }

    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Parsed<'static> {
        Parsed { alert: self.alert.into_owned(), findings: self.findings }
    }
}

/// Reads the alert of a text that passed the gate.
pub(crate) fn parse<'t>(text: &'t str, limits: &'t Limits) -> Result<Parsed<'t>, Rejection> {
    elements::document(text, limits)
}

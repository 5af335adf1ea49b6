//! What a translation did to each field, for a duty officer and for machines.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Target;

/// What was done to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// As in the original.
    Kept,
    /// Other words or codes for the same.
    Mapped,
    /// Computed.
    Derived,
    /// Shortened.
    Cut,
    /// Left out.
    Dropped,
}

/// How much a duty officer should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing of the meaning changed.
    Note,
    /// Something of the meaning is said differently or left out.
    Warning,
    /// A person should look before relying on the message.
    Alarm,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The field, such as `info[1]/eventCode`.
    pub field: String,
    /// What was done.
    pub action: Action,
    /// How and why: values, the row of the table.
    pub detail: String,
    /// How much it matters.
    pub severity: Severity,
}

/// The report of one translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this shape.
    pub v: u8,
    /// The target.
    pub target: String,
    /// The fields, in the order of the work.
    pub lines: Vec<Line>,
}

impl Report {
    pub(super) fn new(target: Target) -> Self {
        Report { v: 1, target: target.as_str().to_owned(), lines: Vec::new() }
    }

    pub(super) fn add(&mut self, field: &str, action: Action, detail: &str, severity: Severity) {
        let line = Line { field: field.to_owned(), action, detail: detail.to_owned(), severity };
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    pub(super) fn dropped_if(&mut self, dropped: bool, field: &str, why: &str) {
        if dropped {
            self.add(field, Action::Dropped, why, Severity::Note);
        }
    }

    pub(super) fn kept_if(&mut self, kept: bool, field: &str, why: &str) {
        if kept {
            self.add(field, Action::Kept, why, Severity::Note);
        }
    }

    /// The highest severity.
    pub fn severity(&self) -> Severity {
        self.lines.iter().map(|l| l.severity).max().unwrap_or(Severity::Note)
    }

    /// The report in words, a line each.
    pub fn to_words(&self) -> String {
        let mut words = format!("translated for {}:\n", self.target);
        for line in &self.lines {
            let action = match line.action {
                Action::Kept => "kept",
                Action::Mapped => "mapped",
                Action::Derived => "derived",
                Action::Cut => "cut",
                Action::Dropped => "dropped",
            };
            let mark = match line.severity {
                Severity::Note => "  ",
                Severity::Warning => "! ",
                Severity::Alarm => "!!",
            };
            // Writing to a String does not fail.
            let _ = writeln!(words, "{mark} {:<28} {action:<8} {}", line.field, line.detail);
        }
        words
    }
}

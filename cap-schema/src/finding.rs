//! Findings: rules that a document does not meet, with the place.

use serde::{Deserialize, Serialize};

use crate::lines::Walk;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The document breaks a rule.
    Error,
    /// It may surprise somebody.
    Warning,
    /// Something was noticed.
    Note,
}

/// One rule that is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The element, such as `/alert/info[2]/area[1]`.
    pub path: String,
    /// Line, from 1; 0 where there is no place.
    pub line: u32,
    /// Column in characters, from 1; 0 where there is no place.
    pub column: u32,
    /// What is wrong, for a person.
    pub message: String,
    /// The document cannot be acted on safely because of it (design 7: `accepted` false).
    #[serde(skip)]
    pub fatal: bool,
}

impl Finding {
    /// A finding at a path; the place in the text is filled in later.
    pub fn new(
        rule: &'static str,
        level: Level,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Finding { rule, level, path: path.into(), line: 0, column: 0, message: message.into(), fatal: false }
    }

    /// An error that makes the document unusable.
    pub fn fatal(rule: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { fatal: true, ..Finding::new(rule, Level::Error, path, message) }
    }

    /// A finding about a whole file.
    pub fn about_file(rule: &'static str, message: impl Into<String>) -> Self {
        Finding::fatal(rule, "", message)
    }
}

/// There is no alert to speak of. Has at least one error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document holds no alert that can be read")]
pub struct Rejection {
    /// Why.
    pub findings: Vec<Finding>,
}

impl Rejection {
    /// With one reason at a place of the text.
    pub(crate) fn at(rule: &'static str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let mut finding = Finding::fatal(rule, "", message);
        (finding.line, finding.column) = place(text, offset);
        Rejection { findings: vec![finding] }
    }
}

/// Line and column (characters) of a byte offset, from 1.
pub(crate) fn place(text: &str, offset: usize) -> (u32, u32) {
    Walk::default().to(text.as_bytes(), offset)
}

/// Gives findings the places of their offsets, in order of offset, in one pass over the text.
pub(crate) fn places(text: &str, mut found: Vec<(Finding, usize)>) -> Vec<Finding> {
    found.sort_by_key(|(_, offset)| *offset);
    let mut walk = Walk::default();
    for (finding, offset) in &mut found {
        (finding.line, finding.column) = walk.to(text.as_bytes(), *offset);
    }
    found.into_iter().map(|(finding, _)| finding).collect()
}

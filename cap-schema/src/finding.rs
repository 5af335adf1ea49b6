//! Findings: rules that a document does not meet, with the place.

use serde::{Deserialize, Serialize};

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
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or("");
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Gives findings the places of their offsets, in order of offset, in one pass over the text.
pub(crate) fn places(text: &str, mut found: Vec<(Finding, usize)>) -> Vec<Finding> {
    found.sort_by_key(|(_, offset)| *offset);
    let mut walk = Walk::default();
    for (finding, offset) in &mut found {
        (finding.line, finding.column) = walk.to(text, *offset);
    }
    found.into_iter().map(|(finding, _)| finding).collect()
}

/// Lines and columns of growing offsets.
pub(crate) struct Walk {
    at: usize,
    line: u32,
    column: u32,
}

impl Default for Walk {
    fn default() -> Self {
        Walk { at: 0, line: 1, column: 1 }
    }
}

impl Walk {
    /// Line and column of an offset that is not before the last one.
    pub(crate) fn to(&mut self, text: &str, offset: usize) -> (u32, u32) {
        let stretch = text.get(self.at..offset).unwrap_or("");
        let lines = memchr::memchr_iter(b'\n', stretch.as_bytes()).count();
        let rest = stretch.rsplit('\n').next().unwrap_or("").chars().count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.column = if lines > 0 { 1 } else { self.column }.saturating_add(count(rest));
        self.line = self.line.saturating_add(count(lines));
        self.at = self.at.max(offset);
        (self.line, self.column)
    }
}

//! What a translation did to each field, for a duty officer and for machines.

mod rule;
#[cfg(test)]
pub(in crate::translate) mod tests;

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::Target;
pub use rule::Rule;

/// The JSON schema of a report, as published.
pub const SCHEMA: &str = include_str!("../../../docs/report.schema.json");

/// What was done to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Kept => "kept",
            Action::Mapped => "mapped",
            Action::Derived => "derived",
            Action::Cut => "cut",
            Action::Dropped => "dropped",
        })
    }
}

/// How much a duty officer should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing of the meaning changed.
    Note,
    /// Something of the meaning is said differently or left out.
    Warning,
    /// A person should look before relying on the message.
    Alarm,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Alarm => "alarm",
        })
    }
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Line {
    /// The field, such as `info[1]/eventCode`.
    pub field: String,
    /// What was done.
    pub action: Action,
    /// By which rule.
    pub rule: Rule,
    /// By which row of a table, where a table decides.
    pub row: Option<Row>,
    /// Values of this message; empty where the rule says it all.
    pub detail: String,
    /// How much it matters.
    pub severity: Severity,
}

/// A row of a table that comes with the program (`bridge/data`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Row {
    /// The table's name.
    pub table: &'static str,
    /// The first cell of the row.
    pub key: String,
}

/// The report of one translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this shape.
    pub v: u8,
    /// The target.
    pub target: String,
    /// The fields, in the order of the work.
    pub lines: Vec<Line>,
    /// Hashes of the lines: one with thousands of areas has thousands of them.
    #[serde(skip)]
    hashes: HashSet<u64>,
}

impl Report {
    pub(super) fn new(target: Target) -> Self {
        Report { v: 1, target: target.as_str().to_owned(), lines: Vec::new(), hashes: HashSet::new() }
    }

    /// The report of a message that only ends what an endpoint holds, and that no profile asks for.
    pub fn of_an_end() -> Self {
        let mut report =
            Report { v: 1, target: "as-received".to_owned(), lines: Vec::new(), hashes: HashSet::new() };
        report.content_stays();
        report
    }

    /// Says that the message ends what the endpoint holds, without anything of what the original says.
    pub fn content_stays(&mut self) {
        self.add(Rule::ContentStays, "msgType", "");
    }

    /// Says how many earlier messages are not named, because a later one took their place.
    pub fn references_left_out(&mut self, count: usize) {
        let detail = format!("{count} of the chain, whose place a later one took at the destination");
        self.add_if(count > 0, Rule::ReferencesLeftOut, "references", &detail);
    }

    /// Says what a rule did to a field.
    pub(super) fn add(&mut self, rule: Rule, field: &str, detail: &str) {
        self.push(rule, None, field, detail);
    }

    /// The same, where it was done.
    pub(super) fn add_if(&mut self, done: bool, rule: Rule, field: &str, detail: &str) {
        if done {
            self.push(rule, None, field, detail);
        }
    }

    /// What a row of a table did to a field.
    pub(super) fn by_row(&mut self, rule: Rule, row: Row, field: &str, detail: &str) {
        self.push(rule, Some(row), field, detail);
    }

    /// Takes the lines out, for a target that has to say something else of them.
    pub(super) fn take(&mut self) -> Vec<Line> {
        self.hashes.clear();
        std::mem::take(&mut self.lines)
    }

    /// Puts a line back.
    pub(super) fn put(&mut self, line: Line) {
        self.push(line.rule, line.row, &line.field, &line.detail);
    }

    fn push(&mut self, rule: Rule, row: Option<Row>, field: &str, detail: &str) {
        let (action, severity) = (rule.action(), rule.severity());
        let line = Line { field: field.to_owned(), action, rule, row, detail: detail.to_owned(), severity };
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        if self.hashes.insert(hasher.finish()) || !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    /// The fields that lines speak of and that lie in `field`, with itself.
    pub(super) fn fields_within(&self, field: &str) -> BTreeSet<String> {
        let within = |line: &&Line| {
            line.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.lines.iter().filter(within).map(|line| line.field.clone()).collect()
    }

    /// Whether a rule was used.
    pub(super) fn has(&self, rule: Rule) -> bool {
        self.lines.iter().any(|line| line.rule == rule)
    }

    /// The highest severity.
    pub fn severity(&self) -> Severity {
        self.lines.iter().map(|l| l.severity).max().unwrap_or(Severity::Note)
    }

    /// The report in words, a line each: what needs a look comes first.
    pub fn to_words(&self) -> String {
        let count = |severity: Severity| self.lines.iter().filter(|l| l.severity == severity).count();
        let (alarms, warnings) = (count(Severity::Alarm), count(Severity::Warning));
        let mut words = format!("translated for {}: {alarms} alarm(s), {warnings} warning(s)\n", self.target);
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.severity));
        for line in lines {
            let mark = match line.severity {
                Severity::Note => "  ",
                Severity::Warning => "! ",
                Severity::Alarm => "!!",
            };
            let why = if line.detail.is_empty() { line.rule.text() } else { line.detail.as_str() };
            // Writing to a String does not fail.
            let _ = match &line.row {
                Some(row) => writeln!(
                    words,
                    "{mark} {:<28} {:<8} {why} [{}: row {} of {}]",
                    line.field,
                    line.action.to_string(),
                    line.rule.id(),
                    row.key,
                    row.table
                ),
                None => {
                    let (action, rule) = (line.action.to_string(), line.rule.id());
                    writeln!(words, "{mark} {:<28} {action:<8} {why} [{rule}]", line.field)
                }
            };
        }
        words
    }
}

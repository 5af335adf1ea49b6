//! `explain`: what a rule means, where it comes from and what to do; the schema of translation reports.

use std::process::ExitCode;

use cap_schema::rules;

use super::{USAGE, complain, say};
use crate::translate::report::{Rule, SCHEMA};

/// What prints the JSON schema of translation reports instead of a rule.
const REPORT_SCHEMA: &str = "report-schema";

/// Runs `capbridge explain`.
pub(super) fn explain(id: &str) -> ExitCode {
    if id == REPORT_SCHEMA {
        say(SCHEMA.trim_end());
        return ExitCode::SUCCESS;
    }
    if let Some(rule) = rules::rule(id) {
        let level = match rule.level {
            cap_schema::Level::Error => "error",
            cap_schema::Level::Warning => "warning",
            cap_schema::Level::Note => "note",
        };
        let refuses = if rule.refuses { "; a document that breaks it is refused" } else { "" };
        say(&format!(
            "{} ({level}{refuses})\n  {}\n  source: {}\n  do: {}",
            rule.id, rule.text, rule.source, rule.remedy
        ));
        if let Some(example) = &rule.example {
            say(&format!("  example that breaks it: {}", example.words().escape_debug()));
        }
        return ExitCode::SUCCESS;
    }
    if let Some(rule) = Rule::by_id(id) {
        say(&format!(
            "{} (of translation: {}, for the duty officer: {})\n  {}\n  source: {}",
            rule.id(),
            rule.action(),
            rule.severity(),
            rule.text(),
            rule.source()
        ));
        return ExitCode::SUCCESS;
    }
    let known = rules::rules().iter().map(|r| r.id).chain(Rule::ALL.iter().map(|r| r.id()));
    let near: Vec<&str> = known.filter(|known| known.contains(id)).take(10).collect();
    let hint = if near.is_empty() {
        "docs/rules.md and docs/translation-rules.md list them all".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    complain(&format!("capbridge: no rule {id}; {hint}"));
    ExitCode::from(USAGE)
}

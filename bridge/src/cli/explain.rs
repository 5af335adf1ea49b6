//! `explain`: what a rule means, where it comes from and what to do; the JSON schemas of alerts and translation reports.

use std::io::Write as _;
use std::process::ExitCode;

use cap_schema::rules;

use super::{USAGE, complain, say};
use crate::translate::report::{Rule, SCHEMA};

/// What prints a JSON schema instead of a rule: of alerts, and of translation reports.
const SCHEMAS: [(&str, &str); 2] = [("alert-schema", cap_schema::JSON_SCHEMA), ("report-schema", SCHEMA)];

/// Runs `capbridge explain`; with `bare`, only the example, as a file would hold it.
pub(super) fn explain(id: &str, bare: bool) -> ExitCode {
    if bare {
        return example(id);
    }
    if let Some((_, schema)) = SCHEMAS.iter().find(|(name, _)| *name == id) {
        say(schema.trim_end());
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
            let also = if example.also.is_empty() {
                String::new()
            } else {
                format!(" (and {})", example.also.join(", "))
            };
            say(&format!("  example that breaks it{also}, by {}:", example.words().escape_debug()));
            for line in example.shown().unwrap_or_default().lines() {
                say(&format!("    {line}"));
            }
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
    unknown(id)
}

/// The document of a rule's example, byte for byte.
fn example(id: &str) -> ExitCode {
    let Some(rule) = rules::rule(id) else { return unknown(id) };
    let Some(document) = rule.example.as_ref().and_then(rules::Example::document) else {
        complain(&format!("capbridge: no document breaks {id}"));
        return ExitCode::from(USAGE);
    };
    match std::io::stdout().write_all(document.as_bytes()) {
        // Who reads no more has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("capbridge: the example cannot be written: {error}"));
            ExitCode::from(1)
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn unknown(id: &str) -> ExitCode {
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

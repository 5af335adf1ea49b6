//! `explain`: what a rule means, where it comes from and what to do.

use std::process::ExitCode;

use cap_schema::rules;

use super::{USAGE, complain, say};

/// Runs `capbridge explain`.
pub(super) fn explain(id: &str) -> ExitCode {
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
            say(&format!("  example that breaks it: {}", example.with.escape_debug()));
        }
        return ExitCode::SUCCESS;
    }
    let near: Vec<&str> =
        rules::rules().iter().map(|r| r.id).filter(|known| known.contains(id)).take(10).collect();
    let hint = if near.is_empty() {
        "docs/rules.md lists them all".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    complain(&format!("capbridge: no rule {id}; {hint}"));
    ExitCode::from(USAGE)
}

//! The registry of rules: everything that a finding can name.
//!
//! Owns id, level, text, source and remedy of each rule, read from `data/rules.tsv`. Must not check anything.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::finding::{Finding, Level};

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, such as `cap.polygon.open`.
    pub id: &'static str,
    /// How much it matters when it is not met.
    pub level: Level,
    /// Whether a document that does not meet it cannot be acted on (`accepted` is false).
    pub refuses: bool,
    /// What must be true.
    pub text: &'static str,
    /// Document and section.
    pub source: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// An example that breaks it, where there is a short one.
    pub example: Option<Example>,
}

/// A small change that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The fixture that is changed: `cap`, `cap-1.0`, `cap-cp`, `ipaws`, `edxl` or `feed`.
    pub base: &'static str,
    /// The text in it; `\n` stands for a line end.
    pub replace: &'static str,
    /// What it becomes; `{{x}}x9` is `x` nine times, `\u{1}` a control character, `[none]` takes every element with this start tag away.
    pub with: &'static str,
}

impl Example {
    /// The change in words.
    pub fn words(&self) -> String {
        match self.with {
            "" => format!("without `{}`", self.replace),
            "[none]" => format!("no `{}` at all", self.replace),
            with => format!("`{with}`"),
        }
    }

    /// The fixture with the change made; `None` where the text is not in it.
    pub fn applied(&self, fixture: &str) -> Option<String> {
        let replace = self.replace.replace("\\n", "\n");
        let (before, after) = fixture.split_once(&replace)?;
        if self.with != "[none]" {
            return Some(format!(
                "{before}{}{after}",
                repeated(&self.with.replace("\\n", "\n").replace("\\u{1}", "\u{1}"))
            ));
        }
        let end = format!("</{}", replace.strip_prefix('<')?);
        let (mut kept, mut rest) = (before.to_owned(), after);
        loop {
            rest = rest.split_once(&end)?.1;
            let Some((between, next)) = rest.split_once(&replace) else { return Some(kept + rest) };
            kept.push_str(between);
            rest = next;
        }
    }
}

/// Texts of the form `{{x}}x9` written out.
fn repeated(text: &str) -> String {
    let parts = || {
        let (before, rest) = text.split_once("{{")?;
        let (piece, rest) = rest.split_once("}}x")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, after) = rest.split_at_checked(digits)?;
        Some(format!("{before}{}{after}", piece.repeat(count.parse().ok()?)))
    };
    parts().unwrap_or_else(|| text.to_owned())
}

static TABLE: &str = include_str!("../data/rules.tsv");

/// All rules, in the order of the table.
pub fn rules() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| TABLE.lines().filter(|l| !l.starts_with('#')).skip(1).filter_map(read).collect())
}

/// The rule of an id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    static INDEX: OnceLock<HashMap<&'static str, &'static Rule>> = OnceLock::new();
    INDEX.get_or_init(|| rules().iter().map(|r| (r.id, r)).collect()).get(id).copied()
}

fn read(line: &'static str) -> Option<Rule> {
    let mut cells = line.split('\t');
    let mut next = || cells.next();
    let (id, level, refuses) = (next()?, next()?, next()? == "yes");
    let level = match level {
        "error" => Level::Error,
        "warning" => Level::Warning,
        "note" => Level::Note,
        _ => return None,
    };
    let (text, source, remedy) = (next()?, next()?, next()?);
    let (base, replace, with) = (next()?, next()?, next()?);
    let example = (base != "-").then_some(Example { base, replace, with });
    Some(Rule { id, level, refuses, text, source, remedy, example })
}

/// A finding of a rule of the registry.
pub(crate) fn finding(id: &'static str, path: impl Into<String>, message: impl Into<String>) -> Finding {
    let (level, refuses) = rule(id).map_or((Level::Error, false), |r| (r.level, r.refuses));
    let mut finding = Finding::new(id, level, path, message);
    finding.fatal = refuses;
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_a_rule_of_its_own() {
        let rows = TABLE.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
        assert_eq!(rules().len(), rows - 1);
        for one in rules() {
            assert!(one.id.split('.').all(|p| !p.is_empty()) && !one.text.ends_with('.'), "{one:?}");
            assert!(!one.refuses || one.level == Level::Error, "{one:?}");
            assert_eq!(rule(one.id), Some(one), "{}", one.id);
        }
    }
}

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

/// A document that breaks a rule: a sound one with a small change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The document that is changed: `cap`, `cap-1.0`, `cap-cp`, `ipaws`, `ipaws-signed`, `edxl` or `feed`.
    pub base: &'static str,
    /// The text in it; `\n` stands for a line end. `[all]` where the document breaks the rule as it is.
    pub replace: &'static str,
    /// What it becomes; `{{x}}x9` is `x` nine times, `\u{1}` a control character, `[none]` takes every element with this start tag away.
    pub with: &'static str,
    /// Other rules that it breaks, which the unchanged document does not.
    pub also: Vec<&'static str>,
}

/// Bytes of a repeated piece that `Example::shown` writes out.
const SHOWN: usize = 200;

impl Example {
    /// The change in words.
    pub fn words(&self) -> String {
        match (self.replace, self.with) {
            ("[all]", _) => format!("the document `{}`", self.base),
            (replace, "") => format!("without `{replace}`"),
            (replace, "[none]") => format!("no `{replace}` at all"),
            (_, with) => format!("`{with}`"),
        }
    }

    /// The document without the change.
    pub fn sound(&self) -> Option<&'static str> {
        DOCUMENTS.iter().find(|(name, _)| *name == self.base).map(|(_, text)| *text)
    }

    /// The whole document that breaks the rule; `None` where the text to be changed is not in it.
    pub fn document(&self) -> Option<String> {
        self.changed(usize::MAX)
    }

    /// The same for a person to look at: what is repeated very often is cut, and says so.
    pub fn shown(&self) -> Option<String> {
        self.changed(SHOWN)
    }

    fn changed(&self, most: usize) -> Option<String> {
        let sound = self.sound()?;
        if self.replace == "[all]" {
            return Some(sound.to_owned());
        }
        let replace = self.replace.replace("\\n", "\n");
        let (before, after) = sound.split_once(&replace)?;
        if self.with != "[none]" {
            let with = self.with.replace("\\n", "\n").replace("\\u{1}", "\u{1}");
            return Some(format!("{before}{}{after}", repeated(&with, most)));
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

/// Texts of the form `{{x}}x9` written out, up to so many bytes.
fn repeated(text: &str, most: usize) -> String {
    let parts = || {
        let (before, rest) = text.split_once("{{")?;
        let (piece, rest) = rest.split_once("}}x")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, after) = rest.split_at_checked(digits)?;
        let count: usize = count.parse().ok()?;
        if piece.len().saturating_mul(count) <= most {
            return Some(format!("{before}{}{after}", piece.repeat(count)));
        }
        let written = piece.repeat((most / piece.len().max(1)).max(1));
        Some(format!("{before}{written}[... in all {count} times]{after}"))
    };
    parts().unwrap_or_else(|| text.to_owned())
}

/// Sound documents that examples change.
const DOCUMENTS: [(&str, &str); 7] = [
    ("cap", include_str!("../data/examples/cap.xml")),
    ("cap-1.0", include_str!("../data/examples/cap-1.0.xml")),
    ("cap-cp", include_str!("../data/examples/cap-cp.xml")),
    ("edxl", include_str!("../data/examples/edxl.xml")),
    ("feed", include_str!("../data/examples/feed.xml")),
    ("ipaws", include_str!("../data/examples/ipaws.xml")),
    ("ipaws-signed", include_str!("../data/examples/ipaws-signed.xml")),
];

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
    let (base, replace, with, also) = (next()?, next()?, next()?, next()?);
    let also = also.split(' ').filter(|id| !id.is_empty()).collect();
    let example = (base != "-").then_some(Example { base, replace, with, also });
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

//! Event codes: CAP-CP ↔ SAME, from versioned tables.
//!
//! Owns the preference: a code that is already in the message, then the table, then a fallback with an alarm. Original
//! codes stay beside the new one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cap_schema::{Code, Info, NamedValue};

use super::report::{Report, Row, Rule};
use super::{NotSent, Request, Target};

/// The valueName of CAP-CP event codes that we write.
pub const CAP_CP_EVENT: &str = "profile:CAP-CP:Event:0.4";
/// Any version of it.
const CAP_CP_EVENT_PREFIX: &str = "profile:CAP-CP:Event:";

/// A CAP-CP event code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapCpEvent {
    /// CAP category.
    pub category: String,
    /// Name in English.
    pub name_en: String,
    /// Name in French.
    pub name_fr: String,
    /// MASAS icon.
    pub icon: String,
    /// The SAME code that says the same.
    pub same: String,
    /// The SAME code of a watch, where there is one.
    pub same_watch: String,
    /// The SAME code of an advisory or statement, where there is one.
    pub same_statement: String,
    /// A chemical, biological, radiological, nuclear or explosive event (cap page 2.4).
    pub cbrne: bool,
}

/// A SAME event code that IPAWS accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameEvent {
    /// Name.
    pub name_en: String,
    /// The CAP-CP code that is written for it.
    pub capcp: String,
    /// The other CAP-CP codes that lead to it.
    pub also: Vec<String>,
    /// WEAHandling values that go with the code, the preferred one first.
    pub wea: Vec<String>,
}

/// The tables.
pub struct Codes {
    pub(super) cap_cp: BTreeMap<String, CapCpEvent>,
    pub(super) same: BTreeMap<String, SameEvent>,
    /// SAME codes that IPAWS does not accept, to CAP-CP.
    pub(super) radio: BTreeMap<String, String>,
}

/// A table that does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodesError {
    /// Cells are missing, or too many.
    #[error("line {line} of {table} does not have {columns} columns")]
    Columns {
        /// File name.
        table: &'static str,
        /// From 1.
        line: usize,
        /// How many it should have.
        columns: usize,
    },
    /// A cell holds none of the values that its column takes.
    #[error("the row of {code} in {table} has a value that its column does not take")]
    Value {
        /// File name.
        table: &'static str,
        /// The code of the row.
        code: String,
    },
    /// Two rows for one code.
    #[error("line {line} of {table} is a second row for its code")]
    Doubled {
        /// File name.
        table: &'static str,
        /// From 1.
        line: usize,
    },
    /// A row without source, or a table without version.
    #[error("line {line} of {table} has no source, or the table no version")]
    Unsourced {
        /// File name.
        table: &'static str,
        /// From 1.
        line: usize,
    },
}

/// Rows of a table: `#` begins a comment, the first of which is the version; the first row names the columns, the last
/// column of which is the source of the row.
pub(super) fn rows<const N: usize>(
    table: &'static str,
    text: &str,
) -> Result<BTreeMap<String, [String; N]>, CodesError> {
    let version = text.lines().next().and_then(|line| line.strip_prefix("# version: "));
    if version.and_then(|v| v.parse::<u32>().ok()).is_none() {
        return Err(CodesError::Unsourced { table, line: 1 });
    }
    let mut found = BTreeMap::new();
    let lines = text.lines().enumerate().filter(|(_, l)| !l.starts_with('#') && !l.is_empty());
    for (index, line) in lines.skip(1) {
        let line_number = index + 1;
        let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let cells = <[String; N]>::try_from(cells).map_err(|_| CodesError::Columns {
            table,
            line: line_number,
            columns: N,
        })?;
        if cells.last().is_none_or(String::is_empty) {
            return Err(CodesError::Unsourced { table, line: line_number });
        }
        let code = cells.first().cloned().unwrap_or_default();
        if found.insert(code, cells).is_some() {
            return Err(CodesError::Doubled { table, line: line_number });
        }
    }
    Ok(found)
}

/// Codes in a cell, between bars.
fn listed(cell: &str) -> Vec<String> {
    cell.split('|').filter(|code| !code.is_empty()).map(str::to_owned).collect()
}

impl Codes {
    /// The tables that ship with the program.
    ///
    /// # Errors
    /// A table does not read: a bug that a test catches.
    pub fn builtin() -> Result<Self, CodesError> {
        Self::read(
            include_str!("../../data/events_capcp.tsv"),
            include_str!("../../data/events_same.tsv"),
            include_str!("../../data/events_same_radio.tsv"),
        )
    }

    /// Reads the three tables.
    pub(super) fn read(cap_cp: &str, same: &str, radio: &str) -> Result<Self, CodesError> {
        let cap_cp = rows("events_capcp.tsv", cap_cp)?
            .into_iter()
            .map(|(code, row)| {
                let [_, category, name_en, name_fr, _, icon, same, same_watch, same_statement, cbrne, _] =
                    row;
                let cbrne = match cbrne.as_str() {
                    "yes" => true,
                    "" => false,
                    _ => return Err(CodesError::Value { table: "events_capcp.tsv", code }),
                };
                let event =
                    CapCpEvent { category, name_en, name_fr, icon, same, same_watch, same_statement, cbrne };
                Ok((code, event))
            })
            .collect::<Result<_, _>>()?;
        let same = rows("events_same.tsv", same)?
            .into_iter()
            .map(|(code, [_, name_en, capcp, also, wea, _])| {
                let event = SameEvent { name_en, capcp, also: listed(&also), wea: listed(&wea) };
                (code, event)
            })
            .collect();
        let radio = rows("events_same_radio.tsv", radio)?
            .into_iter()
            .map(|(code, [_, _, capcp, _])| (code, capcp))
            .collect();
        Ok(Codes { cap_cp, same, radio })
    }

    /// A CAP-CP code.
    pub fn cap_cp(&self, code: &str) -> Option<&CapCpEvent> {
        self.cap_cp.get(code)
    }

    /// A SAME code.
    pub fn same(&self, code: &str) -> Option<&SameEvent> {
        self.same.get(code)
    }
}

/// What the message says of itself, of the three for which SAME has codes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AlertType {
    Warning,
    Watch,
    Statement,
}

/// Layer EC-MSC-SMC, Alert_Type (cap page 3.2): where infos disagree, the most serious; an info that does not say does not
/// count. Else what a code of weather radio says: its last letter is A for a watch and S for a statement (ipaws page 5.2).
fn alert_type(infos: &[&Info<'_>], radio: Option<&str>) -> AlertType {
    let mut said: BTreeSet<&str> = BTreeSet::new();
    for info in infos {
        let found = info.parameter.iter().find(|p| p.value_name.ends_with(":Alert_Type"));
        said.extend(found.map(|p| p.value.trim()).filter(|value| !value.is_empty()));
    }
    let statement = |value: &&str| matches!(*value, "advisory" | "statement");
    if said.is_empty() {
        return match radio.and_then(|code| code.chars().last()) {
            Some('A') => AlertType::Watch,
            Some('S') => AlertType::Statement,
            Some(_) | None => AlertType::Warning,
        };
    }
    if said.iter().all(statement) {
        AlertType::Statement
    } else if said.iter().all(|value| *value == "watch" || statement(value)) {
        AlertType::Watch
    } else {
        AlertType::Warning
    }
}

/// The SAME code of a row, and by which rule. `None` where the message is no warning and the row has only the code of one:
/// then the fallback with an alarm, for a watch must not become a warning.
fn same_of_row<'r>(codes: &Codes, row: &'r CapCpEvent, said: AlertType) -> Option<(&'r str, Rule)> {
    let code = match said {
        AlertType::Warning => return Some((&row.same, Rule::CodeByTable)),
        AlertType::Watch => &row.same_watch,
        AlertType::Statement => &row.same_statement,
    };
    if !code.is_empty() {
        return Some((code, Rule::CodeByType));
    }
    let name = codes.same(&row.same).map_or("", |same| same.name_en.as_str());
    let warns = name.contains("Warning") || name.contains("Immediate");
    (!warns).then_some((&row.same, Rule::CodeByTable))
}

/// The event of a message in both countries' codes.
pub struct Event {
    cap_cp: String,
    same: String,
    name_same: String,
    name_en: String,
    name_fr: String,
    /// A chemical, biological, radiological, nuclear or explosive event.
    pub cbrne: bool,
}

fn values<'i>(infos: &[&'i Info<'_>], wanted: impl Fn(&str) -> bool) -> BTreeSet<&'i str> {
    infos.iter().flat_map(|i| &i.event_code).filter(|c| wanted(&c.value_name)).map(|c| &*c.value).collect()
}

/// The row that gave a code.
struct How<'h> {
    rule: Rule,
    table: &'static str,
    key: &'h str,
    /// What else it could be.
    others: &'h str,
}

impl How<'_> {
    fn report(&self, code: &str, report: &mut Report) {
        let row = Row { table: self.table, key: self.key.to_owned() };
        let detail = match self.others {
            "" => format!("{} → {code}", self.key),
            others => format!("{} → {code}; it may also be {others}", self.key),
        };
        report.by_row(self.rule, row, "eventCode", &detail);
    }
}

/// Finds the event of a message.
///
/// # Errors
/// The infos are about several events and the target takes one.
pub(super) fn event(
    request: &Request<'_>,
    infos: &[&Info<'_>],
    report: &mut Report,
) -> Result<Event, NotSent> {
    let codes = &request.tables.codes;
    let cap_cp = values(infos, |n| {
        n.get(..CAP_CP_EVENT_PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(CAP_CP_EVENT_PREFIX))
    });
    let (same, other): (BTreeSet<&str>, BTreeSet<&str>) =
        values(infos, |n| n == "SAME").into_iter().partition(|c| codes.same(c).is_some());
    if cap_cp.len() > 1 || same.len() > 1 {
        return Err(NotSent::SeveralEvents);
    }
    let (mut cap_cp, same) = (cap_cp.first().copied(), same.first().copied());
    // A code of weather radio or of Canada says as much as the CAP-CP code that it stands for.
    let radio = other.iter().find_map(|c| codes.radio.get(*c).map(|row| (*c, row.as_str())));
    if let (None, None, Some((code, row))) = (cap_cp, same, radio) {
        let how = How { rule: Rule::CodeByTable, table: "events_same_radio", key: code, others: "" };
        how.report(row, report);
        cap_cp = Some(row);
    }
    let in_table = cap_cp.and_then(|code| Some((code, codes.cap_cp(code)?)));
    let said = alert_type(infos, radio.map(|(code, _)| code));
    let (same_code, how_same) = match (same, in_table) {
        (Some(code), _) => (code.to_owned(), None),
        (None, Some((key, row))) => match same_of_row(codes, row, said) {
            Some((code, rule)) => {
                (code.to_owned(), Some(How { rule, table: "events_capcp", key, others: "" }))
            }
            None => (request.settings.fallback_same.clone(), None),
        },
        (None, None) => (request.settings.fallback_same.clone(), None),
    };
    let in_table = same.and_then(|code| Some((code, codes.same(code)?)));
    let others = in_table.map(|(_, row)| row.also.join(", ")).unwrap_or_default();
    let (cap_cp_code, how_cap_cp) = match (cap_cp, in_table) {
        (Some(code), _) => (code.to_owned(), None),
        (None, Some((key, row))) => {
            let rule = if row.also.is_empty() { Rule::CodeByTable } else { Rule::CodeOfMany };
            (row.capcp.clone(), Some(How { rule, table: "events_same", key, others: &others }))
        }
        (None, None) => (request.settings.fallback_cap_cp.clone(), None),
    };
    let (code, how, present) = match request.target {
        Target::Ipaws => (&same_code, how_same, same.is_some()),
        Target::CapCp | Target::MasasEntry => (&cap_cp_code, how_cap_cp, cap_cp.is_some()),
    };
    match how {
        Some(how) => how.report(code, report),
        None if present => report.add(Rule::CodePresent, "eventCode", code),
        None => {
            let named: Vec<&str> = cap_cp.into_iter().chain(other.iter().copied()).collect();
            let named = if named.is_empty() { "no code" } else { &named.join(" ") };
            report.add(Rule::CodeFallback, "eventCode", &format!("{named}: {code}"));
        }
    }
    let row = codes.cap_cp(&cap_cp_code);
    Ok(Event {
        name_same: codes.same(&same_code).map(|s| s.name_en.clone()).unwrap_or_default(),
        name_en: row.map(|r| r.name_en.clone()).unwrap_or_default(),
        name_fr: row.map(|r| r.name_fr.clone()).unwrap_or_default(),
        cbrne: row.is_some_and(|r| r.cbrne),
        cap_cp: cap_cp_code,
        same: same_code,
    })
}

impl Event {
    /// The SAME code.
    pub(super) fn same(&self) -> &str {
        &self.same
    }

    /// The official name in French, or in English where there is none.
    pub(super) fn name_fr(&self) -> &str {
        if self.name_fr.is_empty() { &self.name_en } else { &self.name_fr }
    }

    /// The official name in English.
    pub(super) fn name_en(&self) -> &str {
        &self.name_en
    }

    /// Sets the event's name by the table of the target (CAP-CP rule 7). French and other languages keep theirs where
    /// the target has no name in them.
    pub(super) fn name(
        &self,
        target: Target,
        language: &str,
        info: &mut Info<'static>,
        at: &str,
        report: &mut Report,
    ) {
        let name = match target {
            Target::Ipaws if language.starts_with("en") => &self.name_same,
            Target::Ipaws => return,
            Target::CapCp | Target::MasasEntry if language.starts_with("fr") => &self.name_fr,
            Target::CapCp | Target::MasasEntry if language.starts_with("en") => &self.name_en,
            Target::CapCp | Target::MasasEntry => return,
        };
        if name.is_empty() || info.event.eq_ignore_ascii_case(name) {
            return;
        }
        report.add(Rule::EventName, &format!("{at}/event"), &format!("{} → {name}", info.event));
        info.event = Cow::Owned(name.clone());
    }

    /// Puts the target's code first; the original ones stay behind it.
    pub(super) fn codes(&self, target: Target, info: &mut Info<'static>, at: &str, report: &mut Report) {
        let ours = match target {
            Target::Ipaws => NamedValue::new("SAME", self.same.clone()),
            Target::CapCp | Target::MasasEntry => NamedValue::new(CAP_CP_EVENT, self.cap_cp.clone()),
        };
        let replaced = |code: &NamedValue<'_>| match target {
            Target::Ipaws => code.value_name == "SAME",
            Target::CapCp | Target::MasasEntry => code.value_name == CAP_CP_EVENT,
        };
        let mut codes = vec![ours.clone()];
        for code in std::mem::take(&mut info.event_code) {
            if !replaced(&code) {
                codes.push(code);
            } else if code != ours {
                let detail = format!("{} {} is not a code of the target", code.value_name, code.value);
                report.add(Rule::CodeReplaced, &format!("{at}/eventCode"), &detail);
            }
        }
        info.event_code = codes;
        if info.category.is_empty() {
            info.category.push(Code::Known(cap_schema::Category::Other));
        }
    }
}

#[cfg(test)]
mod tests;

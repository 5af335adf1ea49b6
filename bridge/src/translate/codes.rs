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
    /// Name in English.
    pub name_en: String,
    /// Name in French.
    pub name_fr: String,
    /// MASAS icon.
    pub icon: String,
    /// The SAME code that says the same.
    pub same: String,
    /// A chemical, biological, radiological, nuclear or explosive event (cap page 2.4).
    pub cbrne: bool,
}

/// A SAME event code that IPAWS accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameEvent {
    /// Name.
    pub name_en: String,
    /// The CAP-CP code that says the same.
    pub capcp: String,
    /// WEAHandling values that go with the code, the preferred one first.
    pub wea: Vec<String>,
}

/// The tables.
pub struct Codes {
    cap_cp: BTreeMap<String, CapCpEvent>,
    same: BTreeMap<String, SameEvent>,
    /// SAME codes that IPAWS does not accept, to CAP-CP.
    radio: BTreeMap<String, String>,
}

/// A table that does not read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of {table} does not have {columns} columns")]
pub struct CodesError {
    table: &'static str,
    line: usize,
    columns: usize,
}

/// Rows of a table: `#` begins a comment, the first row names the columns.
fn rows(
    table: &'static str,
    text: &'static str,
    columns: usize,
) -> Result<Vec<Vec<&'static str>>, CodesError> {
    let mut found = Vec::new();
    for (index, line) in
        text.lines().enumerate().filter(|(_, l)| !l.starts_with('#') && !l.is_empty()).skip(1)
    {
        let cells: Vec<&str> = line.split('\t').collect();
        if cells.len() != columns {
            return Err(CodesError { table, line: index + 1, columns });
        }
        found.push(cells);
    }
    Ok(found)
}

impl Codes {
    /// The tables that ship with the program.
    ///
    /// # Errors
    /// A row has the wrong number of columns.
    pub fn builtin() -> Result<Self, CodesError> {
        let cell = |row: &[&'static str], at: usize| row.get(at).copied().unwrap_or("").to_owned();
        let cap_cp = rows("events_capcp.tsv", include_str!("../../data/events_capcp.tsv"), 9)?
            .iter()
            .map(|row| {
                let event = CapCpEvent {
                    name_en: cell(row, 2),
                    name_fr: cell(row, 3),
                    icon: cell(row, 5),
                    same: cell(row, 6),
                    cbrne: cell(row, 7) == "yes",
                };
                (cell(row, 0), event)
            })
            .collect();
        let same = rows("events_same.tsv", include_str!("../../data/events_same.tsv"), 5)?
            .iter()
            .map(|row| {
                let wea = cell(row, 4).split('|').filter(|w| !w.is_empty()).map(str::to_owned).collect();
                (cell(row, 0), SameEvent { name_en: cell(row, 1), capcp: cell(row, 2), wea })
            })
            .collect();
        let radio = rows("events_same_radio.tsv", include_str!("../../data/events_same_radio.tsv"), 3)?
            .iter()
            .map(|row| (cell(row, 0), cell(row, 2)))
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

fn by_row(table: &'static str, key: &str, code: &str, report: &mut Report) {
    let row = Row { table, key: key.to_owned() };
    report.by_row(Rule::CodeByTable, row, "eventCode", &format!("{key} → {code}"));
}

fn values<'i>(infos: &[&'i Info<'_>], wanted: impl Fn(&str) -> bool) -> BTreeSet<&'i str> {
    infos.iter().flat_map(|i| &i.event_code).filter(|c| wanted(&c.value_name)).map(|c| &*c.value).collect()
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
        by_row("events_same_radio", code, row, report);
        cap_cp = Some(row);
    }
    let in_table = cap_cp.and_then(|code| Some((code, codes.cap_cp(code)?)));
    let (same_code, row_same) = match (same, in_table) {
        (Some(code), _) => (code.to_owned(), None),
        (None, Some((code, row))) => (row.same.clone(), Some(("events_capcp", code))),
        (None, None) => (request.settings.fallback_same.clone(), None),
    };
    let (cap_cp_code, row_cap_cp) = match (cap_cp, same.and_then(|s| Some((s, codes.same(s)?)))) {
        (Some(code), _) => (code.to_owned(), None),
        (None, Some((code, row))) => (row.capcp.clone(), Some(("events_same", code))),
        (None, None) => (request.settings.fallback_cap_cp.clone(), None),
    };
    let (code, row, present) = match request.target {
        Target::Ipaws => (&same_code, row_same, same.is_some()),
        Target::CapCp | Target::MasasEntry => (&cap_cp_code, row_cap_cp, cap_cp.is_some()),
    };
    match row {
        Some((table, key)) => by_row(table, key, code, report),
        None if present => report.add(Rule::CodePresent, "eventCode", code),
        None => {
            let named: Vec<&str> = cap_cp.into_iter().chain(other.iter().copied()).collect();
            let named = if named.is_empty() { "no code" } else { &named.join(" ") };
            let detail = format!("{named}: {code}");
            report.add(Rule::CodeFallback, "eventCode", &detail);
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
            Target::CapCp | Target::MasasEntry => &self.name_en,
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
mod tests {
    use super::*;

    #[test]
    fn the_tables_lead_from_every_row_to_a_row() {
        let codes = Codes::builtin().unwrap();
        for (code, row) in &codes.cap_cp {
            assert!(
                codes.same(&row.same).is_some(),
                "{code} leads to {}, which IPAWS does not take",
                row.same
            );
            assert!(!row.name_en.is_empty(), "{code} has no name");
            assert!((3..=13).contains(&code.len()), "{code}");
        }
        for (code, row) in &codes.same {
            assert!(
                codes.cap_cp(&row.capcp).is_some(),
                "{code} leads to {}, which CAP-CP does not have",
                row.capcp
            );
            assert!(code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()), "{code}");
        }
        for (code, capcp) in &codes.radio {
            assert!(codes.same(code).is_none(), "{code} is in two tables");
            assert!(codes.cap_cp(capcp).is_some(), "{code} leads to {capcp}, which CAP-CP does not have");
        }
    }

    /// The rows on which first responders rely, both ways. A changed row must change here too, on purpose.
    #[test]
    fn hazardous_events_keep_their_meaning_over_the_border() {
        let codes = Codes::builtin().unwrap();
        let to_us = [
            ("chemical", "HMW"),
            ("hazmat", "HMW"),
            ("industryFire", "HMW"),
            ("biological", "CEM"),
            ("infectious", "CEM"),
            ("radiological", "RHW"),
            ("explosive", "CDW"),
            ("drinkingWate", "CEM"),
            ("terrorism", "CDW"),
            ("evacuation", "EVI"),
            ("testMessage", "DMO"),
        ];
        for (capcp, same) in to_us {
            assert_eq!(codes.cap_cp(capcp).map(|r| r.same.as_str()), Some(same), "{capcp}");
        }
        let to_canada = [
            ("HMW", "hazmat"),
            ("RHW", "radiological"),
            ("NUW", "radiological"),
            ("DMO", "testMessage"),
            ("RWT", "testMessage"),
            ("RMT", "testMessage"),
            ("NPT", "testMessage"),
        ];
        for (same, capcp) in to_canada {
            assert_eq!(codes.same(same).map(|r| r.capcp.as_str()), Some(capcp), "{same}");
        }
        let cbrne = ["chemical", "biological", "radiological", "explosive", "hazmat"];
        assert!(cbrne.iter().all(|c| codes.cap_cp(c).is_some_and(|r| r.cbrne)));
        for test in ["DMO", "RWT", "RMT", "NPT", "EAN"] {
            assert!(codes.same(test).is_some_and(|r| r.wea.is_empty()), "{test} must never reach phones");
        }
    }
}

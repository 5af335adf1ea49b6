//! Code lists of the profiles, read from `data/`.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A CAP-CP event code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapCpEvent {
    /// The value of the event code.
    pub code: &'static str,
    /// English name.
    pub english: &'static str,
    /// French name; see `french_is_found`.
    pub french: &'static str,
    /// Whether the French name was found in official messages; if not it is a translation that nobody published.
    pub french_is_found: bool,
    /// CAP category; may be empty.
    pub category: &'static str,
    /// Urgency, severity and certainty with which SOREM has it broadcast at once; empty where it is not on that list.
    pub sorem: &'static str,
}

/// Who takes a SAME event code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameUse {
    /// 47 CFR 11.31: IPAWS takes it.
    Us,
    /// Weather radio or Canada only.
    RadioOnly,
    /// No longer used.
    Obsolete,
}

/// A SAME event code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameEvent {
    /// Three letters.
    pub code: &'static str,
    /// Who takes it.
    pub taken: SameUse,
    /// English name.
    pub name: &'static str,
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).skip(1).map(|l| l.split('\t').collect())
}

/// The CAP-CP event of a code.
pub fn cap_cp_event(code: &str) -> Option<&'static CapCpEvent> {
    static TABLE: OnceLock<HashMap<&'static str, CapCpEvent>> = OnceLock::new();
    TABLE
        .get_or_init(|| {
            rows(include_str!("../data/cap-cp-events.tsv"))
                .filter_map(|row| {
                    let [code, english, french, status, category, _, sorem, ..] = row.as_slice() else {
                        return None;
                    };
                    let french_is_found = *status == "found";
                    Some((*code, CapCpEvent { code, english, french, french_is_found, category, sorem }))
                })
                .collect()
        })
        .get(code)
}

/// The SAME event of a code.
pub fn same_event(code: &str) -> Option<&'static SameEvent> {
    static TABLE: OnceLock<HashMap<&'static str, SameEvent>> = OnceLock::new();
    TABLE
        .get_or_init(|| {
            rows(include_str!("../data/same-events.tsv"))
                .filter_map(|row| {
                    let [code, taken, name] = row.as_slice() else { return None };
                    let taken = match *taken {
                        "us" => SameUse::Us,
                        "nwr" => SameUse::RadioOnly,
                        _ => SameUse::Obsolete,
                    };
                    Some((*code, SameEvent { code, taken, name }))
                })
                .collect()
        })
        .get(code)
}

/// The SAME event codes that go with a WEAHandling value; `None` for a value that does not exist.
pub fn wea_events(handling: &str) -> Option<&'static [&'static str]> {
    static TABLE: OnceLock<HashMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
        for row in rows(include_str!("../data/wea-handling.tsv")) {
            if let [handling, _, events] = row.as_slice() {
                table.entry(handling).or_default().extend(events.split(' '));
            }
        }
        table
    });
    table.get(handling).map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read_whole() {
        assert_eq!(cap_cp_event("chemical").map(|e| e.english), Some("Chemical Hazard"));
        assert_eq!(
            rows(include_str!("../data/cap-cp-events.tsv")).filter(|r| cap_cp_event(r[0]).is_none()).count(),
            0
        );
        assert_eq!(same_event("HMW").map(|e| e.taken), Some(SameUse::Us));
        assert_eq!(same_event("CHW").map(|e| e.taken), Some(SameUse::RadioOnly));
        assert_eq!(
            rows(include_str!("../data/same-events.tsv")).filter(|r| same_event(r[0]).is_none()).count(),
            0
        );
        assert!(wea_events("Amber").is_some_and(|e| e == ["CAE"]) && wea_events("Other").is_none());
    }
}

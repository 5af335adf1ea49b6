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

/// Why an event code goes with a WEAHandling value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeaUse {
    /// It is listed for it.
    Listed,
    /// It is not, and was found in alerts that IPAWS took.
    Seen,
}

/// The SAME event codes that go with a WEAHandling value; `None` for a value that does not exist.
pub fn wea_events(handling: &str) -> Option<&'static [(&'static str, WeaUse)]> {
    static TABLE: OnceLock<HashMap<&'static str, Vec<(&'static str, WeaUse)>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: HashMap<&'static str, Vec<(&'static str, WeaUse)>> = HashMap::new();
        for row in rows(include_str!("../data/wea-handling.tsv")) {
            if let [handling, status, events] = row.as_slice() {
                let taken = if *status == "real" { WeaUse::Seen } else { WeaUse::Listed };
                table.entry(handling).or_default().extend(events.split(' ').map(|e| (e, taken)));
            }
        }
        table
    });
    table.get(handling).map(Vec::as_slice)
}

/// The values that an item of a layer of CAP-CP takes; empty where it takes any, `None` for an item that is not known. The
/// item is a parameter's name as written, such as `layer:SOREM:1.0:Broadcast_Immediately`.
pub fn layer_values(name: &str) -> Option<&'static [&'static str]> {
    static TABLE: OnceLock<HashMap<String, Vec<&'static str>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        rows(include_str!("../data/layers.tsv"))
            .filter_map(|row| {
                let [layer, item, _, values] = row.as_slice() else { return None };
                let values = values.split(' ').filter(|v| !v.is_empty() && *v != "*").collect();
                Some((format!("layer:{layer}:{item}").to_ascii_lowercase(), values))
            })
            .collect()
    });
    table.get(&name.trim().to_ascii_lowercase()).map(Vec::as_slice)
}

/// Who may originate an alert of the EAS (47 CFR 11.31(d)): the name of a code such as `CIV`.
pub fn same_originator(code: &str) -> Option<&'static str> {
    static TABLE: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    let read = || {
        rows(include_str!("../data/same-originators.tsv"))
            .filter_map(|row| if let [code, name] = row.as_slice() { Some((*code, *name)) } else { None })
            .collect()
    };
    TABLE.get_or_init(read).get(code).copied()
}

/// The name of what the state number of a SAME location code (its second and third digit) stands for: a state, a
/// territory or a stretch of water.
pub fn same_state(number: &str) -> Option<&'static str> {
    static TABLE: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    let read = || {
        rows(include_str!("../data/same-states.tsv"))
            .filter_map(|row| if let [number, name] = row.as_slice() { Some((*number, *name)) } else { None })
            .collect()
    };
    TABLE.get_or_init(read).get(number).copied()
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
        assert!(
            wea_events("Amber").is_some_and(|e| e == [("CAE", WeaUse::Listed)])
                && wea_events("Other").is_none()
        );
        assert_eq!(same_state("26"), Some("Michigan"));
        assert_eq!(same_state("99"), None);
        assert_eq!(same_originator("CIV"), Some("Civil authorities"));
        assert_eq!(
            layer_values("layer:EC-MSC-SMC:1.0:alert_type"),
            Some(&["warning", "watch", "advisory", "statement"][..])
        );
        assert_eq!(layer_values("layer:EC-MSC-SMC:1.0:Alert_Name"), Some(&[][..]));
        assert_eq!(layer_values("layer:X:1.0:Y"), None);
    }
}

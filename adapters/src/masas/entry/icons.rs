//! The icon of an entry, its event and its names.

use std::sync::LazyLock;

const TABLE: &str = include_str!("../../../data/masas-icons.tsv");

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Icon {
    /// The term as hubs spell it.
    pub(super) term: &'static str,
    /// The CAP-CP event, where the icon stands for one.
    pub(super) event: Option<&'static str>,
    /// English name.
    pub(super) en: &'static str,
    /// French name.
    pub(super) fr: &'static str,
}

static ICONS: LazyLock<Vec<Icon>> = LazyLock::new(|| {
    let rows = TABLE.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    rows.filter_map(|row| {
        let mut cells = row.split('\t');
        let (term, event, en, fr) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        Some(Icon { term, event: (event != "-").then_some(event), en, fr })
    })
    .collect()
});

/// The row of a term, or of the nearest class above it that has one. The second value tells whether it is the term's
/// own. Case does not count: hubs and clients disagree about it.
pub(super) fn find(term: &str) -> Option<(Icon, bool)> {
    let mut at = term;
    loop {
        if let Some(icon) = ICONS.iter().find(|icon| icon.term.eq_ignore_ascii_case(at)) {
            return Some((*icon, at == term));
        }
        at = at.rsplit_once('/')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_are_found_by_term_or_by_the_class_above() {
        let cases = [
            ("ems/incident/hazardousMaterial/chemicalHazard", Some(("chemical", "Risque chimique", true))),
            ("ems/incident/HazardousMaterial/chemicalhazard", Some(("chemical", "Risque chimique", true))),
            ("ems/incident/hazardousMaterial/poisonousGas", Some(("hazmat", "Matières dangereuses", false))),
            ("ems/incident/meteorological", Some(("-", "Météo", true))),
            ("other", Some(("-", "Autres alertes", true))),
            ("ems/nothing/known", None),
            ("", None),
        ];
        for (term, expected) in cases {
            let found = find(term).map(|(icon, own)| (icon.event.unwrap_or("-"), icon.fr, own));
            assert_eq!(found, expected, "{term}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_whole() {
        let rows = TABLE.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(ICONS.len(), rows);
        assert!(ICONS.iter().all(|i| !i.en.is_empty() && !i.fr.is_empty()));
    }
}

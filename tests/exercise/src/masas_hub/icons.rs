//! CAP-CP event code → icon term, from the data file `data/masas-events.tsv`.

const TABLE: &str = include_str!("../../data/masas-events.tsv");

/// The icon of the first code that the table knows, whatever its case; `other` if none.
pub fn icon<'a>(codes: impl Iterator<Item = &'a str>) -> &'static str {
    for code in codes {
        let row = TABLE.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let mut cells = line.split('\t');
            let (name, _category, term) = (cells.next()?, cells.next()?, cells.next()?);
            name.eq_ignore_ascii_case(code).then_some(term)
        });
        if let Some(term) = row {
            return term;
        }
    }
    "other"
}

#[cfg(test)]
mod tests {
    use super::icon;

    #[test]
    fn the_first_known_code_gives_the_icon() {
        let codes = ["no-such-event", "earthquake", "chemical"];
        assert_eq!(icon(codes.into_iter()), "ems/incident/geophysical/earthquake");
        assert_eq!(icon([].into_iter()), "other");
    }

    #[test]
    fn every_row_of_the_table_has_five_cells() {
        let rows: Vec<_> = super::TABLE.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(rows.len(), 140);
        for row in rows {
            assert_eq!(row.split('\t').filter(|cell| !cell.is_empty()).count(), 5, "{row}");
        }
    }
}

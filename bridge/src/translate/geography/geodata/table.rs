//! Tables of places as CSV, TSV or with `|` between columns: CLC zones (ECCC), and names of counties and zones (NWS).

use std::collections::BTreeMap;

use super::super::layer::LayerKind;
use super::{InputError, Place};

/// What the tables say.
#[derive(Debug, Default)]
pub(super) struct Tables {
    places: BTreeMap<String, Place>,
    names: BTreeMap<(LayerKind, String), String>,
}

impl Tables {
    /// Reads a table; says whether it has something of use.
    ///
    /// # Errors
    /// Not UTF-8.
    pub(super) fn read(&mut self, name: &str, bytes: &[u8]) -> Result<bool, InputError> {
        // Older official tables are in ISO-8859-1, of which each byte is a character.
        let text = String::from_utf8(bytes.to_vec())
            .unwrap_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect());
        let text = text.trim_start_matches('\u{feff}');
        let between = match text.lines().next() {
            Some(heading) if heading.contains('\t') || name.ends_with(".tsv") => '\t',
            Some(heading) if heading.contains('|') => '|',
            Some(_) | None => ',',
        };
        let mut rows = rows(text, between).into_iter();
        let heading: Vec<String> =
            rows.next().unwrap_or_default().iter().map(|name| name.trim().to_ascii_uppercase()).collect();
        let mut used = false;
        for row in rows {
            let columns: BTreeMap<&str, &str> =
                heading.iter().map(String::as_str).zip(row.iter().map(|cell| cell.trim())).collect();
            used |= self.row(&columns);
        }
        Ok(used)
    }

    fn row(&mut self, columns: &BTreeMap<&str, &str>) -> bool {
        let column = |name: &str| columns.get(name).copied().filter(|text| !text.is_empty());
        let number = |name: &str| column(name)?.parse::<f64>().ok().filter(|number| number.is_finite());
        if let (Some(clc), Some(lat), Some(lon), Some(area_km2)) =
            (column("CLC"), number("LAT_DD"), number("LON_DD"), number("AREA_KM2"))
        {
            let fits = lat.abs() <= 90.0 && lon.abs() <= 180.0 && (0.0..=1e8).contains(&area_km2);
            if !fits || clc.len() != 6 {
                return false;
            }
            let sgc = column("CDUID").unwrap_or_default().to_owned();
            let radius_km = (area_km2 / std::f64::consts::PI).sqrt();
            let name = column("NAME").unwrap_or_default().to_owned();
            let place = Place { code: clc.to_owned(), name, lat, lon, radius_km, sgc };
            // A table that also says the division says more.
            let known = self.places.entry(clc.to_owned()).or_insert_with(|| place.clone());
            if known.sgc.is_empty() {
                *known = place;
            }
            return true;
        }
        if let (Some(fips), Some(name)) =
            (column("FIPS").filter(|fips| fips.len() == 5), column("COUNTYNAME"))
        {
            self.names.insert((LayerKind::UsCounties, fips.to_owned()), name.to_owned());
            return true;
        }
        if let (Some(ugc), Some(name)) = (column("UGC").or_else(|| column("ZONE_UGC")), column("NAME")) {
            self.names.insert((LayerKind::Zones, ugc.to_owned()), name.to_owned());
            return true;
        }
        false
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.places.values().cloned().collect()
    }

    pub(super) fn name(&self, kind: LayerKind, code: &str) -> Option<String> {
        self.names.get(&(kind, code.to_owned())).cloned()
    }
}

/// RFC 4180: a cell in quotation marks may hold the separator, line ends and doubled quotation marks.
fn rows(text: &str, between: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            c if c == between && !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_in_quotation_marks_are_read_whole() {
        let cases: [(&str, char, &[&[&str]]); 4] = [
            ("a,b\n1,\"2,\"\"x\"\"\"\n", ',', &[&["a", "b"], &["1", "2,\"x\""]]),
            ("a\tb\r\n1\t\r\n", '\t', &[&["a", "b"], &["1", ""]]),
            ("a|b\n\"1\n2\"|3", '|', &[&["a", "b"], &["1\n2", "3"]]),
            ("", ',', &[]),
        ];
        for (text, between, expected) in cases {
            assert_eq!(rows(text, between), expected, "{text}");
        }
    }
}

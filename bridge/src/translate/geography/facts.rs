//! Tables of facts that come with the program: states, census divisions without their boundaries, and which counties
//! and divisions face each other over the border.

use std::collections::BTreeMap;

use super::GeodataError;

/// What is known of a census division without its boundary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Division {
    pub(super) name: String,
    pub(super) lat: f64,
    pub(super) lon: f64,
    /// Radius of the circle with the same land area.
    pub(super) radius_km: f64,
}

/// How a county and a division face each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairClass {
    /// Over the open water of a Great Lake: allocated to the nearest shore, approximate.
    OpenWater,
    /// Over a narrow arm of a lake.
    NarrowWater,
    /// Over a strait.
    SeaStrait,
    /// Over land or a river.
    Touch,
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// FIPS code to abbreviation.
    pub(super) states: BTreeMap<String, String>,
    pub(super) divisions: BTreeMap<String, Division>,
    /// SAME, SGC.
    pub(super) pairs: Vec<(String, String, PairClass)>,
}

impl Facts {
    /// Reads the tables that are built in.
    ///
    /// # Errors
    /// A table and the line that is not as it should be.
    pub(super) fn builtin() -> Result<Self, GeodataError> {
        let mut facts = Facts::default();
        read("us_states.tsv", include_str!("../../../data/us_states.tsv"), |[fips, abbreviation, _]| {
            facts.states.insert(fips.to_owned(), abbreviation.to_owned());
            Some(())
        })?;
        let divisions = include_str!("../../../data/ca_census_divisions.tsv");
        read("ca_census_divisions.tsv", divisions, |[sgc, name, _, lat, lon, radius_km, _]| {
            let name = name.to_owned();
            let (lat, lon, radius_km) = (lat.parse().ok()?, lon.parse().ok()?, radius_km.parse().ok()?);
            facts.divisions.insert(sgc.to_owned(), Division { name, lat, lon, radius_km });
            Some(())
        })?;
        read("border_pairs.tsv", include_str!("../../../data/border_pairs.tsv"), |[same, sgc, class]| {
            facts.pairs.push((same.to_owned(), sgc.to_owned(), PairClass::from_text(class)?));
            Some(())
        })?;
        Ok(facts)
    }
}

impl PairClass {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "open-water" => Some(PairClass::OpenWater),
            "narrow-water" => Some(PairClass::NarrowWater),
            "sea-strait" => Some(PairClass::SeaStrait),
            "touch" => Some(PairClass::Touch),
            _ => None,
        }
    }
}

/// Lines of `N` columns after comments and a heading.
fn read<const N: usize>(
    table: &'static str,
    text: &'static str,
    mut row: impl FnMut([&'static str; N]) -> Option<()>,
) -> Result<(), GeodataError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    for (number, line) in lines.skip(1) {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let read = <[&'static str; N]>::try_from(columns).ok().and_then(&mut row);
        read.ok_or(GeodataError::Table { table, line: number + 1 })?;
    }
    Ok(())
}

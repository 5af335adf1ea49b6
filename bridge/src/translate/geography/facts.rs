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

/// A water of the US weather service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Water {
    /// First letters of the UGC of its zones.
    letters: String,
    /// State number in SAME codes.
    number: String,
    south: f64,
    north: f64,
    west: f64,
    east: f64,
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// FIPS code to abbreviation.
    pub(super) states: BTreeMap<String, String>,
    pub(super) divisions: BTreeMap<String, Division>,
    /// SAME, SGC.
    pub(super) pairs: Vec<(String, String, PairClass)>,
    waters: Vec<Water>,
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
        let waters = include_str!("../../../data/marine_areas.tsv");
        read("marine_areas.tsv", waters, |[letters, number, _, south, north, west, east]| {
            let (letters, number) = (letters.to_owned(), number.to_owned());
            let (south, north) = (south.parse().ok()?, north.parse().ok()?);
            let (west, east) = (west.parse().ok()?, east.parse().ok()?);
            facts.waters.push(Water { letters, number, south, north, west, east });
            Some(())
        })?;
        Ok(facts)
    }

    /// The SAME code of a marine zone; `None` where the UGC is not on water.
    pub(super) fn marine_same(&self, ugc: &str) -> Option<String> {
        let (letters, rest) = ugc.split_at_checked(2)?;
        let water = self.waters.iter().find(|water| water.letters == letters)?;
        Some(format!("0{}{}", water.number, rest.strip_prefix('Z')?))
    }

    /// The UGC of the marine zone that a SAME code names; `None` where its state number is no water's.
    pub(super) fn marine_ugc(&self, same: &str) -> Option<String> {
        let number = same.get(1..3)?;
        let water = self.waters.iter().find(|water| water.number == number)?;
        Some(format!("{}Z{}", water.letters, same.get(3..)?))
    }

    /// State numbers of the waters whose box meets one of longitude and latitude.
    pub(super) fn waters_at(&self, [west, south]: [f64; 2], [east, north]: [f64; 2]) -> Vec<String> {
        let meets = |water: &&Water| {
            let over = if water.west > water.east {
                east >= water.west || west <= water.east
            } else {
                east >= water.west && west <= water.east
            };
            over && north >= water.south && south <= water.north
        };
        self.waters.iter().filter(meets).map(|water| water.number.clone()).collect()
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

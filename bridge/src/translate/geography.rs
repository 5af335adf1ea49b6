//! Where an alert is: from shapes and codes to US counties (SAME, UGC), marine zones (UGC), Canadian census divisions
//! (SGC) and CLC zones. Pure: boundaries are handed in as bytes.
//!
//! Shapes decide by overlap and are never widened. A code alone says nothing about the other side of the border: it
//! crosses only by the table of pairs, and only where a rule says so (design 4). Must not drop a code that it does not
//! know: that is the caller's to keep.

use std::collections::{BTreeMap, BTreeSet};

use cap_schema::{Alert, Point};
use geo::Coord;
use serde::Serialize;

mod approximate;
mod clip;
mod facts;
mod format;
pub mod geodata;
mod layer;
pub(super) mod shape;
#[cfg(test)]
mod tests;

use facts::{Division, Facts, PairClass};
use layer::{Feature, Layer, LayerKind, Prepared};
use shape::Shapes;

/// An overlap of at least this counts (design 9).
pub const COUNTS_KM2: f64 = 0.5;
/// An alert wholly on a river takes the nearest county and division within this (design 9).
pub const NEAREST_KM: f64 = 2.0;
/// Lines of the two countries nearer than this are the same border on land: how well the sets agree.
const SAME_LINE_KM: f64 = 0.1;
/// A shape with this share of its area in divisions lies on Canadian land.
const ON_LAND_SHARE: f64 = 0.99;
/// State numbers of SAME codes from this one on are those of waters.
const FIRST_WATER: &str = "57";
/// Former census areas that were divided, with the codes of today; the built-in set has the former ones.
const DIVIDED: [(&str, [&str; 2]); 1] = [("02261", ["02063", "02066"])];

/// Why boundary data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeodataError {
    /// Not a boundary file of capbridge.
    #[error("not a boundary file made by capbridge geodata build")]
    NotGeodata,
    /// Made by another version.
    #[error("boundary file of version {version}, which this program does not read")]
    Version {
        /// As in the file.
        version: u8,
    },
    /// Damaged.
    #[error("boundary file is damaged: its checksum differs")]
    Checksum,
    /// Ends too early.
    #[error("boundary file ends too early")]
    Truncated,
    /// Goes on after its end.
    #[error("boundary file has {count} bytes after its end")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A number that cannot be.
    #[error("boundary file has a number out of range")]
    Number,
    /// Not UTF-8.
    #[error("boundary file has a text that is not UTF-8")]
    Text,
    /// A line that is not there.
    #[error("boundary file refers to line {number}, which it does not have")]
    Arc {
        /// From 0.
        number: usize,
    },
    /// An unknown kind of boundaries.
    #[error("boundary file has boundaries of unknown kind {kind}")]
    LayerKind {
        /// As in the file.
        kind: u64,
    },
    /// More points than the program holds.
    #[error("boundary file has too many points")]
    TooLarge,
    /// An input of `capbridge geodata build`.
    #[error("{name} cannot be used")]
    Input {
        /// As handed in.
        name: String,
        /// Why.
        #[source]
        cause: geodata::InputError,
    },
    /// No input of `capbridge geodata build` says where places are.
    #[error("no input holds boundaries or places")]
    NothingUsable,
    /// A table that comes with the program.
    #[error("line {line} of {table} is not as it should be")]
    Table {
        /// File name.
        table: &'static str,
        /// From 1.
        line: usize,
    },
}

/// Systems of codes for places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeSystem {
    /// US counties: 6 digits, the first for a part of the county; 000 at the end for a whole state.
    Same,
    /// Canadian census divisions and subdivisions: 4 or 7 digits; 2 for a whole province.
    Sgc,
    /// Canadian Location Code: 6 digits.
    Clc,
}

/// The places that an alert touches. This is the JSON of `capbridge locate` (design 7).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Located {
    /// US counties, 6 digits, sorted.
    pub same: Vec<String>,
    /// US counties and zones by UGC, sorted.
    pub ugc: Vec<String>,
    /// Canadian census divisions, 4 digits, sorted.
    pub sgc: Vec<String>,
    /// Canadian zones by CLC, sorted. Zones whose boundary is not known go by centroid and area.
    pub clc: Vec<String>,
    /// Of any system: overlaps too small to count, and places taken because they are nearest.
    pub partial: Vec<String>,
    /// Counties and divisions were both decided on boundaries.
    pub exact: bool,
    /// SAME codes of the marine zones among `ugc`, sorted.
    #[serde(skip)]
    pub marine: Vec<String>,
    /// CLC zones were decided on boundaries.
    #[serde(skip)]
    pub clc_exact: bool,
    /// All of the shape was looked at: it has neither too many points nor too many lines that cross.
    #[serde(skip)]
    pub whole: bool,
    /// State numbers of SAME codes (of waters too) that a place of the shape can have.
    #[serde(skip)]
    regions: BTreeSet<String>,
}

impl Located {
    /// Whether a SAME code can name a place of the shape: it is of a state that the shape touches, however little, or of a
    /// water around it. A Canadian location code looks like a SAME code and does not fit.
    pub fn fits(&self, same: &str) -> bool {
        match same.get(1..3) {
            Some("00") => self.regions.iter().any(|number| number.as_str() < FIRST_WATER),
            Some(number) => self.regions.contains(number),
            None => false,
        }
    }
}

/// The sets of boundaries and tables, built once.
#[derive(Debug, Default)]
pub struct Boundaries {
    counties: Layer,
    divisions: Layer,
    zones: Layer,
    clc_zones: Layer,
    /// Divisions without a boundary.
    missing: BTreeMap<String, Division>,
    places: Vec<format::Place>,
    /// Division to its places, by number.
    places_of: BTreeMap<String, Vec<usize>>,
    facts: Facts,
}

impl Boundaries {
    /// US counties, and Canadian divisions as facts without boundaries.
    ///
    /// # Errors
    /// The data that comes with the program is damaged.
    pub fn builtin() -> Result<Self, GeodataError> {
        let boundaries = Boundaries { facts: Facts::builtin()?, ..Boundaries::default() };
        boundaries.with_geodata(include_bytes!("../../data/us_counties.bin"))
    }

    /// Puts the sets of a file made by `capbridge geodata build` in place of those it has; the others stay.
    ///
    /// # Errors
    /// Not such a file, or a damaged one.
    pub fn with_geodata(mut self, bytes: &[u8]) -> Result<Self, GeodataError> {
        let contents = format::read(bytes)?;
        for (kind, features) in contents.layers {
            match kind {
                LayerKind::UsCounties => {
                    self.counties = Layer::new(with_those_left(features, &self.counties))
                }
                LayerKind::CensusDivisions => self.divisions = Layer::new(features),
                LayerKind::Zones => self.zones = Layer::new(features),
                LayerKind::ClcZones => self.clc_zones = Layer::new(features),
            }
        }
        let here: BTreeSet<&str> = self.divisions.features().iter().map(|f| f.code.as_str()).collect();
        let missing = self.facts.divisions.iter().filter(|(sgc, _)| !here.contains(sgc.as_str()));
        self.missing = missing.map(|(sgc, division)| (sgc.clone(), division.clone())).collect();
        if !contents.places.is_empty() {
            self.places = contents.places;
        }
        for place in self.places.iter_mut().filter(|place| place.sgc.is_empty()) {
            let center = Coord { x: place.lon, y: place.lat };
            place.sgc =
                self.divisions.containing(center).map(|division| division.code.clone()).unwrap_or_default();
        }
        self.places_of.clear();
        for (number, place) in self.places.iter().enumerate() {
            self.places_of.entry(place.sgc.clone()).or_default().push(number);
        }
        Ok(self)
    }

    /// What polygons (closed or not) and circles (centre, radius in kilometres) touch.
    pub fn locate_shapes(&self, polygons: &[Vec<Point>], circles: &[(Point, f64)]) -> Located {
        let shapes = Shapes::new(polygons, circles);
        let mut found = Found {
            exact: !self.divisions.is_empty() && !approximate::any_reaches(&self.missing, &shapes),
            clc_exact: !self.clc_zones.is_empty(),
            ..Found::default()
        };
        if let Some(around) = shapes.envelope {
            found.regions.extend(self.facts.waters_at(around.lower(), around.upper()));
        }
        let whole = shapes.whole;
        if shapes.is_empty() {
            return Located { whole, ..found.into_located(&self.facts) };
        }
        let prepared = Prepared::new(&shapes);
        for overlap in self.counties.overlaps(&prepared, COUNTS_KM2) {
            found.county(&overlap.feature.code, overlap.area_km2 >= COUNTS_KM2);
        }
        let mut in_canada_km2 = 0.0;
        for overlap in self.divisions.overlaps(&prepared, COUNTS_KM2) {
            found.division(&overlap.feature.code, overlap.area_km2 >= COUNTS_KM2);
            in_canada_km2 += overlap.area_km2;
        }
        if !found.exact {
            // Where boundaries are missing, the facts about the others say where the shape most likely lies.
            let likely = approximate::divisions(&self.missing, &[&self.counties, &self.divisions], &shapes);
            likely.into_iter().for_each(|sgc| found.division(sgc, shapes.area_km2 >= COUNTS_KM2));
        }
        if found.same.is_empty() && found.sgc.is_empty() {
            self.take_nearest(&shapes, in_canada_km2, &mut found);
        }
        self.zones_and_clc(&shapes, &prepared, &mut found);
        Located { whole, ..found.into_located(&self.facts) }
    }

    fn zones_and_clc(&self, shapes: &Shapes, prepared: &Prepared<'_>, found: &mut Found) {
        for overlap in self.zones.overlaps(prepared, COUNTS_KM2) {
            // Zones on land reach up to 0.4 km into Canada; the counties are nearer the border and decide.
            let code = &overlap.feature.code;
            if found.touches_state(code, &self.facts) || self.facts.marine_same(code).is_some() {
                found.zone(code, overlap.area_km2 >= COUNTS_KM2);
            }
        }
        for overlap in self.clc_zones.overlaps(prepared, COUNTS_KM2) {
            found.clc_zone(&overlap.feature.code, overlap.area_km2 >= COUNTS_KM2);
        }
        if self.clc_zones.is_empty() {
            let numbers = found.sgc.iter().filter_map(|sgc| self.places_of.get(sgc)).flatten();
            let places = numbers.filter_map(|number| self.places.get(*number));
            let near: Vec<_> =
                places.filter(|place| shapes.reach(place)).map(|place| place.code.clone()).collect();
            found.clc.extend(near);
        }
    }

    /// For a shape too small to count anywhere, or on water: the places that it lies in, and over a river the nearest on
    /// the other side. Over a border on land nothing is taken: that would widen the shape.
    fn take_nearest(&self, shapes: &Shapes, in_canada_km2: f64, found: &mut Found) {
        let county = self.counties.nearest(shapes, NEAREST_KM);
        if self.divisions.is_empty() {
            let likely: Vec<String> = found.partial.iter().filter(|code| code.len() == 4).cloned().collect();
            likely.iter().for_each(|sgc| found.nearest_division(sgc));
            if likely.is_empty() {
                let within = approximate::within(&self.facts.divisions, &self.counties, shapes, NEAREST_KM);
                within.into_iter().for_each(|sgc| found.nearest_division(sgc));
            }
            county.into_iter().for_each(|near| found.nearest_county(&near.feature.code));
            return;
        }
        let division = self.divisions.nearest(shapes, NEAREST_KM);
        // Divisions end at the shore, so what lies in one is not on a river.
        let on_land = division.is_some_and(|near| near.distance_km == 0.0)
            && in_canada_km2 >= shapes.area_km2 * ON_LAND_SHARE;
        if let Some(near) = county.filter(|near| near.distance_km == 0.0 || !on_land) {
            found.nearest_county(&near.feature.code);
        }
        let in_county = county.is_some_and(|near| near.distance_km == 0.0);
        // Counties go up to the line in the river: where one ends beside the other there is no river.
        let no_river = |near: &layer::Near<'_>| {
            near.distance_km > SAME_LINE_KM
                && self.counties.nearest(&Shapes::point(near.at), SAME_LINE_KM).is_some()
        };
        if let Some(near) = division.filter(|near| !in_county || !no_river(near)) {
            found.nearest_division(&near.feature.code);
        }
    }

    /// All boundaries with their codes, as rings of which one inside another is a hole: for maps and comparisons.
    pub fn outlines(&self) -> impl Iterator<Item = (&str, Vec<Vec<Point>>)> {
        let layers = [&self.counties, &self.divisions, &self.zones, &self.clc_zones];
        layers.into_iter().flat_map(Layer::features).map(|feature| {
            let ring = |ring: &Vec<Coord<f64>>| ring.iter().map(|c| Point { lat: c.y, lon: c.x }).collect();
            (feature.code.as_str(), feature.rings.iter().map(ring).collect())
        })
    }

    /// The name of a county by its SAME code.
    pub fn county_name(&self, same: &str) -> Option<&str> {
        let fips = same.get(1..)?;
        self.counties.features().iter().find(|county| county.code == fips).map(|county| county.name.as_str())
    }

    /// The name of a census division by its code, or by the 7-digit code of one of its subdivisions.
    pub fn division_name(&self, sgc: &str) -> Option<&str> {
        self.facts.divisions.get(sgc.get(..4)?).map(|division| division.name.as_str())
    }

    /// Whether a code is all of Canada, a province, a census division, or a subdivision of one. Lists of subdivisions of
    /// several years are on the air, so their last three digits are not looked at.
    pub fn is_sgc(&self, code: &str) -> bool {
        let digits = code.bytes().all(|b| b.is_ascii_digit());
        digits
            && match code.len() {
                2 => code == "00" || self.facts.divisions.keys().any(|division| division.starts_with(code)),
                4 | 7 => code.get(..4).is_some_and(|four| self.facts.divisions.contains_key(four)),
                _ => false,
            }
    }

    /// The divisions over the border of a county, not over the open water of a Great Lake.
    pub fn neighbours_of_same(&self, same: &str) -> Vec<&str> {
        let pairs = self.pairs().filter(|(county, _)| covers_same(same, county));
        pairs.map(|(_, division)| division).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The counties over the border of a division, not over the open water of a Great Lake.
    pub fn neighbours_of_sgc(&self, sgc: &str) -> Vec<&str> {
        let pairs = self.pairs().filter(|(_, division)| covers_sgc(sgc, division));
        pairs.map(|(county, _)| county).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The marine zone of a SAME code; zones come and go, so each number of a water is taken for one.
    fn marine_zone(&self, same: &str) -> Option<String> {
        let well_formed = same.len() == 6 && same.bytes().all(|b| b.is_ascii_digit());
        well_formed.then(|| self.facts.marine_ugc(same)).flatten()
    }

    /// The UGC of a county by its SAME code.
    pub fn county_ugc(&self, same: &str) -> Option<String> {
        county_ugc(same, &self.facts)
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let near = self.facts.pairs.iter().filter(|(_, _, class)| match class {
            PairClass::OpenWater => false,
            PairClass::NarrowWater | PairClass::SeaStrait | PairClass::Touch => true,
        });
        near.map(|(same, sgc, _)| (same.as_str(), sgc.as_str()))
    }

    /// What a code names, with its neighbours on the other side by the table of pairs; `None` when it is unknown.
    pub fn locate_code(&self, system: CodeSystem, code: &str) -> Option<Located> {
        let mut found = Found { exact: true, ..Found::default() };
        match system {
            CodeSystem::Same => {
                let counties = self.counties.features().iter().map(|county| format!("0{}", county.code));
                let paired = self.facts.pairs.iter().map(|(same, ..)| same.clone());
                found.same = counties.chain(paired).filter(|county| covers_same(code, county)).collect();
                found.sgc.extend(self.neighbours_of_same(code).into_iter().map(str::to_owned));
                found.zones.extend(self.marine_zone(code));
                if found.same.is_empty() && found.zones.is_empty() {
                    return None;
                }
            }
            CodeSystem::Sgc => {
                let divisions = self.facts.divisions.keys().filter(|division| covers_sgc(code, division));
                found.sgc = divisions.cloned().collect();
                found.same.extend(self.neighbours_of_sgc(code).into_iter().map(str::to_owned));
                if found.sgc.is_empty() {
                    return None;
                }
            }
            CodeSystem::Clc => {
                let place = self.places.iter().find(|place| place.code == code)?;
                found.clc.insert(place.code.clone());
                if !place.sgc.is_empty() {
                    found.sgc.insert(place.sgc.clone());
                    found.same.extend(self.neighbours_of_sgc(&place.sgc).into_iter().map(str::to_owned));
                }
            }
        }
        Some(found.into_located(&self.facts))
    }
}

/// The counties of a file, with those it has not: a file of one state must not make the others vanish. Where a file has a
/// state by newer codes, its former ones go.
fn with_those_left(mut features: Vec<Feature>, known: &Layer) -> Vec<Feature> {
    /// Connecticut's planning regions are numbered from here on; before, its counties.
    const REGIONS: &str = "09110";
    let codes: BTreeSet<String> = features.iter().map(|f| f.code.clone()).collect();
    let regions = codes.range(REGIONS.to_owned().."10".to_owned()).next().is_some();
    let newer = |code: &str| {
        let divided = DIVIDED.iter().find(|(former, _)| *former == code);
        divided.is_some_and(|(_, today)| today.iter().any(|one| codes.contains(*one)))
            || (regions && code.starts_with("09") && code < REGIONS)
    };
    let left = known.features().iter().filter(|f| !codes.contains(&f.code) && !newer(&f.code));
    features.extend(left.cloned());
    features
}

/// Whether a SAME code, which may name a part of a county (first digit) or a whole state (last three 000), covers a
/// county.
fn covers_same(code: &str, county: &str) -> bool {
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    match code.get(1..) {
        Some("00000") => true,
        Some(fips) if fips.ends_with("000") => county.get(1..3) == fips.get(..2),
        Some(fips) => county.get(1..) == Some(fips),
        None => false,
    }
}

/// Whether an SGC code of 2, 4 or 7 digits covers a census division or lies in it.
fn covers_sgc(code: &str, division: &str) -> bool {
    match code.len() {
        2 => division.starts_with(code),
        4 => division == code,
        7 => code.starts_with(division),
        _ => false,
    }
}

#[derive(Default)]
struct Found {
    same: BTreeSet<String>,
    zones: BTreeSet<String>,
    sgc: BTreeSet<String>,
    clc: BTreeSet<String>,
    partial: BTreeSet<String>,
    regions: BTreeSet<String>,
    exact: bool,
    clc_exact: bool,
}

impl Found {
    fn county(&mut self, fips: &str, counts: bool) {
        let divided = DIVIDED.iter().find(|(former, _)| *former == fips);
        let today = divided.map_or_else(|| vec![fips], |(_, today)| today.to_vec());
        for same in today.into_iter().map(|fips| format!("0{fips}")) {
            // Which of the two it is is not known, so neither is certain.
            if !counts || divided.is_some() {
                self.partial.insert(same.clone());
            }
            self.regions.extend(same.get(1..3).map(str::to_owned));
            if counts {
                self.same.insert(same);
            }
        }
    }

    fn division(&mut self, sgc: &str, counts: bool) {
        let list = if counts { &mut self.sgc } else { &mut self.partial };
        list.insert(sgc.to_owned());
    }

    /// Taken because nothing counts: also listed as partial.
    fn nearest_county(&mut self, fips: &str) {
        self.county(fips, true);
        self.county(fips, false);
    }

    fn nearest_division(&mut self, sgc: &str) {
        self.division(sgc, true);
        self.division(sgc, false);
    }

    fn zone(&mut self, ugc: &str, counts: bool) {
        let list = if counts { &mut self.zones } else { &mut self.partial };
        list.insert(ugc.to_owned());
    }

    fn clc_zone(&mut self, clc: &str, counts: bool) {
        let list = if counts { &mut self.clc } else { &mut self.partial };
        list.insert(clc.to_owned());
    }

    /// Whether a county of the zone's state is touched, however little.
    fn touches_state(&self, ugc: &str, facts: &Facts) -> bool {
        let counties = self.same.iter().chain(&self.partial);
        let states = counties.filter_map(|same| facts.states.get(same.get(1..3)?));
        states.into_iter().any(|state| ugc.starts_with(state.as_str()))
    }

    fn into_located(self, facts: &Facts) -> Located {
        let marine: BTreeSet<String> = self.zones.iter().filter_map(|ugc| facts.marine_same(ugc)).collect();
        let mut ugc = self.zones;
        ugc.extend(self.same.iter().filter_map(|same| county_ugc(same, facts)));
        Located {
            same: self.same.into_iter().collect(),
            ugc: ugc.into_iter().collect(),
            sgc: self.sgc.into_iter().collect(),
            clc: self.clc.into_iter().collect(),
            partial: self.partial.into_iter().collect(),
            exact: self.exact,
            marine: marine.into_iter().collect(),
            clc_exact: self.clc_exact,
            whole: true,
            regions: self.regions,
        }
    }
}

fn county_ugc(same: &str, facts: &Facts) -> Option<String> {
    let state = facts.states.get(same.get(1..3)?)?;
    Some(format!("{state}C{}", same.get(3..)?))
}

/// Whether the text of a polygon or circle says longitude before latitude: as it stands it lies south of all land but
/// Antarctica, or off the Earth, and the other way round in North America. Nothing is guessed from it.
pub fn is_longitude_first(text: &str) -> bool {
    let pairs = || text.split_ascii_whitespace().filter_map(|pair| pair.split_once(','));
    let swapped = |(lat, lon): (&str, &str)| match (lat.parse::<f64>(), lon.parse::<f64>()) {
        (Ok(lat), Ok(lon)) => is_swapped(lat, lon),
        (Err(_), _) | (_, Err(_)) => false,
    };
    pairs().next().is_some() && pairs().all(swapped)
}

fn is_swapped(lat: f64, lon: f64) -> bool {
    (-180.0..=-50.0).contains(&lat) && (15.0..=84.0).contains(&lon)
}

/// Whether any polygon or circle of the alert touches the coverage (closed or not), however little.
///
/// A shape that cannot be read, and an alert without shapes, touch nothing.
pub fn touches(coverage: &[Point], alert: &Alert<'_>) -> bool {
    let coverage_shapes = Shapes::new(&[coverage.to_vec()], &[]);
    let areas = alert.info.iter().flat_map(|info| &info.area);
    areas.into_iter().any(|area| {
        let polygons: Vec<_> = area.polygon.iter().filter_map(|polygon| polygon.pairs().ok()).collect();
        let circles: Vec<_> = area
            .circle
            .iter()
            .filter_map(|circle| Some((circle.center().ok()?, circle.radius_km().ok()?)))
            .collect();
        coverage_shapes.touches(&Shapes::new(&polygons, &circles))
    })
}

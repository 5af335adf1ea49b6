//! Makes the compact boundary file from official inputs: US Census counties, NWS zones, Statistics Canada census
//! divisions, ECCC zones and CLC tables, as shapefile (`.shp` with its `.dbf` and `.prj`), GeoJSON, TopoJSON, CSV or TSV.
//!
//! What an input holds is told from its columns, not from its name. Where two inputs describe the same place, the one
//! with more places wins. Inputs that say nothing about places are named in the summary, never an error: an operator
//! hands in a whole folder.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::GeodataError;
use super::format::{self, Outline, Place};
use super::layer::LayerKind;

mod geojson;
mod projection;
mod shapefile;
mod table;
mod topojson;

/// 1.1 m of latitude.
const UNITS_PER_DEGREE: u64 = 100_000;

/// Why one input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Not JSON.
    #[error("not JSON")]
    Json {
        /// Where and why.
        #[source]
        cause: serde_json::Error,
    },
    /// Neither a TopoJSON topology nor a GeoJSON feature collection.
    #[error("neither a topology nor a feature collection")]
    NotGeometry,
    /// A topology refers to a line that it does not have.
    #[error("refers to line {number}, which it does not have")]
    Arc {
        /// As in the file.
        number: i64,
    },
    /// Coordinates that are no numbers.
    #[error("a coordinate is not a number")]
    Coordinate,
    /// Coordinates that are not degrees, without a description that says what they are.
    #[error("coordinates are not degrees and the map projection is not known")]
    Projection,
    /// Latitude before longitude.
    #[error("latitude stands before longitude: as it is, it lies in Antarctica or off the Earth")]
    Swapped,
    /// Ends too early.
    #[error("ends too early")]
    Truncated,
    /// A shapefile without its table.
    #[error("the table {name} that belongs to it is not among the inputs")]
    NoTable {
        /// File name.
        name: String,
    },
    /// A shapefile of points or lines.
    #[error("holds shapes of type {kind}, not polygons")]
    ShapeType {
        /// As in the file.
        kind: i32,
    },
    /// Not UTF-8.
    #[error("not UTF-8")]
    Text,
}

/// What went into a file and what did not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// One for each kind of boundaries.
    pub layers: Vec<LayerSummary>,
    /// Places without a boundary: CLC zones from tables.
    pub places: usize,
    /// Inputs that gave nothing.
    pub unused: Vec<String>,
    /// Size of the file.
    pub size_bytes: usize,
}

/// One set of boundaries in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerSummary {
    /// `us_counties`, `census_divisions`, `zones` or `clc_zones`.
    pub kind: &'static str,
    /// Places.
    pub features: usize,
    /// Points of their lines; a line that two share counts once where the input shares it.
    pub points: usize,
    /// The inputs, the first one first asked.
    pub inputs: Vec<String>,
}

/// Shapes and columns of one input, before it is known what they are.
#[derive(Debug, Default)]
struct Drawing {
    /// Longitude and latitude in degrees.
    arcs: Vec<Vec<(f64, f64)>>,
    features: Vec<Drawn>,
}

impl Drawing {
    /// All of it lies in North America only if its longitudes are its latitudes.
    fn is_swapped(&self) -> bool {
        let mut points = self.arcs.iter().flatten().peekable();
        points.peek().is_some() && points.all(|(lon, lat)| super::is_swapped(*lat, *lon))
    }
}

#[derive(Debug, Default)]
struct Drawn {
    /// By column in upper case.
    columns: BTreeMap<String, String>,
    /// Number of the arc, and whether it is reversed.
    rings: Vec<Vec<(usize, bool)>>,
}

/// Makes a boundary file from inputs (name, bytes), in any order; the same inputs give the same bytes.
///
/// # Errors
/// An input that is damaged, or nothing that could be used.
pub fn build(inputs: &[(String, Vec<u8>)]) -> Result<(Vec<u8>, Summary), GeodataError> {
    let mut inputs: Vec<&(String, Vec<u8>)> = inputs.iter().collect();
    inputs.sort();
    let mut drawings = Vec::new();
    let mut tables = table::Tables::default();
    let mut summary = Summary::default();
    for (name, bytes) in &inputs {
        let failed = |cause| GeodataError::Input { name: name.clone(), cause };
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        match ending.as_str() {
            "json" | "geojson" | "topojson" => match drawing_of_json(bytes) {
                Ok(drawing) if drawing.is_swapped() => return Err(failed(InputError::Swapped)),
                Ok(drawing) => drawings.push((name.as_str(), drawing)),
                // JSON of another kind may lie in the folder; JSON that is none may not.
                Err(InputError::NotGeometry) => summary.unused.push(name.clone()),
                Err(cause) => return Err(failed(cause)),
            },
            "shp" => drawings.push((name.as_str(), shapefile::read(name, bytes, &inputs).map_err(failed)?)),
            "csv" | "tsv" => {
                if !tables.read(name, bytes).map_err(failed)? {
                    summary.unused.push(name.clone());
                }
            }
            "dbf" | "prj" if has_shapes(name, &inputs) => {}
            _ => summary.unused.push(name.clone()),
        }
    }
    let layers = layers_of(&drawings, &tables, &mut summary)?;
    let places = tables.places();
    if layers.is_empty() && places.is_empty() {
        return Err(GeodataError::NothingUsable);
    }
    let used: Vec<&str> = inputs
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !summary.unused.iter().any(|unused| unused == name))
        .collect();
    let file = format::write(&used.join(", "), &layers, &places);
    summary.places = places.len();
    summary.unused.sort();
    summary.size_bytes = file.len();
    Ok((file, summary))
}

fn drawing_of_json(bytes: &[u8]) -> Result<Drawing, InputError> {
    let json: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|cause| InputError::Json { cause })?;
    match json.get("type").and_then(|kind| kind.as_str()) {
        Some("Topology") => topojson::read(&json),
        Some("FeatureCollection") => geojson::read(&json),
        _ => Err(InputError::NotGeometry),
    }
}

fn has_shapes(name: &str, inputs: &[&(String, Vec<u8>)]) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    inputs.iter().any(|(other, _)| {
        other.rsplit_once('.').is_some_and(|(s, e)| s == stem && e.eq_ignore_ascii_case("shp"))
    })
}

/// Brings the features of all inputs together by what they are, inputs with more of a kind first.
fn layers_of(
    drawings: &[(&str, Drawing)],
    tables: &table::Tables,
    summary: &mut Summary,
) -> Result<Vec<(LayerKind, Outline)>, GeodataError> {
    type Found<'a> = Vec<(String, &'a Drawn)>;
    let mut by_kind: BTreeMap<LayerKind, Vec<(&str, &Drawing, Found)>> = BTreeMap::new();
    for (name, drawing) in drawings {
        let mut found: BTreeMap<LayerKind, Found> = BTreeMap::new();
        for drawn in &drawing.features {
            if let Some((kind, code)) = code_of(&drawn.columns) {
                found.entry(kind).or_default().push((code, drawn));
            }
        }
        if found.is_empty() {
            summary.unused.push((*name).to_owned());
        }
        for (kind, features) in found {
            by_kind.entry(kind).or_default().push((name, drawing, features));
        }
    }
    let mut layers = Vec::new();
    let mut gave = BTreeSet::new();
    for (kind, mut sets) in by_kind.clone() {
        sets.sort_by_key(|(name, _, features)| (std::cmp::Reverse(features.len()), *name));
        let mut layer = LayerBuilder::default();
        for (name, drawing, features) in sets {
            if layer.add(kind, drawing, features, tables) {
                layer.inputs.push(name.to_owned());
                gave.insert(name);
            }
        }
        summary.layers.push(layer.summary(kind));
        layers.push((kind, layer.outline));
    }
    let idle = drawings.iter().map(|(name, _)| *name).filter(|name| !gave.contains(name));
    let idle: Vec<String> =
        idle.filter(|name| !summary.unused.iter().any(|unused| unused == name)).map(str::to_owned).collect();
    summary.unused.extend(idle);
    Ok(layers)
}

#[derive(Default)]
struct LayerBuilder {
    outline: Outline,
    codes: BTreeSet<String>,
    inputs: Vec<String>,
}

impl LayerBuilder {
    /// Takes the features whose code is new; says whether there was one. Several shapes with one code in the same
    /// input are one place.
    fn add(
        &mut self,
        kind: LayerKind,
        drawing: &Drawing,
        features: Vec<(String, &Drawn)>,
        tables: &table::Tables,
    ) -> bool {
        let mut numbers: BTreeMap<usize, u64> = BTreeMap::new();
        let mut places: BTreeMap<String, (String, Vec<Vec<u64>>)> = BTreeMap::new();
        for (code, drawn) in features.into_iter().filter(|(code, _)| !self.codes.contains(code)) {
            let (name, rings) = places.entry(code.clone()).or_default();
            if name.is_empty() {
                *name = name_of(&drawn.columns).or_else(|| tables.name(kind, &code)).unwrap_or_default();
            }
            for ring in &drawn.rings {
                let references = ring.iter().map(|(arc, reversed)| {
                    let number = *numbers.entry(*arc).or_insert_with(|| {
                        self.outline
                            .arcs
                            .push(quantised(drawing.arcs.get(*arc).map_or(&[][..], Vec::as_slice)));
                        self.outline.arcs.len() as u64 - 1
                    });
                    number << 1 | u64::from(*reversed)
                });
                rings.push(references.collect());
            }
        }
        let any = !places.is_empty();
        for (code, (name, rings)) in places {
            self.codes.insert(code.clone());
            self.outline.features.push((code, name, rings));
        }
        self.outline.units_per_degree = UNITS_PER_DEGREE;
        any
    }

    fn summary(&self, kind: LayerKind) -> LayerSummary {
        LayerSummary {
            kind: match kind {
                LayerKind::UsCounties => "us_counties",
                LayerKind::CensusDivisions => "census_divisions",
                LayerKind::Zones => "zones",
                LayerKind::ClcZones => "clc_zones",
            },
            features: self.outline.features.len(),
            points: self.outline.arcs.iter().map(Vec::len).sum(),
            inputs: self.inputs.clone(),
        }
    }
}

fn quantised(arc: &[(f64, f64)]) -> Vec<(i64, i64)> {
    let whole = |degrees: f64| (degrees * UNITS_PER_DEGREE as f64).round() as i64;
    let mut points: Vec<(i64, i64)> = arc.iter().map(|(lon, lat)| (whole(*lon), whole(*lat))).collect();
    points.dedup();
    points
}

/// What a feature is, and its code, from the columns that the publishers use.
fn code_of(columns: &BTreeMap<String, String>) -> Option<(LayerKind, String)> {
    let column = |name: &str| columns.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let digits = |text: &&str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(sgc) = column("CDUID").filter(|text| digits(text, 4)) {
        return Some((LayerKind::CensusDivisions, sgc.to_owned()));
    }
    if let Some(clc) = column("CLC").filter(|text| digits(text, 6)) {
        return Some((LayerKind::ClcZones, clc.to_owned()));
    }
    if let Some(ugc) = ["UGC", "ID"].iter().find_map(|name| column(name).filter(|text| is_zone(text))) {
        return Some((LayerKind::Zones, ugc.to_owned()));
    }
    if let (Some(state), Some(zone)) = (column("STATE"), column("ZONE")) {
        let ugc = format!("{state}Z{zone:0>3}");
        return is_zone(&ugc).then_some((LayerKind::Zones, ugc));
    }
    let fips = column("FIPS").or_else(|| column("GEOID")).filter(|text| digits(text, 5));
    fips.map(|fips| (LayerKind::UsCounties, fips.to_owned()))
}

/// Two letters, Z, three digits.
fn is_zone(text: &str) -> bool {
    match text.as_bytes() {
        [a, b, b'Z', number @ ..] => {
            a.is_ascii_uppercase()
                && b.is_ascii_uppercase()
                && number.len() == 3
                && number.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn name_of(columns: &BTreeMap<String, String>) -> Option<String> {
    let name = ["COUNTYNAME", "CDNAME", "NAME"].iter().find_map(|name| columns.get(*name));
    name.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

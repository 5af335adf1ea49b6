//! What the bench translates and locates: real documents and polygons, read in place, or generated ones.

use std::path::{Path, PathBuf};

use cap_schema::{Document, Limits, Point, Polygon};

/// A document with a name that is the same in each run.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A folder beside the corpus.
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = std::env::var_os("CAP_CORPUS").map_or(beside, PathBuf::from);
    Some(corpus.join("..").join(name)).filter(|path| path.is_dir())
}

/// Every XSD-valid document of the corpus.
pub fn all() -> Vec<Sample> {
    let Some(corpus) = shared("corpus") else {
        println!("no corpus: generated documents");
        return (0..200).map(generated).collect();
    };
    let mut documents = Vec::new();
    let mut add = |path: PathBuf| {
        if let Ok(bytes) = std::fs::read(&path) {
            documents.push(Sample { name: path.display().to_string(), bytes });
        }
    };
    let table = std::fs::read_to_string(corpus.join("cap/EXPECTED.tsv")).unwrap();
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        if let [file, _, _, _, _, _, "valid", ..] = cells.as_slice() {
            add(corpus.join("cap").join(file));
        }
    }
    for entry in std::fs::read_dir(corpus.join("ipaws/cap-ipaws-openfema")).unwrap() {
        add(entry.unwrap().path());
    }
    documents.sort_by(|a, b| a.name.cmp(&b.name));
    documents
}

/// An alert over the St. Clair River with a polygon of its own.
fn generated(number: usize) -> Sample {
    let ring = ring(42.6 + number as f64 * 0.002, -82.5, 12 + number % 40);
    let language = if number.is_multiple_of(2) { "en-CA" } else { "en-US" };
    let code = if number.is_multiple_of(2) { "<code>profile:CAP-CP:0.4</code>" } else { "" };
    let text = format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>B-{number}</identifier>\
         <sender>desk@example.test</sender><sent>2026-03-01T12:00:00-05:00</sent><status>Actual</status>\
         <msgType>Alert</msgType><scope>Public</scope>{code}<info><language>{language}</language>\
         <category>CBRNE</category><event>Release</event><urgency>Immediate</urgency><severity>Severe</severity>\
         <certainty>Observed</certainty><expires>2026-03-01T18:00:00-05:00</expires><headline>Release</headline>\
         <description>{}</description><area><areaDesc>River</areaDesc><polygon>{ring}</polygon></area></info></alert>",
        "Chlorine near the river. ".repeat(1 + number % 20)
    );
    Sample { name: format!("B-{number}"), bytes: text.into_bytes() }
}

fn ring(lat: f64, lon: f64, corners: usize) -> String {
    let corner = |i: usize| {
        let angle = std::f64::consts::TAU * (i % corners) as f64 / corners as f64;
        format!("{:.4},{:.4}", lat + 0.06 * angle.sin(), lon + 0.09 * angle.cos())
    };
    (0..=corners).map(corner).collect::<Vec<_>>().join(" ")
}

/// The polygons of the golden table and of all documents, each once.
pub fn polygons() -> Vec<Vec<Point>> {
    let mut texts = Vec::new();
    if let Some(geo) = shared("geo") {
        let golden = std::fs::read_to_string(geo.join("golden.tsv")).unwrap_or_default();
        let column = |line: &str| line.split('\t').nth(4).unwrap_or("").to_owned();
        texts.extend(golden.lines().skip(1).map(column));
    }
    for document in all() {
        let Ok(read) = Document::read(&document.bytes, &Limits::default()) else { continue };
        let Ok(parsed) = read.parse() else { continue };
        let areas = parsed.alert.info.iter().flat_map(|info| &info.area);
        texts.extend(areas.flat_map(|area| &area.polygon).map(|polygon| polygon.as_str().to_owned()));
    }
    texts.sort();
    texts.dedup();
    // Shapes that say no place, and those on other continents, would only make both sides look quick.
    let near = |p: &Point| (24.0..84.0).contains(&p.lat) && (-180.0..-50.0).contains(&p.lon);
    let points = texts.iter().filter_map(|text| Polygon::new(text.as_str()).points().ok());
    points.filter(|points| points.iter().all(near)).collect()
}

//! Speed of translation against reading and writing the same documents, and of finding places against Python's shapely
//! with an STRtree on the same polygons and the same boundaries, by the protocol of the design: by turns, medians of five
//! rounds, figures in `target/bench/summary.json`.
//!
//! Documents: every XSD-valid one of the corpus that has a translation, each into the other country's profile at its own
//! `sent`. Boundaries: exact ones from `../shared/geo`, else those that are built in. `BENCH_SECONDS` (10) is the length of
//! one measure in a round.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench reads the time, prints a table, and ends where it cannot measure"
)]

#[path = "translate/documents.rs"]
mod documents;
#[path = "translate/shapely.rs"]
mod shapely;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_schema::{Document, Limits, Point};
use capbridge::translate::geography::{Boundaries, geodata};
use capbridge::translate::{Request, Settings, Tables, Target, translate};
use documents::Sample;
use jiff::Timestamp;

const ROUNDS: usize = 5;

fn main() {
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10.0);
    let each = Duration::from_secs_f64(seconds);
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load().trim());
    let with = Tables { boundaries: boundaries(), ..Tables::builtin().unwrap() };
    let without = Tables { boundaries: Boundaries::default(), ..Tables::builtin().unwrap() };
    let mut summary = BTreeMap::new();
    translation(&with, &without, each, &mut summary);
    locating(&with.boundaries, each, &mut summary);
    println!("load {}", load().trim());
    println!("{}", serde_json::to_string_pretty(&summary).unwrap());
    merge(&target().join("bench"), &summary);
}

/// Exact boundaries where the official inputs are at hand.
fn boundaries() -> Boundaries {
    let builtin = Boundaries::builtin().unwrap();
    let Some(folder) = documents::shared("geo") else {
        println!("no ../shared/geo: the built-in boundaries");
        return builtin;
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .collect();
    builtin.with_geodata(&geodata::build(&inputs).unwrap().0).unwrap()
}

fn translation(with: &Tables, without: &Tables, each: Duration, summary: &mut BTreeMap<String, f64>) {
    let limits = Limits::default();
    let documents: Vec<Sample> = documents::all()
        .into_iter()
        .filter(|d| make(d, with, &limits).is_some() && make(d, without, &limits).is_some())
        .collect();
    let bytes: usize = documents.iter().map(|d| d.bytes.len()).sum();
    println!("{} documents, {bytes} bytes", documents.len());
    let parse_write = || {
        for document in &documents {
            let read = Document::read(&document.bytes, &limits).unwrap();
            let parsed = read.parse().unwrap();
            black_box(cap_schema::write(&parsed.alert));
        }
    };
    let measures: [(&str, &dyn Fn()); 3] = [
        ("parse and write", &parse_write),
        ("translate", &|| documents.iter().for_each(|d| drop(black_box(make(d, without, &limits))))),
        ("translate with geography", &|| {
            documents.iter().for_each(|d| drop(black_box(make(d, with, &limits))));
        }),
    ];
    let mut speeds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (name, measure) in &measures {
            let (times, took) = run(each, measure);
            let speed = (documents.len() * times) as f64 / took.as_secs_f64();
            speeds.entry(name).or_default().push(speed);
        }
    }
    let speed: BTreeMap<&str, f64> = speeds.into_iter().map(|(name, s)| (name, median(s))).collect();
    for (name, documents_per_second) in &speed {
        println!("  {name:26} {documents_per_second:9.0} documents/s");
    }
    let base = speed["parse and write"];
    summary.insert("translate.vs_parse_write".into(), speed["translate"] / base);
    summary
        .insert("translate.with_geography_vs_parse_write".into(), speed["translate with geography"] / base);
}

/// Reads and translates; the new document, if there is one.
fn make(document: &Sample, tables: &Tables, limits: &Limits) -> Option<String> {
    let read = Document::read(&document.bytes, limits).ok()?;
    let parsed = read.parse().ok().filter(|p| p.accepted())?;
    let sent = parsed.alert.sent.instant()?;
    let settings = Settings { untouched: true, ..Settings::default() };
    let canadian = parsed.alert.code.iter().any(|c| c.starts_with("profile:CAP-CP"));
    let request = Request {
        alert: &parsed.alert,
        origin_key: &document.name,
        target: if canadian { Target::Ipaws } else { Target::CapCp },
        at: Timestamp::from_second(sent.seconds()).ok()?,
        issued: None,
        previous: None,
        settings: &settings,
        tables,
    };
    translate(&request).ok().map(|translated| translated.xml)
}

fn locating(boundaries: &Boundaries, each: Duration, summary: &mut BTreeMap<String, f64>) {
    let polygons = documents::polygons();
    let points: usize = polygons.iter().map(Vec::len).sum();
    println!("{} polygons, {points} points", polygons.len());
    let mut micros: Vec<f64> = polygons.iter().map(|polygon| micros_of(boundaries, polygon)).collect();
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    println!(
        "  locate: median {:.0} us, 90 of 100 under {:.0} us, longest {:.0} us",
        at(0.5),
        at(0.9),
        at(1.0)
    );
    let Some(mut other) = shapely::Shapely::start(&target(), boundaries, &polygons) else { return };
    let locate = || {
        for polygon in &polygons {
            black_box(boundaries.locate_shapes(std::slice::from_ref(polygon), &[]));
        }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (times, took) = run(each, &locate);
        ours.push((polygons.len() * times) as f64 / took.as_secs_f64());
        theirs.push(other.measure(each));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("  locate {ours:9.0} polygons/s; shapely with an STRtree {theirs:9.0} polygons/s");
    summary.insert("locate.vs_shapely".into(), ours / theirs);
}

/// The time of one search, of several.
fn micros_of(boundaries: &Boundaries, polygon: &Vec<Point>) -> f64 {
    let (times, took) = run(Duration::from_millis(2), &|| {
        black_box(boundaries.locate_shapes(std::slice::from_ref(polygon), &[]));
    });
    took.as_secs_f64() * 1e6 / times as f64
}

fn run(each: Duration, measure: &dyn Fn()) -> (usize, Duration) {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < each {
        measure();
        times += 1;
    }
    (times, start.elapsed())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn target() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from)
}

/// Other benches write into the same summary.
fn merge(folder: &Path, figures: &BTreeMap<String, f64>) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("summary.json");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut all: BTreeMap<String, f64> = serde_json::from_str(&old).unwrap_or_default();
    all.extend(figures.iter().map(|(name, figure)| (name.clone(), (figure * 1_000.0).round() / 1_000.0)));
    std::fs::write(&path, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
}

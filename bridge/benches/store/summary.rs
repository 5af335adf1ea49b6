//! Settings of a bench, and the summary that all of them write into.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub fn target() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from)
}

/// Other benches write into the same summary.
pub fn merge(folder: &Path, figures: &BTreeMap<String, f64>) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("summary.json");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut all: BTreeMap<String, f64> = serde_json::from_str(&old).unwrap_or_default();
    all.extend(figures.iter().map(|(name, figure)| (name.clone(), (figure * 1_000.0).round() / 1_000.0)));
    std::fs::write(&path, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
}

//! Where the shared corpus is, and how its tables are read.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The corpus folder; `None`, with one line said, where there is none.
pub fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = std::env::var_os("CAP_CORPUS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no corpus at {}; set CAP_CORPUS", folder.display());
    None
}

/// The rows of a TSV with a header line; lines with # are comments.
pub fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().filter(|l| !l.starts_with('#'));
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            names.iter().zip(line.split('\t')).map(|(n, v)| ((*n).to_owned(), v.to_owned())).collect()
        })
        .collect()
}

/// All files below a folder, in order of name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Documents where we differ from a table beside them, with the reason (`tests/corpus/disagreements.tsv`).
pub fn disagreements(table_name: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/disagreements.tsv");
    let mut known = BTreeMap::new();
    for row in table(&path) {
        let cell = |name: &str| row.get(name).cloned().unwrap_or_default();
        assert!(["schema", "owner", "signature"].contains(&cell("table").as_str()), "{row:?}");
        assert!(cell("reason").len() > 20, "no reason: {row:?}");
        if cell("table") == table_name {
            known.insert(cell("file"), cell("reason"));
        }
    }
    known
}

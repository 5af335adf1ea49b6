//! Every row of every mapping table is deleted, doubled, and changed cell by cell in memory; some check must find it.
//!
//! What decides about a message (codes, what crosses, who is a neighbour) must be found by facts stated a second time, so
//! without the sources and without the seal. Names, icons and sources of rows may be found by the sources or the seal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use super::*;
use crate::pipeline::deduplicate::hex_digest;

/// One changed table.
struct Mutant {
    what: String,
    text: String,
}

/// All changes of a table, one at a time.
fn mutants(text: &str) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let rows: Vec<usize> =
        (0..lines.len()).filter(|i| !lines[*i].starts_with('#') && !lines[*i].is_empty()).skip(1).collect();
    let with = |at: usize, line: Option<String>| -> String {
        let mut all: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        match line {
            Some(line) => all[at] = line,
            None => drop(all.remove(at)),
        }
        all.join("\n") + "\n"
    };
    let mut found = Vec::new();
    for (position, at) in rows.iter().enumerate() {
        let line = lines[*at];
        let cells: Vec<&str> = line.split('\t').collect();
        let name = cells[0];
        let whole = [("deleted", None), ("doubled", Some(format!("{line}\n{line}")))];
        for (what, changed) in whole {
            found.push(Mutant { what: format!("{name} {what}"), text: with(*at, changed) });
        }
        for (column, cell) in cells.iter().enumerate() {
            // Another row's value, as a slip of the hand would put it there; none; one that no row has.
            let others = rows.iter().cycle().skip(position + 1).take(rows.len() - 1);
            let mut values = others.map(|i| cell_of(lines[*i], column));
            let swapped = values.find(|other| other != cell).map(str::to_owned);
            if let Some(other) = rows.iter().skip(position + 1).find(|i| cell_of(lines[**i], column) != *cell)
            {
                let (here, there) = exchanged(line, lines[*other], column);
                let mut all: Vec<&str> = lines.clone();
                (all[*at], all[*other]) = (&here, &there);
                let what = format!("{name}, column {}: exchanged with {}", column + 1, lines[*other]);
                found.push(Mutant { what, text: all.join("\n") + "\n" });
            }
            for changed in swapped.into_iter().chain([String::new(), format!("{cell}x")]) {
                if changed == *cell {
                    continue;
                }
                let mut cells: Vec<&str> = cells.clone();
                cells[column] = &changed;
                let what = format!("{name}, column {}: {cell:?} becomes {changed:?}", column + 1);
                found.push(Mutant { what, text: with(*at, Some(cells.join("\t"))) });
            }
        }
    }
    found
}

fn cell_of(line: &str, column: usize) -> &str {
    line.split('\t').nth(column).unwrap_or("")
}

/// Two rows with one column of each in the other.
fn exchanged(one: &str, other: &str, column: usize) -> (String, String) {
    let with = |line: &str, value: &str| {
        let mut cells: Vec<&str> = line.split('\t').collect();
        cells[column] = value;
        cells.join("\t")
    };
    (with(one, cell_of(other, column)), with(other, cell_of(one, column)))
}

/// The rows in the columns that decide, sorted.
fn projected(text: &str, deciding: &[usize]) -> Vec<Vec<String>> {
    let rows = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).skip(1);
    let of = |line: &str| deciding.iter().map(|column| cell_of(line, *column).to_owned()).collect();
    let mut all: Vec<Vec<String>> = rows.map(of).collect();
    all.sort();
    all
}

/// What happened to the changes of a table.
#[derive(Debug, Default)]
struct Found {
    by_facts: usize,
    by_sources: usize,
    by_seal: usize,
}

/// Changes a table in every way; columns that decide must be found by facts alone.
fn check(
    table: &str,
    deciding: &[usize],
    slot: fn(&mut Texts) -> &mut String,
    facts: fn(&Texts) -> Vec<String>,
) -> Found {
    let mut shipped = Texts::shipped();
    let original = slot(&mut shipped).clone();
    let before = projected(&original, deciding);
    let mut counts = Found::default();
    let mut unnoticed = Vec::new();
    for mutant in mutants(&original) {
        assert_ne!(mutant.text, original, "{}", mutant.what);
        let mut texts = Texts::shipped();
        *slot(&mut texts) = mutant.text.clone();
        // Rows that exchange their names alone decide as before.
        let decides = projected(&mutant.text, deciding) != before;
        if !facts(&texts).is_empty() {
            counts.by_facts += 1;
        } else if decides {
            unnoticed.push(mutant.what);
        } else if against_sources(&texts).is_some_and(|wrong| !wrong.is_empty()) {
            counts.by_sources += 1;
        } else if seal(&mutant.text) != seals().get(table).map(|(_, seal)| seal.clone()).unwrap_or_default() {
            counts.by_seal += 1;
        } else {
            unnoticed.push(mutant.what);
        }
    }
    println!("{table}: {counts:?}");
    assert!(
        unnoticed.is_empty(),
        "{} changes go unnoticed, such as {:#?}",
        unnoticed.len(),
        &unnoticed[..unnoticed.len().min(20)]
    );
    counts
}

/// A digest of the text of a table.
fn seal(text: &str) -> String {
    hex_digest(text.as_bytes())
}

fn seals_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/seals.tsv")
}

/// Table to version and seal.
fn seals() -> &'static BTreeMap<String, (u32, String)> {
    static SEALS: LazyLock<BTreeMap<String, (u32, String)>> = LazyLock::new(|| {
        let text = std::fs::read_to_string(seals_path()).unwrap_or_default();
        let rows = columns(&text);
        rows.iter()
            .map(|r| (r["table"].to_owned(), (r["version"].parse().unwrap(), r["sha256"].to_owned())))
            .collect()
    });
    &SEALS
}

#[test]
fn a_table_changes_only_together_with_its_version_and_its_seal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tsv") && path != seals_path() {
            tables.push(path);
        }
    }
    tables.sort();
    let mut page = String::from(
        "# SHA-256 of each table, with its version: a row changes only on purpose. A test compares, and writes this file\n\
         # with UPDATE_SEALS=1, where the version was raised.\ntable\tversion\tsha256\n",
    );
    for path in &tables {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let first = text.lines().next().unwrap_or("");
        let version: u32 = first.strip_prefix("# version: ").and_then(|v| v.parse().ok()).unwrap_or(0);
        assert!(version > 0, "{name} does not begin with its version");
        let digest = seal(&text);
        if let Some((before, sealed)) = seals().get(name) {
            assert!(*sealed == digest || version > *before, "{name} changed, and is still version {before}");
        }
        page.push_str(&format!("{name}\t{version}\t{digest}\n"));
    }
    if std::env::var_os("UPDATE_SEALS").is_some() {
        std::fs::write(seals_path(), &page).unwrap();
    }
    let written = std::fs::read_to_string(seals_path()).unwrap_or_default();
    assert!(written == page, "bridge/data/seals.tsv is old: run this test with UPDATE_SEALS=1");
}

#[test]
fn no_change_of_the_cap_cp_table_goes_unnoticed() {
    // capcp, same, same_watch, same_statement, cbrne; and that a row has a source (10) is part of reading it.
    let found = check("events_capcp.tsv", &[0, 6, 7, 8, 9], |texts| &mut texts.cap_cp, codes);
    assert!(found.by_facts > 1_500, "{found:?}");
    if shared().is_some() {
        assert!(found.by_sources * 10 > found.by_seal * 12, "the sources find too little: {found:?}");
    }
}

#[test]
fn no_change_of_the_same_table_goes_unnoticed() {
    let found = check("events_same.tsv", &[0, 1, 2, 3, 4], |texts| &mut texts.same, codes);
    assert!(found.by_facts > 600, "{found:?}");
}

#[test]
fn no_change_of_the_weather_radio_table_goes_unnoticed() {
    let found = check("events_same_radio.tsv", &[0, 2], |texts| &mut texts.radio, codes);
    assert!(found.by_facts > 90, "{found:?}");
}

#[test]
fn no_change_of_what_crosses_the_border_goes_unnoticed() {
    let found = check("minimisation.tsv", &[0, 1, 2], |texts| &mut texts.minimisation, minimisation);
    assert!(found.by_facts > 250, "{found:?}");
}

#[test]
fn no_change_of_the_border_pairs_goes_unnoticed() {
    let found = check("border_pairs.tsv", &[0, 1, 2], |texts| &mut texts.pairs, pairs);
    assert!(found.by_facts > 1_000, "{found:?}");
}

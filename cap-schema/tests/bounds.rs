//! What a document may cost, and that nothing is opened for it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends where it cannot go on")]

mod common;

use cap_schema::signature::{self, Policy, TrustStore};
use cap_schema::{Limits, Profile, split, validate, write};
use common::{corpus, files};

fn everything(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = signature::verify(bytes, &TrustStore::default(), &Policy::default());
    for found in split(bytes, &limits).unwrap_or_default() {
        let Ok(document) = found.read(bytes, &limits) else { continue };
        let Ok(parsed) = document.parse() else { continue };
        let mut findings = parsed.findings.clone();
        for profile in [Profile::Cap, Profile::CapCp, Profile::Ipaws] {
            findings.extend(validate(&parsed.alert, profile));
        }
        document.locate(&mut findings);
        let _ = write(&parsed.alert);
    }
}

/// A line of `/proc/self/status` in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn no_hostile_document_takes_more_than_16_mib() {
    let Some(corpus) = corpus() else { return };
    // Tables are read once.
    everything(include_bytes!("corpus/rules/cap-cp.xml"));
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files(&corpus.join("hostile")) {
        let bytes = std::fs::read(&file).unwrap();
        // Sets the highest mark back to what is in use now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS");
        everything(&bytes);
        let grown = status("VmHWM").saturating_sub(before);
        if grown > 16 << 10 {
            wrong.push(format!("{}: {grown} KiB", file.display()));
        }
        seen += 1;
    }
    assert!(wrong.is_empty() && seen > 900, "{seen} {wrong:?}");
}

/// No part of the library names what opens files, connections, clocks or processes; `clippy.toml` and the list of
/// dependencies hold the rest.
#[test]
fn the_library_opens_nothing() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut named = Vec::new();
    for file in files(&source) {
        let text = std::fs::read_to_string(&file).unwrap();
        for what in
            ["std::fs", "std::net", "std::env", "std::process", "std::io", "SystemTime", "std::time::Instant"]
        {
            if text.contains(what) {
                named.push(format!("{} names {what}", file.display()));
            }
        }
    }
    assert!(named.is_empty(), "{named:?}");
}

//! Real and hostile documents: verdicts, and what is read is what is written.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test ends where it cannot go on"
)]

mod common;

use std::path::Path;
use std::process::Command;

use cap_schema::signature::State;
use cap_schema::{
    Alert, Document, Finding, Level, Limits, Parsed, Profile, Rejection, Version, parse_owned, split,
    validate, write,
};
use common::{corpus, disagreements, files, table};

/// Rules that the XML schema has, or that make a document no XML at all.
const SCHEMA: [&str; 22] = [
    "cap.root",
    "cap.namespace",
    "cap.attribute",
    "cap.foreign-attribute",
    "cap.stray-text",
    "cap.unknown-element",
    "cap.foreign-element",
    "cap.duplicate",
    "cap.order",
    "cap.missing",
    "cap.nested",
    "cap.empty-value",
    "cap.code-value",
    "cap.number",
    "cap.time.zulu",
    "cap.time.fraction",
    "cap.time.no-offset",
    "cap.time.invalid",
    "cap.language.syntax",
    "xml.malformed",
    "xml.namespace",
    "xml.character",
];

fn read(bytes: &[u8]) -> Result<(Parsed<'static>, Vec<Finding>), Rejection> {
    let limits = Limits::default();
    let document = Document::read(bytes, &limits)?;
    let parsed = document.parse()?.into_owned();
    let mut all = parsed.findings.clone();
    all.extend(validate(&parsed.alert, Profile::Cap));
    Ok((parsed, all))
}

#[test]
fn verdicts_agree_with_the_schema_and_with_xmllint() {
    let Some(corpus) = corpus() else { return };
    let known = disagreements("schema");
    let mut wrong = Vec::new();
    let mut used = Vec::new();
    let mut seen = 0;
    for row in table(&corpus.join("cap/EXPECTED.tsv")) {
        let Ok(bytes) = std::fs::read(corpus.join("cap").join(&row["file"])) else { continue };
        seen += 1;
        let verdict = read(&bytes);
        let (accepted, errors, schema) = match &verdict {
            Err(rejection) => (false, rejection.findings.clone(), true),
            Ok((parsed, all)) => {
                let errors: Vec<Finding> = all.iter().filter(|f| f.level == Level::Error).cloned().collect();
                let schema = errors.iter().any(|f| SCHEMA.contains(&f.rule));
                (parsed.accepted(), errors, schema)
            }
        };
        let problem = match (row["wellformed"].as_str(), row["ver"].as_str(), row["xsd"].as_str()) {
            ("no", _, _) if accepted => Some("accepted, and not well-formed"),
            ("yes", "10" | "11" | "12", "valid") if !accepted => Some("valid, and not accepted"),
            ("yes", "10" | "11" | "12", "valid") if schema => Some("valid, and a finding of the schema"),
            ("yes", "10" | "11" | "12", "invalid") if !schema => {
                Some("invalid, and no finding of the schema")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            if known.contains_key(&row["file"]) {
                used.push(row["file"].clone());
            } else {
                wrong.push(format!("{}: {problem}: {errors:?}", row["file"]));
            }
        }
    }
    assert!(seen > 550, "{seen}");
    assert!(wrong.is_empty(), "{} of {seen}\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(used.len(), known.len(), "no longer differs: {known:?}");
}

/// What the projects say that own the documents.
#[test]
fn verdicts_agree_with_those_of_the_documents_owners() {
    let Some(corpus) = corpus() else { return };
    let mut known = disagreements("owner");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in table(&corpus.join("cap/EXPECTED.tsv")) {
        let (verdict, reason) = (row["upstream_verdict"].as_str(), row["upstream_reason"].as_str());
        let Ok(bytes) = std::fs::read(corpus.join("cap").join(&row["file"])) else { continue };
        let findings = match read(&bytes) {
            Ok((_, findings)) => findings,
            Err(rejection) => rejection.findings,
        };
        let worst = findings.iter().map(|f| f.level).min();
        let ok = match verdict {
            "invalid" if reason.contains("signature") => {
                let trust = cap_schema::signature::TrustStore::default();
                let policy = cap_schema::signature::Policy { allow_sha1: true, ..Default::default() };
                let state = cap_schema::signature::verify(&bytes, &trust, &policy).state;
                matches!(state, State::Invalid | State::Unsupported)
            }
            "invalid" if reason.contains("signed") => true,
            "invalid" | "not-cap" => worst == Some(Level::Error),
            "valid" => worst != Some(Level::Error),
            "warning" => worst <= Some(Level::Warning) && worst.is_some(),
            _ => continue,
        };
        seen += 1;
        if !ok && known.remove(&row["file"]).is_none() {
            let errors: Vec<_> = findings.iter().filter(|f| f.level != Level::Note).collect();
            wrong.push(format!("{}: they {verdict} {reason}; we {errors:?}", row["file"]));
        }
    }
    assert!(seen > 40, "{seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(known.is_empty(), "no longer differs: {known:?}");
}

/// Every alert of the corpora, alone.
fn alerts(corpus: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in ["cap", "ipaws", "masas"] {
        for file in files(&corpus.join(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            for (index, found) in
                split(&bytes, &Limits::default()).unwrap_or_default().into_iter().enumerate()
            {
                let name = file.strip_prefix(corpus).unwrap().display();
                all.push((format!("{name}#{index}"), found.bytes(&bytes).to_vec()));
            }
        }
    }
    all
}

#[test]
fn what_is_read_is_what_is_written() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for (name, bytes) in alerts(&corpus) {
        let Ok(first) = parse_owned(&bytes, &Limits::default()) else { continue };
        let written = write(&first.alert);
        let second = parse_owned(written.as_bytes(), &Limits::default())
            .unwrap_or_else(|r| panic!("{name}: {:?}\n{written}", r.findings));
        if first.alert.version == Version::V1_2 {
            assert_eq!(second.alert, first.alert, "{name}");
        }
        assert_eq!(write(&second.alert), written, "{name}");
        let again: Alert<'_> = second.alert.into_owned();
        assert_eq!(again.version, Version::V1_2, "{name}");
        seen += 1;
    }
    assert!(seen > 550, "{seen}");
}

/// What xmllint thinks of documents: the names of those that are valid.
fn xmllint(schema: &Path, documents: &[(String, Vec<u8>)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (index, (_, bytes)) in documents.iter().enumerate() {
        let path = folder.path().join(format!("{index}.xml"));
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    let ran = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .arg(schema)
        .args(&paths)
        .output()
        .expect("xmllint is installed by `make setup`");
    let said = String::from_utf8_lossy(&ran.stderr);
    let valid = |index: usize| said.lines().any(|l| l.ends_with(&format!("/{index}.xml validates")));
    documents.iter().enumerate().filter(|(i, _)| valid(*i)).map(|(_, (name, _))| name.clone()).collect()
}

#[test]
fn what_was_valid_is_written_valid() {
    let Some(corpus) = corpus() else { return };
    let known = disagreements("schema");
    let mut written = Vec::new();
    for row in table(&corpus.join("cap/EXPECTED.tsv")) {
        let file = &row["file"];
        let Ok(bytes) = std::fs::read(corpus.join("cap").join(file)) else { continue };
        if row["xsd"] == "valid" && !known.contains_key(file) {
            let parsed = parse_owned(&bytes, &Limits::default())
                .unwrap_or_else(|r| panic!("{file}: {:?}", r.findings));
            // Which instant a time without offset means is not known, so it cannot be written as CAP 1.2 has it.
            if parsed.findings.iter().all(|f| f.rule != "cap.time.local") {
                written.push((file.clone(), write(&parsed.alert).into_bytes()));
            }
        }
    }
    let valid = xmllint(&corpus.join("cap/xsd/cap12.xsd"), &written);
    let missing: Vec<_> = written.iter().filter(|(n, _)| !valid.contains(n)).map(|(n, _)| n).collect();
    assert!(missing.is_empty(), "{} of {}: {missing:?}", missing.len(), written.len());
    assert!(written.len() > 400, "{}", written.len());
}

#[test]
fn made_attacks_have_the_verdict_of_their_table() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    for row in table(&corpus.join("hostile/cap-made/CASES.tsv")) {
        let (file, expected) = (&row["file"], row["expected"].as_str());
        let bytes = std::fs::read(corpus.join("hostile/cap-made").join(file)).unwrap();
        let (accepted, errors) = match read(&bytes) {
            Err(rejection) => (false, rejection.findings),
            Ok((parsed, all)) => {
                (parsed.accepted(), all.into_iter().filter(|f| f.level == Level::Error).collect())
            }
        };
        let refused: &[&str] = &[
            "reject:dtd",
            "reject:schema",
            "reject:status",
            "reject:namespace",
            "reject:root",
            "reject:wf",
            "reject:encoding",
            "reject:version",
            "reject:limit",
            "reject, no panic",
            "reject:sent",
        ];
        let prose: &[&str] =
            &["reject:references", "reject:identifier", "reject:sender", "reject:scope", "reject:geometry"];
        let ok = if row["class"] == "signature" && !expected.contains("reject:status") {
            // Signatures are judged in tests/signatures.rs.
            true
        } else if expected.contains("in strict mode") || prose.iter().any(|p| expected.starts_with(p)) {
            !errors.is_empty()
        } else if refused.iter().any(|r| expected.starts_with(r)) || expected.contains("so reject:status") {
            !accepted && !errors.is_empty()
        } else if expected.starts_with("accept, ")
            || expected == "accept"
            || expected.starts_with("accept as")
        {
            accepted
        } else {
            true
        };
        if !ok {
            wrong.push(format!("{file}: {expected}; accepted {accepted}, {errors:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the bound on time is what is tested")]
fn no_hostile_document_takes_long_or_panics() {
    let Some(corpus) = corpus() else { return };
    // 50 ms with optimisation; the unoptimised build on a busy machine is given more.
    let bound = std::time::Duration::from_millis(if cfg!(debug_assertions) { 3_000 } else { 50 });
    let mut accepted = Vec::new();
    for file in files(&corpus.join("hostile")) {
        let bytes = std::fs::read(&file).unwrap();
        let start = std::time::Instant::now();
        let verdict = read(&bytes);
        let _ = split(&bytes, &Limits::default());
        let trust = cap_schema::signature::TrustStore::default();
        let _ = cap_schema::signature::verify(&bytes, &trust, &cap_schema::signature::Policy::default());
        assert!(start.elapsed() < bound, "{}: {:?}", file.display(), start.elapsed());
        if verdict.is_ok_and(|(parsed, _)| parsed.accepted()) && !file.to_string_lossy().contains("cap-made")
        {
            accepted.push(file);
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
}

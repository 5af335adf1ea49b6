//! Every rule of the registry against its own example, and the profiles against real alerts.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends where it cannot go on")]

mod common;

use cap_schema::rules::{rule, rules};
use cap_schema::signature::{self, Policy, TrustStore};
use cap_schema::{
    Document, Finding, Level, Limits, Parsed, Profile, Rejection, profiles_of, split, validate,
};
use common::{corpus, files};

/// All findings of the first alert of a document, as `capbridge validate` collects them, and whether it is accepted.
fn findings(bytes: &[u8]) -> (Vec<Finding>, bool) {
    let limits = Limits::default();
    let found = match split(bytes, &limits) {
        Ok(found) => found,
        Err(Rejection { findings }) => return (findings, false),
    };
    let document = match found.first().unwrap().read(bytes, &limits) {
        Ok(document) => document,
        Err(Rejection { findings }) => return (findings, false),
    };
    let parsed: Parsed<'_> = match document.parse() {
        Ok(parsed) => parsed,
        Err(Rejection { findings }) => return (findings, false),
    };
    let accepted = parsed.accepted();
    let mut all = parsed.findings;
    for profile in profiles_of(&parsed.alert) {
        all.extend(validate(&parsed.alert, profile));
    }
    let verification = signature::verify_document(&document, &TrustStore::default(), &Policy::default());
    all.extend(verification.findings(&parsed.alert));
    document.locate(&mut all);
    (all, accepted)
}

/// The same, with the rules of the profile that an example is about: a message that no longer says that it follows a
/// profile is checked on request only.
fn findings_for(base: &str, text: &str) -> (Vec<Finding>, bool) {
    let (mut found, accepted) = findings(text.as_bytes());
    if let Ok(document) = Document::read(text.as_bytes(), &Limits::default())
        && let Ok(parsed) = document.parse()
    {
        for profile in [Profile::CapCp, Profile::Ipaws] {
            if profile.as_str() == base && !profiles_of(&parsed.alert).contains(&profile) {
                found.extend(validate(&parsed.alert, profile));
            }
        }
    }
    (found, accepted)
}

#[test]
fn the_documents_that_examples_change_break_no_rule() {
    for rule in rules() {
        let Some(example) = rule.example.as_ref().filter(|e| e.replace != "[all]") else { continue };
        let (found, accepted) = findings(example.sound().unwrap().as_bytes());
        let worse: Vec<_> = found.iter().filter(|f| f.level != Level::Note).collect();
        assert!(accepted && worse.is_empty(), "{}: {worse:#?}", example.base);
    }
}

#[test]
fn every_example_breaks_its_rule_and_no_other_that_it_does_not_name() {
    let mut wrong = Vec::new();
    for rule in rules() {
        let Some(example) = &rule.example else {
            // No text makes a file unreadable.
            assert_eq!(rule.id, "io.unreadable", "no example");
            continue;
        };
        let Some(broken) = example.document() else {
            panic!("{}: '{}' is not in {}", rule.id, example.replace, example.base);
        };
        let (found, accepted) = findings_for(example.base, &broken);
        let Some(finding) = found.iter().find(|f| f.rule == rule.id) else {
            panic!("{}: not found in {:#?}", rule.id, found.iter().take(20).collect::<Vec<_>>());
        };
        assert_eq!(finding.level, rule.level, "{}", rule.id);
        assert_eq!(rule.refuses, !accepted || found.iter().any(|f| f.fatal), "{}: {found:#?}", rule.id);
        let before = match example.replace {
            "[all]" => Vec::new(),
            _ => findings_for(example.base, example.sound().unwrap()).0,
        };
        let mut also: Vec<&str> = found
            .iter()
            .map(|f| f.rule)
            .filter(|id| *id != rule.id && !before.iter().any(|f| f.rule == *id))
            .collect();
        also.sort_unstable();
        also.dedup();
        if also != example.also {
            wrong.push(format!("ALSO\t{}\t{}", rule.id, also.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "the column `also` of data/rules.tsv is not true:\n{}", wrong.join("\n"));
}

#[test]
fn every_finding_names_a_rule_of_the_registry_with_its_level() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for folder in ["cap", "ipaws", "masas", "hostile/cap-made"] {
        for file in files(&corpus.join(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            let Ok(found) = split(&bytes, &Limits::default()) else { continue };
            for one in found {
                let (all, accepted) = findings(one.bytes(&bytes));
                for finding in all {
                    let rule = rule(finding.rule)
                        .unwrap_or_else(|| panic!("{} is not in the registry", finding.rule));
                    assert_eq!(
                        (rule.level, rule.refuses),
                        (finding.level, finding.fatal),
                        "{}: {finding:?}",
                        file.display()
                    );
                    assert!(!finding.fatal || !accepted, "{}", file.display());
                    assert!(finding.line > 0 || finding.path.is_empty(), "{}: {finding:?}", file.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn no_signed_ipaws_alert_breaks_a_rule_that_the_real_system_has() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    for file in files(&corpus.join("ipaws/cap-ipaws-openfema")) {
        let bytes = std::fs::read(&file).unwrap();
        let (found, accepted) = findings(&bytes);
        let errors: Vec<_> = found.iter().filter(|f| f.level == Level::Error).collect();
        if !accepted || !errors.is_empty() {
            wrong.push(format!("{}: {errors:?}", file.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `docs/rules.md` as the registry has it.
fn page() -> String {
    let mut page = String::from(
        "# Rules\n\nEvery rule that a finding can name, written by the registry of `cap-schema/src/rules.rs` from \
         `cap-schema/data/rules.tsv`; a test keeps this page true, and with `UPDATE_DOCS=1` writes it. A rule that *refuses* \
         makes the document one that cannot be acted on, whatever the profile. In the last column, `{{x}}x9` is x nine times.\n",
    );
    let chapters = [
        ("Bytes and XML", &["gate.", "xml.", "limit.", "io."][..]),
        ("CAP", &["cap."]),
        ("CAP-CP", &["cap-cp."]),
        ("IPAWS", &["ipaws."]),
        ("Signatures", &["signature."]),
    ];
    for (title, prefixes) in chapters {
        page.push_str(&format!(
            "\n## {title}\n\n| rule | level | what must be true | source | what to do | broken by |\n"
        ));
        page.push_str("|---|---|---|---|---|---|\n");
        for rule in rules().iter().filter(|r| prefixes.iter().any(|p| r.id.starts_with(p))) {
            let level = match (rule.level, rule.refuses) {
                (Level::Error, true) => "error, refuses",
                (Level::Error, false) => "error",
                (Level::Warning, _) => "warning",
                (Level::Note, _) => "note",
            };
            let cell = |text: &str| text.replace('|', "\\|").replace(char::is_control, " ");
            let example =
                rule.example.as_ref().map_or_else(String::new, |e| cell(&e.words().replace("\\n", " ")));
            let row = [rule.id, level, rule.text, rule.source, rule.remedy].map(cell).join(" | ");
            page.push_str(&format!("| {row} | {example} |\n"));
        }
    }
    page
}

#[test]
fn the_page_of_rules_is_what_the_registry_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/rules.md is old: run this test with UPDATE_DOCS=1");
    for rule in rules() {
        assert!(page.contains(&format!("| {} |", rule.id)), "{} is in no chapter", rule.id);
    }
}

//! The published shape of reports, and the list of rules.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Passes a report to a validator that shares no code with us; its complaint.
pub(in crate::translate) fn complaint_of_schema(report: &Report) -> Option<String> {
    let mut compiler = boon::Compiler::new();
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    compiler.add_resource("urn:schema", schema).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("urn:schema", &mut schemas).unwrap();
    let value = serde_json::to_value(report).unwrap();
    schemas.validate(&value, index).err().map(|error| format!("{error:#}"))
}

fn report() -> Report {
    let mut report = Report::new(Target::Ipaws);
    report.add(Rule::Identifier, "identifier", "");
    let row = Row { table: "events_capcp", key: "chemical".into() };
    report.by_row(Rule::CodeByTable, row, "eventCode", "chemical → HMW");
    report
}

#[test]
fn the_schema_takes_a_report_and_refuses_what_is_none() {
    assert_eq!(complaint_of_schema(&report()), None);
    let mut empty = report();
    empty.lines.clear();
    let mut without_row = report();
    without_row.lines[1].row = None;
    let mut nameless = report();
    nameless.lines[0].field.clear();
    let mut newer = report();
    newer.v = 2;
    for (index, wrong) in [empty, without_row, nameless, newer].iter().enumerate() {
        assert!(complaint_of_schema(wrong).is_some(), "case {index}");
    }
}

#[test]
fn words_name_the_field_the_rule_and_the_row() {
    let words = report().to_words();
    assert_eq!(
        words,
        "translated for ipaws: 0 alarm(s), 0 warning(s)\n   identifier                   derived  The identifier is derived from the original's key \
         and the target: the same on every instance and every retry. [identity.identifier]\n   eventCode                    \
         mapped   chemical → HMW [codes.table: row chemical of events_capcp]\n"
    );
}

#[test]
fn what_needs_a_look_comes_first_in_words() {
    let mut report = report();
    report.add(Rule::NoCodes, "info[1]/area[1]/geocode", "");
    report.add(Rule::ShapeSwapped, "info[1]/area[1]/polygon", "");
    let words = report.to_words();
    let ids: Vec<&str> = words
        .lines()
        .skip(1)
        .map(|l| l.rsplit('[').next().unwrap().split([':', ']']).next().unwrap())
        .collect();
    assert_eq!(ids, ["shapes.swapped", "places.no-codes", "identity.identifier", "codes.table"]);
    assert!(words.starts_with("translated for ipaws: 1 alarm(s), 1 warning(s)\n!! "), "{words}");
}

#[test]
fn each_rule_is_used_and_has_a_text_and_a_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut code = std::fs::read_to_string(root.join("translate.rs")).unwrap();
    for entry in std::fs::read_dir(root.join("translate")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let ids: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len(), "two rules have one id");
    for rule in Rule::ALL {
        assert!(code.contains(&format!("Rule::{rule:?}")), "{rule:?} is not used");
        assert!(rule.text().ends_with('.') && !rule.source().is_empty(), "{rule:?}");
        assert_eq!(Rule::by_id(rule.id()), Some(*rule));
    }
}

#[test]
fn the_page_of_rules_says_what_the_program_does() {
    let mut page = String::from(
        "# Rules of translation\n\nEvery rule that a report of a translation can name, written by \
         `bridge/src/translate/report/rule.rs`; a test keeps this page true, and with `UPDATE_DOCS=1` writes it. What the \
         fields of a report are says `docs/report.schema.json`.\n\n| rule | does | for the duty officer | what | source |\n\
         |---|---|---|---|---|\n",
    );
    for rule in Rule::ALL {
        let (id, action, severity) = (rule.id(), rule.action(), rule.severity());
        let _ = writeln!(page, "| {id} | {action} | {severity} | {} | {} |", rule.text(), rule.source());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/translation-rules.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/translation-rules.md is old: run this test with UPDATE_DOCS=1");
}

//! The JSON shape of an alert: nothing is lost, and the published schema names every member.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test ends where it cannot go on"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use cap_schema::{Alert, Limits, parse_owned, split};
use common::{corpus, files};
use serde_json::Value;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/alert.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Names of members in JSON, with the schema's definition that they belong to.
fn members(value: &Value, kind: &str, found: &mut BTreeSet<(String, String)>) {
    let Value::Object(map) = value else { return };
    for (name, inner) in map {
        found.insert((kind.to_owned(), name.clone()));
        let below = match name.as_str() {
            "info" => "info",
            "area" => "area",
            "resource" => "resource",
            "eventCode" | "parameter" | "geocode" => "namedValue",
            _ => continue,
        };
        for one in inner.as_array().unwrap() {
            members(one, below, found);
        }
    }
}

fn check(alert: &Alert<'_>, found: &mut BTreeSet<(String, String)>) {
    let json = serde_json::to_string(alert).unwrap();
    let back: Alert<'_> = serde_json::from_str(&json).unwrap();
    assert_eq!(&back, alert);
    members(&serde_json::from_str(&json).unwrap(), "alert", found);
}

fn named_in_schema(found: &BTreeSet<(String, String)>) {
    let schema = schema();
    for (kind, name) in found {
        let properties =
            if kind == "alert" { &schema["properties"] } else { &schema["$defs"][kind]["properties"] };
        assert!(properties.get(name).is_some(), "{kind}.{name} is not in the schema");
    }
}

#[test]
fn the_fixtures_survive_json() {
    let mut found = BTreeSet::new();
    for text in [include_str!("../data/examples/cap.xml"), include_str!("../data/examples/cap-cp.xml")] {
        check(&parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert, &mut found);
    }
    assert!(found.len() > 35, "{found:?}");
    named_in_schema(&found);
}

#[test]
fn real_alerts_survive_json() {
    let Some(corpus) = corpus() else { return };
    let mut found = BTreeSet::new();
    for folder in ["cap", "ipaws"] {
        for file in files(&corpus.join(folder)) {
            let bytes = std::fs::read(file).unwrap();
            for one in split(&bytes, &Limits::default()).unwrap_or_default() {
                let Ok(document) = one.read(&bytes, &Limits::default()) else { continue };
                if let Ok(parsed) = document.parse() {
                    check(&parsed.alert, &mut found);
                }
            }
        }
    }
    named_in_schema(&found);
}

/// The published schema, as a validator reads it that shares no code with us.
fn compiled() -> (boon::Schemas, boon::SchemaIndex) {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("alert.schema.json", schema()).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("alert.schema.json", &mut schemas).unwrap();
    (schemas, index)
}

#[test]
fn real_alerts_in_json_are_valid_against_the_published_schema() {
    let (schemas, index) = compiled();
    let valid = |value: &Value| schemas.validate(value, index).is_ok();
    let mut sound: Value = serde_json::to_value(
        parse_owned(include_bytes!("../data/examples/cap.xml"), &Limits::default()).unwrap().alert,
    )
    .unwrap();
    assert!(valid(&sound));
    sound["info"][0]["area"][0]["shape"] = Value::from("round");
    assert!(!valid(&sound), "a member that no alert has");
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for folder in ["cap", "ipaws", "masas"] {
        for file in files(&corpus.join(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            for one in split(&bytes, &Limits::default()).unwrap_or_default() {
                let Ok(document) = one.read(&bytes, &Limits::default()) else { continue };
                let Ok(parsed) = document.parse() else { continue };
                let value = serde_json::to_value(&parsed.alert).unwrap();
                if let Err(error) = schemas.validate(&value, index) {
                    assert!(!parsed.accepted(), "{}: {error}", file.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn unknown_members_and_missing_ones_are_refused() {
    for text in ["{}", "{\"version\":\"1.2\",\"other\":1}", "[]", "{\"version\":\"2.0\"}"] {
        assert!(serde_json::from_str::<Alert<'_>>(text).is_err(), "{text}");
    }
}

//! Every real alert of the corpus in both directions: what comes out passes the destination's profile and the schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cap_schema::{Circle, Level, Limits, Point, Polygon, Profile};

use crate::translate::report::tests::complaint_of_schema;
use crate::translate::*;

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = std::env::var_os("CAP_CORPUS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no corpus at {}; set CAP_CORPUS", folder.display());
    None
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Passes the documents to xmllint with the schema of CAP 1.2, many at a time; its complaints.
fn complaints_of_xmllint(schema: &Path, folder: &Path) -> Option<String> {
    let files: Vec<PathBuf> = documents(folder);
    let mut complaints = String::new();
    for some in files.chunks(200) {
        let run = Command::new("xmllint").arg("--noout").arg("--schema").arg(schema).args(some).output();
        let Ok(run) = run else {
            println!("skipped: xmllint is not installed");
            return None;
        };
        let said = String::from_utf8_lossy(&run.stderr);
        said.lines().filter(|l| !l.ends_with(" validates")).for_each(|l| {
            complaints.push_str(l);
            complaints.push('\n');
        });
    }
    Some(complaints)
}

/// Translates every document after `changed`, and judges what comes out; fewer than `least` would say nothing.
fn check(target: Target, untouched: bool, least: u32, changed: fn(&mut Alert<'static>)) {
    let Some(corpus) = corpus() else { return };
    let tables = Tables::builtin().unwrap();
    let settings = Settings { untouched, ..Settings::default() };
    let profile = if target == Target::Ipaws { Profile::Ipaws } else { Profile::CapCp };
    let written = tempfile::tempdir().unwrap();
    let (mut made, mut not_sent) = (0_u32, BTreeMap::<String, u32>::new());
    let mut errors = BTreeMap::<String, (u32, String)>::new();
    let files = ["cap", "ipaws"].into_iter().flat_map(|f| documents(&corpus.join(f)));
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let Ok(mut parsed) = cap_schema::parse_owned(&bytes, &Limits::default()) else { continue };
        let Some(sent) = parsed.alert.sent.instant().filter(|_| parsed.accepted()) else { continue };
        changed(&mut parsed.alert);
        let request = Request {
            alert: &parsed.alert,
            origin_key: "key",
            target,
            at: Timestamp::from_second(sent.seconds()).unwrap(),
            issued: None,
            previous: None,
            settings: &settings,
            tables: &tables,
        };
        let translated = match translate(&request) {
            Ok(translated) => translated,
            Err(why) => {
                *not_sent.entry(why.to_string()).or_default() += 1;
                continue;
            }
        };
        made += 1;
        if let Some(complaint) = complaint_of_schema(&translated.report) {
            errors.entry("report".into()).or_insert((1, complaint));
        }
        std::fs::write(written.path().join(format!("{made}.xml")), &translated.xml).unwrap();
        let again = cap_schema::parse_owned(translated.xml.as_bytes(), &Limits::default()).unwrap();
        let found = [Profile::Cap, profile].into_iter().flat_map(|p| cap_schema::validate(&again.alert, p));
        let found: Vec<_> = found.collect();
        for finding in found.into_iter().chain(again.findings.clone()).filter(|f| f.level == Level::Error) {
            let entry = errors.entry(finding.rule.to_string()).or_default();
            entry.0 += 1;
            entry.1 = format!("{}: {}: {}", path.display(), finding.path, finding.message);
        }
    }
    println!("{}: {made} made, not sent: {not_sent:#?}", target.as_str());
    assert!(made > least, "only {made} were made");
    assert!(errors.is_empty(), "{errors:#?}");
    if let Some(complaints) = complaints_of_xmllint(&corpus.join("cap/xsd/cap12.xsd"), written.path()) {
        assert!(complaints.is_empty(), "{complaints}");
    }
}

#[test]
fn every_real_alert_becomes_a_valid_ipaws_message_or_is_not_sent_for_a_reason() {
    check(Target::Ipaws, true, 300, |_| {});
}

#[test]
fn every_real_alert_becomes_a_valid_cap_cp_message_or_is_not_sent_for_a_reason() {
    check(Target::CapCp, true, 300, |_| {});
}

/// Moves all shapes of an alert so that the first lies over the Detroit River, and names the county there.
fn over_the_border(alert: &mut Alert<'static>) {
    const RIVER: Point = Point { lat: 42.31, lon: -83.05 };
    let areas = || alert.info.iter().flat_map(|info| &info.area);
    let first = areas().find_map(|area| {
        let polygon = area.polygon.iter().find_map(|p| p.points().ok()?.first().copied());
        polygon.or_else(|| area.circle.iter().find_map(|c| c.center().ok()))
    });
    let Some(first) = first else { return };
    let by = Point { lat: RIVER.lat - first.lat, lon: RIVER.lon - first.lon };
    let moved = |p: &Point| format!("{:.5},{:.5}", p.lat + by.lat, p.lon + by.lon);
    for area in alert.info.iter_mut().flat_map(|info| &mut info.area) {
        for polygon in &mut area.polygon {
            let Ok(points) = polygon.points() else { continue };
            *polygon = Polygon::new(points.iter().map(moved).collect::<Vec<_>>().join(" "));
        }
        for circle in &mut area.circle {
            let (Ok(center), Ok(radius_km)) = (circle.center(), circle.radius_km()) else { continue };
            *circle = Circle::new(format!("{} {radius_km}", moved(&center)));
        }
        area.geocode.retain(|code| code.value_name != "SAME" && !code.value_name.contains("CAP-CP:Location"));
        area.geocode.push(NamedValue::new("SAME", "026163"));
    }
}

/// No real US message of the corpus touches Canada, so real ones are moved: only what touches is made.
#[test]
fn real_us_alerts_moved_over_the_border_become_valid_cap_cp_messages_for_canadian_places() {
    check(Target::CapCp, false, 60, over_the_border);
}

#[test]
fn real_alerts_moved_over_the_border_become_valid_ipaws_messages_for_us_places() {
    check(Target::Ipaws, false, 60, over_the_border);
}

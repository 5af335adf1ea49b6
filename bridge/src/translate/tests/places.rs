//! Which codes areas get, and which stand in a message under a name that is not theirs.

use super::*;
use crate::translate::geography::geodata;

const HEAD: &str = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>P-1</identifier><sender>em@desk.example.test</sender><sent>2026-03-01T12:02:05-05:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>"#;

/// A message with these areas, Canadian or not.
fn message(canadian: bool, areas: &str) -> String {
    let (code, language, name, event) = if canadian {
        ("<code>profile:CAP-CP:0.4</code>", "en-CA", "profile:CAP-CP:Event:0.4", "chemical")
    } else {
        ("<code>IPAWSv1.0</code>", "en-US", "SAME", "HMW")
    };
    format!(
        "{HEAD}{code}<info><language>{language}</language><category>CBRNE</category><event>Release</event>\
         <urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><eventCode>\
         <valueName>{name}</valueName><value>{event}</value></eventCode><expires>2026-03-01T18:00:00-05:00</expires>\
         <headline>Release</headline><description>Chlorine.</description>{areas}</info></alert>"
    )
}

fn square(lat: f64, lon: f64, side: f64) -> String {
    let (north, east) = (lat + side, lon + side);
    format!("<polygon>{lat},{lon} {lat},{east} {north},{east} {north},{lon} {lat},{lon}</polygon>")
}

fn code(name: &str, value: &str) -> String {
    format!("<geocode><valueName>{name}</valueName><value>{value}</value></geocode>")
}

fn area(inside: &[&str]) -> String {
    format!("<area><areaDesc>Place</areaDesc>{}</area>", inside.concat())
}

fn codes<'t>(made: &'t Translated, name: &str) -> Vec<&'t str> {
    let areas = made.alert.info.iter().flat_map(|info| &info.area);
    areas.flat_map(|a| &a.geocode).filter(|g| g.value_name == name).map(|g| g.value.as_ref()).collect()
}

#[test]
fn a_canadian_code_under_the_name_same_is_no_place_in_the_us() {
    let location = "profile:CAP-CP:Location:0.3";
    let cases: [(&str, String, &[&str]); 7] = [
        ("Calgary, 077700", area(&[&square(51.0, -114.1, 0.1), &code("SAME", "077700")]), &[]),
        ("Montreal, 031001", area(&[&square(45.5, -73.7, 0.1), &code("SAME", "031001")]), &[]),
        ("Montreal, all of the US", area(&[&square(45.5, -73.7, 0.1), &code("SAME", "000000")]), &[]),
        ("Toronto by code", area(&[&code("SAME", "043100"), &code(location, "3520")]), &[]),
        (
            "Toronto by CLC",
            area(&[&code("SAME", "031001"), &code("layer:EC-MSC-SMC:1.0:CLC", "031001")]),
            &[],
        ),
        // The shape says where: Lambton and St. Clair.
        ("the river", area(&[&square(42.9, -82.45, 0.1), &code("SAME", "043100")]), &["026147"]),
        ("the river, right", area(&[&square(42.9, -82.45, 0.1), &code("SAME", "026099")]), &["026099"]),
    ];
    for (what, area, expected) in cases {
        match made(&message(true, &area), Target::Ipaws, AT) {
            Ok(made) => assert_eq!(codes(&made, "SAME"), expected, "{what}"),
            Err(why) => assert!(expected.is_empty() && why == NotSent::Untouched, "{what}: {why}"),
        }
    }
}

#[test]
fn us_codes_stay_where_the_area_is_in_the_us() {
    let cases = [
        ("a county beside the shape", area(&[&square(42.9, -82.45, 0.1), &code("SAME", "026099")]), "026099"),
        ("a state", area(&[&square(42.9, -82.45, 0.1), &code("SAME", "026000")]), "026000"),
        ("a water", area(&[&square(41.9, -81.2, 0.1), &code("SAME", "096167")]), "096167"),
        ("by code only", area(&[&code("SAME", "026163")]), "026163"),
    ];
    for (what, area, expected) in cases {
        let made = made(&message(false, &area), Target::Ipaws, AT).unwrap_or_else(|w| panic!("{what}: {w}"));
        assert_eq!(codes(&made, "SAME"), [expected], "{what}");
    }
}

#[test]
fn no_shape_is_lost_where_areas_of_different_heights_become_one() {
    let height = "<altitude>1000</altitude><ceiling>5000</ceiling>";
    let low = area(&[&square(42.9, -82.45, 0.1)]);
    let high = format!("<area><areaDesc>Air</areaDesc>{}{height}</area>", square(43.3, -81.5, 0.1));
    for (areas, expected) in [
        (low.clone() + &high, "Place; Air (altitude 1000 ft, ceiling 5000 ft)"),
        (
            low.replace("</polygon>", &format!("</polygon>{height}")) + &high.replace(height, ""),
            "Place (altitude 1000 ft, ceiling 5000 ft); Air",
        ),
    ] {
        let made = made(&message(true, &areas), Target::Ipaws, AT).unwrap();
        let [info] = made.alert.info.as_slice() else { panic!("one info: {}", made.xml) };
        let [area] = info.area.as_slice() else { panic!("one area: {}", made.xml) };
        assert_eq!(area.area_desc, expected);
        assert_eq!(area.polygon.len(), 2, "a shape is lost");
        assert_eq!((&area.altitude, &area.ceiling), (&None, &None));
        assert_eq!(made.report.severity(), Severity::Alarm);
    }
}

/// Boundaries made of squares: a marine zone, a Canadian zone on water and one on land.
fn squares() -> Vec<u8> {
    let feature = |columns: &str, lat: f64, lon: f64, side: f64| {
        let (north, east) = (lat + side, lon + side);
        format!(
            "{{\"type\":\"Feature\",\"properties\":{{{columns}}},\"geometry\":{{\"type\":\"Polygon\",\"coordinates\":\
             [[[{lon},{lat}],[{east},{lat}],[{east},{north}],[{lon},{north}],[{lon},{lat}]]]}}}}"
        )
    };
    let all = [
        feature("\"UGC\":\"LEZ167\",\"NAME\":\"Open lake\"", 41.8, -81.3, 0.4),
        feature("\"CLC\":\"001234\",\"NAME\":\"Western Lake Erie\"", 42.2, -81.3, 0.3),
        feature("\"CLC\":\"041234\",\"NAME\":\"Elgin\"", 42.7, -81.3, 0.3),
    ];
    let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[{}]}}", all.join(","));
    geodata::build(&[("squares.geojson".to_owned(), text.into_bytes())]).unwrap().0
}

#[test]
fn waters_are_places_and_both_systems_of_codes_are_written() {
    let tables = Tables::builtin().unwrap().with_geodata(&squares()).unwrap();
    let settings = Settings::default();
    let made = |canadian: bool, target: Target, areas: &str| {
        let text = message(canadian, areas);
        let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
        translate(&Request {
            alert: &alert,
            origin_key: "key",
            target,
            at: AT.parse().unwrap(),
            issued: None,
            previous: None,
            settings: &settings,
            tables: &tables,
        })
    };
    let clc = "layer:EC-MSC-SMC:1.0:CLC";
    let location = "profile:CAP-CP:Location:0.3";
    // Open water of the US: a marine zone by SAME and UGC.
    let lake = made(true, Target::Ipaws, &area(&[&square(42.0, -81.2, 0.1)])).unwrap();
    assert_eq!((codes(&lake, "SAME"), codes(&lake, "UGC")), (vec!["096167"], vec!["LEZ167"]));
    // A county by SAME and UGC.
    let river = made(true, Target::Ipaws, &area(&[&square(42.9, -82.45, 0.1)])).unwrap();
    assert_eq!((codes(&river, "SAME"), codes(&river, "UGC")), (vec!["026147"], vec!["MIC147"]));
    // Open water of Canada has no census division.
    let water = made(false, Target::CapCp, &area(&[&square(42.25, -81.2, 0.1)])).unwrap();
    assert_eq!(codes(&water, clc)[0], "001234");
    assert_eq!(codes(&water, location)[0], "none");
    let land = made(false, Target::CapCp, &area(&[&square(42.75, -81.2, 0.1)])).unwrap();
    assert_eq!((codes(&land, location)[0], codes(&land, clc)[0]), ("3534", "041234"));
    for (profile, made) in [(Profile::Ipaws, &lake), (Profile::Ipaws, &river), (Profile::CapCp, &water)] {
        let errors: Vec<_> = cap_schema::validate(&made.alert, profile)
            .into_iter()
            .filter(|f| f.level == cap_schema::Level::Error)
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn blocks_of_several_periods_keep_their_own_times_and_values() {
    let info = |language: &str, urgency: &str, expires: &str, headline: &str| {
        let text = message(true, &area(&[&square(42.9, -82.45, 0.1)]));
        let (_, info) = text.split_once("<info>").unwrap();
        let info = info.replace("</alert>", "").replace("en-CA", language).replace("Immediate", urgency);
        let info = info.replace("2026-03-01T18:00:00-05:00", expires);
        format!("<info>{}", info.replace("<headline>Release", &format!("<headline>{headline}")))
    };
    let (first, second) = ("2026-03-01T18:00:00-05:00", "2026-03-02T18:00:00-05:00");
    let of = |blocks: [String; 4]| {
        let text = format!("{HEAD}<code>profile:CAP-CP:0.4</code>{}</alert>", blocks.concat());
        let made = made(&text, Target::CapCp, AT).unwrap();
        let values =
            made.alert.info.iter().map(|i| (i.urgency.to_string(), i.expires.clone().unwrap().to_string()));
        let alarms = made.report.lines.iter().filter(|l| l.rule.id().starts_with("language.")).count();
        (values.collect::<Vec<_>>(), alarms)
    };
    let now = ("Immediate".to_owned(), first.to_owned());
    let later = ("Future".to_owned(), second.to_owned());
    // Each French block agrees with its own English one.
    let (values, alarms) = of([
        info("en-CA", "Immediate", first, "Tonight"),
        info("en-CA", "Future", second, "Tomorrow"),
        info("fr-CA", "Immediate", first, "Ce soir"),
        info("fr-CA", "Future", second, "Demain"),
    ]);
    assert_eq!((values, alarms), (vec![now.clone(), later.clone(), now.clone(), later.clone()], 0));
    // The second disagrees in one value: it is the second that it is set right by.
    let (values, alarms) = of([
        info("en-CA", "Immediate", first, "Tonight"),
        info("en-CA", "Future", second, "Tomorrow"),
        info("fr-CA", "Immediate", first, "Ce soir"),
        info("fr-CA", "Expected", second, "Demain"),
    ]);
    assert_eq!((values, alarms), (vec![now.clone(), later.clone(), now.clone(), later.clone()], 1));
    // One too many: nobody can tell, so nothing is changed.
    let (values, alarms) = of([
        info("en-CA", "Immediate", first, "Tonight"),
        info("fr-CA", "Expected", first, "Ce soir"),
        info("fr-CA", "Future", second, "Demain"),
        info("fr-CA", "Past", second, "Hier"),
    ]);
    assert_eq!(
        values[1..],
        [("Expected", first), ("Future", second), ("Past", second)]
            .map(|(urgency, expires)| (urgency.to_owned(), expires.to_owned()))
    );
    assert_eq!(alarms, 3);
}

//! The golden table of places along the border, and properties.

use std::path::PathBuf;

use cap_schema::{Circle, Point, Polygon};
use proptest::prelude::*;

use super::*;

/// The folder with boundary sets and the golden table, beside the corpus; read in place.
fn geo_folder() -> Option<PathBuf> {
    let corpus = std::env::var_os("CAP_CORPUS").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/geo");
    let folder = corpus.map_or(beside, |corpus| corpus.join("../geo"));
    folder.join("golden.tsv").is_file().then_some(folder)
}

struct Golden {
    name: String,
    polygons: Vec<Vec<Point>>,
    circles: Vec<(Point, f64)>,
    area_km2: f64,
    same: Vec<String>,
    same_small: Vec<String>,
    sgc: Vec<String>,
    sgc_small: Vec<String>,
    nearest: Vec<String>,
    zones: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn golden(folder: &std::path::Path) -> Vec<Golden> {
    let text = std::fs::read_to_string(folder.join("golden.tsv")).unwrap();
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let case = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |name: &str| {
            let column = heading.iter().position(|column| *column == name).unwrap();
            cells.get(column).copied().unwrap_or_default()
        };
        let circle = cell("kind").strip_prefix("circle ").map(|text| Circle::new(text.to_owned()));
        let nearest = cell("nearest_if_missing").split("; ").filter_map(|text| {
            let (code, km) = text.split_once(' ')?;
            (km.trim_end_matches("km").parse::<f64>().ok()? <= NEAREST_KM).then(|| code.to_owned())
        });
        let polygon = cell("cap_polygon");
        Golden {
            name: cell("case").to_owned(),
            polygons: if circle.is_some() { vec![] } else { vec![Polygon::new(polygon).points().unwrap()] },
            circles: circle.iter().map(|c| (c.center().unwrap(), c.radius_km().unwrap())).collect(),
            area_km2: cell("area_km2").parse().unwrap(),
            same: words(cell("same")),
            same_small: words(cell("us_slivers")).iter().map(|fips| format!("0{fips}")).collect(),
            sgc: words(cell("sgc_cd")),
            sgc_small: words(cell("cd_slivers")),
            nearest: nearest.collect(),
            zones: words(cell("ugc_zones")),
        }
    };
    lines.map(case).collect()
}

/// What must be there is there; what else is there is among what may be.
fn differences(kind: &str, found: &[String], must: &[String], may: &[String]) -> Vec<String> {
    let missing = must.iter().filter(|code| !found.contains(code)).map(|code| format!("{kind} lacks {code}"));
    let more = found.iter().filter(|code| !must.contains(code) && !may.contains(code));
    missing.chain(more.map(|code| format!("{kind} has {code}"))).collect()
}

#[test]
fn counties_of_the_golden_table_are_found_with_the_built_in_set() {
    let Some(folder) = geo_folder() else {
        println!("skipped: no ../shared/geo");
        return;
    };
    let boundaries = Boundaries::builtin().unwrap();
    let mut wrong = Vec::new();
    for case in golden(&folder) {
        let found = boundaries.locate_shapes(&case.polygons, &case.circles);
        let nearest: Vec<_> = case.nearest.iter().map(|fips| format!("0{fips}")).collect();
        let may = [case.same_small, nearest].concat();
        wrong.extend(differences(&case.name, &found.same, &case.same, &may));
        assert!(!found.exact);
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// All files of the folder, as `capbridge geodata build` hands them in.
fn built(folder: &std::path::Path) -> (Vec<u8>, geodata::Summary) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .collect();
    geodata::build(&inputs).unwrap()
}

#[test]
fn all_of_the_golden_table_is_found_with_sets_built_from_the_official_inputs() {
    let Some(folder) = geo_folder() else {
        println!("skipped: no ../shared/geo");
        return;
    };
    let (file, summary) = built(&folder);
    let kinds: Vec<_> = summary.layers.iter().map(|layer| (layer.kind, layer.features)).collect();
    assert_eq!(kinds, [("us_counties", 3234), ("census_divisions", 293), ("zones", 1575)]);
    assert_eq!(summary.places, 1391);
    assert_eq!(built(&folder).0, file, "the same inputs give the same bytes");
    let boundaries = Boundaries::builtin().unwrap().with_geodata(&file).unwrap();
    let mut wrong = Vec::new();
    for case in golden(&folder) {
        let found = boundaries.locate_shapes(&case.polygons, &case.circles);
        assert!(found.exact);
        let nearest: Vec<_> = case.nearest.iter().map(|fips| format!("0{fips}")).collect();
        let may = [case.same_small, nearest].concat();
        wrong.extend(differences(&case.name, &found.same, &case.same, &may));
        let may = [case.sgc_small, case.nearest].concat();
        wrong.extend(differences(&case.name, &found.sgc, &case.sgc, &may));
        let zones = [found.ugc.clone(), found.partial.clone()].concat();
        wrong.extend(differences(&case.name, &case.zones, &[], &zones));
        let area_km2 = Shapes::new(&case.polygons, &case.circles).area_km2;
        if (area_km2 / case.area_km2 - 1.0).abs() > 0.005 && (area_km2 - case.area_km2).abs() > 0.05 {
            wrong.push(format!("{} has {area_km2} km2, not {}", case.name, case.area_km2));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn small_alerts_are_placed_and_go_over_a_river_but_not_over_a_border_on_land() {
    let Some(folder) = geo_folder() else {
        println!("skipped: no ../shared/geo");
        return;
    };
    let builtin = Boundaries::builtin().unwrap();
    let exact = Boundaries::builtin().unwrap().with_geodata(&built(&folder).0).unwrap();
    // On the Detroit River, in Windsor 1 km from it, in Detroit far from it, 1.2 km south of 49 north, on that line,
    // 1.2 km north of it, in Calgary.
    for (circle, same, sgc) in [
        ("42.3195,-83.0610 0.1", "026163", "3537"),
        ("42.3195,-83.0610 0", "026163", "3537"),
        ("42.3070,-83.0300 0.1", "", "3537"),
        ("42.4100,-83.1500 0.1", "026163", ""),
        ("48.9880,-110.2000 0.1", "030041", ""),
        ("48.9880,-110.2000 0", "030041", ""),
        ("49.0110,-110.2000 0.1", "", "4801"),
        ("51.0500,-114.0700 0.05", "", "4806"),
        ("0,0 0", "", ""),
    ] {
        let circle = Circle::new(circle);
        let circles = [(circle.center().unwrap(), circle.radius_km().unwrap())];
        let found = exact.locate_shapes(&[], &circles);
        assert_eq!((found.same.join(" "), found.sgc.join(" ")), (same.into(), sgc.into()), "{circle}");
        assert!(found.same.iter().chain(&found.sgc).all(|code| found.partial.contains(code)), "{circle}");
        // Without boundaries more may be taken, never less.
        let found = builtin.locate_shapes(&[], &circles);
        assert!(same.is_empty() || found.same.join(" ") == same, "{circle} {found:?}");
        assert!(sgc.is_empty() || found.sgc.join(" ") == sgc, "{circle} {found:?}");
    }
}

/// A shapefile of one square and its table, by the published description.
fn shapefile(west: f64, south: f64) -> Vec<(String, Vec<u8>)> {
    let square = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)];
    let mut record = 5i32.to_le_bytes().to_vec();
    record.extend([0u8; 32]);
    for number in [1i32, 5, 0] {
        record.extend(number.to_le_bytes());
    }
    for (x, y) in square {
        record.extend((west + x).to_le_bytes());
        record.extend((south + y).to_le_bytes());
    }
    let mut shp = vec![0u8; 100];
    shp.extend(1u32.to_be_bytes());
    shp.extend((record.len() as u32 / 2).to_be_bytes());
    shp.extend(record);
    let mut dbf = vec![0u8; 32];
    dbf[4] = 1;
    dbf[8] = 32 + 64 + 1;
    dbf[10] = 1 + 4 + 6;
    for (name, length) in [("CDUID", 4u8), ("CDNAME", 6)] {
        let mut column = [0u8; 32];
        column[..name.len()].copy_from_slice(name.as_bytes());
        column[16] = length;
        dbf.extend(column);
    }
    dbf.push(0x0d);
    dbf.extend(b" 9901L\xe9vis ");
    vec![("cd.shp".to_owned(), shp), ("cd.dbf".to_owned(), dbf)]
}

#[test]
fn shapefiles_and_geojson_give_boundaries_and_broken_ones_a_reason() {
    let geojson = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"ID":"LEZ999","NAME":"Bay"},
        "geometry":{"type":"Polygon","coordinates":[[[-80,43],[-79,43],[-79,44],[-80,44],[-80,43]],
        [[-79.6,43.4],[-79.4,43.4],[-79.4,43.6],[-79.6,43.6],[-79.6,43.4]]]}}]}"#;
    let mut inputs = shapefile(-80.0, 43.0);
    inputs.push(("zones.geojson".to_owned(), geojson.as_bytes().to_vec()));
    inputs.push(("notes.txt".to_owned(), b"read me".to_vec()));
    let (file, summary) = geodata::build(&inputs).unwrap();
    assert_eq!(summary.unused, ["notes.txt"]);
    let boundaries = Boundaries::builtin().unwrap().with_geodata(&file).unwrap();
    for (circle, sgc, zone) in [
        ("43.2,-79.8 2", "9901", "LEZ999"),
        ("43.5,-79.5 2", "9901", ""), // in the hole of the zone
        ("48.0,-120.0 2", "", ""),
    ] {
        let circle = Circle::new(circle);
        let found = boundaries.locate_shapes(&[], &[(circle.center().unwrap(), circle.radius_km().unwrap())]);
        let zones: Vec<_> = found.ugc.iter().filter(|ugc| ugc.contains('Z')).cloned().collect();
        assert_eq!((found.sgc.join(" "), zones.join(" ")), (sgc.into(), zone.into()), "{circle}");
    }
    let without_table = vec![inputs[0].clone()];
    let mut cut = inputs.clone();
    cut[0].1.truncate(150);
    let far = shapefile(6_200_000.0, 3_000_000.0);
    let broken = vec![("a.json".to_owned(), b"{".to_vec())];
    for (inputs, expected) in
        [(without_table, "cd.shp"), (cut, "cd.shp"), (far, "cd.shp"), (broken, "a.json")]
    {
        let error = geodata::build(&inputs).unwrap_err();
        assert_eq!(error.to_string(), format!("{expected} cannot be used"));
    }
    assert!(matches!(geodata::build(&[]), Err(GeodataError::NothingUsable)));
}

#[test]
fn shapes_keep_their_area_and_are_not_widened() {
    // Square kilometres on the ellipsoid; a figure of eight is both its halves, a ring that winds twice counts once.
    for (polygon, expected) in [
        ("0,0 0,1 1,1 1,0 0,0", 12308.8),
        ("0,0 1,0 1,1 0,1 0,0", 12308.8),
        ("0,0 1,1 1,0 0,1 0,0", 6154.4),
        ("0,0 0,1 1,1 1,0 0,0 0,1 1,1 1,0 0,0", 12308.8),
        ("0,179.5 0,-179.5 1,-179.5 1,179.5 0,179.5", 2.0 * 12308.8), // once on each side of the map
        ("0,0 1,1 2,2 0,0", 0.0),
    ] {
        let area_km2 = Shapes::new(&[Polygon::new(polygon).points().unwrap()], &[]).area_km2;
        assert!((area_km2 - expected).abs() <= expected * 0.001, "{polygon}: {area_km2}");
    }
    for (center, radius_km) in [((45.0, -75.0), 10.0), ((80.0, 0.0), 50.0), ((0.0, 0.0), 0.5)] {
        let circle = (Point { lat: center.0, lon: center.1 }, radius_km);
        let area_km2 = Shapes::new(&[], &[circle]).area_km2;
        let whole = std::f64::consts::PI * radius_km * radius_km;
        // The sphere on which a radius is measured and the ellipsoid of areas differ by up to 0.7 %.
        assert!((area_km2 / whole - 1.0).abs() < 0.008, "{center:?}: {area_km2} of {whole}");
    }
}

#[test]
fn coverage_is_touched_by_shapes_alone() {
    let coverage = Polygon::new("42,-84 42,-82 43,-82 43,-84 42,-84").points().unwrap();
    let alert = |area: &str| {
        format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>a</identifier><sender>s</sender>\
             <sent>2026-01-01T00:00:00-00:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\
             <info><category>Met</category><event>e</event><urgency>Immediate</urgency><severity>Severe</severity>\
             <certainty>Likely</certainty><area><areaDesc>d</areaDesc>{area}</area></info></alert>"
        )
    };
    for (area, expected) in [
        ("<polygon>42.5,-83 42.5,-82.9 42.6,-82.9 42.5,-83</polygon>", true),
        ("<polygon>41,-85 41,-81 44,-81 44,-85 41,-85</polygon>", true), // around all of it
        ("<polygon>42.5,-81.9 42.5,-81.8 42.6,-81.8 42.5,-81.9</polygon>", false),
        ("<polygon>42.5,-81.9 42.5,-82.1 42.6,-81.8 42.5,-81.9</polygon>", true),
        ("<circle>42.5,-83 0</circle>", true),
        ("<circle>44,-83 100</circle>", false),
        ("<circle>44,-83 120</circle>", true),
        ("<polygon>nowhere</polygon>", false),
        ("", false),
    ] {
        let text = alert(area);
        let parsed = cap_schema::parse_owned(text.as_bytes(), &cap_schema::Limits::default()).unwrap();
        assert_eq!(touches(&coverage, &parsed.alert), expected, "{area}");
    }
}

#[test]
fn damaged_files_are_refused_with_the_reason() {
    let good = format::write("made for the test", &[], &[]);
    assert!(format::read(&good).is_ok());
    let changed = |at: usize| {
        let mut file = good.clone();
        file[at] ^= 1;
        file
    };
    for (file, expected) in [
        (Vec::new(), "not a boundary file made by capbridge geodata build"),
        (changed(0), "not a boundary file made by capbridge geodata build"),
        (changed(7), "boundary file of version 0, which this program does not read"),
        (changed(20), "boundary file is damaged: its checksum differs"),
        (changed(good.len() - 1), "boundary file is damaged: its checksum differs"),
        (good[..30].to_vec(), "boundary file ends too early"),
    ] {
        assert_eq!(format::read(&file).unwrap_err().to_string(), expected);
    }
}

#[test]
fn divisions_at_the_rivers_are_found_without_their_boundaries() {
    let boundaries = Boundaries::builtin().unwrap();
    for (polygon, same, sgc) in [
        (
            "42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900",
            "026147",
            "3538",
        ),
        (
            "42.2200,-83.1500 42.2200,-82.9000 42.4000,-82.9000 42.4000,-83.1500 42.2200,-83.1500",
            "026163",
            "3537",
        ),
    ] {
        let found = boundaries.locate_shapes(&[Polygon::new(polygon).points().unwrap()], &[]);
        assert_eq!((found.same, found.sgc), (vec![same.to_owned()], vec![sgc.to_owned()]), "{polygon}");
    }
}

#[test]
fn codes_cross_the_border_by_the_table_alone() {
    let boundaries = Boundaries::builtin().unwrap();
    for (system, code, same, sgc) in [
        (CodeSystem::Same, "026163", "026163", "3537"),
        (CodeSystem::Sgc, "3526", "036029 036063", "3526"),
        (CodeSystem::Sgc, "3537039", "026163", "3537"),
        (CodeSystem::Same, "020001", "", ""),
        (CodeSystem::Sgc, "9999", "", ""),
        (CodeSystem::Clc, "041420", "", ""),
    ] {
        let found = boundaries.locate_code(system, code).unwrap_or_default();
        let of = |text: &str| words(text);
        if code != "020001" {
            assert_eq!((found.same, found.sgc), (of(same), of(sgc)), "{code}");
        } else {
            assert_eq!(found.sgc, of(sgc), "{code}");
        }
    }
    assert_eq!(boundaries.county_name("026163"), Some("Wayne"));
    assert_eq!(boundaries.division_name("3537039"), Some("Essex"));
}

fn any_point() -> impl Strategy<Value = Point> {
    let near = (41.0..50.0f64, -95.0..-66.0f64).prop_map(|(lat, lon)| Point { lat, lon });
    let odd = prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(90.0),
        Just(-180.0),
        Just(1e300),
        -400.0..400.0f64
    ];
    let anywhere = (odd.clone(), odd).prop_map(|(lat, lon)| Point { lat, lon });
    prop_oneof![8 => near, 1 => anywhere]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_makes_it_panic(
        polygons in prop::collection::vec(prop::collection::vec(any_point(), 0..12), 0..3),
        circles in prop::collection::vec((any_point(), prop_oneof![0.0..60.0f64, Just(f64::NAN), Just(-1.0), Just(1e9)]), 0..3),
    ) {
        use std::sync::LazyLock;
        static BOUNDARIES: LazyLock<Boundaries> = LazyLock::new(|| Boundaries::builtin().unwrap());
        let found = BOUNDARIES.locate_shapes(&polygons, &circles);
        prop_assert!(found.same.iter().all(|same| same.len() == 6));
        prop_assert!(found.same.is_sorted() && found.sgc.is_sorted());
    }
}

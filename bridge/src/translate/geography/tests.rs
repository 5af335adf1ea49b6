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

//! `geodata build`, `locate` and `translate --geodata` as a user runs them, on the official inputs, and what they say of bad
//! ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use capbridge_harness::binary;
use serde_json::Value;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary().unwrap()).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The folder with the official inputs, beside the corpus; read in place.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
fn official() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let folder = std::env::var_os("CAP_CORPUS").map_or(beside, PathBuf::from).join("../geo");
    let found = folder.join("golden.tsv").is_file();
    if !found {
        println!("skipped: no official boundary inputs beside the corpus");
    }
    found.then_some(folder)
}

fn codes(located: &Value, key: &str) -> Vec<String> {
    located[key].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

fn message(canadian: bool, areas: &str) -> String {
    let (code, name, event) = if canadian {
        ("profile:CAP-CP:0.4", "profile:CAP-CP:Event:0.4", "chemical")
    } else {
        ("IPAWSv1.0", "SAME", "HMW")
    };
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>P-1</identifier><sender>em@desk.example.test</sender>\
         <sent>2026-03-01T12:02:05-05:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\
         <code>{code}</code><info><language>en-US</language><category>CBRNE</category><event>Release</event>\
         <urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><eventCode><valueName>{name}\
         </valueName><value>{event}</value></eventCode><expires>2026-03-01T18:00:00-05:00</expires>\
         <headline>Release</headline><description>Chlorine.</description><area><areaDesc>Place</areaDesc>{areas}</area>\
         </info></alert>"
    )
}

#[test]
fn a_file_built_from_the_official_inputs_gives_the_places_of_the_golden_table() {
    let Some(folder) = official() else { return };
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("geodata.bin").to_str().unwrap().to_owned();
    let (code, said, wrong) = run(&["geodata", "build", "--out", &file, folder.to_str().unwrap()]);
    assert_eq!(code, 0, "{wrong}");
    assert!(said.contains("us_counties") && said.contains("census_divisions: 293 features"), "{said}");
    let again = work.path().join("again.bin").to_str().unwrap().to_owned();
    run(&["geodata", "build", "--out", &again, folder.to_str().unwrap()]);
    assert!(
        std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap(),
        "the same inputs give the same bytes"
    );

    let golden = std::fs::read_to_string(folder.join("golden.tsv")).unwrap();
    let heading: Vec<&str> = golden.lines().next().unwrap().split('\t').collect();
    for line in golden.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |name: &str| cells[heading.iter().position(|h| *h == name).unwrap()];
        let (case, shape) = (cell("case"), cell("cap_polygon"));
        let circle = cell("kind").strip_prefix("circle ").or_else(|| cell("kind").strip_prefix("circle:"));
        let (flag, shape) = match circle {
            Some(circle) => ("--circle", circle.trim()),
            None => ("--polygon", shape),
        };
        let (code, said, wrong) = run(&["locate", flag, shape, "--geodata", &file, "--format", "json"]);
        assert_eq!(code, 0, "{case}: {wrong}");
        let located: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(located["exact"], true, "{case}");
        for (key, column) in [("same", "same"), ("sgc", "sgc_cd")] {
            let found = codes(&located, key);
            for expected in
                cell(column).split_whitespace().filter(|code| code.bytes().all(|b| b.is_ascii_digit()))
            {
                assert!(found.iter().any(|code| code == expected), "{case}: {expected} is not in {found:?}");
            }
        }
        if flag == "--circle" {
            continue;
        }
        // The translator writes what `locate` says, or ends with the reason.
        for (canadian, to, name) in
            [(true, "ipaws", "SAME"), (false, "cap-cp", "profile:CAP-CP:Location:0.3")]
        {
            let path = work.path().join("alert.xml");
            std::fs::write(&path, message(canadian, &format!("<polygon>{shape}</polygon>"))).unwrap();
            let (code, xml, wrong) =
                run(&["translate", "--to", to, "--geodata", &file, path.to_str().unwrap()]);
            let expected = codes(&located, if canadian { "same" } else { "sgc" });
            let written = expected
                .iter()
                .all(|place| xml.contains(&format!("<valueName>{name}</valueName><value>{place}</value>")));
            match code {
                0 => assert!(written, "{case} to {to}: {xml}"),
                3 => assert!(
                    expected.is_empty() && wrong.contains("touches nothing"),
                    "{case} to {to}: {wrong}"
                ),
                other => panic!("{case} to {to}: exit {other}: {wrong}"),
            }
        }
    }
}

#[test]
fn bad_input_is_named_and_ends_with_the_exit_that_is_promised() {
    let work = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = work.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let out = work.path().join("out.bin").to_str().unwrap().to_owned();
    let square = "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{\"CDUID\":\"3537\"},\
        \"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[-83.1,42.0],[-82.5,42.0],[-82.5,42.3],[-83.1,42.3],\
        [-83.1,42.0]]]}}]}";
    let one = put("one.geojson", square.as_bytes());
    let (code, said, wrong) = run(&["geodata", "build", "--out", &out, &one]);
    assert_eq!(code, 0, "{wrong}");
    assert!(said.contains("1 of 293, not all of the country"), "{said}");
    let mut flipped = std::fs::read(&out).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let alert = put("alert.xml", message(true, "<circle>42.4,-83.0 10</circle>").as_bytes());
    let cases: [(&str, Vec<&str>, &str); 7] = [
        ("a broken shapefile", vec!["geodata", "build", "--out", &out], "a.shp"),
        ("no usable input", vec!["geodata", "build", "--out", &out], "no input holds"),
        ("a missing input", vec!["geodata", "build", "--out", &out], "missing.geojson"),
        ("swapped axes", vec!["geodata", "build", "--out", &out], "latitude stands before longitude"),
        ("another file", vec!["translate", "--to", "ipaws", &alert, "--geodata"], "not a boundary file"),
        ("a wrong checksum", vec!["translate", "--to", "ipaws", &alert, "--geodata"], "checksum"),
        ("a missing file", vec!["locate", "--circle", "42.4,-83.0 10", "--geodata"], "missing.bin"),
    ];
    let inputs = [
        put("a.shp", b"\0\0\x27\x0acut"),
        put("a.txt", b"nothing"),
        work.path().join("missing.geojson").to_str().unwrap().to_owned(),
        put("swapped.geojson", flip(square).as_bytes()),
        put("x.bin", b"something else"),
        put("flipped.bin", &flipped),
        work.path().join("missing.bin").to_str().unwrap().to_owned(),
    ];
    for ((what, mut arguments, expected), input) in cases.into_iter().zip(&inputs) {
        arguments.push(input);
        let (code, _, wrong) = run(&arguments);
        assert_ne!(code, 0, "{what}");
        assert!(wrong.contains(expected) && !wrong.contains("panicked"), "{what}: {wrong}");
    }
    // A file of one division leaves the others as they were without it: approximate, and found.
    let (_, said, _) = run(&["locate", "--circle", "45.5,-73.6 5", "--geodata", &out, "--format", "json"]);
    let located: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(located["exact"], false, "{said}");
    assert!(!codes(&located, "sgc").is_empty(), "{said}");
}

/// Longitude and latitude the other way round.
fn flip(geojson: &str) -> String {
    let (head, rest) = geojson.split_once("[[[").unwrap();
    let (ring, tail) = rest.split_once("]]]").unwrap();
    let pairs = ring.split("],").map(|pair| pair.trim().trim_start_matches('['));
    let flipped: Vec<String> =
        pairs.map(|pair| pair.split_once(',').map(|(lon, lat)| format!("{lat},{lon}")).unwrap()).collect();
    format!("{head}[[[{}]]]{tail}", flipped.join("],["))
}

#[test]
fn what_locate_says_in_words_is_what_was_decided() {
    for (arguments, exit, expected) in [
        (["--circle", "-82.4,42.9 4"], 64, "longitude comes before latitude"),
        (["--polygon", "-82.5,42.9 -82.5,43.1 -82.3,43.1 -82.5,42.9"], 64, "longitude comes before latitude"),
        (["--polygon", "0,0 0,1 1,1 0,0"], 0, "no county and no census division is touched"),
        (["--sgc", "3538"], 0, "the neighbours of that code"),
        (["--circle", "42.9745,-82.4066 4"], 0, "SAME 026147  St. Clair"),
    ] {
        let (code, said, wrong) = run(&["locate", arguments[0], arguments[1]]);
        assert_eq!(code, exit, "{arguments:?}: {said}{wrong}");
        assert!(format!("{said}{wrong}").contains(expected), "{arguments:?}: {said}{wrong}");
    }
}

#[test]
fn what_is_not_to_be_sent_ends_with_exit_3_and_the_reason() {
    let work = tempfile::tempdir().unwrap();
    let good = message(true, "<circle>42.4,-83.0 10</circle>");
    let cases = [
        ("expired", good.clone(), "2026-03-02T00:00:00Z", "no longer in force"),
        ("a test", good.replace("Actual", "Test"), "2026-03-01T17:03:00Z", "test"),
        ("a test by its text", good.replace("<headline>", "<headline>TEST "), "2026-03-01T17:03:00Z", "test"),
        ("a draft", good.replace("Actual", "Draft"), "2026-03-01T17:03:00Z", "Draft"),
        ("far away", good.replace("42.4,-83.0", "52.4,-83.0"), "2026-03-01T17:03:00Z", "touches nothing"),
        (
            "longitude first",
            good.replace("42.4,-83.0", "-83.0,42.4"),
            "2026-03-01T17:03:00Z",
            "longitude comes first",
        ),
        ("unreadable", good.replace("42.4,-83.0", "92.4,-83.0"), "2026-03-01T17:03:00Z", "cannot be read"),
    ];
    for (what, text, at, why) in cases {
        let path = work.path().join("alert.xml");
        std::fs::write(&path, text).unwrap();
        let (code, xml, wrong) = run(&["translate", "--to", "ipaws", "--at", at, path.to_str().unwrap()]);
        assert_eq!((code, xml.as_str()), (3, ""), "{what}: {wrong}");
        assert!(wrong.contains(why), "{what}: {wrong}");
    }
}

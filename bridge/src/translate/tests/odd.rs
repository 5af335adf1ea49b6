//! Odd input: what comes out is valid, or nothing does, and a duty officer is told.

use super::report::Rule;
use super::*;

fn rules(made: &Translated) -> Vec<Rule> {
    made.report.lines.iter().map(|line| line.rule).collect()
}

/// What the document says is read again without a fault, by the schema's rules and those of the profile.
fn is_valid(made: &Translated, target: Target, what: &str) {
    let read = cap_schema::parse_owned(made.xml.as_bytes(), &Limits::default()).unwrap();
    let profile = if target == Target::Ipaws { Profile::Ipaws } else { Profile::CapCp };
    let mut findings = read.findings.clone();
    for profile in [Profile::Cap, profile] {
        findings.extend(cap_schema::validate(&read.alert, profile));
    }
    findings.retain(|f| f.level == cap_schema::Level::Error);
    assert!(read.accepted() && findings.is_empty(), "{what} for {target:?}: {findings:?}\n{}", made.xml);
}

#[test]
fn what_is_odd_in_the_original_comes_out_valid_and_is_said() {
    let resource = |kind: &str| {
        format!(
            "<resource><resourceDesc>Map</resourceDesc><mimeType>{kind}</mimeType><uri>https://example.org/a.png\
             </uri></resource><area>"
        )
    };
    let cases: [(&str, &str, String, Option<Rule>); 12] = [
        ("<language>en-CA", "<language>en-US", "<language>e n".into(), Some(Rule::LanguageUnreadable)),
        (
            "<language>en-CA",
            "<language>en-US",
            "<language>english(CA)".into(),
            Some(Rule::LanguageUnreadable),
        ),
        ("<language>en-CA", "<language>en-US", "<language>en_CA".into(), None),
        ("<language>en-CA", "<language>en-US", "<language>".into(), None),
        ("<areaDesc>Sarnia", "<areaDesc>River", "<areaDesc>".into(), Some(Rule::AreaUnnamed)),
        ("<areaDesc>Sarnia", "<areaDesc>River", "<areaDesc>  ".into(), Some(Rule::AreaUnnamed)),
        ("<area>", "<area>", resource("a picture"), Some(Rule::MediaType)),
        ("<area>", "<area>", resource("image/"), Some(Rule::MediaType)),
        ("<area>", "<area>", resource("image/png; charset=x"), None),
        ("<area>", "<area>", resource(""), None),
        ("<headline>Chlorine release", "<headline>Hazardous Materials Warning", "<headline>".into(), None),
        ("<event>Chemical Hazard", "<event>Hazardous Materials Warning", "<event>".into(), None),
    ];
    for (canadian, american, odd, rule) in cases {
        for (text, old, target) in [(SARNIA, canadian, Target::Ipaws), (RIVER, american, Target::CapCp)] {
            assert!(text.contains(old));
            let made =
                made(&text.replacen(old, &odd, 1), target, AT).unwrap_or_else(|w| panic!("{odd}: {w}"));
            is_valid(&made, target, &odd);
            if let Some(rule) = rule {
                assert!(rules(&made).contains(&rule), "{odd}: {:?}", made.report);
            }
        }
    }
}

#[test]
fn a_language_is_never_guessed_and_a_locale_is_read() {
    for (written, target, expected) in [
        ("en_CA", Target::Ipaws, "en-US"),
        ("EN", Target::CapCp, "en-CA"),
        ("fr_CA", Target::CapCp, "fr-CA"),
        ("", Target::CapCp, "en-CA"),
        (" en-CA ", Target::Ipaws, "en-US"),
        ("es-US", Target::CapCp, "es-US"),
        ("x-pig-latin", Target::CapCp, "x-pig-latin"),
        ("français", Target::CapCp, "und"),
        ("englishcanada", Target::CapCp, "und"),
        ("en CA", Target::Ipaws, "und"),
    ] {
        assert_eq!(language::map(target, Some(written)), expected, "{written}");
    }
    assert_eq!(language::map(Target::Ipaws, None), "en-US");
}

#[test]
fn an_alert_in_spanish_alone_keeps_its_text_and_gets_the_official_languages() {
    let spanish = RIVER
        .replace("en-US", "es-US")
        .replace("<event>Hazardous Materials Warning", "<event>Materiales peligrosos")
        .replace("A barge leaks.", "Una barcaza pierde cloro.");
    let made = made(&spanish, Target::CapCp, AT).unwrap();
    is_valid(&made, Target::CapCp, "Spanish alone");
    let languages: Vec<_> = made.alert.info.iter().map(|i| i.language.as_deref().unwrap()).collect();
    assert_eq!(languages, ["es-US", "en-CA", "fr-CA"]);
    assert_eq!(made.alert.info[0].event, "Materiales peligrosos");
    assert_eq!(made.alert.info[0].description.as_deref(), Some("Una barcaza pierde cloro."));
    let names: Vec<_> = made.alert.info[1..].iter().map(|i| (&*i.event, i.description.is_some())).collect();
    assert_eq!(names, [("Hazardous Materials", true), ("Matières dangereuses", true)]);
    for notice in &made.alert.info[1..] {
        assert!(!notice.description.as_deref().unwrap().contains("English text"), "there is none");
    }
    // And it goes again on the way back.
    let back = self::made(&made.xml, Target::Ipaws, AT).unwrap();
    let languages: Vec<_> = back.alert.info.iter().map(|i| i.language.as_deref().unwrap()).collect();
    assert_eq!(languages, ["es-US"]);
}

#[test]
fn longitude_before_latitude_is_found_and_nothing_is_guessed() {
    let ring = "42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900";
    let swapped: Vec<String> = ring
        .split(' ')
        .map(|pair| pair.split_once(',').map(|(lat, lon)| format!("{lon},{lat}")).unwrap())
        .collect();
    let polygon = RIVER.replace(ring, &swapped.join(" "));
    assert_eq!(made(&polygon, Target::CapCp, AT), Err(NotSent::Swapped));
    let circle = SARNIA.replace("42.9745,-82.4066", "-82.4066,42.9745");
    assert_eq!(made(&circle, Target::Ipaws, AT), Err(NotSent::Swapped));
    // Off the Earth as it stands.
    let west = RIVER.replace(ring, "-120.1,49.0 -120.0,49.0 -120.0,49.1 -120.1,49.0");
    assert_eq!(made(&west, Target::CapCp, AT), Err(NotSent::Swapped));
    // Where a code says where it is, the shape goes and a person is told.
    let coded = circle.replace(
        "3538030</value>",
        "3538030</value></geocode><geocode><valueName>SAME</valueName><value>026147</value>",
    );
    let made_coded = made(&coded, Target::Ipaws, AT).unwrap();
    assert!(made_coded.alert.info.iter().flat_map(|i| &i.area).all(|a| a.circle.is_empty()));
    assert!(rules(&made_coded).contains(&Rule::ShapeSwapped));
    assert_eq!(made_coded.report.severity(), Severity::Alarm);
    is_valid(&made_coded, Target::Ipaws, "a swapped circle beside a code");
    for (text, expected) in [
        (ring, false),
        ("-75.0,45.0 10", true),
        ("45.0,-75.0 10", false),
        // The South Pole, and Sydney.
        ("-89.0,-170.0 -89.0,-80.0 -80.0,-80.0 -89.0,-170.0", false),
        ("-33.9,151.2 -33.8,151.2 -33.8,151.3 -33.9,151.2", false),
        ("", false),
        ("nowhere", false),
    ] {
        assert_eq!(geography::is_longitude_first(text), expected, "{text}");
    }
}

#[test]
fn what_is_too_large_to_compare_is_said_and_never_simplified() {
    let ring = |count: usize| {
        let corner = |i: usize| {
            let angle = std::f64::consts::TAU * (i % count) as f64 / count as f64;
            format!("{:.6},{:.6}", 43.0 + 0.5 * angle.sin(), -82.4 + 0.5 * angle.cos())
        };
        (0..=count).map(corner).collect::<Vec<_>>().join(" ")
    };
    let polygons = |count: usize| format!("<polygon>{}</polygon>", ring(30_000)).repeat(count);
    let text = |count: usize| {
        RIVER.replace("<areaDesc>River</areaDesc>", &format!("<areaDesc>River</areaDesc>{}", polygons(count)))
    };
    let large = made(&text(4), Target::CapCp, AT).unwrap();
    assert!(rules(&large).contains(&Rule::NotMeasured), "{:?}", large.report);
    assert_eq!(large.report.severity(), Severity::Alarm);
    assert!(!rules(&made(RIVER, Target::CapCp, AT).unwrap()).contains(&Rule::NotMeasured));
    let large =
        SARNIA.replace("<areaDesc>Sarnia</areaDesc>", &format!("<areaDesc>Sarnia</areaDesc>{}", polygons(2)));
    assert_eq!(made(&large, Target::Ipaws, AT), Err(NotSent::TooManyPoints));
}

#[test]
fn codes_are_those_of_the_original_shape_and_not_of_what_simplifying_left() {
    // A comb in Ontario with 110 broad teeth to the east, and one thin tooth over the river to Michigan.
    let mut points = vec!["42.6,-82.35".to_owned(), "42.6,-82.2".to_owned()];
    for tooth in 0..110 {
        let south = 42.6 + f64::from(tooth) * 0.0045;
        points.push(format!("{:.5},-82.05", south + 0.002));
        points.push(format!("{:.5},-82.2", south + 0.0045));
    }
    points.extend(
        ["43.1,-82.35", "42.801,-82.35", "42.8,-82.62", "42.799,-82.35", "42.6,-82.35"].map(Into::into),
    );
    let text = SARNIA
        .replace("<circle>42.9745,-82.4066 4</circle>", &format!("<polygon>{}</polygon>", points.join(" ")));
    let made = made(&text, Target::Ipaws, AT).unwrap();
    is_valid(&made, Target::Ipaws, "a comb");
    let area = &made.alert.info[0].area[0];
    let left = area.polygon[0].points().unwrap();
    assert!(left.len() <= 200 && left.iter().all(|p| p.lon > -82.4), "the thin tooth must go in this test");
    let same: Vec<_> = area.geocode.iter().filter(|g| g.value_name == "SAME").map(|g| &*g.value).collect();
    assert_eq!(same, ["026147"]);
    let said = rules(&made);
    assert!(said.contains(&Rule::ShapeSimplified) && !said.contains(&Rule::ShapeKept), "{said:?}");
}

#[test]
fn of_more_places_than_eas_airs_those_left_out_are_named() {
    let counties: Vec<String> = (0..34).map(|n| format!("026{:03}", 1 + 2 * n)).collect();
    let codes = |count: usize| {
        let code = |c: &String| format!("<geocode><valueName>SAME</valueName><value>{c}</value></geocode>");
        let areas: Vec<String> = counties[..count]
            .chunks(10)
            .map(|chunk| {
                let codes: String = chunk.iter().map(code).collect();
                format!("<area><areaDesc>Counties</areaDesc>{codes}</area>")
            })
            .collect();
        let (head, rest) = RIVER.split_once("<area>").unwrap();
        let (_, tail) = rest.split_once("</area>").unwrap();
        format!("{head}{}{tail}", areas.concat())
    };
    let tables = Tables::builtin().unwrap();
    let aired = |count: usize, open: &[&str]| {
        let alert = cap_schema::parse_owned(codes(count).as_bytes(), &Limits::default()).unwrap().alert;
        let open_channels = open.iter().map(|c| (*c).to_owned()).collect();
        let settings = Settings { open_channels, ..Settings::default() };
        let made = translate(&Request {
            alert: &alert,
            origin_key: "key",
            target: Target::Ipaws,
            at: AT.parse().unwrap(),
            issued: None,
            previous: None,
            settings: &settings,
            tables: &tables,
        })
        .unwrap();
        is_valid(&made, Target::Ipaws, "many counties");
        let of_info = made.alert.info.iter().flat_map(|i| &i.area).flat_map(|a| &a.geocode);
        assert_eq!(of_info.filter(|g| g.value_name == "SAME").count(), count, "no code is lost");
        let line = made.report.lines.iter().find(|l| l.rule == Rule::ChannelCodes);
        line.map(|l| (l.severity, l.detail.clone()))
    };
    assert_eq!(aired(31, &["EAS"]), None);
    assert_eq!(aired(34, &[]), None);
    let (severity, detail) = aired(34, &["EAS"]).unwrap();
    assert_eq!(severity, Severity::Alarm);
    assert!(detail.contains("34 SAME codes") && detail.ends_with("not 026063 026065 026067"), "{detail}");
}

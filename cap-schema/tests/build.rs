//! Whatever the builders give is a sound alert: no rule of CAP is broken, and xmllint finds it valid.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends where it cannot go on")]

mod common;

use std::process::Command;

use cap_schema::build::*;
use cap_schema::{
    Category, Certainty, CodeList, Instant, Level, Limits, Point, Profile, ResponseType, Severity, Status,
    Urgency, parse_owned, validate, write,
};
use common::corpus;
use proptest::prelude::*;

fn any_of<T: CodeList + std::fmt::Debug>() -> impl Strategy<Value = T> {
    prop::sample::select(T::ALL.to_vec())
}

/// Values of a kind, made from texts of which most are none.
fn kind<T: std::fmt::Debug + Clone>(
    pattern: &'static str,
    make: fn(String) -> Result<T, BuildError>,
) -> impl Strategy<Value = T> {
    pattern.prop_filter_map("none of this kind", move |text| make(text).ok())
}

fn text() -> impl Strategy<Value = Text> {
    kind("[\\PC\\x00\\t\\r\\n<>&\"']{0,20}", Text::new)
}

fn pair() -> impl Strategy<Value = Pair> {
    ("\\PC{1,12}", text()).prop_filter_map("none", |(name, value)| Pair::new(name, value.to_string()).ok())
}

fn moment() -> impl Strategy<Value = Moment> {
    (-62_135_600_000_i64..253_402_400_000, -850..850_i32)
        .prop_filter_map("none", |(at, offset)| Moment::at(Instant::from_seconds(at), offset).ok())
}

fn name() -> impl Strategy<Value = Name> {
    kind("[a-zA-Z0-9@.:é>\"'/ ,&<-]{1,12}", Name::new)
}

fn identity() -> impl Strategy<Value = Identity> {
    (name(), name(), moment()).prop_map(|(sender, identifier, sent)| Identity { sender, identifier, sent })
}

fn message() -> impl Strategy<Value = Message> {
    let references = prop::collection::vec(identity(), 0..4)
        .prop_filter_map("none", |messages| References::new(messages).ok());
    (0..5, references, text()).prop_map(|(which, references, reason)| match which {
        0 => Message::Alert,
        1 => Message::Update(references),
        2 => Message::Cancel(references),
        3 => Message::Ack(references),
        _ => Message::Error { references, reason },
    })
}

fn addresses() -> impl Strategy<Value = Addresses> {
    prop::collection::vec("[a-z \"&é]{0,8}", 0..4)
        .prop_filter_map("none", |names| Addresses::new(names.iter().map(String::as_str)).ok())
}

fn distribution() -> impl Strategy<Value = Distribution> {
    (0..3, text(), addresses()).prop_map(|(which, rule, addresses)| match which {
        0 => Distribution::Public,
        1 => Distribution::Restricted(rule),
        _ => Distribution::Private(addresses),
    })
}

fn uri() -> impl Strategy<Value = AbsoluteUri> {
    kind("(https?|mailto|urn):(//)?[a-z0-9.:@%\\[\\]?#&/ é-]{1,20}", AbsoluteUri::new)
}

fn point() -> impl Strategy<Value = Point> {
    let number =
        |range: f64| prop_oneof![-range..range, Just(range), Just(0.0), Just(-1e-9), Just(range + 1.0)];
    (number(90.0), number(180.0)).prop_map(|(lat, lon)| Point { lat, lon })
}

fn area() -> impl Strategy<Value = AreaBuilder> {
    let any_ring = prop::collection::vec(point(), 0..6);
    let round = (3..9_u32, -80.0..80.0_f64, -170.0..170.0_f64, 1e-6..9.0_f64).prop_map(
        |(corners, lat, lon, size)| {
            let at = |i: u32| std::f64::consts::TAU * f64::from(i) / f64::from(corners);
            (0..corners)
                .map(|i| Point { lat: lat + size * at(i).sin(), lon: lon + size * at(i).cos() })
                .collect()
        },
    );
    let rings = prop::collection::vec(prop_oneof![any_ring, round], 0..3);
    let discs = prop::collection::vec((point(), -1.0..1e6_f64), 0..2);
    let heights = prop::option::of((-1e9..1e9_f64, 0.0..1e5_f64, any::<bool>()));
    (text(), rings, discs, prop::collection::vec(pair(), 0..3), heights).prop_map(
        |(words, rings, discs, codes, heights)| {
            let mut area = AreaBuilder::new(words);
            for ring in rings.iter().filter_map(|corners| Ring::around(corners).ok()) {
                area = area.ring(ring);
            }
            for disc in discs.into_iter().filter_map(|(center, radius)| Disc::new(center, radius).ok()) {
                area = area.disc(disc);
            }
            area = codes.into_iter().fold(area, AreaBuilder::geocode);
            match heights {
                Some((low, more, true)) => area.between_feet(low, low + more).unwrap(),
                Some((low, _, false)) => area.at_feet(low).unwrap(),
                None => area,
            }
        },
    )
}

fn resource() -> impl Strategy<Value = ResourceBuilder> {
    let media = kind("(image|text|video|x-own|made up)/[a-z0-9+. -]{1,8}", MediaType::new);
    let embedded = (kind("[a-z. /]{1,8}", FileName::new), prop::collection::vec(any::<u8>(), 0..50))
        .prop_filter_map("none", |(name, bytes)| EmbeddedFile::new(name, bytes).ok());
    (text(), media, embedded, uri(), prop::option::of(any::<u64>())).prop_map(
        |(words, media, embedded, uri, size)| match size {
            None => ResourceBuilder::new(words, media, File::Embedded(embedded)),
            Some(size) => ResourceBuilder::new(words, media, File::At(uri)).size_bytes(size),
        },
    )
}

fn info() -> impl Strategy<Value = InfoBuilder> {
    let triple = (any_of::<Urgency>(), any_of::<Severity>(), any_of::<Certainty>())
        .prop_map(|(urgency, severity, certainty)| Triple { urgency, severity, certainty });
    let start = (kind("[a-z]{1,9}(-[A-Z0-9_]{1,9})?", Language::new), any_of::<Category>(), text(), triple)
        .prop_map(|(language, category, event, triple)| InfoBuilder::new(language, category, event, triple));
    let times = (moment(), moment(), moment(), any::<bool>());
    let texts = (prop::option::of(text()), text(), text(), prop::option::of(uri()));
    let lists = (
        prop::collection::vec(pair(), 0..3),
        prop::collection::vec(resource(), 0..2),
        prop::collection::vec(area(), 0..3),
        any_of::<ResponseType>(),
    );
    (start, times, texts, lists).prop_map(|(mut info, times, texts, (pairs, resources, areas, response))| {
        if times.3 {
            info = info.effective(times.0).onset(times.1).expires(times.2).category(Category::Other);
        }
        if let Some(audience) = texts.0 {
            info = info
                .audience(audience)
                .headline(texts.1.clone())
                .description(texts.1)
                .response_type(response);
            info = info.instruction(texts.2.clone()).contact(texts.2.clone()).sender_name(texts.2);
        }
        if let Some(web) = texts.3 {
            info = info.web(web);
        }
        info = pairs.iter().cloned().fold(info, InfoBuilder::event_code);
        info = pairs.into_iter().fold(info, InfoBuilder::parameter);
        info = resources.into_iter().fold(info, InfoBuilder::resource);
        areas.into_iter().fold(info, InfoBuilder::area)
    })
}

fn alert() -> impl Strategy<Value = Result<cap_schema::Alert<'static>, BuildError>> {
    let start = (identity(), any_of::<Status>(), message(), distribution())
        .prop_map(|(identity, status, message, to)| AlertBuilder::new(identity, status, message, to));
    let codes = prop::collection::vec(kind("\\PC{1,12}", CodeText::new), 0..3);
    let rest = (prop::option::of((text(), text(), addresses())), codes, prop::collection::vec(info(), 0..3));
    (start, rest).prop_map(|(mut alert, (texts, codes, infos))| {
        if let Some((note, source, incidents)) = texts {
            alert = alert.note(note).source(source).incidents(incidents);
        }
        alert = codes.into_iter().fold(alert, AlertBuilder::code);
        infos.into_iter().fold(alert, AlertBuilder::info).build()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_breaks_no_rule_and_is_read_as_it_was_built(built in alert()) {
        // The only thing that the parts of small alerts can get wrong together.
        let Ok(alert) = built else { prop_assert_eq!(built.err(), Some(BuildError::SelfReference)); return Ok(()) };
        let written = write(&alert);
        let parsed = parse_owned(written.as_bytes(), &Limits::default()).unwrap();
        let mut findings = parsed.findings.clone();
        findings.extend(validate(&alert, Profile::Cap));
        let errors: Vec<_> = findings.iter().filter(|f| f.level == Level::Error || f.rule.starts_with("cap.empty")).collect();
        prop_assert!(parsed.accepted() && errors.is_empty(), "{errors:?}\n{written}");
        prop_assert_eq!(parsed.alert, alert);
    }
}

#[test]
fn what_is_built_is_valid_against_the_schema() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let mut paths = Vec::new();
    let mut polygons = 0;
    for number in 0..150 {
        let Ok(alert) = alert().new_tree(&mut runner).unwrap().current() else { continue };
        let path = folder.path().join(format!("{number}.xml"));
        let written = write(&alert);
        polygons += written.matches("<polygon>").count();
        std::fs::write(&path, written).unwrap();
        paths.push(path);
    }
    assert!(paths.len() > 100 && polygons > 20, "{} {polygons}", paths.len());
    let ran = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .arg(corpus.join("cap/xsd/cap12.xsd"))
        .args(&paths)
        .output()
        .expect("xmllint is installed by `make setup`");
    let said = String::from_utf8_lossy(&ran.stderr);
    let wrong: Vec<&str> = said.lines().filter(|l| !l.ends_with(" validates")).take(10).collect();
    assert!(ran.status.success() && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_an_alert_as_a_whole_gets_wrong_is_refused() {
    let identity = |number: usize| {
        Identity::new("desk@alerts.example", &format!("on-{number}"), "2026-03-01T10:00:00-05:00").unwrap()
    };
    let triple = Triple { urgency: Urgency::Past, severity: Severity::Minor, certainty: Certainty::Likely };
    let text = |text: &str| Text::new(text).unwrap();
    let info = || InfoBuilder::new(Language::new("en").unwrap(), Category::Met, text("wind"), triple);
    let start = |message| AlertBuilder::new(identity(1), Status::Actual, message, Distribution::Public);
    let about = |number| Message::Cancel(References::new(vec![identity(number)]).unwrap());
    let many = |what, have, limit| Err(BuildError::TooMany { what, have, limit });
    let place = || AreaBuilder::new(text("shore"));
    let long =
        (0..12).fold(start(Message::Alert), |a, _| a.info(info().description(text(&"x".repeat(512 << 10)))));
    let cases = [
        (start(about(2)), Ok(())),
        (start(about(1)), Err(BuildError::SelfReference)),
        ((0..65).fold(start(Message::Alert), |a, _| a.info(info())), many("infos", 65, 64)),
        (
            start(Message::Alert).info((0..2_001).fold(info(), |i, _| i.area(place()))),
            many("areas", 2_001, 2_000),
        ),
        (long, many("bytes", 0, 6 << 20)),
    ];
    for (number, (builder, expected)) in cases.into_iter().enumerate() {
        let mut built = builder.build().map(|_| ());
        if let Err(BuildError::TooMany { what: "bytes", have, .. }) = &mut built {
            *have = 0;
        }
        assert_eq!(built, expected, "{number}");
    }
}

#[test]
fn values_that_are_none_are_refused() {
    let long = "x".repeat(1_025);
    let refused: [(&str, Result<(), BuildError>); 16] = [
        ("blank", Text::new(" \n").map(drop)),
        ("control character", Text::new("a\u{1}").map(drop)),
        ("long code", CodeText::new(long.as_str()).map(drop)),
        ("blank in a name", Name::new("a b").map(drop)),
        ("language", Language::new("en_CA").map(drop)),
        ("media type", MediaType::new("plain text").map(drop)),
        ("file name", FileName::new("../a").map(drop)),
        ("port", AbsoluteUri::new("https://a.example:x/").map(drop)),
        ("no references", References::new(Vec::new()).map(drop)),
        ("no addresses", Addresses::new([]).map(drop)),
        ("no file", EmbeddedFile::new(FileName::new("a").unwrap(), Vec::new()).map(drop)),
        ("ceiling", AreaBuilder::new(Text::new("a").unwrap()).between_feet(2.0, 1.0).map(drop)),
        ("height", AreaBuilder::new(Text::new("a").unwrap()).at_feet(f64::NAN).map(drop)),
        ("corner", Ring::around(&[Point { lat: f64::NAN, lon: 0.0 }]).map(drop)),
        ("corners", Ring::around(&[Point { lat: 0.0, lon: 0.0 }; 2]).map(drop)),
        ("year", Moment::at(Instant::from_seconds(i64::MAX), 0).map(drop)),
    ];
    for (what, result) in refused {
        assert!(result.is_err(), "{what}");
    }
}

//! What holds for any input: nothing panics, nobody reads more than a strict reader, canonical forms are those of libxml2.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test ends where it cannot go on"
)]

mod common;

use std::path::Path;
use std::process::Command;

use cap_schema::signature::{self, Policy, TrustStore};
use cap_schema::xml::{Reader, Token, c14n};
use cap_schema::{Document, Limits, Polygon, Profile, Reference, Time, parse_owned, split, validate, write};
use common::{corpus, files};
use proptest::prelude::*;

const FIXTURES: [&str; 3] = [
    include_str!("../data/examples/cap.xml"),
    include_str!("../data/examples/cap-cp.xml"),
    include_str!("../data/examples/ipaws.xml"),
];

/// Everything that can be done with bytes.
fn everything(bytes: &[u8]) {
    let limits = Limits::default();
    for found in split(bytes, &limits).unwrap_or_default().into_iter().take(100) {
        let Ok(document) = found.read(bytes, &limits) else { continue };
        let _ = signature::verify_document(&document, &TrustStore::default(), &Policy::default());
        let Ok(parsed) = document.parse() else { continue };
        let mut findings = parsed.findings.clone();
        for profile in [Profile::Cap, Profile::CapCp, Profile::Ipaws] {
            findings.extend(validate(&parsed.alert, profile));
        }
        document.locate(&mut findings);
        let written = write(&parsed.alert);
        let again = parse_owned(written.as_bytes(), &limits).unwrap();
        assert_eq!(write(&again.alert), written);
    }
}

/// The texts of a document in order, element by element, as two readers see them.
fn by_us(text: &str) -> Option<Vec<String>> {
    let limits = Limits::default();
    let mut reader = Reader::new(text, &limits);
    let mut seen = Vec::new();
    let mut inner = String::new();
    while let Some(token) = reader.next().ok()? {
        match token {
            Token::Start(element) => {
                seen.push(std::mem::take(&mut inner));
                seen.push(format!("<{{{}}}{}", element.namespace, element.local));
                let mut attributes: Vec<String> = element
                    .attributes
                    .iter()
                    .map(|a| format!("{{{}}}{}={}", a.namespace, a.local, a.value))
                    .collect();
                attributes.sort();
                seen.extend(attributes);
            }
            Token::End => {
                seen.push(std::mem::take(&mut inner));
                seen.push(">".into());
            }
            Token::Text(text) => inner.push_str(&text),
            Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    Some(seen)
}

fn by_roxmltree(text: &str) -> Option<Vec<String>> {
    fn walk(node: roxmltree::Node<'_, '_>, seen: &mut Vec<String>, inner: &mut String) {
        seen.push(std::mem::take(inner));
        seen.push(format!("<{{{}}}{}", node.tag_name().namespace().unwrap_or(""), node.tag_name().name()));
        let mut attributes: Vec<String> = node
            .attributes()
            .map(|a| format!("{{{}}}{}={}", a.namespace().unwrap_or(""), a.name(), a.value()))
            .collect();
        attributes.sort();
        seen.extend(attributes);
        for child in node.children() {
            if child.is_element() {
                walk(child, seen, inner);
            } else if child.is_text() {
                inner.push_str(child.text().unwrap_or(""));
            }
        }
        seen.push(std::mem::take(inner));
        seen.push(">".into());
    }
    let document = roxmltree::Document::parse(text).ok()?;
    let mut seen = Vec::new();
    walk(document.root_element(), &mut seen, &mut String::new());
    Some(seen)
}

#[test]
fn the_reader_never_reads_what_another_strict_reader_refuses_or_reads_otherwise() {
    let Some(corpus) = corpus() else { return };
    let (mut both, mut refused) = (0, 0);
    for file in files(&corpus) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let Ok(document) = Document::read(&bytes, &Limits::default()) else { continue };
        match by_us(document.text()) {
            Some(seen) => {
                assert_eq!(by_roxmltree(document.text()), Some(seen), "{}", file.display());
                both += 1;
            }
            None => refused += 1,
        }
    }
    assert!(both > 700 && refused > 100, "{both} {refused}");
}

/// Not-well-formed documents of the W3C test suite that need no DTD.
#[test]
fn documents_that_are_not_well_formed_are_refused() {
    let Some(corpus) = corpus() else { return };
    let mut read = Vec::new();
    for file in files(&corpus.join("hostile/w3c-xmlts")) {
        let path = file.to_string_lossy();
        if !path.contains("/not-wf/") || !path.ends_with(".xml") {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        if Document::read(&bytes, &Limits::default()).is_ok_and(|d| by_us(d.text()).is_some()) {
            read.push(path.into_owned());
        }
    }
    assert!(read.is_empty(), "{read:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        everything(&bytes);
    }

    #[test]
    fn no_damage_to_a_document_makes_it_panic_or_read_what_others_refuse(
        which in 0..3_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![
            "<", ">", "&", "\"", "/", "]]>", "<!--", "-->", "<?", "?>", "<![CDATA[", "&#0;", "&#x41;", " ", "\r", "\u{1}",
            "xmlns=''", " a='1'", "<alert>", "</alert>", "é", "\u{fffe}", ":", "x:", "",
        ]), 0..30_usize), 1..5),
    ) {
        let mut text = FIXTURES[which].to_owned();
        for (at, insert, cut) in edits {
            let mut from = at.index(text.len());
            while !text.is_char_boundary(from) { from -= 1; }
            let mut to = (from + cut).min(text.len());
            while !text.is_char_boundary(to) { to -= 1; }
            text.replace_range(from..to.max(from), insert);
        }
        everything(text.as_bytes());
        if let Ok(document) = Document::read(text.as_bytes(), &Limits::default())
            && let Some(seen) = by_us(document.text())
        {
            prop_assert_eq!(by_roxmltree(document.text()), Some(seen));
        }
    }

    #[test]
    fn texts_of_any_length_are_escaped_whole(
        parts in prop::collection::vec(prop::sample::select(vec!["wind ", "é", "<", "&", ">", "\r", "\n", "\"", "\u{1F300}"]), 0..120),
        before in 0..400_usize,
    ) {
        let text = format!("{}{}", "a".repeat(before), parts.concat());
        let mut ours = String::new();
        cap_schema::xml::escape_text(&text, &mut ours);
        let plain = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;");
        prop_assert_eq!(ours, plain);
    }

    #[test]
    fn times_polygons_and_references_keep_their_text(text in "\\PC{0,60}") {
        let time = Time::new(text.as_str());
        prop_assert_eq!(time.as_str(), text.as_str());
        let _ = time.instant();
        let polygon = Polygon::new(text.as_str());
        let _ = polygon.points();
        prop_assert_eq!(polygon.as_str(), text.as_str());
        if let Some(reference) = Reference::read(&text) {
            prop_assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn coordinates_are_the_nearest_doubles(lat in -90.0_f64..90.0, lon in -180.0_f64..180.0, digits in 0..18_usize) {
        let ring = format!("{lat:.digits$},{lon:.digits$}");
        let point = Polygon::new(ring.as_str()).pairs().unwrap()[0];
        let (a, b) = ring.split_once(',').unwrap();
        prop_assert_eq!((point.lat, point.lon), (a.parse().unwrap(), b.parse().unwrap()));
    }
}

/// A small document with all that canonical forms are about.
fn element(depth: u32) -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "p:a", "p:b", "q:c"]);
    let attribute = prop::sample::select(vec![
        "",
        " z='1'",
        " a='2' p:a='x'",
        " xmlns='urn:1'",
        " xmlns=''",
        " xmlns:p='urn:2'",
        " xmlns:q='urn:3' q:a='t\ta'",
        " p:b='&amp;&lt;&quot;&#10;&#13;'",
        " xml:lang='fr'",
        " xmlns:p='urn:4' xmlns:unused='urn:5'",
    ]);
    let text = prop::sample::select(vec![
        "",
        "t",
        "&amp;&gt;",
        "\n  ",
        "<!-- c -->",
        "<?x  y?>",
        "<![CDATA[<&>]]>",
        "é&#13;",
        "\r\n",
    ]);
    let leaf = (name.clone(), attribute.clone(), text.clone())
        .prop_map(|(n, a, t)| if t.is_empty() { format!("<{n}{a}/>") } else { format!("<{n}{a}>{t}</{n}>") });
    leaf.prop_recursive(depth, 12, 3, move |inner| {
        (name.clone(), attribute.clone(), prop::collection::vec((text.clone(), inner), 0..3)).prop_map(
            |(n, a, parts)| {
                let body: String = parts.into_iter().map(|(t, e)| format!("{t}{e}")).collect();
                format!("<{n}{a}>{body}</{n}>")
            },
        )
    })
}

#[test]
fn canonical_forms_of_generated_documents_are_those_of_libxml2() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.xml");
    for _ in 0..150 {
        let inner = element(4).new_tree(&mut runner).unwrap().current();
        let text = format!("<?p i?><!-- b --><r xmlns:p='urn:2' xmlns:q='urn:3'>{inner}</r>\n<!-- e -->");
        std::fs::write(&file, &text).unwrap();
        for (flag, method) in [
            ("--c14n", c14n::Method { comments: true, ..c14n::Method::INCLUSIVE }),
            ("--exc-c14n", c14n::Method { comments: true, ..c14n::Method::EXCLUSIVE }),
        ] {
            let theirs = xmllint(flag, &file);
            let ours = c14n::document(&text, &Limits::default(), &method, &[]);
            assert_eq!(ours.ok(), theirs, "{flag} {text}");
        }
    }
}

fn xmllint(flag: &str, file: &Path) -> Option<String> {
    let ran = Command::new("xmllint").args(["--nonet", flag]).arg(file).output();
    let ran = ran.expect("xmllint is installed by `make setup`");
    ran.status.success().then(|| String::from_utf8(ran.stdout).unwrap())
}

/// Documents within the limits whose parts are as many as the limits allow.
#[test]
#[expect(clippy::disallowed_methods, reason = "the bound on time is what is tested")]
fn no_document_within_the_limits_costs_more_than_its_size() {
    let head = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>i</identifier><sender>s</sender>\
        <sent>2026-03-01T10:00:00-05:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\
        <code>profile:CAP-CP:0.4</code><code>IPAWSv1.0</code>";
    let info = |language: &str, urgency: &str, rest: &str| {
        format!(
            "<info><language>{language}</language><category>Met</category><event>e</event><urgency>{urgency}</urgency>\
             <severity>Minor</severity><certainty>Likely</certainty>{rest}</info>"
        )
    };
    let geocodes =
        "<area><areaDesc>a</areaDesc><geocode><valueName>profile:CAP-CP:Location:0.3</valueName><value>x\
        </value></geocode></area>"
            .repeat(800);
    let many = |languages: [&str; 2]| -> String {
        (0..24)
            .map(|i| info(languages[i % 2], if i % 3 == 0 { "Past" } else { "Future" }, &geocodes))
            .collect()
    };
    let zigzag: String = (0..49_990).map(|i| format!("{}.{},{} ", i % 80, i % 7, (i * 37) % 170)).collect();
    let polygon = format!("<area><areaDesc>a</areaDesc><polygon>{zigzag}0.0,0</polygon></area>");
    let documents = [
        ("the same places in one language", format!("{head}{}</alert>", many(["en-CA", "en-CA"]))),
        ("the same places in two languages", format!("{head}{}</alert>", many(["en-CA", "fr-CA"]))),
        ("a winding polygon", format!("{head}{}</alert>", info("en-CA", "Past", &polygon))),
        ("starts without ends", "<alert ".repeat(700_000)),
        ("alerts without ends", format!("<alerts>{}", "<alert xmlns='x'>".repeat(300_000))),
        (
            "signatures",
            format!(
                "{head}{}</alert>",
                "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><SignedInfo/></Signature>"
                    .repeat(60_000)
            ),
        ),
        ("references", format!("{head}<note>{}</note></alert>", "&amp;".repeat(100_000))),
        ("comments", format!("{head}{}</alert>", "<!-- -->".repeat(600_000))),
        ("unknown elements", format!("{head}{}</alert>", "<x/>".repeat(190_000))),
        ("ends of sections", format!("{head}<note>{}</note></alert>", "<![CDATA[]]]]>".repeat(30_000))),
    ];
    for (name, document) in documents {
        let start = std::time::Instant::now();
        everything(document.as_bytes());
        // About a second without optimisation on a quiet machine; what grows with the square of the size takes minutes.
        assert!(start.elapsed().as_secs_f64() < 20.0, "{name}: {:?}", start.elapsed());
    }
}

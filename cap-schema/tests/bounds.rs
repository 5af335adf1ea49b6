//! What a document may cost, and that nothing is opened for it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends where it cannot go on")]

mod common;

use cap_schema::signature::{self, Policy, TrustStore};
use cap_schema::xml::c14n;
use cap_schema::{Limits, Profile, split, validate, write};
use common::{corpus, files};

fn everything(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = signature::verify(bytes, &TrustStore::default(), &Policy::default());
    for found in split(bytes, &limits).unwrap_or_default() {
        let Ok(document) = found.read(bytes, &limits) else { continue };
        let Ok(parsed) = document.parse() else { continue };
        let mut findings = parsed.findings.clone();
        for profile in [Profile::Cap, Profile::CapCp, Profile::Ipaws] {
            findings.extend(validate(&parsed.alert, profile));
        }
        document.locate(&mut findings);
        let _ = write(&parsed.alert);
    }
}

/// Documents made to cost more than their length: each must be refused or read at a cost that grows with it.
fn made() -> Vec<(&'static str, String)> {
    let signed = include_str!("../data/examples/ipaws-signed.xml");
    let before_root = |text: &str| signed.replacen("<alert", &format!("{text}<alert"), 1);
    let list: Vec<String> = (0..1_500).map(|i| format!("p{i}")).collect();
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let prefixes = format!(
        "<Transform Algorithm=\"{exclusive}\"><InclusiveNamespaces xmlns=\"{exclusive}\" PrefixList=\"{}\"/></Transform></Transforms>",
        list.join(" ")
    );
    let method = format!("<CanonicalizationMethod Algorithm=\"{exclusive}\"/>");
    let of_signed_info = prefixes
        .replace("</Transforms>", "")
        .replace("Transform ", "CanonicalizationMethod ")
        .replace("Transform>", "CanonicalizationMethod>");
    let open = |level: usize, name: &str| {
        let all: String = (0..3).map(|i| format!(" xmlns:q{level}_{i}=\"urn:{name}:{level}:{i}\"")).collect();
        format!("<q{level}_0:y{all}>")
    };
    let deep = |name: &str, inside: &str| {
        let start: String = (0..20).map(|level| open(level, name)).collect();
        let end: String = (0..20).rev().map(|level| format!("</q{level}_0:y>")).collect();
        format!("{start}{inside}{end}<Signature")
    };
    let attributes = |same: bool| {
        let name = |i: usize| if same { "a".to_owned() } else { format!("a{i}") };
        (0..60).map(|i| format!(" q{}_{}:{}=\"\"", i / 3, i % 3, name(i))).collect::<String>()
    };
    let long = "x".repeat(200);
    let inclusive = |text: &str| text.replace("</Transforms>", &prefixes).replace(&method, &of_signed_info);
    vec![
        ("instructions", before_root(&"<?a?>".repeat(600_000))),
        ("comments", before_root(&"<!---->".repeat(430_000))),
        ("an instruction", before_root(&format!("<?a {}?>", "? >".repeat(1_000_000)))),
        (
            "prefixes",
            inclusive(&signed.replace("<code>", &format!("{}<code>", "<code>x</code>".repeat(190_000)))),
        ),
        ("elements", inclusive(&signed.replace("<Signature", &deep("n", &"<q19_0:z/>".repeat(190_000))))),
        (
            "attributes",
            inclusive(&signed.replace(
                "<Signature",
                &deep(&long, &format!("<q19_0:z{}/>", attributes(false)).repeat(3_000)),
            )),
        ),
        (
            "one name",
            inclusive(&signed.replace(
                "<Signature",
                &deep(&long, &format!("<q19_0:z{}/>", attributes(true)).repeat(3_000)),
            )),
        ),
    ]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the bound on time is what is tested")]
fn what_is_made_to_cost_more_than_its_length_does_not() {
    everything(include_bytes!("../data/examples/ipaws-signed.xml"));
    // A document of the largest size that is read, with nothing odd in it, is the measure.
    let signed = include_str!("../data/examples/ipaws-signed.xml");
    let plain = signed.replace("Stay inside.", &"Stay inside &amp; wait. ".repeat(20_000));
    let time = |text: &str| {
        let once = || {
            let start = std::time::Instant::now();
            everything(text.as_bytes());
            for method in [c14n::Method::INCLUSIVE, exclusive()] {
                let _ = c14n::document(text, &Limits::default(), &method, &[]);
            }
            start.elapsed().as_secs_f64() / text.len() as f64
        };
        once().min(once()).min(once())
    };
    let usual = time(&plain);
    for (name, text) in made() {
        let took = time(&text);
        println!("{name}: {} bytes, {:.1} ns each; usual {:.1}", text.len(), took * 1e9, usual * 1e9);
        assert!(took < usual * 12.0, "{name}: {took} s a byte, and {usual} s in a document like any");
    }
}

fn exclusive() -> c14n::Method {
    let inclusive_prefixes = (0..3_000).map(|i| format!("p{i}")).collect();
    c14n::Method { inclusive_prefixes, ..c14n::Method::EXCLUSIVE }
}

/// A line of `/proc/self/status` in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn no_hostile_document_takes_more_than_16_mib() {
    let Some(corpus) = corpus() else { return };
    // Tables are read once.
    everything(include_bytes!("../data/examples/cap-cp.xml"));
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files(&corpus.join("hostile")) {
        let bytes = std::fs::read(&file).unwrap();
        // Sets the highest mark back to what is in use now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS");
        everything(&bytes);
        let grown = status("VmHWM").saturating_sub(before);
        if grown > 16 << 10 {
            wrong.push(format!("{}: {grown} KiB", file.display()));
        }
        seen += 1;
    }
    assert!(wrong.is_empty() && seen > 900, "{seen} {wrong:?}");
}

/// No part of the library names what opens files, connections, clocks or processes; `clippy.toml` and the list of
/// dependencies hold the rest.
#[test]
fn the_library_opens_nothing() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut named = Vec::new();
    for file in files(&source) {
        let text = std::fs::read_to_string(&file).unwrap();
        for what in
            ["std::fs", "std::net", "std::env", "std::process", "std::io", "SystemTime", "std::time::Instant"]
        {
            if text.contains(what) {
                named.push(format!("{} names {what}", file.display()));
            }
        }
    }
    assert!(named.is_empty(), "{named:?}");
}

//! Speed of reading, checking, writing and verifying against what is underneath, by the protocol of the design: the
//! baselines run in this process on the same bytes, alternating; medians of rounds; figures in `target/bench/`.
//!
//! `BENCH_SECONDS` sets how long each measure runs in each of five rounds (default 10).

#![expect(clippy::disallowed_methods, reason = "a bench reads the time")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench ends where it cannot measure")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use cap_schema::signature::{self, Policy, SigningKey, TrustStore};
use cap_schema::{Document, Limits, Profile, profiles_of, validate, write};
use quick_xml::events::Event;

const ROUNDS: usize = 5;

fn main() {
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10.0);
    let each = Duration::from_secs_f64(seconds);
    let documents = documents();
    let mut summary = BTreeMap::new();
    println!("load {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    for (name, limit) in [("", usize::MAX), ("_4k", 4 << 10), ("_32k", 32 << 10), ("_large", 0)] {
        let chosen: Vec<Vec<u8>> = documents
            .iter()
            .filter(|d| match limit {
                0 => d.len() > 32 << 10,
                4096 => d.len() <= 4096,
                limit => d.len() <= limit && (limit == usize::MAX || d.len() > 4 << 10),
            })
            .cloned()
            .collect();
        let bytes: usize = chosen.iter().map(Vec::len).sum();
        if chosen.is_empty() {
            continue;
        }
        let time = if name.is_empty() { each } else { each / 5 };
        let speed = speeds(&chosen, bytes, time);
        println!("{} documents, {bytes} bytes{}", chosen.len(), name.replace('_', ", "));
        for (what, mib) in &speed {
            println!("  {what:32} {mib:9.1} MiB/s");
        }
        ratios(name, &speed, &mut summary);
        if let Some(mib) = libxml2(&chosen) {
            println!("  libxml2 parse, validate, serialise {mib:7.1} MiB/s");
            let ratio = speed["parse_validate_write"] / mib;
            summary.insert(format!("schema.parse_validate_write_vs_libxml2{name}"), ratio);
        }
    }
    summary.insert("schema.memory_vs_bytes".into(), memory(&documents));
    summary.insert("schema.deref_uri_mib_per_s".into(), embedded(each / 5));
    if let Some(worst) = hostile() {
        summary.insert("schema.hostile_worst_ms".into(), worst);
    }
    summary.insert("schema.verify_vs_rsa".into(), verification(each / 2));
    let text: Vec<String> = summary.iter().map(|(k, v)| format!("  \"{k}\": {v:.3}")).collect();
    let text = format!("{{\n{}\n}}\n", text.join(",\n"));
    print!("{text}");
    merge(&target().join("bench"), &summary);
}

fn target() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from)
}

/// Other benches write into the same summary.
fn merge(folder: &Path, figures: &BTreeMap<String, f64>) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("summary.json");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut all: BTreeMap<String, f64> = serde_json::from_str(&old).unwrap_or_default();
    all.extend(figures.iter().map(|(k, v)| (k.clone(), (v * 1_000.0).round() / 1_000.0)));
    std::fs::write(&path, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
}

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    Some(std::env::var_os("CAP_CORPUS").map_or(beside, PathBuf::from)).filter(|p| p.is_dir())
}

/// Every XSD-valid document of the corpus, or generated ones.
fn documents() -> Vec<Vec<u8>> {
    let Some(corpus) = corpus() else {
        println!("no corpus: generated documents");
        return (0..200).map(generated).collect();
    };
    let mut documents = Vec::new();
    let table = std::fs::read_to_string(corpus.join("cap/EXPECTED.tsv")).unwrap();
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        if let [file, _, _, _, _, _, "valid", ..] = cells.as_slice() {
            documents.extend(std::fs::read(corpus.join("cap").join(file)));
        }
    }
    for entry in std::fs::read_dir(corpus.join("ipaws/cap-ipaws-openfema")).unwrap() {
        documents.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    // The baseline reads UTF-8 without BOM.
    documents.retain(|d| std::str::from_utf8(d).is_ok() && !d.starts_with(b"\xef\xbb\xbf"));
    documents
}

fn generated(number: usize) -> Vec<u8> {
    let text = include_str!("../data/examples/cap-cp.xml");
    let ring: String = (0..number * 3).map(|i| format!("{}.{i:04},-82.{i:04} ", 40 + i % 9)).collect();
    let area = format!("<polygon>{ring}42.1,-82.1 42.2,-82.1 42.2,-82.2 42.1,-82.1</polygon><circle>");
    text.replace("<circle>", &area).into_bytes()
}

fn raw_read(text: &str) {
    let mut reader = quick_xml::NsReader::from_str(text);
    loop {
        match reader.read_resolved_event().unwrap() {
            (_, Event::Eof) => break,
            (_, Event::Text(text)) => {
                black_box(text.xml10_content());
            }
            (_, Event::GeneralRef(reference)) => {
                let _ = black_box(reference.resolve_char_ref());
            }
            event => {
                black_box(event);
            }
        }
    }
}

fn raw_read_write(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut writer = quick_xml::Writer::new(Vec::with_capacity(text.len()));
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            event => writer.write_event(event).unwrap(),
        }
    }
    black_box(writer.into_inner());
}

fn ours(bytes: &[u8], limits: &Limits, stage: u8) {
    let document = Document::read(bytes, limits).unwrap();
    let parsed = document.parse().unwrap();
    if stage >= 1 {
        black_box(validate(&parsed.alert, Profile::Cap));
    }
    if stage == 2 {
        for profile in profiles_of(&parsed.alert).into_iter().skip(1) {
            black_box(validate(&parsed.alert, profile));
        }
    }
    if stage == 3 {
        black_box(write(&parsed.alert));
    }
    black_box(parsed);
}

/// MiB/s of each measure: rounds alternate between all of them, and the median round counts.
fn speeds(documents: &[Vec<u8>], bytes: usize, each: Duration) -> BTreeMap<&'static str, f64> {
    let limits = Limits::default();
    let text = |d: &[u8]| std::str::from_utf8(d).unwrap().to_owned();
    let texts: Vec<String> = documents.iter().map(|d| text(d)).collect();
    let measures: [(&'static str, &dyn Fn()); 6] = [
        ("raw_read", &|| texts.iter().for_each(|t| raw_read(t))),
        ("raw_read_write", &|| texts.iter().for_each(|t| raw_read_write(t))),
        ("parse", &|| documents.iter().for_each(|d| ours(d, &limits, 0))),
        ("parse_validate", &|| documents.iter().for_each(|d| ours(d, &limits, 1))),
        ("parse_all_profiles", &|| documents.iter().for_each(|d| ours(d, &limits, 2))),
        ("parse_validate_write", &|| documents.iter().for_each(|d| ours(d, &limits, 3))),
    ];
    let mut rounds: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (name, measure) in &measures {
            let (times, took) = run(each, measure);
            rounds
                .entry(name)
                .or_default()
                .push(bytes as f64 * times as f64 / took.as_secs_f64() / 1_048_576.0);
        }
    }
    rounds.into_iter().map(|(name, figures)| (name, median(figures))).collect()
}

fn run(each: Duration, measure: &dyn Fn()) -> (u32, Duration) {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < each {
        measure();
        times += 1;
    }
    (times, start.elapsed())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

fn ratios(name: &str, speed: &BTreeMap<&'static str, f64>, summary: &mut BTreeMap<String, f64>) {
    let mut add = |figure: &str, ours: &str, theirs: &str| {
        summary.insert(format!("schema.{figure}{name}"), speed[ours] / speed[theirs]);
    };
    add("parse_vs_raw_read", "parse", "raw_read");
    add("parse_validate_write_vs_raw_read_write", "parse_validate_write", "raw_read_write");
}

/// Speed of the three steps over an alert that is a file of a mebibyte in base64, with its digest.
fn embedded(each: Duration) -> f64 {
    use base64::Engine as _;
    let file: Vec<u8> = (0..1_u32 << 20).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &file);
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let resource = format!(
        "<resource><resourceDesc>siren</resourceDesc><mimeType>audio/mpeg</mimeType><derefUri>{}</derefUri><digest>{hex}</digest></resource><area>",
        base64::engine::general_purpose::STANDARD.encode(&file)
    );
    let text = include_str!("../data/examples/ipaws.xml").replacen("<area>", &resource, 1);
    let limits = Limits::default();
    let (times, took) = run(each, &|| ours(text.as_bytes(), &limits, 3));
    text.len() as f64 * f64::from(times) / took.as_secs_f64() / 1_048_576.0
}

/// Milliseconds of the hostile document that takes longest to be cut, read, checked and verified; the best of three runs
/// of each.
fn hostile() -> Option<f64> {
    let mut folders = vec![corpus()?.join("hostile")];
    let mut worst = (0.0, PathBuf::new());
    let (limits, trust, policy) = (Limits::default(), TrustStore::default(), Policy::default());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).ok()?;
            let once = || {
                let start = Instant::now();
                black_box(signature::verify(&bytes, &trust, &policy));
                for found in cap_schema::split(&bytes, &limits).unwrap_or_default() {
                    let Ok(document) = found.read(&bytes, &limits) else { continue };
                    let Ok(parsed) = document.parse() else { continue };
                    for profile in [Profile::Cap, Profile::CapCp, Profile::Ipaws] {
                        black_box(validate(&parsed.alert, profile));
                    }
                }
                start.elapsed().as_secs_f64() * 1e3
            };
            let best = (0..3).map(|_| once()).fold(f64::MAX, f64::min);
            if best > worst.0 {
                worst = (best, path);
            }
        }
    }
    println!("  slowest hostile document {:.2} ms: {}", worst.0, worst.1.file_name()?.to_string_lossy());
    Some(worst.0)
}

/// Resident bytes of many models kept at once, against the bytes of their documents.
fn memory(documents: &[Vec<u8>]) -> f64 {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4_096.0
    };
    let limits = Limits::default();
    let small: Vec<&Vec<u8>> = documents.iter().filter(|d| d.len() < 64 << 10).collect();
    let times = 40;
    let before = resident();
    let kept: Vec<_> =
        (0..times).flat_map(|_| small.iter().map(|d| cap_schema::parse_owned(d, &limits).unwrap())).collect();
    let after = resident();
    let bytes: usize = small.iter().map(|d| d.len()).sum::<usize>() * times;
    black_box(kept);
    (after - before) / bytes as f64
}

/// libxml2 through lxml: parse, validate against the schema of the version, serialise.
fn libxml2(documents: &[Vec<u8>]) -> Option<f64> {
    let corpus = corpus()?;
    let folder = tempfile::tempdir().ok()?;
    for (index, document) in documents.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{index}.xml")), document).ok()?;
    }
    let script = "
import sys, glob, time
from lxml import etree
schemas = {n: etree.XMLSchema(etree.parse(sys.argv[2] + '/cap' + n + '.xsd')) for n in ('10', '11', '12')}
files = [open(f, 'rb').read() for f in glob.glob(sys.argv[1] + '/*.xml')]
def version(f): return '10' if b'cap/1.0' in f or b'cap:1.0' in f else '11' if b'cap:1.1' in f else '12'
files = [(f, schemas[version(f)]) for f in files]
parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
best = []
for _ in range(5):
    start = time.perf_counter()
    for f, schema in files:
        tree = etree.fromstring(f, parser)
        schema.validate(tree)
        etree.tostring(tree)
    best.append(time.perf_counter() - start)
print(sum(len(f) for f, _ in files) / sorted(best)[2] / 1048576)
";
    // `make setup` installs lxml beside the drivers of the tests.
    let installed = target().join("drivers/bin/python");
    let python = if installed.exists() { installed } else { PathBuf::from("python3") };
    let ran = Command::new(python)
        .args(["-c", script])
        .arg(folder.path())
        .arg(corpus.join("cap/xsd"))
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&ran.stdout).trim().parse().ok();
    if said.is_none() {
        println!(
            "libxml2: left out, lxml is not installed ({})",
            String::from_utf8_lossy(&ran.stderr).lines().last()?
        );
    }
    said
}

/// Verifying the signature of a small alert against a bare RSA verification and SHA-256 of the same bytes.
fn verification(each: Duration) -> f64 {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(vec!["signer.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&pair).unwrap().pem();
    let key = SigningKey::from_pkcs8_pem(&pair.serialize_pem(), &certificate).unwrap();
    let padding = format!("<description>{}", "Chlorine near the river. ".repeat(40));
    let alert = include_str!("../data/examples/ipaws.xml").replacen("<description>", &padding, 1);
    let signed = signature::sign(&alert, &key).unwrap();
    let mut trust = TrustStore::default();
    trust.add_pem(&certificate).unwrap();
    let value = key.sign_rsa_sha256(signed.as_bytes()).unwrap();
    let rsa = aws_lc_rs::rsa::KeyPair::from_pkcs8(pair.serialized_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref().to_vec());
    let policy = Policy::default();
    let bare = || {
        public.verify(signed.as_bytes(), &value).unwrap();
        black_box(digest::digest(&digest::SHA256, signed.as_bytes()));
    };
    let whole = || {
        let found = signature::verify(signed.as_bytes(), &trust, &policy);
        assert_eq!(found.state, signature::State::Trusted);
    };
    let mut figures = Vec::new();
    let mut micros = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let (bare_times, bare_took) = run(each, &bare);
        let (times, took) = run(each, &whole);
        micros = (
            took.as_secs_f64() * 1e6 / f64::from(times),
            bare_took.as_secs_f64() * 1e6 / f64::from(bare_times),
        );
        figures.push(micros.0 / micros.1);
    }
    println!(
        "  verify {} bytes: {:.1} us; RSA and SHA-256 alone: {:.1} us",
        signed.len(),
        micros.0,
        micros.1
    );
    median(figures)
}

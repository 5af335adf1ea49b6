//! `validate`, `signature` and `explain` as people and scripts use them.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use capbridge_harness::binary;
use serde_json::Value;

const ALERT: &str = include_str!("../../cap-schema/data/examples/cap.xml");

fn run(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(binary().unwrap()).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

/// An authority of this name, PEM and DER, and an IPAWS alert that COG 000002 signed with a certificate of it.
fn signed(name: &str) -> (String, Vec<u8>, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "IPAWSOPEN000002");
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    let signing =
        cap_schema::signature::SigningKey::from_pkcs8_pem(&key.serialize_pem(), &certificate).unwrap();
    let alert = include_str!("../../cap-schema/data/examples/ipaws.xml");
    (authority.pem(), authority.der().to_vec(), cap_schema::signature::sign(alert, &signing).unwrap())
}

#[test]
fn a_trust_folder_says_who_is_believed_and_an_empty_one_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (authority, der, alert) = signed("authority.example");
    std::fs::write(place("alert.xml"), alert).unwrap();
    std::fs::create_dir(place("trust")).unwrap();
    for command in ["validate", "signature"] {
        let (code, lines, said) = run(&[command, "--trust", "trust", "alert.xml"], folder.path());
        assert_eq!((code, lines.as_str()), (64, ""), "{said}");
        assert!(said.contains("trust: it holds no certificate") && said.contains(".pem"), "{said}");
    }
    let state = |pins: Option<&str>| {
        match pins {
            Some(pins) => std::fs::write(place("trust/signers.txt"), pins).unwrap(),
            None => std::fs::remove_file(place("trust/signers.txt")).unwrap_or_default(),
        }
        let arguments = ["signature", "--format", "json", "--trust", "trust", "alert.xml"];
        let (code, line, said) = run(&arguments, folder.path());
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{code} {said}"));
        assert_eq!(code, i32::from(line["state"] != "trusted"));
        line["state"].as_str().unwrap().to_owned()
    };
    std::fs::write(place("trust/ca.pem"), &authority).unwrap();
    assert_eq!(state(None), "trusted");
    assert_eq!(state(Some("# the county\nsubject CN=IPAWSOPEN000002\n")), "trusted");
    assert_eq!(state(Some("subject CN=IPAWSOPEN000001\n")), "untrusted");
    assert_eq!(state(Some("issuer CN=authority.example\n")), "trusted");
    std::fs::write(place("trust/signers.txt"), "subject\n").unwrap();
    let (code, _, said) = run(&["validate", "--trust", "trust", "alert.xml"], folder.path());
    assert!(code == 64 && said.contains("signers.txt: line 1 is not"), "{said}");
    // DER, as authorities hand certificates out; and what is none.
    std::fs::remove_file(place("trust/signers.txt")).unwrap();
    std::fs::remove_file(place("trust/ca.pem")).unwrap();
    std::fs::write(place("trust/ca.cer"), der).unwrap();
    assert_eq!(state(None), "trusted");
    std::fs::write(place("trust/broken.crt"), "-").unwrap();
    let (code, _, said) = run(&["signature", "--trust", "trust", "alert.xml"], folder.path());
    assert!(code == 64 && said.contains("broken.crt"), "{said}");
    // The alert names COG 000001, and 000002 signed.
    std::fs::remove_file(place("trust/broken.crt")).unwrap();
    let arguments = ["validate", "--format", "json", "--trust", "trust", "alert.xml"];
    let (code, line, _) = run(&arguments, folder.path());
    let line: Value = serde_json::from_str(&line).unwrap();
    let rules: Vec<&str> =
        line["findings"].as_array().unwrap().iter().filter_map(|f| f["rule"].as_str()).collect();
    assert!(code == 0 && rules.contains(&"ipaws.signer"), "{line}");
    assert_eq!(line["signature"]["state"], "trusted");
}

#[test]
fn a_source_pins_the_signers_of_its_authorities() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), signed("authority.example").0).unwrap();
    let check = |pin: &str| {
        let text = format!(
            "[source.feed]\nsystem = \"ipaws\"\nmode = \"live\"\nsignature = \"required\"\ntrust_files = [\"ca.pem\"]\n\
             trust_signers = [\"{pin}\"]\n[source.feed.ipaws]\nbase_url = \"https://ipaws.example\"\n"
        );
        std::fs::write(folder.path().join("c.toml"), text).unwrap();
        run(&["check", "--config", "c.toml"], folder.path())
    };
    let (code, _, said) = check("subject CN=IPAWSOPEN*");
    assert_eq!(code, 0, "{said}");
    let (code, _, said) = check("IPAWSOPEN*");
    assert!(code == 78 && said.contains("c.toml:6:") && said.contains("trust_signers"), "{said}");
}

#[test]
fn lines_are_counted_whatever_ends_them() {
    let folder = tempfile::tempdir().unwrap();
    let bad = ALERT.replace("<status>Actual", "<status>Bad");
    let at = ALERT.lines().position(|l| l.contains("<status>")).unwrap() + 1;
    let feed = format!("<alerts>\n\n{}</alerts>", bad.split_once('\n').unwrap().1);
    for end in ["\n", "\r\n", "\r"] {
        for (text, line) in [(&bad, at), (&feed, at + 1)] {
            std::fs::write(folder.path().join("a.xml"), text.replace('\n', end)).unwrap();
            let (code, said, _) = run(&["validate", "a.xml"], folder.path());
            assert_eq!(code, 1, "{said}");
            assert!(said.contains(&format!("a.xml:{line}:11 /alert/status")), "{end:?} {line}: {said}");
            assert!(said.contains("    | <status>Bad</status>\n    |         ^"), "{end:?}: {said}");
        }
    }
}

#[test]
fn an_explained_rule_comes_with_a_document_that_breaks_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said, _) = run(&["explain", "cap.polygon.open"], folder.path());
    assert_eq!(code, 0);
    for part in ["CAP 1.2 3.2.4", "repeat the first pair", "    <alert xmlns=", "42.9,-82.4</polygon>"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for (rule, verdict) in [("cap.polygon.open", true), ("limit.text", false), ("gate.dtd", false)] {
        let (code, document, _) = run(&["explain", "--example", rule], folder.path());
        assert_eq!(code, 0);
        std::fs::write(folder.path().join("example.xml"), document).unwrap();
        let (code, line, _) = run(&["validate", "--format", "json", "example.xml"], folder.path());
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(code == 1 && line["accepted"] == verdict, "{line}");
        assert!(line["findings"].as_array().unwrap().iter().any(|f| f["rule"] == rule), "{line}");
    }
    let (code, said, _) = run(&["explain", "limit.text"], folder.path());
    assert!(code == 0 && said.len() < 6_000 && said.contains("[... in all 524289 times]"), "{said}");
    for (name, title) in [("alert-schema", "CAP alert"), ("report-schema", "Report")] {
        let schema: Value = serde_json::from_str(&run(&["explain", name], folder.path()).1).unwrap();
        assert!(schema["title"].as_str().unwrap().contains(title), "{name}");
    }
    for arguments in [&["explain", "no.rule"][..], &["explain", "--example", "io.unreadable"]] {
        assert_eq!(run(arguments, folder.path()).0, 64);
    }
}

/// Most memory of a process so far, KiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_documents_are_judged_in_the_memory_of_a_few() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("00000.xml");
    // Large enough that a few hundred of them would show.
    let text = ALERT.replace("<description>", &format!("<description>{}", "Gusts. ".repeat(1_000)));
    std::fs::write(&first, text).unwrap();
    for number in 1..10_000 {
        std::fs::hard_link(&first, folder.path().join(format!("{number:05}.xml"))).unwrap();
    }
    let mut running = Command::new(binary().unwrap())
        .args(["validate", "--format", "json"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::with_capacity(1_024, running.stdout.take().unwrap()).lines();
    let (mut early, mut late) = (0, 0);
    for number in 0..10_000 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(line["file"].as_str().unwrap().ends_with(&format!("{number:05}.xml")), "{line}");
        assert_eq!(line["accepted"], true);
        // What is not read yet fills the pipe, so the program is still running.
        match number {
            500 => early = peak(running.id()),
            9_500 => late = peak(running.id()),
            _ => {}
        }
    }
    assert!(lines.next().is_none() && running.wait().unwrap().success());
    assert!(late < early + 8_192, "{early} KiB after 500, {late} KiB after 9,500");
}

#[test]
fn who_reads_no_more_ends_the_program_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..400 {
        std::fs::write(folder.path().join(format!("{number}.xml")), ALERT).unwrap();
    }
    for command in [&["validate"][..], &["signature"], &["validate", "--format", "json"]] {
        let mut running = Command::new(binary().unwrap())
            .args(command)
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut one = [0; 1];
        running.stdout.take().unwrap().read_exact(&mut one).unwrap();
        let ended = running.wait_with_output().unwrap();
        assert!(ended.status.code().is_some_and(|c| c <= 1), "{command:?}: {:?}", ended.status);
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{command:?}");
    }
}

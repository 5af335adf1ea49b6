//! The shipped configurations, and what the program says about bad ones.

use std::path::Path;
use std::process::Command;

use capbridge_harness::binary;

fn run(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let output = Command::new(binary().unwrap()).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn all_faults_are_reported_at_once_with_file_line_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[bridge]\nnmae = \"x\"\nsender = \"a b\"\n[admin]\nlisten = \"0.0.0.0:1\"\n[sorce.x]\n[source.y]\nsystem = \"y\"\nmode = \"live\"\n[route.z]\nfrom = [\"q\"]\nto = [\"w\"]\n";
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    let (code, _, said) = run(&["check", "--config", "c.toml"], folder.path());
    assert_eq!(code, 78, "{said}");
    for expected in [
        "c.toml:2:",
        "unknown field `nmae`",
        "c.toml:5:",
        "loopback",
        "sorce",
        "c.toml:7:",
        "names no source: q",
        "names no class",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
}

#[test]
fn the_default_configuration_is_what_the_program_does_without_one() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bridge/config.default.toml");
    let (code, _, said) = run(&["check", "--config", shipped.to_str().unwrap()], Path::new("."));
    assert_eq!(code, 0, "{said}");
    let text = std::fs::read_to_string(shipped).unwrap();
    let defaults = capbridge::config::Config::load(None).unwrap_or_else(|e| panic!("{e}"));
    let file = capbridge::config::Config::parse("default", &text, Path::new("."), None)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(defaults.bridge, file.bridge);
    assert_eq!(defaults.store, file.store);
    assert_eq!(defaults.admin_listen, file.admin_listen);
    assert_eq!(defaults.log, file.log);
    assert_eq!(defaults.clock, file.clock);
    assert_eq!(defaults.intake, file.intake);
    assert_eq!(defaults.relay, file.relay);
    assert_eq!(defaults.retention, file.retention);
    assert_eq!(defaults.translation, file.translation);
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        "run",
        "check",
        "validate",
        "translate",
        "signature",
        "journey",
        "quarantine",
        "deliveries",
        "dead-letters",
        "locate",
        "explain",
    ] {
        let (code, help, _) = run(&[command, "--help"], Path::new("."));
        assert_eq!(code, 0, "{command}");
        assert!(help.contains("Example:"), "{command} --help shows no example:\n{help}");
    }
}

#[test]
fn exit_codes_are_those_of_the_design() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("not.xml"), "no xml").unwrap();
    let cases: [(&[&str], i32); 6] = [
        (&["validate"], 64),
        (&["nonsense"], 64),
        (&["validate", "not.xml"], 1),
        (&["validate", "absent.xml"], 1),
        (&["translate", "--to", "ipaws", "not.xml"], 1),
        (&["journey", "x", "--admin", "http://127.0.0.1:9"], 69),
    ];
    for (arguments, expected) in cases {
        let (code, _, said) = run(arguments, folder.path());
        assert_eq!(code, expected, "{arguments:?}: {said}");
    }
    let (_, line, _) = run(&["validate", "--format", "json", "absent.xml"], folder.path());
    let verdict: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(
        (verdict["accepted"].as_bool(), verdict["findings"][0]["rule"].as_str()),
        (Some(false), Some("io.unreadable"))
    );
}

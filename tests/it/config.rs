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
        "bridge.sender: holds a character",
        "route.z.class: is not set",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
}

#[test]
fn what_cannot_be_meant_is_a_fault_with_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"[bridge]
name = "eoc"
sender = "bridge"
[store]
redis_url = "http://127.0.0.1:6379"
wait_replicas = "two"
[log]
format = "xml"
[network]
allow_private = ["10.1.0.0/16"]
[source.near]
system = "ipaws"
mode = "live"
[source.near.ipaws]
base_url = "http://localhost:8080"
[source.ours]
system = "ours"
mode = "live"
[source.ours.ipaws]
base_url = "http://10.1.2.3"
[endpoint.e]
system = "e"
mode = "live"
[endpoint.e.webhook]
url = "https://192.168.1.5/alerts"
key_file = "absent"
[route.r]
from = ["near"]
to = ["e"]
class = "live"
categories = ["Fire", "Fires"]
events = ["TOR", "tor", "Tornado Warning"]
severities = ["severe"]
urgencies = ["Now"]
certainties = ["Sure"]
scopes = ["public"]
languages = ["fr-CA", "French"]
"#;
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    let (code, _, said) = run(&["check", "--config", "c.toml"], folder.path());
    assert_eq!(code, 78, "{said}");
    let expected = [
        ("3:1: bridge.sender: is neither an address", "use name@domain"),
        ("5:1: store.redis_url: is not the address of a Redis", "write redis://"),
        ("6:17: store.wait_replicas: invalid type: string \"two\"", "write a whole number from 0"),
        ("8:10: log.format: unknown variant `xml`", "write one of \"text\", \"json\""),
        ("15:1: source.near.ipaws.base_url: localhost has the address 127.0.0.1", "allow_private"),
        ("25:1: endpoint.e.webhook.url: 192.168.1.5 has the address", "allow_private"),
        ("26:1: endpoint.e.webhook.key_file: ", "check the path"),
        ("31:1: route.r.categories: Fires is not a CAP category", "the values are Geo, Met"),
        ("32:1: route.r.events: tor matches no alert", "write \"TOR\""),
        ("32:1: route.r.events: \"Tornado Warning\" is not an event code", "write the code"),
        ("33:1: route.r.severities: severe is not a CAP severity", "the values are Extreme, Severe"),
        ("34:1: route.r.urgencies: Now is not a CAP urgency", "the values are Immediate"),
        ("35:1: route.r.certainties: Sure is not a CAP certainty", "the values are Observed"),
        ("36:1: route.r.scopes: public is not a CAP scope", "the values are Public"),
        ("37:1: route.r.languages: \"French\" is not a language", "write it as \"en\""),
    ];
    let faults: Vec<(&str, &str)> = said
        .split("c.toml:")
        .skip(1)
        .map(|fault| fault.trim_end().split_once('\n').unwrap_or((fault, "")))
        .collect();
    for ((fault, remedy), (problem, to_do)) in faults.iter().zip(expected) {
        assert!(fault.starts_with(problem) && remedy.contains(to_do), "{problem}, {to_do}:\n{said}");
    }
    assert_eq!(faults.len(), expected.len(), "{said}");
}

#[test]
fn a_file_that_is_no_configuration_is_one_fault() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["no configuration\n", "<alert>", "{\"bridge\": {}}\n", "---\nbridge:\n"] {
        std::fs::write(folder.path().join("c.toml"), text).unwrap();
        let (code, _, said) = run(&["check", "--config", "c.toml"], folder.path());
        assert_eq!(code, 78, "{said}");
        let faults: Vec<&str> = said.lines().filter(|line| line.starts_with("c.toml")).collect();
        assert!(faults.len() == 1 && faults[0].starts_with("c.toml:1:"), "{text:?}:\n{said}");
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
    assert_eq!(defaults.registration, file.registration);
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
        "token",
        "responders",
        "endpoints",
        "subscriptions",
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

#[test]
fn a_broken_file_tells_every_fault_once_and_none_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"[bridge]
name = "two words"
sender = "bridge@example.test
sorce = "x"
[admin]
listen = 5
token_file = "absent"
[relay]
lease_secs = 1
in_flite = 3
[source.feed]
system = "ipaws"
mode = "lvie"
[source.feed.ipaws]
base_url = "ftp://feed.example.test"
poll_secs = "often"
window_secs = 0
[source.hub
system = "masas"
mode = "live"
[endpoint.responder]
system = "responder"
mode = "live"
[endpoint.responder.webhook]
url = "not a url"
tiemout_secs = 5
[route.a]
from = ["feed", "hub", "nobody"]
to = ["responder"]
class = "live"
severities = ["Severe"
urgencies = ["Immediate"]
[route.b]
to = ["responder"]
class = 
"#;
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    let (code, _, said) = run(&["check", "--config", "c.toml"], folder.path());
    assert_eq!(code, 78, "{said}");
    let told: Vec<String> = said
        .lines()
        .filter_map(|line| {
            let (line_number, rest) = line.strip_prefix("c.toml:")?.split_once(':')?;
            let (_, rest) = rest.split_once(": ")?;
            Some(format!("{line_number} {}", rest.split(": ").next()?))
        })
        .collect();
    let expected = [
        "2 bridge.name",
        "3 invalid basic string, expected `\"`",
        "4 bridge.sorce",
        "6 admin.listen",
        "7 admin.token_file",
        "9 relay.lease_secs",
        "10 relay.in_flite",
        "13 source.feed.mode",
        "15 source.feed.ipaws.base_url",
        "16 source.feed.ipaws.poll_secs",
        "17 source.feed.ipaws.window_secs",
        "18 unclosed table, expected `]`",
        "24 endpoint.responder.webhook.key_file",
        "25 endpoint.responder.webhook.url",
        "26 endpoint.responder.webhook.tiemout_secs",
        "28 route.a.from",
        "31 unclosed array, expected `]`",
        "33 route.b.from",
        "35 string values must be quoted, expected literal string",
    ];
    assert_eq!(told, expected, "{said}");
}

#[test]
fn a_bridge_that_sends_needs_names_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let check = |bridge: &str| {
        let text = format!(
            "{bridge}\n[endpoint.e]\nsystem = \"e\"\nmode = \"live\"\n[endpoint.e.webhook]\nurl = \"https://e.example.test/\"\nkey_file = \"absent\"\n"
        );
        std::fs::write(folder.path().join("c.toml"), text).unwrap();
        run(&["check", "--config", "c.toml"], folder.path()).2
    };
    for (bridge, name, sender) in [
        ("", "c.toml:2:1: bridge.name: is not set", "c.toml:2:1: bridge.sender: is not set"),
        ("[bridge]\nname = \"eoc\"", "", "c.toml:1:1: bridge.sender: is not set"),
        ("[bridge]\nname = \"capbridge\"\nsender = \"a@b\"", "c.toml:2:1: bridge.name: is not set", ""),
        ("[bridge]\nname = \"eoc\"\nsender = \"a@b\"", "", ""),
    ] {
        let said = check(bridge);
        for (key, expected) in [("bridge.name", name), ("bridge.sender", sender)] {
            assert_eq!(said.contains(key), !expected.is_empty(), "{said}");
            assert!(said.contains(expected), "{expected} is not in:\n{said}");
        }
    }
}

#[test]
fn the_examples_need_nothing_but_their_secrets() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config");
    let mut checked = 0;
    for example in std::fs::read_dir(examples).unwrap().map(|e| e.unwrap().path()) {
        let (code, _, said) = run(&["check", "--config", example.to_str().unwrap()], Path::new("."));
        let faults: Vec<&str> = said.lines().filter(|l| l.contains(".toml:")).collect();
        assert!(code == 0 || !faults.is_empty(), "{said}");
        for fault in faults {
            let names_a_file = fault.contains("_file: ") || fault.contains("_files.");
            assert!(names_a_file && fault.contains("cannot be read"), "{fault}");
        }
        checked += 1;
    }
    assert!(checked >= 3, "{checked} examples");
}

#[test]
fn what_is_no_file_in_a_folder_is_told_of_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("alerts");
    std::fs::create_dir(&inside).unwrap();
    let made = Command::new("mkfifo").arg(inside.join("pipe.xml")).status().unwrap();
    assert!(made.success());
    for (name, target) in
        [("again", "."), ("linked.xml", "pipe.xml"), ("none.xml", "absent"), ("zero", "/dev/zero")]
    {
        std::os::unix::fs::symlink(target, inside.join(name)).unwrap();
    }
    for command in ["validate", "signature"] {
        let (code, lines, said) = run(&[command, "--format", "json", "alerts", "absent.xml"], folder.path());
        assert_eq!(code, 1, "{said}");
        let told: Vec<(String, String)> = lines
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let finding = &line["findings"][0];
                assert_eq!(finding["rule"], "io.unreadable", "{line}");
                let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
                (text(&line["file"]), text(&finding["message"]))
            })
            .collect();
        let files: Vec<&str> = told.iter().map(|(file, _)| file.as_str()).collect();
        let expected =
            ["alerts/linked.xml", "alerts/none.xml", "alerts/pipe.xml", "alerts/zero", "absent.xml"];
        assert_eq!(files, expected, "{command}");
        assert!(told[0].1.contains("a named pipe") && told[2].1.contains("a named pipe"), "{told:?}");
        assert!(told[3].1.contains("a device"), "{told:?}");
    }
}

//! The rules of the repository that a machine can hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "capbridge-data" {
                    walk(&path, extensions, found);
                }
            } else if extensions.iter().any(|e| name.ends_with(e)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extensions, &mut found);
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Code without its test module.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn no_file_is_too_long_to_proofread() {
    let long: Vec<String> = files(&[".rs"])
        .iter()
        .map(|p| (shown(p), code(&read(p)).lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(p, lines)| format!("{p}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_module_says_what_it_owns() {
    let silent: Vec<String> =
        files(&[".rs"]).iter().filter(|p| !read(p).starts_with("//!")).map(|p| shown(p)).collect();
    assert!(silent.is_empty(), "without a head: {silent:#?}");
}

#[test]
fn no_words_stand_for_work_not_done() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimpl", "emented!(")];
    let mut found = Vec::new();
    for path in files(&[".rs", ".toml", ".md", ".sh", ".py"]) {
        for (number, line) in read(&path).lines().enumerate() {
            if marks.iter().any(|m| line.contains(m)) && !line.contains("https://") {
                found.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_the_named_places_touch_what_is_theirs() {
    const TESTS: [&str; 5] =
        ["tests/", "cap-schema/tests", "cap-schema/benches", "bridge/benches", "bridge/tests"];
    // (what, where it may be named besides tests and benches)
    let rules: &[(&str, &[&str])] = &[
        ("redis::", &["bridge/src/store/redis"]),
        ("rusqlite::", &["bridge/src/store/embedded", "bridge/src/store/instance"]),
        ("std::env::", &["bridge/src/config", "bridge/src/cli"]),
        (
            "std::fs::",
            &[
                "bridge/src/config",
                "bridge/src/cli",
                "bridge/src/store/embedded",
                "bridge/src/store/instance",
            ],
        ),
    ];
    let mut found = Vec::new();
    for path in files(&[".rs"]) {
        let name = shown(&path);
        let text = read(&path);
        for (what, allowed) in rules {
            let may = allowed.iter().chain(&TESTS).any(|a| name.starts_with(a))
                || name.ends_with("/tests.rs")
                || name.contains("/tests/");
            if !may && code(&text).contains(what) && !code(&text).contains(&format!("::{what}")) {
                found.push(format!("{name} names {what}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn dependencies_point_one_way() {
    let forbidden = [
        ("cap-schema/Cargo.toml", vec!["capbridge", "tokio", "hyper"]),
        ("adapters/Cargo.toml", vec!["capbridge.", "redis", "rusqlite"]),
    ];
    for (manifest, names) in forbidden {
        let text = read(&root().join(manifest));
        let dependencies = text.split("[dev-dependencies]").next().unwrap();
        for name in names {
            let line = dependencies.lines().find(|l| l.starts_with(name));
            assert!(line.is_none(), "{manifest} depends on {name}");
        }
    }
    for path in files(&[".rs"]) {
        let name = shown(&path);
        for (own, other) in [("adapters/src/masas", "crate::ipaws"), ("adapters/src/ipaws", "crate::masas")] {
            assert!(!(name.starts_with(own) && read(&path).contains(other)), "{name} knows {other}");
        }
    }
}

#[test]
fn back_ticked_paths_in_documents_exist() {
    const TREES: [&str; 8] =
        ["cap-schema/", "adapters/", "bridge/", "tests/", "docs/", "deploy/", "scripts/", "changelog.d/"];
    let mut missing = Vec::new();
    for path in files(&[".md"]) {
        let text = read(&path);
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = TREES.iter().any(|p| word.starts_with(p))
                && !word.contains([' ', '{', '<', ':', '*', '(', '…', '=']);
            if is_path && !root().join(word).exists() {
                missing.push(format!("{}: {word}", shown(&path)));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read(&root().join("ARCHITECTURE.md"));
    for entry in std::fs::read_dir(root().join("docs/adr")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(index.contains(&name), "{name} is not in ARCHITECTURE.md");
    }
}

/// Rule ids such as D-7: each in the document occurs in a test or comment, and the reverse.
fn check_ids(document: &str, letter: char) {
    let ids_in = |text: &str| -> BTreeSet<u32> {
        text.match_indices(&format!("{letter}-"))
            .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_'))
            .filter_map(|(at, _)| {
                let digits: String = text[at + 2..].chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
            .collect()
    };
    let published = ids_in(&read(&root().join(document)));
    let mut used = BTreeSet::new();
    for path in files(&[".rs"]).iter().filter(|p| shown(p) != "tests/it/tidy.rs") {
        used.extend(ids_in(&read(path)));
    }
    assert!(!published.is_empty(), "{document} has no rules");
    let unheld: Vec<_> = published.difference(&used).collect();
    assert!(unheld.is_empty(), "{document}: no test or comment names {unheld:?}");
}

#[test]
fn every_published_delivery_rule_is_held_by_a_test() {
    check_ids("docs/delivery.md", 'D');
}

#[test]
fn every_published_adapter_rule_is_held_by_a_test() {
    check_ids("docs/adapters.md", 'A');
}

#[test]
fn every_adapter_has_a_page_and_an_example() {
    let registry = read(&root().join("adapters/src/registry.rs"));
    for kind in ["email", "feed", "masas", "ipaws", "stream", "webhook"] {
        assert!(registry.contains(kind), "{kind} is not in the registry");
        for path in [format!("docs/adapters/{kind}.md"), format!("deploy/config/{kind}.toml")] {
            assert!(root().join(&path).is_file(), "{path} is missing");
        }
    }
}

#[test]
fn nothing_names_a_machine() {
    let marks =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("crates", ".io/"), concat!("/tmp", "/cbt")];
    for path in files(&[".rs", ".toml", ".md", ".sh", ".py", "Makefile", "run"]) {
        let name = shown(&path);
        if name == "tests/it/tidy.rs" {
            continue;
        }
        let text = read(&path);
        for mark in marks {
            assert!(!text.contains(mark), "{name} names {mark}");
        }
    }
}

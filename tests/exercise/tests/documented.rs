//! The commands of `docs/exercises.md`, run as they stand but for their ports.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn every_documented_command_runs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exercises.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<_> =
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 6, "the page shows its commands");
    // The simulators end with the script, whatever happens in it.
    let mut script = format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}", blocks.concat());
    for documented in ["8140", "8210", "8150"] {
        script = script.replace(documented, &free_port().to_string());
    }
    let program = Path::new(env!("CARGO_BIN_EXE_capbridge-exercise"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new("bash").arg("-c").arg(&script).current_dir(&folder).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cog 120075") && said.contains("signatures checked"), "{said}");
}

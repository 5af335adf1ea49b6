//! What the program opens while it reads hostile documents, as the kernel sees it.

use std::process::{Command, Stdio};

use capbridge_harness::{binary, corpus};

/// What every program opens before it begins: libraries, and what says how many cores there are.
const OWN: [&str; 7] =
    ["/etc/ld.so", "/lib/", "/lib64/", "/usr/lib/", "/proc/self/", "/sys/fs/cgroup/", "/sys/devices/"];

#[test]
fn nothing_but_the_documents_is_opened_for_hostile_documents() {
    let Some(corpus) = corpus("nothing_but_the_documents_is_opened_for_hostile_documents") else { return };
    let hostile = corpus.join("hostile").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    for command in ["validate", "signature"] {
        let ran = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-s",
                "4096",
                "-e",
                "trace=open,openat,openat2,creat,socket,connect,execve",
                "-o",
            ])
            .arg(&trace)
            .arg(binary().unwrap())
            .args([command, "--format", "json"])
            .arg(&hostile)
            // The test runner's, which the loader of libraries would search first.
            .env_remove("LD_LIBRARY_PATH")
            .stdout(Stdio::null())
            .output()
            .expect("strace is installed by `make setup`");
        assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
        let calls = std::fs::read_to_string(&trace).unwrap();
        let (mut documents, mut others) = (0, Vec::new());
        // A call that was interrupted is named where it begins.
        for call in calls.lines().filter(|c| !c.contains(" resumed>") && !c.contains("+++")) {
            let path = call.split('"').nth(1).unwrap_or("");
            if path.starts_with(&*hostile.to_string_lossy()) && call.contains("O_RDONLY") {
                documents += 1;
            } else if !call.contains("execve(") && !OWN.iter().any(|own| path.starts_with(own)) {
                others.push(call);
            }
        }
        assert_eq!(calls.lines().filter(|c| c.contains("execve(")).count(), 1, "{command} starts a program");
        assert!(documents > 900 && others.is_empty(), "{command}: {documents} {others:#?}");
    }
}

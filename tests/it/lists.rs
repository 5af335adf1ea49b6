//! What the commands that list say when there is more than they show.

use std::process::Output;
use std::time::Duration;

use capbridge_harness::binary;
use tokio::process::Command;

use crate::stage::{On, Stage, message, now};

async fn run(arguments: &[&str]) -> Output {
    Command::new(binary().unwrap()).args(arguments).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_that_there_is_more_and_how_to_see_it() {
    let stage = Stage::new(On::Embedded).await;
    let bridge = stage.bridge().await;
    let begun = now();
    for chain in 1..=5 {
        stage.feed.site.publish(message(chain, 0, begun));
    }
    stage.comes_to(&bridge, &["C1-0", "C2-0", "C3-0", "C4-0", "C5-0"]).await;
    stage.settled(&bridge, Duration::from_secs(20)).await;
    let cases: [(&[&str], usize, &str); 5] = [
        (&[], 5, ""),
        (&["--limit", "5"], 5, ""),
        (&["--limit", "2"], 2, "there are more: --skip 2 shows the next"),
        (&["--limit", "2", "--skip", "2"], 2, "there are more: --skip 4 shows the next"),
        (&["--limit", "2", "--skip", "4"], 1, ""),
    ];
    for (page, lines, more) in cases {
        for format in ["text", "json"] {
            let asked = ["deliveries", "--admin", &bridge.admin, "--format", format];
            let output = run(&[&asked[..], page].concat()).await;
            let (shown, said) =
                (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            let count = match format {
                "json" => serde_json::from_str::<Vec<serde_json::Value>>(&shown).unwrap().len(),
                _ => shown.lines().count(),
            };
            assert_eq!(count, lines, "{page:?}: {shown}");
            assert!(if more.is_empty() { said.is_empty() } else { said.contains(more) }, "{page:?}: {said}");
        }
    }
    let output = run(&["quarantine", "list", "--admin", &bridge.admin, "--limit", "1"]).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "none");
}

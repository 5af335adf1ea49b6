//! Faults in numbers (F01 and others of the fault matrix), with the real program on both stores.
//!
//! Prints a table and writes `target/chaos/summary.json`. `CHAOS_PERCENT` scales the sizes (100: minutes; 1,000: an hour);
//! `CHAOS_ONLY` names the faults to run. Exits with 1 if anything was violated.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fault that cannot be made ends the run"
)]

mod check;
mod faults;
#[path = "../it/stage.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod stage;
mod storm;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use check::Outcome;
use serde_json::{Map, Value, json};
use stage::On;

/// A fault on one store: how often it struck, what came of it, and figures of its own.
pub struct Ran {
    /// How often.
    pub runs: usize,
    /// What the checker says.
    pub outcome: Outcome,
    /// Figures of its own.
    pub figures: Map<String, Value>,
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let percent = std::env::var("CHAOS_PERCENT").ok().and_then(|p| p.parse().ok()).unwrap_or(100);
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let scaled = |n: usize| (n * percent / 100).max(1);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos/summary.json");
    // A run of some faults keeps the figures of the others.
    let kept = std::fs::read(&file).ok().filter(|_| !only.is_empty());
    let mut summary: Map<String, Value> =
        kept.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let mut clean = true;
    say("fault  store      runs   due  delivered  repeats  violations");
    for fault in faults::Fault::ALL {
        if !only.is_empty() && !only.split(',').any(|name| name == fault.name()) {
            continue;
        }
        let (mut runs, mut violations, mut stores) = (0, 0, Map::new());
        for on in fault.stores() {
            let ran = fault.run(*on, scaled).await;
            let store = match on {
                On::Embedded => "embedded",
                On::Redis => "redis",
            };
            let Outcome { due, delivered, repeats, violations: found } = &ran.outcome;
            say(&format!(
                "{:5}  {store:9} {:5} {due:5}  {delivered:9}  {repeats:7}  {:10}",
                fault.name(),
                ran.runs,
                found.len()
            ));
            found.iter().take(5).for_each(|violation| say(&format!("       {violation}")));
            runs += ran.runs;
            violations += found.len();
            let mut figures = ran.figures;
            figures.extend([
                ("runs".to_owned(), json!(ran.runs)),
                ("due".to_owned(), json!(due)),
                ("delivered".to_owned(), json!(delivered)),
                ("repeats".to_owned(), json!(repeats)),
                ("violations".to_owned(), json!(found)),
            ]);
            stores.insert(store.to_owned(), Value::Object(figures));
        }
        clean &= violations == 0;
        let all = json!({"what": fault.what(), "runs": runs, "violations": violations, "stores": stores});
        summary.insert(fault.name().to_owned(), all);
    }
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, serde_json::to_string_pretty(&summary).unwrap()).unwrap();
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

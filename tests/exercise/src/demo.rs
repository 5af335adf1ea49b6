//! `capbridge-exercise demo`: the main job of the bridge, played between simulators, in under a minute.
//!
//! Owns the story and its expectations. The bridge is the real program; the hubs, IPAWS and the responders are the
//! simulators of this package. Exits non-zero if an expectation is not met.

mod messages;
mod replay;
mod scenes;
mod world;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

pub use replay::corpus;
use world::World;

/// What is told while the demo runs: a timeline, then a table.
pub struct Teller {
    begun: Instant,
    colour: bool,
    expectations: Vec<(bool, String)>,
}

impl Teller {
    fn new() -> Self {
        Teller { begun: Instant::now(), colour: std::io::stdout().is_terminal(), expectations: Vec::new() }
    }

    fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// A heading.
    pub fn scene(&self, text: &str) {
        let text = if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
        self.line(&format!("\n{text}"));
    }

    /// Something that happened.
    pub fn event(&self, who: &str, what: &str) {
        self.line(&format!("  {:6.1} s  {who:<10} {what}", self.begun.elapsed().as_secs_f64()));
    }

    /// An expectation, met or not.
    pub fn expect(&mut self, met: bool, what: impl Into<String>) {
        let what = what.into();
        if !met {
            self.event("NOT MET", &what);
        }
        self.expectations.push((met, what));
    }

    fn table(&self) -> bool {
        self.scene("Expectations");
        for (met, what) in &self.expectations {
            let mark = match (met, self.colour) {
                (true, true) => "\x1b[32mmet    \x1b[0m",
                (true, false) => "met    ",
                (false, true) => "\x1b[31mNOT MET\x1b[0m",
                (false, false) => "NOT MET",
            };
            self.line(&format!("  {mark}  {what}"));
        }
        let met = self.expectations.iter().filter(|(met, _)| *met).count();
        let all = self.expectations.len();
        self.line(&format!(
            "\n{met} of {all} expectations met in {:.1} s",
            self.begun.elapsed().as_secs_f64()
        ));
        met == all && all > 0
    }
}

/// How long a scene waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

async fn play(world: &World, teller: &mut Teller) -> Result<()> {
    scenes::chlorine_at_sarnia(world, teller, PATIENCE).await?;
    scenes::hazmat_on_the_river(world, teller, PATIENCE).await?;
    scenes::repeats_and_loops(world, teller, PATIENCE).await?;
    scenes::an_exercise_stays_an_exercise(world, teller, PATIENCE).await?;
    scenes::broken_and_forged(world, teller, PATIENCE).await?;
    scenes::nothing_else_happened(world, teller).await
}

/// Plays everything. `Ok(true)` if every expectation was met.
///
/// # Errors
/// The stage could not be set: a program or a simulator does not start.
pub async fn run(corpus: Option<PathBuf>) -> Result<bool> {
    let mut teller = Teller::new();
    teller.scene("capbridge demo: a chlorine release at the border, between simulators of MASAS and IPAWS");
    let world = World::start().await?;
    teller.event("stage", "two MASAS hubs, IPAWS-OPEN and four responders run on loopback");
    teller.event("bridge", "the real program runs beside them, embedded store, no Redis");
    let played = play(&world, &mut teller).await;
    if played.is_err() || teller.expectations.iter().any(|(met, _)| !met) {
        teller.scene("The end of the bridge's log");
        teller.line(&world.bridge.tail(40));
    }
    played?;
    world.stop(&mut teller).await?;
    match corpus {
        Some(folder) => replay::run(&folder, &mut teller).await?,
        None => teller.scene("Replay of real messages: left out, the folder of real messages is not here"),
    }
    Ok(teller.table())
}

//! `geodata build`: one boundary file from the official inputs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::{USAGE, complain, inputs, say};
use crate::telemetry::chain;
use crate::translate::geography::geodata::{self, Summary};

#[derive(Subcommand)]
pub(super) enum GeodataAction {
    /// Makes one compact, checksummed file from boundary sets and tables.
    #[command(
        after_help = "Example:\n  capbridge geodata build --out geodata.bin boundaries/\n\nReads shapefiles, GeoJSON, TopoJSON, CSV and TSV; folders are read whole."
    )]
    Build(BuildArgs),
}

#[derive(Args)]
pub(super) struct BuildArgs {
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Files, or folders of them.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// Runs `capbridge geodata`.
pub(super) fn geodata(action: GeodataAction) -> ExitCode {
    let GeodataAction::Build(args) = action;
    let inputs = inputs::expand(&args.inputs);
    let bar = ProgressBar::new(u64::try_from(inputs.len()).unwrap_or(0) + 1);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let mut read = Vec::with_capacity(inputs.len());
    for input in inputs {
        bar.set_message(input.name.clone());
        match input.read() {
            Ok(bytes) => read.push((base_name(&input.name), bytes)),
            Err(error) => return refuse(&bar, &format!("{}: {error}", input.name)),
        }
        bar.inc(1);
    }
    bar.set_message("building");
    let (file, summary) = match geodata::build(&read) {
        Ok(built) => built,
        Err(error) => return refuse(&bar, &chain(&error)),
    };
    if let Err(error) = std::fs::write(&args.out, &file) {
        return refuse(&bar, &format!("{}: {error}", args.out.display()));
    }
    bar.finish_and_clear();
    say(&words(&args.out, &summary));
    ExitCode::SUCCESS
}

/// The name without its folder: what the file says about its inputs is the same on every machine.
fn base_name(name: &str) -> String {
    Path::new(name).file_name().map_or_else(|| name.to_owned(), |n| n.to_string_lossy().into_owned())
}

fn refuse(bar: &ProgressBar, why: &str) -> ExitCode {
    bar.abandon();
    complain(&format!("capbridge: {why}"));
    ExitCode::from(USAGE)
}

fn words(out: &Path, summary: &Summary) -> String {
    let mut lines = vec![format!("{}: {} bytes", out.display(), summary.size_bytes)];
    for layer in &summary.layers {
        lines.push(format!(
            "  {}: {} features, {} points, from {}",
            layer.kind,
            layer.features,
            layer.points,
            layer.inputs.join(", ")
        ));
        // Sets of counties differ by year: one with this many has all.
        let (all, least, rest) = match layer.kind {
            "us_counties" => (3_233, 3_200, "the built-in ones stay for the rest"),
            "census_divisions" => (293, 293, "the rest stays approximate"),
            _ => continue,
        };
        if layer.features < least {
            let count = format!("{} of {all}", layer.features);
            lines.push(format!("  ! {}: {count}, not all of the country; {rest}", layer.kind));
        }
    }
    lines.push(format!("  places without boundary: {}", summary.places));
    if !summary.unused.is_empty() {
        lines.push(format!("  not used: {}", summary.unused.join(", ")));
    }
    lines.join("\n")
}

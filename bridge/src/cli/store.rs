//! `store copy`: the embedded store into Redis.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Config, SOFTWARE, UNAVAILABLE, USAGE, complain, faults, say};
use crate::store::copy::{CopyError, Kind, Progress, Report, copy};
use crate::store::redis::RedisSettings;
use crate::telemetry::chain;

/// The longest wait for a batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// Both sides do not hold the same.
const DIFFERS: u8 = 1;

#[derive(Subcommand)]
pub(super) enum StoreAction {
    /// Copies the embedded store into an empty Redis, verifies it, and goes on where it was broken off.
    #[command(
        after_help = "Example:\n  capbridge store copy --from capbridge-data --to redis://127.0.0.1:6379 --config bridge.toml\n\nThe bridge must be stopped. The configuration gives the bridge's name and how Redis is logged in to.\nExit codes: 0 copied and found equal, 1 not equal, 64 usage, 69 a store cannot be used, 78 configuration."
    )]
    Copy(CopyArgs),
}

#[derive(Args)]
pub(super) struct CopyArgs {
    /// The folder of the embedded store (`bridge.data_dir`).
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The URL of Redis, as `store.redis_url`.
    #[arg(long, value_name = "URL")]
    to: String,
    /// The configuration that the bridge will run with.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs `capbridge store`.
pub(super) fn store(action: StoreAction) -> ExitCode {
    let StoreAction::Copy(args) = action;
    let config = match Config::load(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return faults(&error),
    };
    if !args.to.contains("://") {
        complain("capbridge: --to is not a URL: write it as redis://127.0.0.1:6379");
        return ExitCode::from(USAGE);
    }
    let settings = RedisSettings {
        url: args.to,
        password: config.redis.password,
        sentinel_password: config.redis.sentinel_password,
        tls: config.redis.tls,
        name: config.bridge.name,
        wait_replicas: config.store.wait_replicas,
        dangerous_allow_everysec: config.store.dangerous_allow_everysec,
        command_timeout: BATCH_TIMEOUT,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("capbridge: the runtime cannot start: {error}"));
            return ExitCode::from(SOFTWARE);
        }
    };
    let bar = bar();
    let copied = runtime.block_on(copy(&args.from, settings, &|progress| show(&bar, progress)));
    bar.finish_and_clear();
    end(&args.from, copied)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    let doing = if progress.verifying { "verifying" } else { "copying" };
    bar.set_message(format!("{doing} {}", progress.kind.as_str()));
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

fn end(from: &Path, copied: Result<Report, CopyError>) -> ExitCode {
    match copied {
        Ok(report) => {
            for line in words(&report) {
                say(&line);
            }
            if report.is_equal() {
                say("equal: a bridge can start there");
                return ExitCode::SUCCESS;
            }
            complain("capbridge: the copy differs; no bridge starts there. Empty it and copy again");
            ExitCode::from(DIFFERS)
        }
        Err(error) => {
            complain(&format!("capbridge: {} was not copied: {}", from.display(), chain(&error)));
            ExitCode::from(match error {
                CopyError::Store(_) | CopyError::NotEmpty | CopyError::OtherCopy => UNAVAILABLE,
            })
        }
    }
}

fn words(report: &Report) -> Vec<String> {
    let name = |kind: Kind| kind.as_str();
    let mut lines: Vec<String> = report
        .kinds
        .iter()
        .map(|c| {
            let ((here, digest), (there, copied)) = (c.source, c.destination);
            let verdict = if c.source == c.destination { "equal" } else { "DIFFERENT" };
            let both = if digest == copied { digest.to_string() } else { format!("{digest} {copied}") };
            format!("{:22} {here:>10} {there:>10}  {verdict}  {both}", name(c.kind))
        })
        .collect();
    let (here, there) = (&report.depths.0, &report.depths.1);
    let verdict = if here == there { "equal" } else { "DIFFERENT" };
    lines.push(format!(
        "{:22} {:>10} {:>10}  {verdict}",
        "unfinished deliveries",
        here.urgent + here.routine,
        there.urgent + there.routine
    ));
    lines.push(format!("{:22} {:>10} {:>10}", "to be routed", here.unrouted, there.unrouted));
    let intact = if report.record_intact { "intact" } else { "BROKEN" };
    lines.push(format!("{:22} {intact}", "chain of audit events"));
    lines
}

//! The command line of `capbridge-exercise`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use capbridge_exercise::clock::{Clock, instant};
use capbridge_exercise::demo;
use capbridge_exercise::ipaws_open::{self, Cog, FEED_PATH, IpawsOpen, SOAP_PATH};
use capbridge_exercise::masas_hub::{self, Account, MasasHub, Mode};
use capbridge_exercise::responder::{self, Responder};
use capbridge_exercise::signature::Certificate;
use capbridge_exercise::{Mischief, Running, keys};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::net::TcpListener;

/// Simulators and keys for rehearsals with capbridge.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
#[command(after_help = "Example:\n  capbridge-exercise demo")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes test keys: a certificate authority, COG certificates, webhook keys.
    #[command(after_help = "Example:\n  capbridge-exercise keys ./exercise-keys --cog 120082")]
    Keys(KeysArgs),
    /// Runs a simulator until it is interrupted; prints its address and credentials.
    #[command(
        subcommand,
        after_help = "Example:\n  capbridge-exercise simulate masas --listen 127.0.0.1:8140 --mode exercise"
    )]
    Simulate(Simulate),
    /// Plays the main job of the bridge between simulators and checks what must come of it.
    #[command(
        after_help = "Example:\n  capbridge-exercise demo\n\nReal messages are replayed when CAP_CORPUS names their \
                            folder.\nExit codes: 0 every expectation met, 1 otherwise."
    )]
    Demo,
}

#[derive(Debug, Args)]
struct KeysArgs {
    /// The folder to write to; it is made if it does not exist.
    dir: PathBuf,
    /// The number of a COG to make a certificate for; may be repeated.
    #[arg(long, default_value = "120082")]
    cog: Vec<u32>,
    /// Makes new keys in the place of those in the folder: what trusts the old ones trusts these no more.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum Simulate {
    /// IPAWS-OPEN: the SOAP interface and the public feeds.
    #[command(after_help = "Example:\n  capbridge-exercise keys ./exercise-keys\n  \
                            capbridge-exercise simulate ipaws --listen 127.0.0.1:8210 --keys ./exercise-keys")]
    Ipaws(IpawsArgs),
    /// A MASAS hub.
    #[command(
        after_help = "Example:\n  capbridge-exercise simulate masas --listen 127.0.0.1:8140 --mode exercise \
                            --account lambton-code=\"Lambton EM\" --account bridge-code=Bridge"
    )]
    Masas(MasasArgs),
    /// A responder's webhook receiver.
    #[command(after_help = "Example:\n  capbridge-exercise simulate responder --listen 127.0.0.1:8150 \
                            --keys ./exercise-keys")]
    Responder(ResponderArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A fault for the first requests, in JSON; may be repeated. See docs/exercises.md.
    #[arg(long, value_name = "JSON", value_parser = mischief)]
    misbehave: Vec<Mischief>,
}

#[derive(Debug, Args)]
struct IpawsArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// The folder of `capbridge-exercise keys`: its authority is believed and its COGs may log on.
    #[arg(long)]
    keys: PathBuf,
    /// A JSON file with a list of COG profiles, instead of COGs that may do everything.
    #[arg(long)]
    profiles: Option<PathBuf>,
    /// The PIN that the feeds ask for.
    #[arg(long)]
    pin: Option<String>,
    /// A folder of signed alerts, each put into the feeds at its own `sent`.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// The time at which the simulator's clock starts, for a replay.
    #[arg(long)]
    start: Option<String>,
    /// How many times as fast as life the clock runs; needs --start.
    #[arg(long, default_value_t = 1.0, requires = "start")]
    speed: f64,
}

#[derive(Debug, Args)]
struct MasasArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// What the hub is for.
    #[arg(long, value_enum, default_value_t = ModeArg::Exercise)]
    mode: ModeArg,
    /// An account that may post, as CODE=NAME; may be repeated. Without any, two are made up and printed.
    #[arg(long, value_name = "CODE=NAME")]
    account: Vec<String>,
    /// An account that may only read, as CODE=NAME; may be repeated.
    #[arg(long, value_name = "CODE=NAME")]
    reader: Vec<String>,
    /// A feed to serve byte for byte instead of a living hub; with several, one for each poll.
    #[arg(long, value_name = "FILE")]
    replay: Vec<PathBuf>,
    /// Answers a wrong access code with 302 instead of 401.
    #[arg(long)]
    redirect_bad_secret: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    Exercise,
    Operations,
    Sandbox,
    Training,
}

#[derive(Debug, Args)]
struct ResponderArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// A sender's public key (`whpk_...`); may be repeated.
    #[arg(long)]
    public_key: Vec<String>,
    /// The folder of `capbridge-exercise keys`: its webhook keys are believed.
    #[arg(long)]
    keys: Option<PathBuf>,
}

/// Does what the command line asks for.
///
/// # Errors
/// If a file, a port or an argument is not usable.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Keys(args) => {
            let make = if args.force { keys::replace_folder } else { keys::write_folder };
            let paths = make(&args.dir, &args.cog, Clock::system().now())?;
            let lines: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            say(&lines)
        }
        Command::Demo => {
            let met = demo::run(demo::corpus()).await?;
            anyhow::ensure!(met, "an expectation was not met");
            Ok(())
        }
        Command::Simulate(Simulate::Ipaws(args)) => simulate_ipaws(args).await,
        Command::Simulate(Simulate::Masas(args)) => simulate_masas(args).await,
        Command::Simulate(Simulate::Responder(args)) => simulate_responder(args).await,
    }
}

async fn simulate_ipaws(args: IpawsArgs) -> anyhow::Result<()> {
    let authority = Certificate::from_pem(&read(&args.keys.join("ca.pem"))?)?;
    let cogs: Vec<Cog> = match &args.profiles {
        Some(path) => serde_json::from_str(&read(path)?).context("reading the COG profiles failed")?,
        None => cogs_of(&args.keys)?,
    };
    let clock = match &args.start {
        Some(text) => Clock::running(instant(text).context("--start is no time")?, args.speed),
        None => Clock::system(),
    };
    let settings = ipaws_open::Settings {
        pin: args.pin,
        log: true,
        ..ipaws_open::Settings::new(cogs.clone(), vec![authority])
    };
    let running = IpawsOpen::serve(settings, clock, listen(args.serve.listen).await?)?;
    let mut lines =
        vec![format!("soap {}{SOAP_PATH}", running.url()), format!("feeds {}{FEED_PATH}/", running.url())];
    for cog in cogs {
        lines.push(format!("cog {} {}", cog.id, args.keys.join(format!("cog-{}.crt.pem", cog.id)).display()));
    }
    if let Some(folder) = &args.replay {
        lines.push(format!("replay {} alerts", running.replay_folder(folder)?));
    }
    say(&lines)?;
    until_interrupted(running, args.serve.misbehave).await
}

/// The COGs that the folder holds certificates of, each allowed everything.
fn cogs_of(folder: &Path) -> anyhow::Result<Vec<Cog>> {
    let mut cogs = Vec::new();
    for file in std::fs::read_dir(folder).with_context(|| format!("reading {} failed", folder.display()))? {
        let name = file?.file_name();
        let id =
            name.to_str().and_then(|name| name.strip_prefix("cog-")?.strip_suffix(".crt.pem")?.parse().ok());
        cogs.extend(id.map(|id| Cog::new(id, &format!("Exercise COG {id}"))));
    }
    cogs.sort_by_key(|cog| cog.id);
    Ok(cogs)
}

async fn simulate_masas(args: MasasArgs) -> anyhow::Result<()> {
    let mut accounts = Vec::new();
    for text in &args.account {
        let (code, name) = text.split_once('=').context("--account must be CODE=NAME")?;
        accounts.push(Account::writer(code, name));
    }
    for text in &args.reader {
        let (code, name) = text.split_once('=').context("--reader must be CODE=NAME")?;
        accounts.push(Account::reader(code, name));
    }
    if accounts.is_empty() {
        // No simulator has a code that could be known beforehand.
        let code = || uuid::Uuid::new_v4().simple().to_string();
        accounts = vec![Account::writer(&code(), "Exercise EM"), Account::writer(&code(), "Bridge")];
    }
    let mode = match args.mode {
        ModeArg::Exercise => Mode::Exercise,
        ModeArg::Operations => Mode::Operations,
        ModeArg::Sandbox => Mode::Sandbox,
        ModeArg::Training => Mode::Training,
    };
    let mut settings = masas_hub::Settings::new(mode, accounts.clone());
    settings.log = true;
    settings.redirects_bad_secret = args.redirect_bad_secret;
    for path in &args.replay {
        let bytes = std::fs::read(path).with_context(|| format!("reading {} failed", path.display()))?;
        settings.replay.push(bytes.into());
    }
    let running = MasasHub::serve(settings, Clock::system(), listen(args.serve.listen).await?)?;
    let mut lines = vec![format!("hub {}", running.hub_url())];
    for account in accounts {
        let uri = running.account_uri(&account.secret).unwrap_or_default();
        lines.push(format!("account {} {uri} {}", account.secret, account.name));
    }
    say(&lines)?;
    until_interrupted(running, args.serve.misbehave).await
}

async fn simulate_responder(args: ResponderArgs) -> anyhow::Result<()> {
    let mut settings = responder::Settings { public_keys: args.public_key, log: true, ..Default::default() };
    if let Some(folder) = &args.keys {
        settings.public_keys.push(read(&folder.join("webhook.whpk"))?);
        settings.secrets.push(read(&folder.join("webhook.whsec"))?);
    }
    let is_checked = !(settings.public_keys.is_empty() && settings.secrets.is_empty());
    let running = Responder::serve(settings, Clock::system(), listen(args.serve.listen).await?)?;
    let checks = if is_checked { "checked" } else { "not checked: no key given" };
    say(&[format!("endpoint {}/alerts", running.url()), format!("signatures {checks}")])?;
    until_interrupted(running, args.serve.misbehave).await
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address} failed"))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {} failed", path.display()))
}

fn say(lines: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn mischief(json: &str) -> Result<Mischief, serde_json::Error> {
    serde_json::from_str(json)
}

async fn until_interrupted<S>(running: Running<S>, faults: Vec<Mischief>) -> anyhow::Result<()> {
    for fault in faults {
        running.misbehave(fault);
    }
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    let unexpected = running.unexpected().len();
    say(&[format!("stopped after {} requests, {unexpected} unexpected", running.requests().len())])
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    fn check_examples(command: &clap::Command, path: &str) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut examples = help.lines().skip_while(|line| *line != "Example:").skip(1);
        assert!(examples.any(|line| line.contains(path)), "{path} has no example:\n{help}");
        for sub in command.get_subcommands() {
            check_examples(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn every_command_has_an_example() {
        check_examples(&Cli::command(), "capbridge-exercise");
    }
}

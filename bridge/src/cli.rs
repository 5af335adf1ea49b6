//! The command line (design 7). Scripts depend on names, exit codes and JSON.
//!
//! Owns the arguments and the exit codes. Must not hold logic that the daemon also needs.

mod audit;
mod documents;
mod explain;
mod geodata;
mod inputs;
mod places;
mod registration;
mod remote;
mod store;
mod translate;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError};
use crate::daemon::StartError;
use crate::telemetry::{ErrorChain, flush, last_word, start_logging};

/// Bad arguments.
pub const USAGE: u8 = 64;
/// A service is missing at start.
pub const UNAVAILABLE: u8 = 69;
/// A bug.
pub const SOFTWARE: u8 = 70;
/// Bad configuration.
pub const CONFIG: u8 = 78;
/// There is nothing to send.
pub const NOTHING_TO_SEND: u8 = 3;

/// Bridges emergency alerts between Canada (MASAS) and the United States (IPAWS).
#[derive(Parser)]
#[command(name = "capbridge", version, propagate_version = true)]
#[command(
    after_help = "Example:\n  capbridge check --config bridge.toml && capbridge run --config bridge.toml"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the bridge until SIGTERM.
    #[command(
        after_help = "Example:\n  capbridge run --config /etc/capbridge/capbridge.toml\n\nWithout a configuration: embedded store under ./capbridge-data, nothing relayed.\nExit codes: 0 drained, 69 a service is missing at start, 70 a bug (start it again), 78 configuration."
    )]
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Reports all faults of a configuration at once.
    #[command(
        after_help = "Example:\n  capbridge check --config bridge.toml\n\nExit codes: 0 sound, 78 faults, each with file, line and what to do."
    )]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Checks CAP documents against the rules of CAP and the national profiles.
    #[command(
        after_help = "Example:\n  capbridge validate --profile cap-cp alert.xml\n  capbridge validate --format json alerts/ | jq .accepted\n\nExit codes: 0 all accepted and no error-level finding, 1 otherwise, 64 usage."
    )]
    Validate(ValidateArgs),
    /// Translates an alert into the other country's profile.
    #[command(
        after_help = "Example:\n  capbridge translate --to ipaws --report report.json alert.xml > message.xml\n\nExit codes: 0 translated, 1 the input was refused, 3 nothing to send (with the reason), 64 usage."
    )]
    Translate(TranslateArgs),
    /// Verifies the XML signatures of alerts.
    #[command(
        after_help = "Example:\n  capbridge signature --trust certificates/ alert.xml\n\nExit codes: 0 every document is trusted, 1 otherwise, 64 usage."
    )]
    Signature(SignatureArgs),
    /// Says which US counties and zones and which Canadian divisions a shape or a code touches, offline.
    #[command(
        after_help = "Example:\n  capbridge locate --circle \"42.9745,-82.4066 4\"\n  capbridge locate --same 026147 --format json\n\nExit codes: 0 located, 64 usage."
    )]
    Locate(places::LocateArgs),
    /// Makes boundary files for `locate`, `translate` and the bridge.
    #[command(after_help = "Example:\n  capbridge geodata build --out geodata.bin boundaries/")]
    Geodata {
        #[command(subcommand)]
        action: geodata::GeodataAction,
    },
    /// Moves what the bridge has stored.
    #[command(
        after_help = "Example:\n  capbridge store copy --from capbridge-data --to redis://127.0.0.1:6379 --config bridge.toml"
    )]
    Store {
        #[command(subcommand)]
        action: store::StoreAction,
    },
    /// Explains a rule that a finding names.
    #[command(
        after_help = "Example:\n  capbridge explain cap.polygon.open\n  capbridge explain --example cap.polygon.open | capbridge validate -\n\nExit codes: 0 explained, 64 no such rule."
    )]
    Explain {
        /// The rule's id.
        rule: String,
        /// Only the document of its example.
        #[arg(long)]
        example: bool,
    },
    /// Shows an alert from arrival to each endpoint, with times.
    #[command(
        after_help = "Example:\n  capbridge journey LAMBTON-2026-0001\n\nTakes a CAP identifier, a full reference, a delivery id or the beginning of a key.\nExit codes: 0 found, 1 not found, 69 the bridge does not answer."
    )]
    Journey {
        /// Which alert.
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists, shows and releases documents in quarantine.
    #[command(
        after_help = "Example:\n  capbridge quarantine list\n  capbridge quarantine release q_0123 --operator duty-officer --reason \"confirmed by telephone\""
    )]
    Quarantine {
        #[command(subcommand)]
        action: QuarantineAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists deliveries.
    #[command(after_help = "Example:\n  capbridge deliveries --state waiting")]
    Deliveries {
        /// Only those in a state.
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists dead letters and puts them back in their queue.
    #[command(
        name = "dead-letters",
        after_help = "Example:\n  capbridge dead-letters list\n  capbridge dead-letters replay msg_0123 --operator duty-officer --reason \"endpoint repaired\""
    )]
    DeadLetters {
        #[command(subcommand)]
        action: DeadLetterAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Registers responders: who is told.
    #[command(
        after_help = "Example:\n  echo '{\"name\": \"windsor\", \"title\": \"Windsor EOC\"}' | capbridge responders add -\n  capbridge responders list"
    )]
    Responders {
        #[command(subcommand)]
        action: registration::ResponderAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Registers endpoints: where responders are told; those of the configuration are shown too.
    #[command(
        after_help = "Example:\n  echo '{\"name\": \"windsor-hook\", \"responder\": \"windsor\", \"class\": \"live\",\n         \"webhook\": {\"url\": \"https://eoc.example.org/alerts\"}}' | capbridge endpoints add -\n  capbridge endpoints challenge windsor-hook\n\nOne that was removed gets nothing more, not even what ends the alerts that it has."
    )]
    Endpoints {
        #[command(subcommand)]
        action: registration::EndpointAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Registers subscriptions: what endpoints are told of; routes of the configuration are shown too.
    #[command(
        after_help = "Example:\n  echo '{\"name\": \"windsor-severe\", \"endpoint\": \"windsor-hook\",\n         \"filter\": {\"severities\": [\"Severe\", \"Extreme\"], \"area\": {\"sgc\": [\"3537\"]}}}' | capbridge subscriptions add -\n  capbridge subscriptions list\n\nOne that was removed takes no new alerts; chains that went by it go on to their end."
    )]
    Subscriptions {
        #[command(subcommand)]
        action: registration::SubscriptionAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Reads and verifies the audit log: who did what, and what became of each alert.
    #[command(
        after_help = "Example:\n  capbridge audit list --what dead,expired --since 2026-03-01T00:00:00Z\n  capbridge audit list --by \"token night-desk\" --format json | jq -r .event.what\n  capbridge audit tail\n  capbridge audit verify\n\nJSON: one entry a line, {\"place\", \"event\": {\"at\", \"what\", \"alert\", \"delivery\", \"facts\"}}.\nExit codes: 0 read, or the log is intact; 1 it was changed, or refused; 64 usage; 69 the bridge does not answer."
    )]
    Audit {
        #[command(subcommand)]
        action: audit::AuditAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Makes, lists and takes back the tokens of the admin socket.
    #[command(
        after_help = "Example:\n  capbridge token create night-desk --role operator > night-desk.token\n  capbridge token revoke night-desk\n\nThe first admin token is made at the machine itself, where the socket asks for none, or with admin.token_file."
    )]
    Token {
        #[command(subcommand)]
        action: registration::TokenAction,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Args)]
struct ValidateArgs {
    /// The rules to hold documents to; `auto` goes by what a document declares.
    #[arg(long, value_enum, default_value = "auto")]
    profile: ProfileArg,
    /// A folder of trusted certificates, of signers or their authorities; signers.txt in it says which signers are meant.
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// Text for people or one JSON object a line.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    inputs: Vec<String>,
}

#[derive(Args)]
struct TranslateArgs {
    /// The target.
    #[arg(long, value_enum)]
    to: TargetArg,
    /// The time of issue (RFC 3339); default: the original's own `sent`.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// A boundary file made by `capbridge geodata build`.
    #[arg(long, value_name = "FILE")]
    geodata: Option<PathBuf>,
    /// Where the report goes, as JSON; default: in words to standard error.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A file, or - for standard input.
    #[arg(value_name = "FILE|-")]
    input: String,
}

#[derive(Args)]
struct SignatureArgs {
    /// A folder of trusted certificates, of signers or their authorities; signers.txt in it says which signers are meant.
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// Text for people or one JSON object a line.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    inputs: Vec<String>,
}

#[derive(Args)]
struct AdminArgs {
    /// The admin socket of the bridge.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8650",
        env = "CAPBRIDGE_ADMIN"
    )]
    admin: String,
    /// File with the bearer token of the admin socket.
    #[arg(long, global = true, value_name = "FILE", env = "CAPBRIDGE_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Text for people or JSON.
    #[arg(long, global = true, value_enum, default_value = "text")]
    format: Format,
}

/// A part of a list, newest first. What is left out is said on standard error.
#[derive(clap::Args, Clone, Copy)]
struct PageArgs {
    /// How many at most, 1 to 999.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..1_000))]
    limit: u32,
    /// How many of the newest to pass over.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    skip: u32,
}

#[derive(Subcommand)]
enum QuarantineAction {
    /// Lists the newest.
    #[command(after_help = "Example:\n  capbridge quarantine list --limit 20")]
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one with its findings.
    #[command(after_help = "Example:\n  capbridge quarantine show q_0123")]
    Show {
        /// The id, `q_...`.
        id: String,
    },
    /// Writes the original bytes to standard output.
    #[command(after_help = "Example:\n  capbridge quarantine document q_0123 > document.xml")]
    Document {
        /// The id, `q_...`.
        id: String,
    },
    /// Lets one through; recorded in the audit log.
    #[command(
        after_help = "Example:\n  capbridge quarantine release q_0123 --operator duty-officer --reason \"confirmed by telephone\""
    )]
    Release {
        /// The id, `q_...`.
        id: String,
        /// Who decides.
        #[arg(long)]
        operator: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Subcommand)]
enum DeadLetterAction {
    /// Lists the newest.
    #[command(after_help = "Example:\n  capbridge dead-letters list --limit 20")]
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Puts one back in its queue; recorded in the audit log.
    #[command(
        after_help = "Example:\n  capbridge dead-letters replay msg_0123 --operator duty-officer --reason \"endpoint repaired\""
    )]
    Replay {
        /// The id, `msg_...`.
        id: String,
        /// Who decides.
        #[arg(long)]
        operator: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StateArg {
    Queued,
    Attempting,
    Waiting,
    Delivered,
    Dead,
    Expired,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileArg {
    Auto,
    Cap,
    CapCp,
    Ipaws,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetArg {
    CapCp,
    Ipaws,
    MasasEntry,
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Run { config } => run(config),
        Command::Check { config } => check(config),
        Command::Validate(args) => documents::validate(&args),
        Command::Translate(args) => translate::translate(&args),
        Command::Signature(args) => documents::signature(&args),
        Command::Locate(args) => places::locate(&args),
        Command::Geodata { action } => geodata::geodata(action),
        Command::Store { action } => store::store(action),
        Command::Explain { rule, example } => explain::explain(&rule, example),
        Command::Journey { id, admin } => remote::journey(&admin, &id),
        Command::Quarantine { action, admin } => remote::quarantine(&admin, action),
        Command::Deliveries { state, page, admin } => remote::deliveries(&admin, state, page),
        Command::DeadLetters { action, admin } => remote::dead_letters(&admin, action),
        Command::Responders { action, admin } => registration::responders(&admin, action),
        Command::Endpoints { action, admin } => registration::endpoints(&admin, action),
        Command::Subscriptions { action, admin } => registration::subscriptions(&admin, action),
        Command::Audit { action, admin } => audit::audit(&admin, action),
        Command::Token { action, admin } => registration::token(&admin, action),
    }
}

/// Writes a line to standard error. A closed pipe is nothing to complain about.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", harmless(text));
}

/// Writes a line to standard output.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", harmless(text));
}

/// A text as a terminal may get it: what would steer it, or turn the direction of writing, is written as JSON does.
/// So the same holds for both formats.
fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn faults(error: &ConfigError) -> ExitCode {
    match error {
        ConfigError::Unreadable { .. } => complain(&format!("capbridge: {}", ErrorChain(error))),
        ConfigError::Faulty { faults } => {
            for fault in faults {
                complain(&fault.to_string());
            }
            complain(&format!("capbridge: {} fault(s) in the configuration", faults.len()));
        }
    }
    ExitCode::from(CONFIG)
}

fn check(path: Option<PathBuf>) -> ExitCode {
    match Config::load(path.as_deref()) {
        Ok(config) => {
            say(&format!(
                "sound: {} source(s), {} endpoint(s), {} route(s)",
                config.profiles.len(),
                config.endpoints.len(),
                config.rules.len()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => faults(&error),
    }
}

fn run(path: Option<PathBuf>) -> ExitCode {
    let config = match Config::load(path.as_deref()) {
        Ok(config) => config,
        Err(error) => return faults(&error),
    };
    start_logging(&config.log);
    let code = run_logging(config);
    flush();
    code
}

/// From here on nothing waits for whoever reads standard error.
fn run_logging(config: Config) -> ExitCode {
    if config.from_file.is_none() {
        last_word("capbridge: no configuration: embedded store under ./capbridge-data, nothing is relayed");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            last_word(&format!("capbridge: the runtime cannot start: {error}"));
            return ExitCode::from(SOFTWARE);
        }
    };
    match runtime.block_on(crate::daemon::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            last_word(&harmless(&format!("capbridge: {}", ErrorChain(&error))));
            ExitCode::from(match error {
                StartError::TaskEnded { .. } | StartError::Tables(_) => SOFTWARE,
                StartError::Store(_)
                | StartError::Feeds { .. }
                | StartError::Listen { .. }
                | StartError::Instance { .. }
                | StartError::Http(_)
                | StartError::Signals(_) => UNAVAILABLE,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, harmless};

    /// Every command says how it is used, and what it says can be typed.
    fn check_examples(command: &clap::Command, path: &str) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut examples = help.lines().skip_while(|line| *line != "Example:").skip(1);
        assert!(examples.any(|line| line.contains(path)), "{path} has no example:\n{help}");
        for line in help.lines().filter_map(|line| line.trim_start().strip_prefix("capbridge ")) {
            let typed =
                line.split(" > ").flat_map(|l| l.split(" && ")).flat_map(|l| l.split(" | ")).next().unwrap();
            // What is in quotes is one word.
            let words = typed.split('"').enumerate().flat_map(|(n, part)| {
                if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
            });
            let parsed = Cli::command().try_get_matches_from(std::iter::once("capbridge").chain(words));
            assert!(parsed.is_ok(), "{typed}: {}", parsed.unwrap_err());
        }
        for sub in command.get_subcommands() {
            check_examples(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn every_command_has_an_example_that_can_be_typed() {
        check_examples(&Cli::command(), "capbridge");
    }

    #[test]
    fn what_steers_a_terminal_is_shown_and_the_rest_stays() {
        let check = |given: &str, expected: &str| assert_eq!(harmless(given), expected, "{given:?}");
        check("Fuite de chlore – Sarnia\n\tà côté", "Fuite de chlore – Sarnia\n\tà côté");
        check("\u{9b}31mred", "\\u009b31mred");
        check("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007");
        check("a\u{202e}evil\u{2066}", "a\\u202eevil\\u2066");
        check("one\rtwo\u{7f}", "one\\u000dtwo\\u007f");
        let json = serde_json::json!({"headline": "\u{9b}\u{202e}"}).to_string();
        let read: serde_json::Value = serde_json::from_str(&harmless(&json)).unwrap();
        assert_eq!(read["headline"], "\u{9b}\u{202e}", "JSON stays what it was");
    }
}

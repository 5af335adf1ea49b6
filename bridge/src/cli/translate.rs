//! `translate`: one alert into the other country's profile, without a store.

use std::io::Write;
use std::process::ExitCode;

use cap_schema::Limits;

use super::{NOTHING_TO_SEND, SOFTWARE, TargetArg, TranslateArgs, USAGE, complain, inputs};
use capbridge_adapters::class::Class;

use crate::envelope::World;
use crate::pipeline::classify::{TestMarks, classify};
use crate::pipeline::{deduplicate, instant, reference_of};
use crate::telemetry::chain;
use crate::translate::{Request, Settings, Tables, Target};

/// Runs `capbridge translate`.
pub fn translate(args: &TranslateArgs) -> ExitCode {
    let bytes = match inputs::read(&args.input) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&format!("{}: {error}", args.input)),
    };
    let parsed = match cap_schema::parse_owned(&bytes, &Limits::default()) {
        Ok(parsed) if parsed.accepted() => parsed,
        Ok(parsed) => return refuse_with(&args.input, &parsed.findings),
        Err(rejection) => return refuse_with(&args.input, &rejection.findings),
    };
    let Some(reference) = reference_of(&parsed.alert) else {
        return refuse("the alert has no sender, identifier or sent");
    };
    let at = match &args.at {
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => at,
            Err(_) => {
                complain(&format!(
                    "capbridge: --at {text} is not a time; write it as 2026-03-01T12:02:05-05:00"
                ));
                return ExitCode::from(USAGE);
            }
        },
        None => match instant(&parsed.alert.sent) {
            Some(at) => at,
            None => return refuse("sent is not a time"),
        },
    };
    let tables = match tables(args) {
        Ok(tables) => tables,
        Err(code) => return code,
    };
    let class = match class_of(&parsed.alert) {
        Ok(class) => class,
        Err(code) => return code,
    };
    let settings = Settings { class, ..Settings::default() };
    let request = Request {
        alert: &parsed.alert,
        origin_key: &deduplicate::key(&reference, &World::live()).0,
        target: match args.to {
            TargetArg::CapCp => Target::CapCp,
            TargetArg::Ipaws => Target::Ipaws,
            TargetArg::MasasEntry => Target::MasasEntry,
        },
        at,
        issued: None,
        previous: None,
        settings: &settings,
        tables: &tables,
    };
    let translated = match crate::translate::translate(&request) {
        Ok(translated) => translated,
        Err(not_sent) => {
            complain(&format!("capbridge: nothing to send: {not_sent}"));
            return ExitCode::from(NOTHING_TO_SEND);
        }
    };
    let report = match &args.report {
        Some(path) => {
            let json = serde_json::to_string_pretty(&translated.report).unwrap_or_default();
            std::fs::write(path, json + "\n").map_err(|e| format!("{}: {e}", path.display()))
        }
        None => {
            complain(translated.report.to_words().trim_end());
            Ok(())
        }
    };
    if let Err(why) = report {
        return refuse(&why);
    }
    match std::io::stdout().write_all(translated.xml.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    }
}

/// The class of a message from a live source; no destination takes tests.
fn class_of(alert: &cap_schema::Alert<'_>) -> Result<Class, ExitCode> {
    let marks = TestMarks::builtin().map_err(|error| {
        complain(&format!("capbridge: {}", chain(&error)));
        ExitCode::from(SOFTWARE)
    })?;
    let (classified, reasons) = classify(alert, Class::Live, None, &marks);
    match classified.class() {
        Class::Test => {
            let why = reasons.join(", ");
            complain(&format!(
                "capbridge: nothing to send: it is a test ({why}), which no destination takes"
            ));
            Err(ExitCode::from(NOTHING_TO_SEND))
        }
        class @ (Class::Live | Class::Exercise | Class::Internal) => Ok(class),
    }
}

fn tables(args: &TranslateArgs) -> Result<Tables, ExitCode> {
    let boundaries = super::places::boundaries(args.geodata.as_ref())?;
    match Tables::builtin() {
        Ok(tables) => Ok(Tables { boundaries, ..tables }),
        Err(error) => {
            complain(&format!("capbridge: {}", chain(&error)));
            Err(ExitCode::from(SOFTWARE))
        }
    }
}

fn refuse(why: &str) -> ExitCode {
    complain(&format!("capbridge: {why}"));
    ExitCode::from(1)
}

fn refuse_with(name: &str, findings: &[cap_schema::Finding]) -> ExitCode {
    for f in findings.iter().filter(|f| f.level == cap_schema::Level::Error) {
        complain(&format!("{name}:{}:{}: {}: {}", f.line, f.column, f.rule, f.message));
    }
    refuse(&format!("{name} was refused"))
}

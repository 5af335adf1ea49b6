//! `capbridge audit`: the audit log, listed, followed, verified.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::remote::{Answer, ask, encoded, json_of, show, text};
use super::{AdminArgs, Format, complain, say};

/// Entries that are asked for at once.
const PAGE: usize = 500;
/// How often it is looked for new ones.
const LOOK: Duration = Duration::from_secs(1);

/// Which entries: all that is named must fit.
#[derive(Args)]
pub(super) struct Which {
    /// What happened, such as accepted, delivered, dead, endpoint-paused; several with commas.
    #[arg(long, value_name = "WHAT")]
    what: Option<String>,
    /// About an alert: a CAP identifier, a full reference, a delivery id or the beginning of a key.
    #[arg(long, value_name = "ID")]
    alert: Option<String>,
    /// About a delivery, `msg_...`.
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// About an endpoint.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Who did it: `token NAME`, `local`, an operator's name.
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// At this time or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Subcommand)]
pub(super) enum AuditAction {
    /// Lists entries, newest first.
    #[command(
        after_help = "Example:\n  capbridge audit list --what dead,expired --since 2026-03-01T00:00:00Z"
    )]
    List {
        #[command(flatten)]
        which: Which,
        /// How many at most.
        #[arg(long, value_name = "COUNT", default_value_t = 200)]
        limit: usize,
        /// Go on before this entry, as the command said.
        #[arg(long, value_name = "PLACE")]
        before: Option<String>,
    },
    /// Shows the newest entries, oldest first, and then each as it comes, until it is interrupted.
    #[command(after_help = "Example:\n  capbridge audit tail --endpoint windsor-hook")]
    Tail {
        #[command(flatten)]
        which: Which,
        /// How many to begin with.
        #[arg(long, value_name = "COUNT", default_value_t = 10)]
        limit: usize,
    },
    /// Verifies the hash chain over all entries.
    #[command(after_help = "Example:\n  capbridge audit verify")]
    Verify,
}

/// `capbridge audit`.
pub(super) fn audit(admin: &AdminArgs, action: AuditAction) -> ExitCode {
    let ended = match action {
        AuditAction::List { which, limit, before } => list(admin, &which, limit, before),
        AuditAction::Tail { which, limit } => tail(admin, &which, limit),
        AuditAction::Verify => return verify(admin),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn verify(admin: &AdminArgs) -> ExitCode {
    show(admin, ask(admin, "/v1/audit/verify", None), |v| {
        format!("intact: {} entries", v.get("entries").and_then(Value::as_u64).unwrap_or(0))
    })
}

impl Which {
    fn query(&self) -> String {
        let asked = [
            ("what", &self.what),
            ("alert", &self.alert),
            ("delivery", &self.delivery),
            ("endpoint", &self.endpoint),
            ("by", &self.by),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let named = asked.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        named.map(|(key, value)| format!("&{key}={}", encoded(value))).collect()
    }
}

/// A part of the log.
struct Part {
    entries: Vec<Value>,
    /// Where to go on.
    next: Option<String>,
    more: bool,
}

fn part(admin: &AdminArgs, which: &Which, limit: usize, from: &str) -> Result<Part, ExitCode> {
    let asked: Result<Answer, _> =
        ask(admin, &format!("/v1/audit?limit={}{from}{}", limit.clamp(1, PAGE), which.query()), None);
    let answer = json_of(&asked?)?;
    Ok(Part {
        entries: answer.get("entries").and_then(Value::as_array).cloned().unwrap_or_default(),
        next: answer.get("next").and_then(Value::as_str).map(str::to_owned),
        more: answer.get("more").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// The newest entries, newest first, and where those before them begin if there are more.
fn newest(
    admin: &AdminArgs,
    which: &Which,
    limit: usize,
    mut before: Option<String>,
) -> Result<(Vec<Value>, Option<String>), ExitCode> {
    let mut found = Vec::new();
    loop {
        let from = before.as_ref().map(|place| format!("&before={}", encoded(place))).unwrap_or_default();
        let part = part(admin, which, limit.saturating_sub(found.len()), &from)?;
        found.extend(part.entries);
        before = part.next.filter(|_| part.more);
        if found.len() >= limit || before.is_none() {
            return Ok((found, before));
        }
    }
}

fn list(admin: &AdminArgs, which: &Which, limit: usize, before: Option<String>) -> Result<(), ExitCode> {
    let (found, next) = newest(admin, which, limit.max(1), before)?;
    found.iter().for_each(|entry| say_entry(admin, entry));
    if let Some(place) = next {
        complain(&format!("capbridge: there may be more: --before {place} shows the next"));
    }
    Ok(())
}

fn tail(admin: &AdminArgs, which: &Which, limit: usize) -> Result<(), ExitCode> {
    // From here on is followed; what came while the first were read is not shown twice. There is always an entry: that of
    // the bridge's start.
    let (last, _) = newest(admin, &Which::all(), 1, None)?;
    let mut place = last.first().map(|entry| text(entry, "place").to_owned()).unwrap_or_default();
    let shown = if limit == 0 { Vec::new() } else { newest(admin, which, limit, None)?.0 };
    shown.iter().rev().for_each(|entry| say_entry(admin, entry));
    let shown: BTreeSet<&str> = shown.iter().map(|entry| text(entry, "place")).collect();
    loop {
        let found = part(admin, which, PAGE, &format!("&after={}", encoded(&place)))?;
        let new = found.entries.iter().filter(|entry| !shown.contains(text(entry, "place")));
        new.for_each(|entry| say_entry(admin, entry));
        place = found.next.unwrap_or(place);
        if !found.more {
            std::thread::park_timeout(LOOK);
        }
    }
}

impl Which {
    fn all() -> Self {
        Which { what: None, alert: None, delivery: None, endpoint: None, by: None, since: None, until: None }
    }
}

fn say_entry(admin: &AdminArgs, entry: &Value) {
    match admin.format {
        Format::Json => say(&entry.to_string()),
        Format::Text => say(&words(entry)),
    }
}

fn words(entry: &Value) -> String {
    let event = entry.get("event").unwrap_or(&Value::Null);
    let about = ["alert", "delivery"].iter().filter_map(|key| {
        let id = event.get(*key).and_then(Value::as_str)?;
        Some(format!("{key}={}", id.get(..16).unwrap_or(id)))
    });
    let facts = event.get("facts").and_then(Value::as_object).into_iter().flatten();
    let facts = facts.filter(|(_, value)| !value.is_null()).map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key}={text}"),
        None => format!("{key}={value}"),
    });
    let all = about.chain(facts).collect::<Vec<_>>().join(" ");
    format!("{}  {}  {all}", text(event, "at"), text(event, "what"))
}

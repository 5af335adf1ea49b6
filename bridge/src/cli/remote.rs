//! Commands that ask a running bridge through its admin socket.
//!
//! Owns their text form. The JSON form is what the socket gives.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use capbridge_adapters::http::{HttpClient, HttpSettings, Request};
use clap::ValueEnum;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::{
    AdminArgs, DeadLetterAction, Format, PageArgs, QuarantineAction, StateArg, UNAVAILABLE, USAGE, complain,
    say,
};
use crate::telemetry::chain;

/// The largest answer that is read.
const MAX_REPLY_BYTES: usize = 64 << 20;

pub(super) struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// Asks the socket; complains and gives an exit code where it does not answer well.
pub(super) fn ask(admin: &AdminArgs, path: &str, body: Option<Value>) -> Result<Answer, ExitCode> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    call(admin, method, path, body)
}

/// The same by any method.
pub(super) fn call(
    admin: &AdminArgs,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, ExitCode> {
    let base = admin.admin.trim_end_matches('/');
    let unavailable = |why: String| {
        complain(&format!("capbridge: the bridge at {base} does not answer: {why}"));
        complain("    is it running? see admin.listen in its configuration, and --admin");
        ExitCode::from(UNAVAILABLE)
    };
    let host = url::Url::parse(base).ok().and_then(|u| u.host_str().map(str::to_owned));
    let Some(host) = host else {
        complain(&format!("capbridge: --admin {base} is not a URL"));
        return Err(ExitCode::from(USAGE));
    };
    let Ok(url) = url::Url::parse(&format!("{base}{path}")) else {
        complain(&format!("capbridge: {path} is not a path"));
        return Err(ExitCode::from(USAGE));
    };
    let settings = HttpSettings::new(&[host, "127.0.0.0/8".into(), "::1/128".into()], None)
        .map_err(|_| unavailable("the address is not usable".into()))?;
    let body = body.map(|body| body.to_string().into()).unwrap_or_default();
    let mut request = Request::new(method, url)
        .with_body(body)
        .limit(Duration::from_secs(30))
        .max_reply_bytes(MAX_REPLY_BYTES);
    let bad_header = |e| unavailable(chain(&e));
    request = request.header(CONTENT_TYPE, "application/json").map_err(bad_header)?;
    if let Some(path) = &admin.token_file {
        match std::fs::read_to_string(path) {
            Ok(token) => {
                request = request
                    .secret_header(AUTHORIZATION, &format!("Bearer {}", token.trim()))
                    .map_err(bad_header)?;
            }
            Err(error) => {
                complain(&format!("capbridge: {}: {error}", path.display()));
                return Err(ExitCode::from(USAGE));
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| unavailable(e.to_string()))?;
    let reply = runtime
        .block_on(async {
            let client = HttpClient::new(settings)?;
            client.send(request).await
        })
        .map_err(|e| unavailable(chain(&e)))?;
    Ok(Answer { status: reply.status_code, body: reply.body.to_vec() })
}

/// The JSON of a good answer; a bad one is explained.
pub(super) fn json_of(answer: &Answer) -> Result<Value, ExitCode> {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if (200..300).contains(&answer.status) {
        return Ok(value);
    }
    let detail = value.get("detail").and_then(Value::as_str).unwrap_or("no explanation");
    complain(&format!("capbridge: {detail} (status {})", answer.status));
    Err(ExitCode::from(1))
}

pub(super) fn show(
    admin: &AdminArgs,
    answer: Result<Answer, ExitCode>,
    words: impl FnOnce(&Value) -> String,
) -> ExitCode {
    let value = match answer.and_then(|a| json_of(&a)) {
        Ok(value) => value,
        Err(code) => return code,
    };
    match admin.format {
        Format::Json => say(&value.to_string()),
        Format::Text => say(words(&value).trim_end()),
    }
    ExitCode::SUCCESS
}

/// `capbridge journey`.
pub fn journey(admin: &AdminArgs, id: &str) -> ExitCode {
    let path = format!("/v1/alerts/{}/journey", encoded(id));
    show(admin, ask(admin, &path, None), |v| each(v, journey_words))
}

/// `capbridge quarantine`.
pub fn quarantine(admin: &AdminArgs, action: QuarantineAction) -> ExitCode {
    match action {
        QuarantineAction::List { page } => list(admin, "/v1/quarantine?", page, quarantine_line),
        QuarantineAction::Show { id } => {
            show(admin, ask(admin, &format!("/v1/quarantine/{}", encoded(&id)), None), quarantine_words)
        }
        QuarantineAction::Document { id } => {
            match ask(admin, &format!("/v1/quarantine/{}/document", encoded(&id)), None) {
                Ok(answer) if answer.status == 200 => {
                    use std::io::Write as _;
                    let _ = std::io::stdout().write_all(&answer.body);
                    ExitCode::SUCCESS
                }
                Ok(answer) => json_of(&answer).err().unwrap_or(ExitCode::from(1)),
                Err(code) => code,
            }
        }
        QuarantineAction::Release { id, operator, reason } => {
            let body = json!({"operator": operator, "reason": reason});
            let path = format!("/v1/quarantine/{}/release", encoded(&id));
            show(admin, ask(admin, &path, Some(body)), |v| {
                format!("{} released: {}", text(v, "released"), text(v, "outcome"))
            })
        }
    }
}

/// `capbridge deliveries`.
pub fn deliveries(admin: &AdminArgs, state: Option<StateArg>, page: PageArgs) -> ExitCode {
    let name = state.and_then(|s| s.to_possible_value());
    let filter = name.map(|n| format!("state={}&", n.get_name())).unwrap_or_default();
    list(admin, &format!("/v1/deliveries?{filter}"), page, delivery_line)
}

/// `capbridge dead-letters`.
pub fn dead_letters(admin: &AdminArgs, action: DeadLetterAction) -> ExitCode {
    match action {
        DeadLetterAction::List { page } => list(admin, "/v1/deliveries?state=dead&", page, delivery_line),
        DeadLetterAction::Replay { id, operator, reason } => {
            let body = json!({"operator": operator, "reason": reason});
            let path = format!("/v1/deliveries/{}/replay", encoded(&id));
            show(admin, ask(admin, &path, Some(body)), |v| format!("{} queued again", text(v, "replayed")))
        }
    }
}

/// A part of a list. One more is asked for than is shown, so that nobody takes a part for the whole.
fn list(admin: &AdminArgs, path: &str, page: PageArgs, line: impl Fn(&Value) -> String) -> ExitCode {
    let PageArgs { limit, skip } = page;
    let asked = ask(admin, &format!("{path}limit={}&skip={skip}", limit + 1), None);
    let mut value = match asked.and_then(|answer| json_of(&answer)) {
        Ok(value) => value,
        Err(code) => return code,
    };
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = value.as_array().is_some_and(|all| all.len() > shown);
    if let Some(all) = value.as_array_mut() {
        all.truncate(shown);
    }
    match admin.format {
        Format::Json => say(&value.to_string()),
        Format::Text => say(each(&value, line).trim_end()),
    }
    if has_more {
        let next = skip.saturating_add(limit);
        complain(&format!("capbridge: there are more: --skip {next} shows the next"));
    }
    ExitCode::SUCCESS
}

pub(super) fn encoded(part: &str) -> String {
    let mut out = String::new();
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

pub(super) fn each(value: &Value, words: impl Fn(&Value) -> String) -> String {
    match value.as_array() {
        Some(all) if all.is_empty() => "none".into(),
        Some(all) => all.iter().map(words).collect::<Vec<_>>().join("\n"),
        None => words(value),
    }
}

fn quarantine_line(entry: &Value) -> String {
    let state = if entry.get("released").is_some_and(|r| !r.is_null()) { " (released)" } else { "" };
    let times = entry.get("times").and_then(Value::as_u64).unwrap_or(1);
    format!(
        "{}  {}  {}  {}{}{}: {}",
        text(entry, "id"),
        text(entry, "received_at"),
        text(entry, "origin"),
        text(entry, "reason"),
        state,
        if times > 1 { format!(" x{times}") } else { String::new() },
        text(entry, "detail"),
    )
}

fn quarantine_words(entry: &Value) -> String {
    let mut out = quarantine_line(entry);
    for finding in entry.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let line = finding.get("line").and_then(Value::as_u64).unwrap_or(0);
        let _ = write!(
            out,
            "\n  {}[{}] line {line} {}: {}",
            text(finding, "level"),
            text(finding, "rule"),
            text(finding, "path"),
            text(finding, "message"),
        );
    }
    out
}

fn delivery_line(d: &Value) -> String {
    let attempts = d.get("attempts").and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{}  {}  {}  attempts {attempts}  queued {}{}",
        text(d, "id"),
        text(d, "state"),
        text(d, "endpoint"),
        text(d, "queued_at"),
        d.get("error").and_then(Value::as_str).map(|e| format!("  {e}")).unwrap_or_default(),
    )
}

fn journey_words(journey: &Value) -> String {
    let mut out = String::new();
    let empty = Value::Null;
    let envelope = journey.get("envelope").unwrap_or(&empty);
    let reference = envelope.get("reference").unwrap_or(&empty);
    let _ = writeln!(
        out,
        "{} from {} ({}), {}",
        text(reference, "identifier"),
        text(reference, "sender"),
        text(envelope, "msg_type"),
        text(envelope, "headline"),
    );
    let provenance = envelope.get("provenance").unwrap_or(&empty);
    let class = envelope.get("class").and_then(|c| c.get("class")).and_then(Value::as_str).unwrap_or("");
    let _ = writeln!(
        out,
        "  class {class}, source {}, signature {}, key {}",
        text(provenance, "origin"),
        text(envelope, "signature"),
        text(envelope, "key").get(..12).unwrap_or(""),
    );
    for (what, key) in [("sent", "sent_at"), ("received", "received_at"), ("accepted", "accepted_at")] {
        let _ = writeln!(out, "  {}  {what}", text(envelope, key));
    }
    for event in journey.get("events").and_then(Value::as_array).into_iter().flatten() {
        let facts = event.get("facts").and_then(Value::as_object).map(|facts| {
            facts
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| match v.as_str() {
                    Some(s) => format!("{k}={s}"),
                    None => format!("{k}={v}"),
                })
                .collect::<Vec<_>>()
                .join(" ")
        });
        let _ =
            writeln!(out, "  {}  {} {}", text(event, "at"), text(event, "what"), facts.unwrap_or_default());
    }
    for d in journey.get("deliveries").and_then(Value::as_array).into_iter().flatten() {
        let delivery = d.get("delivery").unwrap_or(&empty);
        let ended = delivery.get("ended_at").and_then(Value::as_str).unwrap_or("not ended");
        let _ = writeln!(out, "  → {}  {ended}", delivery_line(delivery));
        if let Some(reference) = d.get("reference").filter(|r| !r.is_null()) {
            let _ = writeln!(out, "    as {}", text(reference, "identifier"));
        }
    }
    out
}

//! `validate` and `signature`.
//!
//! Owns the JSON of design 7 and the text that points at a place like a compiler does.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use cap_schema::signature::{self, Policy, State, TrustStore, Verification};
use cap_schema::{Finding, Found, Level, Limits, Parsed, Profile, Rejection, Walk};
use indicatif::ProgressBar;
use serde::Serialize;

use super::inputs::{self, Input};
use super::{Format, ProfileArg, SignatureArgs, USAGE, ValidateArgs, complain, harmless, say};

/// One line of `validate --format json`.
#[derive(Serialize)]
struct Verdict {
    file: String,
    index: usize,
    accepted: bool,
    version: Option<&'static str>,
    profile: Vec<&'static str>,
    findings: Vec<Finding>,
    signature: Verification,
}

impl Verdict {
    fn sound(&self) -> bool {
        self.accepted && self.findings.iter().all(|f| f.level != Level::Error)
    }
}

/// Runs `capbridge validate`.
pub fn validate(args: &ValidateArgs) -> ExitCode {
    let trust = match inputs::trust(args.trust.as_deref()) {
        Ok(trust) => trust,
        Err(why) => {
            complain(&format!("capbridge: the trust folder cannot be used: {why}"));
            return ExitCode::from(USAGE);
        }
    };
    let names = inputs::expand(&args.inputs);
    let (mut sound, mut shut) = (true, None);
    let bar = ProgressBar::new(u64::try_from(names.len()).unwrap_or(0));
    // A few documents for each core at a time, in order: memory does not grow with their number.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for group in names.chunks(cores * 4) {
        for (good, text) in in_parallel(group, cores, |name| judged(name, args, &trust)) {
            sound &= good;
            if shut.is_none() {
                shut = writeln!(std::io::stdout(), "{}", harmless(text.trim_end())).err();
            }
        }
        bar.inc(u64::try_from(group.len()).unwrap_or(0));
        if shut.is_some() {
            break;
        }
    }
    bar.finish_and_clear();
    // Who reads no more has seen enough; a verdict that could not be written is lost.
    if let Some(error) = shut.filter(|e| e.kind() != std::io::ErrorKind::BrokenPipe) {
        complain(&format!("capbridge: the verdicts cannot be written: {error}"));
        return ExitCode::from(1);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Does the work for each name on all cores; the results are in the order of the names.
fn in_parallel<T: Send>(names: &[Input], cores: usize, work: impl Fn(&Input) -> T + Sync) -> Vec<T> {
    let share = names.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = names
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(&work).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Whether a document is sound, and what is said of it.
fn judged(input: &Input, args: &ValidateArgs, trust: &TrustStore) -> (bool, String) {
    let name = input.name.as_str();
    let bytes = match input.read() {
        Ok(bytes) => bytes,
        Err(error) => return (false, report(args.format, &unreadable(name, &error), &Shown::default())),
    };
    let mut said = String::new();
    let mut sound = true;
    judge(name, &bytes, args.profile, trust, &mut |verdict, shown| {
        sound &= verdict.sound();
        said.push_str(&report(args.format, &verdict, &shown));
        said.push('\n');
    });
    (sound, said)
}

fn unreadable(name: &str, error: &std::io::Error) -> Verdict {
    Verdict {
        file: name.to_owned(),
        index: 0,
        accepted: false,
        version: None,
        profile: Vec::new(),
        findings: vec![Finding::about_file("io.unreadable", error.to_string())],
        signature: Verification::absent(),
    }
}

/// One verdict for each alert found, with the bytes that it points at; exactly one where none is found.
fn judge(
    name: &str,
    bytes: &[u8],
    profile: ProfileArg,
    trust: &TrustStore,
    say: &mut dyn FnMut(Verdict, Shown<'_>),
) {
    let limits = Limits::default();
    let rejected = |rejection: Rejection| Verdict {
        file: name.to_owned(),
        index: 0,
        accepted: false,
        version: None,
        profile: Vec::new(),
        findings: rejection.findings,
        signature: Verification::absent(),
    };
    let found: Vec<Found> = match cap_schema::split(bytes, &limits) {
        Ok(found) => found,
        Err(rejection) => return say(rejected(rejection), Shown { bytes, ..Shown::default() }),
    };
    let mut walk = Walk::default();
    for (index, piece) in found.iter().enumerate() {
        let read = piece.read(bytes, &limits).and_then(|d| d.parse().map(Parsed::into_owned).map(|p| (d, p)));
        let mut verdict = match read {
            Ok((document, parsed)) => {
                let signature = signature::verify_document(&document, trust, &Policy::default());
                let mut verdict = verdict(name, index, parsed, profile, signature);
                document.locate(&mut verdict.findings);
                verdict
            }
            Err(rejection) => Verdict { index, ..rejected(rejection) },
        };
        if piece.stands_in_document() {
            // What stands before it.
            let (line, column) = walk.to(bytes, piece.range.start);
            let (lines, column) = (line.saturating_sub(1), column.saturating_sub(1));
            shift(&mut verdict.findings, (lines, column));
            say(verdict, Shown { bytes: piece.bytes(bytes), lines, column });
        } else {
            // The lines are those of what was decoded.
            say(verdict, Shown { bytes: piece.bytes(bytes), ..Shown::default() });
        }
    }
}

/// The bytes that findings point at, and where they begin in the document that is named.
#[derive(Clone, Copy, Default)]
struct Shown<'b> {
    bytes: &'b [u8],
    lines: u32,
    column: u32,
}

/// Makes places in an alert places in the document that it begins in, at this line and column.
fn shift(findings: &mut [Finding], (lines, column): (u32, u32)) {
    for finding in findings.iter_mut().filter(|f| f.line > 0) {
        if finding.line == 1 {
            finding.column = finding.column.saturating_add(column);
        }
        finding.line = finding.line.saturating_add(lines);
    }
}

fn verdict(
    name: &str,
    index: usize,
    parsed: Parsed<'_>,
    profile: ProfileArg,
    signature: Verification,
) -> Verdict {
    let accepted = parsed.accepted();
    let alert = &parsed.alert;
    let profiles = match profile {
        ProfileArg::Auto => cap_schema::profiles_of(alert),
        ProfileArg::Cap => vec![Profile::Cap],
        ProfileArg::CapCp => vec![Profile::Cap, Profile::CapCp],
        ProfileArg::Ipaws => vec![Profile::Cap, Profile::Ipaws],
    };
    let version = Some(alert.version.as_str());
    let mut findings = parsed.findings;
    for profile in
        std::iter::once(Profile::Cap).chain(profiles.iter().copied().filter(|p| *p != Profile::Cap))
    {
        findings.extend(cap_schema::validate(alert, profile));
    }
    findings.extend(signature.findings(alert));
    Verdict {
        file: name.to_owned(),
        index,
        accepted,
        version,
        profile: profiles.iter().map(|p| p.as_str()).collect(),
        findings,
        signature,
    }
}

fn report(format: Format, verdict: &Verdict, shown: &Shown<'_>) -> String {
    match format {
        Format::Json => serde_json::to_string(verdict).unwrap_or_default(),
        Format::Text => words(verdict, shown).trim_end().to_owned(),
    }
}

fn words(verdict: &Verdict, shown: &Shown<'_>) -> String {
    let mut text = String::new();
    let head = if verdict.accepted { "accepted" } else { "refused" };
    let what = match verdict.version {
        Some(version) => format!("CAP {version}, profiles: {}", verdict.profile.join(", ")),
        None => "no alert".into(),
    };
    let at = if verdict.index > 0 { format!("#{}", verdict.index) } else { String::new() };
    let _ = writeln!(text, "{}{at}: {head} ({what}; signature: {})", verdict.file, verdict.signature.state);
    let lines = lines_of(shown, &verdict.findings);
    for f in &verdict.findings {
        let level = match f.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        let _ = writeln!(text, "  {level}[{}]: {}", f.rule, f.message);
        if f.line > 0 {
            let _ = writeln!(text, "   --> {}{at}:{}:{} {}", verdict.file, f.line, f.column, f.path);
            if let Some(line) = lines.get(&f.line) {
                let first = f.line == shown.lines + 1;
                let column = if first { f.column.saturating_sub(shown.column) } else { f.column };
                let (line, mark) = excerpt(line, column);
                let _ = writeln!(text, "    | {line}\n    | {}^", " ".repeat(mark));
            }
        }
        if f.level != Level::Note
            && let Some(rule) = cap_schema::rules::rule(f.rule)
        {
            let _ = writeln!(text, "    = {}", rule.remedy);
        }
    }
    text
}

/// Bytes of a line beyond which it is not shown: finding a column in it costs as much as it is long.
const LONGEST_LINE_BYTES: usize = 1 << 20;

/// The lines that findings point at, in one pass.
fn lines_of<'b>(shown: &Shown<'b>, findings: &[Finding]) -> BTreeMap<u32, Cow<'b, str>> {
    let wanted: BTreeSet<u32> = findings.iter().map(|f| f.line).collect();
    (shown.lines.saturating_add(1)..)
        .zip(cap_schema::lines(shown.bytes))
        .filter(|(number, line)| wanted.contains(number) && line.len() <= LONGEST_LINE_BYTES)
        .map(|(number, line)| (number, String::from_utf8_lossy(line)))
        .collect()
}

/// Characters of a line that are shown, and how many of them stand before the place.
const WIDTH: usize = 100;
const BEFORE: usize = 40;

/// The part of a line around a column (from 1), without anything that a terminal would obey, and where in it the column is.
fn excerpt(line: &str, column: u32) -> (String, usize) {
    let line = line.trim_end();
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let column = line.chars().take(column).count();
    let indent = line.chars().take_while(|c| c.is_whitespace()).count().min(column);
    let is_short = line.chars().nth(WIDTH + indent).is_none();
    let from = if is_short { indent } else { column.saturating_sub(BEFORE).max(indent) };
    let mut rest = line.chars().skip(from);
    let part: String =
        rest.by_ref().take(WIDTH).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    let text = format!("{}{part}{}", cut(from > indent), cut(rest.next().is_some()));
    (text, column - from + usize::from(from > indent))
}

#[derive(Serialize)]
struct SignatureLine {
    file: String,
    /// Which alert of a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(flatten)]
    signature: Verification,
    /// Why nothing could be verified, such as `io.unreadable`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
}

/// Runs `capbridge signature`.
pub fn signature(args: &SignatureArgs) -> ExitCode {
    let trust = match inputs::trust(args.trust.as_deref()) {
        Ok(trust) => trust,
        Err(why) => {
            complain(&format!("capbridge: the trust folder cannot be used: {why}"));
            return ExitCode::from(USAGE);
        }
    };
    let mut sound = true;
    for input in inputs::expand(&args.inputs) {
        let lines = match input.read() {
            Ok(bytes) => signatures(&input.name, &bytes, &trust),
            Err(error) => {
                complain(&format!("capbridge: {}: {error}", input.name));
                let findings = vec![Finding::about_file("io.unreadable", error.to_string())];
                vec![SignatureLine {
                    file: input.name,
                    index: None,
                    signature: Verification::absent(),
                    findings,
                }]
            }
        };
        for line in lines {
            sound &= line.signature.state == State::Trusted;
            match args.format {
                Format::Json => say(&serde_json::to_string(&line).unwrap_or_default()),
                Format::Text if line.findings.iter().any(|f| f.rule == "io.unreadable") => {}
                Format::Text => {
                    let at = line.index.map_or_else(String::new, |index| format!("#{index}"));
                    say(&format!("{}{at}: {}", line.file, line.signature.state));
                    for s in &line.signature.signatures {
                        say(&format!("  {} {} {}: {}", s.state, s.algorithm, s.subject, s.reason));
                    }
                    for finding in &line.findings {
                        say(&format!("  {}: {}", finding.rule, finding.message));
                    }
                }
            }
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// The signatures of a document: one line, or one for each alert of a container.
fn signatures(name: &str, bytes: &[u8], trust: &TrustStore) -> Vec<SignatureLine> {
    let limits = Limits::default();
    let line =
        |index, signature, findings| SignatureLine { file: name.to_owned(), index, signature, findings };
    let found = match cap_schema::split(bytes, &limits) {
        Ok(found) => found,
        Err(rejection) => return vec![line(None, Verification::absent(), rejection.findings)],
    };
    let one = |(index, piece): (usize, &Found)| {
        let index = (!piece.container.is_empty()).then_some(index);
        match piece.read(bytes, &limits) {
            Ok(document) => {
                let signature = signature::verify_document(&document, trust, &Policy::default());
                line(index, signature, Vec::new())
            }
            Err(rejection) => line(index, Verification::absent(), rejection.findings),
        }
    };
    found.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_shown_however_long_its_line_is() {
        let long = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        for (line, column, mark) in [
            ("  <circle>1 2</circle>", 3, '<'),
            ("  <circle>1 2</circle>", 11, '1'),
            ("\t\u{1b}[31mred", 6, 'm'),
            (long.as_str(), 501, 'H'),
            (long.as_str(), 1, 'a'),
            (long.as_str(), 1_004, 'b'),
        ] {
            let (text, at) = excerpt(line, column);
            assert_eq!(text.chars().nth(at), Some(mark), "{text} {at}");
            assert!(text.chars().count() <= WIDTH + 2 && !text.contains(char::is_control), "{text}");
        }
        assert_eq!(excerpt("", 9), (String::new(), 0));
    }
}

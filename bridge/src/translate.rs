//! Stage 6: a new message for the other side, with a report of everything that was done.
//!
//! Owns the translation as a pure function of (alert, tables, settings, time of issue): same input, same bytes. No I/O, no
//! clock, no randomness. Codes and places come from data files. See `docs/translation.md`.

pub mod channels;
pub mod codes;
pub mod entry;
pub mod geography;
mod hazards;
pub mod identity;
pub mod language;
pub mod lifecycle;
pub mod minimise;
pub mod personal;
pub mod places;
pub mod report;
mod room;
mod settings;
mod shapes;
mod text;
mod unchanged;

use std::borrow::Cow;
use std::fmt;

use cap_schema::{Alert, Category, Code, Info, Instant, MsgType, NamedValue, Scope, Status, Time};
use capbridge_adapters::class::Class;
use jiff::Timestamp;

use crate::envelope::Reference;
pub(in crate::translate) use crate::pipeline::deduplicate::TRACE;
use codes::Codes;
use geography::Boundaries;
use minimise::Minimisation;
use report::{Report, Rule};
pub use settings::{Settings, TextLimits};

/// What a message is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The Canadian profile, version 0.4.
    CapCp,
    /// The US IPAWS profile.
    Ipaws,
    /// A MASAS Atom entry.
    MasasEntry,
}

impl Target {
    /// The name that goes into derived identifiers.
    pub fn as_str(self) -> &'static str {
        match self {
            Target::CapCp => "cap-cp",
            Target::Ipaws => "ipaws",
            Target::MasasEntry => "masas-entry",
        }
    }
}

/// Codes, names and boundaries: built once.
pub struct Tables {
    /// Event codes.
    pub codes: Codes,
    /// Places.
    pub boundaries: Boundaries,
    /// What crosses the border.
    pub minimisation: Minimisation,
}

/// Why the tables cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// A table of event codes.
    #[error("the event codes cannot be read")]
    Codes(#[from] codes::CodesError),
    /// The boundaries.
    #[error("the boundaries cannot be read")]
    Boundaries(#[from] geography::GeodataError),
    /// What crosses the border.
    #[error("the list of what crosses the border cannot be read")]
    Minimisation(#[from] minimise::MinimisationError),
}

impl Tables {
    /// The tables that ship with the program.
    ///
    /// # Errors
    /// A shipped table does not read: a bug that a test catches.
    pub fn builtin() -> Result<Self, TablesError> {
        Ok(Tables {
            codes: Codes::builtin()?,
            boundaries: Boundaries::builtin()?,
            minimisation: Minimisation::builtin()?,
        })
    }

    /// With an operator's boundary file.
    ///
    /// # Errors
    /// The file is not one, or is damaged.
    pub fn with_geodata(self, bytes: &[u8]) -> Result<Self, TablesError> {
        Ok(Tables { boundaries: self.boundaries.with_geodata(bytes)?, ..self })
    }
}

/// One translation.
pub struct Request<'r> {
    /// The original.
    pub alert: &'r Alert<'r>,
    /// The original's key.
    pub origin_key: &'r str,
    /// What for.
    pub target: Target,
    /// The time of issue.
    pub at: Timestamp,
    /// What the destination already has of the chain: (original, ours), oldest first. `None` without a store: then
    /// references are derived.
    pub issued: Option<&'r [(Reference, Reference)]>,
    /// The newest message of the chain that has infos, for a Cancel that has none.
    pub previous: Option<&'r Alert<'r>>,
    /// Who issues.
    pub settings: &'r Settings,
    /// Codes and places.
    pub tables: &'r Tables,
}

/// A new message.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// The message.
    pub alert: Alert<'static>,
    /// The message as a document of the target.
    pub xml: String,
    /// Its reference.
    pub reference: Reference,
    /// Its msgType.
    pub msg_type: MsgType,
    /// What was done.
    pub report: Report,
}

/// Why there is nothing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// System and Draft messages stay.
    Internal,
    /// Ack, and Error about a message of another, are between a sender and its recipient.
    Answer,
    /// It is over at the time of issue.
    Expired,
    /// It touches nothing on the far side, and no rule asks for it all the same.
    Untouched,
    /// Its shapes say no place, and nothing else says where it is.
    Unreadable,
    /// Its shapes have longitude before latitude, and nothing else says where it is.
    Swapped,
    /// Its infos are about several events, and the destination takes one a message.
    SeveralEvents,
    /// A Cancel or Update of something that the destination never got, and there is nothing to show.
    NothingToEnd,
    /// No info to make a message of.
    NoInfo,
    /// It is for named recipients only.
    Private,
    /// Too many points for the destination, and simplifying them is not safe.
    TooManyPoints,
    /// A bridge carried it over the border before.
    Crossed,
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotSent::Internal => "status System or Draft never leaves",
            NotSent::Answer => {
                "Ack, and Error about another's message, stay between a sender and its recipient"
            }
            NotSent::Expired => "it is no longer in force at the time of issue",
            NotSent::Untouched => "it touches nothing on the far side of the border",
            NotSent::Unreadable => {
                "its shapes cannot be read, and nothing else in it names a place on the far side"
            }
            NotSent::Swapped => {
                "its shapes lie in North America only if longitude comes first, and nothing else in it names a place on \
                 the far side"
            }
            NotSent::SeveralEvents => {
                "its infos are about several events, and the destination takes one a message"
            }
            NotSent::NothingToEnd => "the destination has nothing that it could end",
            NotSent::NoInfo => "it has no info to make a message of",
            NotSent::Private => "scope Private is for its named recipients and does not cross the border",
            NotSent::Crossed => "a bridge carried it over the border before",
            NotSent::TooManyPoints => "its polygons have more points than the destination takes",
        })
    }
}

/// Makes the message, or says why there is none.
///
/// # Errors
/// There is nothing to send.
pub fn translate(request: &Request<'_>) -> Result<Translated, NotSent> {
    let original = request.alert;
    if original.scope == Some(Code::Known(Scope::Private)) {
        return Err(NotSent::Private);
    }
    if request.settings.max_crossings.is_some_and(|most| crossings(original) >= most) {
        return Err(NotSent::Crossed);
    }
    let mut report = Report::new(request.target);
    let status = self::status(request, &mut report)?;
    let mut kind = lifecycle::kind(request, &mut report)?;
    let source: Vec<&Info<'_>> = original.info.iter().collect();
    let Infos { infos, everywhere } = match infos(request, kind, source, &mut report) {
        // The destination holds what this message takes the place of, and nothing of this message is for it.
        Err(why) if lifecycle::ends_instead(request, kind, why) => {
            report = Report::new(request.target);
            self::status(request, &mut report)?;
            kind = lifecycle::end_earlier(kind, why, &mut report);
            infos(request, kind, Vec::new(), &mut report)?
        }
        made => made?,
    };
    let at = Instant::from_seconds(request.at.as_second());
    let reference = identity::reference(request, &Time::from_instant(at, 0));
    let mut alert = Alert {
        identifier: Cow::Owned(reference.identifier.clone()),
        sender: Cow::Owned(reference.sender.clone()),
        sent: Time::new(reference.sent.clone()),
        status: Code::Known(status),
        msg_type: Code::Known(kind),
        source: Some(Cow::Owned(text::cut(&request.settings.source_name, 30))),
        incidents: Some(Cow::Owned(identity::incident(&original.identifier))),
        references: lifecycle::references(request, &reference, kind, &mut report).map(Cow::Owned),
        info: infos,
        ..Alert::default()
    };
    report.add(Rule::Identifier, "identifier", "");
    report.add(Rule::Sender, "sender", "");
    report.add(Rule::Sent, "sent", "");
    report.add(Rule::Source, "source", original.source.as_deref().unwrap_or(""));
    report.add(Rule::Incidents, "incidents", original.incidents.as_deref().unwrap_or(""));
    scope(request, everywhere, &mut alert, &mut report);
    declare(request, &mut alert, &mut report);
    report.add_if(!original.extensions.is_empty(), Rule::Extension, "alert", "");
    report.add_if(original.addresses.is_some(), Rule::Addresses, "addresses", "");
    report.add_if(!original.signatures.is_empty(), Rule::Signature, "Signature", "");
    if status == Status::Exercise {
        alert.note = original.note.as_deref().map(|note| Cow::Owned(minimise::exercise_note(note)));
        let rule = if alert.note == original.note { Rule::NoteKept } else { Rule::NoteCut };
        report.add_if(original.note.is_some(), rule, "note", "it names the exercise");
    } else if original.note.is_some() && minimise::element_crosses(request, "note") {
        alert.note = original.note.clone().map(|n| Cow::Owned(n.into_owned()));
        minimise::by_purpose(request, "note", &mut report);
    } else {
        report.add_if(original.note.is_some(), Rule::Note, "note", "");
    }
    let xml = match request.target {
        Target::CapCp | Target::Ipaws => cap_schema::write(&alert),
        Target::MasasEntry => entry::write(request, &alert, &mut report),
    };
    Ok(Translated { alert, xml, reference, msg_type: kind, report })
}

/// How many bridges carried the message, by the traces of the info that has most.
fn crossings(alert: &Alert<'_>) -> u32 {
    let traces = |info: &Info<'_>| info.parameter.iter().filter(|p| p.value_name == TRACE).count();
    alert.info.iter().map(traces).max().and_then(|most| u32::try_from(most).ok()).unwrap_or(0)
}

/// The status, lowered to the class of the message: what came from an exercise says so, whatever it called itself.
fn status(request: &Request<'_>, report: &mut Report) -> Result<Status, NotSent> {
    let own = match &request.alert.status {
        Code::Known(own @ (Status::Actual | Status::Exercise | Status::Test)) => *own,
        Code::Known(Status::System | Status::Draft) | Code::Unknown(_) => return Err(NotSent::Internal),
    };
    let lowered = match (request.settings.class, own) {
        (Class::Internal, _) => return Err(NotSent::Internal),
        (Class::Live, own) => own,
        (Class::Exercise, Status::Actual | Status::Exercise) => Status::Exercise,
        (Class::Exercise | Class::Test, _) => Status::Test,
    };
    if lowered == own {
        report.add(Rule::StatusKept, "status", &own.to_string());
    } else {
        let detail =
            format!("{own} becomes {lowered}: the class of the message is {}", request.settings.class);
        report.add(Rule::StatusLowered, "status", &detail);
    }
    Ok(lowered)
}

/// Scope, and what IPAWS allows of it: Public means Actual and places in the US there (ipaws page 4.1, rules 6 and 11).
fn scope(request: &Request<'_>, everywhere: bool, alert: &mut Alert<'static>, report: &mut Report) {
    let original = request.alert;
    let scope = original.scope.clone().map_or(Code::Known(Scope::Public), Code::into_owned);
    let narrowed = match (request.target, &scope) {
        (Target::Ipaws, Code::Known(Scope::Public)) if alert.status != Code::Known(Status::Actual) => {
            Some("participants of the exercise or test only")
        }
        (Target::Ipaws, Code::Known(Scope::Public)) if !everywhere => {
            Some("emergency management only: names places outside the United States")
        }
        _ => None,
    };
    if let Some(restriction) = narrowed {
        alert.scope = Some(Code::Known(Scope::Restricted));
        alert.restriction = Some(Cow::Borrowed(restriction));
        let detail = format!("Public narrowed to Restricted: {restriction}");
        report.add(Rule::ScopeNarrowed, "scope", &detail);
        report.add(Rule::ScopeNarrowed, "restriction", original.restriction.as_deref().unwrap_or(""));
        return;
    }
    alert.restriction = original.restriction.clone().map(|r| Cow::Owned(r.into_owned()));
    if scope == Code::Known(Scope::Public) && alert.restriction.take().is_some() {
        report.add(Rule::RestrictionIdle, "restriction", "");
    }
    if scope == Code::Known(Scope::Restricted) && alert.restriction.is_none() {
        alert.restriction = Some(Cow::Borrowed("as the originator restricts it; no rule is given"));
        report.add(Rule::RestrictionDerived, "restriction", "");
    }
    report.add_if(
        original.restriction.is_some() && alert.restriction == original.restriction,
        Rule::ScopeKept,
        "restriction",
        "",
    );
    alert.scope = Some(scope);
    report.add(Rule::ScopeKept, "scope", "");
}

/// The profile's code. Codes of the other profile and of layers do not describe this message.
fn declare(request: &Request<'_>, alert: &mut Alert<'static>, report: &mut Report) {
    let code = match request.target {
        Target::Ipaws => "IPAWSv1.0",
        Target::CapCp | Target::MasasEntry => "profile:CAP-CP:0.4",
    };
    alert.code.push(Cow::Borrowed(code));
    let has = request.alert.code.iter().any(|c| c == code);
    report.add(if has { Rule::ValueKept } else { Rule::ProfileOwn }, "code", code);
    for dropped in request.alert.code.iter().filter(|c| **c != code) {
        report.add(Rule::ProfileCode, "code", &format!("{dropped} describes the original"));
    }
}

struct Infos {
    infos: Vec<Info<'static>>,
    /// Each names a place on the far side.
    everywhere: bool,
}

/// The infos of the new message.
fn infos<'r>(
    request: &Request<'r>,
    kind: MsgType,
    mut source: Vec<&'r Info<'r>>,
    report: &mut Report,
) -> Result<Infos, NotSent> {
    let ends_earlier = source.is_empty();
    if source.is_empty() {
        match (kind, request.target) {
            (MsgType::Cancel, Target::Ipaws) => return Ok(Infos { infos: Vec::new(), everywhere: true }),
            // CAP-CP rule 5: a Cancel has an info too; the one that it ends says about what.
            (MsgType::Cancel, Target::CapCp | Target::MasasEntry) => {
                let previous = request.previous.ok_or(NotSent::NoInfo)?;
                source = previous.info.iter().collect();
                let detail = "a Cancel without info: taken from the message that it ends";
                report.add(Rule::InfoOfPrevious, "info", detail);
            }
            (MsgType::Alert | MsgType::Update | MsgType::Ack | MsgType::Error, _) => {
                return Err(NotSent::NoInfo);
            }
        }
    }
    // What an earlier translation added in place of a missing language goes again.
    let added = |info: &&Info<'_>| language::was_added(info);
    if !source.iter().all(&added) {
        let before = source.len();
        source.retain(|info| !added(info));
        report.add_if(source.len() < before, Rule::LanguageTakenAway, "info", "");
    }
    let event = codes::event(request, &source, report)?;
    let places::Placed { areas, everywhere } = places::place(request, &source, report)?;
    let open = channels::open(request, everywhere, &event, &source, report);
    let (mut infos, mut numbers) = (Vec::with_capacity(source.len() + 1), Vec::new());
    for (index, (info, areas)) in source.iter().zip(areas).enumerate() {
        match one_info(request, info, areas, &event, index, report) {
            Ok(mut made) => {
                if channels::takes(&open, &made, report) {
                    channels::parameters(request.target, &open, &mut made, report);
                    infos.push(made);
                    numbers.push(index);
                }
            }
            Err(NotSent::Expired) => {
                let field = format!("info[{}]", index + 1);
                report.add(Rule::InfoOver, &field, "");
            }
            Err(other) => return Err(other),
        }
    }
    if infos.is_empty() {
        return Err(NotSent::Expired);
    }
    channels::limits(request, &open, &mut infos, &numbers, report);
    let calls_wrong = request.alert.msg_type == Code::Known(MsgType::Error);
    if ends_earlier || (kind == MsgType::Cancel && calls_wrong) {
        infos.iter_mut().for_each(lifecycle::end_info);
    }
    language::agree(request.target, &mut infos, &numbers, report);
    for (made, number) in infos.iter().zip(&numbers) {
        let Some(original) = source.get(*number) else { continue };
        unchanged::report(kind, original, made, &format!("info[{}]", number + 1), report);
    }
    language::complete(request, kind, &mut infos, &event, report);
    Ok(Infos { infos, everywhere })
}

fn one_info(
    request: &Request<'_>,
    info: &Info<'_>,
    areas: Vec<cap_schema::Area<'static>>,
    event: &codes::Event,
    index: usize,
    report: &mut Report,
) -> Result<Info<'static>, NotSent> {
    let at = format!("info[{}]", index + 1);
    let language = language::map(request.target, info.language.as_deref());
    let mut made = info.clone().into_owned();
    if made.language.as_deref() != Some(language.as_str()) {
        let unreadable = language == language::UNDETERMINED;
        let rule = if unreadable { Rule::LanguageUnreadable } else { Rule::Language };
        let was = info.language.as_deref().filter(|_| unreadable);
        let detail = was.map_or_else(|| language.clone(), |was| format!("{was} → {language}"));
        report.add(rule, &format!("{at}/language"), &detail);
    }
    event.name(request.target, &language, &mut made, &at, report);
    made.language = Some(Cow::Owned(language));
    event.codes(request.target, &mut made, &at, report);
    made.area = areas;
    text::times(request, &mut made, &at, report)?;
    let issuer = request.settings.sender_name.as_str();
    // `COGID,CogName` is the beginning of what NWEM wants: `COGID,CogName,Requesting Agency` (ipaws page 4.3).
    let is_cog = issuer.split_once(',').is_some_and(|(id, _)| id.bytes().all(|b| b.is_ascii_digit()));
    let name = match &info.sender_name {
        Some(original) if is_cog => format!("{issuer},{}", original.replace(',', " ")),
        // What came back over the border is not ours twice.
        Some(original) if original.starts_with(&format!("{issuer} for ")) => original.to_string(),
        Some(original) => format!("{issuer} for {original}"),
        None => issuer.to_owned(),
    };
    made.sender_name = Some(Cow::Owned(name));
    report.add(Rule::SenderName, &format!("{at}/senderName"), "the bridge for the original's");
    minimise::minimise(request, &mut made, &at, report);
    personal::info(request, &mut made, &at, report);
    text::shorten(request, &mut made, &at, report);
    if event.cbrne || info.category.contains(&Code::Known(Category::Cbrne)) {
        hazards::add(&mut made, &at, report);
    }
    provenance(request, info, &mut made);
    report.add(Rule::Provenance, &format!("{at}/parameter"), "");
    Ok(made)
}

/// The message that the bridge was given, where it names another as its origin.
const RECEIVED: &str = "capbridge:received";

/// Where the message comes from. A message that crossed before keeps its first origin.
fn provenance(request: &Request<'_>, original: &Info<'_>, made: &mut Info<'static>) {
    let has = |name: &str| original.parameter.iter().any(|p| p.value_name == name);
    let origin = request.alert.reference().to_string();
    if has("capbridge:origin") && has(TRACE) {
        // Anybody can write a first origin: what this bridge was given stands beside it.
        made.parameter.retain(|p| p.value_name != RECEIVED);
        made.parameter.push(NamedValue::new(RECEIVED, origin));
    } else {
        made.parameter.retain(|p| !["capbridge:origin", "capbridge:originalEvent"].contains(&&*p.value_name));
        made.parameter.push(NamedValue::new("capbridge:origin", origin));
        made.parameter.push(NamedValue::new("capbridge:originalEvent", original.event.to_string()));
    }
    let trace = NamedValue::new(TRACE, request.settings.bridge_name.clone());
    if !made.parameter.contains(&trace) {
        made.parameter.push(trace);
    }
}

#[cfg(test)]
mod tests;

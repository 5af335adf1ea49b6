//! Update, Cancel, Ack and Error over the border: what a message becomes and what it refers to.

use std::borrow::Cow;

use cap_schema::{Alert, Certainty, Code, Info, MsgType, ResponseType, Severity as CapSeverity, Urgency};

use crate::envelope::Reference;
use crate::pipeline::owned;

use super::report::{Report, Rule};
use super::{NotSent, Request, Target, identity};

/// The msgType of the new message.
pub(super) fn kind(request: &Request<'_>, report: &mut Report) -> Result<MsgType, NotSent> {
    let Code::Known(kind) = request.alert.msg_type else { return Err(NotSent::NoInfo) };
    let has_none = match request.issued {
        Some(issued) => issued.is_empty(),
        None => earlier(request.alert).is_empty(),
    };
    match kind {
        // The Canadian weather service ends an alert by an Update (cap page 4.5); IPAWS has no other word than Cancel.
        MsgType::Update if request.target == Target::Ipaws && is_ended(request.alert) => {
            if has_none {
                return Err(NotSent::NothingToEnd);
            }
            let detail = "Update becomes Cancel: all its infos say that the alert has ended";
            report.add(Rule::Ended, "msgType", detail);
            return Ok(MsgType::Cancel);
        }
        MsgType::Alert if issued_before(request) => {
            report.add(Rule::Reissued, "msgType", "Alert becomes Update");
            return Ok(MsgType::Update);
        }
        MsgType::Alert => {}
        MsgType::Update if issued_before(request) => report.add(Rule::Reissued, "references", ""),
        // Receivers give Error no effect (ipaws page 4.3), so the message that its sender calls wrong must end.
        MsgType::Error if !has_none && speaks_of_its_own(request.alert) => {
            report.add(
                Rule::ErrorEnds,
                "msgType",
                "Error becomes Cancel: the sender rejects its own message",
            );
            return Ok(MsgType::Cancel);
        }
        MsgType::Ack | MsgType::Error => return Err(NotSent::Answer),
        MsgType::Cancel if has_none => return Err(NotSent::NothingToEnd),
        // The destination refuses an Update of something that it does not have (IPAWS 207, 307).
        MsgType::Update if has_none => {
            let detail = "Update becomes Alert: the destination has nothing of its chain";
            report.add(Rule::FirstMessage, "msgType", detail);
            return Ok(MsgType::Alert);
        }
        MsgType::Update | MsgType::Cancel => {}
    }
    report.add(Rule::KindKept, "msgType", kind_name(kind));
    Ok(kind)
}

/// Whether the destination has the very message from us, under a former identity.
fn issued_before(request: &Request<'_>) -> bool {
    let own = owned(&request.alert.reference());
    request.issued.is_some_and(|issued| issued.iter().any(|(original, _)| *original == own))
}

/// The references that can be followed: with a time, and not to the message itself.
fn earlier<'a>(alert: &'a Alert<'_>) -> Vec<cap_schema::Reference<'a>> {
    let usable = |r: &cap_schema::Reference<'_>| {
        cap_schema::Time::new(r.sent.as_ref()).instant().is_some() && r.identifier != alert.identifier
    };
    alert.references().into_iter().filter(usable).collect()
}

/// Every reference is to a message of the same sender.
fn speaks_of_its_own(alert: &Alert<'_>) -> bool {
    let references = alert.references();
    !references.is_empty() && references.iter().all(|r| r.sender == alert.sender)
}

/// Whether the destination is known to hold what this Update or Cancel takes the place of.
pub(super) fn holds_earlier(request: &Request<'_>, kind: MsgType) -> bool {
    let replaces = match kind {
        MsgType::Update | MsgType::Cancel => true,
        MsgType::Alert | MsgType::Ack | MsgType::Error => false,
    };
    replaces && request.issued.is_some_and(|issued| !issued.is_empty())
}

/// Whether a message that cannot be sent ends what the destination holds. One whose shapes cannot be read does so only
/// where it is a Cancel: an Update of the same places may stand behind a mistyped one.
pub(super) fn ends_instead(request: &Request<'_>, kind: MsgType, why: NotSent) -> bool {
    let ends = match why {
        NotSent::Untouched | NotSent::Expired => true,
        NotSent::Unreadable | NotSent::Swapped => kind == MsgType::Cancel,
        NotSent::Answer
        | NotSent::Crossed
        | NotSent::Internal
        | NotSent::NoInfo
        | NotSent::NothingToEnd
        | NotSent::Private
        | NotSent::SeveralEvents
        | NotSent::TooManyPoints => false,
    };
    ends && holds_earlier(request, kind)
}

/// What the destination gets instead of a message that is not for it: the end of what it holds.
pub(super) fn end_earlier(kind: MsgType, why: NotSent, report: &mut Report) -> MsgType {
    let detail = match kind {
        MsgType::Cancel => format!("a Cancel of what the destination holds, without the infos: {why}"),
        MsgType::Alert | MsgType::Update | MsgType::Ack | MsgType::Error => {
            format!(
                "{} becomes Cancel: {why}, and the destination holds the earlier message",
                kind_name(kind)
            )
        }
    };
    report.add(Rule::EndsEarlier, "msgType", &detail);
    MsgType::Cancel
}

/// Every info says that its places are out of the alert.
fn is_ended(alert: &Alert<'_>) -> bool {
    let ended = |info: &Info<'_>| {
        info.parameter
            .iter()
            .filter(|p| p.value_name.ends_with(":Alert_Location_Status"))
            .max_by(|a, b| a.value_name.cmp(&b.value_name))
            .is_some_and(|p| matches!(p.value.trim(), "ended" | "transitioned_out"))
    };
    !alert.info.is_empty() && alert.info.iter().all(ended)
}

fn kind_name(kind: MsgType) -> &'static str {
    use cap_schema::CodeList;
    kind.as_str()
}

/// References to our own messages: all that the destination has of the chain, oldest first, each once.
pub(super) fn references(
    request: &Request<'_>,
    own: &Reference,
    kind: MsgType,
    report: &mut Report,
) -> Option<String> {
    if kind == MsgType::Alert {
        report.add_if(request.alert.references.is_some(), Rule::NoReferences, "references", "");
        return None;
    }
    let all: Vec<Reference> = match request.issued {
        Some(issued) => issued.iter().map(|(_, ours)| ours.clone()).collect(),
        None => earlier(request.alert).iter().map(|r| identity::derived(request, r)).collect(),
    };
    // Lists that accumulate name the same message again, and real ones name themselves (cap page 1.8).
    let mut ours: Vec<String> = Vec::with_capacity(all.len());
    for reference in all.iter().filter(|reference| reference.identifier != own.identifier) {
        let text = reference.to_string();
        if !ours.contains(&text) {
            ours.push(text);
        }
    }
    let strangers = request.alert.references().into_iter().filter(|r| r.sender != request.alert.sender);
    for stranger in strangers {
        report.add(Rule::SenderPart, "references", &stranger.to_string());
    }
    if request.issued.is_none() && earlier(request.alert).len() < request.alert.references().len() {
        report.add(Rule::ReferenceUnusable, "references", "");
    }
    let detail = format!("to our {} message(s) of the chain: {}", ours.len(), ours.join(" "));
    report.add(Rule::References, "references", &detail);
    Some(ours.join(" "))
}

/// The word for an end.
pub(super) fn ended(language: Option<&str>) -> &'static str {
    if language.is_some_and(|l| l.starts_with("fr")) { "annulé" } else { "cancelled" }
}

/// What an info says that ends an event.
pub(super) fn end_info(info: &mut Info<'static>) {
    info.response_type = vec![Code::Known(ResponseType::AllClear)];
    info.urgency = Code::Known(Urgency::Past);
    info.severity = Code::Known(CapSeverity::Minor);
    info.certainty = Code::Known(Certainty::Observed);
    info.instruction = None;
    let headline = info.headline.take().unwrap_or(Cow::Borrowed(""));
    let ended = ended(info.language.as_deref());
    info.headline = Some(Cow::Owned(format!("{headline} - {ended}").trim_start_matches(" - ").to_owned()));
    info.description = None;
}

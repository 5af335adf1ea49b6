//! Rules on the message itself: identity, references, scope, notes (CAP 1.2 section 3.2.1).

use super::Findings;
use crate::alert::{Alert, Version};
use crate::code::{MsgType, ResponseType, Scope, Status};
use crate::reference::read_list;
use crate::time::{Time, TimeForm};

pub(super) fn check(alert: &Alert<'_>, out: &mut Findings) {
    identity(alert, out);
    references(alert, out);
    scope(alert, out);
    notes(alert, out);
}

/// V6: no white space, comma, `<` or `&`.
fn identity(alert: &Alert<'_>, out: &mut Findings) {
    let bad = |text: &str| text.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '<' | '&'));
    if bad(&alert.identifier) {
        out.add("cap.identifier.characters", "/alert/identifier", "white space, comma, < or & in identifier");
    }
    if bad(&alert.sender) {
        out.add("cap.sender.characters", "/alert/sender", "white space, comma, < or & in sender");
    }
}

/// V7 to V10.
fn references(alert: &Alert<'_>, out: &mut Findings) {
    const PATH: &str = "/alert/references";
    let needed = match alert.msg_type.known() {
        Some(MsgType::Update | MsgType::Cancel | MsgType::Ack | MsgType::Error) => true,
        Some(MsgType::Alert) | None => false,
    };
    let Some(text) = alert.references.as_deref() else {
        if needed {
            out.add("cap.references.missing", "/alert", format!("{} without references", alert.msg_type));
        }
        return;
    };
    // CAP 1.0 has identifier/sender without time.
    if alert.version == Version::V1_0 {
        for piece in text.split_ascii_whitespace() {
            let (identifier, sender) = piece.split_once('/').unwrap_or((piece, ""));
            if identifier.is_empty() || sender.is_empty() || piece.contains([',', '<', '&']) {
                let shown: String = piece.chars().take(80).collect();
                let message = format!("'{}' is not identifier/sender", shown.escape_debug());
                out.add("cap.references.syntax", PATH, message);
            } else if identifier == alert.identifier && sender == alert.sender {
                out.add("cap.references.self", PATH, "the message refers to itself");
            }
        }
        return;
    }
    let (good, bad) = read_list(text);
    for piece in bad {
        let shown: String = piece.chars().take(80).collect();
        out.add(
            "cap.references.syntax",
            PATH,
            format!("'{}' is not sender,identifier,sent", shown.escape_debug()),
        );
    }
    let sent = alert.sent.instant();
    for reference in good {
        if [&reference.sender, &reference.identifier].iter().any(|t| t.contains(['<', '&'])) {
            out.add("cap.references.syntax", PATH, format!("'{reference}' has < or & in it"));
        }
        let time = Time::new(reference.sent.as_ref());
        if time.form() != TimeForm::Cap {
            out.add("cap.references.time", PATH, format!("'{}' is not a CAP time", reference.sent));
        }
        if reference.identifier == alert.identifier && reference.sender == alert.sender {
            out.add("cap.references.self", PATH, "the message refers to itself");
        } else if let (Some(theirs), Some(ours)) = (time.instant(), sent)
            && theirs > ours
        {
            out.add("cap.references.postdated", PATH, format!("'{reference}' was sent after this message"));
        }
    }
}

/// V11, V12.
fn scope(alert: &Alert<'_>, out: &mut Findings) {
    let scope = alert.scope.as_ref().and_then(|s| s.known());
    if scope == Some(Scope::Restricted) && alert.restriction.is_none() {
        out.add("cap.restriction.missing", "/alert/scope", "Restricted without restriction");
    }
    if scope.is_some_and(|s| s != Scope::Restricted) && alert.restriction.is_some() {
        out.add("cap.restriction.scope", "/alert/restriction", "restriction, and scope is not Restricted");
    }
    if scope == Some(Scope::Private) && alert.addresses.is_none() {
        out.add("cap.addresses.missing", "/alert/scope", "Private without addresses");
    }
    for (path, text) in [("/alert/addresses", &alert.addresses), ("/alert/incidents", &alert.incidents)] {
        if text.as_deref().is_some_and(|t| t.bytes().filter(|b| *b == b'"').count() % 2 == 1) {
            out.add("cap.addresses.quotes", path, "a quote is not closed");
        }
    }
}

/// V23, and derefUri (N10).
fn notes(alert: &Alert<'_>, out: &mut Findings) {
    let unsaid = match (alert.status.known(), alert.msg_type.known()) {
        (Some(Status::Exercise), _) => Some("an Exercise"),
        (Some(Status::Test), _) => Some("a Test"),
        (_, Some(MsgType::Error)) => Some("an Error"),
        _ => None,
    };
    if let (Some(what), None) = (unsaid, &alert.note) {
        out.add("cap.note.missing", "/alert", format!("{what} without note"));
    }
    let actual = alert.status.known() == Some(Status::Actual);
    if actual
        && alert.info.is_empty()
        && matches!(alert.msg_type.known(), Some(MsgType::Alert | MsgType::Update))
    {
        out.add("cap.info.missing", "/alert", format!("an actual {} without info", alert.msg_type));
    }
    let public = alert.scope.as_ref().and_then(|s| s.known()) == Some(Scope::Public);
    for (index, info) in alert.info.iter().enumerate() {
        let assess = info.response_type.iter().position(|r| r.known() == Some(ResponseType::Assess));
        if public && let Some(at) = assess {
            let path = format!("/alert/info[{}]/responseType[{}]", index + 1, at + 1);
            out.add("cap.response-type.assess", path, "Assess in a public message");
        }
        for (at, resource) in info.resource.iter().enumerate() {
            if resource.deref_uri.is_some() {
                let path = format!("/alert/info[{}]/resource[{}]/derefUri", index + 1, at + 1);
                out.add("cap.deref-uri.present", path, "derefUri: remove it on a two-way network");
            }
        }
    }
}

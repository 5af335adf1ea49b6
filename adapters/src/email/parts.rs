//! The alert for people, as text and as HTML, in every language that it carries.
//!
//! Owns the labels, the banner of exercises and tests, and the cleaning of foreign text: control characters and those
//! that change the direction of writing are shown, not obeyed. Nothing is left out, shortened or reworded.

use std::fmt::Write as _;

use cap_schema::{Alert, Info, Severity, Urgency};

use crate::class::Class;
use crate::relayed::Relayed;

/// One line or paragraph for people.
enum Row {
    Title(String),
    Fact(&'static str, String),
    Text(&'static str, String),
}

struct Labels {
    event: &'static str,
    degree: &'static str,
    effective: &'static str,
    onset: &'static str,
    expires: &'static str,
    area: &'static str,
    description: &'static str,
    instruction: &'static str,
    from: &'static str,
    web: &'static str,
    contact: &'static str,
}

const ENGLISH: Labels = Labels {
    event: "Event",
    degree: "Severity, urgency, certainty",
    effective: "In effect from",
    onset: "Expected from",
    expires: "Until",
    area: "Area",
    description: "Description",
    instruction: "Instructions",
    from: "From",
    web: "More",
    contact: "Contact",
};

const FRENCH: Labels = Labels {
    event: "Événement",
    degree: "Gravité, urgence, certitude",
    effective: "En vigueur dès",
    onset: "Attendu dès",
    expires: "Jusqu’à",
    area: "Région",
    description: "Description",
    instruction: "Consignes",
    from: "De",
    web: "Renseignements",
    contact: "Contact",
};

/// Whether somebody should look now.
pub(super) fn is_urgent(alert: &Alert<'_>) -> bool {
    alert.info.iter().any(|info| {
        info.severity.known() == Some(Severity::Extreme) || info.urgency.known() == Some(Urgency::Immediate)
    })
}

/// What happens and where, on one line.
pub(super) fn in_short(alert: &Alert<'_>) -> String {
    let Some(info) = alert.info.first() else { return line(&alert.identifier) };
    let what = info.headline.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(&info.event);
    let severity = info.severity.as_str();
    let place = info.area.first().map(|area| line(&area.area_desc)).unwrap_or_default();
    let short = format!("{} ({})", line(what), line(severity));
    if place.is_empty() { short } else { format!("{short} – {place}") }
}

/// Foreign text as one line.
pub(super) fn line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Line ends are kept; what a terminal or mail program would obey is shown instead.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").replace('\r', "\n").chars() {
        let obeyed = c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if obeyed {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// What is said before everything else, where the message is not the real thing.
fn banner(relayed: &Relayed) -> Vec<String> {
    match relayed.data.usage.class {
        Class::Live => Vec::new(),
        Class::Exercise => {
            let name = relayed.data.usage.exercise.as_ref().map(|e| line(&e.0)).unwrap_or_default();
            vec![
                "EXERCISE – EXERCISE – EXERCISE / EXERCICE – EXERCICE – EXERCICE".to_owned(),
                format!(
                    "This message is part of the exercise “{name}”. It is not a real alert. Take no real action."
                ),
                format!("Ce message fait partie de l’exercice « {name} ». Ce n’est pas une alerte réelle."),
            ]
        }
        Class::Test | Class::Internal => vec![
            "TEST – TEST – TEST".to_owned(),
            "This message is a technical test. It is not a real alert.".to_owned(),
            "Ce message est un essai technique. Ce n’est pas une alerte réelle.".to_owned(),
        ],
    }
}

fn rows(info: &Info<'_>) -> Vec<Row> {
    let french = info.language.as_deref().is_some_and(|l| l.to_ascii_lowercase().starts_with("fr"));
    let labels = if french { &FRENCH } else { &ENGLISH };
    let mut rows = Vec::new();
    let headline = info.headline.as_deref().filter(|text| !text.trim().is_empty());
    rows.push(Row::Title(line(headline.unwrap_or(&info.event))));
    rows.push(Row::Fact(labels.event, line(&info.event)));
    let degree =
        format!("{}, {}, {}", info.severity.as_str(), info.urgency.as_str(), info.certainty.as_str());
    rows.push(Row::Fact(labels.degree, line(&degree)));
    let times =
        [(labels.effective, &info.effective), (labels.onset, &info.onset), (labels.expires, &info.expires)];
    for (label, time) in times {
        if let Some(time) = time {
            rows.push(Row::Fact(label, line(time.as_str())));
        }
    }
    for area in &info.area {
        rows.push(Row::Fact(labels.area, line(&area.area_desc)));
    }
    for (label, text) in [(labels.description, &info.description), (labels.instruction, &info.instruction)] {
        if let Some(text) = text {
            rows.push(Row::Text(label, clean(text)));
        }
    }
    for (label, text) in
        [(labels.from, &info.sender_name), (labels.web, &info.web), (labels.contact, &info.contact)]
    {
        if let Some(text) = text {
            rows.push(Row::Fact(label, line(text)));
        }
    }
    rows
}

/// Where the message comes from and what it is, in facts.
fn origin(relayed: &Relayed, alert: &Alert<'_>) -> Vec<(&'static str, String)> {
    let trail = &relayed.data.trail;
    let mut facts = vec![
        ("Message / Message", line(alert.msg_type.as_str())),
        ("Status / Statut", line(alert.status.as_str())),
        ("Reference / Référence", line(&relayed.data.reference)),
        ("Source / Source", format!("{} ({})", line(&trail.origin), line(&trail.system))),
    ];
    if trail.translated {
        facts.push(("Original / Original", line(&trail.reference)));
    }
    if let Some(references) = &alert.references {
        facts.push(("Refers to / Concerne", line(references)));
    }
    facts
}

const ATTACHED: &str = "The attached CAP document is the alert; this text is made from it. / \
                        Le document CAP joint constitue l’alerte; ce texte en est tiré.";

/// The text part.
pub(super) fn plain(relayed: &Relayed, alert: &Alert<'_>) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    for text in banner(relayed) {
        let _ = writeln!(out, "{text}");
    }
    for info in &alert.info {
        if !out.is_empty() {
            let _ = writeln!(out, "\n----------\n");
        }
        for row in rows(info) {
            let _ = match row {
                Row::Title(text) => writeln!(out, "{text}\n"),
                Row::Fact(label, text) => writeln!(out, "{label}: {text}"),
                Row::Text(label, text) => writeln!(out, "\n{label}:\n{text}\n"),
            };
        }
    }
    let _ = writeln!(out, "\n----------\n");
    for (label, text) in origin(relayed, alert) {
        let _ = writeln!(out, "{label}: {text}");
    }
    let _ = writeln!(out, "\n{ATTACHED}");
    out
}

/// The HTML part: no link that can be pressed, no picture, no script, nothing that is fetched.
pub(super) fn html(relayed: &Relayed, alert: &Alert<'_>) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n");
    let said = banner(relayed);
    if !said.is_empty() {
        out.push_str("<div style=\"border:4px solid #a00;padding:8px\">");
        for (n, text) in said.iter().enumerate() {
            let tag = if n == 0 { "h1" } else { "p" };
            let _ = write!(out, "<{tag}>{}</{tag}>", escaped(text));
        }
        out.push_str("</div>\n");
    }
    for info in &alert.info {
        let language =
            info.language.as_deref().filter(|l| l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let _ = writeln!(out, "<div lang=\"{}\">", language.unwrap_or("en-US"));
        for row in rows(info) {
            let _ = match row {
                Row::Title(text) => writeln!(out, "<h2>{}</h2>", escaped(&text)),
                Row::Fact(label, text) => {
                    writeln!(out, "<p><b>{label}:</b> <bdi>{}</bdi></p>", escaped(&text))
                }
                Row::Text(label, text) => writeln!(
                    out,
                    "<p><b>{label}:</b></p><div style=\"white-space:pre-wrap\"><bdi>{}</bdi></div>",
                    escaped(&text)
                ),
            };
        }
        out.push_str("</div><hr>\n");
    }
    for (label, text) in origin(relayed, alert) {
        let _ = writeln!(out, "<p><b>{label}:</b> <bdi>{}</bdi></p>", escaped(&text));
    }
    let _ = writeln!(out, "<p>{ATTACHED}</p></body></html>");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

//! Writes the CAP document of an entry.

use std::borrow::Cow;
use std::fmt::Write;

use cap_schema::Finding;
use jiff::SignedDuration;

use super::places::{Places, places};
use super::{EntryError, EntryScope, EntrySettings, Made, cap_time, icons};
use crate::atom::{Entry, Text};
use crate::masas::{CAP_TYPE, CAP_TYPE_IANA};

pub(super) const STATUS: &str = "masas:category:status";
const SEVERITY: &str = "masas:category:severity";
const CERTAINTY: &str = "masas:category:certainty";
const CATEGORY: &str = "masas:category:category";
const ICON: &str = "masas:category:icon";

pub(super) const STATUSES: [&str; 5] = ["Actual", "Exercise", "System", "Test", "Draft"];
const SEVERITIES: [&str; 5] = ["Extreme", "Severe", "Moderate", "Minor", "Unknown"];
const CERTAINTIES: [&str; 5] = ["Observed", "Likely", "Possible", "Unlikely", "Unknown"];
const CATEGORIES: [&str; 12] = [
    "Geo",
    "Met",
    "Safety",
    "Security",
    "Rescue",
    "Fire",
    "Health",
    "Env",
    "Transport",
    "Infra",
    "CBRNE",
    "Other",
];
/// The longest headline that CAP-CP and IPAWS allow.
const HEADLINE_CHARS: usize = 160;

pub(super) fn write(entry: &Entry, settings: &EntrySettings) -> Result<Made, EntryError> {
    let mut draft = Draft::of(entry, settings)?;
    let mut out = Out(String::with_capacity(4_096));
    out.0.push_str(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    out.0.push_str(r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">"#);
    out.element("identifier", &draft.identifier);
    out.element("sender", &draft.sender);
    out.element("sent", &draft.sent);
    out.element("status", draft.status);
    out.element("msgType", draft.msg_type);
    out.element("source", &format!("MASAS {}", settings.hub_host()));
    match settings.scope {
        EntryScope::Public => out.element("scope", "Public"),
        EntryScope::Restricted => {
            out.element("scope", "Restricted");
            out.element("restriction", &settings.restriction);
        }
    }
    if let Some(first) = &draft.first {
        out.element("references", first);
    }
    let places = places(&entry.shapes);
    for (rule, message) in &places.remarks {
        draft.remark(rule, message.clone());
    }
    let (languages, assumed) = languages(entry, settings);
    if let Some(language) = assumed {
        draft.remark("masas.language", format!("text without a language is taken as {language}"));
    }
    for language in &languages {
        draft.info(&mut out, language, &places);
    }
    out.0.push_str("</alert>");
    Ok(Made { cap: out.0.into_bytes(), findings: draft.findings })
}

struct Draft<'e> {
    entry: &'e Entry,
    id: &'e str,
    identifier: String,
    sender: String,
    sent: String,
    status: &'static str,
    msg_type: &'static str,
    /// The reference of the first version, where this is not it.
    first: Option<String>,
    default_language: &'e str,
    hub: String,
    findings: Vec<Finding>,
}

impl<'e> Draft<'e> {
    fn of(entry: &'e Entry, settings: &'e EntrySettings) -> Result<Self, EntryError> {
        let id = entry.id.as_deref().ok_or(EntryError::Missing { element: "id" })?;
        let updated = entry.updated.ok_or(EntryError::Missing { element: "updated" })?;
        let written = entry.terms(STATUS).next().ok_or(EntryError::Missing { element: "status category" })?;
        if let Some(other) = entry.terms(STATUS).find(|term| *term != written) {
            return Err(EntryError::UnknownStatus { status: format!("{written} and {other}") });
        }
        let status = STATUSES.into_iter().find(|s| *s == written);
        let status = status.ok_or_else(|| EntryError::UnknownStatus { status: written.to_owned() })?;
        if entry.title.0.is_empty() && entry.content.0.is_empty() {
            return Err(EntryError::Missing { element: "title or content" });
        }
        let sender = settings.sender();
        let published = entry.published.unwrap_or(updated);
        let slack = SignedDuration::from_secs(i64::from(settings.cancel_slack_secs));
        let ended = entry.expires.is_some_and(|expires| expires.duration_since(updated) <= slack);
        let (msg_type, first) = if published >= updated {
            ("Alert", None)
        } else {
            let first = format!("{sender},{},{}", name(id, published), cap_time(published));
            (if ended { "Cancel" } else { "Update" }, Some(first))
        };
        let hub = settings.hub.as_ref().map_or_else(String::new, |hub| hub.as_str().to_owned());
        let mut draft = Draft {
            entry,
            id,
            identifier: name(id, updated),
            sender,
            sent: cap_time(updated),
            status,
            msg_type,
            first,
            default_language: &settings.default_language,
            hub,
            findings: Vec::new(),
        };
        draft.remark("masas.entry", "made from an entry without CAP".to_owned());
        for (element, text) in &entry.bad_times {
            draft.remark("masas.time", format!("{element} {text:?} is not a time and is left out"));
        }
        Ok(draft)
    }

    fn remark(&mut self, rule: &'static str, message: String) {
        self.findings.push(super::finding(rule, message));
    }

    /// The first term of a scheme that the list knows.
    fn term(
        &mut self,
        scheme: &'static str,
        known: &[&'static str],
        otherwise: &'static str,
    ) -> &'static str {
        let Some(written) = self.entry.terms(scheme).next() else { return otherwise };
        if let Some(term) = known.iter().find(|k| **k == written) {
            return term;
        }
        let list = scheme.rsplit(':').next().unwrap_or(scheme);
        self.once(
            "masas.term",
            format!("{list} {written:?} is not a CAP value; {otherwise} is given instead"),
        );
        otherwise
    }

    /// A remark that would be the same for each language.
    fn once(&mut self, rule: &'static str, message: String) {
        let finding = super::finding(rule, message);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn info(&mut self, out: &mut Out, language: &str, places: &Places) {
        let entry = self.entry;
        let french = language.starts_with("fr");
        let written = entry.terms(ICON).next().unwrap_or("other").to_owned();
        let icon = icons::find(&written).or_else(|| icons::find("other"));
        let event = icon.map_or("Other", |(icon, _)| if french { icon.fr } else { icon.en });
        if !icon.is_some_and(|(_, own)| own) {
            self.once(
                "masas.icon",
                format!("icon {written:?} has no event of its own; the class above names it"),
            );
        }
        out.open("info");
        out.element("language", language);
        for category in self.categories() {
            out.element("category", category);
        }
        out.element("event", event);
        out.element("urgency", "Unknown");
        let severity = self.term(SEVERITY, &SEVERITIES, "Unknown");
        out.element("severity", severity);
        let certainty = self.term(CERTAINTY, &CERTAINTIES, "Unknown");
        out.element("certainty", certainty);
        if let Some((icons::Icon { event: Some(code), .. }, true)) = icon {
            out.pair("eventCode", "profile:CAP-CP:Event:0.4", code);
        }
        if let Some(effective) = entry.effective {
            out.element("effective", &cap_time(effective));
        }
        if let Some(expires) = entry.expires {
            out.element("expires", &cap_time(expires));
        }
        if let Some(name) = &entry.author.name {
            out.element("senderName", name);
        }
        self.words(out, language);
        if let Some(related) = entry.linked("related").next() {
            out.element("web", &related.href);
        }
        self.parameters(out, &written, places);
        self.resources(out);
        self.area(out, language, places);
        out.close("info");
    }

    fn categories(&mut self) -> Vec<&'static str> {
        let entry = self.entry;
        let mut found = Vec::new();
        for written in entry.terms(CATEGORY) {
            match CATEGORIES.iter().find(|c| **c == written) {
                Some(category) if found.contains(category) => {}
                Some(category) => found.push(*category),
                None => self.once(
                    "masas.term",
                    format!("category {written:?} is not a CAP value and is kept as a parameter"),
                ),
            }
        }
        if found.is_empty() {
            found.push("Other");
        }
        found
    }

    fn words(&mut self, out: &mut Out, language: &str) {
        let entry = self.entry;
        let title = spoken(&entry.title, language, self.default_language);
        let content = spoken(&entry.content, language, self.default_language);
        let summary = spoken(&entry.summary, language, self.default_language);
        if let Some(title) = title {
            let headline: String = title.chars().take(HEADLINE_CHARS).collect();
            if headline.len() < title.len() {
                self.once(
                    "masas.headline",
                    format!(
                        "the title was cut to {HEADLINE_CHARS} characters; the description holds it whole"
                    ),
                );
            }
            out.element("headline", &headline);
        }
        let cut = title.filter(|t| t.chars().count() > HEADLINE_CHARS);
        let parts: Vec<&str> = [cut, summary, content].into_iter().flatten().collect();
        if !parts.is_empty() {
            out.element("description", &parts.join("\n\n"));
        }
    }

    fn parameters(&self, out: &mut Out, icon: &str, places: &Places) {
        out.pair("parameter", "layer:MASAS:entry", self.id);
        out.pair("parameter", "layer:MASAS:icon", icon);
        if !self.hub.is_empty() {
            out.pair("parameter", "layer:MASAS:hub", &self.hub);
        }
        if let Some(account) = &self.entry.author.uri {
            out.pair("parameter", "layer:MASAS:author", account);
        }
        for unknown in self.entry.terms(CATEGORY).filter(|t| !CATEGORIES.contains(t)) {
            out.pair("parameter", "layer:MASAS:category", unknown);
        }
        for (name, value) in &places.parameters {
            out.pair("parameter", name, value);
        }
    }

    /// Enclosures need the hub's secret, so their addresses are of use to members only.
    fn resources(&self, out: &mut Out) {
        for file in
            self.entry.linked("enclosure").filter(|l| !l.is_type(CAP_TYPE) && !l.is_type(CAP_TYPE_IANA))
        {
            out.open("resource");
            out.element("resourceDesc", file.title.as_deref().unwrap_or("attachment"));
            out.element("mimeType", file.media_type.as_deref().unwrap_or("application/octet-stream"));
            if let Some(bytes) = file.length {
                out.element("size", &bytes.to_string());
            }
            out.element("uri", &file.href);
            out.close("resource");
        }
    }

    fn area(&mut self, out: &mut Out, language: &str, places: &Places) {
        if places.polygons.is_empty() && places.circles.is_empty() {
            self.once("masas.geometry", "the entry has no geometry, so the alert has no area".to_owned());
            return;
        }
        let title = spoken(&self.entry.title, language, self.default_language);
        let fallback = if language.starts_with("fr") { "Lieu MASAS" } else { "MASAS location" };
        out.open("area");
        out.element("areaDesc", title.unwrap_or(fallback));
        for polygon in &places.polygons {
            out.element("polygon", polygon);
        }
        for circle in &places.circles {
            out.element("circle", circle);
        }
        out.close("area");
    }
}

/// The CAP languages of an entry, in the order of its title and content; and the one that was assumed, if one was.
fn languages<'s>(entry: &Entry, settings: &'s EntrySettings) -> (Vec<String>, Option<&'s str>) {
    let mut found: Vec<String> = Vec::new();
    let mut assumed = None;
    for (language, _) in entry.title.0.iter().chain(&entry.content.0) {
        let language = match language {
            Some(written) => cap_language(written),
            None => {
                assumed = Some(settings.default_language.as_str());
                settings.default_language.clone()
            }
        };
        if !found.contains(&language) {
            found.push(language);
        }
    }
    (found, assumed)
}

/// Hubs write two letters where CAP-CP wants the country too.
fn cap_language(written: &str) -> String {
    match written.to_ascii_lowercase().as_str() {
        "en" => "en-CA".to_owned(),
        "fr" => "fr-CA".to_owned(),
        _ => written.to_owned(),
    }
}

/// What is said in a language.
fn spoken<'t>(text: &'t Text, language: &str, default_language: &str) -> Option<&'t str> {
    let found = text.0.iter().find(|(own, _)| match own {
        Some(own) => cap_language(own) == language,
        None => language == default_language,
    });
    found.map(|(_, text)| text.as_str())
}

/// The identifier of a version of an entry.
pub(super) fn name(id: &str, at: jiff::Timestamp) -> String {
    format!("masas-{}-{}", identifier_of(id), compact(at))
}

/// The last part of an entry's id, without what CAP does not allow in identifiers.
fn identifier_of(id: &str) -> String {
    let last = id.rsplit(':').next().unwrap_or(id);
    last.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.' { c } else { '_' })
        .collect()
}

fn compact(at: jiff::Timestamp) -> String {
    jiff::fmt::strtime::format("%Y%m%dT%H%M%SZ", at).unwrap_or_default()
}

pub(super) struct Out(pub(super) String);

impl Out {
    fn open(&mut self, name: &str) {
        let _ = write!(self.0, "<{name}>");
    }

    fn close(&mut self, name: &str) {
        let _ = write!(self.0, "</{name}>");
    }

    pub(super) fn element(&mut self, name: &str, text: &str) {
        let _ = write!(self.0, "<{name}>{}</{name}>", escaped(text));
    }

    fn pair(&mut self, name: &str, value_name: &str, value: &str) {
        self.open(name);
        self.element("valueName", value_name);
        self.element("value", value);
        self.close(name);
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '\r']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;"))
}

#[cfg(test)]
mod tests;

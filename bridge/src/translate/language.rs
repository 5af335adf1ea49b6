//! Languages over the border. No block is dropped; missing French gets the official event name and a notice, never a
//! machine's guess at safety text.

use std::borrow::Cow;

use cap_schema::Info;

use super::codes::Event;
use super::report::{Action, Report, Severity};
use super::{Request, Target};

/// The notice of a block that has no text of its own in French.
const NOTICE_FR: &str =
    "Ce message n'a été diffusé qu'en anglais par son émetteur. Consultez le texte anglais ci-joint.";

/// The language of a block at the target.
pub(super) fn map(target: Target, language: Option<&str>) -> String {
    let language = language.unwrap_or("en-US");
    let lower = language.to_ascii_lowercase();
    let mapped = match (target, lower.as_str()) {
        (Target::Ipaws, "en-ca" | "en") => "en-US",
        (Target::CapCp | Target::MasasEntry, "en-us" | "en") => "en-CA",
        (Target::CapCp | Target::MasasEntry, "fr") => "fr-CA",
        (Target::Ipaws | Target::CapCp | Target::MasasEntry, _) => language,
    };
    mapped.to_owned()
}

/// Adds the French block that CAP-CP recommends, where there is none.
pub(super) fn complete(
    request: &Request<'_>,
    infos: &mut Vec<Info<'static>>,
    event: &Event,
    report: &mut Report,
) {
    if request.target == Target::Ipaws {
        return;
    }
    let is = |info: &Info<'_>, language: &str| {
        info.language.as_deref().is_some_and(|l| l.to_ascii_lowercase().starts_with(language))
    };
    if infos.iter().any(|i| is(i, "fr")) {
        return;
    }
    let Some(english) = infos.iter().find(|i| is(i, "en")) else { return };
    let name = event.name_fr().to_owned();
    let french = Info {
        language: Some(Cow::Borrowed("fr-CA")),
        event: Cow::Owned(name.clone()),
        headline: Some(Cow::Owned(name)),
        description: Some(Cow::Borrowed(NOTICE_FR)),
        instruction: None,
        audience: None,
        resource: Vec::new(),
        ..english.clone()
    };
    infos.push(french);
    report.add(
        "info",
        Action::Derived,
        "fr-CA: official event name and a notice; the text is in English only",
        Severity::Warning,
    );
}

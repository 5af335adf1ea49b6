//! Languages over the border. No block is dropped; missing French gets the official event name and a notice, never a
//! machine's guess at safety text.

use std::borrow::Cow;

use cap_schema::{Info, NamedValue};

use super::codes::Event;
use super::report::{Report, Rule};
use super::{Request, Target};

/// The notice of a block that has no text of its own in French.
const NOTICE_FR: &str =
    "Ce message n'a été diffusé qu'en anglais par son émetteur. Consultez le texte anglais ci-joint.";

/// Marks a block that a translation added: it is taken away again on the way back.
pub(super) const ADDED: &str = "capbridge:addedLanguage";

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

/// CAP-CP rule 6: what is not text is the same in all languages. Where it is not, the first block counts and a person
/// is called.
pub(super) fn agree(target: Target, infos: &mut [Info<'static>], report: &mut Report) {
    if target == Target::Ipaws {
        // ipaws page 4.1, rule 9: one set of categories.
        let Some(first) = infos.first().map(|i| i.category.clone()) else { return };
        for (index, info) in infos.iter_mut().enumerate().filter(|(_, i)| i.category != first) {
            info.category.clone_from(&first);
            let field = format!("info[{}]/category", index + 1);
            report.add(Rule::OneCategory, &field, "that of the first info");
        }
        return;
    }
    let places = |info: &Info<'_>| -> Vec<String> {
        info.area.iter().flat_map(|a| &a.geocode).map(|g| g.value.to_string()).collect()
    };
    for index in 1..infos.len() {
        let (before, rest) = infos.split_at_mut(index);
        let Some(info) = rest.first_mut() else { continue };
        let here = places(info);
        let twin = before.iter().find(|b| b.language != info.language && places(b) == here);
        let Some(twin) = twin else { continue };
        let was = info.clone();
        info.category.clone_from(&twin.category);
        info.response_type.clone_from(&twin.response_type);
        info.urgency.clone_from(&twin.urgency);
        info.severity.clone_from(&twin.severity);
        info.certainty.clone_from(&twin.certainty);
        info.effective.clone_from(&twin.effective);
        info.onset.clone_from(&twin.onset);
        info.expires.clone_from(&twin.expires);
        if was != *info {
            let detail = "its values differ from those of the other language: the first block counts";
            report.add(Rule::LanguageAgrees, &format!("info[{}]", index + 1), detail);
        }
    }
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
    let mut french = Info {
        language: Some(Cow::Borrowed("fr-CA")),
        event: Cow::Owned(name.clone()),
        headline: Some(Cow::Owned(name)),
        description: Some(Cow::Borrowed(NOTICE_FR)),
        instruction: None,
        audience: None,
        resource: Vec::new(),
        ..english.clone()
    };
    french.parameter.push(NamedValue::new(ADDED, "fr-CA"));
    infos.push(french);
    report.add(
        Rule::FrenchAdded,
        "info",
        "fr-CA: official event name and a notice; the text is in English only",
    );
}

//! Languages over the border. No block is dropped; missing French gets the official event name and a notice, never a
//! machine's guess at safety text.

use std::borrow::Cow;

use cap_schema::{Area, Info, MsgType, NamedValue};

use super::codes::Event;
use super::report::{Report, Rule};
use super::{Request, Target};

/// The notice of a block that has no text of its own in French.
const NOTICE_FR: &str =
    "Ce message n'a été diffusé qu'en anglais par son émetteur. Consultez le texte anglais ci-joint.";

/// Marks a block that a translation added: it is taken away again on the way back.
pub(super) const ADDED: &str = "capbridge:addedLanguage";

/// Whether an earlier translation added the block: it has the mark, and no text but the notice.
pub(super) fn was_added(info: &Info<'_>) -> bool {
    info.parameter.iter().any(|p| p.value_name == ADDED)
        && info.description.as_deref() == Some(NOTICE_FR)
        && info.instruction.is_none()
}

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
pub(super) fn agree(target: Target, infos: &mut [Info<'static>], numbers: &[usize], report: &mut Report) {
    let at = |index: usize| format!("info[{}]", numbers.get(index).unwrap_or(&index) + 1);
    if target == Target::Ipaws {
        // ipaws page 4.1, rule 9: one set of categories.
        let Some(first) = infos.first().map(|i| i.category.clone()) else { return };
        for (index, info) in infos.iter_mut().enumerate().filter(|(_, i)| i.category != first) {
            info.category.clone_from(&first);
            let field = format!("{}/category", at(index));
            report.add(Rule::OneCategory, &field, "that of the first info");
        }
        return;
    }
    for index in 1..infos.len() {
        let Some(info) = infos.get(index).filter(|info| !has_twin(info, infos)) else { continue };
        let field = at(index);
        let pair = pair(infos, index);
        let Some(twin) = pair.and_then(|pair| infos.get(pair)) else {
            if infos.first().is_some_and(|first| first.language != info.language)
                && pair_is_missing(info, infos)
            {
                let detail =
                    "its values are in no block of the other language: which one it is of is not known";
                report.add(Rule::LanguageAlone, &field, detail);
            }
            continue;
        };
        let twin = twin.clone();
        let Some(info) = infos.get_mut(index) else { continue };
        info.category = twin.category;
        info.response_type = twin.response_type;
        info.urgency = twin.urgency;
        info.severity = twin.severity;
        info.certainty = twin.certainty;
        info.effective = twin.effective;
        info.onset = twin.onset;
        info.expires = twin.expires;
        let detail = "its values differ from those of the other language: the first block counts";
        report.add(Rule::LanguageAgrees, &field, detail);
    }
}

/// The two are about the same places.
fn same_places(one: &Info<'_>, other: &Info<'_>) -> bool {
    let alike = |(a, b): (&Area<'_>, &Area<'_>)| {
        a.polygon == b.polygon && a.circle == b.circle && a.geocode == b.geocode
    };
    one.area.len() == other.area.len() && one.area.iter().zip(&other.area).all(alike)
}

/// What is not text is the same in the two.
fn same_values(one: &Info<'_>, other: &Info<'_>) -> bool {
    one.category == other.category
        && one.response_type == other.response_type
        && one.urgency == other.urgency
        && one.severity == other.severity
        && one.certainty == other.certainty
        && one.effective == other.effective
        && one.onset == other.onset
        && one.expires == other.expires
}

/// A block in another language says the same of the same places.
fn has_twin(info: &Info<'_>, infos: &[Info<'_>]) -> bool {
    infos.iter().any(|o| o.language != info.language && same_places(o, info) && same_values(o, info))
}

fn pair_is_missing(info: &Info<'_>, infos: &[Info<'_>]) -> bool {
    infos.iter().any(|other| other.language != info.language && same_places(other, info))
}

/// The block before this one that it is the translation of, where its values do not tell: the one with the same number
/// among the blocks of the first language that have no twin, if there are as many in both languages. A message may have
/// blocks for several periods.
fn pair(infos: &[Info<'_>], index: usize) -> Option<usize> {
    let info = infos.get(index)?;
    let alone = |language: Option<&str>, other_language: Option<&str>| -> Vec<usize> {
        let own = |other: &Info<'_>| {
            let twin = |o: &Info<'_>| {
                o.language.as_deref() == other_language && same_places(o, other) && same_values(o, other)
            };
            other.language.as_deref() == language && same_places(other, info) && !infos.iter().any(twin)
        };
        infos.iter().enumerate().filter(|(_, other)| own(other)).map(|(number, _)| number).collect()
    };
    let first = infos.iter().find(|other| same_places(other, info))?.language.as_deref();
    if first == info.language.as_deref() {
        return None;
    }
    let language = info.language.as_deref();
    let (others, own) = (alone(first, language), alone(language, first));
    let number = own.iter().position(|number| *number == index)?;
    if others.len() != own.len() {
        return None;
    }
    others.get(number).copied().filter(|pair| *pair < index)
}

/// Adds the French block that CAP-CP recommends, where there is none.
pub(super) fn complete(
    request: &Request<'_>,
    kind: MsgType,
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
    // One for each English block: they may be about different places or times.
    let english: Vec<Info<'static>> = infos.iter().filter(|i| is(i, "en")).cloned().collect();
    for english in english {
        let name = event.name_fr().to_owned();
        let headline = if kind == MsgType::Cancel { format!("{name} - annulé") } else { name.clone() };
        let mut french = Info {
            language: Some(Cow::Borrowed("fr-CA")),
            event: Cow::Owned(name),
            headline: Some(Cow::Owned(headline)),
            description: Some(Cow::Borrowed(NOTICE_FR)),
            instruction: None,
            audience: None,
            resource: Vec::new(),
            ..english
        };
        french.parameter.push(NamedValue::new(ADDED, "fr-CA"));
        infos.push(french);
        report.add(
            Rule::FrenchAdded,
            "info",
            "fr-CA: official event name and a notice; the text is in English only",
        );
    }
}

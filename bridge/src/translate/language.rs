//! Languages over the border. No block is dropped; a missing official language of Canada gets the official event name and a notice, never a
//! machine's guess at safety text.

use std::borrow::Cow;

use cap_schema::{Area, Info, MsgType, NamedValue};

use super::codes::Event;
use super::report::{Report, Rule};
use super::{Request, Target};

/// A language that a translation adds, with the notice that stands for the text.
struct Official {
    tag: &'static str,
    /// Where the original is in English.
    of_english: &'static str,
    /// Where it is in neither language.
    of_other: &'static str,
}

const FRENCH: Official = Official {
    tag: "fr-CA",
    of_english: "Ce message n'a été diffusé qu'en anglais par son émetteur. Consultez le texte anglais ci-joint.",
    of_other: "Ce message n'a été diffusé ni en français ni en anglais par son émetteur. Consultez le texte original \
               ci-joint.",
};

const ENGLISH: Official = Official {
    tag: "en-CA",
    of_english: "",
    of_other: "The sender of this message issued it neither in English nor in French. See the original text in this \
               message.",
};

/// Marks a block that a translation added: it is taken away again on the way back.
pub(super) const ADDED: &str = "capbridge:addedLanguage";

/// Whether an earlier translation added the block: it has the mark, and no text but the notice.
pub(super) fn was_added(info: &Info<'_>) -> bool {
    info.parameter.iter().any(|p| p.value_name == ADDED)
        && info
            .description
            .as_deref()
            .is_some_and(|text| [FRENCH.of_english, FRENCH.of_other, ENGLISH.of_other].contains(&text))
        && info.instruction.is_none()
}

/// The language of a block whose own is no tag.
pub(super) const UNDETERMINED: &str = "und";

/// The tag that a text means (RFC 3066); `None` where it means none. Without one it is en-US (CAP 1.2 3.2.2).
fn tag(language: Option<&str>) -> Option<String> {
    let text = language.unwrap_or("").trim();
    if text.is_empty() {
        return Some("en-US".to_owned());
    }
    // As programs write it that take the name of a locale for a tag.
    let tag = text.replace('_', "-");
    let mut parts = tag.split('-');
    let within = |part: &str| (1..=8).contains(&part.len());
    let first = parts.next().is_some_and(|p| within(p) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    let sound = first && parts.all(|p| within(p) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    sound.then_some(tag)
}

/// The language of a block at the target.
pub(super) fn map(target: Target, language: Option<&str>) -> String {
    let Some(language) = tag(language) else { return UNDETERMINED.to_owned() };
    let lower = language.to_ascii_lowercase();
    let mapped = match (target, lower.as_str()) {
        (Target::Ipaws, "en-ca" | "en") => "en-US",
        (Target::CapCp | Target::MasasEntry, "en-us" | "en") => "en-CA",
        (Target::CapCp | Target::MasasEntry, "fr") => "fr-CA",
        (Target::Ipaws | Target::CapCp | Target::MasasEntry, _) => &language,
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

/// Adds the blocks that CAP-CP recommends and that are not there: French beside English, both beside any other language.
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
    let has_english = infos.iter().any(|i| is(i, "en"));
    let first = infos.first().and_then(|i| i.language.clone());
    let of_base = |i: &&Info<'_>| if has_english { is(i, "en") } else { i.language == first };
    // One for each block: they may be about different places or times.
    let base: Vec<Info<'static>> = infos.iter().filter(of_base).cloned().collect();
    let missing: &[(Official, &str)] = &[(ENGLISH, event.name_en()), (FRENCH, event.name_fr())];
    for (official, name) in missing.iter().filter(|(official, _)| !has_english || official.tag == FRENCH.tag)
    {
        let notice = if has_english { official.of_english } else { official.of_other };
        for block in &base {
            let ended = if official.tag == FRENCH.tag { "annulé" } else { "cancelled" };
            let headline =
                if kind == MsgType::Cancel { format!("{name} - {ended}") } else { (*name).to_owned() };
            let mut added = Info {
                language: Some(Cow::Borrowed(official.tag)),
                event: Cow::Owned((*name).to_owned()),
                headline: Some(Cow::Owned(headline)),
                description: Some(Cow::Borrowed(notice)),
                instruction: None,
                audience: None,
                resource: Vec::new(),
                ..block.clone()
            };
            added.parameter.push(NamedValue::new(ADDED, official.tag));
            infos.push(added);
        }
        let text = if has_english { "in English only" } else { "in neither English nor French" };
        let detail = format!("{}: official event name and a notice; the text is {text}", official.tag);
        report.add(Rule::FrenchAdded, "info", &detail);
    }
}

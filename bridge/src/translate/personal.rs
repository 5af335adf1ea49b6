//! Personal data in free text: numbers and dates that name one person (reliability page 9.3, principle 3). What the setting
//! lists is taken out of the text unless the purpose of the route lets it through; the rest is found and said in the report,
//! for telephone lines, addresses and number plates are often what an alert is for.
//!
//! Goes by form and by the words before it, never by a list of names. The report has kinds, never what was found.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use cap_schema::Info;

use super::Request;
use super::report::{Report, Rule};

/// What a text can hold of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// After a word that says that it is one.
    BirthDate,
    /// An address with `@`.
    Email,
    /// The cards of Ontario and Quebec by their form, others by the words before.
    HealthCard,
    /// A number plate, after a word that says that it is one.
    Plate,
    /// North American.
    Phone,
    /// Canadian social insurance number, with its check digit.
    Sin,
    /// US social security number.
    Ssn,
}

impl Kind {
    /// All, in the order of their names.
    pub const ALL: [Kind; 7] =
        [Kind::BirthDate, Kind::Email, Kind::HealthCard, Kind::Plate, Kind::Phone, Kind::Sin, Kind::Ssn];
    /// What is taken out unless an operator sets something else: no alert needs it.
    pub const MASKED: [Kind; 4] = [Kind::BirthDate, Kind::HealthCard, Kind::Sin, Kind::Ssn];

    /// The name in settings and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::BirthDate => "birth-date",
            Kind::Email => "e-mail",
            Kind::HealthCard => "health-card",
            Kind::Plate => "licence-plate",
            Kind::Phone => "phone",
            Kind::Sin => "sin",
            Kind::Ssn => "ssn",
        }
    }

    /// The kind of that name.
    pub fn by_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Looks through the texts of an info.
pub(super) fn info(request: &Request<'_>, info: &mut Info<'static>, at: &str, report: &mut Report) {
    let french = info.language.as_deref().is_some_and(|l| l.to_ascii_lowercase().starts_with("fr"));
    let withheld = if french { "[retiré]" } else { "[withheld]" };
    let mut clean = |text: &mut Cow<'static, str>, field: &str| {
        let (cleaned, masked, found) = looked_through(request, text, withheld);
        let field = format!("{at}/{field}");
        report.add_if(!found.is_empty(), Rule::PersonalFound, &field, &found.join(", "));
        if let Some(cleaned) = cleaned {
            report.add(Rule::PersonalMasked, &field, &masked.join(", "));
            *text = Cow::Owned(cleaned);
        }
    };
    for (field, text) in [
        ("audience", &mut info.audience),
        ("senderName", &mut info.sender_name),
        ("headline", &mut info.headline),
        ("description", &mut info.description),
        ("instruction", &mut info.instruction),
        ("contact", &mut info.contact),
    ] {
        if let Some(text) = text {
            clean(text, field);
        }
    }
    for resource in &mut info.resource {
        clean(&mut resource.resource_desc, "resource/resourceDesc");
    }
    for area in &mut info.area {
        clean(&mut area.area_desc, "area/areaDesc");
    }
}

/// The text without what is taken out, if anything is; the kinds taken out, and those that stay.
fn looked_through(
    request: &Request<'_>,
    text: &str,
    withheld: &str,
) -> (Option<String>, Vec<&'static str>, Vec<&'static str>) {
    let all = find(text);
    let settings = request.settings;
    let goes = |kind: Kind| {
        settings.masked.contains(&kind)
            && !settings.purpose.as_ref().is_some_and(|purpose| purpose.lets_text_through(kind))
    };
    let (gone, stays): (Vec<_>, Vec<_>) = all.into_iter().partition(|(kind, _)| goes(*kind));
    let names = |found: &[(Kind, Range<usize>)]| {
        let names: BTreeSet<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
        names.into_iter().collect()
    };
    let cleaned = (!gone.is_empty()).then(|| without(text, &gone, withheld));
    (cleaned, names(&gone), names(&stays))
}

/// A text with every kind taken out.
pub(super) fn nobody(text: &str) -> String {
    without(text, &find(text), "[withheld]")
}

fn without(text: &str, gone: &[(Kind, Range<usize>)], withheld: &str) -> String {
    let (mut cleaned, mut from) = (String::with_capacity(text.len()), 0);
    for (_, range) in gone {
        cleaned.push_str(text.get(from..range.start).unwrap_or(""));
        cleaned.push_str(withheld);
        from = range.end;
    }
    cleaned.push_str(text.get(from..).unwrap_or(""));
    cleaned
}

/// Forms of numbers: `d` a digit, `A` a letter, `-` one hyphen, dot or blank.
const FORMS: [(Kind, &str); 5] = [
    (Kind::Phone, "ddd-ddd-dddd"),
    (Kind::Ssn, "ddd-dd-dddd"),
    (Kind::Sin, "ddd-ddd-ddd"),
    (Kind::HealthCard, "dddd-ddd-ddd"),
    (Kind::HealthCard, "AAAA-dddd-dddd"),
];

/// Words before a value, in lower case, and what the value is.
const WORDS: [(&str, Kind); 20] = [
    ("date of birth", Kind::BirthDate),
    ("born on", Kind::BirthDate),
    ("born", Kind::BirthDate),
    ("dob", Kind::BirthDate),
    ("date de naissance", Kind::BirthDate),
    ("né le", Kind::BirthDate),
    ("née le", Kind::BirthDate),
    ("health card", Kind::HealthCard),
    ("health number", Kind::HealthCard),
    ("ohip", Kind::HealthCard),
    ("carte santé", Kind::HealthCard),
    ("assurance maladie", Kind::HealthCard),
    ("licence plate", Kind::Plate),
    ("license plate", Kind::Plate),
    ("plate", Kind::Plate),
    ("plaque", Kind::Plate),
    ("sin", Kind::Sin),
    ("nas", Kind::Sin),
    ("ssn", Kind::Ssn),
    ("social security number", Kind::Ssn),
];

/// What a text holds, in its order, none over another. Bytes.
fn find(text: &str) -> Vec<(Kind, Range<usize>)> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let byte = |at: usize| chars.get(at).map_or(text.len(), |(byte, _)| *byte);
    let is_edge =
        |at: Option<usize>| at.and_then(|at| chars.get(at)).is_none_or(|(_, c)| !c.is_alphanumeric());
    let mut found: Vec<(Kind, Range<usize>)> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let begins = is_edge(at.checked_sub(1)) && !is_edge(Some(at));
        let value = begins.then(|| value(&chars, at)).flatten();
        match value {
            Some((kind, from, to)) => {
                found.push((kind, byte(from)..byte(to)));
                at = to.max(at + 1);
            }
            None => at += 1,
        }
    }
    found
}

/// A value that begins here, or after words that begin here: kind, first char, char behind it.
fn value(chars: &[(usize, char)], at: usize) -> Option<(Kind, usize, usize)> {
    for (kind, form) in FORMS {
        let Some(to) = has_form(chars, at, form) else { continue };
        if kind != Kind::Sin || check_digit(chars, at, to) {
            return Some((kind, at, to));
        }
    }
    if let Some((from, to)) = email(chars, at) {
        return Some((Kind::Email, from, to));
    }
    WORDS.into_iter().find_map(|(words, kind)| {
        let behind = said(chars, at, words)?;
        let from = (behind..chars.len().min(behind + 12)).find(|i| value_begins(chars, *i, kind))?;
        let to = end_of(chars, from, kind)?;
        Some((kind, from, to))
    })
}

fn has_form(chars: &[(usize, char)], at: usize, form: &str) -> Option<usize> {
    let mut to = at;
    for wanted in form.chars() {
        let (_, c) = chars.get(to)?;
        let fits = match wanted {
            'd' => c.is_ascii_digit(),
            'A' => c.is_ascii_alphabetic(),
            _ => matches!(c, '-' | ' ' | '.' | '\u{2011}' | '\u{a0}'),
        };
        // `(519) 555-0100`
        if !fits && wanted == '-' && *c == ')' && chars.get(to + 1).is_some_and(|(_, c)| *c == ' ') {
            to += 2;
            continue;
        }
        if !fits {
            return None;
        }
        to += 1;
    }
    chars.get(to).is_none_or(|(_, c)| !c.is_alphanumeric()).then_some(to)
}

/// The Luhn check of a social insurance number.
fn check_digit(chars: &[(usize, char)], at: usize, to: usize) -> bool {
    let digits = chars.get(at..to).unwrap_or(&[]).iter().filter_map(|(_, c)| c.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(index, digit)| if index % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

/// An address, from the first char of its name.
fn email(chars: &[(usize, char)], at: usize) -> Option<(usize, usize)> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let rest = chars.get(at..)?;
    let name = rest.iter().take(64).take_while(|(_, c)| part(*c)).count();
    if rest.get(name).is_none_or(|(_, c)| *c != '@') {
        return None;
    }
    let domain: String = rest.get(name + 1..)?.iter().map(|(_, c)| *c).take_while(|c| part(*c)).collect();
    let domain = domain.trim_end_matches('.');
    let length = domain.chars().count();
    domain.trim_start_matches('.').contains('.').then_some((at, at + name + 1 + length))
}

/// The char behind words that stand here, whatever their case.
fn said(chars: &[(usize, char)], at: usize, words: &str) -> Option<usize> {
    let mut to = at;
    for wanted in words.chars() {
        let (_, c) = chars.get(to)?;
        let blank = wanted == ' ' && matches!(c, '-' | '’' | '\'');
        let same = blank || c.to_lowercase().eq(std::iter::once(wanted));
        if !same {
            return None;
        }
        to += 1;
    }
    chars.get(to).is_none_or(|(_, c)| !c.is_alphanumeric()).then_some(to)
}

/// Whether a value begins here: a digit at the beginning of a word, or for a plate a word with a digit in capitals.
fn value_begins(chars: &[(usize, char)], at: usize, kind: Kind) -> bool {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    if before.is_some_and(|(_, c)| c.is_alphanumeric()) {
        return false;
    }
    match kind {
        Kind::Plate => end_of(chars, at, kind).is_some(),
        Kind::BirthDate => chars.get(at).is_some_and(|(_, c)| c.is_ascii_digit()) || month(chars, at),
        Kind::Email | Kind::HealthCard | Kind::Phone | Kind::Sin | Kind::Ssn => {
            chars.get(at).is_some_and(|(_, c)| c.is_ascii_digit())
        }
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn month(chars: &[(usize, char)], at: usize) -> bool {
    let three: String = chars.iter().skip(at).take(3).flat_map(|(_, c)| c.to_lowercase()).collect();
    MONTHS.contains(&three.as_str())
}

/// The char behind a value, `None` where what stands there is none.
fn end_of(chars: &[(usize, char)], from: usize, kind: Kind) -> Option<usize> {
    let rest = chars.get(from..)?;
    let digits = |length: usize| rest.iter().take(length).filter(|(_, c)| c.is_ascii_digit()).count();
    let length = match kind {
        Kind::Plate => {
            let one = rest
                .iter()
                .take_while(|(_, c)| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '-' | ' '))
                .count();
            let one = rest.get(..one)?.iter().rposition(|(_, c)| c.is_ascii_alphanumeric())? + 1;
            let ends = rest.get(one).is_none_or(|(_, c)| !c.is_alphanumeric());
            (ends && (4..=9).contains(&one) && digits(one) >= 2).then_some(one)?
        }
        Kind::BirthDate => {
            // Up to the end of a year: `1984-05-31`, `31/05/1984`, `May 31, 1984`, `31 mai 1984`.
            let year = |at: usize| {
                let four = rest.get(at..at + 4).unwrap_or(&[]);
                let edge = |at: Option<usize>| {
                    at.and_then(|at| rest.get(at)).is_none_or(|(_, c)| !c.is_ascii_digit())
                };
                let text: String = four.iter().map(|(_, c)| *c).collect();
                (text.starts_with("19") || text.starts_with("20"))
                    && text.bytes().all(|b| b.is_ascii_digit())
                    && edge(at.checked_sub(1))
                    && edge(Some(at + 4))
            };
            let at = (0..18).find(|at| year(*at))?;
            let more = rest
                .iter()
                .skip(at + 4)
                .take(6)
                .take_while(|(_, c)| c.is_ascii_digit() || matches!(c, '-' | '/'))
                .count();
            if at == 0 { 4 + more } else { at + 4 }
        }
        Kind::Email | Kind::HealthCard | Kind::Phone | Kind::Sin | Kind::Ssn => {
            let run = rest
                .iter()
                .take(16)
                .take_while(|(_, c)| c.is_ascii_digit() || matches!(c, '-' | ' ' | '.'))
                .count();
            let run = rest.get(..run)?.iter().rposition(|(_, c)| c.is_ascii_digit())? + 1;
            (8..=12).contains(&digits(run)).then_some(run)?
        }
    };
    Some(from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts made for the purpose, with what is in them.
    const LABELLED: [(&str, &[(Kind, &str)]); 34] = [
        (
            "Call 519-555-0100 or (226) 555-0199.",
            &[(Kind::Phone, "519-555-0100"), (Kind::Phone, "226) 555-0199")],
        ),
        ("1-800-555-0123", &[(Kind::Phone, "800-555-0123")]),
        ("Appelez le 514.555.0123 poste 4", &[(Kind::Phone, "514.555.0123")]),
        ("Write to duty.desk@county.example.test.", &[(Kind::Email, "duty.desk@county.example.test")]),
        ("SIN 046 454 286", &[(Kind::Sin, "046 454 286")]),
        ("numéro 046-454-286", &[(Kind::Sin, "046-454-286")]),
        ("SIN: 046454286", &[(Kind::Sin, "046454286")]),
        ("NAS 046454286", &[(Kind::Sin, "046454286")]),
        ("SSN 078-05-1120", &[(Kind::Ssn, "078-05-1120")]),
        ("078 05 1120 is his", &[(Kind::Ssn, "078 05 1120")]),
        ("ssn 078051120", &[(Kind::Ssn, "078051120")]),
        ("OHIP 1234-567-890", &[(Kind::HealthCard, "1234-567-890")]),
        ("health card no. 9876543217", &[(Kind::HealthCard, "9876543217")]),
        ("RAMQ TREM 8405 3112", &[(Kind::HealthCard, "TREM 8405 3112")]),
        ("DOB 1984-05-31", &[(Kind::BirthDate, "1984-05-31")]),
        ("born May 31, 1984 in Sarnia", &[(Kind::BirthDate, "May 31, 1984")]),
        ("date of birth: 31/05/1984", &[(Kind::BirthDate, "31/05/1984")]),
        ("née le 31 mai 1984", &[(Kind::BirthDate, "31 mai 1984")]),
        ("licence plate CKLM 123", &[(Kind::Plate, "CKLM 123")]),
        ("Ontario plate ABCD123.", &[(Kind::Plate, "ABCD123")]),
        ("plaque F12 ABC", &[(Kind::Plate, "F12 ABC")]),
        // Not of a person.
        ("Chlorine (UN1017), ERG guide 124, 900 m.", &[]),
        ("from 2026-03-01T12:02:05-05:00 until 18:00", &[]),
        ("Highway 401 exits 101 to 120, 3 km", &[]),
        ("Winds of 120 km/h; 046 454 287 is no such number", &[]),
        ("42.9745,-82.4066", &[]),
        ("Born of a storm in 90 minutes", &[]),
        ("a cold plate of 12", &[]),
        ("sinkhole 123456789", &[]),
        ("Flood stage 100.5 at gauge 02GA0148", &[]),
        ("Twitter @county, https://county.example.test/a/2026", &[]),
        ("Lot 2026-118, 4,500 houses", &[]),
        ("WHUS74 KCHS 281503", &[]),
        ("call 911 or 211", &[]),
    ];

    #[test]
    fn what_names_a_person_is_found_and_little_else() {
        let (mut right, mut wanted, mut given) = (0, 0, 0);
        for (text, expected) in LABELLED {
            let found: Vec<(Kind, &str)> =
                find(text).into_iter().map(|(kind, r)| (kind, text.get(r).unwrap())).collect();
            (wanted, given) = (wanted + expected.len(), given + found.len());
            right += found.iter().filter(|one| expected.contains(one)).count();
            assert_eq!(found, expected, "{text}");
        }
        // The targets of the reliability page, should the set grow.
        assert!(right * 100 >= wanted * 95 && right * 100 >= given * 90);
    }

    #[test]
    fn any_text_is_looked_through() {
        for text in ["", "@", "né le", "dob 19", "é@é.é", "plate ", "(", "\u{a0}123\u{a0}", "SIN 0", "born 2"]
        {
            assert!(nobody(text).len() <= text.len() + 20, "{text}");
        }
    }
}

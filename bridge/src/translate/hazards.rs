//! Facts for first responders that stand in the text of CBRNE alerts: UN numbers and ERG guide numbers.
//!
//! Facts from the text only: nothing is looked up, so nothing is guessed.

use std::collections::BTreeSet;

use cap_schema::{Info, NamedValue};

use super::report::{Report, Rule};

/// UN (or NA) numbers have four digits.
const UN_NUMBER: &str = "capbridge:unNumber";
/// Guides of the Emergency Response Guidebook are 111 to 175.
const ERG_GUIDE: &str = "capbridge:ergGuide";

/// Adds what the texts name as parameters.
pub(super) fn add(info: &mut Info<'static>, at: &str, report: &mut Report) {
    let mut found = BTreeSet::new();
    for text in [&info.headline, &info.description, &info.instruction].into_iter().flatten() {
        found.extend(facts(text));
    }
    for (name, value) in found {
        let fact = NamedValue::new(name, value.clone());
        if info.parameter.contains(&fact) {
            continue;
        }
        let detail = format!("{name} {value} stands in the text");
        report.add(Rule::HazardFact, &format!("{at}/parameter"), &detail);
        info.parameter.push(fact);
    }
}

fn facts(text: &str) -> BTreeSet<(&'static str, String)> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let digits = |word: &str, count: usize| word.len() == count && word.bytes().all(|b| b.is_ascii_digit());
    let mut found = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).copied().unwrap_or("");
        let after = words.get(index + 2).copied().unwrap_or("");
        for prefix in ["UN", "NA"] {
            let glued = word.strip_prefix(prefix).filter(|rest| digits(rest, 4));
            let apart = (*word == prefix && digits(next, 4)).then_some(next);
            // "UN number 1017", "UN No. 1017".
            let named = (*word == prefix
                && prefix == "UN"
                && ["number", "no", "id", "numéro"].contains(&next.to_lowercase().as_str())
                && digits(after, 4))
            .then_some(after);
            if let Some(number) = glued.or(apart).or(named) {
                found.insert((UN_NUMBER, format!("{prefix}{number}")));
            }
        }
        let number = match word.to_lowercase().as_str() {
            "guide" => next,
            "erg" if next.eq_ignore_ascii_case("guide") => after,
            "erg" => next,
            _ => continue,
        };
        if digits(number, 3) && number.parse::<u16>().is_ok_and(|n| (111..=175).contains(&n)) {
            found.insert((ERG_GUIDE, number.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_the_text_names_them_and_nowhere_else() {
        let cases: [(&str, &[&str]); 7] = [
            ("Chlorine (UN1017), ERG guide 124.", &["124", "UN1017"]),
            ("Chlore, UN 1017, guide 124", &["124", "UN1017"]),
            ("UN number 1017", &["UN1017"]),
            ("NA 1993 diesel", &["NA1993"]),
            ("1017 houses in guide 9", &[]),
            ("UN 10170, UN 101, un 1017, guide 500", &[]),
            ("call 1017", &[]),
        ];
        for (text, expected) in cases {
            let found: Vec<String> = facts(text).into_iter().map(|(_, value)| value).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}

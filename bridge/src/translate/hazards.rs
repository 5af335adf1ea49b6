//! Facts for first responders that stand in the text of CBRNE alerts: UN numbers and ERG guide numbers.
//!
//! Facts from the text only: nothing is looked up, so nothing is guessed. English, French and Spanish forms; where a
//! number may also be a year, a count or a resolution of the United Nations, it is left to the reader of the text.

use std::collections::BTreeSet;

use cap_schema::{Info, NamedValue};

use super::report::{Report, Rule};

const UN_NUMBER: &str = "capbridge:unNumber";
const ERG_GUIDE: &str = "capbridge:ergGuide";

/// Words between a name and its number.
const NAMES: [&str; 10] = ["number", "no", "n", "nº", "num", "id", "numéro", "numero", "número", "nr"];
/// The same for several numbers: whatever is listed after them is meant.
const NAMES_OF_MANY: [&str; 5] = ["numbers", "nos", "numéros", "numeros", "números"];
/// Words that may follow the last number of a list: a noun there would be what the number counts.
const AFTER_A_LIST: [&str; 20] = [
    "are", "is", "were", "was", "have", "has", "burning", "involved", "leaked", "leaking", "on", "present",
    "released", "spilled", "sont", "est", "ont", "a", "en", "sur",
];
/// Words by which UN stands for the organisation.
const ORGANISATION: [&str; 12] = [
    "assembly",
    "assemblée",
    "charter",
    "charte",
    "conference",
    "conférence",
    "meets",
    "resolution",
    "résolution",
    "security",
    "sommet",
    "summit",
];
/// Before a year.
const BEFORE_A_YEAR: [&str; 10] =
    ["after", "before", "by", "depuis", "en", "in", "since", "until", "avant", "après"];
/// Words that send a reader to a guide. After an article any guide may be meant.
const BEFORE_A_GUIDE: [&str; 24] = [
    "and",
    "canutec",
    "consult",
    "consulter",
    "consultez",
    "dot",
    "erg",
    "et",
    "follow",
    "gmu",
    "or",
    "ou",
    "orange",
    "per",
    "response",
    "see",
    "selon",
    "suivez",
    "suivre",
    "to",
    "use",
    "utilisez",
    "voir",
    "with",
];

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
    let text = Text(tokens(text));
    let all = || 0..text.0.len();
    let substances: BTreeSet<_> = all().flat_map(|index| text.substances(index)).collect();
    let known = !substances.is_empty()
        || text.0.iter().any(|word| is_one_of(word.text, &["erg", "gmu", "guidebook"]));
    let guides = all().flat_map(|index| text.guides(index, known));
    let guides: BTreeSet<_> = guides.map(|number| (ERG_GUIDE, number)).collect();
    substances.into_iter().map(|number| (UN_NUMBER, number)).chain(guides).collect()
}

/// What a text is made of, without white space.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token<'a> {
    /// Letters and digits, or one other sign.
    text: &'a str,
    /// White space is before it.
    apart: bool,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut apart) = (text, true);
    while let Some(first) = rest.chars().next() {
        let length = match rest.find(|c: char| !c.is_alphanumeric()) {
            Some(0) => first.len_utf8(),
            Some(length) => length,
            None => rest.len(),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if !first.is_whitespace() {
            tokens.push(Token { text: token, apart });
        }
        (rest, apart) = (after, first.is_whitespace());
    }
    tokens
}

fn is_word(token: &str) -> bool {
    !token.is_empty() && token.chars().all(char::is_alphanumeric)
}

fn is_one_of(token: &str, words: &[&str]) -> bool {
    words.contains(&token.to_lowercase().as_str())
}

/// Four digits that a list of dangerous goods may have: 0004 to 0599 and 1001 to 3599, and for the North American ones
/// also 8000 to 9999. INFERRED: the UN has given numbers up to 3552 by 2026; those up to 3599 are room for what it gives
/// next, so that a new number is not lost until this list is read again.
fn substance(prefix: &str, digits: &str) -> Option<String> {
    let digits = digits.strip_suffix('P').unwrap_or(digits);
    let all = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse::<u16>().ok().filter(|_| all)?;
    let known = matches!(number, 4..=599 | 1001..=3599) || (prefix == "NA" && number >= 8000);
    known.then(|| format!("{prefix}{digits}"))
}

/// Guides of the Emergency Response Guidebook are 111 to 175, with a P where the substance may polymerise.
fn guide(digits: &str) -> Option<String> {
    let number = digits.strip_suffix('P').unwrap_or(digits);
    let all = number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit());
    let known = all && number.parse::<u16>().is_ok_and(|n| (111..=175).contains(&n));
    known.then(|| digits.to_owned())
}

/// The numbers that follow a name, and whether a word between says that they are numbers.
#[derive(Debug, Default)]
struct Numbers {
    found: Vec<String>,
    named: bool,
}

struct Text<'a>(Vec<Token<'a>>);

impl<'a> Text<'a> {
    fn at(&self, index: usize) -> &'a str {
        self.0.get(index).map_or("", |token| token.text)
    }

    fn before(&self, index: usize) -> &'a str {
        index.checked_sub(1).map_or("", |before| self.at(before))
    }

    /// The first token from there on that is no sign of those.
    fn without(&self, from: usize, signs: &str) -> usize {
        let signs = |index: &usize| !self.at(*index).is_empty() && signs.contains(self.at(*index));
        (from..).take_while(signs).last().map_or(from, |last| last + 1)
    }

    /// The numbers after a name.
    fn numbers(&self, from: usize, many: bool, read: impl Fn(&str) -> Option<String>) -> Numbers {
        let mut at = self.without(from, "#:-–(°");
        let many = many || is_one_of(self.at(at), &NAMES_OF_MANY);
        let named = many || is_one_of(self.at(at), &NAMES);
        if is_one_of(self.at(at), &NAMES_OF_MANY) || is_one_of(self.at(at), &NAMES) {
            at = self.without(at + 1, ".:#°(-");
        }
        let found = read(self.at(at)).map(|first| self.list(at, first, many, read)).unwrap_or_default();
        Numbers { found, named }
    }

    /// A number, and those listed after it where it is sure that they are meant as well.
    fn list(
        &self,
        mut at: usize,
        first: String,
        many: bool,
        read: impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let mut found = vec![first];
        loop {
            let mut next = self.without(at + 1, ",/&");
            if is_one_of(self.at(next), &["and", "et", "or", "ou"]) {
                next += 1;
            }
            let number = if next > at + 1 { read(self.at(next)) } else { None };
            let Some(number) = number else { break };
            found.push(number);
            at = next;
        }
        if found.len() > 1 && !many && !self.ends_a_list(at + 1) {
            found.truncate(1);
        }
        found
    }

    /// Whether the number before stands alone: nothing follows that it could count or be part of.
    fn ends_a_list(&self, index: usize) -> bool {
        let digits = self
            .0
            .get(index + 1)
            .is_some_and(|next| !next.apart && next.text.starts_with(|c: char| c.is_ascii_digit()));
        match self.at(index) {
            "" => true,
            "." | "," | ":" => !digits,
            ")" | ";" | "]" | "!" | "?" => true,
            word => is_one_of(word, &AFTER_A_LIST),
        }
    }

    /// Whether the words around UN, in its sentence, are about the organisation.
    fn is_organisation(&self, index: usize, number: &str) -> bool {
        let ends = |token: &&str| ![".", ",", "!", "?", ";", ":"].contains(token);
        let before = (0..index).rev().map(|index| self.at(index)).take_while(ends).take(3);
        let after = (index + 1..self.0.len()).map(|index| self.at(index)).take_while(ends).take(5);
        let is_year = number.starts_with("UN19") || number.starts_with("UN20");
        before.chain(after).any(|word| is_one_of(word, &ORGANISATION))
            || (is_year && is_one_of(self.before(index), &BEFORE_A_YEAR))
    }

    /// UN and NA numbers of the token and those after it.
    fn substances(&self, index: usize) -> Vec<String> {
        let word = self.at(index);
        let glued = |name: &str| word.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
        for (name, prefix) in [("ONU", "UN"), ("UN", "UN"), ("NA", "NA")] {
            // "UN/NA 1017" was read with its first word.
            let second = name == "NA" && index > 1 && self.before(index) == "/" && self.at(index - 2) == "UN";
            if glued(name).is_none() || second {
                continue;
            }
            let rest = word.get(name.len()..).unwrap_or("");
            let read = |digits: &str| substance(prefix, digits);
            if let Some(number) = read(rest) {
                return self.list(index, number, false, read);
            }
            if !rest.is_empty() {
                continue;
            }
            // "UN/NA 1017": it is a UN number.
            let both = prefix == "UN" && self.at(index + 1) == "/" && self.at(index + 2).starts_with("NA");
            if both {
                let number = self.at(index + 2).strip_prefix("NA").and_then(read);
                return match number {
                    Some(number) => vec![number],
                    None => self.numbers(index + 3, false, read).found,
                };
            }
            let Numbers { found, named } = self.numbers(index + 1, false, read);
            // In small letters un is the French article, na a word of many languages.
            let small =
                word != name && name != "ONU" && !is_one_of(self.at(index + 1), &["number", "numbers"]);
            let first = found.first().map_or("", String::as_str);
            let unsure = !named
                && match prefix {
                    "UN" => self.is_organisation(index, first),
                    _ => first.starts_with("NA20"),
                };
            return if small || unsure { Vec::new() } else { found };
        }
        Vec::new()
    }

    /// Guides of the Emergency Response Guidebook that the token names. `known`: the text names a substance.
    fn guides(&self, index: usize, known: bool) -> Vec<String> {
        let word = self.at(index).to_lowercase();
        let (mut from, mut many) = (index + 1, word == "guides");
        let edition = |text: &str| text.len() == 4 && text.starts_with("20");
        let book = ["erg", "gmu"].iter().find_map(|name| word.strip_prefix(name));
        if book.is_some_and(|rest| rest.is_empty() || edition(rest))
            || (word == "guidebook" && is_one_of(self.before(index), &["response"]))
        {
            let year = self.without(from, "(");
            if edition(self.at(year)) {
                from = self.without(year + 1, "),");
            }
            if is_one_of(self.at(from), &["guide", "guides"]) {
                many = is_one_of(self.at(from), &["guides"]);
                from += 1;
            }
        } else if many || word == "guide" {
            let before = self.before(index);
            let article = known && is_one_of(before, &["the", "le", "les", "du", "au", "l"]);
            let after_number = before.trim_end_matches('P').ends_with(|c: char| c.is_ascii_digit());
            if is_word(before) && !article && !after_number && !is_one_of(before, &BEFORE_A_GUIDE) {
                return Vec::new();
            }
        } else {
            return Vec::new();
        }
        self.numbers(from, many, guide).found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_the_text_names_them_and_nowhere_else() {
        let cases: [(&str, &str); 66] = [
            ("Chlorine (UN1017), ERG guide 124.", "124 UN1017"),
            ("Chlore, UN 1017, guide 124", "124 UN1017"),
            ("UN number 1017", "UN1017"),
            ("NA 1993 diesel", "NA1993"),
            ("1017 houses in guide 9", ""),
            ("UN 10170, UN 101, un 1017, guide 500", ""),
            ("call 1017", ""),
            ("UN 1017, 1203 and 1230", "UN1017 UN1203 UN1230"),
            ("UN1017, 1203 and 1230 leaked", "UN1017 UN1203 UN1230"),
            ("UN numbers 1017 and 1203", "UN1017 UN1203"),
            ("UN Nos. 1017, 1203 in drums", "UN1017 UN1203"),
            ("UN 1017, 1500 people have left", "UN1017"),
            ("UN 1017 and 1500 people have left", "UN1017"),
            ("UN 1017, 1203.5 litres", "UN1017"),
            ("UN 1017, 1203,000 litres", "UN1017"),
            ("Numéro ONU 1017", "UN1017"),
            ("numéro ONU : 1017", "UN1017"),
            ("n° ONU 1017", "UN1017"),
            ("les numéros ONU 1017 et 1203.", "UN1017 UN1203"),
            ("ONU 1017 et 1203", "UN1017 UN1203"),
            ("ONU n° 1017", "UN1017"),
            ("onu1017", "UN1017"),
            ("numéro UN 1017", "UN1017"),
            ("UN n° 1017", "UN1017"),
            ("UN nº 1017", "UN1017"),
            ("UN no. 1017", "UN1017"),
            ("UN#1017", "UN1017"),
            ("UN-1017", "UN1017"),
            ("UN: 1017", "UN1017"),
            ("UN ID 1017", "UN1017"),
            ("UN1017.", "UN1017"),
            ("(UN0081)", "UN0081"),
            ("un1017 leaks", "UN1017"),
            ("un number 1017", "UN1017"),
            ("un no 1017", ""),
            ("UN1017/UN1203", "UN1017 UN1203"),
            ("UN/NA 1017", "UN1017"),
            ("UN/NA1017", "UN1017"),
            ("UN1017P", "UN1017"),
            ("UN 1 017", ""),
            ("UN9999", ""),
            ("NA9999", "NA9999"),
            ("UN0800", ""),
            ("under UN 2231 of the Security Council", ""),
            ("UN resolution 2231", ""),
            ("the resolution UN 2231", ""),
            ("meets in UN 2026", ""),
            ("A meeting. In the tank is UN 2031, nitric acid.", "UN2031"),
            ("Kiev NA 2024", ""),
            ("ERG 124", "124"),
            ("ERG Guide No. 124", "124"),
            ("Guide number 124", "124"),
            ("Guide no 124", "124"),
            ("guide ERG 124", "124"),
            ("GMU guide 124, suivre le guide 125", "124 125"),
            ("ERG guides 124 and 125", "124 125"),
            ("ERG 124 and 125 houses", "124"),
            ("Emergency Response Guidebook 124", "124"),
            ("Emergency Response Guidebook (2024), Guide 124", "124"),
            ("ERG2020 124", "124"),
            ("ERG 2024 guide 124", "124"),
            ("UN 1017P guide 124P", "124P UN1017"),
            ("Guide 116P", "116P"),
            ("ONU 1017 : suivre le guide 124", "124 UN1017"),
            ("call the tourist guide 150 for help, UN 1017", "UN1017"),
            ("the guide 150 will help, guide 110, guide 176", ""),
        ];
        for (text, expected) in cases {
            let found: Vec<String> = facts(text).into_iter().map(|(_, value)| value).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }
}

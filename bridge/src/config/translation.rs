//! `[translation]` and `[purpose.NAME]`: what an operator sets of translations.
//!
//! Owns their names, defaults and checks. Must not read files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::File;
use crate::translate::codes::Codes;
use crate::translate::minimise::{Minimisation, Purpose};
use crate::translate::personal::Kind;
use crate::translate::{Settings, TextLimits};

/// `[translation]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslationTable {
    /// How long a message is in force whose original does not say, seconds; 300 to 356,400.
    pub default_expiry_secs: u32,
    /// How long a Cancel is in force that ends at once or does not say, seconds; 300 to 86,400.
    pub cancel_secs: u32,
    /// The SAME code of an event that no table knows.
    pub fallback_same: String,
    /// The CAP-CP code of an event that no table knows.
    pub fallback_capcp: String,
    /// The most characters of a headline; absent: as long as it is.
    pub headline_chars: Option<u32>,
    /// The most characters of a description; absent: as long as it is.
    pub description_chars: Option<u32>,
    /// The most characters of an instruction; absent: as long as it is.
    pub instruction_chars: Option<u32>,
    /// How often a message may cross the border: what another bridge carried over is not carried back.
    pub max_crossings: u32,
    /// How many earlier messages of its chain a message names at most; what is in force is always named. 2 to 1,000.
    pub max_references: u32,
    /// Personal data that is taken out of texts: `birth-date`, `e-mail`, `health-card`, `licence-plate`, `phone`, `sin`,
    /// `ssn`.
    pub masked: Vec<String>,
    /// Raised by one after the key or the COG of a destination changed, so that what is in force can be issued again:
    /// part of derived identifiers.
    pub edition: u32,
}

impl Default for TranslationTable {
    fn default() -> Self {
        TranslationTable {
            default_expiry_secs: 7_200,
            cancel_secs: 3_600,
            fallback_same: "CEM".into(),
            fallback_capcp: "other".into(),
            headline_chars: None,
            description_chars: None,
            instruction_chars: None,
            max_crossings: 1,
            max_references: 50,
            masked: Kind::MASKED.map(|kind| kind.as_str().to_owned()).to_vec(),
            edition: 0,
        }
    }
}

/// `[purpose.NAME]`: why alerts cross the border, and what that needs besides what always crosses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PurposeTable {
    /// `contact`, `note`, `parameter:` with the beginning of a valueName, or `text:` with a kind of personal data.
    pub allows: Vec<String>,
}

impl TranslationTable {
    /// The part of the settings of a translation that the operator sets.
    pub fn settings(&self) -> Settings {
        let chars = |limit: Option<u32>| limit.and_then(|limit| usize::try_from(limit).ok());
        Settings {
            default_expiry_secs: i64::from(self.default_expiry_secs),
            cancel_secs: i64::from(self.cancel_secs),
            fallback_same: self.fallback_same.clone(),
            fallback_cap_cp: self.fallback_capcp.clone(),
            texts: TextLimits {
                headline_chars: chars(self.headline_chars),
                description_chars: chars(self.description_chars),
                instruction_chars: chars(self.instruction_chars),
            },
            max_crossings: Some(self.max_crossings),
            max_references: self.max_references,
            edition: self.edition,
            masked: self.masked.iter().filter_map(|name| Kind::by_name(name)).collect(),
            ..Settings::default()
        }
    }

    pub(super) fn check(&self, file: &mut File<'_>) {
        for (key, secs, most) in [
            ("translation.default_expiry_secs", self.default_expiry_secs, 356_400),
            ("translation.cancel_secs", self.cancel_secs, 86_400),
        ] {
            if !(300..=most).contains(&secs) {
                file.fault(key, "is not a time that IPAWS takes", &format!("use 300 to {most} seconds"));
            }
        }
        for (key, chars) in [
            ("translation.headline_chars", self.headline_chars),
            ("translation.description_chars", self.description_chars),
            ("translation.instruction_chars", self.instruction_chars),
        ] {
            if chars.is_some_and(|chars| chars < 20) {
                file.fault(key, "leaves nothing to read", "use 20 or more, or leave the key out");
            }
        }
        if !(2..=1_000).contains(&self.max_references) {
            let problem = "is not a number of messages to name";
            file.fault("translation.max_references", problem, "use 2 to 1000: the first and the last ones");
        }
        for name in self.masked.iter().filter(|name| Kind::by_name(name).is_none()) {
            let all = Kind::ALL.map(Kind::as_str).join(", ");
            file.fault(
                "translation.masked",
                &format!("{name} is not a kind of personal data"),
                &format!("use {all}"),
            );
        }
        // The tables come with the program; whether they read is a matter of its tests.
        let Ok(codes) = Codes::builtin() else { return };
        if codes.same(&self.fallback_same).is_none() {
            let problem = "is not a SAME code that IPAWS takes";
            file.fault("translation.fallback_same", problem, "CEM is a civil emergency message");
        }
        if codes.cap_cp(&self.fallback_capcp).is_none() {
            let problem = "is not an event code of CAP-CP";
            file.fault("translation.fallback_capcp", problem, "other is a special message");
        }
    }
}

/// The purposes by name.
pub(super) fn read_purposes(file: &mut File<'_>) -> BTreeMap<String, Purpose> {
    let mut purposes = BTreeMap::new();
    let Ok(list) = Minimisation::builtin() else { return purposes };
    for name in file.names("purpose") {
        let Some(table) = file.table::<PurposeTable>(&["purpose", &name]) else { continue };
        match Purpose::new(&name, &table.allows, &list) {
            Ok(purpose) => {
                purposes.insert(name, purpose);
            }
            Err(error) => {
                let remedy = "bridge/data/minimisation.tsv lists what needs a purpose";
                file.fault(&format!("purpose.{name}.allows"), &error.to_string(), remedy);
            }
        }
    }
    purposes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, ConfigError};

    fn faults(text: &str) -> Vec<String> {
        match Config::parse("c.toml", text, Path::new("."), None) {
            Ok(_) => Vec::new(),
            Err(ConfigError::Faulty { faults }) => faults.iter().map(|f| f.key.clone()).collect(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_translations_cannot_do_is_a_fault() {
        for (text, expected) in [
            ("[translation]\ndefault_expiry_secs = 10", "translation.default_expiry_secs"),
            ("[translation]\ncancel_secs = 100000", "translation.cancel_secs"),
            ("[translation]\nfallback_same = \"CHW\"", "translation.fallback_same"),
            ("[translation]\nfallback_capcp = \"sharknado\"", "translation.fallback_capcp"),
            ("[translation]\nheadline_chars = 3", "translation.headline_chars"),
            ("[translation]\nmax_references = 1", "translation.max_references"),
            ("[purpose.aid]\nallows = [\"addresses\"]", "purpose.aid.allows"),
            ("[purpose.aid]\nallows = [\"parameter:WEAHandling\"]", "purpose.aid.allows"),
            ("[route.r]\nfrom = []\nto = []\nclass = \"live\"\npurpose = \"none\"", "route.r.purpose"),
        ] {
            assert_eq!(faults(text), [expected], "{text}");
        }
        let sound = "[translation]\nheadline_chars = 160\n[purpose.aid]\nallows = [\"contact\"]\n\
                     [route.r]\nfrom = []\nto = []\nclass = \"live\"\npurpose = \"aid\"";
        assert_eq!(faults(sound), Vec::<String>::new());
        let config = Config::parse("c.toml", sound, Path::new("."), None).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.rules.iter().all(|rule| rule.purpose.is_some()));
        assert_eq!(config.translation.settings().texts.headline_chars, Some(160));
    }
}

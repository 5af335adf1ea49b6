//! Stage 3: what may the message be used for?
//!
//! Owns the rule class = min(status, event code, text, source's mode). Must not raise anything. The event codes that
//! mean a test and the words that mark one are data (`data/test_marks.toml`).
//! Anchors: CAP 1.2 3.2.1 `status`; EAS tests ride on `Actual` (ipaws page 5.2); AccuWeather 2018 (text says TEST).

use cap_schema::{Alert, Code, Status};
use capbridge_adapters::class::{Class, Classified, ExerciseId};
use serde::Deserialize;

/// What marks a test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestMarks {
    /// Event codes, any valueName, compared exactly.
    pub event_codes: Vec<String>,
    /// Words at the beginning of a headline or description, compared without case.
    pub leading_words: Vec<String>,
}

impl TestMarks {
    /// The table that ships with the program.
    ///
    /// # Errors
    /// The shipped table does not parse: a bug that a test catches.
    pub fn builtin() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("../../data/test_marks.toml"))
    }
}

/// The class of a message from a source of `mode`, with the reason for each step down.
pub fn classify(
    alert: &Alert<'_>,
    mode: Class,
    exercise: Option<ExerciseId>,
    marks: &TestMarks,
) -> (Classified, Vec<&'static str>) {
    let mut class = Classified::new(mode, exercise);
    let mut reasons = Vec::new();
    let mut lower = |to: Class, reason: &'static str| {
        if to < class.class() {
            class = class.clone().lower(to);
            reasons.push(reason);
        }
    };
    lower(of_status(&alert.status), "status");
    let infos = || alert.info.iter();
    if infos().any(|i| i.event_code.iter().any(|c| marks.event_codes.iter().any(|m| *m == *c.value))) {
        lower(Class::Test, "event code of a test");
    }
    let marked = |text: &str| {
        let text = text.trim_start();
        marks.leading_words.iter().any(|word| {
            let head = text.get(..word.len()).unwrap_or("");
            let next = text.get(word.len()..).and_then(|rest| rest.chars().next());
            head.eq_ignore_ascii_case(word) && next.is_none_or(|c| !c.is_alphanumeric())
        })
    };
    if infos().any(|i| [&i.headline, &i.description].into_iter().flatten().any(|t| marked(t))) {
        lower(Class::Test, "text marked as a test");
    }
    (class, reasons)
}

fn of_status(status: &Code<'_, Status>) -> Class {
    match status {
        Code::Known(Status::Actual) => Class::Live,
        Code::Known(Status::Exercise) => Class::Exercise,
        Code::Known(Status::Test) => Class::Test,
        Code::Known(Status::System | Status::Draft) | Code::Unknown(_) => Class::Internal,
    }
}

//! Names that come over the API.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in characters.
const LONGEST: usize = 63;

/// A name of something registered: 1 to 63 lower-case letters, digits, dots, dashes and underscores, the first one a letter
/// or a digit. It stands in paths, metric labels and log lines as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// What is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 1 to 63 lower-case letters, digits, dots, dashes and underscores, the first one a letter or a digit"
)]
pub struct BadName;

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if first && text.len() <= LONGEST && text.bytes().all(fits) {
            return Ok(Name(text.to_owned()));
        }
        Err(BadName)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Name::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_in_paths_and_labels_is_a_name() {
        for good in ["a", "0", "windsor-eoc", "a.b_c-d", &"x".repeat(63)] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "-a", ".", "..", "a b", "a/b", "a\n", "é", "a%2f", &"x".repeat(64)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }
}

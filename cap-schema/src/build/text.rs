//! Texts: each type holds what its element takes, and nothing else.

use std::fmt;
use std::str::FromStr;

use super::BuildError;
use crate::info::NamedValue;
use crate::limits::Limits;
use crate::validate::{is_language, is_media_type};
use crate::xml::first_bad_character;

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes a text.
            ///
            /// # Errors
            /// The text is none of this kind.
            pub fn new(text: impl Into<String>) -> Result<Self, BuildError> {
                let text = text.into();
                $check(&text)?;
                Ok($name(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(super) fn into_cow(self) -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Owned(self.0)
            }
        }

        impl FromStr for $name {
            type Err = BuildError;
            fn from_str(text: &str) -> Result<Self, BuildError> {
                $name::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked!(
    /// Free text: not blank, of characters that XML has, at most 512 KiB.
    Text,
    free
);
checked!(
    /// A short text that receivers compare: a `code`, the name of a value. At most 1,024 characters.
    CodeText,
    short
);
checked!(
    /// An identifier or sender: no white space, no comma, no `<`, no `&` (CAP 1.2 section 3.2.1).
    ///
    /// ```
    /// use cap_schema::build::{BuildError, Name};
    /// assert!(Name::new("desk@alerts.example").is_ok());
    /// assert_eq!(Name::new("the desk"), Err(BuildError::Name));
    /// assert_eq!(Name::new("a,b"), Err(BuildError::Name));
    /// ```
    Name,
    name
);
checked!(
    /// An RFC 3066 language tag such as `fr-CA`.
    Language,
    language
);
checked!(
    /// An absolute URI (RFC 3986) of ASCII characters; `http` and `https` have a host.
    ///
    /// ```
    /// use cap_schema::build::AbsoluteUri;
    /// assert!(AbsoluteUri::new("https://alerts.example/wind?area=3#now").is_ok());
    /// for text in ["alerts.example/wind", "https://", "https://alerts.example/a b", "https://alerts.example/%zz"] {
    ///     assert!(AbsoluteUri::new(text).is_err(), "{text}");
    /// }
    /// ```
    AbsoluteUri,
    absolute
);
checked!(
    /// A type and a subtype of RFC 2046, such as `image/png`.
    MediaType,
    media_type
);
checked!(
    /// The name of an embedded file: letters, digits, dot, hyphen and underscore.
    FileName,
    file_name
);

fn characters(text: &str, limit_bytes: usize) -> Result<(), BuildError> {
    if text.len() > limit_bytes {
        return Err(BuildError::TooMany { what: "bytes", have: text.len(), limit: limit_bytes });
    }
    first_bad_character(text).map_or(Ok(()), |at| Err(BuildError::Character { at }))
}

fn free(text: &str) -> Result<(), BuildError> {
    if text.trim().is_empty() {
        return Err(BuildError::Blank);
    }
    characters(text, Limits::default().text_bytes)
}

fn short(text: &str) -> Result<(), BuildError> {
    free(text)?;
    let (have, limit) = (text.chars().count(), Limits::default().name_chars);
    if have > limit {
        return Err(BuildError::TooMany { what: "characters", have, limit });
    }
    Ok(())
}

fn name(text: &str) -> Result<(), BuildError> {
    short(text)?;
    let forbidden = |c: char| c.is_whitespace() || matches!(c, ',' | '<' | '&');
    if text.contains(forbidden) { Err(BuildError::Name) } else { Ok(()) }
}

fn language(text: &str) -> Result<(), BuildError> {
    short(text)?;
    if is_language(text) { Ok(()) } else { Err(BuildError::Language) }
}

fn media_type(text: &str) -> Result<(), BuildError> {
    short(text)?;
    if is_media_type(text) && !text.contains(';') { Ok(()) } else { Err(BuildError::MediaType) }
}

fn file_name(text: &str) -> Result<(), BuildError> {
    short(text)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if text.bytes().all(allowed) { Ok(()) } else { Err(BuildError::Uri) }
}

fn absolute(text: &str) -> Result<(), BuildError> {
    short(text)?;
    let sound = || {
        let (scheme, rest) = text.split_once(':')?;
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let (path, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let authority = path.strip_prefix("//").map(|p| p.split(['/', '?']).next().unwrap_or(""));
        let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let hosted = match authority {
            Some(authority) => is_authority(authority),
            None => !web && !path.is_empty(),
        };
        (named && hosted && is_escaped(path) && is_escaped(fragment)).then_some(())
    };
    sound().ok_or(BuildError::Uri)
}

/// A host, with user and port where they are given.
fn is_authority(text: &str) -> bool {
    let host = text.rsplit('@').next().unwrap_or(text);
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let numeric = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    text.matches('@').count() <= 1 && !host.is_empty() && numeric
}

/// Characters of RFC 3986 without brackets, and whole escapes.
fn is_escaped(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let fits = match byte {
            b'%' => {
                let hex = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_hexdigit());
                hex(rest.next()) && hex(rest.next())
            }
            b if b.is_ascii_alphanumeric() => true,
            b => b"-._~:/?@!$&'()*+,;=".contains(&b),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// A `valueName` and its `value`, none of them empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    name: CodeText,
    value: Text,
}

impl Pair {
    /// A pair.
    ///
    /// # Errors
    /// One of the two is blank, too long, or has characters that XML does not have.
    ///
    /// ```
    /// use cap_schema::build::Pair;
    /// assert!(Pair::new("SAME", "026147").is_ok());
    /// assert!(Pair::new("", "026147").is_err());
    /// ```
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, BuildError> {
        Ok(Pair { name: CodeText::new(name)?, value: Text::new(value)? })
    }

    pub(super) fn into_named(self) -> NamedValue<'static> {
        NamedValue::new(self.name.into_cow(), self.value.into_cow())
    }
}

//! Which of an authority's signers are meant: by a part of the subject's or the issuer's name.
//!
//! Owns the form of a pin and what it fits. Must not say who is trusted: a pin only takes away.

use x509_parser::prelude::{X509Certificate, X509Name};

use super::trust::attribute_name;

/// Whose name a pin is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Subject,
    Issuer,
}

/// One part of a name, as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    whose: Whose,
    attribute: String,
    value: String,
    /// The value is only the beginning.
    open: bool,
}

impl Pin {
    /// Reads `subject CN=VALUE` or `issuer CN=VALUE`, with `*` at the end for any ending.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (whose, rest) = line.split_once(char::is_whitespace)?;
        let whose = match whose {
            "subject" => Whose::Subject,
            "issuer" => Whose::Issuer,
            _ => return None,
        };
        let (attribute, value) = rest.split_once('=')?;
        let (attribute, value) = (attribute.trim(), value.trim());
        let (value, open) = value.strip_suffix('*').map_or((value, false), |beginning| (beginning, true));
        if attribute.is_empty() || value.is_empty() || value.contains('*') {
            return None;
        }
        Some(Pin { whose, attribute: attribute.to_owned(), value: value.to_owned(), open })
    }

    fn fits(&self, name: &X509Name<'_>) -> bool {
        name.iter_attributes().any(|attribute| {
            let Ok(value) = attribute.as_str() else { return false };
            let same = if self.open { value.starts_with(&self.value) } else { value == self.value };
            same && attribute_name(attribute).eq_ignore_ascii_case(&self.attribute)
        })
    }
}

/// All pins of a store.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins(Vec<Pin>);

impl Pins {
    pub(super) fn extend(&mut self, more: Vec<Pin>) {
        self.0.extend(more);
    }

    /// Whether a signer is one that is meant; the reason if not.
    pub(super) fn admit(&self, certificate: &X509Certificate<'_>) -> Result<(), String> {
        let sides = [
            (Whose::Subject, certificate.subject(), "subject"),
            (Whose::Issuer, certificate.issuer(), "issuer"),
        ];
        for (whose, name, word) in sides {
            let mut pins = self.0.iter().filter(|pin| pin.whose == whose).peekable();
            if pins.peek().is_some() && !pins.any(|pin| pin.fits(name)) {
                return Err(format!("the {word} of its certificate is none of those that are pinned"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_names_one_part_of_one_name() {
        for (line, good) in [
            ("subject CN=IPAWSOPEN200032", true),
            ("issuer  CN = IGC Device CA *", true),
            ("subject O=A=B", true),
            ("subject CN=", false),
            ("subject CN=*", false),
            ("subject CN=A*B", false),
            ("subject IPAWSOPEN200032", false),
            ("CN=IPAWSOPEN200032", false),
            ("signer CN=IPAWSOPEN200032", false),
        ] {
            assert_eq!(Pin::read(line).is_some(), good, "{line}");
        }
    }
}

//! References: `sender,identifier,sent` (CAP 1.2 section 3.2.1).

use std::borrow::Cow;
use std::fmt;

/// The key of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference<'a> {
    /// CAP `sender`.
    pub sender: Cow<'a, str>,
    /// CAP `identifier`.
    pub identifier: Cow<'a, str>,
    /// CAP `sent`, as written.
    pub sent: Cow<'a, str>,
}

impl<'a> Reference<'a> {
    /// Reads one triple.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(',');
        let (sender, identifier, sent) = (parts.next()?, parts.next()?, parts.next()?);
        let whole =
            parts.next().is_none() && !sender.is_empty() && !identifier.is_empty() && !sent.is_empty();
        whole.then_some(Reference { sender: sender.into(), identifier: identifier.into(), sent: sent.into() })
    }

    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Reference<'static> {
        Reference {
            sender: Cow::Owned(self.sender.into_owned()),
            identifier: Cow::Owned(self.identifier.into_owned()),
            sent: Cow::Owned(self.sent.into_owned()),
        }
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.sender, self.identifier, self.sent)
    }
}

/// The triples of a `references` text and the pieces that are none.
pub fn read_list(text: &str) -> (Vec<Reference<'_>>, Vec<&str>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for piece in text.split_ascii_whitespace() {
        match Reference::read(piece) {
            Some(reference) => good.push(reference),
            None => bad.push(piece),
        }
    }
    (good, bad)
}

//! What belongs together in a message: its key, its kind with its references, its distribution with what that needs.

use super::text::{Name, Text};
use super::{BuildError, Moment};
use crate::code::{MsgType, Scope};

/// The key of a message: sender, identifier and time, which no two messages share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Globally unique name of the sender.
    pub sender: Name,
    /// Unique among the messages of the sender.
    pub identifier: Name,
    /// When the message is made.
    pub sent: Moment,
}

impl Identity {
    /// Reads the three parts.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new(sender: &str, identifier: &str, sent: &str) -> Result<Self, BuildError> {
        Ok(Identity { sender: Name::new(sender)?, identifier: Name::new(identifier)?, sent: sent.parse()? })
    }
}

/// One or more messages that a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References(Vec<Identity>);

impl References {
    /// These messages.
    ///
    /// # Errors
    /// There is none.
    pub fn new(messages: Vec<Identity>) -> Result<Self, BuildError> {
        if messages.is_empty() { Err(BuildError::Nothing) } else { Ok(References(messages)) }
    }

    pub(super) fn contains(&self, other: &Identity) -> bool {
        self.0.iter().any(|m| m.sender == other.sender && m.identifier == other.identifier)
    }

    pub(super) fn text(&self) -> String {
        let triple = |m: &Identity| format!("{},{},{}", m.sender, m.identifier, m.sent);
        self.0.iter().map(triple).collect::<Vec<_>>().join(" ")
    }
}

/// The nature of a message, with the messages that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Initial information.
    Alert,
    /// Updates and supersedes messages.
    Update(References),
    /// Cancels messages.
    Cancel(References),
    /// Acknowledges messages.
    Ack(References),
    /// Rejects messages.
    Error {
        /// Which.
        references: References,
        /// Why; becomes `note`.
        reason: Text,
    },
}

impl Message {
    pub(super) fn kind(&self) -> MsgType {
        match self {
            Message::Alert => MsgType::Alert,
            Message::Update(_) => MsgType::Update,
            Message::Cancel(_) => MsgType::Cancel,
            Message::Ack(_) => MsgType::Ack,
            Message::Error { .. } => MsgType::Error,
        }
    }

    pub(super) fn references(&self) -> Option<&References> {
        match self {
            Message::Alert => None,
            Message::Update(references)
            | Message::Cancel(references)
            | Message::Ack(references)
            | Message::Error { references, .. } => Some(references),
        }
    }
}

/// Names in a list that is separated by white space: addresses or incidents.
///
/// ```
/// use cap_schema::build::Addresses;
/// assert_eq!(Addresses::new(["desk one", "two"])?.to_string(), "\"desk one\" two");
/// assert!(Addresses::new(["say \"one\""]).is_err());
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(String);

impl Addresses {
    /// These names. One with white space is quoted.
    ///
    /// # Errors
    /// There is none, or one is blank or has a quote.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, BuildError> {
        let mut list = Vec::new();
        for name in names {
            let text = Text::new(name)?;
            if name.contains('"') {
                return Err(BuildError::Quote);
            }
            list.push(if name.contains(char::is_whitespace) {
                format!("\"{text}\"")
            } else {
                text.to_string()
            });
        }
        if list.is_empty() {
            Err(BuildError::Nothing)
        } else {
            Ok(Addresses(Text::new(list.join(" "))?.to_string()))
        }
    }
}

impl std::fmt::Display for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may receive a message, with what CAP wants to be said then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// General dissemination.
    Public,
    /// Users with a known operational requirement, by a rule.
    Restricted(Text),
    /// These addresses.
    Private(Addresses),
}

impl Distribution {
    pub(super) fn scope(&self) -> Scope {
        match self {
            Distribution::Public => Scope::Public,
            Distribution::Restricted(_) => Scope::Restricted,
            Distribution::Private(_) => Scope::Private,
        }
    }
}

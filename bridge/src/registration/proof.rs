//! How an endpoint proves that it is who it is said to be, and how long that holds.
//!
//! Owns what is kept of a code that is on its way to a mailbox, and when a proof is asked for again (a domain can fall into
//! other hands). Must not send anything.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use capbridge_adapters::registry::EndpointKind;
use capbridge_adapters::token::TokenDigest;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Endpoint;
use crate::settings::RegistrationTable;

/// Letters of a code: none that is read as another one.
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// How many there are: 60 bits.
const CODE_LETTERS: usize = 12;
/// How long a code is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How often one may be tried.
const TRIES: u8 = 5;
/// How soon the next one is sent to the same mailbox.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// How endpoints of a kind prove themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// They answer a signed challenge.
    Answer,
    /// Whoever reads the mailbox gives back a code.
    Code,
    /// Who registers them vouches for them: they are systems of agencies, or are read instead of being called.
    Vouched,
}

impl Proof {
    /// By kind.
    pub fn of(kind: EndpointKind) -> Self {
        match kind {
            EndpointKind::Webhook => Proof::Answer,
            EndpointKind::Email => Proof::Code,
            EndpointKind::Feed | EndpointKind::Ipaws | EndpointKind::Masas | EndpointKind::Stream => {
                Proof::Vouched
            }
        }
    }
}

/// What is kept of a code: its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    digest: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// How often a wrong one was given.
    pub wrong: u8,
}

/// Why a code proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeFault {
    /// None was sent, or the last one is too old or was tried too often.
    #[error("there is no code that is good: send a challenge first")]
    None,
    /// It is another one.
    #[error("this is not the code that was sent")]
    Wrong,
}

impl Code {
    /// A new one with its text; `None` where the system gives no randomness.
    pub fn make(now: Timestamp) -> Option<(Self, String)> {
        let mut bytes = [0_u8; CODE_LETTERS];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
        let text: String = letters.map(|letter| char::from(*letter)).collect();
        let code = Code { digest: TokenDigest::of(&text).hex(), sent_at: now, wrong: 0 };
        let shown: Vec<&str> = (0..CODE_LETTERS).step_by(4).filter_map(|at| text.get(at..at + 4)).collect();
        Some((code, shown.join("-")))
    }

    /// The same after a wrong one was given.
    #[must_use]
    pub fn after_a_wrong_one(&self) -> Self {
        Code { wrong: self.wrong.saturating_add(1), ..self.clone() }
    }

    /// Whether another one may be sent.
    pub fn may_follow(&self, now: Timestamp) -> bool {
        now.duration_since(self.sent_at) >= AGAIN
    }

    /// Looks at what somebody gives back, as people write it.
    ///
    /// # Errors
    /// It proves nothing.
    pub fn check(&self, given: &str, now: Timestamp) -> Result<(), CodeFault> {
        if self.wrong >= TRIES || now.duration_since(self.sent_at) > GOOD_FOR {
            return Err(CodeFault::None);
        }
        let text: String =
            given.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
        let known =
            TokenDigest::from_hex(&self.digest).is_some_and(|known| known.is(&TokenDigest::of(&text)));
        if known { Ok(()) } else { Err(CodeFault::Wrong) }
    }
}

/// How long a proof holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// From when on it is asked for again.
    pub fresh: SignedDuration,
    /// How long an endpoint that does not give it still gets alerts.
    pub grace: SignedDuration,
}

/// How a proof stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It holds.
    Fresh,
    /// It is to be given again.
    Due,
    /// It was not given again in time.
    Over,
}

impl Holding {
    /// As the configuration has it.
    pub fn new(table: &RegistrationTable) -> Self {
        let secs = |secs: u64| SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX));
        Holding { fresh: secs(table.proof_secs), grace: secs(table.proof_grace_secs) }
    }

    /// The age of an endpoint's proof. Only what can answer by itself is asked again: a person who overlooks a mail would
    /// lose the alerts.
    pub fn age(&self, endpoint: &Endpoint, now: Timestamp) -> Age {
        let answers = endpoint.known_kind().is_some_and(|kind| Proof::of(kind) == Proof::Answer);
        let Some(proven_at) = endpoint.proven_at.filter(|_| answers && endpoint.ended_at.is_none()) else {
            return Age::Fresh;
        };
        let age = now.duration_since(proven_at);
        if age < self.fresh {
            Age::Fresh
        } else if age < self.fresh.saturating_add(self.grace) {
            Age::Due
        } else {
            Age::Over
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_for_a_day_and_for_few_tries_however_it_is_written() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-01T12:00:00Z");
        let (code, text) = Code::make(now).unwrap();
        assert!(text.len() == 14 && !serde_json::to_string(&code).unwrap().contains(&text));
        let written = format!(" {} ", text.to_lowercase().replace('-', " "));
        for (given, at, expected) in [
            (text.as_str(), now, Ok(())),
            (&written, at("2026-03-02T12:00:00Z"), Ok(())),
            (&text, at("2026-03-02T12:00:01Z"), Err(CodeFault::None)),
            ("", now, Err(CodeFault::Wrong)),
            (text.get(1..).unwrap(), now, Err(CodeFault::Wrong)),
        ] {
            assert_eq!(code.check(given, at), expected, "{given:?}");
        }
        let spent = Code { wrong: TRIES, ..code.clone() };
        assert_eq!(spent.check(&text, now), Err(CodeFault::None));
        assert!(!code.may_follow(at("2026-03-01T12:00:59Z")) && code.may_follow(at("2026-03-01T12:01:00Z")));
    }
}

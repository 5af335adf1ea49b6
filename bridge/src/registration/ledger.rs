//! The documents as one instance holds them in memory.
//!
//! Owns reading of documents by their kind. One of a newer program, or a damaged one, is left out with an ERROR: what
//! cannot be read is not guessed, and it does not take the others with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tracing::error;

use super::{Name, Token};
use crate::store::registrations::{Kind, Registration};

/// All documents, by kind and name.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    revision: u64,
    tokens: BTreeMap<Name, Arc<Token>>,
    by_digest: BTreeMap<String, Name>,
}

impl Ledger {
    /// The newest revision that is in it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The tokens, revoked ones too.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.values()
    }

    /// A token by its name.
    pub fn token(&self, name: &Name) -> Option<&Arc<Token>> {
        self.tokens.get(name)
    }

    /// The token with this digest.
    pub fn token_with(&self, digest: &str) -> Option<&Arc<Token>> {
        self.tokens.get(self.by_digest.get(digest)?)
    }

    /// Takes a document in.
    pub(super) fn take(&mut self, registration: Registration) {
        self.revision = self.revision.max(registration.revision);
        match Kind::named(&registration.kind) {
            Some(Kind::Token) => {
                let Some(token) = read::<Token>(registration) else { return };
                if let Some(before) = self.tokens.get(&token.name) {
                    self.by_digest.remove(&before.digest);
                }
                self.by_digest.insert(token.digest.clone(), token.name.clone());
                self.tokens.insert(token.name.clone(), Arc::new(token));
            }
            Some(Kind::Endpoint | Kind::Responder | Kind::Standing | Kind::Subscription) | None => {
                let Registration { kind, name, .. } = registration;
                error!(kind, name, "a registration of a kind that this program does not know");
            }
        }
    }
}

fn read<T: DeserializeOwned>(registration: Registration) -> Option<T> {
    let Registration { kind, name, body, .. } = registration;
    match serde_json::from_value(body) {
        Ok(read) => Some(read),
        Err(error) => {
            error!(kind, name, %error, "a registration cannot be read and is left out: a person must act");
            None
        }
    }
}

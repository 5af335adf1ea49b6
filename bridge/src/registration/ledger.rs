//! The documents as one instance holds them in memory.
//!
//! Owns reading of documents by their kind. One of a newer program, or a damaged one, is left out with an ERROR: what
//! cannot be read is not guessed, and it does not take the others with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tracing::error;

use super::{Endpoint, Name, Responder, Standing, Subscription, Token};
use crate::store::registrations::{Kind, Registration};

/// All documents, by kind and name.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    revision: u64,
    tokens: BTreeMap<Name, Arc<Token>>,
    by_digest: BTreeMap<String, Name>,
    responders: BTreeMap<Name, Arc<Responder>>,
    endpoints: BTreeMap<Name, Arc<Endpoint>>,
    subscriptions: BTreeMap<Name, Arc<Subscription>>,
    /// By the name of the endpoint, which may be one of the file.
    standings: BTreeMap<String, Arc<Standing>>,
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

    /// The responders, removed ones too.
    pub fn responders(&self) -> impl Iterator<Item = &Arc<Responder>> {
        self.responders.values()
    }

    /// A responder by its name, also a removed one.
    pub fn responder(&self, name: &Name) -> Option<&Arc<Responder>> {
        self.responders.get(name)
    }

    /// The endpoints, removed ones too.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }

    /// An endpoint by its name, also a removed one.
    pub fn endpoint(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&Name::new(name).ok()?)
    }

    /// The subscriptions, removed ones too.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.subscriptions.values()
    }

    /// A subscription by its name, also a removed one.
    pub fn subscription(&self, name: &str) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(&Name::new(name).ok()?)
    }

    /// How an endpoint stands.
    pub fn standing(&self, endpoint: &str) -> Standing {
        self.standings.get(endpoint).map(|standing| Standing::clone(standing)).unwrap_or_default()
    }

    /// Takes a document in.
    pub(super) fn take(&mut self, registration: Registration) {
        self.revision = self.revision.max(registration.revision);
        let name = registration.name.clone();
        match Kind::named(&registration.kind) {
            Some(Kind::Endpoint) => put(&mut self.endpoints, &name, read(registration)),
            Some(Kind::Responder) => put(&mut self.responders, &name, read(registration)),
            Some(Kind::Subscription) => put(&mut self.subscriptions, &name, read(registration)),
            Some(Kind::Standing) => {
                if let Some(standing) = read(registration) {
                    self.standings.insert(name, Arc::new(standing));
                }
            }
            Some(Kind::Token) => {
                let Some(token) = read::<Token>(registration) else { return };
                if let Some(before) = self.tokens.get(&token.name) {
                    self.by_digest.remove(&before.digest);
                }
                self.by_digest.insert(token.digest.clone(), token.name.clone());
                self.tokens.insert(token.name.clone(), Arc::new(token));
            }
            None => {
                let Registration { kind, name, .. } = registration;
                error!(kind, name, "a registration of a kind that this program does not know");
            }
        }
    }
}

/// What was there before and cannot be read any more goes: nothing is sent by what may no longer hold.
fn put<T>(into: &mut BTreeMap<Name, Arc<T>>, name: &str, document: Option<T>) {
    let Ok(name) = Name::new(name) else { return };
    match document {
        Some(document) => into.insert(name, Arc::new(document)),
        None => into.remove(&name),
    };
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

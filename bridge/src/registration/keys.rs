//! The keys that sign for a registered webhook, and secrets that other kinds of endpoints need.
//!
//! Owns making them and their end: during a rotation the old key signs beside the new one for a day, so that the receiver
//! can change over (Standard Webhooks allows several signatures). Must not read files: what the API is given names a
//! secret of its own document, never a file of this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use capbridge_adapters::settings::{Fault, Files, Secret};
use capbridge_adapters::token::TokenDigest;
use capbridge_adapters::webhook::signature::{Key, Signer};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How long an old key signs beside the new one.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// The most keys that sign at once: a request has room for a few signatures.
pub const MOST_KEYS: usize = 4;

/// Texts that do not print.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(pub BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Files for Secrets {
    fn text(&self, key: &str, path: &Path) -> Result<String, Fault> {
        let named = path.to_str().and_then(|name| self.0.get(name));
        named.cloned().ok_or_else(|| {
            let problem = format!("names no secret: {}", path.display());
            Fault::new(key, problem, "give the text in `secrets` under this name; the API reads no files")
        })
    }

    fn secret(&self, key: &str, path: &Path) -> Result<Secret, Fault> {
        let text = self.text(key, path)?;
        match text.trim() {
            "" => Err(Fault::new(key, "is empty", "give the secret")),
            text => Ok(Secret::new(text.to_owned())),
        }
    }
}

/// What a key is for: how a webhook is signed, or who reads a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `v1a`: the receiver has the public half only.
    #[default]
    Ed25519,
    /// `v1`: HMAC-SHA256 with a shared secret, for receivers that know nothing else.
    Hmac,
    /// The token of a feed's readers: it is kept as its SHA-256.
    Token,
}

/// A key. Its text is in the secrets, under its name; of a token its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Its name among the secrets.
    pub name: String,
    /// What it is for.
    pub form: Form,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it is good no more; set by the rotation that made the next one.
    pub retires_at: Option<Timestamp>,
}

impl SigningKey {
    /// Whether it is good at this time.
    pub fn signs(&self, now: Timestamp) -> bool {
        self.retires_at.is_none_or(|end| now < end)
    }
}

/// A key that was made.
pub struct Made {
    /// What is known of it.
    pub key: SigningKey,
    /// What is kept of it among the secrets.
    pub kept: String,
    /// What its holder is told, once; of a key pair nothing but the public half ever leaves.
    pub told: Option<String>,
}

/// A new key; `None` where the system gives no randomness.
pub fn make(name: String, form: Form, now: Timestamp) -> Option<Made> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    let (kept, told) = match form {
        Form::Ed25519 => (format!("whsk_{}", STANDARD.encode(bytes)), None),
        Form::Hmac => {
            let text = format!("whsec_{}", STANDARD.encode(bytes));
            (text.clone(), Some(text))
        }
        Form::Token => {
            let text = format!("cbf_{}", URL_SAFE_NO_PAD.encode(bytes));
            (TokenDigest::of(&text).hex(), Some(text))
        }
    };
    Some(Made { key: SigningKey { name, form, made_at: now, retires_at: None }, kept, told })
}

/// The public half of an ed25519 key, `whpk_` and base64.
pub fn public_half(text: &str) -> Option<String> {
    let key = Key::ed25519("key", &Secret::new(text.to_owned())).ok()?;
    Signer::new(vec![key]).public_keys().into_iter().next()
}

/// The members of an endpoint's settings that name the keys which are good at this time.
pub fn named(keys: &[SigningKey], secrets: &Secrets, now: Timestamp) -> Map<String, Value> {
    let mut members = Map::new();
    for key in keys.iter().filter(|key| key.signs(now)) {
        let list = match key.form {
            Form::Ed25519 => "more_key_files",
            Form::Hmac => "more_secret_files",
            Form::Token => {
                let digests = members.entry("token_digests").or_insert_with(|| json!({}));
                if let (Some(digests), Some(kept)) = (digests.as_object_mut(), secrets.0.get(&key.name)) {
                    digests.insert(key.name.clone(), json!(kept));
                }
                continue;
            }
        };
        if let Some(names) = members.entry(list).or_insert_with(|| json!([])).as_array_mut() {
            names.push(json!(key.name));
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_until_it_retires_and_is_one_that_the_webhook_reads() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-01T12:00:00Z");
        let Made { key: mut old, kept, told } = make("key-1".into(), Form::Ed25519, now).unwrap();
        let hmac = make("key-2".into(), Form::Hmac, now).unwrap();
        assert!(public_half(&kept).unwrap().starts_with("whpk_") && public_half(&hmac.kept).is_none());
        assert!(told.is_none() && hmac.told.as_ref() == Some(&hmac.kept));
        assert!(Key::hmac("key", &Secret::new(hmac.kept)).is_ok());
        old.retires_at = Some(at("2026-03-02T12:00:00Z"));
        let (keys, secrets) = ([old, hmac.key], Secrets::default());
        let both = json!({"more_key_files": ["key-1"], "more_secret_files": ["key-2"]});
        assert_eq!(Value::Object(named(&keys, &secrets, at("2026-03-02T11:59:59Z"))), both);
        assert_eq!(
            Value::Object(named(&keys, &secrets, at("2026-03-02T12:00:00Z"))),
            json!({"more_secret_files": ["key-2"]})
        );
    }

    #[test]
    fn a_token_is_told_once_and_kept_as_its_hash() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let Made { key, kept, told } = make("key-1".into(), Form::Token, now).unwrap();
        let told = told.unwrap();
        assert!(told.starts_with("cbf_") && kept == TokenDigest::of(&told).hex());
        let secrets = Secrets(BTreeMap::from([("key-1".into(), kept.clone())]));
        let members = Value::Object(named(&[key], &secrets, now));
        assert_eq!(members, json!({"token_digests": {"key-1": kept}}));
    }

    #[test]
    fn a_secret_is_found_by_its_name_and_no_file_is_ever_read() {
        let secrets = Secrets(BTreeMap::from([("smtp".into(), " x \n".into())]));
        assert_eq!(secrets.secret("password_file", Path::new("smtp")).unwrap().expose(), "x");
        for path in ["/etc/hostname", "../smtp", "Cargo.toml"] {
            assert!(secrets.text("password_file", Path::new(path)).is_err(), "{path}");
        }
        assert!(!format!("{secrets:?}").contains('x'));
    }
}

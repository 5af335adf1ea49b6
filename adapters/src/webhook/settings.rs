//! `[endpoint.NAME.webhook]`: names, defaults, checks.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::Webhook;
use super::signature::{Key, Signer};
use crate::endpoint::Profile;
use crate::http::http_url;
use crate::settings::{Faults, Files};

/// The table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to POST.
    url: String,
    /// The form of the CAP document inside the body.
    #[serde(default = "as_received")]
    profile: Profile,
    /// The ed25519 key that signs (`v1a`): PKCS#8 in PEM, or `whsk_` and base64.
    key_file: Option<PathBuf>,
    /// Keys that sign beside it during a rotation.
    #[serde(default)]
    more_key_files: Vec<PathBuf>,
    /// The shared secret that signs (`v1`, HMAC-SHA256): `whsec_` and base64 of 24 to 64 bytes.
    secret_file: Option<PathBuf>,
    /// Secrets that sign beside it during a rotation.
    #[serde(default)]
    more_secret_files: Vec<PathBuf>,
    /// The time for a whole attempt, seconds, 1 to 30.
    #[serde(default = "ten")]
    timeout_secs: u64,
}

fn as_received() -> Profile {
    Profile::AsReceived
}

fn ten() -> u64 {
    10
}

impl WebhookSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<Webhook, Faults> {
        let mut faults = Faults::default();
        let url = faults.take(http_url("url", &self.url));
        let mut keys = Vec::new();
        let ed25519 = self.key_file.iter().map(|p| ("key_file", p));
        for (key, path) in ed25519.chain(self.more_key_files.iter().map(|p| ("more_key_files", p))) {
            keys.extend(faults.take(files.secret(key, path).and_then(|text| Key::ed25519(key, &text))));
        }
        let hmac = self.secret_file.iter().map(|p| ("secret_file", p));
        for (key, path) in hmac.chain(self.more_secret_files.iter().map(|p| ("more_secret_files", p))) {
            keys.extend(faults.take(files.secret(key, path).and_then(|text| Key::hmac(key, &text))));
        }
        let named = self.key_file.iter().chain(&self.more_key_files);
        if named.chain(&self.secret_file).chain(&self.more_secret_files).next().is_none() {
            let remedy = "name a key: `openssl genpkey -algorithm ed25519 -out webhook.pem`; the receiver needs its \
                          public half";
            faults.push(
                "key_file",
                "is not set, and neither is secret_file: nothing would be signed",
                remedy,
            );
        }
        if !(1..=30).contains(&self.timeout_secs) {
            faults.push("timeout_secs", "is not 1 to 30", "use 10");
        }
        match (url, faults.is_empty()) {
            (Some(url), true) => Ok(Webhook {
                url,
                profile: self.profile,
                signer: Signer::new(keys),
                limit: Duration::from_secs(self.timeout_secs),
            }),
            (Some(_) | None, _) => Err(faults),
        }
    }
}

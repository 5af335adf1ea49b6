//! `[source.NAME.ipaws]` and `[endpoint.NAME.ipaws]`: names, defaults, checks.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::client::Cog;
use super::wss::Credentials;
use super::{IpawsEndpoint, IpawsSource};
use crate::http::http_url;
use crate::settings::{Fault, Faults, Files, required_secret};

/// IPAWS takes a message whose `sent` is at most five minutes old (code 303). Less the time of a slow answer.
const MOST_FRESH_SECS: u64 = 280;

/// The table of a source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpawsSourceSettings {
    base_url: String,
    #[serde(default = "path")]
    path: String,
    pin_file: Option<PathBuf>,
    #[serde(default = "poll_secs")]
    poll_secs: f64,
    #[serde(default = "overlap_secs")]
    overlap_secs: u32,
    #[serde(default = "lookback_secs")]
    lookback_secs: u32,
    #[serde(default = "window_secs")]
    window_secs: u32,
    #[serde(default = "feed_timeout_secs")]
    timeout_secs: u64,
    #[serde(default = "max_feed_bytes")]
    max_feed_bytes: usize,
}

fn path() -> String {
    "rest/public/recent/{ts}".to_owned()
}
fn poll_secs() -> f64 {
    120.0
}
fn overlap_secs() -> u32 {
    600
}
fn lookback_secs() -> u32 {
    3_600
}
fn window_secs() -> u32 {
    1_800
}
fn feed_timeout_secs() -> u64 {
    20
}
fn max_feed_bytes() -> usize {
    64 << 20
}

impl IpawsSourceSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<IpawsSource, Faults> {
        let mut faults = Faults::default();
        let base = faults.take(http_url("base_url", &self.base_url));
        if !self.path.contains("{ts}") {
            faults.push("path", "does not say where the time goes", "use rest/public/recent/{ts}");
        }
        let pin = self.pin_file.as_ref().and_then(|path| faults.take(files.secret("pin_file", path)));
        if !(0.1..=3_600.0).contains(&self.poll_secs) {
            faults.push("poll_secs", "is not 0.1 to 3600", "use 120, as FEMA asks");
        }
        if self.window_secs == 0 {
            faults.push("window_secs", "is 0: every poll would tell of a gap", "use 1800");
        }
        if !(1..=120).contains(&self.timeout_secs) {
            faults.push("timeout_secs", "is not 1 to 120", "use 20");
        }
        let secs = |n: u32| SignedDuration::from_secs(i64::from(n));
        match (base, faults.is_empty()) {
            (Some(base), true) => Ok(IpawsSource {
                template: format!(
                    "{}/{}",
                    base.as_str().trim_end_matches('/'),
                    self.path.trim_start_matches('/')
                ),
                pin,
                poll: Duration::from_secs_f64(self.poll_secs),
                overlap: secs(self.overlap_secs),
                lookback: secs(self.lookback_secs),
                window: secs(self.window_secs),
                limit: Duration::from_secs(self.timeout_secs),
                max_feed_bytes: self.max_feed_bytes,
            }),
            (Some(_) | None, _) => Err(faults),
        }
    }
}

/// The table of an endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpawsEndpointSettings {
    url: String,
    cog_id: u32,
    user: String,
    key_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    sender: Option<String>,
    #[serde(default = "fresh_secs")]
    fresh_secs: u64,
    #[serde(default = "timeout_secs")]
    timeout_secs: u64,
}

fn fresh_secs() -> u64 {
    240
}
fn timeout_secs() -> u64 {
    30
}

impl IpawsEndpointSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<IpawsEndpoint, Faults> {
        let mut faults = Faults::default();
        let url = faults.take(http_url("url", &self.url));
        let key = faults.take(required_secret(files, "key_file", self.key_file.as_ref()));
        let certificate = faults.take(match &self.certificate_file {
            Some(path) => files.text("certificate_file", path),
            None => Err(Fault::new("certificate_file", "is not set", "name the certificate of the COG, PEM")),
        });
        let credentials = match (key, certificate) {
            (Some(key), Some(certificate)) => Credentials::read(&key, &certificate, self.cog_id, &mut faults),
            (Some(_) | None, _) => None,
        };
        if self.user.trim().is_empty() {
            faults.push("user", "is empty", "name who is responsible: IPAWS keeps it with every post");
        }
        if !(1..=MOST_FRESH_SECS).contains(&self.fresh_secs) {
            let problem = format!("is not 1 to {MOST_FRESH_SECS}");
            faults.push("fresh_secs", problem, "use 240: IPAWS refuses a sent that is five minutes old");
        }
        if !(1..=50).contains(&self.timeout_secs) {
            faults.push(
                "timeout_secs",
                "is not 1 to 50",
                "use 30: public channels are answered for in the reply",
            );
        }
        match (url, credentials, faults.is_empty()) {
            (Some(url), Some(credentials), true) => Ok(IpawsEndpoint {
                cog: Cog {
                    url,
                    cog_id: self.cog_id,
                    user: self.user,
                    credentials,
                    limit: Duration::from_secs(self.timeout_secs),
                },
                sender: self.sender,
                fresh_for: Duration::from_secs(self.fresh_secs),
            }),
            (_, _, _) => Err(faults),
        }
    }
}

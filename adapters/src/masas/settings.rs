//! `[source.NAME.masas]` and `[endpoint.NAME.masas]`: names, defaults, checks.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

use super::client::Hub;
use super::entry::EntrySettings;
use super::{MasasEndpoint, MasasSource};
use crate::class::Class;
use crate::http::http_url;
use crate::settings::{Fault, Faults, Files, required_secret};

/// What a hub is for. Known hosts tell it by their first label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HubKind {
    /// Real events (`common.`).
    Operations,
    /// Exercises (`exercise.`).
    Exercise,
    /// Training (`training.`).
    Training,
    /// For developers (`sandbox2.`).
    Sandbox,
}

impl HubKind {
    /// What the host of a hub says about it. INFERRED from the hosts of 2011 to 2018.
    fn of_host(hub: &Url) -> Option<HubKind> {
        match hub.host_str()?.split('.').next()? {
            "common" => Some(HubKind::Operations),
            "exercise" => Some(HubKind::Exercise),
            "training" => Some(HubKind::Training),
            "sandbox" | "sandbox2" => Some(HubKind::Sandbox),
            _ => None,
        }
    }

    /// The highest class that a hub of this kind may carry.
    pub fn highest(self) -> Class {
        match self {
            HubKind::Operations => Class::Live,
            HubKind::Exercise | HubKind::Training => Class::Exercise,
            HubKind::Sandbox => Class::Test,
        }
    }
}

/// Explicit, or what the host says; a contradiction is a fault.
fn kind(faults: &mut Faults, hub: Option<&Url>, stated: Option<HubKind>) -> Option<HubKind> {
    let by_host = hub.and_then(HubKind::of_host);
    match (stated, by_host) {
        (Some(stated), Some(by_host)) if stated != by_host => {
            let problem = format!("says {stated:?}, and the host of hub_url is one for {by_host:?}");
            faults.push("hub", problem, "make the two agree");
            None
        }
        (Some(kind), _) | (None, Some(kind)) => Some(kind),
        (None, None) => None,
    }
}

fn hub(
    faults: &mut Faults,
    files: &dyn Files,
    url: &str,
    secret: Option<&PathBuf>,
    timeout_secs: u64,
) -> Option<Hub> {
    let url = faults.take(http_url("hub_url", url).and_then(|url| {
        let problem = "has a query: the secret belongs into secret_file";
        if url.query().is_some() { Err(Fault::new("hub_url", problem, "end it with /hub")) } else { Ok(url) }
    }));
    let secret = faults.take(required_secret(files, "secret_file", secret));
    if !(1..=120).contains(&timeout_secs) {
        faults.push("timeout_secs", "is not 1 to 120", "use 15, as the posting tool does");
    }
    Hub::new(&url?, secret?, Duration::from_secs(timeout_secs))
}

/// The table of a source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasasSourceSettings {
    hub_url: String,
    secret_file: Option<PathBuf>,
    hub: Option<HubKind>,
    own_account: Option<String>,
    #[serde(default = "poll_secs")]
    poll_secs: f64,
    #[serde(default = "overlap_secs")]
    overlap_secs: u32,
    #[serde(default = "limit")]
    limit: u32,
    bbox: Option<String>,
    #[serde(default = "timeout_secs")]
    timeout_secs: u64,
    #[serde(default = "max_feed_bytes")]
    max_feed_bytes: usize,
    #[serde(default = "max_enclosure_bytes")]
    max_enclosure_bytes: usize,
    #[serde(default = "enclosure_attempts")]
    enclosure_attempts: u32,
    #[serde(default)]
    entries: EntrySettings,
}

fn poll_secs() -> f64 {
    30.0
}
fn overlap_secs() -> u32 {
    120
}
fn limit() -> u32 {
    400
}
fn timeout_secs() -> u64 {
    15
}
fn max_feed_bytes() -> usize {
    32 << 20
}
fn max_enclosure_bytes() -> usize {
    6 << 20
}
fn enclosure_attempts() -> u32 {
    3
}

impl MasasSourceSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<MasasSource, Faults> {
        let mut faults = Faults::default();
        let hub = hub(&mut faults, files, &self.hub_url, self.secret_file.as_ref(), self.timeout_secs);
        let kind = kind(&mut faults, hub.as_ref().map(Hub::base), self.hub);
        if !(0.1..=3_600.0).contains(&self.poll_secs) {
            faults.push("poll_secs", "is not 0.1 to 3600", "use 30");
        }
        if self.limit == 0 {
            faults.push("limit", "is 0: no entry would ever come", "use 400, as the viewing tool does");
        }
        if self.enclosure_attempts == 0 {
            faults.push("enclosure_attempts", "is 0: no CAP would ever be fetched", "use 3");
        }
        if let Some(bbox) = &self.bbox
            && bbox.split(',').filter(|n| n.parse::<f64>().is_ok_and(|v| v.abs() <= 180.0)).count() != 4
        {
            faults.push("bbox", "is not four numbers", "write it as minLon,minLat,maxLon,maxLat in degrees");
        }
        self.entries.check(&mut faults);
        match (hub, faults.is_empty()) {
            (Some(hub), true) => Ok(MasasSource {
                entries: self.entries.at_hub(hub.base()),
                kind,
                poll: Duration::from_secs_f64(self.poll_secs),
                overlap: SignedDuration::from_secs(i64::from(self.overlap_secs)),
                limit: self.limit,
                own_account: self.own_account,
                bbox: self.bbox,
                max_feed_bytes: self.max_feed_bytes,
                max_enclosure_bytes: self.max_enclosure_bytes,
                enclosure_attempts: self.enclosure_attempts,
                hub,
            }),
            (Some(_) | None, _) => Err(faults),
        }
    }
}

/// The table of an endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasasEndpointSettings {
    hub_url: String,
    secret_file: Option<PathBuf>,
    hub: Option<HubKind>,
    own_account: Option<String>,
    sender: Option<String>,
    #[serde(default = "timeout_secs")]
    timeout_secs: u64,
    #[serde(default = "attempt_secs")]
    attempt_secs: u64,
}

/// Less than a worker's lease (60 s) together with the wait for a slot (5 s).
fn attempt_secs() -> u64 {
    40
}

impl MasasEndpointSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<MasasEndpoint, Faults> {
        let mut faults = Faults::default();
        let hub = hub(&mut faults, files, &self.hub_url, self.secret_file.as_ref(), self.timeout_secs);
        let kind = kind(&mut faults, hub.as_ref().map(Hub::base), self.hub);
        if !(1..=50).contains(&self.attempt_secs) || self.attempt_secs < self.timeout_secs {
            let problem = "is not 1 to 50, or less than timeout_secs";
            faults.push("attempt_secs", problem, "use 40: a whole attempt, looking for a lost post included");
        }
        match (hub, faults.is_empty()) {
            (Some(hub), true) => Ok(MasasEndpoint {
                hub,
                kind,
                own_account: self.own_account,
                sender: self.sender,
                attempt: Duration::from_secs(self.attempt_secs),
            }),
            (Some(_) | None, _) => Err(faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::source::Source;
    use crate::testing::InMemory;

    fn keys<T>(result: Result<T, Faults>) -> Vec<String> {
        result.err().map(|f| f.0.into_iter().map(|f| f.key).collect()).unwrap_or_default()
    }

    //
    #[test]
    fn settings_report_every_fault_at_once() {
        let files = InMemory::with(&[("s", "code")]);
        let source = |table: &str| keys(MasasSource::validate(toml::from_str(table).unwrap(), &files));
        let endpoint = |table: &str| keys(MasasEndpoint::validate(toml::from_str(table).unwrap(), &files));
        let good = "hub_url = \"https://common.example.test/hub\"\nsecret_file = \"s\"\n";
        assert!(source(good).is_empty() && endpoint(good).is_empty());
        assert_eq!(source("hub_url = \"https://h/hub?secret=x\""), ["hub_url", "secret_file"]);
        let table = format!(
            "{good}poll_secs = 0\nlimit = 0\nenclosure_attempts = 0\nbbox = \"1,2,3\"\ntimeout_secs = 0\n\
             hub = \"exercise\"\n[entries]\nrestriction = \" \"\ndefault_language = \"\"\nsender = \"a b\""
        );
        assert_eq!(
            source(&table),
            [
                "timeout_secs",
                "hub",
                "poll_secs",
                "limit",
                "enclosure_attempts",
                "bbox",
                "entries.sender",
                "entries.restriction",
                "entries.default_language"
            ]
        );
    }

    #[test]
    fn a_hub_that_is_not_for_operations_is_never_live() {
        let files = InMemory::with(&[("s", "code")]);
        for (host, highest) in [
            ("common.masas-x.example", Some(Class::Live)),
            ("exercise.masas-x.example", Some(Class::Exercise)),
            ("training.masas-x.example", Some(Class::Exercise)),
            ("sandbox2.masas-sics.example", Some(Class::Test)),
            ("127.0.0.1", None),
        ] {
            let table = format!("hub_url = \"https://{host}/hub\"\nsecret_file = \"s\"\n");
            let endpoint = MasasEndpoint::validate(toml::from_str(&table).unwrap(), &files).unwrap();
            assert_eq!(endpoint.highest(), highest, "{host}");
        }
    }
}

//! The tables of the configuration, one struct each, with their defaults.
//!
//! Owns names and defaults; `config.default.toml` shows the same and a test compares. Plain data: `config` reads and checks
//! it, the rest of the program goes by it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use capbridge_adapters::class::Class;
use serde::{Deserialize, Serialize};

/// `[bridge]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeTable {
    /// Name of this bridge: part of derived identifiers, of store keys and of the loop guard. Instances that share a
    /// store share the name.
    pub name: String,
    /// CAP `sender` of the messages that the bridge issues.
    pub sender: String,
    /// CAP `source` of the messages that the bridge issues, at most 30 characters.
    pub source: String,
    /// CAP `senderName` of the messages that the bridge issues.
    pub sender_name: String,
    /// Folder of the embedded store.
    pub data_dir: PathBuf,
    /// How long a clean stop may take, seconds.
    pub shutdown_secs: u64,
    /// A boundary file made by `capbridge geodata build`; absent: Canadian places are approximate.
    pub geodata_file: Option<PathBuf>,
}

impl Default for BridgeTable {
    fn default() -> Self {
        BridgeTable {
            name: "capbridge".into(),
            sender: "capbridge@localhost.invalid".into(),
            source: "capbridge".into(),
            sender_name: "capbridge".into(),
            data_dir: "capbridge-data".into(),
            shutdown_secs: 10,
            geodata_file: None,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreTable {
    /// URL of Redis, of its Sentinels or of cluster nodes (docs/redis.md); absent: the embedded store in `data_dir`.
    pub redis_url: Option<String>,
    /// ACL user's password file.
    pub redis_password_file: Option<PathBuf>,
    /// The password file of the Sentinels.
    pub redis_sentinel_password_file: Option<PathBuf>,
    /// Roots in PEM that TLS to Redis trusts instead of those of the operating system.
    pub redis_roots_file: Option<PathBuf>,
    /// The certificate in PEM that is shown to Redis, with its key in `redis_key_file`.
    pub redis_certificate_file: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    pub redis_key_file: Option<PathBuf>,
    /// Replicas that must confirm a write before it counts; absent: none.
    pub wait_replicas: Option<u32>,
    /// How often it is looked whether Redis still keeps what it is given, seconds.
    pub check_secs: u64,
    /// Run on a Redis that may lose the last second.
    pub dangerous_allow_everysec: bool,
}

impl Default for StoreTable {
    fn default() -> Self {
        StoreTable {
            redis_url: None,
            redis_password_file: None,
            redis_sentinel_password_file: None,
            redis_roots_file: None,
            redis_certificate_file: None,
            redis_key_file: None,
            wait_replicas: None,
            check_secs: 30,
            dangerous_allow_everysec: false,
        }
    }
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminTable {
    /// Address and port of the admin socket.
    pub listen: String,
    /// File with the bearer token that every call but health must carry; needed when not on loopback.
    pub token_file: Option<PathBuf>,
    /// Names that the socket answers to beside loopback and its own address (`Host` header), without port.
    pub hosts: Vec<String>,
    /// Connections at once.
    pub max_clients: usize,
    /// A head, or a body, that is not there in this time ends the call, seconds.
    pub patience_secs: u64,
}

impl Default for AdminTable {
    fn default() -> Self {
        AdminTable {
            listen: "127.0.0.1:8650".into(),
            token_file: None,
            hosts: Vec::new(),
            max_clients: 256,
            patience_secs: 5,
        }
    }
}

/// What a table comes to: the bounds of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub max_clients: usize,
    /// A head that is not there in this time ends the connection; so does an idle one.
    pub head: Duration,
    /// A client that takes nothing for this long is cut.
    pub stalled: Duration,
}

/// `[registration]`: what may be registered over the admin API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationTable {
    /// Kinds of endpoints. Those that are not named can be declared in the file only.
    pub kinds: Vec<String>,
    /// Public channels that subscriptions may open, such as `EAS`. With none, no endpoint with `reach = "public"` can be
    /// registered either.
    pub public_channels: Vec<String>,
    /// A webhook that proved itself is asked again after this long, seconds.
    pub proof_secs: u64,
    /// One that does not answer then gets alerts for this long, seconds, and is paused.
    pub proof_grace_secs: u64,
}

impl Default for RegistrationTable {
    fn default() -> Self {
        RegistrationTable {
            kinds: vec!["email".into(), "webhook".into()],
            public_channels: Vec::new(),
            proof_secs: 90 * 86_400,
            proof_grace_secs: 7 * 86_400,
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogTable {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A tracing filter, such as `info` or `capbridge=debug`.
    pub level: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for LogTable {
    fn default() -> Self {
        LogTable { format: LogFormat::Text, level: "info".into() }
    }
}

/// `[network]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkTable {
    /// Private addresses (CIDR) or host names that sources and endpoints may have. Shown at start.
    pub allow_private: Vec<String>,
    /// Extra root certificates, PEM.
    pub extra_roots_file: Option<PathBuf>,
}

/// `[clock]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockTable {
    /// The clock follows the messages of a replay. Never with live endpoints of an agency.
    pub dangerous_follow_messages: bool,
}

/// `[intake]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeTable {
    /// `sent` may be this far ahead of the clock, seconds.
    pub future_secs: u64,
    /// A message older than this and past its `expires` is stale, seconds.
    pub stale_secs: u64,
    /// How long a source may be silent (no successful contact) before readiness is lost, seconds.
    pub contact_secs: u64,
    /// How long an Update or Cancel waits for what it refers to, where none of that is here, seconds.
    pub hold_secs: u64,
    /// Senders that may update and cancel what other senders sent: acting sender to the senders that it acts for.
    pub acts_for: BTreeMap<String, Vec<String>>,
}

impl Default for IntakeTable {
    fn default() -> Self {
        IntakeTable {
            future_secs: 900,
            stale_secs: 86_400,
            contact_secs: 600,
            hold_secs: 60,
            acts_for: BTreeMap::new(),
        }
    }
}

/// `[relay]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayTable {
    /// Attempts under way at once, per lane.
    pub in_flight: u32,
    /// The longest that an attempt may take, with 5 s for what follows, seconds.
    pub lease_secs: u64,
    /// An instance that is not heard of for this long is taken over by the others that share its Redis, seconds.
    pub takeover_secs: u64,
    /// Urgent deliveries are tried until `expires`, at least this long, seconds.
    pub give_up_floor_secs: u64,
    /// No delivery is tried for longer than this, seconds.
    pub give_up_cap_secs: u64,
}

impl Default for RelayTable {
    fn default() -> Self {
        RelayTable {
            in_flight: 2_048,
            lease_secs: 60,
            takeover_secs: 6,
            give_up_floor_secs: 7_200,
            give_up_cap_secs: 86_400,
        }
    }
}

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionTable {
    /// Alerts and deliveries are deleted this long after they were accepted or expired, days.
    pub alerts_days: u32,
    /// Documents in quarantine are deleted this long after they came, days.
    pub quarantine_days: u32,
    /// What tells repeats and our own messages from new ones is forgotten this long after the alert expired or was accepted,
    /// or came again, days.
    pub known_days: u32,
    /// The entries of the audit log are deleted after this time, days.
    pub audit_days: u32,
}

impl Default for RetentionTable {
    fn default() -> Self {
        RetentionTable { alerts_days: 30, quarantine_days: 30, known_days: 400, audit_days: 2_557 }
    }
}

/// `[route.NAME]`: what may go where. An empty list narrows nothing; `from`, `to` and `class` must be named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// Sources.
    pub from: Vec<String>,
    /// Endpoints.
    pub to: Vec<String>,
    /// The class that the rule is for.
    pub class: Option<Class>,
    /// CAP categories.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Event codes (any valueName).
    #[serde(default)]
    pub events: Vec<String>,
    /// CAP severities.
    #[serde(default)]
    pub severities: Vec<String>,
    /// CAP urgencies.
    #[serde(default)]
    pub urgencies: Vec<String>,
    /// CAP certainties.
    #[serde(default)]
    pub certainties: Vec<String>,
    /// Languages, matched by prefix: `fr` matches `fr-CA`.
    #[serde(default)]
    pub languages: Vec<String>,
    /// CAP scopes: `Public`, `Restricted`, `Private`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// CBRNE only.
    #[serde(default)]
    pub cbrne: bool,
    /// Only alerts whose geometry touches this polygon, as in CAP.
    pub area: Option<String>,
    /// Public channels of the endpoint that messages of this rule may open, such as `EAS`. Each is named; there is
    /// no wildcard.
    #[serde(default)]
    pub open_channels: Vec<String>,
    /// Also alerts that touch nothing on the far side of the border.
    #[serde(default)]
    pub untouched: bool,
    /// Alerts that name places by code only are told to the neighbours across the border (border-pair table).
    #[serde(default)]
    pub notify_neighbours: bool,
    /// Why its alerts cross the border: a `[purpose.NAME]`, which lets single fields through.
    pub purpose: Option<String>,
}

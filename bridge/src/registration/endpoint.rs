//! A registered endpoint: one address of a responder.
//!
//! Owns how a document becomes an endpoint that the relay can call: through the same table, and the same checks, as the
//! configuration. Its class is fixed when it is registered; there is no way to change it.

use capbridge_adapters::class::Class;
use capbridge_adapters::passage::Reach;
use capbridge_adapters::registry::{AnyEndpoint, EndpointKind, EndpointTable};
use capbridge_adapters::settings::Faults;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::keys::{self, Form, Made, Secrets, SigningKey};
use super::proof::{Code, Proof};
use super::{Name, shown};

/// What is kept of an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Version of this document.
    pub v: u8,
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub responder: Name,
    /// The class that it takes, for ever.
    pub class: Class,
    /// The exercise that it belongs to; with class `exercise` only.
    pub exercise: Option<String>,
    /// The outside system that it writes to: nothing that came from there is sent there.
    pub system: String,
    /// Whom it reaches.
    pub reach: Reach,
    /// Whether it may get content of scope `Restricted`.
    pub restricted: bool,
    /// CAP addresses that it stands for.
    pub addresses: Vec<String>,
    /// Attempts under way at once.
    pub max_in_flight: Option<u32>,
    /// Its kind, the name of its table.
    pub kind: String,
    /// Its table as in the configuration; what ends in `_file` names a secret.
    pub settings: Map<String, Value>,
    /// What the settings and the keys name.
    pub secrets: Secrets,
    /// What signs for a webhook or lets the readers of a feed in, oldest first.
    pub keys: Vec<SigningKey>,
    /// When it proved that it is who it is said to be. Until then it gets nothing.
    pub proven_at: Option<Timestamp>,
    /// The code that was sent to a mailbox and not given back yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was removed.
    pub ended_at: Option<Timestamp>,
}

/// What an endpoint is to be. Exactly one kind is named, with its table as in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointOrder {
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub responder: Name,
    /// The class that it takes.
    pub class: Class,
    /// The exercise that it belongs to; with class `exercise` only.
    #[serde(default)]
    pub exercise: Option<String>,
    /// The outside system that it writes to; the responder unless named.
    #[serde(default)]
    pub system: Option<String>,
    /// Whom it reaches: `public` only where the configuration permits it.
    #[serde(default = "responders")]
    pub reach: Reach,
    /// Whether it may get content of scope `Restricted`.
    #[serde(default)]
    pub restricted: bool,
    /// CAP addresses that it stands for.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Attempts under way at once, 1 to 64.
    #[serde(default)]
    pub max_in_flight: Option<u32>,
    /// A receiver of signed POSTs: `url`, `profile`, `timeout_secs`, and `signing`: `ed25519` or `hmac`.
    #[serde(default)]
    pub webhook: Option<Map<String, Value>>,
    /// An e-mail address.
    #[serde(default)]
    pub email: Option<Map<String, Value>>,
    /// A feed that clients read.
    #[serde(default)]
    pub feed: Option<Map<String, Value>>,
    /// A MASAS hub.
    #[serde(default)]
    pub masas: Option<Map<String, Value>>,
    /// IPAWS-OPEN.
    #[serde(default)]
    pub ipaws: Option<Map<String, Value>>,
    /// A stream such as that of the NAAD System.
    #[serde(default)]
    pub stream: Option<Map<String, Value>>,
    /// Texts that the settings name with what ends in `_file`.
    #[serde(default)]
    pub secrets: Secrets,
}

fn responders() -> Reach {
    Reach::Responders
}

/// Why an order makes no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// None or several kinds are named.
    #[error("name one kind of endpoint: email, feed, ipaws, masas, stream or webhook")]
    Kind,
    /// Its settings name something that the bridge makes itself.
    #[error("{kind}: {key} is not taken: the bridge makes the keys and tokens of what is registered")]
    OwnKey {
        /// The kind of endpoint.
        kind: &'static str,
        /// The key.
        key: String,
    },
    /// A form of signing that there is not.
    #[error("webhook: signing is \"ed25519\" or \"hmac\"")]
    Signing,
    /// The table does not read.
    #[error("{said}")]
    Unread {
        /// What the reader said of it.
        said: String,
    },
    /// The table has faults.
    #[error("the settings have faults: {}", shown(.0))]
    Faulty(Faults),
    /// Its credential has run out: nothing would be taken.
    #[error("its credential ran out at {ends_at}")]
    Expired {
        /// When.
        ends_at: Timestamp,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl EndpointOrder {
    /// The endpoint as it is kept, with the text of its new key, if it has one.
    ///
    /// # Errors
    /// What is wrong with the order.
    pub fn fill(self, now: Timestamp, by: &str) -> Result<(Endpoint, Option<String>), EndpointFault> {
        let EndpointOrder { email, feed, ipaws, masas, stream, webhook, mut secrets, .. } = self;
        let named = [
            (EndpointKind::Email, email),
            (EndpointKind::Feed, feed),
            (EndpointKind::Ipaws, ipaws),
            (EndpointKind::Masas, masas),
            (EndpointKind::Stream, stream),
            (EndpointKind::Webhook, webhook),
        ];
        let mut named = named.into_iter().filter_map(|(kind, settings)| Some((kind, settings?)));
        let (Some((kind, mut settings)), None) = (named.next(), named.next()) else {
            return Err(EndpointFault::Kind);
        };
        let mut signing = Vec::new();
        let mut text = None;
        if let Some(form) = own_key(kind, &mut settings)? {
            let made = keys::make("key-1".into(), form, now).ok_or(EndpointFault::NoRandomness)?;
            let Made { key, kept, told } = made;
            secrets.0.insert(key.name.clone(), kept);
            signing.push(key);
            text = told;
        }
        let proven_at = (Proof::of(kind) == Proof::Vouched).then_some(now);
        let endpoint = Endpoint {
            v: 1,
            name: self.name,
            system: self.system.unwrap_or_else(|| self.responder.to_string()),
            responder: self.responder,
            class: self.class,
            exercise: self.exercise,
            reach: self.reach,
            restricted: self.restricted,
            addresses: self.addresses,
            max_in_flight: self.max_in_flight,
            kind: kind.as_str().to_owned(),
            settings,
            secrets,
            keys: signing,
            proven_at,
            code: None,
            created_at: now,
            created_by: by.to_owned(),
            ended_at: None,
        };
        match endpoint.build(now)?.credential_expires_at() {
            Some(ends_at) if ends_at <= now => Err(EndpointFault::Expired { ends_at }),
            Some(_) | None => Ok((endpoint, text)),
        }
    }
}

/// The form of the key that the bridge makes for a kind, if it makes one; what would be another key is refused.
fn own_key(kind: EndpointKind, settings: &mut Map<String, Value>) -> Result<Option<Form>, EndpointFault> {
    let refuse = |part: &str| match settings.keys().find(|key| key.contains(part)) {
        Some(key) => Err(EndpointFault::OwnKey { kind: kind.as_str(), key: key.clone() }),
        None => Ok(()),
    };
    match kind {
        EndpointKind::Webhook => {
            refuse("_file")?;
            let form = settings.remove("signing").unwrap_or(json!("ed25519"));
            let form = serde_json::from_value(form).ok().filter(|form| *form != Form::Token);
            Ok(Some(form.ok_or(EndpointFault::Signing)?))
        }
        EndpointKind::Feed => {
            refuse("token")?;
            let open = settings.get("open").and_then(Value::as_bool).unwrap_or(false);
            Ok((!open).then_some(Form::Token))
        }
        EndpointKind::Email | EndpointKind::Ipaws | EndpointKind::Masas | EndpointKind::Stream => Ok(None),
    }
}

impl Endpoint {
    /// The endpoint that the relay calls, with the keys that sign at this time.
    ///
    /// # Errors
    /// The table does not read, or has faults.
    pub fn build(&self, now: Timestamp) -> Result<AnyEndpoint, EndpointFault> {
        let mut settings = self.settings.clone();
        settings.extend(keys::named(&self.keys, &self.secrets, now));
        let mut table = json!({
            "system": self.system, "mode": self.class, "exercise": self.exercise, "reach": self.reach,
            "restricted": self.restricted, "addresses": self.addresses,
        });
        if let Some(members) = table.as_object_mut() {
            members.insert(self.kind.clone(), Value::Object(settings));
            if let Some(most) = self.max_in_flight {
                members.insert("max_in_flight".into(), json!(most));
            }
        }
        let table: EndpointTable = serde_json::from_value(table)
            .map_err(|error| EndpointFault::Unread { said: error.to_string() })?;
        table.validate(self.name.as_str(), &self.secrets).map_err(EndpointFault::Faulty)
    }

    /// The kind, if this program knows it.
    pub fn known_kind(&self) -> Option<EndpointKind> {
        EndpointKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)
    }

    /// When the next of its keys stops signing.
    pub fn next_retirement(&self, now: Timestamp) -> Option<Timestamp> {
        self.keys.iter().filter_map(|key| key.retires_at).filter(|at| *at > now).min()
    }

    /// The public halves of the keys that sign at this time.
    pub fn public_keys(&self, now: Timestamp) -> Vec<String> {
        let signing = self.keys.iter().filter(|key| key.signs(now) && key.form == Form::Ed25519);
        signing.filter_map(|key| keys::public_half(self.secrets.0.get(&key.name)?)).collect()
    }
}

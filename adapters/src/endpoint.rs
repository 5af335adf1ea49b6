//! The port that alerts go out by.
//!
//! Owns what an author of an endpoint writes, and `Outbound`, which only a `Passage` can make. The adapter decides
//! whether a failure is temporary or permanent; the relay obeys.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cap_schema::MsgType;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::class::Relayable;
use crate::feed::{Feed, Shelf};
use crate::http::HttpClient;
use crate::passage::{EndPassage, Passage};
use crate::settings::{Faults, Files};
use crate::source::Clock;
use crate::stream::Stream;

/// What an author of an endpoint implements.
pub trait Endpoint: Sized + Send + Sync + 'static {
    /// The table of the configuration, `deny_unknown_fields`.
    type Settings: DeserializeOwned;

    /// Checks the settings and reads the secret files that they name. Opens nothing.
    ///
    /// # Errors
    /// Every fault at once.
    fn validate(settings: Self::Settings, files: &dyn Files) -> Result<Self, Faults>;

    /// What the bridge has to prepare for it.
    fn wants(&self) -> Wants;

    /// When the credential that it signs with runs out, if it has one that does. For health and metrics.
    fn credential_expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// The feed that it is, if it is one: then the bridge serves what it takes.
    fn feed(&self) -> Option<&Feed> {
        None
    }

    /// The stream that it is, if it is one: then the bridge sends what it takes to whoever is connected.
    fn stream(&self) -> Option<&Stream> {
        None
    }

    /// Hands over one message, once.
    ///
    /// # Errors
    /// Temporary or permanent, as the reply was read.
    fn deliver(
        &self,
        cx: &EndpointContext,
        message: &Message,
    ) -> impl Future<Output = Result<Receipt, DeliveryError>> + Send;

    /// Says something that is no alert, once: that the endpoint is to prove itself, or that the connection is tried out.
    /// An adapter that has no such thing refuses.
    ///
    /// # Errors
    /// Temporary or permanent, as the reply was read; a challenge that was not answered is permanent.
    fn greet(
        &self,
        _cx: &EndpointContext,
        _greeting: &Greeting,
    ) -> impl Future<Output = Result<Receipt, DeliveryError>> + Send {
        let said = "this kind of endpoint takes nothing but alerts".to_owned();
        std::future::ready(Err(DeliveryError::Permanent { disable: false, cause: Refusal::Unfit { said } }))
    }
}

/// What is said to an endpoint beside alerts. It has no text of an alert, so that it needs no `Passage`: whatever an
/// adapter makes of it cannot be taken for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Tells it from others; no two are the same.
    pub id: String,
    /// What it is.
    pub form: GreetingForm,
}

/// The forms of a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GreetingForm {
    /// The endpoint proves that it is who it is said to be by answering with this.
    Challenge {
        /// Hard to guess.
        nonce: String,
    },
    /// The connection is tried out.
    Test,
}

/// All that an endpoint is given.
#[derive(Clone)]
pub struct EndpointContext {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The one HTTP client, with the address rules of the configuration.
    pub http: HttpClient,
    /// Where entries of feeds are kept.
    pub shelf: Arc<dyn Shelf>,
}

/// What an endpoint wants to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// The profile of the CAP message.
    pub profile: Profile,
    /// What the body is.
    pub body: BodyForm,
    /// The age of `sent` (of the rendering) above which the message must be stamped again before an attempt.
    pub fresh_for: Option<Duration>,
    /// The registered sender that messages to this endpoint carry; `None`: the bridge's own.
    pub sender: Option<String>,
}

/// The form of CAP that an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// As it was received, byte for byte.
    AsReceived,
    /// The Canadian profile.
    CapCp,
    /// The US IPAWS profile.
    Ipaws,
}

/// What the body of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyForm {
    /// The CAP document itself.
    Cap,
    /// A JSON document that holds the CAP document, its class, trail and translation report.
    Json,
}

/// One message for one endpoint: constant over retries, restarts and failovers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `msg_` and 26 characters of base32; the `webhook-id`.
    pub id: String,
    /// CAP `msgType` of the message.
    pub msg_type: MsgType,
    /// CAP reference of the message itself: `sender,identifier,sent`.
    pub reference: String,
    /// The bytes, identical on every attempt unless stamped again (see `Wants::fresh_for`).
    pub body: Bytes,
    /// The media type of `body`.
    pub content_type: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// An earlier attempt may have arrived: its answer was lost.
    pub maybe_delivered: bool,
    /// What this endpoint already took of the same chain, oldest first.
    pub prior: Vec<Prior>,
}

/// An earlier message of the same chain that this endpoint took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prior {
    /// Its CAP reference.
    pub reference: String,
    /// Where the endpoint keeps it, from its receipt (a MASAS `edit-media` address).
    pub location: Option<String>,
}

/// A message that may go to one endpoint. There is no way to make one without a `Passage`.
#[derive(Clone, Debug)]
pub struct Outbound<C: Relayable> {
    passage: Passage<C>,
    message: Message,
}

impl<C: Relayable> Outbound<C> {
    /// Joins the right to go with what goes.
    pub fn new(passage: Passage<C>, message: Message) -> Self {
        Outbound { passage, message }
    }

    /// The end of what the endpoint holds. `None` unless the message is a Cancel: of a message that is not for the
    /// endpoint nothing else may be told there.
    pub fn end(passage: EndPassage<C>, message: Message) -> Option<Self> {
        (message.msg_type == MsgType::Cancel).then(|| Outbound { passage: passage.into_passage(), message })
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The passage.
    pub fn passage(&self) -> &Passage<C> {
        &self.passage
    }
}

/// What the endpoint answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The status code of the transport, if there is one.
    pub status_code: Option<u16>,
    /// Where the endpoint keeps the message, for later updates.
    pub location: Option<String>,
    /// The name that the endpoint gave it.
    pub remote_id: Option<String>,
    /// Taken, but not everywhere it was meant for: `notes` says where not. A person should look.
    pub partial: bool,
    /// The endpoint holds an earlier stamping of the message: that of the attempt whose answer was lost.
    #[serde(default)]
    pub earlier_stamp: bool,
    /// What the endpoint said, one line each.
    pub notes: Vec<String>,
    /// When it was taken, by the bridge's clock.
    pub delivered_at: Option<Timestamp>,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Try again later.
    #[error("the endpoint did not take the message for now")]
    Temporary {
        /// What the endpoint asked us to wait.
        retry_after: Option<Duration>,
        /// The answer was lost: the message may have arrived.
        outcome_unknown: bool,
        /// Why.
        #[source]
        cause: Refusal,
    },
    /// Trying again will not help: dead letter.
    #[error("the endpoint will not take the message")]
    Permanent {
        /// The endpoint asked never to be called again (410).
        disable: bool,
        /// Why.
        #[source]
        cause: Refusal,
    },
}

/// What a peer said, where it said something.
fn behind(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// What an endpoint said or failed to say.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request failed on the way.
    #[error("the request failed")]
    Transport {
        /// What went wrong.
        #[source]
        cause: crate::http::HttpError,
    },
    /// The endpoint answered with a status that is not success.
    #[error("status {status_code}{}", behind(said))]
    Status {
        /// The HTTP status code.
        status_code: u16,
        /// The beginning of the body, control characters escaped.
        said: String,
    },
    /// The endpoint answered in its own protocol.
    #[error("{protocol} refused it: {said}")]
    Protocol {
        /// The protocol.
        protocol: &'static str,
        /// Its codes and texts.
        said: String,
    },
    /// The endpoint says that a message that this one refers to is over.
    #[error("{protocol} says that what it refers to is over: {said}")]
    ExpiredReference {
        /// The protocol.
        protocol: &'static str,
        /// Its codes and texts.
        said: String,
    },
    /// The endpoint does not know a message that this one refers to.
    #[error("{protocol} does not know what it refers to: {said}")]
    UnknownReference {
        /// The protocol.
        protocol: &'static str,
        /// Its codes and texts.
        said: String,
    },
    /// The answer could not be read.
    #[error("the answer of {protocol} could not be read: {said}")]
    UnreadableReply {
        /// The protocol.
        protocol: &'static str,
        /// What could be seen of it.
        said: String,
    },
    /// A message that changes several things at the endpoint changed some of them.
    #[error("{done} of {of} entries are as they should be")]
    Unfinished {
        /// How many are.
        done: u32,
        /// How many should be.
        of: u32,
        /// Why the others are not.
        #[source]
        cause: Box<Refusal>,
    },
    /// As many attempts as the endpoint may have at once are under way, and none ended in time.
    #[error("{max_in_flight} attempts are under way, and none ended in time")]
    Busy {
        /// The configured number.
        max_in_flight: u32,
    },
    /// The attempt had not ended when its lease was about to.
    #[error("the attempt had not ended after {secs} s")]
    Overdue {
        /// How long it was given.
        secs: u64,
    },
    /// The message cannot be expressed for this endpoint.
    #[error("the message does not fit the endpoint: {said}")]
    Unfit {
        /// Why.
        said: String,
    },
}

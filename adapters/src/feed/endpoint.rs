//! One entry a message.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Entry, FeedSettings};
use crate::endpoint::{
    BodyForm, DeliveryError, Endpoint, EndpointContext, Message, Profile, Receipt, Refusal, Wants,
};
use crate::passage::EndpointName;
use crate::settings::{Faults, Files};
use crate::token::TokenDigest;

/// Where entries are kept.
#[async_trait]
pub trait Shelf: Send + Sync + 'static {
    /// Keeps an entry with the bytes of its message and gives its place in the feed. Returns when that is durable; an
    /// entry that is there already, by its id, keeps its place.
    ///
    /// # Errors
    /// Nothing is kept, or the answer was lost: the same call may be made again.
    async fn keep(&self, keeping: Keeping) -> Result<u64, ShelfError>;
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    /// In which feed.
    pub feed: EndpointName,
    /// What readers see.
    pub entry: Entry,
    /// The message, byte for byte.
    pub body: Bytes,
}

/// Why an entry was not kept.
#[derive(Debug, thiserror::Error)]
#[error("the entry was not kept")]
pub struct ShelfError {
    /// Why.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// A place that keeps nothing, for endpoints that are no feeds.
#[derive(Clone, Copy, Debug)]
pub struct NoShelf;

/// Why nothing is kept there.
#[derive(Debug, thiserror::Error)]
#[error("nobody serves feeds here")]
struct NotServed;

#[async_trait]
impl Shelf for NoShelf {
    async fn keep(&self, _: Keeping) -> Result<u64, ShelfError> {
        Err(ShelfError { cause: Box::new(NotServed) })
    }
}

/// A feed that clients read.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The name of its endpoint, which is in its addresses.
    pub name: EndpointName,
    /// What readers see above its entries.
    pub title: String,
    /// The form of its messages.
    pub profile: Profile,
    /// Anybody may read it.
    pub open: bool,
    /// Who may read it: name and token of each subscription.
    pub subscriptions: Vec<(String, TokenDigest)>,
    /// How long entries are kept after they came or, where that is later, after their alert ended, days.
    pub keep_days: u32,
}

impl Feed {
    /// The feed under the name of its endpoint.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Feed { name: EndpointName(name.to_owned()), ..self }
    }
}

impl Endpoint for Feed {
    type Settings = FeedSettings;

    fn validate(settings: FeedSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    fn wants(&self) -> Wants {
        Wants { profile: self.profile, body: BodyForm::Cap, fresh_for: None, sender: None }
    }

    fn feed(&self) -> Option<&Feed> {
        Some(self)
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        let now = cx.clock.now();
        let Some(entry) = Entry::of(message, now) else {
            let cause = Refusal::Unfit { said: "its CAP document does not read".to_owned() };
            return Err(DeliveryError::Permanent { disable: false, cause });
        };
        let keeping = Keeping { feed: self.name.clone(), entry, body: message.body.clone() };
        match cx.shelf.keep(keeping).await {
            Ok(place) => Ok(Receipt {
                remote_id: Some(place.to_string()),
                delivered_at: Some(now),
                ..Receipt::default()
            }),
            Err(error) => {
                let said = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                // An entry that was kept after all keeps its place when it comes again.
                let cause = Refusal::Protocol { protocol: "the store", said };
                Err(DeliveryError::Temporary { retry_after: None, outcome_unknown: true, cause })
            }
        }
    }
}

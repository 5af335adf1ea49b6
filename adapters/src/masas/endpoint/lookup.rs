//! Looks at the hub for a message whose answer was lost.
//!
//! Owns the rule that "not there" is said only after a complete look-up that could be read: a refusal, a feed or an
//! enclosure that cannot be read, a full page and a broken request are all "not known", because what is not known to be
//! absent must not be posted again.

use bytes::Bytes;
use cap_schema::Time;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::{CAP_BYTES, FEED_BYTES, MasasEndpoint, PROTOCOL, reference, transport};
use crate::atom::{Entry, Link, cut};
use crate::endpoint::{DeliveryError, EndpointContext, Message, Refusal};
use crate::http::{HttpClient, Reply};
use crate::masas::client::FeedQuery;
use crate::masas::{CAP_TYPE, CAP_TYPE_IANA};
use crate::tree::Element;

/// Entries of the page that is asked for. A page that comes back full may lack some.
const PAGE: u32 = 400;
/// How far the clocks of hub and bridge may differ. Entries that were published longer before `sent` are not ours.
const CLOCKS: SignedDuration = SignedDuration::from_hours(1);

/// An entry as the hub keeps it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) document: Bytes,
    pub(super) entry: Entry,
    /// It shows the message that was asked for.
    pub(super) is_message: bool,
    /// What it shows is over: cancelled, or the entry has expired.
    pub(super) is_over: bool,
}

impl MasasEndpoint {
    /// Looks for messages among our entries: their enclosures hold the references. Newest first; empty: none is there.
    ///
    /// # Errors
    /// Whether they are there could not be found out. Temporary, outcome unknown.
    pub(super) async fn find(
        &self,
        http: &HttpClient,
        references: &[&str],
    ) -> Result<Vec<Entry>, DeliveryError> {
        let sent = references.iter().map(|r| sent_at(r)).min().flatten();
        let since = sent.and_then(|sent| sent.checked_sub(CLOCKS).ok());
        let query =
            FeedQuery { since, author: self.own_account.clone(), limit: Some(PAGE), ..FeedQuery::default() };
        let body = self.fetched(http, self.hub.feed_url(&query), FEED_BYTES).await?;
        let mut entries = read_whole(&body)?;
        entries.retain(|entry| match (entry.published, since) {
            (Some(published), Some(since)) => published >= since,
            (None, _) | (_, None) => true,
        });
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.published));
        let mut found = Vec::new();
        for entry in entries {
            for cap in self.enclosed(http, &entry).await? {
                let Some(held) = reference(&cap) else { return Err(unreadable("an enclosure is no alert")) };
                if references.contains(&held.as_str()) {
                    found.push(entry.clone());
                }
            }
            if found.len() >= references.len() {
                break;
            }
        }
        Ok(found)
    }

    /// Looks at one entry. `None`: it is no longer at the hub.
    ///
    /// # Errors
    /// What it shows could not be found out. Temporary, outcome unknown.
    pub(super) async fn look(
        &self,
        cx: &EndpointContext,
        url: Url,
        message: &Message,
    ) -> Result<Option<Kept>, DeliveryError> {
        let reply = self.hub.get(&cx.http, url, FEED_BYTES).await.map_err(|cause| transport(cause, true))?;
        if matches!(reply.status_code, 404 | 410) {
            return Ok(None);
        }
        let document = good(&reply)?;
        let entry = Entry::read(&document).map_err(|error| unreadable(&error.to_string()))?;
        let mut is_over = entry.expires.is_some_and(|expires| expires <= cx.clock.now());
        let mut is_message = false;
        for cap in self.enclosed(&cx.http, &entry).await? {
            let Some(held) = reference(&cap) else { return Err(unreadable("an enclosure is no alert")) };
            is_message |= held == message.reference;
            let msg_type = Element::read(&cap).ok().and_then(|alert| alert.value(&alert.ns, "msgType"));
            is_over |= msg_type.as_deref() == Some("Cancel");
        }
        Ok(Some(Kept { document, entry, is_message, is_over }))
    }

    /// The CAP documents of an entry.
    async fn enclosed(&self, http: &HttpClient, entry: &Entry) -> Result<Vec<Bytes>, DeliveryError> {
        let is_cap = |l: &&Link| l.is_type(CAP_TYPE) || l.is_type(CAP_TYPE_IANA);
        let urls = entry.linked("enclosure").filter(is_cap).filter_map(|l| self.hub.own(&l.href));
        let mut documents = Vec::new();
        for url in urls {
            documents.push(self.fetched(http, url, CAP_BYTES).await?);
        }
        Ok(documents)
    }

    /// The whole body of a good answer.
    async fn fetched(&self, http: &HttpClient, url: Url, max_bytes: usize) -> Result<Bytes, DeliveryError> {
        let reply = self.hub.get(http, url, max_bytes).await.map_err(|cause| transport(cause, true))?;
        good(&reply)
    }
}

fn good(reply: &Reply) -> Result<Bytes, DeliveryError> {
    if reply.status_code != 200 {
        let cause = Refusal::Status { status_code: reply.status_code, said: reply.said() };
        return Err(unknown(cause));
    }
    Ok(reply.whole().map_err(|cause| transport(cause, true))?.clone())
}

/// Every entry of a feed, if it is complete and each can be read.
fn read_whole(body: &[u8]) -> Result<Vec<Entry>, DeliveryError> {
    let feed = cut(body).map_err(|error| unreadable(&error.to_string()))?;
    if !feed.complete {
        return Err(unreadable("the feed breaks off before its end"));
    }
    if !feed.strays.is_empty() {
        return Err(unreadable("the feed holds what is no entry"));
    }
    if feed.entries.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX) {
        return Err(unreadable("the page is full: there may be more entries"));
    }
    feed.entries.iter().map(|entry| Entry::read(entry).map_err(|e| unreadable(&e.to_string()))).collect()
}

fn sent_at(reference: &str) -> Option<Timestamp> {
    let sent = reference.rsplit(',').next()?;
    Timestamp::from_second(Time::new(sent).instant()?.seconds()).ok()
}

fn unreadable(said: &str) -> DeliveryError {
    unknown(Refusal::UnreadableReply { protocol: PROTOCOL, said: format!("looking for our entry: {said}") })
}

fn unknown(cause: Refusal) -> DeliveryError {
    DeliveryError::Temporary { retry_after: None, outcome_unknown: true, cause }
}

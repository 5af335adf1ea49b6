//! Entries of feeds.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use capbridge_adapters::feed::Keeping;
use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;
use redis::Value;

use super::fault::{Fault, engine};
use super::keys::{Keys, suffix};
use super::link::Effect;
use super::records::Parts;
use super::{RedisStore, json, ms};
use crate::store::StoreError;
use crate::store::feeds::{Extent, FeedStore, Placed, Span};

/// The score of what has no end: later than any time in milliseconds that is exact as a double.
pub(super) const NO_END_MS: i64 = 9_000_000_000_000_000;

#[async_trait]
impl FeedStore for RedisStore {
    async fn keep(&self, keeping: Keeping) -> Result<u64, StoreError> {
        const STEP: &str = "keep an entry of a feed";
        let Keeping { feed, entry, body } = keeping;
        let mut call = self.scripts.keep.call();
        call.arg(&feed.0).arg(&entry.id).arg(&entry.reference).arg(u8::from(entry.is_in_force()));
        call.arg(entry.expires_at.map_or(NO_END_MS, ms)).arg(ms(entry.over_at()));
        call.arg(json(STEP, &entry)?).arg(body.as_ref());
        for replaced in &entry.replaces {
            call.arg(replaced);
        }
        self.run(STEP, &self.scripts.keep, &call, Effect::Repeatable).await
    }

    async fn entries(&self, feed: &EndpointName, span: Span, limit: u32) -> Result<Vec<Placed>, StoreError> {
        let (way, place) = match span {
            Span::After(place) => ("after", place),
            Span::Before(place) => ("before", place),
        };
        let mut call = self.scripts.entries.call();
        call.arg(&feed.0).arg(way).arg(place).arg(limit);
        self.placed("read a feed", &call).await
    }

    async fn in_force(
        &self,
        feed: &EndpointName,
        now: Timestamp,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Placed>, StoreError> {
        let mut call = self.scripts.entries.call();
        call.arg(&feed.0).arg("in force").arg(before).arg(limit).arg(ms(now));
        self.placed("read what is in force", &call).await
    }

    async fn entry(&self, feed: &EndpointName, id: &str) -> Result<Option<(Placed, Bytes)>, StoreError> {
        const STEP: &str = "read an entry of a feed";
        let mut ask = redis::cmd("HMGET");
        let key = self.keys.of(suffix::FEED_ENTRY, &Keys::line(&feed.0, id));
        ask.arg(key).arg(&["place", "entry", "body"]);
        let (place, entry, body): (Option<u64>, Option<String>, Option<Vec<u8>>) =
            self.send(STEP, &ask, Effect::Read).await?;
        let (Some(place), Some(entry), Some(body)) = (place, entry, body) else { return Ok(None) };
        let entry = serde_json::from_str(&entry).map_err(|error| engine(STEP, error.into()))?;
        Ok(Some((Placed { place, entry }, Bytes::from(body))))
    }

    async fn extent(&self, feed: &EndpointName) -> Result<Extent, StoreError> {
        let mut ask = redis::cmd("HGETALL");
        ask.arg(self.keys.of(suffix::FEED, &feed.0));
        let found: HashMap<String, u64> = self.send("see how far a feed is", &ask, Effect::Read).await?;
        let field = |name: &str| found.get(name).copied().unwrap_or(0);
        Ok(Extent { last: field("last"), swept: field("swept") })
    }

    async fn feeds(&self) -> Result<Vec<EndpointName>, StoreError> {
        let mut ask = redis::cmd("SMEMBERS");
        ask.arg(self.keys.one(suffix::FEEDS));
        let mut names: Vec<String> = self.send("list feeds", &ask, Effect::Read).await?;
        names.sort();
        Ok(names.into_iter().map(EndpointName).collect())
    }

    async fn sweep_feed(
        &self,
        feed: &EndpointName,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut call = self.scripts.sweep_feed.call();
        call.arg(&feed.0).arg(ms(before)).arg(limit);
        self.run("delete old entries", &self.scripts.sweep_feed, &call, Effect::Repeatable).await
    }
}

impl RedisStore {
    async fn placed(&self, step: &'static str, call: &redis::Cmd) -> Result<Vec<Placed>, StoreError> {
        let answer: Value = self.run(step, &self.scripts.entries, call, Effect::Read).await?;
        let read = |mut parts: Parts| -> Result<Placed, Fault> {
            Ok(Placed { place: parts.next()?, entry: parts.json()? })
        };
        Parts::each(answer, read).map_err(|fault| engine(step, fault))
    }
}

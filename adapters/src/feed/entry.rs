//! What readers of a feed see of a message, beside its bytes.
//!
//! Owns the choice of what is taken from the CAP document. Text, times and shapes are kept as written.

use bytes::Bytes;
use cap_schema::{Alert, Limits, MsgType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::endpoint::Message;

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of this record.
    pub v: u8,
    /// The id of the message: constant over retries.
    pub id: String,
    /// CAP reference of the message: `sender,identifier,sent`.
    pub reference: String,
    /// CAP `msgType`.
    pub msg_type: MsgType,
    /// CAP `status`, as written.
    pub status: String,
    /// CAP `scope`, as written.
    pub scope: Option<String>,
    /// CAP `sender`.
    pub sender: String,
    /// CAP `sent`, as written.
    pub sent: String,
    /// When it came into the feed.
    pub published_at: Timestamp,
    /// The latest `expires` of its infos; `None` where an info has none, or there are no infos.
    pub expires_at: Option<Timestamp>,
    /// CAP references of what it takes the place of in the feed.
    pub replaces: Vec<String>,
    /// Its infos.
    pub infos: Vec<EntryInfo>,
    /// Media type of the bytes.
    pub content_type: String,
    /// How many bytes.
    pub length_bytes: u64,
    /// SHA-256 of the bytes, lower-case hex.
    pub digest: String,
}

/// An info.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryInfo {
    /// Language; `en-US` where none is named (CAP 1.2 section 3.2.2).
    pub language: String,
    /// Kinds of event.
    pub categories: Vec<String>,
    /// Name of the event.
    pub event: String,
    /// Time to prepare.
    pub urgency: String,
    /// Impact.
    pub severity: String,
    /// Confidence.
    pub certainty: String,
    /// When it ends, as written.
    pub expires: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Name of the sender for people.
    pub sender_name: Option<String>,
    /// A short headline.
    pub headline: Option<String>,
    /// What happens.
    pub description: Option<String>,
    /// What to do.
    pub instruction: Option<String>,
    /// Where.
    pub areas: Vec<EntryArea>,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryArea {
    /// In words.
    pub description: String,
    /// Polygons, as written.
    pub polygons: Vec<String>,
    /// Circles, as written.
    pub circles: Vec<String>,
    /// Codes, `valueName` and value.
    pub geocodes: Vec<(String, String)>,
}

impl Entry {
    /// The entry of a message; `None` where its document does not read.
    pub fn of(message: &Message, published_at: Timestamp) -> Option<Self> {
        let parsed = cap_schema::parse_owned(&message.body, &Limits::default()).ok()?;
        let alert = &parsed.alert;
        let infos = infos(alert);
        let ends: Option<Vec<Timestamp>> = infos.iter().map(|info| info.expires_at).collect();
        Some(Entry {
            v: 1,
            id: message.id.clone(),
            reference: message.reference.clone(),
            msg_type: message.msg_type,
            status: alert.status.as_str().to_owned(),
            scope: alert.scope.as_ref().map(|scope| scope.as_str().to_owned()),
            sender: alert.sender.clone().into_owned(),
            sent: alert.sent.as_str().to_owned(),
            published_at,
            expires_at: ends.and_then(|ends| ends.into_iter().max()),
            replaces: message.prior.iter().map(|prior| prior.reference.clone()).collect(),
            infos,
            content_type: message.content_type.clone(),
            length_bytes: u64::try_from(message.body.len()).unwrap_or(u64::MAX),
            digest: sha256(&message.body),
        })
    }

    /// Whether it can be in force: it is no end of something, nor an answer.
    pub fn is_in_force(&self) -> bool {
        match self.msg_type {
            MsgType::Alert | MsgType::Update => true,
            MsgType::Cancel | MsgType::Ack | MsgType::Error => false,
        }
    }

    /// From when on it counts as old: it came, and its alert is over.
    pub fn over_at(&self) -> Timestamp {
        self.expires_at.map_or(self.published_at, |expires| expires.max(self.published_at))
    }

    /// One line for people: what happens, in the languages that it is said in.
    pub fn headline(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for info in &self.infos {
            let headline = info.headline.as_deref().filter(|text| !text.trim().is_empty());
            let line = headline.unwrap_or(&info.event).split_whitespace().collect::<Vec<_>>().join(" ");
            if !line.is_empty() && !lines.contains(&line) {
                lines.push(line);
            }
        }
        if lines.is_empty() { self.reference.clone() } else { lines.join(" / ") }
    }
}

fn infos(alert: &Alert<'_>) -> Vec<EntryInfo> {
    let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let info = |info: &cap_schema::Info<'_>| EntryInfo {
        language: owned(&info.language).unwrap_or_else(|| "en-US".to_owned()),
        categories: info.category.iter().map(|code| code.as_str().to_owned()).collect(),
        event: info.event.clone().into_owned(),
        urgency: info.urgency.as_str().to_owned(),
        severity: info.severity.as_str().to_owned(),
        certainty: info.certainty.as_str().to_owned(),
        expires: info.expires.as_ref().map(|time| time.as_str().to_owned()),
        expires_at: info
            .expires
            .as_ref()
            .and_then(cap_schema::Time::instant)
            .and_then(|instant| Timestamp::from_second(instant.seconds()).ok()),
        sender_name: owned(&info.sender_name),
        headline: owned(&info.headline),
        description: owned(&info.description),
        instruction: owned(&info.instruction),
        areas: info
            .area
            .iter()
            .map(|area| EntryArea {
                description: area.area_desc.clone().into_owned(),
                polygons: area.polygon.iter().map(|polygon| polygon.as_str().to_owned()).collect(),
                circles: area.circle.iter().map(|circle| circle.as_str().to_owned()).collect(),
                geocodes: area
                    .geocode
                    .iter()
                    .map(|code| (code.value_name.clone().into_owned(), code.value.clone().into_owned()))
                    .collect(),
            })
            .collect(),
    };
    alert.info.iter().map(info).collect()
}

fn sha256(bytes: &Bytes) -> String {
    use std::fmt::Write;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

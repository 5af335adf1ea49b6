//! The pipeline: ingest → verify → classify → deduplicate → route, in this order.
//!
//! Owns the way of one document to a durable answer. Everything up to `deduplicate` happens inside `accept`; routing
//! runs from the store, so that a crash between the two loses nothing. Must not talk to endpoints.

pub mod classify;
pub mod deduplicate;
pub mod ingest;
pub mod route;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cap_schema::{Alert, Category, Code, Finding, Limits, MsgType, Scope, Severity, Time, Urgency};
use capbridge_adapters::class::{Class, ExerciseId};
use capbridge_adapters::masas::entry::EntrySettings;
use capbridge_adapters::passage::{Audience, Origin, Provenance, SystemName};
use capbridge_adapters::source::{Accept, AcceptError, Acceptance, Clock, Received};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use crate::clock::BridgeClock;
use crate::config::IntakeTable;
use crate::envelope::{AlertKey, ChainKey, Envelope, Lane, Quarantined, Reference, StoredAlert};
use crate::store::{Event, Store, StoreError, Stored};
use crate::telemetry::{ErrorChain, Metrics};

/// Why a document went to quarantine. A closed set: operators filter by it and metrics are labelled with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not an alert, or not one that can be acted on safely.
    Document,
    /// Error-level findings, and the source is held to the rules.
    Rules,
    /// The signature is not what the source requires.
    Signature,
    /// Sent too far in the future.
    Future,
    /// Too old to be news.
    Stale,
    /// The same reference with other content.
    Conflict,
    /// The source could not complete the document.
    Incomplete,
}

impl Reason {
    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Document => "document",
            Reason::Rules => "rules",
            Reason::Signature => "signature",
            Reason::Future => "future",
            Reason::Stale => "stale",
            Reason::Conflict => "conflict",
            Reason::Incomplete => "incomplete",
        }
    }
}

/// Why a document does not go on.
#[derive(Debug)]
pub struct Setback {
    /// The kind.
    pub reason: Reason,
    /// In words.
    pub detail: String,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Its reference, as far as it could be read.
    pub reference: Option<Reference>,
}

impl Setback {
    fn boxed(reason: Reason, detail: String) -> Box<Self> {
        Box::new(Setback { reason, detail, findings: Vec::new(), reference: None })
    }
}

/// What the pipeline knows of one source.
#[derive(Clone, Debug)]
pub struct SourceProfile {
    /// The system behind it.
    pub system: SystemName,
    /// The highest class that its messages can have.
    pub mode: Class,
    /// The exercise that it belongs to.
    pub exercise: Option<ExerciseId>,
    /// What its documents must satisfy.
    pub trust: verify::SourceTrust,
    /// Limits of the reader.
    pub limits: Limits,
    /// How MASAS entries without CAP become CAP.
    pub entries: EntrySettings,
}

/// The pipeline up to the durable answer.
pub struct Pipeline {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: BridgeClock,
    /// Every configured source.
    pub sources: BTreeMap<Origin, SourceProfile>,
    /// Freshness.
    pub intake: IntakeTable,
    /// What marks a test.
    pub marks: classify::TestMarks,
    /// Name of this bridge, for the loop guard.
    pub bridge: String,
    /// Senders of the messages that we issue.
    pub own_senders: Vec<String>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Wakes the router.
    pub accepted: Arc<Notify>,
}

#[async_trait]
impl Accept for Pipeline {
    async fn accept(&self, origin: &Origin, received: Received) -> Result<Acceptance, AcceptError> {
        let outcome = self
            .take(origin, received, None)
            .await
            .map_err(|cause| AcceptError::NotStored { cause: Box::new(cause) });
        match &outcome {
            Ok(acceptance) => self.metrics.received(origin, *acceptance),
            Err(error) => warn!(%origin, error = %ErrorChain(error), "document not stored"),
        }
        outcome
    }
}

/// An operator's word that a quarantined document is to be believed.
#[derive(Clone, Debug)]
pub struct Pardon {
    /// Who.
    pub operator: String,
}

impl Pipeline {
    /// Runs a document to its durable answer. A pardon lifts the verdict of `verify`, never that of `ingest`,
    /// `classify` or `deduplicate`.
    ///
    /// # Errors
    /// The store failed; nothing was stored.
    pub async fn take(
        &self,
        origin: &Origin,
        received: Received,
        pardon: Option<&Pardon>,
    ) -> Result<Acceptance, StoreError> {
        let Some(source) = self.sources.get(origin) else {
            let setback = Setback::boxed(Reason::Incomplete, "the source is not configured".into());
            return self.set_aside(origin, &received, setback).await;
        };
        let read = match ingest::read(&received, &source.limits, &source.entries) {
            Ok(read) => read,
            Err(setback) => return self.set_aside(origin, &received, setback).await,
        };
        if let Some(sent) = instant(&read.alert.sent) {
            self.clock.observe(sent);
        }
        let Some(reference) = reference_of(&read.alert) else {
            let setback = Setback::boxed(Reason::Document, "no sender, identifier or sent".into());
            return self.set_aside(origin, &received, setback).await;
        };
        if let Some(ours) = self.own(&read.alert, &reference).await? {
            return self.turn_back(origin, &reference, &ours).await;
        }
        let verified =
            verify::verify(&received.raw, &read.alert, &source.trust, self.clock.now(), &self.intake);
        let cap = read.derived.as_deref().unwrap_or(&received.raw);
        let (signature, profile_findings) = match (verified, pardon) {
            (Ok(verified), _) => (verified.verification.state.to_string(), verified.findings),
            (Err(setback), Some(pardon)) => {
                (format!("released by {}: {}", pardon.operator, setback.detail), setback.findings)
            }
            (Err(mut setback), None) => {
                locate(cap, &source.limits, &mut setback.findings);
                return self.set_aside(origin, &received, setback).await;
            }
        };
        let mut findings = read.findings;
        findings.extend(profile_findings);
        locate(cap, &source.limits, &mut findings);
        let alert = self.stored(source, origin, &received, read.alert, read.derived, signature, &findings);
        self.store_alert(origin, &received, alert).await
    }

    #[expect(clippy::too_many_arguments, reason = "every part of the record, once, in one private place")]
    fn stored(
        &self,
        source: &SourceProfile,
        origin: &Origin,
        received: &Received,
        alert: Alert<'static>,
        derived: Option<bytes::Bytes>,
        signature: String,
        findings: &[Finding],
    ) -> StoredAlert {
        let (class, _) = classify::classify(&alert, source.mode, source.exercise.clone(), &self.marks);
        let reference = reference_of(&alert).unwrap_or_else(|| Reference {
            sender: String::new(),
            identifier: String::new(),
            sent: String::new(),
        });
        let key = deduplicate::key(&reference);
        let envelope = Envelope {
            v: 1,
            chain: ChainKey(key.0.clone()),
            twin: deduplicate::twin(&reference),
            key,
            msg_type: match &alert.msg_type {
                Code::Known(known) => *known,
                Code::Unknown(_) => MsgType::Alert,
            },
            refers_to: alert.references().into_iter().map(|r| owned(&r)).collect(),
            provenance: Provenance {
                origin: origin.clone(),
                system: source.system.clone(),
                audience: audience(&alert),
                addresses: alert.addresses.as_deref().map(addresses).unwrap_or_default(),
            },
            form: received.form,
            remote_id: received.remote_id.clone(),
            received_at: received.received_at,
            accepted_at: self.clock.now(),
            sent_at: instant(&alert.sent).unwrap_or(received.received_at),
            expires_at: expires(&alert),
            lane: lane(&alert),
            class,
            digest: deduplicate::hex_digest(&received.raw),
            content_digest: deduplicate::content_digest(&alert),
            signature,
            findings: findings.iter().filter_map(|f| serde_json::to_value(f).ok()).collect(),
            headline: alert.info.first().and_then(|i| i.headline.as_deref()).map(str::to_owned),
            reference,
        };
        StoredAlert { envelope, raw: received.raw.clone(), derived }
    }

    async fn store_alert(
        &self,
        origin: &Origin,
        received: &Received,
        alert: StoredAlert,
    ) -> Result<Acceptance, StoreError> {
        let envelope = alert.envelope.clone();
        let reference = &envelope.reference;
        let (what, subject, acceptance) = match self.store.accept(alert).await? {
            Stored::New(_) => {
                info!(%origin, %reference, class = %envelope.class.class(), "alert accepted");
                self.accepted.notify_one();
                ("accepted", envelope.key.clone(), Acceptance::Accepted)
            }
            Stored::Repeat => {
                debug!(%origin, %reference, "repeat");
                return Ok(Acceptance::Repeat);
            }
            Stored::Linked(to) => {
                info!(%origin, %reference, "the same alert through another source");
                ("linked", to, Acceptance::Linked)
            }
            Stored::Conflict => {
                let setback = Box::new(Setback {
                    reason: Reason::Conflict,
                    detail: "an alert with this reference and other content was accepted before".into(),
                    findings: Vec::new(),
                    reference: Some(reference.clone()),
                });
                return self.set_aside(origin, received, setback).await;
            }
        };
        let facts = json!({"origin": origin, "digest": envelope.digest, "signature": envelope.signature,
            "class": envelope.class.class()});
        self.record(what, Some(subject), facts).await?;
        Ok(acceptance)
    }

    /// The alert that this message was made from, if it is one of ours.
    async fn own(
        &self,
        alert: &Alert<'_>,
        reference: &Reference,
    ) -> Result<Option<Option<AlertKey>>, StoreError> {
        if let Some(key) = self.store.ours(&reference.sender, &reference.identifier).await? {
            return Ok(Some(Some(key)));
        }
        let by_mark =
            self.own_senders.contains(&reference.sender) || deduplicate::carries_trace(alert, &self.bridge);
        Ok(by_mark.then_some(None))
    }

    async fn turn_back(
        &self,
        origin: &Origin,
        reference: &Reference,
        ours: &Option<AlertKey>,
    ) -> Result<Acceptance, StoreError> {
        info!(%origin, %reference, "our own output came back and stops here");
        self.record("loop", ours.clone(), json!({"origin": origin, "reference": reference.to_string()}))
            .await?;
        Ok(Acceptance::Loop)
    }

    async fn set_aside(
        &self,
        origin: &Origin,
        received: &Received,
        setback: Box<Setback>,
    ) -> Result<Acceptance, StoreError> {
        let digest = deduplicate::hex_digest(&received.raw);
        let reason = setback.reason.as_str();
        let id = format!(
            "q_{}",
            deduplicate::hex_digest(format!("{origin}\0{reason}\0{digest}").as_bytes())
                .get(..26)
                .unwrap_or("")
        );
        let entry = Quarantined {
            v: 1,
            id: id.clone(),
            origin: origin.clone(),
            form: received.form,
            remote_id: received.remote_id.clone(),
            received_at: received.received_at,
            reference: setback.reference.clone(),
            digest,
            reason: reason.to_owned(),
            detail: setback.detail.clone(),
            findings: setback.findings.iter().filter_map(|f| serde_json::to_value(f).ok()).collect(),
            times: 1,
            released: None,
        };
        self.store.quarantine(entry, received.raw.clone()).await?;
        self.metrics.quarantined(setback.reason);
        let reference = setback.reference.as_ref().map(ToString::to_string).unwrap_or_default();
        warn!(%origin, reference, quarantine = id, reason, detail = setback.detail, "document quarantined");
        self.record("quarantined", None, json!({"origin": origin, "quarantine": id, "reason": reason}))
            .await?;
        Ok(Acceptance::Quarantined)
    }

    async fn record(
        &self,
        what: &str,
        alert: Option<AlertKey>,
        facts: serde_json::Value,
    ) -> Result<(), StoreError> {
        let facts = match facts {
            serde_json::Value::Object(map) => map,
            _ => serde_json::Map::new(),
        };
        let event = Event { at: self.clock.now(), what: what.to_owned(), alert, delivery: None, facts };
        self.store.record(vec![event]).await
    }
}

/// Gives findings that have only a path their line and column.
fn locate(cap: &[u8], limits: &Limits, findings: &mut [Finding]) {
    if findings.iter().any(|f| f.line == 0 && !f.path.is_empty())
        && let Ok(document) = cap_schema::Document::read(cap, limits)
    {
        document.locate(findings);
    }
}

/// The alert's own reference, if all three parts are there.
pub fn reference_of(alert: &Alert<'_>) -> Option<Reference> {
    let reference = owned(&alert.reference());
    let whole =
        !reference.sender.is_empty() && !reference.identifier.is_empty() && !reference.sent.is_empty();
    whole.then_some(reference)
}

fn owned(reference: &cap_schema::Reference<'_>) -> Reference {
    Reference {
        sender: reference.sender.to_string(),
        identifier: reference.identifier.to_string(),
        sent: reference.sent.to_string(),
    }
}

/// A CAP time as an instant.
pub fn instant(time: &Time<'_>) -> Option<Timestamp> {
    time.instant().and_then(|i| Timestamp::from_second(i.seconds()).ok())
}

/// The latest `expires` of the infos; `None` when one of them has none.
pub fn expires(alert: &Alert<'_>) -> Option<Timestamp> {
    let all: Option<Vec<Timestamp>> =
        alert.info.iter().map(|i| i.expires.as_ref().and_then(instant)).collect();
    all?.into_iter().max()
}

fn audience(alert: &Alert<'_>) -> Audience {
    match &alert.scope {
        Some(Code::Known(Scope::Public)) => Audience::Public,
        Some(Code::Known(Scope::Restricted)) => Audience::Restricted,
        // Nothing that cannot be read is given a wider audience.
        Some(Code::Known(Scope::Private) | Code::Unknown(_)) | None => Audience::Private,
    }
}

/// CAP `addresses`: separated by white space, quoted where one contains it.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            found.push(part.to_owned());
        } else {
            found.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    found.retain(|a| !a.is_empty());
    found
}

/// CBRNE, Extreme and Immediate go first.
fn lane(alert: &Alert<'_>) -> Lane {
    let urgent = alert.info.iter().any(|i| {
        i.category.contains(&Code::Known(Category::Cbrne))
            || i.severity == Code::Known(Severity::Extreme)
            || i.urgency == Code::Known(Urgency::Immediate)
    });
    // A message without info ends or answers another: it must not wait behind routine traffic.
    if urgent || alert.info.is_empty() { Lane::Urgent } else { Lane::Routine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_white_space_and_quotes() {
        assert_eq!(addresses("\"address 1\" address2\n three"), ["address 1", "address2", "three"]);
        assert_eq!(addresses("  "), Vec::<String>::new());
    }
}

//! The pipeline: ingest → verify → classify → deduplicate → route, in this order.
//!
//! Owns the way of one document to a durable answer. Everything up to `deduplicate` happens inside `accept`; routing
//! runs from the store, so that a crash between the two loses nothing. Must not talk to endpoints.

pub mod classify;
mod correction;
pub mod coverage;
pub mod deduplicate;
mod facts;
pub mod ingest;
pub mod route;
mod rule;
pub mod rules;
pub mod verify;

pub use facts::{expires, instant, owned, reference_of};

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cap_schema::{Alert, Code, Finding, Limits, MsgType};
use capbridge_adapters::class::{Class, Classified, ExerciseId};
use capbridge_adapters::masas::entry::EntrySettings;
use capbridge_adapters::passage::{Origin, Provenance, SystemName};
use capbridge_adapters::source::{Accept, AcceptError, Acceptance, Clock, Form, Received};
use jiff::SignedDuration;
use serde_json::json;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use crate::clock::BridgeClock;
use crate::envelope::{AlertKey, ChainKey, Envelope, Quarantined, Reference, StoredAlert, World};
use crate::health::Health;
use crate::routes::Routes;
use crate::settings::IntakeTable;
use crate::store::{Arrival, Event, Store, StoreError, Stored};
use crate::telemetry::{ErrorChain, Metrics};

use deduplicate::{Names, Stranger};

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
    /// It would update or cancel what another sender sent.
    Authority,
    /// It carries a mark of this bridge, but the bridge does not know that it issued it.
    Loop,
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
            Reason::Authority => "authority",
            Reason::Loop => "loop",
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
    /// For the world of a message, since what no rule takes stays by itself, and for what we issue.
    pub routes: Arc<Routes>,
    /// Freshness.
    pub intake: IntakeTable,
    /// What marks a test.
    pub marks: classify::TestMarks,
    /// Name of this bridge, for the loop guard.
    pub bridge: String,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Told of what the store refuses.
    pub health: Arc<Health>,
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

/// Whether what a document follows may still come. What is made of an entry follows that entry's earlier versions, which
/// its source handed over before or never will: hubs show the newest only. The same holds for a CAP document that took
/// the place of an earlier one there.
fn comes_later(received: &Received) -> bool {
    match received.form {
        Form::Cap => !received.is_revision,
        Form::MasasEnding | Form::MasasEntry => false,
    }
}

/// An operator's word that a quarantined document is to be believed.
#[derive(Clone, Debug)]
pub struct Pardon {
    /// Who.
    pub operator: String,
}

impl Pipeline {
    /// Runs a document to its durable answer. A pardon lifts the verdicts of `verify` and of a missing right to speak for
    /// others, never those of `ingest` and `classify`, nor a conflict.
    ///
    /// # Errors
    /// The store failed; nothing was stored.
    pub async fn take(
        &self,
        origin: &Origin,
        received: Received,
        pardon: Option<&Pardon>,
    ) -> Result<Acceptance, StoreError> {
        match self.run(origin, &received, pardon).await? {
            Ok(outcome) => Ok(outcome),
            // It is in quarantine: that its release was refused makes it no second document.
            Err(setback) if pardon.is_some() => {
                let (reason, detail) = (setback.reason.as_str(), &setback.detail);
                warn!(%origin, reason, detail, "a release was refused");
                Ok(Acceptance::Quarantined)
            }
            Err(setback) => self.set_aside(origin, &received, setback).await,
        }
    }

    async fn run(
        &self,
        origin: &Origin,
        received: &Received,
        pardon: Option<&Pardon>,
    ) -> Result<Result<Acceptance, Box<Setback>>, StoreError> {
        let Some(source) = self.sources.get(origin) else {
            return Ok(Err(Setback::boxed(Reason::Incomplete, "the source is not configured".into())));
        };
        let read = match ingest::read(received, &source.limits, &source.entries) {
            Ok(read) => read,
            Err(setback) => return Ok(Err(setback)),
        };
        if let Some(sent) = instant(&read.alert.sent) {
            self.clock.observe(sent);
        }
        let Some(reference) = reference_of(&read.alert) else {
            return Ok(Err(Setback::boxed(Reason::Document, "no sender, identifier or sent".into())));
        };
        if let Some(key) = self.store.ours(&reference.sender, &reference.identifier).await? {
            return self.turn_back(origin, received, &reference, key).await.map(Ok);
        }
        let mut standing = self.stand(source, origin, &read.alert, &reference).await?;
        if received.form == Form::MasasEnding && !self.any_known(&standing.names).await? {
            let detail = "it ends an alert that was never taken from here, and is told to nobody";
            return Ok(Err(Setback::boxed(Reason::Document, detail.into())));
        }
        let cap = read.derived.as_deref().unwrap_or(&received.raw);
        let verdict = self.judge(source, cap, &read.alert, &standing).await?;
        let (signature, verdict_findings) = match (verdict, pardon) {
            (Ok(verified), _) => (verified.verification.state.to_string(), verified.findings),
            (Err(setback), Some(pardon)) => {
                if setback.reason == Reason::Authority {
                    standing.names.believe();
                }
                (format!("released by {}: {}", pardon.operator, setback.detail), setback.findings)
            }
            (Err(mut setback), None) => {
                locate(cap, &source.limits, &mut setback.findings);
                return Ok(Err(setback));
            }
        };
        let mut findings = read.findings;
        findings.extend(verdict_findings);
        locate(cap, &source.limits, &mut findings);
        let made = Made { alert: read.alert, derived: read.derived, signature, findings };
        let key = self.key(&reference, &standing.world).await?;
        let alert = self.stored(origin, received, made, (source, standing, key));
        let told = match self.end_corrected(source, received, &alert.envelope).await? {
            Some(ended) => Some(ended),
            None => self.unheard(&alert.envelope).await?,
        };
        self.store_alert(origin, received, alert, told.into_iter().collect()).await
    }

    /// Class, world and names of a message. One without infos says of itself only its status: where what it follows is of
    /// a lower class, so is it.
    async fn stand(
        &self,
        source: &SourceProfile,
        origin: &Origin,
        alert: &Alert<'_>,
        reference: &Reference,
    ) -> Result<Standing, StoreError> {
        let (class, _) = classify::classify(alert, source.mode, source.exercise.clone(), &self.marks);
        let others = self.others(&reference.sender);
        let all = || alert.references().iter().map(owned).collect::<Vec<_>>();
        let refers_to: Vec<Reference> = match alert.msg_type {
            Code::Known(MsgType::Alert | MsgType::Ack) | Code::Unknown(_) => Vec::new(),
            Code::Known(MsgType::Update | MsgType::Cancel) => all(),
            // About another's message it is an answer, which ends nothing.
            Code::Known(MsgType::Error) => all()
                .into_iter()
                .filter(|r| r.sender == reference.sender || others.contains(&r.sender))
                .collect(),
        };
        let table = self.routes.now();
        let at = |class: Classified| {
            let alone = (!table.rules.take_from(origin, class.class())).then_some(origin);
            let world = World::of(&class, alone);
            let names = deduplicate::names(&world, reference, &refers_to, others);
            Standing { class, world, names }
        };
        let mut found = at(class.clone());
        if !alert.info.is_empty() || self.any_known(&found.names).await? {
            return Ok(found);
        }
        for lower in [Class::Exercise, Class::Test] {
            let lowered = at(class.clone().lower(lower));
            if lower < class.class() && self.any_known(&lowered.names).await? {
                found = lowered;
                break;
            }
        }
        Ok(found)
    }

    /// The senders that a sender may act for.
    fn others(&self, sender: &str) -> &[String] {
        self.intake.acts_for.get(sender).map_or(&[], Vec::as_slice)
    }

    async fn any_known(&self, names: &Names) -> Result<bool, StoreError> {
        Ok(!names.follows.is_empty() && self.store.known(&names.follows).await?.contains(&true))
    }

    /// Whether the message is to be believed: signature and rules, the marks of this bridge, age, and the right to speak
    /// for what it refers to.
    async fn judge(
        &self,
        source: &SourceProfile,
        cap: &[u8],
        alert: &Alert<'_>,
        standing: &Standing,
    ) -> Result<Result<verify::Verified, Box<Setback>>, StoreError> {
        let mut verified = match verify::verify(cap, alert, &source.trust) {
            Ok(verified) => verified,
            Err(setback) => return Ok(Err(setback)),
        };
        let refuse = |reason, detail, findings| {
            let reference = reference_of(alert);
            Ok(Err(Box::new(Setback { reason, detail, findings, reference })))
        };
        let ours = self.routes.now().senders.iter().any(|own| *own == alert.sender);
        if ours || deduplicate::carries_trace(alert, &self.bridge) {
            let detail = format!("it says that {} issued or carried it, which is not on record", self.bridge);
            return refuse(Reason::Loop, detail, verified.findings);
        }
        match verify::fresh(alert, self.clock.now(), &self.intake) {
            // What ends or corrects an alert that we have is news however late it comes.
            Err((Reason::Stale, _)) if self.any_known(&standing.names).await? => {}
            Err((reason, detail)) => return refuse(reason, detail, verified.findings),
            Ok(()) => {}
        }
        if let Some(stranger) = self.stranger(alert, &standing.names).await? {
            let detail = format!(
                "it refers to {stranger}: only that sender, or one that acts for it ([intake] acts_for), may"
            );
            return refuse(Reason::Authority, detail, std::mem::take(&mut verified.findings));
        }
        Ok(Ok(verified))
    }

    /// The message of another sender that an Update or Cancel refers to, where that is here.
    async fn stranger(&self, alert: &Alert<'_>, names: &Names) -> Result<Option<Reference>, StoreError> {
        match alert.msg_type {
            Code::Known(MsgType::Update | MsgType::Cancel) => {}
            Code::Known(MsgType::Alert | MsgType::Ack | MsgType::Error) | Code::Unknown(_) => {
                return Ok(None);
            }
        }
        for Stranger { reference, theirs } in &names.strangers {
            if self.store.known(std::slice::from_ref(theirs)).await? == [true] {
                return Ok(Some(reference.clone()));
            }
        }
        Ok(None)
    }

    /// The key of a message. What was accepted before instants counted keeps the one that it has.
    async fn key(&self, reference: &Reference, world: &World) -> Result<AlertKey, StoreError> {
        let (key, former) =
            (deduplicate::key(reference, world), deduplicate::key_as_written(reference, world));
        if key != former && self.store.alert(&former).await?.is_some() {
            return Ok(former);
        }
        Ok(key)
    }

    fn stored(
        &self,
        origin: &Origin,
        received: &Received,
        made: Made,
        (source, standing, key): (&SourceProfile, Standing, AlertKey),
    ) -> StoredAlert {
        let Made { alert, derived, signature, findings } = made;
        let Standing { class, world, names } = standing;
        let reference = owned(&alert.reference());
        let accepted_at = self.clock.now();
        let hold = SignedDuration::from_secs(i64::try_from(self.intake.hold_secs).unwrap_or(60));
        let (msg_type, waits) = match &alert.msg_type {
            Code::Known(kind @ (MsgType::Update | MsgType::Cancel)) => {
                (*kind, !names.follows.is_empty() && comes_later(received))
            }
            Code::Known(kind @ (MsgType::Alert | MsgType::Ack | MsgType::Error)) => (*kind, false),
            Code::Unknown(_) => (MsgType::Alert, false),
        };
        let envelope = Envelope {
            v: 1,
            chain: ChainKey(key.0.clone()),
            twin: deduplicate::twin(&reference, &world, &alert),
            key,
            msg_type,
            refers_to: alert.references().iter().map(owned).collect(),
            world,
            name: names.own,
            follows: names.follows,
            hold_until: waits.then(|| accepted_at.checked_add(hold).unwrap_or(accepted_at)),
            provenance: Provenance {
                origin: origin.clone(),
                system: source.system.clone(),
                audience: facts::audience(&alert),
                addresses: alert.addresses.as_deref().map(facts::addresses).unwrap_or_default(),
                also: Vec::new(),
            },
            form: received.form,
            remote_id: received.remote_id.clone(),
            received_at: received.received_at,
            accepted_at,
            sent_at: instant(&alert.sent).unwrap_or(received.received_at),
            expires_at: expires(&alert),
            lane: facts::lane(&alert),
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
        more: Vec<Event>,
    ) -> Result<Result<Acceptance, Box<Setback>>, StoreError> {
        let envelope = alert.envelope.clone();
        let reference = &envelope.reference;
        let facts = json!({"origin": origin, "digest": envelope.digest, "signature": envelope.signature,
            "class": envelope.class.class(), "reference": reference.to_string()});
        let event = |what| self.event(what, Some(envelope.key.clone()), facts.clone());
        let mut if_new = vec![event("accepted")];
        if_new.extend(more);
        let arrival = Arrival { alert, if_new, if_linked: vec![event("linked")] };
        match self.noted(&received.raw, self.store.accept(arrival).await)? {
            stored @ (Stored::New(_) | Stored::Held(_)) => {
                info!(%origin, %reference, class = %envelope.class.class(), "alert accepted");
                if matches!(stored, Stored::Held(_)) {
                    info!(%origin, %reference, "alert held for what it refers to");
                }
                self.accepted.notify_one();
                Ok(Ok(Acceptance::Accepted))
            }
            Stored::Repeat => {
                debug!(%origin, %reference, "repeat");
                Ok(Ok(Acceptance::Repeat))
            }
            Stored::Linked(_) => {
                info!(%origin, %reference, "the same alert through another source");
                self.accepted.notify_one();
                Ok(Ok(Acceptance::Linked))
            }
            Stored::Conflict => Ok(Err(Box::new(Setback {
                reason: Reason::Conflict,
                detail: "an alert with this reference and other content was accepted before".into(),
                findings: Vec::new(),
                reference: Some(reference.clone()),
            }))),
        }
    }

    /// Says so when a message of another world would update or cancel what was relayed: one of a source that no route
    /// takes, or one that counts as less than what it refers to.
    async fn unheard(&self, envelope: &Envelope) -> Result<Option<Event>, StoreError> {
        let origin = &envelope.provenance.origin;
        let others = self.others(&envelope.reference.sender);
        let exercise = envelope.class.exercise();
        for class in [Class::Live, Class::Exercise, Class::Test] {
            let world = World::of(&Classified::new(class, exercise.cloned()), None);
            let names = deduplicate::names(&world, &envelope.reference, &envelope.refers_to, others);
            if envelope.follows.is_empty() || envelope.world == world || !self.any_known(&names).await? {
                continue;
            }
            let own = envelope.class.class();
            let reason = if own == class {
                format!(
                    "no route of class {class} takes from source {origin}, and what it refers to is routed"
                )
            } else {
                format!("it counts as {own}, and what it refers to is {class}: it changes nothing of that")
            };
            warn!(%origin, reference = %envelope.reference, reason, "message withheld");
            let facts = json!({"origin": origin, "reason": reason});
            return Ok(Some(self.event("withheld", Some(envelope.key.clone()), facts)));
        }
        Ok(None)
    }

    async fn turn_back(
        &self,
        origin: &Origin,
        received: &Received,
        reference: &Reference,
        ours: AlertKey,
    ) -> Result<Acceptance, StoreError> {
        info!(%origin, %reference, "our own output came back and stops here");
        let digest = deduplicate::hex_digest(&received.raw);
        let facts = json!({"origin": origin, "reference": reference.to_string(), "digest": digest});
        self.store.record(vec![self.event("loop", Some(ours), facts)]).await?;
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
        let facts = json!({"origin": origin, "quarantine": id, "reason": reason});
        let events = vec![self.event("quarantined", None, facts)];
        self.noted(&received.raw, self.store.quarantine(entry, received.raw.clone(), events).await)?;
        self.metrics.quarantined(setback.reason.as_str());
        let reference = setback.reference.as_ref().map(ToString::to_string).unwrap_or_default();
        warn!(%origin, reference, quarantine = id, reason, detail = setback.detail, "document quarantined");
        Ok(Acceptance::Quarantined)
    }

    /// Tells health whether the store took a document.
    fn noted<T>(&self, raw: &Bytes, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match &answer {
            Ok(_) => self.health.took(),
            Err(error) => self.health.refused(raw.len(), crate::telemetry::chain(error)),
        }
        answer
    }

    fn event(&self, what: &str, alert: Option<AlertKey>, facts: serde_json::Value) -> Event {
        let facts = match facts {
            serde_json::Value::Object(map) => map,
            _ => serde_json::Map::new(),
        };
        Event { at: self.clock.now(), what: what.to_owned(), alert, delivery: None, facts }
    }
}

/// What is known of a message before it is judged.
struct Standing {
    class: Classified,
    world: World,
    names: Names,
}

/// What reading and judging made of a document.
struct Made {
    alert: Alert<'static>,
    derived: Option<Bytes>,
    signature: String,
    findings: Vec<Finding>,
}

/// Gives findings that have only a path their line and column.
fn locate(cap: &[u8], limits: &Limits, findings: &mut [Finding]) {
    if findings.iter().any(|f| f.line == 0 && !f.path.is_empty())
        && let Ok(document) = cap_schema::Document::read(cap, limits)
    {
        document.locate(findings);
    }
}

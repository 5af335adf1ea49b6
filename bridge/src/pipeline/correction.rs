//! The end of what a source showed as more than it is: a real alert that its author made an exercise in its place.
//!
//! A message of a lower class changes nothing of a higher one (docs/delivery.md, D-15), because anybody may name a real
//! alert in an exercise. But where a source shows one thing in one place, such as a hub in an entry, the new version has
//! taken the place of the real alert: nobody stands by that any more. So it is ended, by a Cancel of its own class that is
//! made of its record alone. Nothing of the new version goes into it, and no message is raised.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cap_schema::{Alert, Instant, MsgType, Time};
use capbridge_adapters::source::{Acceptance, Form, Received};
use serde_json::json;
use tracing::warn;

use super::deduplicate::{Names, hex_digest, name};
use super::{Made, Pipeline, SourceProfile, Standing, classify, owned};
use crate::envelope::{ChainKey, Envelope, StoredAlert, World};
use crate::rendering::end;
use crate::store::{Event, StoreError};

impl Pipeline {
    /// Ends what a document has taken the place of although it counts as less, before that document itself is stored: a
    /// crash between the two leaves what is offered again. The event for the document's own journey.
    pub(super) async fn end_corrected(
        &self,
        source: &SourceProfile,
        received: &Received,
        document: &Envelope,
    ) -> Result<Option<Event>, StoreError> {
        let mut event = None;
        for (world, held) in self.taken_back(received, document).await? {
            let Some(end) = self.end_of(source, received, document, (&world, &held)) else { continue };
            let origin = &document.provenance.origin;
            let end_reference = end.envelope.reference.clone();
            match self.store_alert(origin, received, end, Vec::new()).await? {
                Ok(Acceptance::Accepted) => {
                    warn!(%origin, reference = %document.reference, end = %end_reference,
                        "a message took back one of a higher class: that is ended");
                }
                Ok(_) => {}
                Err(setback) => {
                    self.set_aside(origin, received, setback).await?;
                }
            }
            let reason = format!(
                "it counts as {}: what stood in its place as {} is ended by {end_reference}",
                document.class.class(),
                world.as_str()
            );
            let facts = json!({"origin": origin, "reason": reason});
            event = Some(self.event("withheld", Some(document.key.clone()), facts));
        }
        Ok(event)
    }

    /// What the source showed in the same place before, and what counts as more than the document, by world.
    async fn taken_back(
        &self,
        received: &Received,
        document: &Envelope,
    ) -> Result<BTreeMap<World, Vec<Envelope>>, StoreError> {
        let mut held: BTreeMap<World, Vec<Envelope>> = BTreeMap::new();
        if !received.is_revision || received.remote_id.is_none() {
            return Ok(held);
        }
        let was_here = |e: &Envelope| -> bool {
            e.remote_id == received.remote_id
                && e.provenance.is_from(&document.provenance.system)
                && e.class.class() > document.class.class()
                && e.sent_at <= document.sent_at
        };
        let (mut members, mut chains): (Vec<Envelope>, BTreeSet<ChainKey>) = Default::default();
        for reference in &document.refers_to {
            for key in self.store.find(&reference.identifier).await? {
                let Some(found) = self.store.alert(&key).await?.filter(|f| was_here(&f.envelope)) else {
                    continue;
                };
                chains.insert(found.envelope.chain.clone());
                members.push(found.envelope);
            }
        }
        for chain in chains {
            members
                .extend(self.store.later(&chain, jiff::Timestamp::MIN).await?.into_iter().filter(was_here));
        }
        members.sort_by(|one, other| (one.sent_at, &one.key).cmp(&(other.sent_at, &other.key)));
        members.dedup_by(|one, other| one.key == other.key);
        members.retain(|m| matches!(m.msg_type, MsgType::Alert | MsgType::Update));
        for member in members {
            held.entry(member.world.clone()).or_default().push(member);
        }
        Ok(held)
    }

    /// The Cancel of what is held. `None` where the source may no longer speak for its class.
    fn end_of(
        &self,
        source: &SourceProfile,
        received: &Received,
        document: &Envelope,
        (world, held): (&World, &[Envelope]),
    ) -> Option<StoredAlert> {
        let newest = held.iter().max_by_key(|h| h.sent_at)?;
        let keys: Vec<&str> = held.iter().map(|h| h.key.0.as_str()).collect();
        let digest = hex_digest(format!("{}\0{}\0end", document.key.0, keys.join("\0")).as_bytes());
        let references: Vec<String> = held.iter().map(|h| h.reference.to_string()).collect();
        let place = received.remote_id.as_deref().unwrap_or_default();
        let note = format!("Made by {}: its author has taken back what {place} showed.", self.bridge);
        let alert = Alert {
            identifier: Cow::Owned(format!("end-{}", digest.get(..32).unwrap_or_default())),
            sent: Time::from_instant(Instant::from_seconds(document.sent_at.as_second()), 0),
            references: Some(Cow::Owned(references.join(" "))),
            note: Some(Cow::Owned(note)),
            ..end::bare(newest).ok()?
        };
        let (class, _) = classify::classify(&alert, source.mode, source.exercise.clone(), &self.marks);
        if class != newest.class {
            return None;
        }
        let reference = owned(&alert.reference());
        let names = Names {
            own: name(world, &reference.sender, &reference.identifier),
            follows: held.iter().map(|h| h.name.clone()).collect(),
            strangers: Vec::new(),
        };
        let end = Received {
            raw: Bytes::from(cap_schema::write(&alert)),
            form: Form::Cap,
            received_at: received.received_at,
            remote_id: received.remote_id.clone(),
            is_revision: true,
            problem: None,
        };
        let key = super::deduplicate::key(&reference, world);
        let standing = Standing { class, world: world.clone(), names };
        let made = Made { alert, derived: None, signature: "absent".to_owned(), findings: Vec::new() };
        Some(self.stored(&document.provenance.origin, &end, made, (source, standing, key)))
    }
}

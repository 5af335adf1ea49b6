//! The workers of a lane: claim what is due, try it, store how it ended.
//!
//! Owns the bound on attempts under way and the drain. Each lane has its own workers, so that a storm of routine alerts
//! does not delay an urgent one. Must not read the clock except through `clock`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use capbridge_adapters::endpoint::{DeliveryError, EndpointContext, Message, Receipt, Refusal};
use capbridge_adapters::passage::{Barred, EndpointName};
use capbridge_adapters::registry::AnyEndpoint;
use capbridge_adapters::source::Clock;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::attempt::{Admission, NotAdmitted, admit_end, is_stale, lane_by_now, may_begin_a_chain, prior};
use super::gates::{Change, Entry, Gates, Pass};
use super::stampings::{self, Named};
use super::under_way::UnderWay;
use super::{conclusion, retry};
use crate::chain::Lineage;
use crate::clock::BridgeClock;
use crate::envelope::{AlertKey, Lane, Reference, StoredAlert};
use crate::patience::Patience;
use crate::pipeline::rules::Rule;
use crate::registration::Live;
use crate::rendering::{Around, Making, NotRendered, Renderer};
use crate::routes::Routes;
use crate::settings::RelayTable;
use crate::store::{AttemptEnd, Claim, Delivery, Event, Finish, Issued, Part, Rendering, Store, StoreError};
use crate::telemetry::{ErrorChain, Metrics, chain};

/// The longest nap of an idle lane: deliveries that another instance queued or left behind are seen after it.
const IDLE: Duration = Duration::from_millis(500);
/// How many deliveries are claimed at once.
const BATCH: u32 = 128;
/// How long before the end of its lease an attempt is broken off, seconds.
const LEASE_MARGIN_SECS: u64 = 5;
/// How long before the time to give up the last attempt is made, seconds.
const LAST_TRY_SECS: i64 = 5;
/// How many earlier messages are looked through for what a Cancel ends.
const LOOKED_BACK: usize = 16;

/// A claim and its alert, if it could be read.
type Claimed = (Claim, Option<Arc<StoredAlert>>);

/// How an attempt was answered.
type Answer = Result<Receipt, DeliveryError>;

/// What the workers share.
pub struct Relay {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: BridgeClock,
    /// The endpoints, and the rules for what they open.
    pub routes: Arc<Routes>,
    /// What is registered: for what another instance registered a moment ago, and for what outlives a 410.
    pub live: Arc<Live>,
    /// Makes the messages.
    pub renderer: Arc<Renderer>,
    /// What endpoints are given.
    pub context: EndpointContext,
    /// Bounds.
    pub settings: RelayTable,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Who may make an attempt.
    pub gates: Arc<Gates>,
    /// What this instance has under way.
    pub under_way: UnderWay,
}

impl Relay {
    /// Works a lane until shutdown, then waits for the attempts under way.
    pub async fn run(self: Arc<Self>, lane: Lane, routed: Arc<Notify>, shutdown: CancellationToken) {
        tokio::select! {
            () = self.work_lane(lane, routed, shutdown) => {}
            () = self.stay_heard(lane) => {}
        }
    }

    /// Prolongs the leases of the attempts under way: an instance that stops doing so is taken over.
    async fn stay_heard(&self, lane: Lane) {
        let pause = Duration::from_secs(self.settings.takeover_secs) / 3;
        loop {
            tokio::time::sleep(pause).await;
            let under_way = self.under_way.all(lane);
            if under_way.is_empty() {
                continue;
            }
            let until = after(self.clock.now(), self.settings.takeover_secs);
            if let Err(error) = self.store.extend(&under_way, until).await {
                warn!(error = %ErrorChain(&error), "leases were not prolonged");
            }
        }
    }

    async fn work_lane(self: &Arc<Self>, lane: Lane, routed: Arc<Notify>, shutdown: CancellationToken) {
        let mut attempts: JoinSet<()> = JoinSet::new();
        let bound = usize::try_from(self.settings.in_flight).unwrap_or(usize::MAX).max(1);
        let mut patience = Patience::default();
        while !shutdown.is_cancelled() {
            let woken = routed.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            while attempts.try_join_next().is_some() {}
            let room = u32::try_from(bound.saturating_sub(attempts.len())).unwrap_or(BATCH).min(BATCH);
            let claims = match self.claim(lane, room).await {
                Ok(claims) => {
                    patience.answered();
                    claims
                }
                Err(error) => {
                    error!(error = %ErrorChain(&error), "the relay waits for the store");
                    tokio::select! {
                        () = &mut woken => {}
                        () = tokio::time::sleep(patience.failed()) => {}
                        () = shutdown.cancelled() => {}
                    }
                    continue;
                }
            };
            let idle = claims.is_empty();
            for (claim, stored) in self.with_alerts(claims).await {
                self.dispatch(claim, stored, &mut attempts);
            }
            if !idle {
                continue;
            }
            let nap = self.nap(lane).await;
            tokio::select! {
                () = &mut woken => {}
                Some(_) = attempts.join_next(), if !attempts.is_empty() => {}
                () = tokio::time::sleep(nap) => {}
                () = shutdown.cancelled() => {}
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Starts an attempt, or puts the delivery off: an endpoint that is busy or fails must not keep the others waiting.
    fn dispatch(
        self: &Arc<Self>,
        claim: Claim,
        stored: Option<Arc<StoredAlert>>,
        attempts: &mut JoinSet<()>,
    ) {
        let relay = Arc::clone(self);
        self.under_way.begin(&claim.delivery);
        if claim.delivery.give_up_at <= self.clock.now() {
            // Its time is over whatever the endpoint does.
            attempts.spawn(async move { relay.work(claim, stored, None).await });
            return;
        }
        match self.gates.enter(&claim.delivery.endpoint, Instant::now(), fastrand::u64(..)) {
            Some(Entry::Pass(pass)) => {
                attempts.spawn(async move { relay.work(claim, stored, Some(pass)).await })
            }
            Some(Entry::Later(wait, why)) => {
                self.metrics.put_off(why);
                attempts.spawn(async move { relay.put_off(&claim.delivery, wait).await })
            }
            Some(Entry::Gone) => attempts.spawn(async move { relay.gone(&claim.delivery).await }),
            // An endpoint that is no longer configured: the attempt says so.
            None => attempts.spawn(async move { relay.work(claim, stored, None).await }),
        };
    }

    /// Claims with their alerts, each read once: one alert may be for thousands. Where it could not be read, the attempt
    /// tries again.
    async fn with_alerts(&self, claims: Vec<Claim>) -> Vec<(Claim, Option<Arc<StoredAlert>>)> {
        let keys: BTreeSet<AlertKey> = claims.iter().map(|claim| claim.delivery.alert.clone()).collect();
        let store = &self.store;
        let read = keys.into_iter().map(|key| async move {
            let found = store.alert(&key).await;
            found.ok().flatten().map(|stored| (key, Arc::new(stored)))
        });
        let read: Vec<Option<_>> = join_all(read).await;
        let alerts: BTreeMap<AlertKey, Arc<StoredAlert>> = read.into_iter().flatten().collect();
        let with_alert = |claim: Claim| {
            let stored = alerts.get(&claim.delivery.alert).cloned();
            (claim, stored)
        };
        claims.into_iter().map(with_alert).collect()
    }

    async fn claim(&self, lane: Lane, room: u32) -> Result<Vec<Claim>, StoreError> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        self.store.claim(lane, now, after(now, self.settings.takeover_secs), room).await
    }

    async fn nap(&self, lane: Lane) -> Duration {
        match self.store.next_due(lane).await {
            Ok(Some(due)) => {
                let wait = due.duration_since(self.clock.now());
                Duration::try_from(wait).unwrap_or(Duration::ZERO).clamp(Duration::from_millis(5), IDLE)
            }
            Ok(None) | Err(_) => IDLE,
        }
    }

    /// Gives a delivery back that may not be tried now; it comes again at the latest when its time is over.
    async fn put_off(&self, delivery: &Delivery, wait: Duration) {
        self.under_way.end(delivery);
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_secs(1));
        let due_at = self.clock.now().checked_add(wait).unwrap_or(Timestamp::MAX).min(delivery.give_up_at);
        if let Err(error) = self.store.give_back(&delivery.held(), due_at).await {
            self.not_stored(delivery, &error, "a delivery was not given back");
        }
    }

    /// A step of a delivery was not stored: its lease runs out and it is claimed again, or that has happened already.
    fn not_stored(&self, delivery: &Delivery, error: &StoreError, what: &'static str) {
        let (endpoint, id, attempt) = (&delivery.endpoint, &delivery.id.0, delivery.attempts);
        if let StoreError::TakenOver { .. } = error {
            self.metrics.taken_over();
            warn!(%endpoint, delivery = id, attempt, "the lease ran out and another worker has the delivery: what this one did counts no more");
            return;
        }
        error!(%endpoint, delivery = id, attempt, error = %ErrorChain(error), "{what}");
    }

    /// Ends a delivery to an endpoint that asked never to be called again.
    async fn gone(&self, delivery: &Delivery) {
        self.under_way.end(delivery);
        let error = "the endpoint asked never to be called again (410)".to_owned();
        if let Err(error) = self.conclude(delivery, AttemptEnd::Dead { error }, false).await {
            self.not_stored(delivery, &error, "the end of a delivery was not stored");
        }
    }

    /// What everybody must know of an endpoint.
    fn tell(&self, endpoint: &EndpointName, change: Change) {
        match change {
            Change::None => return,
            Change::Opened => warn!(%endpoint, "the endpoint fails and is left alone for a while"),
            Change::Closed => info!(%endpoint, "the endpoint answers again"),
            Change::Gone => error!(
                %endpoint,
                "the endpoint asked never to be called again: what is meant for it becomes dead letters"
            ),
        }
        if change == Change::Gone {
            self.live.note_gone(endpoint);
        }
        self.metrics.endpoint(endpoint, change);
    }

    /// One claimed delivery to the end of its attempt.
    async fn work(&self, claim: Claim, stored: Option<Arc<StoredAlert>>, pass: Option<Pass>) {
        let delivery = claim.delivery.clone();
        self.attend(&delivery, (claim, stored), pass).await;
        self.under_way.end(&delivery);
    }

    async fn attend(&self, delivery: &Delivery, (claim, stored): Claimed, pass: Option<Pass>) {
        let started = crate::clock::instant();
        let mut was_tried = false;
        let end = match self.attempt((claim, stored), pass.as_ref(), &mut was_tried).await {
            Ok(end) => end,
            Err(error) => return self.not_stored(delivery, &error, "the attempt waits for the store"),
        };
        self.metrics.attempted(delivery, &end, started.elapsed());
        if let Err(error) = self.conclude(delivery, end, was_tried).await {
            self.not_stored(delivery, &error, "the end of an attempt was not stored");
        }
    }

    /// Notes in `was_tried` whether the message was handed to the endpoint.
    async fn attempt(
        &self,
        (claim, stored): Claimed,
        pass: Option<&Pass>,
        was_tried: &mut bool,
    ) -> Result<AttemptEnd, StoreError> {
        let delivery = &claim.delivery;
        let now = self.clock.now();
        let stored = match stored {
            Some(stored) => Some(stored),
            None => self.store.alert(&delivery.alert).await?.map(Arc::new),
        };
        let Some(stored) = stored else {
            return Ok(AttemptEnd::Dead { error: "its alert is no longer kept".into() });
        };
        if delivery.give_up_at <= now {
            return Ok(AttemptEnd::Expired {
                error: "the endpoint did not take it before its time was over".into(),
            });
        }
        let mut table = self.routes.now();
        if table.rules.onward(&stored.envelope, &delivery.endpoint, &delivery.rule).is_empty() {
            table = self.live.newest().await?;
        }
        let Some(endpoint) = table.endpoints.get(&delivery.endpoint) else {
            return Ok(AttemptEnd::Dead { error: "its endpoint is no longer configured".into() });
        };
        let rules = table.rules.onward(&stored.envelope, &delivery.endpoint, &delivery.rule);
        let Some(rule) = rules.first().copied() else {
            return Ok(AttemptEnd::Dead { error: "no route leads there any more".into() });
        };
        let admission = match admit_end(endpoint, &stored.envelope) {
            Ok(admission) => admission,
            // A second way by which it came showed that it would go back: nothing to act on.
            Err(NotAdmitted::Barred(barred @ Barred::SameSystem)) => {
                return Ok(AttemptEnd::Moot { error: barred.to_string() });
            }
            Err(barred) => return Ok(AttemptEnd::Dead { error: barred.to_string() }),
        };
        let issued = if claim.has_issued {
            self.store.issued(&delivery.endpoint, &delivery.chain).await?
        } else {
            Vec::new()
        };
        let members = if issued.is_empty() {
            Vec::new()
        } else {
            self.store.later(&delivery.chain, Timestamp::MIN).await?
        };
        let lineage = Lineage::new(&members);
        if let Some(newer) = issued.iter().find(|i| lineage.replaces(&i.original, &stored.envelope)) {
            let error = format!("superseded: the endpoint has {}", newer.original.reference);
            return Ok(AttemptEnd::Moot { error });
        }
        // What is issued again takes the place of itself under its former identity.
        let (own, issued): (Vec<Issued>, Vec<Issued>) =
            issued.into_iter().partition(|i| i.original.key == stored.envelope.key);
        let taken = lineage.taken_over(&stored.envelope, &issued);
        let taken = self.renderer.with_former(&endpoint.wants(), taken, &own);
        let named = Named::of(&lineage, taken, self.renderer.translation.max_references, now);
        let part = if admission.is_end() { Part::End } else { Part::Whole };
        let rendering = match self.rendering(&claim, &stored, (endpoint, rule, part), now, &named).await? {
            Ok(rendering) => rendering,
            Err(not_sent) => return Ok(conclusion::without_message(&not_sent)),
        };
        *was_tried = true;
        let answer = self.hand_over(admission, delivery, &rendering, &named.taken).await;
        let to = (endpoint, rule);
        let first = (answer, rendering);
        let (answer, rendering) = match self.with_other_references(&claim, &stored, to, first, &named).await?
        {
            Ok(last) => last,
            Err(not_sent) => return Ok(conclusion::without_message(&not_sent)),
        };
        if let Some(pass) = pass {
            self.tell(&delivery.endpoint, pass.ended(Instant::now(), &answer));
        }
        if let Ok(receipt) = &answer
            && receipt.earlier_stamp
        {
            self.keep_earlier_stamp(delivery, rendering).await?;
        }
        let lane = lane_by_now(&*self.store, delivery, &answer).await?;
        Ok(self.judge(delivery, lane, answer))
    }

    /// Hands the rendered message over, once.
    async fn hand_over(
        &self,
        admission: Admission<'_>,
        delivery: &Delivery,
        rendering: &Rendering,
        issued: &[Issued],
    ) -> Answer {
        let message = Message {
            id: delivery.id.0.clone(),
            msg_type: rendering.msg_type,
            reference: rendering.reference.to_string(),
            body: rendering.body.clone(),
            content_type: rendering.content_type.clone(),
            attempt: delivery.attempts,
            maybe_delivered: delivery.maybe_delivered,
            prior: prior(issued),
        };
        self.in_time(admission.deliver(&self.context, message)).await
    }

    /// What an endpoint refuses for what it refers to is made again with what the endpoint may take instead, until it
    /// takes one or all are refused. An inner error: nothing is left to send.
    async fn with_other_references(
        &self,
        claim: &Claim,
        stored: &StoredAlert,
        (endpoint, rule): (&AnyEndpoint, &Rule),
        (mut answer, mut rendering): (Answer, Rendering),
        named: &Named,
    ) -> Result<Result<(Answer, Rendering), NotRendered>, StoreError> {
        let (delivery, now) = (&claim.delivery, self.clock.now());
        let is_former =
            |i: &Issued| self.renderer.is_former(&endpoint.wants(), &i.original.key, &i.reference);
        let way = (is_former, may_begin_a_chain(stored.envelope.msg_type));
        let all_over =
            matches!(&answer, Err(DeliveryError::Permanent { cause: Refusal::ExpiredReference { .. }, .. }));
        let ways = match &answer {
            Err(DeliveryError::Permanent { cause, .. }) => stampings::instead(cause, named, way, now),
            Ok(_) | Err(DeliveryError::Temporary { .. }) => Vec::new(),
        };
        for other in ways {
            let wants = endpoint.wants();
            let previous = self.newest_with_infos(&other).await?;
            let left_out = named.left_out(&other);
            let around = Around { issued: Some(&other), left_out, previous: previous.as_ref() };
            let making = Making { stored, wants: &wants, rule, now: self.clock.now(), around };
            let made = match rendering.part {
                Part::Whole => self.renderer.render(&making, &delivery.id),
                Part::End => self.renderer.render_end(&making, &delivery.id),
            };
            let mut fresh = match made {
                Ok(fresh) => fresh,
                // All that it would end is over at the endpoint.
                Err(not_sent) if all_over && other.is_empty() => return Ok(Err(not_sent)),
                Err(_) => break,
            };
            let Ok(admission) = admit_end(endpoint, &stored.envelope) else { break };
            warn!(
                endpoint = %delivery.endpoint,
                delivery = %delivery.id.0,
                left_out = named.issued.len().saturating_sub(other.len()),
                "the endpoint refuses what is referred to: other references are tried"
            );
            // The refused one did not arrive; those before it may have.
            fresh.earlier.clone_from(&rendering.earlier);
            self.store.render(&delivery.held(), fresh.clone()).await?;
            answer = self.hand_over(admission, delivery, &fresh, &other).await;
            rendering = fresh;
            match &answer {
                Err(DeliveryError::Permanent { cause: Refusal::UnknownReference { .. }, .. }) => {}
                Ok(_) | Err(_) => break,
            }
        }
        Ok(Ok((answer, rendering)))
    }

    /// An attempt that outlasts its lease would be made twice.
    async fn in_time(
        &self,
        attempt: impl Future<Output = Result<Receipt, DeliveryError>>,
    ) -> Result<Receipt, DeliveryError> {
        let secs = self.settings.lease_secs.saturating_sub(LEASE_MARGIN_SECS).max(1);
        match tokio::time::timeout(Duration::from_secs(secs), attempt).await {
            Ok(answer) => answer,
            Err(_) => Err(DeliveryError::Temporary {
                retry_after: None,
                outcome_unknown: true,
                cause: Refusal::Overdue { secs },
            }),
        }
    }

    /// What was rendered before, or a new rendering, stored before anything is sent.
    async fn rendering(
        &self,
        claim: &Claim,
        stored: &StoredAlert,
        (endpoint, rule, part): (&AnyEndpoint, &Rule, Part),
        now: Timestamp,
        named: &Named,
    ) -> Result<Result<Rendering, NotRendered>, StoreError> {
        let wants = endpoint.wants();
        if let Some(kept) = &claim.rendering
            && !is_stale(kept.rendered_at, now, wants.fresh_for)
            // What the endpoint was entitled to when it was made may be withheld from it by now.
            && (kept.part == Part::End || part == Part::Whole)
            // What is issued again has its new identity from its first attempt on.
            && (claim.delivery.receipt.is_none()
                || !self.renderer.is_former(&wants, &stored.envelope.key, &kept.reference))
        {
            return Ok(Ok(kept.clone()));
        }
        let issued = named.issued.as_slice();
        let previous = self.newest_with_infos(issued).await?;
        let left_out = named.left_out(issued);
        let around = Around { issued: Some(issued), left_out, previous: previous.as_ref() };
        let making = Making { stored, wants: &wants, rule, now, around };
        let made = match part {
            Part::Whole => self.renderer.render(&making, &claim.delivery.id),
            Part::End => self.renderer.render_end(&making, &claim.delivery.id),
        };
        match made {
            Ok(mut fresh) => {
                if let Some(kept) = &claim.rendering {
                    fresh.earlier.clone_from(&kept.earlier);
                    fresh.earlier.push(kept.reference.clone());
                }
                self.store.render(&claim.delivery.held(), fresh.clone()).await?;
                Ok(Ok(fresh))
            }
            Err(not_sent) => Ok(Err(not_sent)),
        }
    }

    /// What the endpoint shows of the chain.
    async fn newest_with_infos(&self, issued: &[Issued]) -> Result<Option<StoredAlert>, StoreError> {
        for earlier in issued.iter().rev().take(LOOKED_BACK) {
            if let Some(found) = self.store.alert(&earlier.original.key).await?
                && self.renderer.has_infos(&found)
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The endpoint holds what the first stamping said: later messages of the chain must refer to that one.
    async fn keep_earlier_stamp(
        &self,
        delivery: &Delivery,
        mut rendering: Rendering,
    ) -> Result<(), StoreError> {
        // Those under a former identity are of another message.
        let same = |r: &Reference| r.identifier == rendering.reference.identifier;
        let Some(first) = rendering.earlier.iter().position(same) else { return Ok(()) };
        // Which of several arrived is not known: the others are kept, for a later message that is refused for naming the
        // wrong one.
        let first = rendering.earlier.remove(first);
        rendering.earlier.push(std::mem::replace(&mut rendering.reference, first));
        self.store.render(&delivery.held(), rendering).await
    }

    fn judge(&self, delivery: &Delivery, lane: Lane, answer: Result<Receipt, DeliveryError>) -> AttemptEnd {
        let now = self.clock.now();
        match answer {
            Ok(mut receipt) => {
                receipt.delivered_at = Some(now);
                AttemptEnd::Delivered(receipt)
            }
            Err(DeliveryError::Temporary { retry_after, outcome_unknown, cause }) => {
                let dice = fastrand::u64(..);
                let wait = retry::wait(lane, delivery.attempts, retry_after, dice);
                let due_at = now
                    .checked_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_secs(60)))
                    .unwrap_or(Timestamp::MAX);
                let last = delivery
                    .give_up_at
                    .checked_sub(SignedDuration::from_secs(LAST_TRY_SECS))
                    .unwrap_or(delivery.give_up_at);
                if now >= last {
                    return AttemptEnd::Expired { error: chain(&cause) };
                }
                // A wait that would pass the end is cut short: the last try is just before it.
                let due_at = due_at.min(last);
                AttemptEnd::Waiting { due_at, error: chain(&cause), maybe_delivered: outcome_unknown }
            }
            Err(DeliveryError::Permanent { disable, cause }) => {
                let asked = if disable { "the endpoint asked never to be called again: " } else { "" };
                AttemptEnd::Dead { error: format!("{asked}{}", chain(&cause)) }
            }
        }
    }

    async fn conclude(
        &self,
        delivery: &Delivery,
        end: AttemptEnd,
        was_tried: bool,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        // The claim counted one.
        let attempt = delivery.attempts.saturating_sub(u32::from(!was_tried));
        let (what, facts) = conclusion::tell(delivery, attempt, &end);
        let facts = match facts {
            serde_json::Value::Object(map) => map,
            _ => serde_json::Map::new(),
        };
        let event = Event {
            at: now,
            what: what.to_owned(),
            alert: Some(delivery.alert.clone()),
            delivery: Some(delivery.id.clone()),
            facts,
        };
        let held = delivery.held();
        self.store.finish(Finish { held, ended_at: now, end, was_tried, events: vec![event] }).await
    }
}

fn after(now: Timestamp, secs: u64) -> Timestamp {
    let secs = i64::try_from(secs).unwrap_or(60);
    now.checked_add(SignedDuration::from_secs(secs)).unwrap_or(Timestamp::MAX)
}

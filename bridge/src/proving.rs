//! Asks endpoints to prove themselves: when somebody registers one, and again before its proof is too old.
//!
//! Owns the question, what its answer changes, and the pause of a webhook that no longer answers it. Runs on one of the
//! instances that share a store. Must not send anything of an alert.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capbridge_adapters::endpoint::{DeliveryError, EndpointContext, Greeting, GreetingForm};
use capbridge_adapters::source::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{SystemClock, instant};
use crate::registration::proof::{Age, Code, CodeFault, Holding, Proof};
use crate::registration::{
    Bearer, Caller, Endpoint, EndpointFault, Ledger, Live, Name, Pause, RegisterError, Role, Standing, Step,
};
use crate::store::registrations::Kind;
use crate::store::{Store, StoreError};
use crate::telemetry::{ErrorChain, Metrics, chain};

/// Who pauses what lost its proof, in the record.
const BRIDGE: &str = "bridge";
/// The name of the lease.
const LEASE: &str = "proofs";
/// How often it is looked at whose proof is due.
const LOOK: Duration = Duration::from_secs(60);
/// How often one that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(3_600);

/// How often one must not have answered in a row before it is paused: a bridge that was away for long, or is cut off itself,
/// does not stop everybody at its first look.
const ENOUGH: u32 = 3;

/// When one was asked last, and how often it has not answered since it last did.
struct Asked {
    at: Instant,
    failures: u32,
}

/// Why an endpoint has not proven itself.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// It is not there, or not the caller's.
    #[error("no such endpoint")]
    Missing,
    /// Endpoints of its kind prove nothing.
    #[error("endpoints of the kind {kind} prove nothing: who registers one vouches for it")]
    Vouched {
        /// The kind.
        kind: String,
    },
    /// A code is on its way.
    #[error("a code was sent less than a minute ago")]
    Sent,
    /// It has already proven itself.
    #[error("it has proven itself already")]
    Already,
    /// Its document makes no endpoint.
    #[error(transparent)]
    Unfit(#[from] EndpointFault),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// It did not answer, or with something else.
    #[error("it did not answer the challenge")]
    NotAnswered(#[source] DeliveryError),
    /// It was changed while it was asked.
    #[error("it was changed meanwhile")]
    Changed,
    /// The code proves nothing.
    #[error(transparent)]
    Code(#[from] CodeFault),
    /// Others changed something again and again in between.
    #[error("others changed registrations at the same time, again and again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks endpoints to prove themselves.
pub struct Prover {
    /// What is registered.
    pub live: Arc<Live>,
    /// What endpoints are given.
    pub context: EndpointContext,
    /// For the lease.
    pub store: Arc<dyn Store>,
    /// Who holds it.
    pub holder: String,
    /// How long a proof holds.
    pub holding: Holding,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Who asks an endpoint, and which ones may be asked.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The endpoint's name.
    pub name: &'a str,
}

impl Asking<'_> {
    fn find<'l>(&self, ledger: &'l Ledger) -> Option<&'l Arc<Endpoint>> {
        let owns = |e: &Endpoint| self.caller.responder.as_ref().is_none_or(|own| *own == e.responder);
        ledger.endpoint(self.name).filter(|e| e.ended_at.is_none() && owns(e))
    }
}

/// The name of a greeting, and something to answer it with.
fn nonce() -> Option<String> {
    Some(Bearer::random()?.expose().trim_start_matches("cbt_").to_owned())
}

/// A greeting with a new name.
///
/// `None` where the system gives no randomness.
pub fn greeting(prefix: &str, form: impl FnOnce(String) -> GreetingForm) -> Option<Greeting> {
    let (name, answer) = (nonce()?, nonce()?);
    Some(Greeting { id: format!("{prefix}_{}", name.get(..26).unwrap_or("")), form: form(answer) })
}

impl Prover {
    /// Asks an endpoint. A webhook that answers is proven and gets alerts from now on; a mailbox is sent a code.
    ///
    /// # Errors
    /// Why it has not proven itself.
    pub async fn ask(&self, asking: Asking<'_>) -> Result<Endpoint, NotProven> {
        let ledger = self.live.ledger();
        let asked = asking.find(&ledger).cloned().ok_or(NotProven::Missing)?;
        match asked.known_kind().map(Proof::of) {
            Some(Proof::Answer) => self.challenge(asking, &asked).await,
            Some(Proof::Code) => self.send_code(asking, &asked).await,
            Some(Proof::Vouched) | None => Err(NotProven::Vouched { kind: asked.kind.clone() }),
        }
    }

    async fn challenge(&self, asking: Asking<'_>, asked: &Endpoint) -> Result<Endpoint, NotProven> {
        let built = asked.build(SystemClock.now())?;
        let greeting = greeting("chl", |nonce| GreetingForm::Challenge { nonce });
        let greeting = greeting.ok_or(NotProven::NoRandomness)?;
        built.greet(&self.context, &greeting).await.map_err(NotProven::NotAnswered)?;
        let now = SystemClock.now();
        self.change(|ledger| {
            let before = asking.find(ledger).ok_or(NotProven::Missing)?;
            // What was proven is what was asked: the same registration with the same address.
            if before.created_at != asked.created_at || before.settings != asked.settings {
                return Err(NotProven::Changed);
            }
            Ok(proven(ledger, before, asking.caller, now))
        })
        .await
    }

    async fn send_code(&self, asking: Asking<'_>, asked: &Endpoint) -> Result<Endpoint, NotProven> {
        let now = SystemClock.now();
        if asked.proven_at.is_some() {
            return Err(NotProven::Already);
        }
        let built = asked.build(now)?;
        let (code, text) = Code::make(now).ok_or(NotProven::NoRandomness)?;
        // Kept before it is sent: of two calls at once one sends.
        let endpoint = self
            .change(|ledger| {
                let before = asking.find(ledger).ok_or(NotProven::Missing)?;
                if before.code.as_ref().is_some_and(|code| !code.may_follow(now)) {
                    return Err(NotProven::Sent);
                }
                let endpoint = Endpoint { code: Some(code.clone()), ..Endpoint::clone(before) };
                Ok((noted(&endpoint, "code-sent", asking.caller, now), endpoint))
            })
            .await?;
        let greeting = greeting("chl", |_| GreetingForm::Challenge { nonce: text });
        let greeting = greeting.ok_or(NotProven::NoRandomness)?;
        built.greet(&self.context, &greeting).await.map_err(NotProven::NotAnswered)?;
        Ok(endpoint)
    }

    /// Takes the code that was sent to a mailbox.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub async fn take_code(&self, asking: Asking<'_>, given: &str) -> Result<Endpoint, NotProven> {
        let now = SystemClock.now();
        let taken = self
            .change(|ledger| {
                let before = asking.find(ledger).ok_or(NotProven::Missing)?;
                let code = before.code.as_ref().ok_or(CodeFault::None)?;
                match code.check(given, now) {
                    Ok(()) => {
                        let (step, endpoint) = proven(ledger, before, asking.caller, now);
                        Ok((step, Ok(endpoint)))
                    }
                    Err(CodeFault::Wrong) => {
                        let code = Some(code.after_a_wrong_one());
                        let endpoint = Endpoint { code, ..Endpoint::clone(before) };
                        let step = noted(&endpoint, "code-wrong", asking.caller, now);
                        Ok((step, Err(CodeFault::Wrong)))
                    }
                    Err(CodeFault::None) => Err(CodeFault::None.into()),
                }
            })
            .await?;
        Ok(taken?)
    }

    async fn change<T>(
        &self,
        decide: impl FnMut(&Ledger) -> Result<(Step, T), NotProven>,
    ) -> Result<T, NotProven> {
        self.live.change(decide).await.map_err(|error| match error {
            RegisterError::Refused(refusal) => refusal,
            RegisterError::Busy => NotProven::Busy,
            RegisterError::Store(error) => NotProven::Store(error),
        })
    }

    /// Asks those again whose proof is due, until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let fresh = Duration::try_from(self.holding.fresh).unwrap_or(LOOK);
        let look = (fresh / 4).clamp(Duration::from_millis(200), LOOK);
        let again = (fresh / 2).clamp(Duration::from_millis(200), AGAIN);
        let mut asked: BTreeMap<Name, Asked> = BTreeMap::new();
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(look) => {}
                () = stop.cancelled() => break,
            }
            match self.holds_lease(look * 3).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    warn!(error = %ErrorChain(&error), "the renewal of proofs waits for the store");
                    continue;
                }
            }
            let ledger = self.live.ledger();
            for endpoint in ledger.endpoints() {
                let age = self.holding.age(endpoint, SystemClock.now());
                if age == Age::Fresh {
                    asked.remove(&endpoint.name);
                    continue;
                }
                let paused = ledger.standing(endpoint.name.as_str()).paused;
                // One that is paused for it may have alerts waiting.
                let wait = if paused.is_some_and(|pause| pause.by == BRIDGE) { again / 12 } else { again };
                let before = asked.get(&endpoint.name);
                if before.is_some_and(|before| before.at.elapsed() < wait) {
                    continue;
                }
                let failures = before.map_or(0, |before| before.failures);
                let failures = tokio::select! {
                    failures = self.renew(endpoint, age, failures) => failures,
                    () = stop.cancelled() => break,
                };
                asked.insert(endpoint.name.clone(), Asked { at: instant(), failures });
            }
        }
    }

    async fn holds_lease(&self, time: Duration) -> Result<bool, StoreError> {
        let now = SystemClock.now();
        let until = now.saturating_add(SignedDuration::try_from(time).unwrap_or_default());
        self.store.lease(LEASE, &self.holder, now, until.unwrap_or(Timestamp::MAX)).await
    }

    /// Asks one again that did not answer so often before; how often it has not answered now.
    async fn renew(&self, endpoint: &Endpoint, age: Age, failures: u32) -> u32 {
        let bridge = Caller { by: BRIDGE.into(), role: Role::Operator, responder: None };
        let asking = Asking { caller: &bridge, name: endpoint.name.as_str() };
        let name = &endpoint.name;
        let said = match self.ask(asking).await {
            Ok(_) => {
                self.metrics.proof("proven");
                info!(endpoint = %name, "an endpoint proved itself again");
                return 0;
            }
            // It was asked, and this is its answer; whatever else went wrong is not its doing.
            Err(NotProven::NotAnswered(error)) => chain(&error),
            Err(error) => {
                warn!(endpoint = %name, error = %ErrorChain(&error), "an endpoint could not be asked for its proof");
                return failures;
            }
        };
        self.metrics.proof("failed");
        let failures = failures.saturating_add(1);
        if age != Age::Over || failures < ENOUGH {
            warn!(endpoint = %name, error = said, "an endpoint does not prove itself again; it will be paused");
            return failures;
        }
        match self.pause(endpoint, &bridge).await {
            Ok(true) => error!(endpoint = %name, error = said, "an endpoint lost its proof and is paused"),
            Ok(false) => {}
            Err(error) => {
                warn!(endpoint = %name, error = %ErrorChain(&error), "an endpoint without proof could not be paused");
            }
        }
        failures
    }

    /// Pauses one whose proof is over, unless it is paused. Whether it was done.
    async fn pause(&self, endpoint: &Endpoint, bridge: &Caller) -> Result<bool, NotProven> {
        let now = SystemClock.now();
        self.change(|ledger| {
            let name = endpoint.name.as_str();
            let there = ledger.endpoint(name).is_some_and(|e| e.proven_at == endpoint.proven_at);
            let standing = ledger.standing(name);
            if standing.paused.is_some() || !there {
                return Ok((Step::none(), false));
            }
            let reason = "it no longer answers the challenge; one that it answers resumes it".to_owned();
            let paused = Some(Pause { at: now, by: BRIDGE.into(), reason: reason.clone() });
            let step = Step::none().write(Kind::Standing, name, &Standing { v: 1, paused, ..standing });
            let facts = json!({"endpoint": name, "reason": reason});
            Ok((step.note(now, "endpoint-paused", bridge, facts), true))
        })
        .await
    }
}

/// The endpoint, proven; what the bridge paused for want of a proof is resumed.
fn proven(ledger: &Ledger, before: &Endpoint, caller: &Caller, now: Timestamp) -> (Step, Endpoint) {
    let endpoint = Endpoint { proven_at: Some(now), code: None, ..before.clone() };
    let mut step = noted(&endpoint, "endpoint-proven", caller, now);
    let standing = ledger.standing(endpoint.name.as_str());
    if standing.paused.as_ref().is_some_and(|pause| pause.by == BRIDGE) {
        let standing = Standing { v: 1, paused: None, ..standing };
        step = step.write(Kind::Standing, endpoint.name.as_str(), &standing);
    }
    (step, endpoint)
}

fn noted(endpoint: &Endpoint, what: &str, caller: &Caller, now: Timestamp) -> Step {
    let step = Step::none().write(Kind::Endpoint, endpoint.name.as_str(), endpoint);
    step.note(now, what, caller, json!({"endpoint": endpoint.name}))
}

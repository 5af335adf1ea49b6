//! The connection to Redis.
//!
//! Owns deadlines, bounded retries, the wait for replicas and the move to another primary. Multiplexed connections that
//! come back by themselves; no blocking command is ever sent on them, so a call that is given up leaves nothing behind
//! that could be lost. A primary that nobody checked (`boot`) is given nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use tokio::time::Instant;
use tracing::warn;

use super::locate::{Address, Locator};
use super::scripts::Program;
use super::{Fault, RedisSettings, boot};

/// How often a call that may be repeated is tried in all.
const TRIES: u32 = 4;
/// The first pause between tries; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// How many connections are open at most. Redis reads 16 KiB of a connection between two syncs of its file: calls that
/// carry documents share a sync only where they come on several connections.
const CONNECTIONS: usize = 32;

/// How long nobody asks again where the primary is.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// What a call does, and so what must be kept in mind when its answer is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something; a second run has no second effect.
    Repeatable,
    /// Changes something; what a lost answer took is found again when its lease runs out, or the caller decides.
    Once,
}

/// The connections.
pub(super) struct Link {
    locator: Locator,
    pool: RwLock<Arc<Pool>>,
    /// One caller looks for the primary, the others wait for what it finds. When somebody last looked.
    moving: tokio::sync::Mutex<Option<Instant>>,
    next: AtomicUsize,
    deadline: Duration,
    replicas: Option<u32>,
    allow_everysec: bool,
}

/// The connections to one primary.
struct Pool {
    address: Address,
    /// The first is open from the start, the others when they are needed.
    managers: Vec<ConnectionManager>,
}

impl Link {
    /// Finds the primary, connects and checks it. `key` is one of the keys that will be used.
    pub(super) async fn connect(settings: &RedisSettings, key: String) -> Result<Self, Fault> {
        let locator = Locator::new(settings, key)?;
        let (deadline, allow_everysec) = (settings.command_timeout, settings.dangerous_allow_everysec);
        let (client, address) = locator.find().await?;
        let pool = Pool::open(client, address, deadline, allow_everysec).await?;
        Ok(Link {
            locator,
            pool: RwLock::new(Arc::new(pool)),
            moving: tokio::sync::Mutex::new(None),
            next: AtomicUsize::new(0),
            deadline,
            replicas: settings.wait_replicas,
            allow_everysec,
        })
    }

    /// Refuses a server that loses data, as at the start.
    pub(super) async fn examine(&self) -> Result<(), Fault> {
        let pool = self.pool();
        let first = pool.managers.first().ok_or(Fault::Shape("a connection"))?.clone();
        tokio::time::timeout(self.deadline, boot::examine(first, self.allow_everysec))
            .await
            .map_err(|_| Fault::TimedOut)?
            .map(|_| ())
    }

    /// Runs a script.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        program: &Program,
        call: &Cmd,
        effect: Effect,
    ) -> Result<T, Fault> {
        let turn = self.turn(effect);
        self.repeat(effect, || async move {
            let pool = self.pool();
            let ended = match self.once(&pool, turn, call, effect).await {
                Err(Fault::Redis(error)) if is_missing_script(&error) => {
                    // A restarted, emptied or new server: nothing ran.
                    self.load_into(&pool, program).await?;
                    self.once(&pool, turn, call, effect).await
                }
                other => other,
            };
            self.after(&pool, ended).await
        })
        .await
    }

    /// Sends one command.
    pub(super) async fn send<T: FromRedisValue>(&self, command: &Cmd, effect: Effect) -> Result<T, Fault> {
        let turn = self.turn(effect);
        self.repeat(effect, || async move {
            let pool = self.pool();
            let ended = self.once(&pool, turn, command, effect).await;
            self.after(&pool, ended).await
        })
        .await
    }

    /// Sends commands that are one transaction. Not tried again: whoever sends it looks whether it was done.
    pub(super) async fn together(&self, pipe: &redis::Pipeline) -> Result<(), Fault> {
        self.ask::<Value>(pipe).await?;
        let Some(wanted) = self.replicas else { return Ok(()) };
        // On the same connection, for whose writes it counts.
        let mut wait = redis::cmd("WAIT");
        let wait_ms = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX) / 2;
        wait.arg(wanted).arg(wait_ms.max(1));
        let got: u32 = self.once(&self.pool(), 0, &wait, Effect::Read).await?;
        if got < wanted { Err(Fault::Replicas { wanted, got }) } else { Ok(()) }
    }

    /// Sends commands in one go and gives their answers.
    pub(super) async fn ask<T: FromRedisValue>(&self, pipe: &redis::Pipeline) -> Result<T, Fault> {
        let pool = self.pool();
        let mut connection = pool.managers.first().ok_or(Fault::Shape("a connection"))?.clone();
        let answer = tokio::time::timeout(self.deadline, pipe.query_async(&mut connection)).await;
        Ok(answer.map_err(|_| Fault::TimedOut)??)
    }

    /// The connection of a call: all its tries use the same, because after a restart of the server each connection fails
    /// once. What is not tried again stays on the first connection, so that it meets that failure once and not on each.
    fn turn(&self, effect: Effect) -> usize {
        match effect {
            Effect::Repeatable => self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS,
            Effect::Read | Effect::Once => 0,
        }
    }

    fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads a script into the server.
    pub(super) async fn load(&self, program: &Program) -> Result<(), Fault> {
        self.load_into(&self.pool(), program).await
    }

    async fn load_into(&self, pool: &Pool, program: &Program) -> Result<(), Fault> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&program.code);
        self.once::<Value>(pool, 0, &load, Effect::Read).await.map(|_| ())
    }

    async fn repeat<T, F, Fut>(&self, effect: Effect, attempt: F) -> Result<T, Fault>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match attempt().await {
                Err(fault) if effect != Effect::Once && may_pass(&fault) => {}
                ended => return ended,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        attempt().await
    }

    /// Looks for the primary again where a failure may mean that it is elsewhere.
    async fn after<T>(&self, used: &Arc<Pool>, ended: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &ended
            && self.may_have_moved(fault)
            && let Err(fault) = self.follow(used).await
        {
            warn!(address = %used.address, error = %fault, "the primary was not found");
        }
        ended
    }

    async fn follow(&self, used: &Arc<Pool>) -> Result<(), Fault> {
        let mut looked_at = self.moving.lock().await;
        let known = !Arc::ptr_eq(used, &self.pool());
        if known || looked_at.is_some_and(|at| at.elapsed() < LOOK_PAUSE) {
            return Ok(());
        }
        let found = self.locator.find().await;
        *looked_at = Some(Instant::now());
        let (client, address) = found?;
        if address == used.address && !self.locator.is_fixed() {
            // Nobody knows of a new one yet; the connections come back by themselves.
            return Ok(());
        }
        let pool = Pool::open(client, address, self.deadline, self.allow_everysec).await?;
        warn!(from = %used.address, to = %pool.address, "the store follows the primary");
        *self.pool.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pool);
        Ok(())
    }

    fn may_have_moved(&self, fault: &Fault) -> bool {
        let Fault::Redis(error) = fault else {
            return matches!(fault, Fault::TimedOut) && !self.locator.is_fixed();
        };
        let kind = error.kind();
        let elsewhere = matches!(
            kind,
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::Moved | ServerErrorKind::MasterDown
            )
        );
        elsewhere
            || !self.locator.is_fixed()
                && (error.is_io_error()
                    || error.is_connection_dropped()
                    || matches!(kind, ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::Ask)))
    }

    async fn once<T: FromRedisValue>(
        &self,
        pool: &Pool,
        turn: usize,
        command: &Cmd,
        effect: Effect,
    ) -> Result<T, Fault> {
        let mut connection = pool.managers.get(turn).ok_or(Fault::Shape("a connection"))?.clone();
        let replicas = self.replicas.filter(|_| effect != Effect::Read);
        let Some(wanted) = replicas else {
            let answer = tokio::time::timeout(self.deadline, command.query_async(&mut connection)).await;
            return Ok(answer.map_err(|_| Fault::TimedOut)??);
        };
        // Both in one pipeline: `WAIT` counts for the writes of its own connection, and a new one has none to wait for.
        let mut pipe = redis::pipe();
        let wait_ms = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX) / 2;
        pipe.add_command(command.clone()).cmd("WAIT").arg(wanted).arg(wait_ms.max(1));
        let answer =
            tokio::time::timeout(self.deadline, pipe.query_async::<(Value, u32)>(&mut connection)).await;
        let (value, got) = answer.map_err(|_| Fault::TimedOut)??;
        if got < wanted {
            return Err(Fault::Replicas { wanted, got });
        }
        Ok(T::from_redis_value(value).map_err(RedisError::from)?)
    }
}

impl Pool {
    async fn open(
        client: Client,
        address: Address,
        deadline: Duration,
        allow_everysec: bool,
    ) -> Result<Self, Fault> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(deadline))
            .set_response_timeout(Some(deadline))
            .set_min_delay(PAUSE)
            .set_max_delay(Duration::from_secs(1))
            .set_number_of_retries(usize::try_from(TRIES).unwrap_or(1));
        let connecting = client.get_connection_manager_with_config(config.clone());
        // The time for all tries to connect, so that a start against a silent address ends.
        let limit = deadline.saturating_mul(TRIES);
        let first = tokio::time::timeout(limit, connecting).await.map_err(|_| Fault::TimedOut)??;
        tokio::time::timeout(limit, boot::check(first.clone(), allow_everysec))
            .await
            .map_err(|_| Fault::TimedOut)??;
        let mut managers = vec![first];
        for _ in 1..CONNECTIONS {
            managers.push(ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?);
        }
        Ok(Pool { address, managers })
    }
}

fn is_missing_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) || error.code() == Some("NOSCRIPT")
}

/// Whether another try may go better.
fn may_pass(fault: &Fault) -> bool {
    match fault {
        Fault::TimedOut => true,
        Fault::Redis(error) => {
            error.is_io_error()
                || error.is_connection_dropped()
                || matches!(
                    error.kind(),
                    ErrorKind::Server(
                        ServerErrorKind::BusyLoading
                            | ServerErrorKind::TryAgain
                            | ServerErrorKind::MasterDown
                            | ServerErrorKind::ReadOnly
                            | ServerErrorKind::ClusterDown
                            | ServerErrorKind::Moved
                            | ServerErrorKind::Ask
                    )
                )
        }
        // A Sentinel set or a cluster that is about to choose.
        Fault::NoPrimary => true,
        Fault::Name(_)
        | Fault::Url(_)
        | Fault::Replicas { .. }
        | Fault::Shape(_)
        | Fault::Json(_)
        | Fault::Time(_)
        | Fault::Newer { .. }
        | Fault::Older { .. }
        | Fault::Unfinished
        | Fault::Unsafe(_) => false,
    }
}

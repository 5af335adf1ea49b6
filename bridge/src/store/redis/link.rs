//! The connection to Redis.
//!
//! Owns deadlines, bounded retries and the wait for replicas. Multiplexed connections that come back by themselves; no
//! blocking command is ever sent on them, so a call that is given up leaves nothing behind that could be lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};

use super::scripts::Program;
use super::{Fault, RedisSettings};

/// How often a call that may be repeated is tried in all.
const TRIES: u32 = 4;
/// The first pause between tries; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// How many connections are open at most. Redis reads 16 KiB of a connection between two syncs of its file: calls that
/// carry documents share a sync only where they come on several connections.
const CONNECTIONS: usize = 32;

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
    /// The first is open from the start, the others when they are needed.
    managers: Vec<ConnectionManager>,
    next: AtomicUsize,
    deadline: Duration,
    replicas: Option<u32>,
}

impl Link {
    /// Connects.
    pub(super) async fn connect(settings: &RedisSettings) -> Result<Self, Fault> {
        let mut info = redis::IntoConnectionInfo::into_connection_info(settings.url.as_str())?;
        if let Some(password) = &settings.password {
            let redis = info.redis_settings().clone().set_password(password.expose());
            info = info.set_redis_settings(redis);
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.command_timeout))
            .set_response_timeout(Some(settings.command_timeout))
            .set_min_delay(PAUSE)
            .set_max_delay(Duration::from_secs(1))
            .set_number_of_retries(usize::try_from(TRIES).unwrap_or(1));
        let client = Client::open(info)?;
        let connecting = client.get_connection_manager_with_config(config.clone());
        // The time for all tries to connect, so that a start against a silent address ends.
        let limit = settings.command_timeout.saturating_mul(TRIES);
        let mut managers = vec![tokio::time::timeout(limit, connecting).await.map_err(|_| Fault::TimedOut)??];
        for _ in 1..CONNECTIONS {
            managers.push(ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?);
        }
        Ok(Link {
            managers,
            next: AtomicUsize::new(0),
            deadline: settings.command_timeout,
            replicas: settings.wait_replicas,
        })
    }

    /// Runs a script.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        program: &Program,
        call: &Cmd,
        effect: Effect,
    ) -> Result<T, Fault> {
        let connection = self.connection(effect)?;
        self.repeat(effect, || async move {
            match self.once(connection, call, effect).await {
                Err(Fault::Redis(error)) if is_missing_script(&error) => {
                    // A restarted or emptied server: nothing ran.
                    self.load(program).await?;
                    self.once(connection, call, effect).await
                }
                other => other,
            }
        })
        .await
    }

    /// Sends one command.
    pub(super) async fn send<T: FromRedisValue>(&self, command: &Cmd, effect: Effect) -> Result<T, Fault> {
        let connection = self.connection(effect)?;
        self.repeat(effect, || self.once(connection, command, effect)).await
    }

    /// The connection of a call: all its tries use the same, because after a restart of the server each connection fails
    /// once. What is not tried again stays on the first connection, so that it meets that failure once and not on each.
    fn connection(&self, effect: Effect) -> Result<&ConnectionManager, Fault> {
        let turn = match effect {
            Effect::Repeatable => self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS,
            Effect::Read | Effect::Once => 0,
        };
        self.managers.get(turn).ok_or(Fault::Ended)
    }

    /// Loads a script into the server.
    pub(super) async fn load(&self, program: &Program) -> Result<(), Fault> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&program.code);
        self.once::<Value>(self.connection(Effect::Read)?, &load, Effect::Read).await.map(|_| ())
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

    async fn once<T: FromRedisValue>(
        &self,
        connection: &ConnectionManager,
        command: &Cmd,
        effect: Effect,
    ) -> Result<T, Fault> {
        let mut connection = connection.clone();
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
                    )
                )
        }
        Fault::Name(_)
        | Fault::Replicas { .. }
        | Fault::Shape(_)
        | Fault::Json(_)
        | Fault::Time(_)
        | Fault::Newer { .. }
        | Fault::Older { .. }
        | Fault::Ended
        | Fault::Unsafe(_) => false,
    }
}

//! Test harness: an own Redis per test, the real program, `eventually()`.
//!
//! Owns processes that tests start and the waiting for a state. Must not know what a test is about.

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub mod mail;
pub mod redis_set;

pub use capbridge_exercise::program::{Program, binary};

/// Waits until `check` gives something, at most `limit`; then fails with what it was waiting for.
///
/// # Errors
/// The state did not come.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut check: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(found) = check().await {
            return Ok(found);
        }
        if begun.elapsed() > limit {
            bail!("{what}: not within {limit:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The folder of real messages, or `None` with one line that says so.
pub fn corpus(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("CAP_CORPUS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let found = named.unwrap_or(beside);
    if found.is_dir() {
        return Some(found);
    }
    let said = format!("{test}: skipped, CAP_CORPUS does not name the folder of real messages");
    let _ = writeln!(std::io::stdout(), "{said}");
    None
}

/// A Redis server of one test, on a Unix socket and a free port, with the shipped configuration.
pub struct Redis {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Redis {
    /// Starts one.
    ///
    /// # Errors
    /// `redis-server` is not installed (`make setup`) or does not start.
    pub async fn start() -> Result<Redis> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let child = Self::spawn(folder.path(), port)?;
        let redis = Redis { child, folder, port };
        redis.await_ready().await?;
        Ok(redis)
    }

    fn spawn(folder: &Path, port: u16) -> Result<Child> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/redis/redis.conf");
        Command::new("redis-server")
            .arg(shipped)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--logfile", ""])
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("redis-server: run `make setup`")
    }

    async fn await_ready(&self) -> Result<()> {
        eventually("redis answers", Duration::from_secs(10), || async {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await
        .map(|_| ())
    }

    /// Changes a setting of the running server.
    ///
    /// # Errors
    /// `redis-cli` is not installed, or the server refuses.
    pub async fn set(&self, name: &str, value: &str) -> Result<()> {
        let port = self.port.to_string();
        let said =
            Command::new("redis-cli").args(["-p", &port, "CONFIG", "SET", name, value]).output().await?;
        if said.stdout.starts_with(b"OK") {
            return Ok(());
        }
        bail!("CONFIG SET {name} {value}: {}", String::from_utf8_lossy(&said.stdout))
    }

    /// Empties the running server.
    ///
    /// # Errors
    /// `redis-cli` is not installed, or the server refuses.
    pub async fn empty(&self) -> Result<()> {
        let said =
            Command::new("redis-cli").args(["-p", &self.port.to_string(), "FLUSHALL"]).output().await?;
        if said.stdout.starts_with(b"OK") { Ok(()) } else { bail!("FLUSHALL was refused") }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(())
    }

    /// SIGKILL, then a new server on the same files and port.
    ///
    /// # Errors
    /// It does not start again.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.kill().await?;
        self.child = Self::spawn(self.folder.path(), self.port)?;
        self.await_ready().await
    }
}

/// A port that was free a moment ago, below those that the system gives to outgoing connections, so that none of them
/// takes it before a server does.
///
/// # Errors
/// None is.
pub fn free_port() -> Result<u16> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1_000 {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let offset = (std::process::id().wrapping_mul(197)).wrapping_add(turn.wrapping_mul(7)) % 12_000;
        let port = 20_000 + u16::try_from(offset)?;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

//! The real `capbridge` program as a child process: start, ask, stop, kill.
//!
//! Owns the process and its admin socket. Used by the demo, the scenario player and the tests.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long a start may take before it counts as failed.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running bridge.
pub struct Program {
    child: Child,
    /// Base URL of the admin socket.
    pub admin: String,
    /// Its log, JSON lines.
    pub log: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// The program beside the one that runs now (`target/debug/capbridge`), or the one that `CAPBRIDGE_BIN` names.
///
/// # Errors
/// It is not built.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CAPBRIDGE_BIN") {
        return Ok(named.into());
    }
    let here = std::env::current_exe()?;
    for folder in here.ancestors().skip(1).take(3) {
        let candidate = folder.join("capbridge");
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("the capbridge program is not built: run `cargo build --bins`")
}

impl Program {
    /// Starts the program in `folder` with a configuration, which must listen on port 0 and log JSON.
    ///
    /// # Errors
    /// It does not start; the end of its log is in the error.
    pub async fn start(folder: &Path, config: &str) -> Result<Program> {
        Self::spawn(folder, config, Command::new(binary()?)).await
    }

    /// Starts the program such that no file of it can grow beyond `max_file_bytes`: what a full disk does to it, without
    /// one. The log counts too. `lift_file_limit` makes room again.
    ///
    /// # Errors
    /// As `start`, or `prlimit` (util-linux) is not installed.
    pub async fn start_within(folder: &Path, config: &str, max_file_bytes: u64) -> Result<Program> {
        let mut command = Command::new("sh");
        // Without the trap the signal that comes with the refusal would end the program.
        let script = format!("trap '' XFSZ; exec prlimit --fsize={max_file_bytes}: \"$0\" \"$@\"");
        command.args(["-c", &script]).arg(binary()?);
        Self::spawn(folder, config, command).await
    }

    /// Lets files grow again.
    ///
    /// # Errors
    /// The limit cannot be changed.
    pub async fn lift_file_limit(&self) -> Result<()> {
        let id = self.child.id().context("the program has ended")?;
        let lifted = Command::new("prlimit").args(["--pid", &id.to_string(), "--fsize=unlimited:"]).status();
        if lifted.await?.success() { Ok(()) } else { bail!("the limit of {id} could not be lifted") }
    }

    async fn spawn(folder: &Path, config: &str, mut command: Command) -> Result<Program> {
        let file = folder.join("capbridge.toml");
        std::fs::write(&file, config)?;
        let log = folder.join(format!("capbridge-{}.log", fastrand::u32(..)));
        let stderr = std::fs::File::create(&log)?;
        let child = command
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .context("starting capbridge")?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut program = Program { child, admin: String::new(), log, client };
        program.await_start().await?;
        Ok(program)
    }

    async fn await_start(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(address) = self.started() {
                self.admin = format!("http://{address}");
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("capbridge ended with {status}:\n{}", self.tail(20));
            }
            if begun.elapsed() > START_LIMIT {
                bail!("capbridge did not start in {START_LIMIT:?}:\n{}", self.tail(20));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn started(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.log).ok()?;
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).find_map(|line| {
            (line.get("message")? == "started").then(|| line.get("admin")?.as_str().map(str::to_owned))?
        })
    }

    /// The last lines of the log.
    pub fn tail(&self, lines: usize) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or(&[]).join("\n")
    }

    /// The process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks the admin socket.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let request = http::Request::get(format!("{}{path}", self.admin)).body(Full::default())?;
        self.send(request).await
    }

    /// Posts JSON to the admin socket.
    ///
    /// # Errors
    /// No answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = http::Request::post(format!("{}{path}", self.admin))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        self.send(request).await
    }

    /// Calls the admin socket as the holder of a token; without one as somebody at the machine.
    ///
    /// # Errors
    /// No answer.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.admin));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Full::from(body.to_string())
            }
            None => Full::default(),
        };
        self.send(request.body(body)?).await
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> Result<(u16, Value)> {
        let reply = tokio::time::timeout(Duration::from_secs(10), self.client.request(request)).await??;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await?.to_bytes();
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok((status, value))
    }

    /// The list at a path; empty where there is none.
    ///
    /// # Errors
    /// No answer.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let (_, value) = self.get(path).await?;
        Ok(value.as_array().cloned().unwrap_or_default())
    }

    /// SIGTERM, then waits.
    ///
    /// # Errors
    /// It does not end in `limit`.
    pub async fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(id) = self.child.id() {
            signal(id, "TERM").await?;
        }
        Ok(tokio::time::timeout(limit, self.child.wait())
            .await
            .context("capbridge did not drain in time")??)
    }

    /// SIGKILL, then waits.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn kill(mut self) -> Result<()> {
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(())
    }
}

/// Sends the signal `name` (`TERM`, `HUP`) to the process `id`. By the shell's own `kill`: a small Debian has no program of
/// that name.
///
/// # Errors
/// There is no such process.
pub async fn signal(id: u32, name: &str) -> Result<()> {
    let sent =
        Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &id.to_string()]).status().await?;
    if sent.success() { Ok(()) } else { bail!("SIG{name} could not be sent to {id}") }
}

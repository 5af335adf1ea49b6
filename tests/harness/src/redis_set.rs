//! Redis servers in sets: a primary with replicas, Sentinels, a cluster, TLS. Each a process of its own on a free port.
//!
//! Must not know what a test is about. Everything ends with the value that stands for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::{eventually, free_port};

/// A server or a Sentinel.
pub struct Node {
    child: Child,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    /// Its port.
    pub port: u16,
}

impl Node {
    /// A server with the shipped configuration and these arguments after it. `{port}` and `{folder}` stand for its own.
    ///
    /// # Errors
    /// `redis-server` is not installed (`make setup`) or does not start.
    pub async fn start(arguments: &[&str]) -> Result<Node> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/redis/redis.conf");
        // A copy: a failover has the server write its configuration file anew (CONFIG REWRITE).
        let folder = tempfile::tempdir()?;
        std::fs::copy(&shipped, folder.path().join("redis.conf")).context("the shipped redis.conf")?;
        let mut all = vec!["{folder}/redis.conf".to_owned()];
        if !arguments.contains(&"--tls-port") {
            all.extend(["--port".to_owned(), "{port}".to_owned()]);
        }
        all.extend(["--bind", "127.0.0.1", "--dir", "{folder}"].map(str::to_owned));
        all.extend(arguments.iter().map(|a| (*a).to_owned()));
        Node::run_in(folder, all).await
    }

    /// A Sentinel that watches a primary by the name `main`; two Sentinels decide.
    ///
    /// # Errors
    /// It does not start.
    pub async fn sentinel(primary_port: u16) -> Result<Node> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("sentinel.conf");
        let settings = format!(
            "sentinel monitor main 127.0.0.1 {primary_port} 2\nsentinel down-after-milliseconds main 1000\n\
             sentinel failover-timeout main 3000\n"
        );
        std::fs::write(&file, settings)?;
        let arguments = ["{folder}/sentinel.conf", "--sentinel", "--port", "{port}", "--bind", "127.0.0.1"];
        Node::run_in(folder, arguments.map(str::to_owned).to_vec()).await
    }

    async fn run_in(folder: tempfile::TempDir, arguments: Vec<String>) -> Result<Node> {
        let port = free_port()?;
        let child = spawn(folder.path(), port, &arguments)?;
        let node = Node { child, folder, arguments, port };
        node.answers().await?;
        Ok(node)
    }

    async fn answers(&self) -> Result<()> {
        let port = self.port;
        eventually("redis answers", Duration::from_secs(10), || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await
        .with_context(|| std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
        .map(|_| ())
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
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

    /// Starts again on the same files and port.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.folder.path(), self.port, &self.arguments)?;
        self.answers().await
    }

    /// Says one command to it and gives the answer.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn say(&self, words: &[&str]) -> Result<String> {
        cli(&["-p", &self.port.to_string()], words).await
    }
}

fn spawn(folder: &Path, port: u16, arguments: &[String]) -> Result<Child> {
    let folder_name = folder.display().to_string();
    let own = |a: &String| a.replace("{port}", &port.to_string()).replace("{folder}", &folder_name);
    Command::new("redis-server")
        .args(arguments.iter().map(own))
        .args(["--daemonize", "no", "--logfile", "log"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server: run `make setup`")
}

/// `redis-cli`.
///
/// # Errors
/// It is not installed, or says that something failed.
pub async fn cli(options: &[&str], words: &[&str]) -> Result<String> {
    let output = Command::new("redis-cli").args(options).args(words).output().await.context("redis-cli")?;
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).trim().to_owned();
    if !output.status.success() {
        bail!("redis-cli {words:?}: {text}");
    }
    Ok(text)
}

/// A primary, two replicas and three Sentinels.
pub struct SentinelSet {
    /// The servers; the first is the primary at the start.
    pub servers: Vec<Node>,
    /// The Sentinels.
    pub sentinels: Vec<Node>,
}

impl SentinelSet {
    /// Starts all and waits until the Sentinels know each other and the replicas.
    ///
    /// # Errors
    /// They do not find each other.
    pub async fn start() -> Result<SentinelSet> {
        let primary = Node::start(&[]).await?;
        let of = format!("127.0.0.1 {}", primary.port);
        let mut servers = vec![primary];
        for _ in 0..2 {
            servers.push(Node::start(&["--replicaof", &of, "--repl-diskless-sync-delay", "0"]).await?);
        }
        let port = servers.first().map_or(0, |p| p.port);
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Node::sentinel(port).await?);
        }
        let set = SentinelSet { servers, sentinels };
        for sentinel in &set.sentinels {
            eventually("the Sentinels know everybody", Duration::from_secs(20), || async {
                let said = sentinel.say(&["SENTINEL", "MASTER", "main"]).await.ok()?;
                let fields: Vec<&str> = said.lines().collect();
                let value = |name: &str| {
                    fields.iter().position(|f| *f == name).and_then(|at| fields.get(at + 1).copied())
                };
                (value("num-slaves") == Some("2") && value("num-other-sentinels") == Some("2")).then_some(())
            })
            .await?;
        }
        let primary = set.servers.first().context("a primary")?;
        eventually("both replicas are in step", Duration::from_secs(20), || async {
            let said = primary.say(&["INFO", "replication"]).await.ok()?;
            (said.matches("state=online").count() == 2).then_some(())
        })
        .await?;
        Ok(set)
    }

    /// The URL for the bridge.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }
}

/// Three primaries that share the slots, and a replica of each.
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// Starts all and waits until the cluster is whole.
    ///
    /// # Errors
    /// It does not become whole.
    pub async fn start(replicas: u32) -> Result<Cluster> {
        let mut nodes = Vec::new();
        for _ in 0..3 * (1 + replicas) {
            // Not the usual port + 10,000: that is among those which the system gives to outgoing connections.
            let bus = free_port()?.to_string();
            let arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "1000",
                "--cluster-config-file",
                "nodes.conf",
                "--repl-diskless-sync-delay",
                "0",
            ];
            nodes.push(Node::start(&arguments).await?);
        }
        let hosts: Vec<String> = nodes.iter().map(|n| format!("127.0.0.1:{}", n.port)).collect();
        let count = replicas.to_string();
        let mut words: Vec<&str> = vec!["--cluster", "create"];
        words.extend(hosts.iter().map(String::as_str));
        words.extend(["--cluster-replicas", &count, "--cluster-yes"]);
        cli(&[], &words).await?;
        for node in &nodes {
            eventually("the cluster is whole", Duration::from_secs(20), || async {
                let info = node.say(&["CLUSTER", "INFO"]).await.ok()?;
                let nodes = node.say(&["CLUSTER", "NODES"]).await.ok()?;
                let linked =
                    nodes.lines().all(|line| line.contains("connected") && !line.contains("disconnected"));
                (info.contains("cluster_state:ok") && linked).then_some(())
            })
            .await?;
        }
        Ok(Cluster { nodes })
    }

    /// The URL for the bridge.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|n| format!("127.0.0.1:{}", n.port)).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The place in `nodes` of the primary that has the slot of a key.
    ///
    /// # Errors
    /// Nobody says.
    pub async fn owner(&self, key: &str) -> Result<usize> {
        for node in &self.nodes {
            let Ok(slot) = node.say(&["CLUSTER", "KEYSLOT", key]).await else { continue };
            let slot: u16 = slot.parse()?;
            let all = node.say(&["CLUSTER", "NODES"]).await?;
            for line in all.lines().filter(|l| l.contains("master") && !l.contains("fail")) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let has = fields.iter().skip(8).any(|range| {
                    let (from, to) = range.split_once('-').unwrap_or((range, range));
                    matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(f), Ok(t)) if (f..=t).contains(&slot))
                });
                let port =
                    fields.get(1).and_then(|a| a.split('@').next()?.rsplit(':').next()?.parse::<u16>().ok());
                if has && let Some(at) = self.nodes.iter().position(|n| Some(n.port) == port) {
                    return Ok(at);
                }
            }
        }
        bail!("no node has the slot of {key}")
    }
}

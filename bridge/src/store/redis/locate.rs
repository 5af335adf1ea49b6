//! Where the primary is: at a fixed address, where Sentinel says, or on the node of a cluster that has the bridge's slot.
//!
//! Owns the forms of the URL and the questions to Sentinels and cluster nodes. A bridge lives in one slot (see `keys`), so
//! in a cluster it talks to one node, as it does behind Sentinel. Must not decide when to look again: `link` does.

use std::fmt;
use std::time::Duration;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::{Fault, RedisSettings};

/// The time for one question to one Sentinel or node.
const ASK_LIMIT: Duration = Duration::from_secs(1);
/// Seeds that are asked at most.
const SEEDS: usize = 16;

/// How the primary is found.
pub(super) struct Locator {
    way: Way,
    access: Access,
}

enum Way {
    Fixed(Box<ConnectionInfo>),
    Sentinel { seeds: Vec<(String, u16)>, primary: String },
    Cluster { seeds: Vec<(String, u16)>, key: String },
}

struct Access {
    tls: bool,
    username: Option<String>,
    password: Option<String>,
    sentinel_password: Option<String>,
    certificates: Option<TlsCertificates>,
}

/// An address that was found, for comparison and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Locator {
    /// Reads the URL. `key` is one of the bridge's keys: it names the slot in a cluster.
    pub(super) fn new(settings: &RedisSettings, key: String) -> Result<Self, Fault> {
        let url = settings.url.as_str();
        let password = settings.password.as_ref().map(|p| p.expose().to_owned());
        let sentinel_password = settings.sentinel_password.as_ref().map(|p| p.expose().to_owned());
        let certificates = certificates(settings);
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let several = |scheme: &str, kind: &str| {
            scheme.strip_suffix(kind).and_then(|base| match base {
                "redis" => Some(false),
                "rediss" => Some(true),
                _ => None,
            })
        };
        if let Some(tls) = several(scheme, "+sentinel") {
            let (username, hosts, path) = parts(rest);
            let seeds = hosts_of(hosts, 26379)?;
            let primary =
                path.filter(|name| !name.is_empty()).ok_or(Fault::Url("the name of the primary"))?;
            let access = Access { tls, username, password, sentinel_password, certificates };
            return Ok(Locator { way: Way::Sentinel { seeds, primary: primary.to_owned() }, access });
        }
        if let Some(tls) = several(scheme, "+cluster") {
            let (username, hosts, path) = parts(rest);
            if path.is_some_and(|path| !path.is_empty()) {
                return Err(Fault::Url("nothing after the nodes"));
            }
            let seeds = hosts_of(hosts, 6379)?;
            let access = Access { tls, username, password, sentinel_password, certificates };
            return Ok(Locator { way: Way::Cluster { seeds, key }, access });
        }
        let mut info = url.into_connection_info()?;
        if let Some(password) = &password {
            let redis = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(redis);
        }
        let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let access = Access { tls, username: None, password, sentinel_password, certificates };
        Ok(Locator { way: Way::Fixed(Box::new(info)), access })
    }

    /// Whether the primary can be somewhere else later.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.way, Way::Fixed(_))
    }

    /// Finds the primary.
    pub(super) async fn find(&self) -> Result<(Client, Address), Fault> {
        match &self.way {
            Way::Fixed(info) => {
                let client = self.access.build((**info).clone())?;
                Ok((client, Address(info.addr().to_string())))
            }
            Way::Sentinel { seeds, primary } => {
                let mut question = redis::cmd("SENTINEL");
                question.arg("GET-MASTER-ADDR-BY-NAME").arg(primary);
                let mut last = Fault::NoPrimary;
                for (host, port) in seeds {
                    let client = self.access.sentinel(host, *port)?;
                    match ask::<Option<(String, u16)>>(&client, &question).await {
                        Ok(Some((host, port))) => return self.found(host, port),
                        Ok(None) => {}
                        Err(fault) => last = fault,
                    }
                }
                Err(last)
            }
            Way::Cluster { seeds, key } => {
                let mut last = Fault::NoPrimary;
                for (host, port) in seeds {
                    let client = self.access.node(host, *port)?;
                    match slot_owner(&client, key).await {
                        // A node that does not know its own name in the cluster is where we asked.
                        Ok(Some((name, port))) => {
                            return self.found(if name.is_empty() { host.clone() } else { name }, port);
                        }
                        Ok(None) => {}
                        Err(fault) => last = fault,
                    }
                }
                Err(last)
            }
        }
    }

    fn found(&self, host: String, port: u16) -> Result<(Client, Address), Fault> {
        let address = Address(format!("{host}:{port}"));
        Ok((self.access.node(&host, port)?, address))
    }
}

impl Access {
    fn node(&self, host: &str, port: u16) -> Result<Client, Fault> {
        let mut redis = base()?.redis_settings().clone();
        if let Some(username) = &self.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password);
        }
        self.build(base()?.set_addr(self.address(host, port)).set_redis_settings(redis))
    }

    fn sentinel(&self, host: &str, port: u16) -> Result<Client, Fault> {
        let mut redis = base()?.redis_settings().clone();
        if let Some(password) = &self.sentinel_password {
            redis = redis.set_password(password);
        }
        self.build(base()?.set_addr(self.address(host, port)).set_redis_settings(redis))
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        if self.tls {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.to_owned(), port)
        }
    }

    fn build(&self, info: ConnectionInfo) -> Result<Client, Fault> {
        match &self.certificates {
            Some(certificates) if self.tls => Ok(Client::build_with_tls(info, certificates.clone())?),
            Some(_) | None => Ok(Client::open(info)?),
        }
    }
}

/// The settings of a connection that nothing was said about.
fn base() -> Result<ConnectionInfo, Fault> {
    Ok("redis://localhost".into_connection_info()?)
}

fn certificates(settings: &RedisSettings) -> Option<TlsCertificates> {
    let tls = &settings.tls;
    let client_tls = match (&tls.certificate_pem, &tls.key_pem) {
        (Some(certificate), Some(key)) => Some(ClientTlsConfig {
            client_cert: certificate.clone().into_bytes(),
            client_key: key.expose().as_bytes().to_vec(),
        }),
        (Some(_), None) | (None, Some(_) | None) => None,
    };
    let root_cert = tls.roots_pem.clone().map(String::into_bytes);
    (client_tls.is_some() || root_cert.is_some()).then_some(TlsCertificates { client_tls, root_cert })
}

/// User, hosts, path.
fn parts(rest: &str) -> (Option<String>, &str, Option<&str>) {
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (rest, None),
    };
    match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user.to_owned()).filter(|user| !user.is_empty()), hosts, path),
        None => (None, authority, path),
    }
}

fn hosts_of(text: &str, default_port: u16) -> Result<Vec<(String, u16)>, Fault> {
    let wrong = Fault::Url("hosts with ports, separated by commas");
    let mut hosts = Vec::new();
    for piece in text.split(',').map(str::trim).take(SEEDS) {
        let (host, port) = match piece.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| Fault::Url("a port"))?)
            }
            Some(_) | None => (piece, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong);
        }
        hosts.push((host.to_owned(), port));
    }
    Ok(hosts)
}

async fn ask<T: redis::FromRedisValue>(client: &Client, question: &redis::Cmd) -> Result<T, Fault> {
    let exchange = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        question.query_async(&mut connection).await
    };
    Ok(tokio::time::timeout(ASK_LIMIT, exchange).await.map_err(|_| Fault::TimedOut)??)
}

type SlotRange = (u16, u16, Vec<redis::Value>);

/// Host and port of the primary that has the slot of a key.
async fn slot_owner(client: &Client, key: &str) -> Result<Option<(String, u16)>, Fault> {
    let slot: u16 = ask(client, redis::cmd("CLUSTER").arg("KEYSLOT").arg(key)).await?;
    let ranges: Vec<Vec<redis::Value>> = ask(client, redis::cmd("CLUSTER").arg("SLOTS")).await?;
    for range in ranges {
        let mut fields = range.into_iter();
        let (Some(first), Some(last), Some(owner)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(Fault::Shape("slots"));
        };
        let (first, last, owner): SlotRange = (
            redis::from_redis_value(first).map_err(redis::RedisError::from)?,
            redis::from_redis_value(last).map_err(redis::RedisError::from)?,
            redis::from_redis_value(owner).map_err(redis::RedisError::from)?,
        );
        if (first..=last).contains(&slot) {
            let mut owner = owner.into_iter();
            let (Some(host), Some(port)) = (owner.next(), owner.next()) else {
                return Err(Fault::Shape("the node of the slot"));
            };
            let host: Option<String> = redis::from_redis_value(host).map_err(redis::RedisError::from)?;
            let port = redis::from_redis_value(port).map_err(redis::RedisError::from)?;
            return Ok(Some((host.unwrap_or_default(), port)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(url: &str) -> Result<Locator, Fault> {
        let settings = RedisSettings { url: url.to_owned(), ..RedisSettings::at("x") };
        Locator::new(&settings, "{capbridge:x}:seq".to_owned())
    }

    #[test]
    fn urls_name_one_server_sentinels_or_a_cluster() {
        let sentinel = locator("rediss+sentinel://bridge@a:1,b,[::1]:3/main").unwrap();
        let Way::Sentinel { seeds, primary } = &sentinel.way else { panic!("not by Sentinel") };
        assert_eq!(seeds, &[("a".to_owned(), 1), ("b".to_owned(), 26379), ("::1".to_owned(), 3)]);
        assert_eq!((primary.as_str(), sentinel.access.tls), ("main", true));
        assert_eq!(sentinel.access.username.as_deref(), Some("bridge"));
        let cluster = locator("redis+cluster://a:7000,b:7001").unwrap();
        assert!(
            matches!(&cluster.way, Way::Cluster { seeds, .. } if seeds.len() == 2) && !cluster.access.tls
        );
        assert!(locator("redis://h:1").unwrap().is_fixed());
        assert!(locator("rediss://u@h:1").unwrap().access.tls);
        for bad in [
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/",
            "redis+sentinel:///main",
            "redis+cluster://a:x",
            "redis+cluster://a:1,,b:2",
            "redis+cluster://a:1/0",
            "http+cluster://a",
            "h:1",
        ] {
            assert!(locator(bad).is_err(), "{bad}");
        }
    }
}

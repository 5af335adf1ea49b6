//! Where Redis is and what is asked of it.

use std::time::Duration;

use capbridge_adapters::settings::Secret;

/// Where Redis is and what is asked of it.
pub struct RedisSettings {
    /// One server: `redis://`, `rediss://` (TLS) or `redis+unix://`. Behind Sentinel: `redis+sentinel://` (`rediss+…`) with
    /// the Sentinels and the name of the primary. A cluster: `redis+cluster://` with some of its nodes. Each with the ACL
    /// user if there is one.
    pub url: String,
    /// The user's password, where the URL has none.
    pub password: Option<Secret>,
    /// The password of the Sentinels, if they have one.
    pub sentinel_password: Option<Secret>,
    /// What TLS trusts and shows.
    pub tls: RedisTls,
    /// The name of the bridge: instances with the same name share everything.
    pub name: String,
    /// Replicas that must confirm a change before it counts.
    pub wait_replicas: Option<u32>,
    /// Run on a Redis that may lose the last second.
    pub dangerous_allow_everysec: bool,
    /// The longest wait for one answer.
    pub command_timeout: Duration,
}

impl RedisSettings {
    /// A bridge of this name on a server without a password on this machine.
    pub fn at(name: &str) -> Self {
        RedisSettings {
            url: "redis://127.0.0.1:6379".to_owned(),
            password: None,
            sentinel_password: None,
            tls: RedisTls::default(),
            name: name.to_owned(),
            wait_replicas: None,
            dangerous_allow_everysec: false,
            command_timeout: Duration::from_secs(5),
        }
    }
}

/// What TLS trusts and shows.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// Roots in PEM; without them those of the operating system.
    pub roots_pem: Option<String>,
    /// Our certificate in PEM, where the server asks for one.
    pub certificate_pem: Option<String>,
    /// Its key in PEM.
    pub key_pem: Option<Secret>,
}

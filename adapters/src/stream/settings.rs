//! `[endpoint.NAME.stream]`: names, defaults, checks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::Stream;
use crate::endpoint::Profile;
use crate::feed::Feed;
use crate::passage::EndpointName;
use crate::settings::Faults;

/// The table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// Address and port that clients connect to.
    listen: String,
    /// Address and port of the archive, where clients fetch what they missed; absent: there is none.
    archive_listen: Option<String>,
    /// Addresses and networks that may connect; with none anybody may, for what reaches the public only.
    #[serde(default)]
    clients: Vec<String>,
    /// The form of the CAP documents: `cap-cp` or `ipaws`. What was received cannot be sent as it is: clients look for
    /// `<alert`, whatever its prefix was.
    #[serde(default = "cap_cp")]
    profile: Profile,
    /// Time between heartbeats, seconds, 1 to 60.
    #[serde(default = "sixty")]
    heartbeat_secs: u64,
    /// Connections at once, 1 to 1000.
    #[serde(default = "sixty_four")]
    max_clients: usize,
    /// How long messages are kept for the archive, days, 1 to 400.
    #[serde(default = "two")]
    keep_days: u32,
    /// Serve other machines without TLS: whoever is on the way can read and change what they get.
    #[serde(default)]
    dangerous_clear_text: bool,
}

fn cap_cp() -> Profile {
    Profile::CapCp
}

fn sixty() -> u64 {
    60
}

fn sixty_four() -> usize {
    64
}

fn two() -> u32 {
    2
}

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients(Vec<IpNet>);

impl Clients {
    /// Whether a client with this address is served.
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether anybody is.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }
}

impl StreamSettings {
    pub(super) fn validate(self) -> Result<Stream, Faults> {
        let mut faults = Faults::default();
        let mut address = |key: &str, text: &str| {
            let Ok(address) = text.parse::<SocketAddr>() else {
                faults.push(key, "is not an address with a port", "write it as 127.0.0.1:8670");
                return None;
            };
            if !address.ip().is_loopback() && !self.dangerous_clear_text {
                let remedy =
                    "listen on 127.0.0.1 behind a proxy that speaks TLS, or set dangerous_clear_text = true";
                faults.push(key, "is not on loopback: alerts would travel in clear text", remedy);
            }
            Some(address)
        };
        let listen = address("listen", &self.listen);
        let archive = self.archive_listen.as_ref().map(|text| address("archive_listen", text));
        let mut clients = Vec::new();
        for text in &self.clients {
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
                Ok(net) => clients.push(net),
                Err(_) => {
                    let problem = format!("{text} is neither an address nor a network");
                    faults.push("clients", problem, "write 192.0.2.7 or 192.0.2.0/24");
                }
            }
        }
        if self.profile == Profile::AsReceived {
            faults.push(
                "profile",
                "is as-received, which clients cannot find in a stream",
                "use cap-cp or ipaws",
            );
        }
        for (key, good, range, remedy) in [
            ("heartbeat_secs", (1..=60).contains(&self.heartbeat_secs), "1 to 60", "use 60"),
            ("max_clients", (1..=1_000).contains(&self.max_clients), "1 to 1000", "use 64"),
            ("keep_days", (1..=400).contains(&self.keep_days), "1 to 400", "use 2"),
        ] {
            if !good {
                faults.push(key, format!("is not {range}"), remedy);
            }
        }
        let (Some(listen), true) = (listen, faults.is_empty()) else { return Err(faults) };
        let kept = Feed {
            name: EndpointName(String::new()),
            title: String::new(),
            profile: self.profile,
            open: false,
            subscriptions: Vec::new(),
            keep_days: self.keep_days,
        };
        Ok(Stream {
            kept,
            listen,
            archive: archive.flatten(),
            clients: Clients(clients),
            heartbeat: Duration::from_secs(self.heartbeat_secs),
            max_clients: self.max_clients,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(table: &str) -> Vec<String> {
        let settings: StreamSettings = toml::from_str(table).unwrap();
        settings.validate().err().map_or(Vec::new(), |f| f.0.into_iter().map(|f| f.key).collect())
    }

    #[test]
    fn settings_report_every_fault_at_once() {
        let cases: [(&str, &[&str]); 6] = [
            ("listen = \"127.0.0.1:0\"", &[]),
            ("listen = \"[::1]:1\"\nclients = [\"192.0.2.0/24\", \"2001:db8::1\"]\nprofile = \"ipaws\"", &[]),
            (
                "listen = \"here\"\nclients = [\"town\"]\narchive_listen = \"x\"",
                &["listen", "archive_listen", "clients"],
            ),
            ("listen = \"192.0.2.1:1\"", &["listen"]),
            ("listen = \"192.0.2.1:1\"\ndangerous_clear_text = true", &[]),
            (
                "listen = \"127.0.0.1:0\"\nprofile = \"as-received\"\nheartbeat_secs = 61\nmax_clients = 0\nkeep_days = 0",
                &["profile", "heartbeat_secs", "max_clients", "keep_days"],
            ),
        ];
        for (table, keys) in cases {
            assert_eq!(faulty(table), keys, "{table}");
        }
    }

    #[test]
    fn only_listed_clients_are_served_however_their_address_is_written() {
        let listed = Clients(vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        for (address, expected) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("2001:db8::1", true),
            ("192.0.3.1", false),
            ("::1", false),
        ] {
            assert_eq!(listed.admit(address.parse().unwrap()), expected, "{address}");
            assert!(Clients::default().admit(address.parse().unwrap()));
        }
    }
}

//! Where connections may go: public addresses, and private ones that the configuration names.
//!
//! Owns the table of special addresses and the `allow_private` list. A host is refused if *any* of its addresses is
//! refused, and the address that was checked is the one that is dialled, so a name cannot change between the two.
//! Sources: IANA special-purpose address registries, OWASP ASVS 5 section 1.3.6.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::LazyLock;

use ipnet::IpNet;
use url::{Host, Url};

use super::{HttpError, UrlProblem};

const TABLE: &str = include_str!("../../data/special-addresses.tsv");

static SPECIAL: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the table is part of the program and a test reads it")]
    rows(TABLE).map(|net| net.parse().expect("special-addresses.tsv holds networks")).collect()
});

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split('\t').next().unwrap_or(line))
}

/// One entry of the `allow_private` list: a network, an address or a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All addresses of a network.
    Net(IpNet),
    /// Whatever addresses this host has.
    Host(String),
}

/// An entry that is neither a network, an address nor a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is neither a network (10.0.0.0/8), an address nor a host name")]
pub struct BadAllowed {
    /// The entry.
    pub entry: String,
}

impl FromStr for Allowed {
    type Err = BadAllowed;

    fn from_str(text: &str) -> Result<Self, BadAllowed> {
        let bad = || BadAllowed { entry: text.to_owned() };
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Allowed::Net(net));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Allowed::Net(IpNet::from(address)));
        }
        match Host::parse(text) {
            Ok(Host::Domain(name)) if !text.contains(['*', '%', '/']) => Ok(Allowed::Host(name)),
            Ok(_) | Err(_) => Err(bad()),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Net(net) => net.fmt(f),
            Allowed::Host(name) => name.fmt(f),
        }
    }
}

/// The rules of one client.
#[derive(Debug)]
pub(super) struct Guard {
    allowed: Vec<Allowed>,
}

impl Guard {
    pub(super) fn new(allowed: Vec<Allowed>) -> Self {
        Guard { allowed }
    }

    /// Checks what can be said before the host is resolved.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), HttpError> {
        let problem = |problem| Err(HttpError::InvalidUrl { problem });
        if !matches!(url.scheme(), "http" | "https") {
            return problem(UrlProblem::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return problem(UrlProblem::NoHost);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return problem(UrlProblem::Credentials);
        }
        Ok(())
    }

    /// Whether the list names the host of the URL, by name or by address.
    pub(super) fn names_host(&self, url: &Url) -> bool {
        match url.host() {
            None => false,
            Some(Host::Domain(name)) => self.names(name),
            Some(Host::Ipv4(address)) => self.allows(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.allows(IpAddr::V6(address).to_canonical()),
        }
    }

    /// Checks all addresses of a host.
    pub(super) fn check(&self, host: &str, addresses: &[IpAddr], tls: bool) -> Result<(), HttpError> {
        if self.names(host) {
            return Ok(());
        }
        for address in addresses {
            let canonical = address.to_canonical();
            if self.allows(canonical) {
                continue;
            }
            if !is_public(canonical) {
                return Err(HttpError::AddressRefused { host: host.to_owned(), address: *address });
            }
            if !tls {
                return Err(HttpError::PlainHttp { host: host.to_owned() });
            }
        }
        Ok(())
    }

    fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.allowed.iter().any(|entry| match entry {
            Allowed::Host(name) => name.trim_end_matches('.').eq_ignore_ascii_case(host),
            Allowed::Net(_) => false,
        })
    }

    fn allows(&self, canonical: IpAddr) -> bool {
        self.allowed.iter().any(|entry| match entry {
            Allowed::Net(net) => net.contains(&canonical),
            Allowed::Host(_) => false,
        })
    }
}

/// Whether an address belongs to the public internet. The address must be canonical (no IPv4 inside IPv6).
fn is_public(address: IpAddr) -> bool {
    if let IpAddr::V6(v6) = address
        && !global_unicast(v6)
    {
        // Everything but 2000::/3: loopback, link-local, unique local, multicast, NAT64 (64:ff9b::), 5f00::/16, ...
        return false;
    }
    !SPECIAL.iter().any(|net| net.contains(&address))
}

fn global_unicast(address: Ipv6Addr) -> bool {
    address.octets().first().is_some_and(|first| first & 0xe0 == 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused_and_public_ones_are_not() {
        let refused = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2600::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00::1",
            "3ffe::1",
        ];
        let guard = Guard::new(vec![]);
        for text in refused {
            let address: IpAddr = text.parse().unwrap();
            assert!(guard.check("h", &[address], true).is_err(), "{text} must be refused");
            let both = [IpAddr::from([8, 8, 8, 8]), address];
            assert!(guard.check("h", &both, true).is_err(), "a public address beside {text} changes nothing");
        }
        for text in public {
            let address: IpAddr = text.parse().unwrap();
            assert!(guard.check("h", &[address], true).is_ok(), "{text} is public");
            assert!(
                matches!(guard.check("h", &[address], false), Err(HttpError::PlainHttp { .. })),
                "{text}: plain http is for private hosts"
            );
        }
    }

    #[test]
    fn what_the_list_names_is_allowed_and_nothing_beside_it() {
        let list = |entries: &[&str]| Guard::new(entries.iter().map(|e| e.parse().unwrap()).collect());
        let cases = [
            (list(&["127.0.0.0/8"]), "h", "127.0.0.1", true),
            (list(&["127.0.0.0/8"]), "h", "::ffff:127.0.0.1", true),
            (list(&["127.0.0.0/8"]), "h", "10.0.0.1", false),
            (list(&["127.0.0.1"]), "h", "127.0.0.2", false),
            (list(&["hub.internal"]), "HUB.internal.", "10.0.0.1", true),
            (list(&["hub.internal"]), "other.internal", "10.0.0.1", false),
            (list(&["fd00::/8"]), "h", "fd00::1", true),
        ];
        for (guard, host, address, expected) in cases {
            let allowed = guard.check(host, &[address.parse().unwrap()], false).is_ok();
            assert_eq!(allowed, expected, "{guard:?} {host} {address}");
        }
    }

    #[test]
    fn entries_of_the_list_are_networks_addresses_or_hosts() {
        for good in ["10.0.0.0/8", "::1", "localhost", "hub.example.test"] {
            assert_eq!(
                good.parse::<Allowed>().map(|a| a.to_string().replace("/128", "")),
                Ok(good.to_owned())
            );
        }
        for bad in ["", "10.0.0.0/40", "a b", "*.example.test", "http://x", "x:80"] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_a_network() {
        assert!(SPECIAL.len() >= 19);
    }
}

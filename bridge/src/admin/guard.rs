//! Who may ask the admin socket, and under which name.
//!
//! Owns the check of `Host`: a page in an operator's browser can have its own name resolve to loopback (DNS rebinding),
//! and then only the name tells it from the operator. So the socket answers to loopback, to the address that it listens
//! on and to names that the configuration lists, with a token and without one.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State as Ctx};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Shared;
use super::problem::problem;

/// The names that the socket answers to.
#[derive(Clone, Debug)]
pub struct Hosts {
    listen: IpAddr,
    /// Lower case, without port.
    named: Vec<String>,
}

impl Hosts {
    /// The address that the socket listens on, and the names of `admin.hosts`.
    pub fn new(listen: SocketAddr, named: &[String]) -> Self {
        Hosts { listen: listen.ip(), named: named.iter().map(|name| plain(name)).collect() }
    }

    /// Whether the socket answers to the value of a `Host` header. The port is not compared: a tunnel changes it.
    pub fn answers_to(&self, host: &str) -> bool {
        if host.contains('@') {
            return false;
        }
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = plain(authority.host());
        if name == "localhost" || self.named.contains(&name) {
            return true;
        }
        // An address is never the name of a page that was rebound. Listening everywhere, any of ours may be meant.
        let address = address(&name);
        address.is_some_and(|ip| ip.is_loopback() || ip == self.listen || self.listen.is_unspecified())
    }

    /// Whether the name is one that only somebody at the machine itself uses: a proxy in front of the socket has another.
    pub fn is_local(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = plain(authority.host());
        self.listen.is_loopback()
            && !self.named.contains(&name)
            && (name == "localhost" || address(&name).is_some_and(|ip| ip.is_loopback()))
    }
}

fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Answers only to names of its own.
pub(super) async fn by_name(Ctx(state): Shared, request: Request, next: Next) -> Response {
    let mut given = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (given.next(), given.next()) else {
        return problem(StatusCode::BAD_REQUEST, "send one Host header");
    };
    // A request line with a whole URL names the host as well, and then that one counts (RFC 9112 section 3.2.2).
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => host.to_str().unwrap_or_default(),
    };
    if !state.hosts.answers_to(host) {
        let detail = format!("this socket does not answer to the host {host:?}: add its name to admin.hosts");
        return problem(StatusCode::MISDIRECTED_REQUEST, &detail);
    }
    next.run(request).await
}

/// What follows the scheme, whose case does not count (RFC 9110 section 11.1).
pub(super) fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) fn is_json(value: &HeaderValue) -> bool {
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_answers_to_loopback_to_its_address_and_to_listed_names_only() {
        let at = |listen: &str| Hosts::new(listen.parse().unwrap(), &["Bridge.example.test.".to_owned()]);
        let cases = [
            ("127.0.0.1:8650", "127.0.0.1:8650", true),
            ("127.0.0.1:8650", "localhost:9999", true),
            ("127.0.0.1:8650", "LOCALHOST.", true),
            ("127.0.0.1:8650", "[::1]:8650", true),
            ("127.0.0.1:8650", "127.9.9.9", true),
            ("127.0.0.1:8650", "bridge.example.test:8650", true),
            ("10.1.2.3:8650", "10.1.2.3:8650", true),
            ("0.0.0.0:8650", "192.0.2.7", true),
            ("127.0.0.1:8650", "192.0.2.7", false),
            ("10.1.2.3:8650", "10.1.2.4:8650", false),
            ("0.0.0.0:8650", "attacker.example.test", false),
            ("127.0.0.1:8650", "attacker.example.test:8650", false),
            ("127.0.0.1:8650", "localhost.attacker.example.test", false),
            ("127.0.0.1:8650", "127.0.0.1.attacker.example.test", false),
            ("127.0.0.1:8650", "localhost@attacker.example.test", false),
            ("127.0.0.1:8650", "sub.bridge.example.test", false),
            ("127.0.0.1:8650", "", false),
            ("127.0.0.1:8650", "a b", false),
        ];
        for (listen, host, expected) in cases {
            assert_eq!(at(listen).answers_to(host), expected, "{host:?} at {listen}");
        }
    }

    #[test]
    fn only_json_counts_as_json() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/jsonx", false),
            ("application/json-patch+json", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(&HeaderValue::from_static(value)), expected, "{value}");
        }
    }
}

//! `[feeds]`: where clients read feeds.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::File;
use crate::settings::Bounds;

/// How long a reader may take to say what it wants.
const HEAD: Duration = Duration::from_secs(10);

/// The table as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedsTable {
    /// Address and port that feeds are served on, where there are any.
    pub listen: String,
    /// How clients reach it; absent: by that address.
    pub base_url: Option<String>,
    /// Connections at once.
    pub max_clients: usize,
    /// Entries of a page.
    pub page_entries: u32,
    /// A client that takes nothing for this long is cut, seconds.
    pub stalled_secs: u64,
    /// Serve other machines without TLS: tokens can be read on the way.
    pub dangerous_clear_text: bool,
}

impl Default for FeedsTable {
    fn default() -> Self {
        FeedsTable {
            listen: "127.0.0.1:8660".into(),
            base_url: None,
            max_clients: 256,
            page_entries: 50,
            stalled_secs: 10,
            dangerous_clear_text: false,
        }
    }
}

/// What is made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Feeds {
    /// Where feeds are served.
    pub listen: SocketAddr,
    /// How clients reach it, without a slash at the end.
    pub base_url: Option<String>,
    /// The bounds of the socket.
    pub bounds: Bounds,
    /// Entries of a page.
    pub page_entries: u32,
    /// Other machines are served without TLS.
    pub is_clear_text: bool,
}

impl FeedsTable {
    pub(super) fn check(self, file: &mut File<'_>) -> Option<Feeds> {
        for (key, is_good, range, remedy) in [
            ("max_clients", (1..=10_000).contains(&self.max_clients), "1 to 10000", "use 256"),
            ("page_entries", (1..=500).contains(&self.page_entries), "1 to 500", "use 50"),
            ("stalled_secs", (1..=120).contains(&self.stalled_secs), "1 to 120", "use 10"),
        ] {
            if !is_good {
                file.fault(&format!("feeds.{key}"), &format!("is not {range}"), remedy);
            }
        }
        if let Some(text) = &self.base_url {
            let good = Url::parse(text).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none()
            });
            if !good {
                let remedy = "write it as https://feeds.example.org";
                file.fault("feeds.base_url", "is no http address without user, query and fragment", remedy);
            }
        }
        let Ok(listen) = self.listen.parse::<SocketAddr>() else {
            file.fault("feeds.listen", "is not an address with a port", "write it as 127.0.0.1:8660");
            return None;
        };
        let is_clear_text = !listen.ip().is_loopback();
        if is_clear_text && !self.dangerous_clear_text {
            let remedy =
                "listen on 127.0.0.1 behind a proxy that speaks TLS, or set dangerous_clear_text = true";
            file.fault("feeds.listen", "is not on loopback: tokens would travel in clear text", remedy);
        }
        Some(Feeds {
            listen,
            base_url: self.base_url.map(|url| url.trim_end_matches('/').to_owned()),
            bounds: Bounds {
                max_clients: self.max_clients,
                head: HEAD,
                stalled: Duration::from_secs(self.stalled_secs),
            },
            page_entries: self.page_entries,
            is_clear_text,
        })
    }
}

//! The calls to a hub. Authentication by header: secrets in URLs leak into logs.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use jiff::fmt::strtime;
use url::Url;

use super::CAP_TYPE;
use crate::http::{HttpClient, HttpError, Reply, Request};
use crate::settings::Secret;

/// How much of the hub's answer to a post is read: an entry.
const ENTRY_BYTES: usize = 1 << 20;
const ATOM_TYPE: &str = "application/atom+xml";

/// One hub and the account that we use there.
#[derive(Clone, Debug)]
pub struct Hub {
    base: Url,
    feed: Url,
    secret: Secret,
    limit: Duration,
}

/// What is asked of the feed.
#[derive(Clone, Debug, Default)]
pub struct FeedQuery {
    /// Entries since then, expired ones too. Without it: those in force.
    pub since: Option<Timestamp>,
    /// Not those of this account.
    pub not_author: Option<String>,
    /// Only those of this account.
    pub author: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
    /// Only those inside `minLon,minLat,maxLon,maxLat`.
    pub bbox: Option<String>,
}

impl Hub {
    /// A hub at its base URL (`https://host/hub`). `None` if the URL cannot have a path.
    pub(super) fn new(base: &Url, secret: Secret, limit: Duration) -> Option<Self> {
        let mut feed = base.clone();
        feed.path_segments_mut().ok()?.pop_if_empty().push("feed");
        Some(Hub { base: base.clone(), feed, secret, limit })
    }

    /// Its base URL.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The URL of a feed.
    pub fn feed_url(&self, query: &FeedQuery) -> Url {
        let mut url = self.feed.clone();
        let since = query.since.and_then(|at| strtime::format("%Y-%m-%dT%H:%M:%SZ", at).ok());
        let pairs = [
            ("dtsince", since),
            ("not_author", query.not_author.clone()),
            ("author", query.author.clone()),
            ("limit", query.limit.map(|l| l.to_string())),
            ("bbox", query.bbox.clone()),
        ];
        let mut written = url.query_pairs_mut();
        for (name, value) in pairs {
            if let Some(value) = value {
                written.append_pair(name, &value);
            }
        }
        drop(written);
        if url.query() == Some("") {
            url.set_query(None);
        }
        url
    }

    /// An address that the hub wrote into an entry, if it leads to the hub. Our secret goes to no other host.
    pub fn own(&self, href: &str) -> Option<Url> {
        let url = self.base.join(href).ok()?;
        (url.origin() == self.base.origin()).then_some(url)
    }

    /// Gets something from the hub.
    ///
    /// # Errors
    /// As the client.
    pub async fn get(&self, http: &HttpClient, url: Url, max_bytes: usize) -> Result<Reply, HttpError> {
        let request = self.authorised(Request::get(url))?;
        let accept =
            "application/atom+xml, application/common-alerting-protocol+xml, application/cap+xml, */*;q=0.1";
        http.send(request.header(ACCEPT, accept)?.max_reply_bytes(max_bytes)).await
    }

    /// Posts a CAP alert as a new entry.
    ///
    /// # Errors
    /// As the client.
    pub async fn post_cap(&self, http: &HttpClient, cap: Bytes) -> Result<Reply, HttpError> {
        self.send_cap(http, Request::post(self.feed.clone(), cap)).await
    }

    /// Replaces the CAP alert of an entry (its `edit-media` address).
    ///
    /// # Errors
    /// As the client.
    pub async fn put_cap(&self, http: &HttpClient, url: Url, cap: Bytes) -> Result<Reply, HttpError> {
        self.send_cap(http, Request::put(url, cap)).await
    }

    /// Replaces an entry (its `edit` address).
    ///
    /// # Errors
    /// As the client.
    pub async fn put_entry(&self, http: &HttpClient, url: Url, entry: Bytes) -> Result<Reply, HttpError> {
        let request = self.authorised(Request::put(url, entry))?;
        http.send(request.header(CONTENT_TYPE, ATOM_TYPE)?.max_reply_bytes(ENTRY_BYTES)).await
    }

    async fn send_cap(&self, http: &HttpClient, request: Request) -> Result<Reply, HttpError> {
        let request = self.authorised(request)?.header(CONTENT_TYPE, CAP_TYPE)?;
        http.send(request.max_reply_bytes(ENTRY_BYTES)).await
    }

    fn authorised(&self, request: Request) -> Result<Request, HttpError> {
        let credentials = format!("MASAS-Secret {}", self.secret.expose());
        Ok(request.secret_header(AUTHORIZATION, &credentials)?.limit(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(base: &str) -> Hub {
        Hub::new(&Url::parse(base).unwrap(), Secret::new("code".into()), Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn feed_urls_carry_the_query_and_never_the_secret() {
        let query = FeedQuery {
            since: "2026-03-01T17:02:11.5Z".parse().ok(),
            not_author: Some("https://access.example.test/user/1".into()),
            limit: Some(400),
            bbox: Some("-83,42,-82,43".into()),
            ..FeedQuery::default()
        };
        let full = "https://h/hub/feed?dtsince=2026-03-01T17%3A02%3A11Z&not_author=https%3A%2F%2Faccess.example.test\
                    %2Fuser%2F1&limit=400&bbox=-83%2C42%2C-82%2C43";
        for base in ["https://h/hub", "https://h/hub/"] {
            assert_eq!(hub(base).feed_url(&query).as_str(), full);
            assert_eq!(hub(base).feed_url(&FeedQuery::default()).as_str(), "https://h/hub/feed");
        }
    }

    // the secret goes to the hub and to nobody else.
    #[test]
    fn a_6_addresses_of_other_hosts_are_not_the_hubs() {
        let hub = hub("https://h/hub");
        for good in ["https://h/hub/feed/1/content/0", "/hub/feed/1/content", "https://h:443/x"] {
            assert!(hub.own(good).is_some(), "{good}");
        }
        for bad in
            ["https://other/hub/feed/1", "http://h/hub/feed/1", "https://h:8443/x", "//evil/x", "file:///x"]
        {
            assert!(hub.own(bad).is_none(), "{bad}");
        }
    }
}

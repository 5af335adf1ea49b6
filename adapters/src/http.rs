//! The one HTTP client: no redirects, no proxies, addresses checked when they are dialled, bounded replies.
//!
//! Owns every outbound HTTP request of the bridge and the rules for where it may go (`guard`). Must not retry: that
//! is the relay's and the sources' business. HTTP/1.1 only; connections are kept 15 s.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AGE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use crate::settings::Faults;

mod connector;
mod error;
mod guard;
mod outgoing;
mod retry_after;
mod shown;

pub use error::{HttpError, UrlProblem};
pub use guard::{Allowed, BadAllowed};
pub use shown::{Shown, http_url, shown_text};

use connector::Connector;
use guard::Guard;
use outgoing::Outgoing;

/// How long idle connections are kept. Receivers close theirs after 30 s or more, so ours go first.
const POOL_IDLE: Duration = Duration::from_secs(15);
/// The time for resolving and connecting.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The time for a whole request where the caller gives none.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// The bound of a reply where the caller gives none.
const REPLY_BYTES: usize = 16 * 1024;
/// The bound of the head of a reply.
const HEAD_BYTES: usize = 64 * 1024;

/// What the client is made of.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    allow_private: Vec<Allowed>,
    extra_roots: Vec<CertificateDer<'static>>,
}

impl HttpSettings {
    /// Checks the list of private networks and hosts that may be reached (also without TLS), and the certificates
    /// of roots that are trusted beside those of the operating system.
    ///
    /// # Errors
    /// Faults at `allow_private` and `extra_roots_file`.
    pub fn new(allow_private: &[String], extra_roots_pem: Option<&str>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut settings = HttpSettings::default();
        for entry in allow_private {
            match entry.parse() {
                Ok(allowed) => settings.allow_private.push(allowed),
                Err(error) => faults.push(
                    "allow_private",
                    BadAllowed::to_string(&error),
                    "write a network such as 10.20.0.0/16, an address or a host name, without scheme and port",
                ),
            }
        }
        if let Some(pem) = extra_roots_pem {
            match connector::certificates(pem) {
                Ok(roots) => settings.extra_roots = roots,
                Err(error) => {
                    faults.push("extra_roots_file", error.to_string(), "give CA certificates in PEM");
                }
            }
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// Why nothing would ever be sent there, as far as the address itself tells: names are looked up later.
    pub fn refuses(&self, url: &Url) -> Option<HttpError> {
        let address = match url.host()? {
            Host::Domain("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Host::Domain(_) => return None,
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        let guard = Guard::new(self.allow_private.clone());
        guard.check(url.host_str()?, &[address], url.scheme() == "https").err()
    }

    /// The private networks and hosts that may be reached.
    pub fn allow_private(&self) -> &[Allowed] {
        &self.allow_private
    }
}

/// How the client names itself.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("capbridge/", env!("CARGO_PKG_VERSION")));

/// A shared client. Clones share connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<Connector, Outgoing>,
    connector: Connector,
    guard: Arc<Guard>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Loads the roots and builds the client. Opens no connection.
    ///
    /// # Errors
    /// `TlsSetUp` if the TLS library refuses its settings.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpError> {
        let guard = Arc::new(Guard::new(settings.allow_private));
        let connector = Connector::new(Arc::clone(&guard), CONNECT_LIMIT, settings.extra_roots)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(HEAD_BYTES)
            .build(connector.clone());
        Ok(HttpClient { client, connector, guard })
    }

    /// A connection for another protocol than HTTP, under the same rules: the host is resolved once, all its addresses
    /// are checked, a checked one is dialled, in 3 s. The caller promises to send nothing of worth before `secure`.
    ///
    /// # Errors
    /// The address is refused, or there is no connection.
    pub async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, HttpError> {
        self.connector.socket(host, port, true).await
    }

    /// Whether a URL could be asked: its form, and the addresses that its host has now. They are checked again when it is
    /// dialled, because a name can change.
    ///
    /// # Errors
    /// The URL, or an address of its host, is refused; or the host has none.
    pub async fn check(&self, url: &Url) -> Result<(), HttpError> {
        self.guard.check_url(url)?;
        let host = url.host_str().ok_or(HttpError::InvalidUrl { problem: UrlProblem::NoHost })?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        self.connector.look(host, url.scheme() == "https").await
    }

    /// TLS on such a connection, with the roots of this client. The certificate must be good for `host`.
    ///
    /// # Errors
    /// `Tls`.
    pub async fn secure(&self, host: &str, socket: TcpStream) -> Result<TlsStream<TcpStream>, HttpError> {
        self.connector.session(host, socket).await
    }

    /// Whether the configuration names the host of this URL as private. Rules of politeness towards public services
    /// (how often to poll) do not bind there.
    pub fn is_private(&self, url: &Url) -> bool {
        self.guard.names_host(url)
    }

    /// Sends one request and reads its reply. Every status is a reply, redirects too.
    ///
    /// # Errors
    /// See `HttpError`; `maybe_sent` tells whether the peer may have got the request.
    pub async fn send(&self, request: Request) -> Result<Reply, HttpError> {
        let limit = request.limit;
        let (outgoing, begun) = Outgoing::new(request.body.clone());
        let exchange = self.exchange(request, outgoing, &begun);
        match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout { limit_ms: millis(limit), sent: begun.maybe_sent() }),
        }
    }

    async fn exchange(
        &self,
        request: Request,
        body: Outgoing,
        begun: &outgoing::Begun,
    ) -> Result<Reply, HttpError> {
        self.guard.check_url(&request.url)?;
        let mut message = http::Request::builder()
            .method(request.method)
            .uri(request.url.as_str())
            .body(body)
            .map_err(|_| HttpError::InvalidUrl { problem: UrlProblem::Malformed })?;
        *message.headers_mut() = request.headers;
        message.headers_mut().insert(USER_AGENT, AGENT);
        let reply = self.client.request(message).await.map_err(|e| error::from_client(e, begun))?;
        let (head, mut body) = reply.into_parts();
        let mut read = Vec::new();
        let mut truncated = false;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|cause| HttpError::ReplyBroken { cause: Arc::new(cause) })?;
            let Ok(data) = frame.into_data() else { continue };
            let room = request.max_reply_bytes.saturating_sub(read.len());
            read.extend(data.iter().take(room));
            if data.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(Reply {
            status_code: head.status.as_u16(),
            headers: head.headers,
            body: read.into(),
            truncated,
            limit_bytes: request.max_reply_bytes,
        })
    }
}

fn millis(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
    max_reply_bytes: usize,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: Url) -> Self {
        Request {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit: REQUEST_LIMIT,
            max_reply_bytes: REPLY_BYTES,
        }
    }

    /// A GET.
    pub fn get(url: Url) -> Self {
        Request::new(Method::GET, url)
    }

    /// A POST of `body`.
    pub fn post(url: Url, body: Bytes) -> Self {
        Request { body, ..Request::new(Method::POST, url) }
    }

    /// A PUT of `body`.
    pub fn put(url: Url, body: Bytes) -> Self {
        Request { body, ..Request::new(Method::PUT, url) }
    }

    /// The same request with a body.
    #[must_use]
    pub fn with_body(self, body: Bytes) -> Self {
        Request { body, ..self }
    }

    /// Adds a header.
    ///
    /// # Errors
    /// `BadHeader` if the value has control characters.
    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, HttpError> {
        let value = header_value(name.clone(), value)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Adds a header whose value is never shown.
    ///
    /// # Errors
    /// `BadHeader` if the value has control characters.
    pub fn secret_header(mut self, name: HeaderName, value: &str) -> Result<Self, HttpError> {
        let mut value = header_value(name.clone(), value)?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The time for the whole exchange: connecting, sending, reading the reply. 10 s unless set.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How much of the reply's body is read. 16 KiB unless set.
    #[must_use]
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

fn header_value(name: HeaderName, value: &str) -> Result<HeaderValue, HttpError> {
    HeaderValue::from_str(value).map_err(|_| HttpError::BadHeader { name })
}

/// One reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status_code: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most `max_reply_bytes` of it.
    pub body: Bytes,
    /// There was more.
    pub truncated: bool,
    limit_bytes: usize,
}

impl Reply {
    /// The body, if it is whole.
    ///
    /// # Errors
    /// `ReplyTooLarge` if there was more than the request allowed.
    pub fn whole(&self) -> Result<&Bytes, HttpError> {
        if self.truncated {
            return Err(HttpError::ReplyTooLarge { limit_bytes: self.limit_bytes });
        }
        Ok(&self.body)
    }

    /// A header as text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Whether the status is one of success (2xx).
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status_code)
    }

    /// How long the peer asks us to wait (`Retry-After`, in seconds or as a date), at most a day.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        self.header(&RETRY_AFTER).and_then(|text| retry_after::parse(text, now))
    }

    /// When the reply was made, by the clock of the peer: `Date` and, where a cache kept it meanwhile, `Age`.
    pub fn made_at(&self) -> Option<Timestamp> {
        let date = retry_after::date(self.header(&DATE)?)?;
        let age = self.header(&AGE).and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0);
        date.checked_add(SignedDuration::from_secs(age.max(0))).ok()
    }

    /// The beginning of the body for people: one line, control characters escaped, at most 300 characters.
    pub fn said(&self) -> String {
        shown_text(&self.body, 300)
    }
}

#[cfg(test)]
mod tests;

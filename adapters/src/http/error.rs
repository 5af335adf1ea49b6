//! Why a request failed, and whether the peer may have got it.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderName;

use super::outgoing::Begun;

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL cannot be requested.
    #[error("the URL cannot be requested: {problem}")]
    InvalidUrl {
        /// What is wrong with it.
        problem: UrlProblem,
    },
    /// The host has an address that is not public and that the configuration does not allow.
    #[error("{host} has the address {address}, which is not public and not in allow_private")]
    AddressRefused {
        /// The host.
        host: String,
        /// The address.
        address: IpAddr,
    },
    /// Plain http to a host that the configuration does not name as private.
    #[error("{host} is not in allow_private, and plain http is for private hosts only")]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// The host has no address.
    #[error("{host} could not be resolved")]
    Unresolved {
        /// The host.
        host: String,
        /// What the resolver said, if it said anything.
        #[source]
        cause: Option<Arc<io::Error>>,
    },
    /// No connection.
    #[error("no connection to {host}")]
    Connect {
        /// The host.
        host: String,
        /// The last address's error.
        #[source]
        cause: Arc<io::Error>,
    },
    /// No connection in time.
    #[error("no connection to {host} in {limit_ms} ms")]
    ConnectTimeout {
        /// The host.
        host: String,
        /// The limit.
        limit_ms: u64,
    },
    /// No TLS session: certificate, host name or protocol.
    #[error("no TLS session with {host}")]
    Tls {
        /// The host.
        host: String,
        /// What TLS said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// No answer in time.
    #[error("no answer in {limit_ms} ms")]
    Timeout {
        /// The limit.
        limit_ms: u64,
        /// Whether the request may have arrived.
        sent: bool,
    },
    /// The connection broke before the head of the reply was there.
    #[error("the connection broke before the reply")]
    Broken {
        /// Whether the request may have arrived.
        sent: bool,
        /// What the protocol said.
        #[source]
        cause: Arc<hyper_util::client::legacy::Error>,
    },
    /// The connection broke inside the body of the reply.
    #[error("the connection broke inside the reply")]
    ReplyBroken {
        /// What the protocol said.
        #[source]
        cause: Arc<hyper::Error>,
    },
    /// The reply is larger than allowed.
    #[error("the reply is larger than {limit_bytes} bytes")]
    ReplyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A header value that HTTP does not allow.
    #[error("the value of the header {name} has characters that HTTP does not allow")]
    BadHeader {
        /// The header.
        name: HeaderName,
    },
    /// The extra roots are not PEM certificates.
    #[error("the extra roots are not certificates in PEM")]
    BadRoots,
    /// The TLS library refused its settings.
    #[error("TLS could not be set up")]
    TlsSetUp {
        /// What it said.
        #[source]
        cause: Arc<rustls::Error>,
    },
}

impl HttpError {
    /// Whether the peer may have got the whole request although we have no reply.
    pub fn maybe_sent(&self) -> bool {
        match self {
            HttpError::Timeout { sent, .. } | HttpError::Broken { sent, .. } => *sent,
            HttpError::ReplyBroken { .. } | HttpError::ReplyTooLarge { .. } => true,
            HttpError::InvalidUrl { .. }
            | HttpError::AddressRefused { .. }
            | HttpError::PlainHttp { .. }
            | HttpError::Unresolved { .. }
            | HttpError::Connect { .. }
            | HttpError::ConnectTimeout { .. }
            | HttpError::Tls { .. }
            | HttpError::BadHeader { .. }
            | HttpError::BadRoots
            | HttpError::TlsSetUp { .. } => false,
        }
    }
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// Not a URL.
    #[error("it is not an absolute URL")]
    Malformed,
    /// Neither http nor https.
    #[error("it is neither http nor https")]
    Scheme,
    /// No host.
    #[error("it has no host")]
    NoHost,
    /// User and password belong into their own settings.
    #[error("it carries a user or a password")]
    Credentials,
    /// A fragment is never sent.
    #[error("it has a fragment")]
    Fragment,
}

/// Finds our own reason inside what the client says.
pub(super) fn from_client(error: hyper_util::client::legacy::Error, begun: &Begun) -> HttpError {
    let connect = error.is_connect();
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<HttpError>() {
            return ours.clone();
        }
        cause = inner.source();
    }
    HttpError::Broken { sent: !connect && begun.maybe_sent(), cause: Arc::new(error) }
}

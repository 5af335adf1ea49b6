//! The one HTTP client: no redirects, no proxies, addresses checked when they are dialled, bounded replies.

use std::sync::Arc;

/// A shared client.
#[derive(Clone)]
pub struct HttpClient {
    _inner: Arc<()>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No answer in time.
    #[error("no answer in {limit_secs} s")]
    Timeout {
        /// The limit.
        limit_secs: u64,
    },
}

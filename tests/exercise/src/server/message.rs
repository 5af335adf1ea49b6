//! What arrives at a simulator and what it answers.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// When, by the simulator's clock.
    pub at: Timestamp,
    /// The method, upper case.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query's pairs, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// The first value of a header field, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The media type without its parameters, lower case; empty if there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    #[cfg(test)]
    pub(crate) fn for_test(method: &str, path: &str) -> Self {
        let (at, query, headers) = (Timestamp::UNIX_EPOCH, Vec::new(), HeaderMap::new());
        Self { at, method: method.to_owned(), path: path.to_owned(), query, headers, body: Bytes::new() }
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Header fields beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether a client that knows the system would send such a request.
    pub expected: bool,
}

impl Answer {
    /// An answer with a body of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", media_type.to_owned())];
        Self { status, headers, body: body.into(), expected: true }
    }

    /// A refusal with a text for a person.
    #[must_use]
    pub fn refusal(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// 404 for a request that no client of the system sends; it is counted.
    #[must_use]
    pub fn unexpected(request: &Request) -> Self {
        let text = format!("no such thing here: {} {}", request.method, request.path);
        Self { expected: false, ..Self::refusal(404, &text) }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

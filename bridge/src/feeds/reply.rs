//! Answers that a client may have already: entity tags and 304 (RFC 9110 section 13).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Served;

/// What is to be sent.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) content_type: &'static str,
    /// Where it is known without looking at the bytes.
    pub(super) etag: Option<String>,
}

/// The body, or 304 where the client says that it has it.
pub(super) fn conditional(served: &Served, headers: &HeaderMap, body: Body) -> Response {
    let etag = body.etag.unwrap_or_else(|| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body.bytes);
        let short = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("\"{short}\"")
    });
    let mut response = if has(headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body.bytes.into_response()
    };
    // Readers ask again each time; what is for subscribers is kept by nobody on the way.
    let caching = if served.feed.open { "public, no-cache" } else { "private, no-cache" };
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, body.content_type);
    set(header::ETAG, &etag);
    set(header::CACHE_CONTROL, caching);
    set(header::VARY, "Authorization");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Whether a tag is among those of `If-None-Match`, compared weakly.
fn has(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_any_form() {
        for (given, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"ab\"", false),
            ("a", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, given.parse().unwrap());
            assert_eq!(has(&headers, "\"a\""), expected, "{given}");
        }
    }
}

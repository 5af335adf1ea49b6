//! Who may read which feed.
//!
//! Owns the check of tokens. A token comes as a bearer token (RFC 6750) or as the password of basic authentication (RFC
//! 7617), which is what feed readers can do; never in a URL, where it would end up in logs. What is kept of tokens are
//! digests, and all of a feed are compared, in constant time.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use capbridge_adapters::passage::EndpointName;
use capbridge_adapters::token::TokenDigest;

use super::{FeedServer, Served};
use crate::admin::problem::problem;
use crate::telemetry::{FeedForm, FeedOutcome};

/// The longest head of a request, bytes of names and values together.
const HEAD_BYTES: usize = 8 * 1024;

/// The feed, if this request may read it.
#[expect(clippy::result_large_err, reason = "an answer is made once for a request")]
pub(super) fn enter(server: &FeedServer, name: &str, headers: &HeaderMap) -> Result<Served, Response> {
    let table = server.routes.now();
    let found = table.endpoints.get(&EndpointName(name.to_owned()));
    let Some((feed, class)) = found.and_then(|endpoint| Some((endpoint.feed()?, endpoint.class()))) else {
        return Err(problem(StatusCode::NOT_FOUND, "there is no such feed"));
    };
    let token = presented(headers).map(|token| TokenDigest::of(&token));
    let served = Served { feed: feed.clone(), class, token };
    if served.is_good() {
        return Ok(served);
    }
    server.metrics.feed_request(&feed.name, FeedForm::Any, FeedOutcome::Refused);
    let detail = "this feed needs the token of a subscription, as a bearer token or as the password of basic \
                  authentication";
    let mut refused = problem(StatusCode::UNAUTHORIZED, detail);
    let schemes = HeaderValue::from_static("Bearer, Basic realm=\"feeds\", charset=\"UTF-8\"");
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, schemes);
    Err(refused)
}

impl Served {
    /// The same as it is now, if there still is one and its reader may still read it.
    pub(super) fn again(&self, server: &FeedServer) -> Option<Served> {
        let table = server.routes.now();
        let endpoint = table.endpoints.get(&self.feed.name)?;
        let now = Served { feed: endpoint.feed()?.clone(), class: endpoint.class(), token: self.token };
        now.is_good().then_some(now)
    }

    fn is_good(&self) -> bool {
        // Every one is compared: how long it takes says nothing of where it fits.
        let subscribed = |token: &TokenDigest| {
            self.feed.subscriptions.iter().fold(false, |found, (_, known)| known.is(token) | found)
        };
        self.feed.open || self.token.as_ref().is_some_and(subscribed)
    }
}

/// The token that a request carries.
fn presented(headers: &HeaderMap) -> Option<String> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        return text.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

/// Refuses requests with a head that no reader needs.
pub(super) async fn small_head(request: Request, next: Next) -> Response {
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > HEAD_BYTES / 4 {
        return problem(StatusCode::URI_TOO_LONG, "the address is longer than 2 KiB");
    }
    if headers > HEAD_BYTES {
        return problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are longer than 8 KiB");
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearer_token_or_a_password_and_nothing_else() {
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        for (values, expected) in [
            (vec!["Bearer abc".to_owned()], Some("abc")),
            (vec!["bearer  abc ".to_owned()], Some("abc")),
            (vec![basic("anybody:abc")], Some("abc")),
            (vec![basic(":a:b")], Some("a:b")),
            (vec![basic("abc")], None),
            (vec!["Basic !".to_owned()], None),
            (vec!["Digest abc".to_owned()], None),
            (vec!["abc".to_owned()], None),
            (vec!["Bearer abc".to_owned(), "Bearer abc".to_owned()], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(presented(&headers).as_deref(), expected, "{values:?}");
        }
    }
}

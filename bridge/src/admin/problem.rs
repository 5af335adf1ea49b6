//! Errors of the admin socket as problem documents (RFC 9457), all of them.
//!
//! Owns the form, and the net under the routes: what the HTTP library refuses by itself (an unknown path, a method, a
//! body that is no JSON) and what panics leaves as a problem document too.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value, json};
use tracing::error;

/// The media type.
pub(super) const TYPE: &str = "application/problem+json";
/// How much of a refusal's own text is read.
const TEXT_BYTES: usize = 4 * 1024;

/// A problem document.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    problem_with(status, detail, Map::new())
}

/// A problem document with members of its own.
pub(super) fn problem_with(status: StatusCode, detail: &str, members: Map<String, Value>) -> Response {
    let mut document = members;
    document.insert("type".into(), json!("about:blank"));
    document.insert("title".into(), json!(status.canonical_reason().unwrap_or("Error")));
    document.insert("status".into(), json!(status.as_u16()));
    document.insert("detail".into(), json!(detail));
    let mut response = (status, Value::Object(document).to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TYPE));
    response
}

/// Makes a problem document of every error that is none yet.
pub(crate) async fn as_problems(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await else {
        error!(%method, path, "an admin call panicked: a bug");
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "a bug of the bridge; its log says more");
    };
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|v| v == TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (head, body) = response.into_parts();
    let detail = match status {
        StatusCode::NOT_FOUND => format!("there is nothing at {path}"),
        StatusCode::METHOD_NOT_ALLOWED => format!("{path} does not take {method}"),
        _ => text(body).await.unwrap_or_else(|| status.to_string()),
    };
    let mut made = problem(status, &detail);
    // What goes with the status, such as Allow, stays.
    for (name, value) in &head.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            made.headers_mut().append(name, value.clone());
        }
    }
    made
}

async fn text(body: Body) -> Option<String> {
    let bytes = Limited::new(body, TEXT_BYTES).collect().await.ok()?.to_bytes();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

//! New entries as server-sent events (HTML, section 9.2), from any place on.
//!
//! Owns the stream: the id of an event is the place of its entry, so a client that comes back says what it has seen and
//! gets what is behind it, once. Nothing is buffered for a client: what it has not taken is read when it takes it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use capbridge_adapters::feed::Feed;
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use super::atom::{kind, title};
use super::{FeedServer, Served};
use crate::store::feeds::{Placed, Span};
use crate::telemetry::{ErrorChain, FeedStream};

/// Entries that are read at once.
const BATCH: u32 = 20;
/// How long a client waits for an entry that another instance kept.
const LOOK: Duration = Duration::from_secs(1);
/// How often something is sent, so that both sides see that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After how long a client that lost us comes back.
const RETRY: &str = "retry: 2000\n";

/// What a stream is made of.
struct Reading {
    server: Arc<FeedServer>,
    served: Served,
    place: u64,
    ready: VecDeque<Placed>,
    changed: watch::Receiver<()>,
    sent_at: Instant,
    greeted: bool,
    _counted: FeedStream,
}

/// The entries behind a place, as they come.
pub(super) fn stream(server: Arc<FeedServer>, served: Served, place: u64) -> Response {
    let reading = Reading {
        place,
        ready: VecDeque::new(),
        changed: server.shelves.changes(),
        sent_at: Instant::now(),
        greeted: false,
        _counted: server.metrics.feed_stream(&served.feed.name),
        served,
        server,
    };
    let events = stream::unfold(reading, |mut reading| async move {
        let next = reading.next().await?;
        reading.sent_at = Instant::now();
        Some((Ok::<_, Infallible>(Bytes::from(next)), reading))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Reading {
    /// The next piece; `None` when the bridge stops or the store is lost. The client comes back with what it has seen.
    async fn next(&mut self) -> Option<String> {
        if !self.greeted {
            // With an id, so that a client that gets nothing before it is cut has a place to come back to.
            self.greeted = true;
            let place = self.place;
            return Some(format!("{RETRY}id: {place}\nevent: ready\ndata: {{\"place\":{place}}}\n\n"));
        }
        loop {
            if let Some(placed) = self.ready.pop_front() {
                self.place = placed.place;
                // What was removed, or lost its token, ends.
                self.served = self.served.again(&self.server)?;
                return Some(event(&self.server, &self.served, &placed));
            }
            self.changed.borrow_and_update();
            self.served = self.served.again(&self.server)?;
            let name = &self.served.feed.name;
            let found = self.server.store.entries(name, Span::After(self.place), BATCH).await;
            match found {
                Ok(entries) if !entries.is_empty() => {
                    self.ready = entries.into();
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(endpoint = %name, error = %ErrorChain(&error), "an event stream ends with the store");
                    return None;
                }
            }
            if self.sent_at.elapsed() >= HEARTBEAT {
                return Some(":\n\n".to_owned());
            }
            tokio::select! {
                _ = self.changed.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = self.server.stop.cancelled() => return None,
            }
        }
    }
}

fn event(server: &FeedServer, served: &Served, placed: &Placed) -> String {
    let (feed, entry): (&Feed, _) = (&served.feed, &placed.entry);
    let data = json!({
        "place": placed.place,
        "id": entry.id,
        "title": title(served, entry),
        "reference": entry.reference,
        "usage": served.class.as_str(),
        "status": entry.status,
        "msgType": kind(entry.msg_type),
        "sent": entry.sent,
        "published": entry.published_at.to_string(),
        "replaces": entry.replaces,
        "href": server.url(feed, &format!("alerts/{}.xml", entry.id)),
        "content_type": entry.content_type,
        "length": entry.length_bytes,
        "digest_sha256": entry.digest,
        "infos": entry.infos,
    });
    // JSON on one line: serde_json escapes line ends inside texts.
    format!("id: {}\nevent: alert\ndata: {data}\n\n", placed.place)
}

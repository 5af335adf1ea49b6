//! Feeds: what their endpoints took, for clients that read it.
//!
//! Owns the HTTP surface for readers: Atom with enclosures (`atom`), the messages themselves byte for byte, events that can
//! be resumed (`events`), what is in force as GeoJSON (`geojson`). Reads the store and changes nothing; what a feed may hold
//! was decided when its endpoint was handed the message. Must not show anything of a feed to whom it is not for.

mod access;
mod atom;
mod events;
mod geojson;
mod reply;

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Path, Query, State as Ctx};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use capbridge_adapters::class::Class;
use capbridge_adapters::feed::{Feed, Keeping, Shelf, ShelfError};
use capbridge_adapters::registry::AnyEndpoint;
use capbridge_adapters::source::Clock;
use capbridge_adapters::token::TokenDigest;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::problem::{as_problems, problem};
use crate::clock::BridgeClock;
use crate::routes::Routes;
use crate::settings::Bounds;
use crate::store::feeds::{Extent, Span};
use crate::store::{Store, StoreError};
use crate::telemetry::{ErrorChain, FeedForm, FeedOutcome, Metrics};
use crate::wire;

use self::reply::{Body, conditional};

/// Entries that one sweep deletes at most.
const SWEEP: u32 = 500;
/// Entries in force that are shown at once.
const IN_FORCE: u32 = 1_000;
/// Media types.
const ATOM: &str = "application/atom+xml; charset=utf-8";
const GEOJSON: &str = "application/geo+json";

/// Keeps entries in the store and tells readers that there is something new.
pub struct Shelves {
    store: Arc<dyn Store>,
    changed: watch::Sender<()>,
    routes: Arc<Routes>,
    /// How long feeds keep their entries that there are no more.
    days: u32,
}

impl Shelves {
    /// In a store; `days` is how long the archive keeps alerts.
    pub fn new(store: Arc<dyn Store>, routes: Arc<Routes>, days: u32) -> Arc<Self> {
        Arc::new(Shelves { store, changed: watch::Sender::new(()), routes, days })
    }

    /// Tells of new entries.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Deletes entries whose time is over.
    pub async fn sweep(&self, now: Timestamp) {
        let feeds = match self.store.feeds().await {
            Ok(feeds) => feeds,
            Err(error) => return warn!(error = %ErrorChain(&error), "the feeds wait for the store"),
        };
        let table = self.routes.now();
        for feed in feeds {
            let keep_days = table.endpoints.get(&feed).and_then(AnyEndpoint::keep_days);
            let days = i64::from(keep_days.unwrap_or(self.days));
            let before = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN);
            match self.store.sweep_feed(&feed, before, SWEEP).await {
                Ok(0) => {}
                Ok(swept) => info!(endpoint = %feed, swept, "retention: entries deleted"),
                Err(error) => {
                    warn!(endpoint = %feed, error = %ErrorChain(&error), "the feed waits for the store");
                }
            }
        }
    }
}

#[async_trait]
impl Shelf for Shelves {
    async fn keep(&self, keeping: Keeping) -> Result<u64, ShelfError> {
        let (feed, reference) = (keeping.feed.clone(), keeping.entry.reference.clone());
        let kept = self.store.keep(keeping).await;
        let place = kept.map_err(|cause| ShelfError { cause: Box::new(cause) })?;
        info!(endpoint = %feed, reference, place, "entry in the feed");
        self.changed.send_replace(());
        Ok(place)
    }
}

/// A feed as one reader may have it.
#[derive(Clone)]
struct Served {
    feed: Feed,
    class: Class,
    /// The token that its reader showed.
    token: Option<TokenDigest>,
}

impl Served {
    /// What stands before every title, so that nobody takes an exercise for the real thing.
    fn banner(&self) -> &'static str {
        match self.class {
            Class::Live => "",
            Class::Exercise => "EXERCISE / EXERCICE: ",
            Class::Test | Class::Internal => "TEST: ",
        }
    }
}

/// What the readers' side is made of.
pub struct FeedServer {
    /// What there is now.
    pub routes: Arc<Routes>,
    /// Where entries are kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: BridgeClock,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Tells of new entries.
    pub shelves: Arc<Shelves>,
    /// How clients reach it, without a slash at the end.
    pub base_url: String,
    /// The name of the bridge, for ids that last.
    pub bridge: String,
    /// Whose feeds these are, in words.
    pub author: String,
    /// Entries of a page.
    pub page_entries: u32,
    /// Bounds of the socket.
    pub bounds: Bounds,
    /// Ends streams.
    pub stop: CancellationToken,
}

type Shared = Ctx<Arc<FeedServer>>;

impl FeedServer {
    /// Serves until told to stop.
    pub async fn serve(self, listener: TcpListener) {
        let (bounds, readers, stop) = (self.bounds, self.metrics.sockets.readers.clone(), self.stop.clone());
        wire::serve(listener, router(Arc::new(self)), bounds, readers, stop).await;
    }

    /// The address of something of a feed.
    fn url(&self, feed: &Feed, rest: &str) -> String {
        format!("{}/feeds/{}/{rest}", self.base_url, feed.name)
    }

    /// A name that lasts: the same on every instance and after any restart.
    fn lasting_id(&self, parts: &[&str]) -> String {
        let name = std::iter::once(self.bridge.as_str()).chain(parts.iter().copied()).collect::<Vec<_>>();
        format!("urn:uuid:{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.join("\0").as_bytes()))
    }

    /// Counts a request and gives its answer.
    fn answered(&self, feed: &Feed, form: FeedForm, answer: Result<Response, Response>) -> Response {
        let (outcome, response) = match answer {
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED => {
                (FeedOutcome::Unchanged, response)
            }
            Ok(response) => (FeedOutcome::Answered, response),
            Err(response) if response.status().is_server_error() => (FeedOutcome::Failed, response),
            Err(response) => (FeedOutcome::Refused, response),
        };
        self.metrics.feed_request(&feed.name, form, outcome);
        response
    }
}

fn router(server: Arc<FeedServer>) -> Router {
    Router::new()
        .route("/feeds/{feed}/atom.xml", get(atom_page))
        .route("/feeds/{feed}/current.geojson", get(in_force))
        .route("/feeds/{feed}/alerts/{file}", get(message))
        .route("/feeds/{feed}/events", get(event_stream))
        .layer(middleware::from_fn(access::small_head))
        .layer(middleware::from_fn(as_problems))
        .with_state(server)
}

fn failed(error: &StoreError) -> Response {
    error!(error = %ErrorChain(error), "a feed could not be read");
    problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again later")
}

/// Which page; by the place of an entry, so that a page stays what it is while new entries come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<u32>,
}

async fn atom_page(
    Ctx(server): Shared,
    Path(name): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    let served = match access::enter(&server, &name, &headers) {
        Ok(served) => served,
        Err(refused) => return refused,
    };
    let answer = page(&server, &served, &which, &headers).await;
    server.answered(&served.feed, FeedForm::Atom, answer)
}

async fn page(
    server: &FeedServer,
    served: &Served,
    which: &Which,
    headers: &HeaderMap,
) -> Result<Response, Response> {
    let refused = |detail: &str| problem(StatusCode::BAD_REQUEST, detail);
    let limit = which.limit.unwrap_or(server.page_entries);
    if !(1..=server.page_entries).contains(&limit) {
        return Err(refused(&format!("limit is not 1 to {}", server.page_entries)));
    }
    let feed = &served.feed.name;
    let extent = server.store.extent(feed).await.map_err(|e| failed(&e))?;
    let span = match (which.before, which.after) {
        (Some(_), Some(_)) => return Err(refused("name before or after, not both")),
        (Some(before), None) => Span::Before(before),
        (None, Some(after)) => Span::After(after),
        (None, None) => Span::Before(extent.last + 1),
    };
    let is_there = match span {
        Span::Before(place) => (1..=extent.last + 1).contains(&place),
        Span::After(place) => place <= extent.last,
    };
    if !is_there {
        return Err(problem(StatusCode::NOT_FOUND, "there is no such page"));
    }
    let mut entries = server.store.entries(feed, span, limit).await.map_err(|e| failed(&e))?;
    if let Span::After(_) = span {
        entries.reverse();
    }
    let text = atom::document(server, served, &atom::Page { entries, extent, span, limit });
    let body = Body { bytes: text.into(), content_type: ATOM, etag: None };
    Ok(conditional(served, headers, body))
}

async fn message(
    Ctx(server): Shared,
    Path((name, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let served = match access::enter(&server, &name, &headers) {
        Ok(served) => served,
        Err(refused) => return refused,
    };
    let missing = || problem(StatusCode::NOT_FOUND, "there is no such message in this feed");
    let answer = match file.strip_suffix(".xml") {
        None => Err(missing()),
        Some(id) => match server.store.entry(&served.feed.name, id).await {
            Ok(None) => Err(missing()),
            Err(error) => Err(failed(&error)),
            Ok(Some((placed, bytes))) => {
                let etag = Some(format!("\"{}\"", placed.entry.digest));
                let body = Body { bytes, content_type: "application/cap+xml", etag };
                Ok(conditional(&served, &headers, body))
            }
        },
    };
    server.answered(&served.feed, FeedForm::Message, answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    before: Option<u64>,
}

async fn in_force(
    Ctx(server): Shared,
    Path(name): Path<String>,
    Query(before): Query<Before>,
    headers: HeaderMap,
) -> Response {
    let served = match access::enter(&server, &name, &headers) {
        Ok(served) => served,
        Err(refused) => return refused,
    };
    let (feed, now) = (&served.feed, server.clock.now());
    let before = before.before.unwrap_or(u64::from(u32::MAX) << 20);
    let answer = match server.store.in_force(&feed.name, now, before, IN_FORCE).await {
        Err(error) => Err(failed(&error)),
        Ok(entries) => {
            // The last place of a full page is where the next one begins.
            let more = entries.last().filter(|_| entries.len() == IN_FORCE as usize).map(|e| e.place);
            let text = geojson::document(&server, &served, &entries, now);
            let body = Body { bytes: text.into(), content_type: GEOJSON, etag: None };
            let mut response = conditional(&served, &headers, body);
            let next = more.map(|place| {
                format!("<{}>; rel=\"next\"", server.url(feed, &format!("current.geojson?before={place}")))
            });
            if let Some(link) = next.and_then(|link| link.parse().ok()) {
                response.headers_mut().insert(header::LINK, link);
            }
            Ok(response)
        }
    };
    server.answered(feed, FeedForm::Geojson, answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    last_event_id: Option<String>,
}

async fn event_stream(
    Ctx(server): Shared,
    Path(name): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Response {
    let served = match access::enter(&server, &name, &headers) {
        Ok(served) => served,
        Err(refused) => return refused,
    };
    let answer = stream(&server, &served, from, &headers).await;
    server.answered(&served.feed, FeedForm::Events, answer)
}

async fn stream(
    server: &Arc<FeedServer>,
    served: &Served,
    from: From,
    headers: &HeaderMap,
) -> Result<Response, Response> {
    let extent = server.store.extent(&served.feed.name).await.map_err(|e| failed(&e))?;
    let named = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?").to_owned());
    let place = match named.or(from.last_event_id) {
        None => extent.last,
        Some(id) => resume_from(&id, extent).map_err(|(status, detail)| problem(status, detail))?,
    };
    Ok(events::stream(Arc::clone(server), served.clone(), place).into_response())
}

/// From where on a client goes on that says what it has seen.
fn resume_from(id: &str, extent: Extent) -> Result<u64, (StatusCode, &'static str)> {
    match id.trim().parse::<u64>() {
        Err(_) => Err((StatusCode::BAD_REQUEST, "Last-Event-ID is no id of an event of this feed")),
        Ok(place) if place > extent.last => {
            Err((StatusCode::BAD_REQUEST, "Last-Event-ID is of an event that is not there yet"))
        }
        Ok(place) if place < extent.swept => Err((
            StatusCode::GONE,
            "events after this Last-Event-ID are no longer kept: read the Atom feed, then begin without it",
        )),
        Ok(place) => Ok(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_goes_on_from_what_it_has_seen_or_is_told_why_not() {
        let extent = Extent { last: 9, swept: 4 };
        for (id, expected) in [
            ("9", Ok(9)),
            ("4", Ok(4)),
            (" 5 ", Ok(5)),
            ("3", Err(StatusCode::GONE)),
            ("10", Err(StatusCode::BAD_REQUEST)),
            ("-1", Err(StatusCode::BAD_REQUEST)),
            ("", Err(StatusCode::BAD_REQUEST)),
            ("nine", Err(StatusCode::BAD_REQUEST)),
        ] {
            assert_eq!(resume_from(id, extent).map_err(|(status, _)| status), expected, "{id:?}");
        }
    }
}

//! The archive of a stream: a message by the name that clients make of its `sent` and identifier.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Path, State as Ctx};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use capbridge_adapters::feed::Entry;
use capbridge_adapters::stream::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Streams;
use crate::admin::problem::{as_problems, problem};
use crate::store::StoreError;
use crate::store::feeds::Span;
use crate::telemetry::SocketMetrics;
use crate::wire::{self, Peer};

/// Messages that are looked at for one: as many as a client may have missed and still learn of.
const LOOKED_AT: u32 = 1_000;

#[derive(Clone)]
struct Archive {
    streams: Arc<Streams>,
    stream: Stream,
}

/// Serves until told to stop.
pub(super) async fn serve(
    streams: Arc<Streams>,
    stream: Stream,
    listener: TcpListener,
    end: CancellationToken,
) {
    // Its connections are short, and not those of the stream that are counted.
    let (bounds, uncounted) = (Streams::bounds(&stream), SocketMetrics::default());
    let router = Router::new()
        .route("/{date}/{file}", get(fetch))
        .layer(middleware::from_fn(as_problems))
        .with_state(Archive { streams, stream });
    wire::serve(listener, router, bounds, uncounted, end).await;
}

/// The path of a message: its local date, its `sent` and its identifier, with `-` and `:` as `_` and `+` as `p`.
fn path(entry: &Entry) -> (String, String) {
    let plain = |text: &str| text.replace(['-', ':'], "_").replace('+', "p");
    let identifier = entry.reference.split(',').nth(1).unwrap_or_default();
    let date = entry.sent.get(..10).unwrap_or_default().to_owned();
    (date, format!("{}I{}.xml", plain(&entry.sent), plain(identifier)))
}

async fn fetch(
    Ctx(archive): Ctx<Archive>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(wanted): Path<(String, String)>,
) -> Response {
    if !archive.stream.clients.admit(peer) {
        return problem(StatusCode::FORBIDDEN, "this address is none of the stream's clients");
    }
    match find(&archive, &wanted).await {
        Ok(Some(body)) => ([(header::CONTENT_TYPE, "application/cap+xml")], body).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no such message"),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again later"),
    }
}

async fn find(archive: &Archive, wanted: &(String, String)) -> Result<Option<bytes::Bytes>, StoreError> {
    let Archive { streams, stream } = archive;
    let newest = Span::Before(streams.store.extent(stream.name()).await?.last + 1);
    let entries = streams.store.entries(stream.name(), newest, LOOKED_AT).await?;
    let Some(found) = entries.iter().find(|placed| path(&placed.entry) == *wanted) else { return Ok(None) };
    Ok(streams.store.entry(stream.name(), &found.entry.id).await?.map(|(_, body)| body))
}

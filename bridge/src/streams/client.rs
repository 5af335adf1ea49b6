//! One client of a stream: it says nothing, and is written each message as it comes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use capbridge_adapters::source::Clock;
use capbridge_adapters::stream::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{STALLED, Streams, heartbeat};
use crate::clock::instant;
use crate::store::StoreError;
use crate::store::feeds::{Placed, Span};
use crate::telemetry::ErrorChain;

/// Messages that are read at once.
const BATCH: u32 = 20;
/// How long a client waits for a message that another instance kept.
const LOOK: Duration = Duration::from_secs(1);

/// Why it ended.
enum End {
    /// The client hung up or took nothing.
    Client,
    /// The store does not answer; the client comes back.
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        End::Store(error)
    }
}

/// Serves one until it leaves, takes nothing, or the stream ends.
pub(super) async fn serve(streams: &Streams, stream: &Stream, socket: TcpStream, end: &CancellationToken) {
    let (mut said, written) = socket.into_split();
    // What a client says is read and thrown away; its end is the client's.
    let left = async {
        let mut buffer = [0_u8; 1_024];
        while said.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    let ended = tokio::select! {
        ended = write(streams, stream, written) => ended,
        () = left => Err(End::Client),
        () = end.cancelled() => return,
    };
    match ended {
        Err(End::Client) | Ok(()) => debug!(endpoint = %stream.name(), "a client of a stream left"),
        Err(End::Store(error)) => {
            warn!(endpoint = %stream.name(), error = %ErrorChain(&error), "a stream breaks off with the store");
        }
    }
}

async fn write(streams: &Streams, stream: &Stream, mut to: OwnedWriteHalf) -> Result<(), End> {
    let name = stream.name();
    let mut changed = streams.shelves.changes();
    let mut place = streams.store.extent(name).await?.last;
    let mut beaten: Option<Instant> = None;
    loop {
        changed.borrow_and_update();
        let found = streams.store.entries(name, Span::After(place), BATCH).await?;
        for placed in &found {
            send(streams, &mut to, &message(streams, stream, placed).await?).await?;
            place = placed.place;
        }
        if beaten.is_none_or(|at| at.elapsed() >= stream.heartbeat) {
            let last = streams.store.entries(name, Span::Before(place + 1), heartbeat::NAMED).await?;
            let beat = heartbeat::document(name, streams.clock.now(), &last);
            send(streams, &mut to, beat.as_bytes()).await?;
            beaten = Some(instant());
        }
        if found.is_empty() {
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK.min(stream.heartbeat)) => {}
            }
        }
    }
}

/// A message and the end of its line. One that was swept meanwhile is none.
async fn message(streams: &Streams, stream: &Stream, placed: &Placed) -> Result<Bytes, StoreError> {
    let found = streams.store.entry(stream.name(), &placed.entry.id).await?;
    let Some((_, body)) = found else { return Ok(Bytes::new()) };
    let mut whole = body.to_vec();
    whole.push(b'\n');
    Ok(whole.into())
}

async fn send(streams: &Streams, to: &mut OwnedWriteHalf, bytes: &[u8]) -> Result<(), End> {
    match tokio::time::timeout(STALLED, to.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Client),
        Err(_) => {
            streams.metrics.sockets.listeners.cut();
            warn!("a client of a stream took nothing and was cut");
            Err(End::Client)
        }
    }
}

//! The connections of readers: how many, how long they may take for a head, and what becomes of one that takes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tracing::{debug, warn};

use super::FeedServer;
use crate::admin::problem::problem;
use crate::telemetry::Metrics;

/// A head that is not there in this time ends the connection; so does an idle one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head that are read; more is refused by the HTTP library, without words.
const HEAD_BYTES: usize = 32 * 1024;
/// Connections beyond `max_clients` that are told so; more are closed.
const TOLD: usize = 32;
/// The pause after the system gave no connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until told to stop, then lets answers under way end.
pub(super) async fn serve(listener: TcpListener, router: Router, server: &Arc<FeedServer>) {
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        server.metrics.feed_clients(connections.len());
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = server.stop.cancelled() => break,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                warn!(%error, "a reader of feeds was not accepted");
                tokio::time::sleep(REFUSED_PAUSE).await;
                continue;
            }
        };
        let open = connections.len();
        if open >= server.max_clients {
            server.metrics.feed_turned_away();
            if open >= server.max_clients + TOLD {
                continue;
            }
            connections.spawn(connection(socket, Router::new().fallback(full), Arc::clone(server)));
            continue;
        }
        connections.spawn(connection(socket, router.clone(), Arc::clone(server)));
    }
    while connections.join_next().await.is_some() {}
}

async fn full() -> axum::response::Response {
    let mut refused = problem(StatusCode::SERVICE_UNAVAILABLE, "as many clients as may be are connected");
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refused
}

async fn connection(socket: TcpStream, router: Router, server: Arc<FeedServer>) {
    let io = Patient::new(socket, server.stalled, Arc::clone(&server.metrics));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = server.stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "the connection of a reader ended");
    }
}

/// A connection that fails once its other side has taken nothing for a while.
struct Patient<T> {
    inner: T,
    limit: Duration,
    /// Since when nothing could be written.
    stalled: Option<Pin<Box<Sleep>>>,
    metrics: Arc<Metrics>,
}

impl<T> Patient<T> {
    fn new(inner: T, limit: Duration, metrics: Arc<Metrics>) -> Self {
        Patient { inner, limit, stalled: None, metrics }
    }

    fn judge<R>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if tried.is_ready() {
            self.stalled = None;
            return tried;
        }
        let limit = self.limit;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx));
        self.metrics.feed_cut();
        warn!("a reader of feeds took nothing and was cut");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, tried)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

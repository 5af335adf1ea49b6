//! The connections of clients: how many, how long one may take for a head, and what becomes of one that takes nothing.
//!
//! Owns what every HTTP socket of the bridge has in common, and the words for what never becomes a request: those too are
//! problem documents (RFC 9457). Must not know what is served.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::admin::problem::problem;
use crate::settings::Bounds;
use crate::telemetry::SocketMetrics;

/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head that are read.
const HEAD_BYTES: usize = 32 * 1024;
/// Connections beyond the most that are told so; more are closed.
const TOLD: usize = 32;
/// The pause after the system gave no connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// How long what a client still sends is thrown away after the last answer: closed at once, it might never see it.
const LINGER: Duration = Duration::from_millis(500);
/// How much of that.
const LINGER_BYTES: u64 = 256 * 1024;

/// Who is connected, for handlers: `ConnectInfo<Peer>`.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Serves until told to stop, then lets answers under way end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    metrics: SocketMetrics,
    stop: CancellationToken,
) {
    let mut connections: JoinSet<()> = JoinSet::new();
    let mut silent = Silent::default();
    let common = Arc::new(Common { bounds, metrics, stop });
    let full = Router::new().fallback(full);
    loop {
        while connections.try_join_next().is_some() {}
        common.metrics.clients(connections.len());
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = common.stop.cancelled() => break,
        };
        let (socket, from) = match accepted {
            Ok((socket, from)) => (socket, from.ip()),
            Err(error) => {
                warn!(%error, "a client was not accepted");
                tokio::time::sleep(REFUSED_PAUSE).await;
                continue;
            }
        };
        let is_full = connections.len() >= bounds.max_clients;
        let no_room = is_full && !silent.make_room();
        if is_full {
            common.metrics.turned_away();
        }
        if no_room && connections.len() >= bounds.max_clients + TOLD {
            continue;
        }
        let answers = if no_room { full.clone() } else { router.clone() };
        let asked = Arc::new(AtomicBool::new(false));
        let connection = connection((socket, from), answers, Arc::clone(&common), Arc::clone(&asked));
        let handle = connections.spawn(connection);
        silent.add(asked, handle);
    }
    while connections.join_next().await.is_some() {}
}

/// Connections that have not asked anything yet, oldest first: of those too many the longest silent makes room, so that
/// clients that open connections and say nothing keep nobody out.
#[derive(Default)]
struct Silent(VecDeque<(Arc<AtomicBool>, AbortHandle)>);

impl Silent {
    fn add(&mut self, asked: Arc<AtomicBool>, handle: AbortHandle) {
        self.0.retain(|(asked, handle)| !asked.load(Ordering::Acquire) && !handle.is_finished());
        self.0.push_back((asked, handle));
    }

    fn make_room(&mut self) -> bool {
        while let Some((asked, handle)) = self.0.pop_front() {
            if !asked.load(Ordering::Acquire) && !handle.is_finished() {
                handle.abort();
                return true;
            }
        }
        false
    }
}

/// What all connections of a socket share.
struct Common {
    bounds: Bounds,
    metrics: SocketMetrics,
    stop: CancellationToken,
}

async fn full() -> Response {
    let mut refused = problem(StatusCode::SERVICE_UNAVAILABLE, "as many clients as may be are connected");
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refused
}

async fn connection(
    (socket, from): (TcpStream, IpAddr),
    router: Router,
    common: Arc<Common>,
    asked: Arc<AtomicBool>,
) {
    let io = Patient::new(socket, common.bounds.stalled, common.metrics.clone(), Arc::clone(&asked));
    let router = TowerToHyperService::new(router);
    let first = Arc::clone(&asked);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        first.store(true, Ordering::Release);
        request.extensions_mut().insert(ConnectInfo(Peer(from)));
        Box::pin(router.call(request))
    });
    let mut served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(common.bounds.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), service);
    let ended = tokio::select! {
        ended = poll_fn(|cx| served.poll_without_shutdown(cx)) => ended,
        () = common.stop.cancelled() => {
            Pin::new(&mut served).graceful_shutdown();
            poll_fn(|cx| served.poll_without_shutdown(cx)).await
        }
    };
    let mut io = served.into_parts().io.into_inner();
    if let Err(error) = &ended {
        debug!(%error, "the connection of a client ended");
        if !asked.swap(true, Ordering::AcqRel)
            && let Some(words) = words(error, common.bounds.head)
        {
            let _ = io.write_all(&text(words).await).await;
        }
    }
    if io.shutdown().await.is_ok() {
        let rest = async { tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await };
        let _ = tokio::time::timeout(LINGER, rest).await;
    }
}

/// What is said of a head that was none, or did not come. `None` where nobody listens any more.
fn words(error: &hyper::Error, limit: Duration) -> Option<Response> {
    if error.is_timeout() {
        let detail = format!("the head of a request did not come in {} s", limit.as_secs_f32());
        return Some(problem(StatusCode::REQUEST_TIMEOUT, &detail));
    }
    if error.is_parse_too_large() {
        let detail = format!("the head of a request is at most {MAX_HEADERS} headers and {HEAD_BYTES} bytes");
        return Some(problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &detail));
    }
    error.is_parse().then(|| problem(StatusCode::BAD_REQUEST, &format!("this is no HTTP/1.1: {error}")))
}

/// An answer as it goes over the wire.
async fn text(response: Response) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(|all| all.to_bytes()).unwrap_or_default();
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let status = head.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let mut out = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(&body);
    out
}

/// A connection that fails once its other side has taken nothing for a while. What is written before anything was asked
/// is the HTTP library's own word on a head that it cannot read, and is left out: `words` says it.
struct Patient<T> {
    inner: T,
    limit: Duration,
    /// Since when nothing could be written.
    stalled: Option<Pin<Box<Sleep>>>,
    metrics: SocketMetrics,
    asked: Arc<AtomicBool>,
}

impl<T> Patient<T> {
    fn new(inner: T, limit: Duration, metrics: SocketMetrics, asked: Arc<AtomicBool>) -> Self {
        Patient { inner, limit, stalled: None, metrics, asked }
    }

    fn judge<R>(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if tried.is_ready() {
            self.stalled = None;
            return tried;
        }
        let limit = self.limit;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx));
        self.metrics.cut();
        warn!("a client took nothing and was cut");
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
        if !self.asked.load(Ordering::Acquire) {
            return Poll::Ready(Ok(buf.len()));
        }
        let tried = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, tried)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, tried)
    }
}

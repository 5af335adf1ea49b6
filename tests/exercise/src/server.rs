//! The HTTP server under every simulator: accepts, remembers each request, misbehaves as told.
//! What the answer is belongs to the simulator ([`Site`]). The only file here that spawns.

mod message;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use message::{Answer, Request};

use crate::clock::{Clock, zulu};
use crate::mischief::{Fault, Mischief, Plan};

const BODY_LIMIT_BYTES: usize = 32 * 1024 * 1024;
/// Requests that are remembered; older ones are forgotten first.
const REMEMBERED: usize = 100_000;

/// What a simulator does with a request. It must not block: its state is in memory.
pub trait Site: Send + Sync + 'static {
    /// Takes the request and says what is answered.
    fn answer(&self, request: &Request) -> Answer;
}

#[derive(Debug, Default)]
struct Memory {
    requests: VecDeque<Request>,
    unexpected: Vec<Request>,
    plan: Plan,
}

/// A simulator that runs. It stops when it is dropped.
#[derive(Debug)]
pub struct Running<S> {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The simulator itself.
    pub site: Arc<S>,
    memory: Arc<Mutex<Memory>>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl<S> Deref for Running<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.site
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<S> Running<S> {
    /// `http://ADDR`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Asks for a fault.
    pub fn misbehave(&self, mischief: Mischief) {
        locked(&self.memory).plan.add(mischief);
    }

    /// Takes back the faults that have not happened yet.
    pub fn behave(&self) {
        locked(&self.memory).plan.clear();
    }

    /// The requests so far, oldest first; the last 100,000.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.memory).requests.iter().cloned().collect()
    }

    /// The requests that a client which knows the system would not have sent. Tests demand none.
    #[must_use]
    pub fn unexpected(&self) -> Vec<Request> {
        locked(&self.memory).unexpected.clone()
    }

    /// Closes the listener and every connection, and waits until the port is free again.
    pub async fn stop(mut self) -> Arc<S> {
        self.stop.cancel();
        // A listener that panicked is gone as well.
        let _ended = (&mut self.accepting).await;
        Arc::clone(&self.site)
    }
}

/// Binds a free port of the loopback interface.
///
/// # Errors
/// If the machine has none.
pub async fn loopback() -> io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
}

/// Serves `site` on a listener. `log` prints one line for each request to standard error.
///
/// # Errors
/// If the listener has no address.
pub fn serve<S: Site>(
    site: Arc<S>,
    listener: TcpListener,
    clock: Clock,
    log: bool,
) -> io::Result<Running<S>> {
    let addr = listener.local_addr()?;
    let (memory, stop) = (Arc::<Mutex<Memory>>::default(), CancellationToken::new());
    let desk = Desk { site: Arc::clone(&site), memory: Arc::clone(&memory), clock, log, stop: stop.clone() };
    let accepting = start(accept(listener, Arc::new(desk)));
    Ok(Running { addr, site, memory, stop, accepting })
}

#[expect(clippy::disallowed_methods, reason = "the one place of the simulators that spawns")]
fn start(accepting: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(accepting)
}

struct Desk<S> {
    site: Arc<S>,
    memory: Arc<Mutex<Memory>>,
    clock: Clock,
    log: bool,
    stop: CancellationToken,
}

async fn accept<S: Site>(listener: TcpListener, desk: Arc<Desk<S>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = desk.stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&desk)));
                }
            }
        }
    }
}

async fn connection<S: Site>(stream: TcpStream, desk: Arc<Desk<S>>) {
    // Small answers must not wait for the acknowledgement of the head.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(|request| desk.take(request));
    // How a connection ends is the client's affair or the mischief's.
    let _end =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Body = BoxBody<Bytes, io::Error>;

impl<S: Site> Desk<S> {
    /// An error closes the connection with no answer.
    async fn take(&self, request: http::Request<Incoming>) -> io::Result<Response<Body>> {
        let request = self.read(request).await?;
        if let Some(own) = self.own_path(&request) {
            return respond(&own);
        }
        let fault = {
            let mut memory = locked(&self.memory);
            if memory.requests.len() >= REMEMBERED {
                memory.requests.pop_front();
            }
            memory.requests.push_back(request.clone());
            memory.plan.take(&request)
        };
        match fault {
            None => respond(&self.answer(&request)),
            Some(fault) => self.misbehave(&request, fault).await,
        }
    }

    async fn read(&self, request: http::Request<Incoming>) -> io::Result<Request> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
        let query = head.uri.query().unwrap_or_default();
        Ok(Request {
            at: self.clock.now(),
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: head.headers,
            body,
        })
    }

    fn answer(&self, request: &Request) -> Answer {
        let answer = self.site.answer(request);
        if !answer.expected {
            locked(&self.memory).unexpected.push(request.clone());
        }
        self.note(request, answer.status, "");
        answer
    }

    fn note(&self, request: &Request, status: u16, remark: &str) {
        if self.log {
            // The query stays out: it may hold a secret.
            let (at, bytes) = (zulu(request.at), request.body.len());
            tracing::info!(
                at,
                method = request.method,
                path = request.path,
                bytes,
                status,
                remark,
                "request"
            );
        }
    }

    async fn misbehave(&self, request: &Request, fault: Fault) -> io::Result<Response<Body>> {
        let remark = format!("{fault:?}");
        let closed = || io::Error::new(io::ErrorKind::ConnectionAborted, "closed by mischief");
        match fault {
            Fault::Answer { status, media_type, body } => {
                self.note(request, status, &remark);
                respond(&Answer::new(status, &media_type, body))
            }
            Fault::CutBody => {
                let answer = self.answer(request);
                let half = answer.body.slice(..answer.body.len() / 2);
                // What was written is flushed only while the body waits.
                let torn = stream::once(async move {
                    tokio::task::yield_now().await;
                    Err(closed())
                });
                let frames = stream::once(async { Ok(Frame::data(half)) }).chain(torn);
                respond_with(&answer, BodyExt::boxed(StreamBody::new(frames)))
            }
            Fault::Delay { millis } => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                respond(&self.answer(request))
            }
            Fault::Drip { millis } => {
                let answer = self.answer(request);
                let body = drip(answer.body.clone(), Duration::from_millis(millis));
                respond_with(&answer, body)
            }
            Fault::Drop => {
                self.note(request, 0, &remark);
                Err(closed())
            }
            Fault::Garbage => {
                self.note(request, 200, &remark);
                respond(&Answer::new(200, "application/xml", &b"\x00<<& not \xff a document"[..]))
            }
            Fault::Hang => {
                self.note(request, 0, &remark);
                self.stop.cancelled().await;
                Err(closed())
            }
            Fault::LoseAnswer => {
                self.answer(request);
                self.note(request, 0, &remark);
                Err(closed())
            }
            Fault::Redirect { location } => {
                self.note(request, 302, &remark);
                respond(&Answer::refusal(302, "moved").with_header("location", location))
            }
            Fault::Status { status, retry_after_secs } => {
                self.note(request, status, &remark);
                let answer = Answer::refusal(status, "refused by mischief");
                respond(&match retry_after_secs {
                    None => answer,
                    Some(secs) => answer.with_header("retry-after", secs.to_string()),
                })
            }
        }
    }

    /// The exercise planner's own addresses; they are neither remembered nor misbehaved with.
    fn own_path(&self, request: &Request) -> Option<Answer> {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/_exercise/mischief") => Some(match serde_json::from_slice(&request.body) {
                Ok(mischief) => {
                    locked(&self.memory).plan.add(mischief);
                    Answer::refusal(200, "will misbehave")
                }
                Err(error) => Answer::refusal(400, &format!("not a mischief: {error}")),
            }),
            ("DELETE", "/_exercise/mischief") => {
                locked(&self.memory).plan.clear();
                Some(Answer::refusal(200, "will behave"))
            }
            ("GET", "/_exercise/requests") => {
                let memory = locked(&self.memory);
                let lines: Vec<_> = memory
                    .requests
                    .iter()
                    .map(|seen| {
                        format!("{} {} {} {}", zulu(seen.at), seen.method, seen.path, seen.body.len())
                    })
                    .collect();
                Some(Answer::refusal(200, &lines.join("\n")))
            }
            _ => None,
        }
    }
}

fn respond(answer: &Answer) -> io::Result<Response<Body>> {
    respond_with(answer, Full::new(answer.body.clone()).map_err(never).boxed())
}

fn respond_with(answer: &Answer, body: Body) -> io::Result<Response<Body>> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::builder().status(status).header("content-length", answer.body.len());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response.body(body).map_err(io::Error::other)
}

fn never(error: Infallible) -> io::Error {
    match error {}
}

fn drip(body: Bytes, pause: Duration) -> Body {
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(rest.len().min(16));
        Some((Ok(Frame::data(piece)), rest))
    });
    BodyExt::boxed(StreamBody::new(pieces))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

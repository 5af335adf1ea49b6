//! A peer on loopback for the tests of this crate: answers each request as it is told and keeps what it got.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::http::{HttpClient, HttpSettings};
use crate::passage::Origin;
use crate::settings::{Fault, Files, Secret};
use crate::source::{
    Accept, AcceptError, Acceptance, Checkpoint, Clock, Contact, Received, SourceContext, SourceError,
};

/// What the peer got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap_or("?"))
    }
}

/// What the peer answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A reply.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Takes the request and never answers.
    Silence,
    /// A reply with status 200 that comes late.
    Late(Duration, String),
}

impl Answer {
    pub(crate) fn status(code: u16) -> Self {
        Answer::Reply(code, vec![], vec![])
    }

    pub(crate) fn body(code: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer::Reply(code, vec![], body.into())
    }
}

type Script = dyn Fn(&Got) -> Answer + Send + Sync;

/// A peer on loopback. Stops when dropped.
pub(crate) struct Peer {
    pub(crate) url: Url,
    got: Arc<Mutex<Vec<Got>>>,
    _tasks: JoinSet<()>,
}

impl Peer {
    /// Answers by a function.
    pub(crate) async fn by(script: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, script, Arc::clone(&got)));
        Peer { url, got, _tasks: tasks }
    }

    /// Answers in order; the last answer is repeated.
    pub(crate) async fn in_order(answers: Vec<Answer>) -> Self {
        let answers = Mutex::new(VecDeque::from(answers));
        Peer::by(move |_| {
            let mut answers = answers.lock().unwrap();
            match answers.len() {
                0 => Answer::status(500),
                1 => answers[0].clone(),
                _ => answers.pop_front().unwrap(),
            }
        })
        .await
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>, got: Arc<Mutex<Vec<Got>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (script, got) = (Arc::clone(&script), Arc::clone(&got));
        connections.spawn(async move {
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (script, got) = (Arc::clone(&script), Arc::clone(&got));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
                    let one = Got {
                        method: head.method,
                        target: head.uri.to_string(),
                        headers: head.headers,
                        body,
                    };
                    let answer = script(&one);
                    got.lock().unwrap().push(one);
                    Ok::<_, Infallible>(answered(answer).await)
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answered(answer: Answer) -> Response<Full<Bytes>> {
    match answer {
        Answer::Silence => std::future::pending().await,
        Answer::Late(by, body) => {
            tokio::time::sleep(by).await;
            Response::new(Full::new(Bytes::from(body)))
        }
        Answer::Reply(code, headers, body) => {
            let mut reply = Response::new(Full::new(Bytes::from(body)));
            *reply.status_mut() = StatusCode::from_u16(code).unwrap();
            for (name, value) in headers {
                reply.headers_mut().insert(name, value.parse().unwrap());
            }
            reply
        }
    }
}

/// A client that may reach loopback.
pub(crate) fn client() -> HttpClient {
    HttpClient::new(HttpSettings::new(&["127.0.0.0/8".into()], None).unwrap()).unwrap()
}

/// A clock that stands still.
pub(crate) struct Stopped(pub(crate) Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Files in memory, by path.
#[derive(Default)]
pub(crate) struct InMemory(pub(crate) Vec<(String, String)>);

impl InMemory {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        InMemory(files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect())
    }
}

impl Files for InMemory {
    fn text(&self, key: &str, path: &std::path::Path) -> Result<String, Fault> {
        let found = self.0.iter().find(|(p, _)| std::path::Path::new(p) == path);
        found.map(|(_, text)| text.clone()).ok_or_else(|| Fault::new(key, "is not there", "write the file"))
    }

    fn secret(&self, key: &str, path: &std::path::Path) -> Result<Secret, Fault> {
        self.text(key, path).map(|text| Secret::new(text.trim().to_owned()))
    }
}

/// A limit that no healthy exchange on loopback reaches.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// The bridge, as a source sees it.
pub(crate) struct Bridge {
    pub(crate) taken: tokio::sync::mpsc::UnboundedReceiver<Received>,
    pub(crate) checkpoint: Arc<Mutex<Option<String>>>,
    pub(crate) contact: tokio::sync::mpsc::UnboundedReceiver<Heard>,
    pub(crate) cx: SourceContext,
}

/// What a source said about its contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Reached,
    Failed(String),
    Gap(Timestamp),
}

struct Takes {
    taken: tokio::sync::mpsc::UnboundedSender<Received>,
    refuse: Arc<Mutex<u32>>,
}

#[async_trait::async_trait]
impl Accept for Takes {
    async fn accept(&self, _: &Origin, received: Received) -> Result<Acceptance, AcceptError> {
        let mut refuse = self.refuse.lock().unwrap();
        if *refuse > 0 {
            *refuse -= 1;
            return Err(AcceptError::NotStored { cause: "full".into() });
        }
        self.taken.send(received).unwrap();
        Ok(Acceptance::Accepted)
    }
}

struct Keeps(Arc<Mutex<Option<String>>>);

#[async_trait::async_trait]
impl Checkpoint for Keeps {
    async fn load(&self, _: &Origin) -> Result<Option<String>, AcceptError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn store(&self, _: &Origin, value: &str) -> Result<(), AcceptError> {
        *self.0.lock().unwrap() = Some(value.to_owned());
        Ok(())
    }
}

struct Hears(tokio::sync::mpsc::UnboundedSender<Heard>);

impl Contact for Hears {
    fn reached(&self, _: &Origin) {
        let _ = self.0.send(Heard::Reached);
    }

    fn failed(&self, _: &Origin, error: &SourceError) {
        let _ = self.0.send(Heard::Failed(error.to_string()));
    }

    fn gap(&self, _: &Origin, since: Timestamp) {
        let _ = self.0.send(Heard::Gap(since));
    }
}

impl Bridge {
    /// A bridge that stands at `now` and refuses the first `refuse` documents.
    pub(crate) fn at(now: &str, refuse: u32) -> Self {
        let (sender, taken) = tokio::sync::mpsc::unbounded_channel();
        let (heard, contact) = tokio::sync::mpsc::unbounded_channel();
        let checkpoint = Arc::new(Mutex::new(None));
        let cx = SourceContext {
            origin: Origin("here".into()),
            accept: Arc::new(Takes { taken: sender, refuse: Arc::new(Mutex::new(refuse)) }),
            checkpoint: Arc::new(Keeps(Arc::clone(&checkpoint))),
            contact: Arc::new(Hears(heard)),
            shutdown: CancellationToken::new(),
            clock: Arc::new(Stopped(now.parse().unwrap())),
            http: client(),
        };
        Bridge { taken, checkpoint, contact, cx }
    }

    /// The next document.
    pub(crate) async fn next(&mut self) -> Received {
        tokio::time::timeout(AMPLE, self.taken.recv()).await.unwrap().unwrap()
    }

    /// The next word about the contact.
    pub(crate) async fn heard(&mut self) -> Heard {
        tokio::time::timeout(AMPLE, self.contact.recv()).await.unwrap().unwrap()
    }
}

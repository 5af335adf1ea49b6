//! A feed that gives each alert once, a receiver that notes what comes, and the program between them.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use capbridge_harness::{Program, Redis};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the receiver got.
#[derive(Clone)]
pub struct Arrival {
    pub at: Instant,
    pub path: String,
    pub alert: usize,
}

/// A request as the program sent it.
pub struct Sample {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Default)]
pub struct Desk {
    pub feed: Mutex<String>,
    pub arrivals: Mutex<Vec<Arrival>>,
    /// All requests, where somebody asked for them.
    pub samples: Mutex<Option<Vec<Sample>>>,
}

pub struct Scene {
    pub desk: Arc<Desk>,
    pub address: std::net::SocketAddr,
    folder: tempfile::TempDir,
    redis: Option<Redis>,
    _serving: JoinSet<()>,
}

async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.contains("/recent/") {
        let alerts = std::mem::take(&mut *desk.feed.lock().unwrap());
        let body =
            format!("<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">{alerts}</ns1:alerts>");
        let reply = Response::builder().header("content-type", "application/xml");
        return Ok(reply.body(Full::from(body)).unwrap());
    }
    if path.starts_with("/hang") {
        std::future::pending::<()>().await;
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if path.starts_with("/late") {
        tokio::time::sleep(Duration::from_secs(29)).await;
    }
    let status = if path.starts_with("/broken") { 500 } else { 204 };
    let alert = number(&body);
    desk.arrivals.lock().unwrap().push(Arrival { at: Instant::now(), path: path.clone(), alert });
    if let Some(samples) = &mut *desk.samples.lock().unwrap() {
        samples.push(Sample { path, headers: head.headers, body });
    }
    Ok(Response::builder().status(status).body(Full::default()).unwrap())
}

/// Which alert a body is of.
fn number(body: &[u8]) -> usize {
    let mark = b"BENCH-";
    let Some(at) = body.windows(mark.len()).position(|w| w == mark) else { return usize::MAX };
    let digits: Vec<u8> = body[at + mark.len()..].iter().copied().take_while(u8::is_ascii_digit).collect();
    String::from_utf8(digits).unwrap().parse().unwrap_or(usize::MAX)
}

impl Scene {
    pub async fn new(engine: &str) -> Scene {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::<Desk>::default();
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&desk);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok((socket, _)) = listener.accept().await else { continue };
                socket.set_nodelay(true).unwrap();
                let desk = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&desk), request));
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        let redis = match engine {
            "embedded" => None,
            _ => Some(Redis::start().await.unwrap()),
        };
        Scene { desk, address, folder: tempfile::tempdir().unwrap(), redis, _serving: serving }
    }

    /// Starts the program with these endpoints and routes.
    pub async fn program(&self, tables: &str) -> Program {
        use std::os::unix::fs::PermissionsExt;
        let key = self.folder.path().join("webhook.key");
        // The seed of a test key.
        std::fs::write(&key, "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let store = self.redis.as_ref().map(|r| format!("redis_url = \"{}\"", r.url())).unwrap_or_default();
        let config = format!(
            "[bridge]\nname = \"bench\"\nsender = \"bridge@bench.example.test\"\ndata_dir = \"store\"\n[store]\n{store}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\nlevel = \"warn,capbridge::daemon=info\"\n\
             [network]\nallow_private = [\"127.0.0.0/8\"]\n[relay]\nin_flight = 4096\n[source.feed]\nsystem = \"ipaws\"\n\
             mode = \"live\"\nsignature = \"ignored\"\n[source.feed.ipaws]\nbase_url = \"http://{}\"\npoll_secs = 0.1\n{tables}",
            self.address
        );
        Program::start(self.folder.path(), &config).await.unwrap()
    }

    /// The table of an endpoint.
    pub fn endpoint(&self, n: usize, path: &str) -> String {
        let url = if path.starts_with("http:") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.address)
        };
        format!(
            "[endpoint.e{n}]\nsystem = \"e{n}\"\nmode = \"live\"\n[endpoint.e{n}.webhook]\nurl = \"{url}\"\n\
             key_file = \"webhook.key\"\n"
        )
    }

    /// Publishes alerts with these numbers.
    pub fn publish(&self, numbers: std::ops::Range<usize>) {
        let mut text = String::new();
        for n in numbers {
            let _ = write!(text, "{}", alert(n));
        }
        self.desk.feed.lock().unwrap().push_str(&text);
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.desk.arrivals.lock().unwrap().clone()
    }

    /// Waits until so many arrived; whether they did.
    pub async fn arrived(&self, wanted: usize, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.desk.arrivals.lock().unwrap().len() >= wanted {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }
}

/// An urgent alert of about 2 KiB.
fn alert(n: usize) -> String {
    let now = Timestamp::from_second(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 - 10).unwrap();
    let time = |t: Timestamp| t.strftime("%Y-%m-%dT%H:%M:%S-00:00").to_string();
    let (sent, expires) = (time(now), time(now + SignedDuration::from_hours(2)));
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>BENCH-{n}</identifier>\
         <sender>bench@county.example.test</sender><sent>{sent}</sent><status>Actual</status><msgType>Alert</msgType>\
         <source>bench</source><scope>Public</scope><code>IPAWSv1.0</code><info><language>en-US</language>\
         <category>CBRNE</category><event>Civil Emergency Message</event><urgency>Immediate</urgency>\
         <severity>Extreme</severity><certainty>Observed</certainty><eventCode><valueName>SAME</valueName>\
         <value>CEM</value></eventCode><expires>{expires}</expires><headline>alert {n}</headline><description>{}\
         </description><area><areaDesc>county</areaDesc><geocode><valueName>SAME</valueName><value>026147</value>\
         </geocode></area></info></alert>",
        "a text of some length. ".repeat(40)
    )
}

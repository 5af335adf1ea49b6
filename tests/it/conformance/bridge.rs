//! What an adapter needs of the bridge, in memory.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cap_schema::MsgType;
use capbridge_adapters::class::{Classified, Clearance};
use capbridge_adapters::endpoint::{DeliveryError, EndpointContext, Message, Outbound, Prior, Receipt};
use capbridge_adapters::http::{HttpClient, HttpSettings};
use capbridge_adapters::passage::{Audience, Origin, Passage, Provenance, SystemName};
use capbridge_adapters::registry::{AnyEndpoint, EndpointTable, SourceTable};
use capbridge_adapters::settings::{Fault, Files, Secret};
use capbridge_adapters::source::{
    Accept, AcceptError, Acceptance, Checkpoint, Clock, Contact, Received, SourceContext, SourceError,
};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// No healthy step takes as long.
pub const AMPLE: Duration = Duration::from_secs(30);

/// The simulator's clock is the bridge's.
pub struct Shared(pub capbridge_exercise::Clock);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// Files in memory.
pub struct Texts(pub Vec<(&'static str, String)>);

impl Files for Texts {
    fn text(&self, key: &str, path: &Path) -> Result<String, Fault> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.clone()).ok_or_else(|| Fault::new(key, "is not there", "write it"))
    }

    fn secret(&self, key: &str, path: &Path) -> Result<Secret, Fault> {
        self.text(key, path).map(|text| Secret::new(text.trim().to_owned()))
    }
}

pub fn http() -> HttpClient {
    HttpClient::new(HttpSettings::new(&["127.0.0.0/8".to_owned()], None).unwrap()).unwrap()
}

/// Everything that a source handed over, and what it said about its contact.
#[derive(Default)]
pub struct Heard {
    pub taken: Mutex<Vec<Received>>,
    pub words: Mutex<Vec<String>>,
    checkpoint: Mutex<Option<String>>,
}

#[async_trait::async_trait]
impl Accept for Heard {
    async fn accept(&self, _: &Origin, received: Received) -> Result<Acceptance, AcceptError> {
        self.taken.lock().unwrap().push(received);
        Ok(Acceptance::Accepted)
    }
}

#[async_trait::async_trait]
impl Checkpoint for Heard {
    async fn load(&self, _: &Origin) -> Result<Option<String>, AcceptError> {
        Ok(self.checkpoint.lock().unwrap().clone())
    }

    async fn store(&self, _: &Origin, value: &str) -> Result<(), AcceptError> {
        *self.checkpoint.lock().unwrap() = Some(value.to_owned());
        Ok(())
    }
}

impl Contact for Heard {
    fn reached(&self, _: &Origin) {
        self.words.lock().unwrap().push("reached".to_owned());
    }

    fn failed(&self, _: &Origin, error: &SourceError) {
        self.words.lock().unwrap().push(error.to_string());
    }

    fn gap(&self, _: &Origin, since: Timestamp) {
        self.words.lock().unwrap().push(format!("gap since {since}"));
    }
}

/// A source that runs.
pub struct Running {
    pub heard: Arc<Heard>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), SourceError>>,
}

impl Running {
    pub fn start(table: &str, files: &Texts, clock: &capbridge_exercise::Clock, heard: Arc<Heard>) -> Self {
        let source: SourceTable = toml::from_str(table).unwrap();
        let source = source.validate("here", files).map_err(|f| f.0).unwrap();
        let stop = CancellationToken::new();
        let cx = SourceContext {
            origin: source.origin.clone(),
            accept: Arc::clone(&heard) as _,
            checkpoint: Arc::clone(&heard) as _,
            contact: Arc::clone(&heard) as _,
            shutdown: stop.clone(),
            clock: Arc::new(Shared(clock.clone())),
            http: http(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { source.runner.run(cx).await });
        Running { heard, stop, tasks }
    }

    /// Waits until so many documents were taken, and gives them.
    pub async fn taken(&self, count: usize) -> Vec<Received> {
        let some = || async {
            let taken = self.heard.taken.lock().unwrap().clone();
            (taken.len() >= count).then_some(taken)
        };
        capbridge_harness::eventually(&format!("{count} documents"), AMPLE, some).await.unwrap()
    }

    /// Waits until the source was reached so many times more.
    pub async fn reached(&self, more: usize) {
        let count = || self.heard.words.lock().unwrap().iter().filter(|w| *w == "reached").count();
        let before = count();
        let some = || async { (count() >= before + more).then_some(()) };
        capbridge_harness::eventually("contact", AMPLE, some).await.unwrap();
    }

    /// `Ok` after shutdown.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
    }
}

/// An endpoint and what it took so far.
pub struct Sender {
    pub endpoint: AnyEndpoint,
    cx: EndpointContext,
    pub prior: Vec<Prior>,
}

impl Sender {
    pub fn new(table: &str, files: &Texts, clock: &capbridge_exercise::Clock) -> Self {
        let endpoint: EndpointTable = toml::from_str(table).unwrap();
        let endpoint = endpoint.validate("there", files).map_err(|f| f.0).unwrap();
        let cx = EndpointContext {
            clock: Arc::new(Shared(clock.clone())),
            http: http(),
            shelf: Arc::new(capbridge_adapters::feed::NoShelf),
        };
        Sender { endpoint, cx, prior: Vec::new() }
    }

    /// Delivers and keeps the receipt for what follows, as the relay does.
    pub async fn deliver(&mut self, message: Message) -> Result<Receipt, DeliveryError> {
        let from = Provenance {
            origin: Origin("elsewhere".into()),
            system: SystemName("elsewhere".into()),
            audience: Audience::Public,
            addresses: Vec::new(),
            also: Vec::new(),
        };
        let reference = message.reference.clone();
        let message = Message { prior: self.prior.clone(), ..message };
        let cleared = Classified::new(self.endpoint.class(), None).clear();
        let result = match (&self.endpoint, cleared) {
            (AnyEndpoint::Live(bound), Clearance::Live(cleared)) => {
                let passage = Passage::open(&cleared, &from, bound.destination()).unwrap();
                bound.deliver(&self.cx, &Outbound::new(passage, message)).await
            }
            (AnyEndpoint::Test(bound), Clearance::Test(cleared)) => {
                let passage = Passage::open(&cleared, &from, bound.destination()).unwrap();
                bound.deliver(&self.cx, &Outbound::new(passage, message)).await
            }
            _ => panic!("not a class of these tests"),
        };
        if let Ok(receipt) = &result {
            self.prior.push(Prior { reference, location: receipt.location.clone() });
        }
        result
    }
}

/// A first attempt of a CAP message.
pub fn message(msg_type: MsgType, cap: &str) -> Message {
    let value = |name: &str| {
        let (_, after) = cap.split_once(&format!("<{name}>")).unwrap();
        after.split_once('<').unwrap().0.to_owned()
    };
    Message {
        id: "msg_abcdefghijklmnopqrstuvwxyz".into(),
        msg_type,
        reference: format!("{},{},{}", value("sender"), value("identifier"), value("sent")),
        body: cap.to_owned().into(),
        content_type: "application/cap+xml".into(),
        attempt: 1,
        maybe_delivered: false,
        prior: Vec::new(),
    }
}

//! The embedded store: SQLite in WAL mode, one writer thread, group commit.
//!
//! Owns the file. Every change is whole inside a commit that is synced to disk before anybody is told; `writer`
//! says what happens when the disk refuses one.

mod alerts;
mod chains;
mod deliveries;
mod export;
mod feeds;
mod record;
mod registrations;
mod retention;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use capbridge_adapters::passage::{EndpointName, Origin};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, oneshot};

use super::registrations::{Draft, Registration};
use super::{
    Again, Arrival, Claim, Delivery, DeliveryId, Depth, Event, Finish, Held, Issued, Journey, LogSpan,
    Logged, NewDelivery, Page, Rendering, State, Store, StoreError, Stored,
};
use crate::envelope::{AlertKey, ChainKey, ChainName, Envelope, Lane, Quarantined, Release, StoredAlert};

use writer::{Queued, Tx, Writer};

const ENGINE: &str = "embedded";
/// Read connections, and queries at once. More would open the file anew for each query and read its schema.
const READERS: usize = 8;

/// What an engine step fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a stored value cannot be read")]
    Json(#[from] serde_json::Error),
    #[error("no {what} {id}")]
    Missing { what: &'static str, id: String },
    #[error("delivery {id} was taken over by another worker")]
    TakenOver { id: String },
    #[error("nothing is stored since a write failed; the file is opened again within {retry_secs} s")]
    Shut {
        retry_secs: u64,
        #[source]
        cause: Arc<Fault>,
    },
    #[error("nothing of the commit was made, because one of its changes failed")]
    Spoiled {
        #[source]
        cause: Arc<Fault>,
    },
    #[error("what the file's log holds cannot be brought into the file while a reader holds it")]
    Unsettled,
    #[error("the file is not the store that was open: its schema version is {found}")]
    Replaced { found: i64 },
    #[error("the file {} that was open is no longer there: put it back, or stop the bridge", .0.display())]
    Moved(PathBuf),
    #[error("the writer thread has ended")]
    Ended,
    #[error("the store's folder cannot be used")]
    Folder(#[source] std::io::Error),
    #[error("the folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("the file has schema version {found}; this program knows up to {known}")]
    Newer { found: i64, known: i64 },
    #[error(
        "the file has schema version {found}, from before the first release; this program reads {known}: name an empty folder"
    )]
    Older { found: i64, known: i64 },
}

/// Where a caller waits for its answer.
type Waiting<T> = Mutex<Option<oneshot::Sender<Result<T, Arc<Fault>>>>>;

/// The embedded store.
pub struct EmbeddedStore {
    writer: Sender<Queued>,
    readers: Arc<Mutex<Vec<Connection>>>,
    /// One permit for each query that may run.
    reading: Arc<Semaphore>,
    file: PathBuf,
    _lock: std::fs::File,
}

impl EmbeddedStore {
    /// Opens or makes the store in a folder.
    ///
    /// # Errors
    /// The folder cannot be used, another process uses it, or the file is of a newer program.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_inner(folder).map_err(|fault| engine("open its file", fault))
    }

    fn open_inner(folder: &Path) -> Result<Self, Fault> {
        std::fs::create_dir_all(folder).map_err(Fault::Folder)?;
        let lock = std::fs::File::create(folder.join("lock")).map_err(Fault::Folder)?;
        if lock.try_lock().is_err() {
            return Err(Fault::InUse(folder.to_owned()));
        }
        let file = folder.join("capbridge.sqlite");
        let mut connection = Connection::open(&file)?;
        schema::prepare(&mut connection)?;
        let (writer, queue) = channel::<Queued>();
        let readers = Arc::default();
        let desk = Writer::new(file.clone(), connection, Arc::clone(&readers));
        std::thread::Builder::new()
            .name("capbridge-store".into())
            .spawn(move || desk.run(&queue))
            .map_err(Fault::Folder)?;
        let reading = Arc::new(Semaphore::new(READERS));
        Ok(EmbeddedStore { writer, readers, reading, file, _lock: lock })
    }

    /// Runs one change; returns when it is on disk.
    async fn write<T, F>(&self, step: &'static str, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<T, Arc<Fault>>>();
        let answer = Arc::new(Mutex::new(Some(answer)));
        let give = move |answer: &Waiting<T>, result| {
            if let Some(sender) = answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                // The caller may have gone away; the change stands all the same.
                let _ = sender.send(result);
            }
        };
        let (good, bad) = (Arc::clone(&answer), answer);
        let queued = Queued {
            change: Box::new(move |tx| {
                change(tx).map(|value| Box::new(move || give(&good, Ok(value))) as writer::Answer)
            }),
            failed: Box::new(move |fault| give(&bad, Err(fault))),
        };
        self.writer.send(queued).map_err(|_| engine(step, Fault::Ended))?;
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(shared(step, fault)),
            Err(_) => Err(engine(step, Fault::Ended)),
        }
    }

    /// Runs a query on a read connection.
    async fn read<T, F>(&self, step: &'static str, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (readers, file) = (Arc::clone(&self.readers), self.file.clone());
        let permit = Arc::clone(&self.reading).acquire_owned().await;
        let permit = permit.map_err(|_| engine(step, Fault::Ended))?;
        let work = move || -> Result<T, Fault> {
            // Held as long as the query runs, also when nobody waits for it any more.
            let _permit = permit;
            let kept = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some(connection) => connection,
                None => schema::open_reader(&file)?,
            };
            let result = query(&connection);
            let mut pool = readers.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < READERS {
                pool.push(connection);
            }
            result
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(engine(step, fault)),
            Err(_) => Err(engine(step, Fault::Ended)),
        }
    }
}

fn engine(step: &'static str, fault: Fault) -> StoreError {
    match fault {
        Fault::Missing { what, id } => StoreError::Missing { what, id },
        Fault::TakenOver { id } => StoreError::TakenOver { id },
        fault => StoreError::Engine { engine: ENGINE, step, cause: Box::new(fault) },
    }
}

fn shared(step: &'static str, fault: Arc<Fault>) -> StoreError {
    match Arc::try_unwrap(fault) {
        Ok(fault) => engine(step, fault),
        Err(fault) => StoreError::Engine { engine: ENGINE, step, cause: Box::new(SharedFault(fault)) },
    }
}

/// A fault that every change of a group got.
#[derive(Debug)]
struct SharedFault(Arc<Fault>);

impl std::fmt::Display for SharedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

fn read_only() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn accept(&self, arrival: Arrival) -> Result<Stored, StoreError> {
        self.write("accept an alert", move |tx| alerts::accept(tx, arrival)).await
    }

    async fn quarantine(&self, entry: Quarantined, raw: Bytes, events: Vec<Event>) -> Result<(), StoreError> {
        self.write("quarantine a document", move |tx| {
            record::quarantine(tx, &entry, &raw)?;
            record::append(tx, &events)
        })
        .await
    }

    async fn release(
        &self,
        id: &str,
        release: Release,
        events: Vec<Event>,
    ) -> Result<(Quarantined, Bytes), StoreError> {
        let id = id.to_owned();
        self.write("release a document", move |tx| {
            let released = record::release(tx, &id, release)?;
            record::append(tx, &events)?;
            Ok(released)
        })
        .await
    }

    async fn unrouted(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredAlert>, StoreError> {
        if !self.read("look for alerts to route", move |c| alerts::any_unrouted(c, now)).await? {
            return Ok(Vec::new());
        }
        self.write("take alerts to route", move |tx| alerts::unrouted(tx, now, lease_until, limit)).await
    }

    async fn route(
        &self,
        alert: &Envelope,
        routed_at: Timestamp,
        deliveries: Vec<NewDelivery>,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let alert = alert.clone();
        self.write("route an alert", move |tx| deliveries::route(tx, &alert, routed_at, deliveries, &events))
            .await
    }

    async fn claim(
        &self,
        lane: Lane,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        if !self.read("look for due deliveries", move |c| deliveries::any_due(c, lane, now)).await? {
            return Ok(Vec::new());
        }
        self.write("claim deliveries", move |tx| deliveries::claim(tx, lane, now, lease_until, limit)).await
    }

    async fn extend(&self, ids: &[Held], lease_until: Timestamp) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write("prolong leases", move |tx| deliveries::extend(tx, &ids, lease_until)).await
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        self.read("look for the next due delivery", move |c| deliveries::next_due(c, lane)).await
    }

    async fn render(&self, delivery: &Held, rendering: Rendering) -> Result<(), StoreError> {
        let delivery = delivery.clone();
        self.write("keep a rendering", move |tx| deliveries::render(tx, &delivery, &rendering)).await
    }

    async fn finish(&self, finish: Finish) -> Result<(), StoreError> {
        self.write("end an attempt", move |tx| deliveries::finish(tx, finish)).await
    }

    async fn give_back(&self, delivery: &Held, due_at: Timestamp) -> Result<(), StoreError> {
        let delivery = delivery.clone();
        self.write("give a delivery back", move |tx| deliveries::give_back(tx, &delivery, due_at)).await
    }

    async fn replay(
        &self,
        delivery: &DeliveryId,
        again: Again,
        now: Timestamp,
        give_up_at: Timestamp,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let delivery = delivery.clone();
        self.write("replay a delivery", move |tx| {
            deliveries::replay(tx, &delivery, again, now, give_up_at)?;
            record::append(tx, &events)
        })
        .await
    }

    async fn issued(&self, endpoint: &EndpointName, chain: &ChainKey) -> Result<Vec<Issued>, StoreError> {
        let (endpoint, chain) = (endpoint.clone(), chain.clone());
        self.read("list what was issued", move |c| deliveries::issued(c, &endpoint, &chain)).await
    }

    async fn followers(&self, chain: &ChainKey) -> Result<Vec<(EndpointName, String)>, StoreError> {
        let chain = chain.clone();
        self.read("list the followers of a chain", move |c| deliveries::followers(c, &chain)).await
    }

    async fn later(&self, chain: &ChainKey, sent_at: Timestamp) -> Result<Vec<Envelope>, StoreError> {
        let chain = chain.clone();
        self.read("list what came later", move |c| chains::later(c, &chain, sent_at)).await
    }

    async fn known(&self, names: &[ChainName]) -> Result<Vec<bool>, StoreError> {
        let names = names.to_vec();
        self.read("look for names", move |c| chains::known(c, &names)).await
    }

    async fn ours(&self, sender: &str, identifier: &str) -> Result<Option<AlertKey>, StoreError> {
        let (sender, identifier) = (sender.to_owned(), identifier.to_owned());
        self.read("look for our own message", move |c| deliveries::ours(c, &sender, &identifier)).await
    }

    async fn alert(&self, key: &AlertKey) -> Result<Option<StoredAlert>, StoreError> {
        let key = key.clone();
        self.read("read an alert", move |c| alerts::alert(c, &key)).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let id = id.clone();
        self.read("read a delivery", move |c| deliveries::delivery(c, &id)).await
    }

    async fn find(&self, identifier_or_key: &str) -> Result<Vec<AlertKey>, StoreError> {
        let wanted = identifier_or_key.to_owned();
        self.read("find an alert", move |c| alerts::find(c, &wanted)).await
    }

    async fn journey(&self, key: &AlertKey) -> Result<Option<Journey>, StoreError> {
        let key = key.clone();
        self.read("read a journey", move |c| record::journey(c, &key)).await
    }

    async fn alerts(&self, page: Page) -> Result<Vec<Envelope>, StoreError> {
        self.read("list alerts", move |c| alerts::list(c, page)).await
    }

    async fn deliveries(&self, state: Option<State>, page: Page) -> Result<Vec<Delivery>, StoreError> {
        self.read("list deliveries", move |c| deliveries::list(c, state, page)).await
    }

    async fn quarantined(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        self.read("list the quarantine", move |c| record::quarantined(c, page)).await
    }

    async fn quarantined_document(&self, id: &str) -> Result<Option<(Quarantined, Bytes)>, StoreError> {
        let id = id.to_owned();
        self.read("read a quarantined document", move |c| record::quarantined_document(c, &id)).await
    }

    async fn record(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.write("write the record", move |tx| record::append(tx, &events)).await
    }

    async fn seal(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn log(&self, span: LogSpan, limit: u32) -> Result<Vec<Logged>, StoreError> {
        self.read("read the record", move |c| record::log(c, &span, limit)).await
    }

    async fn verify_record(&self) -> Result<Result<u64, u64>, StoreError> {
        self.read("verify the record", record::verify).await
    }

    async fn checkpoint(&self, origin: &Origin) -> Result<Option<String>, StoreError> {
        let origin = origin.clone();
        self.read("read a checkpoint", move |c| record::checkpoint(c, &origin)).await
    }

    async fn set_checkpoint(&self, origin: &Origin, value: &str) -> Result<(), StoreError> {
        let (origin, value) = (origin.clone(), value.to_owned());
        self.write("move a checkpoint", move |tx| record::set_checkpoint(tx, &origin, &value)).await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write("take a lease", move |tx| record::lease(tx, &name, &holder, now, until)).await
    }

    async fn unlease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write("give a lease back", move |tx| record::unlease(tx, &name, &holder)).await
    }

    async fn register(
        &self,
        seen: u64,
        drafts: Vec<Draft>,
        events: Vec<Event>,
    ) -> Result<Option<u64>, StoreError> {
        self.write("write registrations", move |tx| registrations::register(tx, seen, &drafts, &events)).await
    }

    async fn registrations(&self, after: u64, limit: u32) -> Result<Vec<Registration>, StoreError> {
        self.read("read registrations", move |c| registrations::registrations(c, after, limit)).await
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        self.read("count", record::depth).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        // Its settings are those of its own connections, and each write sees that the file is still there.
        Ok(())
    }

    async fn probe(&self, bytes: usize) -> Result<(), StoreError> {
        self.write("write a probe", move |tx| record::probe(tx, bytes)).await?;
        // In a commit of its own: what comes and goes in one is never written.
        if bytes > 0 { self.write("write a probe", record::clear_probe).await } else { Ok(()) }
    }
}

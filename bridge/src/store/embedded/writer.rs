//! The one thread that writes, and what it does when the disk refuses.
//!
//! Owns the write connection. After a failed commit nothing more is written, and nobody is told anything good, on that
//! file handle: the pages of a failed fsync count as clean afterwards, so a second fsync would say yes to what never
//! reached the disk (Rebello et al., USENIX ATC 2020). The handle is closed and the file opened again after a wait.
//! Before the new handle takes a change, all that the write-ahead log holds is written into the file once more, synced,
//! and the log cut to nothing (`schema::settle`): so nothing of the old handle's unsynced pages is built upon. A disk
//! that is full again refuses that too, and the wait grows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};

use super::{Fault, schema};

/// How many changes share one commit at most.
const GROUP: usize = 256;
/// The longest wait before the file is opened again: an EOC that made room must not wait longer.
const LONGEST_WAIT_SECS: u64 = 5;

/// Tells a caller that its change is on disk.
pub(super) type Answer = Box<dyn FnOnce() + Send>;

/// One change and the way to tell that it was not made.
pub(super) struct Queued {
    pub(super) change: Change,
    pub(super) failed: Failed,
}

/// The file, open for writing or shut.
pub(super) struct Writer {
    file: PathBuf,
    /// Which file it was when the store was opened: device and number.
    identity: Option<(u64, u64)>,
    readers: Arc<Mutex<Vec<Connection>>>,
    state: State,
}

enum State {
    Open(Connection),
    Shut { cause: Arc<Fault>, failures: u32, retry_at: Instant },
}

impl Writer {
    pub(super) fn new(file: PathBuf, connection: Connection, readers: Arc<Mutex<Vec<Connection>>>) -> Self {
        let identity = identity(&file);
        Writer { file, identity, readers, state: State::Open(connection) }
    }

    /// # Errors
    /// The file was moved away or deleted: what is written through the open handle would be gone at the next start.
    fn still_there(&self) -> Result<(), Fault> {
        if identity(&self.file) == self.identity { Ok(()) } else { Err(Fault::Moved(self.file.clone())) }
    }

    /// Takes what waits, makes all changes, commits once, then answers. Ends with its callers.
    pub(super) fn run(mut self, queue: &Receiver<Queued>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            while group.len() < GROUP {
                match queue.try_recv() {
                    Ok(next) => group.push(next),
                    Err(_) => break,
                }
            }
            self.take(group);
        }
    }

    fn take(&mut self, group: Vec<Queued>) {
        self.reopen_if_due();
        if let (State::Open(_), Err(fault)) = (&self.state, self.still_there()) {
            return self.refuse(group.into_iter().map(|queued| queued.failed), fault);
        }
        let connection = match &mut self.state {
            State::Open(connection) => connection,
            State::Shut { cause, retry_at, .. } => {
                let left = retry_at.saturating_duration_since(crate::clock::instant());
                let fault = Fault::Shut { retry_secs: left.as_secs() + 1, cause: Arc::clone(cause) };
                return tell(group.into_iter().map(|queued| queued.failed), &Arc::new(fault));
            }
        };
        let (changes, failed): (Vec<_>, Vec<_>) = group.into_iter().map(|q| (q.change, q.failed)).unzip();
        match commit(connection, changes) {
            Ok(made) => made.into_iter().zip(failed).for_each(|(made, failed)| match made {
                Ok(answer) => answer(),
                Err(fault) => failed(Arc::new(fault)),
            }),
            Err(fault) => self.refuse(failed.into_iter(), fault),
        }
    }

    /// Shuts the file and tells those whose changes were not made.
    fn refuse(&mut self, failed: impl Iterator<Item = Failed>, fault: Fault) {
        let fault = Arc::new(fault);
        tracing::error!(
            error = %crate::telemetry::ErrorChain(&*fault),
            "a write failed: the store takes nothing until its file could be opened again"
        );
        self.shut(Arc::clone(&fault), 0);
        tell(failed, &fault);
    }

    /// Closes every handle on the file.
    fn shut(&mut self, cause: Arc<Fault>, failures: u32) {
        let wait = Duration::from_secs((1 << failures.min(8)).min(LONGEST_WAIT_SECS));
        let retry_at = crate::clock::instant() + wait;
        self.state = State::Shut { cause, failures: failures.saturating_add(1), retry_at };
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn reopen_if_due(&mut self) {
        let State::Shut { failures, retry_at, .. } = &self.state else { return };
        if crate::clock::instant() < *retry_at {
            return;
        }
        let failures = *failures;
        match self.still_there().and_then(|()| schema::reopen(&self.file)) {
            Ok(connection) => {
                tracing::warn!("the store's file is open again after a failed write");
                self.state = State::Open(connection);
            }
            Err(fault) => self.shut(Arc::new(fault), failures),
        }
    }
}

/// Device and number of a file, where the system has them.
#[cfg(unix)]
fn identity(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(file: &Path) -> Option<(u64, u64)> {
    file.exists().then_some((0, 0))
}

type Change = Box<dyn FnOnce(&Tx<'_>) -> Result<Answer, Fault> + Send>;
type Failed = Box<dyn FnOnce(Arc<Fault>) + Send>;

fn tell(failed: impl Iterator<Item = Failed>, fault: &Arc<Fault>) {
    failed.for_each(|tell| tell(Arc::clone(fault)));
}

/// A group of changes on its way into one commit.
pub(super) struct Tx<'c> {
    transaction: Transaction<'c>,
    /// What the group adds to each counter: written once, at its end.
    counts: RefCell<Counts>,
    /// The hash of the newest entry of the audit log, once it was asked for.
    newest: RefCell<Option<String>>,
}

type Counts = BTreeMap<&'static str, i64>;

impl<'c> Deref for Tx<'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Transaction<'c> {
        &self.transaction
    }
}

impl Tx<'_> {
    /// Adds to a counter.
    pub(super) fn count(&self, name: &'static str, by: i64) {
        *self.counts.borrow_mut().entry(name).or_default() += by;
    }

    /// The hash of the newest entry of the audit log; `read` finds it where no change of the group appended one.
    ///
    /// # Errors
    /// It could not be read.
    pub(super) fn newest_hash(&self, read: impl FnOnce() -> Result<String, Fault>) -> Result<String, Fault> {
        match self.newest.borrow().clone() {
            Some(hash) => Ok(hash),
            None => read(),
        }
    }

    /// An entry was appended to the audit log.
    pub(super) fn appended(&self, hash: String) {
        self.newest.replace(Some(hash));
    }

    fn commit(self) -> Result<(), Fault> {
        for (name, by) in self.counts.into_inner() {
            self.transaction
                .prepare_cached("UPDATE counters SET n = n + ? WHERE name = ?")?
                .execute(params![by, name])?;
        }
        Ok(self.transaction.commit()?)
    }
}

/// Makes the changes of a group in one commit. One that cannot be made says so before it changes anything; where one fails
/// in the middle, nothing of the group is made and each is told so. (A savepoint for each would cost more than most changes:
/// SQLite keeps a copy of every page that one touches.)
///
/// # Errors
/// Nothing of the group is on disk, and the file is not to be written to any more.
fn commit(connection: &mut Connection, changes: Vec<Change>) -> Result<Vec<Result<Answer, Fault>>, Fault> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let tx = Tx { transaction, counts: RefCell::default(), newest: RefCell::default() };
    let mut made = Vec::with_capacity(changes.len());
    let mut spoiled: Option<Arc<Fault>> = None;
    let count = changes.len();
    for change in changes {
        let (rows, counts) = (tx.total_changes(), tx.counts.borrow().clone());
        match change(&tx) {
            Ok(answer) => made.push(Ok(answer)),
            // A full disk or a failed write inside a change: SQLite has undone the whole group.
            Err(fault) if tx.is_autocommit() => return Err(fault),
            Err(fault) if tx.total_changes() == rows => {
                tx.counts.replace(counts);
                made.push(Err(fault));
            }
            Err(fault) => {
                spoiled = Some(Arc::new(fault));
                break;
            }
        }
    }
    let Some(fault) = spoiled else { return tx.commit().map(|()| made) };
    tx.transaction.rollback()?;
    Ok((0..count).map(|_| Err(Fault::Spoiled { cause: Arc::clone(&fault) })).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use capbridge_harness::eventually;

    use crate::store::embedded::{EmbeddedStore, Fault};
    use crate::store::{Store, StoreError};
    use crate::telemetry::chain;

    async fn fill(store: &EmbeddedStore, name: String) -> Result<(), StoreError> {
        let add = "INSERT INTO checkpoints (origin, value) VALUES (?1, hex(randomblob(20000)))";
        store.write("fill", move |tx| Ok(tx.execute(add, [name]).map(|_| ())?)).await
    }

    #[tokio::test]
    async fn a_change_that_finds_the_disk_full_shuts_the_file_and_it_is_opened_again_with_all_that_was_told()
    {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        // A limit of the connection: the next one, on the file opened again, does not have it.
        let limit = |tx: &super::Tx<'_>| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            Ok(tx.pragma_update(None, "max_page_count", pages + 60)?)
        };
        store.write("set a limit", limit).await.unwrap();
        let mut told = 0;
        let full = loop {
            match fill(&store, format!("s{told}")).await {
                Ok(()) => told += 1,
                Err(error) => break chain(&error),
            }
            assert!(told < 100, "it was never full");
        };
        assert!(full.contains("full") && !full.contains("savepoint"), "{full}");
        let shut = chain(&store.probe(0).await.unwrap_err());
        assert!(shut.contains("opened again within") && shut.contains("full"), "{shut}");
        let open = async || store.probe(0).await.ok();
        eventually("it is open again", Duration::from_secs(10), open).await.unwrap();
        let kept = |c: &rusqlite::Connection| {
            Ok(c.query_row("SELECT count(*) FROM checkpoints", [], |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(store.read("count", kept).await.unwrap(), told);
        fill(&store, "more".to_owned()).await.unwrap();
    }

    #[tokio::test]
    async fn a_change_that_fails_in_the_middle_spoils_its_commit_and_says_so_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        let count = async || {
            let sql = "SELECT (SELECT count(*) FROM checkpoints) * 100 + (SELECT n FROM counters WHERE name = 'dead')";
            let read = move |c: &rusqlite::Connection| Ok(c.query_row(sql, [], |row| row.get::<_, i64>(0))?);
            store.read("count", read).await.unwrap()
        };
        // It says no before it changes anything: the others stand.
        let refused = store.write("refuse", |tx| {
            tx.count("dead", 1);
            Err::<(), _>(Fault::Missing { what: "thing", id: "x".into() })
        });
        let (refused, made) = tokio::join!(refused, fill(&store, "made".into()));
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
        made.unwrap();
        assert_eq!(count().await, 100);
        let half = store.write("fail", |tx| {
            tx.execute("INSERT INTO checkpoints (origin, value) VALUES ('half', '')", [])?;
            tx.count("dead", 1);
            Err::<(), _>(Fault::Missing { what: "thing", id: "x".into() })
        });
        let told = chain(&half.await.unwrap_err());
        assert!(told.contains("no thing x"), "{told}");
        assert_eq!(count().await, 100, "nothing of it is there");
        fill(&store, "after".into()).await.unwrap();
        assert_eq!(count().await, 200);
    }

    #[tokio::test]
    async fn a_file_that_is_moved_away_takes_nothing_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        fill(&store, "before".to_owned()).await.unwrap();
        let away = folder.path().join("away");
        std::fs::create_dir(&away).unwrap();
        let files = ["capbridge.sqlite", "capbridge.sqlite-wal", "capbridge.sqlite-shm"];
        let moved = |from: &std::path::Path, to: &std::path::Path| {
            files.iter().filter(|f| from.join(f).exists()).for_each(|f| {
                std::fs::rename(from.join(f), to.join(f)).unwrap();
            });
        };
        moved(folder.path(), &away);
        let told = chain(&fill(&store, "lost".to_owned()).await.unwrap_err());
        assert!(told.contains("no longer there"), "{told}");
        // Another file in its place is not taken for it.
        std::fs::copy(away.join(files[0]), folder.path().join(files[0])).unwrap();
        let told = chain(&store.probe(0).await.unwrap_err());
        assert!(told.contains("no longer there"), "{told}");
        std::fs::remove_file(folder.path().join(files[0])).unwrap();
        moved(&away, folder.path());
        eventually("it takes writes again", Duration::from_secs(10), async || store.probe(0).await.ok())
            .await
            .unwrap();
        fill(&store, "after".to_owned()).await.unwrap();
    }
}

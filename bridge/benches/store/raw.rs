//! The raw limit of each engine: the least that a durable queue does with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::streams::StreamReadReply;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{BODY_BYTES, SUBMITTERS};

/// One write of the raw queue.
enum Change {
    Insert(oneshot::Sender<()>),
    Delete(Vec<i64>, oneshot::Sender<()>),
}

/// Inserts, reads and deletes per second in grouped commits.
pub async fn embedded(file: &Path, run: Duration) -> f64 {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB)", []).unwrap();
    let reader = Connection::open(file).unwrap();
    let (changes, queue) = mpsc::channel(1_024);
    let writer = std::thread::spawn(move || write(connection, queue));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..SUBMITTERS {
        let (changes, stop) = (changes.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let (answer, answered) = oneshot::channel();
                changes.send(Change::Insert(answer)).await.unwrap();
                answered.await.unwrap();
            }
        });
    }
    let consumer = {
        let (stop, done) = (stop.clone(), done.clone());
        std::thread::spawn(move || consume(&reader, &changes, &stop, &done))
    };
    let rate = count(&done, run).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    tokio::task::spawn_blocking(move || (consumer.join().unwrap(), writer.join().unwrap())).await.unwrap();
    rate
}

fn write(mut connection: Connection, mut queue: mpsc::Receiver<Change>) {
    let body = vec![b'a'; BODY_BYTES];
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < 256 {
            let Ok(next) = queue.try_recv() else { break };
            group.push(next);
        }
        let transaction = connection.transaction().unwrap();
        let mut answers = Vec::with_capacity(group.len());
        for change in group {
            match change {
                Change::Insert(answer) => {
                    let mut insert =
                        transaction.prepare_cached("INSERT INTO queue (body) VALUES (?)").unwrap();
                    insert.execute(params![body]).unwrap();
                    answers.push(answer);
                }
                Change::Delete(ids, answer) => {
                    let mut delete = transaction.prepare_cached("DELETE FROM queue WHERE id = ?").unwrap();
                    for id in ids {
                        delete.execute([id]).unwrap();
                    }
                    answers.push(answer);
                }
            }
        }
        transaction.commit().unwrap();
        for answer in answers {
            let _ = answer.send(());
        }
    }
}

fn consume(reader: &Connection, changes: &mpsc::Sender<Change>, stop: &AtomicBool, done: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let mut select = reader.prepare_cached("SELECT id, body FROM queue ORDER BY id LIMIT 64").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
        let ids: Vec<i64> =
            rows.map(|row| row.unwrap()).filter(|(_, b)| b.len() == BODY_BYTES).map(|r| r.0).collect();
        let taken = ids.len() as u64;
        if taken == 0 {
            std::thread::yield_now();
            continue;
        }
        let (answer, answered) = oneshot::channel();
        changes.blocking_send(Change::Delete(ids, answer)).unwrap();
        answered.blocking_recv().unwrap();
        done.fetch_add(taken, Ordering::Relaxed);
    }
}

/// Entries per second through a stream with one consumer.
pub async fn redis(url: &str, run: Duration) -> f64 {
    let client = redis::Client::open(url).unwrap();
    let mut consumer = client.get_multiplexed_async_connection().await.unwrap();
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg("raw").arg("g").arg("0").arg("MKSTREAM");
    create.query_async::<()>(&mut consumer).await.unwrap();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..SUBMITTERS {
        let (mut connection, stop) = (client.get_multiplexed_async_connection().await.unwrap(), stop.clone());
        tasks.spawn(async move {
            let mut add = redis::cmd("XADD");
            add.arg("raw").arg("*").arg("body").arg(vec![b'a'; BODY_BYTES]);
            while !stop.load(Ordering::Relaxed) {
                add.query_async::<String>(&mut connection).await.unwrap();
            }
        });
    }
    {
        let (stop, done) = (stop.clone(), done.clone());
        tasks.spawn(async move {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg("g").arg("c").arg("COUNT").arg(64).arg("STREAMS").arg("raw").arg(">");
            while !stop.load(Ordering::Relaxed) {
                let reply: Option<StreamReadReply> = read.query_async(&mut consumer).await.unwrap();
                let ids: Vec<String> =
                    reply.into_iter().flat_map(|r| r.keys).flat_map(|k| k.ids).map(|e| e.id).collect();
                if ids.is_empty() {
                    continue;
                }
                redis::cmd("XACK")
                    .arg("raw")
                    .arg("g")
                    .arg(&ids)
                    .query_async::<u64>(&mut consumer)
                    .await
                    .unwrap();
                done.fetch_add(ids.len() as u64, Ordering::Relaxed);
            }
        });
    }
    let rate = count(&done, run).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    // The stream is no load on what is measured next.
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("DEL").arg("raw").query_async::<()>(&mut connection).await.unwrap();
    rate
}

/// Moves a server to one sync per second.
pub async fn every_second(url: &str) {
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("appendfsync").arg("everysec");
    set.query_async::<()>(&mut connection).await.unwrap();
}

async fn count(done: &AtomicU64, run: Duration) -> f64 {
    let begun = Instant::now();
    tokio::time::sleep(run).await;
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

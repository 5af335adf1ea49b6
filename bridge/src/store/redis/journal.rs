//! The audit log in Redis: hash-chained, many writers.
//!
//! Owns the order of entries. The chain is computed here and appended only if its end has not moved meanwhile; what
//! several tasks record at once goes out as one batch.

use std::sync::Mutex as Shared;
use std::sync::PoisonError;

use redis::Value;
use tokio::sync::{Mutex, oneshot};

use super::Fault;
use super::keys::{Keys, suffix};
use super::link::{Effect, Link};
use super::records::Parts;
use super::scripts::Scripts;
use crate::audit;
use crate::store::Event;

/// Entries read at once when the chain is verified.
const PAGE: u64 = 1_000;
/// How often a batch is chained anew because another instance was faster.
const RACES: u32 = 64;

struct Waiting {
    events: Vec<Event>,
    done: oneshot::Sender<()>,
}

/// The writer of the log in this process.
pub(super) struct Journal {
    process: String,
    waiting: Shared<Vec<Waiting>>,
    /// The end of the chain as last seen, and the number of the last batch.
    end: Mutex<(String, u64)>,
}

impl Journal {
    /// A writer with a name of its own.
    pub(super) fn new(process: String) -> Self {
        Journal { process, waiting: Shared::default(), end: Mutex::new((audit::GENESIS.to_owned(), 0)) }
    }

    /// Appends; returns when it is durable.
    pub(super) async fn append(
        &self,
        link: &Link,
        scripts: &Scripts,
        events: Vec<Event>,
    ) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let (done, mut written) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { events, done });
        let mut end = self.end.lock().await;
        if written.try_recv().is_ok() {
            // Whoever held the lock took these along.
            return Ok(());
        }
        let batch = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if !batch.is_empty() {
            self.write(link, scripts, &mut end, batch).await?;
        }
        // Closed without a word: the task that took these along was dropped or failed.
        written.try_recv().map_err(|_| Fault::Ended)
    }

    async fn write(
        &self,
        link: &Link,
        scripts: &Scripts,
        end: &mut (String, u64),
        batch: Vec<Waiting>,
    ) -> Result<(), Fault> {
        end.1 += 1;
        let events: Vec<&Event> = batch.iter().flat_map(|w| &w.events).collect();
        for _ in 0..RACES {
            let call = self.chained(scripts, end, &events);
            let mut answer = Parts::of(link.run(&scripts.record, &call, Effect::Repeatable).await?)?;
            let (outcome, hash): (String, String) = (answer.next()?, answer.next()?);
            end.0 = hash;
            if outcome == "ok" {
                for waiting in batch {
                    // The caller may have gone away; its events stand all the same.
                    let _ = waiting.done.send(());
                }
                return Ok(());
            }
        }
        Err(Fault::TimedOut)
    }

    fn chained(&self, scripts: &Scripts, end: &(String, u64), events: &[&Event]) -> redis::Cmd {
        let mut call = scripts.record.call();
        call.arg(&end.0).arg(audit::GENESIS).arg(&self.process).arg(end.1);
        let mut previous = end.0.clone();
        for event in events {
            let entry = audit::chain(&previous, event);
            call.arg(entry.text).arg(&entry.hash).arg(event.alert.as_ref().map_or("", |k| k.0.as_str()));
            previous = entry.hash;
        }
        call
    }

    /// Recomputes the chain up to where it ended at the beginning of the call.
    pub(super) async fn verify(link: &Link, keys: &Keys) -> Result<Result<u64, u64>, Fault> {
        let mut head = redis::cmd("HMGET");
        head.arg(keys.one(suffix::AUDIT_HEAD)).arg("n").arg("hash");
        let (count, last): (Option<u64>, Option<String>) = link.send(&head, Effect::Read).await?;
        let (count, last) = (count.unwrap_or(0), last.unwrap_or_else(|| audit::GENESIS.to_owned()));
        let (mut previous, mut number, mut from) = (audit::GENESIS.to_owned(), 0, "-".to_owned());
        while number < count {
            let mut range = redis::cmd("XRANGE");
            range.arg(keys.one(suffix::AUDIT)).arg(&from).arg("+").arg("COUNT").arg(PAGE);
            let entries: Vec<(String, Vec<(String, String)>)> =
                entries(link.send(&range, Effect::Read).await?)?;
            if entries.is_empty() {
                return Ok(Err(number + 1));
            }
            for (id, fields) in entries {
                if number == count {
                    break;
                }
                number += 1;
                let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
                match (field("event"), field("hash")) {
                    (Some(text), Some(hash)) if audit::link(&previous, text) == hash => {
                        hash.clone_into(&mut previous)
                    }
                    _ => return Ok(Err(number)),
                }
                from = format!("({id}");
            }
        }
        Ok(if previous == last { Ok(number) } else { Err(number) })
    }
}

/// A stream entry: id and fields.
type StreamEntry = (String, Vec<(String, String)>);

fn entries(value: Value) -> Result<Vec<StreamEntry>, Fault> {
    Parts::each(value, |mut entry| {
        let id: String = entry.next()?;
        let fields: Vec<String> = entry.next()?;
        let mut pairs = Vec::with_capacity(2);
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            pairs.push((name, value));
        }
        Ok((id, pairs))
    })
}

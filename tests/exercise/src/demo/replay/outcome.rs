//! What became of one document: seen from outside, by what the bridge counts, lists and delivers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::time::Instant;

use crate::masas_hub::MasasHub;
use crate::program::Program;
use crate::responder::Responder;
use crate::server::Running;

/// How long the bridge may take over one document.
const LIMIT: Duration = Duration::from_secs(10);
/// Polls of a hub after which nothing new comes of a feed: each enclosure was asked for twice (`data/replay.toml`).
const POLLS: usize = 4;

/// Looks at the bridge before and after each document.
pub(super) struct Witness<'w> {
    bridge: &'w Program,
    responder: &'w Running<Responder>,
    counts: BTreeMap<String, u64>,
    quarantined: BTreeSet<String>,
    accepted: BTreeSet<String>,
    delivered: usize,
}

impl<'w> Witness<'w> {
    pub(super) fn new(bridge: &'w Program, responder: &'w Running<Responder>) -> Self {
        Witness {
            bridge,
            responder,
            counts: BTreeMap::new(),
            quarantined: BTreeSet::new(),
            accepted: BTreeSet::new(),
            delivered: 0,
        }
    }

    /// What became of an alert that is shown. Empty: nothing, in time.
    pub(super) async fn alert(&mut self) -> Result<String> {
        let before: u64 = self.counts.values().sum();
        self.settle(|counts| counts.values().sum::<u64>() > before).await
    }

    /// What became of the entries of a feed that a hub shows.
    pub(super) async fn hub_feed(&mut self, hub: &Running<MasasHub>) -> Result<String> {
        let polls = || hub.requests().iter().filter(|request| request.path.ends_with("/feed")).count();
        let before = polls();
        self.settle(|_| polls() >= before + POLLS).await
    }

    /// Waits until the bridge has taken what is shown and has nothing left to do, and says what is new.
    async fn settle(&mut self, is_taken: impl Fn(&BTreeMap<String, u64>) -> bool) -> Result<String> {
        let begun = Instant::now();
        // The counters and the depth of the store are not read at one moment: it must be quiet twice.
        let mut quiet = 0;
        while quiet < 2 && begun.elapsed() < LIMIT {
            let (_, text) = self.bridge.get("/metrics").await?;
            let text = text.as_str().unwrap_or_default();
            let counts = received(text);
            quiet = if is_taken(&counts) && unfinished(text) == 0 { quiet + 1 } else { 0 };
            if quiet == 2 {
                return self.news(counts).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(String::new())
    }

    /// One word or more for each document that was handed over since the last time.
    async fn news(&mut self, counts: BTreeMap<String, u64>) -> Result<String> {
        let mut said = Vec::new();
        for (outcome, count) in &counts {
            let more = count - self.counts.get(outcome).copied().unwrap_or(0);
            if !["accepted", "quarantined"].contains(&outcome.as_str()) {
                said.extend((0..more).map(|_| outcome.clone()));
            }
        }
        self.counts = counts;
        for entry in self.bridge.list("/v1/quarantine?limit=1000").await? {
            if self.quarantined.insert(text(&entry, "/id")) {
                // The rule or the first words: what comes behind a colon is of the one document.
                let detail = text(&entry, "/detail");
                let detail = detail.split(':').next().unwrap_or_default();
                said.push(format!("quarantined, {}: {detail}", text(&entry, "/reason")));
            }
        }
        for envelope in self.bridge.list("/v1/alerts?limit=1000").await? {
            let key = text(&envelope, "/key");
            if self.accepted.insert(key.clone()) {
                said.push(self.way_of(&key, &envelope).await?);
            }
        }
        let delivered = self.responder.site.accepted().len();
        let arrived = said.iter().filter(|one| one.starts_with("relayed")).count();
        if delivered - self.delivered != arrived {
            said.push(format!("{} arrived instead of {arrived}", delivered - self.delivered));
        }
        self.delivered = delivered;
        said.sort();
        Ok(said.join("; "))
    }

    /// Relayed, or why not.
    async fn way_of(&self, key: &str, envelope: &Value) -> Result<String> {
        let (_, journeys) = self.bridge.get(&format!("/v1/alerts/{key}/journey")).await?;
        let journey = journeys.pointer("/0").unwrap_or(&journeys);
        let deliveries = journey.get("deliveries").and_then(Value::as_array).map_or(0, Vec::len);
        if deliveries > 0 {
            return Ok(format!("relayed, {}", text(envelope, "/msg_type")));
        }
        let events = journey.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        let withheld = events.iter().find(|event| text(event, "/what") == "withheld");
        let class = text(envelope, "/class/class");
        Ok(match withheld {
            Some(event) => format!("kept, {class}: {}", text(event, "/facts/reason")),
            None => format!("kept, {class}: no route"),
        })
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// How many documents came to each outcome.
fn received(metrics: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("capbridge_received_total{")) {
        let outcome = line.split("outcome=\"").nth(1).and_then(|rest| rest.split('"').next());
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(outcome), Some(count)) = (outcome, count) {
            *counts.entry(outcome.to_owned()).or_default() += count;
        }
    }
    counts
}

/// Alerts that are not routed and deliveries that have not ended.
fn unfinished(metrics: &str) -> u64 {
    let names = ["capbridge_unfinished_deliveries{", "capbridge_unrouted_alerts "];
    let lines = metrics.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

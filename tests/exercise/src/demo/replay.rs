//! Every real message that is at hand, through the running bridge, byte for byte.
//!
//! Owns the counting: how many were accepted, relayed, quarantined and why. The bridge's clock follows the messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::Teller;
use super::world::write_private;
use crate::clock::{Clock, instant};
use crate::keys::WebhookKeys;
use crate::masas_hub::{self, Account, MasasHub, Mode};
use crate::program::Program;
use crate::responder::{self, Responder};
use crate::server::{self, Answer, Request, Running, Site};

/// How long the bridge may take over all of them.
const LIMIT: Duration = Duration::from_secs(40);

/// The folder of real messages: `CAP_CORPUS`, or beside the repository.
pub fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("CAP_CORPUS").map(PathBuf::from);
    let found = named.unwrap_or_else(|| PathBuf::from("../shared/corpus"));
    found.is_dir().then_some(found)
}

/// An IPAWS feed that serves given alerts in its wrapper, untouched, all in every answer.
#[derive(Debug)]
struct RecordedFeed {
    body: Bytes,
}

impl Site for RecordedFeed {
    fn answer(&self, request: &Request) -> Answer {
        if request.path.contains("/recent/") {
            Answer::new(200, "application/xml", self.body.clone())
        } else {
            Answer::unexpected(request)
        }
    }
}

/// The alert element of a document, without declaration and what follows.
fn element(document: &[u8]) -> &[u8] {
    let find = |needle: &[u8], from: usize| {
        document.get(from..)?.windows(needle.len()).position(|w| w == needle).map(|at| at + from)
    };
    let mut start = 0;
    while document.get(start..start + 2).is_some_and(|w| w == b"<?" || w == b"<!" || w.first() != Some(&b'<'))
    {
        let skip = if document.get(start..).is_some_and(|r| r.starts_with(b"<?")) {
            find(b"?>", start).map(|at| at + 2)
        } else if document.get(start..).is_some_and(|r| r.starts_with(b"<!--")) {
            find(b"-->", start).map(|at| at + 3)
        } else {
            Some(start + 1)
        };
        match skip {
            Some(next) => start = next,
            None => break,
        }
    }
    let end = document.iter().rposition(|b| *b == b'>').map_or(document.len(), |at| at + 1);
    document.get(start..end).unwrap_or(document)
}

/// All files of the folders whose name begins so, with their `sent`, oldest first.
fn messages(folder: &Path) -> Result<Vec<(PathBuf, Bytes)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("cap-") {
            for file in std::fs::read_dir(entry.path())?.flatten() {
                found.push((file.path(), Bytes::from(std::fs::read(file.path())?)));
            }
        }
    }
    let sent = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let value = text.split("sent>").nth(1).map(|s| s.trim_end_matches("</").to_owned())?;
        instant(value.split('<').next()?)
    };
    found.sort_by_key(|(path, bytes)| (sent(bytes), path.clone()));
    Ok(found)
}

/// Feeds the real messages through the bridge and tells what became of them.
///
/// # Errors
/// A program or a simulator does not start.
pub async fn run(corpus: &Path, teller: &mut Teller) -> Result<()> {
    teller.scene("Replay: real messages, served byte for byte; the bridge's clock follows them");
    let messages = messages(&corpus.join("ipaws"))?;
    let mut body = b"<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">".to_vec();
    for (_, bytes) in &messages {
        body.extend_from_slice(element(bytes));
    }
    body.extend_from_slice(b"</ns1:alerts>");
    let feeds: Vec<Bytes> = {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(corpus.join("masas"))?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("masas_hub_feed")))
            .collect();
        paths.sort();
        paths.iter().map(|p| std::fs::read(p).map(Bytes::from)).collect::<Result<_, _>>()?
    };
    let clock = Clock::system();
    let feed = server::serve(
        std::sync::Arc::new(RecordedFeed { body: body.into() }),
        server::loopback().await?,
        clock.clone(),
        false,
    )?;
    let feed_count = feeds.len();
    let settings = masas_hub::Settings {
        replay: feeds,
        ..masas_hub::Settings::new(Mode::Operations, vec![Account::reader("code", "bridge")])
    };
    let hub = MasasHub::start(settings, clock.clone()).await?;
    let keys = WebhookKeys::new()?;
    let trusting =
        responder::Settings { public_keys: vec![keys.public.clone()], ..responder::Settings::default() };
    // The bridge's clock is that of the messages; the responder does not compare it with its own.
    let trusting = responder::Settings { tolerance_secs: i64::MAX / 4, ..trusting };
    let responder = Responder::start(trusting, clock).await?;
    let folder = tempfile::tempdir()?;
    write_private(&folder.path().join("webhook.key.pem"), &keys.key_pem)?;
    write_private(&folder.path().join("hub.secret"), "code")?;
    let bridge = Program::start(folder.path(), &configuration(&feed, &hub, &responder)).await?;
    teller
        .event("feeds", &format!("{} US documents and {feed_count} MASAS feeds are served", messages.len()));
    let outcome = settle(&bridge, messages.len()).await?;
    report(&outcome, &responder, teller);
    judge(&bridge, &messages, &outcome, teller).await?;
    bridge.terminate(Duration::from_secs(15)).await.context("stopping the bridge of the replay")?;
    Ok(())
}

/// What became of the documents.
struct Outcome {
    counts: BTreeMap<(String, String), u64>,
    quarantine: Vec<Value>,
    delivered: usize,
}

/// Waits until every document has an outcome and every delivery an end.
async fn settle(bridge: &Program, documents: usize) -> Result<Outcome> {
    let begun = Instant::now();
    let mut last = (0, Instant::now());
    loop {
        let (_, text) = bridge.get("/metrics").await?;
        let text = text.as_str().unwrap_or("").to_owned();
        let counts = received(&text);
        let seen: u64 = counts.iter().filter(|((origin, _), _)| origin == "ipaws").map(|(_, n)| n).sum();
        let unfinished: u64 = text
            .lines()
            .filter(|l| {
                l.starts_with("capbridge_unfinished_deliveries{")
                    || l.starts_with("capbridge_unrouted_alerts ")
            })
            .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
            .sum();
        let everything: u64 = counts.values().sum();
        if everything != last.0 {
            last = (everything, Instant::now());
        }
        let all = seen >= documents as u64 && counts.keys().any(|(origin, _)| origin == "masas");
        let quiet = all && unfinished == 0 && last.1.elapsed() > Duration::from_millis(2_500);
        if quiet || begun.elapsed() > LIMIT {
            let delivered = bridge.list("/v1/deliveries?state=delivered&limit=1000").await?.len();
            return Ok(Outcome {
                counts,
                quarantine: bridge.list("/v1/quarantine?limit=1000").await?,
                delivered,
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn received(metrics: &str) -> BTreeMap<(String, String), u64> {
    let label = |line: &str, name: &str| {
        line.split(&format!("{name}=\"")).nth(1)?.split('"').next().map(str::to_owned)
    };
    metrics
        .lines()
        .filter(|l| l.starts_with("capbridge_received_total{"))
        .filter_map(|l| {
            Some(((label(l, "origin")?, label(l, "outcome")?), l.rsplit(' ').next()?.parse().ok()?))
        })
        .collect()
}

fn report(outcome: &Outcome, responder: &Running<Responder>, teller: &Teller) {
    for ((origin, what), count) in &outcome.counts {
        teller.event(origin, &format!("{what}: {count}"));
    }
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for entry in &outcome.quarantine {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let detail = text("detail");
        let rule = detail.split(':').next().unwrap_or("").to_owned();
        *reasons.entry(format!("{} {}: {rule}", text("origin"), text("reason"))).or_default() += 1;
    }
    for (reason, count) in &reasons {
        teller.event("quarantine", &format!("{count} × {reason}"));
    }
    teller.event(
        "relay",
        &format!("{} delivered, {} at the responder", outcome.delivered, responder.site.accepted().len()),
    );
}

async fn judge(
    bridge: &Program,
    messages: &[(PathBuf, Bytes)],
    outcome: &Outcome,
    teller: &mut Teller,
) -> Result<()> {
    let expected: Vec<&(PathBuf, Bytes)> = messages
        .iter()
        .filter(|(path, bytes)| {
            let real = path
                .parent()
                .is_some_and(|p| p.ends_with("cap-ipaws-openfema") || p.ends_with("cap-ipaws-other"));
            real && String::from_utf8_lossy(bytes).contains("SignatureValue")
        })
        .collect();
    let refused: Vec<String> = outcome
        .quarantine
        .iter()
        .filter_map(|e| {
            let identifier = e.pointer("/reference/identifier")?.as_str()?;
            let ours = expected.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(identifier));
            ours.then(|| format!("{identifier}: {}", e.get("detail").and_then(Value::as_str).unwrap_or("")))
        })
        .collect();
    for one in &refused {
        teller.event("refused", one);
    }
    teller.expect(
        refused.is_empty(),
        format!("replay: none of the {} real signed IPAWS alerts is refused", expected.len()),
    );
    let seen: u64 = outcome.counts.iter().filter(|((o, _), _)| o == "ipaws").map(|(_, n)| n).sum();
    teller.expect(
        seen >= messages.len() as u64,
        format!("replay: each of the {} documents has an outcome", messages.len()),
    );
    let masas: u64 = outcome.counts.iter().filter(|((o, _), _)| o == "masas").map(|(_, n)| n).sum();
    teller.expect(masas > 0, "replay: the entries of the real MASAS feeds have an outcome");
    let open = bridge.list("/v1/deliveries?state=waiting").await?.len()
        + bridge.list("/v1/deliveries?state=queued").await?.len();
    let dead = bridge.list("/v1/deliveries?state=dead").await?.len();
    teller.expect(open + dead == 0, "replay: every delivery ended, none as a dead letter");
    Ok(())
}

fn configuration(
    feed: &Running<RecordedFeed>,
    hub: &Running<MasasHub>,
    responder: &Running<Responder>,
) -> String {
    format!(
        include_str!("../../data/replay.toml"),
        feed = feed.url(),
        hub = hub.site.hub_url(),
        responder = responder.url(),
    )
}

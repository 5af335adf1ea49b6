//! Every real message that is at hand, through the running bridge, byte for byte.
//!
//! Owns the order and the counting: what became of each, and why. One message after the other is shown, oldest first, and
//! the next only when the bridge has done with it, so that its clock, which follows the messages, never runs ahead of what
//! it has to do: two runs come to the same. What each is expected to come to is in `data/replay.tsv`.

mod outcome;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use jiff::Timestamp;

use super::Teller;
use super::world::write_private;
use crate::clock::{Clock, instant};
use crate::keys::WebhookKeys;
use crate::masas_hub::{self, Account, MasasHub, Mode};
use crate::program::Program;
use crate::responder::{self, Responder};
use crate::server::{self, Answer, Request, Running, Site};

use outcome::Witness;

/// After how many documents the replay says how far it is.
const PROGRESS: usize = 15;

/// What each document is expected to come to.
const EXPECTED: &str = include_str!("../../data/replay.tsv");

/// The folder of real messages: `CAP_CORPUS`, or beside the repository.
pub fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("CAP_CORPUS").map(PathBuf::from);
    let found = named.unwrap_or_else(|| PathBuf::from("../shared/corpus"));
    found.is_dir().then_some(found)
}

/// An IPAWS feed that shows a given alert in its wrapper, untouched.
#[derive(Debug, Default)]
struct RecordedFeed {
    shown: Mutex<Bytes>,
}

impl RecordedFeed {
    fn show(&self, alert: Bytes) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = alert;
    }
}

impl Site for RecordedFeed {
    fn answer(&self, request: &Request) -> Answer {
        if !request.path.contains("/recent/") {
            return Answer::unexpected(request);
        }
        let alert = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let open: &[u8] = b"<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">";
        Answer::new(200, "application/xml", [open, &alert, b"</ns1:alerts>"].concat())
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

/// A document of the corpus.
struct Recorded {
    /// Its path in the corpus.
    name: String,
    /// The beginning of its SHA-256: names of files are others' and change.
    digest: String,
    at: Option<Timestamp>,
    content: Content,
}

/// What a document is shown as.
enum Content {
    Alert(Bytes),
    HubFeed(Bytes),
}

impl Recorded {
    /// Whether the real system published it with its signature: it may not be refused.
    fn is_signed_original(&self) -> bool {
        let folder = self.name.split('/').nth(1).unwrap_or_default();
        match &self.content {
            Content::Alert(bytes) => {
                ["cap-ipaws-openfema", "cap-ipaws-other"].contains(&folder)
                    && String::from_utf8_lossy(bytes).contains("SignatureValue")
            }
            Content::HubFeed(_) => false,
        }
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|e| e.path()).collect();
    found.sort();
    Ok(found)
}

fn begins(path: &Path, with: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(with))
}

/// All real alerts and hub feeds, oldest first.
fn recorded(corpus: &Path) -> Result<Vec<Recorded>> {
    let name = |path: &Path| path.strip_prefix(corpus).unwrap_or(path).to_string_lossy().into_owned();
    let mut found = Vec::new();
    for folder in files(&corpus.join("ipaws"))?.iter().filter(|folder| begins(folder, "cap-")) {
        for path in files(folder)? {
            let bytes = Bytes::from(std::fs::read(&path)?);
            let at = times(&bytes, "sent>").next();
            found.push(Recorded {
                name: name(&path),
                digest: digest(&bytes),
                at,
                content: Content::Alert(bytes),
            });
        }
    }
    for path in files(&corpus.join("masas"))?.iter().filter(|path| begins(path, "masas_hub_feed")) {
        let bytes = Bytes::from(std::fs::read(path)?);
        let at = times(&bytes, "updated>").max();
        found.push(Recorded {
            name: name(path),
            digest: digest(&bytes),
            at,
            content: Content::HubFeed(bytes),
        });
    }
    found.sort_by(|one, other| (one.at, &one.name).cmp(&(other.at, &other.name)));
    Ok(found)
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The times in elements of a name, as far as they can be read so simply.
fn times(document: &[u8], tag: &str) -> impl Iterator<Item = Timestamp> {
    let text = String::from_utf8_lossy(document).into_owned();
    let values: Vec<_> =
        text.split(tag).skip(1).filter_map(|rest| instant(rest.split('<').next()?)).collect();
    values.into_iter()
}

/// Feeds the real messages through the bridge and tells what became of them.
///
/// # Errors
/// A program or a simulator does not start.
pub async fn run(corpus: &Path, teller: &mut Teller) -> Result<()> {
    teller.scene("Replay: real messages, served byte for byte; the bridge's clock follows them");
    let recorded = recorded(corpus)?;
    let clock = Clock::system();
    let site = std::sync::Arc::new(RecordedFeed::default());
    let feed = server::serve(site, server::loopback().await?, clock.clone(), false)?;
    let settings = masas_hub::Settings {
        replay: vec![Bytes::from_static(b"<feed xmlns=\"http://www.w3.org/2005/Atom\"/>")],
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
    teller.event("feeds", &format!("{} real documents are shown, one after the other", recorded.len()));
    let mut witness = Witness::new(&bridge, &responder);
    let mut outcomes = Vec::with_capacity(recorded.len());
    for (number, document) in recorded.iter().enumerate() {
        if number > 0 && number % PROGRESS == 0 {
            let year =
                document.at.map_or_else(String::new, |at| format!(", now at {}", at.strftime("%Y-%m-%d")));
            teller.event("feeds", &format!("{number} of {} are done{year}", recorded.len()));
        }
        match &document.content {
            Content::Alert(bytes) => {
                feed.site.show(Bytes::copy_from_slice(element(bytes)));
                outcomes.push(witness.alert().await?);
            }
            Content::HubFeed(bytes) => {
                hub.site.show(bytes.clone());
                outcomes.push(witness.hub_feed(&hub).await?);
            }
        }
    }
    report(&recorded, &outcomes, teller);
    judge(&bridge, &recorded, &outcomes, teller).await?;
    bridge.terminate(Duration::from_secs(15)).await.context("stopping the bridge of the replay")?;
    Ok(())
}

/// How many documents came to what.
fn report(recorded: &[Recorded], outcomes: &[String], teller: &Teller) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (document, outcome) in recorded.iter().zip(outcomes) {
        let from = match document.content {
            Content::Alert(_) => "ipaws",
            Content::HubFeed(_) => "masas",
        };
        for one in outcome.split("; ") {
            *counts.entry((from, one)).or_default() += 1;
        }
    }
    let all = |word: &str| -> usize {
        counts.iter().filter(|((_, outcome), _)| outcome.starts_with(word)).map(|(_, count)| count).sum()
    };
    let (relayed, kept, quarantined) = (all("relayed"), all("kept"), all("quarantined"));
    let accepted = relayed + kept;
    teller.event(
        "bridge",
        &format!("{accepted} accepted, {relayed} of them relayed; {quarantined} quarantined"),
    );
    for ((from, outcome), count) in counts {
        teller.event(from, &format!("{count:>3} {outcome}"));
    }
}

async fn judge(
    bridge: &Program,
    recorded: &[Recorded],
    outcomes: &[String],
    teller: &mut Teller,
) -> Result<()> {
    let expected: BTreeMap<&str, &str> = EXPECTED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let (mut known, mut other, mut refused, mut signed) = (0, 0, 0, 0);
    for (document, outcome) in recorded.iter().zip(outcomes) {
        let (name, digest) = (document.name.as_str(), document.digest.as_str());
        match expected.get(digest) {
            Some(wanted) => {
                known += 1;
                if outcome != wanted {
                    other += 1;
                    teller.event("differs", &format!("{name}: {outcome}; expected: {wanted}"));
                }
            }
            None => teller.event("new", &format!("{name}: {digest}\t{outcome}")),
        }
        if document.is_signed_original() {
            signed += 1;
            if outcome.contains("quarantined") {
                refused += 1;
                teller.event("refused", &format!("{name}: {outcome}"));
            }
        }
    }
    teller.expect(
        refused == 0 && signed > 0,
        format!("replay: none of the {signed} real signed IPAWS alerts is refused"),
    );
    let open = outcomes.iter().filter(|outcome| outcome.is_empty()).count();
    teller.expect(open == 0, format!("replay: each of the {} documents has an outcome", recorded.len()));
    teller.expect(
        other == 0 && known > 0,
        format!("replay: each of the {known} documents that are known came to what is expected of it"),
    );
    let mut left = 0;
    for state in ["waiting", "queued", "dead", "expired"] {
        left += bridge.list(&format!("/v1/deliveries?state={state}&limit=1000")).await?.len();
    }
    teller.expect(left == 0, "replay: every delivery arrived");
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

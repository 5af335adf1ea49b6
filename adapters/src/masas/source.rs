//! Reads a hub: every entry once, CAP enclosures before anything else.
//!
//! Owns the plan of polling. A hub's feed holds only what is in force unless it is asked with `dtsince`, and then what
//! expired too; without it a cancelled entry would just be gone. So the first poll asks for what is in force, every
//! later one for what changed since the last, less an overlap, and what was seen is left out.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tracing::{debug, warn};

use super::client::{FeedQuery, Hub};
use super::entry::{Ending, EntrySettings, both, ending, is_revised};
use super::settings::{HubKind, MasasSourceSettings};
use super::{CAP_TYPE, CAP_TYPE_IANA};
use crate::atom::{Cut, Entry, FeedError, cut};
use crate::class::Class;
use crate::http::{HttpError, Reply, Shown};
use crate::settings::{Faults, Files};
use crate::source::{AcceptError, Acceptance, Form, Problem, Received, Source, SourceContext, SourceError};
use crate::tree::Element;

/// How often the page size is doubled when a page comes back full. Paging of hubs is not known.
const MAX_DOUBLINGS: u32 = 4;
/// After this many times `enclosure_attempts` an enclosure is given up.
const LAST_ATTEMPT_FACTOR: u32 = 10;

/// A hub as a source.
#[derive(Clone, Debug)]
pub struct MasasSource {
    pub(super) hub: Hub,
    pub(super) kind: Option<HubKind>,
    pub(super) poll: Duration,
    pub(super) overlap: SignedDuration,
    pub(super) limit: u32,
    pub(super) own_account: Option<String>,
    pub(super) bbox: Option<String>,
    pub(super) max_feed_bytes: usize,
    pub(super) max_enclosure_bytes: usize,
    pub(super) enclosure_attempts: u32,
    pub(super) entries: EntrySettings,
}

impl MasasSource {
    /// How entries without CAP become CAP.
    pub fn entries(&self) -> &EntrySettings {
        &self.entries
    }

    /// The highest class that the hub may carry, if it is known.
    pub fn highest(&self) -> Option<Class> {
        self.kind.map(HubKind::highest)
    }
}

/// One version of one entry: the digest of its bytes, and its `updated`. The times of a hub have a resolution of a
/// second, so id and `updated` alone would miss a change within it.
type Version = (String, Option<Timestamp>);

/// What was read so far.
#[derive(Default)]
struct Position {
    /// The latest `updated` of what was handed over.
    since: Option<Timestamp>,
    /// Versions inside the overlap that were handed over.
    seen: HashMap<Version, Timestamp>,
    /// Versions whose enclosure did not come, and how often it was asked for.
    waiting: HashMap<Version, u32>,
    /// The checkpoint as stored.
    stored: Option<Timestamp>,
}

impl Position {
    /// Everything before this is done. What waits holds it back.
    fn settled(&self) -> Option<Timestamp> {
        let waiting = self.waiting.keys().filter_map(|(_, updated)| *updated).min();
        match (self.since, waiting) {
            (Some(since), Some(waiting)) => Some(since.min(waiting)),
            (since, None) => since,
            (None, Some(waiting)) => Some(waiting),
        }
    }
}

impl Source for MasasSource {
    type Settings = MasasSourceSettings;

    fn validate(settings: MasasSourceSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    async fn run(self, cx: SourceContext) -> Result<(), SourceError> {
        let stored = cx.checkpoint.load(&cx.origin).await.map_err(not_accepted)?;
        let stored = stored.and_then(|text| text.parse().ok());
        let mut position = Position { since: stored, stored, ..Position::default() };
        loop {
            let polled = self.poll(&cx, &mut position).await;
            match polled {
                Ok(()) => cx.contact.reached(&cx.origin),
                Err(SourceError::NotAccepted { cause: AcceptError::ShuttingDown }) => return Ok(()),
                Err(error @ SourceError::NotAccepted { .. }) => return Err(error),
                Err(
                    error @ (SourceError::Unreachable { .. }
                    | SourceError::Refused { .. }
                    | SourceError::NotAFeed { .. }),
                ) => cx.contact.failed(&cx.origin, &error),
            }
            if cx.unless_stopped(tokio::time::sleep(self.poll)).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn received(
    cx: &SourceContext,
    raw: Bytes,
    form: Form,
    remote_id: Option<String>,
    problem: Option<Problem>,
) -> Received {
    Received { raw, form, received_at: cx.clock.now(), remote_id, is_revision: false, problem }
}

fn not_accepted(cause: AcceptError) -> SourceError {
    SourceError::NotAccepted { cause }
}

impl MasasSource {
    async fn poll(&self, cx: &SourceContext, position: &mut Position) -> Result<(), SourceError> {
        let asked_at = cx.clock.now();
        let page = self.page(cx, position.settled()).await?;
        let mut on_page = HashSet::new();
        let mut last: Option<Timestamp> = None;
        for stray in &page.strays {
            let version = (digest(stray), None);
            if !position.seen.contains_key(&version) {
                let raw = Bytes::copy_from_slice(stray);
                self.accept(cx, received(cx, raw, Form::MasasEntry, None, Some(Problem::Stray))).await?;
                position.seen.insert(version.clone(), asked_at);
            }
            on_page.insert(version);
        }
        for (document, entry) in sorted(&page.entries) {
            let version = (digest(document), entry.as_ref().and_then(|e| e.updated));
            if !position.seen.contains_key(&version)
                && self.take(cx, position, document, entry, &version).await?
            {
                position.waiting.remove(&version);
                position.seen.insert(version.clone(), version.1.unwrap_or(asked_at));
                last = last.max(version.1);
            }
            on_page.insert(version);
        }
        if !page.complete {
            return Err(SourceError::NotAFeed { url: page.url, cause: FeedError::BreaksOff });
        }
        // A time in the future would hide everything that is changed before it. A hub without entries: from now on ask
        // for what comes.
        let nothing = page.entries.is_empty().then_some(asked_at);
        let last = last.or(position.since).or(nothing).map(|last| last.min(asked_at));
        position.since = position.since.max(last);
        self.settle(cx, position, &on_page).await
    }

    /// Forgets what no poll will bring again, and moves the checkpoint.
    async fn settle(
        &self,
        cx: &SourceContext,
        position: &mut Position,
        on_page: &HashSet<Version>,
    ) -> Result<(), SourceError> {
        let waiting = position.waiting.len();
        position.waiting.retain(|version, _| on_page.contains(version));
        if position.waiting.len() < waiting {
            warn!(origin = %cx.origin, "an entry was changed or removed before its enclosure came");
        }
        let Some(settled) = position.settled() else { return Ok(()) };
        let horizon = settled.saturating_sub(self.overlap.saturating_mul(2)).unwrap_or(settled);
        position.seen.retain(|version, at| *at >= horizon || on_page.contains(version));
        if position.stored != Some(settled) {
            cx.checkpoint.store(&cx.origin, &settled.to_string()).await.map_err(not_accepted)?;
            position.stored = Some(settled);
        }
        Ok(())
    }

    /// Gets the feed. A full page is asked for again with more room, because what did not fit is not known.
    async fn page(&self, cx: &SourceContext, settled: Option<Timestamp>) -> Result<Page, SourceError> {
        let mut limit = self.limit;
        for doubling in 0.. {
            let query = FeedQuery {
                since: settled.map(|at| at.saturating_sub(self.overlap).unwrap_or(at)),
                not_author: self.own_account.clone(),
                limit: Some(limit),
                bbox: self.bbox.clone(),
                ..FeedQuery::default()
            };
            let url = self.hub.feed_url(&query);
            let shown = Shown(&url).to_string();
            let unreachable = |cause: HttpError| SourceError::Unreachable { url: shown.clone(), cause };
            let asked = self.hub.get(&cx.http, url, self.max_feed_bytes);
            let reply = cx.unless_stopped(asked).await?.map_err(unreachable)?;
            if reply.status_code != 200 {
                return Err(SourceError::Refused { url: shown, status_code: reply.status_code });
            }
            if let Some(at) = reply.made_at() {
                cx.contact.told_time(&cx.origin, at);
            }
            let body = reply.whole().map_err(unreachable)?;
            let feed = cut(body).map_err(|cause| SourceError::NotAFeed { url: shown.clone(), cause })?;
            let full = feed.entries.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
            if full && doubling < MAX_DOUBLINGS {
                limit = limit.saturating_mul(2);
                continue;
            }
            if full {
                warn!(origin = %cx.origin, entries = feed.entries.len(), "the hub may hold more than it gives");
            }
            let Cut { entries, strays, complete } = feed;
            return Ok(Page { entries, strays, complete, url: shown });
        }
        Ok(Page::default())
    }

    /// Hands over one entry. `false` if a part of it did not come and is asked for again.
    async fn take(
        &self,
        cx: &SourceContext,
        position: &mut Position,
        document: &[u8],
        entry: Option<Entry>,
        version: &Version,
    ) -> Result<bool, SourceError> {
        let raw = Bytes::copy_from_slice(document);
        let Some(entry) = entry else {
            // The bridge finds what is wrong with it and says so.
            self.accept(cx, received(cx, raw, Form::MasasEntry, None, None)).await?;
            return Ok(true);
        };
        let is_cap = |l: &&crate::atom::Link| l.is_type(CAP_TYPE) || l.is_type(CAP_TYPE_IANA);
        let enclosures: Vec<_> = entry.linked("enclosure").filter(is_cap).collect();
        let is_revision = is_revised(&entry);
        if enclosures.is_empty() {
            let entry = received(cx, raw.clone(), Form::MasasEntry, entry.id.clone(), None);
            self.accept(cx, Received { is_revision, ..entry }).await?;
        }
        for enclosure in enclosures {
            let fetched = cx.unless_stopped(self.enclosure(cx, &enclosure.href)).await?;
            if let Fetched::Cap(cap) = fetched {
                let cap = Received { is_revision, ..received(cx, cap, Form::Cap, entry.id.clone(), None) };
                self.take_cap(cx, cap, document, &entry).await?;
                continue;
            }
            let attempts = position.waiting.entry(version.clone()).or_insert(0);
            *attempts += 1;
            if *attempts == self.enclosure_attempts {
                let told = match fetched {
                    Fetched::Cap(bytes) | Fetched::NoAlert(bytes) => {
                        received(cx, bytes, Form::Cap, entry.id.clone(), None)
                    }
                    Fetched::Nothing => {
                        let problem = Some(Problem::EnclosureUnavailable);
                        received(cx, raw.clone(), Form::MasasEntry, entry.id.clone(), problem)
                    }
                };
                self.accept(cx, told).await?;
            }
            if *attempts < self.enclosure_attempts.saturating_mul(LAST_ATTEMPT_FACTOR) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands over the alert of an entry, and its end where the author ended it.
    async fn take_cap(
        &self,
        cx: &SourceContext,
        cap: Received,
        document: &[u8],
        entry: &Entry,
    ) -> Result<(), SourceError> {
        let end = || received(cx, both(document, &cap.raw).into(), Form::MasasEnding, entry.id.clone(), None);
        match ending(entry, &cap.raw, &self.entries) {
            None => self.accept(cx, cap).await.map(|_| ()),
            Some(Ending::Demoted) => {
                // Who has it is told, and nobody gets it any more. Where nobody has it, the end is kept, and the alert in it.
                if self.accept(cx, end()).await? == Acceptance::Quarantined {
                    return Ok(());
                }
                let problem = Some(Problem::TakenBack);
                self.accept(cx, Received { problem, ..cap }).await.map(|_| ())
            }
            Some(Ending::Ended) => {
                let end = end();
                match self.accept(cx, cap).await? {
                    // Ours ends where it came from.
                    Acceptance::Loop => Ok(()),
                    Acceptance::Accepted
                    | Acceptance::Repeat
                    | Acceptance::Linked
                    | Acceptance::Quarantined => self.accept(cx, end).await.map(|_| ()),
                }
            }
        }
    }

    async fn accept(&self, cx: &SourceContext, received: Received) -> Result<Acceptance, SourceError> {
        let acceptance = cx.accept.accept(&cx.origin, received).await.map_err(not_accepted)?;
        debug!(origin = %cx.origin, ?acceptance, "entry handed over");
        Ok(acceptance)
    }

    /// Asks for the CAP document of an entry.
    async fn enclosure(&self, cx: &SourceContext, href: &str) -> Fetched {
        let Some(url) = self.hub.own(href) else {
            warn!(origin = %cx.origin, "an enclosure is not at the hub and is not fetched");
            return Fetched::Nothing;
        };
        let shown = Shown(&url).to_string();
        let (why, fetched) = match self.hub.get(&cx.http, url, self.max_enclosure_bytes).await {
            Ok(reply @ Reply { status_code: 200, .. }) if !reply.truncated => {
                if Element::read(&reply.body).is_ok_and(|root| root.name == "alert") {
                    return Fetched::Cap(reply.body);
                }
                ("no alert".to_owned(), Fetched::NoAlert(reply.body))
            }
            Ok(reply) if reply.truncated => ("larger than max_enclosure_bytes".to_owned(), Fetched::Nothing),
            Ok(reply) => (format!("status {}", reply.status_code), Fetched::Nothing),
            Err(error) => (error.to_string(), Fetched::Nothing),
        };
        warn!(origin = %cx.origin, url = shown, error = why, "an enclosure could not be fetched");
        fetched
    }
}

/// What came for an enclosure.
enum Fetched {
    /// An alert.
    Cap(Bytes),
    /// Something else with status 200. It may be what the author posted, or what something in front of the hub says.
    NoAlert(Bytes),
    /// Not there, too large, or somewhere else than at the hub.
    Nothing,
}

#[derive(Default)]
struct Page {
    entries: Vec<Vec<u8>>,
    strays: Vec<Vec<u8>>,
    complete: bool,
    url: String,
}

/// Entries in the order in which they were last changed, unreadable ones first, so that an alert comes before its
/// update whatever the hub's order is.
fn sorted(documents: &[Vec<u8>]) -> Vec<(&[u8], Option<Entry>)> {
    let mut entries: Vec<_> = documents.iter().map(|d| (d.as_slice(), Entry::read(d).ok())).collect();
    entries.sort_by_key(|(_, entry)| entry.as_ref().and_then(|e| e.updated));
    entries
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;

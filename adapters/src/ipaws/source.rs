//! Reads the public feed: a rolling window of about half an hour, asked for what was posted since a time.
//!
//! Owns the plan of polling. The feed has no history, so silence longer than its window may have lost alerts, and that
//! is told. Each alert is cut out by byte range and handed over as a document of its own: its signature holds only so.

mod order;

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;
use url::Url;

use super::settings::IpawsSourceSettings;
use crate::atom::{FeedError, Wrapper, parts};
use crate::http::{HttpError, Request, Shown};
use crate::settings::{Faults, Files, Secret};
use crate::source::{AcceptError, Form, Problem, Received, Source, SourceContext, SourceError};

/// FEMA asks not to poll more often (February 2026).
const POLITE: Duration = Duration::from_secs(120);

/// The feed's document (ipaws page 3.2): alerts and nothing else.
const ALERTS: Wrapper = Wrapper { name: "alerts", part: "alert", own: &[] };

/// The public feed as a source.
#[derive(Clone, Debug)]
pub struct IpawsSource {
    /// The feed's URL with `{ts}` where the time goes.
    pub(super) template: String,
    pub(super) pin: Option<Secret>,
    pub(super) poll: Duration,
    pub(super) overlap: SignedDuration,
    pub(super) lookback: SignedDuration,
    pub(super) window: SignedDuration,
    pub(super) limit: Duration,
    pub(super) max_feed_bytes: usize,
}

/// What was read so far.
#[derive(Default)]
struct Position {
    /// When the last good answer was asked for.
    since: Option<Timestamp>,
    /// Digests of what was in the last good answer.
    seen: HashSet<Vec<u8>>,
    /// A gap was told and has not ended.
    in_gap: bool,
}

impl Source for IpawsSource {
    type Settings = IpawsSourceSettings;

    fn validate(settings: IpawsSourceSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    async fn run(self, cx: SourceContext) -> Result<(), SourceError> {
        let stored = cx.checkpoint.load(&cx.origin).await.map_err(not_accepted)?;
        let mut position = Position { since: stored.and_then(|t| t.parse().ok()), ..Position::default() };
        let wait = self.wait(&cx);
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
            if cx.unless_stopped(tokio::time::sleep(wait)).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn not_accepted(cause: AcceptError) -> SourceError {
    SourceError::NotAccepted { cause }
}

impl IpawsSource {
    /// The interval, at least the polite one unless the host is one of our own.
    fn wait(&self, cx: &SourceContext) -> Duration {
        let private = Url::parse(&self.template).is_ok_and(|url| cx.http.is_private(&url));
        if self.poll < POLITE && !private {
            warn!(origin = %cx.origin, secs = POLITE.as_secs(), "poll_secs is raised to what FEMA asks for");
            return POLITE;
        }
        self.poll
    }

    async fn poll(&self, cx: &SourceContext, position: &mut Position) -> Result<(), SourceError> {
        let asked_at = cx.clock.now();
        if let Some(since) = position.since
            && asked_at.duration_since(since) > self.window
            && !position.in_gap
        {
            position.in_gap = true;
            cx.contact.gap(&cx.origin, since);
        }
        let from = match position.since {
            Some(since) => since.saturating_sub(self.overlap),
            None => asked_at.saturating_sub(self.lookback),
        };
        let url = self.url(from.unwrap_or(asked_at))?;
        let shown = Shown(&url).to_string();
        let unreachable = |cause: HttpError| SourceError::Unreachable { url: shown.clone(), cause };
        let request = Request::get(url).limit(self.limit).max_reply_bytes(self.max_feed_bytes);
        let reply = cx.unless_stopped(cx.http.send(request)).await?.map_err(unreachable)?;
        if reply.status_code != 200 {
            return Err(SourceError::Refused { url: shown, status_code: reply.status_code });
        }
        if let Some(at) = reply.made_at() {
            cx.contact.told_time(&cx.origin, at);
        }
        let body = reply.whole().map_err(unreachable)?.clone();
        let found = parts(&body, &ALERTS);
        let found = found.map_err(|cause| SourceError::NotAFeed { url: shown.clone(), cause })?;
        let mut page = HashSet::new();
        let mut fresh = |ranges: &[Range<usize>]| {
            let mut all: Vec<Bytes> = ranges.iter().map(|range| body.slice(range.clone())).collect();
            all.retain(|raw| {
                let digest = digest(raw);
                page.insert(digest.clone()) && !position.seen.contains(&digest)
            });
            all
        };
        let strays = fresh(&found.strays).into_iter().map(|raw| (raw, Some(Problem::Stray)));
        let alerts = order::by_sent(fresh(&found.found)).into_iter().map(|raw| (raw, None));
        for (raw, problem) in strays.chain(alerts).collect::<Vec<_>>() {
            let digest = digest(&raw);
            self.hand_over(cx, raw, problem, &shown).await?;
            position.seen.insert(digest);
        }
        if !found.complete {
            return Err(SourceError::NotAFeed { url: shown, cause: FeedError::BreaksOff });
        }
        cx.checkpoint.store(&cx.origin, &asked_at.to_string()).await.map_err(not_accepted)?;
        *position = Position { since: Some(asked_at), seen: page, in_gap: false };
        Ok(())
    }

    async fn hand_over(
        &self,
        cx: &SourceContext,
        raw: Bytes,
        problem: Option<Problem>,
        shown: &str,
    ) -> Result<(), SourceError> {
        let received = Received {
            // A copy of its own: the whole feed must not stay in memory for one alert.
            raw: Bytes::copy_from_slice(&raw),
            form: Form::Cap,
            received_at: cx.clock.now(),
            remote_id: Some(shown.to_owned()),
            is_revision: false,
            problem,
        };
        cx.accept.accept(&cx.origin, received).await.map_err(not_accepted)?;
        Ok(())
    }

    /// The URL for what was posted since a time. The feed writes `Z`, unlike CAP.
    fn url(&self, since: Timestamp) -> Result<Url, SourceError> {
        let at = strtime::format("%Y-%m-%dT%H:%M:%SZ", since).unwrap_or_default();
        let text = self.template.replace("{ts}", &at);
        let mut url = Url::parse(&text).map_err(|_| SourceError::Unreachable {
            url: self.template.clone(),
            cause: HttpError::InvalidUrl { problem: crate::http::UrlProblem::Malformed },
        })?;
        if let Some(pin) = &self.pin {
            url.query_pairs_mut().append_pair("pin", pin.expose());
        }
        Ok(url)
    }
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests;

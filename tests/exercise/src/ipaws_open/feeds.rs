//! The All-Hazards Information Feed: a window over what was posted, not a history.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::channels::Channel;
use super::{IpawsOpen, Published};
use crate::clock::instant;
use crate::server::{Answer, Request};
use crate::xml::escape;

/// The path before the feeds' names.
pub const BASE: &str = "/IPAWSOPEN_EAS_SERVICE/rest";
const ATOM: &str = "http://www.w3.org/2005/Atom";

impl IpawsOpen {
    /// Answers a feed request.
    pub(super) fn feed(&self, request: &Request, path: &str) -> Answer {
        // INFERRED: a PIN that is not asked for is ignored.
        if self.settings.pin.is_some() && request.parameter("pin") != self.settings.pin.as_deref() {
            return Answer::refusal(403, "Forbidden");
        }
        if request.method != "GET" {
            return Answer::unexpected(request);
        }
        let pieces: Vec<_> = path.trim_matches('/').split('/').collect();
        let wanted: &[Channel] = match pieces.as_slice() {
            ["feed"] => return self.index(request, true),
            ["update"] => return self.index(request, false),
            ["eas", id] => return self.single(id),
            ["eas", "recent", _] => &[Channel::Eas],
            ["PublicWEA", "recent", _] => &[Channel::Cmas],
            ["nwem", "recent", _] => &[Channel::Nwem],
            ["public", "recent", _] => &[Channel::Nwem, Channel::Eas, Channel::Cmas, Channel::Public],
            // Recorded replies call an alert on EAS and WEA "not disseminated as non-EAS public".
            ["public_non_eas", "recent", _] => &[Channel::Public],
            _ => return Answer::unexpected(request),
        };
        let since = pieces.get(2).map(|text| text.replace("%3A", ":").replace("%3a", ":"));
        let Some(since) = since.filter(|text| text.ends_with('Z')).and_then(|text| instant(&text)) else {
            return Answer::refusal(400, "the time must be YYYY-MM-DDThh:mm:ssZ");
        };
        let mut body = String::from("<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">");
        for published in self.active(wanted) {
            if published.posted_at >= since {
                body.push_str(&published.alert);
            }
        }
        body.push_str("</ns1:alerts>");
        Answer::new(200, "application/xml", body)
    }

    /// What the feeds of some channels hold now, in the order of posting.
    pub(super) fn active(&self, channels: &[Channel]) -> Vec<Published> {
        let now = self.clock.now();
        let window = SignedDuration::from_secs(self.settings.window_secs);
        let oldest = now.saturating_sub(window).unwrap_or(now);
        let in_window = |published: &&Published| {
            published.posted_at <= now
                && published.posted_at >= oldest
                && published.expires_at.is_none_or(|at| at > now)
        };
        let mut active: Vec<_> = self
            .state()
            .published
            .iter()
            .filter(|published| published.channels.iter().any(|channel| channels.contains(channel)))
            .filter(in_window)
            .cloned()
            .collect();
        active.sort_by_key(|published| published.posted_at);
        active
    }

    fn single(&self, id: &str) -> Answer {
        let active = self.active(&[Channel::Eas]);
        match active.iter().find(|published| published.id.to_string() == id) {
            Some(published) => Answer::new(200, "application/xml", published.alert.clone()),
            // Found: an expired alert gives 403.
            None => Answer::refusal(403, "Forbidden"),
        }
    }

    /// The Atom index of active EAS alerts, or only its head.
    fn index(&self, request: &Request, with_entries: bool) -> Answer {
        let base = format!("http://{}{BASE}", request.header("host").unwrap_or_default());
        let name = if with_entries { "feed" } else { "update" };
        let active = self.active(&[Channel::Eas]);
        let latest = active.iter().map(|published| published.posted_at).max();
        let mut body = format!(
            "<feed xmlns=\"{ATOM}\"><id>{base}/{name}</id><title type=\"text\">IPAWS EAS feed</title>\
             <updated>{}</updated>",
            millis(latest.unwrap_or_else(|| self.clock.now()))
        );
        for published in active.iter().filter(|_| with_entries) {
            let (own, event) = (format!("{base}/eas/{}", published.id), escape(&published.event));
            let updated = millis(published.posted_at);
            // Writing to a String does not fail.
            let _always = write!(
                body,
                "<entry><title type=\"text\">{event}</title><id>{own}</id><link href=\"{own}\"/>\
                 <updated>{updated}</updated><category term=\"{event}\" label=\"event\"/>"
            );
            for state in &published.states {
                let _always = write!(body, "<category term=\"{}\" label=\"statefips\"/>", escape(state));
            }
            body.push_str("</entry>");
        }
        body.push_str("</feed>");
        Answer::new(200, "application/atom+xml", body)
    }
}

fn millis(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

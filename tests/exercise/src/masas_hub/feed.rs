//! The feed: which entries a query selects, and the document around them.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::entry::{Entry, NAMESPACES};
use super::settings::Order;
use crate::clock::{instant, zulu};
use crate::geometry::{Bounds, numbers};
use crate::server::Request;
use crate::xml::escape;

/// A feed request, read.
#[derive(Debug, Clone, Default)]
pub struct Query {
    since: Option<Timestamp>,
    author: Option<String>,
    not_author: Option<String>,
    update_allow: Option<String>,
    bbox: Option<Bounds>,
    around: Option<(f64, f64, f64)>,
    limit: Option<usize>,
    /// `lang`.
    pub language: Option<String>,
    /// Parameters that no client of the hub is known to send.
    pub unknown: Vec<String>,
}

impl Query {
    /// Reads the parameters; all must hold (INFERRED).
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn read(request: &Request) -> Result<Self, String> {
        let mut query = Self::default();
        let mut circle = [None; 3];
        let [lat, lon, radius] = &mut circle;
        for (name, value) in &request.query {
            let bad = || format!("The value of {name} cannot be read");
            let number = || numbers(value).and_then(|n| n.first().copied()).ok_or_else(bad);
            match name.as_str() {
                "dtsince" => query.since = Some(instant(value).ok_or_else(bad)?),
                "author" => query.author = Some(value.clone()),
                "not_author" => query.not_author = Some(value.clone()),
                "update_allow" => query.update_allow = Some(value.clone()),
                "bbox" => query.bbox = Some(Bounds::from_bbox(value).ok_or_else(bad)?),
                "lat" => *lat = Some(number()?),
                "lon" => *lon = Some(number()?),
                "radius" => *radius = Some(number()?),
                "limit" => query.limit = Some(value.parse().map_err(|_| bad())?),
                "lang" => query.language = Some(value.clone()),
                "secret" | "_dc" => {}
                _ => query.unknown.push(name.clone()),
            }
        }
        query.around = match circle {
            [Some(lat), Some(lon), Some(radius)] => Some((lat, lon, radius)),
            [None, None, None] => None,
            _ => return Err("lat, lon and radius belong together".to_owned()),
        };
        Ok(query)
    }

    fn selects(&self, entry: &Entry, now: Timestamp) -> bool {
        // With dtsince the feed is a history: it compares `updated` (INFERRED) and includes what has expired.
        let in_time = match self.since {
            Some(since) => entry.updated_at >= since,
            None => entry.expires_at > now,
        };
        let is = |uri: &String| same_account(uri, &entry.author_uri);
        let bounds: Vec<_> = entry.draft.shapes.iter().filter_map(crate::geometry::Shape::bounds).collect();
        in_time
            && self.author.as_ref().is_none_or(is)
            && !self.not_author.as_ref().is_some_and(is)
            && self.update_allow.as_ref().is_none_or(|uri| may_update(entry, uri))
            && self.bbox.is_none_or(|bbox| bounds.iter().any(|own| own.meets(&bbox)))
            && self
                .around
                .is_none_or(|(lat, lon, radius)| bounds.iter().any(|own| own.distance_m(lat, lon) <= radius))
    }

    /// The entries of the feed, in its order.
    pub fn select<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry>,
        now: Timestamp,
        order: Order,
        default_limit: Option<usize>,
    ) -> Vec<&'a Entry> {
        let mut selected: Vec<_> = entries.filter(|entry| self.selects(entry, now)).collect();
        selected.sort_by_key(|entry| entry.updated_at);
        if order == Order::Newest {
            selected.reverse();
        }
        selected.truncate(self.limit.or(default_limit).unwrap_or(usize::MAX));
        selected
    }
}

/// Account URIs are equal but for one slash at the end (INFERRED).
pub fn same_account(one: &str, other: &str) -> bool {
    one.strip_suffix('/').unwrap_or(one) == other.strip_suffix('/').unwrap_or(other)
}

/// The author may; others if `mec:update` says `all` or (INFERRED) lists them.
pub fn may_update(entry: &Entry, account: &str) -> bool {
    let listed = |update: &String| {
        update.split_ascii_whitespace().any(|word| word == "all" || same_account(word, account))
    };
    same_account(&entry.author_uri, account) || entry.draft.update.as_ref().is_some_and(listed)
}

/// Writes a feed in the shape of the real ones.
pub fn document(hub: &Hub<'_>, own_url: &str, entries: &[&Entry], language: Option<&str>) -> String {
    let Hub { name, hub_url, now } = hub;
    let updated = entries.iter().map(|entry| entry.updated_at).max().unwrap_or(*now);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><feed{NAMESPACES}><author><name>{}</name><uri>{hub_url}</uri>\
         </author><generator version=\"0.2\">MASAS Hub</generator><id>{own_url}</id><link href=\"{own_url}\" \
         rel=\"self\" /><title type=\"text\">Entries</title><updated>{}</updated>",
        escape(name),
        zulu(updated)
    );
    for entry in entries {
        // Writing to a String does not fail.
        let _always = write!(out, "{}", entry.xml(&format!("{hub_url}/feed"), language, false));
    }
    out.push_str("</feed>");
    out
}

/// What a feed says about its hub.
#[derive(Debug, Clone, Copy)]
pub struct Hub<'a> {
    /// Name.
    pub name: &'a str,
    /// `…/hub`.
    pub hub_url: &'a str,
    /// Now.
    pub now: Timestamp,
}

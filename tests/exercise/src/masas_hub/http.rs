//! The hub's addresses: which request does what. The rules of the hub itself are in its parent.

use super::entry::CAP_TYPE;
use super::{ATOM_TYPE, Account, Entry, MasasHub, Refusal, feed, no_entry};
use crate::server::{Answer, Request, Site};

impl Site for MasasHub {
    fn answer(&self, request: &Request) -> Answer {
        match self.route(request) {
            Ok(answer) => answer,
            Err((401, _)) if self.settings.redirects_bad_secret => Answer::refusal(302, "Invalid Access ID")
                .with_header("location", format!("{}/login", self.base_url)),
            Err((status, text)) => Answer::refusal(status, &text),
        }
    }
}

impl MasasHub {
    fn route(&self, request: &Request) -> Result<Answer, Refusal> {
        let pieces: Vec<_> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), pieces.as_slice()) {
            ("GET", ["api", "check_access"]) => self.check_access(request),
            ("GET", ["hub", "feed"]) => self.get_feed(request),
            ("POST", ["hub", "feed"]) => self.post(request),
            ("GET", ["hub", "feed", id]) => {
                self.authorised(request)?;
                Ok(self.entry_answer(200, &self.find(id)?))
            }
            ("PUT", ["hub", "feed", id]) => self.put(request, id),
            ("GET", ["hub", "feed", id, "content", n]) => self.get_content(request, id, n),
            ("PUT", ["hub", "feed", id, "content"]) => {
                let account = self.writer(&self.authorised(request)?.secret)?;
                let full = request.header("content-type").unwrap_or_default();
                let entry = self.replace_content(account, id, &request.media_type(), full, &request.body)?;
                Ok(self.entry_answer(200, &entry))
            }
            ("GET", ["hub", "feed", id, "history"]) => self.get_history(request, id),
            _ => Ok(Answer::unexpected(request)),
        }
    }

    /// The account of a request: by the header, else by the query.
    fn authorised(&self, request: &Request) -> Result<&Account, Refusal> {
        let header = request.header("authorization").and_then(|value| value.strip_prefix("MASAS-Secret "));
        self.account(header.map(str::trim).or_else(|| request.parameter("secret")).unwrap_or_default())
    }

    fn check_access(&self, request: &Request) -> Result<Answer, Refusal> {
        let account = self.authorised(request)?;
        let queried = self.account(request.parameter("query_secret").unwrap_or(&account.secret))?;
        // Only `uri` is known to be there.
        let body = serde_json::json!({ "uri": queried.uri, "name": queried.name });
        Ok(Answer::new(200, "application/json", body.to_string()))
    }

    fn get_feed(&self, request: &Request) -> Result<Answer, Refusal> {
        self.authorised(request)?;
        if let Some(last) = self.settings.replay.len().checked_sub(1) {
            let mut state = self.state();
            if let Some(shown) = &state.shown {
                return Ok(Answer::new(200, ATOM_TYPE, shown.clone()));
            }
            let body = self.settings.replay.get(state.replayed.min(last)).cloned().unwrap_or_default();
            state.replayed += 1;
            return Ok(Answer::new(200, ATOM_TYPE, body));
        }
        let query = feed::Query::read(request).map_err(|text| (400, text))?;
        let (now, hub_url) = (self.clock.now(), self.hub_url());
        let state = self.state();
        let entries = state.entries.iter().map(|stored| &stored.now);
        let selected = query.select(entries, now, self.settings.order, self.settings.default_limit);
        let hub = feed::Hub { name: &self.settings.name, hub_url: &hub_url, now };
        let own = format!("{hub_url}/feed");
        let body = feed::document(&hub, &own, &selected, query.language.as_deref());
        let expected = query.unknown.is_empty();
        Ok(Answer { expected, ..Answer::new(200, ATOM_TYPE, body) })
    }

    fn post(&self, request: &Request) -> Result<Answer, Refusal> {
        let account = self.writer(&self.authorised(request)?.secret)?;
        let media_type = request.media_type();
        let content = match media_type.as_str() {
            ATOM_TYPE => (self.read_atom(&request.body)?, Vec::new()),
            CAP_TYPE => self.read_cap(&request.body, None)?,
            other => {
                let full = request.header("content-type").unwrap_or_default();
                let (entry, attachments) = self.parts(other, full, &request.body)?;
                let entry = entry.ok_or_else(|| (400, "The first part must be the entry".to_owned()))?;
                (self.read_atom(&entry)?, attachments)
            }
        };
        let entry = self.create(account, &content)?;
        Ok(self.entry_answer(self.settings.created_status, &entry))
    }

    fn put(&self, request: &Request, id: &str) -> Result<Answer, Refusal> {
        let account = self.writer(&self.authorised(request)?.secret)?;
        if request.media_type() != ATOM_TYPE {
            return Err((415, format!("This hub does not take {} here", request.media_type())));
        }
        let draft = self.read_atom(&request.body)?;
        let entry = self.change(account, id, |entry| entry.draft = draft)?;
        Ok(self.entry_answer(200, &entry))
    }

    fn get_content(&self, request: &Request, id: &str, n: &str) -> Result<Answer, Refusal> {
        self.authorised(request)?;
        let entry = self.find(id)?;
        let file = n.parse().ok().and_then(|n: usize| entry.enclosures.get(n)).ok_or_else(no_entry)?;
        Ok(Answer::new(200, &file.media_type, file.content.clone()))
    }

    /// INFERRED: the earlier revisions, last first.
    fn get_history(&self, request: &Request, id: &str) -> Result<Answer, Refusal> {
        self.authorised(request)?;
        self.find(id)?;
        let revisions = self.revisions(id);
        let earlier: Vec<_> = revisions.iter().rev().skip(1).collect();
        let hub_url = self.hub_url();
        let hub = feed::Hub { name: &self.settings.name, hub_url: &hub_url, now: self.clock.now() };
        let own = format!("{hub_url}/feed/{id}/history");
        Ok(Answer::new(200, ATOM_TYPE, feed::document(&hub, &own, &earlier, None)))
    }

    fn entry_answer(&self, status: u16, entry: &Entry) -> Answer {
        let url = format!("{}/feed", self.hub_url());
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{}", entry.xml(&url, None, true));
        let answer = Answer::new(status, "application/atom+xml;type=entry", body);
        // AtomPub names the new member; that the hub does so is INFERRED.
        if status == 201 { answer.with_header("location", format!("{url}/{}", entry.id)) } else { answer }
    }
}

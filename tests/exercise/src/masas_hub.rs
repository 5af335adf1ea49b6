//! A MASAS hub: an AtomPub-like store of entries, polled by its clients.
//!
//! Reconstructed from public clients and real feeds; no hub code or API document is public. What is
//! only inferred is a setting or is marked INFERRED. It knows nothing of the bridge.

mod derive;
mod entry;
mod feed;
mod http;
mod icons;
mod multipart;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use uuid::Uuid;

pub use entry::{CAP_TYPE, Category, Draft, Enclosure, Entry, Text};
pub use settings::{Account, Mode, Order, Permission, Settings};

use crate::cap::Alert;
use crate::clock::Clock;
use crate::server::{self, Running};
use crate::xml::{document, utf8};

const ATOM_TYPE: &str = "application/atom+xml";

/// A hub that runs in memory.
#[derive(Debug)]
pub struct MasasHub {
    settings: Settings,
    base_url: String,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Stored>,
    replayed: usize,
    shown: Option<Bytes>,
}

#[derive(Debug)]
struct Stored {
    now: Entry,
    /// Earlier revisions, oldest first.
    before: Vec<Entry>,
}

/// A refusal: status and a text for a person.
type Refusal = (u16, String);

impl MasasHub {
    /// Starts a hub on a free port of the loopback interface.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(settings: Settings, clock: Clock) -> std::io::Result<Running<Self>> {
        Self::serve(settings, clock, server::loopback().await?)
    }

    /// Starts a hub on a listener.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn serve(settings: Settings, clock: Clock, listener: TcpListener) -> std::io::Result<Running<Self>> {
        let hub = Self::new(settings, clock, format!("http://{}", listener.local_addr()?));
        Self::resume(Arc::new(hub), listener)
    }

    /// Serves a hub that was stopped, with all it holds. Its addresses stay those of its first start, so
    /// `listener` should be on the same port.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn resume(hub: Arc<Self>, listener: TcpListener) -> std::io::Result<Running<Self>> {
        let (clock, log) = (hub.clock.clone(), hub.settings.log);
        server::serve(hub, listener, clock, log)
    }

    fn new(mut settings: Settings, clock: Clock, base_url: String) -> Self {
        for account in &mut settings.accounts {
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, account.secret.as_bytes());
            account.uri.get_or_insert_with(|| format!("{base_url}/accounts/user/{id}"));
        }
        Self { settings, base_url, clock, state: Mutex::default() }
    }

    /// `http://ADDR/hub`: the base address that clients are given.
    #[must_use]
    pub fn hub_url(&self) -> String {
        format!("{}/hub", self.base_url)
    }

    /// The account URI of an access code.
    #[must_use]
    pub fn account_uri(&self, secret: &str) -> Option<String> {
        self.settings.accounts.iter().find(|account| account.secret == secret)?.uri.clone()
    }

    /// Shows a recorded feed, byte for byte, from now on. For a hub that replays (`Settings::replay`).
    pub fn show(&self, feed: Bytes) {
        self.state().shown = Some(feed);
    }

    /// All entries as they are now, first posted first, expired ones too.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.state().entries.iter().map(|stored| stored.now.clone()).collect()
    }

    /// All revisions of an entry, oldest first, the present one last.
    #[must_use]
    pub fn revisions(&self, id: &str) -> Vec<Entry> {
        let state = self.state();
        let stored = state.entries.iter().find(|stored| stored.now.id == id);
        stored.map(|stored| stored.before.iter().chain([&stored.now]).cloned().collect()).unwrap_or_default()
    }

    /// Posts a CAP alert as an account, as `POST /hub/feed` does.
    ///
    /// # Errors
    /// The status and the text of the refusal.
    pub fn post_cap(&self, secret: &str, cap: &[u8]) -> Result<Entry, (u16, String)> {
        self.create(self.writer(secret)?, &self.read_cap(cap, None)?)
    }

    /// Posts an Atom entry as an account.
    ///
    /// # Errors
    /// The status and the text of the refusal.
    pub fn post_entry(&self, secret: &str, atom: &[u8]) -> Result<Entry, (u16, String)> {
        self.create(self.writer(secret)?, &(self.read_atom(atom)?, Vec::new()))
    }

    /// Posts an Update or Cancel of an entry that holds CAP, as `PUT <entry>/content` does.
    ///
    /// # Errors
    /// The status and the text of the refusal.
    pub fn update_cap(&self, secret: &str, id: &str, cap: &[u8]) -> Result<Entry, (u16, String)> {
        self.replace_content(self.writer(secret)?, id, CAP_TYPE, "", cap)
    }

    /// Replaces an entry, as `PUT <entry>` does.
    ///
    /// # Errors
    /// The status and the text of the refusal.
    pub fn put_entry(&self, secret: &str, id: &str, atom: &[u8]) -> Result<Entry, (u16, String)> {
        let account = self.writer(secret)?;
        let draft = self.read_atom(atom)?;
        self.change(account, id, |entry| entry.draft = draft)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, secret: &str) -> Result<&Account, Refusal> {
        let found = self.settings.accounts.iter().find(|account| account.secret == secret);
        found.ok_or_else(|| (401, "Invalid Access ID".to_owned()))
    }

    fn writer(&self, secret: &str) -> Result<&Account, Refusal> {
        let account = self.account(secret)?;
        match account.permission {
            Permission::Write => Ok(account),
            Permission::Read => Err((403, "This account may not post".to_owned())),
        }
    }

    fn read_atom(&self, body: &[u8]) -> Result<Draft, Refusal> {
        let text = utf8(body).map_err(bad_xml)?;
        let parsed = document(text).map_err(bad_xml)?;
        let draft = Draft::read(parsed.root_element()).map_err(|text| (400, text.to_owned()))?;
        self.check_status(draft.terms("status").next().unwrap_or_default())?;
        Ok(draft)
    }

    fn read_cap(&self, body: &[u8], earlier: Option<&Entry>) -> Result<(Draft, Vec<Enclosure>), Refusal> {
        let text = utf8(body).map_err(bad_xml)?;
        let parsed = document(text).map_err(bad_xml)?;
        let alert =
            Alert::read(parsed.root_element()).map_err(|error| (400, format!("Invalid CAP: {error}")))?;
        self.check_status(&alert.status)?;
        if let Some(earlier) = earlier {
            check_successor(&alert, earlier)?;
        }
        let draft = derive::draft(&alert, earlier.map(|entry| &entry.draft), self.clock.now())
            .map_err(|text| (400, format!("Invalid CAP: {text}")))?;
        if draft.shapes.is_empty() && self.settings.needs_position {
            let text =
                "Invalid CAP: the alert has no position, neither an event location nor an area with a shape";
            return Err((400, text.to_owned()));
        }
        let content = Bytes::copy_from_slice(body);
        let enclosure = Enclosure { media_type: CAP_TYPE.to_owned(), title: "CAP".to_owned(), content };
        Ok((draft, vec![enclosure]))
    }

    fn check_status(&self, status: &str) -> Result<(), Refusal> {
        let statuses = self.settings.statuses.clone().unwrap_or_else(|| self.settings.mode.statuses());
        if statuses.iter().any(|taken| taken == status) {
            return Ok(());
        }
        Err((400, format!("The status {status} is not allowed on this hub ({:?})", self.settings.mode)))
    }

    fn create(&self, account: &Account, content: &(Draft, Vec<Enclosure>)) -> Result<Entry, Refusal> {
        let (draft, enclosures) = content.clone();
        let now = self.clock.now();
        let entry = Entry {
            id: Uuid::new_v4().to_string(),
            author_uri: account.uri.clone().unwrap_or_default(),
            author_name: account.name.clone(),
            author_email: account.email.clone(),
            published_at: now,
            updated_at: now,
            is_edited: false,
            expires_at: self.end_of(&draft),
            draft,
            enclosures,
        };
        self.state().entries.push(Stored { now: entry.clone(), before: Vec::new() });
        Ok(entry)
    }

    fn end_of(&self, draft: &Draft) -> jiff::Timestamp {
        let now = self.clock.now();
        let default = SignedDuration::from_secs(self.settings.default_expiry_secs);
        draft.expires_at.unwrap_or_else(|| now.saturating_add(default).unwrap_or(now))
    }

    /// Changes an entry and keeps the revision before.
    fn change(&self, account: &Account, id: &str, change: impl FnOnce(&mut Entry)) -> Result<Entry, Refusal> {
        let now = self.clock.now();
        let mut state = self.state();
        let stored = state.entries.iter_mut().find(|stored| stored.now.id == id).ok_or_else(no_entry)?;
        if !feed::may_update(&stored.now, account.uri.as_deref().unwrap_or_default()) {
            return Err((403, "Only the author may update this entry".to_owned()));
        }
        stored.before.push(stored.now.clone());
        let entry = &mut stored.now;
        change(entry);
        (entry.updated_at, entry.is_edited) = (now, true);
        entry.expires_at = self.end_of(&entry.draft);
        Ok(entry.clone())
    }

    fn replace_content(
        &self,
        account: &Account,
        id: &str,
        media_type: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Entry, Refusal> {
        if media_type == CAP_TYPE {
            let earlier = self.find(id)?;
            let (mut draft, enclosures) = self.read_cap(body, Some(&earlier))?;
            draft.update = earlier.draft.update;
            return self.change(account, id, |entry| (entry.draft, entry.enclosures) = (draft, enclosures));
        }
        // INFERRED: the attachment set is replaced by the parts of a multipart body.
        let (_, attachments) = self.parts(media_type, content_type, body)?;
        self.change(account, id, |entry| entry.enclosures = attachments)
    }

    fn find(&self, id: &str) -> Result<Entry, Refusal> {
        let state = self.state();
        let stored = state.entries.iter().find(|stored| stored.now.id == id);
        stored.map(|stored| stored.now.clone()).ok_or_else(no_entry)
    }

    /// The entry (if the first part is one) and the attachments of a multipart body.
    fn parts(
        &self,
        media_type: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<(Option<Bytes>, Vec<Enclosure>), Refusal> {
        if media_type != "multipart/related" {
            return Err((415, format!("This hub does not take {media_type} here")));
        }
        let mut parts = multipart::split(content_type, body).map_err(|text| (400, text.to_owned()))?;
        let leads_with_entry = parts.first().is_some_and(|part| part.media_type == ATOM_TYPE);
        let entry = leads_with_entry.then(|| parts.remove(0).content);
        let mut attachments = Vec::new();
        for part in parts {
            if !self.settings.attachment_types.contains(&part.media_type) {
                return Err((415, format!("Attachments of type {} are not allowed", part.media_type)));
            }
            if part.content.len() > self.settings.attachment_limit_bytes {
                return Err((413, "An attachment is too large".to_owned()));
            }
            let multipart::Part { media_type, title, content } = part;
            attachments.push(Enclosure { media_type, title, content });
        }
        Ok((entry, attachments))
    }
}

fn bad_xml(error: crate::xml::XmlError) -> Refusal {
    use std::error::Error as _;
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    (400, format!("Invalid XML: {error}{cause}"))
}

fn no_entry() -> Refusal {
    (404, "There is no such entry".to_owned())
}

/// Rules of the posting tool that the hub is taken to share (INFERRED).
fn check_successor(alert: &Alert, earlier: &Entry) -> Result<(), Refusal> {
    let refused = |text: &str| Err((400, text.to_owned()));
    let text = earlier.cap().and_then(|cap| utf8(cap).ok()).unwrap_or_default();
    let before = document(text).ok().and_then(|parsed| Alert::read(parsed.root_element()).ok());
    let Some(before) = before else {
        return refused("This entry holds no CAP alert");
    };
    if before.msg_type == "Cancel" {
        return refused("This alert is cancelled and may not be used again");
    }
    if !["Update", "Cancel"].contains(&alert.msg_type.as_str()) {
        return refused("A CAP alert is changed by an Update or a Cancel");
    }
    if alert.references.is_empty() {
        return refused("An Update or Cancel needs references");
    }
    Ok(())
}

//! IPAWS-OPEN: the SOAP interface that COGs post to and the public feeds.
//!
//! Written from public clients' code, fixtures and real alerts; nothing was tried against FEMA. What
//! is only inferred is a setting, is marked in `data/ipaws-status-codes.tsv`, or is marked INFERRED.

mod channels;
mod feeds;
mod group;
mod inquiry;
mod post;
mod rules;
mod settings;
mod soap;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::net::TcpListener;

pub use channels::Channel;
pub use group::Group;
pub use settings::{Cog, Settings};

use crate::cap::Alert;
use crate::clock::{Clock, instant};
use crate::server::{self, Answer, Request, Running, Site};
use crate::signature::{Certificate, SignatureError, verify_envelope};
use crate::xml::{document, utf8};
use soap::{Logon, Operation, SERVICE};

/// The path of the SOAP interface.
pub const SOAP_PATH: &str = "/IPAWS_CAPService/IPAWS";
pub use feeds::BASE as FEED_PATH;

/// IPAWS-OPEN in memory.
#[derive(Debug)]
pub struct IpawsOpen {
    settings: Settings,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    posts: Vec<Post>,
    published: Vec<Published>,
}

/// An alert that was posted, refused ones too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// When, by the simulator's clock.
    pub at: Timestamp,
    /// Who logged on.
    pub user: String,
    /// For which COG.
    pub cog_id: u32,
    /// The alert's bytes.
    pub alert: String,
    /// `identifier`, empty if it could not be read.
    pub identifier: String,
    /// What was answered.
    pub groups: Vec<Group>,
    /// Whether the alert itself was taken (channels may still have refused it).
    pub is_accepted: bool,
}

/// An alert that COGs can fetch and, if it has channels, that is in the feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The number in `eas/{id}`.
    pub id: u64,
    /// When it was posted.
    pub posted_at: Timestamp,
    /// The latest `expires` of its blocks.
    pub expires_at: Option<Timestamp>,
    /// The alert element's bytes.
    pub alert: String,
    /// `sender,identifier,sent`.
    pub reference: String,
    /// Its own `references`.
    pub references: Vec<String>,
    /// `identifier`.
    pub identifier: String,
    /// `sent`.
    pub sent_at: Option<Timestamp>,
    /// The COG that posted it, if one did.
    pub cog_id: Option<u32>,
    /// `addresses`.
    pub addresses: Vec<String>,
    /// Whether it is Private.
    pub is_private: bool,
    /// Its channels.
    pub channels: Vec<Channel>,
    /// The SAME event code.
    pub event: String,
    /// The states of its SAME geocodes, two digits.
    pub states: Vec<String>,
}

/// Why an alert cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is not XML.
    #[error("the document cannot be read")]
    Unreadable {
        /// Why.
        #[source]
        cause: crate::xml::XmlError,
    },
    /// It is no alert.
    #[error("the document is no alert that could be published")]
    NoAlert {
        /// Why.
        #[source]
        cause: crate::cap::CapError,
    },
    /// A folder cannot be read.
    #[error("reading {path} failed", path = path.display())]
    Folder {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

impl IpawsOpen {
    /// Starts the simulator on a free port of the loopback interface.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(settings: Settings, clock: Clock) -> std::io::Result<Running<Self>> {
        Self::serve(settings, clock, server::loopback().await?)
    }

    /// Starts the simulator on a listener.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn serve(settings: Settings, clock: Clock, listener: TcpListener) -> std::io::Result<Running<Self>> {
        Self::resume(Arc::new(Self { settings, clock, state: Mutex::default() }), listener)
    }

    /// Serves a simulator that was stopped, with all it holds.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn resume(ipaws: Arc<Self>, listener: TcpListener) -> std::io::Result<Running<Self>> {
        let (clock, log) = (ipaws.clock.clone(), ipaws.settings.log);
        server::serve(ipaws, listener, clock, log)
    }

    /// Puts a (signed) alert into the feeds as another system's post, byte for byte, now. Channels follow
    /// its BLOCKCHANNEL parameters; it is not checked.
    ///
    /// # Errors
    /// If it is no alert.
    pub fn publish(&self, alert: &[u8]) -> Result<Published, PublishError> {
        self.publish_at(alert, self.clock.now())
    }

    /// Like [`IpawsOpen::publish`], but posted at `at`: it is in no feed before the clock says so.
    ///
    /// # Errors
    /// If it is no alert.
    pub fn publish_at(&self, alert: &[u8], at: Timestamp) -> Result<Published, PublishError> {
        let text = utf8(alert).map_err(|cause| PublishError::Unreadable { cause })?;
        let parsed = document(text).map_err(|cause| PublishError::Unreadable { cause })?;
        let root = parsed.root_element();
        let read = Alert::read(root).map_err(|cause| PublishError::NoAlert { cause })?;
        let own = text.get(root.range()).unwrap_or(text);
        Ok(self.store(&read, own, at, None, &Cog::new(0, "another system")).0)
    }

    /// Puts bytes into the feeds in place of an alert: what a damaged document on its way looks like.
    ///
    /// # Errors
    /// If `alert`, whose place they take, is no alert.
    pub fn publish_damaged(&self, alert: &[u8], shown: &str) -> Result<Published, PublishError> {
        let text = utf8(alert).map_err(|cause| PublishError::Unreadable { cause })?;
        let parsed = document(text).map_err(|cause| PublishError::Unreadable { cause })?;
        let read = Alert::read(parsed.root_element()).map_err(|cause| PublishError::NoAlert { cause })?;
        Ok(self.store(&read, shown, self.clock.now(), None, &Cog::new(0, "another system")).0)
    }

    /// Loads the alerts of a folder (`*.xml`), each posted at its own `sent`; give the simulator a clock
    /// that runs through that time. Files that hold no alert are passed over; says how many were loaded.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn replay_folder(&self, folder: &Path) -> Result<usize, PublishError> {
        let failed = |cause| PublishError::Folder { path: folder.to_owned(), cause };
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .map_err(failed)?
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
            .collect();
        paths.sort();
        let mut loaded = 0;
        for path in paths {
            let bytes = std::fs::read(&path).map_err(failed)?;
            let sent = utf8(&bytes).ok().and_then(|text| {
                let parsed = document(text).ok()?;
                instant(&Alert::read(parsed.root_element()).ok()?.sent)
            });
            if let Some(sent) = sent {
                loaded += usize::from(self.publish_at(&bytes, sent).is_ok());
            }
        }
        Ok(loaded)
    }

    /// Every alert that was posted through SOAP, refused ones too, in order.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        self.state().posts.clone()
    }

    /// Every alert that was taken or published, expired ones too, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.state().published.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cog(&self, id: u32) -> Option<&Cog> {
        self.settings.cogs.iter().find(|cog| cog.id == id)
    }

    /// Keeps an alert and says on which channels it is out.
    fn store(
        &self,
        alert: &Alert,
        bytes: &str,
        at: Timestamp,
        cog_id: Option<u32>,
        cog: &Cog,
    ) -> (Published, Vec<Group>) {
        let mut state = self.state();
        let referenced =
            state.published.iter().filter(|earlier| alert.references.contains(&earlier.reference));
        let of_references: Vec<_> = referenced.flat_map(|earlier| earlier.channels.clone()).collect();
        let (channels, groups) = channels::decide(alert, cog, &of_references);
        let info = alert.infos.first();
        let mut states: Vec<_> = alert
            .infos
            .iter()
            .flat_map(|info| info.same())
            .filter_map(|same| same.get(1..3))
            .map(str::to_owned)
            .collect();
        states.sort();
        states.dedup();
        let id = 1_000_000 + u64::try_from(state.published.len()).unwrap_or_default();
        let published = Published {
            id,
            posted_at: at,
            expires_at: alert.expires_at(),
            alert: bytes.to_owned(),
            reference: alert.reference(),
            references: alert.references.clone(),
            identifier: alert.identifier.clone(),
            sent_at: instant(&alert.sent),
            cog_id,
            addresses: alert.addresses.clone(),
            is_private: alert.scope == "Private",
            channels,
            event: info.and_then(|info| info.event_code("SAME").next()).unwrap_or_default().to_owned(),
            states,
        };
        state.published.push(published.clone());
        (published, groups)
    }
}

impl Site for IpawsOpen {
    fn answer(&self, request: &Request) -> Answer {
        if let Some(path) = request.path.strip_prefix(feeds::BASE) {
            return self.feed(request, path);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", SOAP_PATH) => self.soap(request),
            _ => Answer::unexpected(request),
        }
    }
}

impl IpawsOpen {
    fn soap(&self, request: &Request) -> Answer {
        if request.media_type() != "text/xml" {
            // INFERRED: SOAP 1.1 over HTTP demands text/xml.
            return Answer { expected: false, ..Answer::refusal(415, "Unsupported Media Type") };
        }
        let Ok(text) = utf8(&request.body) else {
            return soap::exception("400", "the envelope is not UTF-8");
        };
        let parsed = match document(text) {
            Ok(parsed) => parsed,
            Err(_) => return soap::exception("400", "the envelope is not well-formed"),
        };
        let envelope = parsed.root_element();
        let logon = match self.authenticate(envelope) {
            Ok(logon) => logon,
            Err(fault) => return fault,
        };
        let (name, operation) = match soap::operation(envelope) {
            Some(operation @ Operation::GetRequest(_)) => ("getRequest", operation),
            Some(operation @ Operation::GetMessage(_)) => ("getMessage", operation),
            Some(operation @ Operation::PostCap(_)) => ("postCAP", operation),
            None => return unknown_operation("the body holds no operation of this service"),
        };
        let action = request.header("soapaction").unwrap_or_default().trim_matches('"');
        if action != format!("{SERVICE}{name}") {
            return unknown_operation("SOAPAction does not name the operation");
        }
        match operation {
            Operation::GetRequest(inquiry) => self.get_request(&logon, &inquiry),
            Operation::GetMessage(inquiry) => self.get_message(&logon, &inquiry),
            Operation::PostCap(alert) => self.post_cap(&logon, alert),
        }
    }

    /// The texts are those of the recorded fault for a certificate; the others are INFERRED.
    fn authenticate(&self, envelope: roxmltree::Node<'_, '_>) -> Result<Logon, Answer> {
        let certificate = verify_envelope(envelope).map_err(|error| {
            soap::fault(match error {
                SignatureError::Absent => "SOAPMessage is not signed.",
                SignatureError::Certificate => "SOAPMessage signed with invalid certificate.",
                _ => "SOAPMessage improperly signed.",
            })
        })?;
        if !certificate.is_valid_at(self.clock.now()) {
            let text =
                "SOAPMessage signed with invalid certificate. Check validity date range of certificate.";
            return Err(soap::fault(text));
        }
        if !self.is_known(&certificate) {
            return Err(soap::fault("SOAPMessage signed with invalid certificate. The issuer is not known."));
        }
        let logon =
            soap::logon(envelope).ok_or_else(|| soap::exception("401", "CAPHeaderTypeDef is missing"))?;
        if certificate.cog_id() != Some(logon.cog_id) {
            return Err(soap::exception("401", "logonCogId does not match the certificate"));
        }
        match self.cog(logon.cog_id) {
            Some(cog) if cog.enabled => Ok(logon),
            _ => Err(soap::exception("401", "the COG is not known or not enabled")),
        }
    }

    fn is_known(&self, certificate: &Certificate) -> bool {
        self.settings.authorities.iter().any(|authority| certificate.is_issued_by(authority))
    }
}

fn unknown_operation(text: &str) -> Answer {
    Answer { expected: false, ..soap::exception("400", text) }
}

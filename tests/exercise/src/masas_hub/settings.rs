//! How a hub is set up: its mode, its accounts, and the behaviours that are not known for sure.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a hub is for. The four deployments have the same API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Exercises.
    Exercise,
    /// Real incidents.
    Operations,
    /// For developers.
    Sandbox,
    /// Training of operators.
    Training,
}

impl Mode {
    /// The statuses that a hub of this mode takes. INFERRED: the posting tool's list depends on the
    /// mode, but which values belong to which is not known.
    #[must_use]
    pub fn statuses(self) -> Vec<String> {
        let list: &[&str] = match self {
            Self::Exercise | Self::Training => &["Exercise", "Test", "Draft"],
            Self::Operations => &["Actual", "Exercise", "Test", "Draft"],
            Self::Sandbox => &["Actual", "Exercise", "Test", "Draft", "System"],
        };
        list.iter().map(|status| (*status).to_owned()).collect()
    }
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Reads.
    Read,
    /// Reads and posts, and changes what it may.
    Write,
}

/// An account and its access code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The access code.
    pub secret: String,
    /// Name shown as the author.
    pub name: String,
    /// Account URI; if absent the hub makes one.
    #[serde(default)]
    pub uri: Option<String>,
    /// Address shown with the author.
    #[serde(default)]
    pub email: Option<String>,
    /// What it may do.
    pub permission: Permission,
}

impl Account {
    /// An account that may read and post.
    #[must_use]
    pub fn writer(secret: &str, name: &str) -> Self {
        let (secret, name) = (secret.to_owned(), name.to_owned());
        Self { secret, name, uri: None, email: None, permission: Permission::Write }
    }

    /// An account that may read.
    #[must_use]
    pub fn reader(secret: &str, name: &str) -> Self {
        Self { permission: Permission::Read, ..Self::writer(secret, name) }
    }
}

/// The order of entries in a feed; not known of the real hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Last updated first. INFERRED default.
    Newest,
    /// First updated first.
    Oldest,
}

/// How the hub is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hub's name in its feed.
    pub name: String,
    /// What it is for.
    pub mode: Mode,
    /// Statuses it takes; `None` for those of the mode. INFERRED.
    pub statuses: Option<Vec<String>>,
    /// Who may come.
    pub accounts: Vec<Account>,
    /// A wrong access code gets 302 to a login page instead of 401; both are seen.
    pub redirects_bad_secret: bool,
    /// Seconds until an entry expires that does not say so. The real default is not known: INFERRED.
    pub default_expiry_secs: i64,
    /// Entries in a feed if the request sets no limit. The real default is not known: INFERRED none.
    pub default_limit: Option<usize>,
    /// Order of the feed. INFERRED.
    pub order: Order,
    /// Refuses a CAP alert with no shape and no event location. INFERRED: the posting tool demands a
    /// position of every entry; what the hub makes of geocodes alone is not known.
    pub needs_position: bool,
    /// The status of a successful POST: 200 and 201 are both seen.
    pub created_status: u16,
    /// Types of attachments that are taken. INFERRED: the real list is not known.
    pub attachment_types: Vec<String>,
    /// Bytes that one attachment may have. INFERRED.
    pub attachment_limit_bytes: usize,
    /// Feeds that are served byte for byte instead of a living hub: one for each poll, the last one again
    /// and again.
    pub replay: Vec<Bytes>,
    /// Prints each request.
    pub log: bool,
}

impl Settings {
    /// A hub of this mode with these accounts and the usual behaviour.
    #[must_use]
    pub fn new(mode: Mode, accounts: Vec<Account>) -> Self {
        let types = ["image/jpeg", "image/png", "image/gif", "application/pdf", "text/plain", "audio/mpeg"];
        Self {
            name: format!("{mode:?}"),
            mode,
            statuses: None,
            accounts,
            redirects_bad_secret: false,
            default_expiry_secs: 24 * 60 * 60,
            default_limit: None,
            order: Order::Newest,
            needs_position: true,
            created_status: 201,
            attachment_types: types.map(str::to_owned).to_vec(),
            attachment_limit_bytes: 5 * 1024 * 1024,
            replay: Vec::new(),
            log: false,
        }
    }
}

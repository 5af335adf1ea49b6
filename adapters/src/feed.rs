//! Feeds: an endpoint whose messages are read by their receivers instead of being sent to them.
//!
//! Owns its settings, the entry that a message becomes, and the port to the place where entries are kept. A message counts
//! as delivered when its entry is kept durably. Must not know who reads: the bridge serves the entries.

mod endpoint;
mod entry;
mod settings;

pub use endpoint::{Feed, Keeping, NoShelf, Shelf, ShelfError};
pub use entry::{Entry, EntryArea, EntryInfo};
pub use settings::FeedSettings;

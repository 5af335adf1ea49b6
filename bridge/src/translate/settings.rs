//! What a translation is allowed and told to do: who issues, what a route allows, what an operator sets.
//!
//! Owns defaults and their meaning. Must not decide anything about a message.

use capbridge_adapters::class::Class;

use super::minimise::Purpose;
use super::personal::Kind;

/// Who issues, and what a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the bridge: part of identifiers and of the trace.
    pub bridge_name: String,
    /// CAP `sender` of what is issued.
    pub sender: String,
    /// CAP `source`, at most 30 characters.
    pub source_name: String,
    /// CAP `senderName`, before the original's.
    pub sender_name: String,
    /// Public channels of IPAWS that are opened. Nothing is opened by default.
    pub open_channels: Vec<String>,
    /// Translate also what touches nothing on the far side.
    pub untouched: bool,
    /// Serve alerts that name places by code only through the border-pair table.
    pub notify_neighbours: bool,
    /// The class of the original: the new message says no more of itself.
    pub class: Class,
    /// 0, or how often the identity at the destinations changed (a COG or its key): part of derived identifiers, so that
    /// what is in force can be issued again.
    pub edition: u32,
    /// How often a message may cross the border, by the traces that it carries; `None`: as often as it comes.
    pub max_crossings: Option<u32>,
    /// How many earlier messages of its chain a message names at most; what is in force is always named.
    pub max_references: u32,
    /// How long a message is in force whose original does not say, seconds.
    pub default_expiry_secs: i64,
    /// How long a Cancel is in force that ends at once or does not say, seconds.
    pub cancel_secs: i64,
    /// How long texts may be.
    pub texts: TextLimits,
    /// Why the message crosses the border, and what that lets through.
    pub purpose: Option<Purpose>,
    /// Personal data that is taken out of texts.
    pub masked: Vec<Kind>,
    /// The SAME code where no table knows a code of the message.
    pub fallback_same: String,
    /// The CAP-CP code where no table knows a code of the message.
    pub fallback_cap_cp: String,
}

/// The most characters of texts; `None`: as long as they are. Channels of a destination have limits of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextLimits {
    /// Of a headline.
    pub headline_chars: Option<usize>,
    /// Of a description.
    pub description_chars: Option<usize>,
    /// Of an instruction.
    pub instruction_chars: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bridge_name: "capbridge".into(),
            sender: "capbridge@localhost.invalid".into(),
            source_name: "capbridge".into(),
            sender_name: "capbridge".into(),
            open_channels: Vec::new(),
            untouched: false,
            notify_neighbours: false,
            class: Class::Live,
            edition: 0,
            max_crossings: None,
            max_references: 50,
            default_expiry_secs: 7_200,
            cancel_secs: 3_600,
            texts: TextLimits::default(),
            purpose: None,
            masked: Kind::MASKED.to_vec(),
            // A civil emergency message.
            fallback_same: "CEM".into(),
            fallback_cap_cp: "other".into(),
        }
    }
}

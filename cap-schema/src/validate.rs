//! Rules on the model: what CAP says in prose, and what the national profiles add.
//!
//! Owns which rules belong to which profile. One function for each group of rules; ids, levels and texts are in
//! `rules`. Must not change the alert. What only bytes can show is found by the reader.

mod geometry;
mod message;
mod resource;
mod text;
mod time;

use std::fmt;

pub(crate) use geometry::is_crossed;
pub(crate) use resource::{is_media_type, sha1};
pub(crate) use text::is_language;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::finding::Finding;
use crate::profile;
use crate::rules;

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// CAP itself.
    Cap,
    /// The Canadian Profile, 0.3 to 1.0.
    CapCp,
    /// The IPAWS profile with its channels.
    Ipaws,
}

impl Profile {
    /// The word in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Cap => "cap",
            Profile::CapCp => "cap-cp",
            Profile::Ipaws => "ipaws",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Findings while they are collected.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    left_out: usize,
}

/// Findings that one profile may cost; more are counted.
const MOST: usize = 1_000;

impl Findings {
    pub(crate) fn add(&mut self, rule: &'static str, path: impl Into<String>, message: impl Into<String>) {
        if self.list.len() < MOST {
            self.list.push(rules::finding(rule, path, message));
        } else {
            self.left_out += 1;
        }
    }

    /// How many there are, listed or not.
    fn count(&self) -> usize {
        self.list.len() + self.left_out
    }

    fn into_list(mut self) -> Vec<Finding> {
        if self.left_out > 0 {
            let message = format!("{} more findings are left out", self.left_out);
            self.list.push(rules::finding("cap.more-findings", "/alert", message));
        }
        self.list
    }
}

/// Checks an alert against one profile. `Profile::Cap` is not included in the others.
///
/// Findings have a path and no line; [`Document::locate`](crate::Document::locate) adds it.
pub fn validate(alert: &Alert<'_>, profile: Profile) -> Vec<Finding> {
    let mut findings = Findings::default();
    match profile {
        Profile::Cap => {
            message::check(alert, &mut findings);
            time::check(alert, &mut findings);
            text::check(alert, &mut findings);
            geometry::check(alert, &mut findings);
            resource::check(alert, &mut findings);
        }
        Profile::CapCp => profile::cap_cp::check(alert, &mut findings),
        Profile::Ipaws => profile::ipaws::check(alert, &mut findings),
    }
    findings.into_list()
}

/// The profiles that an alert says it follows; `Profile::Cap` is always the first.
pub fn profiles_of(alert: &Alert<'_>) -> Vec<Profile> {
    let mut profiles = vec![Profile::Cap];
    if profile::cap_cp::claims(alert) {
        profiles.push(Profile::CapCp);
    }
    if profile::ipaws::claims(alert) {
        profiles.push(Profile::Ipaws);
    }
    profiles
}

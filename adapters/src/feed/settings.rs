//! `[endpoint.NAME.feed]`: names, defaults, checks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::Feed;
use crate::endpoint::Profile;
use crate::passage::EndpointName;
use crate::settings::{Faults, Files};
use crate::token::TokenDigest;

/// The shortest token, characters: 16 random bytes as hex are 32, as base64 22.
const TOKEN_CHARS: usize = 22;

/// The table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// What readers see above the entries.
    title: String,
    /// The form of the CAP documents.
    #[serde(default = "as_received")]
    profile: Profile,
    /// Anybody may read it; for what reaches the public only.
    #[serde(default)]
    open: bool,
    /// Who may read it: the name of a subscription and the file of its token.
    #[serde(default)]
    token_files: BTreeMap<String, PathBuf>,
    /// Who may read it as well: the name of a subscription and the SHA-256 of its token, in hex.
    #[serde(default)]
    token_digests: BTreeMap<String, String>,
    /// How long entries are kept after they came or, where that is later, after their alert ended, days, 1 to 400.
    #[serde(default = "seven")]
    keep_days: u32,
}

fn as_received() -> Profile {
    Profile::AsReceived
}

fn seven() -> u32 {
    7
}

impl FeedSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<Feed, Faults> {
        let mut faults = Faults::default();
        if self.title.trim().is_empty() || self.title.chars().any(char::is_control) {
            faults.push("title", "is empty or holds control characters", "say in a line what the feed shows");
        }
        let mut subscriptions: Vec<(String, TokenDigest)> = Vec::new();
        for (name, path) in &self.token_files {
            let key = format!("token_files.{name}");
            let Some(secret) = faults.take(files.secret(&key, path)) else { continue };
            let token = secret.expose();
            if token.chars().count() < TOKEN_CHARS || !token.chars().all(|c| c.is_ascii_graphic() && c != ':')
            {
                faults.push(
                    &key,
                    "is no token of 22 or more visible ASCII characters without colons",
                    remedy(name),
                );
            }
            add(&mut subscriptions, &mut faults, (key, name), TokenDigest::of(token));
        }
        for (name, hex) in &self.token_digests {
            let key = format!("token_digests.{name}");
            match TokenDigest::from_hex(hex) {
                Some(digest) => add(&mut subscriptions, &mut faults, (key, name), digest),
                None => faults.push(key, "is not 64 hex digits", "write what sha256sum says of the token"),
            }
        }
        let is_empty = self.token_files.is_empty() && self.token_digests.is_empty();
        if self.open && !is_empty {
            faults.push("open", "is true, and there are tokens", "leave one of the two out");
        }
        if !self.open && is_empty {
            let remedy =
                "name a file for each subscription, or set open = true for a feed that reaches the public";
            faults.push("token_files", "is empty: nobody could read the feed", remedy);
        }
        if !(1..=400).contains(&self.keep_days) {
            faults.push("keep_days", "is not 1 to 400", "use 7");
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Feed {
            name: EndpointName(String::new()),
            title: self.title.trim().to_owned(),
            profile: self.profile,
            open: self.open,
            subscriptions,
            keep_days: self.keep_days,
        })
    }
}

fn add(
    subscriptions: &mut Vec<(String, TokenDigest)>,
    faults: &mut Faults,
    (key, name): (String, &str),
    digest: TokenDigest,
) {
    if let Some((other, _)) = subscriptions.iter().find(|(_, known)| known.is(&digest)) {
        faults.push(key, format!("is the token of {other} too"), "give each subscription its own");
    }
    subscriptions.push((name.to_owned(), digest));
}

fn remedy(name: &str) -> String {
    format!("make one: `openssl rand -base64 32 | tr '+/' '-_' > {name}.token`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;

    fn faulty(table: &str) -> Vec<String> {
        let files = InMemory::with(&[
            ("a", "0123456789abcdefghijklmnop"),
            ("again", "0123456789abcdefghijklmnop"),
            ("short", "word"),
            ("odd", "0123456789abcdefghij klmnop"),
        ]);
        let table = table.replace("<digest of a>", &TokenDigest::of("0123456789abcdefghijklmnop").hex());
        let settings: FeedSettings = toml::from_str(&table).unwrap();
        settings.validate(&files).err().map_or(Vec::new(), |f| f.0.into_iter().map(|f| f.key).collect())
    }

    #[test]
    fn settings_report_every_fault_at_once() {
        let cases: [(&str, &[&str]); 10] = [
            ("title = \"t\"\nopen = true", &[]),
            ("title = \"t\"\ntoken_files = { one = \"a\" }", &[]),
            ("title = \"t\"\ntoken_digests = { one = \"<digest of a>\" }", &[]),
            (
                "title = \"t\"\ntoken_files = { one = \"a\" }\ntoken_digests = { two = \"<digest of a>\", three = \"x\" }",
                &["token_digests.three", "token_digests.two"],
            ),
            ("title = \"t\"", &["token_files"]),
            ("title = \"t\"\nopen = true\ntoken_files = { one = \"a\" }", &["open"]),
            ("title = \" \"\nkeep_days = 0\nopen = true", &["title", "keep_days"]),
            ("title = \"t\"\ntoken_files = { one = \"a\", two = \"again\" }", &["token_files.two"]),
            (
                "title = \"t\"\ntoken_files = { one = \"short\", two = \"odd\" }",
                &["token_files.one", "token_files.two"],
            ),
            ("title = \"t\"\ntoken_files = { one = \"gone\" }", &["token_files.one"]),
        ];
        for (table, keys) in cases {
            assert_eq!(faulty(table), keys, "{table}");
        }
    }
}

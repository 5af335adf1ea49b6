//! `[endpoint.NAME.email]`: names, defaults, checks.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use serde::Deserialize;

use super::Email;
use super::dkim::Signer;
use crate::endpoint::Profile;
use crate::settings::{Fault, Faults, Files, required_secret};

/// The table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// The host of the mail server.
    server: String,
    /// Its port; 465 with `tls = "implicit"`, 587 with `"starttls"` unless set.
    port: Option<u16>,
    /// When TLS begins.
    #[serde(default)]
    tls: Tls,
    /// The account at the server.
    username: Option<String>,
    /// Its password.
    password_file: Option<PathBuf>,
    /// The sender of the mails: `name@host` or `Name <name@host>`.
    from: String,
    /// The one address that the mails go to.
    to: String,
    /// How the bridge names itself to the server; the domain of `from` unless set.
    hello_name: Option<String>,
    /// The form of the attached CAP document.
    #[serde(default = "as_received")]
    profile: Profile,
    /// The domain that signs (DKIM); the domain of `from` unless set.
    dkim_domain: Option<String>,
    /// The name of the key in that domain's DNS.
    dkim_selector: Option<String>,
    /// The key: PKCS#8 in PEM, RSA of 2048 bits or more, or ed25519.
    dkim_key_file: Option<PathBuf>,
    /// The time for a whole attempt, seconds, 1 to 30.
    #[serde(default = "fifteen")]
    timeout_secs: u64,
}

/// When TLS begins. There is no way without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    /// With the first byte (RFC 8314).
    #[default]
    Implicit,
    /// By command; a server that does not offer it gets nothing.
    Starttls,
}

fn as_received() -> Profile {
    Profile::AsReceived
}

fn fifteen() -> u64 {
    15
}

/// The server and how it is spoken to.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) hello_name: String,
    pub(super) credentials: Option<Credentials>,
}

impl EmailSettings {
    pub(super) fn validate(self, files: &dyn Files) -> Result<Email, Faults> {
        let mut faults = Faults::default();
        let from = faults.take(mailbox("from", &self.from));
        let to = faults.take(mailbox("to", &self.to));
        if !is_host(&self.server) {
            faults.push("server", "is not a host name", "write mail.example.org, without scheme and port");
        }
        let credentials = match (&self.username, &self.password_file) {
            (None, None) => None,
            (Some(user), password_file) => faults
                .take(required_secret(files, "password_file", password_file.as_ref()))
                .map(|password| Credentials::new(user.clone(), password.expose().to_owned())),
            (None, Some(_)) => {
                faults.push("username", "is not set, and password_file is", "name the account");
                None
            }
        };
        let domain = from.as_ref().map(|from| from.email.domain().to_owned()).unwrap_or_default();
        let hello_name = self.hello_name.unwrap_or_else(|| domain.clone());
        if from.is_some() && !is_host(&hello_name) {
            faults.push("hello_name", "is not a host name", "write the name of this machine in DNS");
        }
        let signer = match (&self.dkim_selector, &self.dkim_key_file) {
            (None, None) => {
                if self.dkim_domain.is_some() {
                    faults.push(
                        "dkim_domain",
                        "is set, and nothing signs",
                        "set dkim_selector and dkim_key_file",
                    );
                }
                None
            }
            (Some(selector), Some(path)) => {
                let domain = self.dkim_domain.unwrap_or(domain);
                faults.take(
                    files.secret("dkim_key_file", path).and_then(|key| Signer::new(&domain, selector, &key)),
                )
            }
            (Some(_), None) => {
                faults.push("dkim_key_file", "is not set, and dkim_selector is", "name the key that signs");
                None
            }
            (None, Some(_)) => {
                faults.push(
                    "dkim_selector",
                    "is not set, and dkim_key_file is",
                    "name the key as DNS names it",
                );
                None
            }
        };
        if !(1..=30).contains(&self.timeout_secs) {
            faults.push("timeout_secs", "is not 1 to 30", "use 15");
        }
        let default_port = match self.tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
        };
        let server = Server {
            host: self.server,
            port: self.port.unwrap_or(default_port),
            tls: self.tls,
            hello_name,
            credentials,
        };
        match (from, to, faults.is_empty()) {
            (Some(from), Some(to), true) => Ok(Email {
                server,
                from,
                to,
                profile: self.profile,
                signer,
                limit: Duration::from_secs(self.timeout_secs),
            }),
            (Some(_) | None, _, _) => Err(faults),
        }
    }
}

/// An address that every mail server can take: ASCII, no control characters.
fn mailbox(key: &str, text: &str) -> Result<Mailbox, Fault> {
    let bad = |problem: &str| Fault::new(key, problem, "write name@example.org or Name <name@example.org>");
    if text.chars().any(char::is_control) {
        return Err(bad("has control characters"));
    }
    let mailbox: Mailbox = text.parse().map_err(|_| bad("is not one e-mail address"))?;
    let address: &str = mailbox.email.as_ref();
    if !address.is_ascii() {
        return Err(bad("has characters that not every mail server takes"));
    }
    Ok(mailbox)
}

/// A name of DNS or an address, and nothing that could end an SMTP command.
fn is_host(text: &str) -> bool {
    let address = text.parse::<std::net::IpAddr>().is_ok();
    let name = !text.is_empty()
        && text.len() <= 253
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    address || name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::testing::InMemory;

    fn email(table: &str) -> Result<Email, Vec<String>> {
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        let short = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let files = InMemory::with(&[("word", "secret"), ("ed", &ed25519), ("short", short)]);
        Email::validate(toml::from_str(table).unwrap(), &files)
            .map_err(|faults| faults.0.into_iter().map(|f| f.key).collect())
    }

    //
    #[test]
    fn a_12_settings_report_every_fault_at_once() {
        let cases: [(&str, &[&str]); 9] = [
            ("server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"", &[]),
            (
                "server = \"smtp://m\"\nfrom = \"a\"\nto = \"c@d.test, e@f.test\"\ntimeout_secs = 0",
                &["from", "to", "server", "timeout_secs"],
            ),
            (
                "server = \"m\\r\\nRSET\"\nfrom = \"a@b.test\"\nto = \"c@d.test\\r\\nBcc: x@y.test\"",
                &["to", "server"],
            ),
            ("server = \"m\"\nfrom = \"a@b.test\"\nto = \"müller@d.test\"", &["to"]),
            ("server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"\nusername = \"u\"", &["password_file"]),
            (
                "server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"\npassword_file = \"word\"",
                &["username"],
            ),
            (
                "server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"\nhello_name = \"x y\"\ndkim_selector = \"s\"",
                &["hello_name", "dkim_key_file"],
            ),
            (
                "server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"\ndkim_selector = \"s\"\ndkim_key_file = \"short\"",
                &["dkim_key_file"],
            ),
            (
                "server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"\ndkim_selector = \"s\"\ndkim_key_file = \"ed\"",
                &[],
            ),
        ];
        for (table, keys) in cases {
            assert_eq!(email(table).err().unwrap_or_default(), keys, "{table}");
        }
    }

    #[test]
    fn the_port_follows_the_kind_of_tls_and_there_is_no_way_without_it() {
        let base = "server = \"m\"\nfrom = \"a@b.test\"\nto = \"c@d.test\"\n";
        for (more, port) in [("", 465), ("tls = \"starttls\"", 587), ("port = 2525", 2525)] {
            assert_eq!(email(&format!("{base}{more}")).unwrap().server.port, port, "{more}");
        }
        assert!(toml::from_str::<EmailSettings>(&format!("{base}tls = \"none\"")).is_err());
    }
}

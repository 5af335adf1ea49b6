//! A real mail server: Exim of Debian, as an unprivileged process on free ports, with TLS and an account.
//!
//! Must share no code with the bridge. Takes mail for `duty@…`, says "later" to `greylist@…` and "never" to `nobody@…`.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

use crate::{eventually, free_port};

/// The account that the server knows.
pub const ACCOUNT: (&str, &str) = ("relay", "a word for the relay");
/// The user that it runs as where the tests run as root: a mail server refuses to deliver as root.
const NOBODY: u32 = 65_534;

/// A running server.
pub struct MailServer {
    /// The port for TLS from the first byte.
    pub implicit_port: u16,
    /// The port for STARTTLS.
    pub starttls_port: u16,
    /// The certificate that it shows, which is its own root.
    pub root_pem: String,
    folder: tempfile::TempDir,
    _child: Child,
}

impl MailServer {
    /// Starts one.
    ///
    /// # Errors
    /// Exim is not installed (`make setup`) or does not start.
    pub async fn start() -> Result<MailServer> {
        let folder = tempfile::tempdir()?;
        let (implicit_port, starttls_port) = (free_port()?, free_port()?);
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let root_pem = made.cert.pem();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("crt.pem"), &root_pem)?;
        std::fs::write(at("key.pem"), made.signing_key.serialize_pem())?;
        let own = std::fs::metadata(folder.path())?.uid();
        let user = if own == 0 { NOBODY } else { own };
        std::fs::write(at("exim.conf"), configuration(folder.path(), user, (implicit_port, starttls_port)))?;
        for name in ["spool", "box"] {
            std::fs::create_dir(at(name))?;
        }
        let mut command = Command::new("/usr/sbin/exim4");
        command.arg("-bdf").arg("-C").arg(at("exim.conf")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        if own == 0 {
            for name in ["", "crt.pem", "key.pem", "exim.conf", "spool", "box"] {
                chown(at(name), Some(user), Some(user))?;
            }
            command.uid(user).gid(user);
        }
        std::fs::set_permissions(at("key.pem"), std::fs::Permissions::from_mode(0o600))?;
        let child = command.spawn().context("exim4: run `make setup`")?;
        let server = MailServer { implicit_port, starttls_port, root_pem, folder, _child: child };
        for port in [implicit_port, starttls_port] {
            eventually("the mail server answers", Duration::from_secs(10), || async move {
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
            })
            .await
            .with_context(|| server.log())?;
        }
        Ok(server)
    }

    /// The files of the mails that it has delivered, oldest first.
    pub fn mails(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("box/new");
        let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|all| all.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        found.sort();
        found
    }

    /// What it logged.
    pub fn log(&self) -> String {
        ["mainlog", "rejectlog", "paniclog"]
            .iter()
            .filter_map(|name| std::fs::read_to_string(self.folder.path().join(name)).ok())
            .collect()
    }
}

fn configuration(folder: &Path, user: u32, (implicit, starttls): (u16, u16)) -> String {
    let (folder, (account, word)) = (folder.display(), ACCOUNT);
    format!(
        r#"spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/pid
primary_hostname = mail.example.test
exim_user = {user}
exim_group = {user}
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {starttls} : {implicit}
tls_on_connect_ports = {implicit}
tls_advertise_hosts = *
tls_certificate = {folder}/crt.pem
tls_privatekey = {folder}/key.pem
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
smtp_enforce_sync = true
chunking_advertise_hosts =
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_mail:
  deny message = TLS first
       !encrypted = *
  deny message = log in first
       !authenticated = *
  accept
acl_rcpt:
  defer message = greylisted, come back
       local_parts = greylist
  deny message = no such mailbox
       local_parts = nobody
  accept
acl_data:
  deny message = not as RFC 5322 says
       !verify = header_syntax
  accept
begin routers
all:
  driver = accept
  transport = folder
begin transports
folder:
  driver = appendfile
  directory = {folder}/box
  create_directory
  maildir_format
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{account}}}}}{{eq{{$auth3}}{{{word}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"#
    )
}

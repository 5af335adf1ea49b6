//! The mail endpoint and a server that misbehaves. A real server is in the tests of the whole program.

use std::sync::{Arc, Mutex};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::email::mail::tests::message;
use crate::http::{HttpClient, HttpSettings};
use crate::testing::{InMemory, Stopped};

const CAP: &str = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>I1</identifier>\
    <sender>s@h.test</sender><sent>2026-03-01T12:00:00-05:00</sent><status>Actual</status><msgType>Alert</msgType>\
    <scope>Public</scope><info><category>Safety</category><event>Tornado</event><urgency>Immediate</urgency>\
    <severity>Extreme</severity><certainty>Observed</certainty><area><areaDesc>x</areaDesc></area></info></alert>";

/// What the server does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Odd {
    Nothing,
    /// Answers this instead, after this command.
    Says(&'static str, &'static str),
    /// Hangs up after this command.
    Leaves(&'static str),
    /// Never answers this command.
    Waits(&'static str),
    /// Offers no STARTTLS.
    Plain,
    /// Sends this with the answer to STARTTLS, before TLS.
    Injects(&'static str),
    /// Talks without end.
    Chatters,
}

struct Fake {
    port: u16,
    root: String,
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Fake {
    async fn start(odd: Odd) -> Fake {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let root = made.cert.pem();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(root.as_bytes()).unwrap()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let log = Arc::clone(&heard);
        tasks.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let mut socket = BufReader::new(socket);
                if !talk(&mut socket, odd, &log, true).await {
                    continue;
                }
                if let Ok(tls) = acceptor.accept(socket.into_inner()).await {
                    log.lock().unwrap().push("(TLS)".into());
                    talk(&mut BufReader::new(tls), odd, &log, false).await;
                }
            }
        });
        Fake { port, root, heard, _tasks: tasks }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    async fn deliver(&self, more: &str) -> Result<Receipt, DeliveryError> {
        let table = format!(
            "server = \"localhost\"\nport = {}\ntls = \"starttls\"\nfrom = \"a@bridge.test\"\nto = \"duty@county.test\"\n\
             timeout_secs = 1\n{more}",
            self.port
        );
        let files = InMemory::with(&[("word", "secret")]);
        let email = Email::validate(toml::from_str(&table).unwrap(), &files).unwrap();
        let settings = HttpSettings::new(&["127.0.0.0/8".into(), "::1".into()], Some(&self.root)).unwrap();
        let cx = EndpointContext {
            clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())),
            http: HttpClient::new(settings).unwrap(),
            shelf: Arc::new(crate::feed::NoShelf),
        };
        email.deliver(&cx, &message(CAP, "live", None, "Alert")).await
    }
}

/// Whether STARTTLS was asked for.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut BufReader<S>,
    odd: Odd,
    log: &Mutex<Vec<String>>,
    plain: bool,
) -> bool {
    let mut data = false;
    if plain && !reply(socket, odd, "connect", "220 mail.test\r\n").await {
        return false;
    }
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        if data {
            if line == ".\r\n" {
                data = false;
                log.lock().unwrap().push("(mail)".into());
                if !reply(socket, odd, "(mail)", "250 taken as Q1\r\n").await {
                    return false;
                }
            }
            continue;
        }
        let command = line.trim_end().to_owned();
        log.lock().unwrap().push(command.clone());
        let word = command.split([' ', ':']).next().unwrap().to_owned();
        let answer = match word.as_str() {
            "EHLO" if plain && odd != Odd::Plain => "250-mail.test\r\n250 STARTTLS\r\n",
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n",
            "STARTTLS" => {
                let injected = if let Odd::Injects(text) = odd { text } else { "" };
                socket.write_all(format!("220 go on\r\n{injected}").as_bytes()).await.unwrap();
                return true;
            }
            "AUTH" => "235 welcome\r\n",
            "DATA" => "354 go on\r\n",
            _ => "250 well\r\n",
        };
        if !reply(socket, odd, &word, answer).await {
            return false;
        }
        data = word == "DATA" && !matches!(odd, Odd::Says("DATA", _));
    }
}

async fn reply<S: AsyncWrite + Unpin>(socket: &mut S, odd: Odd, after: &str, usual: &str) -> bool {
    let text = match odd {
        Odd::Leaves(at) if at == after => return false,
        Odd::Waits(at) if at == after => std::future::pending().await,
        Odd::Says(at, text) if at == after => format!("{text}\r\n"),
        Odd::Chatters if after == "MAIL" => "250-and so on\r\n".repeat(100_000),
        _ => usual.to_owned(),
    };
    socket.write_all(text.as_bytes()).await.is_ok()
}

#[derive(Debug, PartialEq)]
enum End {
    Taken,
    Later { unknown: bool },
    Never,
}

fn end(result: &Result<Receipt, DeliveryError>) -> End {
    match result {
        Ok(_) => End::Taken,
        Err(DeliveryError::Temporary { outcome_unknown, .. }) => End::Later { unknown: *outcome_unknown },
        Err(DeliveryError::Permanent { .. }) => End::Never,
    }
}

// F29: what the server says decides; only what was lost after the mail began leaves the outcome open.
#[tokio::test]
async fn a_14_a_18_the_answer_of_the_server_decides_what_comes_next() {
    let later = || End::Later { unknown: false };
    let cases = [
        (Odd::Nothing, End::Taken),
        (Odd::Says("connect", "421 too busy"), later()),
        (Odd::Says("connect", "554 go away"), later()),
        (Odd::Says("MAIL", "451 greylisted"), later()),
        (Odd::Says("RCPT", "451 4.7.1 greylisted, come back"), later()),
        (Odd::Says("RCPT", "550 no such mailbox"), End::Never),
        (Odd::Says("RCPT", "452 mailbox full"), later()),
        (Odd::Says("DATA", "554 no"), End::Never),
        (Odd::Says("(mail)", "451 try again"), later()),
        (Odd::Says("(mail)", "554 5.7.1 spam"), End::Never),
        (Odd::Says("(mail)", "what?"), End::Later { unknown: true }),
        (Odd::Says("MAIL", "250-never\r\n250 ends"), End::Taken),
        (Odd::Leaves("connect"), later()),
        (Odd::Leaves("RCPT"), later()),
        (Odd::Leaves("(mail)"), End::Later { unknown: true }),
        (Odd::Waits("RCPT"), later()),
        (Odd::Waits("(mail)"), End::Later { unknown: true }),
        (Odd::Chatters, later()),
    ];
    for (odd, expected) in cases {
        let fake = Fake::start(odd).await;
        let result = fake.deliver("").await;
        assert_eq!(end(&result), expected, "{odd:?}: {result:?}");
        if let Ok(receipt) = result {
            assert_eq!(receipt.status_code, Some(250));
            assert_eq!(receipt.location.as_deref(), Some("<msg_1@bridge.test>"));
            assert_eq!(receipt.remote_id.as_deref(), Some("taken as Q1"));
        }
    }
}

// A-6, F29: neither a password nor an address leaves before TLS, whatever stands between.
#[tokio::test]
async fn a_6_nothing_is_said_before_tls_and_nothing_from_before_is_believed() {
    let cases = [
        (Odd::Plain, "no STARTTLS"),
        (Odd::Injects("250 AUTH PLAIN\r\n250 well\r\n250 well\r\n"), "more came before TLS"),
        (Odd::Injects("x"), "more came before TLS"),
        (Odd::Says("EHLO", "502 what?"), "502 what?"),
    ];
    for (odd, said) in cases {
        let fake = Fake::start(odd).await;
        let result = fake.deliver("username = \"u\"\npassword_file = \"word\"").await;
        let Err(DeliveryError::Temporary { outcome_unknown: false, cause, .. }) = result else {
            panic!("{odd:?}: {result:?}")
        };
        assert!(cause.to_string().contains(said), "{odd:?}: {cause}");
        let heard = fake.heard();
        assert!(heard.iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"), "{heard:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_or_an_unknown_root_is_refused() {
    let fake = Fake::start(Odd::Nothing).await;
    let other = Fake::start(Odd::Nothing).await;
    let stranger = Fake { root: other.root.clone(), ..fake };
    let Err(DeliveryError::Temporary { outcome_unknown: false, cause, .. }) = stranger.deliver("").await
    else {
        panic!("it was believed")
    };
    assert!(matches!(cause, Refusal::Transport { cause: crate::http::HttpError::Tls { .. } }), "{cause:?}");
}

// an account that is refused can be put right, so the mail waits; the password is in no error.
#[tokio::test]
async fn a_6_a_refused_account_is_not_the_end_of_the_mail() {
    let account = "username = \"u\"\npassword_file = \"word\"";
    let fake = Fake::start(Odd::Says("AUTH", "535 wrong")).await;
    let result = fake.deliver(account).await;
    assert_eq!(end(&result), End::Later { unknown: false });
    assert!(!format!("{result:?}").contains("secret"), "{result:?}");
    let fake = Fake::start(Odd::Nothing).await;
    assert_eq!(end(&fake.deliver(account).await), End::Taken);
    let heard = fake.heard();
    let tls = heard.iter().position(|line| line == "(TLS)").unwrap();
    let auth = heard.iter().position(|line| line.starts_with("AUTH PLAIN")).unwrap();
    assert!(tls < auth, "{heard:?}");
}

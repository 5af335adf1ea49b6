//! The e-mail endpoint and a real mail server; what it took is read by programs that share no code with us.

use std::path::Path;

use aws_lc_rs::digest;
use cap_schema::MsgType;
use capbridge_adapters::email::Email;
use capbridge_adapters::endpoint::{DeliveryError, Endpoint, EndpointContext, Message};
use capbridge_adapters::http::{HttpClient, HttpSettings};
use capbridge_exercise::Clock;
use capbridge_harness::eventually;
use capbridge_harness::mail::{ACCOUNT, MailServer};
use serde_json::{Value, json};
use tokio::process::Command;

use super::bridge::{AMPLE, Shared, Texts, message};
use crate::drivers::{python, said, script};

const CAP: &str = include_str!("../../exercise/data/samples/masas-chemical.cap.xml");

/// A line that ends a mail in SMTP, and a command after it.
fn cap() -> String {
    CAP.replacen("</headline>", "</headline><description>smoke\n.\nRSET\n..\nend</description>", 1)
}

fn relayed(id: &str, class: &str, exercise: Option<&str>) -> Message {
    let cap = cap();
    let plain = message(MsgType::Alert, &cap);
    let body = json!({
        "type": "alert.relayed",
        "timestamp": "2026-03-01T17:02:11Z",
        "data": {
            "usage": {"class": class, "exercise": exercise},
            "msg_type": "Alert",
            "reference": plain.reference,
            "cap": cap,
            "cap_encoding": "utf-8",
            "trail": {"origin": "hub", "system": "masas", "reference": plain.reference, "translated": false},
        }
    });
    Message { id: id.to_owned(), body: body.to_string().into(), ..plain }
}

struct Post {
    server: MailServer,
    cx: EndpointContext,
    files: Texts,
}

impl Post {
    async fn new() -> Post {
        let server = MailServer::start().await.unwrap();
        let settings =
            HttpSettings::new(&["127.0.0.0/8".into(), "::1".into()], Some(&server.root_pem)).unwrap();
        let clock = Clock::fixed("2026-03-01T17:02:11Z".parse().unwrap());
        let cx = EndpointContext {
            clock: std::sync::Arc::new(Shared(clock)),
            http: HttpClient::new(settings).unwrap(),
            shelf: std::sync::Arc::new(capbridge_adapters::feed::NoShelf),
        };
        let pem = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem();
        let rsa =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let files = Texts(vec![
            ("word", ACCOUNT.1.to_owned()),
            ("rsa", rsa.serialize_pem()),
            ("ed25519", pem(&rcgen::PKCS_ED25519)),
        ]);
        Post { server, cx, files }
    }

    fn email(&self, to: &str, more: &str) -> Email {
        let table = format!(
            "server = \"localhost\"\nfrom = \"Bridge <alerts@bridge.example.test>\"\nto = \"{to}@county.example.test\"\n\
             username = \"{}\"\npassword_file = \"word\"\n{more}",
            ACCOUNT.0
        );
        let settings = toml::from_str(&table).unwrap();
        Email::validate(settings, &self.files).map_err(|f| f.0).unwrap()
    }

    async fn mails(&self, count: usize) -> Vec<std::path::PathBuf> {
        eventually("the mail is delivered", AMPLE, async || {
            let mails = self.server.mails();
            (mails.len() >= count).then_some(mails)
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.server.log()))
    }
}

async fn read(mail: &Path, dns: &[String]) -> Value {
    let output =
        Command::new(python().await).arg(script("read_mail.py")).arg(mail).args(dns).output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

// a server that is not ours takes it on both ports; a parser that is not ours finds the CAP document
// unchanged; a verifier that is not ours believes the signature, and only it.
#[tokio::test]
async fn a_19_a_real_mail_server_takes_the_mail_and_others_read_it_as_it_was_meant() {
    let post = Post::new().await;
    let implicit = format!("port = {}\n", post.server.implicit_port);
    let starttls = format!("port = {}\ntls = \"starttls\"\n", post.server.starttls_port);
    let signed = |key: &str| format!("dkim_selector = \"k1\"\ndkim_key_file = \"{key}\"\n");
    let cases = [
        ("msg_1", implicit.clone(), "live", None),
        ("msg_2", starttls.clone(), "exercise", Some("cause-6")),
        ("msg_3", implicit + &signed("rsa"), "live", None),
        ("msg_4", starttls + &signed("ed25519"), "test", None),
    ];
    for (n, (id, more, class, exercise)) in cases.into_iter().enumerate() {
        let email = post.email("duty", &more);
        let receipt = email.deliver(&post.cx, &relayed(id, class, exercise)).await;
        let receipt = receipt.unwrap_or_else(|error| panic!("{error:?}\n{}", post.server.log()));
        assert_eq!(receipt.status_code, Some(250));
        assert_eq!(receipt.location, Some(format!("<{id}@bridge.example.test>")));
        let mails = post.mails(n + 1).await;
        let record = email.dkim_record();
        let dns: Vec<String> = record
            .iter()
            .flat_map(|record| ["k1._domainkey.bridge.example.test".to_owned(), record.clone()])
            .collect();
        let ours = mails
            .iter()
            .find(|path| std::fs::read_to_string(path).unwrap().contains(&format!("<{id}@")))
            .unwrap();
        let mail = read(ours, &dns).await;
        assert_eq!(mail["defects"], json!([]), "{mail}");
        let subject = mail["headers"]["subject"].as_str().unwrap();
        let begins = match class {
            "live" => "ALERT / ALERTE: ",
            "exercise" => "EXERCISE / EXERCICE [cause-6]: ",
            _ => "TEST: ",
        };
        assert!(subject.starts_with(begins), "{subject}");
        assert_eq!(mail["headers"]["x-capbridge-class"], class);
        assert_eq!(mail["headers"]["to"], "duty@county.example.test");
        let types: Vec<&str> =
            mail["parts"].as_array().unwrap().iter().map(|p| p["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["text/plain", "text/html", "application/cap+xml"]);
        assert_eq!(mail["parts"][2]["sha256"], sha256(cap().as_bytes()), "the CAP document is unchanged");
        assert_eq!(mail["parts"][2]["name"], "alert.cap");
        let text = mail["parts"][0]["text"].as_str().unwrap().replace("\r\n", "\n");
        assert!(text.contains("smoke\n.\nRSET\n..\n"), "a lone dot ends nothing: {text}");
        if record.is_some() {
            assert_eq!(mail["dkim"], true, "{mail}");
            assert_eq!((&mail["dkim_forged"], &mail["dkim_added"]), (&json!(false), &json!(false)), "{mail}");
        }
    }
}

// the real server's refusals, in its own words.
#[tokio::test]
async fn a_18_a_real_mail_server_that_refuses_is_understood() {
    let post = Post::new().await;
    let port = format!("port = {}\n", post.server.implicit_port);
    let cases = [
        (post.email("greylist", &port), false, "greylisted, come back"),
        (post.email("nobody", &port), true, "no such mailbox"),
    ];
    for (email, permanent, said) in cases {
        let error = email.deliver(&post.cx, &relayed("msg_1", "live", None)).await.unwrap_err();
        let (is_permanent, cause) = match error {
            DeliveryError::Permanent { disable: false, cause } => (true, cause),
            DeliveryError::Temporary { outcome_unknown: false, cause, .. } => (false, cause),
            other => panic!("{other:?}"),
        };
        assert_eq!(is_permanent, permanent, "{cause}");
        assert!(cause.to_string().contains(said), "{cause}");
    }
    let wrong = Texts(vec![("word", "another".to_owned())]);
    let stranger = Post { files: wrong, ..post };
    let email = stranger.email("duty", &port);
    let error = email.deliver(&stranger.cx, &relayed("msg_1", "live", None)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Temporary { outcome_unknown: false, .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("another"), "{error:?}");
    assert!(stranger.server.mails().is_empty());
}

//! The client against peers on loopback.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use super::*;
use crate::testing::{AMPLE, Answer, Peer, client};

//
#[tokio::test]
async fn a_redirect_is_a_reply_and_is_not_followed() {
    let peer =
        Peer::in_order(vec![Answer::Reply(302, vec![("location", "/elsewhere".into())], vec![])]).await;
    let reply = client().send(Request::get(peer.at("feed"))).await.unwrap();
    assert_eq!(reply.status_code, 302);
    assert_eq!(peer.got().len(), 1);
}

//
#[tokio::test]
async fn loopback_is_refused_unless_the_list_names_it() {
    let peer = Peer::in_order(vec![Answer::status(200)]).await;
    let strict = HttpClient::new(HttpSettings::default()).unwrap();
    let port = peer.url.port().unwrap();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "[::1]", "0.0.0.0", "2130706433"] {
        let url = Url::parse(&format!("http://{host}:{port}/")).unwrap();
        let error = strict.send(Request::post(url, Bytes::from_static(b"x"))).await.unwrap_err();
        assert!(matches!(error, HttpError::AddressRefused { .. }), "{host}: {error}");
        assert!(!error.maybe_sent());
    }
    assert!(peer.got().is_empty());
    let by_name = HttpSettings::new(&["localhost".into()], None).unwrap();
    let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
    assert!(HttpClient::new(by_name).unwrap().send(Request::get(url)).await.is_ok());
}

/// Ways to write a host that is not public.
const HOSTS: [&str; 60] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "127.0.0.1.",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ｌｏｃａｌｈｏｓｔ",
    "user@127.0.0.1",
    "public.example@127.0.0.1",
    "user:word@127.0.0.1",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "012.1.2.3",
    "167772161",
    "100.64.0.1",
    "100.127.255.254",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "169.254.169.254.",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "3232235521",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
];

// A-23, F28: sixty ways to write a host that is not public; none is dialled, with TLS or without.
#[tokio::test]
async fn a_23_no_way_of_writing_an_address_leads_to_what_is_not_public() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let strict = HttpClient::new(HttpSettings::default()).unwrap();
    for host in HOSTS {
        for scheme in ["http", "https"] {
            let Ok(url) = Url::parse(&format!("{scheme}://{host}:{port}/")) else { continue };
            let error = strict.send(Request::get(url.clone()).limit(AMPLE)).await.unwrap_err();
            let refused = matches!(
                error,
                HttpError::AddressRefused { .. }
                    | HttpError::InvalidUrl { .. }
                    | HttpError::Unresolved { .. }
            );
            assert!(refused, "{url}: {error}");
        }
        assert!(strict.dial(host.trim_matches(['[', ']']), port).await.is_err(), "{host}");
    }
    let called = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(called.is_err(), "somebody was called");
}

//
#[tokio::test]
async fn a_reply_is_read_up_to_its_bound() {
    for (size, truncated) in [(10, false), (11, true), (500_000, true)] {
        let peer = Peer::in_order(vec![Answer::body(200, vec![b'x'; size])]).await;
        let reply = client().send(Request::get(peer.at("")).max_reply_bytes(10)).await.unwrap();
        assert_eq!((reply.body.len(), reply.truncated), (10, truncated), "{size}");
        assert_eq!(reply.whole().is_err(), truncated);
    }
}

#[tokio::test]
async fn a_lost_answer_is_told_from_a_request_that_never_left() {
    let silent = Peer::in_order(vec![Answer::Silence]).await;
    let request = Request::post(silent.at(""), Bytes::from_static(b"x")).limit(Duration::from_millis(200));
    let error = client().send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { sent: true, .. }), "{error:?}");

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{free}/")).unwrap();
    let error = client().send(Request::post(url, Bytes::from_static(b"x"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert!(!error.maybe_sent());

    // Accepts the connection, never speaks TLS.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/", mute.local_addr().unwrap())).unwrap();
    let request = Request::post(url, Bytes::from_static(b"x")).limit(Duration::from_millis(200));
    let error = client().send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { sent: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_may_have_taken_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0u8; 4];
        tokio::io::AsyncReadExt::read_exact(&mut socket, &mut head).await.unwrap();
        socket.shutdown().await.unwrap();
    });
    let request = Request::post(url, Bytes::from(vec![b'x'; 100])).limit(AMPLE);
    let error = client().send(request).await.unwrap_err();
    assert!(error.maybe_sent(), "{error:?}");
}

#[tokio::test]
async fn connections_are_reused() {
    let peer = Peer::in_order(vec![Answer::body(200, "ok")]).await;
    let client = client();
    for _ in 0..3 {
        let reply = client.send(Request::get(peer.at("")).limit(AMPLE)).await.unwrap();
        assert_eq!(reply.said(), "ok");
    }
    assert_eq!(peer.got().len(), 3);
}

#[tokio::test]
async fn tls_needs_a_root_and_a_name_that_fit() {
    let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf =
        rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            if let Ok(mut session) = acceptor.accept(socket).await {
                let _ = session.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = session.shutdown().await;
            }
        }
    });
    let with = |pem: Option<String>| {
        let allow = ["127.0.0.0/8".to_owned(), "localhost".to_owned()];
        HttpClient::new(HttpSettings::new(&allow, pem.as_deref()).unwrap()).unwrap()
    };
    let cases = [
        (Some(ca_pem.clone()), "127.0.0.1", true),
        (None, "127.0.0.1", false),
        (Some(ca_pem), "localhost", false),
    ];
    for (pem, host, expected) in cases {
        let url = Url::parse(&format!("https://{host}:{port}/")).unwrap();
        let result = with(pem).send(Request::get(url)).await;
        match result {
            Ok(_) => assert!(expected, "{host}"),
            Err(HttpError::Tls { .. }) => assert!(!expected, "{host}"),
            Err(other) => panic!("{host}: {other:?}"),
        }
    }
}

#[test]
fn settings_report_every_bad_entry_and_roots_that_are_none() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let faults =
            HttpSettings::new(&["10.0.0.0/8".into(), "x:80".into(), "*".into()], Some(pem)).unwrap_err();
        let keys: Vec<_> = faults.0.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(keys, ["allow_private", "allow_private", "extra_roots_file"]);
    }
}

#[test]
fn secret_headers_do_not_print() {
    let request = Request::get(Url::parse("https://h/").unwrap())
        .secret_header(http::header::AUTHORIZATION, "MASAS-Secret abc")
        .unwrap();
    assert!(!format!("{request:?}").contains("abc"));
}

//! The endpoint against a small service; what it posts is judged by xmlsec1, which shares nothing with us.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use cap_schema::MsgType;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use super::*;
use crate::http::HttpClient;
use crate::testing::{Answer, InMemory, Peer, Stopped, client};

const ALERT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>CB-1</identifier>\
    <sender>bridge@example.test</sender><sent>2026-03-01T12:00:00-00:00</sent><status>Actual</status>\
    <msgType>Alert</msgType><source>d&amp;é \u{1F6A8} &gt;</source><scope>Public</scope><code>IPAWSv1.0</code><info>\
    <language>en-US</language><category>CBRNE</category><event>Hazardous Materials Warning</event>\
    <urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>BLOCKED</info></alert>";

fn alert(blocked: &[&str]) -> Bytes {
    let each = blocked
        .iter()
        .map(|b| format!("<parameter><valueName>BLOCKCHANNEL</valueName><value>{b}</value></parameter>"));
    ALERT.replace("BLOCKED", &each.collect::<String>()).into()
}

/// Key and certificate of a COG, PEM.
fn pair(common_name: &str) -> (String, String) {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (key.serialize_pem(), certificate.pem())
}

fn endpoint(url: &str, key: &str, certificate: &str) -> Result<IpawsEndpoint, Vec<String>> {
    let table = format!(
        "url = \"{url}\"\ncog_id = 999999\nuser = \"a & b\"\nkey_file = \"k\"\ncertificate_file = \"c\"\nsender = \"s\""
    );
    let files = InMemory::with(&[("k", key), ("c", certificate)]);
    IpawsEndpoint::validate(toml::from_str(&table).unwrap(), &files)
        .map_err(|f| f.0.into_iter().map(|f| f.key).collect())
}

fn context(now: &str) -> EndpointContext {
    EndpointContext {
        clock: Arc::new(Stopped(now.parse().unwrap())),
        http: client(),
        shelf: Arc::new(crate::feed::NoShelf),
    }
}

const NOW: &str = "2026-03-01T12:00:01Z";
const BLOCKED: [&str; 4] = ["EAS", "NWEM", "CMAS", "PUBLIC"];

fn message(body: Bytes) -> Message {
    Message {
        id: "msg_1".into(),
        msg_type: MsgType::Alert,
        reference: "bridge@example.test,CB-1,2026-03-01T12:00:00-00:00".into(),
        body,
        content_type: "application/cap+xml".into(),
        attempt: 1,
        maybe_delivered: false,
        prior: vec![],
    }
}

fn groups(all: &[(&str, &str, &str)]) -> String {
    let item = |name: &str, value: &str| {
        format!(
            "<c:subParaListItem><c:subParameterName>{name}</c:subParameterName>\
             <c:subParameterValue>{value}</c:subParameterValue></c:subParaListItem>"
        )
    };
    let each = all.iter().map(|(channel, code, error)| {
        [item("CHANNELNAME", channel), item("STATUSITEMID", code), item("ERROR", error), item("STATUS", "x")]
            .concat()
    });
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='http://gov.fema.ipaws.services/capresponse'>\
         <s:Body><c:parameterListItem>{}</c:parameterListItem></s:Body></s:Envelope>",
        each.collect::<String>()
    )
}

const TAKEN: [(&str, &str, &str); 3] =
    [("CAPEXCH", "200", "N"), ("CAPEXCH", "202", "N"), ("IPAWS", "300", "N")];

fn xmlsec1(arguments: &[&str], document: &[u8], certificate: &str) -> bool {
    let mut document_file = tempfile::NamedTempFile::new().unwrap();
    document_file.write_all(document).unwrap();
    let mut certificate_file = tempfile::NamedTempFile::new().unwrap();
    certificate_file.write_all(certificate.as_bytes()).unwrap();
    let output = Command::new("xmlsec1")
        .args(["--verify", "--pubkey-cert-pem"])
        .arg(certificate_file.path())
        .args(arguments)
        .arg(document_file.path())
        .output()
        .unwrap();
    output.status.success()
}

const BODY_SIGNATURE: [&str; 4] = [
    "--id-attr:Id",
    "http://schemas.xmlsoap.org/soap/envelope/:Body",
    "--node-xpath",
    "//*[local-name()='Security']/*[local-name()='Signature']",
];

// two signatures that a program without anything of ours verifies; the alert's bytes stand in the Body unchanged.
#[tokio::test]
async fn a_19_what_is_posted_verifies_with_xmlsec1() {
    let (key, certificate) = pair("IPAWSOPEN999999");
    let peer = Peer::in_order(vec![Answer::body(200, groups(&TAKEN))]).await;
    let endpoint = endpoint(peer.at("IPAWS_CAPService/IPAWS").as_str(), &key, &certificate).unwrap();
    let receipt = endpoint.deliver(&context(NOW), &message(alert(&BLOCKED))).await.unwrap();
    assert!(!receipt.partial, "{receipt:?}");
    let got = &peer.got()[0];
    assert_eq!(got.header("soapaction"), "\"http://gov.fema.ipaws.services/IPAWS_CAPService/postCAP\"");
    assert_eq!(got.header("content-type"), "text/xml; charset=utf-8");
    let text = std::str::from_utf8(&got.body).unwrap();
    assert!(text.contains("<ipaw:logonUser>a &amp; b</ipaw:logonUser><ipaw:logonCogId>999999<"));
    assert!(!text.contains("Timestamp"));
    let (_, from) = text.split_once("<ipaw:postCAPRequestTypeDef").unwrap();
    let (_, from) = from.split_once('>').unwrap();
    let (inner, _) = from.split_once("</ipaw:postCAPRequestTypeDef>").unwrap();
    let unsigned = String::from_utf8(alert(&BLOCKED).to_vec()).unwrap();
    let unsigned = unsigned.split_once("?>\n").unwrap().1.trim_end_matches("</alert>").to_owned();
    assert!(inner.starts_with(&unsigned), "the alert's bytes stand unchanged before the signature");
    if Command::new("xmlsec1").arg("--version").output().is_err() {
        println!("skipped: xmlsec1 is not installed");
        return;
    }
    assert!(xmlsec1(&BODY_SIGNATURE, &got.body, &certificate), "the signature of the Body");
    assert!(xmlsec1(&[], inner.as_bytes(), &certificate), "the signature of the alert, cut out");
    let forged = text.replace("Immediate", "Expected");
    assert!(!xmlsec1(&BODY_SIGNATURE, forged.as_bytes(), &certificate), "xmlsec1 tells a forged Body");
}

// the groups decide, and so does what is known of earlier attempts.
#[tokio::test]
async fn a_18_the_reply_decides_what_comes_next() {
    #[derive(Debug, PartialEq)]
    enum End {
        Taken,
        Partly,
        Later { unknown: bool },
        Never,
    }
    let fault = |code: &str| {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><s:Fault><faultcode>s:{code}</faultcode>\
             <faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>"
        )
    };
    let with = |more: &[(&str, &str, &str)]| groups(&[&TAKEN[..], more].concat());
    let open = &BLOCKED[1..];
    let cases = [
        (Answer::body(200, groups(&TAKEN)), &BLOCKED[..], false, End::Taken),
        (Answer::body(200, with(&[("EAS", "500", "N")])), open, false, End::Taken),
        (Answer::body(200, with(&[("EAS", "501", "N")])), open, false, End::Partly),
        (Answer::body(200, groups(&TAKEN)), open, false, End::Partly),
        (Answer::body(200, with(&[("CMAS", "615", "Y")])), &BLOCKED[..], false, End::Partly),
        (Answer::body(200, groups(&[("CAPEXCH", "208", "Y")])), &BLOCKED[..], false, End::Never),
        (Answer::body(200, groups(&[("CAPEXCH", "201", "Y")])), &BLOCKED[..], false, End::Never),
        (Answer::body(200, groups(&[("CAPEXCH", "201", "Y")])), &BLOCKED[..], true, End::Taken),
        (Answer::body(200, groups(&[("CAPEXCH", "201", "Y")])), open, true, End::Partly),
        (
            Answer::body(200, groups(&[("IPAWS", "307", "Y"), ("CAPEXCH", "201", "Y")])),
            &BLOCKED[..],
            true,
            End::Taken,
        ),
        (
            Answer::body(200, groups(&[("IPAWS", "303", "Y")])),
            &BLOCKED[..],
            false,
            End::Later { unknown: false },
        ),
        (
            Answer::body(200, groups(&[("EAS", "500", "N")])),
            &BLOCKED[..],
            false,
            End::Later { unknown: true },
        ),
        (Answer::body(200, "<html>ok</html>"), &BLOCKED[..], false, End::Later { unknown: true }),
        (Answer::body(200, ""), &BLOCKED[..], false, End::Later { unknown: true }),
        (Answer::body(500, fault("Receiver")), &BLOCKED[..], false, End::Later { unknown: true }),
        (Answer::body(200, fault("Server")), &BLOCKED[..], false, End::Later { unknown: true }),
        (Answer::body(500, fault("Client")), &BLOCKED[..], false, End::Never),
        (Answer::body(503, groups(&TAKEN)), &BLOCKED[..], false, End::Later { unknown: false }),
        (Answer::status(504), &BLOCKED[..], false, End::Later { unknown: true }),
        (Answer::status(302), &BLOCKED[..], false, End::Later { unknown: false }),
    ];
    let (key, certificate) = pair("IPAWSOPEN_999999");
    for (answer, blocked, maybe_delivered, expected) in cases {
        let peer = Peer::in_order(vec![answer.clone()]).await;
        let endpoint = endpoint(peer.url.as_str(), &key, &certificate).unwrap();
        let one = Message { maybe_delivered, ..message(alert(blocked)) };
        let end = match endpoint.deliver(&context(NOW), &one).await {
            Ok(Receipt { partial: false, .. }) => End::Taken,
            Ok(Receipt { partial: true, notes, .. }) => {
                assert!(!notes.is_empty());
                End::Partly
            }
            Err(DeliveryError::Temporary { outcome_unknown, .. }) => End::Later { unknown: outcome_unknown },
            Err(DeliveryError::Permanent { .. }) => End::Never,
        };
        assert_eq!(end, expected, "{answer:?} {blocked:?} {maybe_delivered}");
    }
}

// a repeat that is refused for its references is not told as if nothing had arrived.
#[tokio::test]
async fn a_18_a_307_after_a_lost_answer_says_that_the_message_may_be_there() {
    let (key, certificate) = pair("IPAWSOPEN999999");
    for maybe_delivered in [false, true] {
        let peer = Peer::in_order(vec![Answer::body(200, groups(&[("IPAWS", "307", "Y")]))]).await;
        let endpoint = endpoint(peer.url.as_str(), &key, &certificate).unwrap();
        let one = Message { maybe_delivered, msg_type: MsgType::Cancel, ..message(alert(&BLOCKED)) };
        let end = endpoint.deliver(&context(NOW), &one).await.unwrap_err();
        let DeliveryError::Permanent { cause: Refusal::UnknownReference { said, .. }, .. } = end else {
            panic!("{end:?}");
        };
        assert_eq!(said.contains("if that one arrived, IPAWS has the message"), maybe_delivered, "{said}");
    }
}

// the certificate is that of the COG, belongs to the key and holds.
#[tokio::test]
async fn a_20_a_certificate_that_ipaws_would_refuse_is_refused_here() {
    let (key, certificate) = pair("IPAWSOPEN999999");
    let (other_key, other_certificate) = pair("IPAWSOPEN120082");
    let (_, no_cog) = pair("someone");
    let url = "https://h/IPAWS";
    let cases: [(&str, &str, &[&str]); 5] = [
        (&key, &certificate, &[]),
        (&other_key, &certificate, &["key_file"]),
        (&other_key, &other_certificate, &["certificate_file"]),
        ("x", &certificate, &["key_file"]),
        (&key, "x", &["certificate_file"]),
    ];
    for (key, certificate, faults) in cases {
        assert_eq!(endpoint(url, key, certificate).err().unwrap_or_default(), faults, "{faults:?}");
    }
    assert_eq!(endpoint(url, &key, &no_cog).err(), Some(vec!["key_file".into()]));
    let good = endpoint(url, &key, &certificate).unwrap();
    assert_eq!(good.credential_expires_at(), "2027-01-01T00:00:00Z".parse().ok());
    for now in ["2025-12-31T23:59:59Z", "2027-01-01T00:00:00Z"] {
        match good.deliver(&context(now), &message(alert(&BLOCKED))).await {
            Err(DeliveryError::Temporary { outcome_unknown: false, cause, .. }) => {
                assert!(cause.to_string().contains("certificate"), "{cause}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn settings_report_every_fault_at_once() {
    let table = "url = \"x\"\ncog_id = 1\nuser = \" \"\nfresh_secs = 300\ntimeout_secs = 0";
    let faults = IpawsEndpoint::validate(toml::from_str(table).unwrap(), &InMemory::default()).unwrap_err();
    let keys: Vec<_> = faults.0.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["url", "key_file", "certificate_file", "user", "fresh_secs", "timeout_secs"]);
}

#[tokio::test]
async fn a_ping_comes_back_as_pong_or_says_why_not() {
    let (key, certificate) = pair("IPAWSOPEN999999");
    let pong = "<e><parameterListItem><parameterName>ACK</parameterName><parameterValue>PONG</parameterValue>\
                </parameterListItem></e>";
    let peer =
        Peer::in_order(vec![Answer::body(200, pong), Answer::body(200, "<e/>"), Answer::status(404)]).await;
    let endpoint = endpoint(peer.url.as_str(), &key, &certificate).unwrap();
    let http: HttpClient = client();
    assert!(endpoint.cog().ping(&http).await.is_ok());
    assert!(endpoint.cog().ping(&http).await.is_err());
    assert!(endpoint.cog().ping(&http).await.is_err());
    assert_eq!(
        peer.got()[0].header("soapaction"),
        "\"http://gov.fema.ipaws.services/IPAWS_CAPService/getRequest\""
    );
}

//! Tables as they are written, and what becomes of them.

use std::sync::Arc;

use bytes::Bytes;
use cap_schema::MsgType;

use super::*;
use crate::class::{Classified, Clearance, Live};
use crate::endpoint::{DeliveryError, EndpointContext, Greeting, Message, Outbound, Receipt, Refusal};
use crate::passage::{Audience, Destination, EndpointName, Origin, Passage, Provenance, Reach};
use crate::testing::{Answer, InMemory, Peer, Stopped, client};

fn files() -> InMemory {
    InMemory::with(&[("s", "code"), ("hmac", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
}

fn source(table: &str) -> Result<ReadySource, Vec<String>> {
    let table: SourceTable = toml::from_str(table).unwrap();
    table.validate("nb", &files()).map_err(|f| f.0.into_iter().map(|f| f.key).collect())
}

fn endpoint(table: &str) -> Result<AnyEndpoint, Vec<String>> {
    let table: EndpointTable = toml::from_str(table).unwrap();
    table.validate("whatcom", &files()).map_err(|f| f.0.into_iter().map(|f| f.key).collect())
}

const MASAS: &str = "[masas]\nhub_url = \"https://common.example.test/hub\"\nsecret_file = \"s\"\n";
const WEBHOOK: &str = "[webhook]\nurl = \"https://example.test/\"\nsecret_file = \"hmac\"\n";

#[test]
fn a_source_is_made_of_common_keys_and_one_kind() {
    let made = source(&format!("system = \"masas\"\nmode = \"live\"\n{MASAS}")).unwrap();
    assert_eq!((made.kind, made.mode, made.origin.0.as_str()), (SourceKind::Masas, Class::Live, "nb"));
    assert_eq!((made.strictness, made.signature), (Strictness::Tolerant, SignatureRule::Checked));
    let cases: [(&str, &[&str]); 6] = [
        ("", &["system", "mode", ""]),
        (
            "system = \"x\"\nmode = \"internal\"\n[masas]\nhub_url = \"x\"",
            &["mode", "masas.hub_url", "masas.secret_file"],
        ),
        (
            "system = \"x\"\nmode = \"exercise\"\n[masas]\nhub_url = \"https://h/hub\"\nsecret_file = \"s\"",
            &["exercise"],
        ),
        (
            "system = \"x\"\nmode = \"live\"\nexercise = \"e\"\n[masas]\nhub_url = \"https://h/hub\"\nsecret_file = \"s\"",
            &["exercise"],
        ),
        (
            "system = \"x\"\nmode = \"live\"\n[masas]\nhub_url = \"https://exercise.h/hub\"\nsecret_file = \"s\"",
            &["mode"],
        ),
        ("system = \"x\"\nmode = \"live\"\nmax_document_bytes = 0", &["max_document_bytes", ""]),
    ];
    for (table, keys) in cases {
        assert_eq!(source(table).map(|_| ()).unwrap_err(), keys, "{table}");
    }
    let unknown = toml::from_str::<SourceTable>("system = \"x\"\nsistem = \"x\"").map(|_| ()).unwrap_err();
    assert!(unknown.to_string().contains("sistem"), "{unknown}");
}

#[test]
fn an_endpoint_is_bound_to_its_class() {
    let made = endpoint(&format!(
        "system = \"w\"\nmode = \"exercise\"\nexercise = \"cause\"\nrestricted = true\n{WEBHOOK}"
    ));
    let made = made.unwrap();
    assert!(matches!(&made, AnyEndpoint::Exercise(bound) if bound.destination().restricted));
    assert_eq!(
        (made.class(), made.reach(), made.kind()),
        (Class::Exercise, Reach::Responders, EndpointKind::Webhook)
    );
    let cases: [(String, &[&str]); 3] = [
        (format!("system = \"w\"\nmode = \"live\"\n{MASAS}{WEBHOOK}"), &[""]),
        (
            format!("system = \"w\"\nmode = \"live\"\nreach = \"public\"\nrestricted = true\n{WEBHOOK}"),
            &["reach"],
        ),
        (format!("mode = \"live\"\nmax_in_flight = 0\n{WEBHOOK}"), &["system", "max_in_flight"]),
    ];
    for (table, keys) in cases {
        assert_eq!(endpoint(&table).map(|_| ()).unwrap_err(), keys, "{table}");
    }
}

fn message() -> Message {
    Message {
        id: "msg_1".into(),
        msg_type: MsgType::Alert,
        reference: "a,b,c".into(),
        body: Bytes::from_static(b"{}"),
        content_type: "application/json".into(),
        attempt: 1,
        maybe_delivered: false,
        prior: vec![],
    }
}

// a message reaches the endpoint that its passage leads to and no other.
#[tokio::test]
async fn a_13_a_passage_to_another_endpoint_leads_nowhere() {
    let peer = Peer::in_order(vec![Answer::status(200)]).await;
    let table = format!(
        "system = \"w\"\nmode = \"live\"\n[webhook]\nurl = \"{}\"\nsecret_file = \"hmac\"",
        peer.at("")
    );
    let Ok(AnyEndpoint::Live(bound)) = endpoint(&table) else { panic!("not live") };
    let Clearance::Live(cleared) = Classified::new(Class::Live, None).clear() else { panic!("not live") };
    let from = Provenance {
        origin: Origin("nb".into()),
        system: SystemName("masas".into()),
        audience: Audience::Public,
        addresses: vec![],
        also: Vec::new(),
    };
    let cx = EndpointContext {
        clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())),
        http: client(),
        shelf: Arc::new(crate::feed::NoShelf),
    };
    let mut elsewhere = bound.destination().clone();
    elsewhere.endpoint.0.push('x');
    for (destination, goes) in [(bound.destination(), true), (&elsewhere, false)] {
        let passage = Passage::open(&cleared, &from, destination).unwrap();
        assert_eq!(bound.deliver(&cx, &Outbound::new(passage, message())).await.is_ok(), goes);
    }
    assert_eq!(peer.got().len(), 1);
}

/// Takes every message and never answers.
struct Mute;

#[async_trait::async_trait]
impl DynEndpoint for Mute {
    fn wants(&self) -> crate::endpoint::Wants {
        panic!("nobody asks")
    }

    fn credential_expires_at(&self) -> Option<jiff::Timestamp> {
        None
    }

    fn feed(&self) -> Option<&crate::feed::Feed> {
        None
    }

    fn stream(&self) -> Option<&crate::stream::Stream> {
        None
    }

    async fn deliver(&self, _: &EndpointContext, _: &Message) -> Result<Receipt, DeliveryError> {
        std::future::pending().await
    }

    async fn greet(&self, _: &EndpointContext, _: &Greeting) -> Result<Receipt, DeliveryError> {
        std::future::pending().await
    }
}

// an endpoint that does not answer holds so many attempts and no more.
#[tokio::test(start_paused = true)]
async fn a_26_a_mute_endpoint_holds_its_slots_and_no_more() {
    let destination = Destination::<Live>::new(EndpointName("e".into()), SystemName("s".into()), None);
    let bound = Bound::new(
        destination,
        bound::About { kind: EndpointKind::Webhook, max_in_flight: 2 },
        Arc::new(Mute),
    );
    let Clearance::Live(cleared) = Classified::new(Class::Live, None).clear() else { panic!("not live") };
    let from = Provenance {
        origin: Origin("nb".into()),
        system: SystemName("masas".into()),
        audience: Audience::Public,
        addresses: vec![],
        also: Vec::new(),
    };
    let outbound = || Outbound::new(Passage::open(&cleared, &from, bound.destination()).unwrap(), message());
    let cx = EndpointContext {
        clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())),
        http: client(),
        shelf: Arc::new(crate::feed::NoShelf),
    };
    let (first, second, third) = (outbound(), outbound(), outbound());
    let ended = tokio::select! {
        biased;
        _ = bound.deliver(&cx, &first) => panic!("it answered"),
        _ = bound.deliver(&cx, &second) => panic!("it answered"),
        ended = bound.deliver(&cx, &third) => ended,
    };
    match ended {
        Err(DeliveryError::Temporary {
            outcome_unknown: false,
            cause: Refusal::Busy { max_in_flight: 2 },
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
}

/// The keys of a table, from what serde says about one that is none.
fn keys_of<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let said = toml::from_str::<T>("no-such-key = 1").map(|_| ()).unwrap_err().to_string();
    let expected = said.split("expected").nth(1).unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn shows(example: &str, table: &str, keys: Vec<String>) {
    let begin = format!("[{table}]");
    let (_, rest) = example.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let section = rest.split("\n[").next().unwrap();
    for key in keys.iter().filter(|k| !example.contains(&format!("[{table}.{k}]"))) {
        let shown = section.lines().any(|l| l.trim_start_matches("# ").starts_with(&format!("{key} = ")));
        assert!(shown, "{table} does not show {key}");
    }
}

const MASAS_EXAMPLE: &str = include_str!("../../../deploy/config/masas.toml");
const IPAWS_EXAMPLE: &str = include_str!("../../../deploy/config/ipaws.toml");
const EMAIL_EXAMPLE: &str = include_str!("../../../deploy/config/email.toml");
const FEED_EXAMPLE: &str = include_str!("../../../deploy/config/feed.toml");
const STREAM_EXAMPLE: &str = include_str!("../../../deploy/config/stream.toml");
const WEBHOOK_EXAMPLE: &str = include_str!("../../../deploy/config/webhook.toml");

#[test]
fn the_examples_show_every_key() {
    let common = |kinds: &[&str], keys: Vec<String>| -> Vec<String> {
        keys.into_iter().filter(|k| !kinds.contains(&k.as_str())).collect()
    };
    let kinds = ["email", "feed", "ipaws", "masas", "stream", "webhook"];
    shows(MASAS_EXAMPLE, "source.hub", common(&kinds, keys_of::<SourceTable>()));
    shows(MASAS_EXAMPLE, "endpoint.hub", common(&kinds, keys_of::<EndpointTable>()));
    shows(MASAS_EXAMPLE, "source.hub.masas", keys_of::<crate::masas::MasasSourceSettings>());
    shows(MASAS_EXAMPLE, "source.hub.masas.entries", keys_of::<crate::masas::entry::EntrySettings>());
    shows(MASAS_EXAMPLE, "endpoint.hub.masas", keys_of::<crate::masas::MasasEndpointSettings>());
    shows(IPAWS_EXAMPLE, "source.feed.ipaws", keys_of::<crate::ipaws::IpawsSourceSettings>());
    shows(IPAWS_EXAMPLE, "endpoint.cog.ipaws", keys_of::<crate::ipaws::IpawsEndpointSettings>());
    shows(EMAIL_EXAMPLE, "endpoint.duty.email", keys_of::<crate::email::EmailSettings>());
    shows(FEED_EXAMPLE, "endpoint.partners.feed", keys_of::<crate::feed::FeedSettings>());
    shows(STREAM_EXAMPLE, "endpoint.broadcasters.stream", keys_of::<crate::stream::StreamSettings>());
    shows(WEBHOOK_EXAMPLE, "endpoint.responder.webhook", keys_of::<crate::webhook::WebhookSettings>());
}

#[derive(serde::Deserialize)]
struct Whole {
    #[serde(default)]
    source: std::collections::BTreeMap<String, SourceTable>,
    #[serde(default)]
    endpoint: std::collections::BTreeMap<String, EndpointTable>,
}

#[test]
fn the_examples_are_valid() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "IPAWSOPEN120082");
    let certificate = params.self_signed(&key).unwrap().pem();
    let files = InMemory::with(&[
        ("secrets/masas-code", "code"),
        ("secrets/cog.key.pem", &key.serialize_pem()),
        ("secrets/cog.crt.pem", &certificate),
        ("secrets/county.token", "M2b8u0dUqCq0xg1kTn7v6cK5zqkq"),
        ("secrets/mail-password", "a word"),
        ("secrets/dkim.pem", &key.serialize_pem()),
        ("secrets/webhook.pem", "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs="),
    ]);
    for example in
        [MASAS_EXAMPLE, IPAWS_EXAMPLE, EMAIL_EXAMPLE, FEED_EXAMPLE, STREAM_EXAMPLE, WEBHOOK_EXAMPLE]
    {
        let whole: Whole = toml::from_str(example).unwrap();
        assert!(!whole.endpoint.is_empty());
        for (name, table) in whole.source {
            assert_eq!(table.validate(&name, &files).err(), None);
        }
        for (name, table) in whole.endpoint {
            assert_eq!(table.validate(&name, &files).err(), None);
        }
    }
}

//! Tables as they are written, and what becomes of them.

use std::sync::Arc;

use bytes::Bytes;
use cap_schema::MsgType;

use super::*;
use crate::class::{Classified, Clearance};
use crate::endpoint::{EndpointContext, Message, Outbound};
use crate::passage::{Audience, Origin, Passage, Provenance, Reach};
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
    };
    let cx =
        EndpointContext { clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())), http: client() };
    let mut elsewhere = bound.destination().clone();
    elsewhere.endpoint.0.push('x');
    for (destination, goes) in [(bound.destination(), true), (&elsewhere, false)] {
        let passage = Passage::open(&cleared, &from, destination).unwrap();
        let message = Message {
            id: "msg_1".into(),
            msg_type: MsgType::Alert,
            reference: "a,b,c".into(),
            body: Bytes::from_static(b"{}"),
            content_type: "application/json".into(),
            attempt: 1,
            maybe_delivered: false,
            prior: vec![],
        };
        assert_eq!(bound.deliver(&cx, &Outbound::new(passage, message)).await.is_ok(), goes);
    }
    assert_eq!(peer.got().len(), 1);
}

//! The Redis store where Redis is more than one server: replicas, Sentinel, cluster; and behind TLS.

use std::sync::Arc;
use std::time::Duration;

use capbridge::store::redis::{RedisSettings, RedisStore, RedisTls};
use capbridge::store::{Store, Stored};
use capbridge_adapters::settings::Secret;
use capbridge_harness::redis_set::{Cluster, Node, SentinelSet};
use tokio::time::Instant;

use crate::samples::{alert, arrival, at, key};

/// More than any failover here takes.
const LIMIT: Duration = Duration::from_secs(25);
/// One of the keys of the bridge `conformance`.
const KEY: &str = "{capbridge:conformance}:meta";

fn settings(url: String) -> RedisSettings {
    RedisSettings { url, command_timeout: Duration::from_secs(2), ..RedisSettings::at("conformance") }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// Offers an alert until the store takes it, as a source does. The time of the longest wait for one.
async fn accept_patiently(store: &Arc<RedisStore>, name: &str) -> Duration {
    let begun = Instant::now();
    loop {
        match store.accept(arrival(alert(name))).await {
            Ok(stored) => {
                assert!(matches!(stored, Stored::New(_) | Stored::Repeat), "{name}: {stored:?}");
                return begun.elapsed();
            }
            Err(error) => assert!(begun.elapsed() < LIMIT, "{name}: {}", causes(&error)),
        }
        tokio::task::yield_now().await;
    }
}

async fn all_there(store: &Arc<RedisStore>, names: &[String]) {
    for name in names {
        assert!(store.alert(&key(name)).await.unwrap().is_some(), "{name} was accepted and is lost");
    }
}

struct Papers {
    roots: String,
    certificate: String,
    key: String,
}

/// A server that wants TLS and a certificate, and what fits it.
async fn behind_tls() -> (Node, Papers) {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    // Names of their own: certificates that share one are taken for self-signed.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let roots = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let issue = |names: Vec<String>| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, names[0].clone());
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    let (server, server_key) = issue(vec!["127.0.0.1".into(), "localhost".into()]);
    let (certificate, key) = issue(vec!["bridge".into()]);
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ca, crt, k) = (at("ca.pem", &roots), at("crt.pem", &server), at("key.pem", &server_key));
    let arguments = [
        "--port",
        "0",
        "--tls-port",
        "{port}",
        "--tls-cert-file",
        &crt,
        "--tls-key-file",
        &k,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "yes",
    ];
    let node = Node::start(&arguments).await.unwrap();
    (node, Papers { roots, certificate, key })
}

#[tokio::test]
async fn behind_tls_both_sides_show_who_they_are() {
    let (node, papers) = behind_tls().await;
    let url = |host: &str| format!("rediss://{host}:{}", node.port);
    let tls = RedisTls {
        roots_pem: Some(papers.roots),
        certificate_pem: Some(papers.certificate),
        key_pem: Some(Secret::new(papers.key)),
    };
    let store =
        RedisStore::connect(RedisSettings { tls: tls.clone(), ..settings(url("127.0.0.1")) }).await.unwrap();
    assert!(matches!(store.accept(arrival(alert("a"))).await.unwrap(), Stored::New(_)));
    let without_roots = RedisTls { roots_pem: None, ..tls.clone() };
    let without_certificate = RedisTls { certificate_pem: None, key_pem: None, ..tls.clone() };
    let cases = [
        (url("127.0.0.1"), without_roots, "UnknownIssuer"),
        (url("127.0.0.1"), without_certificate, ""),
        (url("127.0.0.2"), tls, ""),
        (url("127.0.0.1").replace("rediss", "redis"), RedisTls::default(), ""),
    ];
    for (url, tls, said) in cases {
        let error = RedisStore::connect(RedisSettings { tls, ..settings(url.clone()) }).await.err();
        let error = causes(&error.unwrap_or_else(|| panic!("{url} was believed")));
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_change_counts_when_a_replica_has_it_and_not_before() {
    let primary = Node::start(&[]).await.unwrap();
    let of = format!("127.0.0.1 {}", primary.port);
    let mut replica = Node::start(&["--replicaof", &of, "--repl-diskless-sync-delay", "0"]).await.unwrap();
    capbridge_harness::eventually("the replica follows", LIMIT, async || {
        replica.say(&["INFO", "replication"]).await.ok()?.contains("master_link_status:up").then_some(())
    })
    .await
    .unwrap();
    let url = format!("redis://127.0.0.1:{}", primary.port);
    let waiting = RedisSettings { wait_replicas: Some(1), ..settings(url) };
    let store = RedisStore::connect(waiting).await.unwrap();
    assert!(matches!(store.accept(arrival(alert("a"))).await.unwrap(), Stored::New(_)));
    let there =
        replica.say(&["EXISTS", &format!("{{capbridge:conformance}}:alert:{}", key("a").0)]).await.unwrap();
    assert_eq!(there, "1", "the replica has it");
    replica.kill().await.unwrap();
    let error = causes(&store.accept(arrival(alert("b"))).await.unwrap_err());
    assert!(error.contains("0 replicas confirmed the change, 1 must"), "{error}");
    replica.restart().await.unwrap();
    capbridge_harness::eventually("it is taken again", LIMIT, async || {
        // The first call was carried out on the primary: only the confirmation was missing.
        matches!(store.accept(arrival(alert("b"))).await, Ok(Stored::Repeat)).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(store.unrouted(at(1), at(60), 9).await.unwrap().len(), 2);
}

// F06: with WAIT 1 a failover by Sentinel loses nothing that was accepted, and is over in seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_sentinel_loses_nothing_and_is_followed() {
    let mut set = SentinelSet::start().await.unwrap();
    let waiting = RedisSettings { wait_replicas: Some(1), ..settings(set.url()) };
    let store = Arc::new(RedisStore::connect(waiting).await.unwrap());
    let mut accepted = Vec::new();
    for n in 0..100 {
        let name = format!("before {n}");
        accept_patiently(&store, &name).await;
        accepted.push(name);
    }
    set.servers[0].kill().await.unwrap();
    let mut longest = Duration::ZERO;
    for n in 0..100 {
        let name = format!("after {n}");
        longest = longest.max(accept_patiently(&store, &name).await);
        accepted.push(name);
    }
    all_there(&store, &accepted).await;
    assert!(longest < Duration::from_secs(10), "the outage took {longest:?}");
    // The old primary comes back as a replica and nothing changes.
    set.servers[0].restart().await.unwrap();
    accept_patiently(&store, "last").await;
    all_there(&store, &accepted).await;
    assert_eq!(store.depth().await.unwrap().unrouted, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_the_store_follows_its_slot_to_another_node() {
    let cluster = Cluster::start(0).await.unwrap();
    let store = Arc::new(RedisStore::connect(settings(cluster.url())).await.unwrap());
    accept_patiently(&store, "a").await;
    let from = cluster.owner(KEY).await.unwrap();
    let to = (from + 1) % 3;
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    let slot = source.say(&["CLUSTER", "KEYSLOT", KEY]).await.unwrap();
    let (source_id, target_id) =
        (source.say(&["CLUSTER", "MYID"]).await.unwrap(), target.say(&["CLUSTER", "MYID"]).await.unwrap());
    target.say(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await.unwrap();
    source.say(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await.unwrap();
    let keys = source.say(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).await.unwrap();
    let port = target.port.to_string();
    let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    migrate.extend(keys.lines());
    source.say(&migrate).await.unwrap();
    for node in [target, source, &cluster.nodes[(from + 2) % 3]] {
        node.say(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await.unwrap();
    }
    accept_patiently(&store, "b").await;
    assert_eq!(cluster.owner(KEY).await.unwrap(), to);
    all_there(&store, &["a".into(), "b".into()]).await;
    assert_eq!(store.accept(arrival(alert("a"))).await.unwrap(), Stored::Repeat);
    // Other bridges live in other slots, so on other nodes; each finds its own.
    for name in ["one", "two", "three", "four", "five"] {
        let other = RedisSettings { name: name.to_owned(), ..settings(cluster.url()) };
        let other = RedisStore::connect(other).await.unwrap();
        assert!(matches!(other.accept(arrival(alert("a"))).await.unwrap(), Stored::New(_)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_replica_takes_over_and_nothing_accepted_is_lost() {
    let mut cluster = Cluster::start(1).await.unwrap();
    let waiting = RedisSettings { wait_replicas: Some(1), ..settings(cluster.url()) };
    let store = Arc::new(RedisStore::connect(waiting).await.unwrap());
    let mut accepted: Vec<String> = (0..50).map(|n| format!("before {n}")).collect();
    for name in &accepted {
        accept_patiently(&store, name).await;
    }
    let owner = cluster.owner(KEY).await.unwrap();
    cluster.nodes[owner].kill().await.unwrap();
    // The one that takes over has no replica until the old one is back: until then nothing counts as accepted.
    capbridge_harness::eventually("another node has the slot", LIMIT, async || {
        cluster.owner(KEY).await.ok().filter(|now| *now != owner)
    })
    .await
    .unwrap();
    cluster.nodes[owner].restart().await.unwrap();
    accept_patiently(&store, "after").await;
    accepted.push("after".into());
    all_there(&store, &accepted).await;
}

//! A copy of the embedded store in Redis: whole, resumable, refused where it could do harm.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cap_schema::MsgType;
use capbridge::envelope::Lane;
use capbridge::store::copy::{self, CopyError, Kind};
use capbridge::store::embedded::EmbeddedStore;
use capbridge::store::redis::RedisStore;
use capbridge::store::registrations::{self, Draft};
use capbridge::store::{Again, AttemptEnd, Store, Stored};
use capbridge_harness::eventually;

use crate::samples::{
    alert, arrival, at, delivery, endpoint, event, finish, held, id, key, quarantined, receipt, release,
    render, rendering, through, update, urgent,
};
use crate::{Embedded, Redis, feeds, reopen};

/// One of everything that a store can hold.
async fn fill(store: Arc<dyn Store>) {
    reopen::fill(store.clone()).await;
    // Two chains that a message connects, a line that waits behind an attempt, a dead letter, what is held and linked.
    store.accept(arrival(alert("one"))).await.unwrap();
    store.accept(arrival(alert("other"))).await.unwrap();
    store.accept(arrival(update("both", &["one", "other"]))).await.unwrap();
    store.accept(arrival(through("mirror", alert("one")))).await.unwrap();
    store.accept(arrival(held(900, update("early", &["unknown"])))).await.unwrap();
    let mut twin = urgent(alert("twin"));
    twin.envelope.twin = Some(key("the same"));
    twin.derived = Some(Bytes::from_static(b"<derived/>"));
    store.accept(arrival(twin.clone())).await.unwrap();
    store
        .route(&twin.envelope, at(5), vec![delivery("twin", "x"), delivery("twin", "y")], Vec::new())
        .await
        .unwrap();
    for claim in store.claim(Lane::Urgent, at(10), at(70), 9).await.unwrap() {
        render(&store, &claim.delivery.id, rendering(&claim.delivery.id.0)).await.unwrap();
    }
    let end = AttemptEnd::Dead { error: "refused".into() };
    finish(&store, &id("twin", "x"), at(11), end, vec![event("dead", Some("twin"), 11)]).await.unwrap();
    let end = AttemptEnd::Waiting { due_at: at(400), error: "503".into(), maybe_delivered: true };
    finish(&store, &id("twin", "y"), at(11), end, vec![event("waiting", Some("twin"), 11)]).await.unwrap();
    store.quarantine(quarantined("free"), Bytes::from_static(b"f"), Vec::new()).await.unwrap();
    store.release("q_free", release(), vec![event("released", None, 30)]).await.unwrap();
    let draft = |name: &str| Draft {
        kind: registrations::Kind::Responder,
        name: name.into(),
        body: serde_json::json!({"v": 1, "of": name}),
    };
    assert_eq!(store.register(0, vec![draft("one"), draft("two")], Vec::new()).await.unwrap(), Some(2));
    assert_eq!(store.register(2, vec![draft("one")], Vec::new()).await.unwrap(), Some(3));
    let mut endless = feeds::keeping("endless");
    endless.entry.expires_at = None;
    for keeping in [feeds::keeping("a"), feeds::replacing("b", MsgType::Update, &["a"]), endless] {
        store.keep(keeping).await.unwrap();
    }
    let mut over = feeds::keeping("over");
    over.entry.expires_at = None;
    over.entry.published_at = at(-9_000_000);
    store.keep(over).await.unwrap();
    assert_eq!(store.sweep_feed(&endpoint("f"), at(-8_000_000), 9).await.unwrap(), 1);
    // What is long over, and a record that begins anew.
    store.seal().await.unwrap();
    assert_eq!(store.trim_record(at(2), at(40), 1).await.unwrap(), 1);
    // Swept: what is known longer stays.
    let mut old = alert("old");
    (old.envelope.expires_at, old.envelope.accepted_at) = (Some(at(-9_000_000)), at(-9_000_000));
    store.accept(arrival(old.clone())).await.unwrap();
    store.route(&old.envelope, at(5), Vec::new(), vec![event("routed", Some("old"), 5)]).await.unwrap();
    assert_eq!(store.sweep(at(-8_000_000), 9).await.unwrap(), 1);
}

async fn run(from: &Embedded, to: &Redis) -> Result<copy::Report, CopyError> {
    copy::copy(from.folder.path(), to.settings(), &|_| {}).await
}

#[tokio::test]
async fn a_copy_holds_everything_and_goes_on_as_the_original_would() {
    let (from, to) = (Embedded::start().await, Redis::start().await);
    fill(from.open().await).await;
    let report = run(&from, &to).await.unwrap();
    assert!(report.is_equal(), "{report:#?}");
    assert!(report.kinds.iter().all(|c| c.source.0 > 0), "the test leaves a kind out: {report:#?}");
    assert_eq!(report.kinds.len(), Kind::ALL.len());
    let store = to.open().await;
    assert_eq!(store.accept(arrival(alert("old"))).await.unwrap(), Stored::Repeat);
    let mut twin = alert("twin by another name");
    twin.envelope.twin = Some(key("the same"));
    assert_eq!(store.accept(arrival(through("naad", twin))).await.unwrap(), Stored::Linked(key("twin")));
    assert!(
        matches!(store.accept(arrival(update("third", &["other"]))).await.unwrap(), Stored::New(chain) if chain.0 == key("one").0)
    );
    let claims = store.claim(Lane::Urgent, at(400), at(460), 9).await.unwrap();
    assert_eq!(claims.iter().map(|c| &c.delivery.id).collect::<Vec<_>>(), [&id("twin", "y")]);
    assert_eq!(claims[0].rendering.as_ref(), Some(&rendering(&id("twin", "y").0)));
    let in_force = store.in_force(&endpoint("f"), at(20), 99, 9).await.unwrap();
    assert_eq!(in_force.iter().map(|p| p.entry.id.as_str()).collect::<Vec<_>>(), ["msg_endless", "msg_b"]);
    let documents = store.registrations(0, 9).await.unwrap();
    assert_eq!(
        documents.iter().map(|d| (d.name.as_str(), d.revision)).collect::<Vec<_>>(),
        [("two", 2), ("one", 3)]
    );
    assert_eq!(store.keep(feeds::keeping("next")).await.unwrap(), 5);
    assert_eq!(store.sweep_feed(&endpoint("f"), at(3_601), 1).await.unwrap(), 1);
    store.replay(&id("twin", "x"), Again::GivenUp, at(401), at(900), Vec::new()).await.unwrap();
    reopen_as_copied(store).await;
}

/// What `reopen::verify` asks of a store whose process is gone, with the ids of what this file adds.
async fn reopen_as_copied(s: Arc<dyn Store>) {
    let claims = s.claim(Lane::Routine, at(20), at(80), 9).await.unwrap();
    let ids: BTreeSet<_> = claims.iter().map(|c| c.delivery.id.clone()).collect();
    assert_eq!(ids, [id("a", "y"), id("b", "x")].into());
    assert!(claims.iter().find(|c| c.delivery.id == id("a", "y")).unwrap().delivery.maybe_delivered);
    finish(&s, &id("a", "y"), at(21), AttemptEnd::Delivered(receipt("/2")), Vec::new()).await.unwrap();
    assert_eq!(s.claim(Lane::Routine, at(22), at(80), 9).await.unwrap()[0].delivery.id, id("b", "y"));
    let routed: BTreeSet<String> = s
        .unrouted(at(1), at(60), 99)
        .await
        .unwrap()
        .into_iter()
        .map(|a| a.envelope.reference.identifier)
        .collect();
    let expected = ["both", "one", "other", "third", "twin", "unrouted"];
    assert_eq!(routed, expected.map(str::to_owned).into());
    s.record(vec![event("started", None, 2)]).await.unwrap();
    assert!(s.verify_record().await.unwrap().is_ok());
}

/// The families of keys that a server has, and the fields of hashes.
fn shape(redis: &Redis) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let client = redis.server.url();
    let say = |words: &[&str]| {
        let port = client.rsplit(':').next().unwrap();
        let output = std::process::Command::new("redis-cli").args(["-p", port]).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for key in say(&["--raw", "KEYS", "*"]) {
        let name = key.split_once("}:").unwrap().1;
        let family = name.split_once(':').map_or(name.to_owned(), |(family, rest)| {
            if family == "audit" || family == "inbox" {
                format!("{family}:{rest}")
            } else {
                format!("{family}:")
            }
        });
        let fields = found.entry(family.clone()).or_default();
        if [
            "alert:",
            "seen:",
            "name:",
            "delivery:",
            "rendering:",
            "quarantine:",
            "audit:head",
            "feed:",
            "feed-entry:",
        ]
        .contains(&&*family)
        {
            fields.extend(say(&["--raw", "HKEYS", &key]));
        }
    }
    found
}

#[tokio::test]
async fn a_copy_has_every_key_and_field_that_the_steps_write() {
    let (from, to, direct) = (Embedded::start().await, Redis::start().await, Redis::start().await);
    fill(from.open().await).await;
    assert!(run(&from, &to).await.unwrap().is_equal());
    let store = direct.open().await;
    fill(store.clone()).await;
    store.seal().await.unwrap();
    let (mut copied, mut written) = (shape(&to), shape(&direct));
    // Of the process that wrote, of one call, or of a chain's past: names say in which chain they are now.
    for key in ["call:", "lease:", "merged:", "inbox:leases"] {
        written.remove(key);
    }
    written.get_mut("seen:").unwrap().retain(|field| !["call", "outcome", "chain"].contains(&&**field));
    copied.remove("copy");
    assert_eq!(copied, written);
}

#[tokio::test]
async fn a_copy_is_refused_where_it_could_do_harm() {
    let (from, to) = (Embedded::start().await, Redis::start().await);
    let nowhere = copy::copy(&from.folder.path().join("none"), to.settings(), &|_| {}).await;
    assert!(matches!(nowhere, Err(CopyError::Store(_))), "{nowhere:?}");
    assert!(!from.folder.path().join("none").exists());
    let open = from.open().await;
    fill(open.clone()).await;
    let in_use = run(&from, &to).await.unwrap_err().to_string();
    assert!(in_use.contains("open its file"), "{in_use}");
    drop(open);
    to.open().await.record(vec![event("started", None, 1)]).await.unwrap();
    assert!(matches!(run(&from, &to).await, Err(CopyError::NotEmpty)));
}

#[tokio::test]
async fn no_bridge_starts_on_an_unfinished_copy_and_it_goes_on_only_from_the_same_state() {
    let (from, to) = (Embedded::start().await, Redis::start().await);
    fill(from.open().await).await;
    let source = EmbeddedStore::open_existing(from.folder.path()).unwrap().fingerprint().await.unwrap();
    let half = RedisStore::connect_for_copy(to.settings()).await.unwrap();
    let marker = copy::Marker { source, kind: Some(Kind::FIRST), place: String::new() };
    half.import(&[], &marker).await.unwrap();
    let refused = RedisStore::connect(to.settings()).await.err().unwrap();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("unfinished copy"), "{cause}");
    from.open().await.record(vec![event("started", None, 1)]).await.unwrap();
    assert!(matches!(run(&from, &to).await, Err(CopyError::OtherCopy)));
}

/// Many alerts, some of them with deliveries.
async fn fill_with_many(store: Arc<dyn Store>, many: usize) {
    let one = async |n: usize| {
        let name = format!("many {n}");
        store.accept(arrival(alert(&name))).await.unwrap();
        store
            .route(
                &alert(&name).envelope,
                at(5),
                vec![delivery(&name, "x")],
                vec![event("routed", Some(&name), 5)],
            )
            .await
            .unwrap();
    };
    for from in (0..many).step_by(64) {
        futures_util::future::join_all((from..many.min(from + 64)).map(&one)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_goes_on_where_it_was_and_nothing_is_there_twice() {
    const MANY: usize = 6_000;
    let (from, to) = (Embedded::start().await, Redis::start().await);
    fill(from.open().await).await;
    fill_with_many(from.open().await, MANY).await;
    let config = from.folder.path().join("copy.toml");
    std::fs::write(&config, "[bridge]\nname = \"conformance\"\n").unwrap();
    let program = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_capbridge"));
        command.args(["store", "copy", "--to", &to.server.url(), "--config"]).arg(&config).arg("--from");
        command.arg(from.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let looking = RedisStore::connect_for_copy(to.settings()).await.unwrap();
    // Killed in the middle of one kind after the other, whatever it was doing.
    for kind in [Kind::Alerts, Kind::Deliveries, Kind::Events] {
        let mut child = program().spawn().unwrap();
        let reached = eventually("the copy is at this kind", Duration::from_secs(60), async || {
            let marker = looking.marker().await.unwrap()?;
            (marker.kind.is_none_or(|at| at > kind)
                || (marker.kind == Some(kind) && !marker.place.is_empty()))
            .then_some(())
        });
        reached.await.unwrap();
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "it was over at {kind:?}: {ended}");
    }
    assert!(looking.marker().await.unwrap().is_some(), "the copy was over before it was killed");
    let output = program().output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("equal: a bridge can start there") && !said.contains("DIFFERENT"), "{said}");
    let store = to.open().await;
    let due = store.claim(Lane::Routine, at(20), at(80), 100_000).await.unwrap();
    // With the two that `fill` left.
    assert_eq!(due.len(), MANY + 2);
    assert_eq!(program().output().unwrap().status.code(), Some(69), "it is no empty destination any more");
}

//! What only a Redis server can do to the store: be set up wrongly, go away, lack replicas.

use std::io::{Read, Write};

use capbridge::store::redis::{RedisSettings, RedisStore};
use capbridge::store::{Store, StoreError, Stored};
use capbridge_adapters::settings::Secret;

use crate::Redis;
use crate::samples::{alert, arrival, at, event, key};

/// One inline command, past the store.
fn say(redis: &Redis, command: &str) -> String {
    let url = redis.server.url();
    let mut stream = std::net::TcpStream::connect(url.trim_start_matches("redis://")).unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn refused(settings: RedisSettings) -> String {
    let error = RedisStore::connect(settings).await.err().unwrap();
    assert!(matches!(error, StoreError::Unsafe { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_server_that_would_lose_alerts_is_refused_and_told_why() {
    let redis = Redis::start().await;
    say(&redis, "CONFIG SET maxmemory-policy allkeys-lru");
    assert!(refused(redis.settings()).await.contains("noeviction"));
    say(&redis, "CONFIG SET maxmemory-policy noeviction");
    say(&redis, "CONFIG SET appendfsync everysec");
    assert!(refused(redis.settings()).await.contains("appendfsync always"));
    let knowingly = RedisSettings { dangerous_allow_everysec: true, ..redis.settings() };
    RedisStore::connect(knowingly).await.unwrap();
    say(&redis, "CONFIG SET appendonly no");
    let knowingly = RedisSettings { dangerous_allow_everysec: true, ..redis.settings() };
    assert!(refused(knowingly).await.contains("appendonly yes"));
}

#[tokio::test]
async fn calls_go_on_after_the_server_was_killed_and_nothing_is_lost() {
    let mut redis = Redis::start().await;
    let store = redis.open().await;
    for round in 0..5 {
        let name = format!("round {round}");
        assert!(matches!(store.accept(arrival(alert(&name))).await.unwrap(), Stored::New(_)));
        store.record(vec![event("accepted", Some(&name), round)]).await.unwrap();
        redis.server.kill_and_restart().await.unwrap();
        // The scripts are gone with the old process, too.
        assert_eq!(store.accept(arrival(alert(&name))).await.unwrap(), Stored::Repeat);
        assert_eq!(store.alert(&key(&name)).await.unwrap(), Some(alert(&name)));
    }
    assert_eq!(store.depth().await.unwrap().unrouted, 5);
    assert_eq!(store.verify_record().await.unwrap(), Ok(5));
}

#[tokio::test]
async fn without_the_replicas_that_must_confirm_nothing_counts_as_accepted() {
    let redis = Redis::start().await;
    let alone = RedisSettings {
        wait_replicas: Some(1),
        command_timeout: std::time::Duration::from_millis(300),
        ..redis.settings()
    };
    let refused = RedisStore::connect(alone).await.err().unwrap();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("0 replicas confirmed the change, 1 must"), "{cause}");
}

#[tokio::test]
async fn an_emptied_server_is_used_again() {
    let redis = Redis::start().await;
    let store = redis.open().await;
    store.accept(arrival(alert("a"))).await.unwrap();
    say(&redis, "FLUSHALL");
    store.accept(arrival(alert("b"))).await.unwrap();
    let routed = store.unrouted(at(1), at(60), 9).await.unwrap();
    assert_eq!(routed, [alert("b")]);
}

#[tokio::test]
async fn a_server_that_is_changed_or_emptied_while_the_bridge_runs_is_noticed() {
    let redis = Redis::start().await;
    let store = redis.open().await;
    store.accept(arrival(alert("a"))).await.unwrap();
    store.check().await.unwrap();
    let told = async || {
        let error = store.check().await.unwrap_err();
        assert!(matches!(error, StoreError::Unsafe { .. }), "{error:?}");
        error.to_string()
    };
    for (change, back, advice) in [
        ("appendonly no", "appendonly yes", "appendonly yes"),
        ("appendfsync everysec", "appendfsync always", "appendfsync always"),
        ("maxmemory-policy allkeys-lru", "maxmemory-policy noeviction", "noeviction"),
    ] {
        say(&redis, &format!("CONFIG SET {change}"));
        assert!(told().await.contains(advice), "{change}");
        say(&redis, &format!("CONFIG SET {back}"));
        store.check().await.unwrap();
    }
    say(&redis, "FLUSHALL");
    assert!(told().await.contains("emptied"));
    store.check().await.unwrap();
    // Another instance made the mark again, and less is there than before.
    store.accept(arrival(alert("b"))).await.unwrap();
    store.check().await.unwrap();
    say(&redis, "SET {capbridge:conformance}:seq 0");
    assert!(told().await.contains("holds less"));
    store.check().await.unwrap();
    redis.open().await;
}

#[tokio::test]
async fn a_damaged_record_is_found() {
    let redis = Redis::start().await;
    let store = redis.open().await;
    store.record((0..5).map(|n| event("step", None, n)).collect()).await.unwrap();
    assert_eq!(store.verify_record().await.unwrap(), Ok(5));
    // The last entry is cut off: the chain before it still fits, the count does not.
    let answer = say(&redis, "XREVRANGE {capbridge:conformance}:audit + - COUNT 1");
    let last = answer.lines().find(|l| l.contains('-') && !l.starts_with(['*', '$'])).unwrap().to_owned();
    say(&redis, &format!("XDEL {{capbridge:conformance}}:audit {last}"));
    assert_eq!(store.verify_record().await.unwrap(), Err(5));
    // So is a beginning that was cut off by somebody else.
    let store = Redis::start().await;
    let (redis, store) = (&store, store.open().await);
    store.record((0..5).map(|n| event("step", None, n)).collect()).await.unwrap();
    store.seal().await.unwrap();
    assert_eq!(store.trim_record(at(2), at(9), 9).await.unwrap(), 2);
    assert_eq!(store.verify_record().await.unwrap(), Ok(4));
    say(redis, "DEL {capbridge:conformance}:audit:anchor");
    assert_eq!(store.verify_record().await.unwrap(), Err(1));
}

#[tokio::test]
async fn the_user_of_the_page_may_do_what_the_store_does_and_no_more() {
    let redis = Redis::start().await;
    let page = include_str!("../../../docs/redis.md");
    let rights = page.lines().find_map(|l| l.strip_prefix("`+@read")).unwrap().trim_end_matches(['`', '.']);
    let answer =
        say(&redis, &format!("ACL SETUSER bridge on >secret ~{{capbridge:conformance}}:* +@read{rights}"));
    assert!(answer.starts_with("+OK"), "{answer}");
    let settings = RedisSettings {
        url: redis.server.url().replace("redis://", "redis://bridge@"),
        password: Some(Secret::new("secret".into())),
        ..redis.settings()
    };
    let store = RedisStore::connect(settings).await.unwrap();
    assert!(matches!(store.accept(arrival(alert("a"))).await.unwrap(), Stored::New(_)));
    assert_eq!(store.unrouted(at(1), at(60), 9).await.unwrap().len(), 1);
    store.record(vec![event("accepted", Some("a"), 1)]).await.unwrap();
    assert_eq!(store.verify_record().await.unwrap(), Ok(1));
    store.probe(0).await.unwrap();
    store.probe(1_000).await.unwrap();
    let other = RedisSettings {
        url: redis.server.url().replace("redis://", "redis://bridge@"),
        password: Some(Secret::new("secret".into())),
        name: "another".into(),
        ..redis.settings()
    };
    assert!(RedisStore::connect(other).await.is_err(), "another bridge's keys are out of reach");
}

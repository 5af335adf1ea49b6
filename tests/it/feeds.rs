//! Feeds as their readers meet them, with the real program on both stores: Atom, events, GeoJSON.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use capbridge_exercise::server::Running;
use capbridge_harness::{Program, eventually};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::drivers::{python, said, script};
use crate::stage::{Feed, On, Stage, feed, message, now, private, route, source};

const LIMIT: Duration = Duration::from_secs(20);
const TOKEN: &str = "QkM3dGVzdC10b2tlbi1vZi1hLWNvdW50eQ";
const POLYGON: &str = "42.9,-82.6 43.1,-82.6 43.1,-82.3 42.9,-82.6";

/// A stage with a feed of live alerts for partners, one that anybody may read, and one of an exercise.
struct Readers {
    stage: Stage,
    drills: Running<Feed>,
}

impl Readers {
    async fn new(on: On, lines: &str) -> Readers {
        let (mut stage, drills) = (Stage::new(on).await, feed().await);
        private(&stage.folder.path().join("county.token"), TOKEN);
        stage.route = String::new();
        let tokens = "[endpoint.{}.feed.token_files]\ncounty = \"county.token\"\n";
        stage.tables = [
            source("drills", &drills, "mode = \"exercise\"\nexercise = \"cause\""),
            format!("[feeds]\nlisten = \"127.0.0.1:0\"\n{lines}\n"),
            "[endpoint.partners]\nsystem = \"partners\"\nmode = \"live\"\nrestricted = true\n\
             [endpoint.partners.feed]\ntitle = \"Alerts for <partners> & others\"\n"
                .to_owned(),
            tokens.replace("{}", "partners"),
            "[endpoint.anybody]\nsystem = \"anybody\"\nmode = \"live\"\nreach = \"public\"\n\
             [endpoint.anybody.feed]\ntitle = \"Alerts\"\nopen = true\n"
                .to_owned(),
            "[endpoint.drill]\nsystem = \"drill\"\nmode = \"exercise\"\nexercise = \"cause\"\n\
             [endpoint.drill.feed]\ntitle = \"Drill\"\n"
                .to_owned(),
            tokens.replace("{}", "drill"),
            route("live", "\"feed\"", "\"partners\", \"anybody\"", ""),
            "[route.drill]\nfrom = [\"drills\", \"feed\"]\nto = [\"drill\"]\nclass = \"exercise\"\n"
                .to_owned(),
        ]
        .concat();
        Readers { stage, drills }
    }
}

/// Where feeds are served, from the log.
fn address(bridge: &Program) -> String {
    let text = std::fs::read_to_string(&bridge.log).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = lines.rev().find(|line| line["message"] == "feeds are served").unwrap();
    told["address"].as_str().unwrap().to_owned()
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    body: Bytes,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        let value = |line: &str| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        let at = self.head.lines().position(|line| value(line).is_some());
        at.and_then(|at| self.head.lines().nth(at)?.split_once(':')).map_or("", |(_, v)| v.trim())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn connect(bridge: &Program, target: &str, headers: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address(bridge)).await.unwrap();
    // The answer to HTTP/1.0 ends with the connection and is not chunked.
    let request = format!("GET {target} HTTP/1.0\r\nHost: feeds.example.test\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

pub(crate) async fn ask(bridge: &Program, target: &str, headers: &str) -> Reply {
    let mut socket = connect(bridge, target, headers).await;
    let mut reply = Vec::new();
    tokio::time::timeout(LIMIT, socket.read_to_end(&mut reply)).await.unwrap().unwrap();
    let end = reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {target}"));
    let head = String::from_utf8(reply[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: reply[end + 4..].to_vec().into() }
}

fn bearer() -> String {
    by(TOKEN)
}

/// The header of the holder of a token.
pub(crate) fn by(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The Atom document of the partners once it has this many entries.
async fn page_with(bridge: &Program, feed: &str, entries: usize) -> Reply {
    eventually("the feed has the entries", LIMIT, async || {
        let page = ask(bridge, &format!("/feeds/{feed}/atom.xml"), &bearer()).await;
        (page.text().matches("<entry>").count() == entries).then_some(page)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {entries} of {feed}\n{}", bridge.tail(20)))
}

/// A message with shapes.
fn shaped(chain: usize, turn: usize, begun: jiff::Timestamp) -> String {
    let shapes = format!("<polygon>{POLYGON}</polygon><circle>42.97,-82.4 5</circle><geocode>");
    message(chain, turn, begun).replacen("<geocode>", &shapes, 1)
}

/// A reader of events.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn from(bridge: &Program, feed: &str, last: Option<u64>) -> Events {
        let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let socket = connect(bridge, &format!("/feeds/{feed}/events"), &format!("{}{last}", bearer())).await;
        let mut events = Events(BufReader::new(socket));
        assert!(events.line().await.unwrap().starts_with("HTTP/1.0 200"));
        while !events.line().await.unwrap().is_empty() {}
        events
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(LIMIT, self.0.read_line(&mut line)).await.unwrap();
        matches!(read, Ok(n) if n > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The next event: its id, its name and what it says; `None` when the connection ended.
    async fn next(&mut self) -> Option<(u64, String, Value)> {
        let (mut id, mut name, mut data) = (None, None, None);
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.parse().unwrap()),
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                Some(_) => {}
                None => {
                    if let (Some(id), Some(name), Some(data)) = (id.take(), name.take(), data.take()) {
                        return Some((id, name, data));
                    }
                }
            }
        }
    }
}

fn identifier(data: &Value) -> String {
    data["reference"].as_str().unwrap().split(',').nth(1).unwrap().to_owned()
}

async fn check_a_reader(on: On) {
    let Readers { stage, drills } = Readers::new(on, "").await;
    let bridge = stage.bridge().await;
    let begun = now();
    assert_eq!(page_with(&bridge, "partners", 0).await.status, 200);
    stage.feed.site.publish(shaped(1, 0, begun));
    let page = page_with(&bridge, "partners", 1).await;
    assert_eq!(page.header("content-type"), "application/atom+xml; charset=utf-8");

    // What did not change is not sent again.
    let tag = page.header("etag").to_owned();
    let again =
        ask(&bridge, "/feeds/partners/atom.xml", &format!("{}If-None-Match: {tag}\r\n", bearer())).await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()));
    let link = page.text().split("rel=\"enclosure\"").nth(1).unwrap().split("href=\"").nth(1).unwrap();
    let path = link.split('"').next().unwrap().split_once("/feeds/").unwrap().1.to_owned();
    let enclosure = ask(&bridge, &format!("/feeds/{path}"), &bearer()).await;
    assert_eq!(enclosure.header("content-type"), "application/cap+xml");
    assert_eq!(enclosure.text(), shaped(1, 0, begun), "byte for byte");
    assert!(page.text().contains(&format!("length=\"{}\"", enclosure.body.len())));

    // An exercise is in no feed but its own, whoever sends it.
    let exercise = |chain| shaped(chain, 0, begun).replace("<status>Actual<", "<status>Exercise<");
    stage.feed.site.publish(exercise(8));
    drills.site.publish(exercise(9));
    let drill = page_with(&bridge, "drill", 1).await;
    assert!(drill.text().contains("<title>EXERCISE / EXERCICE: chain 9 turn 0</title>"), "{}", drill.text());
    stage.accepts(&bridge, "C8-0").await;
    stage.settled(&bridge, LIMIT).await;
    for live in ["partners", "anybody"] {
        let page = page_with(&bridge, live, 1).await;
        assert!(!page.text().contains("Exercise"), "{}", page.text());
    }

    // What is in force, and its end.
    let map = ask(&bridge, "/feeds/partners/current.geojson", &bearer()).await;
    assert_eq!(map.header("content-type"), "application/geo+json");
    let features = map.json()["features"].as_array().unwrap().clone();
    assert_eq!(features.len(), 2);
    assert_eq!(features[0]["geometry"]["coordinates"][0][0], serde_json::json!([-82.6, 42.9]));
    assert_eq!(features[1]["geometry"]["type"], "Polygon");
    assert!(
        features
            .iter()
            .all(|f| f["properties"]["usage"] == "live" && f["properties"]["areaDesc"] == "county")
    );
    stage.feed.site.publish(message(2, 0, begun));
    page_with(&bridge, "partners", 2).await;
    stage.feed.site.publish(message(1, 3, begun));
    let cancelled = page_with(&bridge, "partners", 3).await;
    assert!(cancelled.text().contains("<title>CANCEL / ANNULATION: "));
    let map = ask(&bridge, "/feeds/partners/current.geojson", &bearer()).await.json();
    let left: Vec<String> =
        map["features"].as_array().unwrap().iter().map(|f| identifier(&f["properties"])).collect();
    assert_eq!(left, ["C2-0"], "a place with codes only stays, without geometry");
    assert!(map["features"][0]["geometry"].is_null());
    check_pages(&bridge).await;
    read_by_others(&bridge).await;
}

/// The links lead through all entries, once, whatever the size of a page.
async fn check_pages(bridge: &Program) {
    let link = |page: &Reply, rel: &str| {
        let after = page.text().split(&format!("<link rel=\"{rel}\"")).nth(1)?.split("href=\"").nth(1)?;
        let url = after.split('"').next()?.replace("&amp;", "&");
        Some(url[url.find("/feeds/")?..].to_owned())
    };
    let ids = |page: &Reply| -> Vec<String> {
        let entries = page.text().split("<entry>").skip(1);
        entries.map(|e| e.split("<id>").nth(1).unwrap().split("</id>").next().unwrap().to_owned()).collect()
    };
    let whole = ids(&ask(bridge, "/feeds/partners/atom.xml", &bearer()).await);
    for limit in 1..=4 {
        let (mut seen, mut last) = (Vec::new(), String::new());
        let mut next = Some(format!("/feeds/partners/atom.xml?limit={limit}"));
        while let Some(target) = next.take() {
            let page = ask(bridge, &target, &bearer()).await;
            assert_eq!(page.status, 200, "{target}");
            seen.extend(ids(&page));
            next = link(&page, "next");
            last = target;
        }
        assert_eq!(seen, whole, "in pages of {limit}, the last at {last}");
        let mut back = Vec::new();
        let mut previous = link(&ask(bridge, &last, &bearer()).await, "last");
        while let Some(target) = previous.take() {
            let page = ask(bridge, &target, &bearer()).await;
            back.splice(0..0, ids(&page));
            previous = link(&page, "previous");
        }
        assert_eq!(back, whole, "backwards in pages of {limit}");
    }
}

/// feedparser shares no code with us.
async fn read_by_others(bridge: &Program) {
    let page = ask(bridge, "/feeds/partners/atom.xml", &bearer()).await;
    let mut child = tokio::process::Command::new(python().await)
        .arg(script("read_feed.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&page.body).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((read["fault"].as_str(), read["version"].as_str()), (Some(""), Some("atom10")), "{read}");
    assert_eq!(read["title"], "Alerts for <partners> & others");
    let entries = read["entries"].as_array().unwrap();
    let titles: Vec<&str> = entries.iter().map(|e| e["title"].as_str().unwrap()).collect();
    assert_eq!(titles[1..], ["chain 2 turn 0", "chain 1 turn 0"]);
    let first = &entries[2];
    assert_eq!(first["terms"], serde_json::json!(["Safety"]));
    assert_eq!(first["enclosures"][0]["type"], "application/cap+xml");
    assert_eq!(
        (first["cap"]["cap_event"].as_str(), first["cap"]["cap_status"].as_str()),
        (Some("Civil Emergency Message"), Some("Actual"))
    );
    assert!(first["where"].is_object(), "the shape is read: {first}");
    assert!(first["summary"].as_str().unwrap().starts_with("a text of some length."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_was_routed_to_its_feed_and_what_is_in_force() {
    // D-11
    check_a_reader(On::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_was_routed_to_its_feed_and_what_is_in_force_on_redis() {
    check_a_reader(On::Redis).await;
}

async fn check_events_over_kills(on: On) {
    const LIVES: usize = 6;
    const EACH: usize = 8;
    let Readers { stage, .. } = Readers::new(on, "").await;
    let begun = now();
    let (mut seen, mut last): (Vec<(u64, String)>, u64) = (Vec::new(), 0);
    for life in 0..LIVES {
        for chain in 0..EACH {
            stage.feed.site.publish(message(life * EACH + chain, 0, begun));
        }
        let bridge = stage.bridge().await;
        let mut events = Events::from(&bridge, "partners", Some(last)).await;
        // The reader is cut after some of the events of this life, or has all of them in the last.
        let wanted = if life + 1 == LIVES { LIVES * EACH } else { seen.len() + 1 + life };
        while seen.len() < wanted {
            let Some((id, name, data)) = events.next().await else { panic!("cut\n{}", bridge.tail(20)) };
            if name == "ready" {
                assert_eq!(id, last, "it goes on where it was");
                continue;
            }
            seen.push((id, identifier(&data)));
            last = id;
        }
        if life + 1 < LIVES {
            bridge.kill().await.unwrap();
            while events.next().await.is_some() {}
        } else {
            stage.settled(&bridge, LIMIT).await;
            let mut whole = Events::from(&bridge, "partners", Some(0)).await;
            let mut again = Vec::new();
            while again.len() < seen.len() {
                let (id, name, data) = whole.next().await.unwrap();
                if name == "alert" {
                    again.push((id, identifier(&data)));
                }
            }
            assert_eq!(again, seen, "another reader sees the same");
        }
    }
    let places: Vec<u64> = seen.iter().map(|(id, _)| *id).collect();
    assert_eq!(
        places,
        (1..=u64::try_from(LIVES * EACH).unwrap()).collect::<Vec<_>>(),
        "no gap and no repeat"
    );
    let names: BTreeSet<&String> = seen.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), LIVES * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_events_loses_and_repeats_nothing_over_kills_of_the_bridge() {
    // D-2, D-9
    check_events_over_kills(On::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_events_loses_and_repeats_nothing_over_kills_of_the_bridge_on_redis() {
    check_events_over_kills(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_may_not_or_cannot_have_is_a_problem_document() {
    let Readers { stage, .. } = Readers::new(On::Embedded, "").await;
    let bridge = stage.bridge().await;
    stage.feed.site.publish(message(1, 0, now()));
    page_with(&bridge, "partners", 1).await;
    let basic = "Authorization: Basic cmVhZGVyOlFrTTNkR1Z6ZEMxMGIydGxiaTF2WmkxaExXTnZkVzUwZVE=\r\n";
    assert_eq!(ask(&bridge, "/feeds/partners/atom.xml", basic).await.status, 200);
    assert_eq!(ask(&bridge, "/feeds/anybody/atom.xml", "").await.status, 200);
    let long = format!("{}X-Long: {}\r\n", bearer(), "a".repeat(9_000));
    let near = format!("Authorization: Bearer {}x\r\n", &TOKEN[..TOKEN.len() - 1]);
    let cases = [
        ("/feeds/partners/atom.xml", String::new(), 401),
        ("/feeds/partners/atom.xml", near.clone(), 401),
        ("/feeds/partners/events", near.clone(), 401),
        ("/feeds/partners/current.geojson", near.clone(), 401),
        ("/feeds/partners/alerts/x.xml", near, 401),
        ("/feeds/partners/atom.xml?token=abc", bearer(), 400),
        ("/feeds/nobody/atom.xml", bearer(), 404),
        ("/feeds/partners/atom.xml?before=abc", bearer(), 400),
        ("/feeds/partners/atom.xml?before=0", bearer(), 404),
        ("/feeds/partners/atom.xml?before=9", bearer(), 404),
        ("/feeds/partners/atom.xml?after=9", bearer(), 404),
        ("/feeds/partners/atom.xml?before=1&after=1", bearer(), 400),
        ("/feeds/partners/atom.xml?limit=0", bearer(), 400),
        ("/feeds/partners/atom.xml?limit=51", bearer(), 400),
        ("/feeds/partners/alerts/msg_none.xml", bearer(), 404),
        ("/feeds/partners/alerts/..%2f..%2fatom.xml", bearer(), 404),
        ("/feeds/partners/events", format!("{}Last-Event-ID: abc\r\n", bearer()), 400),
        ("/feeds/partners/events", format!("{}Last-Event-ID: 99\r\n", bearer()), 400),
        ("/feeds/partners/events?last_event_id=-1", bearer(), 400),
        ("/feeds/partners/atom.xml", long, 431),
        ("/feeds", bearer(), 404),
        ("/", String::new(), 404),
    ];
    for (target, headers, status) in cases {
        let reply = ask(&bridge, target, &headers).await;
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json", "{target}");
        assert_eq!(reply.json()["status"], status, "{target}");
        assert!(!reply.text().contains(TOKEN));
        if status == 401 {
            assert!(reply.header("www-authenticate").contains("Bearer"), "{target}");
        }
    }
    let log = std::fs::read_to_string(&bridge.log).unwrap();
    assert!(!log.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_too_many_are_told_and_one_that_takes_nothing_is_cut() {
    let Readers { stage, .. } = Readers::new(On::Embedded, "max_clients = 2\nstalled_secs = 1").await;
    let bridge = stage.bridge().await;
    let begun = now();
    let long =
        |chain| message(chain, 0, begun).replace("a text of some length. ", &"much to say ".repeat(2_000));
    (0..24).for_each(|chain| stage.feed.site.publish(long(chain)));
    page_with(&bridge, "partners", 24).await;
    stage.feed.site.clear();

    let first = Events::from(&bridge, "partners", None).await;
    let _second = Events::from(&bridge, "partners", None).await;
    let third = ask(&bridge, "/feeds/partners/atom.xml", &bearer()).await;
    assert_eq!((third.status, third.header("retry-after")), (503, "10"), "{}", third.text());
    drop(first);
    eventually("there is room again", LIMIT, async || {
        (ask(&bridge, "/feeds/partners/atom.xml", &bearer()).await.status == 200).then_some(())
    })
    .await
    .unwrap();

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut slow = socket.connect(address(&bridge).parse().unwrap()).await.unwrap();
    let request = format!("GET /feeds/partners/events?last_event_id=0 HTTP/1.0\r\n{}\r\n", bearer());
    slow.write_all(request.as_bytes()).await.unwrap();
    // How much the kernel keeps for it is not ours to say: what comes goes on until it is full.
    let more = AtomicUsize::new(24);
    eventually("it is cut", LIMIT, async || {
        stage.feed.site.clear();
        (0..4).for_each(|_| stage.feed.site.publish(long(more.fetch_add(1, Ordering::Relaxed))));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (_, metrics) = bridge.get("/metrics").await.ok()?;
        metrics.as_str()?.contains("capbridge_feed_cut_total 1").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    drop(slow);
    let next = message(9_999, 0, begun);
    stage.feed.site.publish(next);
    eventually("others are served as before", LIMIT, async || {
        let tail = bridge.tail(50);
        tail.lines()
            .any(|l| l.contains("entry in the feed") && l.contains("anybody") && l.contains("C9999-0"))
            .then_some(())
    })
    .await
    .unwrap();
}

//! A stream as the receivers of the NAAD System meet it, with the real program: framing, heartbeats, the archive, who may
//! connect, what outlives a kill.

use std::time::Duration;

use capbridge_harness::{Program, eventually, free_port};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::stage::{On, Stage, message, now, route};

const LIMIT: Duration = Duration::from_secs(20);
const POLYGON: &str = "42.9,-82.6 43.1,-82.6 43.1,-82.3 42.9,-82.6";

/// A client as they are: it says nothing, looks for `<alert` and `</alert>` and cuts out what is between.
struct Client {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn connect(port: u16) -> Client {
        let socket = eventually("the stream is open", LIMIT, async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        });
        Client { socket: socket.await.unwrap(), read: Vec::new() }
    }

    /// The next document; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let find = |all: &[u8], what: &[u8]| all.windows(what.len()).position(|w| w == what);
        loop {
            if let Some(end) = find(&self.read, b"</alert>") {
                let rest = self.read.split_off(end + b"</alert>".len());
                let document = String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
                let begin = document.find("<?xml").or(document.find("<alert")).unwrap();
                return Some(document[begin..].to_owned());
            }
            let mut chunk = [0_u8; 7];
            let count = tokio::time::timeout(LIMIT, self.socket.read(&mut chunk)).await.unwrap().ok()?;
            if count == 0 {
                return None;
            }
            self.read.extend_from_slice(&chunk[..count]);
        }
    }

    /// The next document that is no heartbeat.
    async fn alert(&mut self) -> String {
        loop {
            let next = self.next().await.unwrap();
            if !is_heartbeat(&next) {
                return next;
            }
        }
    }
}

fn is_heartbeat(document: &str) -> bool {
    document.contains("<status>System</status>") && document.contains("<sender>NAADS-Heartbeat</sender>")
}

fn inside<'d>(document: &'d str, element: &str) -> &'d str {
    let (_, rest) =
        document.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("no {element}: {document}"));
    rest.split_once("</").unwrap().0
}

/// The name of a message in the archive, as clients make it.
fn archived(document: &str) -> String {
    let plain = |text: &str| text.replace(['-', ':'], "_").replace('+', "p");
    let sent = inside(document, "sent");
    format!("/{}/{}I{}.xml", &sent[..10], plain(sent), plain(inside(document, "identifier")))
}

async fn fetch(port: u16, path: &str) -> (u16, String) {
    use tokio::io::AsyncWriteExt;
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.0\r\nHost: archive\r\n\r\n").as_bytes()).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn endpoint(port: u16, archive: u16, clients: &str) -> String {
    format!(
        "[endpoint.broadcasters]\nsystem = \"broadcasters\"\nmode = \"live\"\n[endpoint.broadcasters.stream]\n\
         listen = \"127.0.0.1:{port}\"\narchive_listen = \"127.0.0.1:{archive}\"\nclients = [\"{clients}\"]\n\
         heartbeat_secs = 1\nmax_clients = 2\n"
    )
}

/// An alert of the feed that touches Canada, so that a Canadian stream is told of it.
fn touching(chain: usize, turn: usize, begun: jiff::Timestamp) -> String {
    let area = "<geocode><valueName>SAME</valueName><value>026147</value></geocode>";
    message(chain, turn, begun).replace(area, &format!("<polygon>{POLYGON}</polygon>{area}"))
}

async fn check(on: On) {
    let mut stage = Stage::new(on).await;
    let (port, archive) = (free_port().unwrap(), free_port().unwrap());
    stage.route = String::new();
    stage.tables =
        [endpoint(port, archive, "127.0.0.0/8"), route("all", "\"feed\"", "\"broadcasters\"", "")].concat();
    let bridge = stage.bridge().await;
    let mut client = Client::connect(port).await;
    let first = client.next().await.unwrap();
    assert!(is_heartbeat(&first) && !first.contains("<references>"), "{first}");
    let begun = now();
    (0..4).for_each(|turn| stage.feed.site.publish(touching(1, turn, begun)));
    let mut seen = Vec::new();
    for kind in ["Alert", "Update", "Update", "Cancel"] {
        let document = client.alert().await;
        assert_eq!(inside(&document, "msgType"), kind, "{document}");
        assert!(document.contains("profile:CAP-CP:"), "{document}");
        seen.push(document);
    }
    // The heartbeat tells of them, and each is in the archive under the name that clients make, byte for byte.
    let beat = client.next().await.unwrap();
    assert!(is_heartbeat(&beat), "{beat}");
    for document in &seen {
        let reference = ["sender", "identifier", "sent"].map(|element| inside(document, element)).join(",");
        assert!(inside(&beat, "references").contains(&reference), "{beat}");
        let (status, body) = fetch(archive, &archived(document)).await;
        assert!(status == 200 && body == *document, "{status} {body}");
    }
    assert_eq!(fetch(archive, "/2026-03-01/nothing.xml").await.0, 404);
    // A kill loses nothing: what was kept is told in the next heartbeat.
    bridge.kill().await.unwrap();
    assert!(client.next().await.is_none_or(|document| is_heartbeat(&document)));
    let bridge = stage.bridge().await;
    let mut again = Client::connect(port).await;
    let beat = again.next().await.unwrap();
    assert_eq!(inside(&beat, "references").split(' ').count(), 4, "{beat}\n{}", bridge.tail(5));
    turned_away(&bridge, port).await;
}

async fn turned_away(bridge: &Program, port: u16) {
    let mut second = Client::connect(port).await;
    assert!(second.next().await.is_some());
    let mut third = Client::connect(port).await;
    assert_eq!(third.next().await, None, "a third of two");
    let (_, metrics) = bridge.get("/metrics").await.unwrap();
    for line in ["capbridge_stream_turned_away_total 1", "capbridge_stream_clients 2"] {
        assert!(metrics.as_str().unwrap().contains(line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_each_message_once_in_order_with_heartbeats_and_an_archive() {
    // D-2, D-5, D-9
    check(On::Embedded).await;
    check(On::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_registered_and_removed_while_the_bridge_runs_and_serves_listed_clients_only() {
    let mut stage = Stage::new(On::Embedded).await;
    stage.route = String::new();
    stage.tables = "[registration]\nkinds = [\"stream\"]\n".to_owned();
    let bridge = stage.bridge().await;
    let order = json!({"name": "windsor", "title": "Windsor EOC"});
    assert_eq!(bridge.post("/v1/responders", &order).await.unwrap().0, 201);
    let port = free_port().unwrap();
    let stream = |name: &str, port: u16, clients: serde_json::Value| {
        json!({"name": name, "responder": "windsor", "class": "live",
            "stream": {"listen": format!("127.0.0.1:{port}"), "clients": clients, "heartbeat_secs": 1}})
    };
    for (order, status) in [
        (stream("open", port, json!([])), 422),
        (stream("open", port, json!(["somewhere"])), 422),
        (stream("listed", port, json!(["127.0.0.1"])), 201),
        (stream("closed", port + 1, json!(["192.0.2.0/24"])), 201),
    ] {
        let (got, said) = bridge.post("/v1/endpoints", &order).await.unwrap();
        assert_eq!(got, status, "{order}: {said}");
    }
    let order = json!({"name": "all", "endpoint": "listed"});
    assert_eq!(bridge.post("/v1/subscriptions", &order).await.unwrap().0, 201);
    let mut client = Client::connect(port).await;
    let mut other = Client::connect(port + 1).await;
    assert_eq!(other.next().await, None, "one that is not listed");
    stage.feed.site.publish(touching(1, 0, now()));
    assert_eq!(inside(&client.alert().await, "msgType"), "Alert");
    assert_eq!(bridge.call("DELETE", "/v1/endpoints/listed", None, None).await.unwrap().0, 204);
    while let Some(document) = client.next().await {
        assert!(is_heartbeat(&document), "{document}");
    }
    eventually("nobody listens there", LIMIT, async || {
        TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(())
    })
    .await
    .unwrap();
}

//! Clients of the admin socket that are slow, large, odd or too many, over real sockets.

use std::time::Duration;

use capbridge_harness::{Program, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::stage::{On, Stage};

const LIMIT: Duration = Duration::from_secs(20);
const POST: &str = "POST /v1/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

async fn bridge(admin: &str) -> (Stage, Program) {
    let mut stage = Stage::new(On::Embedded).await;
    stage.admin = admin.to_owned();
    let bridge = stage.bridge().await;
    (stage, bridge)
}

async fn connect(bridge: &Program) -> TcpStream {
    TcpStream::connect(bridge.admin.strip_prefix("http://").unwrap()).await.unwrap()
}

/// What the socket says until it closes: the status and the problem document. Empty where it just closes.
async fn answer(socket: &mut TcpStream) -> (u16, Value) {
    let mut reply = Vec::new();
    let _ = tokio::time::timeout(LIMIT, socket.read_to_end(&mut reply)).await.unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let Some((head, body)) = reply.split_once("\r\n\r\n") else { return (0, Value::Null) };
    assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{reply}");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"], status, "{body}");
    (status, body)
}

/// Writes pieces with a pause after each, as far as the other side lets it.
async fn drip(socket: &mut TcpStream, pieces: impl Iterator<Item = String>, pause: Duration) {
    for piece in pieces {
        if socket.write_all(piece.as_bytes()).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_or_a_body_that_does_not_come_is_told_so_in_time() {
    let (_stage, bridge) = bridge("patience_secs = 1").await;
    let header = |n: usize| format!("X-{n}: a\r\n");
    let drops = std::iter::once("GET /v1/alerts HTTP/1.1\r\nHost: localhost\r\n".to_owned());
    let head: Vec<String> = drops.chain((0..30).map(header)).collect();
    let body = std::iter::once(format!("{POST}Content-Length: 100\r\n\r\n{{"));
    let body: Vec<String> = body.chain((0..30).map(|_| " ".to_owned())).collect();
    let nothing = Vec::new();
    for (what, pieces) in [("nothing", nothing), ("a head", head), ("a body", body)] {
        let begun = Instant::now();
        let mut socket = connect(&bridge).await;
        let (mut said, mut to) = socket.split();
        let mut reply = Vec::new();
        let (_, read) = tokio::join!(
            async {
                for piece in &pieces {
                    if to.write_all(piece.as_bytes()).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            tokio::time::timeout(LIMIT, said.read_to_end(&mut reply))
        );
        let _ = read.unwrap();
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 408 "), "{what}: {reply}");
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body["detail"].as_str().unwrap().contains("did not come in 1 s"), "{what}: {body}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{what}: {:?}", begun.elapsed());
    }
    assert_eq!(bridge.list("/v1/tokens").await.unwrap(), Vec::<Value>::new(), "half a body made a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_request_is_told_so() {
    let (_stage, bridge) = bridge("patience_secs = 2").await;
    let large = "a".repeat(20_000);
    let chunked = format!("{POST}Transfer-Encoding: chunked\r\n\r\n4e20\r\n{large}\r\n0\r\n\r\n");
    let many: String = (0..100).map(|n| format!("X-{n}: a\r\n")).collect();
    let cases = [
        (413, format!("{POST}Content-Length: 20000\r\n\r\n{large}")),
        (413, format!("{POST}Content-Length: 99999999999\r\n\r\n")),
        (413, chunked),
        (431, format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(60_000))),
        (400, "no request at all\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n".to_owned()),
        (400, format!("{POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}")),
    ];
    for (status, request) in cases {
        let mut socket = connect(&bridge).await;
        drip(&mut socket, std::iter::once(request.clone()), Duration::ZERO).await;
        let shown: String = request.chars().take(120).collect();
        assert_eq!(answer(&mut socket).await.0, status, "{shown}");
    }
    assert_eq!(bridge.get("/v1/alerts").await.unwrap().0, 200);
}

/// The whole answer of a call that everybody may make.
async fn health(bridge: &Program) -> Option<String> {
    let mut socket = connect(bridge).await;
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut reply = String::new();
    tokio::time::timeout(LIMIT, socket.read_to_string(&mut reply)).await.ok()?.ok()?;
    Some(reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_keep_nobody_out_and_too_many_that_ask_are_told_so() {
    let (_stage, bridge) = bridge("max_clients = 4\npatience_secs = 30").await;
    // Silent ones: the longest silent makes room.
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(connect(&bridge).await);
    }
    for _ in 0..20 {
        let begun = Instant::now();
        let reply = health(&bridge).await.unwrap();
        assert!(reply.contains(" 200 OK"), "{reply}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    drop(silent);
    // Those that have asked and take their time with the body hold their places.
    let mut asking = Vec::new();
    let mut told = String::new();
    while !told.contains(" 503 ") {
        assert!(asking.len() < 50, "there is always room: {told}");
        let mut socket = connect(&bridge).await;
        socket.write_all(format!("{POST}Content-Length: 10\r\n\r\n{{").as_bytes()).await.unwrap();
        asking.push(socket);
        told = health(&bridge).await.unwrap_or_default();
    }
    assert!(told.contains("retry-after: 10") && told.contains("application/problem+json"), "{told}");
    drop(asking);
    eventually("there is room again", LIMIT, async || {
        let (status, metrics) = bridge.get("/metrics").await.ok()?;
        (status == 200 && metrics.as_str()?.contains("capbridge_admin_turned_away_total")).then_some(())
    })
    .await
    .unwrap();
}

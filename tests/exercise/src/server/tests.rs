//! Faults over real sockets, seen by a client that knows HTTP only as bytes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::clock::instant;

#[derive(Debug, Default)]
struct Counter(Mutex<u32>);

impl Site for Counter {
    fn answer(&self, request: &Request) -> Answer {
        if request.path == "/unknown" {
            return Answer::unexpected(request);
        }
        *locked(&self.0) += 1;
        Answer::new(200, "text/plain", "0123456789abcdefghij")
    }
}

async fn counter() -> Running<Counter> {
    let clock = Clock::fixed(instant("2026-03-01T17:00:00Z").unwrap());
    serve(Arc::default(), loopback().await.unwrap(), clock, false).unwrap()
}

/// What comes back until the connection ends.
async fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is torn off is what some cases wait for.
    let _torn = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn each_fault_is_seen_by_the_client_and_has_the_effect_it_says() {
    let cases = [
        (
            Fault::Answer { status: 299, media_type: "a/b".to_owned(), body: "own".to_owned() },
            "HTTP/1.1 299",
            "own",
            0,
        ),
        (Fault::CutBody, "HTTP/1.1 200", "\r\n0123456789", 1),
        (Fault::Delay { millis: 1 }, "HTTP/1.1 200", "ghij", 1),
        (Fault::Drip { millis: 1 }, "HTTP/1.1 200", "ghij", 1),
        (Fault::Drop, "", "", 0),
        (Fault::Garbage, "HTTP/1.1 200", "not", 0),
        (Fault::LoseAnswer, "", "", 1),
        (Fault::Redirect { location: "/login".to_owned() }, "HTTP/1.1 302", "location: /login", 0),
        (Fault::Status { status: 429, retry_after_secs: Some(7) }, "HTTP/1.1 429", "retry-after: 7", 0),
    ];
    for (fault, begin, within, effects) in cases {
        let running = counter().await;
        running.misbehave(Mischief::next(1, fault.clone()));
        let answer = ask(running.addr, "POST", "/", "x").await;
        assert!(answer.starts_with(begin) && answer.contains(within), "{fault:?}: {answer}");
        assert_eq!(answer.is_empty(), begin.is_empty(), "{fault:?}: {answer}");
        assert_eq!(*locked(&running.0), effects, "{fault:?}");
        assert!(ask(running.addr, "POST", "/", "x").await.ends_with("ghij"), "{fault:?} is over");
        assert_eq!(running.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_planner_asks_for_faults_over_http_and_unexpected_requests_are_counted() {
    let running = counter().await;
    let json = r#"{"fault":"status","status":503,"requests":2}"#;
    assert!(ask(running.addr, "POST", "/_exercise/mischief", json).await.starts_with("HTTP/1.1 200"));
    assert!(ask(running.addr, "POST", "/_exercise/mischief", "{}").await.starts_with("HTTP/1.1 400"));
    assert!(ask(running.addr, "GET", "/a", "").await.starts_with("HTTP/1.1 503"));
    assert!(ask(running.addr, "DELETE", "/_exercise/mischief", "").await.starts_with("HTTP/1.1 200"));
    assert!(ask(running.addr, "GET", "/unknown", "").await.starts_with("HTTP/1.1 404"));
    assert!(ask(running.addr, "GET", "/_exercise/requests", "").await.contains("GET /unknown 0"));
    let unexpected: Vec<_> = running.unexpected().into_iter().map(|request| request.path).collect();
    assert_eq!(unexpected, ["/unknown"]);
}

#[tokio::test]
async fn a_simulator_that_hangs_answers_nothing_until_it_is_stopped_and_then_starts_again_on_its_port() {
    let running = counter().await;
    let addr = running.addr;
    running.misbehave(Mischief::next(1, Fault::Hang));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    while running.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let site = running.stop().await;
    let mut answer = Vec::new();
    let _torn = stream.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    assert!(TcpStream::connect(addr).await.is_err(), "a stopped simulator refuses");
    let listener = TcpListener::bind(addr).await.unwrap();
    let again = serve(site, listener, Clock::system(), false).unwrap();
    assert!(ask(again.addr, "GET", "/", "").await.ends_with("ghij"));
    assert_eq!(*locked(&again.0), 1);
}

//! Healthy endpoints only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::scene::Scene;

/// Endpoints that each alert goes to.
const ENDPOINTS: usize = 1_000;
/// Alerts of a round.
const ALERTS: usize = 10;
/// Requests that the bare client has under way: as many as it is fastest with.
const CLIENTS: usize = 64;
/// Alerts of a round for one endpoint.
const SINGLE: usize = 400;
const LIMIT: Duration = Duration::from_secs(120);

/// Deliveries per second from the first to the last: those of the relay, those of a bare client.
pub async fn round(engine: &str) -> (f64, f64) {
    let scene = Scene::new(engine).await;
    let mut tables: String = (0..ENDPOINTS).map(|n| scene.endpoint(n, &format!("/ok/{n}"))).collect();
    let names: Vec<String> = (0..ENDPOINTS).map(|n| format!("\"e{n}\"")).collect();
    tables += &format!("[route.all]\nfrom = [\"feed\"]\nto = [{}]\nclass = \"live\"\n", names.join(", "));
    let program = scene.program(&tables).await;
    // Connections are open and code is warm.
    scene.publish(0..1);
    assert!(scene.arrived(ENDPOINTS, LIMIT).await, "the first alert did not arrive");
    *scene.desk.samples.lock().unwrap() = Some(Vec::new());
    scene.desk.arrivals.lock().unwrap().clear();
    scene.publish(1..1 + ALERTS);
    assert!(scene.arrived(ENDPOINTS * ALERTS, LIMIT).await, "not all arrived\n{}", program.tail(5));
    let relay = rate(&scene);
    program.kill().await.unwrap();
    let samples = scene.desk.samples.lock().unwrap().take().unwrap();
    assert_eq!(samples.len(), ENDPOINTS * ALERTS);
    scene.desk.arrivals.lock().unwrap().clear();
    let client: Client<HttpConnector, Full<bytes::Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let (samples, next) = (Arc::new(samples), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (samples, next, client, address) = (samples.clone(), next.clone(), client.clone(), scene.address);
        tasks.spawn(async move {
            while let Some(sample) = samples.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut request = Request::post(format!("http://{address}{}", sample.path))
                    .body(Full::from(sample.body.clone()))
                    .unwrap();
                *request.headers_mut() = sample.headers.clone();
                let reply = client.request(request).await.unwrap();
                assert_eq!(reply.status(), 204);
                reply.into_body().collect().await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    (relay, rate(&scene))
}

fn rate(scene: &Scene) -> f64 {
    let times: Vec<Instant> = scene.arrivals().iter().map(|a| a.at).collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    times.len() as f64 / last.duration_since(*first).as_secs_f64()
}

/// Milliseconds of an alert for one endpoint with so many configured, each with a route of its own.
pub async fn one_of(engine: &str, endpoints: usize) -> f64 {
    let scene = Scene::new(engine).await;
    let mut tables = String::new();
    for n in 0..endpoints {
        tables += &scene.endpoint(n, &format!("/ok/{n}"));
        // The one in the middle takes them.
        let events = if n == endpoints / 2 { "CEM" } else { "ADR" };
        tables += &format!(
            "[route.r{n}]\nfrom = [\"feed\"]\nto = [\"e{n}\"]\nclass = \"live\"\nevents = [\"{events}\"]\n"
        );
    }
    let program = scene.program(&tables).await;
    scene.publish(0..20);
    assert!(scene.arrived(20, LIMIT).await, "the first alerts did not arrive\n{}", program.tail(5));
    scene.desk.arrivals.lock().unwrap().clear();
    scene.publish(20..20 + SINGLE);
    assert!(scene.arrived(SINGLE, LIMIT).await, "not all arrived\n{}", program.tail(5));
    program.kill().await.unwrap();
    1_000.0 / rate(&scene)
}

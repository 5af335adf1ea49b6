//! Many endpoints of which three in ten fail in four ways.

use std::time::Duration;

use tokio::time::Instant;

use super::scene::Scene;

/// Alerts, one after the other: the failing endpoints are tried again after 1, 2, 7, 20 and 30 s.
const ALERTS: usize = 4;
const BETWEEN: Duration = Duration::from_secs(10);

pub struct Found {
    pub p50_s: f64,
    pub p99_s: f64,
    pub rss_mib: f64,
    pub arrived: usize,
    pub due: usize,
}

pub async fn run(engine: &str, endpoints: usize) -> Found {
    let scene = Scene::new(engine).await;
    let (mut tables, mut names, mut healthy) = (String::new(), Vec::new(), 0);
    for n in 0..endpoints {
        // One in ten refuses, one in ten hangs, one in twenty says 500, one in twenty is late.
        let path = match n % 20 {
            0 | 1 => "http://127.0.0.1:1/".to_owned(),
            2 | 3 => "/hang".to_owned(),
            4 => "/broken".to_owned(),
            5 => "/late".to_owned(),
            _ => {
                healthy += 1;
                format!("/ok/{n}")
            }
        };
        tables += &scene.endpoint(n, &path);
        names.push(format!("\"e{n}\""));
    }
    tables += &format!("[route.all]\nfrom = [\"feed\"]\nto = [{}]\nclass = \"live\"\n", names.join(", "));
    let program = scene.program(&tables).await;
    let mut published = Vec::new();
    for n in 0..ALERTS {
        published.push(Instant::now());
        scene.publish(n..n + 1);
        tokio::time::sleep(BETWEEN).await;
    }
    let due = healthy * ALERTS;
    let waits = || {
        let arrivals = scene.arrivals();
        let healthy = arrivals.iter().filter(|a| a.path.starts_with("/ok/"));
        healthy.map(|a| a.at.duration_since(published[a.alert]).as_secs_f64()).collect::<Vec<_>>()
    };
    let begun = Instant::now();
    while waits().len() < due && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut waits = waits();
    waits.sort_by(f64::total_cmp);
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id().unwrap())).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: f64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
    program.kill().await.unwrap();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    Found { p50_s: at(50), p99_s: at(99), rss_mib: peak_kib / 1_024.0, arrived: waits.len(), due }
}

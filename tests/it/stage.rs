//! A small stage for tests of the running program: a feed that the test writes, a responder, the bridge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use capbridge_exercise::clock::{Clock, cap_time};
use capbridge_exercise::keys::WebhookKeys;
use capbridge_exercise::responder::{self, Responder};
use capbridge_exercise::server::{self, Answer, Request, Running, Site};
use capbridge_harness::{Program, Redis, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// An IPAWS-like feed whose alerts the test decides.
#[derive(Debug, Default)]
pub struct Feed {
    alerts: Mutex<Vec<String>>,
    /// What time it is here, as HTTP says it; the real one where the test says nothing.
    pub date: Mutex<Option<String>>,
}

impl Feed {
    pub fn publish(&self, alert: String) {
        self.alerts.lock().unwrap().push(alert);
    }

    pub fn clear(&self) {
        self.alerts.lock().unwrap().clear();
    }
}

impl Site for Feed {
    fn answer(&self, request: &Request) -> Answer {
        if !request.path.contains("/recent/") {
            return Answer::unexpected(request);
        }
        let body = format!(
            "<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">{}</ns1:alerts>",
            self.alerts.lock().unwrap().concat()
        );
        let answer = Answer::new(200, "application/xml", Bytes::from(body));
        match self.date.lock().unwrap().clone() {
            Some(date) => answer.with_header("date", date),
            None => answer,
        }
    }
}

/// Which store a test runs on.
#[derive(Clone, Copy, Debug)]
pub enum On {
    Embedded,
    Redis,
}

pub struct Stage {
    pub feed: Running<Feed>,
    pub responder: Running<Responder>,
    pub redis: Option<Redis>,
    public_key: String,
    pub folder: tempfile::TempDir,
    /// Lines of `[store]` instead of the own Redis.
    pub store: String,
    /// Lines of `[network]`.
    pub network: String,
    /// More of `[admin]`.
    pub admin: String,
    /// The name of the route from the feed to the responder; empty: no route.
    pub route: String,
    /// Lines of that route, and after it.
    pub extra: String,
    /// Lines of `[intake]`.
    pub intake: String,
    /// Lines of `[relay]`.
    pub relay: String,
    /// More tables.
    pub tables: String,
}

/// Another feed.
pub async fn feed() -> Running<Feed> {
    let listener = server::loopback().await.unwrap();
    server::serve(Arc::new(Feed::default()), listener, Clock::system(), false).unwrap()
}

impl Stage {
    /// Another responder that checks the same signatures as the first.
    pub async fn another_responder(&self) -> Running<Responder> {
        let settings = responder::Settings {
            public_keys: vec![self.public_key.clone()],
            ..responder::Settings::default()
        };
        Responder::start(settings, Clock::system()).await.unwrap()
    }
}

/// The table of a source that polls a feed.
pub fn source(name: &str, feed: &Running<Feed>, lines: &str) -> String {
    format!(
        "[source.{name}]\nsystem = \"{name}\"\nsignature = \"ignored\"\n{lines}\n\
         [source.{name}.ipaws]\nbase_url = \"{}\"\npoll_secs = 0.1\n",
        feed.url()
    )
}

/// The table of a webhook endpoint.
pub fn endpoint(name: &str, responder: &Running<Responder>, profile: &str) -> String {
    format!(
        "[endpoint.{name}]\nsystem = \"{name}\"\nmode = \"live\"\n[endpoint.{name}.webhook]\nprofile = \"{profile}\"\n\
         url = \"{}/alerts\"\nkey_file = \"webhook.key.pem\"\n",
        responder.url()
    )
}

/// The table of a route for live alerts.
pub fn route(name: &str, from: &str, to: &str, lines: &str) -> String {
    format!("[route.{name}]\nfrom = [{from}]\nto = [{to}]\nclass = \"live\"\n{lines}\n")
}

/// A message of a chain: `turn` 0 is the Alert, 1 and 2 are Updates, 3 is a Cancel without info.
pub fn message(chain: usize, turn: usize, now: Timestamp) -> String {
    let sent = |turn: usize| {
        let offset = i64::try_from(turn).unwrap();
        cap_time(now.checked_add(SignedDuration::from_secs(offset)).unwrap())
    };
    let kind = ["Alert", "Update", "Update", "Cancel"][turn];
    let references: Vec<String> =
        (0..turn).map(|t| format!("stage@county.example.test,C{chain}-{t},{}", sent(t))).collect();
    let references =
        if turn == 0 { String::new() } else { format!("<references>{}</references>", references.join(" ")) };
    let expires = cap_time(now.checked_add(SignedDuration::from_hours(2)).unwrap());
    let info = if turn == 3 {
        String::new()
    } else {
        format!(
            "<info><language>en-US</language><category>Safety</category><event>Civil Emergency Message</event>\
             <urgency>Expected</urgency><severity>Severe</severity><certainty>Likely</certainty><eventCode>\
             <valueName>SAME</valueName><value>CEM</value></eventCode><expires>{expires}</expires>\
             <headline>chain {chain} turn {turn}</headline><description>{}</description>\
             <area><areaDesc>county</areaDesc><geocode><valueName>SAME</valueName><value>026147</value></geocode></area></info>",
            "a text of some length. ".repeat(20)
        )
    };
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>C{chain}-{turn}</identifier>\
         <sender>stage@county.example.test</sender><sent>{}</sent><status>Actual</status><msgType>{kind}</msgType>\
         <source>stage</source><scope>Public</scope><code>IPAWSv1.0</code>{references}{info}</alert>",
        sent(turn)
    )
}

pub fn now() -> Timestamp {
    Timestamp::from_second(Clock::system().now().as_second() - 10).unwrap()
}

impl Stage {
    pub async fn new(on: On) -> Stage {
        let keys = WebhookKeys::new().unwrap();
        let clock = Clock::system();
        let settings =
            responder::Settings { public_keys: vec![keys.public.clone()], ..responder::Settings::default() };
        let responder = Responder::start(settings, clock.clone()).await.unwrap();
        let listener = server::loopback().await.unwrap();
        let feed = server::serve(Arc::new(Feed::default()), listener, clock, false).unwrap();
        let folder = tempfile::tempdir().unwrap();
        private(&folder.path().join("webhook.key.pem"), &keys.key_pem);
        let redis = match on {
            On::Embedded => None,
            On::Redis => Some(Redis::start().await.unwrap()),
        };
        let (extra, intake, network, admin, relay, tables, store) = Default::default();
        let (public_key, route) = (keys.public, "all".to_owned());
        Stage {
            feed,
            responder,
            redis,
            public_key,
            folder,
            route,
            extra,
            intake,
            network,
            admin,
            relay,
            tables,
            store,
        }
    }

    pub async fn bridge(&self) -> Program {
        Program::start(self.folder.path(), &self.configuration()).await.unwrap()
    }

    /// Runs a command against a bridge: its exit code, and what it said.
    pub fn command(&self, bridge: &Program, arguments: &[&str], input: &str) -> (i32, String) {
        use std::io::Write as _;
        let mut child = std::process::Command::new(capbridge_harness::binary().unwrap())
            .args(arguments)
            .args(["--admin", &bridge.admin])
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    /// Another instance of the bridge, in a folder of its own.
    pub async fn second(&self, configuration: &str) -> (tempfile::TempDir, Program) {
        let folder = tempfile::tempdir().unwrap();
        let key = "webhook.key.pem";
        std::fs::copy(self.folder.path().join(key), folder.path().join(key)).unwrap();
        let program = Program::start(folder.path(), configuration).await.unwrap();
        (folder, program)
    }

    pub fn configuration(&self) -> String {
        let route = if self.route.is_empty() {
            String::new()
        } else {
            route(&self.route, "\"feed\"", "\"responder\"", &self.extra)
        };
        let own = self.redis.as_ref().map(|r| format!("redis_url = \"{}\"", r.url())).unwrap_or_default();
        let store = if self.store.is_empty() { own } else { self.store.clone() };
        format!(
            r#"
[bridge]
name = "stage"
sender = "bridge@stage.example.test"
data_dir = "store"
[store]
{store}
[admin]
listen = "127.0.0.1:0"
{admin}
[log]
format = "json"
[network]
allow_private = ["127.0.0.0/8", "::1"]
{network}
[relay]
lease_secs = 20
{relay}
[intake]
{intake}
[source.feed]
system = "ipaws"
mode = "live"
signature = "ignored"
[source.feed.ipaws]
base_url = "{feed}"
poll_secs = 0.1
[endpoint.responder]
system = "responder"
mode = "live"
[endpoint.responder.webhook]
url = "{responder}/alerts"
key_file = "webhook.key.pem"
{route}
{tables}
"#,
            feed = self.feed.url(),
            responder = self.responder.url(),
            network = self.network,
            admin = self.admin,
            relay = self.relay,
            intake = self.intake,
            tables = self.tables,
        )
    }

    /// References (`identifier`) that the bridge logged as accepted, over all its lives.
    pub fn accepted(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            if entry.path().extension().is_none_or(|e| e != "log") {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for line in text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()) {
                if line["message"] == "alert accepted" {
                    let reference = line["reference"].as_str().unwrap().to_owned();
                    found.insert(reference.split(',').nth(1).unwrap().to_owned());
                }
            }
        }
        found
    }

    /// Identifiers of the originals that the responder took, in order of their first arrival.
    pub fn delivered(&self) -> Vec<String> {
        originals(&self.responder)
    }

    /// Waits until the responder has these originals, those of each chain in this order, and nothing is left to do; then
    /// it has no more. Nothing promises an order across chains.
    pub async fn comes_to(&self, bridge: &Program, expected: &[&str]) {
        let by_chain = |mut all: Vec<String>| {
            all.sort_by(|one, other| one.split('-').next().cmp(&other.split('-').next()));
            all
        };
        let expected = by_chain(expected.iter().map(|id| (*id).to_owned()).collect());
        eventually("the expected messages are delivered", Duration::from_secs(20), async || {
            (by_chain(self.delivered()) == expected).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", self.delivered(), bridge.tail(20)));
        self.settled(bridge, Duration::from_secs(20)).await;
        assert_eq!(by_chain(self.delivered()), expected);
    }

    /// Waits until the bridge has accepted a message.
    pub async fn accepts(&self, bridge: &Program, identifier: &str) {
        eventually("it is accepted", Duration::from_secs(20), async || {
            self.accepted().contains(identifier).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {identifier}\n{}", bridge.tail(20)));
    }

    /// Waits until the bridge has nothing left to do.
    pub async fn settled(&self, bridge: &Program, limit: Duration) {
        eventually("the bridge has nothing left to do", limit, async || {
            let (_, text) = bridge.get("/metrics").await.ok()?;
            let text = text.as_str()?.to_owned();
            let open: u64 = text
                .lines()
                .filter(|l| {
                    l.starts_with("capbridge_unfinished_deliveries{")
                        || l.starts_with("capbridge_unrouted_alerts ")
                })
                .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
                .sum();
            (open == 0).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    }

    /// D-2: one id, one body; every signature good. D-5: per chain in the order of its turns.
    pub fn check_receipts(&self) {
        let mut bodies: BTreeMap<String, Bytes> = BTreeMap::new();
        for delivery in self.responder.site.deliveries() {
            assert_eq!(delivery.verdict, responder::Verdict::Good, "an unsigned delivery");
            let first = bodies.entry(delivery.id.clone()).or_insert_with(|| delivery.body.clone());
            assert_eq!(*first, delivery.body, "{} came with two bodies", delivery.id);
        }
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for identifier in self.delivered() {
            let (chain, turn) = identifier.split_once('-').unwrap();
            let turn: usize = turn.parse().unwrap();
            let before = last.insert(chain.to_owned(), turn);
            assert!(before.is_none_or(|b| b < turn), "{identifier} arrived after turn {before:?}");
        }
    }
}

/// Identifiers of the originals that a responder took, in order of their first arrival.
pub fn originals(responder: &Running<Responder>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    responder.site.deliveries().iter().map(original).filter(|id| seen.insert(id.clone())).collect()
}

/// The events of an alert's journey that are called `what`.
pub async fn events(bridge: &Program, identifier: &str, what: &str) -> Vec<Value> {
    let (_, journeys) = bridge.get(&format!("/v1/alerts/{identifier}/journey")).await.unwrap();
    let journeys = journeys.as_array().cloned().unwrap_or_default();
    let all = journeys.iter().flat_map(|j| j["events"].as_array().cloned().unwrap_or_default());
    all.filter(|e| e["what"] == what).collect()
}

/// The identifier of the original in a delivery.
pub fn original(delivery: &responder::Delivery) -> String {
    let body: Value = serde_json::from_slice(&delivery.body).unwrap();
    let reference = body["data"]["trail"]["reference"].as_str().unwrap().to_owned();
    reference.split(',').nth(1).unwrap().to_owned()
}

/// Writes a file that only its owner can read.
pub fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

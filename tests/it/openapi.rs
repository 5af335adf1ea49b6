//! The published document of the admin API, held against the running program: each operation with each of its answers.

mod document;

use std::collections::BTreeSet;
use std::time::Duration;

use capbridge_exercise::clock::Clock;
use capbridge_exercise::responder::{self, Responder};
use capbridge_exercise::{Fault, Mischief};
use capbridge_harness::mail::{ACCOUNT, MailServer};
use capbridge_harness::{Program, eventually};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::admin::{Said, send};
use crate::stage::{On, Stage, endpoint, message, now};
use document::{Document, Operation};

const LIMIT: Duration = Duration::from_secs(20);

/// The tokens of each role.
struct Tokens {
    operator: String,
    auditor: String,
    responder: String,
}

struct Walk {
    bridge: Program,
    document: Document,
    tokens: Tokens,
    /// What was answered as the document says.
    seen: BTreeSet<(String, String, String)>,
}

impl Walk {
    async fn call(&mut self, (method, path): (&str, &str), token: Option<&str>, body: &str) -> Said {
        let mut headers = "Host: localhost\r\n".to_owned();
        if let Some(token) = token {
            headers.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if !body.is_empty() {
            headers.push_str("Content-Type: application/json\r\n");
        }
        let line = format!("{} {path}", method.to_uppercase());
        let said = send(&self.bridge, &line, &headers, body).await;
        let kind = said.header("content-type").unwrap_or("").to_owned();
        let answered = (said.status, kind.as_str(), &said.body);
        let key = self.document.check_answer((method, path), answered);
        self.seen.extend(key);
        said
    }

    /// A call that must be answered like this; its order is one that the document knows.
    async fn expect(&mut self, (method, path): (&str, &str), body: Value, status: u16) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        if status < 300 && !body.is_null() {
            self.document.check_order((method, path), &body);
        }
        let said = self.call((method, path), None, &text).await;
        assert_eq!(said.status, status, "{method} {path}: {}\n{}", said.body, self.bridge.tail(5));
        said.body
    }

    /// What every operation of a kind answers alike.
    async fn refusals(&mut self) {
        for operation in self.document.operations() {
            let Operation { method, path, order, .. } = &operation;
            let at = path.replace("{name}", "nobody").replace("{id}", "nobody");
            let call = (method.as_str(), at.as_str());
            let fit = fitting(order.as_deref());
            for status in operation.refused_with() {
                let said = match status {
                    401 => self.call(call, Some("cbt_nobody-made-this"), &fit).await,
                    403 => {
                        let without = match operation.need.as_str() {
                            "See" => self.tokens.responder.clone(),
                            "ChangeOwn" | "Operate" => self.tokens.auditor.clone(),
                            _ => self.tokens.operator.clone(),
                        };
                        self.call(call, Some(&without), &fit).await
                    }
                    404 if path.contains('{') => self.call(call, None, &fit).await,
                    404 => self.call((method, &format!("{path}?after=nowhere")), None, "").await,
                    400 if order.is_some() => self.call(call, None, "{").await,
                    400 => self.call((method, &format!("{path}?limit=many")), None, "").await,
                    422 => {
                        let said = self.call(call, None, "{\"no_such_member\": 1}").await;
                        self.document.check_members(order.as_deref().unwrap(), &said.body);
                        said
                    }
                    // Those are made one by one.
                    _ => continue,
                };
                assert_eq!(said.status, status, "{method} {path}: {}", said.body);
            }
        }
        for (member, inner) in
            [("Filter", json!({"no_such_member": 1})), ("Area", json!({"area": {"no_such_member": 1}}))]
        {
            let order = json!({"name": "x", "endpoint": "x", "filter": inner}).to_string();
            let said = self.call(("post", "/v1/subscriptions"), None, &order).await;
            self.document.check_members(member, &said.body);
        }
    }
}

/// An order that is one, for something that is not there.
fn fitting(order: Option<&str>) -> String {
    let order = match order {
        None => return String::new(),
        Some("Nothing") => json!({}),
        Some("Why") => json!({"reason": "drill"}),
        Some("Decision") => json!({"operator": "duty officer", "reason": "drill"}),
        Some("Code") => json!({"code": "2345"}),
        Some("TokenOrder") => json!({"name": "x", "role": "auditor"}),
        Some("ResponderOrder") => json!({"name": "nobody", "title": "Nobody"}),
        Some("EndpointOrder") => json!({"name": "x", "responder": "nobody", "class": "live", "webhook": {}}),
        Some("SubscriptionOrder") => json!({"name": "nobody", "endpoint": "nobody"}),
        Some(other) => panic!("no order of the kind {other}"),
    };
    order.to_string()
}

async fn walk(stage: &Stage) -> Walk {
    let bridge = stage.bridge().await;
    let mut made = Vec::new();
    for order in [
        json!({"name": "desk", "role": "operator"}),
        json!({"name": "inspector", "role": "auditor"}),
        json!({"name": "windsor", "role": "responder", "responder": "windsor"}),
    ] {
        let (_, told) = bridge.post("/v1/tokens", &order).await.unwrap();
        made.push(told["token"].as_str().unwrap().to_owned());
    }
    let responder = made.pop().unwrap();
    let auditor = made.pop().unwrap();
    let tokens = Tokens { operator: made.pop().unwrap(), auditor, responder };
    let (_, document) = bridge.get("/openapi.json").await.unwrap();
    Walk { bridge, document: Document::new(document), tokens, seen: BTreeSet::new() }
}

/// Alerts, a dead letter and documents in quarantine, and the calls about them.
async fn alerts(walk: &mut Walk, stage: &Stage) {
    stage.responder.misbehave(Mischief::next(1, Fault::Status { status: 400, retry_after_secs: None }));
    stage.feed.site.publish(message(1, 0, now()));
    let bridge = &walk.bridge;
    let first = async |path: &str| {
        let found = eventually(path, LIMIT, async || bridge.list(path).await.ok()?.into_iter().next());
        found.await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let dead = first("/v1/deliveries?state=dead").await;
    stage.feed.site.publish(message(2, 0, now()).replace("</info>", "&nope;</info>"));
    let broken = first("/v1/quarantine").await;
    stage.feed.site.publish(message(3, 0, now().checked_add(SignedDuration::from_hours(2)).unwrap()));
    let early = eventually("two are in quarantine", LIMIT, async || {
        let all = bridge.list("/v1/quarantine").await.ok()?;
        (all.len() == 2).then(|| all[0]["id"].as_str().unwrap().to_owned())
    })
    .await
    .unwrap();
    let none = Value::Null;
    for path in
        ["/healthz", "/readyz", "/openapi.json", "/metrics", "/v1/alerts", "/v1/deliveries", "/v1/quarantine"]
    {
        walk.expect(("get", path), none.clone(), 200).await;
    }
    for path in
        ["/v1/alerts/C1-0/journey", "/v1/audit", "/v1/audit?what=dead,accepted&limit=1", "/v1/audit/verify"]
    {
        walk.expect(("get", path), none.clone(), 200).await;
    }
    for rest in ["", "/document"] {
        walk.expect(("get", &format!("/v1/quarantine/{broken}{rest}")), none.clone(), 200).await;
    }
    let decision = json!({"operator": "duty officer", "reason": "drill"});
    walk.expect(("post", &format!("/v1/quarantine/{broken}/release")), decision.clone(), 409).await;
    walk.expect(("post", &format!("/v1/quarantine/{early}/release")), decision.clone(), 200).await;
    walk.expect(("get", &format!("/v1/quarantine/{early}")), none.clone(), 200).await;
    walk.expect(("post", &format!("/v1/deliveries/{dead}/replay")), decision, 200).await;
    walk.expect(("get", "/v1/alerts/C1-0/journey"), none.clone(), 200).await;
    walk.expect(("get", "/v1/deliveries?state=delivered"), none, 200).await;
    stage.settled(&walk.bridge, LIMIT).await;
}

/// Tokens and responders.
async fn people(walk: &mut Walk) {
    let none = Value::Null;
    walk.expect(("get", "/v1/whoami"), none.clone(), 200).await;
    let order = json!({"name": "night", "role": "operator", "expires_at": "2100-01-01T00:00:00Z"});
    walk.expect(("post", "/v1/tokens"), order.clone(), 201).await;
    walk.expect(("post", "/v1/tokens"), order, 409).await;
    walk.expect(("post", "/v1/tokens/night/revoke"), json!({}), 200).await;
    walk.expect(("get", "/v1/tokens"), none.clone(), 200).await;
    let order = json!({"name": "windsor", "title": "Windsor EOC", "contact": "desk", "classes": ["live"], "sources": ["feed"]});
    walk.expect(("post", "/v1/responders"), order.clone(), 201).await;
    walk.expect(("post", "/v1/responders"), order.clone(), 409).await;
    walk.expect(("put", "/v1/responders/windsor"), order, 200).await;
    walk.expect(("get", "/v1/responders/windsor"), none.clone(), 200).await;
    walk.expect(("get", "/v1/responders"), none, 200).await;
}

/// Endpoints of a webhook that answers, of one that does not, of a mailbox and of a feed.
async fn endpoints(walk: &mut Walk, stage: &Stage, mail: &MailServer) {
    let settings = responder::Settings { proves_itself: true, ..responder::Settings::default() };
    let receiver = Responder::start(settings, Clock::system()).await.unwrap();
    let order = |name: &str, kind: &str, table: Value| json!({"name": name, "responder": "windsor", "class": "live", kind: table});
    let hook = order("hook", "webhook", json!({"url": receiver.url(), "signing": "hmac"}));
    let at = |name: &str, what: &str| format!("/v1/endpoints/{name}/{what}");
    let none = Value::Null;
    walk.expect(("post", "/v1/endpoints"), hook.clone(), 201).await;
    walk.expect(("post", "/v1/endpoints"), hook, 409).await;
    walk.expect(("post", &at("hook", "test")), json!({}), 409).await;
    walk.expect(("post", &at("hook", "challenge")), json!({}), 200).await;
    walk.expect(("post", &at("hook", "test")), json!({}), 200).await;
    walk.expect(("post", &at("hook", "rotate")), json!({}), 200).await;
    for what in ["pause", "resume"] {
        walk.expect(("post", &at("hook", what)), json!({"reason": "drill"}), 200).await;
    }
    let decision = json!({"operator": "duty officer", "reason": "new key"});
    walk.expect(("post", &at("hook", "reissue")), decision.clone(), 409).await;
    walk.expect(("post", &at("translated", "reissue")), decision, 200).await;
    let settings = responder::Settings { proves_itself: false, ..responder::Settings::default() };
    let stranger = Responder::start(settings, Clock::system()).await.unwrap();
    let mute = order("mute", "webhook", json!({"url": stranger.url()}));
    walk.expect(("post", "/v1/endpoints"), mute, 201).await;
    walk.expect(("post", &at("mute", "challenge")), json!({}), 502).await;
    stage.responder.misbehave(Mischief::next(1, Fault::Status { status: 500, retry_after_secs: None }));
    walk.expect(("post", &at("responder", "test")), json!({}), 502).await;

    let table = json!({"server": "localhost", "port": mail.implicit_port, "username": ACCOUNT.0,
        "password_file": "word", "from": "alerts@bridge.example.test", "to": "duty@windsor.example.test"});
    let mut mailbox = order("mailbox", "email", table);
    mailbox["secrets"] = json!({"word": ACCOUNT.1});
    walk.expect(("post", "/v1/endpoints"), mailbox, 201).await;
    walk.expect(("post", &at("mailbox", "challenge")), json!({}), 200).await;
    let code = crate::registration::code_in(mail).await;
    walk.expect(("post", &at("mailbox", "proof")), json!({"code": code}), 200).await;

    walk.expect(("post", "/v1/endpoints"), order("board", "feed", json!({"title": "Alerts"})), 201).await;
    walk.expect(("post", &at("board", "challenge")), json!({}), 409).await;
    walk.expect(("post", &at("mailbox", "rotate")), json!({}), 409).await;
    walk.expect(("get", "/v1/endpoints"), none.clone(), 200).await;
    for name in ["hook", "responder"] {
        walk.expect(("get", &format!("/v1/endpoints/{name}")), none.clone(), 200).await;
    }
}

async fn subscriptions(walk: &mut Walk) {
    let none = Value::Null;
    let filter =
        json!({"severities": ["Severe"], "direction": "from-united-states", "area": {"sgc": ["3537"]}});
    let order = json!({"name": "severe", "endpoint": "hook", "filter": filter});
    walk.expect(("post", "/v1/subscriptions"), order.clone(), 201).await;
    walk.expect(("post", "/v1/subscriptions"), order.clone(), 409).await;
    walk.expect(("put", "/v1/subscriptions/severe"), order, 200).await;
    let bad = json!({"name": "bad", "endpoint": "hook", "filter": {"severities": ["severe"]}});
    let said = walk.expect(("post", "/v1/subscriptions"), bad, 422).await;
    assert_eq!(said["faults"][0]["key"], "severities", "{said}");
    for what in ["pause", "resume"] {
        let path = format!("/v1/subscriptions/severe/{what}");
        walk.expect(("post", &path), json!({"reason": "drill"}), 200).await;
    }
    walk.expect(("get", "/v1/subscriptions"), none.clone(), 200).await;
    for name in ["severe", "all"] {
        walk.expect(("get", &format!("/v1/subscriptions/{name}")), none.clone(), 200).await;
    }
    walk.expect(("delete", "/v1/responders/windsor"), none.clone(), 409).await;
    for path in [
        "subscriptions/severe",
        "endpoints/hook",
        "endpoints/mute",
        "endpoints/mailbox",
        "endpoints/board",
        "responders/windsor",
    ] {
        walk.expect(("delete", &format!("/v1/{path}")), none.clone(), 204).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_as_the_published_document_says() {
    let mail = MailServer::start().await.unwrap();
    let mut stage = Stage::new(On::Embedded).await;
    std::fs::write(stage.folder.path().join("root.pem"), &mail.root_pem).unwrap();
    stage.network = "extra_roots_file = \"root.pem\"".to_owned();
    stage.tables =
        "[registration]\nkinds = [\"email\", \"feed\", \"webhook\"]\n[feeds]\nlisten = \"127.0.0.1:0\"\n"
            .to_owned()
            + &endpoint("translated", &stage.responder, "cap-cp");
    let mut walk = walk(&stage).await;
    walk.refusals().await;
    alerts(&mut walk, &stage).await;
    people(&mut walk).await;
    endpoints(&mut walk, &stage, &mail).await;
    subscriptions(&mut walk).await;
    let missing: Vec<_> = walk.document.answers().difference(&walk.seen).cloned().collect();
    assert_eq!(missing, [], "published and never answered");
}

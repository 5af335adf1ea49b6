//! Kinds of endpoints beside webhooks, registered over the API: a mailbox that proves itself by a code, a feed that gets its
//! token.

use capbridge_harness::eventually;
use capbridge_harness::mail::{ACCOUNT, MailServer};
use serde_json::{Value, json};

use super::{LIMIT, act, add, because, expect, token, wants, windsor};
use crate::feeds::{ask, by};
use crate::stage::{On, Stage, message, now};

/// The code in the newest mail.
pub(crate) async fn code_in(mail: &MailServer) -> String {
    let found = eventually("a mail with a code", LIMIT, async || {
        let text = std::fs::read_to_string(mail.mails().last()?).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix("Code: ")?.trim().to_owned()))
    });
    found.await.unwrap_or_else(|error| panic!("{error}\n{}", mail.log()))
}

fn mailbox(mail: &MailServer) -> Value {
    json!({
        "name": "windsor-mail", "responder": "windsor", "class": "live",
        "email": {"server": "localhost", "port": mail.implicit_port, "username": ACCOUNT.0, "password_file": "word",
            "from": "alerts@bridge.example.test", "to": "duty@windsor.example.test"},
        "secrets": {"word": ACCOUNT.1},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_gets_nothing_before_somebody_gave_back_the_code_that_was_sent_there() {
    let mail = MailServer::start().await.unwrap();
    let mut stage = Stage::new(On::Embedded).await;
    std::fs::write(stage.folder.path().join("root.pem"), &mail.root_pem).unwrap();
    stage.network = "extra_roots_file = \"root.pem\"".to_owned();
    stage.route = String::new();
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    let own = token(&bridge, json!({"name": "own", "role": "responder", "responder": "windsor"})).await;
    let path = |what: &str| format!("/v1/endpoints/windsor-mail/{what}");
    // An operator gives the account of a mail server; a responder does not.
    expect(&bridge, ("POST", "/v1/endpoints"), Some(&own), Some(mailbox(&mail)), 403).await;
    let made = add(&bridge, "endpoints", mailbox(&mail)).await;
    assert_eq!((&made["state"], &made["proven_at"]), (&json!("unproven"), &Value::Null), "{made}");
    assert!(!made.to_string().contains(ACCOUNT.1), "{made}");
    add(&bridge, "subscriptions", wants("all", "windsor-mail", json!({}))).await;
    stage.feed.site.publish(message(1, 0, now()));
    stage.accepts(&bridge, "C1-0").await;
    stage.settled(&bridge, LIMIT).await;
    let code = |text: &str| Some(json!({"code": text}));
    expect(&bridge, ("POST", &path("proof")), None, code("2345-2345-2345"), 422).await;
    expect(&bridge, ("POST", &path("test")), None, Some(json!({})), 409).await;

    act(&bridge, "windsor-mail", "challenge", json!({})).await;
    expect(&bridge, ("POST", &path("challenge")), None, Some(json!({})), 409).await;
    let text = code_in(&mail).await;
    let sent = std::fs::read_to_string(mail.mails().last().unwrap()).unwrap();
    assert!(sent.contains("Subject: Confirm this address") && !sent.contains("urn:oasis"), "{sent}");
    // Whoever has the mailbox reads it; nobody guesses it, and the store does not have it.
    expect(&bridge, ("POST", &path("proof")), Some(&own), code("2345-2345-2345"), 422).await;
    assert_eq!(super::files_with(&stage, &text.replace('-', "")), Vec::<String>::new());
    let proven = expect(&bridge, ("POST", &path("proof")), Some(&own), code(&text.to_lowercase()), 200).await;
    assert_eq!(proven["state"], "ready", "{proven}");
    expect(&bridge, ("POST", &path("proof")), None, code(&text), 422).await;
    assert_eq!(mail.mails().len(), 1, "something came before it was proven");
    stage.feed.site.publish(message(2, 0, now()));
    eventually("the alert", LIMIT, async || (mail.mails().len() == 2).then_some(())).await.unwrap();
    act(&bridge, "windsor-mail", "test", json!({})).await;
    eventually("the test", LIMIT, async || (mail.mails().len() == 3).then_some(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_tried_a_few_times_and_no_more() {
    let mail = MailServer::start().await.unwrap();
    let mut stage = Stage::new(On::Redis).await;
    std::fs::write(stage.folder.path().join("root.pem"), &mail.root_pem).unwrap();
    stage.network = "extra_roots_file = \"root.pem\"".to_owned();
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    // The server is looked at before anything is stored.
    let mut inside = mailbox(&mail);
    inside["email"]["server"] = json!("10.1.2.3");
    let said = expect(&bridge, ("POST", "/v1/endpoints"), None, Some(inside), 422).await;
    assert!(said["detail"].as_str().unwrap().contains("10.1.2.3"), "{said}");
    let mut two = mailbox(&mail);
    two["email"]["to"] = json!("duty@windsor.example.test\r\nBcc: other@example.test");
    expect(&bridge, ("POST", "/v1/endpoints"), None, Some(two), 422).await;
    add(&bridge, "endpoints", mailbox(&mail)).await;
    act(&bridge, "windsor-mail", "challenge", json!({})).await;
    let text = code_in(&mail).await;
    let proof = ("POST", "/v1/endpoints/windsor-mail/proof");
    for _ in 0..5 {
        expect(&bridge, proof, None, Some(json!({"code": "wrong"})), 422).await;
    }
    let said = expect(&bridge, proof, None, Some(json!({"code": text})), 422).await;
    assert!(said["detail"].as_str().unwrap().contains("send a challenge first"), "{said}");
}

async fn check_feed(on: On) {
    let mut stage = Stage::new(on).await;
    stage.route = String::new();
    stage.tables = "[registration]\nkinds = [\"feed\"]\n[feeds]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    let bridge = stage.bridge().await;
    windsor(&bridge).await;
    let own = token(&bridge, json!({"name": "own", "role": "responder", "responder": "windsor"})).await;
    let board = |more: Value| {
        let mut table = json!({"title": "Alerts for Windsor"});
        table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"name": "board", "responder": "windsor", "class": "live", "feed": table})
    };
    for (more, status) in [
        (json!({"open": true}), 422),
        (json!({"token_files": {"x": "/etc/hostname"}}), 422),
        (json!({"token_digests": {"x": "0".repeat(64)}}), 422),
        (json!({"title": " "}), 422),
    ] {
        expect(&bridge, ("POST", "/v1/endpoints"), Some(&own), Some(board(more)), status).await;
    }
    let made = expect(&bridge, ("POST", "/v1/endpoints"), Some(&own), Some(board(json!({}))), 201).await;
    let first = made["token"].as_str().unwrap().to_owned();
    assert_eq!(made["state"], "ready", "{made}");
    assert_eq!(super::files_with(&stage, &first), Vec::<String>::new(), "a token is kept as it is");
    expect(&bridge, ("POST", "/v1/subscriptions"), Some(&own), Some(wants("all", "board", json!({}))), 201)
        .await;
    stage.feed.site.publish(message(1, 0, now()));
    let page = "/feeds/board/atom.xml";
    let entries = async |token: &str, count: usize| {
        eventually("the feed has them", LIMIT, async || {
            let reply = ask(&bridge, page, &by(token)).await;
            (reply.status == 200 && reply.text().matches("<entry>").count() == count).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(10)));
    };
    entries(&first, 1).await;
    assert_eq!(ask(&bridge, page, "").await.status, 401);
    // A new token reads at once, the old one for a day more.
    let second = act(&bridge, "board", "rotate", json!({})).await["token"].as_str().unwrap().to_owned();
    entries(&second, 1).await;
    entries(&first, 1).await;
    act(&bridge, "board", "pause", because()).await;
    stage.feed.site.publish(message(2, 0, now()));
    stage.accepts(&bridge, "C2-0").await;
    entries(&second, 1).await;
    act(&bridge, "board", "resume", because()).await;
    entries(&second, 2).await;
    // It outlives a restart; removed it is not served, and what is in it is for nobody else.
    bridge.kill().await.unwrap();
    let bridge = stage.bridge().await;
    assert_eq!(ask(&bridge, page, &by(&second)).await.status, 200);
    expect(&bridge, ("DELETE", "/v1/endpoints/board"), Some(&own), None, 204).await;
    assert_eq!(ask(&bridge, page, &by(&second)).await.status, 404);
    let said = expect(&bridge, ("POST", "/v1/endpoints"), Some(&own), Some(board(json!({}))), 409).await;
    assert!(said["detail"].as_str().unwrap().contains("was a feed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_feed_is_served_to_the_holders_of_its_tokens_until_it_is_removed() {
    check_feed(On::Embedded).await;
    check_feed(On::Redis).await;
}

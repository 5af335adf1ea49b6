//! The endpoint against a small hub.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::*;
use crate::endpoint::Prior;
use crate::masas::CAP_TYPE;
use crate::testing::{Answer, InMemory, Peer, Stopped, client};

fn endpoint(peer: &Peer, more: &str) -> MasasEndpoint {
    let table = format!("hub_url = \"{}\"\nsecret_file = \"s\"\n{more}", peer.at("hub"));
    let files = InMemory::with(&[("s", "code")]);
    MasasEndpoint::validate(toml::from_str(&table).unwrap(), &files).unwrap()
}

fn context() -> EndpointContext {
    EndpointContext {
        clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())),
        http: client(),
        shelf: Arc::new(crate::feed::NoShelf),
    }
}

fn cap(status: &str) -> String {
    format!(
        "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>i</identifier><sender>s</sender>\
         <sent>t</sent><status>{status}</status></alert>"
    )
}

fn message(msg_type: MsgType, prior: &[Option<&str>]) -> Message {
    Message {
        id: "msg_1".into(),
        msg_type,
        reference: "s,i,t".into(),
        body: cap("Actual").into(),
        content_type: "application/cap+xml".into(),
        attempt: 1,
        maybe_delivered: false,
        prior: prior
            .iter()
            .map(|l| Prior { reference: "a,b,c".into(), location: l.map(str::to_owned) })
            .collect(),
    }
}

const ENTRY: &str = "<entry xmlns='http://www.w3.org/2005/Atom'><id>masas:entry:1</id>\
    <link rel='edit' href='/hub/feed/1'/><link rel='edit-media' href='/hub/feed/1/content'/>\
    <link rel='enclosure' type='application/common-alerting-protocol+xml' href='/hub/feed/1/content/0'/></entry>";

#[derive(Debug, PartialEq)]
enum End {
    Taken { location: Option<String>, notes: usize },
    Later { unknown: bool },
    Never,
}

async fn end(endpoint: &MasasEndpoint, message: &Message) -> End {
    match endpoint.deliver(&context(), message).await {
        Ok(receipt) => End::Taken {
            location: receipt.location.map(|l| Url::parse(&l).unwrap().path().to_owned()),
            notes: receipt.notes.len(),
        },
        Err(DeliveryError::Temporary { outcome_unknown, .. }) => End::Later { unknown: outcome_unknown },
        Err(DeliveryError::Permanent { .. }) => End::Never,
    }
}

fn taken(location: &str, notes: usize) -> End {
    End::Taken { location: Some(location.to_owned()), notes }
}

// new alerts are posted, what follows replaces the entry.
#[tokio::test]
async fn a_16_alerts_are_posted_and_updates_and_cancels_are_put_to_edit_media() {
    let peer = Peer::in_order(vec![Answer::body(201, ENTRY)]).await;
    let hub = endpoint(&peer, "");
    let at = |path: &str| peer.at(path).to_string();
    assert_eq!(end(&hub, &message(MsgType::Alert, &[])).await, taken("/hub/feed/1/content", 0));
    let kept = at("hub/feed/1/content");
    assert_eq!(end(&hub, &message(MsgType::Update, &[Some(&kept)])).await, taken("/hub/feed/1/content", 0));
    assert_eq!(end(&hub, &message(MsgType::Cancel, &[Some(&kept)])).await, taken("/hub/feed/1/content", 0));
    assert_eq!(end(&hub, &message(MsgType::Update, &[])).await, taken("/hub/feed/1/content", 1));
    assert_eq!(end(&hub, &message(MsgType::Cancel, &[])).await, End::Never);
    assert_eq!(end(&hub, &message(MsgType::Ack, &[])).await, End::Never);
    assert_eq!(
        end(&hub, &message(MsgType::Cancel, &[Some("https://elsewhere.example.test/")])).await,
        End::Never
    );
    let got: Vec<_> = peer.got().iter().map(|g| format!("{} {}", g.method, g.target)).collect();
    assert_eq!(
        got,
        ["POST /hub/feed", "PUT /hub/feed/1/content", "PUT /hub/feed/1/content", "POST /hub/feed"]
    );
    for one in peer.got() {
        assert_eq!(one.header("content-type"), CAP_TYPE);
        assert_eq!(one.header("authorization"), "MASAS-Secret code");
        assert_eq!(one.body, cap("Actual"));
    }
}

#[tokio::test]
async fn the_answer_of_the_hub_decides_what_comes_next() {
    let cases = [
        (Answer::body(200, ENTRY), taken("/hub/feed/1/content", 0)),
        (
            Answer::body(201, "<entry xmlns='http://www.w3.org/2005/Atom'/>"),
            End::Taken { location: None, notes: 1 },
        ),
        (Answer::body(200, "<html>error</html>"), End::Later { unknown: true }),
        (Answer::Reply(302, vec![("location", "/x".into())], vec![]), End::Later { unknown: false }),
        (Answer::status(401), End::Later { unknown: false }),
        (Answer::status(400), End::Never),
        (Answer::status(422), End::Never),
        (Answer::status(503), End::Later { unknown: false }),
        (Answer::status(504), End::Later { unknown: true }),
    ];
    for (answer, expected) in cases {
        let peer = Peer::in_order(vec![answer.clone()]).await;
        assert_eq!(end(&endpoint(&peer, ""), &message(MsgType::Alert, &[])).await, expected, "{answer:?}");
        assert_eq!(peer.got().len(), 1, "{answer:?}");
    }
}

// after a lost answer the hub is asked before anything is posted again.
#[tokio::test]
async fn a_15_a_post_whose_answer_was_lost_is_looked_for_before_it_is_repeated() {
    for (sent, expected) in [("t", "GET"), ("other", "POST")] {
        let kept = cap("Actual").replace("<sent>t<", &format!("<sent>{sent}<"));
        let peer = Peer::by(move |got| match (got.method.as_str(), got.target.as_str()) {
            ("GET", "/hub/feed?author=me&limit=400") => {
                Answer::body(200, format!("<feed xmlns='http://www.w3.org/2005/Atom'>{ENTRY}</feed>"))
            }
            ("GET", "/hub/feed/1/content/0") => Answer::body(200, kept.clone()),
            _ => Answer::body(201, ENTRY),
        })
        .await;
        let again = Message { maybe_delivered: true, ..message(MsgType::Alert, &[]) };
        let hub = endpoint(&peer, "own_account = \"me\"");
        let notes = usize::from(expected == "GET");
        assert_eq!(end(&hub, &again).await, taken("/hub/feed/1/content", notes));
        assert_eq!(peer.got().last().unwrap().method.as_str(), expected);
    }
}

// only a complete look-up that could be read says "not there".
#[tokio::test]
async fn a_15_what_a_look_up_could_not_find_out_is_never_posted_again() {
    let feed = |inside: &str| {
        Answer::body(200, format!("<feed xmlns='http://www.w3.org/2005/Atom'>{inside}</feed>"))
    };
    let cut_off = format!("<feed xmlns='http://www.w3.org/2005/Atom'>{ENTRY}<entry><id>");
    let gone = Answer::status(404);
    let cases = [
        ("the hub refuses the look-up", Answer::status(503), gone.clone()),
        ("the hub does not know the account", Answer::status(401), gone.clone()),
        (
            "an error page behind a status of success",
            Answer::body(200, "<html>try later</html>"),
            gone.clone(),
        ),
        ("a redirect", Answer::Reply(302, vec![("location", "/login".into())], vec![]), gone.clone()),
        ("no XML", Answer::body(200, "busy"), gone.clone()),
        ("the feed breaks off", Answer::body(200, cut_off), Answer::body(200, cap("Actual"))),
        ("an entry that cannot be read", feed("<entry><id>&nope;</id></entry>"), gone.clone()),
        ("a full page", feed(&"<entry/>".repeat(400)), gone.clone()),
        ("an enclosure that is refused", feed(ENTRY), Answer::status(500)),
        ("an enclosure that is gone", feed(ENTRY), gone),
        ("an enclosure that is no alert", feed(ENTRY), Answer::body(200, "<html/>")),
    ];
    for (what, listed, enclosed) in cases {
        let peer = Peer::by(move |got| match got.target.as_str() {
            _ if got.method != "GET" => Answer::body(201, ENTRY),
            target if target.starts_with("/hub/feed?") => listed.clone(),
            _ => enclosed.clone(),
        })
        .await;
        let again = Message { maybe_delivered: true, ..message(MsgType::Alert, &[]) };
        let hub = endpoint(&peer, "own_account = \"me\"");
        // The feed that breaks off shows somebody else's alert first.
        let again = Message { reference: "s,ours,t".into(), ..again };
        assert_eq!(end(&hub, &again).await, End::Later { unknown: true }, "{what}");
        assert!(peer.got().iter().all(|g| g.method == "GET"), "{what}: it was posted again");
    }
}

// an attempt ends in its time, whatever it was doing, and what it did not find out stays unknown.
#[tokio::test]
async fn a_27_a_look_up_that_takes_too_long_ends_as_unknown_before_the_lease_does() {
    let peer = Peer::by(|got| match got.target.as_str() {
        target if target.starts_with("/hub/feed?") => Answer::body(
            200,
            format!("<feed xmlns='http://www.w3.org/2005/Atom'>{}</feed>", ENTRY.repeat(60)),
        ),
        _ => Answer::Late(Duration::from_millis(400), cap("Actual").replace("<sent>t<", "<sent>x<")),
    })
    .await;
    let again = Message { maybe_delivered: true, ..message(MsgType::Alert, &[]) };
    let hub = endpoint(&peer, "timeout_secs = 1\nattempt_secs = 1");
    let ended = tokio::time::timeout(Duration::from_secs(3), end(&hub, &again)).await;
    assert_eq!(ended, Ok(End::Later { unknown: true }));
    assert!(peer.got().iter().all(|g| g.method == "GET"));
    assert!(peer.got().len() < 10, "{} requests", peer.got().len());
}

// Only what was published since the message was made can be it, so the look-up stays short at a busy hub.
#[tokio::test]
async fn a_look_up_asks_for_what_was_changed_since_the_message_was_made() {
    let old =
        ENTRY.replace("</id>", "</id><published>2026-03-01T09:00:00Z</published>").replace("/1/", "/old/");
    let peer = Peer::by(move |got| match got.target.as_str() {
        target if target.starts_with("/hub/feed?") => {
            Answer::body(200, format!("<feed xmlns='http://www.w3.org/2005/Atom'>{old}</feed>"))
        }
        _ => Answer::body(201, ENTRY),
    })
    .await;
    let reference = "s,i,2026-03-01T06:30:00-05:00".to_owned();
    let again = Message { maybe_delivered: true, reference, ..message(MsgType::Alert, &[]) };
    assert_eq!(end(&endpoint(&peer, ""), &again).await, taken("/hub/feed/1/content", 0));
    let got: Vec<_> = peer.got().iter().map(|g| format!("{} {}", g.method, g.target)).collect();
    assert_eq!(got, ["GET /hub/feed?dtsince=2026-03-01T10%3A30%3A00Z&limit=400", "POST /hub/feed"]);
}

#[tokio::test]
async fn an_entry_that_is_gone_is_posted_anew_or_needs_no_cancel() {
    for (msg_type, expected) in
        [(MsgType::Update, taken("/hub/feed/1/content", 1)), (MsgType::Cancel, End::Never)]
    {
        let peer = Peer::in_order(vec![Answer::status(404), Answer::body(201, ENTRY)]).await;
        let kept = peer.at("hub/feed/9/content").to_string();
        assert_eq!(end(&endpoint(&peer, ""), &message(msg_type, &[Some(&kept)])).await, expected);
    }
}

// status and hub agree, whatever routing says.
#[tokio::test]
async fn a_17_an_actual_alert_reaches_no_exercise_hub_and_a_draft_reaches_none() {
    let cases = [
        ("hub = \"operations\"", "Actual", true),
        ("hub = \"exercise\"", "Actual", false),
        ("hub = \"training\"", "Actual", false),
        ("hub = \"sandbox\"", "Actual", false),
        ("hub = \"exercise\"", "Exercise", true),
        ("", "Draft", false),
    ];
    for (table, status, goes) in cases {
        let peer = Peer::in_order(vec![Answer::body(201, ENTRY)]).await;
        let one = Message { body: cap(status).into(), ..message(MsgType::Alert, &[]) };
        let expected = if goes { taken("/hub/feed/1/content", 0) } else { End::Never };
        assert_eq!(end(&endpoint(&peer, table), &one).await, expected, "{table} {status}");
        assert_eq!(peer.got().len(), usize::from(goes));
    }
}

//! The source against a small hub that says what it is told to say.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::*;
use crate::testing::{Answer, Bridge, Got, Heard, InMemory, Peer};

fn source(peer: &Peer, more: &str) -> MasasSource {
    let table = format!("hub_url = \"{}\"\nsecret_file = \"s\"\npoll_secs = 0.1\n{more}", peer.at("hub"));
    let files = InMemory::with(&[("s", "code")]);
    MasasSource::validate(toml::from_str(&table).unwrap(), &files).unwrap()
}

fn entry(id: &str, updated: &str, enclosure: Option<&str>) -> String {
    let link = enclosure
        .map_or(String::new(), |href| format!("<link rel='enclosure' type='{CAP_TYPE}' href='{href}'/>"));
    format!("<entry><id>masas:entry:{id}</id><title>{id}</title>{link}<updated>{updated}</updated></entry>")
}

fn feed(entries: &[String]) -> String {
    format!("<feed xmlns='http://www.w3.org/2005/Atom'>{}</feed>", entries.concat())
}

fn running(source: MasasSource, bridge: &Bridge) -> JoinSet<Result<(), SourceError>> {
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run(bridge.cx.clone()));
    tasks
}

// `Ok` after shutdown and only then.
async fn stopped(bridge: &Bridge, mut tasks: JoinSet<Result<(), SourceError>>) {
    bridge.cx.shutdown.cancel();
    assert!(tasks.join_next().await.unwrap().unwrap().is_ok());
}

fn is_feed(got: &Got) -> bool {
    got.target.starts_with("/hub/feed?")
}

// enclosures are fetched and used; an entry without CAP is handed over as it is, in order of its last change.
#[tokio::test]
async fn a_1_cap_enclosures_come_before_entries_and_alerts_before_their_updates() {
    let entries = [
        entry("2", "2026-03-01T12:00:02Z", None),
        entry("1", "2026-03-01T12:00:01Z", Some("/hub/feed/1/content/0")),
    ];
    let body = feed(&entries);
    let peer = Peer::by(move |got| match got.target.as_str() {
        "/hub/feed/1/content/0" => Answer::body(200, "<alert/>"),
        _ => Answer::body(200, body.clone()),
    })
    .await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, "own_account = \"me\""), &bridge);
    let (first, second) = (bridge.next().await, bridge.next().await);
    assert_eq!((first.form, &first.raw[..], first.problem), (Form::Cap, &b"<alert/>"[..], None));
    assert_eq!(first.remote_id.as_deref(), Some("masas:entry:1"));
    assert_eq!((second.form, second.remote_id.as_deref()), (Form::MasasEntry, Some("masas:entry:2")));
    assert_eq!(Entry::read(&second.raw).unwrap().id.as_deref(), Some("masas:entry:2"));
    assert_eq!(bridge.heard().await, Heard::Reached);
    // what was seen is not handed over again, although the overlap brings it again.
    assert_eq!(bridge.heard().await, Heard::Reached);
    assert!(bridge.taken.try_recv().is_err());
    // the checkpoint is the last change that was handed over.
    assert_eq!(bridge.checkpoint.lock().unwrap().as_deref(), Some("2026-03-01T12:00:02Z"));
    stopped(&bridge, tasks).await;
    let got = peer.got();
    assert!(
        got.iter().all(|g| g.header("authorization") == "MASAS-Secret code" && !g.target.contains("secret"))
    );
    let asked: Vec<_> = got.iter().filter(|g| is_feed(g)).map(|g| g.target.as_str()).collect();
    assert_eq!(asked[0], "/hub/feed?not_author=me&limit=400");
    assert_eq!(asked[1], "/hub/feed?dtsince=2026-03-01T11%3A58%3A02Z&not_author=me&limit=400");
    assert_eq!(got.iter().filter(|g| g.target.contains("content")).count(), 1);
}

// nothing moves until the bridge has it.
#[tokio::test]
async fn a_2_the_checkpoint_stays_until_the_bridge_took_everything() {
    let body = feed(&[entry("1", "2026-03-01T12:00:01Z", None)]);
    let peer = Peer::in_order(vec![Answer::body(200, body)]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 1);
    let source = source(&peer, "");
    let error = source.clone().run(bridge.cx.clone()).await.unwrap_err();
    assert!(matches!(error, SourceError::NotAccepted { .. }), "{error:?}");
    assert_eq!(*bridge.checkpoint.lock().unwrap(), None);
    let tasks = running(source, &bridge);
    assert_eq!(bridge.next().await.remote_id.as_deref(), Some("masas:entry:1"));
    stopped(&bridge, tasks).await;
}

// a redirect is a refusal and is not followed; so is every status but 200.
#[tokio::test]
async fn a_5_refusals_and_broken_feeds_are_reported_and_polling_goes_on() {
    let refused = |code| Answer::Reply(code, vec![("location", "/login".into())], vec![]);
    let peer = Peer::in_order(vec![
        refused(302),
        refused(401),
        refused(503),
        Answer::body(200, "<html></html>"),
        Answer::body(200, "<feed xmlns='http://www.w3.org/2005/Atom'>"),
        Answer::body(200, feed(&[])),
    ])
    .await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    for expected in ["302", "401", "503", "not one", "not one"] {
        match bridge.heard().await {
            Heard::Failed(error) => assert!(error.contains(expected), "{error}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(bridge.heard().await, Heard::Reached);
    // An empty hub: from here on ask for what comes.
    assert_eq!(bridge.checkpoint.lock().unwrap().as_deref(), Some("2026-03-01T12:00:05Z"));
    stopped(&bridge, tasks).await;
    assert!(peer.got().iter().all(is_feed), "no redirect was followed");
}

// an enclosure that does not come holds the checkpoint back, is told after some attempts, and is still asked for.
#[tokio::test]
async fn a_8_an_enclosure_that_does_not_come_is_never_silently_lost() {
    let entries = [
        entry("1", "2026-03-01T12:00:01Z", Some("/hub/feed/1/content/0")),
        entry("2", "2026-03-01T12:00:02Z", None),
        entry("3", "2026-03-01T12:00:03Z", Some("https://elsewhere.example.test/0")),
    ];
    let body = feed(&entries);
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let peer = Peer::by(move |got| {
        if is_feed(got) {
            return Answer::body(200, body.clone());
        }
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 | 2 => Answer::status(404),
            3 => Answer::body(200, vec![b'x'; 2_000]),
            _ => Answer::body(200, "<alert/>"),
        }
    })
    .await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, "max_enclosure_bytes = 1000"), &bridge);
    assert_eq!(bridge.next().await.remote_id.as_deref(), Some("masas:entry:2"));
    let mut problems = vec![];
    for _ in 0..2 {
        let one = bridge.next().await;
        assert_eq!((one.form, one.problem), (Form::MasasEntry, Some(Problem::EnclosureUnavailable)));
        problems.push(one.remote_id.unwrap());
    }
    assert_eq!(problems, ["masas:entry:1", "masas:entry:3"]);
    let late = bridge.next().await;
    assert_eq!((late.form, late.remote_id.as_deref()), (Form::Cap, Some("masas:entry:1")));
    assert!(bridge.checkpoint.lock().unwrap().as_deref() <= Some("2026-03-01T12:00:03Z"));
    stopped(&bridge, tasks).await;
}

// a feed that breaks off may lack entries, so nothing after it is taken for done.
#[tokio::test]
async fn a_2_a_feed_that_breaks_off_is_asked_for_again_from_the_same_place() {
    let cut_off = feed(&[entry("2", "2026-03-01T12:00:02Z", None)]).replace("</feed>", "<entry><id>1");
    let peer = Peer::in_order(vec![Answer::body(200, cut_off)]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    assert_eq!(bridge.next().await.remote_id.as_deref(), Some("masas:entry:2"));
    for _ in 0..2 {
        assert!(matches!(bridge.heard().await, Heard::Failed(error) if error.contains("not one")));
    }
    assert_eq!(*bridge.checkpoint.lock().unwrap(), None);
    stopped(&bridge, tasks).await;
    assert!(peer.got().iter().all(|got| got.target == "/hub/feed?limit=400"), "{:?}", peer.got());
}

// one broken entry goes to quarantine, its neighbours go on, and it comes once.
#[tokio::test]
async fn a_9_a_broken_entry_does_not_stop_the_batch() {
    let broken = "<entry><id>masas:entry:x</id><title>&nbsp;</entry>".to_owned();
    let body = feed(&[broken, entry("1", "2026-03-01T12:00:01Z", None)]);
    let peer = Peer::in_order(vec![Answer::body(200, body)]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    let first = bridge.next().await;
    assert!(String::from_utf8_lossy(&first.raw).contains("&nbsp;") && first.form == Form::MasasEntry);
    assert_eq!(bridge.next().await.problem, None);
    assert_eq!((bridge.heard().await, bridge.heard().await), (Heard::Reached, Heard::Reached));
    assert!(bridge.taken.try_recv().is_err());
    stopped(&bridge, tasks).await;
}

// what is no entry may hold one; it comes once, and holds nothing back.
#[tokio::test]
async fn a_9_what_is_no_entry_of_the_feed_is_handed_over_as_what_it_is() {
    let stray = format!("<x:batch xmlns:x='x'>{}</x:batch>", entry("9", "2026-03-01T12:00:09Z", None));
    let own = "<title>hub</title><updated>2026-03-01T12:00:00Z</updated>".to_owned();
    let body = feed(&[own, stray.clone(), entry("1", "2026-03-01T12:00:01Z", None)]);
    let peer = Peer::in_order(vec![Answer::body(200, body)]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    let first = bridge.next().await;
    assert_eq!((&first.raw[..], first.problem), (stray.as_bytes(), Some(Problem::Stray)));
    assert_eq!(bridge.next().await.remote_id.as_deref(), Some("masas:entry:1"));
    for _ in 0..3 {
        assert_eq!(bridge.heard().await, Heard::Reached);
    }
    assert!(bridge.taken.try_recv().is_err());
    assert_eq!(bridge.checkpoint.lock().unwrap().as_deref(), Some("2026-03-01T12:00:01Z"));
    stopped(&bridge, tasks).await;
}

// bytes that are no alert are asked for again, and kept if they stay so.
#[tokio::test]
async fn a_8_an_enclosure_that_is_no_alert_is_asked_for_again() {
    let body = feed(&[entry("1", "2026-03-01T12:00:01Z", Some("/hub/feed/1/content/0"))]);
    let count = Mutex::new(0);
    let peer = Peer::by(move |got| {
        if is_feed(got) {
            return Answer::body(200, body.clone());
        }
        let mut count = count.lock().unwrap();
        *count += 1;
        Answer::body(200, if *count <= 2 { "<html>busy</html>" } else { "<alert/>" })
    })
    .await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, "enclosure_attempts = 2"), &bridge);
    for expected in ["<html>busy</html>", "<alert/>"] {
        let one = bridge.next().await;
        assert_eq!((one.form, one.problem, &one.raw[..]), (Form::Cap, None, expected.as_bytes()));
    }
    stopped(&bridge, tasks).await;
}

// what is no longer at the hub holds nothing back.
#[tokio::test]
async fn a_8_an_entry_that_is_changed_while_its_enclosure_is_awaited_is_replaced_by_its_next_version() {
    let first = feed(&[entry("1", "2026-03-01T12:00:01Z", Some("/hub/feed/1/content/0"))]);
    let second = feed(&[entry("1", "2026-03-01T12:00:03Z", Some("/hub/feed/1/content/1"))]);
    let polls = Mutex::new(0);
    let peer = Peer::by(move |got| {
        if is_feed(got) {
            let mut polls = polls.lock().unwrap();
            *polls += 1;
            return Answer::body(200, if *polls == 1 { first.clone() } else { second.clone() });
        }
        if got.target.ends_with("/1") { Answer::body(200, "<alert/>") } else { Answer::status(404) }
    })
    .await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    assert_eq!(bridge.next().await.form, Form::Cap);
    for _ in 0..2 {
        assert_eq!(bridge.heard().await, Heard::Reached);
    }
    assert_eq!(bridge.checkpoint.lock().unwrap().as_deref(), Some("2026-03-01T12:00:03Z"));
    stopped(&bridge, tasks).await;
}

#[tokio::test]
async fn a_full_page_is_asked_for_again_with_more_room() {
    let all: Vec<_> =
        (1..=3).map(|n| entry(&n.to_string(), &format!("2026-03-01T12:00:0{n}Z"), None)).collect();
    let peer = Peer::by(move |got| {
        let limit = got.target.rsplit("limit=").next().unwrap().parse().unwrap();
        Answer::body(200, feed(&all.iter().take(limit).cloned().collect::<Vec<_>>()))
    })
    .await;
    let mut bridge = Bridge::at("2026-03-01T12:00:05Z", 0);
    let tasks = running(source(&peer, "limit = 1"), &bridge);
    for n in 1..=3 {
        assert_eq!(bridge.next().await.remote_id, Some(format!("masas:entry:{n}")));
    }
    stopped(&bridge, tasks).await;
}

//! The source against a small feed.

use tokio::task::JoinSet;

use super::*;
use crate::testing::{Answer, Bridge, Heard, InMemory, Peer};

fn source(peer: &Peer, more: &str) -> IpawsSource {
    let table = format!("base_url = \"{}\"\npoll_secs = 0.1\n{more}", peer.at("S"));
    let files = InMemory::with(&[("pin", "1234")]);
    IpawsSource::validate(toml::from_str(&table).unwrap(), &files).unwrap()
}

fn feed(alerts: &[&str]) -> Answer {
    let alerts = alerts.concat();
    Answer::body(
        200,
        format!("<ns1:alerts xmlns:ns1=\"http://gov.fema.ipaws.services/feed\">{alerts}</ns1:alerts>"),
    )
}

fn running(source: IpawsSource, bridge: &Bridge) -> JoinSet<Result<(), SourceError>> {
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run(bridge.cx.clone()));
    tasks
}

async fn stopped(bridge: &Bridge, mut tasks: JoinSet<Result<(), SourceError>>) {
    bridge.cx.shutdown.cancel();
    assert!(tasks.join_next().await.unwrap().unwrap().is_ok());
}

// each alert by byte range, once, a broken one too.
#[tokio::test]
async fn a_9_each_alert_is_a_document_of_its_own_and_a_broken_one_harms_nobody() {
    let one = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\r\n <identifier>1</identifier></alert>";
    let broken = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><info>&nope;</alert>";
    let peer = Peer::in_order(vec![feed(&[one, broken]), feed(&[one, broken, "<alert>3</alert>"])]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:00Z", 0);
    let tasks = running(source(&peer, "pin_file = \"pin\""), &bridge);
    for expected in [one, broken, "<alert>3</alert>"] {
        let received = bridge.next().await;
        assert_eq!(
            (&received.raw[..], received.form, received.problem),
            (expected.as_bytes(), Form::Cap, None)
        );
        let from = received.remote_id.unwrap();
        assert!(from.ends_with("pin=***"), "{from}");
    }
    assert_eq!(bridge.heard().await, Heard::Reached);
    stopped(&bridge, tasks).await;
    assert_eq!(bridge.checkpoint.lock().unwrap().as_deref(), Some("2026-03-01T12:00:00Z"));
    let got = peer.got();
    assert_eq!(got[0].target, "/S/rest/public/recent/2026-03-01T11:00:00Z?pin=1234");
    assert_eq!(got[1].target, "/S/rest/public/recent/2026-03-01T11:50:00Z?pin=1234");
}

// what is no alert may hold one; it comes once, however long it stays in the feed.
#[tokio::test]
async fn a_9_what_is_no_alert_of_the_feed_is_handed_over_as_what_it_is() {
    let (stray, alert) = ("<batch><alert>1</alert></batch>", "<alert>2</alert>");
    let answers = vec![feed(&[alert, stray]), feed(&[stray, alert, "<alert>3</alert>"])];
    let peer = Peer::in_order(answers).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:00Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    for expected in [(stray, Some(Problem::Stray)), (alert, None), ("<alert>3</alert>", None)] {
        let received = bridge.next().await;
        assert_eq!((&received.raw[..], received.problem), (expected.0.as_bytes(), expected.1));
    }
    for _ in 0..3 {
        assert_eq!(bridge.heard().await, Heard::Reached);
    }
    assert!(bridge.taken.try_recv().is_err());
    stopped(&bridge, tasks).await;
}

// whatever the order of the feed is.
#[tokio::test]
async fn a_7_the_alerts_of_one_poll_come_by_sent_so_that_a_cancel_follows_its_alert() {
    let alert = |name: &str, kind: &str, sent: &str| {
        format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{name}</identifier>\
             <sent>2026-03-01T{sent}</sent><msgType>{kind}</msgType></alert>"
        )
    };
    let cancel = alert("1", "Cancel", "11:59:00-00:00");
    let update = alert("2", "Update", "05:58:00-06:00");
    let first = alert("3", "Alert", "06:57:00-05:00");
    let peer = Peer::in_order(vec![feed(&[&cancel, "<alert><sent/></alert>", &update, &first])]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:00Z", 0);
    let tasks = running(source(&peer, ""), &bridge);
    for expected in [first.as_str(), "<alert><sent/></alert>", &update, &cancel] {
        assert_eq!(bridge.next().await.raw, expected.as_bytes());
    }
    stopped(&bridge, tasks).await;
}

// a gap longer than the feed's window is told once.
#[tokio::test]
async fn a_10_a_gap_longer_than_the_window_is_told() {
    let peer = Peer::in_order(vec![Answer::status(403), feed(&[])]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:00Z", 0);
    let last: Timestamp = "2026-03-01T11:29:59Z".parse().unwrap();
    *bridge.checkpoint.lock().unwrap() = Some(last.to_string());
    let tasks = running(source(&peer, ""), &bridge);
    assert_eq!(bridge.heard().await, Heard::Gap(last));
    assert!(matches!(bridge.heard().await, Heard::Failed(error) if error.contains("403")));
    assert_eq!(bridge.heard().await, Heard::Reached);
    assert_eq!(bridge.heard().await, Heard::Reached);
    stopped(&bridge, tasks).await;
}

// the checkpoint moves only after the bridge has everything, and not past a feed that breaks off.
#[tokio::test]
async fn a_2_the_checkpoint_stays_where_something_is_missing() {
    let cut = "<a:alerts xmlns:a=\"http://gov.fema.ipaws.services/feed\"><alert>1</alert><alert>2";
    let peer = Peer::in_order(vec![Answer::body(200, cut), Answer::body(200, "<html/>")]).await;
    let mut bridge = Bridge::at("2026-03-01T12:00:00Z", 1);
    let source = source(&peer, "");
    assert!(matches!(source.clone().run(bridge.cx.clone()).await, Err(SourceError::NotAccepted { .. })));
    let tasks = running(source, &bridge);
    assert!(matches!(bridge.heard().await, Heard::Failed(error) if error.contains("not one")));
    stopped(&bridge, tasks).await;
    assert_eq!(*bridge.checkpoint.lock().unwrap(), None);
}

// public services are not polled more often than they ask.
#[tokio::test]
async fn a_11_a_public_feed_is_polled_every_two_minutes_at_most() {
    let bridge = Bridge::at("2026-03-01T12:00:00Z", 0);
    let table = "base_url = \"https://apps.fema.example/IPAWSOPEN_EAS_SERVICE\"\npoll_secs = 1";
    let far = IpawsSource::validate(toml::from_str(table).unwrap(), &InMemory::default()).unwrap();
    let near = Peer::in_order(vec![feed(&[])]).await;
    assert_eq!(far.wait(&bridge.cx), POLITE);
    assert_eq!(source(&near, "").wait(&bridge.cx), Duration::from_millis(100));
}

//! IPAWS-OPEN after lost answers: which stamping of a message it has. On both stores.

use std::time::Duration;

use capbridge_exercise::clock::cap_time;
use capbridge_exercise::ipaws_open::{Cog, Settings};
use capbridge_exercise::keys::Authority;
use capbridge_exercise::signature::Certificate;
use capbridge_exercise::{Clock, Fault, IpawsOpen, Mischief, Running};
use capbridge_harness::{Program, eventually};
use jiff::{SignedDuration, Timestamp};

use crate::stage::{Stage, events, message, now, private, route};

const LIMIT: Duration = Duration::from_secs(40);
const COG: u32 = 120_082;

on_both_stores! {
    a_cancel_finds_the_stamping_that_ipaws_has
    what_is_over_at_ipaws_is_not_referred_to
    an_update_and_a_cancel_whose_answers_were_lost_are_delivered
}

async fn ipaws(stage: &mut Stage) -> Running<IpawsOpen> {
    let clock = Clock::system();
    let authority = Authority::new("Exercise Device CA 1", clock.now()).unwrap();
    let key = authority.cog(COG, clock.now(), 30).unwrap();
    let trusted = Certificate::from_pem(&authority.certificate_pem).unwrap();
    let settings = Settings::new(vec![Cog::new(COG, "Exercise COG")], vec![trusted]);
    let ipaws = IpawsOpen::start(settings, clock).await.unwrap();
    private(&stage.folder.path().join("cog.key.pem"), &key.key_pem);
    private(&stage.folder.path().join("cog.crt.pem"), &key.certificate_pem);
    stage.tables = format!(
        "[endpoint.open]\nsystem = \"open\"\nmode = \"live\"\n[endpoint.open.ipaws]\n\
         url = \"{}/IPAWS_CAPService/IPAWS\"\ncog_id = {COG}\nuser = \"stage\"\nkey_file = \"cog.key.pem\"\n\
         certificate_file = \"cog.crt.pem\"\nfresh_secs = 1\n{}",
        ipaws.url(),
        route("to_ipaws", "\"feed\"", "\"open\"", "")
    );
    ipaws
}

async fn delivered(bridge: &Program, identifier: &str) {
    eventually("IPAWS has it", LIMIT, async || {
        let all = events(bridge, identifier, "delivered").await;
        all.iter().any(|e| e["facts"]["endpoint"] == "open").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
}

async fn a_cancel_finds_the_stamping_that_ipaws_has(mut stage: Stage) {
    // D-2
    let ipaws = ipaws(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    let urgent = |turn| {
        message(1, turn, begun)
            .replace("<urgency>Expected<", "<urgency>Immediate<")
            .replace("<severity>Severe<", "<severity>Extreme<")
    };
    // Neither of two attempts arrives, a third does, and the answers to all are lost.
    let gateway = Fault::Status { status: 502, retry_after_secs: None };
    ipaws.misbehave(Mischief::next(2, gateway).method("POST"));
    ipaws.misbehave(Mischief::next(1, Fault::LoseAnswer).method("POST"));
    stage.feed.site.publish(urgent(0));
    delivered(&bridge, "C1-0").await;
    stage.feed.site.publish(urgent(3));
    delivered(&bridge, "C1-3").await;
    let posts = ipaws.posts();
    let refused = posts.iter().any(|post| post.groups.iter().any(|group| group.code == "307"));
    assert!(refused, "the wrong stamping was named first: {posts:?}");
    assert!(posts.last().unwrap().is_accepted, "{posts:?}");
    assert!(posts.last().unwrap().alert.contains("<msgType>Cancel</msgType>"), "{posts:?}");
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
}

/// The same alert, over at a time.
fn until(alert: &str, ends: Timestamp) -> String {
    let (before, rest) = alert.split_once("<expires>").unwrap();
    let (_, after) = rest.split_once('<').unwrap();
    format!("{before}<expires>{}<{after}", cap_time(ends))
}

async fn what_is_over_at_ipaws_is_not_referred_to(mut stage: Stage) {
    let ipaws = ipaws(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    let ends = begun.checked_add(SignedDuration::from_secs(25)).unwrap();
    stage.feed.site.publish(until(&message(1, 0, begun), ends));
    stage.feed.site.publish(message(2, 0, begun));
    stage.feed.site.publish(until(&message(3, 0, begun), ends));
    for identifier in ["C1-0", "C2-0", "C3-0"] {
        delivered(&bridge, identifier).await;
    }
    eventually("two are over", LIMIT, async || (Clock::system().now() > ends).then_some(())).await.unwrap();
    // A Cancel of one that is over and one that is not, and one of what is over.
    let cancel = message(1, 3, begun);
    let all = &cancel[cancel.find("<references>").unwrap()..cancel.find("</references>").unwrap()];
    let first = all.trim_start_matches("<references>").split(' ').next().unwrap();
    let both = format!("<references>{first} {}", first.replace("C1-0", "C2-0"));
    stage.feed.site.publish(cancel.replace(all, &both));
    delivered(&bridge, "C1-3").await;
    stage.feed.site.publish(message(3, 3, begun));
    eventually("it ends nothing", LIMIT, async || {
        let ended = events(&bridge, "C3-3", "expired").await;
        ended.iter().any(|e| e["facts"]["endpoint"] == "open").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    let last = ipaws.posts().into_iter().rfind(|post| post.is_accepted).unwrap();
    assert!(last.alert.contains("<msgType>Cancel</msgType>"), "{}", last.alert);
    let (_, references) = last.alert.split_once("<references>").unwrap();
    let references = references.split_once('<').unwrap().0;
    assert_eq!(references.split(' ').count(), 1, "{references}");
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
}

async fn an_update_and_a_cancel_whose_answers_were_lost_are_delivered(mut stage: Stage) {
    // D-9
    let ipaws = ipaws(&mut stage).await;
    let bridge = stage.bridge().await;
    let begun = now();
    let urgent =
        |chain, turn| message(chain, turn, begun).replace("<urgency>Expected<", "<urgency>Immediate<");
    // A Cancel of an Alert; then an Update, a second one of which two answers are lost, and the Cancel of all.
    for (chain, turn, lost) in [(1, 0, 0), (2, 0, 0), (2, 1, 1), (2, 2, 2), (2, 3, 0)] {
        if lost > 0 {
            ipaws.misbehave(Mischief::next(lost, Fault::LoseAnswer).method("POST"));
        }
        stage.feed.site.publish(urgent(chain, turn));
        delivered(&bridge, &format!("C{chain}-{turn}")).await;
    }
    // The Cancel has no content, and so the lane of a routine alert: a first repeat after 5 s.
    ipaws.misbehave(Mischief::next(1, Fault::LoseAnswer).method("POST"));
    let cancel = urgent(1, 3);
    let (before, rest) = cancel.split_once("<references>").unwrap();
    let (all, after) = rest.split_once("</references>").unwrap();
    let first = all.split(' ').next().unwrap();
    stage.feed.site.publish(format!("{before}<references>{first}</references>{after}"));
    delivered(&bridge, "C1-3").await;

    let posts = ipaws.posts();
    let codes =
        |code: &str| posts.iter().flat_map(|post| &post.groups).filter(|group| group.code == code).count();
    assert_eq!((codes("201"), codes("307")), (4, 0), "{posts:?}");
    let taken = posts.iter().filter(|post| post.is_accepted).count();
    assert_eq!(taken, 6, "each once: {posts:?}");
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
}

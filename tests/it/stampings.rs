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
const OTHER_COG: u32 = 120_083;

on_both_stores! {
    a_cancel_finds_the_stamping_that_ipaws_has
    what_is_over_at_ipaws_is_not_referred_to
    an_update_and_a_cancel_whose_answers_were_lost_are_delivered
    after_another_cog_what_is_in_force_is_issued_again_and_followed
    after_another_key_what_is_issued_again_takes_the_place_of_the_former
}

async fn ipaws(stage: &mut Stage) -> Running<IpawsOpen> {
    let authority = Authority::new("Exercise Device CA 1", Clock::system().now()).unwrap();
    ipaws_of(&authority, stage).await
}

/// With two COGs; the bridge has the first.
async fn ipaws_of(authority: &Authority, stage: &mut Stage) -> Running<IpawsOpen> {
    let trusted = Certificate::from_pem(&authority.certificate_pem).unwrap();
    let cogs = vec![Cog::new(COG, "Exercise COG"), Cog::new(OTHER_COG, "The COG after it")];
    let ipaws = IpawsOpen::start(Settings::new(cogs, vec![trusted]), Clock::system()).await.unwrap();
    log_on_as(authority, stage, &ipaws, (COG, 0));
    ipaws
}

/// Gives the bridge a COG with a new key, and an edition.
fn log_on_as(
    authority: &Authority,
    stage: &mut Stage,
    ipaws: &Running<IpawsOpen>,
    (cog, edition): (u32, u32),
) {
    let key = authority.cog(cog, Clock::system().now(), 30).unwrap();
    for name in ["cog.key.pem", "cog.crt.pem"] {
        let _ = std::fs::remove_file(stage.folder.path().join(name));
    }
    private(&stage.folder.path().join("cog.key.pem"), &key.key_pem);
    private(&stage.folder.path().join("cog.crt.pem"), &key.certificate_pem);
    stage.tables = format!(
        "[translation]\nedition = {edition}\n[endpoint.open]\nsystem = \"open\"\nmode = \"live\"\n[endpoint.open.ipaws]\n\
         url = \"{}/IPAWS_CAPService/IPAWS\"\ncog_id = {cog}\nuser = \"stage\"\nkey_file = \"cog.key.pem\"\n\
         certificate_file = \"cog.crt.pem\"\nfresh_secs = 1\n{}",
        ipaws.url(),
        route("to_ipaws", "\"feed\"", "\"open\"", "")
    );
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

fn kind(alert: &str) -> &str {
    alert.split_once("<msgType>").and_then(|(_, rest)| rest.split_once('<')).unwrap().0
}

fn identifier(alert: &str) -> String {
    alert.split_once("<identifier>").and_then(|(_, rest)| rest.split_once('<')).unwrap().0.to_owned()
}

/// The identifiers that a message refers to.
fn referred(alert: &str) -> Vec<String> {
    let Some((_, rest)) = alert.split_once("<references>") else { return Vec::new() };
    let list = rest.split_once('<').unwrap().0;
    list.split(' ').map(|one| one.split(',').nth(1).unwrap().to_owned()).collect()
}

/// Delivers an Alert with its Update and another Alert, changes the identity, and issues again: what IPAWS took then.
async fn issued_again(stage: &mut Stage, cog: u32) -> (Vec<String>, Vec<String>) {
    let authority = Authority::new("Exercise Device CA 1", Clock::system().now()).unwrap();
    let ipaws = ipaws_of(&authority, stage).await;
    let begun = now();
    let bridge = stage.bridge().await;
    for (chain, turn) in [(1, 0), (1, 1), (2, 0), (3, 0), (3, 3)] {
        stage.feed.site.publish(message(chain, turn, begun));
        delivered(&bridge, &format!("C{chain}-{turn}")).await;
    }
    let said = reissue(stage, &bridge);
    assert_eq!(said.0, 0, "{}", said.1);
    assert!(said.1.contains("nothing that open took under a former identity"), "{}", said.1);
    drop(bridge);
    let before = taken(&ipaws);
    // IPAWS as another COG sees it: INFERRED, that one cannot refer to messages of the first.
    let ipaws = if cog == COG { ipaws } else { ipaws_of(&authority, stage).await };
    let known = taken(&ipaws).len();
    log_on_as(&authority, stage, &ipaws, (cog, 1));
    let bridge = stage.bridge().await;
    let said = reissue(stage, &bridge);
    assert_eq!((said.0, said.1.trim()), (0, "2 alerts are issued again to open"));
    eventually("both are there again", LIMIT, async || (taken(&ipaws).len() >= known + 2).then_some(()))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", bridge.tail(20)));
    for identifier in ["C1-1", "C2-0"] {
        let reissued = events(&bridge, identifier, "reissued").await;
        assert_eq!(reissued.len(), 1, "{identifier}");
        assert_eq!(reissued[0]["facts"]["operator"], "duty officer");
        assert!(reissued[0]["facts"]["former"].as_str().unwrap().contains("stage-ipaws-"));
    }
    assert!(events(&bridge, "C1-0", "reissued").await.is_empty(), "its Update took its place");
    assert!(events(&bridge, "C3-0", "reissued").await.is_empty(), "it was cancelled");
    // What follows goes to what was issued again.
    stage.feed.site.publish(message(1, 3, begun));
    delivered(&bridge, "C1-3").await;
    assert!(bridge.list("/v1/deliveries?state=dead").await.unwrap().is_empty());
    let said = reissue(stage, &bridge);
    assert!(said.1.contains("nothing that open took"), "twice: {}", said.1);
    (before, taken(&ipaws).split_off(known))
}

fn reissue(stage: &Stage, bridge: &Program) -> (i32, String) {
    let arguments = ["endpoints", "reissue", "open", "--operator", "duty officer", "--reason", "key changed"];
    stage.command(bridge, &arguments, "")
}

fn taken(ipaws: &Running<IpawsOpen>) -> Vec<String> {
    ipaws.posts().into_iter().filter(|post| post.is_accepted).map(|post| post.alert).collect()
}

async fn after_another_cog_what_is_in_force_is_issued_again_and_followed(mut stage: Stage) {
    // D-21
    let (before, after) = issued_again(&mut stage, OTHER_COG).await;
    let former: Vec<String> = before.iter().map(|alert| identifier(alert)).collect();
    let fresh: Vec<String> = after.iter().map(|alert| identifier(alert)).collect();
    assert!(fresh.iter().all(|one| !former.contains(one)), "{former:?} {fresh:?}");
    // What the COG does not know is not referred to: both begin anew, and the Cancel ends what was issued again.
    let kinds: Vec<&str> = after.iter().map(|alert| kind(alert)).collect();
    assert_eq!(kinds, ["Alert", "Alert", "Cancel"]);
    let reissued = after.iter().find(|a| a.contains("chain 1 turn 1")).map(|a| identifier(a)).unwrap();
    assert_eq!(referred(&after[2]), [reissued], "{}", after[2]);
}

async fn after_another_key_what_is_issued_again_takes_the_place_of_the_former(mut stage: Stage) {
    // D-21
    let (before, after) = issued_again(&mut stage, COG).await;
    let of = |alerts: &[String], text: &str| alerts.iter().find(|a| a.contains(text)).cloned().unwrap();
    for text in ["chain 1 turn 1", "chain 2 turn 0"] {
        let (former, fresh) = (of(&before, text), of(&after, text));
        assert_eq!(kind(&fresh), "Update", "{fresh}");
        assert!(referred(&fresh).contains(&identifier(&former)), "{fresh}");
        assert_ne!(identifier(&fresh), identifier(&former));
    }
    assert_eq!(kind(&after[2]), "Cancel");
    // The Cancel ends it under both of its identifiers.
    for alerts in [&before, &after] {
        let ended = identifier(&of(alerts, "chain 1 turn 1"));
        assert!(referred(&after[2]).contains(&ended), "{}", after[2]);
    }
}

//! The scenes (a) to (e), each with what must come of it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Teller;
use super::messages::{Sarnia, Turn, exercise_alert, hazmat_warning};
use super::world::{AGGREGATOR, LAMBTON, World};
use crate::ipaws_open::Post;
use crate::responder::Delivery;
use crate::signature::sign_alert;

const HAZMAT: &str = "STCLAIR-HMW-0001";

/// (a) Canada to the United States, with Update and Cancel.
pub async fn chlorine_at_sarnia(world: &World, teller: &mut Teller, limit: Duration) -> Result<()> {
    teller.scene("(a) A chlorine release at Sarnia, posted to MASAS in English and French");
    let story = Sarnia { begun_at: world.now() };
    let refused =
        |(status, text): (u16, String)| anyhow::anyhow!("the hub refused the demo's alert: {status} {text}");
    let entry = world.hub.site.post_cap(LAMBTON, story.cap(Turn::Alert).as_bytes()).map_err(refused)?;
    teller.event("Lambton", "posts LAMBTON-2026-0001 (CAP-CP, en-CA and fr-CA) to the MASAS hub");
    for (turn, name, number) in
        [(Turn::Alert, "Alert", 1), (Turn::Update, "Update", 2), (Turn::Cancel, "Cancel", 3)]
    {
        if number > 1 {
            world.hub.site.update_cap(LAMBTON, &entry.id, story.cap(turn).as_bytes()).map_err(refused)?;
            teller.event("Lambton", &format!("posts the {name} {}", Sarnia::identifier(turn)));
        }
        let posted = world.wait(limit, async || nth_post(world, number)).await;
        teller.expect(posted.is_some(), format!("(a) the {name} reaches IPAWS-OPEN"));
        let Some(post) = posted else { continue };
        teller.event("IPAWS", &format!("takes the {name} as {}", post.identifier));
        judge_post(&post, turn, &world.ipaws.site.posts(), teller);
        for (who, responder) in [("Michigan", &world.michigan), ("Ontario", &world.ontario)] {
            let original = story.reference(turn);
            let got = world.wait(limit, async || about(&responder.site.accepted(), &original)).await;
            teller.expect(
                got.is_some(),
                format!("(a) the {name} reaches the responder in {who} by signed webhook"),
            );
            if got.is_some() {
                teller.event(who, &format!("has the {name}, signature checked"));
            }
        }
    }
    in_order(world, teller);
    Ok(())
}

fn nth_post(world: &World, number: usize) -> Option<Post> {
    world.ipaws.site.posts().into_iter().filter(|p| p.is_accepted).nth(number - 1)
}

fn judge_post(post: &Post, turn: Turn, all: &[Post], teller: &mut Teller) {
    let has = |text: &str| post.alert.contains(text);
    let blocked = ["EAS", "NWEM", "CMAS", "PUBLIC"]
        .iter()
        .all(|channel| has(&format!("<valueName>BLOCKCHANNEL</valueName><value>{channel}</value>")));
    match turn {
        Turn::Alert => {
            teller.expect(
                has("<code>IPAWSv1.0</code>") && has("Signature"),
                "(a) it is a signed message in the IPAWS profile",
            );
            teller.expect(blocked, "(a) every public channel is blocked in it");
            teller.expect(has("<value>HMW</value>"), "(a) chemical became SAME HMW");
            teller.expect(
                has("<value>026147</value>"),
                "(a) the circle touches St. Clair County, MI (SAME 026147)",
            );
            teller.expect(!has("555-0100"), "(a) the contact's telephone number stayed in Canada");
            teller.expect(has("LAMBTON-2026-0001"), "(a) it names the message that it was made from");
        }
        Turn::Update | Turn::Cancel => {
            let first = all.iter().find(|p| p.is_accepted).map(|p| p.identifier.clone()).unwrap_or_default();
            let references =
                post.alert.split("<references>").nth(1).and_then(|r| r.split("</references>").next());
            let ours = references.is_some_and(|r| r.contains(&first) && !r.contains("LAMBTON"));
            let name = if matches!(turn, Turn::Update) { "Update" } else { "Cancel" };
            teller.expect(
                ours,
                format!("(a) the {name} refers to our own earlier messages, not to the Canadian ones"),
            );
        }
    }
}

fn in_order(world: &World, teller: &mut Teller) {
    for (who, responder) in [("Michigan", &world.michigan), ("Ontario", &world.ontario)] {
        let kinds: Vec<String> =
            responder.site.accepted().iter().filter_map(|d| Some(field(d, "msg_type")?.to_owned())).collect();
        teller.expect(
            kinds == ["Alert", "Update", "Cancel"],
            format!("(a) {who} got Alert, Update, Cancel in this order"),
        );
    }
}

fn body(delivery: &Delivery) -> Option<Value> {
    serde_json::from_slice(&delivery.body).ok()
}

fn field(delivery: &Delivery, name: &str) -> Option<String> {
    Some(body(delivery)?.get("data")?.get(name)?.as_str()?.to_owned())
}

/// The delivery whose trail names the original.
fn about(deliveries: &[Delivery], original: &str) -> Option<Delivery> {
    deliveries
        .iter()
        .find(|d| {
            body(d)
                .is_some_and(|b| b.pointer("/data/trail/reference").and_then(Value::as_str) == Some(original))
        })
        .cloned()
}

/// (b) The United States to Canada.
pub async fn hazmat_on_the_river(world: &World, teller: &mut Teller, limit: Duration) -> Result<()> {
    teller.scene("(b) A US hazardous-materials warning with a polygon over the St. Clair River");
    let signed =
        sign_alert(&hazmat_warning(world.now(), HAZMAT), &world.county).context("signing the warning")?;
    world.ipaws.site.publish(signed.as_bytes())?;
    teller.event("St. Clair", "warns through IPAWS: HMW, signed, polygon over the river");
    let entry = world.wait(limit, async || bridged_entry(world)).await;
    teller.expect(entry.is_some(), "(b) it reaches the MASAS hub");
    if let Some(cap) = entry {
        teller.event("MASAS", "has it as an entry with CAP");
        teller.expect(cap.contains("profile:CAP-CP:0.4"), "(b) as CAP-CP");
        teller.expect(
            cap.contains("<value>hazmat</value>"),
            "(b) HMW became hazmat, and the original code is kept beside it",
        );
        teller
            .expect(cap.contains("<value>3538</value>"), "(b) with Lambton, Ontario (census division 3538)");
        teller.expect(
            cap.contains(
                "42.9000,-82.4900 42.9000,-82.4000 42.9700,-82.3900 42.9700,-82.4600 42.9000,-82.4900",
            ),
            "(b) its polygon unchanged",
        );
    }
    let got = world
        .wait(limit, async || {
            world
                .ontario
                .site
                .accepted()
                .into_iter()
                .find(|d| String::from_utf8_lossy(&d.body).contains(HAZMAT))
        })
        .await;
    teller.expect(got.is_some(), "(b) it reaches the Canadian responder by signed webhook");
    Ok(())
}

/// The CAP of the hub's entry that the bridge posted.
fn bridged_entry(world: &World) -> Option<String> {
    let own = world.hub.site.account_uri(super::world::BRIDGE)?;
    let entry = world.hub.site.entries().into_iter().find(|e| e.author_uri == own)?;
    Some(String::from_utf8_lossy(entry.cap()?).into_owned())
}

/// (c) What arrived before, and what is ours, goes no further.
pub async fn repeats_and_loops(world: &World, teller: &mut Teller, limit: Duration) -> Result<()> {
    teller.scene("(c) The same alert arrives twice, and our own output comes back");
    let before = (
        world.ipaws.site.posts().len(),
        world.michigan.site.accepted().len(),
        world.ontario.site.accepted().len(),
    );
    let again =
        world.hub.site.entries().first().and_then(|e| e.cap().cloned()).context("the hub's first entry")?;
    let refused = |(status, text): (u16, String)| anyhow::anyhow!("{status} {text}");
    world.hub.site.post_cap(AGGREGATOR, &again).map_err(refused)?;
    teller.event("aggregator", "posts the Canadian message again under its own account");
    let ours = bridged_entry(world).context("the bridge's entry")?;
    world.hub.site.post_cap(AGGREGATOR, ours.as_bytes()).map_err(refused)?;
    teller.event("aggregator", "posts the bridge's own message under its account");
    let posted = nth_post(world, 1).context("the first post")?;
    let public = posted
        .alert
        .replace("<parameter><valueName>BLOCKCHANNEL</valueName><value>PUBLIC</value></parameter>", "");
    world.ipaws.site.publish(public.as_bytes())?;
    teller.event("somebody", "puts the bridge's own message into the public IPAWS feed");
    let counted = world
        .wait(limit, async || {
            let (_, text) = world.bridge.get("/metrics").await.ok()?;
            let text = text.as_str()?.to_owned();
            let sum = |outcome: &str| -> u64 {
                text.lines()
                    .filter(|l| {
                        l.starts_with("capbridge_received_total")
                            && l.contains(&format!("outcome=\"{outcome}\""))
                    })
                    .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
                    .sum()
            };
            (sum("repeat") >= 1 && sum("loop") >= 2).then(|| (sum("repeat"), sum("loop")))
        })
        .await;
    teller.expect(counted.is_some(), "(c) the repeat and both loops are recognised and counted");
    if let Some((repeats, loops)) = counted {
        teller.event("bridge", &format!("counts {repeats} repeat(s) and {loops} loop(s)"));
    }
    let after = (
        world.ipaws.site.posts().len(),
        world.michigan.site.accepted().len(),
        world.ontario.site.accepted().len(),
    );
    teller.expect(before == after, "(c) nobody gets anything of it");
    Ok(())
}

/// (d) An exercise message reaches the rehearsal room and no live endpoint.
pub async fn an_exercise_stays_an_exercise(
    world: &World,
    teller: &mut Teller,
    limit: Duration,
) -> Result<()> {
    teller.scene("(d) An exercise message on the exercise hub");
    let refused = |(status, text): (u16, String)| anyhow::anyhow!("{status} {text}");
    world.rehearsal.site.post_cap(LAMBTON, exercise_alert(world.now()).as_bytes()).map_err(refused)?;
    teller.event("Lambton", "posts EXERCISE-2026-0001 to the exercise hub");
    let got = world.wait(limit, async || world.room.site.accepted().into_iter().next()).await;
    teller.expect(got.is_some(), "(d) it reaches the rehearsal room");
    if let Some(delivery) = got {
        let class = body(&delivery).and_then(|b| Some(b.pointer("/data/usage/class")?.as_str()?.to_owned()));
        teller.expect(class.as_deref() == Some("exercise"), "(d) and says that it is an exercise");
    }
    let leaked = [&world.michigan, &world.ontario].iter().any(|r| {
        r.site.deliveries().iter().any(|d| String::from_utf8_lossy(&d.body).contains("EXERCISE-2026"))
    });
    let posted = world.ipaws.site.posts().iter().any(|p| p.alert.contains("EXERCISE-2026"));
    teller.expect(!leaked && !posted, "(d) and no live endpoint");
    Ok(())
}

/// (e) What cannot be trusted is kept aside with a reason.
pub async fn broken_and_forged(world: &World, teller: &mut Teller, limit: Duration) -> Result<()> {
    teller.scene("(e) A broken document and one with a bad signature");
    let forged = sign_alert(&hazmat_warning(world.now(), "STCLAIR-HMW-0666"), &world.county)?
        .replace("barge leaks ammonia", "train leaks nothing");
    world.ipaws.site.publish(forged.as_bytes())?;
    teller.event("somebody", "changed the text of a signed warning on its way into the feed");
    let sound = hazmat_warning(world.now(), "STCLAIR-HMW-0667");
    let broken = sound.replace("<status>Actual</status>", "<status>Aktual</status>");
    world.ipaws.site.publish_damaged(sound.as_bytes(), &broken)?;
    teller.event("somebody", "damaged another one: its status is none that CAP knows");
    let entries = world
        .wait(limit, async || {
            let list = world.bridge.list("/v1/quarantine").await.ok()?;
            let has =
                |reason: &str| list.iter().any(|e| e.get("reason").and_then(Value::as_str) == Some(reason));
            (has("signature") && has("document")).then_some(list)
        })
        .await;
    teller.expect(entries.is_some(), "(e) both are in quarantine, for signature and for document");
    for entry in entries.unwrap_or_default() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        teller.event("bridge", &format!("quarantine {}: {}", text("reason"), text("detail")));
    }
    Ok(())
}

/// What must hold at the end of all scenes.
pub async fn nothing_else_happened(world: &World, teller: &mut Teller) -> Result<()> {
    teller.scene("At the end");
    let dead = world.bridge.list("/v1/deliveries?state=dead").await?;
    for letter in &dead {
        teller.event("bridge", &format!("dead letter: {letter}"));
    }
    teller.expect(dead.is_empty(), "no delivery is a dead letter");
    let repeats = [&world.michigan, &world.ontario, &world.room]
        .iter()
        .any(|r| r.site.deliveries().iter().any(|d| d.is_repeat || d.is_conflict));
    teller.expect(!repeats, "no responder got anything twice");
    let unexpected =
        world.hub.unexpected().len() + world.rehearsal.unexpected().len() + world.ipaws.unexpected().len();
    teller.expect(unexpected == 0, "no simulator saw a request that it does not know");
    let refused = world.ipaws.site.posts().iter().filter(|p| !p.is_accepted).count();
    teller.expect(refused == 0, "IPAWS refused nothing");
    let (status, ready) = world.bridge.get("/readyz").await?;
    teller.expect(status == 200, format!("the bridge is ready: {ready}"));
    let journey = world.journey("LAMBTON-2026-0001").await;
    let delivered = journey.as_ref().and_then(|j| j.get("deliveries")?.as_array().map(Vec::len)).unwrap_or(0);
    teller.expect(delivered == 3, "the journey of LAMBTON-2026-0001 shows its three deliveries");
    Ok(())
}

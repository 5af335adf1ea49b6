//! Generated chains through two bridges face to face, with everything that feeds do to them: another order, repeats,
//! conflicts, wrong sender parts, references that accumulate, and echoes for ten simulated minutes.
//!
//! The bridges are a model of the contract in `docs/delivery.md` around the real translation, keys, names and loop guard;
//! the store and the relay have tests of their own. `CHAINS` says how many chains (300; `make chains`: 100,000). Chain
//! number N is the same in each run.

mod model;

use std::collections::BTreeSet;

use super::*;
use model::{Bridge, Output, System};

/// What a generator made of one chain, in the order of its times.
struct Chain {
    system: System,
    texts: Vec<String>,
    /// Copies under an identity that is taken.
    conflicts: Vec<String>,
}

const BASE: i64 = 1_772_384_400; // 2026-03-01T17:00:00Z

fn time(seconds: i64) -> String {
    Time::from_instant(Instant::from_seconds(seconds), -300).as_str().to_owned()
}

fn pick<'a>(rng: &mut fastrand::Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// One message: number in its chain, kind, references.
fn message(
    rng: &mut fastrand::Rng,
    chain: u64,
    system: System,
    at: (usize, &str, &str),
    status: &str,
) -> String {
    let (number, kind, references) = at;
    let (language, code, event) = match system {
        System::Canada => ("en-CA", "<code>profile:CAP-CP:0.4</code>", "profile:CAP-CP:Event:0.4"),
        System::UnitedStates => ("en-US", "<code>IPAWSv1.0</code>", "SAME"),
    };
    let value = match system {
        System::Canada => pick(rng, &["chemical", "tornado", "flood", "radiological", "unheardOf"]),
        System::UnitedStates => pick(rng, &["HMW", "TOR", "RHW", "EVI", "XYZ"]),
    };
    // Over the river, on the other side alone, far away, by code alone, nowhere.
    let place = pick(
        rng,
        &[
            "<circle>42.9745,-82.4066 4</circle>",
            "<circle>42.9745,-82.4066 4</circle>",
            "<polygon>42.9,-82.49 42.9,-82.4 42.97,-82.39 42.97,-82.46 42.9,-82.49</polygon>",
            "<polygon>53,-110 53,-109.9 53.1,-109.9 53,-110</polygon>",
            "<geocode><valueName>SAME</valueName><value>026147</value></geocode>",
            "",
        ],
    );
    let sent = BASE + number as i64 * 60;
    let expires = sent + if rng.u8(..8) == 0 { 60 } else { 21_600 };
    let bare = kind == "Cancel" && rng.bool();
    let info = format!(
        "<info><language>{language}</language><category>Safety</category><event>Event</event>\
         <urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><eventCode>\
         <valueName>{event}</valueName><value>{value}</value></eventCode><expires>{}</expires>\
         <headline>Version {number}</headline><description>What happens.</description><area>\
         <areaDesc>River</areaDesc>{place}</area></info>",
        time(expires)
    );
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>C{chain}-{number}</identifier>\
         <sender>desk@example.test</sender><sent>{}</sent><status>{status}</status><msgType>{kind}</msgType>\
         <scope>Public</scope>{code}{references}{}</alert>",
        time(sent),
        if bare { "" } else { &info }
    )
}

/// An Alert, up to eight Updates, perhaps a Cancel or an Error.
fn chain(rng: &mut fastrand::Rng, number: u64) -> Chain {
    let system = if rng.bool() { System::Canada } else { System::UnitedStates };
    let status = pick(rng, &["Actual", "Actual", "Actual", "Exercise", "Test"]);
    let updates = rng.usize(..=8);
    let end = pick(rng, &["", "Cancel", "Cancel", "Error"]);
    let mut texts = vec![message(rng, number, system, (0, "Alert", ""), status)];
    let kinds = std::iter::repeat_n("Update", updates).chain((!end.is_empty()).then_some(end));
    for (position, kind) in kinds.enumerate() {
        // All before it, the last one, or those twice; now and then with a wrong sender part.
        let (from, twice) = (if rng.bool() { 0 } else { position }, rng.u8(..4) == 0);
        let sender = if rng.u8(..5) == 0 { "DeskTest" } else { "desk@example.test" };
        let mut list: Vec<String> = (from..=position)
            .map(|earlier| format!("{sender},C{number}-{earlier},{}", time(BASE + earlier as i64 * 60)))
            .collect();
        if twice {
            list.extend(list.clone());
        }
        let references = format!("<references>{}</references>", list.join(" "));
        texts.push(message(rng, number, system, (position + 1, kind, &references), status));
    }
    let conflict = |text: &String| text.replace("<category>Safety", "<category>Fire");
    let conflicts =
        texts.iter().filter(|t| t.contains("<info>") && rng.u8(..10) == 0).map(conflict).collect();
    Chain { system, texts, conflicts }
}

fn rank(status: &Code<'_, Status>) -> u8 {
    match status.known() {
        Some(Status::Actual) => 3,
        Some(Status::Exercise) => 2,
        Some(Status::Test) => 1,
        Some(Status::System | Status::Draft) | None => 0,
    }
}

fn shapes(alert: &Alert<'_>) -> BTreeSet<String> {
    let areas = alert.info.iter().flat_map(|info| &info.area);
    let of = |area: &cap_schema::Area<'_>| {
        let polygons = area.polygon.iter().map(|p| p.as_str().to_owned());
        polygons.chain(area.circle.iter().map(|c| c.as_str().to_owned())).collect::<Vec<_>>()
    };
    areas.flat_map(of).collect()
}

/// The invariants of what one bridge issued, from the outputs alone.
fn check(outputs: &[Output]) {
    let mut before: Vec<String> = Vec::new();
    let mut last = i64::MIN;
    for output in outputs {
        let Output { original, previous, made } = output;
        let sent = original.sent.instant().unwrap().seconds();
        // I3: in the order of the chain. I4: nothing after what ended it.
        assert!(sent > last, "an older version after a newer one");
        last = sent;
        let references: Vec<String> = made.alert.references().iter().map(ToString::to_string).collect();
        match made.alert.msg_type.known() {
            Some(MsgType::Alert) => assert!(references.is_empty() && before.is_empty(), "{references:?}"),
            _ => assert_eq!(references, before, "not all that was issued before, and nothing else"),
        }
        let ends = made.alert.msg_type == Code::Known(MsgType::Cancel);
        let is_last = std::ptr::eq(output, outputs.last().unwrap());
        assert!(!ends || is_last, "a message after the one that ended the chain");
        before.push(made.reference.to_string());
        // I5: no promotion.
        assert!(rank(&made.alert.status) <= rank(&original.status));
        // I8: no shape that was not there.
        let mut known = shapes(original);
        known.extend(previous.iter().flat_map(shapes));
        assert!(shapes(&made.alert).is_subset(&known), "a shape that no original has");
        // It says where it comes from, once.
        let read = cap_schema::parse_owned(made.xml.as_bytes(), &Limits::default()).unwrap();
        assert!(read.accepted());
    }
    let identifiers: BTreeSet<&String> = before.iter().collect();
    assert_eq!(identifiers.len(), before.len(), "an identity twice");
}

/// One chain through both bridges; how many messages were issued, and how many of them in answer to echoes.
fn run(number: u64, crossings: Option<u32>) -> (usize, usize) {
    let mut rng = fastrand::Rng::with_seed(number);
    let chain = chain(&mut rng, number);
    let mut bridges =
        [Bridge::new(System::UnitedStates, "a", crossings), Bridge::new(System::Canada, "b", crossings)];
    // Now and then the first message is late by minutes: what follows is released without it, and it is news no more.
    let late = usize::from(rng.u8(..10) == 0 && chain.texts.len() > 1);
    let mut deliveries: Vec<&String> = chain.texts.iter().skip(late).collect();
    rng.shuffle(&mut deliveries);
    let mut now = BASE + 700;
    let mut conflicts = 0;
    for text in deliveries {
        let copies = if rng.u8(..10) < 3 { 2 } else { 1 };
        for _ in 0..copies {
            now += rng.i64(0..3);
            bridges.iter_mut().for_each(|bridge| bridge.take(text, chain.system, now));
        }
    }
    for text in chain.conflicts.iter().filter(|text| late == 0 || !text.contains("<msgType>Alert")) {
        bridges.iter_mut().for_each(|bridge| bridge.take(text, chain.system, now));
        conflicts += 1;
    }
    now += 61;
    bridges.iter_mut().for_each(|bridge| bridge.wait(now));
    for text in chain.texts.iter().take(late) {
        bridges.iter_mut().for_each(|bridge| bridge.take(text, chain.system, now));
    }
    let issued: usize = bridges.iter().map(|bridge| bridge.outputs.len()).sum();
    // I6: ten minutes of polls every two minutes; both feeds hold the originals and what either bridge issued.
    for _ in 0..5 {
        now += 120;
        let made: Vec<(String, System)> =
            bridges.iter().flat_map(|b| b.outputs.iter().map(|o| (o.made.xml.clone(), b.target))).collect();
        let originals = chain.texts.iter().map(|text| (text.clone(), chain.system));
        for (text, _) in originals.chain(made) {
            for heard_on in [System::Canada, System::UnitedStates] {
                bridges.iter_mut().for_each(|bridge| bridge.take(&text, heard_on, now));
            }
        }
        bridges.iter_mut().for_each(|bridge| bridge.wait(now + 61));
    }
    for bridge in &bridges {
        check(&bridge.outputs);
        // I7: one record for each key, and each other content under it kept aside.
        assert!(bridge.accepted() >= chain.texts.len());
        assert_eq!(bridge.conflicts, conflicts);
    }
    let all: usize = bridges.iter().map(|bridge| bridge.outputs.len()).sum();
    (issued, all - issued)
}

#[test]
fn chains_keep_their_order_and_their_end_are_never_promoted_nor_moved_and_do_not_loop() {
    let count: u64 = std::env::var("CHAINS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut issued = 0;
    for number in 0..count {
        let run = std::panic::catch_unwind(|| run(number, Some(1)));
        let (of_chain, echoed) = run.unwrap_or_else(|_| panic!("chain {number} breaks an invariant"));
        assert_eq!(echoed, 0, "chain {number}: messages in answer to echoes");
        issued += of_chain;
    }
    println!("{count} chains, {issued} messages issued");
    assert!(issued as u64 > count / 2, "only {issued} messages were issued");
}

/// The guard is what keeps them silent: without it the same echoes make messages.
#[test]
fn without_the_limit_of_crossings_the_bridges_answer_each_other() {
    let echoed: usize = (0..20).map(run_unchecked).sum();
    assert!(echoed > 0);
}

fn run_unchecked(number: u64) -> usize {
    let mut rng = fastrand::Rng::with_seed(number);
    let chain = chain(&mut rng, number);
    let mut bridges = [Bridge::new(System::UnitedStates, "a", None), Bridge::new(System::Canada, "b", None)];
    let now = BASE + 700;
    for text in &chain.texts {
        bridges.iter_mut().for_each(|bridge| bridge.take(text, chain.system, now));
    }
    let [one, two] = &mut bridges;
    let before = (one.outputs.len(), two.outputs.len());
    let made: Vec<(String, System)> = one.outputs.iter().map(|o| (o.made.xml.clone(), one.target)).collect();
    for (text, system) in made {
        two.take(&text, system, now);
    }
    one.outputs.len() + two.outputs.len() - before.0 - before.1
}

//! The MASAS adapter and the hub.

use std::sync::Arc;

use cap_schema::MsgType;
use capbridge_adapters::endpoint::{DeliveryError, Message};
use capbridge_adapters::source::{Form, Problem};
use capbridge_exercise::masas_hub::{Account, Mode, Settings};
use capbridge_exercise::{Clock, Fault, MasasHub, Mischief, Running as Server};

use super::bridge::{Heard, Running, Sender, Texts, message};

const CAP: &str = include_str!("../../exercise/data/samples/masas-chemical.cap.xml");
const ENTRY: &str = include_str!("../../exercise/data/samples/entry.xml");
const START: &str = "2026-03-01T17:02:11Z";

async fn hub(mode: Mode) -> (Server<MasasHub>, Clock) {
    let clock = Clock::fixed(START.parse().unwrap());
    let accounts = vec![Account::writer("lambton", "Lambton EM"), Account::writer("bridge", "Bridge")];
    (MasasHub::start(Settings::new(mode, accounts), clock.clone()).await.unwrap(), clock)
}

fn files(code: &str) -> Texts {
    Texts(vec![("code", code.to_owned())])
}

fn table(hub: &Server<MasasHub>, mode: &str, more: &str) -> String {
    format!(
        "system = \"masas\"\nmode = \"{mode}\"\n[masas]\nhub_url = \"{}\"\nsecret_file = \"code\"\nown_account = \"{}\"\n{more}",
        hub.hub_url(),
        hub.account_uri("bridge").unwrap()
    )
}

const POLL: &str = "poll_secs = 0.1\ntimeout_secs = 2\n";

fn source(hub: &Server<MasasHub>, clock: &Clock, heard: &Arc<Heard>) -> Running {
    Running::start(&table(hub, "live", POLL), &files("bridge"), clock, Arc::clone(heard))
}

fn cap(identifier: &str, msg_type: &str, references: &str) -> String {
    let references =
        if references.is_empty() { String::new() } else { format!("<references>{references}</references>") };
    CAP.replace("LAMBTON-2026-0001", identifier)
        .replace("<msgType>Alert</msgType>", &format!("<msgType>{msg_type}</msgType>"))
        .replace("<code>profile:CAP-CP:0.4</code>", &format!("<code>profile:CAP-CP:0.4</code>{references}"))
        .replace("<status>Exercise</status>", "<status>Test</status>")
}

fn reference(identifier: &str) -> String {
    format!("em@lambton.example.test,{identifier},2026-03-01T12:02:05-05:00")
}

#[tokio::test]
async fn a_chain_written_by_one_account_is_read_by_another_byte_for_byte() {
    let (hub, clock) = hub(Mode::Sandbox).await;
    let mut writer = Sender::new(&table(&hub, "test", ""), &files("lambton"), &clock);
    let heard = Arc::new(Heard::default());
    let reader = source(&hub, &clock, &heard);
    reader.reached(1).await;
    let steps = [
        ("C-1", MsgType::Alert, cap("C-1", "Alert", "")),
        ("C-2", MsgType::Update, cap("C-2", "Update", &reference("C-1"))),
        ("C-3", MsgType::Cancel, cap("C-3", "Cancel", &format!("{} {}", reference("C-1"), reference("C-2")))),
    ];
    for (at, (identifier, msg_type, cap)) in steps.iter().enumerate() {
        clock.advance(30);
        let receipt =
            writer.deliver(message(*msg_type, cap)).await.unwrap_or_else(|e| panic!("{identifier}: {e:?}"));
        assert!(receipt.location.is_some() && receipt.notes.is_empty(), "{receipt:?}");
        let taken = reader.taken(at + 1).await;
        let last = taken.last().unwrap();
        assert_eq!((last.form, last.problem), (Form::Cap, None));
        assert_eq!(last.raw, cap.as_bytes(), "{identifier}");
    }
    assert_eq!(hub.entries().len(), 1, "the chain is one entry");
    // Our own entries are not asked for.
    hub.post_cap("bridge", cap("C-9", "Alert", "").as_bytes()).unwrap();
    hub.post_entry("lambton", ENTRY.replace("Exercise", "Test").as_bytes()).unwrap();
    let taken = reader.taken(4).await;
    assert_eq!((taken.len(), taken[3].form), (4, Form::MasasEntry));
    let made = capbridge_adapters::masas::entry::to_cap(&taken[3].raw, &Default::default()).unwrap();
    let parsed = cap_schema::parse_owned(&made.cap, &cap_schema::Limits::default()).unwrap();
    assert!(parsed.accepted() && parsed.findings.is_empty(), "{:?}", parsed.findings);
    reader.stop().await;
    assert!(hub.unexpected().is_empty(), "{:?}", hub.unexpected());
}

#[tokio::test]
async fn no_fault_of_the_hub_loses_or_doubles_an_entry() {
    let (hub, clock) = hub(Mode::Sandbox).await;
    let heard = Arc::new(Heard::default());
    let mut expected = Vec::new();
    let faults = [
        Fault::Status { status: 503, retry_after_secs: Some(1) },
        Fault::Redirect { location: "http://127.0.0.1:9/login".into() },
        Fault::Drop,
        Fault::CutBody,
        Fault::Garbage,
        Fault::LoseAnswer,
        Fault::Hang,
        Fault::Delay { millis: 300 },
        Fault::Drip { millis: 1 },
    ];
    let mut reader = source(&hub, &clock, &heard);
    reader.reached(1).await;
    for (at, fault) in faults.into_iter().enumerate() {
        for path in ["/hub/feed", "/content"] {
            clock.advance(1);
            hub.misbehave(Mischief::next(1, fault.clone()).method("GET").path(path));
            let cap = cap(&format!("F-{at}-{}", path.len()), "Alert", "");
            hub.post_cap("lambton", cap.as_bytes()).unwrap();
            expected.push(cap);
            reader.taken(expected.len()).await;
        }
        if at == 4 {
            reader.stop().await;
            reader = source(&hub, &clock, &heard);
        }
    }
    reader.reached(2).await;
    reader.stop().await;
    let taken = heard.taken.lock().unwrap().clone();
    let mut texts: Vec<&str> = taken.iter().map(|r| std::str::from_utf8(&r.raw).unwrap()).collect();
    for cap in &expected {
        assert!(texts.contains(&cap.as_str()), "lost {}", &cap[..200]);
    }
    // only a restart may repeat something.
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), expected.len());
    assert!(taken.iter().all(|r| r.problem.is_none()));
    assert!(hub.unexpected().is_empty(), "{:?}", hub.unexpected());
}

#[tokio::test]
async fn an_enclosure_that_stays_away_is_told_and_still_asked_for() {
    let (hub, clock) = hub(Mode::Sandbox).await;
    let heard = Arc::new(Heard::default());
    hub.misbehave(Mischief::next(4, Fault::Status { status: 404, retry_after_secs: None }).path("/content"));
    hub.post_cap("lambton", cap("E-1", "Alert", "").as_bytes()).unwrap();
    let reader = source(&hub, &clock, &heard);
    let taken = reader.taken(2).await;
    assert_eq!((taken[0].form, taken[0].problem), (Form::MasasEntry, Some(Problem::EnclosureUnavailable)));
    assert_eq!((taken[1].form, taken[1].problem), (Form::Cap, None));
    reader.stop().await;
}

//
#[tokio::test]
async fn a_post_whose_answer_was_lost_makes_one_entry() {
    let (hub, clock) = hub(Mode::Sandbox).await;
    let mut writer = Sender::new(&table(&hub, "test", ""), &files("bridge"), &clock);
    for (fault, arrived) in [(Fault::LoseAnswer, true), (Fault::CutBody, true), (Fault::Drop, false)] {
        let cap = cap(&format!("L-{arrived}-{}", hub.entries().len()), "Alert", "");
        let before = hub.entries().len();
        hub.misbehave(Mischief::next(1, fault.clone()).method("POST"));
        let maybe_delivered = match writer.deliver(message(MsgType::Alert, &cap)).await {
            Err(DeliveryError::Temporary { outcome_unknown, .. }) => outcome_unknown,
            other => panic!("{fault:?}: {other:?}"),
        };
        assert!(maybe_delivered || !arrived, "{fault:?}");
        let again = Message { maybe_delivered, attempt: 2, ..message(MsgType::Alert, &cap) };
        let receipt = writer.deliver(again).await.unwrap();
        assert!(receipt.location.is_some(), "{fault:?}");
        assert_eq!(hub.entries().len(), before + 1, "{fault:?}");
    }
    assert!(hub.unexpected().is_empty(), "{:?}", hub.unexpected());
}

#[tokio::test]
async fn a_wrong_code_is_a_refusal_and_nothing_is_followed() {
    let (hub, clock) = hub(Mode::Sandbox).await;
    let heard = Arc::new(Heard::default());
    let reader = Running::start(&table(&hub, "live", POLL), &files("wrong"), &clock, Arc::clone(&heard));
    let refused = || async { heard.words.lock().unwrap().first().cloned() };
    let first = capbridge_harness::eventually("a refusal", super::bridge::AMPLE, refused).await.unwrap();
    assert!(first.contains("refused us with status 401") && !first.contains("wrong"), "{first}");
    reader.stop().await;
    let mut writer = Sender::new(&table(&hub, "test", ""), &files("wrong"), &clock);
    let error = writer.deliver(message(MsgType::Alert, &cap("W-1", "Alert", ""))).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Temporary { outcome_unknown: false, .. }), "{error:?}");
}

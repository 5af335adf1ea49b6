//! The IPAWS adapter, IPAWS-OPEN and the feed.

use std::sync::Arc;

use cap_schema::MsgType;
use capbridge_adapters::endpoint::{DeliveryError, Message, Receipt};
use capbridge_adapters::source::Form;
use capbridge_exercise::clock::cap_time;
use capbridge_exercise::ipaws_open::{Cog, Settings};
use capbridge_exercise::keys::{Authority, CogKey};
use capbridge_exercise::signature::{Certificate, sign_alert};
use capbridge_exercise::{Clock, Fault, IpawsOpen, Mischief, Running as Server, keys};

use super::bridge::{Heard, Running, Sender, Texts, message};

const HMW: &str = include_str!("../../exercise/data/samples/ipaws-hmw.cap.xml");
const START: &str = "2026-03-01T17:02:11Z";
const COG: u32 = 120_082;

struct Bench {
    ipaws: Server<IpawsOpen>,
    clock: Clock,
    key: CogKey,
}

async fn bench() -> Bench {
    let clock = Clock::fixed(START.parse().unwrap());
    let authority = Authority::new("Exercise Device CA 1", clock.now()).unwrap();
    let key = authority.cog(COG, clock.now(), 30).unwrap();
    let trusted = Certificate::from_pem(&authority.certificate_pem).unwrap();
    let settings = Settings::new(vec![Cog::new(COG, "Exercise COG")], vec![trusted]);
    let ipaws = IpawsOpen::start(settings, clock.clone()).await.unwrap();
    Bench { ipaws, clock, key }
}

impl Bench {
    fn sender(&self) -> Sender {
        let table = format!(
            "system = \"ipaws\"\nmode = \"live\"\n[ipaws]\nurl = \"{}/IPAWS_CAPService/IPAWS\"\ncog_id = {COG}\n\
             user = \"exercise\"\nkey_file = \"key\"\ncertificate_file = \"certificate\"\ntimeout_secs = 2",
            self.ipaws.url()
        );
        let files =
            Texts(vec![("key", self.key.key_pem.clone()), ("certificate", self.key.certificate_pem.clone())]);
        Sender::new(&table, &files, &self.clock)
    }

    fn source(&self, heard: &Arc<Heard>) -> Running {
        let table = format!(
            "system = \"ipaws\"\nmode = \"live\"\n[ipaws]\nbase_url = \"{}/IPAWSOPEN_EAS_SERVICE\"\npoll_secs = 0.1\ntimeout_secs = 2",
            self.ipaws.url()
        );
        Running::start(&table, &Texts(Vec::new()), &self.clock, Arc::clone(heard))
    }
}

fn alert(identifier: &str) -> String {
    HMW.replace("EXERCISE-HMW-0001", identifier)
}

fn blocked(identifier: &str) -> String {
    let block = |channel: &str| {
        format!("<parameter><valueName>BLOCKCHANNEL</valueName><value>{channel}</value></parameter>")
    };
    let all = ["NWEM", "EAS", "CMAS", "PUBLIC"].map(block).concat();
    alert(identifier).replace(&block("NWEM"), &all)
}

//
#[tokio::test]
async fn ipaws_open_takes_what_the_endpoint_posts() {
    let bench = bench().await;
    let mut sender = bench.sender();
    for (cap, channels) in [(blocked("P-1"), 0), (alert("P-2"), 2)] {
        let receipt: Receipt = sender.deliver(message(MsgType::Alert, &cap)).await.unwrap();
        assert!(!receipt.partial, "{:?}", receipt.notes);
        let post = bench.ipaws.posts().pop().unwrap();
        assert!(post.is_accepted, "{:?}", post.groups);
        assert_eq!((post.cog_id, post.user.as_str()), (COG, "exercise"));
        assert!(bench.ipaws.published().last().unwrap().channels.len() >= channels, "{cap}");
    }
    assert!(bench.ipaws.unexpected().is_empty(), "{:?}", bench.ipaws.unexpected());
}

//
#[tokio::test]
async fn a_post_whose_answer_was_lost_is_told_by_the_duplicate() {
    let bench = bench().await;
    let mut sender = bench.sender();
    for (at, fault) in
        [Fault::LoseAnswer, Fault::CutBody, Fault::Hang, Fault::Garbage].into_iter().enumerate()
    {
        let cap = blocked(&format!("L-{at}"));
        bench.ipaws.misbehave(Mischief::next(1, fault.clone()));
        let error = sender.deliver(message(MsgType::Alert, &cap)).await.unwrap_err();
        assert!(
            matches!(error, DeliveryError::Temporary { outcome_unknown: true, .. }),
            "{fault:?}: {error:?}"
        );
        let again = Message { maybe_delivered: true, attempt: 2, ..message(MsgType::Alert, &cap) };
        let receipt = sender.deliver(again).await.unwrap();
        assert!(!receipt.partial, "{fault:?}");
        let taken =
            bench.ipaws.posts().iter().filter(|p| p.is_accepted && p.identifier == format!("L-{at}")).count();
        assert_eq!(taken, 1, "{fault:?}");
    }
    let twice = sender.deliver(message(MsgType::Alert, &blocked("L-0"))).await.unwrap_err();
    assert!(matches!(twice, DeliveryError::Permanent { disable: false, .. }), "{twice:?}");
}

// judged by programs that share nothing with us, as it goes over the wire.
#[tokio::test]
async fn xmlsec1_and_xmllint_believe_what_is_posted() {
    let (clock, folder) = (Clock::system(), tempfile::tempdir().unwrap());
    keys::write_folder(folder.path(), &[COG], clock.now()).unwrap();
    let read = |name: String| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let authorities = vec![Certificate::from_pem(&read("ca.pem".into())).unwrap()];
    let settings = Settings::new(vec![Cog::new(COG, "Exercise COG")], authorities);
    let ipaws = IpawsOpen::start(settings, clock.clone()).await.unwrap();
    let (certificate, key) = (read(format!("cog-{COG}.crt.pem")), read(format!("cog-{COG}.key.pem")));
    let key = CogKey::from_pem(COG, &certificate, &key).unwrap();
    let bench = Bench { ipaws, clock, key };
    let mut sender = bench.sender();
    let at = |secs| cap_time(bench.clock.now().checked_add(jiff::SignedDuration::from_secs(secs)).unwrap());
    let now = |cap: String| {
        cap.replace("2026-03-01T17:02:00-00:00", &at(0)).replace("2026-03-01T18:02:00-00:00", &at(3_600))
    };
    for cap in [now(blocked("J-1")), now(alert("J-2"))] {
        let receipt = sender.deliver(message(MsgType::Alert, &cap)).await.unwrap();
        assert!(!receipt.partial, "{:?}", receipt.notes);
        let body = bench.ipaws.requests().pop().unwrap().body;
        crate::drivers::judge_post(std::str::from_utf8(&body).unwrap(), folder.path()).await.unwrap();
    }
}

#[tokio::test]
async fn what_ipaws_open_refuses_is_told_as_it_is() {
    let bench = bench().await;
    let mut sender = bench.sender();
    let no_profile = blocked("R-1").replace("<code>IPAWSv1.0</code>", "");
    let error = sender.deliver(message(MsgType::Alert, &no_profile)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Permanent { .. }), "{error:?}");
    bench.clock.advance(301);
    let error = sender.deliver(message(MsgType::Alert, &blocked("R-2"))).await.unwrap_err();
    assert!(
        matches!(&error, DeliveryError::Temporary { outcome_unknown: false, retry_after: Some(_), .. }),
        "{error:?}"
    );
}

// what is cut out of the feed still verifies.
#[tokio::test]
async fn the_feed_is_read_byte_for_byte_through_its_faults() {
    let bench = bench().await;
    let heard = Arc::new(Heard::default());
    let reader = bench.source(&heard);
    let mut expected = Vec::new();
    for (at, fault) in [
        Fault::Status { status: 403, retry_after_secs: None },
        Fault::Drop,
        Fault::CutBody,
        Fault::Garbage,
        Fault::Hang,
        Fault::Drip { millis: 1 },
    ]
    .into_iter()
    .enumerate()
    {
        bench.ipaws.misbehave(Mischief::next(1, fault));
        let signed = sign_alert(&alert(&format!("S-{at}")), &bench.key).unwrap();
        bench.ipaws.publish(signed.as_bytes()).unwrap();
        expected.push(signed);
        reader.taken(expected.len()).await;
    }
    reader.reached(2).await;
    reader.stop().await;
    let taken = heard.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), expected.len());
    for (received, signed) in taken.iter().zip(&expected) {
        let (_, element) = signed.split_once("?>").unwrap();
        assert_eq!((received.form, std::str::from_utf8(&received.raw).unwrap()), (Form::Cap, element.trim()));
        let state =
            cap_schema::signature::verify(&received.raw, &Default::default(), &Default::default()).state;
        assert_eq!(state, cap_schema::signature::State::Untrusted);
    }
    assert!(bench.ipaws.unexpected().is_empty(), "{:?}", bench.ipaws.unexpected());
}

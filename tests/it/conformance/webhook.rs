//! The webhook endpoint and a responder.

use cap_schema::MsgType;
use capbridge_adapters::endpoint::{DeliveryError, Message};
use capbridge_exercise::keys::WebhookKeys;
use capbridge_exercise::responder::{Settings, Verdict};
use capbridge_exercise::{Clock, Fault, Mischief, Responder};

use super::bridge::{Sender, Texts, message};

const CAP: &str = include_str!("../../exercise/data/samples/masas-chemical.cap.xml");

//
#[tokio::test]
async fn a_responder_believes_every_kind_of_key_and_tells_repeats() {
    let clock = Clock::fixed("2026-03-01T17:02:11Z".parse().unwrap());
    let keys = WebhookKeys::new().unwrap();
    let settings = Settings {
        public_keys: vec![keys.public.clone()],
        secrets: vec![keys.shared.clone()],
        ..Settings::default()
    };
    let responder = Responder::start(settings, clock.clone()).await.unwrap();
    let files = Texts(vec![
        ("pem", keys.key_pem.clone()),
        ("whsk", keys.secret.clone()),
        ("shared", keys.shared.clone()),
        ("other", WebhookKeys::new().unwrap().key_pem),
    ]);
    let table = |keys: &str| {
        format!(
            "system = \"r\"\nmode = \"live\"\n[webhook]\nurl = \"{}/alerts\"\ntimeout_secs = 2\n{keys}",
            responder.url()
        )
    };
    for (at, keys) in [
        "key_file = \"pem\"",
        "key_file = \"whsk\"",
        "secret_file = \"shared\"",
        "key_file = \"other\"\nmore_key_files = [\"pem\"]",
    ]
    .into_iter()
    .enumerate()
    {
        let mut sender = Sender::new(&table(keys), &files, &clock);
        let one = Message { id: format!("msg_{at}"), ..message(MsgType::Alert, CAP) };
        responder.misbehave(Mischief::next(1, Fault::LoseAnswer));
        let error = sender.deliver(one.clone()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Temporary { outcome_unknown: true, .. }), "{error:?}");
        clock.advance(1);
        assert!(sender.deliver(one).await.is_ok());
        let last = responder.deliveries().pop().unwrap();
        assert_eq!((last.verdict, last.is_repeat, last.is_conflict), (Verdict::Good, true, false), "{keys}");
    }
    let mut stranger = Sender::new(&table("key_file = \"other\""), &files, &clock);
    let error = stranger.deliver(message(MsgType::Alert, CAP)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Temporary { outcome_unknown: false, .. }), "{error:?}");
}

//! What a webhook is told beside alerts: a challenge that it answers, and a test of the connection.
//!
//! Signed like an alert, with a `type` of its own and without a CAP document: nothing in it can be taken for an alert.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Webhook;
use super::endpoint::{failed, judge};
use crate::endpoint::{DeliveryError, EndpointContext, Greeting, GreetingForm, Receipt, Refusal};

const JSON: &str = "application/json";

/// Says it, once.
pub(super) async fn say(
    hook: &Webhook,
    cx: &EndpointContext,
    greeting: &Greeting,
) -> Result<Receipt, DeliveryError> {
    let timestamp = cx.clock.now().to_string();
    let body = match &greeting.form {
        GreetingForm::Challenge { nonce } => json!({
            "type": "capbridge.challenge", "timestamp": timestamp,
            "data": {"challenge": nonce, "text": "Check the signature and answer with the challenge. This is no alert."},
        }),
        GreetingForm::Test => json!({
            "type": "capbridge.test", "timestamp": timestamp,
            "data": {"class": "test", "text": "TEST of the connection. This is no alert, and there is none."},
        }),
    };
    let body = Bytes::from(body.to_string());
    let request = hook.request(cx, (&greeting.id, JSON, &body)).map_err(failed)?;
    let reply = cx.http.send(request).await.map_err(failed)?;
    let receipt = judge(cx, &reply)?;
    match &greeting.form {
        GreetingForm::Challenge { nonce } if !echoes(&reply.body, nonce) => {
            let said = "the answer does not hold the challenge".to_owned();
            let cause = Refusal::Protocol { protocol: "webhook challenge", said };
            Err(DeliveryError::Permanent { disable: false, cause })
        }
        GreetingForm::Challenge { .. } | GreetingForm::Test => Ok(receipt),
    }
}

/// The challenge itself, or a JSON object with it under its name. A receiver that throws everything back that it was sent
/// has understood nothing of it.
fn echoes(body: &[u8], nonce: &str) -> bool {
    let text = String::from_utf8_lossy(body);
    if text.trim() == nonce {
        return true;
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return false };
    members.get("challenge").and_then(Value::as_str) == Some(nonce)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::testing::{Answer, InMemory, Peer, Stopped, client};

    async fn check(answer: &str, form: GreetingForm) -> (bool, Value) {
        let reply = Answer::Reply(200, vec![], answer.as_bytes().to_vec());
        let peer = Peer::in_order(vec![reply]).await;
        let files = InMemory::with(&[("hmac", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
        let table = format!("url = \"{}\"\nsecret_file = \"hmac\"", peer.at("hook"));
        let hook = Webhook::validate(toml::from_str(&table).unwrap(), &files).unwrap();
        let cx = EndpointContext {
            clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())),
            http: client(),
            shelf: Arc::new(crate::feed::NoShelf),
        };
        let taken = hook.greet(&cx, &Greeting { id: "chl_1".into(), form }).await;
        let got = peer.got();
        assert!(got[0].header("webhook-signature").starts_with("v1,"), "it is signed");
        (taken.is_ok(), serde_json::from_slice(&got[0].body).unwrap())
    }

    #[tokio::test]
    async fn a_challenge_is_answered_with_itself_and_nothing_else() {
        let challenge = || GreetingForm::Challenge { nonce: "n0nce".into() };
        for (answer, proven) in [
            ("n0nce", true),
            (" n0nce\n", true),
            ("{\"challenge\": \"n0nce\"}", true),
            ("{\"challenge\": \"other\"}", false),
            ("{\"data\": {\"challenge\": \"n0nce\"}}", false),
            ("[\"n0nce\"]", false),
            ("ok", false),
            ("", false),
        ] {
            assert_eq!(check(answer, challenge()).await.0, proven, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_test_holds_no_alert_and_says_so() {
        let (taken, body) = check("", GreetingForm::Test).await;
        assert!(taken);
        assert_eq!((&body["type"], &body["data"]["class"]), (&json!("capbridge.test"), &json!("test")));
        assert!(body["data"]["text"].as_str().unwrap().starts_with("TEST"));
        assert!(!body.to_string().contains("urn:oasis"));
    }
}

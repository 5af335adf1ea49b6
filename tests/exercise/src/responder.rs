//! A responder's webhook receiver: verifies Standard Webhooks signatures, remembers deliveries.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::server::{self, Answer, Request, Running, Site};

/// How a responder is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `whpk_…`: ed25519 public keys of the senders it trusts (`v1a`).
    pub public_keys: Vec<String>,
    /// `whsec_…`: secrets that it shares with senders (`v1`).
    pub secrets: Vec<String>,
    /// Seconds that a timestamp may differ from the responder's clock.
    pub tolerance_secs: i64,
    /// Prints each request.
    pub log: bool,
    /// Whether it answers a challenge with itself, whoever signed it: as an owner does who put up what the bridge told it.
    pub proves_itself: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_keys: Vec::new(),
            secrets: Vec::new(),
            tolerance_secs: 300,
            log: false,
            proves_itself: true,
        }
    }
}

/// Whether a delivery is signed by a known sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// By a known sender, in time.
    Good,
    /// A header is missing or unreadable.
    Incomplete,
    /// No signature fits a known key.
    Forged,
    /// The timestamp is too far from the clock.
    Stale,
    /// The responder knows no key and takes everything.
    Unchecked,
}

/// A delivery as it arrived; refused ones are remembered too.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// When, by the responder's clock.
    pub at: Timestamp,
    /// The path that it was posted to.
    pub path: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, as sent.
    pub timestamp: String,
    /// Media type.
    pub media_type: String,
    /// The body.
    pub body: Bytes,
    /// Whether it was believed.
    pub verdict: Verdict,
    /// Whether this id was delivered before.
    pub is_repeat: bool,
    /// Whether this id was delivered before with another body: a sender's error.
    pub is_conflict: bool,
    /// The header fields.
    pub headers: http::HeaderMap,
}

/// A webhook receiver in memory.
#[derive(Debug)]
pub struct Responder {
    settings: Settings,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    deliveries: Vec<Delivery>,
    bodies: BTreeMap<String, Bytes>,
}

impl Responder {
    /// Starts a responder on a free port of the loopback interface. It takes a POST on any path.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(settings: Settings, clock: Clock) -> std::io::Result<Running<Self>> {
        Self::serve(settings, clock, server::loopback().await?)
    }

    /// Starts a responder on a listener.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn serve(settings: Settings, clock: Clock, listener: TcpListener) -> std::io::Result<Running<Self>> {
        Self::resume(Arc::new(Self { settings, clock, state: Mutex::default() }), listener)
    }

    /// Serves a responder that was stopped, with all it remembers.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn resume(responder: Arc<Self>, listener: TcpListener) -> std::io::Result<Running<Self>> {
        let (clock, log) = (responder.clock.clone(), responder.settings.log);
        server::serve(responder, listener, clock, log)
    }

    /// Every delivery that arrived, refused ones too, in order.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// The deliveries that were believed, without repeats.
    #[must_use]
    pub fn accepted(&self) -> Vec<Delivery> {
        let deliveries = self.deliveries();
        deliveries.into_iter().filter(|one| is_believed(one.verdict) && !one.is_repeat).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(&self, request: &Request) -> Verdict {
        let header = |name| request.header(name).filter(|value| !value.is_empty());
        let (Some(id), Some(stamp), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return Verdict::Incomplete;
        };
        let Ok(seconds) = stamp.parse::<i64>() else {
            return Verdict::Incomplete;
        };
        if (request.at.as_second() - seconds).abs() > self.settings.tolerance_secs {
            return Verdict::Stale;
        }
        if self.settings.public_keys.is_empty() && self.settings.secrets.is_empty() {
            return Verdict::Unchecked;
        }
        let message = [id.as_bytes(), b".", stamp.as_bytes(), b".", &request.body].concat();
        let fits = signatures.split(' ').any(|signature| self.fits(signature, &message));
        if fits { Verdict::Good } else { Verdict::Forged }
    }

    fn fits(&self, signature: &str, message: &[u8]) -> bool {
        let Some((version, value)) = signature.split_once(',') else {
            return false;
        };
        let Ok(value) = BASE64.decode(value) else {
            return false;
        };
        let keys = |list: &[String], prefix: &str| {
            list.iter()
                .filter_map(|key| BASE64.decode(key.trim().strip_prefix(prefix)?).ok())
                .collect::<Vec<_>>()
        };
        match version {
            "v1a" => keys(&self.settings.public_keys, "whpk_")
                .iter()
                .any(|key| UnparsedPublicKey::new(&ED25519, key).verify(message, &value).is_ok()),
            "v1" => keys(&self.settings.secrets, "whsec_").iter().any(|key| {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
                constant_time::verify_slices_are_equal(tag.as_ref(), &value).is_ok()
            }),
            // A version that a receiver does not know is passed over.
            _ => false,
        }
    }
}

/// What a receiver with these settings would say of a delivery that arrived somewhere else.
#[must_use]
pub fn verdict_of(settings: &Settings, delivery: &Delivery) -> Verdict {
    let responder = Responder { settings: settings.clone(), clock: Clock::system(), state: Mutex::default() };
    let Delivery { at, path, headers, body, .. } = delivery.clone();
    responder.verdict(&Request { at, method: "POST".to_owned(), path, query: Vec::new(), headers, body })
}

/// The challenge in a document that is one.
fn challenge(body: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    (document.get("type")? == "capbridge.challenge").then_some(())?;
    Some(document.get("data")?.get("challenge")?.as_str()?.to_owned())
}

fn is_believed(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Good | Verdict::Unchecked => true,
        Verdict::Forged | Verdict::Incomplete | Verdict::Stale => false,
    }
}

impl Site for Responder {
    fn answer(&self, request: &Request) -> Answer {
        if request.method != "POST" {
            return Answer::unexpected(request);
        }
        if let Some(challenge) = challenge(&request.body) {
            let body = Bytes::from(if self.settings.proves_itself { challenge } else { "ok".to_owned() });
            return Answer { status: 200, headers: Vec::new(), body, expected: true };
        }
        let verdict = self.verdict(request);
        let id = request.header("webhook-id").unwrap_or_default().to_owned();
        let mut state = self.state();
        let before = state.bodies.get(&id).filter(|_| !id.is_empty()).cloned();
        if is_believed(verdict) && before.is_none() {
            state.bodies.insert(id.clone(), request.body.clone());
        }
        state.deliveries.push(Delivery {
            at: request.at,
            path: request.path.clone(),
            id,
            timestamp: request.header("webhook-timestamp").unwrap_or_default().to_owned(),
            media_type: request.media_type(),
            body: request.body.clone(),
            verdict,
            is_repeat: before.is_some(),
            is_conflict: before.is_some_and(|body| body != request.body),
            headers: request.headers.clone(),
        });
        if is_believed(verdict) {
            return Answer { status: 204, headers: Vec::new(), body: Bytes::new(), expected: true };
        }
        Answer { expected: false, ..Answer::refusal(401, &format!("not believed: {verdict:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::instant;
    use crate::keys::WebhookKeys;

    const AT: &str = "2026-03-01T17:00:00Z";

    fn request(id: &str, stamp: i64, signature: &str, body: &str) -> Request {
        let mut request = Request::for_test("POST", "/alerts");
        request.at = instant(AT).unwrap();
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", &stamp.to_string()), ("webhook-signature", signature)]
        {
            request.headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        Request { body: Bytes::from(body.to_owned()), ..request }
    }

    #[test]
    fn only_fresh_deliveries_with_a_known_signature_are_believed() {
        let keys = WebhookKeys::new().unwrap();
        let clock = Clock::fixed(instant(AT).unwrap());
        // The example of the Standard Webhooks specification.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let settings =
            Settings { public_keys: vec![keys.public.clone()], secrets: vec![secret], ..Settings::default() };
        let responder = Responder { settings, clock, state: Mutex::default() };
        let now = instant(AT).unwrap().as_second();
        let signed = |id: &str, at: i64, body: &str| keys.sign(id, &at.to_string(), body.as_bytes()).unwrap();
        let cases = [
            (request("m1", now, &signed("m1", now, "x"), "x"), Verdict::Good),
            (request("m1", now, &format!("v1,AAAA v9,x {}", signed("m1", now, "x")), "x"), Verdict::Good),
            (request("m1", now, &signed("m1", now, "y"), "x"), Verdict::Forged),
            (request("m2", now, &signed("m1", now, "x"), "x"), Verdict::Forged),
            (request("m3", now - 301, &signed("m3", now - 301, "x"), "x"), Verdict::Stale),
            (request("m3", now + 301, &signed("m3", now + 301, "x"), "x"), Verdict::Stale),
            (Request::for_test("POST", "/"), Verdict::Incomplete),
        ];
        for (request, wanted) in cases {
            assert_eq!(responder.verdict(&request), wanted);
        }
        let mut example = request(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            r#"{"test": 2432232314}"#,
        );
        example.at = Timestamp::from_second(1_614_265_330).unwrap();
        assert_eq!(responder.verdict(&example), Verdict::Good);
    }

    #[test]
    fn a_repeat_is_told_from_a_conflict() {
        let clock = Clock::fixed(instant(AT).unwrap());
        let responder = Responder { settings: Settings::default(), clock, state: Mutex::default() };
        let now = instant(AT).unwrap().as_second();
        for body in ["x", "x", "y"] {
            assert_eq!(responder.answer(&request("m1", now, "v1,AAAA", body)).status, 204);
        }
        let seen: Vec<_> =
            responder.deliveries().iter().map(|one| (one.is_repeat, one.is_conflict)).collect();
        assert_eq!(seen, [(false, false), (true, false), (true, true)]);
        assert_eq!(responder.accepted().len(), 1);
    }
}

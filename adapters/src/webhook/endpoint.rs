//! One POST a message, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use url::Url;

use super::WebhookSettings;
use super::signature::Signer;
use crate::endpoint::{
    BodyForm, DeliveryError, Endpoint, EndpointContext, Greeting, Message, Profile, Receipt, Refusal, Wants,
};
use crate::http::{HttpError, Reply, Request};
use crate::settings::{Faults, Files};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A receiver of signed messages.
#[derive(Clone)]
pub struct Webhook {
    pub(super) url: Url,
    pub(super) profile: Profile,
    pub(super) signer: Signer,
    pub(super) limit: Duration,
}

impl Webhook {
    /// The public keys that its receiver checks signatures with.
    pub fn public_keys(&self) -> Vec<String> {
        self.signer.public_keys()
    }

    pub(super) fn request(
        &self,
        cx: &EndpointContext,
        (id, content_type, body): (&str, &str, &Bytes),
    ) -> Result<Request, HttpError> {
        let timestamp = cx.clock.now().as_second();
        let signature = self.signer.sign(id, timestamp, body);
        Ok(Request::post(self.url.clone(), body.clone())
            .header(CONTENT_TYPE, content_type)?
            .header(ID, id)?
            .header(TIMESTAMP, &timestamp.to_string())?
            .header(SIGNATURE, &signature)?
            .limit(self.limit))
    }
}

impl Endpoint for Webhook {
    type Settings = WebhookSettings;

    fn validate(settings: WebhookSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    fn wants(&self) -> Wants {
        Wants { profile: self.profile, body: BodyForm::Json, fresh_for: None, sender: None }
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        let parts = (message.id.as_str(), message.content_type.as_str(), &message.body);
        let request = self.request(cx, parts).map_err(failed)?;
        let reply = cx.http.send(request).await.map_err(failed)?;
        judge(cx, &reply)
    }

    async fn greet(&self, cx: &EndpointContext, greeting: &Greeting) -> Result<Receipt, DeliveryError> {
        super::greeting::say(self, cx, greeting).await
    }
}

/// Whatever kept us from an answer is for a later attempt: an address, a certificate or a rule of the configuration
/// can all be put right while the message is still worth something.
pub(super) fn failed(cause: HttpError) -> DeliveryError {
    DeliveryError::Temporary {
        retry_after: None,
        outcome_unknown: cause.maybe_sent(),
        cause: Refusal::Transport { cause },
    }
}

pub(super) fn judge(cx: &EndpointContext, reply: &Reply) -> Result<Receipt, DeliveryError> {
    let status_code = reply.status_code;
    let cause = || Refusal::Status { status_code, said: reply.said() };
    match status_code {
        200..=299 => Ok(Receipt { status_code: Some(status_code), ..Receipt::default() }),
        410 => Err(DeliveryError::Permanent { disable: true, cause: cause() }),
        400 | 413 | 415 | 422 => Err(DeliveryError::Permanent { disable: false, cause: cause() }),
        _ => Err(DeliveryError::Temporary {
            retry_after: reply.retry_after(cx.clock.now()),
            // A gateway that gave up waiting may have handed the message on.
            outcome_unknown: matches!(status_code, 502 | 504),
            cause: cause(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use cap_schema::MsgType;

    use super::*;
    use crate::testing::{Answer, InMemory, Peer, Stopped, client};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn context() -> EndpointContext {
        EndpointContext {
            clock: Arc::new(Stopped("2026-03-01T12:00:00Z".parse().unwrap())),
            http: client(),
            shelf: Arc::new(crate::feed::NoShelf),
        }
    }

    fn message() -> Message {
        Message {
            id: "msg_abc".into(),
            msg_type: MsgType::Alert,
            reference: "a,b,c".into(),
            body: Bytes::from_static(b"{}"),
            content_type: "application/json".into(),
            attempt: 1,
            maybe_delivered: false,
            prior: vec![],
        }
    }

    fn webhook(table: &str) -> Result<Webhook, Vec<String>> {
        let files =
            InMemory::with(&[("hmac", SECRET), ("ed", "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=")]);
        Webhook::validate(toml::from_str(table).unwrap(), &files)
            .map_err(|faults| faults.0.into_iter().map(|f| f.key).collect())
    }

    // the id is constant, the timestamp is that of the attempt, every key signs.
    #[tokio::test]
    async fn a_21_posts_the_body_with_signed_headers() {
        let peer = Peer::in_order(vec![Answer::status(204)]).await;
        let table = format!("url = \"{}\"\nkey_file = \"ed\"\nsecret_file = \"hmac\"", peer.at("hook?a=b"));
        let hook = webhook(&table).unwrap();
        let receipt = hook.deliver(&context(), &message()).await.unwrap();
        assert_eq!(receipt.status_code, Some(204));
        let got = &peer.got()[0];
        assert_eq!(
            (got.method.as_str(), got.target.as_str(), &got.body[..]),
            ("POST", "/hook?a=b", &b"{}"[..])
        );
        assert_eq!(got.header("webhook-id"), "msg_abc");
        assert_eq!(got.header("webhook-timestamp"), "1772366400");
        assert_eq!(got.header("content-type"), "application/json");
        let signatures: Vec<_> = got.header("webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert!(signatures[0].starts_with("v1a,") && signatures[1].starts_with("v1,"));
    }

    // 2xx only is success; 410 disables; what says that the message is bad is final; the rest is retried.
    #[tokio::test]
    async fn a_22_the_status_decides_what_comes_next() {
        #[derive(Debug, PartialEq)]
        enum End {
            Taken,
            Later(Option<u64>),
            Never,
            Disabled,
        }
        let cases = [
            (200, End::Taken),
            (202, End::Taken),
            (301, End::Later(None)),
            (302, End::Later(None)),
            (400, End::Never),
            (401, End::Later(None)),
            (404, End::Later(None)),
            (410, End::Disabled),
            (413, End::Never),
            (415, End::Never),
            (422, End::Never),
            (429, End::Later(Some(7))),
            (500, End::Later(None)),
            (503, End::Later(Some(7))),
        ];
        for (status, expected) in cases {
            let headers = match expected {
                End::Later(Some(_)) => vec![("retry-after", "7".to_owned())],
                _ => vec![("location", "/other".to_owned())],
            };
            let peer = Peer::in_order(vec![Answer::Reply(status, headers, b"why\r\nnot".to_vec())]).await;
            let hook = webhook(&format!("url = \"{}\"\nsecret_file = \"hmac\"", peer.at(""))).unwrap();
            let end = match hook.deliver(&context(), &message()).await {
                Ok(_) => End::Taken,
                Err(DeliveryError::Temporary { retry_after, .. }) => {
                    End::Later(retry_after.map(|d| d.as_secs()))
                }
                Err(DeliveryError::Permanent { disable: true, .. }) => End::Disabled,
                Err(DeliveryError::Permanent { disable: false, cause }) => {
                    assert_eq!(cause.to_string(), format!("status {status}: why not"));
                    End::Never
                }
            };
            assert_eq!(end, expected, "{status}");
            assert_eq!(peer.got().len(), 1, "{status}: no redirect is followed");
        }
    }

    // a lost answer is told from a request that never left.
    #[tokio::test]
    async fn a_14_a_lost_answer_leaves_the_outcome_unknown() {
        let silent = Peer::in_order(vec![Answer::Silence]).await;
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap()
        };
        for (url, expected) in [(silent.at(""), true), (closed, false)] {
            let hook =
                webhook(&format!("url = \"{url}\"\nsecret_file = \"hmac\"\ntimeout_secs = 1")).unwrap();
            match hook.deliver(&context(), &message()).await {
                Err(DeliveryError::Temporary { outcome_unknown, .. }) => {
                    assert_eq!(outcome_unknown, expected)
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn settings_report_every_fault_at_once() {
        let cases: [(&str, &[&str]); 4] = [
            ("url = \"https://h/\"", &["key_file"]),
            (
                "url = \"h\"\nsecret_file = \"gone\"\ntimeout_secs = 0",
                &["url", "secret_file", "timeout_secs"],
            ),
            ("url = \"https://h/\"\nkey_file = \"hmac\"", &["key_file"]),
            (
                "url = \"https://h/\"\nkey_file = \"ed\"\nmore_secret_files = [\"gone\"]",
                &["more_secret_files"],
            ),
        ];
        for (table, keys) in cases {
            assert_eq!(webhook(table).map(|_| ()).unwrap_err(), keys, "{table}");
        }
    }
}

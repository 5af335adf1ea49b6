//! One mail a message, and what the server's answers mean.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::response::Response;

use super::dkim::Signer;
use super::mail::Made;
use super::session::{self, SessionError};
use super::settings::{EmailSettings, Server};
use crate::endpoint::{
    BodyForm, DeliveryError, Endpoint, EndpointContext, Greeting, Message, Profile, Receipt, Refusal, Wants,
};
use crate::http::shown_text;
use crate::settings::{Faults, Files};

const PROTOCOL: &str = "smtp";

/// An address that gets mail.
#[derive(Clone)]
pub struct Email {
    pub(super) server: Server,
    pub(super) from: Mailbox,
    pub(super) to: Mailbox,
    pub(super) profile: Profile,
    pub(super) signer: Option<Signer>,
    pub(super) limit: Duration,
}

impl Email {
    /// What DNS must hold for the DKIM key, if there is one.
    pub fn dkim_record(&self) -> Option<String> {
        self.signer.as_ref().map(Signer::record)
    }
}

impl Endpoint for Email {
    type Settings = EmailSettings;

    fn validate(settings: EmailSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    fn wants(&self) -> Wants {
        Wants { profile: self.profile, body: BodyForm::Json, fresh_for: None, sender: None }
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        let made = super::mail::make(&self.from, &self.to, message)
            .map_err(|error| never(Refusal::Unfit { said: said(&error) }))?;
        self.post(cx, made).await
    }

    async fn greet(&self, cx: &EndpointContext, greeting: &Greeting) -> Result<Receipt, DeliveryError> {
        let made = super::greeting::make(&self.from, &self.to, greeting, cx.clock.now())
            .map_err(|error| never(Refusal::Unfit { said: said(&error) }))?;
        self.post(cx, made).await
    }
}

impl Email {
    /// Signs a mail and hands it over, in the time that an attempt has.
    async fn post(&self, cx: &EndpointContext, made: Made) -> Result<Receipt, DeliveryError> {
        let bytes = match &self.signer {
            Some(signer) => signer.sign(&made.bytes).ok_or_else(|| {
                never(Refusal::Unfit { said: "the mail cannot be signed with the DKIM key".into() })
            })?,
            None => made.bytes,
        };
        let begun = AtomicBool::new(false);
        match tokio::time::timeout(self.limit, self.hand_over(cx, &bytes, &begun)).await {
            Ok(Ok(reply)) => Ok(Receipt {
                status_code: Some(reply.code().into()),
                location: Some(made.message_id),
                remote_id: Some(shown_text(reply.message().collect::<Vec<_>>().join(" ").as_bytes(), 200)),
                ..Receipt::default()
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let said = format!("no answer in {} s", self.limit.as_secs());
                Err(later(begun.load(Ordering::Acquire), Refusal::Protocol { protocol: PROTOCOL, said }))
            }
        }
    }

    /// `begun` is set when the mail itself is on its way: from then on a lost answer leaves open whether it arrived.
    async fn hand_over(
        &self,
        cx: &EndpointContext,
        bytes: &[u8],
        begun: &AtomicBool,
    ) -> Result<Response, DeliveryError> {
        let mut session = session::open(&cx.http, &self.server).await.map_err(|error| match error {
            SessionError::Connect { cause } => later(false, Refusal::Transport { cause }),
            other => later(false, Refusal::Protocol { protocol: PROTOCOL, said: said(&other) }),
        })?;
        if let Some(credentials) = &self.server.credentials {
            // An account can be put right while the alert still counts, so no refusal here is final.
            session
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await
                .map_err(|error| later(false, refusal("AUTH", &error)))?;
        }
        let reply = self.transfer(&mut session, bytes, begun).await;
        // The answer is known; how the server takes the goodbye changes nothing.
        let _ = session.quit().await;
        reply
    }

    async fn transfer(
        &self,
        session: &mut AsyncSmtpConnection,
        bytes: &[u8],
        begun: &AtomicBool,
    ) -> Result<Response, DeliveryError> {
        let from = Mail::new(Some(self.from.email.clone()), vec![]);
        session.command(from).await.map_err(|error| judged("MAIL", &error, false))?;
        let to = Rcpt::new(self.to.email.clone(), vec![]);
        session.command(to).await.map_err(|error| judged("RCPT", &error, false))?;
        session.command(Data).await.map_err(|error| judged("DATA", &error, false))?;
        begun.store(true, Ordering::Release);
        session.message(bytes).await.map_err(|error| judged("the mail", &error, true))
    }
}

/// RFC 5321 section 4.2.1: 5yz is final for this mail, 4yz is not. Without an answer the mail may have been taken once it
/// was on its way.
fn judged(step: &str, error: &lettre::transport::smtp::Error, sent: bool) -> DeliveryError {
    let cause = refusal(step, error);
    if error.is_permanent() {
        return never(cause);
    }
    later(sent && !error.is_transient(), cause)
}

fn refusal(step: &str, error: &lettre::transport::smtp::Error) -> Refusal {
    let said = format!("{step}: {}", shown_text(error.to_string().as_bytes(), 300));
    if error.is_response() {
        return Refusal::UnreadableReply { protocol: PROTOCOL, said };
    }
    Refusal::Protocol { protocol: PROTOCOL, said }
}

fn later(outcome_unknown: bool, cause: Refusal) -> DeliveryError {
    DeliveryError::Temporary { retry_after: None, outcome_unknown, cause }
}

fn never(cause: Refusal) -> DeliveryError {
    DeliveryError::Permanent { disable: false, cause }
}

/// An error and its causes on one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    shown_text(text.as_bytes(), 300)
}

#[cfg(test)]
mod tests;

//! Writes CAP to a hub: a new alert is posted, what follows it replaces it.

mod lookup;
mod succession;

use std::time::Duration;

use bytes::Bytes;
use cap_schema::MsgType;

use super::client::Hub;
use super::settings::{HubKind, MasasEndpointSettings};
use crate::atom::Entry;
use crate::class::Class;
use crate::endpoint::{
    BodyForm, DeliveryError, Endpoint, EndpointContext, Message, Profile, Receipt, Refusal, Wants,
};
use crate::http::{HttpError, Reply};
use crate::settings::{Faults, Files};
use crate::tree::Element;

const PROTOCOL: &str = "masas";
const FEED_BYTES: usize = 32 << 20;
const CAP_BYTES: usize = 6 << 20;
const ARRIVED: &str = "an earlier attempt had arrived";

/// A hub as an endpoint.
#[derive(Clone, Debug)]
pub struct MasasEndpoint {
    pub(super) hub: Hub,
    pub(super) kind: Option<HubKind>,
    pub(super) own_account: Option<String>,
    pub(super) sender: Option<String>,
    /// The time for everything that one attempt does.
    pub(super) attempt: Duration,
}

impl MasasEndpoint {
    /// The highest class that the hub may carry, if it is known.
    pub fn highest(&self) -> Option<Class> {
        self.kind.map(HubKind::highest)
    }
}

impl Endpoint for MasasEndpoint {
    type Settings = MasasEndpointSettings;

    fn validate(settings: MasasEndpointSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    fn wants(&self) -> Wants {
        Wants { profile: Profile::CapCp, body: BodyForm::Cap, fresh_for: None, sender: self.sender.clone() }
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        self.check_status(&message.body)?;
        match tokio::time::timeout(self.attempt, self.send(cx, message)).await {
            Ok(result) => result,
            // Whatever was under way: a look-up that did not end tells nothing, and a post may have arrived.
            Err(_) => {
                let limit_ms = u64::try_from(self.attempt.as_millis()).unwrap_or(u64::MAX);
                Err(transport(HttpError::Timeout { limit_ms, sent: true }, true))
            }
        }
    }
}

impl MasasEndpoint {
    async fn send(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        match message.msg_type {
            MsgType::Alert => self.post(cx, message, None).await,
            MsgType::Update => self.update(cx, message).await,
            MsgType::Cancel => self.cancel(cx, message).await,
            MsgType::Ack | MsgType::Error => {
                Err(unfit("a hub takes Alert, Update and Cancel only".to_owned()))
            }
        }
    }

    /// A real alert belongs at no hub but one for operations, whatever routing says.
    fn check_status(&self, cap: &Bytes) -> Result<(), DeliveryError> {
        let Ok(alert) = Element::read(cap) else { return Err(unfit("the message is not XML".to_owned())) };
        let ns = alert.ns.clone();
        let status = alert.value(&ns, "status").unwrap_or_default();
        match (status.as_str(), self.kind) {
            ("Draft", _) => Err(unfit("a draft never leaves".to_owned())),
            ("Actual", Some(HubKind::Exercise | HubKind::Training | HubKind::Sandbox)) => {
                Err(unfit("an actual alert does not belong at a hub that is not for operations".to_owned()))
            }
            (
                _,
                Some(HubKind::Operations | HubKind::Exercise | HubKind::Training | HubKind::Sandbox) | None,
            ) => Ok(()),
        }
    }

    async fn post(
        &self,
        cx: &EndpointContext,
        message: &Message,
        note: Option<&str>,
    ) -> Result<Receipt, DeliveryError> {
        let mut notes: Vec<String> = note.map(str::to_owned).into_iter().collect();
        if message.maybe_delivered {
            // What was not found out ends the attempt: posting again now could put the alert on the map twice.
            let found = self.find(&cx.http, &[&message.reference]).await?;
            if let Some(found) = found.first() {
                notes.push(ARRIVED.to_owned());
                return Ok(Receipt { notes, ..self.receipt(found, None) });
            }
        }
        let reply = self.hub.post_cap(&cx.http, message.body.clone()).await.map_err(|c| {
            let unknown = c.maybe_sent();
            transport(c, unknown)
        })?;
        self.judge(cx, &reply)?;
        let Ok(entry) = Entry::read(&reply.body) else {
            // Some hubs put an error page behind a status of success.
            let said = reply.said();
            let cause = Refusal::UnreadableReply { protocol: PROTOCOL, said };
            return Err(DeliveryError::Temporary { retry_after: None, outcome_unknown: true, cause });
        };
        let mut receipt = self.receipt(&entry, Some(reply.status_code));
        if receipt.location.is_none() {
            notes.push("the hub gave no edit-media link: later messages will be new entries".to_owned());
        }
        receipt.notes = notes;
        Ok(receipt)
    }

    /// What a status says. Credentials and addresses can be put right while the alert is still worth something; a
    /// hub that calls the document bad will call it bad again.
    fn judge(&self, cx: &EndpointContext, reply: &Reply) -> Result<(), DeliveryError> {
        let status_code = reply.status_code;
        let cause = || Refusal::Status { status_code, said: reply.said() };
        match status_code {
            200..=299 => Ok(()),
            400 | 413 | 415 | 422 => Err(DeliveryError::Permanent { disable: false, cause: cause() }),
            _ => Err(DeliveryError::Temporary {
                retry_after: reply.retry_after(cx.clock.now()),
                outcome_unknown: matches!(status_code, 502 | 504),
                cause: cause(),
            }),
        }
    }

    fn receipt(&self, entry: &Entry, status_code: Option<u16>) -> Receipt {
        let location = entry.linked("edit-media").find_map(|l| self.hub.own(&l.href)).map(String::from);
        Receipt { status_code, location, remote_id: entry.id.clone(), ..Receipt::default() }
    }
}

/// `sender,identifier,sent` of a CAP document.
fn reference(cap: &[u8]) -> Option<String> {
    let alert = Element::read(cap).ok()?;
    let value = |name: &str| alert.value(&alert.ns, name);
    Some(format!("{},{},{}", value("sender")?, value("identifier")?, value("sent")?))
}

fn unfit(said: String) -> DeliveryError {
    DeliveryError::Permanent { disable: false, cause: Refusal::Unfit { said } }
}

fn transport(cause: HttpError, outcome_unknown: bool) -> DeliveryError {
    DeliveryError::Temporary { retry_after: None, outcome_unknown, cause: Refusal::Transport { cause } }
}

#[cfg(test)]
mod tests;

//! Posts alerts to IPAWS-OPEN.
//!
//! Owns the steps of a post: sign the alert, put its bytes into the Body, sign the Body, read the groups of the reply.
//! A message keeps its identifier over retries, so a repeat is found out by IPAWS (201); `sent` is stamped again by the
//! relay when it is older than `fresh_for`.

use std::time::Duration;

use cap_schema::signature;
use jiff::Timestamp;

use super::client::{CallError, Cog};
use super::reply::{self, Group, Outcome, Rejection, Reply};
use super::settings::IpawsEndpointSettings;
use super::soap::{self, Operation};
use crate::endpoint::{
    BodyForm, DeliveryError, Endpoint, EndpointContext, Message, Profile, Receipt, Refusal, Wants,
};
use crate::http;
use crate::settings::{Faults, Files};
use crate::tree::Element;

const PROTOCOL: &str = "ipaws-open";

/// What is told with a 307 after a lost answer. INFERRED that IPAWS tells a duplicate (201, CAPEXCH) before what is
/// wrong with references (307, IPAWS): then the earlier attempt did not arrive. Were it the other way round, its own
/// arrival would explain the 307, so neither end may be claimed, and a person must look.
const MAY_BE_THERE: &str = "; the answer to an earlier attempt was lost: if that one arrived, IPAWS has the message and \
    refuses the repeat for it, so look whether it is there before anything is done about it";

/// A COG as an endpoint.
#[derive(Clone, Debug)]
pub struct IpawsEndpoint {
    pub(super) cog: Cog,
    pub(super) sender: Option<String>,
    pub(super) fresh_for: Duration,
}

impl IpawsEndpoint {
    /// The account, for a ping.
    pub fn cog(&self) -> &Cog {
        &self.cog
    }
}

impl Endpoint for IpawsEndpoint {
    type Settings = IpawsEndpointSettings;

    fn validate(settings: IpawsEndpointSettings, files: &dyn Files) -> Result<Self, Faults> {
        settings.validate(files)
    }

    fn wants(&self) -> Wants {
        Wants {
            profile: Profile::Ipaws,
            body: BodyForm::Cap,
            fresh_for: Some(self.fresh_for),
            sender: self.sender.clone(),
        }
    }

    fn credential_expires_at(&self) -> Option<Timestamp> {
        Some(self.cog.credentials.not_after)
    }

    async fn deliver(&self, cx: &EndpointContext, message: &Message) -> Result<Receipt, DeliveryError> {
        self.check_certificate(cx.clock.now())?;
        let alert = std::str::from_utf8(&message.body).map_err(|_| unfit("the message is not UTF-8"))?;
        let tree =
            Element::read(&message.body).map_err(|e| unfit(&format!("the message is not XML: {e}")))?;
        let wanted = reply::wanted_channels(&tree);
        let signed = signature::sign(alert, &self.cog.credentials.key);
        let signed = signed.map_err(|e| unfit(&format!("the alert cannot be signed: {e}")))?;
        let answer =
            self.cog.call(&cx.http, Operation::PostCap, &soap::post_cap(&signed)).await.map_err(failed)?;
        self.judge(cx, message, &answer, &wanted)
    }
}

impl IpawsEndpoint {
    /// IPAWS refuses an expired certificate with a fault; we do not need to ask. An operator can put it right while the
    /// alert still counts, so this is temporary.
    fn check_certificate(&self, now: Timestamp) -> Result<(), DeliveryError> {
        let (from, until) = (self.cog.credentials.not_before, self.cog.credentials.not_after);
        if from <= now && now < until {
            return Ok(());
        }
        let said = format!("the certificate of COG {} holds from {from} until {until}", self.cog.cog_id);
        Err(DeliveryError::Temporary {
            retry_after: None,
            outcome_unknown: false,
            cause: Refusal::Unfit { said },
        })
    }

    fn judge(
        &self,
        cx: &EndpointContext,
        message: &Message,
        answer: &http::Reply,
        wanted: &[&str],
    ) -> Result<Receipt, DeliveryError> {
        let later = |outcome_unknown, cause| {
            let retry_after = answer.retry_after(cx.clock.now());
            Err(DeliveryError::Temporary { retry_after, outcome_unknown, cause })
        };
        let unreadable = |said: String| Refusal::UnreadableReply { protocol: PROTOCOL, said };
        // A SOAP service answers with 200 or 500; anything else comes from something in front of it.
        if !matches!(answer.status_code, 200 | 500) {
            let cause = Refusal::Status { status_code: answer.status_code, said: answer.said() };
            return later(matches!(answer.status_code, 502 | 504), cause);
        }
        let groups = match reply::read(&answer.body) {
            Ok(Reply::Groups(groups)) => groups,
            Ok(Reply::Fault(fault)) => {
                let said = format!("fault {}: {}", fault.code, fault.text);
                let cause = Refusal::Protocol { protocol: PROTOCOL, said };
                // The sender's fault stays one. The other kind may come after the alert was taken.
                return match fault.code.as_str() {
                    "Client" | "Sender" => Err(DeliveryError::Permanent { disable: false, cause }),
                    _ => later(true, cause),
                };
            }
            Ok(Reply::Other(said)) => return later(true, unreadable(said)),
            Err(error) => return later(true, unreadable(format!("{error}: {}", answer.said()))),
        };
        let receipt = |partial, notes| Receipt {
            status_code: Some(answer.status_code),
            remote_id: Some(message.reference.clone()),
            partial,
            notes,
            ..Receipt::default()
        };
        match reply::judge(&groups, wanted) {
            Outcome::Accepted => Ok(receipt(false, reply::notes(&groups))),
            Outcome::Partial(missing) => {
                Ok(receipt(true, missing.into_iter().chain(reply::notes(&groups)).collect()))
            }
            Outcome::Unknown => later(true, unreadable(said(&groups))),
            Outcome::Rejected(Rejection::Duplicate) if message.maybe_delivered => {
                let mut notes = vec!["an earlier attempt had arrived (201)".to_owned()];
                if !wanted.is_empty() {
                    notes.push(format!("which channels took it is not known: {}", wanted.join(", ")));
                }
                // Which of several earlier stampings arrived is not known.
                Ok(Receipt { remote_id: None, earlier_stamp: true, ..receipt(!wanted.is_empty(), notes) })
            }
            Outcome::Rejected(Rejection::Stale) => {
                // Not before it is stamped again.
                let retry_after = Some(self.fresh_for);
                let cause = Refusal::Protocol { protocol: PROTOCOL, said: said(&groups) };
                Err(DeliveryError::Temporary { retry_after, outcome_unknown: message.maybe_delivered, cause })
            }
            Outcome::Rejected(Rejection::Reference) => {
                let mut said = said(&groups);
                if message.maybe_delivered {
                    said.push_str(MAY_BE_THERE);
                }
                let cause = Refusal::UnknownReference { protocol: PROTOCOL, said };
                Err(DeliveryError::Permanent { disable: false, cause })
            }
            Outcome::Rejected(Rejection::Expired) => {
                let cause = Refusal::ExpiredReference { protocol: PROTOCOL, said: said(&groups) };
                Err(DeliveryError::Permanent { disable: false, cause })
            }
            Outcome::Rejected(Rejection::Duplicate | Rejection::Message) => {
                let cause = Refusal::Protocol { protocol: PROTOCOL, said: said(&groups) };
                Err(DeliveryError::Permanent { disable: false, cause })
            }
        }
    }
}

fn said(groups: &[Group]) -> String {
    let all = groups.iter().map(Group::to_string).collect::<Vec<_>>().join("; ");
    http::shown_text(all.as_bytes(), 600)
}

fn unfit(said: &str) -> DeliveryError {
    DeliveryError::Permanent { disable: false, cause: Refusal::Unfit { said: said.to_owned() } }
}

fn failed(error: CallError) -> DeliveryError {
    match error {
        CallError::Signing { cause } => unfit(&format!("it could not be signed: {cause}")),
        CallError::Http { cause } => DeliveryError::Temporary {
            retry_after: None,
            outcome_unknown: cause.maybe_sent(),
            cause: Refusal::Transport { cause },
        },
    }
}

#[cfg(test)]
mod tests;

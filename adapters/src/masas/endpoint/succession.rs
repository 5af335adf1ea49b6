//! What an Update or Cancel does to the entries of what it takes the place of.
//!
//! Owns the rule that none of them stays as it was. A Cancel is put into each. An Update is put into the newest, and the
//! others are made to expire, as the clients of hubs end an entry. After a lost answer, and where only a part was done,
//! an entry is looked at before anything is done to it again: a hub refuses a second Cancel.

use std::error::Error;

use url::Url;

use super::lookup::Kept;
use super::{ARRIVED, MasasEndpoint, transport, unfit};
use crate::atom::{Entry, expiring};
use crate::endpoint::{DeliveryError, EndpointContext, Message, Receipt, Refusal};
use crate::http::Reply;

/// In so many attempts the rest is tried again once the message itself is at the hub. Then a person must look: the
/// messages that follow in the chain wait meanwhile, and each of them tries the rest again.
const ATTEMPTS_FOR_THE_REST: u32 = 4;

/// What became of one entry.
enum Became {
    /// It shows the message.
    Shown(Receipt),
    /// What it holds is over, and how that is known.
    Over(&'static str),
    /// It is no longer at the hub.
    Gone,
    /// The hub will not do it.
    Refused(Refusal),
    /// It stays as it was for now.
    Later(DeliveryError),
}

impl MasasEndpoint {
    /// Cancels every entry that holds what the message cancels.
    pub(super) async fn cancel(
        &self,
        cx: &EndpointContext,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let mut tally = Tally::default();
        let known = self.places(message, &mut tally);
        for (n, place) in known.iter().enumerate() {
            let became = self.cancel_at(cx, message, place, n > 0).await;
            tally.count(place, became, |tally| &mut tally.later);
        }
        match self.strays(cx, message, &known).await {
            Ok(strays) => {
                for place in strays {
                    let became = self.cancel_at(cx, message, &place, true).await;
                    tally.count(&place, became, |tally| &mut tally.later);
                }
            }
            Err(error) => tally.rest = Some(error),
        }
        tally.ends(message)
    }

    /// Puts the message into the newest entry of what it takes the place of, and ends the others.
    pub(super) async fn update(
        &self,
        cx: &EndpointContext,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let mut tally = Tally::default();
        let known = self.places(message, &mut tally);
        if let (true, Some(cause)) = (known.is_empty(), tally.refused.take()) {
            return Err(DeliveryError::Permanent { disable: false, cause });
        }
        // Where no entry is known, the one whose answer was lost is the newest.
        let places = if known.is_empty() { self.strays(cx, message, &known).await? } else { known.clone() };
        let mut rest = places.iter();
        let mut taken = None;
        for place in rest.by_ref() {
            match self.update_at(cx, message, place).await {
                Became::Shown(receipt) => {
                    taken = Some(receipt);
                    break;
                }
                Became::Gone | Became::Over(_) => {}
                Became::Refused(cause) => return Err(DeliveryError::Permanent { disable: false, cause }),
                Became::Later(error) => return Err(error),
            }
        }
        let receipt = match taken {
            Some(receipt) => receipt,
            None => self.post(cx, message, Some(posted_anew(places.is_empty()))).await?,
        };
        tally.shown(receipt);
        for place in rest {
            let became = self.end_at(cx, message, place).await;
            tally.count(place, became, |tally| &mut tally.rest);
        }
        if !known.is_empty() {
            match self.strays(cx, message, &known).await {
                Ok(strays) => {
                    for place in strays {
                        let became = self.end_at(cx, message, &place).await;
                        tally.count(&place, became, |tally| &mut tally.rest);
                    }
                }
                Err(error) => tally.rest = Some(error),
            }
        }
        tally.ends(message)
    }

    /// Where the hub keeps what the message takes the place of, newest first.
    fn places(&self, message: &Message, tally: &mut Tally) -> Vec<Url> {
        let mut places = Vec::new();
        for location in message.prior.iter().rev().filter_map(|p| p.location.as_deref()) {
            match self.hub.own(location) {
                Some(url) if places.contains(&url) => {}
                Some(url) => places.push(url),
                None => {
                    let said = "an earlier message is kept at another host than the hub".to_owned();
                    tally.refused = Some(Refusal::Unfit { said });
                }
            }
        }
        places
    }

    /// Entries of earlier messages whose answer was lost: they may be at the hub.
    async fn strays(
        &self,
        cx: &EndpointContext,
        message: &Message,
        known: &[Url],
    ) -> Result<Vec<Url>, DeliveryError> {
        let lost = message.prior.iter().filter(|p| p.location.is_none());
        let mut references: Vec<&str> = lost.map(|p| p.reference.as_str()).collect();
        if references.is_empty() {
            return Ok(Vec::new());
        }
        if message.maybe_delivered {
            references.push(&message.reference);
        }
        let found = self.find(&cx.http, &references).await.map_err(|e| looking(e, message))?;
        let mut places: Vec<Url> = Vec::new();
        for entry in &found {
            let url = self.receipt(entry, None).location.and_then(|l| self.hub.own(&l));
            places.extend(url.filter(|url| !known.contains(url) && !places.contains(url)));
        }
        Ok(places)
    }

    async fn cancel_at(
        &self,
        cx: &EndpointContext,
        message: &Message,
        place: &Url,
        is_one_of_several: bool,
    ) -> Became {
        if is_one_of_several || message.maybe_delivered {
            match self.kept(cx, message, place).await {
                Ok(Some(kept)) if kept.is_message => return self.arrived(&kept.entry, place),
                Ok(Some(kept)) if kept.is_over && is_one_of_several => {
                    return Became::Over("it was over already");
                }
                Ok(Some(_)) => {}
                Ok(None) => return Became::Gone,
                Err(error) => return Became::Later(error),
            }
        }
        let cause = match self.put(cx, message, place).await {
            Became::Refused(cause) => cause,
            became @ (Became::Shown(_) | Became::Over(_) | Became::Gone | Became::Later(_)) => return became,
        };
        // What is over already is refused, and is as it should be.
        match self.kept(cx, message, place).await {
            Ok(Some(kept)) if kept.is_message => self.arrived(&kept.entry, place),
            Ok(Some(kept)) if kept.is_over => Became::Over("the Cancel was refused, and it is over already"),
            Ok(Some(_)) => Became::Refused(cause),
            Ok(None) => Became::Gone,
            Err(error) => Became::Later(error),
        }
    }

    async fn update_at(&self, cx: &EndpointContext, message: &Message, place: &Url) -> Became {
        if message.maybe_delivered {
            match self.kept(cx, message, place).await {
                Ok(Some(kept)) if kept.is_message => return self.arrived(&kept.entry, place),
                Ok(Some(_)) => {}
                Ok(None) => return Became::Gone,
                Err(error) => return Became::Later(error),
            }
        }
        self.put(cx, message, place).await
    }

    /// Makes an entry expire that an Update of another entry took the place of.
    async fn end_at(&self, cx: &EndpointContext, message: &Message, place: &Url) -> Became {
        let kept = match self.kept(cx, message, place).await {
            Ok(Some(kept)) if kept.is_over => return Became::Over("it was over already"),
            Ok(Some(kept)) => kept,
            Ok(None) => return Became::Gone,
            Err(error) => return Became::Later(error),
        };
        let (Some(url), Some(entry)) = (entry_of(place), expiring(&kept.document, cx.clock.now())) else {
            return Became::Refused(Refusal::Unfit { said: "the entry cannot be made to expire".to_owned() });
        };
        match self.hub.put_entry(&cx.http, url, entry.into()).await {
            Err(cause) => Became::Later(transport(cause, false)),
            Ok(reply) => self.done(cx, &reply).unwrap_or(Became::Over("made to expire")),
        }
    }

    async fn put(&self, cx: &EndpointContext, message: &Message, place: &Url) -> Became {
        let reply = match self.hub.put_cap(&cx.http, place.clone(), message.body.clone()).await {
            Ok(reply) => reply,
            Err(cause) => {
                let unknown = cause.maybe_sent();
                return Became::Later(transport(cause, unknown));
            }
        };
        if let Some(otherwise) = self.done(cx, &reply) {
            return otherwise;
        }
        let entry = Entry::read(&reply.body).unwrap_or_default();
        Became::Shown(self.at(place, &entry, Some(reply.status_code)))
    }

    /// `None` where the hub did it.
    fn done(&self, cx: &EndpointContext, reply: &Reply) -> Option<Became> {
        if matches!(reply.status_code, 404 | 410) {
            return Some(Became::Gone);
        }
        match self.judge(cx, reply) {
            Ok(()) => None,
            Err(DeliveryError::Permanent { cause, .. }) => Some(Became::Refused(cause)),
            Err(error @ DeliveryError::Temporary { .. }) => Some(Became::Later(error)),
        }
    }

    /// What an entry shows now; `None`: it is no longer at the hub.
    async fn kept(
        &self,
        cx: &EndpointContext,
        message: &Message,
        place: &Url,
    ) -> Result<Option<Kept>, DeliveryError> {
        match entry_of(place) {
            Some(url) => self.look(cx, url, message).await.map_err(|e| looking(e, message)),
            // Where the entry itself is kept is not known: what it shows is not either.
            None => Ok(Some(Kept::default())),
        }
    }

    fn arrived(&self, entry: &Entry, place: &Url) -> Became {
        Became::Shown(Receipt { notes: vec![ARRIVED.to_owned()], ..self.at(place, entry, None) })
    }

    fn at(&self, place: &Url, entry: &Entry, status_code: Option<u16>) -> Receipt {
        let mut receipt = self.receipt(entry, status_code);
        receipt.location.get_or_insert_with(|| place.to_string());
        receipt
    }
}

/// The entries so far.
#[derive(Default)]
struct Tally {
    receipt: Option<Receipt>,
    notes: Vec<String>,
    /// Entries that are as they should be, and entries in all that are at the hub.
    done: u32,
    of: u32,
    refused: Option<Refusal>,
    /// What must be tried again until it is done.
    later: Option<DeliveryError>,
    /// What is tried again a few times.
    rest: Option<DeliveryError>,
}

impl Tally {
    fn shown(&mut self, receipt: Receipt) {
        (self.done, self.of) = (self.done + 1, self.of + 1);
        match &mut self.receipt {
            Some(first) => {
                let place = receipt.location.unwrap_or_default();
                first.notes.push(format!("{place}: it shows the message too"));
            }
            none @ None => *none = Some(receipt),
        }
    }

    fn count(
        &mut self,
        place: &Url,
        became: Became,
        waits: impl FnOnce(&mut Tally) -> &mut Option<DeliveryError>,
    ) {
        match became {
            Became::Shown(receipt) => self.shown(receipt),
            Became::Over(how) => {
                (self.done, self.of) = (self.done + 1, self.of + 1);
                self.notes.push(format!("{place}: {how}"));
            }
            Became::Gone => self.notes.push(format!("{place}: no longer at the hub")),
            Became::Refused(cause) => {
                self.of += 1;
                self.notes.push(format!("{place}: {}", told(&cause)));
                self.refused = Some(cause);
            }
            Became::Later(error) => {
                self.of += 1;
                *waits(self) = Some(error);
            }
        }
    }

    fn ends(self, message: &Message) -> Result<Receipt, DeliveryError> {
        let Tally { receipt, mut notes, done, of, refused, later, rest } = self;
        let give_up_rest = receipt.is_some() && message.attempt >= ATTEMPTS_FOR_THE_REST;
        let mut partial = false;
        match (later, rest) {
            (None, Some(rest)) if give_up_rest => {
                notes.push(format!("given up: {}", told(&rest)));
                partial = true;
            }
            (None, None) => {}
            (Some(error), _) | (None, Some(error)) => {
                return Err(unfinished(error, (done, of), done > 0 || message.maybe_delivered));
            }
        }
        match (refused, receipt) {
            (Some(cause), None) if done == 0 => Err(DeliveryError::Permanent { disable: false, cause }),
            (refused, Some(mut receipt)) => {
                receipt.partial = partial || refused.is_some();
                receipt.notes.append(&mut notes);
                Ok(receipt)
            }
            (refused, None) if done > 0 => {
                Ok(Receipt { partial: refused.is_some(), notes, ..Receipt::default() })
            }
            (_, None) if notes.is_empty() => {
                Err(unfit("the hub holds no message from us that it cancels".to_owned()))
            }
            (_, None) => Err(unfit("the entry is no longer at the hub: nothing to cancel".to_owned())),
        }
    }
}

fn unfinished(error: DeliveryError, (done, of): (u32, u32), maybe_done: bool) -> DeliveryError {
    match error {
        DeliveryError::Temporary { retry_after, outcome_unknown, cause } => DeliveryError::Temporary {
            retry_after,
            outcome_unknown: outcome_unknown || maybe_done,
            cause: if done == 0 { cause } else { Refusal::Unfinished { done, of, cause: Box::new(cause) } },
        },
        permanent @ DeliveryError::Permanent { .. } => permanent,
    }
}

/// A look-up changes nothing: that it failed does not make an attempt one that may have arrived.
fn looking(error: DeliveryError, message: &Message) -> DeliveryError {
    match error {
        DeliveryError::Temporary { retry_after, cause, .. } => {
            DeliveryError::Temporary { retry_after, outcome_unknown: message.maybe_delivered, cause }
        }
        permanent @ DeliveryError::Permanent { .. } => permanent,
    }
}

fn posted_anew(is_unknown: bool) -> &'static str {
    if is_unknown {
        "posted as a new entry: the hub holds no earlier message of the chain from us"
    } else {
        "posted as a new entry: the earlier one is no longer at the hub"
    }
}

/// The entry that an `edit-media` address belongs to: all hubs write `<entry>/content`.
fn entry_of(place: &Url) -> Option<Url> {
    let path = place.path().strip_suffix("/content")?.to_owned();
    let mut url = place.clone();
    url.set_path(&path);
    Some(url)
}

fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

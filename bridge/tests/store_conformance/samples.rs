//! Alerts, deliveries and times that the checks use.

use std::sync::Arc;

use bytes::Bytes;
use cap_schema::MsgType;
use capbridge::envelope::{
    AlertKey, ChainKey, ChainName, Envelope, Lane, Quarantined, Reference, Release, StoredAlert, World,
};
use capbridge::store::{
    Arrival, AttemptEnd, DeliveryId, Event, Finish, Held, NewDelivery, Page, Part, Rendering, Store,
    StoreError,
};
use capbridge_adapters::class::{Class, Classified};
use capbridge_adapters::endpoint::Receipt;
use capbridge_adapters::passage::{Audience, EndpointName, Origin, Provenance, SystemName};
use capbridge_adapters::source::Form;
use jiff::{SignedDuration, Timestamp};

/// Seconds after the beginning of the story.
pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap() + SignedDuration::from_secs(secs)
}

/// The first page.
pub const ALL: Page = Page { limit: 1_000, skip: 0 };

/// A key in the form of real ones: 64 hex digits.
pub fn key(name: &str) -> AlertKey {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    AlertKey(format!("{hash:016x}").repeat(4))
}

/// The chain that begins with the alert of this name.
pub fn chain(name: &str) -> ChainKey {
    ChainKey(key(name).0)
}

/// What references call the alert of this name.
pub fn chain_name(name: &str) -> ChainName {
    ChainName(key(&format!("name of {name}")).0)
}

/// A reference by name.
pub fn reference(name: &str) -> Reference {
    Reference {
        sender: "desk@agency.example".into(),
        identifier: name.into(),
        sent: "2025-06-15T15:06:40-00:00".into(),
    }
}

/// An alert: its key, identifier and bytes come from its name.
pub fn alert(name: &str) -> StoredAlert {
    StoredAlert {
        envelope: Envelope {
            v: 1,
            key: key(name),
            chain: chain(name),
            reference: reference(name),
            msg_type: MsgType::Alert,
            refers_to: Vec::new(),
            world: World::live(),
            name: chain_name(name),
            follows: Vec::new(),
            hold_until: None,
            provenance: Provenance {
                origin: Origin("hub".into()),
                system: SystemName("masas".into()),
                audience: Audience::Public,
                addresses: Vec::new(),
                also: Vec::new(),
            },
            form: Form::Cap,
            remote_id: None,
            received_at: at(0),
            accepted_at: at(0),
            sent_at: at(0),
            expires_at: Some(at(3_600)),
            class: Classified::new(Class::Live, None),
            lane: Lane::Routine,
            digest: format!("digest of {name}"),
            content_digest: format!("content of {name}"),
            twin: None,
            signature: "none".into(),
            findings: Vec::new(),
            headline: Some(format!("Headline of {name}")),
        },
        raw: Bytes::from(format!("<alert>{name} \u{e9}\0</alert>")),
        derived: None,
    }
}

/// An alert on its way into the store, without a word for the record.
pub fn arrival(alert: StoredAlert) -> Arrival {
    Arrival { alert, if_new: Vec::new(), if_linked: Vec::new() }
}

/// An Update of earlier messages, by their names.
pub fn update(name: &str, of: &[&str]) -> StoredAlert {
    let mut update = alert(name);
    update.envelope.msg_type = MsgType::Update;
    update.envelope.refers_to = of.iter().map(|n| reference(n)).collect();
    update.envelope.follows = of.iter().map(|n| chain_name(n)).collect();
    update
}

/// The same message, sent this many seconds after the beginning.
pub fn sent(secs: i64, mut alert: StoredAlert) -> StoredAlert {
    alert.envelope.sent_at = at(secs);
    alert
}

/// The same message, held until then.
pub fn held(until: i64, mut alert: StoredAlert) -> StoredAlert {
    alert.envelope.hold_until = Some(at(until));
    alert
}

/// The same message through another source.
pub fn through(origin: &str, mut alert: StoredAlert) -> StoredAlert {
    alert.envelope.provenance.origin = Origin(origin.into());
    alert.envelope.provenance.system = SystemName(format!("system of {origin}"));
    alert
}

/// An alert of the urgent lane.
pub fn urgent(mut alert: StoredAlert) -> StoredAlert {
    alert.envelope.lane = Lane::Urgent;
    alert
}

/// An endpoint by name.
pub fn endpoint(name: &str) -> EndpointName {
    EndpointName(name.into())
}

/// The id of the delivery of an alert to an endpoint.
pub fn id(alert: &str, endpoint: &str) -> DeliveryId {
    DeliveryId(format!("msg_{alert}_{endpoint}"))
}

/// A delivery that is due at once.
pub fn delivery(alert: &str, to: &str) -> NewDelivery {
    NewDelivery {
        id: id(alert, to),
        endpoint: endpoint(to),
        rule: format!("rule of {alert}"),
        due_at: at(10),
        give_up_at: at(7_200),
    }
}

/// What is sent for an alert: a reference of its own, and the body.
pub fn rendering(name: &str) -> Rendering {
    Rendering {
        v: 1,
        reference: Reference { sender: "bridge@example.org".into(), ..reference(name) },
        earlier: Vec::new(),
        part: Part::Whole,
        msg_type: MsgType::Alert,
        translated: true,
        body: Bytes::from(format!("<alert>rendered {name}</alert>")),
        content_type: "application/cap+xml".into(),
        rendered_at: at(11),
        report: serde_json::json!({ "losses": [name] }),
    }
}

/// What an endpoint answers.
pub fn receipt(location: &str) -> Receipt {
    Receipt {
        status_code: Some(201),
        location: Some(location.into()),
        delivered_at: Some(at(12)),
        ..Receipt::default()
    }
}

/// A document in quarantine.
pub fn quarantined(name: &str) -> Quarantined {
    Quarantined {
        v: 1,
        id: format!("q_{name}"),
        origin: Origin("hub".into()),
        form: Form::Cap,
        remote_id: Some(name.into()),
        received_at: at(5),
        reference: None,
        digest: format!("digest of {name}"),
        reason: "document".into(),
        detail: "no info".into(),
        findings: Vec::new(),
        times: 1,
        released: None,
    }
}

/// A decision of an operator.
pub fn release() -> Release {
    Release { operator: "duty officer".into(), reason: "checked by telephone".into(), released_at: at(30) }
}

/// An event.
pub fn event(what: &str, about: Option<&str>, secs: i64) -> Event {
    Event {
        at: at(secs),
        what: what.into(),
        alert: about.map(key),
        delivery: None,
        facts: serde_json::Map::new(),
    }
}

/// What the worker holds that claimed a delivery last.
pub async fn hold(s: &Arc<dyn Store>, id: &DeliveryId) -> Held {
    let found = s.delivery(id).await.unwrap();
    found.map_or_else(|| Held { id: id.clone(), epoch: 0 }, |delivery| delivery.held())
}

/// Ends a delivery as the worker that claimed it last, after an attempt.
pub async fn finish(
    s: &Arc<dyn Store>,
    id: &DeliveryId,
    ended_at: Timestamp,
    end: AttemptEnd,
    events: Vec<Event>,
) -> Result<(), StoreError> {
    s.finish(Finish { held: hold(s, id).await, ended_at, end, was_tried: true, events }).await
}

/// Keeps what is sent, as the worker that claimed the delivery last.
pub async fn render(s: &Arc<dyn Store>, id: &DeliveryId, rendering: Rendering) -> Result<(), StoreError> {
    s.render(&hold(s, id).await, rendering).await
}

/// Gives a delivery back, as the worker that claimed it last.
pub async fn give_back(s: &Arc<dyn Store>, id: &DeliveryId, due_at: Timestamp) -> Result<(), StoreError> {
    s.give_back(&hold(s, id).await, due_at).await
}

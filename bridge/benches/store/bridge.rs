//! Accept, route, claim, render and finish, as the daemon does them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cap_schema::MsgType;
use capbridge::envelope::{AlertKey, ChainKey, ChainName, Envelope, Lane, Reference, StoredAlert, World};
use capbridge::store::{
    Arrival, AttemptEnd, DeliveryId, Finish, Held, NewDelivery, Part, Rendering, Store, Stored,
};
use capbridge_adapters::class::{Class, Classified};
use capbridge_adapters::endpoint::Receipt;
use capbridge_adapters::passage::{Audience, EndpointName, Origin, Provenance, SystemName};
use capbridge_adapters::source::Form;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{BODY_BYTES, SUBMITTERS};

/// How many are taken at once by router and worker.
const BATCH: u32 = 64;
/// How many alerts are under way at most.
const UNDER_WAY: usize = 512;

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_750_000_000)
}

fn later() -> Timestamp {
    now() + SignedDuration::from_secs(600)
}

/// Alerts per second that were accepted, routed and delivered once.
pub async fn measure(store: Arc<dyn Store>, run: Duration, from: u64) -> f64 {
    let (stop, made, done) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(from)), Arc::new(AtomicU64::new(0)));
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut tasks = JoinSet::new();
    for _ in 0..SUBMITTERS {
        let (store, stop, made, room) = (store.clone(), stop.clone(), made.clone(), room.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // Room that does not come is the end of the run.
                let Ok(Ok(permit)) = tokio::time::timeout(Duration::from_secs(1), room.acquire()).await
                else {
                    continue;
                };
                permit.forget();
                let stored =
                    store.accept(arrival(alert(made.fetch_add(1, Ordering::Relaxed)))).await.unwrap();
                assert!(matches!(stored, Stored::New(_)));
            }
        });
    }
    {
        let (store, stop) = (store.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let alerts = store.unrouted(now(), later(), BATCH).await.unwrap();
                if alerts.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                for routed in join_all(alerts.iter().map(|a| route(&*store, &a.envelope))).await {
                    routed.unwrap();
                }
            }
        });
    }
    {
        let (stop, done) = (stop.clone(), done.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let claims = store.claim(Lane::Routine, now(), later(), BATCH).await.unwrap();
                if claims.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                join_all(claims.iter().map(|claim| deliver(&*store, claim.delivery.held()))).await;
                done.fetch_add(claims.len() as u64, Ordering::Relaxed);
                room.add_permits(claims.len());
            }
        });
    }
    let begun = Instant::now();
    tokio::time::sleep(run).await;
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    rate
}

/// Puts alerts into the archive: accepted, routed to nobody, with a small document.
pub async fn fill(store: &Arc<dyn Store>, alerts: u64) {
    let one = async |n: u64| {
        let mut small = alert(n);
        small.raw = Bytes::from_static(b"<alert/>");
        let envelope = small.envelope.clone();
        store.accept(arrival(small)).await.unwrap();
        store.route(&envelope, now(), Vec::new(), Vec::new()).await.unwrap();
    };
    for from in (0..alerts).step_by(512) {
        join_all((from..alerts.min(from + 512)).map(&one)).await;
    }
}

async fn route(store: &dyn Store, envelope: &Envelope) -> Result<(), capbridge::store::StoreError> {
    let delivery = NewDelivery {
        id: DeliveryId(format!("msg_{}", &envelope.reference.identifier)),
        endpoint: EndpointName("responder".into()),
        rule: "all".into(),
        due_at: now(),
        give_up_at: later(),
    };
    store.route(envelope, now(), vec![delivery], Vec::new()).await
}

async fn deliver(store: &dyn Store, held: Held) {
    let id = &held.id;
    let rendering = Rendering {
        v: 1,
        reference: Reference {
            sender: "bridge@example.org".into(),
            identifier: id.0.clone(),
            sent: "2025".into(),
        },
        earlier: Vec::new(),
        part: Part::Whole,
        msg_type: MsgType::Alert,
        translated: true,
        body: Bytes::from(vec![b'x'; BODY_BYTES]),
        content_type: "application/cap+xml".into(),
        rendered_at: now(),
        report: serde_json::Value::Null,
    };
    store.render(&held, rendering).await.unwrap();
    let end = AttemptEnd::Delivered(Receipt::default());
    store.finish(Finish { held, ended_at: now(), end, was_tried: true, events: Vec::new() }).await.unwrap();
}

fn arrival(alert: StoredAlert) -> Arrival {
    Arrival { alert, if_new: Vec::new(), if_linked: Vec::new() }
}

fn alert(number: u64) -> StoredAlert {
    let key = AlertKey(format!("{number:064x}"));
    let reference = Reference {
        sender: "desk@agency.example".into(),
        identifier: format!("urn:oid:{number}"),
        sent: "2025-06-15T15:06:40-00:00".into(),
    };
    StoredAlert {
        envelope: Envelope {
            v: 1,
            chain: ChainKey(key.0.clone()),
            digest: key.0.clone(),
            content_digest: key.0.clone(),
            name: ChainName(key.0.clone()),
            key,
            reference,
            msg_type: MsgType::Alert,
            refers_to: Vec::new(),
            world: World::live(),
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
            received_at: now(),
            accepted_at: now(),
            sent_at: now(),
            expires_at: None,
            class: Classified::new(Class::Live, None),
            lane: Lane::Routine,
            twin: None,
            signature: "none".into(),
            findings: Vec::new(),
            headline: None,
        },
        raw: Bytes::from(vec![b'a'; BODY_BYTES]),
        derived: None,
    }
}

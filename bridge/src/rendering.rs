//! What an endpoint is sent: the stored alert in the form that the endpoint wants.
//!
//! Owns the choice between translation and the original bytes, and the JSON body of webhooks. Pure apart from its
//! tables; called once by the router (to know whether a message can be made) and once by the relay (to make it).

pub(crate) mod end;

use base64::Engine;
use bytes::Bytes;
use cap_schema::{Alert, Limits, MsgType};
use capbridge_adapters::class::Class;
use capbridge_adapters::endpoint::{BodyForm, Profile, Wants};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::envelope::{AlertKey, Reference, StoredAlert};
use crate::pipeline::owned;
use crate::pipeline::rules::Rule;
use crate::settings::BridgeTable;
use crate::store::{DeliveryId, Issued, Part, Rendering};
use crate::translate::{self, NotSent, Settings, Tables, Target};

/// The media type of CAP (RFC 3023 name registered by OASIS).
const CAP_TYPE: &str = "application/cap+xml";

/// Makes renderings.
pub struct Renderer {
    /// Codes, names and boundaries.
    pub tables: Tables,
    /// Who we are.
    pub bridge: BridgeTable,
    /// What the operator sets of translations.
    pub translation: Settings,
    /// Limits of the reader.
    pub limits: Limits,
}

/// What a message is made of.
pub struct Making<'m> {
    /// The alert.
    pub stored: &'m StoredAlert,
    /// What the endpoint wants.
    pub wants: &'m Wants,
    /// The rule that asked for it.
    pub rule: &'m Rule,
    /// The time of issue.
    pub now: Timestamp,
    /// What the destination has of the chain.
    pub around: Around<'m>,
}

/// What the destination has of the chain.
#[derive(Clone, Copy)]
pub struct Around<'c> {
    /// What it took since the last Cancel, oldest first; `None` where that is not known yet.
    pub issued: Option<&'c [Issued]>,
    /// How many others it took that a message need not name.
    pub left_out: usize,
    /// The newest of it that has infos, with its bytes.
    pub previous: Option<&'c StoredAlert>,
}

/// Why nothing is sent.
#[derive(Debug, thiserror::Error)]
pub enum NotRendered {
    /// The translation says so.
    #[error("{0}")]
    NotSent(NotSent),
    /// The stored document no longer reads.
    #[error("the stored document no longer reads")]
    Unreadable,
}

/// A CAP message for an endpoint, before it is wrapped.
struct Made {
    reference: Reference,
    msg_type: MsgType,
    xml: Bytes,
    report: Value,
    translated: bool,
}

impl Renderer {
    /// Whether a message could be made now.
    ///
    /// # Errors
    /// Why not.
    pub fn try_render(&self, making: &Making<'_>, alert: &Alert<'_>) -> Result<(), NotRendered> {
        self.make(making, alert).map(|_| ())
    }

    /// Makes the message of a delivery.
    ///
    /// # Errors
    /// Why not.
    pub fn render(&self, making: &Making<'_>, id: &DeliveryId) -> Result<Rendering, NotRendered> {
        let parsed = cap_schema::parse_owned(making.stored.cap(), &self.limits)
            .map_err(|_| NotRendered::Unreadable)?;
        let made = self.make(making, &parsed.alert)?;
        Ok(wrapped(making, &parsed.alert, made, Part::Whole, id))
    }

    /// Makes the end of what the endpoint holds, for a message whose content is not for it. Nothing of that message but
    /// its key, which gives the end its identifier, goes in.
    ///
    /// # Errors
    /// Why not.
    pub fn render_end(&self, making: &Making<'_>, id: &DeliveryId) -> Result<Rendering, NotRendered> {
        let nothing = NotRendered::NotSent(NotSent::NothingToEnd);
        let held = making.around.issued.and_then(<[Issued]>::last).map(|i| &i.original).ok_or(nothing)?;
        let bare = end::bare(held).map_err(NotRendered::NotSent)?;
        // What goes out is about what the endpoint holds, and says nothing that it does not know.
        let known = StoredAlert { envelope: held.clone(), raw: Bytes::new(), derived: None };
        let about = Making { stored: &known, ..*making };
        let made = self.make_end(making, &bare)?;
        Ok(wrapped(&about, &bare, made, Part::End, id))
    }

    fn make_end(&self, making: &Making<'_>, bare: &Alert<'_>) -> Result<Made, NotRendered> {
        let Making { stored, wants, now, around, .. } = *making;
        match wants.profile {
            Profile::AsReceived => {
                let sender = wants.sender.as_deref().unwrap_or(&self.bridge.sender);
                let by = end::By { bridge: &self.bridge.name, sender };
                let issued = around.issued.unwrap_or_default();
                let (alert, mut report) = end::as_received(bare, &stored.envelope.key, issued, &by, now);
                report.references_left_out(around.left_out);
                Ok(Made {
                    reference: owned(&alert.reference()),
                    msg_type: MsgType::Cancel,
                    xml: Bytes::from(cap_schema::write(&alert)),
                    report: serde_json::to_value(&report).unwrap_or(Value::Null),
                    translated: true,
                })
            }
            Profile::CapCp => self.translated(making, bare, Target::CapCp, Part::End),
            Profile::Ipaws => self.translated(making, bare, Target::Ipaws, Part::End),
        }
    }

    /// Whether a stored alert has infos.
    pub fn has_infos(&self, stored: &StoredAlert) -> bool {
        cap_schema::parse_owned(stored.cap(), &self.limits).is_ok_and(|parsed| !parsed.alert.info.is_empty())
    }

    fn make(&self, making: &Making<'_>, alert: &Alert<'_>) -> Result<Made, NotRendered> {
        let stored = making.stored;
        match making.wants.profile {
            Profile::AsReceived => Ok(Made {
                reference: stored.envelope.reference.clone(),
                msg_type: stored.envelope.msg_type,
                xml: stored.cap().clone(),
                report: Value::Null,
                translated: false,
            }),
            Profile::CapCp => self.translated(making, alert, Target::CapCp, Part::Whole),
            Profile::Ipaws => self.translated(making, alert, Target::Ipaws, Part::Whole),
        }
    }

    fn translated(
        &self,
        making: &Making<'_>,
        alert: &Alert<'_>,
        target: Target,
        part: Part,
    ) -> Result<Made, NotRendered> {
        let Making { stored, wants, rule, now, around } = *making;
        let settings = self.settings(wants, rule, stored.envelope.class.class());
        let issued: Option<Vec<(Reference, Reference)>> = around
            .issued
            .map(|all| all.iter().map(|i| (i.original.reference.clone(), i.reference.clone())).collect());
        let previous = around
            .previous
            .and_then(|p| cap_schema::parse_owned(p.cap(), &self.limits).ok())
            .map(|p| p.alert);
        let request = translate::Request {
            alert,
            origin_key: &stored.envelope.key.0,
            target,
            at: now,
            issued: issued.as_deref(),
            previous: previous.as_ref(),
            settings: &settings,
            tables: &self.tables,
        };
        let mut translated = translate::translate(&request).map_err(NotRendered::NotSent)?;
        translated.report.references_left_out(around.left_out);
        if part == Part::End {
            translated.report.content_stays();
        }
        Ok(Made {
            reference: translated.reference,
            msg_type: translated.msg_type,
            xml: Bytes::from(translated.xml),
            report: serde_json::to_value(&translated.report).unwrap_or(Value::Null),
            translated: true,
        })
    }

    /// The identifier that a message of ours for an original has today; `None` where the original goes out.
    fn identifier(&self, wants: &Wants, original: &AlertKey) -> Option<String> {
        let target = match wants.profile {
            Profile::AsReceived => return None,
            Profile::CapCp => Target::CapCp,
            Profile::Ipaws => Target::Ipaws,
        };
        let settings = Settings { bridge_name: self.bridge.name.clone(), ..self.translation.clone() };
        Some(translate::identity::identifier(&settings, &original.0, target))
    }

    /// Whether what goes to an endpoint is ours.
    pub fn has_identity(&self, wants: &Wants) -> bool {
        wants.profile != Profile::AsReceived
    }

    /// Whether a reference is one that a message of ours had under a former identity.
    pub fn is_former(&self, wants: &Wants, original: &AlertKey, reference: &Reference) -> bool {
        self.identifier(wants, original).is_some_and(|now| now != reference.identifier)
    }

    /// What a message takes the place of, also under the identity that it had before: at the endpoint that is a message of
    /// its own. Of what is issued again itself, only the former one.
    pub fn with_former(&self, wants: &Wants, taken: Vec<Issued>, own: &[Issued]) -> Vec<Issued> {
        let both = |mut one: Issued| {
            let is_former = |r: &Reference| self.is_former(wants, &one.original.key, r);
            if is_former(&one.reference) {
                return vec![one];
            }
            let former = self.former(wants, &one);
            one.earlier.retain(|r| !is_former(r));
            former.into_iter().chain([one]).collect()
        };
        let own = own.iter().filter_map(|own| self.former(wants, own));
        taken.into_iter().flat_map(both).chain(own).collect()
    }

    /// A message of ours as the endpoint took it under the identity before that of today.
    fn former(&self, wants: &Wants, one: &Issued) -> Option<Issued> {
        let all = one.earlier.iter().chain([&one.reference]);
        let mut earlier: Vec<Reference> =
            all.filter(|r| self.is_former(wants, &one.original.key, r)).cloned().collect();
        let reference = earlier.pop()?;
        Some(Issued { reference, earlier, ..one.clone() })
    }

    fn settings(&self, wants: &Wants, rule: &Rule, class: Class) -> Settings {
        Settings {
            bridge_name: self.bridge.name.clone(),
            sender: wants.sender.clone().unwrap_or_else(|| self.bridge.sender.clone()),
            source_name: self.bridge.source.clone(),
            sender_name: self.bridge.sender_name.clone(),
            open_channels: rule.open_channels.clone(),
            class,
            untouched: rule.untouched,
            notify_neighbours: rule.notify_neighbours,
            purpose: rule.purpose.clone(),
            ..self.translation.clone()
        }
    }
}

/// A message in the form that the endpoint wants; `making` says what it is about.
fn wrapped(making: &Making<'_>, alert: &Alert<'_>, made: Made, part: Part, id: &DeliveryId) -> Rendering {
    let (body, content_type) = match making.wants.body {
        BodyForm::Cap => (made.xml.clone(), CAP_TYPE.to_owned()),
        BodyForm::Json => {
            let body = json_body(making, alert, &made, id);
            (Bytes::from(body.to_string()), "application/json".to_owned())
        }
    };
    Rendering {
        v: 1,
        reference: made.reference,
        earlier: Vec::new(),
        msg_type: made.msg_type,
        part,
        translated: made.translated,
        body,
        content_type,
        rendered_at: making.now,
        report: made.report,
    }
}

/// The body of a webhook: Standard Webhooks 1.0.0 payload (`type`, `timestamp`, `data`).
fn json_body(making: &Making<'_>, alert: &Alert<'_>, made: &Made, id: &DeliveryId) -> Value {
    let Making { stored, wants, now, .. } = *making;
    let envelope = &stored.envelope;
    // The original may be in another encoding than UTF-8: then it goes as base64, byte for byte.
    let (cap, encoding) = match std::str::from_utf8(&made.xml) {
        Ok(text) => (text.to_owned(), "utf-8"),
        Err(_) => (base64::engine::general_purpose::STANDARD.encode(&made.xml), "base64"),
    };
    json!({
        "type": "alert.relayed",
        "timestamp": now.to_string(),
        "data": {
            "id": id,
            "usage": {"class": envelope.class.class(), "exercise": envelope.class.exercise()},
            "msg_type": made.msg_type,
            "reference": made.reference.to_string(),
            "profile": wants.profile,
            "cap": cap,
            "cap_encoding": encoding,
            "trail": {
                "origin": envelope.provenance.origin,
                "system": envelope.provenance.system,
                "reference": envelope.reference.to_string(),
                "digest_sha256": envelope.digest,
                "signature": envelope.signature,
                "received_at": envelope.received_at.to_string(),
                "accepted_at": envelope.accepted_at.to_string(),
                "translated": made.translated,
            },
            "report": made.report,
            "geometry": geometry(alert),
        }
    })
}

/// The areas as a GeoJSON FeatureCollection (RFC 7946: longitude first). A circle is a Point with `radius_km`.
fn geometry(alert: &Alert<'_>) -> Value {
    let mut features = Vec::new();
    for (index, info) in alert.info.iter().enumerate() {
        for area in &info.area {
            let properties = json!({"info": index, "areaDesc": area.area_desc});
            for polygon in &area.polygon {
                let Ok(points) = polygon.points() else { continue };
                let ring: Vec<[f64; 2]> = points.iter().map(|p| [p.lon, p.lat]).collect();
                features.push(json!({"type": "Feature", "properties": properties,
                    "geometry": {"type": "Polygon", "coordinates": [ring]}}));
            }
            for circle in &area.circle {
                let (Ok(center), Ok(radius_km)) = (circle.center(), circle.radius_km()) else { continue };
                let mut with_radius = properties.clone();
                if let Some(map) = with_radius.as_object_mut() {
                    map.insert("radius_km".into(), json!(radius_km));
                }
                features.push(json!({"type": "Feature", "properties": with_radius,
                    "geometry": {"type": "Point", "coordinates": [center.lon, center.lat]}}));
            }
        }
    }
    json!({"type": "FeatureCollection", "features": features})
}

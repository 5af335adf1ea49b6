//! Stage 4: was it here before, and is it our own?
//!
//! Owns keys, names, digests, twins and the loop guard. Must not decide that two messages are "similar": what they say
//! counts only where their references already say that they are one, and an Update or Cancel is never a repeat.

use aws_lc_rs::digest::{SHA256, digest};
use cap_schema::{Alert, Time};

use crate::envelope::{AlertKey, ChainName, Reference, World};

/// The `valueName` of the parameter that every message of a bridge carries: names of the bridges that it crossed.
pub const TRACE: &str = "capbridge:trace";

/// The key of a reference in a world. Of `sent` the instant counts, in whatever time zone it is written.
pub fn key(reference: &Reference, world: &World) -> AlertKey {
    key_of(reference, &in_utc(&reference.sent), world)
}

/// The key with `sent` as written: what the store keeps of alerts that it took before instants counted.
pub fn key_as_written(reference: &Reference, world: &World) -> AlertKey {
    key_of(reference, &reference.sent, world)
}

/// A time in UTC with what it has of a fraction, or the text where it is no time.
fn in_utc(text: &str) -> String {
    let Some(instant) = Time::new(text).instant() else { return text.to_owned() };
    let whole = Time::from_instant(instant, 0);
    let after_point = text.split_once('.').map_or("", |(_, rest)| rest);
    let fraction: String = after_point.chars().take_while(char::is_ascii_digit).collect();
    match fraction.trim_end_matches('0') {
        "" => whole.as_str().to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

fn key_of(reference: &Reference, sent: &str, world: &World) -> AlertKey {
    let Reference { sender, identifier, .. } = reference;
    let mut text = format!("{sender}\0{identifier}\0{sent}");
    if *world != World::live() {
        text = format!("{text}\0{}", world.as_str());
    }
    AlertKey(hex_digest(text.as_bytes()))
}

/// The identifier without what IPAWS adds: NWS alerts carry `.IPAWS` behind it when they come that way (ipaws page 2.4).
fn plain(identifier: &str) -> Option<&str> {
    let plain = identifier.strip_suffix(".IPAWS").unwrap_or(identifier);
    plain.starts_with("urn:oid:2.49.0.1.840.0.").then_some(plain)
}

/// The key of the same NWS alert as another system publishes it: equal for two twins. Twins say the same of what to do
/// and until when; the rest of the content differs, because IPAWS adds to it.
pub fn twin(reference: &Reference, world: &World, alert: &Alert<'_>) -> Option<AlertKey> {
    let plain = plain(&reference.identifier)?;
    let mut gist = alert.msg_type.as_str().to_owned();
    for info in &alert.info {
        let expires = info.expires.as_ref().and_then(|e| e.instant()).map_or(0, |i| i.seconds());
        let (urgency, severity) = (info.urgency.as_str(), info.severity.as_str());
        gist = format!("{gist}\0{urgency}\0{severity}\0{}\0{expires}", info.certainty.as_str());
    }
    let reference = Reference { identifier: plain.to_owned(), ..reference.clone() };
    Some(AlertKey(hex_digest(format!("{}\0{gist}", key(&reference, world).0).as_bytes())))
}

/// What references call a message.
pub fn name(world: &World, sender: &str, identifier: &str) -> ChainName {
    let identifier = plain(identifier).unwrap_or(identifier);
    ChainName(hex_digest(format!("{}\0{sender}\0{identifier}", world.as_str()).as_bytes()))
}

/// A message's own name and what it speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Its own.
    pub own: ChainName,
    /// What it follows, in the order of its references.
    pub follows: Vec<ChainName>,
    /// References that name another sender.
    pub strangers: Vec<Stranger>,
}

impl Names {
    /// Lets the message speak for the strangers too.
    pub fn believe(&mut self) {
        let theirs = std::mem::take(&mut self.strangers).into_iter().map(|s| s.theirs);
        self.follows.extend(theirs);
    }
}

/// A reference that names a sender whom the message may not speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// As written.
    pub reference: Reference,
    /// The name of that sender's message.
    pub theirs: ChainName,
}

/// The names of a message of a sender that may speak for itself and for `others`. A reference that names somebody else
/// is taken for a wrong sender part (as in NAAD sample 9) and means a message of the sender's own: so nobody ends what
/// another sent. Where the other's message is here, the caller must refuse.
pub fn names(world: &World, reference: &Reference, refers_to: &[Reference], others: &[String]) -> Names {
    let mut strangers = Vec::new();
    let mut follows = Vec::with_capacity(refers_to.len());
    for earlier in refers_to {
        let theirs = name(world, &earlier.sender, &earlier.identifier);
        if earlier.sender == reference.sender || others.contains(&earlier.sender) {
            follows.push(theirs);
        } else {
            follows.push(name(world, &reference.sender, &earlier.identifier));
            strangers.push(Stranger { reference: earlier.clone(), theirs });
        }
    }
    Names { own: name(world, &reference.sender, &reference.identifier), follows, strangers }
}

/// Digest of what the alert says: the written model without signatures and with its times in UTC, so that the same alert
/// with and without the aggregator's signature, or in another time zone, is the same.
pub fn content_digest(alert: &Alert<'_>) -> String {
    let mut bare = alert.clone();
    bare.signatures.clear();
    let to_utc = |time: &mut Time<'_>| *time = Time::new(in_utc(time.as_str()));
    to_utc(&mut bare.sent);
    for info in &mut bare.info {
        [&mut info.effective, &mut info.onset, &mut info.expires].into_iter().flatten().for_each(to_utc);
    }
    if bare.references.is_some() {
        let same =
            |r: &cap_schema::Reference<'_>| format!("{},{},{}", r.sender, r.identifier, in_utc(&r.sent));
        let references: Vec<String> = alert.references().iter().map(same).collect();
        // A list that cannot be read stays as it is written.
        if !references.is_empty() {
            bare.references = Some(references.join(" ").into());
        }
    }
    hex_digest(cap_schema::write(&bare).as_bytes())
}

/// Lower-case hex of SHA-256.
pub fn hex_digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether the message names this bridge in its trace (loop guard 2; guard 1 is the source's own filter, guard 3 the
/// store's index of what we issued).
pub fn carries_trace(alert: &Alert<'_>, bridge: &str) -> bool {
    alert
        .info
        .iter()
        .flat_map(|info| &info.parameter)
        .any(|p| p.value_name == TRACE && p.value.split_whitespace().any(|name| name == bridge))
}

#[cfg(test)]
mod tests {
    use capbridge_adapters::class::{Class, Classified};
    use capbridge_adapters::passage::Origin;

    use super::*;

    fn reference(sender: &str, identifier: &str, sent: &str) -> Reference {
        Reference { sender: sender.into(), identifier: identifier.into(), sent: sent.into() }
    }

    #[test]
    fn keys_do_not_run_parts_together_and_differ_between_worlds() {
        let exercise = World::of(&Classified::new(Class::Exercise, None), None);
        let alone = World::of(&Classified::new(Class::Live, None), Some(&Origin("desk".into())));
        let same = reference("a", "bc", "d");
        let keys = [
            key(&reference("ab", "c", "d"), &World::live()),
            key(&same, &World::live()),
            key(&same, &exercise),
            key(&same, &alone),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn a_time_is_the_same_in_every_zone_and_another_one_a_fraction_later() {
        let live = World::live();
        let key_at = |sent| key(&reference("a", "b", sent), &live);
        let same = [
            "2026-03-01T12:00:00-00:00",
            "2026-03-01T12:00:00+00:00",
            "2026-03-01T12:00:00Z",
            "2026-03-01T07:00:00-05:00",
            "2026-03-02T01:45:00+13:45",
            "2026-03-01T12:00:00.000Z",
        ];
        for sent in same {
            assert_eq!(key_at(sent), key_at(same[0]), "{sent}");
        }
        let first = reference("a", "b", same[0]);
        assert_eq!(key(&first, &live), key_as_written(&first, &live), "UTC as CAP writes it keeps its key");
        let others =
            ["2026-03-01T12:00:00-05:00", "2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00", "noon", "x"];
        let keys: std::collections::BTreeSet<_> =
            others.iter().chain(&same[..1]).map(|s| key_at(s)).collect();
        assert_eq!(keys.len(), others.len() + 1);
    }

    fn parsed(msg_type: &str, severity: &str) -> Alert<'static> {
        let text = format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>i</identifier><sender>s</sender>\
             <sent>2026-01-01T00:00:00-00:00</sent><status>Actual</status><msgType>{msg_type}</msgType>\
             <scope>Public</scope><info><category>Met</category><event>e</event><urgency>Future</urgency>\
             <severity>{severity}</severity><certainty>Likely</certainty></info></alert>"
        );
        cap_schema::parse_owned(text.as_bytes(), &cap_schema::Limits::default()).unwrap().alert
    }

    #[test]
    fn an_nws_alert_has_the_same_twin_key_with_and_without_the_suffix_while_it_says_the_same() {
        let plain = reference("w-nws.webmaster@noaa.gov", "urn:oid:2.49.0.1.840.0.ab.001.1", "t");
        let ipaws = reference("w-nws.webmaster@noaa.gov", "urn:oid:2.49.0.1.840.0.ab.001.1.IPAWS", "t");
        let live = World::live();
        let severe = parsed("Alert", "Severe");
        let found = twin(&plain, &live, &severe);
        assert!(found.is_some());
        assert_eq!(found, twin(&ipaws, &live, &severe));
        assert_ne!(found, twin(&ipaws, &live, &parsed("Alert", "Minor")));
        assert_ne!(found, twin(&ipaws, &live, &parsed("Update", "Severe")));
        let test = World::of(&Classified::new(Class::Test, None), None);
        assert_ne!(found, twin(&ipaws, &test, &severe), "a test does not swallow the real one");
        assert_eq!(twin(&reference("x", "y.IPAWS", "t"), &live, &severe), None);
        assert_eq!(name(&live, "s", &plain.identifier), name(&live, "s", &ipaws.identifier));
    }

    #[test]
    fn nobody_follows_what_another_sent_without_the_right_to() {
        let live = World::live();
        let own = reference("desk", "2", "t");
        let refers = [reference("desk", "1", "t"), reference("office", "1", "t")];
        let names_of = |others: &[String]| names(&live, &own, &refers, others);
        let denied = names_of(&[]);
        assert_eq!(denied.follows, [name(&live, "desk", "1"), name(&live, "desk", "1")]);
        let (reference, theirs) = (refers[1].clone(), name(&live, "office", "1"));
        assert_eq!(denied.strangers, [Stranger { reference, theirs }]);
        let allowed = names_of(&["office".to_owned()]);
        assert_eq!(allowed.follows, [name(&live, "desk", "1"), name(&live, "office", "1")]);
        assert!(allowed.strangers.is_empty());
    }
}

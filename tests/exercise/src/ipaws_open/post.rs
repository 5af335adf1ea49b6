//! `postCAP`: the checks, in their order, and the groups of the reply.

use cap_schema::{Document, Level, Limits, Profile, Rejection};
use jiff::Timestamp;
use roxmltree::Node;

use super::soap::{self, Logon};
use super::{Group, IpawsOpen, Post, Published, rules};
use crate::c14n::{Method, canonical};
use crate::cap::Alert;
use crate::clock::instant;
use crate::geometry::Shape;
use crate::server::Answer;
use crate::signature::{SignatureError, verify_alert};
use crate::xml::{child_text, document};

impl IpawsOpen {
    pub(super) fn post_cap(&self, logon: &Logon, in_body: Node<'_, '_>) -> Answer {
        let bytes = alone(in_body);
        let namespace = in_body.tag_name().namespace().unwrap_or_default();
        let identifier = child_text(in_body, namespace, "identifier").unwrap_or_default();
        let (groups, is_accepted) = match self.judge(logon, &bytes) {
            Ok(groups) => (groups, true),
            Err(groups) => (groups, false),
        };
        self.state().posts.push(Post {
            at: self.clock.now(),
            user: logon.user.clone(),
            cog_id: logon.cog_id,
            alert: bytes,
            identifier: identifier.clone(),
            groups: groups.clone(),
            is_accepted,
        });
        soap::post_reply(&identifier, &groups)
    }

    /// The groups of an accepted alert, or (as recorded) only those that failed.
    fn judge(&self, logon: &Logon, bytes: &str) -> Result<Vec<Group>, Vec<Group>> {
        let invalid = |detail: &str| vec![Group::named("capexch-invalid", detail)];
        let parsed = document(bytes).map_err(|_| invalid("not well-formed"))?;
        let root = parsed.root_element();
        self.check_signature(logon, root)?;
        let alert = Alert::read(root).map_err(|error| invalid(&error.to_string()))?;
        self.check_exchange(logon, &alert)?;
        self.check_profile(&alert, root)?;
        second_reading(bytes)?;
        let cog = self.cog(logon.cog_id).ok_or_else(|| invalid("the COG is not known"))?;
        let mut groups = vec![Group::plain("capexch-ack"), Group::plain("capexch-signature")];
        if alert.source.is_none() {
            groups.push(Group::plain("capexch-no-source"));
        }
        groups.push(Group::plain("ipaws-ack"));
        let (_, channels) = self.store(&alert, bytes, self.clock.now(), Some(logon.cog_id), cog);
        groups.extend(channels);
        Ok(groups)
    }

    fn check_signature(&self, logon: &Logon, root: Node<'_, '_>) -> Result<(), Vec<Group>> {
        let failed = || vec![Group::plain("capexch-bad-signature"), Group::plain("capexch-invalid")];
        let certificate = verify_alert(root).map_err(|_: SignatureError| failed())?;
        // INFERRED: the alert must be signed with a certificate of the COG that logs on.
        let is_good = certificate.is_valid_at(self.clock.now())
            && self.is_known(&certificate)
            && certificate.cog_id() == Some(logon.cog_id);
        if is_good { Ok(()) } else { Err(failed()) }
    }

    fn check_exchange(&self, logon: &Logon, alert: &Alert) -> Result<(), Vec<Group>> {
        let now = self.clock.now();
        let mut failed = Vec::new();
        let state = self.state();
        let mut earlier = state.published.iter();
        // INFERRED: only a message that was taken makes an identifier a duplicate, and that is told before anything else
        // (CAPEXCH comes before IPAWS): what came twice is not measured against its own first arrival.
        if earlier.any(|one| one.identifier == alert.identifier && one.cog_id == Some(logon.cog_id)) {
            return Err(vec![Group::plain("capexch-duplicate")]);
        }
        if alert.msg_type != "Alert" && alert.references.is_empty() {
            failed.push(Group::plain("capexch-no-references"));
        }
        for reference in &alert.references {
            match state.published.iter().find(|one| one.reference == *reference) {
                None => return Err(vec![Group::plain("ipaws-reference")]),
                Some(one) if one.expires_at.is_some_and(|at| at <= now) => {
                    failed.push(Group::plain("capexch-expired-reference"));
                }
                Some(_) => {}
            }
        }
        if self.settings.needs_all_references && !names_all(alert, &state.published, logon.cog_id, now) {
            return Err(vec![Group::named("ipaws-reference", "an active related message is not named")]);
        }
        if !rules::circles(alert).all(|circle| rules::is_good_circle(circle)) {
            failed.push(Group::plain("capexch-circle"));
        }
        if !self.is_in_area(logon, alert) {
            failed.push(Group::plain("capexch-outside"));
        }
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    fn is_in_area(&self, logon: &Logon, alert: &Alert) -> bool {
        let Some(cog) = self.cog(logon.cog_id) else {
            return false;
        };
        let circles = rules::circles(alert).filter_map(|text| Shape::from_cap("circle", text));
        let polygons = rules::polygons(alert).filter_map(|text| Shape::from_cap("polygon", text));
        let mut bounds = circles.chain(polygons).filter_map(|shape| shape.bounds());
        alert.infos.iter().all(|info| info.same().all(|same| cog.covers(same)))
            && bounds.all(|shape| cog.contains(&shape))
    }

    fn check_profile(&self, alert: &Alert, root: Node<'_, '_>) -> Result<(), Vec<Group>> {
        let mut failed = Vec::new();
        let apart = instant(&alert.sent).map(|sent| (self.clock.now().as_second() - sent.as_second()).abs());
        if apart.is_none_or(|secs| secs > self.settings.sent_tolerance_secs) {
            failed.push(Group::plain("ipaws-sent"));
        }
        failed.extend(rules::broken(alert, root).iter().map(|rule| Group::named("ipaws-profile", rule)));
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }
}

/// What the schema crate finds beyond the simulator's own reading: the order of elements and what else the
/// XSD demands (221), and the rules of the profile that hold for every message. Rules of one channel are left to
/// the channels, because a message may be taken in part.
fn second_reading(bytes: &str) -> Result<(), Vec<Group>> {
    let invalid = |detail: &str| vec![Group::named("capexch-invalid", detail)];
    let limits = Limits::default();
    let refused =
        |rejection: Rejection| invalid(rejection.findings.first().map_or("unreadable", |one| one.rule));
    let own = Document::read(bytes.as_bytes(), &limits).map_err(refused)?;
    let parsed = own.parse().map_err(refused)?;
    if let Some(finding) = parsed.findings.iter().find(|finding| finding.level == Level::Error) {
        return Err(invalid(&format!("{} at {}", finding.message, finding.path)));
    }
    let is_public = parsed.alert.scope.as_ref().is_some_and(|scope| scope.to_string() == "Public");
    // An event code is demanded by the public channels only.
    let of_all = |rule: &str| {
        let number =
            rule.strip_prefix("ipaws.").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        number && (is_public || rule != "ipaws.10")
    };
    let failed: Vec<_> = cap_schema::validate(&parsed.alert, Profile::Ipaws)
        .into_iter()
        .filter(|finding| finding.level == Level::Error && of_all(finding.rule))
        .map(|finding| Group::named("ipaws-profile", &format!("{} ({})", finding.message, finding.rule)))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// Whether an Update or Cancel names all messages of its chain that have not expired. Messages are of one
/// chain if one names the other; none of them is the message itself.
fn names_all(alert: &Alert, published: &[Published], cog_id: u32, now: Timestamp) -> bool {
    if alert.msg_type != "Update" && alert.msg_type != "Cancel" {
        return true;
    }
    let mut chain = alert.references.clone();
    // Each round adds at least one message or is the last.
    for _ in published {
        let before = chain.len();
        for one in published.iter().filter(|one| one.cog_id == Some(cog_id)) {
            let is_new = !chain.contains(&one.reference);
            let is_named = |named: &String| chain.contains(named);
            let names = published
                .iter()
                .any(|other| chain.contains(&other.reference) && other.references.contains(&one.reference));
            if is_new && (one.references.iter().any(is_named) || names) {
                chain.push(one.reference.clone());
            }
        }
        if chain.len() == before {
            break;
        }
    }
    let is_active = |one: &&Published| one.expires_at.is_some_and(|at| at > now);
    published
        .iter()
        .filter(|one| one.cog_id == Some(cog_id) && chain.contains(&one.reference))
        .filter(|one| one.identifier != alert.identifier)
        .filter(is_active)
        .all(|one| alert.references.contains(&one.reference))
}

/// The alert as a document of its own: its bytes cut out, or, if it needs namespace declarations from
/// outside, its canonical form.
fn alone(alert: Node<'_, '_>) -> String {
    let cut = alert.document().input_text().get(alert.range()).unwrap_or_default();
    let stands_alone = |own: &roxmltree::Document<'_>| {
        own.root_element().tag_name().namespace() == alert.tag_name().namespace()
    };
    if document(cut).is_ok_and(|own| stands_alone(&own)) {
        return cut.to_owned();
    }
    canonical(alert, &Method::default(), &[]).unwrap_or_default()
}

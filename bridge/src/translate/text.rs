//! Texts, times and what does not cross the border.

use std::borrow::Cow;

use cap_schema::{Code, Info, Instant, MsgType, Time, TimeForm};

use super::report::{Report, Rule};
use super::{NotSent, Request, Target};

/// Parameters that cross the border, by the beginning of their valueName. Everything else stays (reliability page 9,
/// row 3: an allow-list).
const PARAMETERS: [&str; 16] = [
    "layer:CAPAN:eventLocation",
    "layer:NAADS:1.0:eventLocation",
    "layer:EC-MSC-SMC:",
    "VTEC",
    "WMOidentifier",
    "AWIPSidentifier",
    "capbridge:",
    "eventEndingTime",
    "timezone",
    "NWSheadline",
    "eventMotionDescription",
    "maxHailSize",
    "tornadoDetection",
    "flashFloodDetection",
    "flashFloodDamageThreat",
    "profile:CAP-CP:0.4:AutoTranslated",
];

/// How long a Cancel is in force that does not say, seconds.
const CANCEL_SECS: i64 = 3_600;

/// A text of at most `limit` characters, cut at a word where there is one.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let head: String = text.chars().take(limit).collect();
    match head.rfind(char::is_whitespace) {
        Some(at) if at > limit / 2 => head.get(..at).unwrap_or(&head).trim_end().to_owned(),
        Some(_) | None => head,
    }
}

/// Times in the CAP form with the same instant; `expires` is there and in the future.
pub(super) fn times(
    request: &Request<'_>,
    info: &mut Info<'static>,
    at: &str,
    report: &mut Report,
) -> Result<(), NotSent> {
    let now = request.at.as_second();
    for (name, slot) in
        [("effective", &mut info.effective), ("onset", &mut info.onset), ("expires", &mut info.expires)]
    {
        let Some(time) = slot.as_ref() else { continue };
        let field = format!("{at}/{name}");
        match (time.form(), time.instant()) {
            (TimeForm::Cap, _) => {}
            (_, Some(instant)) => {
                let offset = time.offset_minutes().unwrap_or(0);
                let written = Time::from_instant(instant, offset);
                report.add(Rule::TimeForm, &field, &format!("{time} → {written}"));
                *slot = Some(written);
            }
            (_, None) => {
                report.add(Rule::TimeUnreadable, &field, &format!("{time} is not an instant"));
                *slot = None;
            }
        }
    }
    match info.expires.as_ref().and_then(Time::instant) {
        // MASAS ends an entry by its expiry: such a Cancel is news at the time of issue (masas page 5.1: one hour).
        Some(expires) if ends(request, expires) => {
            info.expires = Some(Time::from_instant(Instant::from_seconds(now + CANCEL_SECS), 0));
            let detail = "a Cancel that ends at once: in force for one hour";
            report.add(Rule::CancelInForce, &format!("{at}/expires"), detail);
            Ok(())
        }
        Some(expires) if expires.seconds() <= now => Err(NotSent::Expired),
        Some(_) => Ok(()),
        None => {
            let secs = request.settings.default_expiry_secs;
            info.expires = Some(Time::from_instant(Instant::from_seconds(now + secs), 0));
            let detail = format!("the original does not say: {} minutes from now", secs / 60);
            report.add(Rule::ExpiresDefault, &format!("{at}/expires"), &detail);
            Ok(())
        }
    }
}

fn ends(request: &Request<'_>, expires: Instant) -> bool {
    let alert = request.alert;
    alert.msg_type == Code::Known(MsgType::Cancel)
        && !alert.info.is_empty()
        && alert
            .sent
            .instant()
            .is_some_and(|sent| expires <= sent && request.at.as_second() < sent.seconds() + CANCEL_SECS)
}

/// Takes away what does not cross: unlisted parameters, embedded files, addresses that a profile does not take.
pub(super) fn minimise(target: Target, info: &mut Info<'static>, at: &str, report: &mut Report) {
    let field = format!("{at}/parameter");
    info.parameter.retain(|p| {
        let listed = PARAMETERS.iter().any(|known| p.value_name.starts_with(known));
        report.add_if(!listed, Rule::Parameter, &field, &p.value_name);
        listed
    });
    for resource in &mut info.resource {
        if resource.mime_type.as_deref().unwrap_or("").is_empty() {
            // Not there in CAP 1.0 and 1.1 (cap page 1.7).
            resource.mime_type = Some(Cow::Borrowed("application/octet-stream"));
        }
        let embedded = resource.deref_uri.take().is_some();
        if embedded {
            // size and digest were those of the embedded file.
            resource.digest = None;
        }
        report.add_if(embedded, Rule::EmbeddedFile, &format!("{at}/resource/derefUri"), "");
    }
    info.resource.retain(|r| {
        let linked = r.uri.as_deref().is_some_and(|u| is_public_link(u, target));
        let detail = format!("{} has no address that the destination takes", r.resource_desc);
        report.add_if(!linked, Rule::Link, &format!("{at}/resource"), &detail);
        linked
    });
    if info.web.as_deref().is_some_and(|w| !is_public_link(w, target)) {
        report.add(Rule::Link, &format!("{at}/web"), "");
        info.web = None;
    }
    info.extensions.clear();
    // Trailing blanks of feeds mean nothing and trip profile rules.
    for text in [&mut info.headline, &mut info.description, &mut info.instruction].into_iter().flatten() {
        let trimmed = text.trim();
        if trimmed.len() != text.len() {
            *text = Cow::Owned(trimmed.to_owned());
        }
    }
}

/// An absolute http(s) address; IPAWS takes none with a query (ipaws page 4.1, rule 15).
fn is_public_link(uri: &str, target: Target) -> bool {
    let absolute = uri.starts_with("https://") || uri.starts_with("http://");
    let query = target == Target::Ipaws && uri.contains('?');
    absolute && !query && uri.len() <= 2_083 && !uri.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_words() {
        assert_eq!(cut("Go indoors now", 10), "Go indoors");
        assert_eq!(cut("Go indoors now", 12), "Go indoors");
        assert_eq!(cut("Unbreakable-word", 5), "Unbre");
        assert_eq!(cut("é é é", 5), "é é é");
    }
}

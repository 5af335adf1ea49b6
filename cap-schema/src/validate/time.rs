//! Rules on times (CAP 1.2 section 3.3.2; V5, V23, N1, N2). What is no time at all is found by the reader.

use super::Findings;
use crate::alert::{Alert, Version};
use crate::time::{Time, TimeForm};

pub(super) fn check(alert: &Alert<'_>, out: &mut Findings) {
    // The schemas of CAP 1.0 and 1.1 take any time of XML.
    let strict = alert.version == Version::V1_2;
    if strict {
        form(&alert.sent, out, || "/alert/sent".to_owned());
    }
    let sent = alert.sent.instant();
    for (index, info) in alert.info.iter().enumerate() {
        let path = |name: &str| format!("/alert/info[{}]/{name}", index + 1);
        for (name, time) in
            [("effective", &info.effective), ("onset", &info.onset), ("expires", &info.expires)]
        {
            if let Some(time) = time
                && strict
            {
                form(time, out, || path(name));
            }
        }
        let Some(expires) = &info.expires else {
            out.add("cap.expires.absent", path("").trim_end_matches('/'), "no expires");
            continue;
        };
        let Some(end) = expires.instant() else { continue };
        let before = |time: &Option<Time<'_>>| time.as_ref().and_then(Time::instant).is_some_and(|t| end < t);
        if sent.is_some_and(|s| end < s) {
            out.add("cap.expires.before-sent", path("expires"), "expires is before sent");
        }
        if before(&info.effective) {
            out.add("cap.expires.before-effective", path("expires"), "expires is before effective");
        }
        if before(&info.onset) {
            out.add("cap.expires.before-onset", path("expires"), "expires is before onset");
        }
    }
}

/// `Z` and fractions leave the instant unambiguous.
fn form(time: &Time<'_>, out: &mut Findings, path: impl Fn() -> String) {
    match time.form() {
        TimeForm::Cap | TimeForm::NoOffset | TimeForm::Invalid => {}
        TimeForm::Zulu => {
            out.add("cap.time.zulu", path(), format!("'{time}' ends in Z; UTC is written -00:00"))
        }
        TimeForm::Fraction => {
            out.add("cap.time.fraction", path(), format!("'{time}' has a fraction of a second"))
        }
    }
}

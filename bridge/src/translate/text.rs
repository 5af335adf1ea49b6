//! Texts and times: cut at words where they must be, the same instants in the form of CAP.

use std::borrow::Cow;

use cap_schema::{Code, Info, Instant, MsgType, Time, TimeForm};

use super::report::{Report, Rule};
use super::{NotSent, Request, lifecycle};

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
            info.expires =
                Some(Time::from_instant(Instant::from_seconds(now + request.settings.cancel_secs), 0));
            let detail = format!(
                "a Cancel that ends at once: in force for {} minutes",
                request.settings.cancel_secs / 60
            );
            report.add(Rule::CancelInForce, &format!("{at}/expires"), &detail);
            Ok(())
        }
        Some(expires) if expires.seconds() <= now => Err(NotSent::Expired),
        Some(_) => Ok(()),
        None => {
            let secs = request.settings.default_expiry_secs;
            let onset = info.onset.as_ref().and_then(Time::instant).map_or(now, Instant::seconds);
            info.expires = Some(Time::from_instant(Instant::from_seconds(now.max(onset) + secs), 0));
            let from = if onset > now { "onset" } else { "now" };
            let detail = format!("the original does not say: {} minutes from {from}", secs / 60);
            report.add(Rule::ExpiresDefault, &format!("{at}/expires"), &detail);
            Ok(())
        }
    }
}

fn ends(request: &Request<'_>, expires: Instant) -> bool {
    let alert = request.alert;
    if alert.msg_type != Code::Known(MsgType::Cancel) || expires.seconds() > request.at.as_second() {
        return false;
    }
    // What the destination holds is ended however late the Cancel comes.
    lifecycle::holds_earlier(request, MsgType::Cancel)
        || !alert.info.is_empty()
            && alert.sent.instant().is_some_and(|sent| {
                expires <= sent && request.at.as_second() < sent.seconds() + request.settings.cancel_secs
            })
}

/// Blanks around texts go, which mean nothing and trip profile rules; what is longer than the settings take is cut.
pub(super) fn shorten(request: &Request<'_>, info: &mut Info<'static>, at: &str, report: &mut Report) {
    let limits = &request.settings.texts;
    for (name, slot, limit) in [
        ("headline", &mut info.headline, limits.headline_chars),
        ("description", &mut info.description, limits.description_chars),
        ("instruction", &mut info.instruction, limits.instruction_chars),
    ] {
        let Some(text) = slot else { continue };
        let trimmed = text.trim();
        if trimmed.len() != text.len() {
            *text = Cow::Owned(trimmed.to_owned());
        }
        let Some(limit) = limit else { continue };
        let short = cut(text, limit);
        if short.len() < text.len() {
            let rest = text.get(short.len()..).unwrap_or("").trim();
            let detail = format!("{limit} characters, without: {rest}");
            report.add(Rule::TextLength, &format!("{at}/{name}"), &detail);
            *text = Cow::Owned(short);
        }
    }
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

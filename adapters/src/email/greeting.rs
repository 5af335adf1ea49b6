//! What a mailbox is sent beside alerts: a code that whoever reads it gives back, and a test of the way there.
//!
//! Holds no text that came from outside, no CAP document, and a subject that no alert has: it cannot be taken for one.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::Message as Mail;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;

use super::mail::{Made, MailError, header, text_part};
use crate::endpoint::{Greeting, GreetingForm};

/// Makes the mail.
///
/// # Errors
/// The library refused something.
pub(super) fn make(
    from: &Mailbox,
    to: &Mailbox,
    greeting: &Greeting,
    now: Timestamp,
) -> Result<Made, MailError> {
    let message_id = format!("<{}@{}>", greeting.id, from.email.domain());
    let date = u64::try_from(now.as_second()).unwrap_or(0);
    let (subject, text) = words(&greeting.form);
    let mail = Mail::builder()
        .from(from.clone())
        .to(to.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(date))
        .message_id(Some(message_id.clone()))
        .subject(subject)
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("X-Auto-Response-Suppress", "All")?)
        .singlepart(text_part(text, ContentType::TEXT_PLAIN)?)
        .map_err(|cause| MailError::Build { cause })?;
    Ok(Made { bytes: mail.formatted(), message_id })
}

fn words(form: &GreetingForm) -> (&'static str, String) {
    match form {
        GreetingForm::Challenge { nonce } => (
            "Confirm this address / Confirmez cette adresse",
            format!(
                "This is no alert. Somebody asked that this address be sent emergency alerts.\r\n\
                 If that is right, give this code to whoever asked. If not, do nothing: nothing will be sent.\r\n\r\n\
                 Ceci n'est pas une alerte. Quelqu'un a demandé que des alertes d'urgence soient envoyées à cette adresse.\r\n\
                 Si c'est exact, transmettez ce code à cette personne. Sinon, ne faites rien : rien ne sera envoyé.\r\n\r\n\
                 Code: {nonce}\r\n"
            ),
        ),
        GreetingForm::Test => (
            "TEST of the connection / ESSAI de la connexion",
            "TEST. This is no alert, and there is none: somebody tries out whether mail arrives here.\r\n\
             ESSAI. Ceci n'est pas une alerte, et il n'y en a pas : quelqu'un vérifie si le courriel arrive ici.\r\n"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_holds_its_code_and_nothing_of_an_alert() {
        let (from, to) = ("a@b.test".parse().unwrap(), "c@d.test".parse().unwrap());
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        for (form, part) in [
            (GreetingForm::Challenge { nonce: "K7QM-2F9X-RT".into() }, "Code: K7QM-2F9X-RT"),
            (GreetingForm::Test, "Subject: TEST of the connection / ESSAI de la connexion"),
        ] {
            let made = make(&from, &to, &Greeting { id: "chl_1".into(), form }, now).unwrap();
            let text = String::from_utf8(made.bytes).unwrap();
            assert!(text.contains(part) && text.contains("Message-ID: <chl_1@b.test>"), "{text}");
            assert!(!text.contains("ALERT / ALERTE") && !text.contains("urn:oasis"), "{text}");
        }
    }
}

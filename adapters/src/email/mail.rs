//! The mail that a message becomes: headers, text part, HTML part, the CAP document attached.
//!
//! Everything in it is computed from the message, which is the same over retries, so the mail is too. Text of the alert
//! is cleaned of control characters and encoded (RFC 2047, quoted-printable, base64): it can neither end a header nor a
//! part, nor be a line of its own in SMTP. The subject begins with the class, and says nothing of what is not public.

use std::time::{Duration, SystemTime};

use cap_schema::{Alert, Limits, MsgType, Scope};
use lettre::Message as Mail;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};

use super::parts;
use crate::class::Class;
use crate::endpoint::Message;
use crate::relayed::{Relayed, RelayedError};

/// The longest subject, characters.
const SUBJECT_CHARS: usize = 150;
/// What the receiver's programs find the CAP document by.
const FILE_NAME: &str = "alert.cap";

/// Why a message cannot become a mail.
#[derive(Debug, thiserror::Error)]
pub(super) enum MailError {
    /// The body is not the bridge's.
    #[error(transparent)]
    Body(#[from] RelayedError),
    /// The CAP document in it does not read.
    #[error("the CAP document does not read")]
    Unreadable,
    /// Internal messages go nowhere.
    #[error("internal messages are not relayed")]
    Internal,
    /// The library refused a part.
    #[error("the mail cannot be built")]
    Build {
        /// What it said.
        #[source]
        cause: lettre::error::Error,
    },
    /// The library refused a header or an encoding.
    #[error("the mail cannot be encoded")]
    Encode,
}

/// A mail and the name by which later ones refer to it.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) message_id: String,
}

/// Makes the mail.
///
/// # Errors
/// The message does not fit.
pub(super) fn make(from: &Mailbox, to: &Mailbox, message: &Message) -> Result<Made, MailError> {
    let relayed = Relayed::read(&message.body)?;
    let cap = relayed.cap()?;
    // It was read when it was accepted, under the limits of its source.
    let limits = Limits { document_bytes: usize::MAX, ..Limits::default() };
    let parsed = cap_schema::parse_owned(&cap, &limits).map_err(|_| MailError::Unreadable)?;
    let alert = parsed.alert;
    let message_id = format!("<{}@{}>", message.id, from.email.domain());
    let date = u64::try_from(relayed.timestamp.as_second()).unwrap_or(0);
    let mut mail = Mail::builder()
        .from(from.clone())
        .to(to.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(date))
        .message_id(Some(message_id.clone()))
        .subject(subject(&relayed, &alert)?)
        // No answers by machines (RFC 3834), and no reports about holidays.
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("X-Auto-Response-Suppress", "All")?)
        .raw_header(header("X-Capbridge-Class", relayed.data.usage.class.as_str())?);
    if relayed.data.usage.class == Class::Live && parts::is_urgent(&alert) {
        mail = mail.raw_header(header("Importance", "high")?).raw_header(header("X-Priority", "1")?);
    }
    let earlier: Vec<&str> =
        message.prior.iter().filter_map(|p| p.location.as_deref()).filter(|id| is_message_id(id)).collect();
    if let Some(last) = earlier.last() {
        mail = mail.in_reply_to((*last).to_owned()).references(earlier.join(" "));
    }
    // `=_` occurs in neither quoted-printable nor base64, so no text can pretend to be a boundary (RFC 2045 section 6.7).
    let both = MultiPart::alternative()
        .boundary(format!("=_a_{}", message.id))
        .singlepart(text_part(parts::plain(&relayed, &alert), ContentType::TEXT_PLAIN)?)
        .singlepart(text_part(parts::html(&relayed, &alert), ContentType::TEXT_HTML)?);
    let cap = Body::new_with_encoding(cap, ContentTransferEncoding::Base64).map_err(|_| MailError::Encode)?;
    let cap_type = ContentType::parse("application/cap+xml").map_err(|_| MailError::Encode)?;
    let whole = MultiPart::mixed()
        .boundary(format!("=_m_{}", message.id))
        .multipart(both)
        .singlepart(Attachment::new(FILE_NAME.to_owned()).body(cap, cap_type));
    let mail = mail.multipart(whole).map_err(|cause| MailError::Build { cause })?;
    Ok(Made { bytes: mail.formatted(), message_id })
}

pub(super) fn header(name: &'static str, value: &str) -> Result<HeaderValue, MailError> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MailError::Encode)?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

pub(super) fn text_part(text: String, content_type: ContentType) -> Result<SinglePart, MailError> {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| MailError::Encode)?;
    Ok(SinglePart::builder().content_type(content_type).body(body))
}

/// What is in our receipts, and nothing else.
fn is_message_id(text: &str) -> bool {
    text.starts_with('<')
        && text.ends_with('>')
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text.matches(['<', '>']).count() == 2
}

/// The class first, in both languages; then what happens, if everybody may know.
fn subject(relayed: &Relayed, alert: &Alert<'_>) -> Result<String, MailError> {
    let usage = &relayed.data.usage;
    let exercise =
        usage.exercise.as_ref().map(|name| format!(" [{}]", parts::line(&name.0))).unwrap_or_default();
    let kind = match (usage.class, relayed.data.msg_type) {
        (Class::Internal, _) => return Err(MailError::Internal),
        (Class::Exercise, _) => format!("EXERCISE / EXERCICE{exercise}"),
        (Class::Test, _) => "TEST".to_owned(),
        (Class::Live, MsgType::Alert) => "ALERT / ALERTE".to_owned(),
        (Class::Live, MsgType::Update) => "UPDATE / MISE À JOUR".to_owned(),
        (Class::Live, MsgType::Cancel) => "CANCELLED / ANNULÉE".to_owned(),
        (Class::Live, MsgType::Ack) => "ACKNOWLEDGED / REÇUE".to_owned(),
        (Class::Live, MsgType::Error) => "REJECTED / REJETÉE".to_owned(),
    };
    let kind = match (usage.class, relayed.data.msg_type) {
        (Class::Exercise | Class::Test, MsgType::Alert) | (Class::Live | Class::Internal, _) => kind,
        (Class::Exercise | Class::Test, other) => format!("{kind} {other}"),
    };
    let what = match alert.scope.as_ref().and_then(|scope| scope.known()) {
        Some(Scope::Public) => parts::in_short(alert),
        Some(Scope::Restricted) => "restricted / diffusion restreinte".to_owned(),
        Some(Scope::Private) => "private / privé".to_owned(),
        None => String::new(),
    };
    let whole = if what.is_empty() { kind } else { format!("{kind}: {what}") };
    Ok(whole.chars().take(SUBJECT_CHARS).collect())
}

#[cfg(test)]
pub(super) mod tests;

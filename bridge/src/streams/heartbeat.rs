//! The heartbeat: a CAP message that says that the stream lives, and which messages came last.
//!
//! The fields are those that clients of the NAAD System were seen to read; its own documentation of it was not to be had,
//! so the form of the identifier and the number of references are inferred.

use capbridge_adapters::passage::EndpointName;
use jiff::Timestamp;
use uuid::Uuid;

use crate::store::feeds::Placed;

/// What clients know a heartbeat by, with the status `System`.
const SENDER: &str = "NAADS-Heartbeat";
/// How many messages it names.
pub(super) const NAMED: u32 = 10;

/// The document. `last` are the newest entries, newest first.
pub(super) fn document(stream: &EndpointName, now: Timestamp, last: &[Placed]) -> String {
    // CAP 1.2 section 3.3.2: no fraction, and UTC as -00:00.
    let sent = now.strftime("%Y-%m-%dT%H:%M:%S-00:00").to_string();
    let name = format!("{}\0{}", stream.0, now.as_nanosecond());
    let identifier = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes());
    let references: Vec<String> = last.iter().rev().map(|placed| escaped(&placed.entry.reference)).collect();
    let references = match references.is_empty() {
        true => String::new(),
        false => format!("<references>{}</references>", references.join(" ")),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\
         <identifier>{identifier}</identifier><sender>{SENDER}</sender><sent>{sent}</sent><status>System</status>\
         <msgType>Alert</msgType><scope>Public</scope>{references}</alert>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_a_cap_message_that_clients_know_by_sender_and_status() {
        let now = "2026-03-01T12:00:00.75Z".parse().unwrap();
        let text = document(&EndpointName("s".into()), now, &[]);
        let parsed = cap_schema::parse_owned(text.as_bytes(), &cap_schema::Limits::default()).unwrap();
        assert_eq!((parsed.alert.sender.as_ref(), parsed.alert.status.as_str()), (SENDER, "System"));
        assert_eq!(parsed.alert.sent.as_str(), "2026-03-01T12:00:00-00:00");
        assert!(parsed.alert.info.is_empty() && parsed.alert.references.is_none());
    }
}

//! The order in which the alerts of one poll are handed over: by `sent`, so that a Cancel comes after its Alert.
//!
//! The feed itself promises no order. Owns the reading of no more than what the order needs: the head of each alert. An
//! alert whose head cannot be read keeps its place, and the bridge decides what becomes of it.

use bytes::Bytes;
use cap_schema::xml::{Reader, Token};
use cap_schema::{Document, Limits, Time};

/// `sent` in seconds, and the rank of `msgType` among messages of the same second.
type Key = (i64, u8);

/// Puts alerts in order. Holds nothing but the slices that it is given.
pub(super) fn by_sent(alerts: Vec<Bytes>) -> Vec<Bytes> {
    let keys: Vec<Option<Key>> = alerts.iter().map(|alert| key(alert)).collect();
    let mut known: Vec<(Key, Bytes)> =
        keys.iter().zip(&alerts).filter_map(|(key, alert)| key.map(|key| (key, alert.clone()))).collect();
    known.sort_by_key(|(key, _)| *key);
    let mut known = known.into_iter();
    keys.iter()
        .zip(alerts)
        .map(|(key, alert)| match key {
            Some(_) => known.next().map_or(alert, |(_, next)| next),
            None => alert,
        })
        .collect()
}

fn key(alert: &[u8]) -> Option<Key> {
    let limits = Limits::default();
    let document = Document::read(alert, &limits).ok()?;
    let mut reader = Reader::new(document.text(), &limits);
    let (mut sent, mut kind, mut open) = (String::new(), String::new(), None);
    while let Ok(Some(token)) = reader.next() {
        match token {
            Token::Start(element) if reader.depth() == 2 => match element.local {
                "info" => break,
                local => open = Some(local.to_owned()),
            },
            Token::End => open = None,
            Token::Text(text) => match open.as_deref() {
                Some("sent") => sent.push_str(&text),
                Some("msgType") => kind.push_str(&text),
                Some(_) | None => {}
            },
            Token::Start(_) | Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    let rank = match kind.trim() {
        "Alert" => 0,
        "Update" => 1,
        _ => 2,
    };
    Some((Time::new(sent.trim()).instant()?.seconds(), rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(name: &str, kind: &str, sent: &str) -> String {
        format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{name}</identifier>\
             <sent>{sent}</sent><msgType>{kind}</msgType><info><sent>1999-01-01T00:00:00-00:00</sent></info></alert>"
        )
    }

    #[test]
    fn alerts_come_by_sent_whatever_the_offset_and_what_cannot_be_read_keeps_its_place() {
        let cancel = alert("cancel", "Cancel", "2026-03-01T12:00:02-00:00");
        let first = alert("first", "Alert", "2026-03-01T07:00:00-05:00");
        let update = alert("update", "Update", "2026-03-01T12:00:00Z");
        let broken = "<alert><info>&nope;</alert>".to_owned();
        let timeless = alert("timeless", "Alert", "yesterday");
        let feed = [&cancel, &broken, &update, &timeless, &first];
        let ordered = by_sent(feed.into_iter().map(|text| Bytes::from(text.clone())).collect());
        let expected = [&first, &broken, &update, &timeless, &cancel];
        assert_eq!(ordered, expected.map(|text| Bytes::from(text.clone())));
    }
}

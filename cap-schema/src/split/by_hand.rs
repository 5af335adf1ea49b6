//! Cutting where the container is broken: at the tags as they stand.

use super::Found;

/// Cuts at the tags as they stand, with any prefix.
pub(super) fn by_hand(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find_tag(bytes, at, b"<") {
        // A second start before the end means that the first alert never ended.
        let next = find_tag(bytes, start + 1, b"<").unwrap_or(bytes.len());
        let before_next = bytes.get(..next).unwrap_or(bytes);
        let end = find_tag(before_next, start + 1, b"</");
        let stop = match end {
            Some(close) => {
                bytes.iter().skip(close).position(|b| *b == b'>').map_or(bytes.len(), |n| close + n + 1)
            }
            None => next,
        };
        let lone = bytes.get(..start).is_some_and(|before| {
            !before.windows(2).any(|w| matches!(w, [b'<', c] if c.is_ascii_alphabetic()))
        });
        let container = if lone { String::new() } else { "broken".to_owned() };
        found.push(Found { container, range: start..stop, ..Found::whole(bytes) });
        at = stop;
    }
    found
}

/// The next `<alert` or `</alert`, with or without prefix, followed by what may follow a name.
fn find_tag(bytes: &[u8], from: usize, open: &[u8]) -> Option<usize> {
    let mut at = from;
    while let Some(rest) = bytes.get(at..) {
        let step = rest.windows(open.len()).position(|w| w == open)?;
        let start = at + step;
        let name = bytes.get(start + open.len()..)?;
        let length = name
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-' | b'.'))
            .count();
        let local = name.get(..length)?.rsplit(|b| *b == b':').next()?;
        if local == b"alert" {
            return Some(start);
        }
        at = start + open.len();
    }
    None
}

//! `Retry-After` and dates: RFC 9110 sections 10.2.3 and 5.6.7.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// Nobody gets to silence an alert for longer than this.
const MOST: Duration = Duration::from_secs(86_400);

/// Reads seconds or an HTTP date. A date in the past is zero; what is neither is nothing.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(MOST, Duration::from_secs).min(MOST));
    }
    let at = date(text)?;
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(MOST))
}

/// Reads an HTTP date.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let cases = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 01 Mar 2026 12:01:30 GMT", Some(90)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", Some(0)),
            ("Sun, 01 Mar 2037 11:00:00 GMT", Some(86_400)),
            ("", None),
            ("-5", None),
            ("soon", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, now).map(|d| d.as_secs()), expected, "{text}");
        }
    }
}

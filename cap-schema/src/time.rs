//! Times as CAP writes them: `YYYY-MM-DDThh:mm:ss±hh:mm` (CAP 1.2 section 3.3.2).
//!
//! Owns the text, the instant and what differs from the CAP form. UTC is written `-00:00`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// From seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Instant(seconds)
    }

    /// Seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

/// A time with its text. Equal where the text is equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time<'a>(Cow<'a, str>);

/// How a time differs from the CAP form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeForm {
    /// The CAP form.
    Cap,
    /// `Z` instead of an offset.
    Zulu,
    /// A fraction of a second.
    Fraction,
    /// No offset: no instant either.
    NoOffset,
    /// Not a time.
    Invalid,
}

impl<'a> Time<'a> {
    /// Keeps a text.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        Time(text.into())
    }

    /// Writes an instant in the CAP form at an offset in minutes east of UTC, -840 to 840. UTC is `-00:00`.
    pub fn from_instant(instant: Instant, offset_minutes: i32) -> Time<'static> {
        let local = instant.0.saturating_add(i64::from(offset_minutes) * 60);
        let (days, secs) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let sign = if offset_minutes > 0 { '+' } else { '-' };
        let offset = offset_minutes.unsigned_abs();
        Time(Cow::Owned(format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
            secs / 3_600,
            secs / 60 % 60,
            secs % 60,
            offset / 60,
            offset % 60
        )))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instant; `None` where the text is not a time with an offset. Fractions are cut.
    pub fn instant(&self) -> Option<Instant> {
        let parts = Parts::read(trimmed(&self.0))?;
        parts.offset_minutes.map(|offset| Instant(parts.local - i64::from(offset) * 60))
    }

    /// Minutes east of UTC; `None` where there is no offset.
    pub fn offset_minutes(&self) -> Option<i32> {
        Parts::read(trimmed(&self.0))?.offset_minutes
    }

    /// Whether the text has the CAP form.
    pub fn form(&self) -> TimeForm {
        let Some(parts) = Parts::read(trimmed(&self.0)) else { return TimeForm::Invalid };
        if parts.offset_minutes.is_none() {
            TimeForm::NoOffset
        } else if parts.zulu {
            TimeForm::Zulu
        } else if parts.fraction {
            TimeForm::Fraction
        } else {
            TimeForm::Cap
        }
    }

    /// The text in the CAP form where that says the same: without fraction, `-00:00` for `Z`, no white space around it.
    /// Any other text is left as it is.
    pub fn in_cap_form(&self) -> Cow<'_, str> {
        let text = trimmed(&self.0);
        match self.form() {
            TimeForm::Cap => Cow::Borrowed(text),
            TimeForm::Zulu | TimeForm::Fraction => {
                let (civil, offset) = match text.strip_suffix('Z') {
                    Some(civil) => (civil, "-00:00"),
                    None => text.split_at_checked(text.len().saturating_sub(6)).unwrap_or((text, "")),
                };
                let whole = civil.split_once('.').map_or(civil, |(whole, _)| whole);
                Cow::Owned(format!("{whole}{offset}"))
            }
            TimeForm::NoOffset | TimeForm::Invalid => Cow::Borrowed(self.as_str()),
        }
    }

    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Time<'static> {
        Time(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Display for Time<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Without the white space of XML around it; other blanks are part of a value.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

struct Parts {
    /// Seconds since the epoch as if the civil time were UTC.
    local: i64,
    offset_minutes: Option<i32>,
    zulu: bool,
    fraction: bool,
}

impl Parts {
    fn read(text: &str) -> Option<Parts> {
        let bytes = text.as_bytes();
        let digits = |from: usize, to: usize| -> Option<i64> {
            let mut value = 0_i64;
            for byte in bytes.get(from..to)? {
                value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
            }
            Some(value)
        };
        let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
        if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
            return None;
        }
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        let end_of_day = hour == 24 && minute == 0 && second == 0;
        let in_range = year >= 1
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && (hour < 24 || end_of_day)
            && minute < 60
            && second < 60;
        if !in_range {
            return None;
        }
        let mut rest = bytes.get(19..)?;
        let mut fraction = false;
        if let Some(after) = rest.strip_prefix(b".") {
            let count = after.iter().take_while(|b| b.is_ascii_digit()).count();
            fraction = true;
            rest = after.get(count..)?;
            if count == 0 {
                return None;
            }
        }
        let (offset_minutes, zulu) = match rest {
            b"" => (None, false),
            b"Z" => (Some(0), true),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let two = |a: &u8, b: &u8| -> Option<i32> {
                    (a.is_ascii_digit() && b.is_ascii_digit())
                        .then(|| i32::from(a - b'0') * 10 + i32::from(b - b'0'))
                };
                let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
                let total = hours * 60 + minutes;
                if minutes > 59 || total > 14 * 60 {
                    return None;
                }
                (Some(if *sign == b'-' { -total } else { total }), false)
            }
            _ => return None,
        };
        let local = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Parts { local, offset_minutes, zulu, fraction })
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of `days_from_civil`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        let cases = [
            ("2003-04-02T14:39:01-05:00", TimeForm::Cap, Some(1_049_312_341)),
            ("1970-01-01T00:00:00-00:00", TimeForm::Cap, Some(0)),
            ("2008-02-29T24:00:00-00:00", TimeForm::Cap, Some(1_204_329_600)),
            ("2026-01-01T00:00:00Z", TimeForm::Zulu, Some(1_767_225_600)),
            ("2026-01-01T00:00:00.25+00:00", TimeForm::Fraction, Some(1_767_225_600)),
            ("2026-01-01T00:00:00", TimeForm::NoOffset, None),
            ("2026-02-30T00:00:00-05:00", TimeForm::Invalid, None),
            ("2026-01-01T00:00:60-05:00", TimeForm::Invalid, None),
            ("2026-01-01T00:00:00+14:01", TimeForm::Invalid, None),
            ("2026-01-01T00:00:00-6:00", TimeForm::Invalid, None),
            ("0000-01-01T00:00:00-05:00", TimeForm::Invalid, None),
            ("2026/01/01T00:00:00-05:00", TimeForm::Invalid, None),
            ("", TimeForm::Invalid, None),
        ];
        for (text, form, instant) in cases {
            let time = Time::new(text);
            assert_eq!((time.form(), time.instant().map(Instant::seconds)), (form, instant), "{text}");
        }
    }

    #[test]
    fn other_forms_are_written_in_the_cap_form_where_they_say_the_same() {
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00-00:00"),
            ("2026-01-01T00:00:00.125Z", "2026-01-01T00:00:00-00:00"),
            (" 2026-01-01T00:00:00.25+01:00 ", "2026-01-01T00:00:00+01:00"),
            ("2026-01-01T00:00:00", "2026-01-01T00:00:00"),
            ("now", "now"),
        ] {
            assert_eq!(Time::new(text).in_cap_form(), expected, "{text}");
        }
    }

    #[test]
    fn an_instant_written_at_any_offset_reads_as_itself() {
        for seconds in [-62_135_000_000, -1, 0, 951_782_400, 1_709_164_799, 1_785_292_121, 4_102_444_800] {
            for offset in [-840, -300, 0, 330, 840] {
                let time = Time::from_instant(Instant(seconds), offset);
                assert_eq!(time.instant(), Some(Instant(seconds)), "{time}");
                assert_eq!(time.form(), TimeForm::Cap);
            }
        }
        assert_eq!(Time::from_instant(Instant(0), 0).as_str(), "1970-01-01T00:00:00-00:00");
    }
}

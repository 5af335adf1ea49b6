//! Polygons and circles as CAP writes them (CAP 1.2 section 3.2.4; WGS 84, latitude first).
//!
//! Owns the text and the reading of its numbers. The text is never rounded: what is forwarded is what was written.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in decimal degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Latitude, -90 to 90.
    pub lat: f64,
    /// Longitude, -180 to 180.
    pub lon: f64,
}

/// What is wrong with a polygon or circle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A pair is not `lat,lon`.
    #[error("pair {index} is not lat,lon")]
    Pair {
        /// From 1.
        index: usize,
    },
    /// A coordinate is out of range.
    #[error("pair {index} is outside -90..90, -180..180")]
    Range {
        /// From 1.
        index: usize,
    },
    /// Fewer than four pairs.
    #[error("{count} pairs; a polygon has at least 4")]
    TooFew {
        /// How many.
        count: usize,
    },
    /// First and last pair differ.
    #[error("the first and the last pair differ")]
    Open,
    /// Not `lat,lon radius`.
    #[error("not lat,lon and a radius in kilometres")]
    Circle,
    /// The radius is negative.
    #[error("the radius is negative or not a number")]
    Radius,
}

/// A polygon with its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Polygon<'a>(Cow<'a, str>);

/// A circle with its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Circle<'a>(Cow<'a, str>);

macro_rules! text_type {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// Keeps a text.
            pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
                $name(text.into())
            }

            /// The text as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same without the input's lifetime.
            pub fn into_owned(self) -> $name<'static> {
                $name(Cow::Owned(self.0.into_owned()))
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
text_type!(Polygon);
text_type!(Circle);

impl Polygon<'_> {
    /// The ring: at least four pairs, closed, in range.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn points(&self) -> Result<Vec<Point>, GeometryError> {
        let points = self.pairs()?;
        if points.len() < 4 {
            return Err(GeometryError::TooFew { count: points.len() });
        }
        if points.first() != points.last() {
            return Err(GeometryError::Open);
        }
        Ok(points)
    }

    /// The pairs, closed or not.
    ///
    /// # Errors
    /// A pair that is not one, or out of range.
    pub fn pairs(&self) -> Result<Vec<Point>, GeometryError> {
        let bytes = self.0.as_bytes();
        let mut points = Vec::with_capacity(bytes.len() / 12 + 1);
        let mut at = 0;
        loop {
            at += bytes.get(at..).unwrap_or(&[]).iter().take_while(|b| b.is_ascii_whitespace()).count();
            if at >= bytes.len() {
                return Ok(points);
            }
            let index = points.len() + 1;
            let (lat, comma) = number_at(bytes, at).ok_or(GeometryError::Pair { index })?;
            if bytes.get(comma) != Some(&b',') {
                return Err(GeometryError::Pair { index });
            }
            let (lon, end) = number_at(bytes, comma + 1).ok_or(GeometryError::Pair { index })?;
            if bytes.get(end).is_some_and(|b| !b.is_ascii_whitespace()) {
                return Err(GeometryError::Pair { index });
            }
            points.push(in_range(lat, lon, index)?);
            at = end;
        }
    }
}

impl Circle<'_> {
    fn read(&self) -> Result<(Point, f64), GeometryError> {
        let mut parts = self.0.split_ascii_whitespace();
        let (Some(center), Some(radius), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(GeometryError::Circle);
        };
        let radius = number(radius).filter(|r| *r >= 0.0).ok_or(GeometryError::Radius)?;
        Ok((point(center, 1)?, radius))
    }

    /// The centre.
    ///
    /// # Errors
    /// Not `lat,lon radius`.
    pub fn center(&self) -> Result<Point, GeometryError> {
        Ok(self.read()?.0)
    }

    /// The radius in kilometres, 0 or more.
    ///
    /// # Errors
    /// Not `lat,lon radius`.
    pub fn radius_km(&self) -> Result<f64, GeometryError> {
        Ok(self.read()?.1)
    }
}

fn point(pair: &str, index: usize) -> Result<Point, GeometryError> {
    let (lat, lon) = pair.split_once(',').ok_or(GeometryError::Pair { index })?;
    let (Some(lat), Some(lon)) = (number(lat), number(lon)) else {
        return Err(GeometryError::Pair { index });
    };
    in_range(lat, lon, index)
}

fn in_range(lat: f64, lon: f64, index: usize) -> Result<Point, GeometryError> {
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
        return Err(GeometryError::Range { index });
    }
    Ok(Point { lat, lon })
}

/// A text that is a number and nothing else.
fn number(text: &str) -> Option<f64> {
    number_at(text.as_bytes(), 0).filter(|(_, end)| *end == text.len()).map(|(value, _)| value)
}

/// The decimal number that begins at a byte, without exponent, and where it ends: `-11.`, `.5` and `+41.12` are used in
/// the field.
///
/// An integer below 2^53 is exact as a double, and a division by a power of ten up to 22 rounds once, so the result is the
/// nearest double, as for the general way that longer numbers take.
#[inline]
fn number_at(bytes: &[u8], start: usize) -> Option<(f64, usize)> {
    let sign = bytes.get(start)?;
    let mut digits = Digits::default();
    // The whole part is short, and mostly as long as that of the last number, which a loop makes use of.
    let mut at = digits.one_by_one(bytes, if matches!(sign, b'-' | b'+') { start + 1 } else { start });
    let whole = digits.count;
    if bytes.get(at) == Some(&b'.') {
        at = digits.by_eight(bytes, at + 1);
    }
    match (digits.count, POWERS.get(digits.count - whole)) {
        (0, _) => None,
        (1..=18, Some(power)) if digits.value < 1 << 53 => {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let value = digits.value as f64 / power;
            Some((if *sign == b'-' { -value } else { value }, at))
        }
        _ => Some((std::str::from_utf8(bytes.get(start..at)?).ok()?.parse().ok()?, at)),
    }
}

/// Digits that follow each other, as a number; it is right as long as there are at most 18.
#[derive(Default)]
struct Digits {
    value: u64,
    count: usize,
}

impl Digits {
    /// Takes the digits from a byte on, and returns where they end. Eight bytes are looked at together.
    #[inline]
    fn by_eight(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word) ^ 0x3030_3030_3030_3030;
            // A byte that is no digit is above 9 now, so that adding 0x76 sets its highest bit. A carry goes to bytes behind it only.
            let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
            let run = others.trailing_zeros() / 8;
            // Zeros before the digits instead of what is behind them; then pairs, fours and eights are added up.
            let word = word.checked_shl(64 - 8 * run).unwrap_or(0);
            let pairs = word.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
            let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
            let eight = fours.wrapping_mul(10_000 << 32 | 1) >> 32;
            let run = usize::try_from(run).unwrap_or(8);
            let power = TENS.get(run).copied().unwrap_or(1);
            self.value = self.value.wrapping_mul(power).wrapping_add(eight);
            self.count += run;
            at += run;
            if run < 8 {
                return at;
            }
        }
        self.one_by_one(bytes, at)
    }

    #[inline]
    fn one_by_one(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
            self.value = self.value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            self.count += 1;
            at += 1;
        }
        at
    }
}

const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygons_are_read_as_the_field_writes_them() {
        let cases: [(&str, Option<GeometryError>); 8] = [
            ("\n-11.,-12.1 13.2,14. 15,16 -11,-12.1\n", None),
            ("1,2 3,4 1,2", Some(GeometryError::TooFew { count: 3 })),
            ("3,4 a,b 5,6 3,4", Some(GeometryError::Pair { index: 2 })),
            ("300,200 3,4 5,6 300,200", Some(GeometryError::Range { index: 1 })),
            ("1,2 3,4 5,6 1,2.1", Some(GeometryError::Open)),
            ("1,2 3, 4 5,6 1,2", Some(GeometryError::Pair { index: 2 })),
            ("1e1,2 3,4 5,6 1e1,2", Some(GeometryError::Pair { index: 1 })),
            ("nan,2 3,4 5,6 nan,2", Some(GeometryError::Pair { index: 1 })),
        ];
        for (text, expected) in cases {
            assert_eq!(Polygon::new(text).points().err(), expected, "{text}");
        }
    }

    #[test]
    fn circles_are_read_with_their_radius() {
        for digits in [
            "0.1",
            "42.9746",
            "-82.40661",
            "179.99999999999",
            "12345.678901234",
            "0.000000000000001",
            "1234567890.12345678",
            "0000000000000000000000000001",
            "123456789012345678901234567890.5",
        ] {
            // What follows a number is read with it and must not change it.
            for behind in ["", " 1", ",123456789", "/////////", "\u{ff}\u{ff}\u{ff}\u{ff}", "::::::::"] {
                let text = format!("{digits}{behind}");
                let expected = digits.parse().ok().map(|value| (value, digits.len()));
                assert_eq!(number_at(text.as_bytes(), 0), expected, "{text}");
            }
            assert_eq!(number(digits), digits.parse().ok(), "{digits}");
        }
        for text in ["", ".", "-", "+.", "a1", " 1", "--1", "1-", "1.2.3", "1e5"] {
            assert_eq!(number(text), None, "{text}");
        }
        for (text, radius) in [
            ("32.9525,-115.5527 0", Some(0.0)),
            ("1,2 3.5", Some(3.5)),
            ("1,2 -3", None),
            ("1, 2 3", None),
            ("invalid", None),
        ] {
            assert_eq!(Circle::new(text).radius_km().ok(), radius, "{text}");
        }
    }
}

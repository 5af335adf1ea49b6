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
        let mut points = Vec::with_capacity(bytes.len() / 20 + 1);
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
fn number_at(bytes: &[u8], start: usize) -> Option<(f64, usize)> {
    let sign = bytes.get(start)?;
    let mut at = start + usize::from(matches!(sign, b'-' | b'+'));
    let (mut mantissa, mut count, mut scale, mut point) = (0_u64, 0_usize, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                count += 1;
                scale += usize::from(point);
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    match (count, POWERS.get(scale)) {
        (0, _) => None,
        (1..=18, Some(power)) if mantissa < 1 << 53 => {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let value = mantissa as f64 / power;
            Some((if *sign == b'-' { -value } else { value }, at))
        }
        _ => Some((std::str::from_utf8(bytes.get(start..at)?).ok()?.parse().ok()?, at)),
    }
}

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
            assert_eq!(number(digits), digits.parse().ok(), "{digits}");
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

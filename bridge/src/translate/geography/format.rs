//! The compact boundary file: how `capbridge geodata build` and `scripts/geodata_us.py` write it and how it is read.
//!
//! `CAPBGEO`, one byte of version, SHA-256 of the body, body. Body, all numbers LEB128 varints (signed ones zigzag),
//! all texts with their length before them:
//! source; layers; places. A layer: kind, units per degree, arcs, features. An arc: points, each as the difference
//! (longitude, latitude) to the point before, also over the arc's end. A feature: code, name, rings; a ring: arcs as
//! `number << 1 | reversed`, without the closing point. A place has no shape: code, name, latitude, longitude
//! (1e-5 degree), radius (m), census division.
//!
//! A line that two neighbours share is kept once. Whatever a file says is checked against its length before it is
//! believed.

use aws_lc_rs::digest;
use geo::Coord;

use super::GeodataError;
use super::layer::{Feature, LayerKind};

const MAGIC: &[u8] = b"CAPBGEO";
const VERSION: u8 = 1;
const DIGEST_BYTES: usize = 32;
/// Shared lines are repeated when read, so a small file could ask for much memory.
const MAX_POINTS: usize = 20_000_000;
/// Of places without a shape.
const PLACE_UNITS: f64 = 100_000.0;

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    pub(super) source: String,
    pub(super) layers: Vec<(LayerKind, Vec<Feature>)>,
    pub(super) places: Vec<Place>,
}

/// A place without a shape: a CLC zone from a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) lat: f64,
    pub(super) lon: f64,
    /// Radius of the circle with the same area.
    pub(super) radius_km: f64,
    /// Census division, or empty.
    pub(super) sgc: String,
}

/// Reads a file.
///
/// # Errors
/// Not such a file, another version, damaged, or numbers that cannot be.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, GeodataError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(GeodataError::NotGeodata)?;
    let (version, rest) = rest.split_first().ok_or(GeodataError::Truncated)?;
    if *version != VERSION {
        return Err(GeodataError::Version { version: *version });
    }
    let (expected, body) = rest.split_at_checked(DIGEST_BYTES).ok_or(GeodataError::Truncated)?;
    if digest::digest(&digest::SHA256, body).as_ref() != expected {
        return Err(GeodataError::Checksum);
    }
    let mut from = Reader { rest: body, points: 0 };
    let source = from.text()?;
    let mut layers = Vec::new();
    for _ in 0..from.count()? {
        let kind = from.varint()?;
        let kind = LayerKind::from_number(kind).ok_or(GeodataError::LayerKind { kind })?;
        layers.push((kind, from.layer()?));
    }
    let mut places = Vec::new();
    for _ in 0..from.count()? {
        places.push(from.place()?);
    }
    if !from.rest.is_empty() {
        return Err(GeodataError::TrailingBytes { count: from.rest.len() });
    }
    Ok(Contents { source, layers, places })
}

struct Reader<'a> {
    rest: &'a [u8],
    points: usize,
}

impl Reader<'_> {
    fn varint(&mut self) -> Result<u64, GeodataError> {
        let mut value = 0u64;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(GeodataError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 127) << shift;
            if byte & 128 == 0 {
                return Ok(value);
            }
        }
        Err(GeodataError::Number)
    }

    fn signed(&mut self) -> Result<i64, GeodataError> {
        let value = self.varint()?;
        let half = i64::try_from(value >> 1).map_err(|_| GeodataError::Number)?;
        Ok(if value & 1 == 0 { half } else { -half - 1 })
    }

    /// How many of something follow; each takes at least one byte.
    fn count(&mut self) -> Result<usize, GeodataError> {
        let count = usize::try_from(self.varint()?).map_err(|_| GeodataError::Number)?;
        if count > self.rest.len() { Err(GeodataError::Truncated) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<String, GeodataError> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(GeodataError::Truncated)?;
        self.rest = rest;
        String::from_utf8(text.to_vec()).map_err(|_| GeodataError::Text)
    }

    fn layer(&mut self) -> Result<Vec<Feature>, GeodataError> {
        let units = self.varint()?;
        if !(1..=100_000_000).contains(&units) {
            return Err(GeodataError::Number);
        }
        let arcs = self.arcs(units as f64)?;
        let mut features = Vec::new();
        for _ in 0..self.count()? {
            let (code, name) = (self.text()?, self.text()?);
            let mut rings = Vec::new();
            for _ in 0..self.count()? {
                let ring = self.ring(&arcs)?;
                if ring.len() >= 3 {
                    rings.push(ring);
                }
            }
            features.push(Feature { code, name, rings });
        }
        Ok(features)
    }

    fn arcs(&mut self, units: f64) -> Result<Vec<Vec<Coord<f64>>>, GeodataError> {
        let (mut lon, mut lat) = (0i64, 0i64);
        let mut arcs = Vec::new();
        for _ in 0..self.count()? {
            let mut arc = Vec::new();
            for _ in 0..self.count()? {
                lon = lon.checked_add(self.signed()?).ok_or(GeodataError::Number)?;
                lat = lat.checked_add(self.signed()?).ok_or(GeodataError::Number)?;
                let point = Coord { x: lon as f64 / units, y: lat as f64 / units };
                if point.x.abs() > 181.0 || point.y.abs() > 90.0 {
                    return Err(GeodataError::Number);
                }
                arc.push(point);
            }
            arcs.push(arc);
        }
        Ok(arcs)
    }

    fn ring(&mut self, arcs: &[Vec<Coord<f64>>]) -> Result<Vec<Coord<f64>>, GeodataError> {
        let mut ring: Vec<Coord<f64>> = Vec::new();
        for _ in 0..self.count()? {
            let reference = self.varint()?;
            let number = usize::try_from(reference >> 1).map_err(|_| GeodataError::Number)?;
            let arc = arcs.get(number).ok_or(GeodataError::Arc { number })?;
            self.points += arc.len();
            if self.points > MAX_POINTS {
                return Err(GeodataError::TooLarge);
            }
            ring.pop(); // where one arc ends the next begins
            if reference & 1 == 0 {
                ring.extend_from_slice(arc);
            } else {
                ring.extend(arc.iter().rev());
            }
        }
        if ring.len() > 1 && ring.first() == ring.last() {
            ring.pop();
        }
        Ok(ring)
    }

    fn place(&mut self) -> Result<Place, GeodataError> {
        let (code, name) = (self.text()?, self.text()?);
        let (lat, lon) = (self.signed()? as f64 / PLACE_UNITS, self.signed()? as f64 / PLACE_UNITS);
        let radius_km = self.varint()? as f64 / 1000.0;
        if lat.abs() > 90.0 || lon.abs() > 180.0 || radius_km > 20_040.0 {
            return Err(GeodataError::Number);
        }
        Ok(Place { code, name, lat, lon, radius_km, sgc: self.text()? })
    }
}

/// A layer to be written: lines once, and which of them make each feature.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Points as (longitude, latitude) in `units_per_degree`.
    pub(super) arcs: Vec<Vec<(i64, i64)>>,
    pub(super) units_per_degree: u64,
    /// Code, name, rings of `number << 1 | reversed`.
    pub(super) features: Vec<(String, String, Vec<Vec<u64>>)>,
}

/// Writes a file.
pub(super) fn write(source: &str, layers: &[(LayerKind, Outline)], places: &[Place]) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, source);
    put(&mut body, layers.len() as u64);
    for (kind, layer) in layers {
        put(&mut body, kind.number());
        put(&mut body, layer.units_per_degree);
        put_layer(&mut body, layer);
    }
    put(&mut body, places.len() as u64);
    for place in places {
        put_text(&mut body, &place.code);
        put_text(&mut body, &place.name);
        put_signed(&mut body, (place.lat * PLACE_UNITS).round() as i64);
        put_signed(&mut body, (place.lon * PLACE_UNITS).round() as i64);
        put(&mut body, (place.radius_km * 1000.0).round() as u64);
        put_text(&mut body, &place.sgc);
    }
    let mut file = MAGIC.to_vec();
    file.push(VERSION);
    file.extend_from_slice(digest::digest(&digest::SHA256, &body).as_ref());
    file.append(&mut body);
    file
}

fn put_layer(out: &mut Vec<u8>, layer: &Outline) {
    put(out, layer.arcs.len() as u64);
    let (mut lon, mut lat) = (0, 0);
    for arc in &layer.arcs {
        put(out, arc.len() as u64);
        for (x, y) in arc {
            put_signed(out, x - lon);
            put_signed(out, y - lat);
            (lon, lat) = (*x, *y);
        }
    }
    put(out, layer.features.len() as u64);
    for (code, name, rings) in &layer.features {
        put_text(out, code);
        put_text(out, name);
        put(out, rings.len() as u64);
        for ring in rings {
            put(out, ring.len() as u64);
            ring.iter().for_each(|reference| put(out, *reference));
        }
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

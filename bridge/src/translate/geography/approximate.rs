//! Census divisions without their boundaries: from centroids and radii. Says where a shape most likely lies, never for
//! certain; whoever uses it reports `exact: false`.
//!
//! Points of the shape that lie in no US county are given each to the division whose centroid is nearest in units of
//! its radius. The US side of the border is exact, so the border itself decides what is Canadian.

use std::collections::{BTreeMap, BTreeSet};

use geo::Coord;
use rstar::AABB;

use super::facts::Division;
use super::layer::Layer;
use super::shape::{self, KM_PER_DEGREE, Shapes};

/// A division reaches this many radii from its centroid: a long one reaches further than a round one.
const REACH_RADII: f64 = 1.6;
/// Points along each side of the shape's box.
const GRID: u32 = 16;

/// Codes of the divisions that the shape most likely touches.
pub(super) fn divisions<'a>(
    divisions: &'a BTreeMap<String, Division>,
    known: &[&Layer],
    shapes: &Shapes,
) -> BTreeSet<&'a str> {
    let near: Vec<_> = divisions.iter().filter(|(_, division)| reaches(division, shapes)).collect();
    if near.is_empty() {
        return BTreeSet::new();
    }
    let samples = samples(shapes);
    let abroad = samples.into_iter().filter(|sample| !known.iter().any(|layer| layer.contains(*sample)));
    abroad.filter_map(|sample| nearest(&near, sample, REACH_RADII)).collect()
}

/// Whether the shape may touch one of the divisions.
pub(super) fn any_reaches(divisions: &BTreeMap<String, Division>, shapes: &Shapes) -> bool {
    divisions.values().any(|division| reaches(division, shapes))
}

/// Codes of the divisions that most likely lie within `limit_km` of a small shape.
pub(super) fn within<'a>(
    divisions: &'a BTreeMap<String, Division>,
    counties: &Layer,
    shapes: &Shapes,
    limit_km: f64,
) -> Option<&'a str> {
    let center = shapes.outlines.first()?.first()?;
    let all: Vec<_> = divisions.iter().collect();
    // Rings around it, the nearest first.
    let (rings, bearings) = (4u32, 16u32);
    for (ring, bearing) in (1..=rings).flat_map(|ring| (0..bearings).map(move |bearing| (ring, bearing))) {
        let angle = f64::from(bearing) / f64::from(bearings) * std::f64::consts::TAU;
        let degrees = limit_km * f64::from(ring) / f64::from(rings) / KM_PER_DEGREE;
        let lon = degrees * angle.sin() / center.y.to_radians().cos().max(0.01);
        let sample = Coord { x: center.x + lon, y: center.y + degrees * angle.cos() };
        if counties.contains(sample) {
            continue;
        }
        if let Some(sgc) = nearest(&all, sample, REACH_RADII) {
            return Some(sgc);
        }
    }
    None
}

/// The division whose centroid is nearest in units of its radius, if one is within `reach` of them.
fn nearest<'a>(near: &[(&'a String, &Division)], sample: Coord<f64>, reach: f64) -> Option<&'a str> {
    let mut best: Option<(&str, f64)> = None;
    for (sgc, division) in near {
        let radii = km(division, sample) / division.radius_km.max(1.0);
        if radii <= reach && best.is_none_or(|(_, least)| radii < least) {
            best = Some((sgc, radii));
        }
    }
    best.map(|(sgc, _)| sgc)
}

fn km(division: &Division, point: Coord<f64>) -> f64 {
    let lon = (division.lon - point.x) * ((division.lat + point.y) / 2.0).to_radians().cos();
    (division.lat - point.y).hypot(lon) * KM_PER_DEGREE
}

fn reaches(division: &Division, shapes: &Shapes) -> bool {
    let reach = REACH_RADII * division.radius_km;
    shapes.envelope.is_some_and(|envelope| {
        let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
        let nearest = Coord { x: division.lon.clamp(west, east), y: division.lat.clamp(south, north) };
        km(division, nearest) <= reach
    })
}

/// Points of the outlines and a grid inside.
fn samples(shapes: &Shapes) -> Vec<Coord<f64>> {
    let mut samples: Vec<Coord<f64>> = shapes.outlines.iter().flatten().copied().collect();
    for part in &shapes.area.0 {
        let rings: Vec<&[Coord<f64>]> =
            std::iter::once(part.exterior()).chain(part.interiors()).map(|ring| ring.0.as_slice()).collect();
        let points: Vec<_> = part.exterior().0.iter().map(|p| [p.x, p.y]).collect();
        let envelope = AABB::from_points(&points);
        let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
        for (column, row) in (0..GRID).flat_map(|column| (0..GRID).map(move |row| (column, row))) {
            let part = |index: u32| (f64::from(index) + 0.5) / f64::from(GRID);
            let point =
                Coord { x: west + (east - west) * part(column), y: south + (north - south) * part(row) };
            if shape::inside(point, rings.iter().copied()) {
                samples.push(point);
            }
        }
    }
    samples
}

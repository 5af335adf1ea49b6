//! One set of boundaries: which of its features a shape overlaps, by how much, and which is nearest.
//!
//! Each ring is in the tree by itself, so that of a county with a thousand islands only those at hand are looked at.
//! A ring inside another is a hole (even-odd), so rings that do not meet the shape's box can be left out.

use std::collections::BTreeMap;

use geo::{BooleanOps, Coord, LineString, MultiPolygon, Polygon};
use rstar::{AABB, RTree, RTreeObject};

use super::shape::{self, KM_PER_DEGREE, Shapes};

/// What the features of a layer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LayerKind {
    /// US counties by FIPS code.
    UsCounties,
    /// Canadian census divisions by 4-digit SGC code.
    CensusDivisions,
    /// NWS zones, on land and water, by UGC.
    Zones,
    /// ECCC zones by 6-digit CLC.
    ClcZones,
}

impl LayerKind {
    /// As written in a file.
    pub(super) fn number(self) -> u64 {
        match self {
            LayerKind::UsCounties => 1,
            LayerKind::CensusDivisions => 2,
            LayerKind::Zones => 3,
            LayerKind::ClcZones => 4,
        }
    }

    pub(super) fn from_number(number: u64) -> Option<Self> {
        let all = [LayerKind::UsCounties, LayerKind::CensusDivisions, LayerKind::Zones, LayerKind::ClcZones];
        all.into_iter().find(|kind| kind.number() == number)
    }
}

/// A place with a shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Feature {
    pub(super) code: String,
    pub(super) name: String,
    /// Without the closing point.
    pub(super) rings: Vec<Vec<Coord<f64>>>,
}

/// Features with a tree over their rings.
#[derive(Debug, Default)]
pub(super) struct Layer {
    features: Vec<Feature>,
    tree: RTree<Ring>,
}

#[derive(Debug)]
struct Ring {
    feature: usize,
    ring: usize,
    envelope: AABB<[f64; 2]>,
}

impl RTreeObject for Ring {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

/// How a feature meets a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Overlap<'a> {
    pub(super) feature: &'a Feature,
    /// More than 0.
    pub(super) area_km2: f64,
}

/// The feature nearest to a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near<'a> {
    pub(super) feature: &'a Feature,
    pub(super) distance_km: f64,
    /// Where on its line, or in it.
    pub(super) at: Coord<f64>,
}

impl Layer {
    pub(super) fn new(features: Vec<Feature>) -> Self {
        let mut rings = Vec::new();
        for (number, feature) in features.iter().enumerate() {
            for (ring, points) in feature.rings.iter().enumerate() {
                let points: Vec<_> = points.iter().map(|p| [p.x, p.y]).collect();
                rings.push(Ring { feature: number, ring, envelope: AABB::from_points(&points) });
            }
        }
        Layer { features, tree: RTree::bulk_load(rings) }
    }

    pub(super) fn features(&self) -> &[Feature] {
        &self.features
    }

    pub(super) fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Whether a point lies in any feature.
    pub(super) fn contains(&self, point: Coord<f64>) -> bool {
        self.containing(point).is_some()
    }

    /// The feature that a point lies in.
    pub(super) fn containing(&self, point: Coord<f64>) -> Option<&Feature> {
        let near = self.near(&AABB::from_point([point.x, point.y]));
        let holds = near.into_iter().find(|(_, rings)| shape::inside(point, rings.iter().copied()));
        holds.and_then(|(number, _)| self.features.get(number))
    }

    /// The rings of each feature that meet the box.
    fn near(&self, envelope: &AABB<[f64; 2]>) -> BTreeMap<usize, Vec<&[Coord<f64>]>> {
        let mut near: BTreeMap<usize, Vec<&[Coord<f64>]>> = BTreeMap::new();
        for found in self.tree.locate_in_envelope_intersecting(envelope) {
            let ring = self.features.get(found.feature).and_then(|f| f.rings.get(found.ring));
            near.entry(found.feature).or_default().extend(ring.map(Vec::as_slice));
        }
        near
    }

    /// The features that share an area with the shape, in the order of the layer.
    pub(super) fn overlaps(&self, shapes: &Shapes) -> Vec<Overlap<'_>> {
        let mut found = Vec::new();
        for part in &shapes.area.0 {
            let points: Vec<_> = part.exterior().0.iter().map(|p| [p.x, p.y]).collect();
            if points.is_empty() {
                continue;
            }
            let envelope = AABB::from_points(&points);
            let part = MultiPolygon(vec![part.clone()]);
            for (number, rings) in self.near(&envelope) {
                let area_km2 = common_km2(&part, &rings, &envelope);
                if area_km2 > 0.0 {
                    found.push((number, area_km2));
                }
            }
        }
        found.sort_by_key(|(number, _)| *number);
        let mut overlaps: Vec<(usize, f64)> = Vec::new();
        for (number, area_km2) in found {
            match overlaps.last_mut() {
                Some(last) if last.0 == number => last.1 += area_km2,
                _ => overlaps.push((number, area_km2)),
            }
        }
        let with_feature =
            |(number, area_km2)| self.features.get(number).map(|feature| Overlap { feature, area_km2 });
        overlaps.into_iter().filter_map(with_feature).collect()
    }

    /// The nearest feature within `limit_km`; 0 away when the shape meets it.
    pub(super) fn nearest(&self, shapes: &Shapes, limit_km: f64) -> Option<Near<'_>> {
        let mut best: Option<Near<'_>> = None;
        for outline in &shapes.outlines {
            let points: Vec<_> = outline.iter().map(|p| [p.x, p.y]).collect();
            let Some(first) = outline.first() else { continue };
            let envelope = wider(&AABB::from_points(&points), limit_km);
            let lines = RTree::bulk_load(shape::edges(outline).map(|(a, b)| Line { a, b }).collect());
            for (number, rings) in self.near(&envelope) {
                let Some(feature) = self.features.get(number) else { continue };
                let near = if shape::inside(*first, rings.iter().copied()) {
                    Some(Near { feature, distance_km: 0.0, at: *first })
                } else {
                    nearest_point(&lines, &rings, &envelope, limit_km).map(|(distance_km, at)| Near {
                        feature,
                        distance_km,
                        at,
                    })
                };
                let nearer = |near: &Near<'_>| best.is_none_or(|best| near.distance_km < best.distance_km);
                best = near.filter(nearer).or(best);
            }
        }
        best
    }
}

/// A line of an outline. They are in a tree because an outline may have many points, and a coast too.
#[derive(Clone, Copy, Debug)]
struct Line {
    a: Coord<f64>,
    b: Coord<f64>,
}

impl RTreeObject for Line {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners([self.a.x, self.a.y], [self.b.x, self.b.y])
    }
}

/// Where rings come nearest to the lines, within `limit_km`. A feature wholly inside the shape has no line near it, but
/// then the two overlap.
fn nearest_point(
    lines: &RTree<Line>,
    rings: &[&[Coord<f64>]],
    envelope: &AABB<[f64; 2]>,
    limit_km: f64,
) -> Option<(f64, Coord<f64>)> {
    let mut best: Option<(f64, Coord<f64>)> = None;
    for (a, b) in rings.iter().flat_map(|ring| shape::edges(ring)) {
        if !envelope_of(a, b, envelope) {
            continue;
        }
        let around = wider(&AABB::from_corners([a.x, a.y], [b.x, b.y]), limit_km);
        for line in lines.locate_in_envelope_intersecting(&around) {
            let (distance_km, at) = shape::line_to_line(line.a, line.b, a, b);
            if distance_km <= limit_km && best.is_none_or(|(least, _)| distance_km < least) {
                best = Some((distance_km, at));
            }
        }
    }
    best
}

/// Whether a line may meet the box.
fn envelope_of(a: Coord<f64>, b: Coord<f64>, envelope: &AABB<[f64; 2]>) -> bool {
    let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
    a.x.max(b.x) >= west && a.x.min(b.x) <= east && a.y.max(b.y) >= south && a.y.min(b.y) <= north
}

fn wider(envelope: &AABB<[f64; 2]>, by_km: f64) -> AABB<[f64; 2]> {
    let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
    let lat = by_km / KM_PER_DEGREE;
    let lon = lat / south.abs().max(north.abs()).min(89.0).to_radians().cos();
    AABB::from_corners([west - lon, south - lat], [east + lon, north + lat])
}

/// The area that a shape and the rings of a feature share. The rings are first cut to the shape's box, which is quick
/// and leaves the exact comparison little to do.
fn common_km2(part: &MultiPolygon<f64>, rings: &[&[Coord<f64>]], envelope: &AABB<[f64; 2]>) -> f64 {
    let cut: Vec<_> = rings
        .iter()
        .map(|ring| cut_to(ring, envelope))
        .filter(|ring| ring.len() >= 3)
        .map(|ring| Polygon::new(LineString(ring), Vec::new()))
        .collect();
    if cut.is_empty() {
        return 0.0;
    }
    shape::area_km2(&part.intersection(&MultiPolygon(cut)))
}

/// Sutherland-Hodgman against the four sides. Where a ring leaves the box and comes back, lines along the side remain;
/// they hold no area.
fn cut_to(ring: &[Coord<f64>], envelope: &AABB<[f64; 2]>) -> Vec<Coord<f64>> {
    let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
    let at_lon = |lon: f64| {
        move |a: Coord<f64>, b: Coord<f64>| Coord { x: lon, y: a.y + (b.y - a.y) * (lon - a.x) / (b.x - a.x) }
    };
    let at_lat = |lat: f64| {
        move |a: Coord<f64>, b: Coord<f64>| Coord { x: a.x + (b.x - a.x) * (lat - a.y) / (b.y - a.y), y: lat }
    };
    let ring = side(ring, |p| p.x >= west, at_lon(west));
    let ring = side(&ring, |p| p.x <= east, at_lon(east));
    let ring = side(&ring, |p| p.y >= south, at_lat(south));
    side(&ring, |p| p.y <= north, at_lat(north))
}

fn side(
    ring: &[Coord<f64>],
    keeps: impl Fn(&Coord<f64>) -> bool,
    crossing: impl Fn(Coord<f64>, Coord<f64>) -> Coord<f64>,
) -> Vec<Coord<f64>> {
    let mut out = Vec::new();
    for (a, b) in shape::edges(ring) {
        let (from, to) = (keeps(&a), keeps(&b));
        if from != to {
            out.push(crossing(a, b));
        }
        if to {
            out.push(b);
        }
    }
    out
}

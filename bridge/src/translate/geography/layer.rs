//! One set of boundaries: which of its features a shape overlaps, by how much, and which is nearest.
//!
//! Each ring is in the tree by itself, so that of a county with a thousand islands only those at hand are looked at.
//! A ring inside another is a hole (even-odd), so rings that do not meet the shape's box can be left out.

use std::collections::{BTreeMap, BTreeSet};

use geo::{BooleanOps, Coord, LineString, MultiPolygon, Polygon};
use rstar::{AABB, Envelope, RTree, RTreeObject};

use super::clip::{Pieces, Room, beside_by_blocks, blocks};
use super::shape::{self, KM_PER_DEGREE, Shapes};

/// Lines that are quicker looked through than put into a tree.
const FEW_LINES: usize = 64;

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
    /// What it adds to its feature: less than 0 for a hole.
    area_km2: f64,
    /// Around parts of its line.
    blocks: Vec<AABB<[f64; 2]>>,
}

impl RTreeObject for Ring {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

/// Rings of one feature that must be cut, and the box around them.
struct Cut<'a> {
    around: AABB<[f64; 2]>,
    rings: Vec<(&'a [Coord<f64>], &'a Ring)>,
}

/// A shape made ready for comparison with several layers.
pub(super) struct Prepared<'s>(Vec<Part<'s>>);

impl<'s> Prepared<'s> {
    pub(super) fn new(shapes: &'s Shapes) -> Self {
        let parts = shapes.area.0.iter().filter(|part| !part.exterior().0.is_empty());
        Prepared(parts.map(|part| Part::new(part, shapes.simple)).collect())
    }
}

struct Part<'s> {
    polygon: &'s Polygon<f64>,
    envelope: AABB<[f64; 2]>,
    lines: Vec<Line>,
    /// A tree takes longer to make than few lines to look through.
    tree: Option<RTree<Line>>,
    /// Where it is simple.
    pieces: Option<Pieces>,
}

impl<'s> Part<'s> {
    fn new(polygon: &'s Polygon<f64>, is_simple: bool) -> Self {
        let lines: Vec<Line> = own(polygon).flat_map(shape::edges).map(|(a, b)| Line { a, b }).collect();
        let pieces = match (polygon.interiors().is_empty(), is_simple) {
            (true, true) => Pieces::of_simple(&open(polygon.exterior())),
            (true, false) => Pieces::new(&open(polygon.exterior())),
            (false, _) => None,
        };
        Part {
            polygon,
            envelope: envelope_of(&polygon.exterior().0),
            tree: (lines.len() > FEW_LINES).then(|| RTree::bulk_load(lines.clone())),
            lines,
            pieces,
        }
    }

    fn comes_near(&self, ring: &AABB<[f64; 2]>) -> bool {
        match &self.tree {
            Some(tree) => tree.locate_in_envelope_intersecting(ring).next().is_some(),
            None => self.lines.iter().any(|line| line.envelope().intersects(ring)),
        }
    }
}

/// The rings of a part of a shape.
fn own(part: &Polygon<f64>) -> impl Iterator<Item = &[Coord<f64>]> {
    std::iter::once(part.exterior()).chain(part.interiors()).map(|ring| ring.0.as_slice())
}

/// How a feature meets a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Overlap<'a> {
    pub(super) feature: &'a Feature,
    /// More than 0; see [`Layer::overlaps`].
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
            let envelopes: Vec<_> = feature.rings.iter().map(|ring| envelope_of(ring)).collect();
            for (ring, (points, envelope)) in feature.rings.iter().zip(&envelopes).enumerate() {
                let around = feature
                    .rings
                    .iter()
                    .zip(&envelopes)
                    .enumerate()
                    .filter(|(other, (_, around))| *other != ring && around.contains_envelope(envelope));
                let around = around.map(|(_, (points, _))| points.as_slice());
                let is_hole = points.first().is_some_and(|first| shape::inside(*first, around));
                let area_km2 = shape::ring_area_km2(points).abs() * if is_hole { -1.0 } else { 1.0 };
                let blocks = blocks(points);
                rings.push(Ring { feature: number, ring, envelope: *envelope, area_km2, blocks });
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

    /// The features that share an area with the shape, in the order of the layer. An area is as large as `enough_km2`, or
    /// larger, or it is the exact one: no more is looked for than decides.
    pub(super) fn overlaps(&self, shapes: &Prepared<'_>, enough_km2: f64) -> Vec<Overlap<'_>> {
        let mut common: BTreeMap<usize, f64> = BTreeMap::new();
        for part in &shapes.0 {
            self.overlaps_of(part, enough_km2, &mut common);
        }
        let with_feature =
            |(number, area_km2)| self.features.get(number).map(|feature| Overlap { feature, area_km2 });
        common.into_iter().filter(|(_, area_km2)| *area_km2 > 0.0).filter_map(with_feature).collect()
    }

    /// Adds what a part shares with each feature. A ring that no line of the part comes near lies wholly inside it or
    /// outside: only the others are cut.
    fn overlaps_of(&self, part: &Part<'_>, enough_km2: f64, common: &mut BTreeMap<usize, f64>) {
        let envelope = part.envelope;
        let mut holed = BTreeSet::new();
        let (mut room, mut near) = (Room::default(), Vec::new());
        let mut cut: BTreeMap<usize, Cut<'_>> = BTreeMap::new();
        for found in self.tree.locate_in_envelope_intersecting(&envelope) {
            let ring = self.features.get(found.feature).and_then(|feature| feature.rings.get(found.ring));
            let Some(ring) = ring.map(Vec::as_slice) else { continue };
            if part.comes_near(&found.envelope) {
                let new = || Cut { around: found.envelope, rings: Vec::new() };
                let feature = cut.entry(found.feature).or_insert_with(new);
                feature.around.merge(&found.envelope);
                feature.rings.push((ring, found));
            } else if ring.first().is_some_and(|point| shape::inside(*point, own(part.polygon))) {
                if found.area_km2 < 0.0 {
                    holed.insert(found.feature);
                }
                *common.entry(found.feature).or_default() += found.area_km2;
            }
        }
        for (number, Cut { around, rings }) in cut {
            let area_km2 = match &part.pieces {
                Some(pieces) => {
                    // With a hole, less may come after more.
                    let holed =
                        holed.contains(&number) || rings.iter().any(|(_, found)| found.area_km2 < 0.0);
                    let enough = if holed { f64::INFINITY } else { enough_km2 };
                    let areas = rings.iter().map(|(ring, found)| {
                        beside_by_blocks(ring, &found.blocks, &envelope, &mut near);
                        pieces.area_km2(&near, enough, &mut room).copysign(found.area_km2)
                    });
                    areas.sum::<f64>().max(0.0)
                }
                None => {
                    let rings: Vec<&[Coord<f64>]> = rings.iter().map(|(ring, _)| *ring).collect();
                    common_km2(part.polygon, &envelope, &rings, &around)
                }
            };
            *common.entry(number).or_default() += area_km2;
        }
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
        if !may_meet(a, b, envelope) {
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
fn may_meet(a: Coord<f64>, b: Coord<f64>, envelope: &AABB<[f64; 2]>) -> bool {
    let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
    a.x.max(b.x) >= west && a.x.min(b.x) <= east && a.y.max(b.y) >= south && a.y.min(b.y) <= north
}

fn wider(envelope: &AABB<[f64; 2]>, by_km: f64) -> AABB<[f64; 2]> {
    let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
    let lat = by_km / KM_PER_DEGREE;
    let lon = lat / south.abs().max(north.abs()).min(89.0).to_radians().cos();
    AABB::from_corners([west - lon, south - lat], [east + lon, north + lat])
}

fn envelope_of(ring: &[Coord<f64>]) -> AABB<[f64; 2]> {
    let points: Vec<_> = ring.iter().map(|p| [p.x, p.y]).collect();
    AABB::from_points(&points)
}

/// The area that a part of a shape and rings of a feature share. Both are first cut to the other's box, which is quick and
/// leaves the exact comparison little to do.
fn common_km2(
    part: &Polygon<f64>,
    envelope: &AABB<[f64; 2]>,
    rings: &[&[Coord<f64>]],
    around: &AABB<[f64; 2]>,
) -> f64 {
    let cut: Vec<_> = rings
        .iter()
        .map(|ring| cut_to(ring, envelope))
        .filter(|ring| ring.len() >= 3)
        .map(|ring| Polygon::new(LineString(ring), Vec::new()))
        .collect();
    let outside = cut_to(&open(part.exterior()), around);
    if cut.is_empty() || outside.len() < 3 {
        return 0.0;
    }
    let holes = part.interiors().iter().map(|hole| LineString(cut_to(&open(hole), around)));
    let holes = holes.filter(|hole| hole.0.len() >= 3).collect();
    let part = MultiPolygon(vec![Polygon::new(LineString(outside), holes)]);
    shape::area_km2(&part.intersection(&MultiPolygon(cut)))
}

/// Without the closing point.
fn open(ring: &LineString<f64>) -> Vec<Coord<f64>> {
    let mut points = ring.0.clone();
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
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

//! The shapes of an alert, made ready for comparison: rings of longitude and latitude that are finite, in range and do
//! not cross themselves; and the measures, in kilometres, that decide.
//!
//! A shape is never widened. A circle becomes a polygon inside it. INFERRED: two neighbouring points more than 180
//! degrees of longitude apart are meant to go the short way, over the 180th meridian (CAP 1.2 3.2.4 is silent).

use cap_schema::Point;
use geo::{BooleanOps, Coord, LineString, MultiPolygon, Polygon, bool_ops::FillRule};
use rstar::{AABB, Envelope, RTree, RTreeObject};

use super::format::Place;

pub(super) const KM_PER_DEGREE: f64 = EARTH_RADIUS_KM * std::f64::consts::PI / 180.0;
const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// 1 - sin(2π/n) n/2π is 0.0007 at 96: the area that the inscribed polygon lacks.
const CIRCLE_POINTS: u32 = 96;
/// A circle that is wider is no place.
pub(in crate::translate) const MOST_RADIUS_KM: f64 = EARTH_RADIUS_KM * 1.5;
/// Rings of more points are not looked through line by line.
pub(super) const SIMPLE_POINTS: usize = 300;
/// A ring whose lines cross more often says no place; joining its parts would take minutes.
const MOST_CROSSINGS: usize = 500;
/// An alert with more points than this is not measured: it would hold the translator for minutes.
const MAX_POINTS: usize = 100_000;

/// What a layer is compared with.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    /// Areas, joined to one, of which no part lies in another.
    pub(super) area: MultiPolygon<f64>,
    /// Lines to measure distances from: the rings, and circles of radius 0 as lines of one point.
    pub(super) outlines: Vec<Vec<Coord<f64>>>,
    /// In square kilometres.
    pub(super) area_km2: f64,
    /// One ring that neither crosses nor touches itself.
    pub(super) simple: bool,
    /// Nothing was left out for its size.
    pub(super) whole: bool,
    /// The box around everything, `None` when there is nothing.
    pub(super) envelope: Option<AABB<[f64; 2]>>,
}

impl Shapes {
    /// Takes what can be used; points out of range, rings without area and circles without a radius's meaning are
    /// left out.
    pub(super) fn new(polygons: &[Vec<Point>], circles: &[(Point, f64)]) -> Self {
        let rings = polygons.iter().filter_map(|ring| polygon_ring(ring));
        let rings: Vec<_> =
            rings.chain(circles.iter().filter_map(|(center, km)| circle_ring(*center, *km))).collect();
        let mut shapes = Shapes {
            area: MultiPolygon(Vec::new()),
            outlines: Vec::new(),
            area_km2: 0.0,
            whole: true,
            simple: false,
            envelope: None,
        };
        let (mut points, mut parts, mut simple) = (0, Vec::new(), true);
        for ring in rings.iter().flat_map(|ring| around_the_meridian(ring)) {
            points += ring.len();
            if points > MAX_POINTS {
                shapes.whole = false;
                break;
            }
            if ring.len() >= 3 {
                if is_simple(&ring) {
                    parts.push(Polygon::new(LineString(ring.clone()), Vec::new()));
                } else if count_crossings(&ring, MOST_CROSSINGS) < MOST_CROSSINGS {
                    parts.extend(filled(&ring).0);
                    simple = false;
                } else {
                    shapes.whole = false;
                    continue;
                }
            }
            shapes.outlines.push(ring);
        }
        if parts.len() > 1 {
            parts = parts.into_iter().map(wound_left).collect();
        }
        let parts_count = parts.len();
        // All are wound alike by now, so what they cover together is what is wound around at all.
        shapes.area = match parts.len() {
            0 | 1 => MultiPolygon(parts),
            _ => MultiPolygon(parts).union_with_fill_rule(&MultiPolygon(Vec::new()), FillRule::NonZero),
        };
        shapes.simple = simple && parts_count == 1;
        shapes.area_km2 = area_km2(&shapes.area);
        shapes.envelope = shapes.measured();
        shapes
    }

    /// Nothing could be used.
    pub(super) fn is_empty(&self) -> bool {
        self.outlines.is_empty()
    }

    /// A single point.
    pub(super) fn point(point: Coord<f64>) -> Self {
        Shapes {
            area: MultiPolygon(Vec::new()),
            outlines: vec![vec![point]],
            area_km2: 0.0,
            whole: true,
            simple: false,
            envelope: Some(AABB::from_point([point.x, point.y])),
        }
    }

    /// Whether the two have a point in common.
    pub(super) fn touches(&self, other: &Shapes) -> bool {
        let (Some(one), Some(two)) = (self.envelope, other.envelope) else { return false };
        if !one.intersects(&two) {
            return false;
        }
        let holds = |shapes: &Shapes, outline: &[Coord<f64>]| {
            outline.first().is_some_and(|point| inside(*point, shapes.rings()))
        };
        let meet = |a: &[Coord<f64>], b: &[Coord<f64>]| {
            a.first().is_some_and(|point| distance_km(a, b, point.y) == 0.0)
                || holds(self, b)
                || holds(other, a)
        };
        self.outlines.iter().any(|a| other.outlines.iter().any(|b| meet(a, b)))
    }

    fn rings(&self) -> impl Iterator<Item = &[Coord<f64>]> {
        let rings =
            self.area.0.iter().flat_map(|part| std::iter::once(part.exterior()).chain(part.interiors()));
        rings.map(|ring| ring.0.as_slice())
    }

    /// Whether the shape comes within the radius of a place without a boundary.
    pub(super) fn reach(&self, place: &Place) -> bool {
        let center = Coord { x: place.lon, y: place.lat };
        let Some(envelope) = self.envelope else { return false };
        if envelope.distance_2(&[center.x, center.y]).sqrt() * KM_PER_DEGREE * center.y.to_radians().cos()
            > place.radius_km
        {
            return false;
        }
        inside(center, self.rings())
            || self
                .outlines
                .iter()
                .any(|outline| distance_km(outline, &[center], center.y) <= place.radius_km)
    }

    fn measured(&self) -> Option<AABB<[f64; 2]>> {
        let points: Vec<_> = self.outlines.iter().flatten().map(|p| [p.x, p.y]).collect();
        (!points.is_empty()).then(|| AABB::from_points(&points))
    }
}

/// A ring that neither crosses nor touches itself goes around what it says. Looked at for rings of few points only.
pub(super) fn is_simple(ring: &[Coord<f64>]) -> bool {
    if ring.len() > SIMPLE_POINTS {
        return false;
    }
    let lines: Vec<(Coord<f64>, Coord<f64>)> = edges(ring).collect();
    lines.iter().enumerate().all(|(number, (a, b))| {
        lines.iter().enumerate().skip(number + 1).all(|(other, (c, d))| {
            // Neighbours share an end; they may not run back over each other.
            if other == number + 1 {
                return !folds(*a, *b, *d);
            }
            if number == 0 && other + 1 == lines.len() {
                return !folds(*b, *a, *c);
            }
            !meets(*a, *b, *c, *d)
        })
    })
}

/// From `b` on back towards `a`.
fn folds(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>) -> bool {
    let (one, two) = ((a.x - b.x, a.y - b.y), (c.x - b.x, c.y - b.y));
    one.0 * two.1 - one.1 * two.0 == 0.0 && one.0 * two.0 + one.1 * two.1 >= 0.0
}

/// Whether two lines have a point in common.
fn meets(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> bool {
    let apart = |a: f64, b: f64, c: f64, d: f64| a.max(b) < c.min(d) || c.max(d) < a.min(b);
    if apart(a.x, b.x, c.x, d.x) || apart(a.y, b.y, c.y, d.y) {
        return false;
    }
    let turn =
        |p: Coord<f64>, q: Coord<f64>, r: Coord<f64>| (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x);
    turn(a, b, c) * turn(a, b, d) <= 0.0 && turn(c, d, a) * turn(c, d, b) <= 0.0
}

/// Rings as they are after a union: the outer one counter-clockwise.
fn wound_left(part: Polygon<f64>) -> Polygon<f64> {
    let (exterior, interiors) = part.into_inner();
    let mut ring = exterior.0;
    if ring_area_km2(&ring) < 0.0 {
        ring.reverse();
    }
    Polygon::new(LineString(ring), interiors)
}

/// What a ring goes around. One that crosses itself, or winds twice, stands for all of it.
fn filled(ring: &[Coord<f64>]) -> MultiPolygon<f64> {
    let ring = MultiPolygon(vec![Polygon::new(LineString(ring.to_vec()), Vec::new())]);
    ring.union_with_fill_rule(&MultiPolygon(Vec::new()), FillRule::NonZero)
}

/// How often lines of a ring cross others of it, counted up to `limit`. A ring that would take too long to look through
/// counts as one that crosses as often as that.
pub(in crate::translate) fn crossings(points: &[Point], limit: usize) -> usize {
    let ring: Vec<Coord<f64>> = points.iter().map(|p| Coord { x: p.lon, y: p.lat }).collect();
    if is_simple(&ring) { 0 } else { count_crossings(&ring, limit) }
}

fn count_crossings(ring: &[Coord<f64>], limit: usize) -> usize {
    const MOST_COMPARISONS: usize = 5_000_000;
    let lines: Vec<Numbered> =
        edges(ring).enumerate().map(|(number, (a, b))| Numbered { number, a, b }).collect();
    let tree = RTree::bulk_load(lines.clone());
    let (mut found, mut compared) = (0, 0);
    for line in &lines {
        for other in tree.locate_in_envelope_intersecting(&line.envelope()) {
            compared += 1;
            if other.number > line.number && crosses(line.a, line.b, other.a, other.b) {
                found += 1;
            }
            if found >= limit || compared >= MOST_COMPARISONS {
                return limit;
            }
        }
    }
    found
}

/// The area of a ring that crosses itself as rings that do not, as CAP writes them; `None` where it has holes.
pub(in crate::translate) fn uncrossed(points: &[Point]) -> Option<Vec<String>> {
    let area = filled(&polygon_ring(points)?);
    let text = |polygon: &Polygon<f64>| {
        let six = |value: f64| (value * 1e6).round() / 1e6;
        let pairs = polygon.exterior().0.iter().map(|p| format!("{},{}", six(p.y), six(p.x)));
        pairs.collect::<Vec<_>>().join(" ")
    };
    let whole =
        |p: &Polygon<f64>| p.interiors().is_empty() && p.exterior().0.iter().all(|p| p.x.abs() <= 180.0);
    (!area.0.is_empty() && area.0.iter().all(whole)).then(|| area.0.iter().map(text).collect())
}

/// A line of a ring with its number.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    number: usize,
    a: Coord<f64>,
    b: Coord<f64>,
}

impl RTreeObject for Numbered {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners([self.a.x, self.a.y], [self.b.x, self.b.y])
    }
}

fn usable(point: Point) -> Option<Coord<f64>> {
    let in_range = (-90.0..=90.0).contains(&point.lat) && (-180.0..=180.0).contains(&point.lon);
    in_range.then_some(Coord { x: point.lon, y: point.lat })
}

/// Without the closing point; `None` when a point is out of range or fewer than three are left.
fn polygon_ring(points: &[Point]) -> Option<Vec<Coord<f64>>> {
    let mut ring: Vec<Coord<f64>> = Vec::with_capacity(points.len());
    for point in points {
        let mut point = usable(*point)?;
        if let Some(last) = ring.last() {
            while point.x - last.x > 180.0 {
                point.x -= 360.0;
            }
            while point.x - last.x < -180.0 {
                point.x += 360.0;
            }
            if point == *last {
                continue;
            }
        }
        ring.push(point);
    }
    if ring.len() > 1 && ring.first() == ring.last() {
        ring.pop();
    }
    (ring.len() >= 3).then_some(ring)
}

/// A circle on the sphere as a polygon inside it; a radius of 0 is its centre.
fn circle_ring(center: Point, radius_km: f64) -> Option<Vec<Coord<f64>>> {
    let center = usable(center)?;
    if !(0.0..=MOST_RADIUS_KM).contains(&radius_km) {
        return None;
    }
    let angle = radius_km / EARTH_RADIUS_KM;
    if angle * EARTH_RADIUS_KM < 0.001 {
        return Some(vec![center]);
    }
    let lat = center.y.to_radians();
    let mut ring: Vec<Coord<f64>> = (0..CIRCLE_POINTS)
        .map(|i| {
            let bearing = f64::from(i) * std::f64::consts::TAU / f64::from(CIRCLE_POINTS);
            let sine = lat.sin() * angle.cos() + lat.cos() * angle.sin() * bearing.cos();
            let sine = sine.clamp(-1.0, 1.0);
            let turn = (bearing.sin() * angle.sin() * lat.cos()).atan2(angle.cos() - lat.sin() * sine);
            Coord { x: center.x + turn.to_degrees(), y: sine.asin().to_degrees() }
        })
        .collect();
    for (pole, within) in [(90.0, 90.0 - center.y), (-90.0, 90.0 + center.y)] {
        if angle.to_degrees() > within {
            // Around a pole the line runs from one side of the map to the other.
            ring.sort_by(|a, b| a.x.total_cmp(&b.x));
            ring.push(Coord { x: center.x + 180.0, y: pole });
            ring.push(Coord { x: center.x - 180.0, y: pole });
        }
    }
    Some(ring)
}

/// The ring, and where it runs over the edge of the map once more on the other side.
fn around_the_meridian(ring: &[Coord<f64>]) -> Vec<Vec<Coord<f64>>> {
    let moved = |by: f64| ring.iter().map(|p| Coord { x: p.x + by, y: p.y }).collect();
    let mut rings = vec![ring.to_vec()];
    if ring.iter().any(|p| p.x > 180.0) {
        rings.push(moved(-360.0));
    }
    if ring.iter().any(|p| p.x < -180.0) {
        rings.push(moved(360.0));
    }
    rings
}

/// Area on the sphere of polygons whose holes lie inside them, in square kilometres.
pub(super) fn area_km2(area: &MultiPolygon<f64>) -> f64 {
    let ring = |ring: &LineString<f64>| ring_area_km2(&ring.0).abs();
    let one = |p: &Polygon<f64>| ring(p.exterior()) - p.interiors().iter().map(ring).sum::<f64>();
    area.0.iter().map(one).sum::<f64>().max(0.0)
}

/// Signed: positive when counter-clockwise. Lines are straight on the map of equal areas between their ends, which for
/// the lines of boundaries is nearer than the data.
pub(super) fn ring_area_km2(ring: &[Coord<f64>]) -> f64 {
    let Some(before) = ring.last() else { return 0.0 };
    let mut before = (before.x, height_km2(before.y));
    let mut sum = 0.0;
    for point in ring {
        let point = (point.x, height_km2(point.y));
        sum += (before.0 - point.0).to_radians() * (before.1 + point.1);
        before = point;
    }
    sum / 2.0
}

/// The same for lines that are straight on the map of longitude and latitude, whose pieces have the area of the whole.
pub(super) fn straight_area_km2(ring: &[Coord<f64>]) -> f64 {
    // A line over less of latitude than this is as long on either map.
    const SHORT_DEGREES: f64 = 0.01;
    let Some(before) = ring.last() else { return 0.0 };
    let mut before = (*before, height_km2(before.y));
    let mut sum = 0.0;
    for point in ring {
        let here = (*point, height_km2(point.y));
        let rise = here.0.y - before.0.y;
        let mean = if rise.abs() < SHORT_DEGREES {
            f64::midpoint(before.1, here.1)
        } else {
            // Gauss and Legendre, three points.
            let at = |share: f64| height_km2(before.0.y + rise * share);
            let edge = 0.6_f64.sqrt() / 2.0;
            (5.0 * at(0.5 - edge) + 8.0 * at(0.5) + 5.0 * at(0.5 + edge)) / 18.0
        };
        sum += (before.0.x - here.0.x).to_radians() * mean;
        before = here;
    }
    sum
}

/// Area from the equator up to a latitude for each radian of longitude, on the ellipsoid GRS 80 (Snyder, Map
/// Projections, 3-12): at 60 degrees the sphere is 0.6 % off.
fn height_km2(lat: f64) -> f64 {
    const AXIS_KM: f64 = 6_378.137;
    const SQUARED: f64 = 0.006_694_380_022_90;
    let eccentricity = SQUARED.sqrt();
    let sine = lat.to_radians().sin();
    let (share, along) = (1.0 - SQUARED, eccentricity * sine);
    AXIS_KM * AXIS_KM * share / 2.0 * (sine / (1.0 - along * along) + along.atanh() / eccentricity)
}

/// Whether a point lies inside rings, of which one inside another is a hole.
pub(super) fn inside<'a>(point: Coord<f64>, rings: impl Iterator<Item = &'a [Coord<f64>]>) -> bool {
    let mut crossings = 0;
    for ring in rings {
        let Some(mut a) = ring.last() else { continue };
        for b in ring {
            if (a.y > point.y) != (b.y > point.y)
                && point.x < a.x + (point.y - a.y) / (b.y - a.y) * (b.x - a.x)
            {
                crossings += 1;
            }
            a = b;
        }
    }
    crossings % 2 == 1
}

/// Distance between two closed lines in kilometres on a plane that touches the Earth at `lat`; right to a few metres
/// for the few kilometres that it is asked for. 0 where they cross.
pub(super) fn distance_km(one: &[Coord<f64>], other: &[Coord<f64>], lat: f64) -> f64 {
    let scale = Coord { x: KM_PER_DEGREE * lat.to_radians().cos(), y: KM_PER_DEGREE };
    let mut least = f64::INFINITY;
    for (a, b) in edges(one) {
        for (c, d) in edges(other) {
            least = least.min(between(a, b, c, d, scale));
            if least == 0.0 {
                return 0.0;
            }
        }
    }
    least
}

/// The edges of a closed line; of one point, the point.
pub(super) fn edges(ring: &[Coord<f64>]) -> impl Iterator<Item = (Coord<f64>, Coord<f64>)> {
    let before = ring.last().into_iter().chain(ring.iter());
    before.zip(ring).map(|(a, b)| (*a, *b))
}

/// Distance between two lines as in [`distance_km`], and the point of the second that is nearest.
pub(super) fn line_to_line(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> (f64, Coord<f64>) {
    let scale = Coord { x: KM_PER_DEGREE * a.y.to_radians().cos(), y: KM_PER_DEGREE };
    if crosses(a, b, c, d) {
        return (0.0, c);
    }
    let ends = [point_to_line(a, c, d, scale), point_to_line(b, c, d, scale)];
    let others = [(point_to_line(c, a, b, scale).0, c), (point_to_line(d, a, b, scale).0, d)];
    let all = ends.into_iter().chain(others);
    all.min_by(|one, two| one.0.total_cmp(&two.0)).unwrap_or((f64::INFINITY, c))
}

fn between(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>, scale: Coord<f64>) -> f64 {
    if crosses(a, b, c, d) {
        return 0.0;
    }
    let to = |p, q, r| point_to_line(p, q, r, scale).0;
    to(a, c, d).min(to(b, c, d)).min(to(c, a, b)).min(to(d, a, b))
}

fn crosses(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> bool {
    let turn =
        |p: Coord<f64>, q: Coord<f64>, r: Coord<f64>| (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x);
    turn(a, b, c) * turn(a, b, d) < 0.0 && turn(c, d, a) * turn(c, d, b) < 0.0
}

/// The distance in kilometres, and the nearest point of the line.
fn point_to_line(p: Coord<f64>, a: Coord<f64>, b: Coord<f64>, scale: Coord<f64>) -> (f64, Coord<f64>) {
    let (line_x, line_y) = ((b.x - a.x) * scale.x, (b.y - a.y) * scale.y);
    let (x, y) = ((p.x - a.x) * scale.x, (p.y - a.y) * scale.y);
    let length = line_x * line_x + line_y * line_y;
    let along = if length > 0.0 { ((x * line_x + y * line_y) / length).clamp(0.0, 1.0) } else { 0.0 };
    let at = Coord { x: a.x + along * (b.x - a.x), y: a.y + along * (b.y - a.y) };
    ((x - along * line_x).hypot(y - along * line_y), at)
}

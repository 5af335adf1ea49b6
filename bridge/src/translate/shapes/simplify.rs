//! Fewer corners, inside the original.
//!
//! A corner may go where the triangle that it makes with its two neighbours lies inside the ring and no side of the
//! ring runs through it: then exactly that triangle is cut off. Inside means an odd number of sides away from the
//! outside, so the same holds for a ring that crosses itself, whether its reader fills it by even and odd or by
//! winding. Longitudes run on over the 180th meridian. Must not guess: a ring around a pole is left alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use cap_schema::Point;
use rstar::{AABB, RTree, RTreeObject};

/// Twice the area, in square degrees, of a triangle that is a line as far as numbers can tell.
const NO_AREA: f64 = 1e-14;
/// The share of a side that may lie in a triangle by rounding.
const ROUNDING: f64 = 1e-9;

/// What is left of a ring.
#[derive(Debug)]
pub(super) struct Simpler {
    /// Numbers of the corners that stay, in order.
    pub(super) corners: Vec<usize>,
    /// Which share of the area was cut off, from 0 to 1; of a ring that crosses itself it may say too much.
    pub(super) cut_share: f64,
}

/// Takes corners away, those first that cut the least off, until `keep` are left. `points` come without the closing
/// one. `None` where that is not possible inside the ring, or costs more than `budget` looks at a side.
pub(super) fn simpler(points: &[Point], keep: usize, budget: &mut usize) -> Option<Simpler> {
    let mut ring = Ring::new(points)?;
    let area = ring.area();
    let (mut left, mut cut_off) = (points.len(), 0.0);
    let mut queue: BinaryHeap<_> = (0..left).filter_map(|corner| ring.candidate(corner)).collect();
    // Corners by the side that is in their way: they are asked again when it goes.
    let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    while left > keep.max(3) {
        let Reverse(candidate) = queue.pop()?;
        if !ring.is_current(&candidate) {
            continue;
        }
        match ring.obstacle(&candidate, budget)? {
            Obstacle::Outside => {}
            Obstacle::Side(from) => waiting.entry(from).or_default().push(candidate.corner),
            Obstacle::None => {
                ring.remove(&candidate)?;
                left -= 1;
                cut_off += f64::from_bits(candidate.cut);
                let sides = [candidate.before, candidate.corner];
                let woken = sides.into_iter().filter_map(|side| waiting.remove(&side)).flatten();
                let again = woken.chain([candidate.before, candidate.after]);
                queue.extend(again.filter_map(|corner| ring.candidate(corner)));
            }
        }
    }
    if left > keep {
        return None;
    }
    let stays = ring.corners.iter().enumerate().filter(|(_, corner)| !corner.gone);
    let cut_share = if area > 0.0 { (cut_off / area).min(1.0) } else { 0.0 };
    Some(Simpler { corners: stays.map(|(number, _)| number).collect(), cut_share })
}

type Position = [f64; 2];

#[derive(Debug)]
struct Corner {
    at: Position,
    before: usize,
    after: usize,
    gone: bool,
}

/// A side, by the corner where it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    from: usize,
    a: Position,
    b: Position,
}

impl RTreeObject for Side {
    type Envelope = AABB<Position>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners(self.a, self.b)
    }
}

/// A corner that might go, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Bits of what it cuts off, which is no less than 0: they have the order of the numbers.
    cut: u64,
    corner: usize,
    before: usize,
    after: usize,
}

/// Why a corner must stay.
enum Obstacle {
    None,
    /// Its triangle lies outside.
    Outside,
    /// A side runs through its triangle.
    Side(usize),
}

struct Ring {
    corners: Vec<Corner>,
    sides: RTree<Side>,
}

impl Ring {
    /// `None` when it goes around a pole.
    fn new(points: &[Point]) -> Option<Self> {
        let count = points.len();
        let mut positions: Vec<Position> = Vec::with_capacity(count);
        for point in points {
            let before = positions.last().map_or(point.lon, |[lon, _]| *lon);
            positions.push([before + short_way(point.lon - before), point.lat]);
        }
        let ([first, _], [last, _]) = (positions.first()?, positions.last()?);
        if (first - last).abs() > 180.0 {
            return None;
        }
        let ends = positions.iter().zip(positions.iter().cycle().skip(1)).enumerate();
        let sides = ends.map(|(from, (a, b))| Side { from, a: *a, b: *b }).collect();
        let link = |(number, at)| Corner {
            at,
            before: (number + count - 1) % count,
            after: (number + 1) % count,
            gone: false,
        };
        let corners = positions.into_iter().enumerate().map(link).collect();
        Some(Ring { corners, sides: RTree::bulk_load(sides) })
    }

    /// Twice the area in square degrees.
    fn area(&self) -> f64 {
        self.sides.iter().map(|side| side.a[0] * side.b[1] - side.b[0] * side.a[1]).sum::<f64>().abs()
    }

    fn at(&self, corner: usize) -> Option<Position> {
        self.corners.get(corner).map(|corner| corner.at)
    }

    /// The corner as it stands between its neighbours now; `None` when it is gone, or when the line between them would
    /// be read as the short way around the Earth.
    fn candidate(&self, corner: usize) -> Option<Reverse<Candidate>> {
        let here = self.corners.get(corner).filter(|corner| !corner.gone)?;
        let (a, c) = (self.at(here.before)?, self.at(here.after)?);
        let cut = cross(a, here.at, c).abs();
        ((a[0] - c[0]).abs() < 180.0).then_some(Reverse(Candidate {
            cut: cut.to_bits(),
            corner,
            before: here.before,
            after: here.after,
        }))
    }

    fn is_current(&self, candidate: &Candidate) -> bool {
        self.corners.get(candidate.corner).is_some_and(|corner| {
            !corner.gone && corner.before == candidate.before && corner.after == candidate.after
        })
    }

    fn obstacle(&self, candidate: &Candidate, budget: &mut usize) -> Option<Obstacle> {
        if f64::from_bits(candidate.cut) <= NO_AREA {
            return Some(Obstacle::None);
        }
        let [a, b, c] = [candidate.before, candidate.corner, candidate.after].map(|corner| self.at(corner));
        let (a, b, c) = (a?, b?, c?);
        let triangle = if cross(a, b, c) > 0.0 { [a, b, c] } else { [c, b, a] };
        for side in self.sides.locate_in_envelope_intersecting(&AABB::from_points(&[a, b, c])) {
            *budget = budget.checked_sub(1)?;
            let own = side.from == candidate.before || side.from == candidate.corner;
            if !own && runs_through(triangle, side) {
                return Some(Obstacle::Side(side.from));
            }
        }
        let center = [(a[0] + b[0] + c[0]) / 3.0, (a[1] + b[1] + c[1]) / 3.0];
        Some(if self.holds(center, budget)? { Obstacle::None } else { Obstacle::Outside })
    }

    /// Whether the sides to the east of a point are odd in number.
    fn holds(&self, point: Position, budget: &mut usize) -> Option<bool> {
        let [x, y] = point;
        let east = self.sides.root().envelope().upper()[0];
        let ray = AABB::from_corners(point, [east.max(x), y]);
        let mut crossed = false;
        for Side { a, b, .. } in self.sides.locate_in_envelope_intersecting(&ray) {
            *budget = budget.checked_sub(1)?;
            crossed ^= (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
        }
        Some(crossed)
    }

    fn remove(&mut self, candidate: &Candidate) -> Option<()> {
        let Candidate { corner, before, after, .. } = *candidate;
        let (a, b, c) = (self.at(before)?, self.at(corner)?, self.at(after)?);
        self.sides.remove(&Side { from: before, a, b });
        self.sides.remove(&Side { from: corner, a: b, b: c });
        self.sides.insert(Side { from: before, a, b: c });
        self.corners.get_mut(corner)?.gone = true;
        self.corners.get_mut(before)?.after = after;
        self.corners.get_mut(after)?.before = before;
        Some(())
    }
}

/// A difference of longitudes as the way that is at most half around the Earth.
fn short_way(degrees: f64) -> f64 {
    degrees - (degrees / 360.0).round() * 360.0
}

/// Whether more of a side than an end lies within a triangle that turns left.
fn runs_through([a, b, c]: [Position; 3], side: &Side) -> bool {
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (p, q) in [(a, b), (b, c), (c, a)] {
        let (start, end) = (cross(p, q, side.a), cross(p, q, side.b));
        if start <= 0.0 && end <= 0.0 {
            return false;
        }
        if start < 0.0 {
            from = from.max(start / (start - end));
        } else if end < 0.0 {
            to = to.min(start / (start - end));
        }
    }
    to - from > ROUNDING
}

/// Twice the area of a triangle, positive where it turns left.
fn cross(a: Position, b: Position, c: Position) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

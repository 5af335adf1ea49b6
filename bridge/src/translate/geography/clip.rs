//! How much of a boundary lies in a shape, by convex pieces: what decides whether a place counts.
//!
//! A simple shape is cut into convex pieces once. A ring is cut to one piece after the other (Sutherland-Hodgman), and no
//! further than the answer needs: pieces do not overlap, so the area only grows. Lines are straight on the map of
//! longitude and latitude. Must not take a shape that crosses or touches itself.

use geo::Coord;
use rstar::{AABB, Envelope};

use super::shape;

/// A convex piece of more points is given a core of few, which decides most cases.
const CORE_POINTS: usize = 12;
/// Points of a ring that are looked at together.
const BLOCK: usize = 32;

/// A shape as convex pieces, counter-clockwise, none over another.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    around: AABB<[f64; 2]>,
    corners: Vec<Coord<f64>>,
}

impl Pieces {
    /// Cuts a simple ring, without its closing point; `None` where it is not simple, or has too many
    /// points to know: that is for the general comparison.
    pub(super) fn new(ring: &[Coord<f64>]) -> Option<Self> {
        if ring.len() < 3 || !shape::is_simple(ring) { None } else { Self::of_simple(ring) }
    }

    /// The same for a ring that is known to be simple.
    pub(super) fn of_simple(ring: &[Coord<f64>]) -> Option<Self> {
        let mut corners = ring.to_vec();
        if twice_area(&corners) < 0.0 {
            corners.reverse();
        }
        let mut found = Vec::new();
        if is_convex(&corners) {
            convex(corners, &mut found);
        } else {
            ears(corners, &mut found)?;
        }
        let pieces = found.into_iter().map(|corners| Piece { around: around(&corners), corners }).collect();
        Some(Pieces { pieces })
    }

    /// The area that a ring has in the shape, in square kilometres; as soon as it is `enough`, no more of it is looked for.
    pub(super) fn area_km2(&self, ring: &[Coord<f64>], enough: f64, room: &mut Room) -> f64 {
        let mut sum = 0.0;
        for piece in &self.pieces {
            sum += piece.area_km2(ring, room);
            if sum >= enough {
                break;
            }
        }
        sum
    }
}

/// Room to work in, kept from one ring to the next.
#[derive(Debug, Default)]
pub(super) struct Room {
    from: Vec<Coord<f64>>,
    to: Vec<Coord<f64>>,
}

impl Piece {
    fn area_km2(&self, ring: &[Coord<f64>], room: &mut Room) -> f64 {
        beside(ring, &self.around, &mut room.from);
        for (a, b) in shape::edges(&self.corners) {
            if room.from.len() < 3 {
                return 0.0;
            }
            room.to.clear();
            left_of(&room.from, a, b, &mut room.to);
            std::mem::swap(&mut room.from, &mut room.to);
        }
        if room.from.len() < 3 { 0.0 } else { shape::straight_area_km2(&room.from).abs() }
    }
}

/// The boxes around each `BLOCK` points of a ring, made once.
pub(super) fn blocks(ring: &[Coord<f64>]) -> Vec<AABB<[f64; 2]>> {
    ring.chunks(BLOCK).map(around).collect()
}

/// The ring without points that lie, with those around them, on one side of the box: nothing in the box changes. Of a
/// block that lies on one side only its ends are looked at.
pub(super) fn beside_by_blocks(
    ring: &[Coord<f64>],
    blocks: &[AABB<[f64; 2]>],
    envelope: &AABB<[f64; 2]>,
    into: &mut Vec<Coord<f64>>,
) {
    into.clear();
    let mut kept = Kept { envelope, before_last: 0, last: 0, into };
    for (points, block) in ring.chunks(BLOCK).zip(blocks) {
        if let ([first, .., last], true) = (points, is_beside(block, envelope)) {
            kept.add(first);
            kept.add(last);
        } else {
            points.iter().for_each(|point| kept.add(point));
        }
    }
}

fn beside(ring: &[Coord<f64>], envelope: &AABB<[f64; 2]>, into: &mut Vec<Coord<f64>>) {
    into.clear();
    let mut kept = Kept { envelope, before_last: 0, last: 0, into };
    ring.iter().for_each(|point| kept.add(point));
}

/// Whether all of a box lies on one side of another.
fn is_beside(block: &AABB<[f64; 2]>, envelope: &AABB<[f64; 2]>) -> bool {
    let ([west, south], [east, north]) = (envelope.lower(), envelope.upper());
    let ([left, bottom], [right, top]) = (block.lower(), block.upper());
    right < west || left > east || top < south || bottom > north
}

/// What is kept of a ring so far, with the sides on which its last two points lie.
struct Kept<'k> {
    envelope: &'k AABB<[f64; 2]>,
    before_last: u8,
    last: u8,
    into: &'k mut Vec<Coord<f64>>,
}

impl Kept<'_> {
    fn add(&mut self, point: &Coord<f64>) {
        let ([west, south], [east, north]) = (self.envelope.lower(), self.envelope.upper());
        let here = u8::from(point.x < west)
            | u8::from(point.x > east) << 1
            | u8::from(point.y < south) << 2
            | u8::from(point.y > north) << 3;
        if self.before_last & self.last & here != 0 && self.into.len() >= 2 {
            self.into.pop();
        } else {
            self.before_last = self.last;
        }
        self.last = here;
        self.into.push(*point);
    }
}

/// The part of a ring on the left of a line.
fn left_of(ring: &[Coord<f64>], a: Coord<f64>, b: Coord<f64>, into: &mut Vec<Coord<f64>>) {
    let Some(last) = ring.last() else { return };
    let side = |p: &Coord<f64>| (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x);
    let mut before = (*last, side(last));
    for point in ring {
        let here = (*point, side(point));
        if (before.1 >= 0.0) != (here.1 >= 0.0) {
            let share = before.1 / (before.1 - here.1);
            into.push(Coord {
                x: before.0.x + (here.0.x - before.0.x) * share,
                y: before.0.y + (here.0.y - before.0.y) * share,
            });
        }
        if here.1 >= 0.0 {
            into.push(*point);
        }
        before = here;
    }
}

fn around(ring: &[Coord<f64>]) -> AABB<[f64; 2]> {
    let mut all = AABB::new_empty();
    ring.iter().for_each(|p| all.merge(&AABB::from_point([p.x, p.y])));
    all
}

fn twice_area(ring: &[Coord<f64>]) -> f64 {
    shape::edges(ring).map(|(a, b)| a.x * b.y - b.x * a.y).sum()
}

fn turn(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>) -> f64 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// No corner turns right. A simple ring that only turns left is convex.
fn is_convex(ring: &[Coord<f64>]) -> bool {
    let corner = |at: usize| ring.get(at % ring.len()).copied();
    (0..ring.len()).all(|at| match (corner(at), corner(at + 1), corner(at + 2)) {
        (Some(a), Some(b), Some(c)) => turn(a, b, c) >= 0.0,
        _ => false,
    })
}

/// A convex ring as a core of few corners and what is left around it.
fn convex(ring: Vec<Coord<f64>>, found: &mut Vec<Vec<Coord<f64>>>) {
    if ring.len() <= CORE_POINTS {
        found.push(ring);
        return;
    }
    let step = ring.len().div_ceil(CORE_POINTS / 2);
    found.push(ring.iter().step_by(step).copied().collect());
    for from in (0..ring.len()).step_by(step) {
        let to = (from + step).min(ring.len());
        let mut cap: Vec<Coord<f64>> = ring.get(from..to).unwrap_or(&[]).to_vec();
        cap.extend(ring.get(to).or_else(|| ring.first()).copied());
        if cap.len() >= 3 {
            convex(cap, found);
        }
    }
}

/// Cuts ears off, and joins each to the piece before it while that stays convex. `None` where no ear is found, which a
/// simple ring always has.
fn ears(mut corners: Vec<Coord<f64>>, found: &mut Vec<Vec<Coord<f64>>>) -> Option<()> {
    let mut at = 0;
    let mut tried = 0;
    while corners.len() > 3 {
        let count = corners.len();
        let corner = |at: usize| corners.get(at % count).copied();
        let (a, b, c) = (corner(at)?, corner(at + 1)?, corner(at + 2)?);
        let holds = |p: &Coord<f64>| {
            *p != a
                && *p != b
                && *p != c
                && turn(a, b, *p) >= 0.0
                && turn(b, c, *p) >= 0.0
                && turn(c, a, *p) >= 0.0
        };
        let convex = turn(a, b, c);
        if convex == 0.0 || (convex > 0.0 && !corners.iter().any(holds)) {
            if convex > 0.0 {
                found.push(vec![a, b, c]);
            }
            corners.remove((at + 1) % count);
            at %= corners.len();
            tried = 0;
        } else {
            at = (at + 1) % count;
            tried += 1;
            if tried > count {
                return None;
            }
        }
    }
    found.push(corners);
    // The large ones decide most cases.
    found.sort_by(|a, b| twice_area(b).total_cmp(&twice_area(a)));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{BooleanOps, LineString, MultiPolygon, Polygon};

    fn star(corners: usize, lat: f64, lon: f64, size: f64, depth: f64) -> Vec<Coord<f64>> {
        (0..corners)
            .map(|i| {
                let angle = std::f64::consts::TAU * i as f64 / corners as f64;
                let r = size * if i % 2 == 0 { 1.0 } else { depth };
                Coord { x: lon + r * angle.cos(), y: lat + r * angle.sin() }
            })
            .collect()
    }

    #[test]
    fn the_area_is_that_of_the_general_comparison() {
        let ring = star(4_000, 45.0, -75.0, 0.6, 0.97);
        let polygon =
            |ring: &[Coord<f64>]| MultiPolygon(vec![Polygon::new(LineString(ring.to_vec()), vec![])]);
        let mut room = Room::default();
        for corners in [3, 4, 5, 8, 13, 40, 96, 200, 299] {
            for depth in [1.0, 0.7, 0.3] {
                for (lat, lon, size) in
                    [(45.5, -75.2, 0.4), (45.0, -75.0, 0.1), (44.6, -74.5, 1.3), (47.0, -75.0, 0.2)]
                {
                    let mut shape = star(corners, lat, lon, size, depth);
                    if corners % 3 == 0 {
                        shape.reverse();
                    }
                    let pieces = Pieces::new(&shape).unwrap_or_else(|| panic!("{corners} corners"));
                    let area = pieces.area_km2(&ring, f64::INFINITY, &mut room);
                    let expected = shape::area_km2(&polygon(&shape).intersection(&polygon(&ring)));
                    let off = (area - expected).abs();
                    // Lines of a degree are 0.1 km from straight ones on the map of equal areas.
                    assert!(
                        off <= 0.01 + expected * 2e-3,
                        "{corners} {depth} at {lat}: {area} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn by_blocks_nothing_changes_in_the_box() {
        for points in [3, 31, 32, 33, 64, 1_000, 4_001] {
            let ring = star(points, 45.0, -75.0, 0.6, 0.9);
            let ring_blocks = blocks(&ring);
            for (lat, lon, size) in
                [(45.5, -75.2, 0.4), (45.0, -75.0, 0.1), (44.6, -74.5, 1.3), (48.0, -75.0, 0.2)]
            {
                let shape = star(9, lat, lon, size, 0.6);
                let pieces = Pieces::new(&shape).unwrap();
                let (mut room, mut one, mut other) = (Room::default(), Vec::new(), Vec::new());
                beside(&ring, &around(&shape), &mut one);
                beside_by_blocks(&ring, &ring_blocks, &around(&shape), &mut other);
                let areas = [&ring, &one, &other].map(|r| pieces.area_km2(r, f64::INFINITY, &mut room));
                assert!(
                    areas.iter().all(|a| (a - areas[0]).abs() <= 1e-6 * areas[0].max(1.0)),
                    "{points}: {areas:?}"
                );
                assert!(
                    other.len() <= one.len() + 2 * ring_blocks.len(),
                    "{points}: {} points left",
                    other.len()
                );
            }
        }
    }

    #[test]
    fn a_ring_far_away_or_around_has_none_or_all_of_the_shape() {
        let shape = star(10, 45.0, -75.0, 0.1, 0.5);
        let pieces = Pieces::new(&shape).unwrap();
        let mut room = Room::default();
        let whole = shape::straight_area_km2(&shape).abs();
        assert_eq!(pieces.area_km2(&star(100, 50.0, -75.0, 0.5, 1.0), 0.5, &mut room), 0.0);
        let all = pieces.area_km2(&star(100, 45.0, -75.0, 5.0, 1.0), f64::INFINITY, &mut room);
        assert!((all - whole).abs() < whole * 1e-6, "{all} of {whole}");
        assert!(pieces.area_km2(&star(100, 45.0, -75.0, 5.0, 1.0), 0.5, &mut room) >= 0.5);
    }
}

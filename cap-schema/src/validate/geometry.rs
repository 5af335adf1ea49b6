//! Rules on areas (CAP 1.2 section 3.2.4; V15 to V17, N6, N8).

use super::Findings;
use crate::alert::Alert;
use crate::area::Area;
use crate::geometry::{GeometryError, Point, Polygon};

/// Comparisons of sides that one alert may cost; beyond it crossings are not looked for.
const BUDGET: usize = 2_000_000;

pub(super) fn check(alert: &Alert<'_>, out: &mut Findings) {
    let mut budget = BUDGET;
    let mut sound = true;
    for (index, info) in alert.info.iter().enumerate() {
        for (at, area) in info.area.iter().enumerate() {
            let path = |name: &str| format!("/alert/info[{}]/area[{}]/{name}", index + 1, at + 1);
            for (nth, polygon) in area.polygon.iter().enumerate() {
                // The info in another language mostly repeats the places of the one before: what was sound there is here.
                let before =
                    index.checked_sub(1).and_then(|i| alert.info.get(i)?.area.get(at)?.polygon.get(nth));
                let known = sound && before == Some(polygon);
                if !known {
                    let found = out.count();
                    one_polygon(polygon, &mut budget, out, || path(&format!("polygon[{}]", nth + 1)));
                    sound &= out.count() == found;
                }
            }
            for (nth, circle) in area.circle.iter().enumerate() {
                if let Err(error) = circle.radius_km() {
                    let rule = match error {
                        GeometryError::Range { .. } => "cap.circle.range",
                        GeometryError::Radius => "cap.circle.radius",
                        GeometryError::Pair { .. }
                        | GeometryError::TooFew { .. }
                        | GeometryError::Open
                        | GeometryError::Circle => "cap.circle.syntax",
                    };
                    out.add(rule, path(&format!("circle[{}]", nth + 1)), error.to_string());
                }
            }
            height(area, out, path);
            if area.polygon.is_empty() && area.circle.is_empty() && !area.geocode.is_empty() {
                out.add(
                    "cap.geocode.without-geometry",
                    path("geocode[1]"),
                    "a geocode without polygon or circle",
                );
            }
        }
    }
}

fn one_polygon(polygon: &Polygon<'_>, budget: &mut usize, out: &mut Findings, path: impl Fn() -> String) {
    let points = match polygon.points() {
        Ok(points) => points,
        Err(error) => {
            let rule = match error {
                GeometryError::TooFew { .. } => "cap.polygon.too-few",
                GeometryError::Open => "cap.polygon.open",
                GeometryError::Range { .. } => "cap.polygon.range",
                GeometryError::Pair { .. } | GeometryError::Circle | GeometryError::Radius => {
                    "cap.polygon.syntax"
                }
            };
            out.add(rule, path(), error.to_string());
            return;
        }
    };
    let far = |pair: &[Point]| matches!(pair, [a, b] if (a.lon - b.lon).abs() > 180.0);
    if points.windows(2).any(far) {
        out.add("cap.polygon.antimeridian", path(), "neighbouring corners are more than 180 degrees apart");
    } else if crosses_itself(&points, budget) {
        out.add("cap.polygon.self-intersection", path(), "two sides cross");
    } else if is_flat(&points) {
        out.add("cap.polygon.flat", path(), "the polygon encloses nothing");
    }
}

/// Whether a ring goes there and back without any surface between.
fn is_flat(points: &[Point]) -> bool {
    let Some(first) = points.first() else { return true };
    // From the first corner, so that what is added up is small and no digits are lost.
    let twice = |pair: &[Point]| match pair {
        [a, b] => (a.lon - first.lon) * (b.lat - first.lat) - (b.lon - first.lon) * (a.lat - first.lat),
        _ => 0.0,
    };
    points.windows(2).map(twice).sum::<f64>().abs() < 1e-12
}

/// N6, V17. Numbers that are none are found by the reader.
fn height(area: &Area<'_>, out: &mut Findings, path: impl Fn(&str) -> String) {
    let Some(ceiling) = &area.ceiling else { return };
    let Some(altitude) = &area.altitude else {
        out.add("cap.ceiling.without-altitude", path("ceiling"), "ceiling without altitude");
        return;
    };
    let number = |text: &str| text.trim().parse::<f64>().ok();
    if let (Some(low), Some(high)) = (number(altitude), number(ceiling))
        && high < low
    {
        let message = format!("ceiling {ceiling} is below altitude {altitude}");
        out.add("cap.ceiling.below-altitude", path("ceiling"), message);
    }
}

/// Whether two sides of a ring cross, as far as the rule looks for it.
pub(crate) fn is_crossed(points: &[Point]) -> bool {
    crosses_itself(points, &mut BUDGET.clone())
}

/// Sides in a leaf of the tree of boxes.
const LEAF: usize = 8;
/// Sides that are compared without a tree.
const FEW: usize = 16;

/// Whether two sides of a ring cross properly.
///
/// Neighbouring sides are put into boxes, and boxes into larger ones; only sides in boxes that touch are compared, and not
/// those that run on in one direction, since they cannot come back to themselves. A ring that does not wind through itself
/// costs less than a comparison a side; the budget bounds any other.
fn crosses_itself(points: &[Point], budget: &mut usize) -> bool {
    let count = points.len().saturating_sub(1);
    if count <= FEW {
        return cross_within::<FEW>(points);
    }
    // The sides of a leaf end where those of the next one begin.
    let corners = |leaf: usize| {
        let from = leaf * LEAF;
        points.get(from..(from + LEAF + 1).min(points.len())).unwrap_or(&[])
    };
    // All boxes, the leaves first; where each level begins, and how many it has.
    let leaves = count.div_ceil(LEAF);
    let mut all = Vec::with_capacity(leaves * 2 + 32);
    all.extend((0..leaves).map(|leaf| Stretch::of_points(corners(leaf))));
    let mut levels = vec![(0, leaves)];
    while let Some((from, below)) = levels.last().copied()
        && below > 1
    {
        let begin = all.len();
        for pair in (from..from + below).step_by(2) {
            let both = all.get(pair..(pair + 2).min(from + below)).unwrap_or(&[]);
            all.push(Stretch::of_stretches(both));
        }
        levels.push((begin, all.len() - begin));
    }
    let stretch = |level: usize, at: usize| {
        let (from, size) = levels.get(level).filter(|(_, size)| at < *size)?;
        all.get(from + at.min(*size))
    };
    // Pairs of stretches that are still to be compared; one with itself stands for all pairs in it.
    let mut pairs = vec![(levels.len() - 1, 0, 0)];
    while let Some((level, one, other)) = pairs.pop() {
        let (Some(first), Some(second)) = (stretch(level, one), stretch(level, other)) else { continue };
        let Some(left) = budget.checked_sub(1) else { return false };
        *budget = left;
        let runs_on = other - one <= 1 && first.directions & second.directions != 0;
        if runs_on || (one != other && !first.touches(second)) {
            continue;
        }
        if level > 0 {
            let (a, b) = (one * 2, other * 2);
            pairs.extend([(level - 1, a, b), (level - 1, a, b + 1), (level - 1, a + 1, b + 1)]);
            if one != other {
                pairs.push((level - 1, a + 1, b));
            }
            continue;
        }
        let crosses = if one == other {
            cross_within::<LEAF>(corners(one))
        } else {
            cross_between(corners(one), corners(other), second)
        };
        if crosses {
            return true;
        }
    }
    false
}

/// Whether two of at most `N` sides that follow each other cross.
fn cross_within<const N: usize>(corners: &[Point]) -> bool {
    let boxes = boxes::<N>(corners);
    let sides = corners.windows(2).zip(&boxes);
    sides.clone().enumerate().any(|(at, (side, reach))| {
        // Two sides that follow each other share a corner and cannot cross.
        let mut later = sides.clone().skip(at + 2);
        later.any(|(later, around)| reach.touches(around) && cross(side, later))
    })
}

/// Whether a side of one leaf crosses one of another, whose box is known.
fn cross_between(one: &[Point], other: &[Point], around_other: &Stretch) -> bool {
    let (boxes, others) = (boxes::<LEAF>(one), boxes::<LEAF>(other));
    one.windows(2).zip(&boxes).filter(|(_, reach)| reach.touches(around_other)).any(|(side, reach)| {
        other.windows(2).zip(&others).any(|(later, around)| reach.touches(around) && cross(side, later))
    })
}

/// The boxes around sides that follow each other.
fn boxes<const N: usize>(corners: &[Point]) -> [Stretch; N] {
    let mut all = [Stretch::NOTHING; N];
    for (to, side) in all.iter_mut().zip(corners.windows(2)) {
        *to = Stretch::of_points(side);
    }
    all
}

/// Sides that follow each other: the box around them, and the directions in which all of them run.
#[derive(Clone, Copy)]
struct Stretch {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
    /// Bits for east, west, north, south; standing still is running in any of them.
    directions: u8,
}

impl Stretch {
    const NOTHING: Stretch =
        Stretch { west: f64::MAX, east: f64::MIN, south: f64::MAX, north: f64::MIN, directions: 0b1111 };

    /// Plain comparisons: no coordinate is NaN.
    fn with(self, other: Stretch) -> Stretch {
        let least = |a: f64, b: f64| if a < b { a } else { b };
        let most = |a: f64, b: f64| if a > b { a } else { b };
        Stretch {
            west: least(self.west, other.west),
            east: most(self.east, other.east),
            south: least(self.south, other.south),
            north: most(self.north, other.north),
            directions: self.directions & other.directions,
        }
    }

    fn of_points(points: &[Point]) -> Stretch {
        let Some(first) = points.first() else { return Stretch::NOTHING };
        let mut last = first;
        let mut all = Stretch::NOTHING;
        for p in points {
            let directions = u8::from(p.lon >= last.lon)
                | u8::from(p.lon <= last.lon) << 1
                | u8::from(p.lat >= last.lat) << 2
                | u8::from(p.lat <= last.lat) << 3;
            all = all.with(Stretch { west: p.lon, east: p.lon, south: p.lat, north: p.lat, directions });
            last = p;
        }
        all
    }

    fn of_stretches(stretches: &[Stretch]) -> Stretch {
        stretches.iter().fold(Stretch::NOTHING, |all, one| all.with(*one))
    }

    fn touches(&self, other: &Stretch) -> bool {
        self.west <= other.east
            && other.west <= self.east
            && self.south <= other.north
            && other.south <= self.north
    }
}

fn cross(side: &[Point], other: &[Point]) -> bool {
    let ([a, b], [c, d]) = (side, other) else { return false };
    let turn = |p: &Point, q: &Point, r: &Point| {
        (q.lon - p.lon) * (r.lat - p.lat) - (q.lat - p.lat) * (r.lon - p.lon)
    };
    turn(a, b, c) * turn(a, b, d) < 0.0 && turn(c, d, a) * turn(c, d, b) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_are_found_wherever_they_are() {
        let ring = |list: &[(f64, f64)]| -> Vec<Point> {
            list.iter().map(|(lat, lon)| Point { lat: *lat, lon: *lon }).collect()
        };
        // A circle of many corners, and the same with two of them exchanged.
        for corners in [5_u32, 8, 9, 16, 17, 33, 200] {
            let at = |i: u32| {
                let angle = std::f64::consts::TAU * f64::from(i % corners) / f64::from(corners);
                (angle.sin(), angle.cos())
            };
            let round: Vec<(f64, f64)> = (0..=corners).map(at).collect();
            assert!(!crosses_itself(&ring(&round), &mut BUDGET.clone()), "{corners}");
            for swap in 1..usize::try_from(corners).unwrap() - 1 {
                let mut crossed = round.clone();
                crossed.swap(swap, swap + 1);
                assert!(crosses_itself(&ring(&crossed), &mut BUDGET.clone()), "{corners} {swap}");
            }
        }
        assert!(crosses_itself(
            &ring(&[(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0)]),
            &mut BUDGET.clone()
        ));
        assert!(!crosses_itself(&[], &mut BUDGET.clone()));
    }

    /// Every pair of sides, without boxes.
    fn by_comparing_all(points: &[Point]) -> bool {
        let sides: Vec<&[Point]> = points.windows(2).collect();
        (0..sides.len()).any(|at| sides.iter().skip(at + 1).any(|later| cross(sides[at], later)))
    }

    #[test]
    fn boxes_and_directions_find_what_comparing_all_sides_finds() {
        // A walk that mostly runs on, turns now and then, and comes back to where it began.
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut crossed, mut plain) = (0, 0);
        for walk in 0..600_u32 {
            let corners = 4 + next(90);
            let mut points = vec![Point { lat: 0.0, lon: 0.0 }];
            let (mut lat, mut lon) = (0_i32, 0_i32);
            for step in 0..corners {
                // Whole numbers, so that sides also touch and lie on each other.
                let turn = if next(u64::from(walk % 40 + 2)) == 0 { -1 } else { 1 };
                lat += i32::try_from(next(4)).unwrap() * turn * if step * 2 > corners { -1 } else { 1 };
                lon += i32::try_from(next(4)).unwrap() * turn;
                points.push(Point { lat: f64::from(lat), lon: f64::from(lon) });
            }
            points.push(Point { lat: -50.0, lon: f64::from(lon) });
            points.push(Point { lat: -50.0, lon: 0.0 });
            points.push(Point { lat: 0.0, lon: 0.0 });
            let expected = by_comparing_all(&points);
            assert_eq!(crosses_itself(&points, &mut BUDGET.clone()), expected, "{points:?}");
            *if expected { &mut crossed } else { &mut plain } += 1;
        }
        assert!(crossed > 50 && plain > 50, "{crossed} {plain}");
    }
}

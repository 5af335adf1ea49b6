//! Rules on areas (CAP 1.2 section 3.2.4; V15 to V17, N6, N8).

use super::Findings;
use crate::alert::Alert;
use crate::area::Area;
use crate::geometry::{GeometryError, Point, Polygon};

/// Comparisons of sides that one alert may cost; beyond it crossings are not looked for.
const BUDGET: usize = 2_000_000;

pub(super) fn check(alert: &Alert<'_>, out: &mut Findings) {
    let mut budget = BUDGET;
    for (index, info) in alert.info.iter().enumerate() {
        for (at, area) in info.area.iter().enumerate() {
            let path = |name: &str| format!("/alert/info[{}]/area[{}]/{name}", index + 1, at + 1);
            for (nth, polygon) in area.polygon.iter().enumerate() {
                one_polygon(polygon, &mut budget, out, || path(&format!("polygon[{}]", nth + 1)));
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
    }
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
const LEAF: usize = 4;

/// Whether two sides of a ring cross properly.
///
/// Neighbouring sides are put into boxes, and boxes into larger ones; only sides in boxes that touch are compared. A ring
/// that does not wind through itself costs a few comparisons a side; the budget bounds any other.
fn crosses_itself(points: &[Point], budget: &mut usize) -> bool {
    let count = points.len().saturating_sub(1);
    // The sides of a leaf end where those of the next one begin.
    let corners = |leaf: usize| {
        let from = leaf * LEAF;
        points.get(from..(from + LEAF + 1).min(points.len())).unwrap_or(&[])
    };
    let leaves = (0..count.div_ceil(LEAF)).map(|leaf| Extent::of_points(corners(leaf)));
    let mut levels = vec![leaves.collect::<Vec<_>>()];
    while let Some(top) = levels.last()
        && top.len() > 1
    {
        let above = top.chunks(2).map(Extent::of_extents).collect();
        levels.push(above);
    }
    // Pairs of boxes that are still to be compared; a box with itself stands for all pairs in it.
    let mut pairs = vec![(levels.len() - 1, 0, 0)];
    while let Some((level, one, other)) = pairs.pop() {
        let boxes = levels.get(level).and_then(|l| Some((l.get(one)?, l.get(other)?)));
        let Some((first, second)) = boxes else { continue };
        let Some(left) = budget.checked_sub(1) else { return false };
        *budget = left;
        if one != other && !first.touches(second) {
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
        for (at, side) in corners(one).windows(2).enumerate() {
            // Two sides that follow each other share a corner and cannot cross.
            let skip = if one == other { at + 2 } else { 0 };
            if one != other && !Extent::of_points(side).touches(second) {
                continue;
            }
            if corners(other).windows(2).skip(skip).any(|later| cross(side, later)) {
                return true;
            }
        }
    }
    false
}

/// A box around sides.
#[derive(Clone, Copy)]
struct Extent {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Extent {
    const NOTHING: Extent = Extent { west: f64::MAX, east: f64::MIN, south: f64::MAX, north: f64::MIN };

    fn with(self, other: Extent) -> Extent {
        Extent {
            west: self.west.min(other.west),
            east: self.east.max(other.east),
            south: self.south.min(other.south),
            north: self.north.max(other.north),
        }
    }

    fn of_points(points: &[Point]) -> Extent {
        let point = |p: &Point| Extent { west: p.lon, east: p.lon, south: p.lat, north: p.lat };
        points.iter().fold(Extent::NOTHING, |all, one| all.with(point(one)))
    }

    fn of_extents(extents: &[Extent]) -> Extent {
        extents.iter().fold(Extent::NOTHING, |all, one| all.with(*one))
    }

    fn touches(&self, other: &Extent) -> bool {
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
        for corners in [5_u32, 8, 9, 33, 200] {
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
}

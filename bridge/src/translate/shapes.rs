//! Polygons and circles for a destination: the same text wherever it can stay, and never a wider place.
//!
//! Owns lexical repair (closing, doubled points) and simplification inside the original. Every change is reported.

use std::borrow::Cow;

use cap_schema::{Area, GeometryError, Point, Polygon};

use super::Target;
use super::report::{Report, Rule};

/// Points of all polygons of an info that IPAWS takes (ipaws page 4.1, rule 13).
pub(super) const IPAWS_POINTS: usize = 200;
/// The least that a polygon is: a closed triangle.
const LEAST_POINTS: usize = 4;
/// Above this many points the search would take longer than an alert may wait.
const MOST_POINTS: usize = 8_000;

/// Comparisons of points for one info: less than a second. A polygon made to be slow is not simplified.
const MOST_COMPARISONS: usize = 200_000_000;

/// Repairs what can be repaired with the same meaning; leaves out what says no place.
pub(super) fn repair(target: Target, area: &mut Area<'static>, report: &mut Report) {
    let polygons = std::mem::take(&mut area.polygon);
    for polygon in polygons {
        match polygon.pairs() {
            Ok(points) => area.polygon.extend(repaired(target, polygon, &points, report)),
            Err(error) => unreadable("area/polygon", &error, report),
        }
    }
    area.circle.retain(|circle| match (circle.center(), circle.radius_km()) {
        (Ok(_), Ok(_)) => true,
        (Err(error), _) | (_, Err(error)) => {
            unreadable("area/circle", &error, report);
            false
        }
    });
    let height = |text: &Option<Cow<'_, str>>| text.as_deref().and_then(|t| t.trim().parse::<f64>().ok());
    let (low, high) = (height(&area.altitude), height(&area.ceiling));
    let upside_down = area.ceiling.is_some() && !matches!((low, high), (Some(l), Some(h)) if l <= h);
    if upside_down {
        area.ceiling = None;
        report.add(Rule::Height, "area/ceiling", "below altitude, or no number");
    }
    if area.altitude.is_some() && low.is_none() {
        area.altitude = None;
        report.add(Rule::Height, "area/altitude", "no number");
    }
}

fn unreadable(field: &str, error: &GeometryError, report: &mut Report) {
    let detail = format!("it says no place: {error}");
    report.add(Rule::ShapeUnreadable, field, &detail);
}

fn repaired(
    target: Target,
    polygon: Polygon<'static>,
    points: &[Point],
    report: &mut Report,
) -> Option<Polygon<'static>> {
    let text = polygon.as_str();
    let mut pairs: Vec<&str> = text.split_ascii_whitespace().collect();
    let mut changed = target == Target::Ipaws && text.trim() != text;
    if target == Target::Ipaws {
        let before = pairs.len();
        pairs.dedup();
        changed |= pairs.len() != before;
    }
    if points.first() != points.last() {
        let first = pairs.first().copied();
        pairs.extend(first);
        changed = true;
        report.add(Rule::RingClosed, "area/polygon", "");
    }
    if pairs.len() < LEAST_POINTS {
        unreadable("area/polygon", &GeometryError::TooFew { count: pairs.len() }, report);
        return None;
    }
    if !changed {
        return Some(polygon);
    }
    report.add(Rule::PointsDoubled, "area/polygon", "");
    Some(Polygon::new(pairs.join(" ")))
}

/// Takes points away until all polygons together have at most `limit`, each new polygon inside the old one.
///
/// Only a convex corner goes whose triangle holds no other corner: that cuts a piece off and never adds one. `None`
/// where that is not enough.
pub(super) fn simplify(areas: &mut [Area<'static>], limit: usize, report: &mut Report) -> Option<()> {
    let count = |p: &Polygon<'_>| p.as_str().split_ascii_whitespace().count();
    let total: usize = areas.iter().flat_map(|a| &a.polygon).map(count).sum();
    if total <= limit {
        return Some(());
    }
    if total > MOST_POINTS {
        return None;
    }
    let polygons = areas.iter().map(|a| a.polygon.len()).sum::<usize>();
    if polygons * LEAST_POINTS > limit {
        return None;
    }
    // Each polygon keeps its share of what the limit leaves above the least.
    let spare = limit - polygons * LEAST_POINTS;
    let above = (total - (polygons * LEAST_POINTS).min(total)).max(1);
    let mut budget = MOST_COMPARISONS;
    for polygon in areas.iter_mut().flat_map(|a| &mut a.polygon) {
        let points = count(polygon);
        let keep = LEAST_POINTS + points.saturating_sub(LEAST_POINTS) * spare / above;
        *polygon = inside(polygon, keep, &mut budget)?;
    }
    let detail = format!("{total} points: simplified inside the original to at most {limit}");
    report.add(Rule::ShapeSimplified, "area/polygon", &detail);
    Some(())
}

/// A polygon of at most `keep` points that lies inside the given one.
fn inside(polygon: &Polygon<'_>, keep: usize, budget: &mut usize) -> Option<Polygon<'static>> {
    let points = polygon.points().ok()?;
    let mut corners: Vec<(Point, &str)> =
        points.into_iter().zip(polygon.as_str().split_ascii_whitespace()).collect();
    let closing = corners.pop()?;
    let left = corners.iter().zip(corners.iter().cycle().skip(1));
    let twice_area: f64 = left.map(|((a, _), (b, _))| a.lon * b.lat - b.lon * a.lat).sum();
    let turn = if twice_area < 0.0 { -1.0 } else { 1.0 };
    while corners.len() + 1 > keep {
        let (at, _) = cheapest(&corners, turn, budget)?;
        corners.remove(at);
    }
    let mut pairs: Vec<&str> = corners.iter().map(|(_, text)| *text).collect();
    let first = pairs.first().copied().unwrap_or(closing.1);
    pairs.push(first);
    Some(Polygon::new(pairs.join(" ")))
}

/// The corner whose removal cuts the least off, and what it cuts off (square degrees, doubled).
fn cheapest(corners: &[(Point, &str)], turn: f64, budget: &mut usize) -> Option<(usize, f64)> {
    let count = corners.len();
    if count <= 3 {
        return None;
    }
    *budget = budget.checked_sub(count)?;
    let corner = |at: usize| corners.get(at % count).map(|(p, _)| *p);
    let mut best: Option<(usize, f64)> = None;
    for at in 0..count {
        let (Some(before), Some(here), Some(after)) = (corner(at + count - 1), corner(at), corner(at + 1))
        else {
            continue;
        };
        let cut = turn * cross(before, here, after);
        if cut < 0.0 || best.is_some_and(|(_, least)| cut >= least) {
            continue;
        }
        let holds = |p: &Point| {
            *p != before
                && *p != here
                && *p != after
                && turn * cross(before, here, *p) >= 0.0
                && turn * cross(here, after, *p) >= 0.0
                && turn * cross(after, before, *p) >= 0.0
        };
        *budget = budget.checked_sub(count)?;
        if !corners.iter().any(|(p, _)| holds(p)) {
            best = Some((at, cut));
        }
    }
    best
}

/// Twice the area of a triangle, positive where it turns left.
fn cross(a: Point, b: Point, c: Point) -> f64 {
    (b.lon - a.lon) * (c.lat - a.lat) - (b.lat - a.lat) * (c.lon - a.lon)
}

#[cfg(test)]
mod tests {
    use super::super::report::Severity;
    use super::*;

    fn area(polygon: &str) -> Area<'static> {
        Area { polygon: vec![Polygon::new(polygon.to_owned())], ..Area::default() }
    }

    /// A gear with `teeth` teeth around a point, clockwise or not.
    fn gear(teeth: usize, clockwise: bool) -> String {
        let mut points: Vec<String> = (0..teeth * 2)
            .map(|i| {
                let angle = std::f64::consts::PI * i as f64 / teeth as f64;
                let radius = if i % 2 == 0 { 1.0 } else { 0.9 };
                format!("{:.6},{:.6}", 45.0 + radius * angle.sin(), -75.0 + radius * angle.cos())
            })
            .collect();
        if clockwise {
            points.reverse();
        }
        points.push(points[0].clone());
        points.join(" ")
    }

    #[test]
    fn a_simplified_polygon_lies_inside_the_original() {
        use geo::{Area as _, BooleanOps, LineString, Polygon as Shape};
        let shape = |p: &Polygon<'_>| {
            let ring: Vec<(f64, f64)> = p.points().unwrap().iter().map(|q| (q.lon, q.lat)).collect();
            Shape::new(LineString::from(ring), vec![])
        };
        for clockwise in [false, true] {
            for teeth in [110, 160, 400] {
                let before = area(&gear(teeth, clockwise));
                let mut after = vec![before.clone()];
                let mut report = Report::new(Target::Ipaws);
                simplify(&mut after, IPAWS_POINTS, &mut report).unwrap();
                let (old, new) = (shape(&before.polygon[0]), shape(&after[0].polygon[0]));
                assert!(after[0].polygon[0].points().unwrap().len() <= IPAWS_POINTS);
                assert!(new.difference(&old).unsigned_area() < 1e-9, "{teeth} teeth: it grew");
                assert!(new.unsigned_area() > old.unsigned_area() * 0.5, "{teeth} teeth: little is left");
                assert_eq!(report.severity(), Severity::Warning);
            }
        }
    }

    #[test]
    fn a_polygon_of_very_many_points_ends_in_a_simpler_one_or_in_none() {
        for teeth in [2_000, 4_001, 20_000] {
            let mut areas = vec![area(&gear(teeth, false))];
            let mut report = Report::new(Target::Ipaws);
            let done = simplify(&mut areas, IPAWS_POINTS, &mut report);
            let points = areas[0].polygon[0].points().unwrap().len();
            assert_eq!(done.is_some(), points <= IPAWS_POINTS, "{teeth} teeth");
        }
    }

    #[test]
    fn what_is_within_the_limit_keeps_its_text() {
        let mut areas = vec![area("45.0,-75.0 45.10,-75.0 45.1,-75.1 45.0,-75.0")];
        let before = areas.clone();
        let mut report = Report::new(Target::Ipaws);
        simplify(&mut areas, IPAWS_POINTS, &mut report).unwrap();
        repair(Target::Ipaws, &mut areas[0], &mut report);
        assert_eq!(areas, before);
        assert!(report.lines.is_empty());
    }

    #[test]
    fn rings_are_closed_doubled_points_go_and_no_place_is_invented() {
        let cases = [
            ("45,-75 45.1,-75 45.1,-75.1", Some("45,-75 45.1,-75 45.1,-75.1 45,-75")),
            ("45,-75 45,-75 45.1,-75 45.1,-75.1 45,-75", Some("45,-75 45.1,-75 45.1,-75.1 45,-75")),
            ("45,-75 45.1,-75 45,-75", None),
            ("45;-75 45.1,-75 45.1,-75.1 45;-75", None),
            ("NaN,-75 45.1,-75 45.1,-75.1 NaN,-75", None),
        ];
        for (text, expected) in cases {
            let mut one = area(text);
            let mut report = Report::new(Target::Ipaws);
            repair(Target::Ipaws, &mut one, &mut report);
            assert_eq!(one.polygon.first().map(Polygon::as_str), expected, "{text}");
            assert!(!report.lines.is_empty(), "{text}: nothing was reported");
        }
    }
}

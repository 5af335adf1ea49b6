//! Polygons and circles for a destination: the same text wherever it can stay, and never a wider place.
//!
//! Owns lexical repair (closing, doubled points) and simplification inside the original. Every change is reported.

use std::borrow::Cow;

use cap_schema::{Area, GeometryError, Point, Polygon};

use super::Target;
use super::geography::{self, shape};
use super::report::{Report, Rule};

mod simplify;

/// Points of all polygons of an info that IPAWS takes (ipaws page 4.1, rule 13).
pub(super) const IPAWS_POINTS: usize = 200;
/// The least that a polygon is: a closed triangle.
const LEAST_POINTS: usize = 4;
/// Above this many points the search would take longer than an alert may wait: what one polygon may have (design 9).
const MOST_POINTS: usize = 50_000;
/// Looks at a side for one info: a few seconds. A polygon made to be slow is not simplified.
const MOST_LOOKS: usize = 50_000_000;
/// A ring whose lines cross this often says no place, and could be made to hold the translator for minutes.
const MOST_CROSSINGS: usize = 500;
/// A share of the area, of which a duty officer should know that it went.
const MUCH: f64 = 0.1;

/// Repairs what can be repaired with the same meaning; leaves out what says no place.
pub(super) fn repair(target: Target, area: &mut Area<'static>, at: &str, report: &mut Report) {
    let field = format!("{at}/polygon");
    let polygons = std::mem::take(&mut area.polygon);
    for polygon in polygons {
        if geography::is_longitude_first(polygon.as_str()) {
            report.add(Rule::ShapeSwapped, &field, &beginning(polygon.as_str()));
            continue;
        }
        match polygon.pairs() {
            Ok(points) => area.polygon.extend(repaired(target, polygon, &points, &field, report)),
            Err(error) => unreadable(&field, &error, report),
        }
    }
    let field = format!("{at}/circle");
    area.circle.retain(|circle| match (circle.center(), circle.radius_km()) {
        _ if geography::is_longitude_first(circle.as_str()) => {
            report.add(Rule::ShapeSwapped, &field, &beginning(circle.as_str()));
            false
        }
        (Ok(_), Ok(radius)) if radius > shape::MOST_RADIUS_KM => {
            report.add(Rule::ShapeUnreadable, &field, "wider than the Earth");
            false
        }
        (Ok(_), Ok(_)) => true,
        (Err(error), _) | (_, Err(error)) => {
            unreadable(&field, &error, report);
            false
        }
    });
    let height = |text: &Option<Cow<'_, str>>| text.as_deref().and_then(|t| t.trim().parse::<f64>().ok());
    let (low, high) = (height(&area.altitude), height(&area.ceiling));
    let upside_down = area.ceiling.is_some() && !matches!((low, high), (Some(l), Some(h)) if l <= h);
    if upside_down {
        area.ceiling = None;
        report.add(Rule::Height, &format!("{at}/ceiling"), "below altitude, or no number");
    }
    if area.altitude.is_some() && low.is_none() {
        area.altitude = None;
        report.add(Rule::Height, &format!("{at}/altitude"), "no number");
    }
}

/// The first pair of a shape, for the report.
fn beginning(text: &str) -> String {
    format!("it begins with {}", text.split_ascii_whitespace().next().unwrap_or(""))
}

fn unreadable(field: &str, error: &GeometryError, report: &mut Report) {
    let detail = format!("it says no place: {error}");
    report.add(Rule::ShapeUnreadable, field, &detail);
}

fn repaired(
    target: Target,
    polygon: Polygon<'static>,
    points: &[Point],
    field: &str,
    report: &mut Report,
) -> Vec<Polygon<'static>> {
    let text = polygon.as_str();
    let mut pairs: Vec<&str> = text.split_ascii_whitespace().collect();
    let mut changed = false;
    let mut tidied = target == Target::Ipaws && text.trim() != text;
    if target == Target::Ipaws {
        let before = pairs.len();
        pairs.dedup();
        tidied |= pairs.len() != before;
    }
    match shape::crossings(&unwound(points.to_vec()), MOST_CROSSINGS) {
        0 => {}
        MOST_CROSSINGS.. => {
            report.add(Rule::ShapeUnreadable, field, "its lines cross too often to say a place");
            return Vec::new();
        }
        _ => match shape::uncrossed(points) {
            Some(parts) => {
                let detail = format!("its lines cross: the same area as {} polygon(s)", parts.len());
                report.add(Rule::RingCrossing, field, &detail);
                return parts.into_iter().map(Polygon::new).collect();
            }
            None => report.add(Rule::RingCrossingKept, field, ""),
        },
    }
    if points.first() != points.last() {
        let first = pairs.first().copied();
        pairs.extend(first);
        changed = true;
        report.add(Rule::RingClosed, field, "");
    }
    if pairs.len() < LEAST_POINTS {
        unreadable(field, &GeometryError::TooFew { count: pairs.len() }, report);
        return Vec::new();
    }
    if !changed && !tidied {
        return vec![polygon];
    }
    report.add_if(tidied, Rule::PointsDoubled, field, "");
    vec![Polygon::new(pairs.join(" "))]
}

fn count(polygon: &Polygon<'_>) -> usize {
    polygon.as_str().split_ascii_whitespace().count()
}

fn points_of(areas: &[Area<'_>]) -> usize {
    areas.iter().flat_map(|a| &a.polygon).map(count).sum()
}

/// Whether the polygons of an info have more points than can be simplified.
pub(super) fn are_too_many(areas: &[Area<'_>]) -> bool {
    points_of(areas) > MOST_POINTS
}

/// Takes points away until all polygons together have at most `limit`, each new polygon inside the old one, and says how
/// much of the area went: whether any was taken away. `None` where that is not possible.
pub(super) fn simplify(areas: &mut [Area<'static>], limit: usize, report: &mut Report) -> Option<bool> {
    let total = points_of(areas);
    if total <= limit {
        return Some(false);
    }
    let polygons = areas.iter().map(|a| a.polygon.len()).sum::<usize>();
    if polygons * LEAST_POINTS > limit {
        return None;
    }
    // Each polygon keeps its share of what the limit leaves above the least.
    let spare = limit - polygons * LEAST_POINTS;
    let above = (total - (polygons * LEAST_POINTS).min(total)).max(1);
    let mut budget = MOST_LOOKS;
    let mut most_cut = 0.0_f64;
    for polygon in areas.iter_mut().flat_map(|a| &mut a.polygon) {
        let points = count(polygon);
        let keep = LEAST_POINTS + points.saturating_sub(LEAST_POINTS) * spare / above;
        let (simpler, cut_share) = inside(polygon, keep, &mut budget)?;
        *polygon = simpler;
        most_cut = most_cut.max(cut_share);
    }
    let mut detail = format!("{total} points: simplified inside the original to at most {limit}");
    detail.push_str(&format!("; up to {:.1} % of a polygon's area was cut off", most_cut * 100.0));
    let rule = if most_cut > MUCH { Rule::ShapeShrunk } else { Rule::ShapeSimplified };
    report.add(rule, "area/polygon", &detail);
    Some(true)
}

/// A polygon of at most `keep` points, the closing one included, that lies inside the given one, and the share of the
/// area that went.
fn inside(polygon: &Polygon<'_>, keep: usize, budget: &mut usize) -> Option<(Polygon<'static>, f64)> {
    let mut points = polygon.points().ok()?;
    points.pop();
    if points.len() < keep {
        return Some((polygon.clone().into_owned(), 0.0));
    }
    let simpler = simplify::simpler(&points, keep - 1, budget)?;
    let texts: Vec<&str> = polygon.as_str().split_ascii_whitespace().collect();
    let mut pairs: Vec<&str> =
        simpler.corners.iter().filter_map(|corner| texts.get(*corner)).copied().collect();
    let first = *pairs.first()?;
    pairs.push(first);
    Some((Polygon::new(pairs.join(" ")), simpler.cut_share))
}

/// Longitudes go on over the 180th meridian, so that a ring there is whole.
fn unwound(mut points: Vec<Point>) -> Vec<Point> {
    let mut before: Option<f64> = None;
    for point in &mut points {
        if let Some(before) = before {
            point.lon += ((before - point.lon) / 360.0).round() * 360.0;
        }
        before = Some(point.lon);
    }
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    /// A ring on the map, running on over the 180th meridian; near that one from its east, wherever the ring begins.
    fn ring(polygon: &Polygon<'_>) -> geo::LineString<f64> {
        let mut ring: Vec<(f64, f64)> = Vec::new();
        for point in polygon.points().unwrap() {
            let beginning = if point.lon.abs() > 90.0 { 180.0 } else { point.lon };
            let before = ring.last().map_or(beginning, |(lon, _)| *lon);
            let turns = ((point.lon - before) / 360.0).round();
            ring.push((point.lon - turns * 360.0, point.lat));
        }
        ring.into()
    }

    /// Square degrees of `one`, and of what of it lies outside `other`, by each way to fill a ring that crosses itself.
    fn outside(one: &Polygon<'_>, other: &Polygon<'_>) -> [(f64, f64); 2] {
        use geo::{Area as _, BooleanOps, bool_ops::FillRule};
        [FillRule::EvenOdd, FillRule::NonZero].map(|fill| {
            let filled = |polygon| {
                let shape = geo::Polygon::new(ring(polygon), vec![]);
                shape.union_with_fill_rule(&geo::MultiPolygon(Vec::new()), fill)
            };
            let (one, other) = (filled(one), filled(other));
            (one.unsigned_area(), one.difference(&other).unsigned_area())
        })
    }

    #[test]
    fn a_simplified_gear_keeps_most_of_its_area() {
        for clockwise in [false, true] {
            for teeth in [110, 160, 400] {
                let before = area(&gear(teeth, clockwise));
                let mut after = vec![before.clone()];
                let mut report = Report::new(Target::Ipaws);
                simplify(&mut after, IPAWS_POINTS, &mut report).unwrap();
                let (old, new) = (&before.polygon[0], &after[0].polygon[0]);
                assert!(new.points().unwrap().len() <= IPAWS_POINTS);
                let ([(kept, grown), _], [(all, _), _]) = (outside(new, old), outside(old, new));
                assert!(grown < 1e-9, "{teeth} teeth: it grew by {grown}");
                assert!(kept > all * 0.85, "{teeth} teeth: {kept} of {all} is left");
                let said: f64 = report.lines[0]
                    .detail
                    .split("up to ")
                    .nth(1)
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
                assert!((said - (1.0 - kept / all) * 100.0).abs() < 0.1, "{teeth} teeth: {said} % said");
                let expected = if said > 10.0 { Severity::Alarm } else { Severity::Warning };
                assert_eq!(report.severity(), expected);
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Form {
        /// Around its centre, with a rough line.
        Round,
        /// Two lobes, wound against each other.
        Eight,
        /// Twice around, the second time nearer.
        Spiral,
        /// From anywhere to anywhere.
        Wild,
    }

    fn any_polygon() -> impl Strategy<Value = (Form, String)> {
        let form = prop_oneof![Just(Form::Round), Just(Form::Eight), Just(Form::Spiral), Just(Form::Wild)];
        let center = prop_oneof![Just(-75.0), Just(179.9), Just(-179.5), Just(0.0)];
        let noise = prop::collection::vec((0.0..1.0f64, 0.0..1.0f64), 205..330);
        (form, center, any::<bool>(), noise).prop_map(|(form, center, clockwise, noise)| {
            let count = noise.len() as f64;
            let corner = |(number, (one, two)): (usize, &(f64, f64))| {
                let angle = number as f64 / count * std::f64::consts::TAU;
                let radius = 0.7 + 0.3 * one;
                match form {
                    Form::Round => (radius * angle.sin(), radius * angle.cos()),
                    Form::Eight => (radius * angle.sin(), radius * (2.0 * angle).sin() + 0.01 * two),
                    Form::Spiral => {
                        let radius = radius * if number as f64 > count / 2.0 { 0.6 } else { 1.0 };
                        (radius * (2.0 * angle).sin(), radius * (2.0 * angle).cos())
                    }
                    Form::Wild => (*one, *two),
                }
            };
            let mut points: Vec<String> = noise
                .iter()
                .enumerate()
                .map(corner)
                .map(|(x, y)| (center + 2.0 * x, 50.0 + y))
                .map(|(lon, lat)| (lon - ((lon / 360.0).round() * 360.0), lat))
                .map(|(lon, lat)| format!("{lat:.4},{lon:.4}"))
                .collect();
            if clockwise {
                points.reverse();
            }
            points.push(points[0].clone());
            (form, points.join(" "))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_polygon_is_widened((form, text) in any_polygon()) {
            let before = area(&text);
            let mut after = vec![before.clone()];
            let mut report = Report::new(Target::Ipaws);
            if simplify(&mut after, IPAWS_POINTS, &mut report).is_some() {
                let (old, new) = (&before.polygon[0], &after[0].polygon[0]);
                prop_assert!(new.points().unwrap().len() <= IPAWS_POINTS);
                for (kept, grown) in outside(new, old) {
                    prop_assert!(grown <= kept * 1e-6, "{grown} of {kept} is new");
                }
            } else {
                prop_assert!(matches!(form, Form::Wild), "{form:?} was not simplified");
                prop_assert_eq!(&after[0].polygon[0], &before.polygon[0]);
            }
        }
    }

    #[test]
    fn a_ring_around_a_pole_is_not_simplified() {
        let points: Vec<String> =
            (0..300).map(|i| format!("80.0,{:.1}", f64::from(i) * 1.2 - 180.0)).collect();
        let text = format!("{} {}", points.join(" "), points[0]);
        let mut areas = vec![area(&text)];
        let mut report = Report::new(Target::Ipaws);
        assert_eq!(simplify(&mut areas, IPAWS_POINTS, &mut report), None);
    }

    #[test]
    fn a_polygon_of_very_many_points_ends_in_a_simpler_one_or_in_none() {
        for teeth in [1_000, 4_001, 26_000] {
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
        repair(Target::Ipaws, &mut areas[0], "area", &mut report);
        assert_eq!(areas, before);
        assert!(report.lines.is_empty());
    }

    #[test]
    fn rings_are_closed_doubled_points_go_and_no_place_is_invented() {
        let cases = [
            (
                "45,-75 45.1,-75 45,-75.1 45.1,-75.1 45,-75",
                Some("45.1,-75.1 45,-75.1 45.05,-75.05 45.1,-75.1"),
            ),
            ("45,-75 45.1,-75 45.1,-75.1", Some("45,-75 45.1,-75 45.1,-75.1 45,-75")),
            ("45,-75 45,-75 45.1,-75 45.1,-75.1 45,-75", Some("45,-75 45.1,-75 45.1,-75.1 45,-75")),
            ("45,-75 45.1,-75 45,-75", None),
            ("45;-75 45.1,-75 45.1,-75.1 45;-75", None),
            ("NaN,-75 45.1,-75 45.1,-75.1 NaN,-75", None),
        ];
        for (text, expected) in cases {
            let mut one = area(text);
            let mut report = Report::new(Target::Ipaws);
            repair(Target::Ipaws, &mut one, "area", &mut report);
            assert_eq!(one.polygon.first().map(Polygon::as_str), expected, "{text}");
            assert!(!report.lines.is_empty(), "{text}: nothing was reported");
        }
    }
}

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

/// Whether two sides of a ring cross properly. Sides are compared in order of longitude, within the budget.
fn crosses_itself(points: &[Point], budget: &mut usize) -> bool {
    let mut sides: Vec<(Point, Point)> =
        points.windows(2).filter_map(|w| Some((*w.first()?, *w.last()?))).collect();
    let west = |s: &(Point, Point)| s.0.lon.min(s.1.lon);
    let east = |s: &(Point, Point)| s.0.lon.max(s.1.lon);
    sides.sort_by(|a, b| west(a).total_cmp(&west(b)));
    for (at, side) in sides.iter().enumerate() {
        for other in sides.iter().skip(at + 1) {
            if west(other) > east(side) {
                break;
            }
            let Some(left) = budget.checked_sub(1) else { return false };
            *budget = left;
            if cross(side, other) {
                return true;
            }
        }
    }
    false
}

fn cross((a, b): &(Point, Point), (c, d): &(Point, Point)) -> bool {
    let turn = |p: &Point, q: &Point, r: &Point| {
        (q.lon - p.lon) * (r.lat - p.lat) - (q.lat - p.lat) * (r.lon - p.lon)
    };
    turn(a, b, c) * turn(a, b, d) < 0.0 && turn(c, d, a) * turn(c, d, b) < 0.0
}

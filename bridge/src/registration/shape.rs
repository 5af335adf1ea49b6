//! Whether a ring is an area at all.

use cap_schema::{Point, Polygon};

/// The most points of a ring that is subscribed to.
const MOST_POINTS: usize = 500;

/// Reads a ring as CAP writes it.
///
/// # Errors
/// Why it is no area, as the end of a sentence.
pub fn ring(text: &str) -> Result<Vec<Point>, String> {
    let points = Polygon::new(text).points().map_err(|error| error.to_string())?;
    if points.len() > MOST_POINTS {
        return Err(format!("has {} points, and at most {MOST_POINTS} are taken", points.len()));
    }
    let edges: Vec<(Point, Point)> = points.iter().copied().zip(points.iter().copied().skip(1)).collect();
    for (index, one) in edges.iter().enumerate() {
        // The neighbours share a point; so do the first and the last edge.
        let last = if index == 0 { edges.len().saturating_sub(1) } else { edges.len() };
        for other in edges.iter().take(last).skip(index + 2) {
            if cross(*one, *other) {
                return Err("crosses itself".to_owned());
            }
        }
    }
    let doubled: f64 = edges.iter().map(|(a, b)| a.lon * b.lat - b.lon * a.lat).sum();
    if doubled.abs() < 1e-9 {
        return Err("has no area".to_owned());
    }
    Ok(points)
}

fn side(a: Point, b: Point, c: Point) -> f64 {
    (b.lon - a.lon) * (c.lat - a.lat) - (b.lat - a.lat) * (c.lon - a.lon)
}

fn cross((a, b): (Point, Point), (c, d): (Point, Point)) -> bool {
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_area_is_taken_for_one() {
        let cases = [
            ("42,-83 42,-82 43,-82 43,-83 42,-83", None),
            ("42,-83 42,-82 43,-82 42,-83", None),
            ("42,-83 43,-82 42,-82 43,-83 42,-83", Some("crosses itself")),
            ("42,-83 42,-82 42,-81 42,-83", Some("no area")),
            ("42,-83 42,-83 42,-83 42,-83", Some("no area")),
            ("42,-83 42,-82 43,-82", Some("")),
            ("42,-83 42,-82 43,-82 43,-83", Some("")),
            ("91,-83 42,-82 43,-82 91,-83", Some("")),
            ("42,-183 42,-82 43,-82 42,-183", Some("")),
            ("NaN,-83 42,-82 43,-82 NaN,-83", Some("")),
            ("42 -83 42 -82", Some("")),
            ("", Some("")),
        ];
        for (text, expected) in cases {
            match (ring(text), expected) {
                (Ok(_), None) => {}
                (Err(problem), Some(part)) => assert!(problem.contains(part), "{text}: {problem}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }
}

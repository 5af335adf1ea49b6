//! From GeoRSS to CAP geometry: nothing is widened, nothing is dropped without a finding.

use crate::atom::{Place, Shape};

/// CAP geometry of an area, and parameters that say what CAP cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) polygons: Vec<String>,
    pub(super) circles: Vec<String>,
    /// Name and value: the event's own location (CAPAN event location layer).
    pub(super) parameters: Vec<(String, String)>,
    /// Rule and message.
    pub(super) remarks: Vec<(&'static str, String)>,
}

pub(super) fn places(shapes: &[Shape]) -> Places {
    let mut out = Places::default();
    for shape in shapes {
        match shape {
            Shape::Point(place) => {
                out.circles.push(format!("{} 0", pair(place)));
                out.parameters.push((location("point"), pair(place)));
            }
            Shape::Line(line) => out.line(line),
            Shape::Polygon(ring) => out.polygon(ring),
            Shape::Circle(centre, metres) => {
                out.circles.push(format!("{} {}", pair(centre), kilometres(metres)));
            }
            Shape::Box(low, high) => {
                let corner = |lat: &Place, lon: &Place| format!("{},{}", lat.lat, lon.lon);
                let (sw, se, ne, nw) =
                    (corner(low, low), corner(low, high), corner(high, high), corner(high, low));
                out.polygons.push(format!("{sw} {se} {ne} {nw} {sw}"));
            }
            Shape::Unreadable(kind, text) => {
                out.remarks
                    .push(("masas.geometry", format!("the {kind} {text:?} cannot be read and is left out")));
            }
        }
    }
    out
}

impl Places {
    /// CAP has no lines. Each of its places becomes a circle of no size, and the line itself a parameter: an area
    /// around it would be a guess.
    fn line(&mut self, line: &[Place]) {
        self.circles.extend(line.iter().map(|place| format!("{} 0", pair(place))));
        self.parameters.push((location("line"), pairs(line)));
        self.remarks.push(("masas.line", "CAP has no lines: its places are given as points".to_owned()));
    }

    fn polygon(&mut self, ring: &[Place]) {
        let closed = ring.first() == ring.last();
        let corners = if closed { ring.len().saturating_sub(1) } else { ring.len() };
        if corners < 3 {
            self.remarks.push(("masas.polygon", format!("a polygon of {corners} places is taken as a line")));
            return self.line(ring);
        }
        let mut text = pairs(ring);
        if let (false, Some(first)) = (closed, ring.first()) {
            text = format!("{text} {}", pair(first));
            self.remarks.push(("masas.polygon", "an open polygon was closed".to_owned()));
        }
        self.polygons.push(text);
    }
}

fn location(kind: &str) -> String {
    format!("layer:CAPAN:eventLocation:{kind}")
}

fn pair(place: &Place) -> String {
    format!("{},{}", place.lat, place.lon)
}

fn pairs(places: &[Place]) -> String {
    places.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// Moves the decimal point by three places: exact, where a division of binary fractions is not.
fn kilometres(metres: &str) -> String {
    let (whole, fraction) = metres.split_once('.').unwrap_or((metres, ""));
    let digits = format!("{whole:0>4}{fraction}");
    let point = digits.len() - fraction.len() - 3;
    let (whole, fraction) = digits.split_at_checked(point).unwrap_or((&digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: &str, lon: &str) -> Place {
        Place { lat: lat.into(), lon: lon.into() }
    }

    #[test]
    fn metres_become_kilometres_exactly() {
        for (metres, km) in [
            ("1500", "1.5"),
            ("1", "0.001"),
            ("0", "0"),
            ("1000", "1"),
            ("10000000", "10000"),
            ("12.5", "0.0125"),
            ("500000.25", "500.00025"),
            ("0.5", "0.0005"),
            (".5", "0.0005"),
        ] {
            assert_eq!(kilometres(metres), km, "{metres}");
        }
    }

    #[test]
    fn every_shape_becomes_cap_geometry_or_a_remark() {
        let ring = vec![at("1", "2"), at("1", "3"), at("2", "3"), at("1", "2")];
        type Case = (Shape, &'static [&'static str], &'static [&'static str], usize, usize);
        let cases: [Case; 8] = [
            (Shape::Point(at("42.9745", "-82.4066")), &[], &["42.9745,-82.4066 0"], 1, 0),
            (Shape::Line(vec![at("1", "2"), at("3", "4")]), &[], &["1,2 0", "3,4 0"], 1, 1),
            (Shape::Polygon(ring.clone()), &["1,2 1,3 2,3 1,2"], &[], 0, 0),
            (Shape::Polygon(ring[..3].to_vec()), &["1,2 1,3 2,3 1,2"], &[], 0, 1),
            (Shape::Polygon(ring[..2].to_vec()), &[], &["1,2 0", "1,3 0"], 1, 2),
            (Shape::Circle(at("42.99", "-82.48"), "1500".into()), &[], &["42.99,-82.48 1.5"], 0, 0),
            (Shape::Box(at("1", "2"), at("3", "4")), &["1,2 1,4 3,4 3,2 1,2"], &[], 0, 0),
            (Shape::Unreadable("point".into(), "x".into()), &[], &[], 0, 1),
        ];
        for (shape, polygons, circles, parameters, remarks) in cases {
            let made = places(std::slice::from_ref(&shape));
            assert_eq!((made.polygons, made.circles), (owned(polygons), owned(circles)), "{shape:?}");
            assert_eq!((made.parameters.len(), made.remarks.len()), (parameters, remarks), "{shape:?}");
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }
}

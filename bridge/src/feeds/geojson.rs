//! What is in force as GeoJSON (RFC 7946), one feature for each shape, for map viewers.
//!
//! Owns the shapes: polygons as written, turned so that outer rings go against the clock; circles as a ring inside the
//! circle, so that nothing is widened. A place without a usable shape is a feature without geometry: it is not dropped.

use cap_schema::{Circle, Point, Polygon};
use capbridge_adapters::feed::{EntryArea, EntryInfo};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::atom::{kind, title};
use super::{FeedServer, Served};
use crate::store::feeds::Placed;

/// Corners of a circle's ring.
const CORNERS: u32 = 64;
/// Kilometres of a degree of latitude, at its shortest, so that rings stay inside.
const KM_PER_DEGREE: f64 = 111.7;

/// The document.
pub(super) fn document(server: &FeedServer, served: &Served, entries: &[Placed], now: Timestamp) -> String {
    let mut features = Vec::new();
    for Placed { entry, .. } in entries {
        let whole = json!({
            "id": entry.id,
            "title": title(served, entry),
            "reference": entry.reference,
            "usage": served.class.as_str(),
            "status": entry.status,
            "msgType": kind(entry.msg_type),
            "sender": entry.sender,
            "sent": entry.sent,
            "href": server.url(&served.feed, &format!("alerts/{}.xml", entry.id)),
        });
        for info in entry.infos.iter().filter(|info| info.expires_at.is_none_or(|ends| ends > now)) {
            for area in &info.areas {
                let properties = properties(&whole, info, area);
                for shape in shapes(area) {
                    features.push(feature(&properties, shape));
                }
            }
        }
    }
    json!({"type": "FeatureCollection", "features": features}).to_string()
}

fn properties(whole: &Value, info: &EntryInfo, area: &EntryArea) -> Map<String, Value> {
    let mut properties = whole.as_object().cloned().unwrap_or_default();
    let more = json!({
        "language": info.language,
        "category": info.categories,
        "event": info.event,
        "urgency": info.urgency,
        "severity": info.severity,
        "certainty": info.certainty,
        "expires": info.expires,
        "headline": info.headline,
        "description": info.description,
        "instruction": info.instruction,
        "senderName": info.sender_name,
        "areaDesc": area.description,
        "geocodes": area.geocodes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
    });
    properties.extend(more.as_object().cloned().unwrap_or_default());
    properties
}

/// A geometry and what it says beside.
struct Shape {
    geometry: Value,
    beside: Option<(&'static str, Value)>,
}

fn feature(properties: &Map<String, Value>, shape: Shape) -> Value {
    let mut properties = properties.clone();
    if let Some((name, value)) = shape.beside {
        properties.insert(name.to_owned(), value);
    }
    json!({"type": "Feature", "geometry": shape.geometry, "properties": properties})
}

fn shapes(area: &EntryArea) -> Vec<Shape> {
    let mut found = Vec::new();
    for text in &area.polygons {
        if let Ok(points) = Polygon::new(text.as_str()).points() {
            let ring = points.iter().map(|p| [p.lon, p.lat]).collect();
            let geometry = json!({"type": "Polygon", "coordinates": [against_the_clock(ring)]});
            found.push(Shape { geometry, beside: None });
        }
    }
    for text in &area.circles {
        let circle = Circle::new(text.as_str());
        if let (Ok(centre), Ok(radius_km)) = (circle.center(), circle.radius_km()) {
            let point = json!({"type": "Point", "coordinates": [centre.lon, centre.lat]});
            let geometry = ring(centre, radius_km)
                .map_or(point, |ring| json!({"type": "Polygon", "coordinates": [ring]}));
            found.push(Shape { geometry, beside: Some(("circle", json!(text))) });
        }
    }
    if found.is_empty() {
        found.push(Shape { geometry: Value::Null, beside: None });
    }
    found
}

/// A ring inside a circle; `None` where the circle has no size, or reaches a pole or the edge of the map.
fn ring(centre: Point, radius_km: f64) -> Option<Vec<[f64; 2]>> {
    let degrees = radius_km / KM_PER_DEGREE;
    if radius_km <= 0.0 || centre.lat.abs() + degrees >= 89.0 {
        return None;
    }
    // Degrees are longest nearest to the equator: counted by those, the ring stays inside.
    let across = degrees / (centre.lat.abs() - degrees).max(0.0).to_radians().cos();
    if centre.lon.abs() + across > 180.0 {
        return None;
    }
    let corner = |n: u32| {
        let angle = f64::from(n % CORNERS) / f64::from(CORNERS) * std::f64::consts::TAU;
        let rounded = |degrees: f64| (degrees * 1e6).round() / 1e6;
        [rounded(centre.lon + across * angle.cos()), rounded(centre.lat + degrees * angle.sin())]
    };
    Some((0..=CORNERS).map(corner).collect())
}

/// RFC 7946 section 3.1.6.
fn against_the_clock(mut ring: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let doubled: f64 =
        ring.iter().zip(ring.iter().skip(1)).map(|([x1, y1], [x2, y2])| x1 * y2 - x2 * y1).sum();
    if doubled < 0.0 {
        ring.reverse();
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_becomes_a_closed_ring_inside_it_and_an_odd_one_stays_a_point() {
        for (lat, lon, radius_km, is_ring) in [
            (42.97, -82.4, 5.0, true),
            (42.97, -82.4, 300.0, true),
            (-10.0, 20.0, 800.0, true),
            (70.0, -100.0, 400.0, true),
            (42.97, -82.4, 0.0, false),
            (89.5, 0.0, 10.0, false),
            (50.0, 179.99, 10.0, false),
        ] {
            let Some(ring) = ring(Point { lat, lon }, radius_km) else {
                assert!(!is_ring, "{lat} {lon} {radius_km}");
                continue;
            };
            assert!(is_ring && ring.first() == ring.last() && ring.len() == 65);
            for [x, y] in ring {
                let (a, b) = (lat.to_radians(), f64::to_radians(y));
                let half = ((b - a) / 2.0).sin().powi(2)
                    + a.cos() * b.cos() * (f64::to_radians(x - lon) / 2.0).sin().powi(2);
                let km = 2.0 * 6_371.0 * half.sqrt().asin();
                // As far as a corner is rounded.
                assert!(km <= radius_km + 0.001, "{km} km of {radius_km} at {lat}");
                assert!(km >= radius_km * 0.8, "{km} km of {radius_km} at {lat}");
            }
        }
    }

    #[test]
    fn outer_rings_go_against_the_clock() {
        let clockwise = vec![[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]];
        let turned = against_the_clock(clockwise.clone());
        assert_eq!(turned, [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]);
        assert_eq!(against_the_clock(turned.clone()), turned);
    }
}

//! GeoJSON (RFC 7946) feature collections: polygons and their properties.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Drawing, Drawn, InputError};

pub(super) fn read(collection: &Value) -> Result<Drawing, InputError> {
    let features = collection.get("features").and_then(Value::as_array).ok_or(InputError::NotGeometry)?;
    let mut drawing = Drawing::default();
    for feature in features {
        let mut drawn = Drawn { columns: columns(feature), rings: Vec::new() };
        let Some(geometry) = feature.get("geometry") else { continue };
        let parts = geometry.get("coordinates").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match geometry.get("type").and_then(Value::as_str) {
            Some("Polygon") => rings(parts, &mut drawing, &mut drawn)?,
            Some("MultiPolygon") => {
                for part in parts.iter().filter_map(Value::as_array) {
                    rings(part, &mut drawing, &mut drawn)?;
                }
            }
            _ => continue,
        }
        drawing.features.push(drawn);
    }
    Ok(drawing)
}

fn rings(rings: &[Value], drawing: &mut Drawing, drawn: &mut Drawn) -> Result<(), InputError> {
    for ring in rings.iter().filter_map(Value::as_array) {
        let points = ring.iter().map(position).collect::<Result<Vec<_>, _>>()?;
        in_degrees(&points)?;
        drawn.rings.push(vec![(drawing.arcs.len(), false)]);
        drawing.arcs.push(points);
    }
    Ok(())
}

/// Longitude and latitude.
pub(super) fn position(point: &Value) -> Result<(f64, f64), InputError> {
    let number = |index: usize| point.get(index).and_then(Value::as_f64).filter(|number| number.is_finite());
    number(0).zip(number(1)).ok_or(InputError::Coordinate)
}

/// Refuses coordinates that are not degrees: RFC 7946 knows no others, but files do.
pub(super) fn in_degrees(points: &[(f64, f64)]) -> Result<(), InputError> {
    // The edge of the map, as rounded by publishers, lies a little over 180.
    let fits = points.iter().all(|(lon, lat)| lon.abs() <= 180.5 && lat.abs() <= 90.0);
    if fits { Ok(()) } else { Err(InputError::Projection) }
}

/// Properties as text, by name in upper case. Numbers stay as written: Statistics Canada's codes come as such too.
pub(super) fn columns(feature: &Value) -> BTreeMap<String, String> {
    let properties = feature.get("properties").and_then(Value::as_object);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let columns = properties.into_iter().flatten();
    columns.filter_map(|(name, value)| Some((name.to_ascii_uppercase(), text(value)?))).collect()
}

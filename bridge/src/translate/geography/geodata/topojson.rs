//! TopoJSON 1.0: lines that neighbours share, in whole numbers when there is a transform.

use serde_json::Value;

use super::{Drawing, Drawn, InputError, geojson};

pub(super) fn read(topology: &Value) -> Result<Drawing, InputError> {
    let pair = |name: &str| {
        let pair = topology.get("transform")?.get(name)?;
        Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?))
    };
    let transform = pair("scale").zip(pair("translate"));
    let arcs = topology.get("arcs").and_then(Value::as_array).ok_or(InputError::NotGeometry)?;
    let mut drawing = Drawing::default();
    for arc in arcs {
        let mut points = Vec::new();
        let (mut x, mut y) = (0.0, 0.0);
        for point in arc.as_array().ok_or(InputError::Coordinate)? {
            let (dx, dy) = geojson::position(point)?;
            points.push(match transform {
                Some(((scale_x, scale_y), (from_x, from_y))) => {
                    (x, y) = (x + dx, y + dy);
                    (x * scale_x + from_x, y * scale_y + from_y)
                }
                None => (dx, dy),
            });
        }
        geojson::in_degrees(&points)?;
        drawing.arcs.push(points);
    }
    let objects = topology.get("objects").and_then(Value::as_object).ok_or(InputError::NotGeometry)?;
    for object in objects.values() {
        let geometries = object.get("geometries").and_then(Value::as_array);
        for geometry in geometries.map_or(std::slice::from_ref(object), Vec::as_slice) {
            let mut drawn = Drawn { columns: geojson::columns(geometry), rings: Vec::new() };
            let parts = geometry.get("arcs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            match geometry.get("type").and_then(Value::as_str) {
                Some("Polygon") => rings(parts, drawing.arcs.len(), &mut drawn)?,
                Some("MultiPolygon") => {
                    for part in parts.iter().filter_map(Value::as_array) {
                        rings(part, drawing.arcs.len(), &mut drawn)?;
                    }
                }
                _ => continue,
            }
            drawing.features.push(drawn);
        }
    }
    Ok(drawing)
}

fn rings(rings: &[Value], arcs: usize, drawn: &mut Drawn) -> Result<(), InputError> {
    for ring in rings.iter().filter_map(Value::as_array) {
        let mut references = Vec::new();
        for number in ring.iter().filter_map(Value::as_i64) {
            // A negative number is the one's complement of the line that is followed backwards.
            let (arc, reversed) = if number < 0 { (!number, true) } else { (number, false) };
            let arc =
                usize::try_from(arc).ok().filter(|arc| *arc < arcs).ok_or(InputError::Arc { number })?;
            references.push((arc, reversed));
        }
        drawn.rings.push(references);
    }
    Ok(())
}

//! ESRI shapefiles (the published technical description of July 1998) of polygons, with the dBASE table beside them and
//! the description of the map projection.

use std::collections::BTreeMap;

use super::{Drawing, Drawn, InputError, geojson, projection::Projection};

const HEADER_BYTES: usize = 100;
const NULL_SHAPE: i32 = 0;
/// Polygon, PolygonZ, PolygonM: the same up to where heights and measures follow.
const POLYGONS: [i32; 3] = [5, 15, 25];

/// Reads the shapes of `name` with the columns and the projection that lie beside it among the inputs.
pub(super) fn read(name: &str, bytes: &[u8], inputs: &[&(String, Vec<u8>)]) -> Result<Drawing, InputError> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let beside = |ending: &str| {
        let beside = inputs.iter().find(|(other, _)| {
            other.rsplit_once('.').is_some_and(|(s, e)| s == stem && e.eq_ignore_ascii_case(ending))
        });
        beside.map(|(_, bytes)| bytes.as_slice())
    };
    let table = beside("dbf").ok_or_else(|| InputError::NoTable { name: format!("{stem}.dbf") })?;
    let rows = table_rows(table).ok_or(InputError::Truncated)?;
    let projection = match beside("prj") {
        Some(text) => Projection::from_wkt(&String::from_utf8_lossy(text)).ok_or(InputError::Projection)?,
        None => Projection::Degrees,
    };
    let mut drawing = Drawing::default();
    let mut rest = bytes.get(HEADER_BYTES..).ok_or(InputError::Truncated)?;
    let mut rows = rows.into_iter();
    while !rest.is_empty() {
        let words = rest
            .get(4..8)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or(InputError::Truncated)?;
        let length = usize::try_from(words)
            .ok()
            .and_then(|words| words.checked_mul(2))
            .ok_or(InputError::Truncated)?;
        let (record, after) =
            rest.get(8..).and_then(|rest| rest.split_at_checked(length)).ok_or(InputError::Truncated)?;
        rest = after;
        let columns = rows.next().ok_or(InputError::Truncated)?;
        let rings = polygon(record, &projection)?;
        let mut drawn = Drawn { columns, rings: Vec::new() };
        for ring in rings {
            geojson::in_degrees(&ring)?;
            drawn.rings.push(vec![(drawing.arcs.len(), false)]);
            drawing.arcs.push(ring);
        }
        drawing.features.push(drawn);
    }
    Ok(drawing)
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32, InputError> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map(|four| i32::from_le_bytes(*four)).ok_or(InputError::Truncated)
}

fn count_at(bytes: &[u8], at: usize) -> Result<usize, InputError> {
    // Each counted thing takes at least four bytes.
    usize::try_from(i32_at(bytes, at)?)
        .ok()
        .filter(|count| *count <= bytes.len() / 4)
        .ok_or(InputError::Truncated)
}

fn polygon(record: &[u8], projection: &Projection) -> Result<Vec<Vec<(f64, f64)>>, InputError> {
    let kind = i32_at(record, 0)?;
    if kind == NULL_SHAPE {
        return Ok(Vec::new());
    }
    if !POLYGONS.contains(&kind) {
        return Err(InputError::ShapeType { kind });
    }
    let (parts, points) = (count_at(record, 36)?, count_at(record, 40)?);
    let starts = (0..parts).map(|i| count_at(record, 44 + 4 * i)).collect::<Result<Vec<_>, _>>()?;
    let from = 44 + 4 * parts;
    let coordinates = record.get(from..from + 16 * points).ok_or(InputError::Truncated)?;
    let mut all = Vec::with_capacity(points);
    for point in coordinates.chunks_exact(16) {
        let number =
            |bytes: Option<&[u8; 8]>| bytes.map(|eight| f64::from_le_bytes(*eight)).filter(|n| n.is_finite());
        let pair = number(point.first_chunk()).zip(number(point.last_chunk()));
        let (x, y) = pair.ok_or(InputError::Coordinate)?;
        all.push(projection.degrees(x, y));
    }
    let ends = starts.iter().skip(1).copied().chain([points]);
    starts
        .iter()
        .zip(ends)
        .map(|(a, b)| all.get(*a..b).map(<[_]>::to_vec).ok_or(InputError::Truncated))
        .collect()
}

/// Rows of a dBASE III table, by column in upper case; `None` when it ends too early.
fn table_rows(bytes: &[u8]) -> Option<Vec<BTreeMap<String, String>>> {
    let u16_at = |at: usize| Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let count = usize::try_from(u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?)).ok()?;
    let (header, row_bytes) = (u16_at(8)?, u16_at(10)?);
    let mut columns = Vec::new();
    for column in bytes.get(32..header)?.chunks_exact(32).take_while(|column| column.first() != Some(&0x0d)) {
        let name: Vec<u8> = column.iter().take(11).take_while(|b| **b != 0).copied().collect();
        let length = usize::from(*column.get(16)?);
        columns.push((String::from_utf8_lossy(&name).to_ascii_uppercase(), length));
    }
    let mut rows = Vec::new();
    for row in bytes.get(header..)?.chunks_exact(row_bytes.max(1)).take(count) {
        let mut cells = BTreeMap::new();
        let mut at = 1; // after the mark of deletion
        for (name, length) in &columns {
            cells.insert(name.clone(), text(row.get(at..at + length)?));
            at += length;
        }
        rows.push(cells);
    }
    (rows.len() == count).then_some(rows)
}

/// UTF-8 where it is, else Latin-1, which the older files use.
fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    let text = text.unwrap_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect());
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

//! GeoRSS: where an entry is. Axis order is latitude, longitude; numbers keep their text.

use crate::tree::Element;

const GEORSS: &str = "http://www.georss.org/georss";
const GML: [&str; 2] = ["http://www.opengis.net/gml", "http://www.opengis.net/gml/3.2"];

/// A place, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Degrees north, -90 to 90.
    pub lat: String,
    /// Degrees east, -180 to 180.
    pub lon: String,
}

/// One geometry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One place.
    Point(Place),
    /// Two places or more.
    Line(Vec<Place>),
    /// Four places or more, the first again at the end.
    Polygon(Vec<Place>),
    /// A centre and a radius in metres (CAP has kilometres).
    Circle(Place, String),
    /// The south-west and the north-east corner.
    Box(Place, Place),
    /// What could not be read: the element and its text.
    Unreadable(String, String),
}

/// All geometries of an entry.
pub(super) fn shapes(entry: &Element) -> Vec<Shape> {
    let mut found = Vec::new();
    for element in entry.elements().filter(|e| e.ns == GEORSS) {
        let text = element.text();
        let shape = match element.name.as_str() {
            "point" => places(&text).and_then(one).map(Shape::Point),
            "line" => places(&text).filter(|p| p.len() >= 2).map(Shape::Line),
            "polygon" => places(&text).map(Shape::Polygon),
            "circle" => circle(&text),
            "box" => places(&text).and_then(corners),
            "where" => {
                found.extend(gml(element));
                continue;
            }
            // relationshiptag, featurename, elev, radius and so on are not geometry.
            _ => continue,
        };
        found.push(shape.unwrap_or_else(|| Shape::Unreadable(element.name.clone(), text.trim().to_owned())));
    }
    found
}

fn gml(place: &Element) -> Vec<Shape> {
    let read = |e: &Element| match e.name.as_str() {
        "Point" => numbers_below(e, "pos").and_then(|t| places(&t)).and_then(one).map(Shape::Point),
        "LineString" => numbers_below(e, "posList").and_then(|t| places(&t)).map(Shape::Line),
        "Polygon" => numbers_below(e, "posList").and_then(|t| places(&t)).map(Shape::Polygon),
        "Envelope" => {
            let (low, high) = (numbers_below(e, "lowerCorner")?, numbers_below(e, "upperCorner")?);
            places(&format!("{low} {high}")).and_then(corners)
        }
        "CircleByCenterPoint" => {
            circle(&format!("{} {}", numbers_below(e, "pos")?, numbers_below(e, "radius")?))
        }
        _ => None,
    };
    let each = place.elements().map(|e| {
        let unreadable = || Shape::Unreadable(format!("where/{}", e.name), e.text().trim().to_owned());
        if GML.contains(&e.ns.as_str()) { read(e).unwrap_or_else(unreadable) } else { unreadable() }
    });
    each.collect()
}

fn numbers_below(element: &Element, name: &str) -> Option<String> {
    GML.iter().find_map(|ns| element.find(ns, name)).map(Element::text)
}

fn numbers(text: &str) -> Option<Vec<&str>> {
    let each: Vec<&str> = text.split([' ', ',', '\t', '\r', '\n']).filter(|t| !t.is_empty()).collect();
    if !each.is_empty() && each.iter().all(|t| is_decimal(t)) { Some(each) } else { None }
}

/// A plain decimal number: no exponent, no infinity.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().filter(|b| *b == b'.').count() <= 1
}

fn place(lat: &str, lon: &str) -> Option<Place> {
    let within = |text: &str, limit: f64| text.parse::<f64>().is_ok_and(|v| v.abs() <= limit);
    let plain = |text: &str| text.strip_prefix('+').unwrap_or(text).to_owned();
    (within(lat, 90.0) && within(lon, 180.0)).then(|| Place { lat: plain(lat), lon: plain(lon) })
}

fn places(text: &str) -> Option<Vec<Place>> {
    let pairs = numbers(text)?;
    let pairs = pairs.chunks(2).map(|pair| match pair {
        [lat, lon] => place(lat, lon),
        _ => None,
    });
    pairs.collect()
}

fn one(places: Vec<Place>) -> Option<Place> {
    <[Place; 1]>::try_from(places).ok().map(|[place]| place)
}

fn corners(places: Vec<Place>) -> Option<Shape> {
    <[Place; 2]>::try_from(places).ok().map(|[low, high]| Shape::Box(low, high))
}

fn circle(text: &str) -> Option<Shape> {
    match numbers(text)?.as_slice() {
        [lat, lon, radius] if !radius.starts_with('-') => {
            let radius = radius.strip_prefix('+').unwrap_or(radius);
            Some(Shape::Circle(place(lat, lon)?, radius.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Vec<Shape> {
        let xml = format!(
            "<e xmlns:g='http://www.georss.org/georss' xmlns:m='http://www.opengis.net/gml'>{inside}</e>"
        );
        shapes(&Element::read(xml.as_bytes()).unwrap())
    }

    fn at(lat: &str, lon: &str) -> Place {
        Place { lat: lat.into(), lon: lon.into() }
    }

    #[test]
    fn every_kind_of_georss_is_read() {
        let ring = vec![at("1", "2"), at("1", "3"), at("2", "3"), at("1", "2")];
        let cases = [
            ("<g:point>42.9745 -82.4066</g:point>", Shape::Point(at("42.9745", "-82.4066"))),
            ("<g:point> 42.9745,-82.40660 </g:point>", Shape::Point(at("42.9745", "-82.40660"))),
            ("<g:line>1 2 3 4</g:line>", Shape::Line(vec![at("1", "2"), at("3", "4")])),
            ("<g:polygon>1 2 1 3 2 3 1 2</g:polygon>", Shape::Polygon(ring.clone())),
            (
                "<g:polygon>40.7 -75.7 40.8 -75.9</g:polygon>",
                Shape::Polygon(vec![at("40.7", "-75.7"), at("40.8", "-75.9")]),
            ),
            ("<g:circle>42.99 -82.48 1500</g:circle>", Shape::Circle(at("42.99", "-82.48"), "1500".into())),
            ("<g:box>1 2 3 4</g:box>", Shape::Box(at("1", "2"), at("3", "4"))),
            ("<g:where><m:Point><m:pos>1 2</m:pos></m:Point></g:where>", Shape::Point(at("1", "2"))),
            (
                "<g:where><m:Polygon><m:exterior><m:LinearRing><m:posList>1 2 1 3 2 3 1 2</m:posList></m:LinearRing>\
                 </m:exterior></m:Polygon></g:where>",
                Shape::Polygon(ring),
            ),
            (
                "<g:where><m:Envelope><m:lowerCorner>1 2</m:lowerCorner><m:upperCorner>3 4</m:upperCorner></m:Envelope></g:where>",
                Shape::Box(at("1", "2"), at("3", "4")),
            ),
        ];
        for (xml, expected) in cases {
            assert_eq!(read(xml), [expected], "{xml}");
        }
    }

    #[test]
    fn what_is_no_geometry_is_kept_as_text() {
        for xml in [
            "<g:point>91 0</g:point>",
            "<g:point>1</g:point>",
            "<g:point>NaN 0</g:point>",
            "<g:point>1e1 0</g:point>",
            "<g:line>1 2</g:line>",
            "<g:circle>1 2 -3</g:circle>",
            "<g:box>1 2 3</g:box>",
            "<g:where><m:Curve/></g:where>",
        ] {
            assert!(matches!(read(xml).as_slice(), [Shape::Unreadable(..)]), "{xml}");
        }
        assert!(read("<g:featurename>Sarnia</g:featurename>").is_empty());
    }
}

//! Positions as GeoRSS Simple and CAP write them, as far as the hub simulator needs: bounding boxes,
//! distances, and the change from CAP's `lat,lon` and kilometres to GeoRSS's `lat lon` and metres.

const EARTH_RADIUS_M: f64 = 6_371_008.8;
const METRES_OF_A_DEGREE: f64 = 111_195.0;

/// A GeoRSS element: its local name and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// `point`, `line`, `polygon`, `circle` or `box`.
    pub kind: String,
    /// `lat lon …`, for a circle with the radius in metres.
    pub text: String,
}

/// South, west, north, east in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Least latitude.
    pub south: f64,
    /// Least longitude.
    pub west: f64,
    /// Greatest latitude.
    pub north: f64,
    /// Greatest longitude.
    pub east: f64,
}

/// All numbers of a text, whatever separates them; `None` if something is no finite number.
#[must_use]
pub fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(|c: char| c.is_ascii_whitespace() || c == ',')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect()
}

impl Shape {
    /// Reads and checks a shape by the posting tool's rules.
    ///
    /// # Errors
    /// A sentence for the author of the entry.
    pub fn read(kind: &str, text: &str) -> Result<Self, &'static str> {
        let values = numbers(text).ok_or("The geometry holds something that is no number")?;
        let paired = |values: &[f64]| {
            values.len().is_multiple_of(2)
                && values.chunks(2).all(|pair| match pair {
                    [lat, lon] => lat.abs() <= 90.0 && lon.abs() <= 180.0,
                    _ => false,
                })
        };
        let fits = match (kind, values.as_slice()) {
            ("point", [_, _]) | ("box", [_, _, _, _]) => paired(&values),
            ("line", [_, _, _, _, ..]) => paired(&values),
            ("polygon", [a, b, .., y, z]) => values.len() >= 8 && paired(&values) && a == y && b == z,
            ("circle", [lat, lon, radius]) => paired(&[*lat, *lon]) && (1.0..=10_000_000.0).contains(radius),
            _ => false,
        };
        if !fits {
            return Err("The geometry does not follow GeoRSS Simple (latitude before longitude)");
        }
        let pieces: Vec<_> = text
            .split(|c: char| c.is_ascii_whitespace() || c == ',')
            .filter(|piece| !piece.is_empty())
            .collect();
        Ok(Self { kind: kind.to_owned(), text: pieces.join(" ") })
    }

    /// CAP's `lat,lon lat,lon …` or `lat,lon km` as GeoRSS.
    #[must_use]
    pub fn from_cap(kind: &str, text: &str) -> Option<Self> {
        let spaced = text.replace(',', " ");
        if kind != "circle" {
            return Self::read(kind, &spaced).ok();
        }
        let [lat, lon, km] = numbers(&spaced)?.as_slice().try_into().ok()?;
        if km <= 0.0 {
            return Self::read("point", &format!("{lat} {lon}")).ok();
        }
        Self::read("circle", &format!("{lat} {lon} {}", (km * 1000.0).max(1.0))).ok()
    }

    /// The bounding box.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        let values = numbers(&self.text)?;
        let (pairs, margin) = match (self.kind.as_str(), values.as_slice()) {
            ("circle", [lat, lon, radius]) => (vec![*lat, *lon], radius / METRES_OF_A_DEGREE),
            _ => (values, 0.0),
        };
        let mut bounds: Option<Bounds> = None;
        for pair in pairs.chunks_exact(2) {
            let [lat, lon] = pair.try_into().ok()?;
            let wide = margin / lat.to_radians().cos().max(0.01);
            let b = bounds.unwrap_or(Bounds { south: lat, west: lon, north: lat, east: lon });
            bounds = Some(Bounds {
                south: b.south.min(lat - margin),
                west: b.west.min(lon - wide),
                north: b.north.max(lat + margin),
                east: b.east.max(lon + wide),
            });
        }
        bounds
    }
}

impl Bounds {
    /// Reads `minLon,minLat,maxLon,maxLat`.
    #[must_use]
    pub fn from_bbox(text: &str) -> Option<Self> {
        let [west, south, east, north] = numbers(text)?.as_slice().try_into().ok()?;
        (south <= north && west <= east).then_some(Self { south, west, north, east })
    }

    /// Whether two boxes share a place.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.south <= other.north
            && other.south <= self.north
            && self.west <= other.east
            && other.west <= self.east
    }

    /// Metres from a place to the nearest place of the box.
    #[must_use]
    pub fn distance_m(&self, lat: f64, lon: f64) -> f64 {
        let near_lat = lat.clamp(self.south, self.north).to_radians();
        let near_lon = lon.clamp(self.west, self.east).to_radians();
        let (lat, lon) = (lat.to_radians(), lon.to_radians());
        let (half_lat, half_lon) = ((near_lat - lat) / 2.0, (near_lon - lon) / 2.0);
        let h = half_lat.sin().powi(2) + lat.cos() * near_lat.cos() * half_lon.sin().powi(2);
        2.0 * EARTH_RADIUS_M * h.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_taken_and_refused_as_the_posting_tool_does() {
        let good = [
            ("point", "42.9745,-82.4066"),
            ("line", "42 -82 43 -82"),
            ("polygon", "42 -82 43 -82 43 -81 42 -82"),
            ("circle", "42.99 -82.48 1500"),
            ("box", "42 -83 43 -82"),
        ];
        for (kind, text) in good {
            assert!(Shape::read(kind, text).is_ok(), "{kind} {text}");
        }
        let bad = [
            ("point", "95 0"),
            ("polygon", "42 -82 43 -82"),
            ("polygon", "42 -82 43 -82 43 -81 42 -81"),
            ("circle", "42 -82 0.5"),
            ("point", "NaN 3"),
            ("where", "42 -82"),
        ];
        for (kind, text) in bad {
            assert!(Shape::read(kind, text).is_err(), "{kind} {text}");
        }
    }

    #[test]
    fn a_cap_circle_in_kilometres_becomes_metres() {
        let shape = Shape::from_cap("circle", "42.9745,-82.4066 2").unwrap();
        assert_eq!(shape, Shape { kind: "circle".to_owned(), text: "42.9745 -82.4066 2000".to_owned() });
        let bounds = shape.bounds().unwrap();
        assert!(bounds.meets(&Bounds::from_bbox("-82.39,42.96,-82.0,43.5").unwrap()));
        assert!(!bounds.meets(&Bounds::from_bbox("-82.30,42.96,-82.0,43.5").unwrap()));
        let metres = Bounds::from_bbox("0,0,0,0").unwrap().distance_m(0.0, 1.0);
        assert!((metres - 111_195.0).abs() < 10.0, "{metres}");
    }
}

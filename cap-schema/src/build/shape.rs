//! Polygons and circles that are some.

use std::fmt::Write;

use super::BuildError;
use crate::geometry::{Circle, GeometryError, Point, Polygon};
use crate::limits::Limits;
use crate::validate::is_crossed;

/// A polygon: at least four pairs, the first again at the end, on the globe, no two sides crossing, at most 50,000 pairs.
///
/// ```
/// use cap_schema::Point;
/// use cap_schema::build::{BuildError, Ring};
/// let corner = |lat, lon| Point { lat, lon };
/// let ring = Ring::around(&[corner(42.9, -82.5), corner(43.0, -82.5), corner(43.0, -82.4)])?;
/// assert_eq!(ring.as_str(), "42.9,-82.5 43,-82.5 43,-82.4 42.9,-82.5");
/// assert_eq!(Ring::of_text("0,0 1,1 0,1 1,0 0,0"), Err(BuildError::Crossing));
/// assert!(Ring::of_text("42.9,-82.5 43,-82.5 43,-82.4").is_err());
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ring(Polygon<'static>);

impl Ring {
    /// The polygon with these corners. The first is repeated at the end where it is not there.
    ///
    /// # Errors
    /// Fewer than three corners, a corner off the globe, sides that cross.
    pub fn around(corners: &[Point]) -> Result<Self, BuildError> {
        let mut text = String::with_capacity(corners.len() * 20);
        let closing =
            if corners.first() == corners.last() && corners.len() > 1 { None } else { corners.first() };
        for (number, corner) in corners.iter().chain(closing).enumerate() {
            on_globe(*corner, number + 1)?;
            let blank = if number == 0 { "" } else { " " };
            let _ = write!(text, "{blank}{},{}", corner.lat, corner.lon);
        }
        Ring::of_text(text)
    }

    /// A polygon as CAP writes it. Its text is kept.
    ///
    /// # Errors
    /// It is open, has too few pairs, a pair that is none or off the globe, or sides that cross.
    pub fn of_text(text: impl Into<String>) -> Result<Self, BuildError> {
        let polygon = Polygon::new(text.into());
        let points = polygon.points().map_err(|cause| BuildError::Shape { cause })?;
        let limit = Limits::default().points;
        if points.len() > limit {
            return Err(BuildError::TooMany { what: "points", have: points.len(), limit });
        }
        if is_crossed(&points) {
            return Err(BuildError::Crossing);
        }
        Ok(Ring(polygon))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn into_polygon(self) -> Polygon<'static> {
        self.0
    }
}

/// A circle: a centre on the globe and a radius in kilometres, 0 or more.
///
/// ```
/// use cap_schema::Point;
/// use cap_schema::build::Disc;
/// assert_eq!(Disc::new(Point { lat: 42.95, lon: -82.45 }, 3.5)?.as_str(), "42.95,-82.45 3.5");
/// assert!(Disc::new(Point { lat: 142.95, lon: -82.45 }, 3.5).is_err());
/// assert!(Disc::new(Point { lat: 42.95, lon: -82.45 }, -1.0).is_err());
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disc(Circle<'static>);

impl Disc {
    /// A circle.
    ///
    /// # Errors
    /// The centre is off the globe, or the radius is negative or no number.
    pub fn new(center: Point, radius_km: f64) -> Result<Self, BuildError> {
        on_globe(center, 1)?;
        if !radius_km.is_finite() || radius_km < 0.0 {
            return Err(BuildError::Shape { cause: GeometryError::Radius });
        }
        Ok(Disc(Circle::new(format!("{},{} {radius_km}", center.lat, center.lon))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn into_circle(self) -> Circle<'static> {
        self.0
    }
}

fn on_globe(point: Point, index: usize) -> Result<(), BuildError> {
    let sound = (-90.0..=90.0).contains(&point.lat) && (-180.0..=180.0).contains(&point.lon);
    if sound { Ok(()) } else { Err(BuildError::Shape { cause: GeometryError::Range { index } }) }
}

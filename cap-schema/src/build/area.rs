//! `area`: where.

use super::BuildError;
use super::shape::{Disc, Ring};
use super::text::{Pair, Text};
use crate::area::Area;

/// An area in the making.
///
/// ```
/// use cap_schema::build::{AreaBuilder, Pair, Ring, Text};
/// let area = AreaBuilder::new(Text::new("The shore")?)
///     .ring(Ring::of_text("42.9,-82.5 43.0,-82.5 43.0,-82.4 42.9,-82.5")?)
///     .geocode(Pair::new("SAME", "026147")?)
///     .between_feet(500.0, 900.0)?
///     .build();
/// assert_eq!(area.ceiling.as_deref(), Some("900"));
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AreaBuilder(Area<'static>);

impl AreaBuilder {
    /// With the place in words.
    pub fn new(description: Text) -> Self {
        AreaBuilder(Area { area_desc: description.into_cow(), ..Area::default() })
    }

    /// Adds a polygon.
    #[must_use]
    pub fn ring(mut self, ring: Ring) -> Self {
        self.0.polygon.push(ring.into_polygon());
        self
    }

    /// Adds a circle.
    #[must_use]
    pub fn disc(mut self, disc: Disc) -> Self {
        self.0.circle.push(disc.into_circle());
        self
    }

    /// Adds the code of a place.
    #[must_use]
    pub fn geocode(mut self, code: Pair) -> Self {
        self.0.geocode.push(code.into_named());
        self
    }

    /// Altitude in feet above mean sea level.
    ///
    /// # Errors
    /// Not a finite number.
    pub fn at_feet(mut self, altitude: f64) -> Result<Self, BuildError> {
        if !altitude.is_finite() {
            return Err(BuildError::Heights);
        }
        self.0.altitude = Some(altitude.to_string().into());
        self.0.ceiling = None;
        Ok(self)
    }

    /// From a lower to an upper altitude, in feet above mean sea level.
    ///
    /// # Errors
    /// One is no finite number, or the upper one is below the lower one.
    pub fn between_feet(self, lower: f64, upper: f64) -> Result<Self, BuildError> {
        if !upper.is_finite() || upper < lower {
            return Err(BuildError::Heights);
        }
        let mut area = self.at_feet(lower)?;
        area.0.ceiling = Some(upper.to_string().into());
        Ok(area)
    }

    /// The area.
    pub fn build(self) -> Area<'static> {
        self.0
    }
}

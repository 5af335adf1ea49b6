//! `area` (CAP 1.2 section 3.2.4): where.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::alert::own;
use crate::geometry::{Circle, Polygon};
use crate::info::NamedValue;

/// A place: the union of its polygons, circles and geocodes. (CAP-CP: geometry takes precedence over geocodes.)
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Area<'a> {
    /// The place in words.
    pub area_desc: Cow<'a, str>,
    /// Polygons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub polygon: Vec<Polygon<'a>>,
    /// Circles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub circle: Vec<Circle<'a>>,
    /// Codes of places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub geocode: Vec<NamedValue<'a>>,
    /// Altitude, or the lower limit where there is a ceiling; feet above mean sea level, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altitude: Option<Cow<'a, str>>,
    /// Upper limit, feet above mean sea level, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Cow<'a, str>>,
    /// Elements that are not CAP's, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Cow<'a, str>>,
}

impl Area<'_> {
    /// The same without the input's lifetime.
    pub fn into_owned(self) -> Area<'static> {
        Area {
            area_desc: own(self.area_desc),
            polygon: self.polygon.into_iter().map(Polygon::into_owned).collect(),
            circle: self.circle.into_iter().map(Circle::into_owned).collect(),
            geocode: self.geocode.into_iter().map(NamedValue::into_owned).collect(),
            altitude: self.altitude.map(own),
            ceiling: self.ceiling.map(own),
            extensions: self.extensions.into_iter().map(own).collect(),
        }
    }
}

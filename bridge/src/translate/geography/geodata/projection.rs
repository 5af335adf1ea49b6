//! From map coordinates to degrees: as they are, or from the conformal conic of Lambert that Statistics Canada uses
//! (formulas: Snyder, Map Projections, USGS Professional Paper 1395, page 295). NAD83 and WGS84 are not told apart:
//! they differ by a metre or two.

use std::f64::consts::FRAC_PI_4;

/// How coordinates are to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Projection {
    /// Degrees of longitude and latitude.
    Degrees,
    /// Lambert conformal conic with two parallels.
    Lambert(Lambert),
}

/// What is worked out once from the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lambert {
    /// Of the ellipsoid.
    eccentricity: f64,
    cone: f64,
    /// a F of Snyder, in metres.
    scale: f64,
    origin_radius: f64,
    longitude: f64,
    false_easting: f64,
    false_northing: f64,
}

impl Projection {
    /// From the text of a `.prj` file; `None` when it is another projection.
    pub(super) fn from_wkt(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        if text.starts_with("GEOGCS") {
            return Some(Projection::Degrees);
        }
        if !text.contains("PROJECTION[\"LAMBERT_CONFORMAL_CONIC") {
            return None;
        }
        let number = |after: &str, at: usize| {
            let (_, rest) = text.split_once(after)?;
            rest.split([',', ']']).nth(at)?.trim().parse::<f64>().ok().filter(|number| number.is_finite())
        };
        let parameter = |name: &str| number(&format!("PARAMETER[\"{name}\","), 0);
        let flattening = number("SPHEROID[", 2).filter(|inverse| *inverse > 1.0)?.recip();
        Some(Projection::Lambert(Lambert::new(
            number("SPHEROID[", 1)?,
            (flattening * (2.0 - flattening)).sqrt(),
            [parameter("STANDARD_PARALLEL_1")?, parameter("STANDARD_PARALLEL_2")?],
            (parameter("LATITUDE_OF_ORIGIN")?, parameter("CENTRAL_MERIDIAN")?),
            (parameter("FALSE_EASTING")?, parameter("FALSE_NORTHING")?),
        )))
    }

    /// Longitude and latitude.
    pub(super) fn degrees(&self, x: f64, y: f64) -> (f64, f64) {
        match self {
            Projection::Degrees => (x, y),
            Projection::Lambert(lambert) => lambert.degrees(x, y),
        }
    }
}

impl Lambert {
    fn new(axis: f64, eccentricity: f64, parallels: [f64; 2], origin: (f64, f64), shift: (f64, f64)) -> Self {
        let m = |lat: f64| lat.cos() / (1.0 - (eccentricity * lat.sin()).powi(2)).sqrt();
        let t = |lat: f64| (FRAC_PI_4 - lat / 2.0).tan() / conformal(eccentricity, lat);
        let [one, two] = parallels.map(f64::to_radians);
        let cone = (m(one).ln() - m(two).ln()) / (t(one).ln() - t(two).ln());
        let scale = axis * m(one) / (cone * t(one).powf(cone));
        let origin_radius = scale * t(origin.0.to_radians()).powf(cone);
        let (false_easting, false_northing) = shift;
        Lambert {
            eccentricity,
            cone,
            scale,
            origin_radius,
            longitude: origin.1,
            false_easting,
            false_northing,
        }
    }

    fn degrees(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (x - self.false_easting, self.origin_radius - (y - self.false_northing));
        let radius = x.hypot(y) * self.cone.signum();
        let angle = (x * self.cone.signum()).atan2(y * self.cone.signum());
        let t = (radius / self.scale).powf(self.cone.recip());
        let half = |factor: f64| 2.0 * FRAC_PI_4 - 2.0 * (t * factor).atan();
        let mut lat = half(1.0);
        // Converges to less than a millimetre in five rounds.
        for _ in 0..8 {
            lat = half(conformal(self.eccentricity, lat));
        }
        (self.longitude + (angle / self.cone).to_degrees(), lat.to_degrees())
    }
}

fn conformal(eccentricity: f64, lat: f64) -> f64 {
    let sine = eccentricity * lat.sin();
    ((1.0 - sine) / (1.0 + sine)).powf(eccentricity / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_snyder_comes_back() {
        let lambert =
            Lambert::new(6_378_206.4, 0.006_768_66f64.sqrt(), [33.0, 45.0], (23.0, -96.0), (0.0, 0.0));
        let (lon, lat) = lambert.degrees(1_894_410.9, 1_564_649.5);
        assert!((lon + 75.0).abs() < 1e-6 && (lat - 35.0).abs() < 1e-6, "{lon} {lat}");
    }

    #[test]
    fn the_description_of_the_canadian_projection_is_read() {
        let wkt = "PROJCS[\"PCS_Lambert_Conformal_Conic\",GEOGCS[\"GCS_North_American_1983\",DATUM[\"D_North_American_1983\",\
             SPHEROID[\"GRS_1980\",6378137.0,298.257222101]],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]],\
             PROJECTION[\"Lambert_Conformal_Conic\"],PARAMETER[\"False_Easting\",6200000.0],\
             PARAMETER[\"False_Northing\",3000000.0],PARAMETER[\"Central_Meridian\",-91.86666666666666],\
             PARAMETER[\"Standard_Parallel_1\",49.0],PARAMETER[\"Standard_Parallel_2\",77.0],\
             PARAMETER[\"Latitude_Of_Origin\",63.390675],UNIT[\"Meter\",1.0]]";
        let (lon, lat) = Projection::from_wkt(wkt).unwrap().degrees(6_200_000.0, 3_000_000.0);
        assert!((lon + 91.866_666_67).abs() < 1e-7 && (lat - 63.390_675).abs() < 1e-7, "{lon} {lat}");
        assert_eq!(Projection::from_wkt("GEOGCS[\"GCS_North_American_1983\"]"), Some(Projection::Degrees));
        assert_eq!(Projection::from_wkt("PROJCS[\"x\",PROJECTION[\"Albers\"]]"), None);
    }
}

//! Where a rule is about: a polygon, or places by their codes.
//!
//! Owns the comparison with where an alert is. A shape decides by itself; codes of an alert stand for its place where it has
//! no shape (CAP-CP: geometry takes precedence). An alert without shape and known code is nowhere, and no rule with an
//! area is about it. Nothing is guessed from texts.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use cap_schema::{Alert, Area, Point};

use crate::translate::geography::{self, Boundaries, Located};

/// Where a rule is about.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    polygon: Option<Vec<Point>>,
    /// The places asked for, or those that the polygon touches.
    codes: Codes,
}

/// Places by their codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// US counties: SAME, 6 digits.
    pub same: BTreeSet<String>,
    /// Canadian divisions: SGC, 2, 4 or 7 digits.
    pub sgc: BTreeSet<String>,
    /// Canadian zones: CLC, 6 digits.
    pub clc: BTreeSet<String>,
}

impl Coverage {
    /// A ring, and the places that it touches where those are known: they stand for alerts that name places only.
    pub fn polygon(points: Vec<Point>, touched: Option<Located>) -> Self {
        let mut codes = Codes::default();
        if let Some(Located { same, sgc, clc, partial, .. }) = touched {
            codes.same.extend(same);
            codes.sgc.extend(sgc);
            codes.clc.extend(clc);
            for code in partial {
                // As many digits as they have: a division or a county that the ring touches a little.
                match code.len() {
                    4 => codes.sgc.insert(code),
                    6 => codes.same.insert(code),
                    _ => false,
                };
            }
        }
        Coverage { polygon: Some(points), codes }
    }

    /// Places by their codes.
    pub fn codes(codes: Codes) -> Self {
        Coverage { polygon: None, codes }
    }

    /// Whether the alert is there.
    pub fn touches(&self, alert: &Alert<'_>, whereabouts: &Whereabouts<'_>) -> bool {
        let by_shape = match &self.polygon {
            Some(points) => geography::touches(points, alert),
            None => self.codes.meet_shapes(whereabouts.located()),
        };
        let areas = || alert.info.iter().flat_map(|info| &info.area);
        by_shape
            || areas().filter(|area| self.polygon.is_none() || !has_shape(area)).any(|area| {
                area.geocode.iter().any(|code| self.codes.meet_code(&code.value_name, &code.value))
            })
    }
}

fn has_shape(area: &Area<'_>) -> bool {
    !area.polygon.is_empty() || !area.circle.is_empty()
}

impl Codes {
    fn meet_shapes(&self, located: &Located) -> bool {
        located.same.iter().any(|code| self.meet_code("SAME", code))
            || located.sgc.iter().any(|code| self.meet_code(SGC, code))
            || located.clc.iter().any(|code| self.clc.contains(code))
    }

    fn meet_code(&self, name: &str, value: &str) -> bool {
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
        if begins("SAME") || begins("FIPS6") {
            self.same.iter().any(|wanted| same_meets(wanted, value))
        } else if begins(SGC) {
            self.sgc.iter().any(|wanted| wanted.starts_with(value) || value.starts_with(wanted.as_str()))
        } else if begins(CLC) {
            self.clc.contains(value)
        } else {
            false
        }
    }
}

/// How CAP-CP names places (any edition).
const SGC: &str = "profile:CAP-CP:Location:";
/// How Environment Canada names its zones (any edition).
const CLC: &str = "layer:EC-MSC-SMC:";

/// Whether two SAME codes share a place: the first digit is a part of the county, 000 at the end the whole state.
fn same_meets(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (one.get(1..6), other.get(1..6)) else { return false };
    let state = |code: &str| code.get(..2).map(str::to_owned);
    let whole = |code: &str| code.ends_with("000");
    if one == "00000" || other == "00000" {
        return true;
    }
    one == other || ((whole(one) || whole(other)) && state(one) == state(other))
}

/// Where an alert is, found out when somebody asks.
pub struct Whereabouts<'a> {
    boundaries: &'a Boundaries,
    alert: &'a Alert<'a>,
    located: OnceCell<Located>,
}

impl<'a> Whereabouts<'a> {
    /// Of an alert.
    pub fn new(boundaries: &'a Boundaries, alert: &'a Alert<'a>) -> Self {
        Whereabouts { boundaries, alert, located: OnceCell::new() }
    }

    /// The places that its shapes touch.
    fn located(&self) -> &Located {
        self.located.get_or_init(|| {
            let areas = || self.alert.info.iter().flat_map(|info| &info.area);
            let polygons: Vec<Vec<Point>> =
                areas().flat_map(|area| &area.polygon).filter_map(|p| p.points().ok()).collect();
            let circles: Vec<(Point, f64)> = areas()
                .flat_map(|area| &area.circle)
                .filter_map(|c| Some((c.center().ok()?, c.radius_km().ok()?)))
                .collect();
            if polygons.is_empty() && circles.is_empty() {
                return Located::default();
            }
            self.boundaries.locate_shapes(&polygons, &circles)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_schema::{Limits, Polygon};

    const RING: &str = "42.0,-83.2 42.0,-82.8 42.4,-82.8 42.4,-83.2 42.0,-83.2";
    const FAR: &str = "50.0,-100.0 50.0,-99.9 50.1,-99.9 50.1,-100.0 50.0,-100.0";

    fn check(boundaries: &Boundaries, coverage: &Coverage, area: &str) -> bool {
        let text = format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>a</identifier><sender>s@x.test</sender>\
             <sent>2026-03-01T12:00:00-00:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\
             <info><category>Met</category><event>e</event><urgency>Future</urgency><severity>Minor</severity>\
             <certainty>Likely</certainty><area><areaDesc>d</areaDesc>{area}</area></info></alert>"
        );
        let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
        coverage.touches(&alert, &Whereabouts::new(boundaries, &alert))
    }

    #[test]
    fn a_rule_with_an_area_is_about_alerts_that_are_there() {
        let boundaries = Boundaries::builtin().unwrap();
        let points = Polygon::new(RING).points().unwrap();
        let ring = Coverage::polygon(
            points.clone(),
            Some(boundaries.locate_shapes(std::slice::from_ref(&points), &[])),
        );
        let alone = Coverage::polygon(points, None);
        let set = |codes: &[&str]| codes.iter().map(|&c| c.to_owned()).collect::<BTreeSet<_>>();
        let wayne = Coverage::codes(Codes { same: set(&["026163"]), ..Codes::default() });
        let michigan = Coverage::codes(Codes { same: set(&["026000"]), ..Codes::default() });
        let essex = Coverage::codes(Codes { sgc: set(&["3537"]), ..Codes::default() });
        let polygon = |ring: &str| format!("<polygon>{ring}</polygon>");
        let code = |name: &str, value: &str| {
            format!("<geocode><valueName>{name}</valueName><value>{value}</value></geocode>")
        };
        let sgc = |value: &str| code("profile:CAP-CP:Location:0.3", value);
        // Area; then ring, ring alone, Wayne County, Michigan, Essex.
        let cases = [
            (polygon(RING), [true, true, true, true, true]),
            (polygon(FAR), [false, false, false, false, false]),
            (code("SAME", "026163"), [true, false, true, true, false]),
            (code("SAME", "126163"), [true, false, true, true, false]),
            (code("SAME", "026000"), [true, false, true, true, false]),
            (code("SAME", "000000"), [true, false, true, true, false]),
            (code("SAME", "036001"), [false, false, false, false, false]),
            (sgc("3537039"), [true, false, false, false, true]),
            (sgc("35"), [true, false, false, false, true]),
            (sgc("2466"), [false, false, false, false, false]),
            (code("UGC", "MIZ076"), [false, false, false, false, false]),
            (String::new(), [false, false, false, false, false]),
            // The shape decides for a ring, whatever county its codes name; who asked for the county gets it.
            (format!("{}{}", polygon(FAR), code("SAME", "026163")), [false, false, true, true, false]),
        ];
        for (area, expected) in cases {
            let found = [&ring, &alone, &wayne, &michigan, &essex]
                .map(|coverage| check(&boundaries, coverage, &area));
            assert_eq!(found, expected, "{area}");
        }
    }
}

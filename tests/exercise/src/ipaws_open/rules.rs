//! What an IPAWS profile demands of every message, by the simulator's own reading. Each broken rule
//! gives a few words for the STATUS of the reply.

use roxmltree::Node;

use crate::cap::{Alert, CAP_1_2, Info};
use crate::clock::instant;
use crate::geometry::numbers;
use crate::xml::text;

const EVENT_CODES: &str = include_str!("../../data/same-event-codes.tsv");
const VERTEX_LIMIT: usize = 200;

/// The rules of all messages that an alert breaks.
#[must_use]
pub fn broken(alert: &Alert, root: Node<'_, '_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut demand = |holds: bool, rule: &str| {
        if !holds {
            broken.push(rule.to_owned());
        }
    };
    demand(alert.codes.iter().any(|code| code == "IPAWSv1.0"), "code IPAWSv1.0 is missing");
    demand(!alert.identifier.contains(forbidden_in_identifier), "identifier holds a forbidden character");
    demand(!alert.sender.contains(forbidden_in_sender), "sender holds a forbidden character");
    demand(alert.scope != "Public" || alert.status == "Actual", "scope Public demands status Actual");
    let may_lack_info = alert.msg_type == "Cancel" || alert.scope == "Private";
    demand(!alert.infos.is_empty() || may_lack_info, "info is missing");
    for name in ["sent", "effective", "onset", "expires"] {
        let times = root.descendants().filter(|node| crate::xml::is(*node, CAP_1_2, name));
        let all_fit = times.map(text).all(|time| is_cap_time(&time));
        demand(all_fit, &format!("{name} is not of the form YYYY-MM-DDThh:mm:ss+hh:mm"));
    }
    let agree = alert.infos.windows(2).all(|pair| match pair {
        [one, other] => one.categories == other.categories && one.event_codes == other.event_codes,
        _ => true,
    });
    demand(agree, "info blocks differ in category or eventCode");
    for info in &alert.infos {
        info_rules(info, alert, &mut demand);
    }
    let vertices: usize = polygons(alert).map(|polygon| polygon.split_ascii_whitespace().count()).sum();
    demand(vertices <= VERTEX_LIMIT, "polygons have more than 200 vertices");
    broken
}

fn info_rules(info: &Info, alert: &Alert, demand: &mut impl FnMut(bool, &str)) {
    let expires = info.expires.as_deref().and_then(instant);
    demand(expires.is_some(), "expires is missing");
    demand(expires.is_none() || expires > instant(&alert.sent), "expires is not after sent");
    demand(!info.areas.is_empty(), "area is missing");
    demand(info.areas.iter().all(|area| !area.geocodes.is_empty()), "geocode is missing");
    let six_digits = |code: &str| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    demand(info.same().all(six_digits), "a SAME geocode is not of six digits");
    demand(alert.scope != "Public" || info.same().next().is_some(), "a SAME geocode is missing");
    let codes: Vec<_> = info.event_code("SAME").collect();
    demand(alert.scope != "Public" || codes.len() == 1, "not exactly one SAME eventCode");
    demand(codes.iter().all(|code| is_event_code(code)), "the SAME eventCode is not in the list");
    demand(info.links.iter().all(|link| is_plain_link(link)), "web or uri is not a plain http address");
    let polygons = info.areas.iter().flat_map(|area| &area.polygons);
    demand(polygons.into_iter().all(|polygon| is_good_polygon(polygon)), "polygon is invalid");
}

/// All polygons of an alert.
pub fn polygons(alert: &Alert) -> impl Iterator<Item = &String> {
    alert.infos.iter().flat_map(|info| &info.areas).flat_map(|area| &area.polygons)
}

/// All circles of an alert.
pub fn circles(alert: &Alert) -> impl Iterator<Item = &String> {
    alert.infos.iter().flat_map(|info| &info.areas).flat_map(|area| &area.circles)
}

/// `lat,lon km` with values in range.
#[must_use]
pub fn is_good_circle(circle: &str) -> bool {
    let Some((centre, _)) = circle.split_once(' ') else {
        return false;
    };
    match numbers(circle).as_deref() {
        Some([lat, lon, km]) => centre.contains(',') && lat.abs() <= 90.0 && lon.abs() <= 180.0 && *km >= 0.0,
        _ => false,
    }
}

fn is_good_polygon(polygon: &str) -> bool {
    let mut points = Vec::new();
    for pair in polygon.split(' ') {
        match (pair.contains(','), numbers(pair).as_deref()) {
            (true, Some([lat, lon])) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => points.push((*lat, *lon)),
            _ => return false,
        }
    }
    let is_closed = points.len() >= 4 && points.first() == points.last();
    points.pop();
    let repeats =
        points.iter().enumerate().any(|(n, point)| points.iter().skip(n + 1).any(|other| other == point));
    is_closed && !repeats && !crosses_itself(&points)
}

type Point = (f64, f64);

/// Whether two sides of a ring (without its closing point) cross.
fn crosses_itself(ring: &[Point]) -> bool {
    let sides: Vec<_> = ring.iter().zip(ring.iter().cycle().skip(1)).collect();
    let turn = |a: &Point, b: &Point, c: &Point| (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0);
    let cross = |(a, b): &(&Point, &Point), (c, d): &(&Point, &Point)| {
        turn(a, b, c) * turn(a, b, d) < 0.0 && turn(c, d, a) * turn(c, d, b) < 0.0
    };
    sides.iter().enumerate().any(|(n, side)| sides.iter().skip(n + 1).any(|other| cross(side, other)))
}

fn forbidden_in_identifier(character: char) -> bool {
    " ,'<>&{}|\\/^~[]()".contains(character)
}

fn forbidden_in_sender(character: char) -> bool {
    " ,\"<>&{}|\\^~".contains(character)
}

/// `YYYY-MM-DDThh:mm:ss±hh:mm`: no `Z`, no fraction.
#[must_use]
pub fn is_cap_time(time: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00+00:00";
    let fits = |(have, form): (u8, &u8)| match form {
        b'0' => have.is_ascii_digit(),
        b'+' => have == b'+' || have == b'-',
        other => have == *other,
    };
    time.len() == FORM.len() && time.bytes().zip(FORM).all(fits) && instant(time).is_some()
}

/// Whether IPAWS takes a SAME event code.
#[must_use]
pub fn is_event_code(code: &str) -> bool {
    EVENT_CODES.lines().any(|line| line == code)
}

fn is_plain_link(link: &str) -> bool {
    (link.starts_with("http://") || link.starts_with("https://"))
        && !link.contains([' ', '?'])
        && link.len() <= 2083
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_polygons_and_circles_are_taken_only_in_their_form() {
        for (time, wanted) in [
            ("2026-03-01T12:00:00-05:00", true),
            ("2026-03-01T12:00:00-00:00", true),
            ("2026-03-01T12:00:00Z", false),
            ("2026-03-01T12:00:00.5-05:00", false),
            ("2026-13-01T12:00:00-05:00", false),
        ] {
            assert_eq!(is_cap_time(time), wanted, "{time}");
        }
        for (polygon, wanted) in [
            ("1,1 1,2 2,2 1,1", true),
            ("1,1 1,2 2,2", false),
            ("1,1 1,2 2,2 1,3", false),
            (" 1,1 1,2 2,2 1,1", false),
            ("1,1 2,2 1,2 2,1 1,1", false),
            ("1,1 1,2 1,2 2,2 1,1", false),
            ("1 1 1 2 2 2 1 1", false),
        ] {
            assert_eq!(is_good_polygon(polygon), wanted, "{polygon}");
        }
        for (circle, wanted) in [("42.9,-82.4 2", true), ("42.9 -82.4 2", false), ("42.9,-82.4", false)] {
            assert_eq!(is_good_circle(circle), wanted, "{circle}");
        }
    }

    #[test]
    fn canadian_same_codes_are_no_event_codes_here() {
        assert!(is_event_code("HMW") && is_event_code("MEP"));
        for code in ["CHW", "BHW", "IFW", "hmw", "#"] {
            assert!(!is_event_code(code), "{code}");
        }
    }
}

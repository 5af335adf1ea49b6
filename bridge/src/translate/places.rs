//! Areas over the border: geometry first, unchanged; codes of the far side computed from it.

use std::borrow::Cow;

use cap_schema::{Area, Info, NamedValue, Point};

use super::geography::Located;
use super::report::{Action, Report, Severity};
use super::{NotSent, Request, Target};

/// The valueName of CAP-CP location codes that we write (what is on the air in 2026).
const CAP_CP_LOCATION: &str = "profile:CAP-CP:Location:0.3";
/// Points of all polygons of a message that IPAWS takes (ipaws page 4.1, rule 13).
const IPAWS_POINTS: usize = 200;

/// The areas of each info, with the codes of the far side.
///
/// # Errors
/// Nothing on the far side is touched and no rule asks for the message all the same, or there are too many points.
pub(super) fn place(
    request: &Request<'_>,
    infos: &[&Info<'_>],
    report: &mut Report,
) -> Result<Vec<Vec<Area<'static>>>, NotSent> {
    let mut touched = false;
    let mut placed = Vec::with_capacity(infos.len());
    for info in infos {
        let points: usize = info
            .area
            .iter()
            .flat_map(|a| &a.polygon)
            .map(|p| p.as_str().split_ascii_whitespace().count())
            .sum();
        if request.target == Target::Ipaws && points > IPAWS_POINTS {
            return Err(NotSent::TooManyPoints);
        }
        let mut areas = Vec::with_capacity(info.area.len());
        for area in &info.area {
            let (made, hit) = one(request, area, report);
            touched |= hit;
            areas.push(made);
        }
        placed.push(areas);
    }
    if touched || request.settings.untouched { Ok(placed) } else { Err(NotSent::Untouched) }
}

fn one(request: &Request<'_>, area: &Area<'_>, report: &mut Report) -> (Area<'static>, bool) {
    let mut made = area.clone().into_owned();
    made.extensions.clear();
    let far = match request.target {
        Target::Ipaws => "SAME",
        Target::CapCp | Target::MasasEntry => CAP_CP_LOCATION,
    };
    let already: Vec<String> = area
        .geocode
        .iter()
        .filter(|g| is_far(request.target, &g.value_name))
        .map(|g| g.value.trim().to_owned())
        .filter(|v| v != "none")
        .collect();
    let has_shape = !area.polygon.is_empty() || !area.circle.is_empty();
    let (codes, how) = if !already.is_empty() {
        (already, "codes of the far side were in the message".to_owned())
    } else if has_shape {
        let located = shapes(request, area);
        let exact = if located.exact { "exact" } else { "approximate" };
        if !located.partial.is_empty() {
            let detail = format!("touched a little or nearest: {}", located.partial.join(", "));
            report.add("area/geocode", Action::Derived, &detail, Severity::Warning);
        }
        (far_codes(request.target, located), format!("by intersecting the shapes with boundaries ({exact})"))
    } else if request.settings.notify_neighbours {
        (neighbours(request, area), "neighbours by the border-pair table".to_owned())
    } else {
        (Vec::new(), "places named by code only do not spread over the border".to_owned())
    };
    let detail = if codes.is_empty() { how } else { format!("{far} {}: {how}", codes.join(" ")) };
    let severity = if codes.is_empty() { Severity::Warning } else { Severity::Note };
    report.add("area/geocode", Action::Derived, &detail, severity);
    report.kept_if(has_shape, "area/polygon, area/circle", "unchanged, never widened");
    let hit = !codes.is_empty();
    let mut geocodes: Vec<NamedValue<'static>> =
        codes.into_iter().map(|c| NamedValue::new(far, Cow::Owned(c))).collect();
    if geocodes.is_empty() && far == CAP_CP_LOCATION {
        // CAP-CP: the area is not in Canada.
        geocodes.push(NamedValue::new(far, "none"));
    }
    for code in std::mem::take(&mut made.geocode) {
        if !is_far(request.target, &code.value_name) {
            geocodes.push(code);
        }
    }
    made.geocode = geocodes;
    (made, hit)
}

fn is_far(target: Target, value_name: &str) -> bool {
    const PREFIX: &str = "profile:CAP-CP:Location:";
    match target {
        Target::Ipaws => value_name == "SAME",
        Target::CapCp | Target::MasasEntry => {
            value_name.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX))
        }
    }
}

fn shapes(request: &Request<'_>, area: &Area<'_>) -> Located {
    let polygons: Vec<Vec<Point>> = area.polygon.iter().filter_map(|p| p.points().ok()).collect();
    let circles: Vec<(Point, f64)> =
        area.circle.iter().filter_map(|c| Some((c.center().ok()?, c.radius_km().ok()?))).collect();
    request.tables.boundaries.locate_shapes(&polygons, &circles)
}

fn far_codes(target: Target, located: Located) -> Vec<String> {
    match target {
        Target::Ipaws => located.same,
        Target::CapCp | Target::MasasEntry => located.sgc,
    }
}

fn neighbours(request: &Request<'_>, area: &Area<'_>) -> Vec<String> {
    let boundaries = &request.tables.boundaries;
    let mut codes: Vec<String> = area
        .geocode
        .iter()
        .flat_map(|g| match request.target {
            Target::Ipaws if g.value_name.contains("CAP-CP:Location") => {
                let division = g.value.get(..4).unwrap_or(&g.value);
                boundaries.neighbours_of_sgc(division)
            }
            Target::CapCp | Target::MasasEntry if g.value_name == "SAME" => {
                boundaries.neighbours_of_same(&g.value)
            }
            Target::Ipaws | Target::CapCp | Target::MasasEntry => Vec::new(),
        })
        .map(str::to_owned)
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

//! Areas over the border: geometry first, unchanged; codes of the far side computed from it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cap_schema::{Area, Info, NamedValue, Point};

use super::geography::{CodeSystem, Located};
use super::report::{Report, Row, Rule};
use super::{NotSent, Request, Target, shapes};

/// The valueName of CAP-CP location codes that we write (what is on the air in 2026).
const CAP_CP_LOCATION: &str = "profile:CAP-CP:Location:0.3";

/// The areas of each info, with the codes of the far side.
pub(super) struct Placed {
    /// One list for each info.
    pub areas: Vec<Vec<Area<'static>>>,
    /// Every info names a place on the far side.
    pub everywhere: bool,
}

/// Finds the places of each info on the far side.
///
/// # Errors
/// Nothing on the far side is touched and no rule asks for the message all the same, or there are too many points.
pub(super) fn place(
    request: &Request<'_>,
    infos: &[&Info<'_>],
    report: &mut Report,
) -> Result<Placed, NotSent> {
    let mut touched = false;
    let mut everywhere = true;
    let mut placed = Vec::with_capacity(infos.len());
    for info in infos {
        let mut areas: Vec<Area<'static>> = info.area.iter().map(|a| a.clone().into_owned()).collect();
        for area in &mut areas {
            area.extensions.clear();
            shapes::repair(request.target, area, report);
        }
        if request.target == Target::Ipaws {
            shapes::simplify(&mut areas, shapes::IPAWS_POINTS, report).ok_or(NotSent::TooManyPoints)?;
        }
        let mut hits = Vec::with_capacity(areas.len());
        for area in &mut areas {
            hits.push(one(request, area, report));
        }
        let hit = hits.contains(&true);
        touched |= hit;
        everywhere &= hit;
        if areas.is_empty() {
            areas.push(nowhere(info, report));
        }
        if request.target == Target::Ipaws && hit {
            areas = join(areas, &hits, report);
        }
        placed.push(areas);
    }
    if touched || request.settings.untouched {
        Ok(Placed { areas: placed, everywhere })
    } else {
        Err(NotSent::Untouched)
    }
}

/// The area of an info that has none: both profiles want one.
fn nowhere(info: &Info<'_>, report: &mut Report) -> Area<'static> {
    let french = info.language.as_deref().is_some_and(|l| l.to_ascii_lowercase().starts_with("fr"));
    report.add(Rule::AreaNotStated, "area", "the original names no place: an area that says so");
    Area {
        area_desc: Cow::Borrowed(if french { "non précisé" } else { "not stated" }),
        geocode: vec![NamedValue::new(CAP_CP_LOCATION, "none")],
        ..Area::default()
    }
}

/// Puts areas without SAME code into the one before them that has one: an info is for all its areas together, and
/// each area of a public IPAWS message has a SAME code (ipaws page 4.1, rule 11). No shape and no code is lost.
fn join(areas: Vec<Area<'static>>, hits: &[bool], report: &mut Report) -> Vec<Area<'static>> {
    let (mut with, without): (Vec<_>, Vec<_>) = areas.into_iter().zip(hits).partition(|(_, hit)| **hit);
    let mut alone = Vec::new();
    for (area, _) in without {
        let home = with
            .iter_mut()
            .map(|(a, _)| a)
            .find(|a| a.altitude == area.altitude && a.ceiling == area.ceiling);
        let Some(home) = home else {
            alone.push(area);
            continue;
        };
        let detail = format!("{} has no SAME code: now part of {}", area.area_desc, home.area_desc);
        report.add(Rule::AreaJoined, "area", &detail);
        home.area_desc = Cow::Owned(format!("{}; {}", home.area_desc, area.area_desc));
        home.polygon.extend(area.polygon);
        home.circle.extend(area.circle);
        for code in area.geocode {
            if !home.geocode.contains(&code) {
                home.geocode.push(code);
            }
        }
    }
    for area in alone {
        let detail = format!("{} has no SAME code and other heights", area.area_desc);
        report.add(Rule::AreaAlone, "area", &detail);
    }
    with.into_iter().map(|(area, _)| area).collect()
}

/// Gives an area the codes of the far side; whether it has any.
fn one(request: &Request<'_>, area: &mut Area<'static>, report: &mut Report) -> bool {
    let far = match request.target {
        Target::Ipaws => "SAME",
        Target::CapCp | Target::MasasEntry => CAP_CP_LOCATION,
    };
    let already: Vec<String> = area
        .geocode
        .iter()
        .filter(|g| is_far(request.target, &g.value_name))
        .map(|g| g.value.trim().to_owned())
        .filter(|v| is_place(request, v, report))
        .collect();
    let has_shape = !area.polygon.is_empty() || !area.circle.is_empty();
    let mut near = Vec::new();
    let (rule, codes) = if !already.is_empty() {
        (Rule::PlacePresent, already)
    } else if has_shape {
        let located = shapes_of(request, area);
        // US counties always have their boundaries; Canadian divisions only with an operator's file.
        let exact = request.target == Target::Ipaws || located.exact;
        report.add_if(
            !located.partial.is_empty(),
            Rule::PlacePartial,
            "area/geocode",
            &located.partial.join(", "),
        );
        near.clone_from(&located.sgc);
        let codes = far_codes(request.target, located);
        let rule = match (codes.is_empty(), exact) {
            (true, _) => Rule::NoCodes,
            (false, true) => Rule::CodesOfShapes,
            (false, false) => Rule::CodesApproximate,
        };
        (rule, codes)
    } else if request.settings.notify_neighbours {
        (Rule::Neighbours, neighbours(request, area, report))
    } else {
        (Rule::NoNeighbours, Vec::new())
    };
    let detail = if codes.is_empty() { String::new() } else { format!("{far} {}", codes.join(" ")) };
    if rule != Rule::Neighbours {
        report.add(rule, "area/geocode", &detail);
    }
    report.add_if(has_shape, Rule::ShapeKept, "area/polygon, area/circle", "");
    let hit = !codes.is_empty();
    let mut geocodes: Vec<NamedValue<'static>> =
        codes.into_iter().map(|c| NamedValue::new(far, Cow::Owned(c))).collect();
    if geocodes.is_empty() && far == CAP_CP_LOCATION {
        // CAP-CP: the area is not in Canada.
        geocodes.push(NamedValue::new(far, "none"));
    }
    let kept = std::mem::take(&mut area.geocode).into_iter();
    geocodes.extend(kept.filter(|code| !is_far(request.target, &code.value_name)));
    if geocodes.is_empty() {
        // IPAWS wants a geocode in each area; Canadian ones say what is true of it.
        if near.is_empty() {
            near.push("none".to_owned());
        }
        geocodes.extend(near.into_iter().map(|c| NamedValue::new(CAP_CP_LOCATION, c)));
    }
    area.geocode = geocodes;
    hit
}

/// Whether a code that stands in the message under the far side's name is a place there. SAME codes and Canadian
/// location codes look alike (cap page 6), so a SAME code counts only where the US has such a place.
fn is_place(request: &Request<'_>, value: &str, report: &mut Report) -> bool {
    if request.target != Target::Ipaws {
        return value != "none";
    }
    let six = value.len() == 6 && value.bytes().all(|b| b.is_ascii_digit());
    // Marine areas have state numbers of their own, from 57 (ipaws page 5.4).
    let marine = value.get(1..3).and_then(|s| s.parse::<u8>().ok()).is_some_and(|s| s >= 57);
    let known = six && (marine || request.tables.boundaries.locate_code(CodeSystem::Same, value).is_some());
    if !known {
        let detail = format!("SAME {value} is no place in the US");
        report.add(Rule::NotAPlace, "area/geocode", &detail);
    }
    known
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

fn shapes_of(request: &Request<'_>, area: &Area<'_>) -> Located {
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

/// The places over the border from those that the area names by code, each by its row of the table.
fn neighbours(request: &Request<'_>, area: &Area<'_>, report: &mut Report) -> Vec<String> {
    let boundaries = &request.tables.boundaries;
    let mut all = BTreeSet::new();
    for code in &area.geocode {
        let near = match request.target {
            Target::Ipaws if code.value_name.contains("CAP-CP:Location") => {
                // A subdivision has the neighbours of its division.
                boundaries.neighbours_of_sgc(code.value.get(..4).unwrap_or(&code.value))
            }
            Target::CapCp | Target::MasasEntry if code.value_name == "SAME" => {
                boundaries.neighbours_of_same(&code.value)
            }
            Target::Ipaws | Target::CapCp | Target::MasasEntry => Vec::new(),
        };
        if near.is_empty() {
            let detail = format!("{} has none in the table", code.value);
            report.add(Rule::NoNeighbours, "area/geocode", &detail);
            continue;
        }
        let row = Row { table: "border_pairs", key: code.value.to_string() };
        let detail = format!("{} → {}", code.value, near.join(" "));
        report.by_row(Rule::Neighbours, row, "area/geocode", &detail);
        all.extend(near.into_iter().map(str::to_owned));
    }
    all.into_iter().collect()
}

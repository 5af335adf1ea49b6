//! Areas over the border: geometry first, unchanged; codes of the far side computed from it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cap_schema::{Area, Info, NamedValue, Point};

use super::geography::{CodeSystem, Located};
use super::report::{Report, Row, Rule};
use super::{NotSent, Request, TRACE, Target, shapes};

/// The valueName of CAP-CP location codes that we write (what is on the air in 2026).
const CAP_CP_LOCATION: &str = "profile:CAP-CP:Location:0.3";
/// The valueName of NWS counties and zones, as the US weather service writes it beside SAME.
const UGC: &str = "UGC";
/// The valueName of zones of the Canadian weather service, as it writes it beside the CAP-CP location.
const CLC: &str = "layer:EC-MSC-SMC:1.0:CLC";

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
    for (number, info) in infos.iter().enumerate() {
        let at = |area: usize| format!("info[{}]/area[{}]", number + 1, area + 1);
        let mut areas: Vec<Area<'static>> = info.area.iter().map(|a| a.clone().into_owned()).collect();
        for (index, area) in areas.iter_mut().enumerate() {
            report.add_if(!area.extensions.is_empty(), Rule::Extension, &at(index), "");
            if area.area_desc.trim().is_empty() {
                area.area_desc = Cow::Borrowed(not_stated(info));
                report.add(Rule::AreaUnnamed, &format!("{}/areaDesc", at(index)), &area.area_desc);
            }
            area.extensions.clear();
            shapes::repair(request.target, area, &at(index), report);
        }
        if request.target == Target::Ipaws && shapes::are_too_many(&areas) {
            return Err(NotSent::TooManyPoints);
        }
        // Codes are those of the original shapes: what simplifying takes away is in the alert all the same.
        let mut hits = Vec::with_capacity(areas.len());
        for (index, area) in areas.iter_mut().enumerate() {
            hits.push(one(request, area, &at(index), report));
        }
        let hit = hits.contains(&true);
        let simplified = request.target == Target::Ipaws
            && shapes::simplify(&mut areas, shapes::IPAWS_POINTS, report).ok_or(NotSent::TooManyPoints)?;
        for (index, area) in areas.iter().enumerate() {
            let there = !simplified && (!area.polygon.is_empty() || !area.circle.is_empty());
            report.add_if(there, Rule::ShapeKept, &format!("{}/polygon, {0}/circle", at(index)), "");
        }
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
    } else if report.has(Rule::ShapeSwapped) {
        Err(NotSent::Swapped)
    } else if report.has(Rule::ShapeUnreadable) {
        Err(NotSent::Unreadable)
    } else {
        Err(NotSent::Untouched)
    }
}

/// The area of an info that has none: both profiles want one.
fn nowhere(info: &Info<'_>, report: &mut Report) -> Area<'static> {
    report.add(Rule::AreaNotStated, "area", "the original names no place: an area that says so");
    Area {
        area_desc: Cow::Borrowed(not_stated(info)),
        geocode: vec![NamedValue::new(CAP_CP_LOCATION, "none")],
        ..Area::default()
    }
}

/// What an area is called whose original has no words for it, in the language of its info.
fn not_stated(info: &Info<'_>) -> &'static str {
    let is = |language: &str| {
        info.language.as_deref().is_some_and(|l| l.trim().to_ascii_lowercase().starts_with(language))
    };
    match (is("fr"), is("es")) {
        (true, _) => "non précisé",
        (_, true) => "no indicado",
        (false, false) => "not stated",
    }
}

/// Puts areas without SAME code into one that has one: an info is for all its areas together, and each area of a public
/// IPAWS message has a SAME code (ipaws page 4.1, rule 11). No shape and no code is lost. An area has one altitude and
/// one ceiling, so where they differ they go into the words, each with the place that it is of.
fn join(areas: Vec<Area<'static>>, hits: &[bool], report: &mut Report) -> Vec<Area<'static>> {
    let (with, without): (Vec<_>, Vec<_>) = areas.into_iter().zip(hits).partition(|(_, hit)| **hit);
    let mut with: Vec<Area<'static>> = with.into_iter().map(|(area, _)| area).collect();
    for (mut area, _) in without {
        let alike = |a: &Area<'_>| a.altitude == area.altitude && a.ceiling == area.ceiling;
        let at = with.iter().position(alike).unwrap_or(0);
        // One has a code, or nothing would be joined.
        let Some(home) = with.get_mut(at) else { continue };
        if !alike(home) {
            let detail = format!("{} and {}: the heights are in the words", home.area_desc, area.area_desc);
            report.add(Rule::HeightsInWords, "area", &detail);
            heights_into_words(home);
            heights_into_words(&mut area);
        }
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
    with
}

/// `Airspace (altitude 1000 ft, ceiling 5000 ft)` (CAP 1.2 3.2.4: feet above mean sea level).
fn heights_into_words(area: &mut Area<'static>) {
    let words: Vec<String> = [("altitude", area.altitude.take()), ("ceiling", area.ceiling.take())]
        .into_iter()
        .filter_map(|(name, feet)| feet.map(|feet| format!("{name} {} ft", feet.trim())))
        .collect();
    if !words.is_empty() {
        area.area_desc = Cow::Owned(format!("{} ({})", area.area_desc, words.join(", ")));
    }
}

/// Gives an area the codes of the far side; whether it has any.
fn one(request: &Request<'_>, area: &mut Area<'static>, at: &str, report: &mut Report) -> bool {
    let field = format!("{at}/geocode");
    let field = field.as_str();
    let far = match request.target {
        Target::Ipaws => "SAME",
        Target::CapCp | Target::MasasEntry => CAP_CP_LOCATION,
    };
    let already: Vec<String> = area
        .geocode
        .iter()
        .filter(|g| is_far(request.target, &g.value_name))
        .map(|g| g.value.trim().to_owned())
        .collect();
    let has_shape = !area.polygon.is_empty() || !area.circle.is_empty();
    let located = (has_shape && (request.target == Target::Ipaws || already.iter().all(|v| v == "none")))
        .then(|| shapes_of(request, area));
    let already: Vec<String> = already
        .into_iter()
        .filter(|value| is_place(request, area, located.as_ref(), value, field, report))
        .collect();
    let codes = if !already.is_empty() {
        report.add(Rule::PlacePresent, field, &format!("{far} {}", already.join(" ")));
        FarCodes { codes: already, ..FarCodes::default() }
    } else if let Some(located) = located {
        FarCodes::of_shapes(request.target, located, far, field, report)
    } else if request.settings.notify_neighbours {
        let codes = neighbours(request, area, field, report);
        let ugc = codes.iter().filter_map(|same| request.tables.boundaries.county_ugc(same));
        let others = if request.target == Target::Ipaws { ugc.collect() } else { Vec::new() };
        FarCodes { codes, others, ..FarCodes::default() }
    } else {
        report.add(Rule::NoNeighbours, field, "");
        FarCodes::default()
    };
    write(request.target, area, far, codes)
}

/// Codes of the far side for one area.
#[derive(Default)]
struct FarCodes {
    /// SAME, or census divisions.
    codes: Vec<String>,
    /// The same places in the second system of the far side: UGC, or CLC.
    others: Vec<String>,
    /// The second system alone shows that the far side is touched: Canadian waters have no census division.
    on_water: bool,
    /// Census divisions, where nothing of the US is touched.
    near: Vec<String>,
}

impl FarCodes {
    fn of_shapes(target: Target, located: Located, far: &str, field: &str, report: &mut Report) -> Self {
        // US counties always have their boundaries; Canadian divisions only with an operator's file.
        let exact = target == Target::Ipaws || located.exact;
        report.add_if(!located.whole, Rule::NotMeasured, field, "");
        let partial = located.partial.join(", ");
        report.add_if(!partial.is_empty(), Rule::PlacePartial, field, &partial);
        let found = match target {
            Target::Ipaws => {
                let codes = located.same.into_iter().chain(located.marine).collect();
                FarCodes { codes, others: located.ugc, on_water: false, near: located.sgc }
            }
            Target::CapCp | Target::MasasEntry => {
                let on_water = located.clc_exact && !located.clc.is_empty();
                FarCodes { codes: located.sgc, others: located.clc, on_water, near: Vec::new() }
            }
        };
        let rule = match (found.codes.is_empty(), exact) {
            (true, _) => Rule::NoCodes,
            (false, true) => Rule::CodesOfShapes,
            (false, false) => Rule::CodesApproximate,
        };
        let listed = |name: &str, codes: &[String]| {
            if codes.is_empty() { String::new() } else { format!("{name} {}", codes.join(" ")) }
        };
        report.add(rule, field, &listed(far, &found.codes));
        if !found.others.is_empty() {
            let (rule, name) = match (target, located.clc_exact) {
                (Target::Ipaws, _) => (Rule::CodesOfShapes, UGC),
                (Target::CapCp | Target::MasasEntry, true) => (Rule::CodesOfShapes, CLC),
                (Target::CapCp | Target::MasasEntry, false) => (Rule::CodesApproximate, CLC),
            };
            report.add(rule, field, &listed(name, &found.others));
        }
        found
    }
}

/// Puts the codes of the far side before those of the original; whether the area touches the far side.
fn write(target: Target, area: &mut Area<'static>, far: &'static str, found: FarCodes) -> bool {
    let hit = !found.codes.is_empty() || found.on_water;
    let other = match target {
        Target::Ipaws => UGC,
        Target::CapCp | Target::MasasEntry => CLC,
    };
    let named = |name: &'static str, codes: Vec<String>| {
        codes.into_iter().map(move |code| NamedValue::new(name, Cow::Owned(code)))
    };
    let mut geocodes: Vec<NamedValue<'static>> = named(far, found.codes).collect();
    if geocodes.is_empty() && far == CAP_CP_LOCATION {
        // CAP-CP: the area is not in Canada, or not on its land.
        geocodes.push(NamedValue::new(far, "none"));
    }
    geocodes.extend(named(other, found.others));
    let kept = std::mem::take(&mut area.geocode).into_iter();
    for code in kept.filter(|code| !is_far(target, &code.value_name)) {
        if !geocodes.contains(&code) {
            geocodes.push(code);
        }
    }
    if geocodes.is_empty() {
        // IPAWS wants a geocode in each area; Canadian ones say what is true of it.
        let near = if found.near.is_empty() { vec!["none".to_owned()] } else { found.near };
        geocodes.extend(named(CAP_CP_LOCATION, near));
    }
    area.geocode = geocodes;
    hit
}

/// Whether a code that stands in the message under the far side's name is a place there. SAME codes and Canadian
/// location codes look alike (cap page 6), so a SAME code counts only where the US has such a place, and where the
/// area's shape, or the Canadian places that it also names, do not speak against it.
fn is_place(
    request: &Request<'_>,
    area: &Area<'_>,
    located: Option<&Located>,
    value: &str,
    field: &str,
    report: &mut Report,
) -> bool {
    if request.target != Target::Ipaws {
        let known = request.tables.boundaries.is_sgc(value);
        let detail = format!("{value} is no place in Canada");
        report.add_if(!known && value != "none", Rule::NotAPlace, field, &detail);
        return known;
    }
    let why = if request.tables.boundaries.locate_code(CodeSystem::Same, value).is_none() {
        "is no place in the US"
    } else if located.is_some_and(|located| !located.fits(value)) {
        "is far from the area's shape: a Canadian code, or a wrong one"
    } else if located.is_none() && !fits_places(request, area, value) {
        "is far from the Canadian places of the area: a Canadian code, or a wrong one"
    } else {
        return true;
    };
    report.add(Rule::NotAPlace, field, &format!("SAME {value} {why}"));
    false
}

/// Whether a SAME code of an area without shape can stand beside the Canadian places that the area names. What crossed
/// the border before names places on both sides by the table of pairs, or as they were.
fn fits_places(request: &Request<'_>, area: &Area<'_>, same: &str) -> bool {
    let crossed = request.alert.info.iter().flat_map(|i| &i.parameter).any(|p| p.value_name == TRACE);
    let canadian = |g: &&NamedValue<'_>| {
        (is_far(Target::CapCp, &g.value_name) && g.value != "none") || g.value_name.ends_with("CLC")
    };
    let mut places = area.geocode.iter().filter(canadian).peekable();
    if crossed || places.peek().is_none() {
        return true;
    }
    let boundaries = &request.tables.boundaries;
    places
        .flat_map(|g| boundaries.neighbours_of_sgc(g.value.get(..4).unwrap_or(&g.value)))
        .any(|near| near.get(1..3) == same.get(1..3))
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

/// The places over the border from those that the area names by code, each by its row of the table.
fn neighbours(request: &Request<'_>, area: &Area<'_>, field: &str, report: &mut Report) -> Vec<String> {
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
            report.add(Rule::NoNeighbours, field, &detail);
            continue;
        }
        let row = Row { table: "border_pairs", key: code.value.to_string() };
        let detail = format!("{} → {}", code.value, near.join(" "));
        report.by_row(Rule::Neighbours, row, field, &detail);
        all.extend(near.into_iter().map(str::to_owned));
    }
    all.into_iter().collect()
}

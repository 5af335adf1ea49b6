//! `locate`: which places a shape or a code touches, offline.

use std::path::PathBuf;
use std::process::ExitCode;

use cap_schema::{Circle, Point, Polygon};
use clap::Args;

use super::{Format, SOFTWARE, USAGE, complain, say};
use crate::telemetry::chain;
use crate::translate::geography::{Boundaries, CodeSystem, Located, is_longitude_first};

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Shape {
    /// A polygon as in CAP: "lat,lon lat,lon ...", closed.
    #[arg(long, value_name = "POINTS", allow_hyphen_values = true)]
    polygon: Option<String>,
    /// A circle as in CAP: "lat,lon km".
    #[arg(long, value_name = "CIRCLE", allow_hyphen_values = true)]
    circle: Option<String>,
    /// A US SAME code, six digits.
    #[arg(long, value_name = "CODE")]
    same: Option<String>,
    /// A Canadian SGC code.
    #[arg(long, value_name = "CODE")]
    sgc: Option<String>,
    /// A Canadian Location Code, six digits.
    #[arg(long, value_name = "CODE")]
    clc: Option<String>,
}

#[derive(Args)]
pub(super) struct LocateArgs {
    #[command(flatten)]
    shape: Shape,
    /// A boundary file made by `capbridge geodata build`.
    #[arg(long, value_name = "FILE")]
    geodata: Option<PathBuf>,
    /// Text for people or JSON.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The boundaries that ship with the program, and an operator's file.
///
/// # Errors
/// An exit code; what is wrong was said.
pub(super) fn boundaries(geodata: Option<&PathBuf>) -> Result<Boundaries, ExitCode> {
    let builtin = Boundaries::builtin().map_err(|error| {
        complain(&format!("capbridge: {}", chain(&error)));
        ExitCode::from(SOFTWARE)
    })?;
    let Some(path) = geodata else { return Ok(builtin) };
    let bytes = std::fs::read(path).map_err(|e| e.to_string());
    bytes.and_then(|bytes| builtin.with_geodata(&bytes).map_err(|e| chain(&e))).map_err(|why| {
        complain(&format!("capbridge: {}: {why}", path.display()));
        ExitCode::from(USAGE)
    })
}

/// Runs `capbridge locate`.
pub(super) fn locate(args: &LocateArgs) -> ExitCode {
    let boundaries = match boundaries(args.geodata.as_ref()) {
        Ok(boundaries) => boundaries,
        Err(code) => return code,
    };
    match find(&boundaries, &args.shape) {
        Ok(located) => {
            match args.format {
                Format::Json => say(&serde_json::to_string(&located).unwrap_or_default()),
                Format::Text => say(&words(&boundaries, &args.shape, &located)),
            }
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(&format!("capbridge: {why}"));
            ExitCode::from(USAGE)
        }
    }
}

fn find(boundaries: &Boundaries, shape: &Shape) -> Result<Located, String> {
    for (name, text) in [("--polygon", &shape.polygon), ("--circle", &shape.circle)] {
        if text.as_deref().is_some_and(is_longitude_first) {
            return Err(format!(
                "{name}: longitude comes before latitude; write it as in CAP, latitude first"
            ));
        }
    }
    if let Some(text) = &shape.polygon {
        let points: Vec<Point> =
            Polygon::new(text.as_str()).points().map_err(|e| format!("--polygon: {e}"))?;
        return Ok(boundaries.locate_shapes(&[points], &[]));
    }
    if let Some(text) = &shape.circle {
        let circle = Circle::new(text.as_str());
        let center = circle.center().map_err(|e| format!("--circle: {e}"))?;
        let radius_km = circle.radius_km().map_err(|e| format!("--circle: {e}"))?;
        return Ok(boundaries.locate_shapes(&[], &[(center, radius_km)]));
    }
    for (system, name, code) in [
        (CodeSystem::Same, "--same", &shape.same),
        (CodeSystem::Sgc, "--sgc", &shape.sgc),
        (CodeSystem::Clc, "--clc", &shape.clc),
    ] {
        if let Some(code) = code {
            return boundaries
                .locate_code(system, code)
                .ok_or_else(|| format!("{name} {code} is not a code that is known"));
        }
    }
    Err("say what to locate: --polygon, --circle, --same, --sgc or --clc".into())
}

fn words(boundaries: &Boundaries, shape: &Shape, located: &Located) -> String {
    let by_code = shape.polygon.is_none() && shape.circle.is_none();
    let mut lines = Vec::new();
    for code in &located.same {
        lines.push(format!("SAME {code}  {}", boundaries.county_name(code).unwrap_or("")));
    }
    for code in &located.sgc {
        lines.push(format!("SGC  {code}    {}", boundaries.division_name(code).unwrap_or("")));
    }
    lines.extend(located.ugc.iter().map(|code| format!("UGC  {code}")));
    lines.extend(located.clc.iter().map(|code| format!("CLC  {code}")));
    lines.extend(located.partial.iter().map(|note| format!("partial: {note}")));
    if !located.whole {
        lines.push("not all of the shape was looked at: too many points, or lines that cross".into());
    }
    if lines.is_empty() {
        lines.push("no county and no census division is touched".into());
    }
    lines.push(if by_code {
        "by tables: what is on the other side of the border are the neighbours of that code".into()
    } else if located.exact {
        "decided on boundaries".into()
    } else {
        "approximate: Canadian boundaries come from a geodata file".into()
    });
    lines.join("\n")
}

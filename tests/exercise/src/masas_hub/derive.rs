//! CAP → entry, as the one real example shows it (an earthquake alert of 2012).

use jiff::Timestamp;

use super::entry::{Category, Draft, Text};
use super::icons::icon;
use crate::cap::{Alert, Info};
use crate::clock::instant;
use crate::geometry::Shape;

/// Derives what an author would determine. `earlier` is the alert that a Cancel without blocks ends.
///
/// # Errors
/// A sentence for the person who posted it.
pub fn draft(alert: &Alert, earlier: Option<&Draft>, now: Timestamp) -> Result<Draft, &'static str> {
    let Some(first) = alert.infos.first() else {
        return match earlier {
            Some(earlier) if alert.msg_type == "Cancel" => Ok(ended(earlier, now)),
            _ => Err("The alert has no info block"),
        };
    };
    let text_of = |make: &dyn Fn(&Info) -> String| {
        Text::multilingual(alert.infos.iter().map(|info| (two_letters(&info.language), make(info))).collect())
    };
    // The message type is not translated in the example.
    let title = text_of(&|info| format!("{} - {}", info.event, alert.msg_type));
    // INFERRED: the example's content reads like a headline; it could be the description.
    let content = text_of(&|info| {
        let texts = [&info.headline, &info.description];
        texts.into_iter().flatten().next().unwrap_or(&info.event).clone()
    });
    let codes = first.event_codes.iter().filter(|(system, _)| system.starts_with("profile:CAP-CP:Event:"));
    // The order of the example.
    let mut categories = vec![Category::of_hub("Certainty", &first.certainty)];
    categories.extend(first.categories.iter().map(|category| Category::of_hub("Category", category)));
    categories.push(Category::of_hub("Severity", &first.severity));
    categories.push(Category::of_hub("Status", &alert.status));
    categories.push(Category::of_hub("Icon", icon(codes.map(|(_, code)| code.as_str()))));
    Ok(Draft {
        categories,
        title,
        content: Some(content),
        summary: None,
        related: Vec::new(),
        shapes: position(first).into_iter().collect(),
        effective: None,
        expires_at: first.expires.as_deref().and_then(instant),
        update: None,
    })
}

/// INFERRED: a Cancel with no block ends the entry now and changes the message type in its titles.
fn ended(earlier: &Draft, now: Timestamp) -> Draft {
    let titles = earlier.title.languages.iter().map(|(language, title)| {
        let event = title.rsplit_once(" - ").map_or(title.as_str(), |(event, _)| event);
        (language.clone(), format!("{event} - Cancel"))
    });
    Draft { title: Text::multilingual(titles.collect()), expires_at: Some(now), ..earlier.clone() }
}

fn two_letters(language: &str) -> String {
    language.chars().take(2).collect::<String>().to_ascii_lowercase()
}

/// The event location if there is one (INFERRED), else the first shape of an area.
fn position(info: &Info) -> Option<Shape> {
    let layer = info.parameters.iter().find_map(|(name, value)| {
        let is_layer = name.starts_with("layer:CAPAN:") || name.starts_with("layer:NAADS:");
        let (_, kind) = name.split_once("eventLocation:").filter(|_| is_layer)?;
        Shape::from_cap(kind, value)
    });
    let areas = || {
        let polygons = info.areas.iter().flat_map(|area| &area.polygons);
        let circles = info.areas.iter().flat_map(|area| &area.circles);
        polygons
            .filter_map(|text| Shape::from_cap("polygon", text))
            .chain(circles.filter_map(|text| Shape::from_cap("circle", text)))
            .next()
    };
    layer.or_else(areas)
}

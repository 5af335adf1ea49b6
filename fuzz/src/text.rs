//! The lexical types: each against a plain reading of the same text.

use cap_schema::{Alert, Area, Circle, Info, Instant, Polygon, Profile, Reference, Time, TimeForm, validate};

/// Polygons and circles.
pub fn geometry(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let polygon = Polygon::new(text);
    assert_eq!(polygon.as_str(), text, "the text of a polygon is not kept");
    let read = polygon.pairs().ok().map(|points| points.iter().map(|p| (p.lat, p.lon)).collect::<Vec<_>>());
    assert_eq!(read, plain_pairs(text), "two readings of coordinates differ");
    let circle = Circle::new(text);
    if let (Ok(center), Ok(radius)) = (circle.center(), circle.radius_km()) {
        assert!(radius >= 0.0 && radius.is_finite() && (-90.0..=90.0).contains(&center.lat), "{text}");
    }
    let area = Area { polygon: vec![polygon], circle: vec![circle], ..Area::default() };
    let info = Info { area: vec![area], ..Info::default() };
    let _ = validate(&Alert { info: vec![info], ..Alert::default() }, Profile::Cap);
}

/// Pairs by the standard library alone.
fn plain_pairs(text: &str) -> Option<Vec<(f64, f64)>> {
    let number = |text: &str| -> Option<f64> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let lexical = digits.bytes().any(|b| b.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && digits.bytes().filter(|b| *b == b'.').count() <= 1;
        lexical.then(|| text.parse().ok())?
    };
    text.split(|c: char| c.is_ascii_whitespace())
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (lat, lon) = pair.split_once(',')?;
            let (lat, lon) = (number(lat)?, number(lon)?);
            ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some((lat, lon))
        })
        .collect()
}

/// Times.
pub fn time(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let time = Time::new(text);
    assert_eq!(time.as_str(), text, "the text of a time is not kept");
    let clear = matches!(time.form(), TimeForm::Cap | TimeForm::Zulu | TimeForm::Fraction);
    assert_eq!(clear, time.instant().is_some(), "{text:?}: the form and the instant disagree");
    let Some(instant) = time.instant() else { return };
    // The years that CAP can write, at any offset.
    if !(-62_135_500_000..253_402_200_000).contains(&instant.seconds()) {
        return;
    }
    let plain = time.in_cap_form().into_owned();
    let plain = Time::new(plain.as_str());
    assert_eq!((plain.form(), plain.instant()), (TimeForm::Cap, Some(instant)), "{text:?}");
    let offset = time.offset_minutes().unwrap();
    let again = Time::from_instant(instant, offset);
    assert_eq!((again.instant(), again.offset_minutes()), (Some(instant), Some(offset)), "{text:?}");
    let utc = Time::from_instant(Instant::from_seconds(instant.seconds()), 0);
    assert_eq!(utc.instant(), Some(instant), "{text:?}");
}

/// References.
pub fn references(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(reference) = Reference::read(text) {
        assert_eq!(reference.to_string(), text, "a reference is not written as it was read");
    }
    let alert = Alert {
        references: Some(text.into()),
        addresses: Some(text.into()),
        incidents: Some(text.into()),
        ..Alert::default()
    };
    let list = alert.references();
    assert!(list.len() <= text.split_whitespace().count(), "more references than words");
    for reference in &list {
        assert_eq!(Reference::read(&reference.to_string()).as_ref(), Some(reference), "{text:?}");
    }
    let _ = validate(&alert, Profile::Cap);
}

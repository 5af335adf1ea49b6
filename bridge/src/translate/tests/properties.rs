//! Generated alerts: what a translation keeps, and what no input makes it do.

use std::sync::LazyLock;

use cap_schema::{
    Area, Category, Certainty, Circle, Level, Limits, Polygon, Profile, ResponseType,
    Severity as CapSeverity, Urgency,
};
use proptest::prelude::*;

use super::Action;
use crate::translate::*;

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::builtin().unwrap());

/// A text that may hold whatever a person or a machine writes.
fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-zéèç ,.!-]{1,60}", "[ -~]{1,80}", "\\PC{1,40}"]
        .prop_map(|t| t.trim().to_owned())
        .prop_filter("nothing but blanks", |t| !t.is_empty())
}

/// A shape near Sarnia and Port Huron, which touches both countries or one.
fn place() -> impl Strategy<Value = Area<'static>> {
    let center = (42.85_f64..43.05, -82.55_f64..-82.30);
    (center, 0.01_f64..0.1, 4_usize..300, any::<bool>(), words()).prop_map(
        |((lat, lon), size, corners, round, name)| {
            let mut area = Area { area_desc: Cow::Owned(name), ..Area::default() };
            if round {
                let text = format!("{lat:.4},{lon:.4} {:.2}", size * 100.0);
                area.circle.push(Circle::new(text));
                return area;
            }
            let corner = |i: usize| {
                let angle = std::f64::consts::TAU * i as f64 / corners as f64;
                let wave = size * (1.0 + 0.2 * (angle * 7.0).sin());
                format!("{:.6},{:.6}", lat + wave * angle.sin(), lon + wave * angle.cos())
            };
            let mut pairs: Vec<String> = (0..corners).map(corner).collect();
            pairs.push(corner(0));
            area.polygon.push(Polygon::new(pairs.join(" ")));
            area
        },
    )
}

fn triple() -> impl Strategy<Value = (Urgency, CapSeverity, Certainty)> {
    (
        prop::sample::select(vec![Urgency::Immediate, Urgency::Expected, Urgency::Future, Urgency::Unknown]),
        prop::sample::select(vec![CapSeverity::Extreme, CapSeverity::Severe, CapSeverity::Minor]),
        prop::sample::select(vec![Certainty::Observed, Certainty::Likely, Certainty::Possible]),
    )
}

/// An alert of one country in one language.
fn alert(
    language: &'static str,
    code: (&'static str, &'static str, Vec<&'static str>),
) -> impl Strategy<Value = Alert<'static>> {
    let (profile, name, values) = code;
    let texts = (words(), words(), words(), "[A-Za-z0-9-]{1,20}");
    let status = prop::sample::select(vec![Status::Actual, Status::Exercise, Status::Test]);
    let value = prop::sample::select(values);
    (texts, status, value, triple(), prop::collection::vec(place(), 1..4)).prop_map(
        move |((headline, description, instruction, identifier), status, value, (u, s, c), area)| Alert {
            identifier: Cow::Owned(identifier),
            sender: Cow::Borrowed("em@lambton.example.test"),
            sent: Time::new("2026-03-01T12:02:05-05:00"),
            status: Code::Known(status),
            msg_type: Code::Known(MsgType::Alert),
            scope: Some(Code::Known(Scope::Public)),
            code: vec![Cow::Borrowed(profile)],
            info: vec![Info {
                language: Some(Cow::Borrowed(language)),
                category: vec![Code::Known(Category::Cbrne)],
                event: Cow::Borrowed("Event"),
                response_type: vec![Code::Known(ResponseType::Shelter)],
                urgency: Code::Known(u),
                severity: Code::Known(s),
                certainty: Code::Known(c),
                event_code: vec![NamedValue::new(name, value)],
                effective: Some(Time::new("2026-03-01T12:02:05-05:00")),
                expires: Some(Time::new("2026-03-01T18:00:00-05:00")),
                headline: Some(Cow::Owned(headline)),
                description: Some(Cow::Owned(description)),
                instruction: Some(Cow::Owned(instruction)),
                area,
                ..Info::default()
            }],
            ..Alert::default()
        },
    )
}

fn canadian() -> impl Strategy<Value = Alert<'static>> {
    let values = vec!["chemical", "biological", "radiological", "explosive", "hazmat", "flood", "other"];
    alert("en-CA", ("profile:CAP-CP:0.4", codes::CAP_CP_EVENT, values))
}

fn american() -> impl Strategy<Value = Alert<'static>> {
    alert("en-US", ("IPAWSv1.0", "SAME", vec!["HMW", "RHW", "NUW", "CEM", "EVI", "SPW", "TOR"]))
}

fn over(
    tables: &Tables,
    settings: &Settings,
    alert: &Alert<'_>,
    target: Target,
) -> Result<Translated, NotSent> {
    translate(&Request {
        alert,
        origin_key: "key",
        target,
        at: "2026-03-01T17:03:00Z".parse().unwrap(),
        issued: None,
        previous: None,
        settings,
        tables,
    })
}

/// What a round trip keeps of an info (design 4).
fn kept(info: &Info<'_>) -> impl PartialEq + std::fmt::Debug {
    let shapes: Vec<String> = info
        .area
        .iter()
        .flat_map(|a| {
            a.polygon
                .iter()
                .map(|p| p.as_str().to_owned())
                .chain(a.circle.iter().map(|c| c.as_str().to_owned()))
        })
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let times = [&info.effective, &info.onset, &info.expires]
        .map(|t| t.as_ref().and_then(Time::instant).map(Instant::seconds));
    let texts =
        [&info.headline, &info.description, &info.instruction].map(|t| t.as_deref().map(str::to_owned));
    let triple = format!("{} {} {}", info.urgency, info.severity, info.certainty);
    (shapes, times, texts, triple, info.language.as_deref().map(str::to_owned), info.category.clone())
}

fn round_trip(alert: &Alert<'static>, there: Target, back: Target) -> Result<(), TestCaseError> {
    let settings = Settings { untouched: true, ..Settings::default() };
    let far = over(&TABLES, &settings, alert, there).unwrap();
    let home = over(&TABLES, &settings, &far.alert, back).unwrap();
    let origin = |a: &Alert<'_>| {
        a.info[0].parameter.iter().find(|p| p.value_name == "capbridge:origin").unwrap().value.to_string()
    };
    prop_assert_eq!(origin(&far.alert), alert.reference().to_string());
    prop_assert_eq!(origin(&home.alert), alert.reference().to_string());
    let has_simplified = far.report.lines.iter().any(|l| l.action == Action::Cut)
        || home.report.lines.iter().any(|l| l.action == Action::Cut);
    if !has_simplified {
        prop_assert_eq!(kept(&home.alert.info[0]), kept(&alert.info[0]));
    }
    prop_assert_eq!(&home.alert.info[0].event_code[0], &alert.info[0].event_code[0]);
    prop_assert_eq!(&home.alert.status, &alert.status);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_out_is_valid_and_the_same_each_time(alert in prop_oneof![canadian(), american()]) {
            let settings = Settings { untouched: true, ..Settings::default() };
        for (target, profile) in [(Target::Ipaws, Profile::Ipaws), (Target::CapCp, Profile::CapCp)] {
            let made = over(&TABLES, &settings, &alert, target).unwrap();
            prop_assert_eq!(&made, &over(&TABLES, &settings, &alert, target).unwrap());
            let read = cap_schema::parse_owned(made.xml.as_bytes(), &Limits::default()).unwrap();
            prop_assert!(read.accepted());
            let errors: Vec<_> = [Profile::Cap, profile]
                .into_iter()
                .flat_map(|p| cap_schema::validate(&read.alert, p))
                .filter(|f| f.level == Level::Error)
                .collect();
            prop_assert!(errors.is_empty(), "{errors:?}");
            let blocked = read.alert.info[0].parameter.iter().filter(|p| p.value_name == "BLOCKCHANNEL").count();
            prop_assert_eq!(blocked, if target == Target::Ipaws { 4 } else { 0 });
        }
    }

    #[test]
    fn there_and_back_keeps_identity_times_triple_places_and_texts_of_a_canadian_alert(alert in canadian()) {
        round_trip(&alert, Target::Ipaws, Target::CapCp)?;
    }

    #[test]
    fn there_and_back_keeps_identity_times_triple_places_and_texts_of_an_american_alert(alert in american()) {
        round_trip(&alert, Target::CapCp, Target::Ipaws)?;
    }

    #[test]
    fn an_opened_channel_is_open_only_for_what_may_be_on_the_air(alert in canadian()) {
            let open_channels = ["EAS", "NWEM", "CMAS", "PUBLIC"].map(str::to_owned).to_vec();
        let settings = Settings { untouched: true, open_channels, ..Settings::default() };
        let Ok(made) = over(&TABLES, &settings, &alert, Target::Ipaws) else { return Ok(()) };
        let info = &made.alert.info[0];
        let blocked = info.parameter.iter().filter(|p| p.value_name == "BLOCKCHANNEL").count();
        if made.alert.status != Code::Known(Status::Actual) || made.alert.scope != Some(Code::Known(Scope::Public)) {
            prop_assert_eq!(blocked, 4);
        }
        let errors: Vec<_> = cap_schema::validate(&made.alert, Profile::Ipaws)
            .into_iter()
            .filter(|f| f.level == Level::Error)
            .collect();
        prop_assert!(errors.is_empty(), "{errors:?}");
    }
}

//! The report speaks of every field of the original and of every field of the new message.

use std::collections::BTreeSet;

use super::*;

/// Every element that an alert can have, but for what repeats.
const FULL: &str = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>FULL-1</identifier><sender>em@desk.example.test</sender><sent>2026-03-01T12:02:05-05:00</sent><status>Actual</status><msgType>Alert</msgType><source>Desk</source><scope>Restricted</scope><restriction>responders</restriction><addresses>one two</addresses><code>profile:CAP-CP:0.4</code><note>between offices</note><incidents>INC-77</incidents><info><language>en-CA</language><category>CBRNE</category><event>Chemical Hazard</event><responseType>Shelter</responseType><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty><audience>Responders</audience><eventCode><valueName>profile:CAP-CP:Event:0.4</valueName><value>chemical</value></eventCode><effective>2026-03-01T12:00:00-05:00</effective><onset>2026-03-01T12:00:00-05:00</onset><expires>2026-03-01T18:00:00-05:00</expires><senderName>Lambton County</senderName><headline>Chlorine release</headline><description>Chlorine.</description><instruction>Go indoors.</instruction><web>https://desk.example.test/alert</web><contact>duty desk</contact><parameter><valueName>layer:EC-MSC-SMC:1.0:Alert_Type</valueName><value>warning</value></parameter><parameter><valueName>secret</valueName><value>x</value></parameter><resource><resourceDesc>Map</resourceDesc><mimeType>image/png</mimeType><uri>https://desk.example.test/map.png</uri></resource><area><areaDesc>Sarnia</areaDesc><circle>42.9745,-82.4066 4</circle><geocode><valueName>profile:CAP-CP:Location:0.3</valueName><value>3538030</value></geocode></area></info></alert>"#;

/// Names of elements, of which `info/area/polygon, area/circle` has several.
fn names(field: &str) -> Vec<String> {
    let without_number = |part: &str| part.split('[').next().unwrap_or("").to_owned();
    let last = |field: &str| field.split('/').next_back().map(without_number);
    field.split(", ").filter_map(last).collect()
}

#[test]
fn every_field_has_a_line() {
    let inside = ["area", "info", "valueName", "value", "mimeType", "uri", "resourceDesc", "alert"];
    for (target, at) in [(Target::Ipaws, AT), (Target::CapCp, AT)] {
        let made = made(FULL, target, at).unwrap();
        let lines: BTreeSet<String> = made.report.lines.iter().flat_map(|l| names(&l.field)).collect();
        for text in [FULL, made.xml.as_str()] {
            let elements = text.split('<').skip(1).map(|t| t.split([' ', '>', '/']).next().unwrap_or(""));
            for element in elements.filter(|e| !e.is_empty() && !e.starts_with('?') && !inside.contains(e)) {
                assert!(lines.contains(element), "{target:?}: no line for {element}");
            }
        }
        // Each parameter that goes or comes is named.
        let details: String = made.report.lines.iter().map(|l| l.detail.as_str()).collect();
        assert!(details.contains("secret") && details.contains("Alert_Type"), "{target:?}");
    }
}

#[test]
fn what_differs_is_never_said_to_be_kept() {
    let cancel = FULL
        .replace("<msgType>Alert", "<msgType>Error")
        .replace(
            "<incidents>",
            "<references>em@desk.example.test,FULL-0,2026-03-01T11:00:00-05:00</references><incidents>",
        )
        .replace(">Chlorine release<", ">  Chlorine release  <");
    for text in [FULL, cancel.as_str()] {
        let original = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
        let made = made(text, Target::Ipaws, AT).unwrap();
        let (was, is) = (&original.info[0], &made.alert.info[0]);
        let kept = |name: &str| {
            let field = format!("info[1]/{name}");
            made.report.lines.iter().any(|l| l.field == field && l.action == Action::Kept)
        };
        let pairs = [
            ("headline", was.headline == is.headline),
            ("description", was.description == is.description),
            ("instruction", was.instruction == is.instruction),
            ("urgency", was.urgency == is.urgency),
            ("severity", was.severity == is.severity),
            ("responseType", was.response_type == is.response_type),
            ("language", was.language == is.language),
            ("expires", was.expires == is.expires),
        ];
        for (name, same) in pairs {
            assert_eq!(kept(name), same, "{name}: {}", made.report.to_words());
        }
    }
}

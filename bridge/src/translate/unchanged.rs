//! The part of the report about what stayed: a line for each field of an info that is in the new message, so that nobody
//! has to infer from silence. Runs last; changes nothing.

use cap_schema::{Info, MsgType};

use super::language;
use super::report::{Report, Rule};

/// Lines for all fields of an info that no line speaks of yet. `at` is `info[n]` of the original.
pub(super) fn report(kind: MsgType, original: &Info<'_>, made: &Info<'_>, at: &str, report: &mut Report) {
    let said = report.fields_within(at);
    let mut say = |name: &str, there: bool, same: bool, kept: Rule| {
        let field = format!("{at}/{name}");
        if !there || said.contains(&field) || (!same && said.contains(at)) {
            return;
        }
        let changed = if kind == MsgType::Cancel { Rule::EndsInfo } else { Rule::TextBlanks };
        report.add(if same { kept } else { changed }, &field, "");
    };
    let value = Rule::ValueKept;
    say("language", true, original.language == made.language, value);
    say("category", true, original.category == made.category, value);
    say("event", true, original.event == made.event, Rule::TextKept);
    let answers = &original.response_type;
    say("responseType", !answers.is_empty(), *answers == made.response_type, value);
    say("urgency", true, original.urgency == made.urgency, value);
    say("severity", true, original.severity == made.severity, value);
    say("certainty", true, original.certainty == made.certainty, value);
    for (name, was, is) in [
        ("effective", &original.effective, &made.effective),
        ("onset", &original.onset, &made.onset),
        ("expires", &original.expires, &made.expires),
    ] {
        say(name, was.is_some(), was == is, value);
    }
    for (name, was, is) in [
        ("audience", &original.audience, &made.audience),
        ("headline", &original.headline, &made.headline),
        ("description", &original.description, &made.description),
        ("instruction", &original.instruction, &made.instruction),
        ("web", &original.web, &made.web),
    ] {
        say(name, was.is_some(), was == is, Rule::TextKept);
    }
    lists(original, made, at, report);
}

/// Codes, parameters, resources and names of areas, of which some stay and some go.
fn lists(original: &Info<'_>, made: &Info<'_>, at: &str, report: &mut Report) {
    for code in original.event_code.iter().filter(|code| made.event_code.contains(code)) {
        let detail = format!("{} {}", code.value_name, code.value);
        report.add(Rule::CodeOriginal, &format!("{at}/eventCode"), &detail);
    }
    let same = |name: &str| name != language::ADDED;
    for parameter in original.parameter.iter().filter(|p| made.parameter.contains(p) && same(&p.value_name)) {
        report.add(Rule::ParameterListed, &format!("{at}/parameter"), &parameter.value_name);
    }
    for resource in original.resource.iter().filter(|r| made.resource.iter().any(|m| m.uri == r.uri)) {
        report.add(Rule::TextKept, &format!("{at}/resource"), &resource.resource_desc);
    }
    for area in &original.area {
        if made.area.iter().any(|m| m.area_desc == area.area_desc) {
            report.add(Rule::TextKept, &format!("{at}/area/areaDesc"), &area.area_desc);
        }
        if made.area.iter().any(|m| area.geocode.iter().any(|code| m.geocode.contains(code))) {
            let name = |code: &cap_schema::NamedValue<'_>| format!("{} {}", code.value_name, code.value);
            let codes: Vec<String> = area.geocode.iter().map(name).collect();
            report.add(Rule::PlaceOriginal, &format!("{at}/area/geocode"), &codes.join(", "));
        }
    }
}

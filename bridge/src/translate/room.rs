//! What of a message an Atom entry has no room for: the report of the CAP message is made to say so.
//!
//! Owns the list of what an entry shows. A duty officer who reads `kept` relies on it.

use std::collections::BTreeSet;

use cap_schema::{Alert, Info, MsgType};

use super::entry::Shape;
use super::report::{Action, Line, Report, Rule};

/// Elements of an info that the entry shows of every block, in its texts.
const IN_TEXTS: [&str; 4] = ["language", "headline", "description", "instruction"];
/// Elements that the entry shows once: those of the first block.
const ONCE: [&str; 7] = ["category", "severity", "certainty", "effective", "expires", "web", "parameter"];

/// Says of every field whether it is in the entry.
pub(super) fn report(alert: &Alert<'_>, kind: MsgType, shown: Option<&Shape>, report: &mut Report) {
    let over: BTreeSet<usize> =
        report.lines.iter().filter(|l| l.rule == Rule::InfoOver).filter_map(|l| number(&l.field)).collect();
    // The infos of the original by number, as the message has them: those that are over are not in it.
    let infos: Vec<(usize, &Info<'_>)> = (1..).filter(|n| !over.contains(n)).zip(&alert.info).collect();
    let lines = report.take();
    for line in lines {
        if line.rule == Rule::ShapeKept {
            continue;
        }
        match lost(&line, kind, &infos) {
            Some(rule) => report.add(rule, &line.field, &line.detail),
            None => report.put(line),
        }
    }
    shapes(&infos, shown, report);
}

/// The rule by which a field is not in the entry; `None` where it is, or where it went before.
fn lost(line: &Line, kind: MsgType, infos: &[(usize, &Info<'_>)]) -> Option<Rule> {
    if line.rule.action() == Action::Dropped {
        return None;
    }
    let Some((of, element)) = line.field.split_once('/') else {
        return match line.field.as_str() {
            "msgType" if kind == MsgType::Cancel => Some(Rule::EntryEnds),
            "identifier" | "sender" | "sent" | "source" | "incidents" | "code" | "references" | "msgType" => {
                Some(Rule::EntryOfHub)
            }
            "scope" | "restriction" | "note" => Some(Rule::EntryRoom),
            _ => None,
        };
    };
    let first = infos.first();
    let own = number(of).and_then(|n| infos.iter().find(|(number, _)| *number == n));
    match (first, own) {
        _ if IN_TEXTS.contains(&element) => None,
        // The title of a block without a headline.
        (_, Some((_, own))) if element == "event" && own.headline.is_none() => None,
        (Some((n, first)), Some((m, own))) if ONCE.contains(&element) => {
            let is_kept = match element {
                _ if n == m => element != "parameter" || line.rule == Rule::Provenance,
                "category" => own.category == first.category,
                "severity" => own.severity == first.severity,
                "certainty" => own.certainty == first.certainty,
                "effective" => own.effective == first.effective,
                "expires" => own.expires == first.expires,
                "web" => own.web == first.web,
                _ => line.rule == Rule::Provenance,
            };
            (!is_kept).then_some(Rule::EntryRoom)
        }
        _ => Some(Rule::EntryRoom),
    }
}

fn number(field: &str) -> Option<usize> {
    field.strip_prefix("info[")?.split(']').next()?.parse().ok()
}

/// The one shape that an entry has, and the others.
fn shapes(infos: &[(usize, &Info<'_>)], shown: Option<&Shape>, report: &mut Report) {
    let mut is_said = false;
    for (n, info) in infos {
        for (a, area) in info.area.iter().enumerate() {
            let field = format!("info[{n}]/area[{}]", a + 1);
            let polygons = area.polygon.iter().map(|p| ("polygon", p.as_str()));
            let circles = area.circle.iter().map(|c| ("circle", c.as_str()));
            let mut left = [("polygon", 0_usize), ("circle", 0)];
            for (name, text) in polygons.chain(circles) {
                if shown.is_some_and(|shape| shape.name == name && shape.text == text) {
                    if !is_said {
                        report.add(Rule::ShapeKept, &format!("{field}/{name}"), "");
                    }
                    is_said = true;
                } else if let Some((_, count)) = left.iter_mut().find(|(kind, _)| *kind == name) {
                    *count += 1;
                }
            }
            for (name, count) in left.into_iter().filter(|(_, count)| *count > 0) {
                report.add(Rule::EntryOneShape, &format!("{field}/{name}"), &format!("left out: {count}"));
            }
        }
    }
}

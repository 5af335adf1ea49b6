//! The place of an element by its path: one more pass, only when there is a finding to place.

use std::collections::HashMap;

use super::content::path_of;
use crate::alert::Version;
use crate::finding::{Finding, place};
use crate::limits::Limits;
use crate::xml::{Reader, Token};

/// Fills in line and column of findings that have a path and no place. The place of an absent element is that of its
/// nearest ancestor.
pub(crate) fn locate(text: &str, limits: &Limits, findings: &mut [Finding]) {
    if findings.iter().all(|f| f.line > 0 || f.path.is_empty()) {
        return;
    }
    let offsets = offsets(text, limits);
    for finding in findings.iter_mut().filter(|f| f.line == 0) {
        let mut path = finding.path.as_str();
        while !path.is_empty() {
            if let Some(offset) = offsets.get(path) {
                (finding.line, finding.column) = place(text, *offset);
                break;
            }
            path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
}

fn offsets(text: &str, limits: &Limits) -> HashMap<String, usize> {
    let mut reader = Reader::new(text, limits);
    let mut offsets = HashMap::new();
    let mut stack: Vec<(String, HashMap<String, u16>)> = vec![(String::new(), HashMap::new())];
    while let Ok(Some(token)) = reader.next() {
        match token {
            Token::Start(element) => {
                let Some((parent, counts)) = stack.last_mut() else { break };
                let nth = counts
                    .entry(element.local.to_owned())
                    .and_modify(|n| *n = n.saturating_add(1))
                    .or_insert(1);
                let cap = Version::of_namespace(&element.namespace).is_some();
                let path = if cap {
                    path_of(parent, element.local, *nth)
                } else {
                    format!("{parent}/{}", element.local)
                };
                offsets.entry(path.clone()).or_insert(reader.offset());
                stack.push((path, HashMap::new()));
            }
            Token::End => {
                stack.pop();
            }
            Token::Text(_) | Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    offsets
}

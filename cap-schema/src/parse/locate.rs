//! The place of an element by its path: one more pass, only when there is a finding to place.

use std::collections::HashMap;

use super::place::{is_many, step};
use crate::finding::Finding;
use crate::limits::Limits;
use crate::lines::Walk;
use crate::xml::{Piece, Reader};

/// Fills in line and column of findings that have a path and no place. The place of an absent element is that of its
/// nearest ancestor.
pub(crate) fn locate(text: &str, limits: &Limits, findings: &mut [Finding]) {
    if findings.iter().all(|f| f.line > 0 || f.path.is_empty()) {
        return;
    }
    let offsets = offsets(text, limits, findings);
    let mut found: Vec<(usize, &mut Finding)> = Vec::new();
    for finding in findings.iter_mut().filter(|f| f.line == 0) {
        let mut path = finding.path.as_str();
        while !path.is_empty() {
            if let Some(offset) = offsets.get(path).copied().flatten() {
                found.push((offset, finding));
                break;
            }
            path = parent(path);
        }
    }
    found.sort_by_key(|(offset, _)| *offset);
    let mut walk = Walk::default();
    for (offset, finding) in found {
        (finding.line, finding.column) = walk.to(text.as_bytes(), offset);
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Different names among the children of an element that are told apart; a model that is valid has 21.
const NAMES: usize = 40;

/// Where the elements of the paths begin that findings name, and their ancestors.
fn offsets<'f>(text: &str, limits: &Limits, findings: &'f [Finding]) -> HashMap<String, Option<usize>> {
    let mut wanted: HashMap<String, Option<usize>> = HashMap::new();
    for finding in findings.iter().filter(|f| f.line == 0) {
        let mut path: &'f str = &finding.path;
        while !path.is_empty() && !wanted.contains_key(path) {
            wanted.insert(path.to_owned(), None);
            path = parent(path);
        }
    }
    let mut reader = Reader::new(text, limits);
    let mut path = String::new();
    // For each open element: the length of its path, and how often each name stood in it.
    let mut open: Vec<(usize, Vec<(&str, u16)>)> = vec![(0, Vec::new())];
    while let Ok(piece) = reader.pull() {
        match piece {
            Piece::Start => {
                let (_, local) = reader.name();
                let Some((_, counts)) = open.last_mut() else { break };
                let number = match counts.iter_mut().find(|(name, _)| *name == local) {
                    Some((_, count)) => {
                        *count = count.saturating_add(1);
                        *count
                    }
                    None => {
                        if counts.len() < NAMES {
                            counts.push((local, 1));
                        }
                        1
                    }
                };
                path.push_str(&step(local, is_many(local), number));
                open.push((path.len(), Vec::new()));
                if let Some(slot) = wanted.get_mut(&path)
                    && slot.is_none()
                {
                    *slot = Some(reader.offset());
                }
            }
            Piece::End => {
                open.pop();
                path.truncate(open.last().map_or(0, |(length, _)| *length));
            }
            Piece::Over => break,
            Piece::Text(_) | Piece::Comment(_) | Piece::Instruction(..) => {}
        }
    }
    wanted
}

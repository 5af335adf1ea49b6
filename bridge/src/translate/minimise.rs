//! What does not cross the border: contacts, notes, unlisted parameters, embedded files, addresses that a profile does
//! not take. The list is `bridge/data/minimisation.tsv`; a route's purpose lets single fields through.
//!
//! Must not let through what the list keeps whatever the purpose.

use std::borrow::Cow;

use cap_schema::Info;

use super::personal::{self, Kind};
use super::report::{Report, Rule};
use super::{Request, Target, text};

/// Whether something crosses the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// Always.
    Yes,
    /// Where the purpose of the route names it.
    Purpose,
    /// Whatever the route says.
    Never,
}

/// The list.
pub struct Minimisation {
    elements: Vec<(String, Crossing)>,
    /// By the beginning of the name, the longest first.
    parameters: Vec<(String, Crossing)>,
}

/// A row of the list that does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of minimisation.tsv does not read")]
pub struct MinimisationError {
    line: usize,
}

impl Minimisation {
    /// The list that ships with the program.
    ///
    /// # Errors
    /// A row that does not read: a bug that a test catches.
    pub fn builtin() -> Result<Self, MinimisationError> {
        Self::read(include_str!("../../data/minimisation.tsv"))
    }

    pub(super) fn read(text: &str) -> Result<Self, MinimisationError> {
        let (mut elements, mut parameters) = (Vec::new(), Vec::new());
        let lines = text.lines().enumerate().filter(|(_, l)| !l.starts_with('#') && !l.is_empty());
        for (index, line) in lines.skip(1) {
            let error = MinimisationError { line: index + 1 };
            let cells: Vec<&str> = line.split('\t').collect();
            let [what, name, crosses, source] = cells.as_slice() else { return Err(error) };
            let crossing = match *crosses {
                "yes" => Crossing::Yes,
                "purpose" => Crossing::Purpose,
                "never" => Crossing::Never,
                _ => return Err(error),
            };
            let list = match *what {
                "element" => &mut elements,
                "parameter" => &mut parameters,
                _ => return Err(error),
            };
            if source.is_empty() || name.is_empty() || list.iter().any(|(known, _)| known == name) {
                return Err(error);
            }
            list.push(((*name).to_owned(), crossing));
        }
        parameters.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Ok(Minimisation { elements, parameters })
    }

    /// An element, by name.
    pub fn element(&self, name: &str) -> Crossing {
        self.elements.iter().find(|(known, _)| known == name).map_or(Crossing::Yes, |(_, crossing)| *crossing)
    }

    /// A parameter, by valueName.
    pub fn parameter(&self, value_name: &str) -> Crossing {
        // A name that crosses is the whole name, or the beginning up to a colon: nobody's `VTECcontact` is a VTEC.
        let names = |known: &str, crossing: Crossing| {
            value_name.strip_prefix(known).is_some_and(|rest| {
                rest.is_empty()
                    || known.ends_with(':')
                    || rest.starts_with(':')
                    || crossing == Crossing::Never
            })
        };
        let row = self.parameters.iter().find(|(known, crossing)| names(known, *crossing));
        row.map_or(Crossing::Purpose, |(_, crossing)| *crossing)
    }
}

/// Why a route's alerts cross the border, and what that needs besides what always crosses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    name: String,
    elements: Vec<String>,
    parameters: Vec<String>,
    texts: Vec<Kind>,
}

/// What a purpose cannot let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurposeError {
    /// Not an element of the list, and not written as `parameter:NAME` or `text:KIND`.
    #[error("{entry} is neither contact, note, parameter:NAME nor text:KIND")]
    Unknown {
        /// As written.
        entry: String,
    },
    /// The list keeps it whatever the purpose.
    #[error("{entry} never crosses, whatever the purpose")]
    Never {
        /// As written.
        entry: String,
    },
}

impl Purpose {
    /// A purpose that lets the named fields through: `contact`, `note`, `parameter:` with the beginning of a valueName,
    /// `text:` with a kind of personal data.
    ///
    /// # Errors
    /// A field that is not known, or that never crosses.
    pub fn new(name: &str, allows: &[String], list: &Minimisation) -> Result<Self, PurposeError> {
        let mut purpose = Purpose {
            name: name.to_owned(),
            elements: Vec::new(),
            parameters: Vec::new(),
            texts: Vec::new(),
        };
        for entry in allows {
            if let Some(kind) = entry.strip_prefix("text:") {
                let unknown = || PurposeError::Unknown { entry: entry.clone() };
                purpose.texts.push(Kind::by_name(kind).ok_or_else(unknown)?);
                continue;
            }
            let (crossing, into, what) = match entry.strip_prefix("parameter:") {
                Some("") => return Err(PurposeError::Unknown { entry: entry.clone() }),
                Some(parameter) => {
                    // Neither part of a kept name nor a beginning that would take in kept ones.
                    let kept = list.parameters.iter().any(|(known, crossing)| {
                        *crossing == Crossing::Never
                            && (parameter.starts_with(known) || known.starts_with(parameter))
                    });
                    let crossing = if kept { Crossing::Never } else { Crossing::Purpose };
                    (crossing, &mut purpose.parameters, parameter)
                }
                None => {
                    if !list.elements.iter().any(|(known, _)| known == entry) {
                        return Err(PurposeError::Unknown { entry: entry.clone() });
                    }
                    (list.element(entry), &mut purpose.elements, entry.as_str())
                }
            };
            if crossing == Crossing::Never {
                return Err(PurposeError::Never { entry: entry.clone() });
            }
            into.push(what.to_owned());
        }
        Ok(purpose)
    }

    /// Whether personal data of a kind stays in texts.
    pub(super) fn lets_text_through(&self, kind: Kind) -> bool {
        self.texts.contains(&kind)
    }
}

/// What of the note of an exercise crosses: its first line, where the name of the exercise is, and nobody's data.
pub(super) fn exercise_note(note: &str) -> String {
    const NAME_CHARS: usize = 120;
    let first = note.trim().lines().next().unwrap_or("").trim_end();
    text::cut(&personal::nobody(first), NAME_CHARS)
}

/// Whether an element crosses in this message, and by which rule.
pub(super) fn element_crosses(request: &Request<'_>, name: &str) -> bool {
    match request.tables.minimisation.element(name) {
        Crossing::Yes => true,
        Crossing::Never => false,
        Crossing::Purpose => {
            request.settings.purpose.as_ref().is_some_and(|p| p.elements.iter().any(|e| e == name))
        }
    }
}

/// What the report says of a field that a purpose lets through.
pub(super) fn by_purpose(request: &Request<'_>, field: &str, report: &mut Report) {
    let name = request.settings.purpose.as_ref().map_or("", |p| p.name.as_str());
    report.add(Rule::Purpose, field, &format!("purpose {name}"));
}

/// Takes away what does not cross.
pub(super) fn minimise(request: &Request<'_>, info: &mut Info<'static>, at: &str, report: &mut Report) {
    let field = format!("{at}/contact");
    if info.contact.is_some() && element_crosses(request, "contact") {
        by_purpose(request, &field, report);
    } else {
        report.add_if(info.contact.take().is_some(), Rule::Contact, &field, "");
    }
    parameters(request, info, at, report);
    resources(request.target, info, at, report);
    if info.web.as_deref().is_some_and(|w| !is_public_link(w, request.target)) {
        report.add(Rule::Link, &format!("{at}/web"), "");
        info.web = None;
    }
    report.add_if(!info.extensions.is_empty(), Rule::Extension, at, "");
    info.extensions.clear();
}

fn parameters(request: &Request<'_>, info: &mut Info<'static>, at: &str, report: &mut Report) {
    let field = format!("{at}/parameter");
    info.parameter.retain(|p| {
        let name = p.value_name.as_ref();
        match request.tables.minimisation.parameter(name) {
            Crossing::Yes => return true,
            Crossing::Never => {}
            Crossing::Purpose => {
                let purpose = request.settings.purpose.as_ref();
                if let Some(purpose) = purpose.filter(|p| p.parameters.iter().any(|a| name.starts_with(a))) {
                    report.add(Rule::Purpose, &field, &format!("{name}: purpose {}", purpose.name));
                    return true;
                }
            }
        }
        report.add(Rule::Parameter, &field, name);
        false
    });
}

/// The type of a file of which nothing is known.
const ANY_FILE: &str = "application/octet-stream";

/// `type/subtype`, perhaps with parameters (RFC 2045 5.1).
fn is_media_type(text: &str) -> bool {
    let token =
        |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    let name = text.split(';').next().unwrap_or("").trim_end();
    name.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

fn resources(target: Target, info: &mut Info<'static>, at: &str, report: &mut Report) {
    for resource in &mut info.resource {
        if resource.mime_type.as_deref().unwrap_or("").is_empty() {
            // Not there in CAP 1.0 and 1.1 (cap page 1.7).
            resource.mime_type = Some(Cow::Borrowed(ANY_FILE));
        }
        if let Some(odd) = resource.mime_type.take_if(|kind| !is_media_type(kind)) {
            let detail = format!("{} → {ANY_FILE}", odd.trim());
            report.add(Rule::MediaType, &format!("{at}/resource/mimeType"), &detail);
            resource.mime_type = Some(Cow::Borrowed(ANY_FILE));
        }
        let embedded = resource.deref_uri.take().is_some();
        if embedded {
            // size and digest were those of the embedded file.
            resource.digest = None;
        }
        report.add_if(embedded, Rule::EmbeddedFile, &format!("{at}/resource/derefUri"), "");
    }
    info.resource.retain(|r| {
        let linked = r.uri.as_deref().is_some_and(|u| is_public_link(u, target));
        let detail = format!("{} has no address that the destination takes", r.resource_desc);
        report.add_if(!linked, Rule::Link, &format!("{at}/resource"), &detail);
        linked
    });
}

/// An absolute http(s) address; IPAWS takes none with a query (ipaws page 4.1, rule 15).
fn is_public_link(uri: &str, target: Target) -> bool {
    let absolute = uri.starts_with("https://") || uri.starts_with("http://");
    let query = target == Target::Ipaws && uri.contains('?');
    // `https://name:password@host`.
    let authority = uri.split('/').nth(2).unwrap_or("");
    absolute && !authority.contains('@') && !query && uri.len() <= 2_083 && !uri.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_lets_through_what_it_names_and_never_what_must_stay() {
        let list = Minimisation::builtin().unwrap();
        let entry = |text: &str| Purpose::new("mutual aid", &[text.to_owned()], &list);
        for good in ["contact", "note", "parameter:layer:PEASI:1.0:", "parameter:PostToWeb"] {
            assert!(entry(good).is_ok(), "{good}");
        }
        let never = ["addresses", "derefUri", "parameter:layer:SOREM:1.0:Broadcast_Immediately"];
        for kept in never.into_iter().chain(["parameter:layer:", "parameter:EAS", "parameter:WEAHandling"]) {
            assert_eq!(entry(kept), Err(PurposeError::Never { entry: kept.into() }));
        }
        for unknown in ["phone", "parameter:", "Contact"] {
            assert_eq!(entry(unknown), Err(PurposeError::Unknown { entry: unknown.into() }));
        }
    }

    #[test]
    fn the_list_is_read_by_the_longest_beginning_and_refuses_odd_rows() {
        let head = "what\tname\tcrosses\tsource\n";
        let list = Minimisation::read(&format!(
            "{head}parameter\tlayer:X:\tyes\ts\nparameter\tlayer:X:secret\tnever\ts\n"
        ))
        .unwrap();
        for (name, expected) in [
            ("layer:X:wind", Crossing::Yes),
            ("layer:X:secretPlan", Crossing::Never),
            ("layer:Y", Crossing::Purpose),
        ] {
            assert_eq!(list.parameter(name), expected, "{name}");
        }
        for row in [
            "element\ta\tyes\t",
            "element\ta\tmaybe\ts",
            "field\ta\tyes\ts",
            "element\ta\tyes",
            "element\ta\tyes\ts\nelement\ta\tno\ts",
        ] {
            assert!(Minimisation::read(&format!("{head}{row}\n")).is_err(), "{row}");
        }
    }
}

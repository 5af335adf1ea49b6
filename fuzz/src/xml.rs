//! Documents: the reader against another strict one, and what is read against what is written.

use cap_schema::xml::{Reader, Token};
use cap_schema::{Alert, Document, Limits, Profile, Version, parse_owned, validate, write};

/// Reading, checking, writing and reading again.
pub fn parser(data: &[u8]) {
    let limits = Limits::default();
    let Ok(document) = Document::read(data, &limits) else { return };
    one(&document);
    if let Some(seen) = by_us(document.text()) {
        assert_eq!(by_roxmltree(document.text()), Some(seen), "two strict readers read two things");
    }
}

/// Alerts inside other documents.
pub fn split(data: &[u8]) {
    let limits = Limits::default();
    let Ok(found) = cap_schema::split(data, &limits) else { return };
    assert!(!found.is_empty(), "no alert and no refusal");
    let mut last = 0..0;
    for alert in found {
        assert!(alert.range.start <= alert.range.end && alert.range.end <= data.len(), "{:?}", alert.range);
        // Several alerts may be in one file in base64.
        let same_file = alert.range == last && !alert.stands_in_document();
        assert!(same_file || last.end <= alert.range.start, "two alerts overlap at {}", last.end);
        last = alert.range.clone();
        if let Ok(document) = alert.read(data, &limits) {
            one(&document);
        }
    }
}

fn one(document: &Document<'_>) {
    let Ok(parsed) = document.parse() else { return };
    let mut findings = parsed.findings.clone();
    for profile in [Profile::Cap, Profile::CapCp, Profile::Ipaws] {
        findings.extend(validate(&parsed.alert, profile));
    }
    document.locate(&mut findings);
    for finding in &findings {
        assert!(cap_schema::rules::rule(finding.rule).is_some(), "{} is in no registry", finding.rule);
    }
    let written = write(&parsed.alert);
    let again = parse_owned(written.as_bytes(), document.limits()).unwrap();
    assert_eq!(write(&again.alert), written, "what was written is not read as itself");
    if parsed.accepted() && parsed.alert.version == Version::V1_2 {
        assert_eq!(again.alert, parsed.alert, "a model is not read as it was written");
    }
    let json = serde_json::to_string(&parsed.alert).unwrap();
    let back: Alert<'_> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, parsed.alert, "a model is lost in JSON");
}

/// Elements, attributes and texts in order, as our reader sees them.
fn by_us(text: &str) -> Option<Vec<String>> {
    let limits = Limits::default();
    let mut reader = Reader::new(text, &limits);
    let mut seen = Seen::default();
    while let Some(token) = reader.next().ok()? {
        match token {
            Token::Start(element) => {
                let attributes =
                    element.attributes.iter().map(|a| (a.namespace.as_ref(), a.local, a.value.as_ref()));
                seen.start(&element.namespace, element.local, attributes);
            }
            Token::End => seen.end(),
            Token::Text(text) => seen.text.push_str(&text),
            Token::Comment(_) | Token::Instruction(..) => {}
        }
    }
    Some(seen.list)
}

fn by_roxmltree(text: &str) -> Option<Vec<String>> {
    let document = roxmltree::Document::parse(text).ok()?;
    let mut seen = Seen::default();
    let mut open = Vec::new();
    for node in document.root_element().descendants() {
        while open.last().is_some_and(|parent| Some(*parent) != node.parent()) && !open.is_empty() {
            open.pop();
            seen.end();
        }
        if node.is_element() {
            let attributes = node.attributes().map(|a| (a.namespace().unwrap_or(""), a.name(), a.value()));
            seen.start(node.tag_name().namespace().unwrap_or(""), node.tag_name().name(), attributes);
            open.push(node);
        } else if node.is_text() {
            seen.text.push_str(node.text().unwrap_or(""));
        }
    }
    open.iter().for_each(|_| seen.end());
    Some(seen.list)
}

#[derive(Default)]
struct Seen {
    list: Vec<String>,
    text: String,
}

impl Seen {
    fn start<'s>(
        &mut self,
        namespace: &str,
        local: &str,
        attributes: impl Iterator<Item = (&'s str, &'s str, &'s str)>,
    ) {
        self.list.push(std::mem::take(&mut self.text));
        self.list.push(format!("<{{{namespace}}}{local}"));
        let mut attributes: Vec<String> =
            attributes.map(|(uri, name, value)| format!("{{{uri}}}{name}={value}")).collect();
        attributes.sort();
        self.list.extend(attributes);
    }

    fn end(&mut self) {
        self.list.push(std::mem::take(&mut self.text));
        self.list.push(">".into());
    }
}

//! The text of a configuration file: tables, lines, and faults that point at them.
//!
//! Owns the way from TOML to typed tables that reports every fault, not just the first. Must not know what the
//! settings mean.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use capbridge_adapters::settings::{Fault, Faults, Files, Secret};
use serde::de::{DeserializeOwned, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::syntax::Text;

/// What to do about text that is not TOML.
const MEND: &str =
    "a line is key = value, with texts in quotes and lists in brackets; a table begins with [its.name]";

/// How many faults one table may add before the reader gives up on it.
const MAX_FAULTS_PER_TABLE: usize = 50;

/// A fault with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where the fault is about something that is absent from the file.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The full key, such as `source.nb.masas.base_url`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for PlacedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    {}", self.remedy)?;
        }
        Ok(())
    }
}

/// A parsed file that collects faults while its tables are taken out.
pub struct File<'t> {
    name: String,
    text: &'t str,
    root: DeTable<'t>,
    faults: Vec<PlacedFault>,
    spans: Vec<(String, Range<usize>)>,
    /// Keys whose value is a fault already: whatever a check says of what stands in for it is not believed.
    told: BTreeSet<String>,
    /// Keys that were taken out of the text because they do not read, tables among them.
    broken: Vec<String>,
    /// A table was taken out whose name is not known: what seems to be missing may be in it.
    lost_table: bool,
}

impl<'t> File<'t> {
    /// Parses a text that was read (`text` is what it was read from). Syntax errors are faults, all of them.
    pub fn parse(name: &str, text: &'t str, read: &'t Text) -> Self {
        let (root, errors) = DeTable::parse_recoverable(&read.clean);
        let mut file = File {
            name: name.to_owned(),
            text,
            root: DeTable::new(),
            faults: Vec::new(),
            spans: Vec::new(),
            told: read.broken.iter().cloned().collect(),
            broken: read.broken.clone(),
            lost_table: read.lost_table,
        };
        for (span, problem) in &read.faults {
            file.place(Some(span.clone()), "", problem, MEND);
        }
        // What reads alone and not together: keys that are there twice.
        for error in errors {
            file.place(error.span(), "", error.message(), MEND);
        }
        let root = root.into_inner();
        remember_spans("", &root, &mut file.spans);
        file.root = root;
        file
    }

    /// The names of the tables under a top-level key, in file order.
    pub fn names(&self, key: &str) -> Vec<String> {
        let Some(table) = self.root.get(key).and_then(|v| v.get_ref().as_table()) else { return Vec::new() };
        let mut names: Vec<(usize, String)> =
            table.keys().map(|k| (k.span().start, k.get_ref().to_string())).collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// The names of the tables under a top-level key, those too that do not read. `None` where not all are known.
    pub fn declared(&self, key: &str) -> Option<Vec<String>> {
        let mut names = self.names(key);
        let inside = |broken: &String| {
            let mut steps = broken.split('.');
            (steps.next() == Some(key)).then(|| steps.next().map(str::to_owned))?
        };
        names.extend(self.broken.iter().filter_map(inside));
        (!self.lost_table).then_some(names)
    }

    /// The names of the tables inside a table.
    pub fn tables_under(&self, path: &[&str]) -> Vec<String> {
        let found = self.find(path);
        let table = found.as_ref().and_then(|v| v.get_ref().as_table());
        let inner = table.into_iter().flatten().filter(|(_, value)| value.get_ref().is_table());
        inner.map(|(key, _)| key.get_ref().to_string()).collect()
    }

    /// A text as it is written in the file.
    pub fn text_at(&self, path: &[&str]) -> Option<String> {
        self.find(path)?.get_ref().as_str().map(str::to_owned)
    }

    /// Reports top-level keys that are not among `known`.
    pub fn only(&mut self, known: &[&str]) {
        let unknown: Vec<(Range<usize>, String)> = self
            .root
            .keys()
            .filter(|k| !known.contains(&k.get_ref().as_ref()))
            .map(|k| (k.span(), k.get_ref().to_string()))
            .collect();
        for (span, key) in unknown {
            self.place(
                Some(span),
                &key,
                "is not a table of the configuration",
                &format!("the tables are {}", known.join(", ")),
            );
        }
        self.only_tables(known);
    }

    /// Reports known top-level keys that hold something other than a table, such as `[[source]]`, which
    /// [`File::names`] would otherwise pass over, and takes them away.
    fn only_tables(&mut self, known: &[&str]) {
        for key in known {
            let Some((found, value)) = self.root.get_key_value(*key) else { continue };
            if value.get_ref().is_table() {
                continue;
            }
            let (span, found) = (found.span(), found.clone());
            self.root.remove(&found);
            self.place(
                Some(span),
                key,
                "is not a table",
                &format!("write [{key}] or, where there are several, [{key}.name]: one pair of brackets"),
            );
        }
    }

    /// Takes a table such as `relay` or `source.nb`. `None` with faults, or where there is none and no default.
    pub fn table<T: DeserializeOwned>(&mut self, path: &[&str]) -> Option<T> {
        let key = path.join(".");
        let mut value = match self.find(path) {
            Some(value) => value,
            None => {
                let empty = Spanned::new(0..0, DeValue::Table(DeTable::new()));
                return match T::deserialize(empty.into_deserializer()) {
                    Ok(value) => Some(value),
                    Err(error) => {
                        self.place(None, &key, error.message(), "add the table");
                        None
                    }
                };
            }
        };
        for turn in 0..MAX_FAULTS_PER_TABLE {
            let error = match T::deserialize(value.clone().into_deserializer()) {
                Ok(typed) => return Some(typed),
                Err(error) => error,
            };
            let span = error.span();
            let at = span.clone().and_then(|s| self.key_at(&s)).unwrap_or_else(|| key.clone());
            let problem = error.message().lines().next().unwrap_or("");
            let missing = problem.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
            // The faulty entry is taken away, or something put in its place, to look for the next fault.
            let mended = match (missing, span.clone()) {
                (Some(missing), span) => {
                    let at = if at.is_empty() { missing.to_owned() } else { format!("{at}.{missing}") };
                    self.place_key(
                        span.clone(),
                        &at,
                        "is not set",
                        &format!("add {missing} = … to this table"),
                    );
                    self.told.insert(at);
                    put_at(&mut value, span.as_ref(), missing, placeholder(turn))
                }
                (None, Some(span)) if span.start > self.text.len() => another_placeholder(&mut value, &span),
                (None, Some(span)) => {
                    let (problem, remedy) = explained(problem);
                    self.place_key(Some(span.clone()), &at, &problem, &remedy);
                    self.told.insert(at);
                    remove_at(&mut value, &span)
                }
                (None, None) => {
                    let (problem, remedy) = explained(problem);
                    self.place_key(None, &at, &problem, &remedy);
                    false
                }
            };
            if !mended {
                return None;
            }
        }
        None
    }

    /// Adds faults found by an adapter or a validation under a table.
    pub fn add(&mut self, table: &str, faults: Faults) {
        for Fault { key, problem, remedy } in faults.0 {
            let full = if key.is_empty() { table.to_owned() } else { format!("{table}.{key}") };
            self.fault(&full, &problem, &remedy);
        }
    }

    /// Adds a fault at a key, unless one is told of there already, or what it is about may be in a part that does not
    /// read.
    pub fn fault(&mut self, key: &str, problem: &str, remedy: &str) {
        self.fault_near(key, key, problem, remedy);
    }

    /// The same, shown at another place: for a key that is absent.
    pub fn fault_near(&mut self, place: &str, key: &str, problem: &str, remedy: &str) {
        let exact = self.spans.iter().any(|(k, _)| k == key);
        let of_table =
            self.spans.iter().any(|(k, _)| k.strip_prefix(key).is_some_and(|r| r.starts_with('.')));
        let about_absence = !exact || of_table;
        let below = |broken: &String| broken.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        if about_absence && (self.lost_table || self.broken.iter().any(below)) {
            return;
        }
        let span = self.span_of(place);
        self.place_key(span, key, problem, remedy);
    }

    /// The faults so far, in file order.
    pub fn into_faults(mut self) -> Vec<PlacedFault> {
        self.faults.sort_by_key(|f| (f.line, f.column));
        self.faults.dedup();
        self.faults
    }

    /// Whether there are none.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    fn find(&self, path: &[&str]) -> Option<Spanned<DeValue<'t>>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.root.get(*first)?;
        for step in rest {
            value = value.get_ref().as_table()?.get(*step)?;
        }
        Some(value.clone())
    }

    /// The span of the longest known prefix of a key.
    fn span_of(&self, key: &str) -> Option<Range<usize>> {
        let mut key = key;
        loop {
            if let Some((_, span)) = self.spans.iter().find(|(k, _)| k == key) {
                return Some(span.clone());
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    fn key_at(&self, span: &Range<usize>) -> Option<String> {
        self.spans
            .iter()
            .filter(|(_, s)| s.start <= span.start && span.end <= s.end)
            .min_by_key(|(_, s)| s.end - s.start)
            .map(|(k, _)| k.clone())
    }

    /// Where a key or table is: `file capbridge.toml:12`.
    pub fn place_of(&self, key: &str) -> String {
        let line = self.span_of(key).map(|span| line_and_column(self.text, span.start).0);
        match line {
            Some(line) => format!("file {}:{line}", self.name),
            None => format!("file {}", self.name),
        }
    }

    /// Whether a key or table is in the file.
    pub fn has(&self, key: &str) -> bool {
        self.spans.iter().any(|(known, _)| known == key)
    }

    /// Whether a key is told of already, so that nothing follows from what stands in for it.
    pub fn is_told(&self, key: &str) -> bool {
        self.told.contains(key)
    }

    /// Places a fault of a key, once.
    fn place_key(&mut self, span: Option<Range<usize>>, key: &str, problem: &str, remedy: &str) {
        let mut above = key;
        loop {
            if self.told.contains(above) {
                return;
            }
            match above.rsplit_once('.') {
                Some((table, _)) => above = table,
                None => break,
            }
        }
        self.place(span, key, problem, remedy);
    }

    fn place(&mut self, span: Option<Range<usize>>, key: &str, problem: &str, remedy: &str) {
        let (line, column) = match span {
            Some(span) => line_and_column(self.text, span.start),
            None => (0, 0),
        };
        self.faults.push(PlacedFault {
            file: self.name.clone(),
            line,
            column,
            key: key.to_owned(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

/// What the reader of TOML says, in two parts: what is wrong, and what to write.
fn explained(said: &str) -> (String, String) {
    let (problem, expected) = said.split_once(", expected ").unwrap_or((said, ""));
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let remedy = match expected {
        _ if problem.starts_with("unknown field") && !names.is_empty() => {
            format!("the keys here are {}", names.join(", "))
        }
        _ if problem.starts_with("unknown variant") && !names.is_empty() => {
            format!("write one of \"{}\"", names.join("\", \""))
        }
        "a string" | "path string" | "string" => "write a text, in quotes".to_owned(),
        "a boolean" => "write true or false, without quotes".to_owned(),
        "f32" | "f64" => "write a number, without quotes".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "write a whole number from 0, without quotes".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "write a whole number, without quotes".to_owned(),
        "a sequence" => "write a list, such as [\"one\", \"two\"]".to_owned(),
        "a map" => "write it as a table of its own, in brackets".to_owned(),
        table if table.starts_with("struct ") => "write it as a table of its own, in brackets".to_owned(),
        "" => "compare it with the table in config.default.toml".to_owned(),
        other => format!("write {other}"),
    };
    (problem.to_owned(), remedy)
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

fn remember_spans(prefix: &str, table: &DeTable<'_>, spans: &mut Vec<(String, Range<usize>)>) {
    for (key, value) in table {
        let path =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        // The span of a table is its header, which begins before the key.
        let start = key.span().start.min(value.span().start);
        spans.push((path.clone(), start..value.span().end.max(key.span().end)));
        if let Some(inner) = value.get_ref().as_table() {
            remember_spans(&path, inner, spans);
        }
    }
}

/// Removes the entry whose key or value lies at the span, as deep as it is.
fn remove_at(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let DeValue::Table(table) = value.get_mut() else { return false };
    let within = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let exact = table.iter().find(|(k, v)| within(&k.span()) || v.span() == *span).map(|(k, _)| k.clone());
    if let Some(key) = exact {
        return table.remove(&key).is_some();
    }
    for (_, inner) in table.iter_mut() {
        if matches!(inner.get_ref(), DeValue::Table(_)) && remove_at(inner, span) {
            return true;
        }
    }
    let around = table.iter().find(|(_, v)| within(&v.span())).map(|(k, _)| k.clone());
    around.is_some_and(|key| table.remove(&key).is_some())
}

/// Where what stands in for an absent value seems to be: behind every text, each at a place of its own.
fn placeholder(number: usize) -> Range<usize> {
    let at = usize::MAX - 1 - number;
    at..at + 1
}

/// Puts an empty text in the place of an absent value: in the table at the span, or in the outermost.
fn put_at(
    value: &mut Spanned<DeValue<'_>>,
    span: Option<&Range<usize>>,
    key: &str,
    place: Range<usize>,
) -> bool {
    let here = span.is_none_or(|span| value.span() == *span);
    let DeValue::Table(table) = value.get_mut() else { return false };
    if here {
        let empty = Spanned::new(place.clone(), DeValue::String("".into()));
        return table.insert(Spanned::new(place, key.to_owned().into()), empty).is_none();
    }
    table.iter_mut().any(|(_, inner)| put_at(inner, span, key, place.clone()))
}

/// An empty list where the empty text did not do.
fn another_placeholder(value: &mut Spanned<DeValue<'_>>, place: &Range<usize>) -> bool {
    if value.span() == *place {
        let was_text = value.get_ref().is_str();
        *value.get_mut() = DeValue::Array(DeArray::new());
        return was_text;
    }
    let DeValue::Table(table) = value.get_mut() else { return false };
    table.iter_mut().any(|(_, inner)| another_placeholder(inner, place))
}

/// Reads the files that settings name, relative to the folder of the configuration file.
pub struct ConfigFiles {
    /// The folder.
    pub folder: PathBuf,
}

impl Files for ConfigFiles {
    fn text(&self, key: &str, path: &Path) -> Result<String, Fault> {
        let full = self.folder.join(path);
        std::fs::read_to_string(&full).map_err(|error| {
            Fault::new(
                key,
                format!("{} cannot be read: {error}", full.display()),
                "check the path and its rights",
            )
        })
    }

    fn secret(&self, key: &str, path: &Path) -> Result<Secret, Fault> {
        let full = self.folder.join(path);
        refuse_open_rights(key, &full)?;
        let text = self.text(key, path)?;
        let value = text.trim();
        if value.is_empty() {
            return Err(Fault::new(
                key,
                format!("{} is empty", full.display()),
                "write the secret into the file",
            ));
        }
        Ok(Secret::new(value.to_owned()))
    }
}

#[cfg(unix)]
fn refuse_open_rights(key: &str, path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    if metadata.permissions().mode() & 0o007 == 0 {
        return Ok(());
    }
    Err(Fault::new(
        key,
        format!("{} can be read by every user of this machine", path.display()),
        format!("chmod o-rwx {}", path.display()),
    ))
}

#[cfg(not(unix))]
fn refuse_open_rights(_key: &str, _path: &Path) -> Result<(), Fault> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        #[serde(default)]
        port: u16,
        #[serde(default)]
        name: String,
    }

    fn lines(text: &str, check: impl FnOnce(&mut File<'_>)) -> Vec<usize> {
        let read = Text::read(text);
        let mut file = File::parse("c.toml", text, &read);
        check(&mut file);
        file.into_faults().iter().map(|f| f.line).collect()
    }

    #[test]
    fn every_fault_of_a_table_is_reported_with_its_line_and_the_table_is_still_checked() {
        let text = "[relay]\nprot = 1\nport = \"x\"\nnmae = 2\nname = \"n\"\n";
        let lines = lines(text, |file| {
            let table = file.table::<Table>(&["relay"]).unwrap();
            assert_eq!((table.port, table.name.as_str()), (0, "n"));
            file.fault("relay.name", "is too short", "use two letters");
            file.fault("relay.port", "is 0", "what stands in for a fault is not believed");
        });
        assert_eq!(lines, [2, 3, 4, 5]);
    }

    #[test]
    fn what_must_be_set_and_is_not_is_told_of_in_its_table_and_does_not_hide_the_rest() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only its reading is tested")]
        struct Outer {
            inner: Inner,
            list: Vec<String>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only its reading is tested")]
        struct Inner {
            url: String,
            more: Vec<u8>,
            port: Option<u16>,
        }
        let text = "[a.b]\n[a.b.inner]\nurl = 5\nprot = 1\n[c]\n";
        let read = Text::read(text);
        let mut file = File::parse("c.toml", text, &read);
        assert!(file.table::<Outer>(&["a", "b"]).is_some());
        let told: Vec<_> = file.into_faults().into_iter().map(|f| (f.line, f.key)).collect();
        let expected = [(1, "a.b.list"), (2, "a.b.inner.more"), (3, "a.b.inner.url"), (4, "a.b.inner.prot")];
        assert_eq!(told, expected.map(|(line, key)| (line, key.to_owned())));
    }

    #[test]
    fn a_fault_points_at_its_key_or_the_nearest_table() {
        let text = "[source.nb]\nsystem = \"x\"\n[source.nb.masas]\nbase_url = \"y\"\n";
        let read = Text::read(text);
        let mut file = File::parse("c.toml", text, &read);
        file.fault("source.nb.masas.base_url", "is not a URL", "write https://");
        file.fault("source.nb.masas.secret_file", "is not set", "set it");
        let faults = file.into_faults();
        assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [3, 4]);
        assert!(faults[1].to_string().starts_with("c.toml:4:1: source.nb.masas.base_url: is not a URL"));
    }

    #[test]
    fn what_should_be_a_table_and_is_not_is_a_fault_at_its_line() {
        let lines = lines("relay = 1\n[store]\nport = 1\n[[source]]\nport = 2\n", |file| {
            file.only(&["relay", "store", "source"]);
            assert!(file.names("source").is_empty());
        });
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn nothing_is_said_of_what_may_be_in_a_part_that_does_not_read() {
        let text = "[a]\nx = \n[b.c\ny = 1\n[b.d]\nz = 1\nz = 2\n";
        let told = lines(text, |file| {
            file.fault("a.x", "is not set", "set it");
            file.fault("b.c.y", "is not set", "set it");
            file.fault("b.c", "is empty", "fill it");
            file.fault("b", "has no c", "add it");
            file.fault("a.y", "is not set", "this one is true");
            assert_eq!(file.declared("b"), Some(vec!["d".to_owned(), "c".to_owned()]));
        });
        assert_eq!(told, [1, 2, 3, 7]);
        let lost = lines("[\ny = 1\n[b]\nz = 1\n", |file| {
            file.fault("b.y", "is not set", "set it");
            file.fault("b.z", "is 1", "use 2");
            assert_eq!(file.declared("b"), None);
        });
        assert_eq!(lost, [1, 4]);
    }
}

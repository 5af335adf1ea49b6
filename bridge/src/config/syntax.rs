//! The text of a configuration file, made readable: what is not TOML is taken out, each mistake once.
//!
//! A reader of TOML that goes on after a mistake takes what follows it for something else, and tells of faults that are
//! none. So the text is read statement by statement here. One that does not read is a fault at its own line, is blanked
//! (all other places stay what they are), and what is said about its key or below it afterwards is not believed.

use std::ops::Range;

use toml::de::DeTable;

/// How many lines one value may have.
const MAX_VALUE_LINES: usize = 1_000;

/// A text without what does not read.
#[derive(Debug, Default)]
pub struct Text {
    /// The text; what does not read is blank.
    pub clean: String,
    /// What does not read: where, and why.
    pub faults: Vec<(Range<usize>, String)>,
    /// The full keys of what was taken out.
    pub broken: Vec<String>,
    /// A table was taken out whose name could not be read.
    pub lost_table: bool,
}

impl Text {
    /// Reads a text.
    pub fn read(text: &str) -> Text {
        let mut reader = Reader { text, section: String::new(), found: Text::default() };
        let lines = lines(text);
        let (mut at, mut in_broken_table) = (0, false);
        while let Some(line) = lines.get(at) {
            let content = reader.slice(line).trim();
            let end = if content.is_empty() || content.starts_with('#') {
                reader.keep(line.clone());
                at + 1
            } else if content.starts_with('[') {
                in_broken_table = !reader.header(line);
                at + 1
            } else if in_broken_table {
                reader.blank(line.clone());
                at + 1
            } else {
                reader.statement(&lines, at)
            };
            at = end.max(at + 1);
        }
        reader.found
    }
}

/// The lines with their ends, as ranges.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|line| {
            let range = start..start + line.len();
            start = range.end;
            range
        })
        .collect()
}

struct Reader<'t> {
    text: &'t str,
    section: String,
    found: Text,
}

impl Reader<'_> {
    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or("")
    }

    fn keep(&mut self, range: Range<usize>) {
        let text = self.text.get(range).unwrap_or("");
        self.found.clean.push_str(text);
    }

    /// Blank bytes for bytes, so that every place after them stays where it is.
    fn blank(&mut self, range: Range<usize>) {
        let text = self.text.get(range).unwrap_or("");
        let blanks = text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' });
        self.found.clean.extend(blanks);
    }

    /// A line that begins a table. `false` if it does not read.
    fn header(&mut self, line: &Range<usize>) -> bool {
        let (table, errors) = DeTable::parse_recoverable(self.slice(line));
        if errors.is_empty() {
            self.section = path(table.get_ref());
            self.keep(line.clone());
            return true;
        }
        self.fault(line.clone());
        let words = self.slice(line).split('#').next().unwrap_or("");
        let name: String = words.chars().filter(|c| !"[] \t\r\n\"'".contains(*c)).collect();
        if name.is_empty() {
            self.found.lost_table = true;
        }
        self.found.broken.push(name);
        self.blank(line.clone());
        false
    }

    /// A key and its value, on one line or several. The number of the line after it.
    fn statement(&mut self, lines: &[Range<usize>], first: usize) -> usize {
        let Some(begin) = lines.get(first).map(|l| l.start) else { return first + 1 };
        for (next, line) in lines.iter().enumerate().skip(first).take(MAX_VALUE_LINES) {
            if DeTable::parse(self.slice(&(begin..line.end))).is_ok() {
                self.keep(begin..line.end);
                return next + 1;
            }
        }
        // It never reads. What belongs to it ends where something else begins.
        let rest = lines.iter().enumerate().skip(first + 1);
        let next = rest.into_iter().find(|(_, line)| begins(self.slice(line))).map(|(at, _)| at);
        let next = next.unwrap_or(lines.len());
        let end = next.checked_sub(1).and_then(|last| lines.get(last)).map_or(begin, |l| l.end);
        self.fault(begin..end);
        let key = self.slice(&(begin..end)).split('=').next().unwrap_or("").trim();
        let key: String = key.chars().filter(|c| !"\"' \t\n".contains(*c)).collect();
        let full = if self.section.is_empty() { key } else { format!("{}.{key}", self.section) };
        self.found.broken.push(full);
        self.blank(begin..end);
        next
    }

    /// Tells of the first thing in a piece of text that does not read.
    fn fault(&mut self, range: Range<usize>) {
        let (_, errors) = DeTable::parse_recoverable(self.slice(&range));
        let first = errors.into_iter().min_by_key(|e| e.span().map_or(0, |s| s.start));
        let Some(error) = first else { return };
        let at = error.span().map_or(0, |span| span.start);
        // An error at the end of a line is one of that line, not of the next.
        let piece = self.slice(&range).trim_end().len();
        let at = range.start + at.min(piece);
        self.found.faults.push((at..at, error.message().to_owned()));
    }
}

/// Whether a line begins a table or a statement.
fn begins(line: &str) -> bool {
    let line = line.trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-.\"' ".contains(c);
    let header = line.strip_prefix('[').unwrap_or("").split('#').next().unwrap_or("");
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-. []".contains(c);
    header.contains(|c: char| c.is_ascii_alphabetic()) && header.trim_end().chars().all(plain)
        || line.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty() && key.chars().all(bare))
}

/// The path of a text that is one header.
fn path(table: &DeTable<'_>) -> String {
    let mut names = Vec::new();
    let mut inner = Some(table);
    while let Some(table) = inner {
        let Some((key, value)) = table.iter().next() else { break };
        names.push(key.get_ref().to_string());
        inner = value.get_ref().as_table();
    }
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of the faults, and the keys that were taken out.
    fn read(text: &str) -> (Vec<usize>, Vec<String>) {
        let read = Text::read(text);
        assert_eq!(read.clean.len(), text.len(), "{text}");
        assert!(DeTable::parse(&read.clean).is_ok(), "{text}\n{}", read.clean);
        let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        (read.faults.iter().map(|(span, _)| line(span.start)).collect(), read.broken)
    }

    #[test]
    fn each_mistake_is_told_once_at_its_own_line_and_takes_nothing_else_with_it() {
        let cases: [(&str, &[usize], &[&str]); 10] = [
            ("[a]\nx = 1\n# [b\n\ny = [\n  1, # one\n  2,\n]\nz = '''\n[q]\nw = \n'''\n", &[], &[]),
            ("[a]\nx = \"one\ny = 1\n", &[2], &["a.x"]),
            ("[a]\nx = \ny = \n[b]\nz = 1 2\n", &[2, 3, 5], &["a.x", "a.y", "b.z"]),
            ("[r.z]\nfrom = [\"a\"\nclass = \"live\"\n[admin]\nlisten = \"x\"\n", &[2], &["r.z.from"]),
            ("[r]\nfrom = [\n  \"a\",\n  \"b\"\nclass = \"live\"\n", &[4], &["r.from"]),
            ("[source.q\nmode = \"live\"\n[b]\ny = 2\n", &[1], &["source.q"]),
            ("[a]\nx = \"\"\"oops\n[b]\ny = 2\n", &[2], &["a.x"]),
            ("just words\n[b]\ny = 2\n", &[1], &["justwords"]),
            ("[a]\nx = é\ny = \"é\"\n", &[2], &["a.x"]),
            ("[a]\r\nx = \r\ny = 1\r\n", &[2], &["a.x"]),
        ];
        for (text, lines, keys) in cases {
            let keys: Vec<String> = keys.iter().map(|k| (*k).to_owned()).collect();
            assert_eq!(read(text), (lines.to_vec(), keys), "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_lose_its_place() {
        let text = "[source.a]\nmode = \"live\" # x\nfrom = [\n \"a\", 'b' ]\n[source.a.ipaws]\nurl = \"\"\"é\n\"\"\"\n";
        let mut dice = fastrand::Rng::with_seed(11);
        for _ in 0..3_000 {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..dice.usize(1..5) {
                let at = dice.usize(..chars.len());
                match dice.u8(0..3) {
                    0 => chars[at] = ['[', ']', '"', '\'', '=', '\n', '#', 'é'][dice.usize(..8)],
                    1 => drop(chars.remove(at)),
                    _ => chars.insert(at, ['[', ']', '"', '=', '\n', ' '][dice.usize(..6)]),
                }
            }
            let text: String = chars.into_iter().collect();
            assert_eq!(Text::read(&text).clean.len(), text.len(), "{text}");
        }
    }
}

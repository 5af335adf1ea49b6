//! Lines of a document, as XML has them: they end with a line feed, a carriage return, or both (XML 1.0 section 2.11).
//!
//! Owns what line and column of a place are. Editors and other parsers count in the same way.

/// The lines of some bytes, without their ends; the last one is what follows the last end.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let all = rest?;
        let Some(at) = memchr::memchr2(b'\n', b'\r', all) else {
            rest = None;
            return Some(all);
        };
        let (line, end) = all.split_at_checked(at)?;
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..));
        Some(line)
    })
}

/// How many lines end in some bytes, and what stands behind the last end.
pub(crate) fn ended(bytes: &[u8]) -> (usize, &[u8]) {
    // Returns are rare, and looking for one is quick.
    if memchr::memchr(b'\r', bytes).is_none() {
        let count = memchr::memchr_iter(b'\n', bytes).count();
        let last = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        return (count, bytes.get(last..).unwrap_or(&[]));
    }
    let (mut count, mut last) = (0, bytes);
    for line in lines(bytes) {
        (count, last) = (count + 1, line);
    }
    (count - 1, last)
}

/// Characters of some bytes of UTF-8: every byte but those that go on with one.
pub(crate) fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| (**b & 0xc0) != 0x80).count()
}

/// Lines and columns of growing offsets; lines are counted from 1, columns in characters from 1.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    at: usize,
    line: u32,
    column: u32,
}

impl Default for Walk {
    fn default() -> Self {
        Walk { at: 0, line: 1, column: 1 }
    }
}

impl Walk {
    /// Line and column of an offset that is not before the last one.
    pub fn to(&mut self, bytes: &[u8], offset: usize) -> (u32, u32) {
        let offset = offset.min(bytes.len());
        let (lines, last) = ended(bytes.get(self.at..offset).unwrap_or(&[]));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.column = if lines > 0 { 1 } else { self.column }.saturating_add(count(characters(last)));
        self.line = self.line.saturating_add(count(lines));
        self.at = self.at.max(offset);
        (self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_xml_has_it() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a\nb\n", &["a", "b", ""]),
            ("a\rb\r\nc\n\rd", &["a", "b", "c", "", "d"]),
        ] {
            let found: Vec<&[u8]> = lines(text.as_bytes()).collect();
            assert_eq!(found, expected.iter().map(|l| l.as_bytes()).collect::<Vec<_>>(), "{text:?}");
            assert_eq!(ended(text.as_bytes()), (expected.len() - 1, *found.last().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn a_walk_counts_lines_and_characters() {
        let text = "é\rb\r\nçd".as_bytes();
        let mut walk = Walk::default();
        let places: Vec<(u32, u32)> = [0, 2, 3, 6, 8].map(|at| walk.to(text, at)).to_vec();
        assert_eq!(places, [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2)]);
    }
}

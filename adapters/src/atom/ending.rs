//! Makes an entry expire, all else byte for byte as it was: authors own the rest of it.

use cap_schema::xml::{Reader, Token};
use cap_schema::{Document, Limits};
use jiff::Timestamp;
use jiff::fmt::strtime;

use super::ATOM;
use super::entry::AGE;

/// The entry with `age:expires` set to a time. `None` if the document is not one entry in UTF-8.
pub fn expiring(entry: &[u8], at: Timestamp) -> Option<Vec<u8>> {
    let limits = Limits { document_bytes: entry.len(), ..Limits::default() };
    let document = Document::read(entry, &limits).ok()?;
    let text = document.text();
    let shift = entry.len().checked_sub(text.len()).filter(|s| entry.get(*s..) == Some(text.as_bytes()))?;
    let mut reader = Reader::new(text, &limits);
    let (mut start, mut old) = (None, None);
    let mut end = 0;
    while let Some(token) = reader.next().ok()? {
        match (token, reader.depth()) {
            (Token::Start(element), 1) if !element.is(ATOM, "entry") => return None,
            (Token::Start(element), 2) if element.is(AGE, "expires") => start = Some(reader.offset()),
            (Token::End, 1) => old = start.take().map(|from| from..reader.end_offset()).or(old),
            (Token::End, 0) => end = reader.offset(),
            (_, _) => {}
        }
    }
    let place = old.unwrap_or(end..end);
    let is_inside = text.get(place.end..)?.starts_with("</") || !place.is_empty();
    let at = strtime::format("%Y-%m-%dT%H:%M:%SZ", at).ok().filter(|_| is_inside)?;
    let mut out = entry.get(..place.start + shift)?.to_vec();
    // Clients of hubs declare the namespace on the element.
    out.extend_from_slice(format!("<expires xmlns=\"{AGE}\">{at}</expires>").as_bytes());
    out.extend_from_slice(entry.get(place.end + shift..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expiry_of_an_entry_is_changed() {
        let new = "<expires xmlns=\"http://purl.org/atompub/age/1.0\">2026-03-01T18:00:00Z</expires>";
        let root = "<?xml version='1.0'?><e:entry xmlns:e='http://www.w3.org/2005/Atom' xmlns:a='http://purl.org/atompub/age/1.0'>";
        let cases = [
            (
                "<e:id>1</e:id><a:expires>x</a:expires><!-- é --><b/></e:entry>",
                Some(("<e:id>1</e:id>", "<!-- é --><b/></e:entry>")),
            ),
            ("<b/><a:expires/></e:entry>", Some(("<b/>", "</e:entry>"))),
            (
                "<b><a:expires>y</a:expires></b></e:entry>\n",
                Some(("<b><a:expires>y</a:expires></b>", "</e:entry>\n")),
            ),
            ("<b></e:entry>", None),
        ];
        let at = "2026-03-01T18:00:00.7Z".parse().unwrap();
        for (inside, expected) in cases {
            let made = expiring(format!("{root}{inside}").as_bytes(), at);
            let expected = expected.map(|(before, after)| format!("{root}{before}{new}{after}").into_bytes());
            assert_eq!(made, expected, "{inside}");
        }
        for other in [
            "<entry/>",
            "<entry xmlns='http://www.w3.org/2005/Atom'/>",
            "<feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>",
        ] {
            assert_eq!(expiring(other.as_bytes(), at), None, "{other}");
        }
    }
}

//! Alerts that stand as text in Atom and RSS: escaped, or in a CDATA section.
//!
//! Owns telling them from other texts. They are never read as alerts: such a text is what a feed shows to people, and may
//! quote anybody. They are refused one by one, so that none is passed over in silence.

use crate::xml::is_ncname;

/// Bytes of a text that are looked at.
const BEGINNING: usize = 2_048;

/// The text that is being read.
#[derive(Default)]
pub(super) struct Escaped {
    /// How deep its element stands, and where that begins.
    open: Option<(usize, usize)>,
    text: String,
}

impl Escaped {
    /// Whether an element holds a text that feeds put content into.
    pub(super) fn may_begin(namespace: &str, local: &str) -> bool {
        match namespace {
            "http://www.w3.org/2005/Atom" => matches!(local, "content" | "summary"),
            "" => local == "description",
            "http://purl.org/rss/1.0/modules/content/" => local == "encoded",
            _ => false,
        }
    }

    pub(super) fn begin(depth: usize, start: usize) -> Self {
        Escaped { open: Some((depth, start)), text: String::new() }
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.open.is_some() && self.text.len() < BEGINNING {
            self.text.push_str(text);
        }
    }

    /// An element ends at this depth: where it begins, if its text is an alert.
    pub(super) fn end(&mut self, depth: usize) -> Option<usize> {
        let (_, start) = self.open.take_if(|(at, _)| *at == depth)?;
        is_alert(&std::mem::take(&mut self.text)).then_some(start)
    }
}

/// Whether the first element of a text is `alert`, with any prefix.
fn is_alert(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        let end = match rest {
            r if r.starts_with("<?") => "?>",
            r if r.starts_with("<!--") => "-->",
            _ => break,
        };
        let Some((_, after)) = rest.split_once(end) else { return false };
        rest = after.trim_start();
    }
    let name = rest.strip_prefix('<').and_then(|r| r.split(['>', '/', ' ', '\t', '\r', '\n']).next());
    let (prefix, local) = name.map_or(("", ""), |n| n.split_once(':').unwrap_or(("", n)));
    local == "alert" && (prefix.is_empty() || is_ncname(prefix))
}

//! Cutting where the container is broken: at the tags as they stand.
//!
//! Owns what is passed over: comments, CDATA sections and processing instructions hold no alert. Must not cut where the
//! root is no container, or where there is a DTD.

use std::ops::Range;

use crate::xml::is_ncname;

/// The alerts of a broken container; none where the root is no container or a DTD stands somewhere.
pub(super) fn by_hand(bytes: &[u8], is_container: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begun: Option<usize> = None;
    let mut at = 0;
    let mut root_seen = false;
    while let Some(start) = next(bytes, at, b"<") {
        let rest = bytes.get(start..).unwrap_or(&[]);
        let passed = [(&b"<!--"[..], &b"-->"[..]), (b"<![CDATA[", b"]]>"), (b"<?", b"?>")]
            .into_iter()
            .find(|(open, _)| rest.starts_with(open));
        if let Some((open, close)) = passed {
            // What never ends hides the rest, as it does from a reader.
            let Some(end) = next(bytes, start + open.len(), close) else { break };
            at = end + close.len();
            continue;
        }
        if rest.starts_with(b"<!") {
            return Vec::new();
        }
        let closing = rest.starts_with(b"</");
        at = start + 1 + usize::from(closing);
        let Some(local) = local_name(bytes, at) else { continue };
        if !root_seen {
            if closing || !is_container(local) {
                return Vec::new();
            }
            root_seen = true;
        }
        if local != "alert" {
            continue;
        }
        // A second start before the end means that the first alert never ended.
        if let Some(first) = begun.take() {
            let stop = if closing { next(bytes, at, b">").map_or(bytes.len(), |end| end + 1) } else { start };
            found.push(first..stop);
            at = stop.max(at);
        }
        if !closing {
            begun = Some(start);
        }
    }
    found.extend(begun.map(|start| start..bytes.len()));
    found
}

fn next(bytes: &[u8], from: usize, mark: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, mark).map(|step| from + step)
}

/// The local part of the name that stands here.
fn local_name(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'>' | b'/' | b'<');
    let name = std::str::from_utf8(rest.get(..rest.iter().position(ends).unwrap_or(rest.len()))?).ok()?;
    let local = name.rsplit(':').next()?;
    is_ncname(local).then_some(local)
}

//! Cutting where the container is broken: at the tags as they stand.
//!
//! Owns what is passed over: comments, CDATA sections and processing instructions hold no alert; and which files in base64
//! are looked at: those of EDXL-DE. Must not cut where the root is no container, or where there is a DTD.

use std::ops::Range;

use super::embedded::File;
use crate::xml::is_ncname;

/// Something cut out of a broken container.
pub(super) enum Cut {
    /// An alert as it stands.
    Alert(Range<usize>),
    /// A file in base64.
    File(File),
}

/// The alerts and files of a broken container, in its order; none where the root is no container or a DTD stands
/// somewhere. `limit_bytes` bounds what is decoded.
pub(super) fn by_hand(bytes: &[u8], limit_bytes: usize, is_container: impl Fn(&str) -> bool) -> Vec<Cut> {
    let mut found = Vec::new();
    let mut media_type = "";
    let mut begun: Option<usize> = None;
    let mut at = 0;
    let (mut root_seen, mut distributes) = (false, false);
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
            distributes = local.eq_ignore_ascii_case("EDXLDistribution");
        }
        if distributes && local == "mimeType" && !closing {
            media_type = content(bytes, at).1;
        } else if distributes && local == "contentData" && !closing {
            // No alert holds such a file, so one that is open never ended.
            found.extend(begun.take().map(|first| Cut::Alert(first..start)));
            let (end, text) = content(bytes, at);
            let file = file(bytes, start..end, text, std::mem::take(&mut media_type), limit_bytes);
            found.extend(file.map(Cut::File));
            at = end;
        }
        if local != "alert" {
            continue;
        }
        // A second start before the end means that the first alert never ended.
        if let Some(first) = begun.take() {
            let stop = if closing { next(bytes, at, b">").map_or(bytes.len(), |end| end + 1) } else { start };
            found.push(Cut::Alert(first..stop));
            at = stop.max(at);
        }
        if !closing {
            begun = Some(start);
        }
    }
    found.extend(begun.map(|start| Cut::Alert(start..bytes.len())));
    found
}

/// The file in an element that is open at the end of `range`, behind its text.
fn file(bytes: &[u8], range: Range<usize>, text: &str, media_type: &str, limit_bytes: usize) -> Option<File> {
    let ends = bytes.get(range.end..).is_none_or(|rest| rest.is_empty() || rest.starts_with(b"</"));
    if text.trim().is_empty() && !ends {
        // Elements are no base64.
        return None;
    }
    if !ends {
        return Some(File::unreadable(range, "more than text stands in it"));
    }
    let packed: String = text.split_ascii_whitespace().collect();
    File::new(range, media_type, &packed, limit_bytes)
}

/// Where the text behind a tag ends, whose name begins at `name`, and the text; none behind a tag that is broken.
fn content(bytes: &[u8], name: usize) -> (usize, &str) {
    let rest = bytes.get(name..).unwrap_or(&[]);
    let Some(tag) = memchr::memchr2(b'<', b'>', rest) else { return (bytes.len(), "") };
    let from = name + tag;
    if bytes.get(from) == Some(&b'<') {
        return (from, "");
    }
    let to = next(bytes, from, b"<").unwrap_or(bytes.len());
    (to, bytes.get(from + 1..to).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or(""))
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

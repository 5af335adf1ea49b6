//! `multipart/related` as the mobile client sends it: the entry first, then its attachments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

/// A part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Media type without parameters, lower case.
    pub media_type: String,
    /// `Content-Description`, else the file name. INFERRED: what the hub takes as the title.
    pub title: String,
    /// The content, decoded.
    pub content: Bytes,
}

/// Splits a body.
///
/// # Errors
/// A sentence for the person who posted it.
pub fn split(content_type: &str, body: &[u8]) -> Result<Vec<Part>, &'static str> {
    let boundary = parameter(content_type, "boundary").ok_or("The multipart type names no boundary")?;
    let delimiter = format!("--{boundary}");
    let mut rest =
        after(body, delimiter.as_bytes()).ok_or("The multipart body does not begin with its boundary")?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let start = rest.strip_prefix(b"\r\n").ok_or("A boundary is not followed by a line end")?;
        let end_mark = format!("\r\n{delimiter}");
        let end =
            find(start, end_mark.as_bytes()).ok_or("The multipart body does not end with its boundary")?;
        let (part, following) = start.split_at(end);
        parts.push(read(part)?);
        rest = following.get(end_mark.len()..).unwrap_or_default();
    }
}

fn read(part: &[u8]) -> Result<Part, &'static str> {
    let end = find(part, b"\r\n\r\n").ok_or("A part has no head")?;
    let (head, body) = part.split_at(end);
    let head = std::str::from_utf8(head).map_err(|_| "A part's head is not UTF-8")?;
    let body = body.get(4..).unwrap_or_default();
    let field = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let media_type = field("Content-Type").unwrap_or("application/octet-stream");
    let file_name = field("Content-Disposition").and_then(|value| parameter(value, "filename"));
    let title = field("Content-Description").map(str::to_owned).or(file_name).unwrap_or_default();
    let content = match field("Content-Transfer-Encoding").map(str::to_ascii_lowercase).as_deref() {
        Some("base64") => {
            let compact: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            Bytes::from(BASE64.decode(compact).map_err(|_| "A part is not the base64 that it says")?)
        }
        _ => Bytes::copy_from_slice(body),
    };
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Ok(Part { media_type, title, content })
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn after<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    bytes.get(find(bytes, wanted)? + wanted.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/related; boundary=0.a.unique.value.0";

    #[test]
    fn the_mobile_clients_layout_gives_the_entry_and_the_decoded_photo() {
        let body = "--0.a.unique.value.0\r\nContent-Disposition: attachment; name=\"entry\"; filename=\"entry.xml\"\r\n\
            Content-Type: application/atom+xml\r\n\r\n<entry/>\r\n--0.a.unique.value.0\r\nContent-Disposition: \
            attachment; name=\"attachment\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\
            Content-Transfer-Encoding: base64\r\n\r\n/9j/\r\n4AAQ\r\n--0.a.unique.value.0--\r\n";
        let parts = split(TYPE, body.as_bytes()).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(&parts[0].content[..], b"<entry/>");
        assert_eq!((parts[1].title.as_str(), parts[1].content.len()), ("photo.jpg", 6));
    }

    #[test]
    fn a_torn_multipart_body_is_refused() {
        for body in ["", "--0.a.unique.value.0", "--0.a.unique.value.0\r\nContent-Type: a/b\r\n\r\nx"] {
            assert!(split(TYPE, body.as_bytes()).is_err(), "{body}");
        }
        assert!(split("multipart/related", b"--x--").is_err());
    }
}

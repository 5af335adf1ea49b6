//! URLs and foreign text as they may be shown: without secrets, on one line.

use std::fmt;

use url::Url;

use crate::settings::Fault;

/// A URL without user, password and the values of parameters that hold secrets. For logs, errors and receipts.
pub struct Shown<'a>(pub &'a Url);

/// Parameters whose value is a secret, found anywhere in the lower-cased name. MASAS: `secret`, `query_secret`;
/// IPAWS: `pin`.
const SECRET_NAMES: [&str; 9] =
    ["secret", "pin", "token", "key", "pass", "sig", "auth", "credential", "code"];

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Setting fails only for URLs that cannot have a user, and those have nothing to hide here.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let Some(query) = url.query() else { return f.write_str(url.as_str()) };
        let shown: Vec<String> = query.split('&').map(shown_pair).collect();
        url.set_query(Some(&shown.join("&")));
        f.write_str(url.as_str())
    }
}

fn shown_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        Some(_) | None => pair.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

/// Foreign bytes for people: lossy UTF-8, white space folded, control and direction characters escaped, cut.
pub fn shown_text(bytes: &[u8], max_chars: usize) -> String {
    let head: Vec<u8> = bytes.iter().copied().take(max_chars.saturating_mul(4)).collect();
    let text = String::from_utf8_lossy(&head);
    let mut out = String::new();
    for (n, c) in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if n == max_chars {
            out.push('…');
            break;
        }
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Reads a URL of the settings.
///
/// # Errors
/// A fault at `key`.
pub fn http_url(key: &str, text: &str) -> Result<Url, Fault> {
    let fault = |problem: &str| {
        Fault::new(key, format!("is not a usable URL: {problem}"), "write it as https://host/path")
    };
    let url = Url::parse(text).map_err(|_| fault("it is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("it is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fault("it has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new(key, "carries a user or a password", "put secrets into their own file"));
    }
    if url.fragment().is_some() {
        return Err(fault("it has a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_show_in_urls() {
        let cases = [
            ("https://h/feed?secret=abc&bbox=1,2", "https://h/feed?secret=***&bbox=1,2"),
            ("https://h/x?query_secret=abc", "https://h/x?query_secret=***"),
            ("https://h/x?PIN=1234", "https://h/x?PIN=***"),
            ("https://user:pw@h/x#frag", "https://h/x"),
            ("https://h/x?dtsince=2026-01-01T00:00:00Z", "https://h/x?dtsince=2026-01-01T00:00:00Z"),
        ];
        for (url, expected) in cases {
            assert_eq!(Shown(&Url::parse(url).unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn foreign_text_stays_on_one_line() {
        assert_eq!(shown_text(b"a\r\nb\x1b[31m", 20), "a b\\u{1b}[31m");
        assert_eq!(shown_text("x\u{202e}y".as_bytes(), 20), "x\\u{202e}y");
        assert_eq!(shown_text(b"abcdef", 3), "abc…");
        assert_eq!(shown_text(b"\xff", 3), "\u{fffd}");
    }

    #[test]
    fn urls_of_settings_hold_no_secret_and_have_a_host() {
        assert!(http_url("k", "https://h/x").is_ok());
        for bad in ["x", "ftp://h", "https://u:p@h/", "https://h/#f", "/x"] {
            assert_eq!(http_url("k", bad).map_err(|f| f.key), Err("k".to_owned()), "{bad}");
        }
    }
}

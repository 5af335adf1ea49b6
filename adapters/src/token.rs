//! What is kept of a bearer token: its SHA-256, and never the token.
//!
//! Owns the one way to make it and to compare. Tokens are random and long, so a plain hash cannot be turned back; the
//! comparison takes as long for a near miss as for any other.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of a token as its holder presents it.
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        TokenDigest(bytes)
    }

    /// From 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(TokenDigest(bytes))
    }

    /// Whether it is the same, in constant time.
    pub fn is(&self, other: &TokenDigest) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        use std::fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_and_tells_tokens_apart() {
        // FIPS 180-2 appendix B.1.
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let of_abc = TokenDigest::of("abc");
        assert_eq!(of_abc.hex(), hex);
        assert_eq!(TokenDigest::from_hex(hex), Some(of_abc));
        for odd in ["", "ba", &"g".repeat(64), &format!("{hex}0"), &"é".repeat(32)] {
            assert_eq!(TokenDigest::from_hex(odd), None, "{odd}");
        }
        assert!(of_abc.is(&TokenDigest::of("abc")) && !of_abc.is(&TokenDigest::of("abd")));
        assert_eq!(format!("{of_abc:?}"), "***");
    }
}

//! Canonical XML (1.0 and exclusive), with and without comments.

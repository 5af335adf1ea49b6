//! The tests of the running program are in `it/`.

//! Translation between national forms of CAP: pure functions of the message, the tables and the boundaries.

pub mod geography;

//! National profiles of CAP.

pub(crate) mod cap_cp;
mod channels;
pub(crate) mod ipaws;

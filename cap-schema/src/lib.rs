//! CAP 1.0, 1.1 and 1.2 as types.

mod code;

pub use code::{Category, Certainty, Code, CodeList, MsgType, ResponseType, Scope, Severity, Status, Urgency};

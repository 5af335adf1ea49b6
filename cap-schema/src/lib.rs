//! CAP 1.0, 1.1 and 1.2 as types: one strict reader, a writer, rules, profiles and XML signatures.
//!
//! No I/O, no clock, no async. What is read borrows from the bytes it was read from.

mod alert;
mod area;
mod code;
mod finding;
mod geometry;
mod info;
mod limits;
mod reference;
mod resource;
mod time;

pub use alert::{Alert, Version};
pub use area::Area;
pub use code::{
    Category, Certainty, Code, CodeList, MsgType, ResponseType, Scope, Severity, Status, Urgency,
};
pub use finding::{Finding, Level, Rejection};
pub use geometry::{Circle, GeometryError, Point, Polygon};
pub use info::{Info, NamedValue};
pub use limits::Limits;
pub use reference::{Reference, read_list as read_references};
pub use resource::Resource;
pub use time::{Instant, Time, TimeForm};

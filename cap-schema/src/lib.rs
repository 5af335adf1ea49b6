//! CAP 1.0, 1.1 and 1.2 as types: one strict reader, a writer, rules, profiles and XML signatures.
//!
//! Owns what a CAP document is. No I/O, no clock, no async; what is read borrows from the text it was read from.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod alert;
mod area;
pub mod build;
mod code;
mod document;
mod finding;
mod geometry;
mod info;
mod limits;
mod lines;
mod parse;
mod profile;
mod reference;
mod resource;
pub mod rules;
pub mod signature;
mod split;
pub mod tables;
mod time;
mod validate;
mod write;
pub mod xml;

pub use alert::{Alert, Version};
pub use area::Area;
pub use code::{
    Category, Certainty, Code, CodeList, MsgType, ResponseType, Scope, Severity, Status, Urgency,
};
pub use document::{Document, parse_owned};
pub use finding::{Finding, Level, Rejection};
pub use geometry::{Circle, GeometryError, Point, Polygon};
pub use info::{Info, NamedValue};
pub use limits::Limits;
pub use lines::{Walk, lines};
pub use parse::Parsed;
pub use reference::Reference;
pub use resource::Resource;
pub use split::{Found, split};
pub use time::{Instant, Time, TimeForm};
pub use validate::{Profile, profiles_of, validate};
pub use write::{CAP_1_2, write};

/// The JSON schema of what serde writes of an [`Alert`].
pub const JSON_SCHEMA: &str = include_str!("../data/alert.schema.json");

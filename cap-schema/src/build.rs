//! Making alerts: types that cannot hold a wrong value, and builders that ask for what is required.
//!
//! Owns the way from values to a model that breaks no rule of CAP: what [`AlertBuilder::build`] gives is read by the strict
//! reader, is valid against the schema of CAP 1.2 and has no finding of level error from `Profile::Cap`. Profiles are
//! checked with [`validate`](crate::validate) as for any other alert. Must not fill in a value that nobody gave.

mod alert;
mod area;
mod info;
mod message;
mod resource;
mod shape;
mod text;
mod time;

pub use alert::AlertBuilder;
pub use area::AreaBuilder;
pub use info::{InfoBuilder, Triple};
pub use message::{Addresses, Distribution, Identity, Message, References};
pub use resource::{EmbeddedFile, File, ResourceBuilder};
pub use shape::{Disc, Ring};
pub use text::{AbsoluteUri, CodeText, FileName, Language, MediaType, Name, Pair, Text};
pub use time::Moment;

use crate::geometry::GeometryError;

/// Why a value is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is nothing but white space.
    #[error("the text is empty or white space")]
    Blank,
    /// A character that XML 1.0 does not have.
    #[error("byte {at} begins a character that XML does not allow")]
    Character {
        /// Offset in bytes, from 0.
        at: usize,
    },
    /// More than a reader takes.
    #[error("{have} {what}; at most {limit}")]
    TooMany {
        /// Of what: characters, infos, points.
        what: &'static str,
        /// How many there are.
        have: usize,
        /// How many there may be (`Limits::default`).
        limit: usize,
    },
    /// An identifier or sender with a character that CAP forbids there (CAP 1.2 section 3.2.1).
    #[error("white space, comma, < or & in a name")]
    Name,
    /// Not an RFC 3066 tag.
    #[error("not a language tag")]
    Language,
    /// Not an absolute URI of RFC 3986, or not a name that can stand in one.
    #[error("not a URI of this kind")]
    Uri,
    /// Not a type and a subtype of RFC 2046.
    #[error("not a media type")]
    MediaType,
    /// Not of CAP's form, without offset, or outside the years 1 to 9999.
    #[error("not a time with an offset in the form of CAP")]
    Time,
    /// Not a polygon or circle.
    #[error("not a shape that CAP can say")]
    Shape {
        /// What is wrong with it.
        #[source]
        cause: GeometryError,
    },
    /// Two sides of a polygon cross.
    #[error("two sides of the polygon cross")]
    Crossing,
    /// An address or incident with a quote, which CAP cannot write.
    #[error("a quote in an address or incident")]
    Quote,
    /// An altitude that is no number, or a ceiling below it.
    #[error("the heights are no numbers, or the ceiling is below the altitude")]
    Heights,
    /// A list that must not be empty is empty.
    #[error("the list is empty")]
    Nothing,
    /// The message would refer to itself.
    #[error("the message refers to itself")]
    SelfReference,
}

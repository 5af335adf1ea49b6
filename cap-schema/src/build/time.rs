//! A time that is one instant.

use std::fmt;
use std::str::FromStr;

use super::BuildError;
use crate::time::{Instant, Time, TimeForm};

/// A time in the form of CAP, with an offset, in the years 1 to 9999 (CAP 1.2 section 3.3.2).
///
/// ```
/// use cap_schema::Instant;
/// use cap_schema::build::Moment;
/// let moment: Moment = "2026-03-01T10:00:00-05:00".parse()?;
/// assert_eq!(Moment::at(Instant::from_seconds(1_772_377_200), -300)?, moment);
/// for text in ["2026-03-01T15:00:00Z", "2026-03-01T10:00:00", "2026-02-30T10:00:00-05:00"] {
///     assert!(text.parse::<Moment>().is_err(), "{text}");
/// }
/// # Ok::<(), cap_schema::build::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moment(Time<'static>);

impl Moment {
    /// An instant at an offset in minutes east of UTC, -840 to 840. UTC is written `-00:00`.
    ///
    /// # Errors
    /// The year or the offset cannot be written.
    pub fn at(instant: Instant, offset_minutes: i32) -> Result<Self, BuildError> {
        if !(-840..=840).contains(&offset_minutes) {
            return Err(BuildError::Time);
        }
        Moment::of(Time::from_instant(instant, offset_minutes))
    }

    fn of(time: Time<'static>) -> Result<Self, BuildError> {
        let whole = time.as_str().trim().len() == time.as_str().len();
        if whole && time.form() == TimeForm::Cap { Ok(Moment(time)) } else { Err(BuildError::Time) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn into_time(self) -> Time<'static> {
        self.0
    }
}

impl FromStr for Moment {
    type Err = BuildError;
    fn from_str(text: &str) -> Result<Self, BuildError> {
        Moment::of(Time::new(text.to_owned()))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What the pipeline reads out of an alert: reference, times, audience, lane.
//!
//! Pure. Must not decide anything.

use cap_schema::{Alert, Category, Code, Scope, Severity, Time, Urgency};
use capbridge_adapters::passage::Audience;
use jiff::Timestamp;

use crate::envelope::{Lane, Reference};

/// The alert's own reference, if all three parts are there.
pub fn reference_of(alert: &Alert<'_>) -> Option<Reference> {
    let reference = owned(&alert.reference());
    let whole =
        !reference.sender.is_empty() && !reference.identifier.is_empty() && !reference.sent.is_empty();
    whole.then_some(reference)
}

/// A reference as owned text.
pub fn owned(reference: &cap_schema::Reference<'_>) -> Reference {
    Reference {
        sender: reference.sender.to_string(),
        identifier: reference.identifier.to_string(),
        sent: reference.sent.to_string(),
    }
}

/// A CAP time as an instant.
pub fn instant(time: &Time<'_>) -> Option<Timestamp> {
    time.instant().and_then(|i| Timestamp::from_second(i.seconds()).ok())
}

/// The latest `expires` of the infos; `None` when one of them has none.
pub fn expires(alert: &Alert<'_>) -> Option<Timestamp> {
    let all: Option<Vec<Timestamp>> =
        alert.info.iter().map(|i| i.expires.as_ref().and_then(instant)).collect();
    all?.into_iter().max()
}

pub(super) fn audience(alert: &Alert<'_>) -> Audience {
    match &alert.scope {
        Some(Code::Known(Scope::Public)) => Audience::Public,
        Some(Code::Known(Scope::Restricted)) => Audience::Restricted,
        // Nothing that cannot be read is given a wider audience.
        Some(Code::Known(Scope::Private) | Code::Unknown(_)) | None => Audience::Private,
    }
}

/// CAP `addresses`: separated by white space, quoted where one contains it.
pub(super) fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            found.push(part.to_owned());
        } else {
            found.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    found.retain(|a| !a.is_empty());
    found
}

/// CBRNE, Extreme and Immediate go first.
pub(super) fn lane(alert: &Alert<'_>) -> Lane {
    let urgent = alert.info.iter().any(|i| {
        i.category.contains(&Code::Known(Category::Cbrne))
            || i.severity == Code::Known(Severity::Extreme)
            || i.urgency == Code::Known(Urgency::Immediate)
    });
    // A message without info ends or answers another: it must not wait behind routine traffic.
    if urgent || alert.info.is_empty() { Lane::Urgent } else { Lane::Routine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_white_space_and_quotes() {
        assert_eq!(addresses("\"address 1\" address2\n three"), ["address 1", "address2", "three"]);
        assert_eq!(addresses("  "), Vec::<String>::new());
    }
}

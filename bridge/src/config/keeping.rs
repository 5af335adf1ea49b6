//! `[relay]` and `[retention]`: how deliveries are tried, and how long things are kept.
//!
//! Owns what must hold between their values. Must not read files.

use super::file::File;
use crate::settings::{RelayTable, RetentionTable};

/// How deliveries are tried, and how long things are kept.
pub(super) fn read(file: &mut File<'_>) -> (Option<RelayTable>, Option<RetentionTable>) {
    let relay: Option<RelayTable> = file.table(&["relay"]);
    let retention: Option<RetentionTable> = file.table(&["retention"]);
    relay.iter().for_each(|table| check_relay(file, table));
    retention.iter().for_each(|table| check_retention(file, table));
    (relay, retention)
}

fn check_relay(file: &mut File<'_>, relay: &RelayTable) {
    if relay.in_flight == 0 {
        file.fault("relay.in_flight", "is 0: nothing would ever be delivered", "use 1 or more");
    }
    if !(3..=60).contains(&relay.takeover_secs) {
        file.fault("relay.takeover_secs", "is not 3 to 60", "use 6");
    }
    if relay.lease_secs < 20 {
        file.fault(
            "relay.lease_secs",
            "is shorter than an attempt can take",
            "use 20 or more; 60 with an IPAWS endpoint",
        );
    }
}

fn check_retention(file: &mut File<'_>, retention: &RetentionTable) {
    let RetentionTable { alerts_days, known_days, audit_days, .. } = retention;
    if known_days <= alerts_days {
        let problem = "is not more than retention.alerts_days: a repeat would be sent again";
        file.fault("retention.known_days", problem, "use 400");
    }
    if audit_days < alerts_days {
        let problem = "is less than retention.alerts_days: the record would end before what it is about";
        file.fault("retention.audit_days", problem, "use 2557: seven years");
    }
}

//! The tables of event codes as they ship.

use super::*;

#[test]
fn the_tables_lead_from_every_row_to_a_row() {
    let codes = Codes::builtin().unwrap();
    for (code, row) in &codes.cap_cp {
        assert!(codes.same(&row.same).is_some(), "{code} leads to {}, which IPAWS does not take", row.same);
        assert!(!row.name_en.is_empty(), "{code} has no name");
        assert!((3..=13).contains(&code.len()), "{code}");
    }
    for (code, row) in &codes.same {
        assert!(
            codes.cap_cp(&row.capcp).is_some(),
            "{code} leads to {}, which CAP-CP does not have",
            row.capcp
        );
        assert!(code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()), "{code}");
    }
    for (code, capcp) in &codes.radio {
        assert!(codes.same(code).is_none(), "{code} is in two tables");
        assert!(codes.cap_cp(capcp).is_some(), "{code} leads to {capcp}, which CAP-CP does not have");
    }
}

/// The rows on which first responders rely, both ways. A changed row must change here too, on purpose.
#[test]
fn hazardous_events_keep_their_meaning_over_the_border() {
    let codes = Codes::builtin().unwrap();
    let to_us = [
        ("chemical", "HMW"),
        ("hazmat", "HMW"),
        ("industryFire", "HMW"),
        ("biological", "CEM"),
        ("infectious", "CEM"),
        ("radiological", "RHW"),
        ("explosive", "CDW"),
        ("drinkingWate", "CEM"),
        ("terrorism", "CDW"),
        ("evacuation", "EVI"),
        ("testMessage", "DMO"),
    ];
    for (capcp, same) in to_us {
        assert_eq!(codes.cap_cp(capcp).map(|r| r.same.as_str()), Some(same), "{capcp}");
    }
    let to_canada = [
        ("HMW", "hazmat"),
        ("RHW", "radiological"),
        ("NUW", "radiological"),
        ("DMO", "testMessage"),
        ("RWT", "testMessage"),
        ("RMT", "testMessage"),
        ("NPT", "testMessage"),
    ];
    for (same, capcp) in to_canada {
        assert_eq!(codes.same(same).map(|r| r.capcp.as_str()), Some(capcp), "{same}");
    }
    let cbrne = ["chemical", "biological", "radiological", "explosive", "hazmat"];
    assert!(cbrne.iter().all(|c| codes.cap_cp(c).is_some_and(|r| r.cbrne)));
    for test in ["DMO", "RWT", "RMT", "NPT", "EAN"] {
        assert!(codes.same(test).is_some_and(|r| r.wea.is_empty()), "{test} must never reach phones");
    }
}

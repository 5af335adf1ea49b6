//! How the simulator is set up: the registry of COGs and what each may do.

use serde::{Deserialize, Serialize};

use crate::geometry::Bounds;
use crate::signature::Certificate;

/// A Collaborative Operating Group and its profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cog {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// A disabled COG may not log on.
    pub enabled: bool,
    /// Event codes by channel (`ALL` is every channel); empty: every event.
    pub event_codes: Vec<(String, String)>,
    /// SAME codes of its area, `PSSCCC`, `CCC` = 000 for a whole state; empty: everywhere.
    pub geocodes: Vec<String>,
    /// `minLon,minLat,maxLon,maxLat` that shapes must stay in; absent: everywhere.
    #[serde(default)]
    pub bounds: Option<String>,
    /// May post to EAS.
    pub eas: bool,
    /// May post to WEA.
    pub cmas: bool,
    /// May post non-weather emergency messages.
    pub nwem: bool,
    /// May post to the public feed.
    pub public: bool,
}

impl Cog {
    /// A COG that may do everything everywhere.
    #[must_use]
    pub fn new(id: u32, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            enabled: true,
            event_codes: Vec::new(),
            geocodes: Vec::new(),
            bounds: None,
            eas: true,
            cmas: true,
            nwem: true,
            public: true,
        }
    }

    /// Whether the profile allows an event code on a channel.
    #[must_use]
    pub fn may_post(&self, channel: &str, event_code: &str) -> bool {
        let on_channel = match channel {
            "EAS" => self.eas,
            "CMAS" => self.cmas,
            "NWEM" => self.nwem,
            _ => self.public,
        };
        // INFERRED: the name in the profile is the channel for which the code is allowed.
        let listed = |(on, code): &(String, String)| (on == "ALL" || on == channel) && code == event_code;
        on_channel && (self.event_codes.is_empty() || self.event_codes.iter().any(listed))
    }

    /// Whether a SAME code is in the COG's area.
    #[must_use]
    pub fn covers(&self, same: &str) -> bool {
        let county = |code: &str| code.get(1..).map(str::to_owned).unwrap_or_default();
        let state = |code: &str| code.get(1..3).map(str::to_owned).unwrap_or_default();
        self.geocodes.is_empty()
            || self.geocodes.iter().any(|own| {
                county(own) == county(same)
                    || (own.ends_with("000") && state(own) == state(same))
                    || own == "000000"
            })
    }

    /// Whether a shape stays in the COG's bounds.
    #[must_use]
    pub fn contains(&self, shape: &Bounds) -> bool {
        self.bounds.as_deref().and_then(Bounds::from_bbox).is_none_or(|own| {
            own.south <= shape.south
                && own.north >= shape.north
                && own.west <= shape.west
                && own.east >= shape.east
        })
    }
}

/// How the simulator is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may log on.
    pub cogs: Vec<Cog>,
    /// The authorities whose certificates are believed.
    pub authorities: Vec<Certificate>,
    /// Seconds that an alert stays in the feeds, if it does not expire before.
    pub window_secs: i64,
    /// Seconds that `sent` may differ from the clock.
    pub sent_tolerance_secs: i64,
    /// An Update or Cancel must name every related message of the COG that has not expired. Found as a rule
    /// of the profile; that it is answered with 307 is INFERRED.
    pub needs_all_references: bool,
    /// The PIN that the feeds ask for, as they did before IPAWS-OPEN 4.02.
    pub pin: Option<String>,
    /// Prints each request.
    pub log: bool,
}

impl Settings {
    /// The usual behaviour with these COGs and authorities.
    #[must_use]
    pub fn new(cogs: Vec<Cog>, authorities: Vec<Certificate>) -> Self {
        Self {
            cogs,
            authorities,
            window_secs: 30 * 60,
            sent_tolerance_secs: 300,
            needs_all_references: true,
            pin: None,
            log: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cog;

    #[test]
    fn a_profile_allows_what_it_lists() {
        let listed = |on: &str, code: &str| (on.to_owned(), code.to_owned());
        let cog = Cog {
            event_codes: vec![listed("ALL", "CEM"), listed("EAS", "HMW")],
            geocodes: vec!["039035".to_owned(), "026000".to_owned()],
            nwem: false,
            ..Cog::new(120_082, "Test")
        };
        let cases =
            [("EAS", "CEM", true), ("EAS", "HMW", true), ("CMAS", "HMW", false), ("NWEM", "CEM", false)];
        for (channel, code, wanted) in cases {
            assert_eq!(cog.may_post(channel, code), wanted, "{channel} {code}");
        }
        for (same, wanted) in [("039035", true), ("139035", true), ("026147", true), ("036063", false)] {
            assert_eq!(cog.covers(same), wanted, "{same}");
        }
    }
}

//! `getRequest` and `getMessage`: pings, the registry, and the exchange between COGs.

use jiff::Timestamp;

use super::soap::{self, Inquiry, Logon, Parameter};
use super::{Cog, IpawsOpen, Published};
use crate::clock::{cap_time, instant};
use crate::server::Answer;

impl IpawsOpen {
    pub(super) fn get_request(&self, logon: &Logon, inquiry: &Inquiry) -> Answer {
        if inquiry.api != "REQUEST1" {
            return super::unknown_operation("requestAPI must be REQUEST1");
        }
        let list = match inquiry.operation.as_str() {
            "getAck" | "getACK" => vec![Parameter::new("ACK", "PONG")],
            // The content of the real reply is not known: INFERRED.
            "getServerInfo" => vec![
                Parameter::new("serverName", "capbridge-exercise"),
                Parameter::new("serverTime", &cap_time(self.clock.now())),
            ],
            // INFERRED layout: one parameter for each COG.
            "getCOG" => {
                self.settings.cogs.iter().map(|cog| Parameter::new(&cog.id.to_string(), &cog.name)).collect()
            }
            "getCOGProfile" => match inquiry.value().parse().ok().and_then(|id| self.cog(id)) {
                Some(cog) => profile(cog),
                None => return soap::exception("404", "there is no such COG"),
            },
            "getMessageListAll" => match self.newer(logon, inquiry) {
                // INFERRED layout: one parameter for each message.
                Some(list) => list.iter().map(|one| Parameter::new("identifier", &one.identifier)).collect(),
                None => return soap::exception("400", "the parameter sent cannot be read"),
            },
            // The three names below are INFERRED: the operations are known, their spelling is not.
            "isCogAuthorized" => {
                let cog = inquiry.value().parse().ok().and_then(|id| self.cog(id));
                let is_authorized = cog.is_some_and(|cog| cog.nwem);
                vec![Parameter::new("cogid", if is_authorized { "true" } else { "false" })]
            }
            "getMessageStatus" => {
                let posts = self.posts();
                let same =
                    |post: &&super::Post| post.identifier == inquiry.value() && post.cog_id == logon.cog_id;
                return match posts.iter().rfind(same) {
                    Some(post) => soap::post_reply(&post.identifier, &post.groups),
                    None => soap::exception("404", "there is no such message"),
                };
            }
            _ => return super::unknown_operation("requestOperation is not known"),
        };
        soap::parameters("getResponseTypeDef", &list)
    }

    pub(super) fn get_message(&self, logon: &Logon, inquiry: &Inquiry) -> Answer {
        if inquiry.api != "REQUEST1" || inquiry.operation != "getMessageAll" {
            return super::unknown_operation("requestOperation is not known");
        }
        match self.newer(logon, inquiry) {
            Some(list) => soap::messages(list.iter().map(|published| published.alert.as_str())),
            None => soap::exception("400", "the parameter sent cannot be read"),
        }
    }

    /// The messages that a COG may see, sent after the time asked for.
    fn newer(&self, logon: &Logon, inquiry: &Inquiry) -> Option<Vec<Published>> {
        let after: Timestamp = match inquiry.parameters.as_slice() {
            [(name, comparison, values)] if name == "sent" && comparison == "greaterthan" => {
                instant(values.first()?)?
            }
            _ => return None,
        };
        let cog_id = logon.cog_id.to_string();
        let may_see = |one: &&Published| {
            !one.is_private || one.cog_id == Some(logon.cog_id) || one.addresses.contains(&cog_id)
        };
        let now = self.clock.now();
        let is_newer = |one: &&Published| one.sent_at.is_some_and(|at| at > after) && one.posted_at <= now;
        Some(self.state().published.iter().filter(may_see).filter(is_newer).cloned().collect())
    }
}

/// The profile in the order of the recorded one.
fn profile(cog: &Cog) -> Vec<Parameter> {
    let yes = |flag: bool| if flag { "Y" } else { "N" };
    let codes = if cog.event_codes.is_empty() {
        vec![("ALL".to_owned(), "ALL".to_owned())]
    } else {
        cog.event_codes.clone()
    };
    let geocodes = if cog.geocodes.is_empty() { vec!["000000".to_owned()] } else { cog.geocodes.clone() };
    let geocodes = geocodes.into_iter().map(|code| ("SAME".to_owned(), code)).collect();
    vec![
        Parameter::new("cogid", &cog.id.to_string()),
        Parameter::new("name", &cog.name),
        Parameter::new("description", "COG of an exercise"),
        Parameter::new("categoryName", "IPAWS-OPEN"),
        Parameter::new("organizationName", "CIV"),
        Parameter::new("cogEnabled", yes(cog.enabled)),
        Parameter::new("caeAuthorized", yes(cog.eas)),
        Parameter::new("caeCmasAuthorized", yes(cog.cmas)),
        Parameter::new("eanAuthorized", "N"),
        Parameter::new("allEventCode", yes(cog.event_codes.is_empty())),
        Parameter::new("allGeoCode", yes(cog.geocodes.is_empty())),
        Parameter::new("easAuthorized", yes(cog.eas)),
        Parameter::new("cmasAlertAuthorized", yes(cog.cmas)),
        Parameter::new("cmamTextAuthorized", yes(cog.cmas)),
        Parameter::new("publicAlertAuthorized", yes(cog.public)),
        Parameter::new("broadcastAuthorized", "N"),
        Parameter { sub: codes, ..Parameter::new("eventCodes", "") },
        Parameter { sub: geocodes, ..Parameter::new("geoCodes", "") },
    ]
}

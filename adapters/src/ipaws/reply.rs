//! What IPAWS-OPEN answers to `postCAP`, and what it means.
//!
//! Owns the parsing of status groups and the verdict. HTTP 200 says nothing here: each channel answers for itself, and
//! anything that is missing, unknown or an error is a failure (fail closed). The status codes are those of
//! `data/ipaws-status.tsv`.

use std::fmt;
use std::sync::LazyLock;

use crate::tree::{Element, Malformed};

const TABLE: &str = include_str!("../../data/ipaws-status.tsv");

/// The public channels, in the order of their code families.
const CHANNELS: [&str; 4] = ["NWEM", "EAS", "CMAS", "PUBLIC"];

/// One group of the reply: one check of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `CHANNELNAME`; sometimes absent.
    pub channel: Option<String>,
    /// `STATUSITEMID`.
    pub code: Option<String>,
    /// `ERROR`: `Y` or `N`.
    pub error: Option<String>,
    /// `STATUS`.
    pub status: Option<String>,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".to_owned());
        write!(
            f,
            "{} {} {}: {}",
            part(&self.channel),
            part(&self.code),
            part(&self.error),
            part(&self.status)
        )
    }
}

/// What a code means when its group is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Ack,
    NotUsed,
    Advice,
}

static MEANINGS: LazyLock<Vec<(u32, Meaning)>> = LazyLock::new(|| {
    let rows = TABLE.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    rows.filter_map(|row| {
        let mut cells = row.split('\t');
        let (code, _channel, meaning) = (cells.next()?, cells.next()?, cells.next()?);
        let meaning = match meaning {
            "ack" => Meaning::Ack,
            "not-used" => Meaning::NotUsed,
            "advice" => Meaning::Advice,
            _ => return None,
        };
        Some((code.parse().ok()?, meaning))
    })
    .collect()
});

impl Group {
    fn number(&self) -> Option<u32> {
        self.code.as_deref()?.parse().ok()
    }

    /// Only `N` is no error.
    fn is_error(&self) -> bool {
        self.error.as_deref() != Some("N")
    }

    fn meaning(&self) -> Option<Meaning> {
        let number = self.number()?;
        if self.is_error() {
            return None;
        }
        MEANINGS.iter().find(|(code, _)| *code == number).map(|(_, meaning)| *meaning)
    }

    fn is_ack(&self, code: u32) -> bool {
        self.number() == Some(code) && self.meaning() == Some(Meaning::Ack)
    }

    /// The channel that it is about: the named one, else the one of the code's family.
    fn about(&self) -> Option<&str> {
        if let Some(channel) = self.channel.as_deref() {
            return Some(channel);
        }
        match self.number()? / 100 {
            0 => Some("sendinggatewayid"),
            1 | 6 => Some("CMAS"),
            2 => Some("CAPEXCH"),
            3 => Some("IPAWS"),
            4 => Some("NWEM"),
            5 => Some("EAS"),
            8 => Some("PUBLIC"),
            _ => None,
        }
    }
}

/// A reply, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Status groups.
    Groups(Vec<Group>),
    /// A SOAP fault.
    Fault(Fault),
    /// Neither: what could be seen of it.
    Other(String),
}

/// A SOAP fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The local part of the fault code (`Client`, `Server`, `Receiver`, ...).
    pub code: String,
    /// Fault string and the parts of its detail.
    pub text: String,
}

/// Reads the body of a reply.
///
/// # Errors
/// Not XML, or nothing that a SOAP service would say.
pub fn read(body: &[u8]) -> Result<Reply, Malformed> {
    let root = Element::read(body)?;
    if let Some(fault) = descend(&root, "Fault") {
        return Ok(Reply::Fault(read_fault(fault)));
    }
    let groups = groups(&root);
    if !groups.is_empty() {
        return Ok(Reply::Groups(groups));
    }
    // The interface of 2014 answers with one string. Where that is XML itself, it is read as such.
    let text = descend(&root, "postCAPReturn").map_or_else(|| root.text(), Element::text);
    match Element::read(text.trim().as_bytes()).map(|inner| self::groups(&inner)) {
        Ok(groups) if !groups.is_empty() => Ok(Reply::Groups(groups)),
        Ok(_) | Err(_) => Ok(Reply::Other(crate::http::shown_text(text.as_bytes(), 300))),
    }
}

/// The first element of a local name. Reply namespaces moved between versions of the interface, so they do not count.
fn descend<'e>(element: &'e Element, name: &str) -> Option<&'e Element> {
    if element.name == name {
        return Some(element);
    }
    element.elements().find_map(|e| descend(e, name))
}

fn value(element: &Element, name: &str) -> Option<String> {
    let text = element.elements().find(|e| e.name == name)?.text();
    Some(text.trim().to_owned())
}

fn read_fault(fault: &Element) -> Fault {
    let code = value(fault, "faultcode").unwrap_or_default();
    let mut parts = vec![value(fault, "faultstring").unwrap_or_default()];
    if let Some(detail) = fault.elements().find(|e| e.name == "detail") {
        parts.extend(["errorCode", "message"].into_iter().filter_map(|name| {
            descend(detail, name).map(|e| e.text().trim().to_owned()).filter(|t| !t.is_empty())
        }));
    }
    parts.retain(|p| !p.is_empty());
    let text = crate::http::shown_text(parts.join(": ").as_bytes(), 300);
    Fault { code: code.rsplit(':').next().unwrap_or_default().to_owned(), text }
}

/// The groups of all parameter lists. The values come as a flat run: a group begins at each `CHANNELNAME`, and, because
/// that is sometimes missing, at a `STATUSITEMID` when the group has one already.
fn groups(root: &Element) -> Vec<Group> {
    let mut lists = Vec::new();
    collect(root, "parameterListItem", &mut lists);
    let mut groups = Vec::new();
    for list in lists {
        let mut open = Group::default();
        for item in list.elements().filter(|e| e.name == "subParaListItem") {
            let Some(name) = value(item, "subParameterName") else { continue };
            let value = value(item, "subParameterValue");
            match name.as_str() {
                "CHANNELNAME" => {
                    close(&mut open, &mut groups);
                    open.channel = value;
                }
                "STATUSITEMID" => {
                    if open.code.is_some() {
                        close(&mut open, &mut groups);
                    }
                    open.code = value;
                }
                "ERROR" => open.error = value,
                "STATUS" => open.status = value,
                _ => {}
            }
        }
        close(&mut open, &mut groups);
    }
    groups
}

fn collect<'e>(element: &'e Element, name: &str, found: &mut Vec<&'e Element>) {
    for child in element.elements() {
        if child.name == name {
            found.push(child);
        } else {
            collect(child, name, found);
        }
    }
}

fn close(open: &mut Group, groups: &mut Vec<Group>) {
    let group = std::mem::take(open);
    if group != Group::default() {
        groups.push(group);
    }
}

/// What a post came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken, on every channel that was asked for.
    Accepted,
    /// Taken for exchange, but not on every channel, or not confirmed: one line for each thing that is missing.
    Partial(Vec<String>),
    /// Refused.
    Rejected(Rejection),
    /// The groups do not tell.
    Unknown,
}

/// Why a post was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 201: the identifier was used before.
    Duplicate,
    /// 303: `sent` is not within five minutes of the clock of IPAWS.
    Stale,
    /// 209: a reference is to an alert that has expired.
    Expired,
    /// 307: a reference is to nothing that IPAWS has.
    Reference,
    /// Anything else.
    Message,
}

/// The public channels that a message asks for: those that it does not block. Only an actual, public alert with content
/// asks for any.
pub(crate) fn wanted_channels(alert: &Element) -> Vec<&'static str> {
    let is = |name: &str, expected: &str| value(alert, name).as_deref() == Some(expected);
    if !is("status", "Actual") || !is("scope", "Public") {
        return Vec::new();
    }
    let infos: Vec<&Element> = alert.elements().filter(|e| e.name == "info").collect();
    let blocks = |info: &Element, channel: &str| {
        info.elements().filter(|e| e.name == "parameter").any(|p| {
            value(p, "valueName").as_deref() == Some("BLOCKCHANNEL")
                && value(p, "value").is_some_and(|v| v.split([' ', ',']).any(|one| one == channel))
        })
    };
    CHANNELS.into_iter().filter(|channel| infos.iter().any(|info| !blocks(info, channel))).collect()
}

/// Judges the groups of a reply.
pub fn judge(groups: &[Group], wanted: &[&str]) -> Outcome {
    let refused = |g: &&Group| matches!(g.about(), None | Some("CAPEXCH" | "IPAWS")) && g.is_error();
    let refusals: Vec<&Group> = groups.iter().filter(refused).collect();
    if !refusals.is_empty() {
        // A repeat may be too old as well: what counts is that IPAWS has the identifier already.
        let duplicate = refusals.iter().any(|g| g.number() == Some(201));
        let all = |code: u32| refusals.iter().all(|g| g.number() == Some(code));
        return Outcome::Rejected(match (duplicate, all(303), all(307), all(209)) {
            (true, _, _, _) => Rejection::Duplicate,
            (false, true, _, _) => Rejection::Stale,
            (false, false, true, _) => Rejection::Reference,
            (false, false, false, true) => Rejection::Expired,
            (false, false, false, false) => Rejection::Message,
        });
    }
    let acknowledged = |code: u32| groups.iter().any(|g| g.is_ack(code));
    if !acknowledged(200) {
        return Outcome::Unknown;
    }
    let mut missing = Vec::new();
    if !acknowledged(202) {
        missing.push("the reply does not confirm the signature (202)".to_owned());
    }
    if !acknowledged(300) {
        missing.push("the reply does not confirm the profile (300)".to_owned());
    }
    for channel in wanted {
        let of_channel: Vec<&Group> = groups.iter().filter(|g| g.about() == Some(channel)).collect();
        let taken = of_channel.iter().any(|g| g.meaning() == Some(Meaning::Ack));
        // PUBLIC is the feed of what is not EAS: a message that EAS took is not in it.
        let through_eas = *channel == "PUBLIC"
            && acknowledged(500)
            && of_channel.iter().all(|g| g.meaning() == Some(Meaning::NotUsed));
        if !(taken || through_eas) || of_channel.iter().any(|g| g.is_error()) {
            let said: Vec<String> = of_channel.iter().map(|g| g.to_string()).collect();
            let said =
                if said.is_empty() { "no word of it in the reply".to_owned() } else { said.join("; ") };
            missing.push(format!("{channel} was asked for and did not take it: {said}"));
        }
    }
    let unasked = groups.iter().filter(|g| g.is_error() && !wanted.iter().any(|w| g.about() == Some(*w)));
    missing.extend(unasked.map(|g| format!("an error that was not expected: {g}")));
    if missing.is_empty() { Outcome::Accepted } else { Outcome::Partial(missing) }
}

/// Lines for people: every group that is not a plain acknowledgement, unknown codes marked.
pub fn notes(groups: &[Group]) -> Vec<String> {
    let each = groups.iter().map(|group| match (group.is_error(), group.meaning()) {
        (true, _) => format!("error: {group}"),
        (false, Some(Meaning::Ack | Meaning::NotUsed)) => group.to_string(),
        (false, Some(Meaning::Advice)) => format!("advice: {group}"),
        (false, None) => format!("unknown code: {group}"),
    });
    each.collect()
}

/// What a reply to `getAck` says: `PONG`, if the service is well.
pub fn ack(body: &[u8]) -> Result<Option<String>, Malformed> {
    let root = Element::read(body)?;
    let mut lists = Vec::new();
    collect(&root, "parameterListItem", &mut lists);
    let ack = lists.iter().find(|l| value(l, "parameterName").as_deref() == Some("ACK"));
    Ok(ack.and_then(|l| value(l, "parameterValue")))
}

#[cfg(test)]
mod tests;

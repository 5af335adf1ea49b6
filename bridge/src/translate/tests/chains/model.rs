//! A bridge as the contract describes it: repeats and conflicts, loops, chains found from either end, a hold for what is
//! missing, nothing older after something newer, nothing after the end.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::envelope::{AlertKey, ChainName, Reference, World};
use crate::pipeline::deduplicate::{carries_trace, hex_digest, key, names};
use crate::translate::*;
use cap_schema::Limits;

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::builtin().unwrap());

/// How long a follower waits for what it follows, seconds.
const HOLD_SECS: i64 = 60;

/// Where a message is from, and what a bridge issues to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Canada,
    UnitedStates,
}

/// A message that was issued, with the original that it was made of.
pub(super) struct Output {
    pub(super) original: Alert<'static>,
    pub(super) previous: Option<Alert<'static>>,
    pub(super) made: Translated,
}

/// What is known of a chain.
#[derive(Default)]
struct Chain {
    issued: Vec<(Reference, Reference)>,
    newest: Option<Alert<'static>>,
    newest_sent: Option<i64>,
    has_ended: bool,
}

struct Held {
    alert: Alert<'static>,
    system: System,
    follows: Vec<ChainName>,
    own: ChainName,
    release_at: i64,
}

/// One bridge.
pub(super) struct Bridge {
    pub(super) target: System,
    pub(super) outputs: Vec<Output>,
    pub(super) conflicts: usize,
    settings: Settings,
    seen: BTreeMap<AlertKey, String>,
    chain_of: BTreeMap<ChainName, usize>,
    chains: Vec<Chain>,
    held: Vec<Held>,
}

impl Bridge {
    pub(super) fn new(target: System, name: &str, max_crossings: Option<u32>) -> Self {
        let settings = Settings {
            bridge_name: name.into(),
            sender: format!("{name}@bridge.test"),
            max_crossings,
            ..Settings::default()
        };
        Bridge {
            target,
            outputs: Vec::new(),
            conflicts: 0,
            settings,
            seen: BTreeMap::new(),
            chain_of: BTreeMap::new(),
            chains: Vec::new(),
            held: Vec::new(),
        }
    }

    /// How many keys have a record.
    pub(super) fn accepted(&self) -> usize {
        self.seen.len()
    }

    /// Hears a document.
    pub(super) fn take(&mut self, text: &str, system: System, now: i64) {
        let alert = cap_schema::parse_owned(text.as_bytes(), &Limits::default()).unwrap().alert;
        if alert.sender == self.settings.sender || carries_trace(&alert, &self.settings.bridge_name) {
            return;
        }
        let world = World::live();
        let of = |r: &cap_schema::Reference<'_>| Reference {
            sender: r.sender.to_string(),
            identifier: r.identifier.to_string(),
            sent: r.sent.to_string(),
        };
        let reference = Reference {
            sender: alert.sender.to_string(),
            identifier: alert.identifier.to_string(),
            sent: alert.sent.as_str().to_owned(),
        };
        let digest = hex_digest(text.as_bytes());
        match self.seen.get(&key(&reference, &world)) {
            Some(known) if *known == digest => return,
            Some(_) => {
                self.conflicts += 1;
                return;
            }
            None => self.seen.insert(key(&reference, &world), digest),
        };
        let earlier: Vec<Reference> = alert.references().iter().map(of).collect();
        let names = names(&world, &reference, &earlier, &[]);
        let (follows, own) = (names.follows, names.own);
        self.held.push(Held { alert, system, follows, own, release_at: now + HOLD_SECS });
        self.wait(now);
    }

    /// Releases what waits no longer, until nothing more comes free; the oldest first.
    pub(super) fn wait(&mut self, now: i64) {
        self.held.sort_by_key(|held| held.alert.sent.instant().map(Instant::seconds));
        loop {
            let is_free = |held: &Held| {
                held.follows.iter().all(|name| self.chain_of.contains_key(name)) || held.release_at <= now
            };
            let Some(at) = self.held.iter().position(is_free) else { return };
            let held = self.held.remove(at);
            self.release(held, now);
        }
    }

    fn release(&mut self, held: Held, now: i64) {
        let number = self.chain(&held);
        let chain = &mut self.chains[number];
        let sent = held.alert.sent.instant().unwrap().seconds();
        let is_superseded = chain.newest_sent.is_some_and(|newest| newest >= sent);
        if held.system == self.target || chain.has_ended || is_superseded {
            return;
        }
        // What is known to be newer counts, whether or not there was anything to send of it.
        chain.newest_sent = Some(sent);
        let origin = Reference {
            sender: held.alert.sender.to_string(),
            identifier: held.alert.identifier.to_string(),
            sent: held.alert.sent.as_str().to_owned(),
        };
        let previous = chain.newest.clone();
        let request = Request {
            alert: &held.alert,
            origin_key: &key(&origin, &World::live()).0,
            target: match self.target {
                System::Canada => Target::CapCp,
                System::UnitedStates => Target::Ipaws,
            },
            at: Timestamp::from_second(now).unwrap(),
            issued: Some(&chain.issued),
            previous: previous.as_ref(),
            settings: &self.settings,
            tables: &TABLES,
        };
        let made = translate(&request);
        assert_eq!(made, translate(&request), "twice the same gives the same");
        // An end that came before anything was issued is an end all the same.
        chain.has_ended |= matches!(held.alert.msg_type, Code::Known(MsgType::Cancel | MsgType::Error));
        let Ok(made) = made else { return };
        chain.has_ended |= made.alert.msg_type == Code::Known(MsgType::Cancel);
        chain.issued.push((origin, made.reference.clone()));
        if !held.alert.info.is_empty() {
            chain.newest = Some(held.alert.clone());
        }
        self.outputs.push(Output { original: held.alert, previous, made });
    }

    /// The chain of a message; those that it joins become one.
    fn chain(&mut self, held: &Held) -> usize {
        let all = held.follows.iter().chain([&held.own]);
        let known: Vec<usize> = all.clone().filter_map(|name| self.chain_of.get(name).copied()).collect();
        let number = known.iter().copied().min().unwrap_or_else(|| {
            self.chains.push(Chain::default());
            self.chains.len() - 1
        });
        for other in known.into_iter().filter(|other| *other != number) {
            let joined = std::mem::take(&mut self.chains[other]);
            let chain = &mut self.chains[number];
            chain.has_ended |= joined.has_ended;
            if joined.newest_sent > chain.newest_sent {
                chain.newest_sent = joined.newest_sent;
                chain.newest = joined.newest.or(chain.newest.take());
            }
            chain.issued.extend(joined.issued);
            self.chain_of.values_mut().filter(|n| **n == other).for_each(|n| *n = number);
        }
        for name in all {
            self.chain_of.insert(name.clone(), number);
        }
        number
    }
}

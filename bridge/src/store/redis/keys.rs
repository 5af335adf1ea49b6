//! The keys of the Redis store, every one of them.
//!
//! Owns the names. All begin with one hash tag, so that a bridge lives in one slot of a Redis Cluster and every script
//! reaches all of its keys. Scripts get the names from here as Lua constants. `docs/redis.md` says the same as the
//! paragraphs below, and a test compares the two.

/// What is wrong with the name of a bridge.
#[derive(Debug, thiserror::Error)]
#[error("the bridge name must be 1 to 64 letters, digits, dots, dashes or underscores")]
pub struct BadName;

/// A key or, where the name takes an argument, a family of keys.
struct Family {
    /// The constant in the scripts.
    lua: &'static str,
    /// What follows the hash tag; a family ends in a colon.
    suffix: &'static str,
}

macro_rules! families {
    ($($(#[$doc:meta])* $lua:ident = $suffix:literal;)+) => {
        const FAMILIES: &[Family] = &[$(Family { lua: stringify!($lua), suffix: $suffix }),+];
        /// Suffixes by the name that the scripts use.
        #[expect(dead_code, reason = "most families are reached by scripts only, through `FAMILIES`")]
        pub(super) mod suffix {
            $($(#[$doc])* pub const $lua: &str = $suffix;)+
        }
    };
}

families! {
    /// hash; field `v`, the version of everything else. Writer: the first start. Reader: every start. For ever. 1.
    META = "meta";
    /// string, counter: the order of alerts, deliveries and quarantined documents. Writer: accept, route, quarantine.
    /// Reader: the same. For ever. 1.
    SEQ = "seq";
    /// stream with group `routers`: accepted alerts that are not routed, field `key`. Writer: accept. Reader: unrouted.
    /// An entry is acknowledged and deleted by route. As long as the routing backlog.
    INBOX = "inbox";
    /// sorted set: the urgent ones among the accepted alerts that are not routed, in order of acceptance: they are handed
    /// out first. Writer: accept, route. Reader: unrouted. Until routed. As their backlog.
    INBOX_URGENT = "inbox:urgent";
    /// sorted set: alerts to be looked at again for routing, by when: the end of a lease or of a hold (ms). Writer:
    /// unrouted. Reader: unrouted.
    /// Until routed. As long as the routing backlog.
    INBOX_LEASES = "inbox:leases";
    /// sorted set: the alerts of a chain that are to be routed, in the order of `sent`. Writer: accept, route. Reader:
    /// accept, unrouted. Until routed. As the routing backlog.
    UNROUTED = "unrouted:";
    /// hash: an alert: `envelope`, `raw`, `derived`, `chain`, `also` (sources that brought it later, JSON lines), `from
    /// ` and the name of each source, `identifier`, `lane`, `seq`, `sent_ms`, `follows` (names), `name` (what
    /// references call it), `twin` (key that a twin of it has), `entry` (in the inbox), `waits` (1: to be routed),
    /// `hold_ms`, `lease_ms`, `routed`, `open` (unfinished deliveries), `over_ms` (the later of acceptance and expiry).
    /// Writer: accept, unrouted, route, finish, replay. Reader: all. Until swept. 1 for each alert in the archive.
    ALERT = "alert:";
    /// sorted set: alerts in order of acceptance. Writer: accept, sweep. Reader: lists. Until swept. As the archive.
    ALERTS = "alerts";
    /// sorted set with equal scores: alert keys in order of letters, for a search by prefix. Writer: accept, sweep.
    /// Reader: find. Until swept. As the archive.
    ALERT_KEYS = "alert-keys";
    /// sorted set: routed alerts without unfinished deliveries, by the time from which retention counts (ms). Writer:
    /// route, finish, replay, sweep. Reader: sweep. Until swept. As the archive.
    OVER = "over";
    /// sorted set: the alerts in the archive with an identifier. Writer: accept, sweep. Reader: find. Until swept. As
    /// the archive.
    NAMED = "named:";
    /// sorted set: the alerts of a chain in the order of `sent`. Writer: accept, sweep. Reader: journey, later. Until
    /// swept. As the archive.
    CHAIN = "chain:";
    /// hash: endpoint to the order and rule of its newest delivery in a chain. Writer: accept, route. Reader: followers. Until the last
    /// alert of the chain is swept. 1 for each chain in the archive.
    FOLLOWERS = "followers:";
    /// hash: that an alert was here: `digest`, `content`, `chain`, `repeats`, `call`, `outcome`. Writer: accept,
    /// forget. Reader: accept, journey. Until forgotten. 1 for each alert of that time (about 300 bytes).
    SEEN = "seen:";
    /// hash: what references call a message: `chain`, and `accepted` once a message carries the name. Writer: accept,
    /// forget. Reader: accept, known. Until forgotten. 1 for each message of that time, accepted or followed (about 200
    /// bytes).
    NAME = "name:";
    /// string: the chain that a chain became part of. Writer: accept, forget. Reader: accept. Until forgotten. 1 for
    /// each pair of chains that a later message connected.
    MERGED = "merged:";
    /// string: the first alert with this twin key. Writer: accept, forget. Reader: accept. Until forgotten. 1 for each
    /// twin key of that time.
    TWIN = "twin:";
    /// hash: by identifier: sender to the alert that a message of ours was made from. Writer: render, forget. Reader:
    /// ours. Until forgotten. 1 for each message issued in that time.
    OURS = "ours:";
    /// sorted set: what is to be forgotten, by the time from which that counts (ms): `s:` a seen alert, `n:` a name, `t:` a
    /// twin key, `m:` a chain that became part of another, `o:` identifier and sender of a message of ours. Writer:
    /// accept, sweep, forget. Reader: forget. Until forgotten. As what was swept.
    FORGET = "forget";
    /// hash: a delivery: `endpoint`, `alert`, `chain`, `lane`, `rule`, `seq`, `head`, `state`, `attempts`, `epoch`,
    /// `queued_at`, `due_at`, `due_ms`, `give_up_at`, `attempted_at`, `ended_at`, `error`, `maybe`, `receipt` (JSON). Writer: route, claim, finish, give_back, replay. Reader: all. Until its alert is swept. As the archive.
    DELIVERY = "delivery:";
    /// hash: what is sent for a delivery: `rendering` (JSON) and `body`. Writer: render. Reader: claim, issued, journey.
    /// Until its alert is swept. As the archive.
    RENDERING = "rendering:";
    /// sorted set: deliveries in order of routing. Writer: route, sweep. Reader: lists. Until swept. As the archive.
    DELIVERIES = "deliveries";
    /// sorted set: the deliveries of an alert. Writer: route. Reader: journey, sweep. Until swept. As the archive.
    DELIVERIES_OF = "deliveries-of:";
    /// sorted set: deliveries that wait, are dead or expired. Writer: all that change a state. Reader: lists, depth. Until
    /// swept. 3.
    STATE = "state:";
    /// sorted set: unfinished deliveries of an (endpoint, chain), in order of routing. Writer: route, finish, replay.
    /// Reader: the same. Until finished. 1 for each line with unfinished deliveries.
    LINE = "line:";
    /// sorted set: what an (endpoint, chain) took or may have taken, in the order of `sent`. Writer: accept, finish,
    /// replay, sweep. Reader: issued. Until swept. As the archive.
    ISSUED = "issued:";
    /// sorted set, one for each lane: heads that nobody attempts, by the time when they are due (ms). Writer: route,
    /// claim, finish, give_back, replay. Reader: claim, next_due. Until claimed. As the lines with unfinished deliveries.
    DUE = "due:";
    /// sorted set, one for each lane: deliveries under way, by the end of their lease (ms). Writer: route, claim,
    /// extend, finish, give_back. Reader: claim, next_due. Until the attempt ends. As the attempts under way.
    LEASED = "leased:";
    /// sorted set, one for each lane: unfinished deliveries in order of routing. Writer: route, finish, replay. Reader:
    /// depth. Until finished. As the unfinished deliveries.
    OPEN = "open:";
    /// hash: a quarantined document: `entry` (JSON), `raw`, `times`, `released` (JSON). Writer: quarantine, release,
    /// sweep_quarantine. Reader: lists. Until swept. 1 for each document.
    QUARANTINE = "quarantine:";
    /// sorted set: quarantined documents in order. Writer: quarantine, sweep_quarantine. Reader: lists. Until swept. As
    /// the documents.
    QUARANTINED = "quarantined";
    /// set: quarantined documents that nobody released. Writer: quarantine, release, sweep_quarantine. Reader: depth.
    /// Until released or swept. As the documents.
    HELD = "held";
    /// stream: the audit log, field `event` (canonical JSON). Writer: every step, with its change. Reader: log,
    /// seal, trim, verify_record. Until trimmed by MINID. As the events (about 300 bytes each).
    AUDIT = "audit";
    /// list: the hash of each entry of the audit log that is chained. Writer: seal, trim. Reader: trim, verify_record.
    /// Until trimmed. As the events (64 bytes each).
    AUDIT_HASHES = "audit:hashes";
    /// hash: how far the audit log is chained: `n` entries (those before the anchor too), to the entry `id`, the last
    /// `hash`. Writer: seal. Reader: seal, verify_record. For ever. 1.
    AUDIT_HEAD = "audit:head";
    /// hash: where the audit log begins: `n` entries were before it, the last with this `hash`. Writer: trim. Reader: trim,
    /// verify_record. For ever. 1, once something was trimmed.
    AUDIT_ANCHOR = "audit:anchor";
    /// hash: the registration documents, JSON, by kind and name (`endpoint/NAME`). Writer: register. Reader: registrations.
    /// For ever: names stay known. 1; a field for each document (about 1 KiB).
    REGISTERED = "registered";
    /// sorted set: the registration documents in the order of their last change. Writer: register. Reader: registrations.
    /// For ever. As the documents.
    REGISTERED_ORDER = "registered-order";
    /// string: that a call was run, so that one whose answer was lost is not run twice. Writer: finish, quarantine,
    /// record, register, release, replay, trim. Reader: the same. One hour. 1 for each call of an hour.
    CALL = "call:";
    /// list: the events of an alert, JSON. Writer: every step about it. Reader: journey. Until swept. 1 for each alert.
    EVENTS = "events:";
    /// hash: origin to checkpoint. Writer: set_checkpoint. Reader: checkpoint. For ever. 1; a field for each source.
    CHECKPOINTS = "checkpoints";
    /// hash: `holder` and `until` (ms). Writer: lease, unlease. Reader: lease. Until given back. 1 for each source,
    /// and 1 for who renews proofs.
    LEASE = "lease:";
    /// set: the feeds that entries were ever kept for. Writer: keep. Reader: housekeeping. For ever. 1.
    FEEDS = "feeds";
    /// hash: how far a feed is: `last` and `swept`, the last place that was given and the last whose entry was
    /// deleted. Writer: keep, sweep_feed. Reader: extent. For ever. 1 for each feed.
    FEED = "feed:";
    /// hash: an entry of a feed: `place`, `reference`, `entry` (JSON), `body`. Writer: keep, sweep_feed.
    /// Reader: entries, entry. Until swept. 1 for each entry.
    FEED_ENTRY = "feed-entry:";
    /// sorted set: the entries of a feed by place. Writer: keep, sweep_feed. Reader: entries. Until swept. As
    /// the entries.
    FEED_ORDER = "feed-order:";
    /// sorted set: the entries of a feed by the time from which retention counts (ms). Writer: keep,
    /// sweep_feed. Reader: sweep_feed. Until swept. As the entries.
    FEED_OVER = "feed-over:";
    /// hash: by CAP reference: the entry of a feed. Writer: keep, sweep_feed. Reader: keep. Until swept. 1 for
    /// each feed; a field for each entry.
    FEED_NAMES = "feed-names:";
    /// sorted set: the entries of a feed whose place nothing took, by when they expire (ms). Writer: keep,
    /// sweep_feed. Reader: entries. Until swept. As the entries that stand.
    FEED_STANDS = "feed-stands:";
    /// hash: how far a copy of another store is: `source`, `kind`, `place`. Writer: copy. Reader: copy, every start. Until the
    /// copy is complete. 1.
    COPY = "copy";
    /// string, counter. Writer: probe. Reader: nobody. For ever. 1.
    PROBE = "probe";
    /// string: as many bytes as a document that was refused. Writer: probe. Reader: nobody. Deleted in the step that
    /// writes it. 1.
    PROBE_BODY = "probe-body";
}

/// The consumer group of the inbox.
pub(super) const ROUTERS: &str = "routers";

/// The keys of one bridge.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    tag: String,
}

impl Keys {
    /// The keys of the bridge with this name.
    pub(super) fn new(name: &str) -> Result<Self, BadName> {
        let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !fits || name.is_empty() || name.len() > 64 {
            return Err(BadName);
        }
        Ok(Keys { tag: format!("{{capbridge:{name}}}:") })
    }

    /// A key that has no argument.
    pub(super) fn one(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.tag)
    }

    /// A key of a family.
    pub(super) fn of(&self, suffix: &str, argument: &str) -> String {
        format!("{}{suffix}{argument}", self.tag)
    }

    /// The argument of what is kept per (endpoint, chain).
    pub(super) fn line(chain: &str, endpoint: &str) -> String {
        format!("{chain}:{endpoint}")
    }

    /// The names as Lua constants, for the head of every script.
    pub(super) fn constants(&self) -> String {
        FAMILIES.iter().map(|f| format!("local {} = '{}{}'\n", f.lua, self.tag, f.suffix)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_slot_of_its_bridge() {
        let keys = Keys::new("north-1").unwrap();
        assert_eq!(keys.of(suffix::ALERT, "ab"), "{capbridge:north-1}:alert:ab");
        for line in keys.constants().lines() {
            assert!(line.contains("'{capbridge:north-1}:"), "{line}");
        }
    }

    #[test]
    fn names_that_could_leave_a_script_or_a_slot_are_refused() {
        for name in ["", "a'b", "a}b", "a b", "é", &"a".repeat(65)] {
            assert!(Keys::new(name).is_err(), "{name}");
        }
    }

    /// The paragraphs above, each with its key, as one line.
    fn paragraphs() -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut text = String::new();
        for line in include_str!("keys.rs").lines().map(str::trim) {
            if let Some(more) = line.strip_prefix("/// ") {
                text = format!("{text} {more}");
                continue;
            }
            if let Some((_, suffix)) = line
                .strip_suffix("\";")
                .and_then(|l| l.split_once(" = \""))
                .filter(|(name, _)| !name.contains(' '))
            {
                found.push((suffix.to_owned(), text.trim().to_owned()));
            }
            text.clear();
        }
        found
    }

    #[test]
    fn the_page_says_of_each_key_what_the_code_says() {
        let page = include_str!("../../../../docs/redis.md");
        let paragraphs = paragraphs();
        assert_eq!(paragraphs.len(), FAMILIES.len());
        let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
        let expected: Vec<String> =
            paragraphs.iter().map(|(key, text)| format!("| `{key}` | {text} |")).collect();
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected);
        }
        assert_eq!(rows.len(), expected.len());
    }

    #[test]
    fn no_suffix_is_the_beginning_of_another_family() {
        for a in FAMILIES {
            for b in FAMILIES {
                let clash = a.suffix.ends_with(':') && b.suffix.starts_with(a.suffix) && a.suffix != b.suffix;
                assert!(!clash, "{} and {}", a.suffix, b.suffix);
            }
        }
    }
}

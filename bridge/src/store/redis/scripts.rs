//! The atomic steps as server-side scripts.
//!
//! Owns their texts and hashes. A script is the keys as constants, what all share, and its own file; it touches keys of
//! one hash tag only and reads no clock. Must not be sent in full with each call: `EVALSHA`, loaded when missing.

use redis::{Cmd, Script};

use super::keys::Keys;

/// One script.
pub(super) struct Program {
    /// The text, for `SCRIPT LOAD`.
    pub(super) code: String,
    hash: String,
    slot: String,
}

impl Program {
    fn new(keys: &Keys, body: &str) -> Self {
        let code = format!("{}{}{body}", keys.constants(), include_str!("scripts/common.lua"));
        let hash = Script::new(&code).get_hash().to_owned();
        Program { code, hash, slot: keys.one("seq") }
    }

    /// The beginning of a call; arguments are added to it. The one key names the slot.
    pub(super) fn call(&self) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.hash).arg(1).arg(&self.slot);
        cmd
    }
}

macro_rules! programs {
    ($($name:ident),+ $(,)?) => {
        /// Every script.
        pub(super) struct Scripts {
            $(pub(super) $name: Program),+
        }

        impl Scripts {
            /// The scripts of a bridge.
            pub(super) fn new(keys: &Keys) -> Self {
                Scripts { $($name: Program::new(keys, include_str!(concat!("scripts/", stringify!($name), ".lua")))),+ }
            }

            /// All of them, to be loaded at the start.
            pub(super) fn all(&self) -> Vec<&Program> {
                vec![$(&self.$name),+]
            }
        }
    };
}

programs! {
    accept, claim, depth, entries, extend, find, finish, forget, give_back, issued, journey, keep, known, later, lease, list, next_due, oldest_quarantined, probe, quarantine, record,
    register, registrations, release, render, replay, route, seal, sweep, sweep_feed, sweep_quarantine, trim, unlease, unrouted,
}

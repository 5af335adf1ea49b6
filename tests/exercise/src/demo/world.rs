//! The stage: simulators, keys, the configuration and the bridge.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::Teller;
use crate::clock::Clock;
use crate::ipaws_open::{self, Cog, IpawsOpen};
use crate::keys::{Authority, CogKey, WebhookKeys};
use crate::masas_hub::{self, Account, MasasHub, Mode};
use crate::program::Program;
use crate::responder::{self, Responder};
use crate::server::Running;
use crate::signature::Certificate;

/// The COG of the bridge.
pub const BRIDGE_COG: u32 = 120_090;
/// The COG of the county that warns.
pub const COUNTY_COG: u32 = 200_900;

/// Everything that plays.
pub struct World {
    /// Time of all simulators.
    pub clock: Clock,
    /// The Canadian hub for real events.
    pub hub: Running<MasasHub>,
    /// The Canadian exercise hub.
    pub rehearsal: Running<MasasHub>,
    /// IPAWS-OPEN.
    pub ipaws: Running<IpawsOpen>,
    /// Responders: Michigan, Ontario (live) and the rehearsal room.
    pub michigan: Running<Responder>,
    /// See `michigan`.
    pub ontario: Running<Responder>,
    /// See `michigan`.
    pub room: Running<Responder>,
    /// The key of the county.
    pub county: CogKey,
    /// The bridge.
    pub bridge: Program,
    folder: tempfile::TempDir,
}

/// Access codes of the hub's accounts.
pub const LAMBTON: &str = "lambton-code";
/// See `LAMBTON`.
pub const AGGREGATOR: &str = "aggregator-code";
/// See `LAMBTON`.
pub const BRIDGE: &str = "bridge-code";

impl World {
    /// Sets the stage.
    ///
    /// # Errors
    /// A simulator or the bridge does not start.
    pub async fn start() -> Result<World> {
        let clock = Clock::system();
        let folder = tempfile::tempdir()?;
        let accounts = || {
            vec![
                Account::writer(LAMBTON, "Lambton EM"),
                Account::writer(AGGREGATOR, "Aggregator"),
                Account::writer(BRIDGE, "capbridge"),
            ]
        };
        let hub =
            MasasHub::start(masas_hub::Settings::new(Mode::Operations, accounts()), clock.clone()).await?;
        let rehearsal =
            MasasHub::start(masas_hub::Settings::new(Mode::Exercise, accounts()), clock.clone()).await?;
        let authority = Authority::new("Exercise Device CA 1", clock.now())?;
        let county = authority.cog(COUNTY_COG, clock.now(), 365)?;
        let own = authority.cog(BRIDGE_COG, clock.now(), 365)?;
        let cogs = vec![Cog::new(BRIDGE_COG, "capbridge"), Cog::new(COUNTY_COG, "St. Clair County")];
        let anchor = Certificate::from_pem(&authority.certificate_pem)?;
        let ipaws = IpawsOpen::start(ipaws_open::Settings::new(cogs, vec![anchor]), clock.clone()).await?;
        let webhook = WebhookKeys::new()?;
        let trusting = || responder::Settings {
            public_keys: vec![webhook.public.clone()],
            ..responder::Settings::default()
        };
        let michigan = Responder::start(trusting(), clock.clone()).await?;
        let ontario = Responder::start(trusting(), clock.clone()).await?;
        let room = Responder::start(trusting(), clock.clone()).await?;
        for (name, text) in [
            ("ca.pem", authority.certificate_pem.as_str()),
            ("cog.crt.pem", &own.certificate_pem),
            ("cog.key.pem", &own.key_pem),
            ("webhook.key.pem", &webhook.key_pem),
            ("hub.secret", BRIDGE),
        ] {
            write_private(&folder.path().join(name), text)?;
        }
        let config = configuration(&hub, &rehearsal, &ipaws, [&michigan, &ontario, &room]);
        let bridge = Program::start(folder.path(), &config).await?;
        Ok(World { clock, hub, rehearsal, ipaws, michigan, ontario, room, county, bridge, folder })
    }

    /// Now, cut to a second, as CAP has it.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.now().as_second()).unwrap_or(self.clock.now())
    }

    /// Waits until `check` gives something; `None` after `limit`.
    pub async fn wait<T>(&self, limit: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> Option<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = check().await {
                return Some(found);
            }
            if begun.elapsed() > limit {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The journey of an alert, from the bridge's admin socket.
    pub async fn journey(&self, identifier: &str) -> Option<Value> {
        let (status, value) = self.bridge.get(&format!("/v1/alerts/{identifier}/journey")).await.ok()?;
        (status == 200).then(|| value.get(0).cloned())?
    }

    /// Stops the bridge and tells how it ended.
    ///
    /// # Errors
    /// It does not drain.
    pub async fn stop(self, teller: &mut Teller) -> Result<()> {
        let status = self.bridge.terminate(Duration::from_secs(15)).await.context("stopping the bridge")?;
        teller.event("bridge", "SIGTERM: drained and stopped");
        teller.expect(status.success(), "a clean stop drains and ends with exit code 0");
        drop(self.folder);
        Ok(())
    }
}

/// Writes a file that only its owner can read.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

fn configuration(
    hub: &Running<MasasHub>,
    rehearsal: &Running<MasasHub>,
    ipaws: &Running<IpawsOpen>,
    [michigan, ontario, room]: [&Running<Responder>; 3],
) -> String {
    let own = |hub: &Running<MasasHub>| hub.site.account_uri(BRIDGE).unwrap_or_default();
    format!(
        include_str!("../../data/demo.toml"),
        hub = hub.site.hub_url(),
        hub_own = own(hub),
        rehearsal = rehearsal.site.hub_url(),
        rehearsal_own = own(rehearsal),
        ipaws = ipaws.url(),
        cog = BRIDGE_COG,
        michigan = michigan.url(),
        ontario = ontario.url(),
        room = room.url(),
    )
}

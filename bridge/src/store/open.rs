//! Opening the store that the configuration names, and the small views of it that others are given.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use capbridge_adapters::passage::Origin;
use capbridge_adapters::source::{AcceptError, Checkpoint};

use super::embedded::EmbeddedStore;
use super::redis::{RedisSettings, RedisStore};
use super::{Store, StoreError};
use crate::config::RedisAccess;
use crate::settings::{BridgeTable, StoreTable};

/// The longest wait for one answer of Redis; longer than a rewrite of its log holds up a write.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the store.
///
/// # Errors
/// It is not there, or it would lose data.
pub async fn open(
    settings: &StoreTable,
    access: RedisAccess,
    bridge: &BridgeTable,
) -> Result<Arc<dyn Store>, StoreError> {
    let Some(url) = &settings.redis_url else {
        let folder = bridge.data_dir.clone();
        return Ok(Arc::new(EmbeddedStore::open(&folder)?));
    };
    let redis = RedisSettings {
        url: url.clone(),
        password: access.password,
        sentinel_password: access.sentinel_password,
        tls: access.tls,
        name: bridge.name.clone(),
        wait_replicas: settings.wait_replicas,
        dangerous_allow_everysec: settings.dangerous_allow_everysec,
        command_timeout: COMMAND_TIMEOUT,
    };
    Ok(Arc::new(RedisStore::connect(redis).await?))
}

/// Checkpoints of sources, kept in the store.
pub struct Checkpoints(pub Arc<dyn Store>);

#[async_trait]
impl Checkpoint for Checkpoints {
    async fn load(&self, origin: &Origin) -> Result<Option<String>, AcceptError> {
        self.0.checkpoint(origin).await.map_err(|cause| AcceptError::NotStored { cause: Box::new(cause) })
    }

    async fn store(&self, origin: &Origin, value: &str) -> Result<(), AcceptError> {
        self.0
            .set_checkpoint(origin, value)
            .await
            .map_err(|cause| AcceptError::NotStored { cause: Box::new(cause) })
    }
}

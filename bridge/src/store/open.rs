//! Opening the store that the configuration names, and the small views of it that others are given.

use std::sync::Arc;

use async_trait::async_trait;
use capbridge_adapters::passage::Origin;
use capbridge_adapters::settings::Secret;
use capbridge_adapters::source::{AcceptError, Checkpoint};

use super::embedded::EmbeddedStore;
use super::{Store, StoreError};
use crate::config::{BridgeTable, StoreTable};

/// Opens the store.
///
/// # Errors
/// It is not there, or it would lose data.
pub async fn open(
    settings: &StoreTable,
    password: Option<Secret>,
    bridge: &BridgeTable,
) -> Result<Arc<dyn Store>, StoreError> {
    let _ = (settings, password);
    Ok(Arc::new(EmbeddedStore::open(&bridge.data_dir)?))
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

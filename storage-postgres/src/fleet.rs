//! What sees all tenants.

use async_trait::async_trait;
use sync_core::{Result, store::FleetStore};

use crate::storage::Fleet;

#[async_trait]
impl FleetStore for Fleet {
    async fn reap(&self) -> Result<u64> {
        Err(sync_core::Error::unsupported("not built"))
    }
}

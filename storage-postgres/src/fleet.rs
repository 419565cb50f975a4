//! What sees all tenants.

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sync_core::{Result, store::FleetStore};

use crate::{
    run,
    storage::Fleet,
    tx::{Door, Repeat},
};

/// Runs that are ended in one transaction.
const AT_ONCE: i64 = 500;

#[async_trait]
impl FleetStore for Fleet {
    async fn reap(&self) -> Result<u64> {
        let mut reaped = 0;
        loop {
            let some =
                self.0.run("reap", Door::Fleet, Repeat::Always, |tx| async move { run::bury(tx, None, AT_ONCE).await }.boxed()).await?;
            reaped += some;
            if some < AT_ONCE as u64 {
                return Ok(reaped);
            }
        }
    }
}

//! What sees all tenants.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sync_core::{
    Result,
    store::{FleetStore, Log},
};

use crate::{
    lease, retention, run,
    storage::Fleet,
    tx::{Door, Repeat},
};

/// Runs that are ended in one transaction.
const AT_ONCE: i64 = 500;

#[async_trait]
impl FleetStore for Fleet {
    async fn reap(&self) -> Result<u64> {
        lease::given_back(&self.0).await;
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
    async fn prune(&self, log: Log, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        // Done again after a commit whose answer was lost it deletes the next ones.
        self.0
            .run("prune", Door::Fleet, Repeat::Always, move |tx| async move { retention::prune(tx, log, before, limit).await }.boxed())
            .await
    }
}

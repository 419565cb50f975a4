//! What sees all tenants.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sync_core::{
    Result, WorkspaceId,
    store::{DueRenewal, FleetStore, KnownKey, Log, SealedPlace, SealedValue},
};

use crate::{
    credentials, lease, retention, run, sealed,
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

    async fn sealed(&self, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Result<Vec<SealedValue>> {
        let (header, after) = (header.to_vec(), after.cloned());
        let found = self.0.run("sealed", Door::Fleet, Repeat::Always, move |tx| {
            let (header, after) = (header.clone(), after.clone());
            async move { sealed::list(tx, &header, after.as_ref(), limit).await }.boxed()
        });
        found.await
    }

    async fn count_sealed(&self, header: &[u8]) -> Result<u64> {
        let header = header.to_vec();
        let counted = self.0.run("count_sealed", Door::Fleet, Repeat::Always, move |tx| {
            let header = header.clone();
            async move { sealed::count(tx, &header).await }.boxed()
        });
        counted.await
    }

    async fn reseal(&self, old: &SealedValue, envelope: Vec<u8>) -> Result<bool> {
        let old = old.clone();
        let replaced = self.0.run("reseal", Door::Fleet, Repeat::Always, move |tx| {
            let (old, envelope) = (old.clone(), envelope.clone());
            async move { sealed::replace(tx, &old, &envelope).await }.boxed()
        });
        replaced.await
    }

    async fn know_key(&self, id: &str, check: &[u8]) -> Result<KnownKey> {
        let (id, check) = (Box::<str>::from(id), check.to_vec());
        let known = self.0.run("know_key", Door::Fleet, Repeat::Always, move |tx| {
            let (id, check) = (id.clone(), check.clone());
            async move { sealed::know(tx, &id, &check).await }.boxed()
        });
        known.await
    }

    async fn retire_key(&self, id: &str, header: &[u8], at: DateTime<Utc>) -> Result<bool> {
        let (id, header) = (Box::<str>::from(id), header.to_vec());
        let retired = self.0.run("retire_key", Door::Fleet, Repeat::Always, move |tx| {
            let (id, header) = (id.clone(), header.clone());
            async move { sealed::retire(tx, &id, &header, at).await }.boxed()
        });
        retired.await
    }

    async fn use_key(&self, id: &str, uses: u64) -> Result<u64> {
        let id = Box::<str>::from(id);
        let counted = self.0.run("use_key", Door::Fleet, Repeat::Always, move |tx| {
            let id = id.clone();
            async move { sealed::count_uses(tx, &id, uses).await }.boxed()
        });
        counted.await
    }

    async fn due_renewals(
        &self,
        now: DateTime<Utc>,
        before: DateTime<Utc>,
        after: Option<&DueRenewal>,
        limit: u32,
    ) -> Result<Vec<DueRenewal>> {
        let after = after.cloned();
        let found = self.0.run("due_renewals", Door::Fleet, Repeat::Always, move |tx| {
            let after = after.clone();
            async move { credentials::due(tx, (now, before), after.as_ref(), limit).await }.boxed()
        });
        found.await
    }

    async fn erase(&self, workspace: &WorkspaceId) -> Result<u64> {
        crate::erase::erase(&self.0, workspace).await
    }

    async fn prune(&self, log: Log, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        // Done again after a commit whose answer was lost it deletes the next ones.
        self.0
            .run("prune", Door::Fleet, Repeat::Always, move |tx| async move { retention::prune(tx, log, before, limit).await }.boxed())
            .await
    }
}

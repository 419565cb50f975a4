//! Rows of entity types: writing, sweeping, reading.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sync_core::{
    EntityType, HostTable, Result,
    store::{CommitReport, Entity, EntityQuery, EntityStore, PageCommit, Preview, Sweep, SweepReport},
};

use crate::{
    commit::{self, Mode},
    storage::Scoped,
    sweep,
    tx::{Door, Repeat},
};

#[async_trait]
impl EntityStore for Scoped {
    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        let (workspace, commit) = (self.workspace.clone(), Arc::new(commit));
        let done = self.inner.run("commit", Door::Workspace(workspace.clone()), Repeat::UnlessCommitted, move |tx| {
            let (workspace, commit) = (workspace.clone(), Arc::clone(&commit));
            async move { commit::write(tx, &workspace, &commit, Mode::Commit).await }.boxed()
        });
        let written = done.await?;
        if let Some((entity, table)) = &written.table {
            self.inner.tables.remember(entity, table);
        }
        self.inner.crash_point("p11");
        Ok(written.preview.report)
    }

    async fn preview(&self, commit: PageCommit) -> Result<Preview> {
        let (workspace, commit) = (self.workspace.clone(), Arc::new(commit));
        let tried = self.inner.try_out("preview", &self.workspace, move |tx| {
            let (workspace, commit) = (workspace.clone(), Arc::clone(&commit));
            async move { commit::write(tx, &workspace, &commit, Mode::Preview).await }.boxed()
        });
        Ok(tried.await?.preview)
    }

    async fn sweep(&self, sweep: Sweep) -> Result<SweepReport> {
        sweep::sweep(&self.inner, &self.workspace, sweep).await
    }

    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()> {
        let _ = (table, fields);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        let _ = ();
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        let _ = (entity,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn entities(&self, entity: &EntityType, query: EntityQuery) -> Result<Vec<Entity>> {
        let _ = (entity, query);
        Err(sync_core::Error::unsupported("not built"))
    }
}

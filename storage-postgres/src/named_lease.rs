//! Leases by name.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sync_core::{Result, WorkspaceId, store::LeaseStore};

use crate::{
    error::Db,
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

/// The longest life of a lease, far from where times end.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

async fn lease(tx: &mut Tx, workspace: &WorkspaceId, name: &str, holder: &str, life: Duration) -> Db<bool> {
    // The clock is read once the row is ours: who waited for it holds it for the whole time from then on.
    let taken = sqlx::query(
        "INSERT INTO leases AS l (workspace_id, name, holder, until) VALUES ($1, $2, $3, clock() + make_interval(secs => $4)) \
         ON CONFLICT (workspace_id, name) DO UPDATE SET holder = excluded.holder, until = clock() + make_interval(secs => $4) \
         WHERE l.holder = excluded.holder OR l.until <= clock()",
    )
    .bind(workspace.as_str())
    .bind(name)
    .bind(holder)
    .bind(life.min(LONGEST).as_secs_f64())
    .execute(&mut **tx)
    .await?;
    Ok(taken.rows_affected() == 1)
}

#[async_trait]
impl LeaseStore for Scoped {
    async fn lease(&self, name: &str, holder: &str, life: Duration) -> Result<bool> {
        let (workspace, name, holder) = (self.workspace.clone(), Arc::<str>::from(name), Arc::<str>::from(holder));
        let door = Door::Workspace(self.workspace.clone());
        // Who was given it already, and did not hear of it, prolongs it.
        let done = self.inner.run("lease", door, Repeat::Always, move |tx| {
            let (workspace, name, holder) = (workspace.clone(), Arc::clone(&name), Arc::clone(&holder));
            async move { lease(tx, &workspace, &name, &holder, life).await }.boxed()
        });
        done.await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        let (workspace, name, holder) = (self.workspace.clone(), Arc::<str>::from(name), Arc::<str>::from(holder));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("release", door, Repeat::Always, move |tx| {
            let (workspace, name, holder) = (workspace.clone(), Arc::clone(&name), Arc::clone(&holder));
            async move {
                let released = sqlx::query("DELETE FROM leases WHERE workspace_id = $1 AND name = $2 AND holder = $3");
                released.bind(workspace.as_str()).bind(&*name).bind(&*holder).execute(&mut **tx).await?;
                Ok(())
            }
            .boxed()
        });
        done.await
    }
}

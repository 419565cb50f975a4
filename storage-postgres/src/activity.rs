//! The activity log.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::Row as _;
use sync_core::{
    Result, WorkspaceId,
    store::{Activity, ActivityStore, NewActivity},
};

use crate::{
    error::{Db, damaged},
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

/// Adds a row.
pub(crate) async fn add(tx: &mut Tx, workspace: &WorkspaceId, activity: &NewActivity) -> Db<()> {
    sqlx::query(
        "INSERT INTO integration_activity (workspace_id, integration_name, connection_id, action, success, records_affected, \
         error_message, metadata, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9)",
    )
    .bind(workspace.as_str())
    .bind(&*activity.integration)
    .bind(activity.connection.as_ref().map(AsRef::<str>::as_ref))
    .bind(&*activity.action)
    .bind(activity.success)
    .bind(activity.records_affected.cast_signed())
    .bind(activity.error.as_deref())
    .bind(activity.metadata.to_string())
    .bind(activity.at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[async_trait]
impl ActivityStore for Scoped {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        let (workspace, activity) = (self.workspace.clone(), Arc::new(activity));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("log_activity", door, Repeat::UnlessCommitted, move |tx| {
            let (workspace, activity) = (workspace.clone(), Arc::clone(&activity));
            async move { add(tx, &workspace, &activity).await }.boxed()
        });
        done.await
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("activities", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move {
                let rows = sqlx::query(
                    "SELECT id, integration_name, connection_id, action, success, records_affected, error_message, metadata::text, created_at \
                     FROM integration_activity WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2",
                )
                .bind(workspace.as_str())
                .bind(i64::from(limit))
                .fetch_all(&mut **tx)
                .await?;
                let mut activities = Vec::with_capacity(rows.len());
                for row in &rows {
                    activities.push(Activity {
                        id: row.try_get(0)?,
                        integration_name: row.try_get::<String, _>(1)?.into(),
                        connection_id: row.try_get::<Option<String>, _>(2)?.map(Into::into),
                        action: row.try_get::<String, _>(3)?.into(),
                        success: row.try_get(4)?,
                        records_affected: row.try_get::<i64, _>(5)?.cast_unsigned(),
                        error_message: row.try_get::<Option<String>, _>(6)?.map(Into::into),
                        metadata: serde_json::from_str(row.try_get(7)?).map_err(|_| damaged("activities", "metadata"))?,
                        created_at: row.try_get(8)?,
                    });
                }
                Ok(activities)
            }
            .boxed()
        });
        found.await
    }
}

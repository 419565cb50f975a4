//! The activity log.

use async_trait::async_trait;
use rusqlite::Transaction;
use sync_core::{
    Result, WorkspaceId,
    store::{Activity, ActivityStore, NewActivity},
};

use crate::{
    error::Db,
    storage::{Durability, Scoped},
    time,
};

/// Adds a row.
pub(crate) fn add(tx: &Transaction<'_>, workspace: &WorkspaceId, activity: &NewActivity) -> Db<()> {
    tx.prepare_cached(
        "INSERT INTO syncline_integration_activity (workspace_id, integration_name, connection_id, action, success, records_affected, \
         error_message, metadata, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        workspace.as_str(),
        &*activity.integration,
        activity.connection.as_ref().map(AsRef::as_ref),
        &*activity.action,
        activity.success,
        activity.records_affected.cast_signed(),
        activity.error.as_deref(),
        activity.metadata.to_string(),
        time::text(activity.at),
    ))?;
    Ok(())
}

#[async_trait]
impl ActivityStore for Scoped {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        self.workspace.check("log_activity")?;
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| add(tx, &workspace, &activity);
        self.inner.write("log_activity", move |writer| writer.write(Durability::Normal, |tx, _, _| job(tx))).await
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        let workspace = self.workspace.clone();
        self.inner
            .read("activities", move |tx| {
                let mut found = tx.prepare_cached(
                    "SELECT id, integration_name, connection_id, action, success, records_affected, error_message, metadata, created_at \
                     FROM syncline_integration_activity WHERE workspace_id = ?1 ORDER BY id DESC LIMIT ?2",
                )?;
                let rows = found.query_map((workspace.as_str(), limit), |row| {
                    Ok(Activity {
                        id: row.get(0)?,
                        integration_name: row.get(1)?,
                        connection_id: row.get_ref(2)?.as_str_or_null()?.map(Into::into),
                        action: row.get(3)?,
                        success: row.get(4)?,
                        records_affected: row.get::<_, i64>(5)?.cast_unsigned(),
                        error_message: row.get(6)?,
                        metadata: sync_core::json_value(row.get_ref(7)?.as_str()?),
                        created_at: time::column(row, 8)?,
                    })
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

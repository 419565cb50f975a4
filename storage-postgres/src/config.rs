//! Versions of what people configure.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Result, WorkspaceId,
    store::{CONNECTION_CONFIG, ConfigAction, ConfigCause, ConfigStore, ConfigVersion, Connection, NewConfig, config_change},
};

use crate::{
    activity,
    error::{Db, damaged},
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

fn from_row(row: &PgRow) -> Db<ConfigVersion> {
    let text = |at: usize| Ok::<_, sqlx::Error>(Box::<str>::from(row.try_get::<String, _>(at)?));
    let body: Option<&str> = row.try_get(3)?;
    let body = body.map(serde_json::from_str).transpose().map_err(|_| damaged("config_version", "body of a version"))?;
    Ok(ConfigVersion {
        kind: text(0)?,
        id: text(1)?,
        version: row.try_get::<i64, _>(2)?.cast_unsigned(),
        body,
        changed_by: text(4)?,
        changed_at: row.try_get(5)?,
        action: ConfigAction::parse(row.try_get(6)?).ok_or_else(|| damaged("config_version", "action of a version"))?,
    })
}

async fn list(tx: &mut Tx, workspace: &WorkspaceId, kind: &str, id: &str, limit: u32) -> Db<Vec<ConfigVersion>> {
    let rows = sqlx::query(
        "SELECT kind, id, version, body::text, changed_by, changed_at, action FROM config_versions \
         WHERE workspace_id = $1 AND kind = $2 AND id = $3 ORDER BY version DESC LIMIT $4",
    )
    .bind(workspace.as_str())
    .bind(kind)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(from_row).collect()
}

async fn find(tx: &mut Tx, workspace: &WorkspaceId, kind: &str, id: &str, version: u64) -> Db<Option<ConfigVersion>> {
    let found = sqlx::query(
        "SELECT kind, id, version, body::text, changed_by, changed_at, action FROM config_versions \
         WHERE workspace_id = $1 AND kind = $2 AND id = $3 AND version = $4",
    )
    .bind(workspace.as_str())
    .bind(kind)
    .bind(id)
    .bind(version.cast_signed())
    .fetch_optional(&mut **tx)
    .await?;
    found.as_ref().map(from_row).transpose()
}

/// Makes a version, unless there is one of this number; answers whether it did.
async fn insert(tx: &mut Tx, workspace: &WorkspaceId, version: &ConfigVersion) -> Db<bool> {
    let made = sqlx::query(
        "INSERT INTO config_versions (workspace_id, kind, id, version, body, changed_by, changed_at, action) \
         VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8) ON CONFLICT (workspace_id, kind, id, version) DO NOTHING",
    )
    .bind(workspace.as_str())
    .bind(&*version.kind)
    .bind(&*version.id)
    .bind(version.version.cast_signed())
    .bind(version.body.as_ref().map(ToString::to_string))
    .bind(&*version.changed_by)
    .bind(version.changed_at)
    .bind(version.action.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(made.rows_affected() == 1)
}

/// Writes what a change of a connection leaves: versions, and a row of the activity log. The connection's row is held by this transaction,
/// so nobody else makes versions of it.
pub(crate) async fn of_connection(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    before: Option<&Connection>,
    after: &Connection,
    cause: ConfigCause<'_>,
) -> Db<()> {
    let latest = list(tx, workspace, CONNECTION_CONFIG, after.id.as_str(), 1).await?.pop();
    let change = config_change(latest.as_ref(), before, after, cause);
    for version in &change.versions {
        insert(tx, workspace, version).await?;
    }
    match &change.activity {
        Some(row) => activity::add(tx, workspace, row).await,
        None => Ok(()),
    }
}

async fn put(tx: &mut Tx, workspace: &WorkspaceId, new: &NewConfig) -> Db<ConfigVersion> {
    new.check()?;
    let version = new.version();
    let latest = list(tx, workspace, &new.kind, &new.id, 1).await?.pop();
    let stored = match latest {
        latest if latest.as_ref().map_or(0, |latest| latest.version) != new.expected => latest,
        // Of those who go over one version at once the key lets one through, and the others wait for it here.
        _ if insert(tx, workspace, &version).await? => return found(tx, workspace, &version).await,
        _ => Some(found(tx, workspace, &version).await?),
    };
    match stored {
        // The answer to this very commit may have been lost.
        Some(stored) if same(&stored, &version) => Ok(stored),
        stored => Err(new.moved(stored.map_or(0, |stored| stored.version)).into()),
    }
}

/// A version that is there, as the server keeps it.
async fn found(tx: &mut Tx, workspace: &WorkspaceId, version: &ConfigVersion) -> Db<ConfigVersion> {
    let found = find(tx, workspace, &version.kind, &version.id, version.version).await?;
    found.ok_or_else(|| damaged("put_config", "version that was made"))
}

/// Whether a stored version is this one; the server keeps microseconds.
fn same(stored: &ConfigVersion, version: &ConfigVersion) -> bool {
    let time = |of: &ConfigVersion| of.changed_at.timestamp_micros();
    (stored.version, &stored.body, &stored.changed_by, stored.action, time(stored))
        == (version.version, &version.body, &version.changed_by, version.action, time(version))
}

#[async_trait]
impl ConfigStore for Scoped {
    fn keeps_config(&self) -> bool {
        true
    }

    async fn config_versions(&self, kind: &str, id: &str, limit: u32) -> Result<Vec<ConfigVersion>> {
        let (workspace, kind, id) = (self.workspace.clone(), Arc::<str>::from(kind), Arc::<str>::from(id));
        let found = self.inner.read("config_versions", &self.workspace, move |tx| {
            let (workspace, kind, id) = (workspace.clone(), Arc::clone(&kind), Arc::clone(&id));
            async move { list(tx, &workspace, &kind, &id, limit).await }.boxed()
        });
        found.await
    }

    async fn config_version(&self, kind: &str, id: &str, version: u64) -> Result<Option<ConfigVersion>> {
        let (workspace, kind, id) = (self.workspace.clone(), Arc::<str>::from(kind), Arc::<str>::from(id));
        let found = self.inner.read("config_version", &self.workspace, move |tx| {
            let (workspace, kind, id) = (workspace.clone(), Arc::clone(&kind), Arc::clone(&id));
            async move { find(tx, &workspace, &kind, &id, version).await }.boxed()
        });
        found.await
    }

    async fn configs(&self, kind: &str) -> Result<Vec<ConfigVersion>> {
        let (workspace, kind) = (self.workspace.clone(), Arc::<str>::from(kind));
        let found = self.inner.read("configs", &self.workspace, move |tx| {
            let (workspace, kind) = (workspace.clone(), Arc::clone(&kind));
            async move {
                let rows = sqlx::query(
                    "SELECT kind, id, version, body::text, changed_by, changed_at, action FROM (SELECT DISTINCT ON (id) * FROM config_versions \
                     WHERE workspace_id = $1 AND kind = $2 ORDER BY id, version DESC) l WHERE body IS NOT NULL ORDER BY id",
                )
                .bind(workspace.as_str())
                .bind(&*kind)
                .fetch_all(&mut **tx)
                .await?;
                rows.iter().map(from_row).collect()
            }
            .boxed()
        });
        found.await
    }

    async fn put_config(&self, new: NewConfig) -> Result<ConfigVersion> {
        let (workspace, new) = (self.workspace.clone(), Arc::new(new));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("put_config", door, Repeat::Always, move |tx| {
            let (workspace, new) = (workspace.clone(), Arc::clone(&new));
            async move { put(tx, &workspace, &new).await }.boxed()
        });
        done.await
    }
}

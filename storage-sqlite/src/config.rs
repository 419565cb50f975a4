//! Versions of what people configure.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction};
use sync_core::{
    Result, WorkspaceId,
    store::{CONNECTION_CONFIG, ConfigAction, ConfigCause, ConfigStore, ConfigVersion, Connection, NewConfig, config_change},
};

use crate::{
    activity,
    error::{Db, damaged},
    storage::{Durability, Scoped},
    time,
};

const COLUMNS: &str = "kind, id, version, body, changed_by, changed_at, action";

/// The version, unless its action is none that we know.
fn from_row(row: &Row<'_>) -> rusqlite::Result<Option<ConfigVersion>> {
    let Some(action) = ConfigAction::parse(row.get_ref(6)?.as_str()?) else { return Ok(None) };
    Ok(Some(ConfigVersion {
        kind: row.get(0)?,
        id: row.get(1)?,
        version: row.get::<_, i64>(2)?.cast_unsigned(),
        body: row.get_ref(3)?.as_str_or_null()?.map(sync_core::json_value),
        changed_by: row.get(4)?,
        changed_at: time::column(row, 5)?,
        action,
    }))
}

fn known(version: Option<ConfigVersion>) -> Db<ConfigVersion> {
    version.ok_or_else(|| damaged("config_version", "action of a version"))
}

fn list(tx: &Transaction<'_>, workspace: &WorkspaceId, kind: &str, id: &str, limit: u32) -> Db<Vec<ConfigVersion>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM syncline_config_versions WHERE workspace_id = ?1 AND kind = ?2 AND id = ?3 ORDER BY version DESC LIMIT ?4"
    );
    let mut found = tx.prepare_cached(&sql)?;
    let rows = found.query_map((workspace.as_str(), kind, id, limit), from_row)?;
    rows.map(|row| known(row?)).collect()
}

fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, kind: &str, id: &str, version: u64) -> Db<Option<ConfigVersion>> {
    let sql = format!("SELECT {COLUMNS} FROM syncline_config_versions WHERE workspace_id = ?1 AND kind = ?2 AND id = ?3 AND version = ?4");
    let mut found = tx.prepare_cached(&sql)?;
    found.query_row((workspace.as_str(), kind, id, version.cast_signed()), from_row).optional()?.map(known).transpose()
}

fn insert(tx: &Transaction<'_>, workspace: &WorkspaceId, version: &ConfigVersion) -> Db<()> {
    let sql = format!("INSERT INTO syncline_config_versions (workspace_id, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    tx.prepare_cached(&sql)?.execute((
        workspace.as_str(),
        &*version.kind,
        &*version.id,
        version.version.cast_signed(),
        version.body.as_ref().map(ToString::to_string),
        &*version.changed_by,
        time::text(version.changed_at),
        version.action.as_str(),
    ))?;
    Ok(())
}

/// Writes what a change of a connection leaves: versions, and a row of the activity log.
pub(crate) fn of_connection(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    before: Option<&Connection>,
    after: &Connection,
    cause: ConfigCause<'_>,
) -> Db<()> {
    let latest = list(tx, workspace, CONNECTION_CONFIG, after.id.as_str(), 1)?.pop();
    let change = config_change(latest.as_ref(), before, after, cause);
    for version in &change.versions {
        insert(tx, workspace, version)?;
    }
    change.activity.as_ref().map_or(Ok(()), |row| activity::add(tx, workspace, row))
}

fn put(tx: &Transaction<'_>, workspace: &WorkspaceId, new: &NewConfig) -> Db<ConfigVersion> {
    new.check()?;
    let latest = list(tx, workspace, &new.kind, &new.id, 1)?.pop().map_or(0, |latest| latest.version);
    if latest != new.expected {
        return Err(new.moved(latest).into());
    }
    let version = new.version();
    insert(tx, workspace, &version)?;
    Ok(version)
}

#[async_trait]
impl ConfigStore for Scoped {
    fn keeps_config(&self) -> bool {
        true
    }

    async fn config_versions(&self, kind: &str, id: &str, limit: u32) -> Result<Vec<ConfigVersion>> {
        let (workspace, kind, id) = (self.workspace.clone(), Box::<str>::from(kind), Box::<str>::from(id));
        self.inner.read("config_versions", move |tx| list(tx, &workspace, &kind, &id, limit)).await
    }

    async fn config_version(&self, kind: &str, id: &str, version: u64) -> Result<Option<ConfigVersion>> {
        let (workspace, kind, id) = (self.workspace.clone(), Box::<str>::from(kind), Box::<str>::from(id));
        self.inner.read("config_version", move |tx| find(tx, &workspace, &kind, &id, version)).await
    }

    async fn configs(&self, kind: &str) -> Result<Vec<ConfigVersion>> {
        let (workspace, kind) = (self.workspace.clone(), Box::<str>::from(kind));
        let latest = move |tx: &Transaction<'_>| {
            let sql = format!(
                "SELECT {COLUMNS} FROM syncline_config_versions v WHERE workspace_id = ?1 AND kind = ?2 AND body IS NOT NULL \
                 AND version = (SELECT max(version) FROM syncline_config_versions l WHERE l.workspace_id = v.workspace_id \
                 AND l.kind = v.kind AND l.id = v.id) ORDER BY id"
            );
            let mut found = tx.prepare_cached(&sql)?;
            let rows = found.query_map((workspace.as_str(), &*kind), from_row)?;
            rows.map(|row| known(row?)).collect()
        };
        self.inner.read("configs", latest).await
    }

    async fn put_config(&self, new: NewConfig) -> Result<ConfigVersion> {
        self.workspace.check("put_config")?;
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| put(tx, &workspace, &new);
        self.inner.write("put_config", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

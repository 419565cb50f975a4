//! Connections and their sealed credentials.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Row, Transaction};
use sync_core::{
    ConnectionId, Error, ErrorKind, Result, WorkspaceId,
    store::{
        ConfigAction, ConfigCause, Connection, ConnectionPatch, ConnectionStatus, ConnectionStore, NewConnection, Onboarding,
        OnboardingStore as _, Renewal, SealedCredentials,
    },
};

use crate::{
    client, config, credentials,
    error::Db,
    onboarding,
    storage::{Durability, Scoped},
    table::connection_no,
    time,
};

const COLUMNS: &str = "workspace_id, id, provider, subject_id, account_id, account_name, connected_by, oauth_provider, settings, status, \
    sync_enabled, sync_frequency_minutes, last_sync_at, sync_status, error_message, error_count, expires_at, token_version, created_at, updated_at, \
    grant_kind, granted_scopes, renewal_failing_since, renewal_not_before, renewal_underway_since, \
    renewal_refused_at, renewal_failed_at, renewal_failures, renewal_error_kind, error_kind";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Connection> {
    Ok(Connection {
        workspace_id: row.get_ref(0)?.as_str()?.into(),
        id: row.get_ref(1)?.as_str()?.into(),
        provider: row.get(2)?,
        subject_id: row.get(3)?,
        account_id: row.get(4)?,
        account_name: row.get(5)?,
        connected_by: row.get(6)?,
        oauth_provider: row.get(7)?,
        settings: sync_core::json_value(row.get_ref(8)?.as_str()?),
        status: ConnectionStatus::parse(row.get_ref(9)?.as_str()?).unwrap_or(ConnectionStatus::Error),
        sync_enabled: row.get(10)?,
        sync_frequency_minutes: row.get(11)?,
        last_sync_at: time::optional(row, 12)?,
        sync_status: row.get(13)?,
        error_message: row.get(14)?,
        error_kind: kind(row, 29)?,
        error_count: row.get(15)?,
        expires_at: time::optional(row, 16)?,
        token_version: row.get::<_, i64>(17)?.cast_unsigned(),
        grant: credentials::grant(row, 20)?,
        scopes: credentials::scopes(row, 21)?,
        renewal: Renewal {
            failing_since: time::optional(row, 22)?,
            failed_at: time::optional(row, 26)?,
            failures: row.get(27)?,
            error_kind: kind(row, 28)?,
            not_before: time::optional(row, 23)?,
            underway_since: time::optional(row, 24)?,
            refused_at: time::optional(row, 25)?,
        },
        created_at: time::column(row, 18)?,
        updated_at: time::column(row, 19)?,
    })
}

/// The kind of an error; one that a newer version wrote is not known.
fn kind(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<ErrorKind>> {
    Ok(row.get_ref(at)?.as_str_or_null()?.and_then(ErrorKind::parse))
}

pub(crate) fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &ConnectionId) -> Db<Option<Connection>> {
    let sql = format!("SELECT {COLUMNS} FROM syncline_integration_connections WHERE workspace_id = ?1 AND id = ?2");
    Ok(tx.prepare_cached(&sql)?.query_row((workspace.as_str(), id.as_str()), from_row).optional()?)
}

pub(crate) fn unknown(operation: &'static str, id: &ConnectionId) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("there is no connection {id} in this workspace"))
}

pub(crate) fn id_of(tx: &Transaction<'_>, workspace: &WorkspaceId, provider: &str, account: &str) -> Db<Option<ConnectionId>> {
    let sql = "SELECT id FROM syncline_integration_connections WHERE workspace_id = ?1 AND provider = ?2 AND account_id = ?3";
    let id: Option<String> = tx.prepare_cached(sql)?.query_row((workspace.as_str(), provider, account), |row| row.get(0)).optional()?;
    Ok(id.map(ConnectionId::from))
}

/// Makes or heals a connection; answers it with the onboarding that advanced by it.
pub(crate) fn connect(tx: &Transaction<'_>, workspace: &WorkspaceId, new: &NewConnection) -> Db<(Connection, Option<Onboarding>)> {
    let at = time::text(new.at);
    let same = id_of(tx, workspace, &new.provider, &new.account_id)?;
    let before = same.as_ref().map_or(Ok(None), |id| find(tx, workspace, id))?;
    if same.as_ref().is_some_and(|id| new.credentials.is_some() && *id != new.id) {
        let text = "the account is connected under another id than the credentials were sealed for; look it up and seal them for that one";
        return Err(Error::new(ErrorKind::Conflict, "connect", text).into());
    }
    if new.over.is_some_and(|version| before.as_ref().map_or(0, |before| before.token_version) != version) {
        let text = "the credentials were changed since these were made from them; look at them again";
        return Err(Error::new(ErrorKind::Conflict, "connect", text).into());
    }
    let linked = client::of_account(tx, workspace, &new.provider, &new.account_id)?;
    let id = match same {
        Some(id) => {
            tx.prepare_cached(
                "UPDATE syncline_integration_connections SET subject_id = coalesce(?3, subject_id, ?10), \
                 account_name = coalesce(?4, account_name), connected_by = coalesce(?5, connected_by), \
                 oauth_provider = CASE WHEN ?11 THEN ?6 ELSE coalesce(?6, oauth_provider) END, settings = ?7, sync_frequency_minutes = ?8, \
                 status = CASE status WHEN 'paused' THEN 'paused' ELSE 'active' END, error_message = NULL, error_kind = NULL, error_count = 0, updated_at = ?9 WHERE workspace_id = ?1 AND id = ?2",
            )?
            .execute((
                workspace.as_str(),
                id.as_str(),
                new.subject_id.as_deref(),
                new.account_name.as_deref(),
                new.connected_by.as_deref(),
                new.oauth_provider.as_deref(),
                new.settings.to_string(),
                new.sync_frequency_minutes,
                &at,
                linked.as_deref(),
                new.credentials.is_some(),
            ))?;
            id
        }
        None => {
            let taken = tx.prepare_cached("SELECT 1 FROM syncline_integration_connections WHERE id = ?1")?.exists([new.id.as_str()])?;
            if taken {
                // Says nothing of whose it is.
                return Err(Error::new(ErrorKind::Conflict, "connect", "this connection id is in use; make a new one").into());
            }
            tx.prepare_cached(
                "INSERT INTO syncline_integration_connections (workspace_id, id, provider, subject_id, account_id, account_name, \
                 connected_by, oauth_provider, settings, sync_frequency_minutes, created_at, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
            )?
            .execute((
                workspace.as_str(),
                new.id.as_str(),
                &*new.provider,
                new.subject_id.as_deref().or(linked.as_deref()),
                &*new.account_id,
                new.account_name.as_deref(),
                new.connected_by.as_deref(),
                new.oauth_provider.as_deref(),
                new.settings.to_string(),
                new.sync_frequency_minutes,
                &at,
            ))?;
            // Numbers follow the order of connecting, not that of first commits, so that two databases with one history are equal.
            connection_no(tx, workspace, &new.id)?;
            new.id.clone()
        }
    };
    if let Some(sealed) = &new.credentials {
        credentials::set(tx, workspace, &id, sealed, new.at)?;
    }
    let after = find(tx, workspace, &id)?.ok_or_else(|| unknown("connect", &id))?;
    let cause = ConfigCause { action: ConfigAction::Connected, by: new.connected_by.as_deref(), at: new.at };
    config::of_connection(tx, workspace, before.as_ref(), &after, cause)?;
    let advanced = onboarding::of_connection(tx, workspace, before.as_ref(), &after, new.at)?;
    Ok((after, advanced))
}

/// Changes a connection.
pub(crate) fn update(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    id: &ConnectionId,
    patch: &ConnectionPatch,
    at: DateTime<Utc>,
) -> Db<Connection> {
    let before = find(tx, workspace, id)?.ok_or_else(|| unknown("update_connection", id))?;
    let mut wanted = before.clone();
    patch.apply(&mut wanted, at)?;
    tx.prepare_cached(
        "UPDATE syncline_integration_connections SET status = ?3, sync_enabled = ?4, sync_frequency_minutes = ?5, \
         settings = coalesce(?6, settings), account_name = ?7, subject_id = ?8, error_count = ?9, error_message = ?10, updated_at = ?11, \
         error_kind = ?12, renewal_failing_since = ?13, renewal_failed_at = ?14, renewal_failures = ?15, renewal_error_kind = ?16 \
         WHERE workspace_id = ?1 AND id = ?2",
    )?
    .execute((
        workspace.as_str(),
        id.as_str(),
        wanted.status.as_str(),
        wanted.sync_enabled,
        wanted.sync_frequency_minutes,
        // Settings that stay are not written anew.
        (wanted.settings != before.settings).then(|| wanted.settings.to_string()),
        wanted.account_name.as_deref(),
        wanted.subject_id.as_deref(),
        wanted.error_count,
        wanted.error_message.as_deref(),
        time::text(at),
        wanted.error_kind.map(ErrorKind::as_str),
        wanted.renewal.failing_since.map(time::text),
        wanted.renewal.failed_at.map(time::text),
        wanted.renewal.failures,
        wanted.renewal.error_kind.map(ErrorKind::as_str),
    ))?;
    let after = find(tx, workspace, id)?.ok_or_else(|| unknown("update_connection", id))?;
    config::of_connection(tx, workspace, Some(&before), &after, patch.cause(at))?;
    onboarding::of_connection(tx, workspace, Some(&before), &after, at)?;
    Ok(after)
}

fn disconnect(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &ConnectionId, by: Option<&str>, at: DateTime<Utc>) -> Db<Connection> {
    let before = find(tx, workspace, id)?.ok_or_else(|| unknown("disconnect", id))?;
    credentials::delete(tx, workspace, id, at)?;
    let after = find(tx, workspace, id)?.ok_or_else(|| unknown("disconnect", id))?;
    config::of_connection(tx, workspace, Some(&before), &after, ConfigCause { action: ConfigAction::Disconnected, by, at })?;
    onboarding::of_connection(tx, workspace, Some(&before), &after, at)?;
    Ok(after)
}

#[async_trait]
impl ConnectionStore for Scoped {
    async fn connect(&self, new: NewConnection) -> Result<Connection> {
        Ok(self.connect_onboarding(new).await?.0)
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        let (workspace, id) = (self.workspace.clone(), id.clone());
        self.inner.read("connection", move |tx| find(tx, &workspace, &id)).await
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let workspace = self.workspace.clone();
        self.inner
            .read("connections", move |tx| {
                let sql =
                    format!("SELECT {COLUMNS} FROM syncline_integration_connections WHERE workspace_id = ?1 ORDER BY created_at, rowid");
                let mut found = tx.prepare_cached(&sql)?;
                let rows = found.query_map([workspace.as_str()], from_row)?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: DateTime<Utc>) -> Result<Connection> {
        let (workspace, id) = (self.workspace.clone(), id.clone());
        let job = move |tx: &Transaction<'_>| update(tx, &workspace, &id, &patch, at);
        self.inner.write("update_connection", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn account(&self, provider: &str, account_id: &str) -> Result<Option<Connection>> {
        let (workspace, provider, account) = (self.workspace.clone(), Box::<str>::from(provider), Box::<str>::from(account_id));
        let found = self.inner.read("account", move |tx| {
            let id = id_of(tx, &workspace, &provider, &account)?;
            id.map_or(Ok(None), |id| find(tx, &workspace, &id))
        });
        found.await
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        let (workspace, id) = (self.workspace.clone(), id.clone());
        self.inner.read("credentials", move |tx| credentials::find(tx, &workspace, &id)).await
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool> {
        let (workspace, id) = (self.workspace.clone(), id.clone());
        let job = move |tx: &Transaction<'_>| credentials::replace(tx, &workspace, &id, expected, &sealed, at);
        self.inner.write("replace_credentials", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn note_renewal(
        &self,
        id: &ConnectionId,
        expected: u64,
        renewal: Renewal,
        gone: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let (workspace, id, gone) = (self.workspace.clone(), id.clone(), gone.map(Box::<str>::from));
        let job = move |tx: &Transaction<'_>| credentials::note_renewal(tx, (&workspace, &id), expected, (&renewal, gone.as_deref()), at);
        self.inner.write("note_renewal", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn disconnect(&self, id: &ConnectionId, at: DateTime<Utc>) -> Result<Connection> {
        self.disconnect_by(id, None, at).await
    }

    async fn disconnect_by(&self, id: &ConnectionId, by: Option<&str>, at: DateTime<Utc>) -> Result<Connection> {
        let (workspace, id, by) = (self.workspace.clone(), id.clone(), by.map(Box::<str>::from));
        let job = move |tx: &Transaction<'_>| disconnect(tx, &workspace, &id, by.as_deref(), at);
        self.inner.write("disconnect", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

//! Connections and their sealed credentials.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    ConnectionId, Error, ErrorKind, Result, WorkspaceId,
    store::{
        ConfigAction, ConfigCause, Connection, ConnectionPatch, ConnectionStatus, ConnectionStore, NewConnection, Onboarding,
        OnboardingStore as _, Renewal, SealedCredentials,
    },
};

use crate::{
    client, config, credentials,
    error::{Db, damaged},
    onboarding,
    storage::Scoped,
    table::connection_no,
    tx::{Door, Repeat, Tx},
};

macro_rules! columns {
    () => {
        "workspace_id, id, provider, subject_id, account_id, account_name, connected_by, oauth_provider, settings::text, status, \
         sync_enabled, sync_frequency_minutes, last_sync_at, sync_status, error_message, error_count, expires_at, token_version, \
         created_at, updated_at, grant_kind, granted_scopes, renewal_failing_since, renewal_not_before, renewal_underway_since, \
         renewal_refused_at, renewal_failed_at, renewal_failures, renewal_error_kind, error_kind"
    };
}

fn from_row(row: &PgRow) -> Db<Connection> {
    let text = |at: usize| row.try_get::<String, _>(at);
    let optional = |at: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(at)?.map(Box::<str>::from));
    let count = |at: usize| Ok::<_, sqlx::Error>(u32::try_from(row.try_get::<i64, _>(at)?).unwrap_or(u32::MAX));
    // One that a newer version wrote is not known.
    let kind = |at: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<&str>, _>(at)?.and_then(ErrorKind::parse));
    let renewal = Renewal {
        failing_since: row.try_get(22)?,
        failed_at: row.try_get(26)?,
        failures: count(27)?,
        error_kind: kind(28)?,
        not_before: row.try_get(23)?,
        underway_since: row.try_get(24)?,
        refused_at: row.try_get(25)?,
    };
    Ok(Connection {
        workspace_id: text(0)?.into(),
        id: text(1)?.into(),
        provider: text(2)?.into(),
        subject_id: optional(3)?,
        account_id: text(4)?.into(),
        account_name: optional(5)?,
        connected_by: optional(6)?,
        oauth_provider: optional(7)?,
        settings: serde_json::from_str(&text(8)?).map_err(|_| damaged("connection", "settings"))?,
        status: ConnectionStatus::parse(&text(9)?).ok_or_else(|| damaged("connection", "status of a connection"))?,
        sync_enabled: row.try_get(10)?,
        sync_frequency_minutes: count(11)?,
        last_sync_at: row.try_get(12)?,
        sync_status: optional(13)?,
        error_message: optional(14)?,
        error_kind: kind(29)?,
        error_count: count(15)?,
        expires_at: row.try_get(16)?,
        token_version: row.try_get::<i64, _>(17)?.cast_unsigned(),
        grant: credentials::grant(row, 20)?,
        scopes: credentials::scopes(row, 21)?,
        renewal,
        created_at: row.try_get(18)?,
        updated_at: row.try_get(19)?,
    })
}

pub(crate) async fn find(tx: &mut Tx, workspace: &WorkspaceId, id: &str) -> Db<Option<Connection>> {
    let found = sqlx::query(concat!("SELECT ", columns!(), " FROM integration_connections WHERE workspace_id = $1 AND id = $2"))
        .bind(workspace.as_str())
        .bind(id)
        .fetch_optional(&mut **tx)
        .await?;
    found.as_ref().map(from_row).transpose()
}

pub(crate) fn unknown(operation: &'static str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("there is no connection {id} in this workspace"))
}

/// Makes the connection, or heals the one there is. Two that connect one account at once take turns and get one connection.
/// Answers it with the onboarding that advanced by it.
pub(crate) async fn connect(tx: &mut Tx, workspace: &WorkspaceId, new: &NewConnection) -> Db<(Connection, Option<Onboarding>)> {
    client::turn_of_account(tx, workspace, &new.provider, &new.account_id).await?;
    let linked = client::of_account(tx, workspace, &new.provider, &new.account_id).await?;
    let before = of_account(tx, workspace, &new.provider, &new.account_id).await?;
    // The row is ours by now, if there is one.
    if new.over.is_some_and(|version| before.as_ref().map_or(0, |before| before.token_version) != version) {
        let text = "the credentials were changed since these were made from them; look at them again";
        return Err(Error::new(ErrorKind::Conflict, "connect", text).into());
    }
    let mut connection = match &before {
        Some(before) if new.credentials.is_some() && before.id != new.id => {
            let text =
                "the account is connected under another id than the credentials were sealed for; look it up and seal them for that one";
            return Err(Error::new(ErrorKind::Conflict, "connect", text).into());
        }
        Some(before) => heal(tx, workspace, before, new, linked.as_deref()).await?,
        None => make(tx, workspace, new, linked.as_deref()).await?,
    };
    // Numbers follow the order of connecting, not that of first commits, so that two databases with one history are equal.
    connection_no(tx, connection.id.as_str()).await?;
    if let Some(sealed) = &new.credentials {
        let (id, version) = (connection.id.as_str(), connection.token_version);
        // The row is ours until the end of the transaction, so its version stays what it is.
        credentials::replace(tx, workspace, id, version, &SealedCredentials { version: version + 1, ..sealed.clone() }, new.at).await?;
        connection = find(tx, workspace, id).await?.ok_or_else(|| unknown("connect", id))?;
    }
    let cause = ConfigCause { action: ConfigAction::Connected, by: new.connected_by.as_deref(), at: new.at };
    config::of_connection(tx, workspace, before.as_ref(), &connection, cause).await?;
    let advanced = onboarding::of_connection(tx, workspace, before.as_ref(), &connection, new.at).await?;
    Ok((connection, advanced))
}

/// The connection of the account, held until the end of the transaction.
pub(crate) async fn of_account(tx: &mut Tx, workspace: &WorkspaceId, provider: &str, account: &str) -> Db<Option<Connection>> {
    let found = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM integration_connections WHERE workspace_id = $1 AND provider = $2 AND account_id = $3 FOR UPDATE"
    ));
    let found = found.bind(workspace.as_str()).bind(provider).bind(account).fetch_optional(&mut **tx).await?;
    found.as_ref().map(from_row).transpose()
}

async fn make(tx: &mut Tx, workspace: &WorkspaceId, new: &NewConnection, linked: Option<&str>) -> Db<Connection> {
    let made = sqlx::query(concat!(
        "INSERT INTO integration_connections (workspace_id, id, provider, subject_id, account_id, account_name, connected_by, \
         oauth_provider, settings, sync_frequency_minutes, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb, $10, $11, $11) RETURNING ",
        columns!()
    ))
    .bind(workspace.as_str())
    .bind(new.id.as_str())
    .bind(&*new.provider)
    .bind(new.subject_id.as_deref().or(linked))
    .bind(&*new.account_id)
    .bind(new.account_name.as_deref())
    .bind(new.connected_by.as_deref())
    .bind(new.oauth_provider.as_deref())
    .bind(new.settings.to_string())
    .bind(i64::from(new.sync_frequency_minutes))
    .bind(new.at)
    .fetch_one(&mut **tx)
    .await;
    match made {
        Ok(row) => from_row(&row),
        Err(error) if crate::error::code(&error) == Some("23505") => {
            Err(Error::new(ErrorKind::Conflict, "connect", "this connection id is in use; make a new one").into())
        }
        Err(error) => Err(error.into()),
    }
}

async fn heal(tx: &mut Tx, workspace: &WorkspaceId, before: &Connection, new: &NewConnection, linked: Option<&str>) -> Db<Connection> {
    let healed = sqlx::query(concat!(
        "UPDATE integration_connections SET subject_id = coalesce($3, subject_id, $10), account_name = coalesce($4, account_name), \
         connected_by = coalesce($5, connected_by), \
         oauth_provider = CASE WHEN $11 THEN $6 ELSE coalesce($6, oauth_provider) END, settings = $7::text::jsonb, \
         sync_frequency_minutes = $8, status = CASE status WHEN 'paused' THEN 'paused' ELSE 'active' END, \
         error_message = NULL, error_kind = NULL, error_count = 0, updated_at = $9 \
         WHERE workspace_id = $1 AND id = $2 RETURNING ",
        columns!()
    ))
    .bind(workspace.as_str())
    .bind(before.id.as_str())
    .bind(new.subject_id.as_deref())
    .bind(new.account_name.as_deref())
    .bind(new.connected_by.as_deref())
    .bind(new.oauth_provider.as_deref())
    .bind(new.settings.to_string())
    .bind(i64::from(new.sync_frequency_minutes))
    .bind(new.at)
    .bind(linked)
    .bind(new.credentials.is_some())
    .fetch_one(&mut **tx)
    .await?;
    from_row(&healed)
}

/// A connection, held until the end of the transaction.
async fn held(tx: &mut Tx, workspace: &WorkspaceId, id: &str, operation: &'static str) -> Db<Connection> {
    let found = sqlx::query(concat!("SELECT ", columns!(), " FROM integration_connections WHERE workspace_id = $1 AND id = $2 FOR UPDATE"));
    let found = found.bind(workspace.as_str()).bind(id).fetch_optional(&mut **tx).await?;
    found.as_ref().map(from_row).transpose()?.ok_or_else(|| unknown(operation, id).into())
}

/// Changes a connection.
pub(crate) async fn update(tx: &mut Tx, workspace: &WorkspaceId, id: &str, patch: &ConnectionPatch, at: DateTime<Utc>) -> Db<Connection> {
    let before = held(tx, workspace, id, "update_connection").await?;
    let mut wanted = before.clone();
    patch.apply(&mut wanted, at)?;
    let row = sqlx::query(concat!(
        "UPDATE integration_connections SET status = $3, sync_enabled = $4, sync_frequency_minutes = $5, \
         settings = coalesce($6::text::jsonb, settings), account_name = $7, subject_id = $8, error_count = $9, error_message = $10, \
         updated_at = $11, error_kind = $12, renewal_failing_since = $13, renewal_failed_at = $14, renewal_failures = $15, \
         renewal_error_kind = $16 WHERE workspace_id = $1 AND id = $2 RETURNING ",
        columns!()
    ))
    .bind(workspace.as_str())
    .bind(id)
    .bind(wanted.status.as_str())
    .bind(wanted.sync_enabled)
    .bind(i64::from(wanted.sync_frequency_minutes))
    // Settings that stay are not written anew.
    .bind((wanted.settings != before.settings).then(|| wanted.settings.to_string()))
    .bind(wanted.account_name.as_deref())
    .bind(wanted.subject_id.as_deref())
    .bind(i64::from(wanted.error_count))
    .bind(wanted.error_message.as_deref())
    .bind(at)
    .bind(wanted.error_kind.map(ErrorKind::as_str))
    .bind(wanted.renewal.failing_since)
    .bind(wanted.renewal.failed_at)
    .bind(i64::from(wanted.renewal.failures))
    .bind(wanted.renewal.error_kind.map(ErrorKind::as_str))
    .fetch_optional(&mut **tx)
    .await?;
    let after = row.as_ref().map(from_row).transpose()?.ok_or_else(|| unknown("update_connection", id))?;
    config::of_connection(tx, workspace, Some(&before), &after, patch.cause(at)).await?;
    onboarding::of_connection(tx, workspace, Some(&before), &after, at).await?;
    Ok(after)
}

async fn disconnect(tx: &mut Tx, workspace: &WorkspaceId, id: &str, by: Option<&str>, at: DateTime<Utc>) -> Db<Connection> {
    let before = held(tx, workspace, id, "disconnect").await?;
    let after = credentials::disconnect(tx, workspace, id, at).await?;
    config::of_connection(tx, workspace, Some(&before), &after, ConfigCause { action: ConfigAction::Disconnected, by, at }).await?;
    onboarding::of_connection(tx, workspace, Some(&before), &after, at).await?;
    Ok(after)
}

#[async_trait]
impl ConnectionStore for Scoped {
    async fn connect(&self, new: NewConnection) -> Result<Connection> {
        Ok(self.connect_onboarding(new).await?.0)
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        let (workspace, id) = (self.workspace.clone(), id.clone());
        let found = self.inner.read("connection", &self.workspace, move |tx| {
            let (workspace, id) = (workspace.clone(), id.clone());
            async move { find(tx, &workspace, id.as_str()).await }.boxed()
        });
        found.await
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("connections", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move {
                let rows = sqlx::query(concat!(
                    "SELECT ",
                    columns!(),
                    " FROM integration_connections WHERE workspace_id = $1 ORDER BY created_at, made"
                ))
                .bind(workspace.as_str())
                .fetch_all(&mut **tx)
                .await?;
                rows.iter().map(from_row).collect()
            }
            .boxed()
        });
        found.await
    }

    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: DateTime<Utc>) -> Result<Connection> {
        let (workspace, id, patch) = (self.workspace.clone(), id.clone(), Arc::new(patch));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("update_connection", door, Repeat::Always, move |tx| {
            let (workspace, id, patch) = (workspace.clone(), id.clone(), Arc::clone(&patch));
            async move { update(tx, &workspace, id.as_str(), &patch, at).await }.boxed()
        });
        done.await
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        let (workspace, id) = (self.workspace.clone(), id.clone());
        let found = self.inner.read("credentials", &self.workspace, move |tx| {
            let (workspace, id) = (workspace.clone(), id.clone());
            async move { credentials::find(tx, &workspace, id.as_str()).await }.boxed()
        });
        found.await
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool> {
        let (workspace, id, sealed) = (self.workspace.clone(), id.clone(), Arc::new(sealed));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("replace_credentials", door, Repeat::Always, move |tx| {
            let (workspace, id, sealed) = (workspace.clone(), id.clone(), Arc::clone(&sealed));
            async move { credentials::replace(tx, &workspace, id.as_str(), expected, &sealed, at).await }.boxed()
        });
        done.await
    }

    async fn account(&self, provider: &str, account_id: &str) -> Result<Option<Connection>> {
        let (workspace, provider, account) = (self.workspace.clone(), Arc::<str>::from(provider), Arc::<str>::from(account_id));
        let found = self.inner.read("account", &self.workspace, move |tx| {
            let (workspace, provider, account) = (workspace.clone(), Arc::clone(&provider), Arc::clone(&account));
            async move {
                let found = sqlx::query(concat!(
                    "SELECT ",
                    columns!(),
                    " FROM integration_connections WHERE workspace_id = $1 AND provider = $2 AND account_id = $3"
                ));
                let found = found.bind(workspace.as_str()).bind(&*provider).bind(&*account).fetch_optional(&mut **tx).await?;
                found.as_ref().map(from_row).transpose()
            }
            .boxed()
        });
        found.await
    }

    async fn note_renewal(
        &self,
        id: &ConnectionId,
        expected: u64,
        renewal: Renewal,
        gone: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let (workspace, id, gone) = (self.workspace.clone(), id.clone(), gone.map(Arc::<str>::from));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("note_renewal", door, Repeat::Always, move |tx| {
            let (workspace, id, gone) = (workspace.clone(), id.clone(), gone.clone());
            async move {
                let whose = (&workspace, id.as_str());
                credentials::note_renewal(tx, whose, expected, (&renewal, gone.as_deref()), at).await
            }
            .boxed()
        });
        done.await
    }

    async fn disconnect(&self, id: &ConnectionId, at: DateTime<Utc>) -> Result<Connection> {
        self.disconnect_by(id, None, at).await
    }

    async fn disconnect_by(&self, id: &ConnectionId, by: Option<&str>, at: DateTime<Utc>) -> Result<Connection> {
        let (workspace, id, by) = (self.workspace.clone(), id.clone(), by.map(Arc::<str>::from));
        let door = Door::Workspace(self.workspace.clone());
        // Done twice the version grows twice, which refuses no more than growing once.
        let done = self.inner.run("disconnect", door, Repeat::Always, move |tx| {
            let (workspace, id, by) = (workspace.clone(), id.clone(), by.clone());
            async move { disconnect(tx, &workspace, id.as_str(), by.as_deref(), at).await }.boxed()
        });
        done.await
    }
}

//! Sealed credentials, and how renewing them goes.

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    ErrorKind, GrantKind, WorkspaceId,
    store::{Connection, DueRenewal, Renewal, SealedCredentials},
};

use crate::{
    connection,
    error::{Db, damaged},
    nul,
    sealed::refuse_retired,
    tx::Tx,
};

/// Reads the kind of a grant; nobody but us writes it.
pub(crate) fn grant(row: &PgRow, at: usize) -> Db<Option<GrantKind>> {
    let stored: Option<String> = row.try_get(at)?;
    let unknown = || damaged("connection", "kind of a grant");
    stored.map(|text| GrantKind::parse(&text).ok_or_else(unknown)).transpose()
}

/// Reads the scopes of a grant.
pub(crate) fn scopes(row: &PgRow, at: usize) -> Db<Option<Vec<Box<str>>>> {
    let stored: Option<Vec<String>> = row.try_get(at)?;
    Ok(stored.map(|scopes| scopes.into_iter().map(Box::from).collect()))
}

pub(crate) async fn find(tx: &mut Tx, workspace: &WorkspaceId, id: &str) -> Db<Option<SealedCredentials>> {
    let row = sqlx::query(
        "SELECT credentials_encrypted, refresh_token_encrypted, expires_at, token_version, grant_kind, granted_scopes, token_issued_at, \
         grant_client_id \
         FROM integration_connections WHERE workspace_id = $1 AND id = $2 AND credentials_encrypted IS NOT NULL",
    )
    .bind(workspace.as_str())
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(SealedCredentials {
        access: row.try_get(0)?,
        refresh: row.try_get(1)?,
        grant: grant(&row, 4)?,
        scopes: scopes(&row, 5)?,
        issued_at: row.try_get(6)?,
        client_id: row.try_get::<Option<String>, _>(7)?.map(Box::from),
        expires_at: row.try_get(2)?,
        version: row.try_get::<i64, _>(3)?.cast_unsigned(),
    }))
}

/// Stores credentials over the version they were made from, under their own; clears what is kept of failed renewals.
pub(crate) async fn replace(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    id: &str,
    expected: u64,
    sealed: &SealedCredentials,
    at: DateTime<Utc>,
) -> Db<bool> {
    refuse_retired(tx, "replace_credentials", &[Some(&sealed.access), sealed.refresh.as_deref()]).await?;
    let scopes: Option<Vec<&str>> = sealed.scopes.as_ref().map(|scopes| scopes.iter().map(AsRef::as_ref).collect());
    let replaced = sqlx::query(
        "UPDATE integration_connections SET credentials_encrypted = $4, refresh_token_encrypted = $5, expires_at = $6, \
         token_version = $7, grant_kind = $8, granted_scopes = CASE WHEN $8 = grant_kind THEN coalesce($9, granted_scopes) ELSE $9 END, renewal_failing_since = NULL, \
         renewal_not_before = NULL, renewal_underway_since = NULL, renewal_refused_at = NULL, token_issued_at = $11, grant_client_id = $12, updated_at = $10, \
         renewal_failed_at = NULL, renewal_failures = 0, renewal_error_kind = NULL, \
         (status, error_message, error_kind, error_count) = (SELECT CASE WHEN o.heals THEN 'active' ELSE status END, \
         CASE WHEN o.heals THEN NULL ELSE error_message END, CASE WHEN o.heals THEN NULL ELSE error_kind END, \
         CASE WHEN o.heals THEN 0 ELSE error_count END FROM (SELECT status = 'error' AND (renewal_refused_at IS NOT NULL \
         OR renewal_failing_since IS NOT NULL OR coalesce(error_kind IN ('auth', 'auth_revoked'), false)) AS heals) o) \
         WHERE workspace_id = $1 AND id = $2 AND token_version = $3 AND status <> 'disconnected'",
    )
    .bind(workspace.as_str())
    .bind(id)
    .bind(expected.cast_signed())
    .bind(&sealed.access)
    .bind(&sealed.refresh)
    .bind(sealed.expires_at)
    .bind(sealed.version.cast_signed())
    .bind(sealed.grant.map(GrantKind::as_str))
    .bind(scopes)
    .bind(at)
    .bind(sealed.issued_at)
    .bind(&sealed.client_id)
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if replaced == 1 {
        return Ok(true);
    }
    // The answer to a commit may have been lost: then these very credentials are there, and nobody else can have sealed the same bytes.
    let stored: Option<bool> = sqlx::query_scalar(
        "SELECT (credentials_encrypted, refresh_token_encrypted, expires_at, token_version) IS NOT DISTINCT FROM ($3::bytea, $4::bytea, \
         $5::timestamptz, $6::bigint) FROM integration_connections WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace.as_str())
    .bind(id)
    .bind(&sealed.access)
    .bind(&sealed.refresh)
    .bind(sealed.expires_at)
    .bind(sealed.version.cast_signed())
    .fetch_optional(&mut **tx)
    .await?;
    stored.ok_or_else(|| connection::unknown("replace_credentials", id).into())
}

/// Tokens that end before `before`, of connections that may be renewed at `now`.
pub(crate) async fn due(
    tx: &mut Tx,
    (now, before): (DateTime<Utc>, DateTime<Utc>),
    after: Option<&DueRenewal>,
    limit: u32,
) -> Db<Vec<DueRenewal>> {
    let found = sqlx::query(
        "SELECT expires_at, workspace_id, id, provider, token_version FROM integration_connections \
         WHERE status = 'active' AND grant_kind IS NOT NULL AND renewal_refused_at IS NULL AND expires_at IS NOT NULL AND expires_at < $1 \
         AND (renewal_not_before IS NULL OR renewal_not_before <= $2) \
         AND (expires_at, workspace_id, id) > (coalesce($3, '-infinity'::timestamptz), $4, $5) \
         ORDER BY expires_at, workspace_id, id LIMIT $6",
    );
    let (workspace, connection) = after.map_or(("", ""), |after| (after.workspace.as_str(), after.connection.as_str()));
    let found = found.bind(before).bind(now).bind(after.map(|after| after.ends)).bind(workspace).bind(connection);
    let mut due = Vec::new();
    for row in found.bind(i64::from(limit)).fetch_all(&mut **tx).await? {
        due.push(DueRenewal {
            ends: row.try_get(0)?,
            workspace: row.try_get::<&str, _>(1)?.into(),
            connection: row.try_get::<&str, _>(2)?.into(),
            provider: row.try_get::<&str, _>(3)?.into(),
            version: row.try_get::<i64, _>(4)?.cast_unsigned(),
        });
    }
    Ok(due)
}

/// Writes down how renewing goes, and with `gone` that somebody has to connect the account again.
pub(crate) async fn note_renewal(
    tx: &mut Tx,
    (workspace, id): (&WorkspaceId, &str),
    expected: u64,
    (renewal, gone): (&Renewal, Option<&str>),
    at: DateTime<Utc>,
) -> Db<bool> {
    let noted = sqlx::query(
        "UPDATE integration_connections SET renewal_failing_since = $4, renewal_not_before = $5, renewal_underway_since = $6, \
         renewal_refused_at = $8, updated_at = $7, error_message = coalesce($9::text, error_message), \
         error_kind = CASE WHEN $9::text IS NULL THEN error_kind ELSE 'auth_revoked' END, \
         renewal_failed_at = $10, renewal_failures = $11, renewal_error_kind = $12, \
         status = CASE WHEN $9::text IS NOT NULL AND status = 'active' THEN 'error' ELSE status END \
         WHERE workspace_id = $1 AND id = $2 AND token_version = $3",
    )
    .bind(workspace.as_str())
    .bind(id)
    .bind(expected.cast_signed())
    .bind(renewal.failing_since)
    .bind(renewal.not_before)
    .bind(renewal.underway_since)
    .bind(at)
    .bind(renewal.refused_at)
    .bind(gone.map(nul::text))
    .bind(renewal.failed_at)
    .bind(i64::from(renewal.failures))
    .bind(renewal.error_kind.map(ErrorKind::as_str))
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if noted == 0 && connection::find(tx, workspace, id).await?.is_none() {
        return Err(connection::unknown("note_renewal", id).into());
    }
    Ok(noted == 1)
}

/// Deletes the credentials of a connection and marks it as disconnected. The version grows, so that whoever renews them just now comes
/// too late.
pub(crate) async fn disconnect(tx: &mut Tx, workspace: &WorkspaceId, id: &str, at: DateTime<Utc>) -> Db<Connection> {
    sqlx::query(
        "UPDATE integration_connections SET status = 'disconnected', credentials_encrypted = NULL, refresh_token_encrypted = NULL, \
         expires_at = NULL, grant_kind = NULL, granted_scopes = NULL, token_version = token_version + 1, renewal_failing_since = NULL, \
         renewal_not_before = NULL, renewal_underway_since = NULL, renewal_refused_at = NULL, renewal_failed_at = NULL, \
         renewal_failures = 0, renewal_error_kind = NULL, token_issued_at = NULL, grant_client_id = NULL, updated_at = $3 \
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace.as_str())
    .bind(id)
    .bind(at)
    .execute(&mut **tx)
    .await?;
    connection::find(tx, workspace, id).await?.ok_or_else(|| connection::unknown("disconnect", id).into())
}

//! Sealed credentials, and how renewing them goes.

use chrono::{DateTime, Utc};
use rusqlite::{Error as Sql, OptionalExtension as _, Row, Transaction, types::Type};
use sync_core::{
    ConnectionId, ErrorKind, GrantKind, WorkspaceId,
    store::{DueRenewal, Renewal, SealedCredentials},
};

use crate::{
    connection,
    error::{Db, damaged},
    sealed::refuse_retired,
    time,
};

/// Reads the kind of a grant; nobody but us writes it.
pub(crate) fn grant(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<GrantKind>> {
    let stored = row.get_ref(at)?.as_str_or_null()?;
    let unknown = || Sql::FromSqlConversionFailure(at, Type::Text, "an unknown kind of grant".into());
    stored.map(|text| GrantKind::parse(text).ok_or_else(unknown)).transpose()
}

/// Reads the scopes of a grant.
pub(crate) fn scopes(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Vec<Box<str>>>> {
    let stored = row.get_ref(at)?.as_str_or_null()?;
    stored.map(|text| serde_json::from_str(text).map_err(|e| Sql::FromSqlConversionFailure(at, Type::Text, Box::new(e)))).transpose()
}

pub(crate) fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &ConnectionId) -> Db<Option<SealedCredentials>> {
    let mut found = tx.prepare_cached(
        "SELECT credentials_encrypted, refresh_token_encrypted, expires_at, token_version, grant_kind, granted_scopes, token_issued_at, \
         grant_client_id \
         FROM syncline_integration_connections WHERE workspace_id = ?1 AND id = ?2 AND credentials_encrypted IS NOT NULL",
    )?;
    let sealed = found.query_row((workspace.as_str(), id.as_str()), |row| {
        Ok(SealedCredentials {
            access: row.get(0)?,
            refresh: row.get(1)?,
            grant: grant(row, 4)?,
            scopes: scopes(row, 5)?,
            issued_at: time::optional(row, 6)?,
            client_id: row.get(7)?,
            expires_at: time::optional(row, 2)?,
            version: row.get::<_, i64>(3)?.cast_unsigned(),
        })
    });
    Ok(sealed.optional()?)
}

/// Stores credentials under a version, over `expected`, and clears what is kept of failed renewals; answers whether it was that.
fn store(
    tx: &Transaction<'_>,
    whose: (&WorkspaceId, &ConnectionId),
    (expected, version): (u64, u64),
    sealed: &SealedCredentials,
    at: DateTime<Utc>,
) -> Db<bool> {
    refuse_retired(tx, "replace_credentials", &[Some(&sealed.access), sealed.refresh.as_deref()])?;
    let scopes = sealed.scopes.as_ref().map(serde_json::to_string).transpose().map_err(|_| damaged("connect", "list of scopes"))?;
    let stored = tx
        .prepare_cached(
            "UPDATE syncline_integration_connections SET credentials_encrypted = ?4, refresh_token_encrypted = ?5, expires_at = ?6, \
             grant_kind = ?7, granted_scopes = CASE WHEN ?7 = grant_kind THEN coalesce(?8, granted_scopes) ELSE ?8 END, token_version = ?9, renewal_failing_since = NULL, \
             renewal_not_before = NULL, renewal_underway_since = NULL, renewal_refused_at = NULL, token_issued_at = ?11, grant_client_id = ?12, updated_at = ?10, \
             renewal_failed_at = NULL, renewal_failures = 0, renewal_error_kind = NULL, \
             (status, error_message, error_kind, error_count) = (SELECT CASE WHEN o.heals THEN 'active' ELSE status END, \
             CASE WHEN o.heals THEN NULL ELSE error_message END, CASE WHEN o.heals THEN NULL ELSE error_kind END, \
             CASE WHEN o.heals THEN 0 ELSE error_count END FROM (SELECT status = 'error' AND (renewal_refused_at IS NOT NULL \
             OR renewal_failing_since IS NOT NULL OR coalesce(error_kind IN ('auth', 'auth_revoked'), false)) AS heals) o) \
             WHERE workspace_id = ?1 AND id = ?2 AND token_version = ?3 AND status <> 'disconnected'",
        )?
        .execute((
            whose.0.as_str(),
            whose.1.as_str(),
            expected.cast_signed(),
            &sealed.access,
            &sealed.refresh,
            sealed.expires_at.map(time::text),
            sealed.grant.map(GrantKind::as_str),
            scopes,
            version.cast_signed(),
            time::text(at),
            sealed.issued_at.map(time::text),
            sealed.client_id.as_deref(),
        ))?;
    Ok(stored == 1)
}

/// Stores credentials over whatever there is, under the next version.
pub(crate) fn set(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    id: &ConnectionId,
    sealed: &SealedCredentials,
    at: DateTime<Utc>,
) -> Db<()> {
    let sql = "SELECT token_version FROM syncline_integration_connections WHERE workspace_id = ?1 AND id = ?2";
    let version: i64 = tx.prepare_cached(sql)?.query_row((workspace.as_str(), id.as_str()), |row| row.get(0))?;
    let version = version.cast_unsigned();
    store(tx, (workspace, id), (version, version + 1), sealed, at)?;
    Ok(())
}

pub(crate) fn replace(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    id: &ConnectionId,
    expected: u64,
    sealed: &SealedCredentials,
    at: DateTime<Utc>,
) -> Db<bool> {
    if store(tx, (workspace, id), (expected, sealed.version), sealed, at)? {
        return Ok(true);
    }
    // Who asks again after an answer that was lost finds these very credentials: nobody else can have sealed the same bytes.
    let mut found = tx.prepare_cached(
        "SELECT (credentials_encrypted, refresh_token_encrypted, expires_at, token_version) IS (?3, ?4, ?5, ?6) \
         FROM syncline_integration_connections WHERE workspace_id = ?1 AND id = ?2",
    )?;
    let ends = sealed.expires_at.map(time::text);
    let these = (workspace.as_str(), id.as_str(), &sealed.access, &sealed.refresh, ends, sealed.version.cast_signed());
    let stored = found.query_row(these, |row| row.get(0)).optional()?;
    stored.ok_or_else(|| connection::unknown("replace_credentials", id).into())
}

const DUE: &str = "SELECT expires_at, workspace_id, id, provider, token_version FROM syncline_integration_connections \
    WHERE status = 'active' AND grant_kind IS NOT NULL AND renewal_refused_at IS NULL AND expires_at IS NOT NULL AND expires_at < ?1 \
    AND (renewal_not_before IS NULL OR renewal_not_before <= ?2) AND (expires_at, workspace_id, id) > (?3, ?4, ?5) \
    ORDER BY expires_at, workspace_id, id LIMIT ?6";

/// Tokens that end before `until.1`, of connections that may be renewed at `until.0`.
pub(crate) fn due(
    tx: &Transaction<'_>,
    (now, before): (DateTime<Utc>, DateTime<Utc>),
    after: Option<&DueRenewal>,
    limit: u32,
) -> Db<Vec<DueRenewal>> {
    let mut found = tx.prepare_cached(DUE)?;
    // Every time and every name sorts behind the empty text.
    let last = after.map_or_else(Default::default, |after| (time::text(after.ends), after.workspace.as_str(), after.connection.as_str()));
    let rows = found.query_map((time::text(before), time::text(now), last.0, last.1, last.2, limit), |row| {
        Ok(DueRenewal {
            ends: time::column(row, 0)?,
            workspace: row.get_ref(1)?.as_str()?.into(),
            connection: row.get_ref(2)?.as_str()?.into(),
            provider: row.get(3)?,
            version: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes down how renewing goes, and with `gone` that somebody has to connect the account again.
pub(crate) fn note_renewal(
    tx: &Transaction<'_>,
    (workspace, id): (&WorkspaceId, &ConnectionId),
    expected: u64,
    (renewal, gone): (&Renewal, Option<&str>),
    at: DateTime<Utc>,
) -> Db<bool> {
    let noted = tx
        .prepare_cached(
            "UPDATE syncline_integration_connections SET renewal_failing_since = ?4, renewal_not_before = ?5, \
             renewal_underway_since = ?6, renewal_refused_at = ?8, updated_at = ?7, error_message = coalesce(?9, error_message), \
             error_kind = CASE WHEN ?9 IS NULL THEN error_kind ELSE 'auth_revoked' END, \
             renewal_failed_at = ?10, renewal_failures = ?11, renewal_error_kind = ?12, \
             status = CASE WHEN ?9 IS NOT NULL AND status = 'active' THEN 'error' ELSE status END \
             WHERE workspace_id = ?1 AND id = ?2 AND token_version = ?3",
        )?
        .execute((
            workspace.as_str(),
            id.as_str(),
            expected.cast_signed(),
            renewal.failing_since.map(time::text),
            renewal.not_before.map(time::text),
            renewal.underway_since.map(time::text),
            time::text(at),
            renewal.refused_at.map(time::text),
            gone,
            renewal.failed_at.map(time::text),
            renewal.failures,
            renewal.error_kind.map(ErrorKind::as_str),
        ))?;
    if noted == 0 && connection::find(tx, workspace, id)?.is_none() {
        return Err(connection::unknown("note_renewal", id).into());
    }
    Ok(noted == 1)
}

/// Deletes the credentials of a connection and marks it as disconnected. The version grows, so that whoever renews them just now comes
/// too late.
pub(crate) fn delete(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &ConnectionId, at: DateTime<Utc>) -> Db<()> {
    tx.prepare_cached(
        "UPDATE syncline_integration_connections SET status = 'disconnected', credentials_encrypted = NULL, refresh_token_encrypted = NULL, \
         expires_at = NULL, grant_kind = NULL, granted_scopes = NULL, token_version = token_version + 1, renewal_failing_since = NULL, \
         renewal_not_before = NULL, renewal_underway_since = NULL, renewal_refused_at = NULL, renewal_failed_at = NULL, \
         renewal_failures = 0, renewal_error_kind = NULL, token_issued_at = NULL, grant_client_id = NULL, updated_at = ?3 \
         WHERE workspace_id = ?1 AND id = ?2",
    )?
    .execute((workspace.as_str(), id.as_str(), time::text(at)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_near_their_end_are_found_by_their_index_in_its_order() {
        let conn = rusqlite::Connection::open_in_memory().expect("opens");
        for (.., sql) in crate::migrations() {
            conn.execute_batch(sql).expect("it runs");
        }
        let mut explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {DUE}")).expect("a plan");
        let plan: Vec<String> =
            explained.query_map(("2", "1", "0", "w", "c", 9), |row| row.get(3)).expect("it runs").collect::<Result<_, _>>().expect("rows");
        let expected = "SEARCH syncline_integration_connections USING INDEX syncline_connections_by_end ((expires_at,workspace_id,id)>(?,?,?) AND expires_at<?)";
        assert_eq!(plan, [expected]);
    }
}

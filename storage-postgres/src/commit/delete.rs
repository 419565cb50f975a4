//! Taking managed rows away, with the lineage of what they held.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{RunId, WorkspaceId, store::Change};

use super::{lines, preview};
use crate::{error::Db, hiding::Hiding, table::Table, tx::Tx};

/// How rows are taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletion<'a> {
    pub(crate) run: RunId,
    pub(crate) at: DateTime<Utc>,
    /// Whether lines are written.
    pub(crate) lineage: bool,
    /// What they do not say.
    pub(crate) hiding: &'a Hiding,
}

/// A join with the table itself might read a whole workspace for each key; rows that were found by key are met again by their place.
pub(crate) fn delete(table: &Table, old: &str, lines: &str) -> String {
    format!(
        "WITH d AS (DELETE FROM {0} m USING (SELECT r.place FROM (SELECT k FROM unnest($3::text[]) k ORDER BY k) k CROSS JOIN LATERAL \
         (SELECT m.ctid AS place FROM {0} m WHERE m.workspace_id = $1 AND m.connection_no = $2 AND m.entity_id = k.k FOR UPDATE) r) k \
         WHERE m.ctid = k.place \
         RETURNING m.entity_id, {old} AS changes, m.created_run, m.created_at){lines} \
         SELECT entity_id, CASE WHEN $7 THEN '{{' || changes || '}}' END FROM d",
        table.sql,
    )
}

/// Deletes rows of one connection by their keys; answers the keys of those that were there. Changes are
/// collected where somebody looks.
pub(crate) async fn managed(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    table: &Table,
    connection_no: i64,
    keys: &[&str],
    how: Deletion<'_>,
    changes: Option<&mut Vec<Change>>,
) -> Db<Vec<Box<str>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let looked = changes.is_some();
    let lines = if how.lineage {
        format!(
            ", l AS (INSERT INTO lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at, created_run, created_at) \
             SELECT $1, $4, entity_id, $5, 'd', {}, $6, created_run, CASE WHEN created_run IS NOT NULL THEN created_at END FROM d)",
            how.hiding.line("'{' || changes || '}'", 8)
        )
    } else {
        ", l AS (SELECT $4::bigint, $5::bigint, $6::timestamptz)".to_owned()
    };
    let old = if how.lineage || looked { lines::gone(table)? } else { "''".into() };
    let sql = delete(table, &old, &lines);
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(workspace.as_str())
        .bind(connection_no)
        .bind(keys)
        .bind(table.id)
        .bind(how.run.0)
        .bind(how.at)
        .bind(looked);
    let rows = if how.lineage && !how.hiding.is_empty() { rows.bind(how.hiding.fields()) } else { rows };
    let rows = rows.fetch_all(&mut **tx).await?;
    let mut gone = Vec::with_capacity(rows.len());
    let mut shown = changes;
    for row in &rows {
        let key: Box<str> = row.try_get::<String, _>(0)?.into();
        if let (Some(changes), Some(line)) = (shown.as_deref_mut(), row.try_get::<Option<&str>, _>(1)?) {
            preview::deleted(&key, line, changes)?;
        }
        gone.push(key);
    }
    Ok(gone)
}

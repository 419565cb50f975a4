//! Deleting what is older than somebody wants to keep.

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sync_core::store::Log;

use crate::{
    error::Db,
    tx::{Tx, raw},
};

/// The table of a log, and what an entry `e` of it has to be to go; `$1` is the time. The tables have no index by time that keeps single
/// rows apart: their rows lie on the disk in about the order of their times, and a block range index tells which parts are old.
fn due(log: Log) -> (&'static str, &'static str) {
    match log {
        Log::Events => (
            "sync_events",
            "e.created_at < $1 AND NOT EXISTS (SELECT FROM sync_runs r WHERE r.workspace_id = e.workspace_id AND r.id = e.run_id AND r.status = 'running')",
        ),
        Log::Activity => ("integration_activity", "e.created_at < $1"),
        // Its counts tell whether a run changed rows, which then name it, as do their lines. Rows that it made are older than its end, so
        // that nothing is said any more of how they came to be once lineage was pruned to there. What a push counts is at the service.
        Log::Runs => (
            "sync_runs",
            "e.started_at < $1 AND e.completed_at < $1 AND e.status <> 'running' AND (e.direction = 'to_external' \
             OR e.rows_created + e.rows_updated + e.rows_deleted + e.rows_swept = 0 \
             OR e.completed_at < (SELECT finished_before FROM retention_marks WHERE log = 'lineage'))",
        ),
        Log::Plans => (
            "plans",
            "greatest(e.changed_at, coalesce((SELECT r.started_at FROM sync_runs r WHERE r.workspace_id = e.workspace_id AND r.id = e.run_id), \
             (e.body ->> 'made_at')::timestamptz)) < $1",
        ),
        Log::Lineage => (
            "lineage_entries",
            "e.changed_at < $1 AND NOT EXISTS (SELECT FROM sync_runs r WHERE r.workspace_id = e.workspace_id AND r.id = e.run_id AND r.status = 'running')",
        ),
    }
}

/// Deletes at most `limit` entries of all tenants; answers how many. The transaction is the fleet's.
pub(crate) async fn prune(tx: &mut Tx, log: Log, before: DateTime<Utc>, limit: u32) -> Db<u64> {
    // Block range indexes are read by bitmap scans alone.
    raw(tx, "SET LOCAL enable_bitmapscan TO on").await?;
    if log == Log::Lineage {
        sqlx::query(
            "INSERT INTO retention_marks AS m (log, pruned_before) VALUES ('lineage', $1) \
             ON CONFLICT (log) DO UPDATE SET pruned_before = greatest(m.pruned_before, excluded.pruned_before)",
        )
        .bind(before)
        .execute(&mut **tx)
        .await?;
    }
    let (table, due) = due(log);
    // A row that was changed since it was found, or that somebody else deletes, is left for the next time.
    let sql =
        format!("DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT e.ctid FROM {table} e WHERE {due} LIMIT $2 FOR UPDATE SKIP LOCKED))");
    let gone =
        sqlx::query(AssertSqlSafe(sql)).bind(before).bind(i64::from(limit)).persistent(false).execute(&mut **tx).await?.rows_affected();
    if log == Log::Lineage && gone < u64::from(limit) {
        finish(tx, before).await?;
    }
    Ok(gone)
}

/// Notes that lineage was pruned, unless lines are left that somebody else is deleting just now.
async fn finish(tx: &mut Tx, before: DateTime<Utc>) -> Db<()> {
    let (table, due) = due(Log::Lineage);
    let sql = format!(
        "UPDATE retention_marks SET finished_before = greatest(finished_before, $1) \
         WHERE log = 'lineage' AND NOT EXISTS (SELECT FROM {table} e WHERE {due})"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(before).persistent(false).execute(&mut **tx).await?;
    Ok(())
}

/// Up to when lines of lineage may be missing.
pub(crate) async fn lineage_mark(tx: &mut Tx) -> Db<Option<DateTime<Utc>>> {
    let mark = sqlx::query_scalar("SELECT pruned_before FROM retention_marks WHERE log = 'lineage'");
    Ok(mark.fetch_optional(&mut **tx).await?)
}

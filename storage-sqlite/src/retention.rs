//! Deleting what is older than somebody wants to keep.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::store::Log;

use crate::{error::Db, time};

/// What an entry of a log has to be to go; `?1` is the time, as text.
fn due(log: Log) -> (&'static str, &'static str) {
    match log {
        Log::Events => (
            "syncline_sync_events",
            "SELECT e.seq FROM syncline_sync_events e LEFT JOIN syncline_sync_runs r ON r.id = e.run_id \
             WHERE coalesce(e.created_at, r.started_at, '') < ?1 AND r.status IS NOT 'running' ORDER BY e.seq LIMIT ?2",
        ),
        Log::Activity => {
            ("syncline_integration_activity", "SELECT id FROM syncline_integration_activity WHERE created_at < ?1 ORDER BY id LIMIT ?2")
        }
        // Its counts tell whether a run changed rows, which then name it, as do their lines. Rows that it made are older than its end, so
        // that nothing is said any more of how they came to be once lineage was pruned to there. What a push counts is at the service.
        Log::Runs => (
            "syncline_sync_runs",
            "SELECT id FROM syncline_sync_runs WHERE started_at < ?1 AND completed_at < ?1 AND status <> 'running' AND ( \
             direction = 'to_external' OR rows_created + rows_updated + rows_deleted + rows_swept = 0 \
             OR completed_at < (SELECT finished_before FROM syncline_retention_marks WHERE log = 'lineage')) ORDER BY id LIMIT ?2",
        ),
        Log::Plans => (
            "syncline_plans",
            "SELECT p.run_id FROM syncline_plans p LEFT JOIN syncline_sync_runs r ON r.id = p.run_id \
             WHERE max(coalesce(p.changed_at, ''), coalesce(r.started_at, p.body ->> 'made_at')) < ?1 ORDER BY p.run_id LIMIT ?2",
        ),
        Log::Lineage => (
            "syncline_lineage_entries",
            "SELECT seq FROM syncline_lineage_entries WHERE changed_at < ?1 \
             AND run_id NOT IN (SELECT id FROM syncline_sync_runs WHERE status = 'running') ORDER BY seq LIMIT ?2",
        ),
    }
}

/// Deletes at most `limit` entries; answers how many.
pub(crate) fn prune(tx: &Transaction<'_>, log: Log, before: DateTime<Utc>, limit: u32) -> Db<u64> {
    let before = time::text(before);
    if log == Log::Lineage {
        tx.prepare_cached(
            "INSERT INTO syncline_retention_marks (log, pruned_before) VALUES ('lineage', ?1) \
             ON CONFLICT DO UPDATE SET pruned_before = max(pruned_before, excluded.pruned_before)",
        )?
        .execute([&before])?;
    }
    let (table, due) = due(log);
    if log == Log::Runs {
        tx.prepare_cached(&format!("DELETE FROM syncline_sync_failures WHERE (workspace_id, run_id) IN (SELECT workspace_id, id FROM syncline_sync_runs WHERE id IN ({due}))"))?
            .execute((&before, limit))?;
    }
    if log == Log::Plans {
        // Before what they belong to: its deletion would take them along one plan at a time.
        tx.prepare_cached(&format!("DELETE FROM syncline_plan_items WHERE (workspace_id, run_id) IN (SELECT workspace_id, run_id FROM syncline_plans WHERE run_id IN ({due}))"))?
            .execute((&before, limit))?;
    }
    // A run makes one plan at most, and has its number among those of all workspaces.
    let number = if log == Log::Plans { "run_id" } else { "rowid" };
    let gone = tx.prepare_cached(&format!("DELETE FROM {table} WHERE {number} IN ({due})"))?.execute((&before, limit))? as u64;
    if log == Log::Lineage && gone < u64::from(limit) {
        tx.prepare_cached(
            "UPDATE syncline_retention_marks SET finished_before = max(coalesce(finished_before, ''), ?1) WHERE log = 'lineage'",
        )?
        .execute([&before])?;
    }
    Ok(gone)
}

/// Up to when lines of lineage may be missing.
pub(crate) fn lineage_mark(tx: &Transaction<'_>) -> Db<Option<DateTime<Utc>>> {
    let mut found = tx.prepare_cached("SELECT pruned_before FROM syncline_retention_marks WHERE log = 'lineage'")?;
    Ok(found.query_row([], |row| time::column(row, 0)).optional()?)
}

//! Record failures and warnings, row by row.

use rusqlite::Transaction;
use sync_core::{RecordFailure, RunId, Severity, WorkspaceId};

use crate::error::Db;

/// So many are kept of a run; all are counted.
const KEPT: u64 = 10_000;

/// Adds failures to a run, which has to be there.
pub(crate) fn add<'a>(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    run: RunId,
    failures: impl ExactSizeIterator<Item = &'a RecordFailure>,
) -> Db<()> {
    if failures.len() == 0 {
        return Ok(());
    }
    let new = failures.len() as u64;
    let seen = tx
        .prepare_cached(
            "UPDATE syncline_sync_runs SET failures_seen = failures_seen + ?3 WHERE workspace_id = ?1 AND id = ?2 RETURNING failures_seen",
        )?
        .query_row((workspace.as_str(), run.0, new.cast_signed()), |row| row.get::<_, i64>(0))?
        .cast_unsigned();
    let room = KEPT.saturating_sub(seen - new);
    let mut insert = tx.prepare_cached(
        "INSERT INTO syncline_sync_failures (workspace_id, run_id, \"row\", record, \"column\", error, severity) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for failure in failures.take(usize::try_from(room).unwrap_or(usize::MAX)) {
        let severity = match failure.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        insert.execute((
            workspace.as_str(),
            run.0,
            failure.row.map(u64::cast_signed),
            failure.record.as_deref(),
            failure.column.as_deref(),
            &*failure.error,
            severity,
        ))?;
    }
    Ok(())
}

/// The failures of a run, in the order they were found.
pub(crate) fn list(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId, limit: u32) -> Db<Vec<RecordFailure>> {
    let mut found = tx.prepare_cached(
        "SELECT \"row\", record, \"column\", error, severity FROM syncline_sync_failures WHERE workspace_id = ?1 AND run_id = ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = found.query_map((workspace.as_str(), run.0, limit), |row| {
        Ok(RecordFailure {
            row: row.get::<_, Option<i64>>(0)?.map(i64::cast_unsigned),
            record: row.get(1)?,
            column: row.get(2)?,
            error: row.get(3)?,
            severity: if row.get_ref(4)?.as_str()? == "warning" { Severity::Warning } else { Severity::Error },
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

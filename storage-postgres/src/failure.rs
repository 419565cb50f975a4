//! Record failures and warnings, row by row.

use sqlx::Row as _;
use sync_core::{RecordFailure, RunId, Severity, WorkspaceId};

use crate::{error::Db, nul, tx::Tx};

/// So many are kept of a run; all are counted.
const KEPT: u64 = 10_000;

/// Adds failures to a run, which has to be there. Takes the run's row until the transaction ends.
pub(crate) async fn add<'a>(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    run: RunId,
    failures: impl ExactSizeIterator<Item = &'a RecordFailure>,
) -> Db<()> {
    let new = failures.len() as u64;
    if new == 0 {
        return Ok(());
    }
    let seen: i64 = sqlx::query_scalar(
        "UPDATE sync_runs SET failures_seen = failures_seen + $3 WHERE workspace_id = $1 AND id = $2 RETURNING failures_seen",
    )
    .bind(workspace.as_str())
    .bind(run.0)
    .bind(new.cast_signed())
    .fetch_one(&mut **tx)
    .await?;
    let room = usize::try_from(KEPT.saturating_sub(seen.cast_unsigned() - new)).unwrap_or(usize::MAX);
    let (mut rows, mut records, mut columns, mut errors, mut severities) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for failure in failures.take(room) {
        rows.push(failure.row.map(u64::cast_signed));
        records.push(failure.record.as_deref().map(nul::text));
        columns.push(failure.column.as_deref().map(nul::text));
        errors.push(nul::text(&failure.error));
        severities.push(match failure.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        });
    }
    if errors.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO sync_failures (workspace_id, run_id, \"row\", record, \"column\", error, severity) \
         SELECT $1, $2, f.* FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) f",
    )
    .bind(workspace.as_str())
    .bind(run.0)
    .bind(rows)
    .bind(records)
    .bind(columns)
    .bind(errors)
    .bind(severities)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The failures of a run, in the order they were found.
pub(crate) async fn list(tx: &mut Tx, workspace: &WorkspaceId, run: RunId, limit: u32) -> Db<Vec<RecordFailure>> {
    let found = sqlx::query(
        "SELECT \"row\", record, \"column\", error, severity FROM sync_failures WHERE workspace_id = $1 AND run_id = $2 ORDER BY id LIMIT $3",
    )
    .bind(workspace.as_str())
    .bind(run.0)
    .bind(i64::from(limit))
    .fetch_all(&mut **tx)
    .await?;
    let text = |row: &sqlx::postgres::PgRow, at: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(at)?.map(Into::into));
    let mut failures = Vec::with_capacity(found.len());
    for row in &found {
        failures.push(RecordFailure {
            row: row.try_get::<Option<i64>, _>(0)?.map(i64::cast_unsigned),
            record: text(row, 1)?,
            column: text(row, 2)?,
            error: row.try_get::<String, _>(3)?.into(),
            severity: if row.try_get::<&str, _>(4)? == "warning" { Severity::Warning } else { Severity::Error },
        });
    }
    Ok(failures)
}

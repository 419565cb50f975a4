//! Events: of runs, and of none.

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{RunId, WorkspaceId, store::Event};

use crate::{error::Db, tx::Tx};

/// Adds events to a run, or to none. Writers of one workspace take turns from here until their transactions end, so that a reader who has
/// seen one number never finds a smaller one later.
pub(crate) async fn add_events(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    run: impl Into<Option<RunId>>,
    events: &[Box<str>],
    at: DateTime<Utc>,
) -> Db<()> {
    let run = run.into().map(|run| run.0);
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('syncline events of ' || current_schema() || ' ' || $1, 0))")
        .bind(workspace.as_str())
        .execute(&mut **tx)
        .await?;
    let events: Vec<&str> = events.iter().map(|event| &**event).collect();
    sqlx::query("INSERT INTO sync_events (workspace_id, run_id, body, created_at) SELECT $1, $2, body, $4 FROM unnest($3::text[]) body")
        .bind(workspace.as_str())
        .bind(run)
        .bind(events)
        .bind(at)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Events after `after`, the oldest first.
pub(crate) async fn list(tx: &mut Tx, workspace: &WorkspaceId, after: i64, limit: u32) -> Db<Vec<Event>> {
    let rows = sqlx::query("SELECT seq, run_id, body FROM sync_events WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
        .bind(workspace.as_str())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut **tx)
        .await?;
    let event = |row: &PgRow| {
        Ok(Event { seq: row.try_get(0)?, run: row.try_get::<Option<i64>, _>(1)?.map(RunId), body: row.try_get::<String, _>(2)?.into() })
    };
    rows.iter().map(event).collect()
}

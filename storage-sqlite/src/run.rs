//! Runs, their fences, cursors and events.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Row, Transaction};
use sync_core::{
    Counts, Cursor, Direction, EntityType, Error, ErrorKind, Outcome, RecordFailure, Result, RunError, RunId, WorkspaceId,
    store::{
        Begin, Event, Feed, Fence, LOCAL, Look, NewRun, Onboarding, OnboardingStore as _, PartitionState, Run, RunEnd, RunFilter,
        RunStatus, RunStore,
    },
};

use crate::{
    error::{Db, damaged},
    failure, look, onboarding, owner,
    storage::{Durability, Scoped, Shared},
    time,
};

/// Failed runs in a row that put a connection into status `error`.
const FAILURES_UNTIL_ERROR: u32 = 3;
/// Bytes of an error text that a connection keeps.
const MESSAGE_BYTES: usize = 2048;

const COLUMNS: &str = "id, connection_id, stream, mapping, direction, entity_type, job_type, status, outcome, rows_processed, rows_created, \
    rows_updated, rows_unchanged, rows_skipped, rows_failed, rows_deleted, rows_swept, errors, triggered_by, started_at, completed_at, \
    rows_unsettled";

fn from_row(row: &Row<'_>) -> Db<Run> {
    let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let direction = match row.get_ref(4)?.as_str()? {
        "to_external" => Direction::ToExternal,
        "from_external" => Direction::FromExternal,
        _ => Direction::Bidirectional,
    };
    let outcome = row.get_ref(8)?.as_str_or_null()?.map(|text| match text {
        "ok" => Outcome::Ok,
        "partial" => Outcome::Partial,
        _ => Outcome::Failed,
    });
    Ok(Run {
        id: RunId(row.get(0)?),
        feed: Feed { connection: row.get_ref(1)?.as_str()?.into(), stream: row.get_ref(2)?.as_str()?.into(), mapping: row.get(3)? },
        direction,
        entity: row.get_ref(5)?.as_str()?.into(),
        job_type: row.get(6)?,
        status: RunStatus::parse(row.get_ref(7)?.as_str()?).ok_or_else(|| damaged("run", "status of a run"))?,
        outcome,
        counts: Counts {
            read: count(9)?,
            created: count(10)?,
            updated: count(11)?,
            unchanged: count(12)?,
            skipped: count(13)?,
            failed: count(14)?,
            deleted: count(15)?,
            swept: count(16)?,
            unsettled: count(21)?,
        },
        errors: serde_json::from_str(row.get_ref(17)?.as_str()?).map_err(|_| damaged("run", "error list of a run"))?,
        triggered_by: row.get(18)?,
        started_at: time::column(row, 19)?,
        completed_at: time::optional(row, 20)?,
    })
}

fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, id: RunId) -> Db<Option<Run>> {
    let sql = format!("SELECT {COLUMNS} FROM syncline_sync_runs WHERE workspace_id = ?1 AND id = ?2");
    let mut found = tx.prepare_cached(&sql)?;
    let mut rows = found.query((workspace.as_str(), id.0))?;
    rows.next()?.map(from_row).transpose()
}

/// Checks that a run is still its owner's.
pub(crate) fn check_fence(tx: &Transaction<'_>, workspace: &WorkspaceId, fence: Fence, operation: &'static str) -> Db<()> {
    let holds = tx
        .prepare_cached("SELECT 1 FROM syncline_sync_runs WHERE id = ?1 AND workspace_id = ?2 AND lease_token = ?3 AND status = 'running'")?
        .exists((fence.run.0, workspace.as_str(), fence.token))?;
    if holds {
        return Ok(());
    }
    let text = format!("run {} has ended or belongs to another worker; nothing was written", fence.run);
    Err(Error::new(ErrorKind::LeaseLost, operation, text).into())
}

/// Adds to the counts of a run.
pub(crate) fn add_counts(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId, counts: &Counts) -> Db<()> {
    tx.prepare_cached(
        "UPDATE syncline_sync_runs SET rows_processed = rows_processed + ?3, rows_created = rows_created + ?4, \
         rows_updated = rows_updated + ?5, rows_unchanged = rows_unchanged + ?6, rows_skipped = rows_skipped + ?7, \
         rows_failed = rows_failed + ?8, rows_deleted = rows_deleted + ?9, rows_swept = rows_swept + ?10, \
         rows_unsettled = rows_unsettled + ?11 \
         WHERE workspace_id = ?1 AND id = ?2",
    )?
    .execute((
        workspace.as_str(),
        run.0,
        counts.read.cast_signed(),
        counts.created.cast_signed(),
        counts.updated.cast_signed(),
        counts.unchanged.cast_signed(),
        counts.skipped.cast_signed(),
        counts.failed.cast_signed(),
        counts.deleted.cast_signed(),
        counts.swept.cast_signed(),
        counts.unsettled.cast_signed(),
    ))?;
    Ok(())
}

/// Adds events to a run, which has to be there, or to none.
pub(crate) fn add_events(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    run: impl Into<Option<RunId>>,
    events: &[Box<str>],
    at: DateTime<Utc>,
) -> Db<()> {
    let run = run.into().map(|run| run.0);
    let at = time::text(at);
    let mut insert =
        tx.prepare_cached("INSERT INTO syncline_sync_events (workspace_id, run_id, body, created_at) VALUES (?1, ?2, ?3, ?4)")?;
    for body in events {
        insert.execute((workspace.as_str(), run, &**body, &at))?;
    }
    Ok(())
}

/// Ends a run whose process is gone. It says nothing about the service, so the connection's failures are not counted up.
fn bury(tx: &Transaction<'_>, id: i64, at: DateTime<Utc>) -> Db<()> {
    let error = RunError {
        kind: ErrorKind::Cancelled,
        message: "its process ended before it did".into(),
        hint: ErrorKind::Cancelled.hint().into(),
        partition: None,
    };
    let errors = serde_json::to_string(&[error]).map_err(|_| damaged("begin_run", "error list of a run"))?;
    tx.prepare_cached(
        "UPDATE syncline_integration_connections SET sync_status = 'failed', updated_at = ?2 WHERE (workspace_id, id) = \
         (SELECT workspace_id, connection_id FROM syncline_sync_runs WHERE id = ?1 AND job_type NOT IN (SELECT value FROM json_each(?3)))",
    )?
    .execute((id, time::text(at), serde_json::json!(LOCAL).to_string()))?;
    tx.prepare_cached(
        "UPDATE syncline_sync_runs SET status = 'failed', outcome = 'failed', errors = ?2, completed_at = ?3 WHERE id = ?1 AND status = 'running'",
    )?
    .execute((id, errors, time::text(at)))?;
    Ok(())
}

/// Ends every run whose owner is gone.
pub(crate) fn reap(tx: &Transaction<'_>, shared: &Shared) -> Db<u64> {
    let running: Vec<(i64, String)> = {
        let mut found = tx.prepare_cached("SELECT id, owner FROM syncline_sync_runs WHERE status = 'running'")?;
        found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?
    };
    let mut reaped = 0;
    for (id, owner) in running {
        if !shared.owner.lives(&shared.path, &owner) {
            bury(tx, id, Utc::now())?;
            reaped += 1;
        }
    }
    owner::tidy(&shared.path);
    Ok(reaped)
}

/// Whether a run of the workspace, or of one entity type of it, is under way and its owner lives.
pub(crate) fn is_under_way(tx: &Transaction<'_>, shared: &Shared, workspace: &WorkspaceId, entity: Option<&EntityType>) -> Db<bool> {
    let mut found = tx.prepare_cached(
        "SELECT owner FROM syncline_sync_runs WHERE workspace_id = ?1 AND status = 'running' AND (?2 IS NULL OR entity_type = ?2)",
    )?;
    let mut owners = found.query((workspace.as_str(), entity.map(EntityType::as_str)))?;
    while let Some(run) = owners.next()? {
        if shared.owner.lives(&shared.path, run.get_ref(0)?.as_str()?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs that this one may not run beside: of the same stream, or exclusive as it is.
fn in_the_way(tx: &Transaction<'_>, workspace: &WorkspaceId, new: &NewRun) -> Db<Vec<(i64, String)>> {
    let mut found = tx.prepare_cached(
        "SELECT id, owner FROM syncline_sync_runs WHERE workspace_id = ?1 AND connection_id = ?2 AND status = 'running' \
         AND (stream = ?3 OR (?4 AND exclusive = 1))",
    )?;
    let whose = (workspace.as_str(), new.feed.connection.as_str(), new.feed.stream.as_str(), new.exclusive);
    let running = found.query_map(whose, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(running.collect::<rusqlite::Result<_>>()?)
}

fn begin(tx: &Transaction<'_>, shared: &Shared, workspace: &WorkspaceId, new: &NewRun) -> Db<Begin> {
    for (id, owner) in in_the_way(tx, workspace, new)? {
        if shared.owner.lives(&shared.path, &owner) {
            let run = find(tx, workspace, RunId(id))?.ok_or_else(|| damaged("begin_run", "run that is under way"))?;
            return Ok(Begin::Busy(Box::new(run)));
        }
        bury(tx, id, new.at)?;
    }
    let token = (uuid::Uuid::now_v7().as_u128() as u64 >> 1).cast_signed();
    let at = time::text(new.at);
    tx.prepare_cached(
        "INSERT INTO syncline_sync_runs (workspace_id, connection_id, stream, mapping, entity_type, direction, job_type, status, lease_token, \
         owner, started_at, triggered_by, created_at, exclusive) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'running', ?8, ?9, ?10, ?11, ?10, ?12)",
    )?
    .execute((
        workspace.as_str(),
        new.feed.connection.as_str(),
        new.feed.stream.as_str(),
        &*new.feed.mapping,
        new.entity.as_str(),
        new.direction.as_str(),
        new.job_type,
        token,
        &shared.owner.id,
        &at,
        &*new.triggered_by,
        new.exclusive,
    ))?;
    let run = RunId(tx.last_insert_rowid());
    if !LOCAL.contains(&new.job_type) {
        tx.prepare_cached(
            "UPDATE syncline_integration_connections SET sync_status = 'running', updated_at = ?3 WHERE workspace_id = ?1 AND id = ?2",
        )?
        .execute((workspace.as_str(), new.feed.connection.as_str(), &at))?;
    }
    Ok(Begin::Started(Fence { run, token }))
}

/// Ends a run; answers it with the onboarding that advanced by it.
pub(crate) fn end(tx: &Transaction<'_>, workspace: &WorkspaceId, fence: Fence, end: &RunEnd) -> Db<(Run, Option<Onboarding>)> {
    check_fence(tx, workspace, fence, "end_run")?;
    let at = time::text(end.at);
    let errors = serde_json::to_string(&end.errors).map_err(|_| damaged("end_run", "error list of a run"))?;
    tx.prepare_cached(
        "UPDATE syncline_sync_runs SET status = ?3, outcome = ?4, errors = ?5, completed_at = ?6 WHERE workspace_id = ?1 AND id = ?2",
    )?
    .execute((workspace.as_str(), fence.run.0, end.status.as_str(), end.outcome.as_str(), errors, &at))?;
    failure::add(tx, workspace, fence.run, end.failures.iter())?;
    let run = find(tx, workspace, fence.run)?.ok_or_else(|| damaged("end_run", "run that ends"))?;
    look::keep(tx, workspace, &run, end)?;
    let mut mark = tx.prepare_cached(
        "INSERT INTO syncline_sync_cursors (workspace_id, connection_id, stream, mapping, partition_id, gone, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6) ON CONFLICT DO UPDATE SET gone = 1, updated_at = excluded.updated_at",
    )?;
    for partition in &end.gone {
        let feed = &run.feed;
        mark.execute((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping, partition.as_str(), &at))?;
    }
    if LOCAL.contains(&&*run.job_type) {
        return Ok((run, None));
    }
    end_on_connection(tx, workspace, &run, end)?;
    let advanced = if end.status == RunStatus::Completed { onboarding::of_run(tx, workspace, &run, end.at)? } else { None };
    Ok((run, advanced))
}

/// What the end of a run means for its connection. Paused and disconnected ones stay so.
fn end_on_connection(tx: &Transaction<'_>, workspace: &WorkspaceId, run: &Run, end: &RunEnd) -> Db<()> {
    let (whose, at) = ((workspace.as_str(), run.feed.connection.as_str()), time::text(end.at));
    match end.status {
        RunStatus::Completed => tx
            .prepare_cached(
                "UPDATE syncline_integration_connections SET last_sync_at = ?3, sync_status = 'completed', error_message = NULL, \
                 error_kind = NULL, error_count = 0, status = CASE status WHEN 'error' THEN 'active' ELSE status END, updated_at = ?3 \
                 WHERE workspace_id = ?1 AND id = ?2",
            )?
            .execute((whose.0, whose.1, &at))?,
        RunStatus::Failed => {
            let message = end.errors.first().map_or("the run failed", |error| cut(&error.message));
            let kind = end.errors.first().map(|error| error.kind.as_str());
            let counts = end.counts_against_connection || end.revoked;
            tx.prepare_cached(
                "UPDATE syncline_integration_connections SET sync_status = 'failed', error_message = ?4, error_kind = ?8, error_count = error_count + ?5, \
                 status = CASE WHEN status = 'active' AND (?6 OR (?5 AND error_count + 1 >= ?7)) THEN 'error' ELSE status END, updated_at = ?3 \
                 WHERE workspace_id = ?1 AND id = ?2",
            )?
            .execute((whose.0, whose.1, &at, message, counts, end.revoked, FAILURES_UNTIL_ERROR, kind))?
        }
        RunStatus::Cancelled | RunStatus::Running => tx
            .prepare_cached(
                "UPDATE syncline_integration_connections SET sync_status = ?4, updated_at = ?3 WHERE workspace_id = ?1 AND id = ?2",
            )?
            .execute((whose.0, whose.1, &at, end.status.as_str()))?,
    };
    Ok(())
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

fn states(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed) -> Db<Vec<PartitionState>> {
    let mut found = tx.prepare_cached(
        "SELECT partition_id, cursor_version, cursor_state, page_token, page_ends_at, scan, gone FROM syncline_sync_cursors \
         WHERE workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 AND mapping = ?4 ORDER BY partition_id",
    )?;
    let rows = found.query_map((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping), |row| {
        let version: Option<u16> = row.get(1)?;
        let state: Option<Box<str>> = row.get(2)?;
        let token = row.get_ref(3)?.as_str_or_null()?.map(Into::into);
        Ok(PartitionState {
            partition: row.get_ref(0)?.as_str()?.into(),
            cursor: version.zip(state).map(|(version, state)| Cursor { version, state }),
            page: token.zip(time::optional(row, 4)?),
            scan: row.get::<_, i64>(5)?.cast_unsigned(),
            gone: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[async_trait]
impl RunStore for Scoped {
    async fn begin_run(&self, new: NewRun) -> Result<Begin> {
        self.workspace.check("begin_run")?;
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>, shared: &Shared| begin(tx, shared, &workspace, &new);
        self.inner.write("begin_run", move |writer| writer.write(Durability::Full, |tx, _, shared| job(tx, shared))).await
    }

    async fn end_run(&self, fence: Fence, how: RunEnd) -> Result<Run> {
        Ok(self.end_run_onboarding(fence, how).await?.0)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let workspace = self.workspace.clone();
        self.inner.read("run", move |tx| find(tx, &workspace, id)).await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let workspace = self.workspace.clone();
        self.inner
            .read("runs", move |tx| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM syncline_sync_runs WHERE workspace_id = ?1 AND (?2 IS NULL OR connection_id = ?2) \
                     AND (?3 IS NULL OR id < ?3) AND (?4 IS NULL OR entity_type = ?4) ORDER BY id DESC LIMIT ?5"
                );
                let mut found = tx.prepare_cached(&sql)?;
                let limit = if filter.limit == 0 { 50 } else { filter.limit };
                let connection = filter.connection.as_ref().map(AsRef::as_ref);
                let entity = filter.entity.as_ref().map(EntityType::as_str);
                let mut rows = found.query((workspace.as_str(), connection, filter.before.map(|id| id.0), entity, limit))?;
                let mut runs = Vec::new();
                while let Some(row) = rows.next()? {
                    runs.push(from_row(row)?);
                }
                Ok(runs)
            })
            .await
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        let workspace = self.workspace.clone();
        self.inner.read("failures", move |tx| failure::list(tx, &workspace, run, limit)).await
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        self.inner.read("partition_states", move |tx| states(tx, &workspace, &feed)).await
    }

    async fn last_look(&self, feed: &Feed) -> Result<Option<Look>> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        self.inner.read("last_look", move |tx| look::last(tx, &workspace, &feed)).await
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        let job = move |tx: &Transaction<'_>| {
            tx.prepare_cached(
                "DELETE FROM syncline_sync_cursors WHERE workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 AND mapping = ?4",
            )?
            .execute((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping))?;
            Ok(())
        };
        self.inner.write("reset_cursors", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        let workspace = self.workspace.clone();
        self.inner
            .read("events", move |tx| {
                let mut found = tx.prepare_cached(
                    "SELECT seq, run_id, body FROM syncline_sync_events WHERE workspace_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                )?;
                let rows = found.query_map((workspace.as_str(), after, limit), |row| {
                    Ok(Event { seq: row.get(0)?, run: row.get::<_, Option<i64>>(1)?.map(RunId), body: row.get(2)? })
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

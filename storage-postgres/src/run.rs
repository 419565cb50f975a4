//! Runs, their fences, cursors and events.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Counts, Cursor, Direction, Error, ErrorKind, Outcome, RecordFailure, Result, RunError, RunId, WorkspaceId,
    store::{
        Begin, Event, Feed, Fence, LOCAL, Look, NewRun, Onboarding, OnboardingStore as _, PartitionState, Run, RunEnd, RunFilter,
        RunStatus, RunStore,
    },
};

use crate::{
    error::{Db, code, damaged},
    event, failure, lease, look, nul, onboarding,
    storage::Scoped,
    tx::{Door, Repeat, Tx, raw},
};

pub(crate) use crate::{
    event::add_events,
    mark::{Mark, has_committed},
};

/// Failed runs in a row that put a connection into status `error`.
const FAILURES_UNTIL_ERROR: i64 = 3;
/// How long a process that ended may still hold its run.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// Bytes of an error text that a connection keeps.
const MESSAGE_BYTES: usize = 2048;

macro_rules! columns {
    () => {
        "id, connection_id, stream, mapping, direction, entity_type, job_type, status, outcome, rows_processed, rows_created, \
         rows_updated, rows_unchanged, rows_skipped, rows_failed, rows_deleted, rows_swept, errors::text, triggered_by, started_at, \
         completed_at, rows_unsettled"
    };
}

fn from_row(row: &PgRow) -> Db<Run> {
    let text = |at: usize| row.try_get::<String, _>(at);
    let count = |at: usize| row.try_get::<i64, _>(at).map(i64::cast_unsigned);
    let direction = match text(4)?.as_str() {
        "to_external" => Direction::ToExternal,
        "from_external" => Direction::FromExternal,
        _ => Direction::Bidirectional,
    };
    let outcome = row.try_get::<Option<&str>, _>(8)?.map(|text| match text {
        "ok" => Outcome::Ok,
        "partial" => Outcome::Partial,
        _ => Outcome::Failed,
    });
    Ok(Run {
        id: RunId(row.try_get(0)?),
        feed: Feed { connection: text(1)?.into(), stream: text(2)?.into(), mapping: text(3)?.into() },
        direction,
        entity: text(5)?.into(),
        job_type: text(6)?.into(),
        status: RunStatus::parse(&text(7)?).ok_or_else(|| damaged("run", "status of a run"))?,
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
        errors: serde_json::from_str(&text(17)?).map_err(|_| damaged("run", "error list of a run"))?,
        triggered_by: text(18)?.into(),
        started_at: row.try_get(19)?,
        completed_at: row.try_get(20)?,
    })
}

async fn find(tx: &mut Tx, workspace: &WorkspaceId, id: RunId) -> Db<Option<Run>> {
    let row = sqlx::query(concat!("SELECT ", columns!(), " FROM sync_runs WHERE workspace_id = $1 AND id = $2"))
        .bind(workspace.as_str())
        .bind(id.0)
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(from_row).transpose()
}

fn lease_lost(operation: &'static str, run: RunId) -> Error {
    let text = format!("run {run} has ended, or its lease has run out and it belongs to another worker; nothing was written");
    Error::new(ErrorKind::LeaseLost, operation, text)
}

/// Checks that a run is still its owner's, without holding it: what is found here may be lost a moment later. [`hold`] settles it.
pub(crate) async fn check_fence(tx: &mut Tx, workspace: &WorkspaceId, fence: Fence, operation: &'static str) -> Db<()> {
    let holds: Option<bool> = sqlx::query_scalar(
        "SELECT true FROM sync_runs WHERE workspace_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running' AND lease_until > clock()",
    )
    .bind(workspace.as_str())
    .bind(fence.run.0)
    .bind(fence.token)
    .fetch_optional(&mut **tx)
    .await?;
    holds.map(drop).ok_or_else(|| lease_lost(operation, fence.run).into())
}

/// Adds to the counts of a run if it is still its owner's, and holds it so until the transaction ends; the lease begins anew. Belongs at
/// the end of a transaction, since others of the same run wait for it from here on. Answers what this transaction is known by.
pub(crate) async fn hold(tx: &mut Tx, workspace: &WorkspaceId, fence: Fence, counts: &Counts, operation: &'static str) -> Db<Mark> {
    let lease = tx.inner.settings.lease.as_secs_f64();
    let held = sqlx::query(
        "UPDATE sync_runs SET rows_processed = rows_processed + $4, rows_created = rows_created + $5, rows_updated = rows_updated + $6, \
         rows_unchanged = rows_unchanged + $7, rows_skipped = rows_skipped + $8, rows_failed = rows_failed + $9, \
         rows_deleted = rows_deleted + $10, rows_swept = rows_swept + $11, rows_unsettled = rows_unsettled + $12, \
         commits = commits + 1, lease_until = clock() + make_interval(secs => $13) \
         WHERE workspace_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running' AND lease_until > clock() \
         RETURNING pg_current_xact_id()::text, commits",
    )
    .bind(workspace.as_str())
    .bind(fence.run.0)
    .bind(fence.token)
    .bind(counts.read.cast_signed())
    .bind(counts.created.cast_signed())
    .bind(counts.updated.cast_signed())
    .bind(counts.unchanged.cast_signed())
    .bind(counts.skipped.cast_signed())
    .bind(counts.failed.cast_signed())
    .bind(counts.deleted.cast_signed())
    .bind(counts.swept.cast_signed())
    .bind(counts.unsettled.cast_signed())
    .bind(lease)
    .fetch_optional(&mut **tx)
    .await?;
    let held = held.ok_or_else(|| lease_lost(operation, fence.run))?;
    Ok(Mark { fence, transaction: held.try_get::<String, _>(0)?.into(), number: held.try_get(1)? })
}

/// What stands in a run whose owner is gone.
fn owner_gone() -> Db<String> {
    let error = RunError {
        kind: ErrorKind::Cancelled,
        message: "its process ended before it did".into(),
        hint: ErrorKind::Cancelled.hint().into(),
        partition: None,
    };
    serde_json::to_string(&[error]).map_err(|_| damaged("reap", "error list of a run"))
}

/// Ends the runs of this transaction's tenants whose owners are gone, at most `limit`; of one connection where it is named. It says
/// nothing about the service, so the connections' failures are not counted up. Answers how many.
pub(crate) async fn bury(tx: &mut Tx, connection: Option<&str>, limit: i64) -> Db<u64> {
    let buried = sqlx::query(
        "WITH gone AS (SELECT workspace_id, id FROM sync_runs WHERE status = 'running' AND lease_until <= clock() \
             AND ($1::text IS NULL OR connection_id = $1) ORDER BY workspace_id, id FOR UPDATE SKIP LOCKED LIMIT $3), \
         ended AS (UPDATE sync_runs r SET status = 'failed', outcome = 'failed', errors = $2::text::jsonb, completed_at = clock() \
             FROM gone WHERE r.workspace_id = gone.workspace_id AND r.id = gone.id RETURNING r.workspace_id, r.connection_id, r.job_type), \
         told AS (UPDATE integration_connections c SET sync_status = 'failed', updated_at = clock() FROM ended \
             WHERE c.workspace_id = ended.workspace_id AND c.id = ended.connection_id AND ended.job_type <> ALL ($4)) \
         SELECT count(*) FROM ended",
    )
    .bind(connection)
    .bind(owner_gone()?)
    .bind(limit)
    .bind(LOCAL)
    .fetch_one(&mut **tx)
    .await?;
    Ok(buried.try_get::<i64, _>(0)?.cast_unsigned())
}

/// The first run that this one may not run beside: of the same stream, or exclusive as it is. After its columns come its token and whether
/// its lease has run out.
async fn in_the_way(tx: &mut Tx, workspace: &WorkspaceId, new: &NewRun) -> Db<Option<PgRow>> {
    let found = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        ", lease_token, lease_until <= clock() FROM sync_runs WHERE workspace_id = $1 AND connection_id = $2 AND status = 'running' \
         AND (stream = $3 OR ($4 AND exclusive)) ORDER BY id LIMIT 1"
    ))
    .bind(workspace.as_str())
    .bind(new.feed.connection.as_str())
    .bind(new.feed.stream.as_str())
    .bind(new.exclusive)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found)
}

/// Waits a moment until nobody holds the row of a run, and holds it then; answers whether it could be had. The server needs that moment to
/// notice that a process is gone. One that it does not notice so soon holds the run, and whoever asks is told of it.
async fn let_go(tx: &mut Tx, workspace: &WorkspaceId, run: i64) -> Db<bool> {
    let deadline = tx.inner.settings.deadline;
    tx.savepoint().await?;
    raw(tx, format!("SET LOCAL lock_timeout = {}", LAST_BREATH.min(deadline / 2).as_millis().max(1))).await?;
    let held = sqlx::query("SELECT FROM sync_runs WHERE workspace_id = $1 AND id = $2 FOR UPDATE");
    let held = held.bind(workspace.as_str()).bind(run).execute(&mut **tx).await;
    match held {
        Err(error) if code(&error) == Some("55P03") => {
            tx.back().await?;
            Ok(false)
        }
        held => {
            held?;
            raw(tx, format!("SET LOCAL lock_timeout = {}", deadline.as_millis().max(1))).await?;
            Ok(true)
        }
    }
}

/// How a run begins: with a token that is the same however often the transaction is begun anew.
async fn begin(tx: &mut Tx, workspace: &WorkspaceId, new: &NewRun, token: i64) -> Db<Begin> {
    // Those who begin runs of one connection take turns, whatever the streams: an exclusive one looks at all of them.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('syncline runs of ' || current_schema() || ' ' || $1 || ' ' || $2, 0))")
        .bind(workspace.as_str())
        .bind(new.feed.connection.as_str())
        .execute(&mut **tx)
        .await?;
    bury(tx, Some(new.feed.connection.as_str()), 1000).await?;
    let mut row = in_the_way(tx, workspace, new).await?;
    // A run that is over and could not be ended: its row is held by what is left of its owner, or by somebody who ends it just now.
    if let Some(over) = &row
        && over.try_get(23)?
        && let_go(tx, workspace, over.try_get(0)?).await?
    {
        bury(tx, Some(new.feed.connection.as_str()), 1000).await?;
        row = in_the_way(tx, workspace, new).await?;
    }
    if let Some(row) = row {
        let run = from_row(&row)?;
        return Ok(match row.try_get::<i64, _>(22)? {
            own if own == token => Begin::Started(Fence { run: run.id, token }),
            _ => Begin::Busy(Box::new(run)),
        });
    }
    let lease = tx.inner.settings.lease.as_secs_f64();
    let owner = tx.inner.owner.clone();
    let run: i64 = sqlx::query_scalar(
        "INSERT INTO sync_runs (workspace_id, connection_id, stream, mapping, entity_type, direction, job_type, status, lease_token, \
         lease_until, owner, started_at, triggered_by, created_at, exclusive) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, clock() + make_interval(secs => $9), $10, $11, $12, $11, $13) RETURNING id",
    )
    .bind(workspace.as_str())
    .bind(new.feed.connection.as_str())
    .bind(new.feed.stream.as_str())
    .bind(&*new.feed.mapping)
    .bind(new.entity.as_str())
    .bind(new.direction.as_str())
    .bind(new.job_type)
    .bind(token)
    .bind(lease)
    .bind(owner)
    .bind(new.at)
    .bind(&*new.triggered_by)
    .bind(new.exclusive)
    .fetch_one(&mut **tx)
    .await?;
    if !LOCAL.contains(&new.job_type) {
        sqlx::query("UPDATE integration_connections SET sync_status = 'running', updated_at = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.as_str())
            .bind(new.feed.connection.as_str())
            .bind(new.at)
            .execute(&mut **tx)
            .await?;
    }
    Ok(Begin::Started(Fence { run: RunId(run), token }))
}

/// Ends a run; answers it with the onboarding that advanced by it.
pub(crate) async fn end(tx: &mut Tx, workspace: &WorkspaceId, fence: Fence, end: &RunEnd) -> Db<(Run, Option<Onboarding>)> {
    let errors = serde_json::to_string(&end.errors).map_err(|_| damaged("end_run", "error list of a run"))?;
    let errors = nul::json(&errors);
    let ended = sqlx::query(
        "UPDATE sync_runs SET status = $4, outcome = $5, errors = $6::text::jsonb, completed_at = $7 \
         WHERE workspace_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running' AND lease_until > clock()",
    )
    .bind(workspace.as_str())
    .bind(fence.run.0)
    .bind(fence.token)
    .bind(end.status.as_str())
    .bind(end.outcome.as_str())
    .bind(&*errors)
    .bind(end.at)
    .execute(&mut **tx)
    .await?;
    if ended.rows_affected() == 0 {
        // The commit of this very end may have gone through and its answer been lost.
        let done: Option<bool> = sqlx::query_scalar(
            "SELECT true FROM sync_runs WHERE workspace_id = $1 AND id = $2 AND lease_token = $3 AND status = $4 AND completed_at = $5 \
             AND errors = $6::text::jsonb",
        )
        .bind(workspace.as_str())
        .bind(fence.run.0)
        .bind(fence.token)
        .bind(end.status.as_str())
        .bind(end.at)
        .bind(&*errors)
        .fetch_optional(&mut **tx)
        .await?;
        return match (done, find(tx, workspace, fence.run).await?) {
            (Some(true), Some(run)) => Ok((run, None)),
            _ => Err(lease_lost("end_run", fence.run).into()),
        };
    }
    failure::add(tx, workspace, fence.run, end.failures.iter()).await?;
    let run = find(tx, workspace, fence.run).await?.ok_or_else(|| damaged("end_run", "run that ends"))?;
    look::keep(tx, workspace, &run, end).await?;
    if !end.gone.is_empty() {
        let gone: Vec<&str> = end.gone.iter().map(|partition| partition.as_str()).collect();
        sqlx::query(
            "INSERT INTO sync_cursors (workspace_id, connection_id, stream, mapping, partition_id, gone, updated_at) \
             SELECT $1, $2, $3, $4, p, true, $6 FROM (SELECT DISTINCT p FROM unnest($5::text[]) p ORDER BY p) p \
             ON CONFLICT (workspace_id, connection_id, stream, mapping, partition_id) DO UPDATE SET gone = true, updated_at = excluded.updated_at",
        )
        .bind(workspace.as_str())
        .bind(run.feed.connection.as_str())
        .bind(run.feed.stream.as_str())
        .bind(&*run.feed.mapping)
        .bind(gone)
        .bind(end.at)
        .execute(&mut **tx)
        .await?;
    }
    if LOCAL.contains(&&*run.job_type) {
        return Ok((run, None));
    }
    let user = end_on_connection(tx, workspace, &run, end).await?;
    let completed = user.filter(|_| end.status == RunStatus::Completed);
    let advanced = onboarding::of_run(tx, workspace, completed.as_deref(), end.at).await?;
    Ok((run, advanced))
}

/// What the end of a run means for its connection. Paused and disconnected ones stay so. Answers who connected it.
async fn end_on_connection(tx: &mut Tx, workspace: &WorkspaceId, run: &Run, end: &RunEnd) -> Db<Option<String>> {
    let connection = run.feed.connection.as_str();
    let query = match end.status {
        RunStatus::Completed => sqlx::query(
            "UPDATE integration_connections SET last_sync_at = $3, sync_status = 'completed', error_message = NULL, error_kind = NULL, error_count = 0, \
             status = CASE status WHEN 'error' THEN 'active' ELSE status END, updated_at = $3 WHERE workspace_id = $1 AND id = $2 \
             RETURNING connected_by",
        )
        .bind(workspace.as_str())
        .bind(connection)
        .bind(end.at),
        RunStatus::Failed => sqlx::query(
            "UPDATE integration_connections SET sync_status = 'failed', error_message = $4, error_kind = $8, error_count = error_count + $5::int, \
             status = CASE WHEN status = 'active' AND ($6 OR ($5::int = 1 AND error_count + 1 >= $7)) THEN 'error' ELSE status END, \
             updated_at = $3 WHERE workspace_id = $1 AND id = $2 RETURNING connected_by",
        )
        .bind(workspace.as_str())
        .bind(connection)
        .bind(end.at)
        .bind(nul::text(end.errors.first().map_or("the run failed", |error| cut(&error.message))).into_owned())
        .bind(i32::from(end.counts_against_connection || end.revoked))
        .bind(end.revoked)
        .bind(FAILURES_UNTIL_ERROR)
        .bind(end.errors.first().map(|error| error.kind.as_str())),
        RunStatus::Cancelled | RunStatus::Running => {
            let sql = "UPDATE integration_connections SET sync_status = $4, updated_at = $3 WHERE workspace_id = $1 AND id = $2 \
                       RETURNING connected_by";
            sqlx::query(sql).bind(workspace.as_str()).bind(connection).bind(end.at).bind(end.status.as_str())
        }
    };
    Ok(query.fetch_optional(&mut **tx).await?.map(|row| row.try_get(0)).transpose()?.flatten())
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

async fn list(tx: &mut Tx, workspace: &WorkspaceId, filter: &RunFilter) -> Db<Vec<Run>> {
    let limit = if filter.limit == 0 { 50 } else { filter.limit };
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM sync_runs WHERE workspace_id = $1 AND ($2::text IS NULL OR connection_id = $2) AND id < $3 \
         AND ($5::text IS NULL OR entity_type = $5) ORDER BY id DESC LIMIT $4"
    ))
    .bind(workspace.as_str())
    .bind(filter.connection.as_ref().map(AsRef::<str>::as_ref))
    .bind(filter.before.map_or(i64::MAX, |id| id.0))
    .bind(i64::from(limit))
    .bind(filter.entity.as_ref().map(|entity| entity.as_str()))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(from_row).collect()
}

async fn states(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed) -> Db<Vec<PartitionState>> {
    let rows = sqlx::query(
        "SELECT partition_id, cursor_version, cursor_state, page_token, page_ends_at, scan, gone FROM sync_cursors \
         WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4 ORDER BY partition_id",
    )
    .bind(workspace.as_str())
    .bind(feed.connection.as_str())
    .bind(feed.stream.as_str())
    .bind(&*feed.mapping)
    .fetch_all(&mut **tx)
    .await?;
    let mut states = Vec::with_capacity(rows.len());
    for row in &rows {
        let version: Option<i32> = row.try_get(1)?;
        let state: Option<String> = row.try_get(2)?;
        let token: Option<String> = row.try_get(3)?;
        let version = version.map(u16::try_from).transpose().map_err(|_| damaged("partition_states", "version of a cursor"))?;
        states.push(PartitionState {
            partition: row.try_get::<String, _>(0)?.into(),
            cursor: version.zip(state).map(|(version, state)| Cursor { version, state: state.into() }),
            page: token.map(Into::into).zip(row.try_get::<Option<DateTime<Utc>>, _>(4)?),
            scan: row.try_get::<i64, _>(5)?.cast_unsigned(),
            gone: row.try_get(6)?,
        });
    }
    Ok(states)
}

#[async_trait]
impl RunStore for Scoped {
    async fn begin_run(&self, new: NewRun) -> Result<Begin> {
        lease::given_back(&self.inner).await;
        let (workspace, new) = (self.workspace.clone(), Arc::new(new));
        let token = (uuid::Uuid::now_v7().as_u128() as u64 >> 1).cast_signed();
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("begin_run", door, Repeat::Always, move |tx| {
            let (workspace, new) = (workspace.clone(), Arc::clone(&new));
            async move { begin(tx, &workspace, &new, token).await }.boxed()
        });
        done.await
    }

    async fn end_run(&self, fence: Fence, how: RunEnd) -> Result<Run> {
        Ok(self.end_run_onboarding(fence, how).await?.0)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("run", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move { find(tx, &workspace, id).await }.boxed()
        });
        found.await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let (workspace, filter) = (self.workspace.clone(), Arc::new(filter));
        let found = self.inner.read("runs", &self.workspace, move |tx| {
            let (workspace, filter) = (workspace.clone(), Arc::clone(&filter));
            async move { list(tx, &workspace, &filter).await }.boxed()
        });
        found.await
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("failures", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move { failure::list(tx, &workspace, run, limit).await }.boxed()
        });
        found.await
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        let found = self.inner.read("partition_states", &self.workspace, move |tx| {
            let (workspace, feed) = (workspace.clone(), feed.clone());
            async move { states(tx, &workspace, &feed).await }.boxed()
        });
        found.await
    }

    async fn last_look(&self, feed: &Feed) -> Result<Option<Look>> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        let found = self.inner.read("last_look", &self.workspace, move |tx| {
            let (workspace, feed) = (workspace.clone(), feed.clone());
            async move { look::last(tx, &workspace, &feed).await }.boxed()
        });
        found.await
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("reset_cursors", door, Repeat::Always, move |tx| {
            let (workspace, feed) = (workspace.clone(), feed.clone());
            async move {
                sqlx::query("DELETE FROM sync_cursors WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4")
                    .bind(workspace.as_str())
                    .bind(feed.connection.as_str())
                    .bind(feed.stream.as_str())
                    .bind(&*feed.mapping)
                    .execute(&mut **tx)
                    .await?;
                Ok(())
            }
            .boxed()
        });
        done.await
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("events", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move { event::list(tx, &workspace, after, limit).await }.boxed()
        });
        found.await
    }
}

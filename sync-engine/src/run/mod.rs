//! One run from its row to its result, the same whichever way the data goes.

mod shield;
mod stopping;
mod turns;

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use sync_core::{
    Error, ErrorKind, Outcome, PartitionId, RecordFailure, Result, RunError, SyncResult,
    store::{Begin, Fence, Look, NewRun, PLAN, Run, RunEnd, RunStatus},
};

use self::stopping::{Caller, Key, Running};
pub(crate) use self::{shield::Shield, stopping::Stopping, turns::Turns};
use crate::{Connection, SyncEvent};

/// Record failures that travel with a result; the store keeps the rest.
const FAILURES_SHOWN: u32 = 100;

/// What a run that went through has to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) errors: Vec<RunError>,
    pub(crate) gone: Vec<PartitionId>,
    pub(crate) partial: bool,
    /// Warnings that belong to no commit.
    pub(crate) failures: Vec<RecordFailure>,
    pub(crate) look: Option<Look>,
}

/// Ends a task when the run that owns it ends, however it ends.
pub(crate) struct AbortOnDrop(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A run about to begin.
#[derive(Debug)]
pub(crate) struct Start {
    /// What errors and logs call it: `pull`, `push`.
    pub(crate) operation: &'static str,
    pub(crate) new: NewRun,
}

/// Begins a run, does its work and writes down its end. What the work starts under the [`Shield`] goes on to its end when the caller's
/// future is dropped; the rest of it stops where it stands.
pub(crate) async fn lead<W>(
    connection: &Connection,
    start: Start,
    work: impl FnOnce(Fence, Shield) -> W + Send + 'static,
) -> Result<SyncResult>
where
    W: Future<Output = Result<Report>> + Send + 'static,
{
    // The run is a task of its own from before its row is written until its end is, so that dropping the caller's future at any
    // await leaves no row behind that says `running`.
    let operation = start.operation;
    let key = (connection.workspace.id.clone(), connection.id.clone(), start.new.feed.stream.clone());
    let (caller, running) = Caller::new(Arc::clone(&connection.workspace.engine), key.clone());
    let task = tokio::spawn(owned(connection.clone(), key, start, running, work));
    let result = task.await.map_err(|e| Error::new(ErrorKind::Internal, operation, "the run's task ended early").because(e));
    caller.done();
    result?
}

async fn owned<W>(
    connection: Connection,
    key: Key,
    start: Start,
    running: Running,
    work: impl FnOnce(Fence, Shield) -> W + Send + 'static,
) -> Result<SyncResult>
where
    W: Future<Output = Result<Report>> + Send + 'static,
{
    let Running { mut stopped, end: _until_the_end } = running;
    let operation = start.operation;
    let cancelled = || Error::new(ErrorKind::Cancelled, operation, "the caller stopped the run");
    let _turn = match start.new.exclusive {
        true => tokio::select! {
            turn = connection.workspace.engine.turns.wait(&connection.workspace.id, &connection.id) => Some(turn),
            _ = &mut stopped => return Err(cancelled()),
        },
        false => None,
    };
    let fence = begin(&connection, &key, &start).await?;
    let (shield, shielded) = Shield::new();
    let work = AssertUnwindSafe(Box::pin(work(fence, shield))).catch_unwind();
    let ended = tokio::select! {
        ended = work => ended.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, operation, "the run panicked"))),
        _ = stopped => Err(cancelled()),
    };
    shielded.ended().await;
    end(&connection, operation, fence, ended).await
}

async fn begin(connection: &Connection, key: &Key, start: &Start) -> Result<Fence> {
    let engine = &connection.workspace.engine;
    engine.unended.write(engine, &connection.workspace.id, &*connection.workspace.store).await?;
    let at = engine.shared.clock.now();
    let new = NewRun { at, ..start.new.clone() };
    let mut begun = connection.workspace.store.begin_run(new.clone()).await?;
    if matches!(begun, Begin::Busy(_)) && engine.stopping.wait(key).await {
        begun = connection.workspace.store.begin_run(new).await?;
    }
    let fence = match begun {
        Begin::Started(fence) => fence,
        Begin::Busy(other) => {
            let since = other.started_at.format("%F %T UTC");
            let text = format!("run {} of stream {:?} is under way since {since}", other.id, other.feed.stream.as_str());
            return Err(Error::new(ErrorKind::Conflict, start.operation, text).at("connection", connection.id.as_str()));
        }
    };
    engine.crash_points.at("p2");
    let stream = &start.new.feed.stream;
    engine.emit(SyncEvent::SyncStarted {
        workspace: connection.workspace.id.clone(),
        run: fence.run,
        connection: connection.id.clone(),
        direction: start.new.direction,
        stream: stream.clone(),
        entity: start.new.entity.clone(),
        at,
    });
    tracing::info!(run = %fence.run, connection = %connection.id, %stream, direction = start.new.direction.as_str(), "run started");
    Ok(fence)
}

/// Writes down how the run ended, and answers from what was written.
async fn end(connection: &Connection, operation: &'static str, fence: Fence, ended: Result<Report>) -> Result<SyncResult> {
    let engine = &connection.workspace.engine;
    let store = &connection.workspace.store;
    let at = engine.shared.clock.now();
    let end = match &ended {
        Ok(report) => RunEnd {
            status: RunStatus::Completed,
            outcome: if report.partial { Outcome::Partial } else { Outcome::Ok },
            errors: report.errors.clone(),
            failures: report.failures.clone(),
            counts_against_connection: false,
            revoked: false,
            gone: report.gone.clone(),
            look: report.look.clone(),
            at,
        },
        Err(error) => RunEnd {
            status: if error.kind() == ErrorKind::Cancelled { RunStatus::Cancelled } else { RunStatus::Failed },
            outcome: Outcome::Failed,
            errors: vec![RunError::new(error)],
            failures: Vec::new(),
            // A slip of the caller's pen says nothing about the connection.
            counts_against_connection: error.kind().counts_against_connection()
                && !(error.kind() == ErrorKind::Config && [operation, "mapping"].contains(&error.operation())),
            revoked: error.kind() == ErrorKind::AuthRevoked,
            gone: Vec::new(),
            look: None,
            at,
        },
    };
    engine.crash_points.at("p15");
    let (run, advanced) = match store.end_run_onboarding(fence, end.clone()).await {
        Ok(ended) => ended,
        Err(error) => {
            if error.kind() != ErrorKind::LeaseLost {
                engine.unended.keep(&connection.workspace.id, fence, end);
            }
            return Err(error);
        }
    };
    let mut failures = store.failures(run.id, FAILURES_SHOWN).await?;
    if let Ok(report) = &ended {
        // What is said of the whole stream stands behind all rows, and is not to be crowded out by them.
        failures.retain(|failure| !report.failures.contains(failure));
        failures.splice(0..0, report.failures.iter().cloned());
        failures.truncate(FAILURES_SHOWN as usize);
    }
    let result = result_of(&run, failures);
    // A run that only looked leaves nothing but its plan.
    if &*run.job_type != PLAN
        && let Err(error) = connection.log_sync_activity(&result).await
    {
        tracing::error!(run = %run.id, %error, "the run is written, its line in the activity log is not");
    }
    match &ended {
        Ok(_) => tracing::info!(run = %run.id, counts = ?run.counts, "run completed"),
        Err(error) => tracing::warn!(run = %run.id, %error, hint = error.hint(), "run stopped"),
    }
    metrics::counter!("syncline_runs_total", "provider" => connection.integration_name(), "outcome" => result.outcome.as_str())
        .increment(1);
    engine.advanced(&connection.workspace.id, advanced);
    engine.emit(SyncEvent::SyncComplete { run: run.id, status: run.status, outcome: result.outcome, counts: run.counts, at });
    Ok(result)
}

fn result_of(run: &Run, failures: Vec<RecordFailure>) -> SyncResult {
    let completed_at = run.completed_at.unwrap_or(run.started_at);
    let mut result = SyncResult::completed(run.direction, run.id, run.counts, run.started_at, completed_at);
    result.outcome = match (run.outcome, result.outcome) {
        (Some(Outcome::Ok), of_counts) => of_counts,
        (Some(stored), _) => stored,
        (None, of_counts) => of_counts,
    };
    result.errors.clone_from(&run.errors);
    result.failures = failures;
    result.metadata.insert("entity".into(), run.entity.as_str().into());
    result.metadata.insert("stream".into(), run.feed.stream.as_str().into());
    result
}

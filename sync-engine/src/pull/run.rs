//! One run from its row to its result.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use sync_core::{
    Direction, EntityType, Error, ErrorKind, Outcome, PartitionId, Result, RunError, SyncContext, SyncResult, Target,
    mapping::CompiledMapping,
    store::{Begin, Feed, Fence, NewRun, Run, RunEnd, RunStatus, Sweep, SweepReport},
};
use tokio::sync::mpsc;

use super::{
    Pull,
    committer::{Committer, Lanes},
    lane::Fetch,
    plan::{Plan, entity_of, scan_of},
    stopping::{Caller, Key, Running},
};
use crate::{Connection, SyncEvent};

/// Pages that wait for the committer while it writes; each lane holds at most one more.
const PAGES_AHEAD: usize = 2;

/// The share of known rows a sweep may delete without being confirmed (reliability: DS7).
const SWEEP_SHARE: f64 = 0.2;

/// Record failures that travel with a result; the store keeps the rest.
const FAILURES_SHOWN: u32 = 100;

/// What a run that went through has to say.
#[derive(Debug, Default)]
struct Report {
    errors: Vec<RunError>,
    gone: Vec<PartitionId>,
    partial: bool,
}

/// A run about to begin.
struct Job {
    connection: Connection,
    key: Key,
    pull: Pull,
    feed: Feed,
    entity: EntityType,
    mapping: Option<Arc<CompiledMapping>>,
    cx: SyncContext,
}

pub(crate) async fn run(connection: &Connection, pull: Pull) -> Result<SyncResult> {
    let row = connection.usable().await?;
    let transforms = &connection.workspace.engine.transforms;
    let mapping = pull.mapping.as_ref().map(|mapping| mapping.compile(transforms)).transpose()?.map(Arc::new);
    let cx = connection.context_with(&row.settings)?;
    let feed = Feed {
        connection: connection.id.clone(),
        stream: pull.stream.clone(),
        mapping: mapping.as_ref().map(|mapping| mapping.name().into()).unwrap_or_default(),
    };
    let own_table = || entity_of(connection.integration_name(), &pull.stream);
    let entity = mapping.as_ref().map_or_else(own_table, |mapping| mapping.entity().clone());
    // The run is a task of its own from before its row is written until its end is, so that dropping the caller's future at any
    // await leaves no row behind that says `running`.
    let key = (connection.workspace.id.clone(), connection.id.clone(), pull.stream.clone());
    let (caller, running) = Caller::new(Arc::clone(&connection.workspace.engine), key.clone());
    let task = tokio::spawn(owned(Job { connection: connection.clone(), key, pull, feed, entity, mapping, cx }, running));
    let result = task.await.map_err(|e| Error::new(ErrorKind::Internal, "pull", "the run's task ended early").because(e));
    caller.done();
    result?
}

async fn owned(job: Job, running: Running) -> Result<SyncResult> {
    let Running { stopped, end: _until_the_end } = running;
    let fence = begin(&job).await?;
    let connection = job.connection.clone();
    let work = AssertUnwindSafe(Box::pin(execute(job, fence))).catch_unwind();
    let ended = tokio::select! {
        ended = work => ended.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "pull", "the run panicked"))),
        _ = stopped => Err(Error::new(ErrorKind::Cancelled, "pull", "the caller stopped the run")),
    };
    end(&connection, fence, ended).await
}

async fn begin(job: &Job) -> Result<Fence> {
    let Job { connection, pull, feed, entity, .. } = job;
    let engine = &connection.workspace.engine;
    engine.unended.write(&connection.workspace.id, &*connection.workspace.store).await?;
    let at = engine.shared.clock.now();
    let new = NewRun {
        feed: feed.clone(),
        direction: Direction::FromExternal,
        entity: entity.clone(),
        job_type: if pull.full { "full" } else { "incremental" },
        exclusive: false,
        triggered_by: pull.triggered_by.clone(),
        at,
    };
    let mut begun = connection.workspace.store.begin_run(new.clone()).await?;
    if matches!(begun, Begin::Busy(_)) && engine.stopping.wait(&job.key).await {
        begun = connection.workspace.store.begin_run(new).await?;
    }
    let fence = match begun {
        Begin::Started(fence) => fence,
        Begin::Busy(other) => {
            let since = other.started_at.format("%F %T UTC");
            let text = format!("run {} of stream {:?} is under way since {since}", other.id, other.feed.stream.as_str());
            return Err(Error::new(ErrorKind::Conflict, "pull", text).at("connection", connection.id.as_str()));
        }
    };
    engine.crash_points.at("p2");
    engine.emit(SyncEvent::SyncStarted {
        workspace: connection.workspace.id.clone(),
        run: fence.run,
        connection: connection.id.clone(),
        stream: pull.stream.clone(),
        entity: entity.clone(),
        at,
    });
    tracing::info!(run = %fence.run, connection = %connection.id, stream = %pull.stream, "run started");
    Ok(fence)
}

/// Writes down how the run ended, and answers from what was written.
async fn end(connection: &Connection, fence: Fence, ended: Result<Report>) -> Result<SyncResult> {
    let engine = &connection.workspace.engine;
    let store = &connection.workspace.store;
    let at = engine.shared.clock.now();
    let end = match &ended {
        Ok(report) => RunEnd {
            status: RunStatus::Completed,
            outcome: if report.partial { Outcome::Partial } else { Outcome::Ok },
            errors: report.errors.clone(),
            failures: Vec::new(),
            counts_against_connection: false,
            revoked: false,
            gone: report.gone.clone(),
            at,
        },
        Err(error) => RunEnd {
            status: if error.kind() == ErrorKind::Cancelled { RunStatus::Cancelled } else { RunStatus::Failed },
            outcome: Outcome::Failed,
            errors: vec![RunError::new(error)],
            failures: Vec::new(),
            // A slip of the caller's pen says nothing about the connection.
            counts_against_connection: error.kind().counts_against_connection()
                && (error.kind(), error.operation()) != (ErrorKind::Config, "pull"),
            revoked: error.kind() == ErrorKind::AuthRevoked,
            gone: Vec::new(),
            at,
        },
    };
    engine.crash_points.at("p15");
    let run = match store.end_run(fence, end.clone()).await {
        Ok(run) => run,
        Err(error) => {
            if error.kind() != ErrorKind::LeaseLost {
                engine.unended.keep(&connection.workspace.id, fence, end);
            }
            return Err(error);
        }
    };
    let result = result_of(&run, store.failures(run.id, FAILURES_SHOWN).await?);
    if let Err(error) = connection.log_sync_activity(&result).await {
        tracing::error!(run = %run.id, %error, "the run is written, its line in the activity log is not");
    }
    match &ended {
        Ok(_) => tracing::info!(run = %run.id, counts = ?run.counts, "run completed"),
        Err(error) => tracing::warn!(run = %run.id, %error, hint = error.hint(), "run stopped"),
    }
    metrics::counter!("syncline_runs_total", "provider" => connection.integration_name(), "outcome" => result.outcome.as_str())
        .increment(1);
    engine.emit(SyncEvent::SyncComplete { run: run.id, status: run.status, outcome: result.outcome, counts: run.counts, at });
    Ok(result)
}

fn result_of(run: &Run, failures: Vec<sync_core::RecordFailure>) -> SyncResult {
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

async fn execute(job: Job, fence: Fence) -> Result<Report> {
    let Job { connection, pull, feed, mapping, cx, .. } = job;
    let engine = &connection.workspace.engine;
    let plan = Plan::make(&connection, &cx, &pull, &feed, fence.run, mapping).await?;
    engine.emit(SyncEvent::SyncPlanned { run: fence.run, partitions: plan.lanes.len() as u64 });
    let lanes = read(&connection, &pull, &feed, fence, cx, &plan).await?;
    let mut report = Report { gone: plan.gone.clone(), ..Report::default() };
    if !lanes.failed.is_empty() && lanes.failed.len() == plan.lanes.len() {
        let mut failed = lanes.failed;
        return Err(failed.swap_remove(0));
    }
    report.errors = lanes.failed.iter().map(RunError::new).collect();
    if let Some(swept) = sweep(&connection, &pull, &feed, fence, &plan, &lanes).await?
        && swept.needs_confirmation()
    {
        let error = Error::new(ErrorKind::Conflict, "sweep", refused_sweep(&plan.target, swept));
        report.errors.push(RunError::new(&error));
    }
    report.partial = !report.errors.is_empty() || lanes.counts.failed > 0;
    Ok(report)
}

async fn read(connection: &Connection, pull: &Pull, feed: &Feed, fence: Fence, cx: SyncContext, plan: &Plan) -> Result<Lanes> {
    let engine = &connection.workspace.engine;
    let descriptor = connection.provider.descriptor();
    let lag = chrono::Duration::from_std(pull.safety_lag).unwrap_or_default();
    let fetch = Fetch {
        provider: Arc::clone(&connection.provider),
        until: cx.services.now() - lag,
        cx,
        stream: pull.stream.clone(),
        key: Arc::clone(&plan.key),
        // At least the lag, since a read of everything moves the position up to now.
        look_back: pull.look_back.unwrap_or(descriptor.look_back).max(pull.safety_lag),
        limit: pull.limit,
        mapping: plan.mapping.clone(),
        fields: Arc::clone(&plan.fields),
        fields_declared: plan.fields_declared,
        anew: scan_of(fence.run, true),
        crash_points: engine.crash_points.clone(),
    };
    let (out, arrivals) = mpsc::channel(PAGES_AHEAD);
    let committer = Committer {
        store: &*connection.workspace.store,
        engine,
        fence,
        feed: feed.clone(),
        target: Arc::clone(&plan.target),
        partitions: plan.lanes.iter().map(|lane| lane.partition.id.clone()).collect(),
        scans: plan.lanes.iter().map(|lane| lane.scan).collect(),
        group: pull.group,
    };
    // Fetching is a task of its own: pages are read and parsed while the committer waits for the database.
    let lanes = plan.lanes.clone();
    let side_by_side = pull.lanes.unwrap_or(descriptor.lanes).max(1);
    let fetching = tokio::spawn(async move {
        stream::iter(lanes.into_iter().enumerate()).for_each_concurrent(side_by_side, |(lane, plan)| fetch.run(lane, plan, &out)).await;
    });
    let mut fetching = AbortOnDrop(fetching);
    let lanes = committer.run(arrivals).await?;
    if (&mut fetching.0).await.is_err_and(|e| e.is_panic()) {
        return Err(Error::new(ErrorKind::Internal, "pull", "the provider panicked").at("provider", descriptor.name));
    }
    let ended = lanes.done + lanes.failed.len() as u64;
    if ended != plan.lanes.len() as u64 {
        let text = format!("{ended} of {} partitions reported their end", plan.lanes.len());
        return Err(Error::new(ErrorKind::Internal, "pull", text));
    }
    Ok(lanes)
}

/// Ends a task when the run that owns it ends, however it ends.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Deletes what complete scans did not show. Partitions that are gone count as complete scans that showed nothing, but only when
/// everything else was read.
async fn sweep(connection: &Connection, pull: &Pull, feed: &Feed, fence: Fence, plan: &Plan, lanes: &Lanes) -> Result<Option<SweepReport>> {
    let engine = &connection.workspace.engine;
    if pull.limit.is_some() {
        return Ok(None);
    }
    let mut scans = lanes.complete.clone();
    if plan.whole && lanes.complete.len() == plan.lanes.len() {
        scans.extend(plan.gone.iter().map(|partition| (partition.clone(), scan_of(fence.run, false))));
    }
    if scans.is_empty() {
        return Ok(None);
    }
    engine.crash_points.at("p13");
    let sweep = Sweep {
        fence,
        feed: feed.clone(),
        target: Arc::clone(&plan.target),
        scans,
        max_share: SWEEP_SHARE,
        confirmed: pull.confirm_deletes,
        at: engine.shared.clock.now(),
    };
    connection.workspace.store.sweep(sweep).await.map(Some)
}

fn refused_sweep(target: &Target, swept: SweepReport) -> String {
    format!(
        "a complete read showed {} of the {} known rows of {}; deleting the other {} needs to be confirmed (confirm_deletes)",
        swept.known - swept.missing,
        swept.known,
        target.entity,
        swept.missing,
    )
}

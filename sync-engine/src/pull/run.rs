//! What a pull does between the beginning and the end of its run.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use sync_core::{
    Direction, Error, ErrorKind, Result, RunError, SyncContext, SyncResult, Target,
    mapping::CompiledMapping,
    store::{Feed, Fence, NewRun, Sweep, SweepReport},
};
use tokio::sync::mpsc;

use super::{
    Pull,
    committer::{Committer, Lanes},
    lane::Fetch,
    plan::{Plan, entity_of, scan_of},
};
use crate::{
    Connection, SyncEvent,
    run::{self, AbortOnDrop, Report, Start},
};

/// Pages that wait for the committer while it writes; each lane holds at most one more.
const PAGES_AHEAD: usize = 1;

/// The share of known rows a sweep may delete without being confirmed (reliability: DS7).
const SWEEP_SHARE: f64 = 0.2;

/// A run about to begin.
struct Job {
    connection: Connection,
    pull: Pull,
    feed: Feed,
    mapping: Option<Arc<CompiledMapping>>,
    cx: SyncContext,
}

pub(crate) async fn pull(connection: &Connection, pull: Pull) -> Result<SyncResult> {
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
    let new = NewRun {
        feed: feed.clone(),
        direction: Direction::FromExternal,
        entity,
        job_type: if pull.full { "full" } else { "incremental" },
        exclusive: false,
        triggered_by: pull.triggered_by.clone(),
        at: cx.services.now(),
    };
    let job = Job { connection: connection.clone(), pull, feed, mapping, cx };
    run::lead(connection, Start { operation: "pull", new }, |fence, _| execute(job, fence)).await
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
